//! Cells of unequal depth made comparable: [`size_factors`], and [`Normalized`], which scales and logs as rows pass.
//!
//! The factor of a cell is computed in 64 bits, multiplied once and rounded once to the type of the values. With a
//! logarithm behind it nothing is rounded in between.

#![allow(clippy::inline_always, reason = "kernels are compiled where they run")]

use std::borrow::Cow;
use std::marker::PhantomData;
use std::ops::Range;

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_data::{RowBlock, RowChunks, Summary, Values};
use ferrocyte_math::wide::{self, Kernel};

use crate::Names;
use crate::by_gene::{by_gene, widen};
use crate::in_place::Float;
use crate::qc::quantile;
use crate::scan::{Need, scan};

/// The total to which cells are scaled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// This total.
    To(f64),
    /// The median total of the cells that have counts.
    Median,
    /// The mean total of all cells.
    Mean,
}

/// How factors are found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NormalizeOptions {
    /// The total of each cell afterwards.
    pub target: Target,
    /// Leaves out of the totals every gene that has more than this share of the counts of some cell. These genes are
    /// scaled all the same.
    pub exclude_highly_expressed: Option<f64>,
}

/// One factor per cell.
#[derive(Debug, Clone, PartialEq)]
pub struct SizeFactors {
    /// What the counts of a cell are multiplied by; 1 for a cell without counts.
    pub factors: Vec<f64>,
    /// The totals that were scaled, without the genes that were left out.
    pub totals: Vec<f64>,
    /// The total to which they were scaled.
    pub target: f64,
    /// The genes that were left out of the totals.
    pub highly_expressed: Vec<usize>,
}

/// Finds the factors of all cells: one pass, three with `exclude_highly_expressed`.
///
/// Cells without counts stay as they are and are warned of.
///
/// # Errors
/// Values that are missing, infinite or negative; a target or share that is not positive.
pub fn size_factors(
    run: &Run,
    source: &mut dyn RowChunks,
    names: &Names<'_>,
    options: &NormalizeOptions,
) -> Result<SizeFactors> {
    options.target.check()?;
    let mut totals = Totals::new(None);
    scan(run, source, names, Need::NotNegative, &mut [&mut totals])?;
    let mut highly_expressed = Vec::new();
    if let Some(share) = options.exclude_highly_expressed {
        positive("max_fraction", share)?;
        let mut high = High { share, totals: &totals.totals, genes: vec![false; source.n_cols()] };
        scan(run, source, names, Need::NotNegative, &mut [&mut high])?;
        let mut others = Totals::new(Some(high.genes));
        scan(run, source, names, Need::NotNegative, &mut [&mut others])?;
        let left_out = others.without.as_deref().unwrap_or_default();
        highly_expressed = (0..left_out.len()).filter(|&gene| left_out[gene]).collect();
        run.info(&format!("{} genes are left out of the totals", highly_expressed.len()));
        totals = others;
    }
    Ok(SizeFactors::of_totals(run, totals.totals, options.target, highly_expressed))
}

impl SizeFactors {
    /// What brings cells of these totals to one; those without counts are warned of.
    pub(crate) fn of_totals(run: &Run, totals: Vec<f64>, target: Target, highly_expressed: Vec<usize>) -> Self {
        let target = match target {
            Target::To(target) => target,
            Target::Median => median_of_positive(&totals),
            Target::Mean => totals.iter().sum::<f64>() / totals.len().max(1) as f64,
        };
        let n_empty = totals.iter().filter(|&&total| total == 0.0).count();
        if n_empty > 0 {
            run.warn(&format!("{n_empty} of {} cells have no counts to scale and stay as they are", totals.len()));
        }
        let factors = totals.iter().map(|&total| if total > 0.0 { target / total } else { 1.0 }).collect();
        Self { factors, totals, target, highly_expressed }
    }
}

impl Target {
    /// Refuses a total that is not positive.
    pub(crate) fn check(self) -> Result<()> {
        if let Self::To(target) = self { positive("target_sum", target) } else { Ok(()) }
    }
}

fn positive(option: &str, value: f64) -> Result<()> {
    if value > 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(Fault::bad_input(format!("a number above 0 is expected, found {value}")).at(option.to_owned()))
}

fn median_of_positive(totals: &[f64]) -> f64 {
    let mut positive: Vec<f64> = totals.iter().copied().filter(|&total| total > 0.0).collect();
    if positive.is_empty() {
        return 1.0;
    }
    positive.sort_unstable_by(f64::total_cmp);
    quantile(&positive, 0.5)
}

/// Totals of cells, without some genes.
struct Totals {
    without: Option<Vec<bool>>,
    totals: Vec<f64>,
}

