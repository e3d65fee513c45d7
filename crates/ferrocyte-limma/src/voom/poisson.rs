//! [`PoissonFits`]: Poisson models of counts with the library sizes as exposure, gene by gene.
//!
//! Samples with the same row of the design have the same rate, so that a gene is its counts added over each *cell* of
//! equal rows. With as many cells as coefficients the fit is closed: a cell's counts over its exposure. Otherwise
//! Newton's iterations on an orthonormal basis of the cells' rows, halved where they overshoot. Where a group has no counts
//! its rate falls towards zero for ever; iterations end when no fitted count moves any more.

use ferrocyte_math::linalg::{Matrix, cholesky_in_place, dot, solve_lower, solve_lower_transposed};
use ferrocyte_math::pivoted_qr::PivotedQr;

/// Moves of fitted counts below this are none.
const STILL: f64 = 1e-10;

/// A fit whose rates fall takes about 25 steps; none should take as many as this.
const MOST_STEPS: usize = 200;

/// What the fits of all genes share.
#[derive(Debug)]
pub(super) struct PoissonFits {
    /// The cell of each sample.
    cell_of: Vec<usize>,
    lib_size: Vec<f64>,
    exposure: Vec<f64>,
    /// An orthonormal basis of the cells' rows; `None` where each cell has a rate of its own.
    basis: Option<Matrix>,
}

/// What is left of a row below this share of its square is rounding.
const DEPENDENT: f64 = 1e-10;

impl PoissonFits {
    pub(super) fn new(design: &Matrix, lib_size: &[f64]) -> Self {
        let mut cells: Vec<usize> = Vec::new();
        let mut cell_of = Vec::with_capacity(lib_size.len());
        for i in 0..design.n_rows() {
            let known = cells.iter().position(|&k| design.row(k) == design.row(i));
            cell_of.push(known.unwrap_or(cells.len()));
            if known.is_none() {
                cells.push(i);
            }
        }
        let mut exposure = vec![0.0; cells.len()];
        for (&cell, size) in cell_of.iter().zip(lib_size) {
            exposure[cell] += size;
        }
        let rows: Vec<f64> = cells.iter().flat_map(|&i| design.row(i).iter().copied()).collect();
        let qr = PivotedQr::new(&Matrix::from_rows(cells.len(), design.n_cols(), rows));
        let basis = (qr.rank() < cells.len()).then(|| qr.basis());
        Self { cell_of, lib_size: lib_size.to_vec(), exposure, basis }
    }

    /// Whether some fitted counts of a gene may be zero: a rate can only fall for ever along a direction that the samples
    /// with counts do not see, and there is none if their rows have the rank of the design. A few of them mostly do.
    pub(super) fn may_have_zeros(&self, counts: &[f64]) -> bool {
        let Some(basis) = &self.basis else { return true };
        let r = basis.n_cols();
        let mut seen = Vec::with_capacity(r * r);
        let mut left = vec![0.0; r];
        for (&cell, _) in self.cell_of.iter().zip(counts).filter(|(_, count)| **count > 0.0) {
            let row = basis.row(cell);
            let square = dot(row, row);
            left.copy_from_slice(row);
            let mut norm = without(&mut left, &seen);
            if norm < 1e-3 * square {
                // Again, so that rounding does not pass for something new.
                norm = without(&mut left, &seen);
            }
            if norm > DEPENDENT * square {
                seen.extend(left.iter().map(|x| x / norm.sqrt()));
                if seen.len() == r * r {
                    return false;
                }
            }
        }
        true
    }

    /// Fitted counts of a gene.
    pub(super) fn fitted(&self, counts: &[f64]) -> Vec<f64> {
        let mut totals = vec![0.0; self.exposure.len()];
        for (&cell, count) in self.cell_of.iter().zip(counts) {
            totals[cell] += count;
        }
        let fitted = match &self.basis {
            None => totals,
            Some(basis) => self.iterate(basis, &totals),
        };
        let rates: Vec<f64> = fitted.iter().zip(&self.exposure).map(|(f, e)| f / e).collect();
        self.cell_of.iter().zip(&self.lib_size).map(|(&cell, size)| rates[cell] * size).collect()
    }

