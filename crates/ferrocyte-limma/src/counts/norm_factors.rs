//! [`norm_factors`]: what library sizes are multiplied by so that they compare.
//!
//! A few very abundant genes take reads from all others; a factor says by how much a library is in effect larger or
//! smaller than its total. Their product is 1.

#![allow(clippy::inline_always)]

use std::sync::atomic::{AtomicBool, Ordering};

use ferrocyte_base::{Fault, Result, Run, choice};
use ferrocyte_math::selection::Selector;
use ferrocyte_math::wide::{self, Kernel};

use super::columns::by_sample;
use super::tmm::{Reference, Tmm};
use super::{chosen_library_sizes, library_sizes, unusable_library};
use crate::Expression;

choice! {
    /// How normalisation factors are found.
    NormMethod, "method" {
        /// Trimmed mean of log ratios to a reference sample (Robinson and Oshlack 2010).
        Tmm = "TMM",
        /// The same with genes that are zero in one of the two samples paired: for sparse counts.
        TmmWsp = "TMMwsp",
        /// Median ratio to the geometric mean of all samples (Anders and Huber 2010).
        Rle = "RLE",
        /// A quantile of the counts (Bullard et al. 2010).
        UpperQuartile = "upperquartile",
        /// All 1.
        None = "none",
    }
}

choice! {
    /// What is done with a sample whose library size is zero.
    ZeroLib, "zero_lib" {
        /// It is named in an error.
        Error = "error",
        /// It gets NaN; the others are normalised without it.
        Drop = "drop",
        /// The formulas as they stand; TMM cannot, and fails.
        Keep = "keep",
    }
}

/// How normalisation factors are found; the defaults are edgeR's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NormOptions {
    /// The method.
    pub method: NormMethod,
    /// What is done with an empty library.
    pub zero_lib: ZeroLib,
    /// The sample that others are compared with; `None`: chosen from the data.
    pub reference: Option<usize>,
    /// Share of genes trimmed at each end of the log ratios.
    pub log_ratio_trim: f64,
    /// Share of genes trimmed at each end of the mean log abundances.
    pub sum_trim: f64,
    /// Whether log ratios are weighted by their precision.
    pub weighted: bool,
    /// Genes with a mean log2 abundance of at most this are left out.
    pub a_cutoff: f64,
    /// The quantile of `upperquartile`.
    pub quantile: f64,
}

impl Default for NormOptions {
    fn default() -> Self {
        Self {
            method: NormMethod::Tmm,
            zero_lib: ZeroLib::Error,
            reference: None,
            log_ratio_trim: 0.3,
            sum_trim: 0.05,
            weighted: true,
            a_cutoff: -1e10,
            quantile: 0.75,
        }
    }
}

/// Normalisation factors of the samples; their product is 1. `lib_size` are the totals unless given.
///
/// # Errors
/// Where a count is negative or not finite, a library is empty (see [`ZeroLib`]), a share lies outside [0, 1], or the
/// reference does not exist.
pub fn norm_factors(
    run: &Run,
    counts: &Expression<'_>,
    lib_size: Option<&[f64]>,
    options: &NormOptions,
) -> Result<Vec<f64>> {
    check(counts, options)?;
    let totals = library_sizes(run, counts)?;
    let sizes = chosen_library_sizes(counts, lib_size, totals)?;
    let n = counts.n_samples();
    let usable = |j: &usize| sizes[*j] > 0.0 && sizes[*j].is_finite();
    if let Some(j) = (0..n).find(|j| !usable(j)) {
        let refused = options.zero_lib == ZeroLib::Error
            || !sizes[j].is_finite()
            || sizes[j] < 0.0
            || (options.zero_lib == ZeroLib::Keep && options.method == NormMethod::Tmm);
        if refused {
            return Err(unusable_library(counts, j, sizes[j]).hint("zero_lib=\"drop\" gives it NaN"));
        }
    }
    let drop = options.zero_lib == ZeroLib::Drop;
    let samples: Vec<usize> = (0..n).filter(|j| !drop || usable(j)).collect();
    if let Some(reference) = options.reference.filter(|r| !samples.contains(r)) {
        return Err(Fault::bad_input(format!("{} has library size 0", counts.sample(reference))).at("ref_column"));
    }
    let n_empty = (0..counts.n_genes()).filter(|&g| counts.row(g).iter().all(|&c| c == 0.0)).count();
    let mut factors = vec![f64::NAN; n];
    if samples.len() < 2 || n_empty == counts.n_genes() || options.method == NormMethod::None {
        samples.iter().for_each(|&j| factors[j] = 1.0);
        return Ok(factors);
    }
    let study = Study { counts, samples: &samples, sizes: &sizes, n_empty };
    let raw = match options.method {
        NormMethod::Tmm | NormMethod::TmmWsp => study.trimmed_means(run, options)?,
        NormMethod::Rle => study.median_ratios(run)?,
        NormMethod::UpperQuartile => study.quantiles(run, options.quantile)?,
        NormMethod::None => vec![1.0; samples.len()],
    };
    if raw.contains(&0.0) {
        run.warn(
            "some samples have a normalisation factor of 0: too few genes were seen in them (another method, or \
                  a higher quantile, may do)",
        );
    }
    let mean_log = raw.iter().map(|f| f.ln()).sum::<f64>() / raw.len() as f64;
    for (&j, f) in samples.iter().zip(raw) {
        factors[j] = f / mean_log.exp();
    }
    Ok(factors)
}

