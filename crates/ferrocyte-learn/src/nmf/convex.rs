//! Usages of one row at the optimum of a beta divergence with 1 <= beta < 2, where it is convex in them.
//!
//! Multiplicative updates come near; Newton steps, projected onto what is not negative, finish (D. P. Bertsekas,
//! *Projected Newton methods for optimization problems with simple constraints*, 1982). Entries at 0 that the gradient
//! holds there are left out of a step; a step is halved until the loss falls.

use ferrocyte_math::linalg::{Matrix, cholesky_in_place, solve_lower, solve_lower_transposed};

/// Multiplicative updates before the first Newton step.
const UPDATES: usize = 5;

/// Newton steps before a row is given up.
const STEPS: usize = 200;

/// A gradient is nothing below this share of the terms that it is the sum of.
const ROUNDING: f64 = 1e-12;

/// What all rows share.
pub(super) struct Spectra<'a> {
    pub(super) beta: f64,
    pub(super) k: usize,
    /// `k` numbers for each column of the matrix.
    pub(super) columns: &'a [f64],
    /// Their sums.
    pub(super) sums: &'a [f64],
    /// The penalties on sums and on squares.
    pub(super) penalty: (f64, f64),
}

/// Gradient and curvature at one place.
struct Local {
    gradient: Vec<f64>,
    /// What is added up to the gradient, without signs.
    sizes: Vec<f64>,
    hessian: Matrix,
}

