//! Trimmed means of log ratios: the factor of one sample against a reference (Robinson and Oshlack 2010).
//!
//! For each gene seen in both samples `M` is the log2 ratio of its shares, `A` the mean log2 share. Genes with extreme
//! `M` or `A` are left out; of the others `M` is averaged, weighted by its precision.
//!
//! Which genes are left out is decided by ranks, and shares of small counts tie often, so that the last bit of a
//! logarithm matters there. Logarithms are therefore first computed fast, and again with the system's own where a gene
//! lies within rounding of a boundary.

// Both sides of a comparison without a branch between them.
#![allow(clippy::inline_always, clippy::needless_bitwise_bool)]

use std::cmp::Ordering;

use ferrocyte_math::selection::Selector;
use ferrocyte_math::wide::{self, Kernel};

use super::NormOptions;

/// How far two ways to compute a log2 share, or a difference or mean of two, can differ, and far more.
const ROUNDING: f64 = 1e-12;

/// Counts this small are zero.
const ZERO: f64 = 1e-14;

/// The sample that others are compared with.
pub(super) struct Reference {
    /// Genes with counts.
    genes: Vec<u32>,
    /// Their counts, and log2 shares.
    counts: Vec<f64>,
    log_shares: Vec<f64>,
    /// All counts.
    column: Vec<f64>,
    size: f64,
}

impl Reference {
    pub(super) fn new(column: &[f64], size: f64) -> Self {
        let genes: Vec<u32> = (0..column.len() as u32).filter(|&g| column[g as usize] > 0.0).collect();
        let counts: Vec<f64> = genes.iter().map(|&g| column[g as usize]).collect();
        let log_shares = counts.iter().map(|c| (c / size).log2()).collect();
        Self { genes, counts, log_shares, column: column.to_vec(), size }
    }
}

/// The genes of a sample and the reference that are compared, and room to work in.
#[derive(Default)]
pub(super) struct Tmm {
    /// Counts here and in the reference.
    counts: Vec<f64>,
    others: Vec<f64>,
    /// Log2 shares in the reference.
    log_others: Vec<f64>,
    m: Vec<f64>,
    a: Vec<f64>,
    /// 1 where a gene takes part, else 0.
    kept: Vec<f64>,
    /// Stretches of values with one near a boundary.
    close: Vec<u32>,
    near: Vec<(f64, f64, usize)>,
    selector: Selector,
}

impl Tmm {
    /// The factor of a sample; NaN if it shares no gene with the reference.
    pub(super) fn factor(&mut self, reference: &Reference, column: &[f64], size: f64, options: &NormOptions) -> f64 {
        self.collect(reference, column);
        self.ratios(size);
        if options.a_cutoff > -1e9 {
            self.leave_out_below(options.a_cutoff);
        }
        if !self.m.iter().any(|m| m.abs() >= 1e-6) {
            return if self.m.is_empty() { f64::NAN } else { 1.0 };
        }
        let share = |i: usize, tmm: &Self| (tmm.counts[i] / size, tmm.others[i] / reference.size);
        self.reset();
        self.trim(options.log_ratio_trim, Ties::Mean, Of::M, |i, tmm| {
            let (here, there) = share(i, tmm);
            ((here / there).log2(), 0.0)
        });
        self.trim(options.sum_trim, Ties::Mean, Of::A, |i, tmm| {
            let (here, there) = share(i, tmm);
            (0.5 * (here.log2() + there.log2()), 0.0)
        });
        self.mean(size, reference.size, options.weighted.then_some(0.0))
    }