fn check(counts: &Expression<'_>, options: &NormOptions) -> Result<()> {
    for (name, share, most) in [
        ("logratio_trim", options.log_ratio_trim, 0.5),
        ("sum_trim", options.sum_trim, 0.5),
        ("p", options.quantile, 1.0),
    ] {
        if !(0.0..=most).contains(&share) {
            return Err(Fault::bad_input(format!("{share} is no share between 0 and {most}")).at(name));
        }
    }
    match options.reference.filter(|r| *r >= counts.n_samples()) {
        None => Ok(()),
        Some(r) => {
            Err(Fault::bad_input(format!("sample {r} of {}, counted from 0", counts.n_samples())).at("ref_column"))
        }
    }
}

/// What all methods look at.
struct Study<'a> {
    counts: &'a Expression<'a>,
    /// Samples that take part.
    samples: &'a [usize],
    sizes: &'a [f64],
    /// Genes without any count, which no quantile counts.
    n_empty: usize,
}

impl Study<'_> {
    /// A quantile of the counts of each sample over the genes with any, divided by its library size.
    fn quantiles(&self, run: &Run, share: f64) -> Result<Vec<f64>> {
        let zeros = -(self.n_empty as isize);
        by_sample(run, "quantiles", self.counts.values(), self.samples, Selector::default, |j, column, selector| {
            Ok(selector.quantile_of_counts(column, share, zeros) / self.sizes[j])
        })
    }

    /// The median over genes of the ratio to their geometric mean, divided by the library size.
    fn median_ratios(&self, run: &Run) -> Result<Vec<f64>> {
        let values = self.counts.values();
        let blocks = run.map_quietly(self.counts.n_genes(), super::BLOCK, |genes| {
            let mut room = Vec::new();
            Ok(genes.map(|g| self.geometric_mean(g, &mut room)).collect::<Vec<f64>>())
        })?;
        let means: Vec<f64> = blocks.into_iter().flatten().collect();
        let room = || (Selector::default(), Vec::new());
        by_sample(run, "median ratios", values, self.samples, room, |j, column, (selector, ratios)| {
            ratios.clear();
            ratios.extend(column.iter().zip(&means).filter(|(_, mean)| **mean > 0.0).map(|(count, mean)| count / mean));
            Ok(selector.median(ratios) / self.sizes[j])
        })
    }

    fn geometric_mean(&self, g: usize, room: &mut Vec<f64>) -> f64 {
        let row = self.counts.row(g);
        room.clear();
        room.extend(self.samples.iter().map(|&j| row[j]));
        if room.contains(&0.0) { 0.0 } else { (wide::widest(SumOfLogs(room)) / room.len() as f64).exp() }
    }

    /// Trimmed means of log ratios to a reference sample.
    fn trimmed_means(&self, run: &Run, options: &NormOptions) -> Result<Vec<f64>> {
        let reference = match options.reference {
            Some(reference) => reference,
            None => self.reference(run, options.method)?,
        };
        let values = self.counts.values();
        let column: Vec<f64> = (0..values.n_rows()).map(|g| values.row(g)[reference]).collect();
        let reference = Reference::new(&column, self.sizes[reference]);
        let strange = AtomicBool::new(false);
        let factors = by_sample(run, "log ratios", values, self.samples, Tmm::default, |j, column, tmm| {
            let factor = match options.method {
                NormMethod::TmmWsp => tmm.factor_with_singletons(&reference, column, self.sizes[j], options),
                _ => tmm.factor(&reference, column, self.sizes[j], options),
            };
            strange.fetch_or(factor.is_nan(), Ordering::Relaxed);
            Ok(if factor.is_nan() { 1.0 } else { factor })
        })?;
        if strange.load(Ordering::Relaxed) {
            run.warn("some samples share too few genes with the reference sample: their normalisation factor is 1");
        }
        Ok(factors)
    }

    /// The sample that is most like the others: that whose upper quartile over library size is nearest to the mean of
    /// these. Where these are zero, and for `TMMwsp`, that with the largest sum of roots of counts.
    fn reference(&self, run: &Run, method: NormMethod) -> Result<usize> {
        if method == NormMethod::Tmm {
            let quartiles = self.quantiles(run, 0.75)?;
            let mean = quartiles.iter().sum::<f64>() / quartiles.len() as f64;
            if Selector::default().median(&quartiles) >= 1e-20 {
                return Ok(self.samples[first_least(quartiles.iter().map(|q| (q - mean).abs()))]);
            }
        }
        let roots = by_sample(
            run,
            "depths",
            self.counts.values(),
            self.samples,
            || (),
            |_, column, ()| Ok(-wide::widest(SumOfRoots(column))),
        )?;
        Ok(self.samples[first_least(roots.into_iter())])
    }
}