impl Spectra<'_> {
    /// The usages of a row, given the entries that count: those that are not 0 for beta 1, else all, by column.
    ///
    /// The second is whether they were found to rounding.
    pub(super) fn solve(&self, entries: &[(usize, f64)]) -> (Vec<f64>, bool) {
        // A column that no component reaches has nothing to say.
        let reached = |j: usize| self.column(j).iter().any(|&h| h > 0.0);
        let entries: Vec<(usize, f64)> = entries.iter().copied().filter(|e| reached(e.0)).collect();
        let total: f64 = entries.iter().map(|e| e.1).sum();
        let below: f64 = self.sums.iter().sum();
        let first = if below > 0.0 { total / below } else { 0.0 };
        let mut w: Vec<f64> = self.sums.iter().map(|&s| if s > 0.0 { first } else { 0.0 }).collect();
        if total == 0.0 {
            return (vec![0.0; self.k], true);
        }
        (0..UPDATES).for_each(|_| self.update(&entries, &mut w));
        let mut loss = self.loss(&entries, &w);
        for _ in 0..STEPS {
            let local = self.local(&entries, &w);
            if self.is_optimum(&local, &w) {
                return (w, true);
            }
            let direction = self.direction(&local, &w);
            let Some((next, lower)) = self.step(&entries, &w, loss, &local, &direction) else { break };
            (w, loss) = (next, lower);
        }
        let done = self.is_optimum(&self.local(&entries, &w), &w);
        (w, done)
    }

    fn column(&self, j: usize) -> &[f64] {
        &self.columns[j * self.k..(j + 1) * self.k]
    }

    fn fit(&self, j: usize, w: &[f64]) -> f64 {
        self.column(j).iter().zip(w).map(|(h, w)| h * w).sum::<f64>().max(f64::MIN_POSITIVE)
    }

    /// One multiplicative update, after which the loss is not higher.
    fn update(&self, entries: &[(usize, f64)], w: &mut [f64]) {
        let local = self.local(entries, w);
        // The gradient is below - above, the sizes are below + above.
        for ((w, g), s) in w.iter_mut().zip(&local.gradient).zip(&local.sizes) {
            let (below, above) = (f64::midpoint(*s, *g), f64::midpoint(*s, -*g));
            *w = if below > 0.0 { *w * (above / below) } else { 0.0 };
        }
    }

    /// The loss with penalties, less what does not depend on the usages.
    fn loss(&self, entries: &[(usize, f64)], w: &[f64]) -> f64 {
        let beta = self.beta;
        let data: f64 = if beta == 1.0 {
            let log: f64 = entries.iter().map(|&(j, x)| x * self.fit(j, w).ln()).sum();
            self.sums.iter().zip(w).map(|(s, w)| s * w).sum::<f64>() - log
        } else {
            let term = |&(j, x): &(usize, f64)| {
                let fit = self.fit(j, w);
                fit.powf(beta) / beta - x * fit.powf(beta - 1.0) / (beta - 1.0)
            };
            entries.iter().map(term).sum()
        };
        data + w.iter().map(|w| self.penalty.0 * w + 0.5 * self.penalty.1 * w * w).sum::<f64>()
    }

    fn local(&self, entries: &[(usize, f64)], w: &[f64]) -> Local {
        let (beta, k) = (self.beta, self.k);
        let mut below: Vec<f64> = w.iter().map(|w| self.penalty.0 + self.penalty.1 * w).collect();
        if beta == 1.0 {
            below.iter_mut().zip(self.sums).for_each(|(b, s)| *b += s);
        }
        let mut above = vec![0.0; k];
        let mut hessian = Matrix::zeros(k, k);
        for &(j, x) in entries {
            let (h, fit) = (self.column(j), self.fit(j, w));
            let (weight, quotient, curvature) = if beta == 1.0 {
                (0.0, x / fit, x / (fit * fit))
            } else {
                let power = fit.powf(beta - 2.0);
                (power * fit, x * power, power * (beta - 1.0) + (2.0 - beta) * x * power / fit)
            };
            for t in 0..k {
                below[t] += weight * h[t];
                above[t] += quotient * h[t];
                let row = hessian.row_mut(t);
                (0..=t).for_each(|s| row[s] += curvature * h[t] * h[s]);
            }
        }
        for t in 0..k {
            hessian[(t, t)] += self.penalty.1;
            (0..t).for_each(|s| hessian[(s, t)] = hessian[(t, s)]);
        }
        let gradient = below.iter().zip(&above).map(|(b, a)| b - a).collect();
        let sizes = below.iter().zip(&above).map(|(b, a)| b + a).collect();
        Local { gradient, sizes, hessian }
    }

    /// No gradient is left along which the usages could move.
    fn is_optimum(&self, local: &Local, w: &[f64]) -> bool {
        let still = |t: usize| {
            let (g, nothing) = (local.gradient[t], ROUNDING * local.sizes[t]);
            if w[t] > 0.0 { g.abs() <= nothing } else { g >= -nothing }
        };
        (0..self.k).all(still)
    }

    /// The Newton step of the entries that are free; those near 0 that are pushed down go there.
    fn direction(&self, local: &Local, w: &[f64]) -> Vec<f64> {
        let nearly = 1e-9 * w.iter().copied().fold(0.0, f64::max);
        let held = |t: usize| w[t] <= nearly && local.gradient[t] >= 0.0;
        let free: Vec<usize> = (0..self.k).filter(|&t| !held(t)).collect();
        let mut direction: Vec<f64> = w.iter().map(|w| -w).collect();
        let mut ridge = 0.0;
        // Components that depend on one another leave no unique step: a little on the diagonal picks one.
        loop {
            let mut factor = Matrix::zeros(free.len(), free.len());
            for (a, &t) in free.iter().enumerate() {
                free.iter().enumerate().for_each(|(b, &s)| factor[(a, b)] = local.hessian[(t, s)]);
                factor[(a, a)] *= 1.0 + ridge;
                factor[(a, a)] += f64::MIN_POSITIVE;
            }
            if cholesky_in_place(&mut factor).is_ok() {
                let mut step: Vec<f64> = free.iter().map(|&t| -local.gradient[t]).collect();
                solve_lower(&factor, &mut step);
                solve_lower_transposed(&factor, &mut step);
                free.iter().zip(step).for_each(|(&t, d)| direction[t] = d);
                return direction;
            }
            ridge = if ridge == 0.0 { 1e-14 } else { ridge * 100.0 };
        }
    }

    /// The usages after as much of a step as lowers the loss, and that; nothing if no part of it does.
    fn step(
        &self,
        entries: &[(usize, f64)],
        w: &[f64],
        loss: f64,
        local: &Local,
        direction: &[f64],
    ) -> Option<(Vec<f64>, f64)> {
        /// Where losses cannot be told apart any more.
        const SAME: f64 = 1e-14;
        let scale = loss.abs() + local.sizes.iter().zip(w).map(|(s, w)| s * w).sum::<f64>();
        let mut part = 1.0;
        while part > 1e-12 {
            let next: Vec<f64> = w.iter().zip(direction).map(|(w, d)| (w + part * d).max(0.0)).collect();
            let promised: f64 = next.iter().zip(w).zip(&local.gradient).map(|((n, w), g)| (n - w) * g).sum();
            let lower = self.loss(entries, &next);
            if lower <= loss + 1e-4 * promised.min(0.0) || (part == 1.0 && (lower - loss).abs() <= SAME * scale) {
                return Some((next, lower));
            }
            part *= 0.5;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_math::random::Stream;

    /// The optimality conditions, from the definition of the loss by differences.
    fn check(beta: f64, k: usize, penalty: (f64, f64), seed: u64) {
        let g = 60;
        let mut draws = Stream::new(seed, 0);
        let columns: Vec<f64> =
            (0..g * k).map(|_| if draws.uniform() < 0.3 { 0.0 } else { draws.exponential() }).collect();
        let sums: Vec<f64> = (0..k).map(|t| columns.iter().skip(t).step_by(k).sum()).collect();
        let row: Vec<f64> = (0..g).map(|_| draws.poisson(0.8).unwrap_or(0.0)).collect();
        let entries: Vec<(usize, f64)> = row.iter().copied().enumerate().filter(|e| beta != 1.0 || e.1 > 0.0).collect();
        let spectra = Spectra { beta, k, columns: &columns, sums: &sums, penalty };
        let (w, done) = spectra.solve(&entries);
        assert!(done, "beta {beta}, {k} components, seed {seed}");
        let loss = |w: &[f64]| -> f64 {
            let data: f64 = (0..g)
                .map(|j| {
                    let fit: f64 = (0..k).map(|t| w[t] * columns[j * k + t]).sum();
                    let x = row[j];
                    if fit == 0.0 {
                        0.0
                    } else if beta == 1.0 {
                        fit - x * fit.ln()
                    } else {
                        fit.powf(beta) / beta - x * fit.powf(beta - 1.0) / (beta - 1.0)
                    }
                })
                .sum();
            data + w.iter().map(|w| penalty.0 * w + 0.5 * penalty.1 * w * w).sum::<f64>()
        };
        let here = loss(&w);
        for t in 0..k {
            for step in [1e-4, -1e-4] {
                let mut other = w.clone();
                other[t] = (other[t] + step).max(0.0);
                assert!(loss(&other) >= here - 1e-12 * here.abs(), "beta {beta}: {t} by {step}");
            }
        }
    }

    #[test]
    fn no_neighbour_is_better() {
        for seed in 0..20 {
            check(1.0, 4, (0.0, 0.0), seed);
            check(1.0, 9, (0.3, 0.2), seed);
            check(1.5, 5, (0.0, 0.0), seed);
            check(1.2, 3, (0.1, 0.0), seed);
        }
    }

    #[test]
    fn known_usages_and_rows_of_zeros() {
        let columns = [1.0, 0.0, 0.0, 2.0, 0.0, 0.0];
        let spectra = Spectra { beta: 1.0, k: 2, columns: &columns, sums: &[1.0, 2.0], penalty: (0.0, 0.0) };
        let (w, done) = spectra.solve(&[(0, 3.0), (1, 4.0), (2, 9.0)]);
        assert!(done && (w[0] - 3.0).abs() < 1e-12 && (w[1] - 2.0).abs() < 1e-12, "{w:?}");
        assert_eq!(spectra.solve(&[]), (vec![0.0; 2], true));
        assert_eq!(spectra.solve(&[(2, 5.0)]), (vec![0.0; 2], true));
    }

    #[test]
    fn components_that_are_the_same_share_what_is_there() {
        let columns = [1.0, 1.0, 2.0, 2.0];
        let spectra = Spectra { beta: 1.0, k: 2, columns: &columns, sums: &[3.0, 3.0], penalty: (0.0, 0.0) };
        let (w, done) = spectra.solve(&[(0, 3.0), (1, 6.0)]);
        assert!(done && (w[0] + w[1] - 3.0).abs() < 1e-10, "{w:?}");
    }
}