    /// The factor of a sample where genes that are zero in one of the two take part in pairs, the largest with the
    /// largest.
    pub(super) fn factor_with_singletons(
        &mut self,
        reference: &Reference,
        column: &[f64],
        size: f64,
        options: &NormOptions,
    ) -> f64 {
        self.collect_with_singletons(reference, column);
        self.ratios(size);
        if !self.m.iter().any(|m| m.abs() >= 1e-6) {
            return 1.0;
        }
        let share = |i: usize, tmm: &Self| (tmm.counts[i] / size, tmm.others[i] / reference.size);
        self.reset();
        self.trim(options.log_ratio_trim, Ties::InOrder, Of::M, |i, tmm| {
            let (here, there) = share(i, tmm);
            let shrunken = ((tmm.counts[i] + 0.5) / (size + 0.5)) / ((tmm.others[i] + 0.5) / (reference.size + 0.5));
            ((here / there).log2(), shrunken.log2())
        });
        self.trim(options.sum_trim, Ties::InOrder, Of::A, |i, tmm| {
            let (here, there) = share(i, tmm);
            (0.5 * (here * there).log2(), 0.0)
        });
        self.mean(size, reference.size, options.weighted.then_some(1e-6))
    }

    /// Collects the genes seen in both samples.
    fn collect(&mut self, reference: &Reference, column: &[f64]) {
        let n = reference.genes.len();
        let Self { counts, others, log_others, .. } = self;
        for room in [&mut *counts, &mut *others, &mut *log_others] {
            room.resize(n, 0.0);
        }
        let mut k = 0;
        let (to_counts, to_others, to_logs) = (&mut counts[..], &mut others[..], &mut log_others[..]);
        for ((&g, &other), &log_other) in reference.genes.iter().zip(&reference.counts).zip(&reference.log_shares) {
            // Without a branch: a gene that is not seen is overwritten by the next.
            let count = column[g as usize];
            (to_counts[k], to_others[k], to_logs[k]) = (count, other, log_other);
            k += usize::from(count > 0.0);
        }
        for room in [counts, others, log_others] {
            room.truncate(k);
        }
    }

    /// Collects the genes seen in both samples, then pairs of genes seen in one, by size.
    fn collect_with_singletons(&mut self, reference: &Reference, column: &[f64]) {
        for room in [&mut self.counts, &mut self.others, &mut self.log_others] {
            room.clear();
        }
        let (mut here, mut there) = (Vec::new(), Vec::new());
        for (&count, &other) in column.iter().zip(&reference.column) {
            match (count > ZERO, other > ZERO) {
                (true, true) => {
                    self.counts.push(count);
                    self.others.push(other);
                }
                (true, false) => here.push(count),
                (false, true) => there.push(other),
                (false, false) => {}
            }
        }
        here.sort_unstable_by(|a, b| b.total_cmp(a));
        there.sort_unstable_by(|a, b| b.total_cmp(a));
        for (count, other) in here.into_iter().zip(there) {
            self.counts.push(count);
            self.others.push(other);
        }
        self.log_others.extend(self.others.iter().map(|other| (other / reference.size).log2()));
    }

    fn ratios(&mut self, size: f64) {
        let n = self.counts.len();
        self.m.resize(n, 0.0);
        self.a.resize(n, 0.0);
        wide::widest(Ratios {
            counts: &self.counts,
            log_others: &self.log_others,
            log_size: size.log2(),
            m: &mut self.m,
            a: &mut self.a,
        });
    }

    fn leave_out_below(&mut self, cutoff: f64) {
        let mut k = 0;
        for i in 0..self.m.len() {
            for room in [&mut self.counts, &mut self.others, &mut self.log_others, &mut self.m, &mut self.a] {
                room[k] = room[i];
            }
            k += usize::from(self.a[k] > cutoff);
        }
        for room in [&mut self.counts, &mut self.others, &mut self.log_others, &mut self.m, &mut self.a] {
            room.truncate(k);
        }
    }

    fn reset(&mut self) {
        self.kept.clear();
        self.kept.resize(self.m.len(), 1.0);
    }

