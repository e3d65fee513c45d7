//! Moderated F tests: the mixture, over the posterior of ln γ, of the F test at each γ.
//!
//! At a known γ_k the estimates b_k of r contrasts have covariance F_k = Q_k/(ν + d₀) · S_k with
//! S_k = L(X'X)⁻¹L' + γ_k Σ h_l a_l a_l', which all genes share, and b_k'F_k⁻¹b_k / r follows F with r and ν + d₀
//! degrees of freedom. The p-value is Σ w_k P(F > b_k'F_k⁻¹b_k / r); with one contrast that is the moderated t test.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::f;
use ferrocyte_math::linalg::{Matrix, dot, product, scaled_inverse};

use crate::lmm::canonical::Spectrum;
use crate::lmm::core::{Core, GENE_BLOCK};
use crate::lmm::inference::moments::Shared;
use crate::lmm::inference::wald::{FTest, quadratic};
use crate::lmm::one::Moderation;

/// Terms of a mixture smaller than the largest by this much (in ln) are below the last digit.
const NEGLIGIBLE: f64 = 42.0;

/// What the contrasts share over genes at the points of the grid.
struct Grid<'a> {
    moderation: &'a Moderation,
    /// S_k⁻¹ at each point, r × r.
    precision: Vec<Matrix>,
    r: usize,
}

/// The moderated F tests of the contrasts in the columns of `contrasts` (p × r, independent), for all genes.
pub(super) fn f_tests(
    run: &Run,
    core: &Core,
    spectrum: &Spectrum,
    moderation: &Moderation,
    contrasts: &Matrix,
) -> Result<Vec<FTest>> {
    let shared = Shared::new(core, contrasts);
    let (q, r, points) = (core.q(), shared.r(), moderation.gamma().len());
    let precision = (0..points).map(|k| precision_at(spectrum, moderation, &shared, k)).collect::<Result<Vec<_>>>()?;
    let grid = Grid { moderation, precision, r };
    let blocks = run.map_ranges("testing jointly", core.n_genes(), GENE_BLOCK, |genes| {
        run.check()?;
        let ols = shared.base.ols(core, genes.clone());
        // Σ a_lj h_lk w_l for each contrast j: genes × grid.
        let shifts: Vec<Vec<f64>> = (0..r)
            .map(|j| {
                let mut aw = vec![0.0; genes.len() * q];
                for (row, gene) in aw.chunks_exact_mut(q.max(1)).zip(genes.clone()) {
                    for (l, (x, w)) in row.iter_mut().zip(core.z_of(gene)).enumerate() {
                        *x = shared.base.a[(l, j)] * w;
                    }
                }
                let mut shift = vec![0.0; genes.len() * points];
                product(&aw, q, moderation.h(), &mut shift);
                shift
            })
            .collect();
        let mut estimates = Matrix::zeros(points, r);
        let tests = genes.enumerate().map(|(i, gene)| {
            for k in 0..points {
                for (j, shift) in shifts.iter().enumerate() {
                    estimates[(k, j)] = ols.estimate[i * r + j] - moderation.gamma()[k] * shift[i * points + k];
                }
            }
            grid.test(gene, &estimates)
        });
        Ok(tests.collect::<Vec<_>>())
    })?;
    Ok(blocks.into_iter().flatten().collect())
}

/// S_k⁻¹.
fn precision_at(spectrum: &Spectrum, moderation: &Moderation, shared: &Shared, k: usize) -> Result<Matrix> {
    let r = shared.r();
    let mut s = shared.x0.clone();
    for l in 0..spectrum.lambda.len() {
        let (a, weight) = (shared.base.a.row(l), moderation.gamma()[k] * moderation.h()[(l, k)]);
        for i in 0..r {
            for (x, aj) in s.row_mut(i).iter_mut().zip(a) {
                *x += weight * a[i] * aj;
            }
        }
    }
    scaled_inverse(&s, 0.0)
        .map_err(|i| Fault::internal(format!("the covariance of the contrasts is singular at contrast {i}")))
}

impl Grid<'_> {
    /// The test of one gene from its estimates at the points of the grid, grid × r.
    ///
    /// The F of the table is that of the estimates averaged by precision, with the mean precision; its denominator
    /// is that of the t test where there is one contrast. The p-value is of the mixture.
    fn test(&self, gene: usize, estimates: &Matrix) -> FTest {
        let Some((ln_weights, q)) = self.moderation.of_gene(gene) else { return FTest::NONE };
        let weights: Vec<f64> = ln_weights.iter().map(|w| w.exp()).collect();
        let (r, df) = (self.r, self.moderation.df());
        let df1 = r as f64;
        let mut likeliest = 0;
        for k in 0..weights.len() {
            if ln_weights[k] > ln_weights[likeliest] {
                likeliest = k;
            }
        }
        let (quadratics, f, df2) = self.summary(&weights, q, estimates);
        let f_at = |k: usize| quadratics[k].max(0.0) * df / (q[k] * df1);
        // A tail is at most one: points whose weight alone is far below what is known already add nothing.
        let mut terms: Vec<f64> = Vec::with_capacity(weights.len());
        let mut known = ln_weights[likeliest] + f::ln_upper(f_at(likeliest), df1, df);
        for (k, ln_weight) in ln_weights.iter().enumerate() {
            if *ln_weight > known - NEGLIGIBLE {
                let term = ln_weight + f::ln_upper(f_at(k), df1, df);
                known = known.max(term);
                terms.push(term);
            }
        }
        let largest = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let ln_p = if largest.is_finite() {
            (largest + terms.iter().map(|t| (t - largest).exp()).sum::<f64>().ln()).min(0.0)
        } else {
            largest
        };
        FTest { f, df1, df2, ln_p }
    }

    /// b_k'S_k⁻¹b_k at each point, F of the averaged estimates, and its denominator degrees of freedom.
    fn summary(&self, weights: &[f64], q: &[f64], estimates: &Matrix) -> (Vec<f64>, f64, f64) {
        let (r, df) = (self.r, self.moderation.df());
        let mut total = Matrix::zeros(r, r);
        let (mut weighted, mut image) = (vec![0.0; r], vec![0.0; r]);
        let mut quadratics = Vec::with_capacity(weights.len());
        for (k, precision) in self.precision.iter().enumerate() {
            let (b, scale) = (estimates.row(k), weights[k] * df / q[k]);
            for (i, x) in image.iter_mut().enumerate() {
                *x = dot(precision.row(i), b);
            }
            quadratics.push(dot(&image, b));
            weighted.iter_mut().zip(&image).for_each(|(w, x)| *w += scale * x);
            total.entries_mut().iter_mut().zip(precision.entries()).for_each(|(t, x)| *t += scale * x);
        }
        let Ok(inverse) = scaled_inverse(&total, 0.0) else { return (quadratics, f64::NAN, f64::NAN) };
        // The precision at each point relative to the mean precision; one on average.
        let mut squares = 0.0;
        for (k, precision) in self.precision.iter().enumerate() {
            let relative = dot(inverse.entries(), precision.entries()) * df / (q[k] * r as f64);
            squares += weights[k] * relative * relative;
        }
        let df2 = (2.0 / (squares * (1.0 + 2.0 / df) - 1.0)).clamp(0.0, df);
        (quadratics, quadratic(&inverse, &weighted).max(0.0) / r as f64, df2)
    }
}