impl Totals {
    fn new(without: Option<Vec<bool>>) -> Self {
        Self { without, totals: Vec::new() }
    }
}

impl Summary for Totals {
    fn observe(&mut self, _run: &Run, block: &RowBlock<'_>) -> Result<()> {
        match &self.without {
            None => self.totals.extend(block.row_sums()),
            Some(without) => {
                let of_row = |row| block.row(row).filter(|(column, _)| !without[*column]).map(|(_, v)| v).sum::<f64>();
                self.totals.extend((0..block.n_rows()).map(of_row));
            }
        }
        Ok(())
    }
}

/// Genes that have more than a share of the counts of some cell.
struct High<'a> {
    share: f64,
    totals: &'a [f64],
    genes: Vec<bool>,
}

impl Summary for High<'_> {
    fn observe(&mut self, run: &Run, block: &RowBlock<'_>) -> Result<()> {
        let (totals, share) = (&self.totals[block.start()..], self.share);
        by_gene(run, block, &mut self.genes, 1, |genes, piece| {
            let most = share * totals[piece.row];
            for (&column, &v) in piece.columns.iter().zip(piece.values) {
                genes[column as usize] |= v > most;
            }
        })
    }
}

/// What follows the scaling.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Then {
    /// Nothing.
    Stop,
    /// ln(1 + x), divided by the logarithm of the base if there is one.
    Log1p {
        /// `None` is e.
        base: Option<f64>,
    },
}

/// A matrix whose rows are scaled, logged, or both, as they are read.
///
/// Zeros stay zeros and values keep their type. Negative values, of which there is no logarithm to speak, give NaN or
/// worse: [`size_factors`] and [`check_log1p`] refuse them.
pub struct Normalized<S> {
    source: S,
    factors: Option<Vec<f64>>,
    then: Then,
}

impl<S: RowChunks> Normalized<S> {
    /// Rows of `source` multiplied by `factors`, one per row (`None`: as they are), and then logged or not.
    ///
    /// # Errors
    /// Another number of factors than rows; a base that is not above 1.
    pub fn new(source: S, factors: Option<Vec<f64>>, then: Then) -> Result<Self> {
        if let Some(n) = factors.as_ref().map(Vec::len).filter(|&n| n != source.n_rows()) {
            return Err(Fault::bad_input(format!("{n} factors for {} cells", source.n_rows())).at(source.name()));
        }
        then.check()?;
        Ok(Self { source, factors, then })
    }
}

impl Then {
    /// Refuses a base that is not above 1.
    pub(crate) fn check(self) -> Result<()> {
        match self {
            Self::Log1p { base: Some(base) } if !(base > 1.0 && base.is_finite()) => {
                Err(Fault::bad_input(format!("a base above 1 is expected, found {base}")).at("base"))
            }
            _ => Ok(()),
        }
    }

    /// What follows the scaling, for some values of type `T`.
    pub(crate) fn apply<T: Float>(self, values: &mut [f64]) {
        let Self::Log1p { base } = self else { return };
        wide::widest(Log1p::<T>(values, PhantomData));
        if let Some(base) = base {
            let scale = base.ln();
            values.iter_mut().for_each(|v| *v /= scale);
        }
    }
}

impl<S: RowChunks> RowChunks for Normalized<S> {
    fn n_rows(&self) -> usize {
        self.source.n_rows()
    }
    fn n_cols(&self) -> usize {
        self.source.n_cols()
    }
    fn n_stored(&self) -> Option<u64> {
        self.source.n_stored()
    }
    fn name(&self) -> String {
        format!("{} (normalised)", self.source.name())
    }
    fn reads_ahead(&self) -> bool {
        self.source.reads_ahead()
    }
    fn makes_rows(&self) -> bool {
        true
    }
    fn read(&mut self, run: &Run, rows: Range<usize>) -> Result<RowBlock<'_>> {
        const ROWS: usize = 256;
        let block = self.source.read(run, rows)?;
        let (factors, then) = (self.factors.as_deref(), self.then);
        let scale = |row: usize, values: &mut Vec<f64>| {
            widen(block.values(), block.pointers()[row]..block.pointers()[row + 1], values);
            if let Some(factors) = factors {
                let factor = factors[block.start() + row];
                values.iter_mut().for_each(|v| *v *= factor);
            }
        };
        let scaled = match block.values() {
            Values::F32(_) => {
                let parts = run.map_quietly(block.n_rows(), ROWS, |rows| {
                    let (mut scaled, mut values) = (Vec::new(), Vec::new());
                    for row in rows {
                        scale(row, &mut values);
                        then.apply::<f32>(&mut values);
                        scaled.extend(values.iter().map(|&v| v as f32));
                    }
                    Ok(scaled)
                })?;
                Values::F32(Cow::Owned(parts.concat()))
            }
            Values::F64(_) => {
                let parts = run.map_quietly(block.n_rows(), ROWS, |rows| {
                    let (mut scaled, mut values) = (Vec::new(), Vec::new());
                    for row in rows {
                        scale(row, &mut values);
                        then.apply::<f64>(&mut values);
                        scaled.extend_from_slice(&values);
                    }
                    Ok(scaled)
                })?;
                Values::F64(Cow::Owned(parts.concat()))
            }
        };
        block.with_values(scaled)
    }
}