    /// Drops the genes at both ends; `exact` computes what they are ordered by.
    fn trim(&mut self, share: f64, ties: Ties, of: Of, exact: impl Fn(usize, &Self) -> (f64, f64)) {
        let values = std::mem::take(match of {
            Of::M => &mut self.m,
            Of::A => &mut self.a,
        });
        let n = values.len();
        // Ranks from 1, as in the definition.
        let low = (n as f64 * share).floor() as usize + 1;
        let high = (n + 1).saturating_sub(low);
        if high < low {
            self.kept.fill(0.0);
        } else {
            let ends = self.selector.pick(&values, [low - 1, high - 1]);
            let windows = ends.map(|end| (end - ROUNDING, end + ROUNDING));
            self.close.clear();
            let ends = Ends { values: &values, windows, kept: &mut self.kept, close: &mut self.close };
            let [below_bottom, below_top] = wide::widest(ends);
            self.settle(&values, windows[0], below_bottom, &exact, |first, last, at| match ties {
                Ties::Mean => first + last >= 2 * low,
                Ties::InOrder => at >= low,
            });
            self.settle(&values, windows[1], below_top, &exact, |first, last, at| match ties {
                Ties::Mean => first + last <= 2 * high,
                Ties::InOrder => at <= high,
            });
        }
        match of {
            Of::M => self.m = values,
            Of::A => self.a = values,
        }
    }

    /// Decides about the genes within rounding of a boundary, with `before` genes below: `kept(first, last, at)` is
    /// told the ranks of those that tie and the gene's own.
    fn settle(
        &mut self,
        values: &[f64],
        (bottom, top): (f64, f64),
        before: usize,
        exact: &impl Fn(usize, &Self) -> (f64, f64),
        kept: impl Fn(usize, usize, usize) -> bool,
    ) {
        let mut near = std::mem::take(&mut self.near);
        near.clear();
        for &start in &self.close {
            let start = start as usize;
            let stretch = &values[start..(start + STRETCH).min(values.len())];
            for (k, _) in stretch.iter().enumerate().filter(|(_, v)| (bottom..=top).contains(*v)) {
                let (first, second) = exact(start + k, self);
                near.push((first, second, start + k));
            }
        }
        near.sort_unstable_by(compare);
        let mut start = 0;
        while start < near.len() {
            let length = near[start..].partition_point(|gene| gene.0 == near[start].0);
            let (first, last) = (before + start + 1, before + start + length);
            for (k, gene) in near[start..start + length].iter().enumerate() {
                if !kept(first, last, first + k) {
                    self.kept[gene.2] = 0.0;
                }
            }
            start += length;
        }
        self.near = near;
    }

    /// 2 to the power of the mean of what is left, weighted by `1 / (variance + prior)`, or not if there is no prior.
    fn mean(&mut self, size: f64, other_size: f64, prior: Option<f64>) -> f64 {
        let Self { counts, others, m, kept, .. } = self;
        wide::widest(Mean { counts, others, m, kept, size, other_size, prior }).exp2()
    }
}

/// Values that are looked through at once.
const STRETCH: usize = 16;

/// What is trimmed.
#[derive(Clone, Copy)]
enum Of {
    M,
    A,
}

/// What becomes of genes that tie at a boundary.
#[derive(Clone, Copy)]
enum Ties {
    /// They have their mean rank and stay or go together.
    Mean,
    /// They are ranked by the second key, then as they come.
    InOrder,
}

fn compare(a: &(f64, f64, usize), b: &(f64, f64, usize)) -> Ordering {
    a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2))
}

/// Log ratios and mean log abundances.
struct Ratios<'a> {
    counts: &'a [f64],
    log_others: &'a [f64],
    log_size: f64,
    m: &'a mut [f64],
    a: &'a mut [f64],
}

impl Kernel for Ratios<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (((m, a), count), other) in self.m.iter_mut().zip(self.a).zip(self.counts).zip(self.log_others) {
            let log_share = wide::ln(*count) * std::f64::consts::LOG2_E - self.log_size;
            *m = log_share - other;
            *a = 0.5 * (log_share + other);
        }
    }
}

/// Drops the values below a first window and above a second, and finds the stretches with some in either. Gives the
/// numbers of values below each.
struct Ends<'a> {
    values: &'a [f64],
    windows: [(f64, f64); 2],
    kept: &'a mut [f64],
    close: &'a mut Vec<u32>,
}