/// The position of the first of the least values.
fn first_least(values: impl Iterator<Item = f64>) -> usize {
    let mut least = (f64::INFINITY, 0);
    for (i, value) in values.enumerate() {
        if value < least.0 {
            least = (value, i);
        }
    }
    least.1
}

/// Turns numbers into their logarithms and adds these.
struct SumOfLogs<'a>(&'a mut [f64]);

impl Kernel for SumOfLogs<'_> {
    type Output = f64;

    #[inline(always)]
    fn run(self) -> f64 {
        for x in &mut *self.0 {
            *x = wide::ln(*x);
        }
        wide::sum(self.0)
    }
}

/// Adds the square roots of numbers.
struct SumOfRoots<'a>(&'a [f64]);

impl Kernel for SumOfRoots<'_> {
    type Output = f64;

    #[inline(always)]
    fn run(self) -> f64 {
        let (chunks, tail) = self.0.as_chunks::<8>();
        let mut lanes = [0.0; 8];
        for chunk in chunks {
            for lane in 0..8 {
                lanes[lane] += chunk[lane].sqrt();
            }
        }
        wide::sum(&lanes) + tail.iter().map(|x| x.sqrt()).sum::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use ferrocyte_math::linalg::MatrixRef;

    use super::*;

    fn example(n_genes: usize, n_samples: usize) -> Vec<f64> {
        (0..n_genes * n_samples)
            .map(|i| {
                let (g, j) = (i / n_samples, i % n_samples);
                let level = 1 + (g * g * 31) % 97 + if (g + j) % 5 == 0 { 40 } else { 0 };
                if (g * 7 + j * 13) % 11 == 0 { 0.0 } else { (level * (j + 2) + (g * 17 + j * 29) % 23) as f64 }
            })
            .collect()
    }

    /// TMM with ranks from a full sort.
    fn plain(column: &[f64], size: f64, reference: &[f64], reference_size: f64) -> f64 {
        let mut genes = Vec::new();
        for (&o, &r) in column.iter().zip(reference) {
            let m = ((o / size) / (r / reference_size)).log2();
            let a = 0.5 * ((o / size).log2() + (r / reference_size).log2());
            if m.is_finite() && a.is_finite() {
                let v = (size - o) / size / o + (reference_size - r) / reference_size / r;
                genes.push((m, a, v));
            }
        }
        let k = genes.len() as f64;
        let kept = |values: Vec<f64>, trim: f64| -> Vec<bool> {
            let low = (k * trim).floor() + 1.0;
            let rank = |x: f64| {
                let below = values.iter().filter(|v| **v < x).count() as f64;
                below + 0.5 * (values.iter().filter(|v| **v == x).count() as f64 + 1.0)
            };
            values.iter().map(|&x| (low..=k + 1.0 - low).contains(&rank(x))).collect()
        };
        if genes.iter().all(|g| g.0.abs() < 1e-6) {
            return 1.0;
        }
        let by_m = kept(genes.iter().map(|g| g.0).collect(), 0.3);
        let by_a = kept(genes.iter().map(|g| g.1).collect(), 0.05);
        let (mut sum, mut weights) = (0.0, 0.0);
        for (i, (m, _, v)) in genes.iter().enumerate().filter(|(i, _)| by_m[*i] && by_a[*i]) {
            let _ = i;
            sum += m / v;
            weights += 1.0 / v;
        }
        (sum / weights).exp2()
    }

    #[test]
    fn trimmed_means_are_the_plain_ones() -> Result<()> {
        let (n_genes, n) = (400, 6);
        let entries = example(n_genes, n);
        let counts = Expression::unnamed(MatrixRef::from_rows(n_genes, n, &entries));
        let options = NormOptions { reference: Some(2), ..NormOptions::default() };
        let found = norm_factors(&Run::new(), &counts, None, &options)?;
        let sizes = library_sizes(&Run::new(), &counts)?;
        let column = |j: usize| -> Vec<f64> { (0..n_genes).map(|g| entries[g * n + j]).collect() };
        let raw: Vec<f64> = (0..n).map(|j| plain(&column(j), sizes[j], &column(2), sizes[2])).collect();
        let mean = (raw.iter().map(|f| f.ln()).sum::<f64>() / n as f64).exp();
        for (found, raw) in found.iter().zip(raw) {
            assert!((found - raw / mean).abs() < 1e-13, "{found} {}", raw / mean);
        }
        Ok(())
    }

    #[test]
    fn factors_undo_a_composition() -> Result<()> {
        // Sample 2 has twice the counts of sample 1 but for ten genes that take half of its library.
        let mut entries: Vec<f64> =
            (0..300).flat_map(|g| [10.0 + f64::from(g % 50), 20.0 + 2.0 * f64::from(g % 50)]).collect();
        let total: f64 = entries.iter().skip(1).step_by(2).sum();
        for g in 0..10 {
            entries[2 * g + 1] = total / 10.0;
        }
        let counts = Expression::unnamed(MatrixRef::from_rows(300, 2, &entries));
        let sizes = library_sizes(&Run::new(), &counts)?;
        for method in [NormMethod::Tmm, NormMethod::TmmWsp] {
            let f = norm_factors(&Run::new(), &counts, None, &NormOptions { method, ..NormOptions::default() })?;
            assert!((f[0] * f[1] - 1.0).abs() < 1e-12);
            assert!(((f[1] * sizes[1]) / (f[0] * sizes[0]) - 2.0).abs() < 1e-9, "{f:?}");
        }
        Ok(())
    }

    #[test]
    fn empty_libraries() -> Result<()> {
        let run = Run::new();
        let entries = example(50, 4);
        let held: Vec<f64> = entries.iter().enumerate().map(|(i, &c)| if i % 4 == 1 { 0.0 } else { c }).collect();
        let counts = Expression::unnamed(MatrixRef::from_rows(50, 4, &held));
        let rest: Vec<f64> = held.iter().enumerate().filter(|(i, _)| i % 4 != 1).map(|(_, &c)| c).collect();
        let without = Expression::unnamed(MatrixRef::from_rows(50, 3, &rest));
        for method in
            [NormMethod::Tmm, NormMethod::TmmWsp, NormMethod::Rle, NormMethod::UpperQuartile, NormMethod::None]
        {
            let options = NormOptions { method, ..NormOptions::default() };
            let fault = norm_factors(&run, &counts, None, &options);
            assert!(fault.is_err_and(|f| f.to_string().contains("sample 2")));
            let dropped = norm_factors(&run, &counts, None, &NormOptions { zero_lib: ZeroLib::Drop, ..options })?;
            assert!(dropped[1].is_nan());
            let expected = norm_factors(&run, &without, None, &options)?;
            assert_eq!([dropped[0], dropped[2], dropped[3]], expected[..]);
            let kept = norm_factors(&run, &counts, None, &NormOptions { zero_lib: ZeroLib::Keep, ..options });
            assert_eq!(kept.is_err(), method == NormMethod::Tmm);
        }
        Ok(())
    }

    #[test]
    fn threads_and_odd_shapes() -> Result<()> {
        let entries = example(500, 70);
        let counts = Expression::unnamed(MatrixRef::from_rows(500, 70, &entries));
        let one = norm_factors(&Run::new().threads(1), &counts, None, &NormOptions::default())?;
        let three = norm_factors(&Run::new().threads(3), &counts, None, &NormOptions::default())?;
        assert_eq!(one, three);
        let alone = Expression::unnamed(MatrixRef::from_rows(2, 1, &[3.0, 4.0]));
        assert_eq!(norm_factors(&Run::new(), &alone, None, &NormOptions::default())?, [1.0]);
        let options = NormOptions { reference: Some(70), ..NormOptions::default() };
        assert!(norm_factors(&Run::new(), &counts, None, &options).is_err());
        let options = NormOptions { sum_trim: 0.7, ..NormOptions::default() };
        assert!(norm_factors(&Run::new(), &counts, None, &options).is_err());
        Ok(())
    }
}
