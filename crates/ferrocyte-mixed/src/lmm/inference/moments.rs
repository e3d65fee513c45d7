//! Estimates of several contrasts, their covariance and its derivatives, for all genes at once.
//!
//! With one component the covariance of contrasts L is s₀ (L(X'X)⁻¹L' + γ Σ h_l a_l a_l'), a_l the l-th row of (LG)',
//! h = 1/(1 + γλ); its derivatives in s₁ and s₀ are Σ s₀² a_l a_l'/v_l² and L(X'X)⁻¹L' + s₁² Σ λ_l a_l a_l'/v_l²,
//! v = s₀ + λs₁. So the genes of a block share three products with the q × r(r+1)/2 matrix of the a_i a_j, and nothing
//! of size p is formed per gene.

use ferrocyte_base::{Result, Run};
use ferrocyte_math::linalg::{Matrix, product, scaled_inverse};

use crate::lmm::canonical::Spectrum;
use crate::lmm::core::{Core, GENE_BLOCK, Structure};
use crate::lmm::estimates::{SharedByGenes, Surface};
use crate::lmm::fit::GroupFit;
use crate::lmm::inference::several;
use crate::lmm::inference::wald::{FTest, Moments};
use crate::lmm::one::information_one;
use crate::lmm::several::Likelihood;
use crate::lmm::status::Outcome;

/// Products of a block of genes hold no more numbers than this.
const BLOCK_NUMBERS: usize = 1 << 18;

/// What the contrasts share over genes.
pub(super) struct Shared {
    /// Contrasts, rotated contrasts.
    pub(super) base: SharedByGenes,
    /// L(X'X)⁻¹L', r × r.
    pub(super) x0: Matrix,
    /// One component: products a_i a_j, i ≤ j, q × r(r+1)/2; several: nothing.
    pairs: Matrix,
}

impl Shared {
    /// The contrasts in the columns of `contrasts`, p × r.
    pub(super) fn new(core: &Core, contrasts: &Matrix) -> Self {
        let base = SharedByGenes::new(core, contrasts);
        let x0 = contrasts.transpose().times(&core.shared.xx_inverse.times(contrasts));
        let (q, r) = (core.q(), contrasts.n_cols());
        let mut pairs = Matrix::zeros(0, 0);
        if matches!(core.structure, Structure::One { .. }) {
            let mut entries = Vec::with_capacity(q * r * (r + 1) / 2);
            for l in 0..q {
                let a = base.a.row(l);
                entries.extend((0..r).flat_map(|i| (i..r).map(move |j| a[i] * a[j])));
            }
            pairs = Matrix::from_rows(q, r * (r + 1) / 2, entries);
        }
        Self { base, x0, pairs }
    }

    /// Number of contrasts.
    pub(super) fn r(&self) -> usize {
        self.base.r()
    }
}

/// A symmetric matrix from its upper triangle, row by row.
fn unfold(r: usize, triangle: &[f64]) -> Matrix {
    let mut out = Matrix::zeros(r, r);
    let mut at = 0;
    for i in 0..r {
        for j in i..r {
            out[(i, j)] = triangle[at];
            out[(j, i)] = triangle[at];
            at += 1;
        }
    }
    out
}

/// `a x + b y`, entry by entry.
pub(super) fn combination(a: f64, x: &Matrix, b: f64, y: &Matrix) -> Matrix {
    let entries = x.entries().iter().zip(y.entries()).map(|(x, y)| a * x + b * y).collect();
    Matrix::from_rows(x.n_rows(), x.n_cols(), entries)
}