impl Kernel for Ends<'_> {
    type Output = [usize; 2];

    #[inline(always)]
    fn run(self) -> [usize; 2] {
        let [(least, _), (_, most)] = self.windows;
        let [(first, first_end), (second, second_end)] = self.windows;
        let (stretches, tail) = self.values.as_chunks::<STRETCH>();
        let (kept, kept_tail) = self.kept.as_chunks_mut::<STRETCH>();
        let (mut below_first, mut below_second) = ([0.0; LANES], [0.0; LANES]);
        for (i, (values, kept)) in stretches.iter().zip(kept).enumerate() {
            let mut near = [0.0; LANES];
            let (values, _) = values.as_chunks::<LANES>();
            let (kept, _) = kept.as_chunks_mut::<LANES>();
            // One loop for each sum: the compiler makes one instruction of each.
            for (v, kept) in values.iter().zip(kept) {
                for k in 0..LANES {
                    kept[k] *= indicator((v[k] >= least) & (v[k] <= most));
                }
                for k in 0..LANES {
                    below_first[k] += indicator(v[k] < first);
                }
                for k in 0..LANES {
                    below_second[k] += indicator(v[k] < second);
                }
                for k in 0..LANES {
                    near[k] += indicator((v[k] >= first) & (v[k] <= first_end));
                }
                for k in 0..LANES {
                    near[k] += indicator((v[k] >= second) & (v[k] <= second_end));
                }
            }
            if near != [0.0; LANES] {
                self.close.push((i * STRETCH) as u32);
            }
        }
        for (kept, &v) in kept_tail.iter_mut().zip(tail) {
            *kept *= indicator((v >= least) & (v <= most));
        }
        if !tail.is_empty() {
            self.close.push((self.values.len() - tail.len()) as u32);
        }
        let count = |below: [f64; LANES], end: f64| {
            below.iter().sum::<f64>() as usize + tail.iter().filter(|v| **v < end).count()
        };
        [count(below_first, first), count(below_second, second)]
    }
}

/// Numbers worked on at once.
const LANES: usize = 4;

/// 1 for true, so that truths are counted in the registers that decided them.
#[inline(always)]
fn indicator(truth: bool) -> f64 {
    if truth { 1.0 } else { 0.0 }
}

/// The weighted mean of the log ratios that are kept.
struct Mean<'a> {
    counts: &'a [f64],
    others: &'a [f64],
    m: &'a [f64],
    /// 1 where a gene is kept, else 0; becomes its weight.
    kept: &'a mut [f64],
    size: f64,
    other_size: f64,
    prior: Option<f64>,
}

impl Kernel for Mean<'_> {
    type Output = f64;

    #[inline(always)]
    fn run(self) -> f64 {
        let Self { size, other_size, .. } = self;
        if let Some(prior) = self.prior {
            // 1 over the variance, about `(size - count) / a + (other_size - other) / b` with `a = size count` and `b`
            // likewise; times `a b`, so that there is one division.
            for ((kept, count), other) in self.kept.iter_mut().zip(self.counts).zip(self.others) {
                let (a, b) = (size * count, other_size * other);
                let variance = (size - count) * b + (other_size - other) * a;
                let weight = (1.0 + prior) * (a * b) / (variance + prior * (a * b));
                *kept = if *kept > 0.0 { weight } else { 0.0 };
            }
        }
        let (mut sums, mut totals) = ([0.0; LANES], [0.0; LANES]);
        let (ms, m_tail) = self.m.as_chunks::<LANES>();
        let (weights, weight_tail) = self.kept.as_chunks::<LANES>();
        for (m, w) in ms.iter().zip(weights) {
            for k in 0..LANES {
                sums[k] += if w[k] > 0.0 { w[k] * m[k] } else { 0.0 };
            }
            for k in 0..LANES {
                totals[k] += w[k];
            }
        }
        for (k, (m, w)) in m_tail.iter().zip(weight_tail).enumerate() {
            sums[k] += if *w > 0.0 { w * m } else { 0.0 };
            totals[k] += w;
        }
        let total = |[a, b, c, d]: [f64; LANES]| (a + c) + (b + d);
        total(sums) / total(totals)
    }
}