/// Logarithms that will be values of type `T`.
struct Log1p<'a, T>(&'a mut [f64], PhantomData<T>);

impl<T: Float> Kernel for Log1p<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for v in self.0 {
            *v = T::ln_1p(*v);
        }
    }
}

/// Looks at all values before their logarithm is taken; warns if it seems to have been taken already.
///
/// # Errors
/// Values that are missing, infinite or negative.
pub fn check_log1p(run: &Run, source: &mut dyn RowChunks, names: &Names<'_>) -> Result<()> {
    let seen = scan(run, source, names, Need::NotNegative, &mut [])?;
    warn_of_logarithms(run, seen.whole, seen.largest, &source.name());
    Ok(())
}

/// Warns of values that seem to be logarithms already.
pub(crate) fn warn_of_logarithms(run: &Run, whole: bool, largest: f64, name: &str) {
    // No logarithm of a count of a cell is larger.
    const LARGEST_LOG: f64 = 25.0;
    if !whole && largest < LARGEST_LOG {
        run.warn(&format!(
            "{name} has values that are not whole and none above {LARGEST_LOG}: they seem to be logarithms already"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_data::Dense;
    use ferrocyte_testkit::{Counts, all_values, assert_same_bits_over_runs};

    const VALUES: [f32; 9] = [1.0, 3.0, 0.0, 0.0, 0.0, 0.0, 6.0, 1.0, 1.0];

    fn factors(target: Target, exclude: Option<f64>) -> Result<SizeFactors> {
        let options = NormalizeOptions { target, exclude_highly_expressed: exclude };
        size_factors(&Run::new(), &mut Dense::row_major(3, 3, &VALUES)?, &Names::default(), &options)
    }

    #[test]
    fn targets() -> Result<()> {
        assert_eq!(factors(Target::Median, None)?.factors, [1.5, 1.0, 0.75]);
        assert_eq!(factors(Target::Mean, None)?.target, 4.0);
        assert_eq!(factors(Target::To(8.0), None)?.factors, [2.0, 1.0, 1.0]);
        // Genes 0 and 1 have more than 0.7 of a cell; the first two cells have nothing else.
        let without = factors(Target::To(8.0), Some(0.7))?;
        assert_eq!((without.factors, without.highly_expressed), (vec![1.0, 1.0, 8.0], vec![0, 1]));
        assert!(factors(Target::To(0.0), None).is_err() && factors(Target::Median, Some(-1.0)).is_err());
        Ok(())
    }

    #[test]
    fn values_are_rounded_once() -> Result<()> {
        let factors = vec![1.0 / 3.0, 1.0, 7.0];
        let source = Dense::row_major(3, 3, &VALUES)?;
        let mut logged = Normalized::new(source, Some(factors), Then::Log1p { base: Some(2.0) })?;
        let rows = all_values(&mut logged, 2)?;
        assert_eq!(rows[0][1], (1, f64::from((2.0_f64.ln() / 2.0_f64.ln()) as f32)));
        assert_eq!(rows[2][0].1, f64::from((43.0_f64.ln() / 2.0_f64.ln()) as f32));
        assert!(rows[1].is_empty());
        let source = Dense::row_major(3, 3, &VALUES)?;
        assert!(Normalized::new(source.clone(), Some(vec![1.0]), Then::Stop).is_err());
        assert!(Normalized::new(source, None, Then::Log1p { base: Some(1.0) }).is_err());
        Ok(())
    }

    #[test]
    fn threads_and_blocks_change_no_bit() -> Result<()> {
        let counts = Counts::random(6, 600, 70, 0.5)?;
        let options = NormalizeOptions { target: Target::Median, exclude_highly_expressed: Some(0.2) };
        let work = |run: &Run| {
            let factors = size_factors(run, &mut counts.source()?, &Names::default(), &options)?.factors;
            let mut logged = Normalized::new(counts.source()?, Some(factors), Then::Log1p { base: None })?;
            all_values(&mut logged, if run.n_threads() == 2 { 7 } else { 300 })
        };
        assert_same_bits_over_runs(work, |rows| rows.iter().flatten().map(|&(_, v)| v).collect())
    }
}