impl GroupFit {
    /// The F tests of the contrasts in the columns of `contrasts` (p × r, independent) for all genes, at the
    /// components that tests use.
    pub(super) fn f_tests(
        &self,
        run: &Run,
        core: &Core,
        contrasts: &Matrix,
        satterthwaite: bool,
    ) -> Result<Vec<FTest>> {
        let shared = Shared::new(core, contrasts);
        let block = (BLOCK_NUMBERS / shared.pairs.n_cols().max(1)).clamp(1, GENE_BLOCK).min(core.gene_block());
        let blocks = run.map_ranges("testing jointly", core.n_genes(), block, |genes| {
            let moments = match &core.structure {
                Structure::One { spectrum, .. } => self.moments_of_one(core, spectrum, &shared, genes),
                Structure::Several(model) => {
                    let mut likelihood = Likelihood::new(model);
                    genes.map(|gene| several::moments(self, core, model, &mut likelihood, &shared, gene)).collect()
                }
            };
            let tests = moments.into_iter().map(|m| match m {
                Some(moments) => moments.test(core.residual_df(), satterthwaite),
                None => Ok(FTest::NONE),
            });
            tests.collect::<Result<Vec<_>>>()
        })?;
        Ok(blocks.into_iter().flatten().collect())
    }

    /// Estimates and covariances of a block of genes with one component; `None` without estimate.
    fn moments_of_one(
        &self,
        core: &Core,
        spectrum: &Spectrum,
        shared: &Shared,
        genes: std::ops::Range<usize>,
    ) -> Vec<Option<Moments>> {
        let (q, r, n, n_pairs) = (core.q(), shared.r(), genes.len(), shared.pairs.n_cols());
        let ols = shared.base.ols(core, genes.clone());
        // Per gene and random effect: γhw, γh, 1/v², λ/v².
        let mut rows = [vec![0.0; n * q], vec![0.0; n * q], vec![0.0; n * q], vec![0.0; n * q]];
        for (i, gene) in genes.clone().enumerate() {
            let at = self.components_of(gene, Surface::Tested);
            if !at.outcome.has_estimate() {
                continue;
            }
            let (s1, s0) = (at.theta[0], at.theta[1]);
            let gamma = s1 / s0;
            for (l, (&w, &lambda)) in core.z_of(gene).iter().zip(&spectrum.lambda).enumerate() {
                let h = 1.0 / (1.0 + gamma * lambda);
                let v2 = (h / s0) * (h / s0);
                rows[0][i * q + l] = gamma * h * w;
                rows[1][i * q + l] = gamma * h;
                rows[2][i * q + l] = v2;
                rows[3][i * q + l] = lambda * v2;
            }
        }
        let mut shift = vec![0.0; n * r];
        product(&rows[0], q, &shared.base.a, &mut shift);
        let [spread, over_v2, lambda_over_v2] = [&rows[1], &rows[2], &rows[3]].map(|rows| {
            let mut out = vec![0.0; n * n_pairs];
            product(rows, q, &shared.pairs, &mut out);
            out
        });
        genes
            .enumerate()
            .map(|(i, gene)| {
                let at = self.components_of(gene, Surface::Tested);
                if !at.outcome.has_estimate() {
                    return None;
                }
                let (s1, s0) = (at.theta[0], at.theta[1]);
                let triangle = |all: &[f64]| unfold(r, &all[i * n_pairs..(i + 1) * n_pairs]);
                let covariance = combination(s0, &shared.x0, s0, &triangle(&spread));
                let by_s1 = triangle(&over_v2);
                let derivatives = vec![
                    combination(s0 * s0, &by_s1, 0.0, &by_s1),
                    combination(1.0, &shared.x0, s1 * s1, &triangle(&lambda_over_v2)),
                ];
                let estimate = (0..r).map(|j| ols.estimate[i * r + j] - shift[i * r + j]).collect();
                let information_inverse = (at.outcome != Outcome::NotIdentifiable)
                    .then(|| {
                        let [h11, h10, h00] = information_one(core, spectrum, gene, s1, s0, at.expected_information);
                        scaled_inverse(&Matrix::from_rows(2, 2, vec![h11, h10, h10, h00]), 0.0).ok()
                    })
                    .flatten();
                Some(Moments { estimate, covariance, derivatives, information_inverse })
            })
            .collect()
    }
}