    /// Fitted totals of the cells.
    fn iterate(&self, basis: &Matrix, totals: &[f64]) -> Vec<f64> {
        let r = basis.n_cols();
        let log_exposure: Vec<f64> = self.exposure.iter().map(|e| e.ln()).collect();
        // From the least squares fit of the logarithms.
        let mut b = vec![0.0; r];
        for (i, total) in totals.iter().enumerate() {
            let y = (total + 0.5).ln() - log_exposure[i];
            b.iter_mut().zip(basis.row(i)).for_each(|(b, q)| *b += q * y);
        }
        let predict = |b: &[f64]| -> (Vec<f64>, f64) {
            let eta: Vec<f64> = log_exposure.iter().enumerate().map(|(i, e)| dot(basis.row(i), b) + e).collect();
            let mu: Vec<f64> = eta.iter().map(|eta| eta.exp()).collect();
            let likelihood = totals.iter().zip(eta.iter().zip(&mu)).map(|(t, (eta, mu))| t * eta - mu).sum();
            (mu, likelihood)
        };
        let (mut mu, mut likelihood) = predict(&b);
        for _ in 0..MOST_STEPS {
            let Some(step) = newton_step(basis, totals, &mu) else { break };
            let mut share = 1.0;
            let (next, new_mu, new_likelihood) = loop {
                let next: Vec<f64> = b.iter().zip(&step).map(|(b, s)| b + share * s).collect();
                let (new_mu, new_likelihood) = predict(&next);
                // Rounding of a sum of large terms is no overshooting.
                let slack = 1e-12 * likelihood.abs();
                if new_likelihood >= likelihood - slack || share < 1e-6 {
                    break (next, new_mu, new_likelihood);
                }
                share *= 0.5;
            };
            let moved = mu.iter().zip(&new_mu).any(|(a, b)| (a - b).abs() > STILL * (1.0 + b));
            (b, mu, likelihood) = (next, new_mu, new_likelihood);
            if !moved {
                break;
            }
        }
        mu
    }
}

/// Takes from `x` its parts along directions, one after the other; gives the square of what is left.
fn without(x: &mut [f64], directions: &[f64]) -> f64 {
    for direction in directions.chunks_exact(x.len()) {
        let along = dot(x, direction);
        x.iter_mut().zip(direction).for_each(|(x, d)| *x -= along * d);
    }
    dot(x, x)
}

/// The step to where a quadratic through likelihood, slope and curvature has its top.
fn newton_step(basis: &Matrix, totals: &[f64], mu: &[f64]) -> Option<Vec<f64>> {
    let r = basis.n_cols();
    let mut curvature = Matrix::zeros(r, r);
    let mut step = vec![0.0; r];
    for (i, (total, mu)) in totals.iter().zip(mu).enumerate() {
        let q = basis.row(i);
        for a in 0..r {
            step[a] += q[a] * (total - mu);
            for b in 0..=a {
                curvature[(a, b)] += q[a] * q[b] * mu;
            }
        }
    }
    // Directions without counts keep a little curvature, beyond rounding.
    let ridge = 1e-13 * curvature.diagonal().into_iter().fold(0.0, f64::max);
    (0..r).for_each(|a| curvature[(a, a)] += ridge);
    cholesky_in_place(&mut curvature).ok()?;
    solve_lower(&curvature, &mut step);
    solve_lower_transposed(&curvature, &mut step);
    Some(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: [f64; 6] = [1e6, 2e6, 1.5e6, 1e6, 3e6, 2e6];

    #[test]
    fn groups_have_their_own_rates() {
        let treatment = [[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 1.0], [1.0, 1.0], [1.0, 1.0]];
        let fits = PoissonFits::new(&Matrix::from_rows(6, 2, treatment.concat()), &SIZES);
        let fitted = fits.fitted(&[3.0, 5.0, 1.0, 0.0, 0.0, 0.0]);
        assert_eq!(fitted[3..], [0.0; 3]);
        assert!((fitted[1] - 9.0 * 2.0 / 4.5).abs() < 1e-12);
    }

    #[test]
    fn slopes_solve_the_likelihood_equations() {
        let x: Vec<f64> = (0..6).flat_map(|i| [1.0, f64::from(i) * 0.3, f64::from(i % 2)]).collect();
        let design = Matrix::from_rows(6, 3, x);
        let counts = [3.0, 50.0, 11.0, 200.0, 0.0, 7.0];
        let fitted = PoissonFits::new(&design, &SIZES).fitted(&counts);
        for j in 0..3 {
            let score: f64 = (0..6).map(|i| design[(i, j)] * (counts[i] - fitted[i])).sum();
            assert!(score.abs() < 1e-6, "{score}");
        }
    }

    #[test]
    fn rates_of_groups_without_counts_fall_to_zero() {
        // A group without counts beside a covariate.
        let x: Vec<f64> = (0..6).flat_map(|i| [1.0, f64::from(u8::from(i >= 3)), f64::from(i * i % 5)]).collect();
        let design = Matrix::from_rows(6, 3, x);
        for counts in [[0.0, 0.0, 0.0, 9.0, 20.0, 4.0], [1e5, 3e5, 2e5, 0.0, 0.0, 0.0]] {
            let fitted = PoissonFits::new(&design, &SIZES).fitted(&counts);
            for (f, c) in fitted.iter().zip(counts) {
                assert_eq!(*f < 1e-4, c == 0.0, "{fitted:?}");
            }
            assert!(PoissonFits::new(&design, &SIZES).may_have_zeros(&counts));
        }
        // A zero in each group, and counts that see all of the design.
        let fits = PoissonFits::new(&design, &SIZES);
        let counts = [4.0, 0.0, 7.0, 0.0, 20.0, 4.0];
        assert!(!fits.may_have_zeros(&counts) && fits.fitted(&counts).iter().all(|f| *f > 1e-4));
        let nothing = PoissonFits::new(&design, &SIZES).fitted(&[0.0; 6]);
        assert!(nothing.iter().all(|f| *f < 1e-4));
    }
}
