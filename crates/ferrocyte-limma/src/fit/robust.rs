//! Huber's M-estimator of every gene, by iterated weighted least squares.
//!
//! Residuals r beyond `1.345 s` count less, with weight `1.345 s / |r|`; the scale s is the median of |r| over 0.6745,
//! again in each step (P. J. Huber, *Robust Statistics*, 1981). Prior weights scale values and design beforehand.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::linalg::{Matrix, dot};
use ferrocyte_math::pivoted_qr::PivotedQr;

use super::Fit;
use super::duplicates::mean;
use super::lm_fit::assemble;
use super::parts::{GenePart, Part, genes_at_once};
use crate::{DesignMatrix, Expression, Weights};

/// Residuals beyond this many scales count less: 95 % efficiency for normal values.
const BEND: f64 = 1.345;
/// The median of |z| for a normal z.
const MEDIAN_OF_NORMAL: f64 = 0.6745;
const MOST_STEPS: usize = 20;
/// Relative change of the residuals below which steps end.
const ACCURACY: f64 = 1e-4;

/// Robust fits of all genes. `sigma` is the robust scale.
pub(super) fn fit(run: &Run, y: &Expression<'_>, design: &DesignMatrix, weights: &Weights<'_>) -> Result<Fit> {
    let (n, p) = (y.n_samples(), design.n_coefficients());
    let parts = run.map_ranges("fitting genes", y.n_genes(), genes_at_once(n).min(256), |genes| {
        let mut part = Part::missing(genes.len(), p, false);
        let mut work = Work::default();
        for (k, g) in genes.enumerate() {
            let w = weights.row(g, n);
            work.fit(design.matrix(), y.row(g), w.as_deref(), &mut part.gene(k, p))
                .map_err(|fault| fault.at(y.gene(g)))?;
        }
        Ok(part)
    })?;
    let amean = (0..y.n_genes()).map(|g| mean(y.row(g).iter().copied())).collect();
    Ok(assemble(design, Part::join(parts), &PivotedQr::new(design.matrix()), amean))
}

#[derive(Default)]
struct Work {
    qr: PivotedQr,
    /// Rows of the design that are observed, times the roots of prior weights, and values likewise.
    rows: Vec<f64>,
    y: Vec<f64>,
    roots: Vec<f64>,
    effects: Vec<f64>,
    residuals: Vec<f64>,
    sizes: Vec<f64>,
}

impl Work {
    fn fit(&mut self, design: &Matrix, y: &[f64], w: Option<&[f64]>, out: &mut GenePart<'_>) -> Result<()> {
        let p = design.n_cols();
        self.rows.clear();
        self.y.clear();
        for (i, &value) in y.iter().enumerate() {
            let weight = w.map_or(1.0, |w| w[i]);
            if value.is_finite() && weight.is_finite() && weight > 0.0 {
                let root = weight.sqrt();
                self.rows.extend(design.row(i).iter().map(|x| x * root));
                self.y.push(value * root);
            }
        }
        let n = self.y.len();
        if n <= p {
            // As many coefficients as values: nothing shows which value is far off.
            return Ok(());
        }
        self.roots.clear();
        self.roots.resize(n, 1.0);
        let mut previous = Vec::new();
        let mut scale = f64::NAN;
        self.solve(p);
        for _ in 0..MOST_STEPS {
            scale = self.median_size() / MEDIAN_OF_NORMAL;
            if scale == 0.0 {
                break;
            }
            for (root, r) in self.roots.iter_mut().zip(&self.residuals) {
                *root = (BEND * scale / r.abs()).min(1.0).sqrt();
            }
            previous.clone_from(&self.residuals);
            self.solve(p);
            let change: f64 = previous.iter().zip(&self.residuals).map(|(a, b)| (a - b) * (a - b)).sum();
            if (change / dot(&previous, &previous).max(1e-20)).sqrt() <= ACCURACY {
                break;
            }
        }
        if scale.is_nan() {
            return Err(Fault::internal("a robust scale is not a number"));
        }
        let rank = self.qr.rank();
        let kept = &self.qr.pivot()[..rank];
        for (&j, b) in kept.iter().zip(&self.effects) {
            out.coefficients[j] = *b;
        }
        out.set_covariances(&self.qr.r_inverse().transpose(), kept);
        *out.df_residual = (n - rank) as f64;
        *out.sigma = scale;
        Ok(())
    }

    /// Weighted least squares with the present weights, and their residuals.
    fn solve(&mut self, p: usize) {
        let n = self.y.len();
        let Self { qr, rows, y, roots, effects, residuals, .. } = self;
        qr.factor(n, p, |j, column| {
            for (i, x) in column.iter_mut().enumerate() {
                *x = rows[i * p + j] * roots[i];
            }
        });
        effects.clear();
        effects.extend(y.iter().zip(&*roots).map(|(y, root)| y * root));
        qr.apply_transposed(effects);
        qr.solve(effects);
        residuals.clear();
        let kept = &qr.pivot()[..qr.rank()];
        residuals.extend(
            y.iter()
                .enumerate()
                .map(|(i, y)| y - kept.iter().zip(&*effects).map(|(&j, b)| rows[i * p + j] * b).sum::<f64>()),
        );
    }

    fn median_size(&mut self) -> f64 {
        let n = self.residuals.len();
        self.sizes.clear();
        self.sizes.extend(self.residuals.iter().map(|r| r.abs()));
        self.sizes.sort_unstable_by(f64::total_cmp);
        0.5 * (self.sizes[(n - 1) / 2] + self.sizes[n / 2])
    }
}
