//! Less prior information for variances that stick out (Phipson et al. 2016, section 3).

use std::f64::consts::LN_2;

use crate::{f, ranks};

/// Variances over their scale, with the right tails of F on `(df1, df2)`.
pub(super) struct Tails<'a> {
    /// The statistics `x / scale`.
    pub(super) statistic: &'a [f64],
    /// Their degrees of freedom.
    pub(super) df1: &'a [f64],
    /// `ln P(F > statistic)`.
    pub(super) ln_p: &'a [f64],
}

impl Tails<'_> {
    /// The logarithm of the probability that a value is no outlier: how many as large would be expected over how many
    /// there are, at most 1.
    fn ln_not_outlying(&self) -> Vec<f64> {
        let n = self.ln_p.len() as f64;
        let ranks = ranks::average(self.statistic);
        self.ln_p.iter().zip(ranks).map(|(l, rank)| (l - ((n - rank + 0.5).ln() - n.ln())).min(0.0)).collect()
    }

    /// Prior degrees of freedom for each value, `df2` where nothing sticks out, and those of the largest outlier.
    ///
    /// `None` where there are no outliers.
    pub(super) fn shrink(&self, df2: f64) -> Option<(Vec<f64>, f64)> {
        let ln_not = self.ln_not_outlying();
        if ln_not.iter().all(|&l| l == 0.0) {
            return None;
        }
        let order = ranks::rising(self.ln_p);
        let outlier = self.df2_of_outlier(order[0], df2);
        let mut shrunk: Vec<f64> = ln_not.iter().map(|l| l.exp() * df2 + -l.exp_m1() * outlier).collect();
        // Along rising tails: the lowest running mean serves for all before it, and nothing falls after it.
        let (mut sum, mut least, mut place) = (0.0, f64::INFINITY, 0);
        for (k, &i) in order.iter().enumerate() {
            sum += shrunk[i];
            let mean = sum / (k + 1) as f64;
            if mean < least {
                (least, place) = (mean, k);
            }
        }
        order[..=place].iter().for_each(|&i| shrunk[i] = least);
        never_falling(&order, &mut shrunk);
        Some((shrunk, outlier))
    }

    /// The same where the other variances do not vary at all: an outlier has the degrees of freedom that `n` tests of
    /// it would leave.
    pub(super) fn shrink_from_infinity(&self) -> Option<Vec<f64>> {
        let ln_not = self.ln_not_outlying();
        if ln_not.iter().all(|&l| l == 0.0) {
            return None;
        }
        let n = ln_not.len() as f64;
        let mut shrunk: Vec<f64> = ln_not
            .iter()
            .zip(self.df1)
            .map(|(l, df1)| if *l < 0.0 { l.exp() * n * df1 } else { f64::INFINITY })
            .collect();
        never_falling(&ranks::rising(self.ln_p), &mut shrunk);
        Some(shrunk)
    }

    /// Degrees of freedom with which value `i`, the most extreme, would be a median: two steps of a fixed point.
    fn df2_of_outlier(&self, i: usize, df2: f64) -> f64 {
        if self.ln_p[i] == f64::NEG_INFINITY {
            return 0.0;
        }
        let first = -LN_2 / self.ln_p[i] * df2;
        -LN_2 / f::ln_upper(self.statistic[i], self.df1[i], first) * first
    }
}

/// Values of the same `df1` fewer than this are not worth a table of their own.
const FEW: usize = 8;

/// Both tails of F on `(df1, df2)` as logarithms, `(lower, upper)`; values of the same `df1` together.
pub(super) fn ln_tails(statistic: &[f64], df1: &[f64], df2: f64) -> Vec<(f64, f64)> {
    let mut order: Vec<usize> = (0..statistic.len()).collect();
    order.sort_by(|&i, &j| df1[i].total_cmp(&df1[j]));
    let mut tails = vec![(0.0, 0.0); statistic.len()];
    for group in order.chunk_by(|&i, &j| df1[i] == df1[j]) {
        let df1 = df1[group[0]];
        if group.len() < FEW || df1.fract() != 0.0 {
            group.iter().for_each(|&i| tails[i] = f::ln_tails(statistic[i], df1, df2));
        } else {
            let arguments: Vec<f64> = group.iter().map(|&i| statistic[i]).collect();
            let found = f::many::ln_tails(&arguments, df1 as usize, df2);
            group.iter().zip(found).for_each(|(&i, found)| tails[i] = found);
        }
    }
    tails
}

/// Raises values so that they never fall along `order`.
fn never_falling(order: &[usize], values: &mut [f64]) {
    let mut most = f64::NEG_INFINITY;
    for &i in order {
        most = most.max(values[i]);
        values[i] = most;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_sticks_out_is_shrunk() {
        let mut statistic: Vec<f64> = (0..99).map(|i| f::quantile((f64::from(i) + 0.5) / 100.0, 4.0, 6.0)).collect();
        let df1 = vec![4.0; 100];
        statistic.push(1e4);
        let ln_p: Vec<f64> = statistic.iter().map(|&s| f::ln_upper(s, 4.0, 6.0)).collect();
        let found = Tails { statistic: &statistic, df1: &df1, ln_p: &ln_p }.shrink(6.0);
        let (shrunk, outlier) = found.unwrap_or_default();
        assert!(outlier > 0.0 && outlier < 1.0 && (shrunk[99] - outlier).abs() < 0.05, "{outlier} {}", shrunk[99]);
        assert!(shrunk[..90].iter().all(|&d| d > 5.9 && d <= 6.0), "{shrunk:?}");
        let rest = Tails { statistic: &statistic[..99], df1: &df1[..99], ln_p: &ln_p[..99] }.shrink(6.0);
        assert!(rest.is_none_or(|(shrunk, _)| shrunk.iter().all(|&d| d > 5.5)));
    }
}
