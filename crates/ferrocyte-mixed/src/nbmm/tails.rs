//! What the counts of a gene give to the likelihood whatever their cells: how often each count occurs.
//!
//! A count y gives `sum_{r<y} ln(1 + r tau) - ln y!`. Over the cells of a gene this is a sum over the counts that occur,
//! which adds over shards. Up to [`DIRECT`] the terms are added one by one; beyond, the sum over r is an integral with
//! Euler and Maclaurin's corrections, whose error there is below 1e-13.

use ferrocyte_math::gamma::ln_gamma;

/// Terms that are added one by one.
const DIRECT: usize = 40;

/// How often each count above zero occurs among the cells of a gene.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::nbmm) struct Tails {
    /// Number of cells with a count above r, for r = 0, 1, .., ending before the first zero.
    above: Vec<f64>,
    /// Counts above [`DIRECT`], and how many cells have each.
    large: Vec<(f64, f64)>,
    /// Sum of ln y! over all cells.
    ln_factorials: f64,
}

/// `H(tau) = sum_y N_y sum_{r<y} ln(1 + r tau)` and its derivatives in ln tau.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(in crate::nbmm) struct TailSums {
    pub(in crate::nbmm) value: f64,
    pub(in crate::nbmm) first: f64,
    pub(in crate::nbmm) second: f64,
}

impl Tails {
    /// From counts above zero and how many cells have each, in any order.
    pub(in crate::nbmm) fn new(histogram: impl Iterator<Item = (u64, f64)>) -> Self {
        let mut tails = Self::default();
        for (y, n) in histogram.filter(|&(y, n)| y > 0 && n > 0.0) {
            let direct = (y as usize).min(DIRECT);
            if tails.above.len() < direct {
                tails.above.resize(direct, 0.0);
            }
            tails.above[..direct].iter_mut().for_each(|t| *t += n);
            if y as usize > DIRECT {
                tails.large.push((y as f64, n));
            }
            tails.ln_factorials += n * ln_gamma(y as f64 + 1.0);
        }
        tails.large.sort_by(|a, b| a.0.total_cmp(&b.0));
        tails
    }

    /// Sum of ln y! over all cells.
    pub(in crate::nbmm) fn ln_factorials(&self) -> f64 {
        self.ln_factorials
    }

    /// `H` and its derivatives in ln tau.
    pub(in crate::nbmm) fn at(&self, tau: f64) -> TailSums {
        let mut sums = TailSums::default();
        if tau == 0.0 {
            return sums;
        }
        for (r, &n) in self.above.iter().enumerate().skip(1) {
            let z = r as f64 * tau;
            let share = z / (1.0 + z);
            sums.value += n * z.ln_1p();
            sums.first += n * share;
            sums.second += n * share / (1.0 + z);
        }
        for &(y, n) in &self.large {
            let tail = beyond(y, tau);
            sums.value += n * tail.value;
            sums.first += n * tail.first;
            sums.second += n * tail.second;
        }
        sums
    }
}

/// `sum_{r = DIRECT}^{y - 1} ln(1 + r tau)`, and derivatives in ln tau: of `z / (1 + z)` and `z / (1 + z)²`.
fn beyond(y: f64, tau: f64) -> TailSums {
    let (a, b) = (DIRECT as f64, y);
    let ends = |f: &dyn Fn(f64) -> f64| (f(a * tau), f(b * tau));
    let combine = |integral: (f64, f64), f: (f64, f64), f1: (f64, f64), f3: (f64, f64)| {
        (integral.1 - integral.0) / tau + 0.5 * (f.0 - f.1) + tau * (f1.1 - f1.0) / 12.0
            - tau * tau * tau * (f3.1 - f3.0) / 720.0
    };
    let r = |z: f64| 1.0 / (1.0 + z);
    TailSums {
        value: combine(
            ends(&|z| (1.0 + z) * z.ln_1p() - z),
            ends(&f64::ln_1p),
            ends(&r),
            ends(&|z| 2.0 * r(z).powi(3)),
        ),
        first: combine(
            ends(&|z| z - z.ln_1p()),
            ends(&|z| z * r(z)),
            ends(&|z| r(z).powi(2)),
            ends(&|z| 6.0 * r(z).powi(4)),
        ),
        second: combine(
            ends(&|z| z.ln_1p() - z * r(z)),
            ends(&|z| z * r(z) * r(z)),
            ends(&|z| (1.0 - z) * r(z).powi(3)),
            // The third derivative of z / (1 + z)².
            ends(&|z| (18.0 - 6.0 * z) * r(z).powi(5)),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_every_cell() {
        let counts: [(u64, f64); 6] = [(1, 5.0), (3, 2.0), (40, 1.0), (41, 2.0), (977, 1.0), (120_000, 1.0)];
        let tails = Tails::new(counts.into_iter());
        for tau in [1e-7, 1e-4, 0.03, 1.0, 50.0, 1e3] {
            let mut exact = TailSums::default();
            for (y, n) in counts {
                for r in 1..y {
                    let z = r as f64 * tau;
                    exact.value += n * z.ln_1p();
                    exact.first += n * z / (1.0 + z);
                    exact.second += n * z / (1.0 + z).powi(2);
                }
            }
            let found = tails.at(tau);
            for (f, e) in [(found.value, exact.value), (found.first, exact.first), (found.second, exact.second)] {
                assert!((f - e).abs() < 1e-10 * e.abs() + 1e-9, "tau {tau}: {f} {e}");
            }
        }
        assert_eq!(tails.at(0.0), TailSums::default());
    }
}
