//! Estimates of contrasts, their variances, and Satterthwaite's degrees of freedom, for all genes at once.
//!
//! For a contrast c: estimate c'b, variance f(θ) = c'(X'V⁻¹X)⁻¹c, degrees of freedom 2 f²/(g'H⁻¹g) with g = ∂f/∂θ and
//! H the observed information of the variance components (Satterthwaite 1946, doi 10.2307/3002019; lmerTest's
//! definition). Where the components are held at zero, or H is not positive definite, the expected information takes
//! its place. No p × p matrix is formed per gene: with one component all genes of a block share three matrix products.

use ferrocyte_base::{Result, Run};
use ferrocyte_math::linalg::{Matrix, dot, product, scaled_inverse};

use super::canonical::Spectrum;
use super::core::{Core, Structure};
use super::fit::GroupFit;
use super::options::Method;
use super::several::Dense;
use super::status::Outcome;

/// Which estimates of the variance components are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    /// Those of the fit, whatever their sign: the numbers of FLASH-MM.
    Fitted,
    /// Those that tests can stand on: at zero (or the non-negative fit) where the outcome says so.
    Tested,
}

/// Estimates of `n_contrasts` contrasts for every gene; genes × contrasts, row-major. NaN without estimate.
#[derive(Debug, Clone, Default)]
pub struct Estimates {
    /// Number of contrasts.
    pub n_contrasts: usize,
    /// c'b.
    pub estimate: Vec<f64>,
    /// Its variance; negative where the covariance of the cells is not positive definite.
    pub variance: Vec<f64>,
    /// Satterthwaite's degrees of freedom.
    pub df: Vec<f64>,
}

/// Variance components of a gene and how to use them.
struct Components<'a> {
    theta: &'a [f64],
    expected_information: bool,
    outcome: Outcome,
}

impl GroupFit {
    fn components_of(&self, gene: usize, surface: Surface) -> Components<'_> {
        let width = self.n_components() + 1;
        let outcome = self.outcomes[gene];
        let theta = match surface {
            Surface::Fitted => &self.theta,
            Surface::Tested => &self.theta_tested,
        };
        Components {
            theta: &theta[gene * width..(gene + 1) * width],
            expected_information: match surface {
                Surface::Tested => outcome.tested_at_zero(),
                Surface::Fitted => matches!(outcome, Outcome::NoStationary | Outcome::Boundary),
            },
            outcome,
        }
    }

    /// Estimates of the contrasts in the columns of `contrasts` (p × r), for all genes.
    pub fn estimates(&self, run: &Run, contrasts: &Matrix, surface: Surface) -> Result<Estimates> {
        let r = contrasts.n_cols();
        let Some(core) = &self.core else {
            let nan = vec![f64::NAN; self.outcomes.len() * r];
            return Ok(Estimates { n_contrasts: r, estimate: nan.clone(), variance: nan.clone(), df: nan });
        };
        let shared = SharedByGenes::new(core, contrasts);
        let blocks = run.map_ranges("testing", core.n_genes(), core.gene_block(), |genes| {
            Ok(match &core.structure {
                Structure::One { spectrum, .. } => self.block_one(core, spectrum, &shared, genes, surface),
                Structure::Several(dense) => self.block_several(core, dense, &shared, genes, surface),
            })
        })?;
        let mut all = Estimates { n_contrasts: r, ..Estimates::default() };
        for block in blocks {
            all.estimate.extend(block.estimate);
            all.variance.extend(block.variance);
            all.df.extend(block.df);
        }
        Ok(all)
    }

    fn block_one(
        &self,
        core: &Core,
        spectrum: &Spectrum,
        shared: &SharedByGenes,
        genes: std::ops::Range<usize>,
        surface: Surface,
    ) -> Estimates {
        let (p, q, r) = (core.p(), core.q(), shared.r());
        let mut out = shared.ols(core, genes.clone());
        let n = genes.len();
        // Per gene and random effect: γhw, γh, 1/v², λ/v².
        let mut rows = [vec![0.0; n * q], vec![0.0; n * q], vec![0.0; n * q], vec![0.0; n * q]];
        for (i, gene) in genes.clone().enumerate() {
            let at = self.components_of(gene, surface);
            if !at.outcome.has_estimate() {
                continue;
            }
            let (s1, s0) = (at.theta[0], at.theta[1]);
            let gamma = s1 / s0;
            let w = core.z_of(gene);
            for l in 0..q {
                let lambda = spectrum.lambda[l];
                let h = 1.0 / (1.0 + gamma * lambda);
                let v2 = (h / s0) * (h / s0);
                rows[0][i * q + l] = gamma * h * w[l];
                rows[1][i * q + l] = gamma * h;
                rows[2][i * q + l] = v2;
                rows[3][i * q + l] = lambda * v2;
            }
        }
        let times = |rows: &[f64], matrix: &Matrix| {
            let mut out = vec![0.0; n * r];
            product(rows, q, matrix, &mut out);
            out
        };
        let shift = times(&rows[0], &shared.a);
        let [spread, over_v2, lambda_over_v2] =
            [&rows[1], &rows[2], &rows[3]].map(|rows| times(rows, &shared.a_squared));
        for (i, gene) in genes.enumerate() {
            let at = self.components_of(gene, surface);
            if !at.outcome.has_estimate() {
                out.forget(i, r, at.outcome);
                continue;
            }
            let (s1, s0) = (at.theta[0], at.theta[1]);
            let information = observed_one(core, spectrum, gene, s1, s0, p, at.expected_information);
            for j in 0..r {
                let k = i * r + j;
                let x0 = shared.x0[j];
                let f = s0 * (x0 + spread[k]);
                let gradient = [s0 * s0 * over_v2[k], x0 + s1 * s1 * lambda_over_v2[k]];
                out.estimate[k] -= shift[k];
                out.variance[k] = f;
                out.df[k] = if at.outcome == Outcome::NotIdentifiable {
                    core.residual_df()
                } else {
                    let [h11, h10, h00] = information;
                    let det = h11 * h00 - h10 * h10;
                    let [g1, g0] = gradient;
                    2.0 * f * f * det / (g1 * g1 * h00 - 2.0 * g1 * g0 * h10 + g0 * g0 * h11)
                };
            }
        }
        out
    }

    fn block_several(
        &self,
        core: &Core,
        dense: &Dense,
        shared: &SharedByGenes,
        genes: std::ops::Range<usize>,
        surface: Surface,
    ) -> Estimates {
        let r = shared.r();
        let mut out = shared.ols(core, genes.clone());
        for (i, gene) in genes.enumerate() {
            let at = self.components_of(gene, surface);
            if !at.outcome.has_estimate() {
                out.forget(i, r, at.outcome);
                continue;
            }
            if at.outcome == Outcome::NotIdentifiable {
                let s0 = at.theta[self.n_components()];
                for j in 0..r {
                    out.variance[i * r + j] = s0 * shared.x0[j];
                    out.df[i * r + j] = core.residual_df();
                }
                continue;
            }
            if gene_of_several(core, dense, shared, gene, &at, &mut out, i).is_none() {
                out.forget(i, r, Outcome::NoResidual);
            }
        }
        out
    }
}

/// Information of (s₁, s₀): observed where it is positive definite and wanted, else expected.
fn observed_one(core: &Core, spectrum: &Spectrum, gene: usize, s1: f64, s0: f64, p: usize, expected: bool) -> [f64; 3] {
    let Structure::One { profile, .. } = &core.structure else { return [f64::NAN; 3] };
    let (f11, f10, f00) = profile.expected_information(s1 / s0, s0);
    if expected {
        return [f11, f10, f00];
    }
    let n = core.shared.n;
    let (mut h11, mut h10, mut h00) = (0.0, 0.0, 0.0);
    let mut residual = core.rss[gene];
    for (w, &lambda) in core.z_of(gene).iter().zip(&spectrum.lambda) {
        if lambda > 0.0 {
            let (c, v) = (w * w / lambda, s0 + lambda * s1);
            let c3 = c / (v * v * v);
            residual -= c;
            h11 += lambda * lambda * c3;
            h10 += lambda * c3;
            h00 += c3;
        }
    }
    let (traces, degrees) = match core.method {
        Method::Reml => (&spectrum.lambda, n - p as f64),
        Method::Ml => (&spectrum.mu, n),
    };
    let mut positive = 0.0;
    for &m in traces.iter().filter(|&&m| m > 0.0) {
        let v = s0 + m * s1;
        let half = 0.5 / (v * v);
        h11 -= m * m * half;
        h10 -= m * half;
        h00 -= half;
        positive += 1.0;
    }
    h00 += residual.max(0.0) / (s0 * s0 * s0) - (degrees - positive) / (2.0 * s0 * s0);
    let positive_definite = h11 > 0.0 && h11 * h00 - h10 * h10 > 0.0;
    if positive_definite { [h11, h10, h00] } else { [f11, f10, f00] }
}

/// Everything about one gene with several components. `None` where the likelihood is not defined.
fn gene_of_several(
    core: &Core,
    dense: &Dense,
    shared: &SharedByGenes,
    gene: usize,
    at: &Components<'_>,
    out: &mut Estimates,
    i: usize,
) -> Option<()> {
    let (q, r, k) = (core.q(), shared.r(), core.shared.dims.len());
    let (theta, s0) = (at.theta, at.theta[k]);
    let z = core.z_of(gene);
    let point = dense.evaluate(theta, &dense.whiten(z), core.rss[gene])?;
    let k_a = dense.k_of_a(theta)?;
    let (gamma, owner) = dense.gammas(theta);
    // x -> x - K Γ x = (I + AΓ)⁻¹ x
    let project = |x: &[f64]| -> Vec<f64> {
        let scaled: Vec<f64> = x.iter().zip(&gamma).map(|(x, g)| x * g).collect();
        (0..q).map(|a| x[a] - dot(k_a.row(a), &scaled)).collect()
    };
    let u = project(z);
    let inverse = scaled_inverse(
        &information(core, dense, &point, &k_a, &u, &project(&u), &gamma, &owner, at.expected_information)?,
        0.0,
    )
    .or_else(|_| scaled_inverse(&point.information, 0.0))
    .ok()?;
    for j in 0..r {
        let hc: Vec<f64> = (0..q).map(|a| shared.a[(a, j)]).collect();
        let a = project(&hc);
        let shift: f64 = (0..q).map(|l| hc[l] * gamma[l] * u[l]).sum();
        // c'(X'V⁻¹X)⁻¹c / s₀ = c'(X'X)⁻¹c + (Hc)'Γ(I + AΓ)⁻¹Hc
        let spread: f64 = (0..q).map(|l| hc[l] * gamma[l] * a[l]).sum();
        let f = s0 * (shared.x0[j] + spread);
        let mut gradient = vec![0.0; k + 1];
        for l in 0..q {
            gradient[owner[l]] += a[l] * a[l];
        }
        let explained: f64 = (0..k).map(|c| theta[c] * gradient[c]).sum();
        gradient[k] = (f - explained) / s0;
        let quadratic: f64 = (0..=k).map(|b| gradient[b] * dot(inverse.row(b), &gradient)).sum();
        let at = i * r + j;
        out.estimate[at] -= shift;
        out.variance[at] = f;
        out.df[at] = 2.0 * f * f / quadratic;
    }
    Some(())
}

/// Information of (s_1, .., s_k, s_0): observed where wanted and positive definite, else expected.
#[expect(clippy::too_many_arguments, reason = "one formula with many symbols")]
fn information(
    core: &Core,
    dense: &Dense,
    point: &super::several::Point,
    k_a: &Matrix,
    u: &[f64],
    v: &[f64],
    gamma: &[f64],
    owner: &[usize],
    expected: bool,
) -> Option<Matrix> {
    let k = core.shared.dims.len();
    if expected {
        return Some(point.information.clone());
    }
    let s0 = point.theta[k];
    let traces = match core.method {
        Method::Reml => k_a.clone(),
        Method::Ml => dense.k_of_zz(&point.theta)?,
    };
    let q = u.len();
    let mut h = Matrix::zeros(k + 1, k + 1);
    for a in 0..q {
        for b in 0..q {
            h[(owner[a], owner[b])] +=
                u[a] * k_a[(a, b)] * u[b] / (s0 * s0 * s0) - traces[(a, b)] * traces[(a, b)] / (2.0 * s0 * s0);
        }
    }
    // The trace terms of the last row are those of the expected information.
    for i in 0..k {
        let uv: f64 = (0..q).filter(|&a| owner[a] == i).map(|a| u[a] * v[a]).sum();
        h[(i, k)] = uv / (s0 * s0 * s0) - point.information[(i, k)];
        h[(k, i)] = h[(i, k)];
    }
    let u_gamma_u: f64 = (0..q).map(|a| u[a] * gamma[a] * u[a]).sum();
    let u_gamma_v: f64 = (0..q).map(|a| u[a] * gamma[a] * v[a]).sum();
    h[(k, k)] = (point.quadratic - u_gamma_u - u_gamma_v) / (s0 * s0 * s0) - point.information[(k, k)];
    Some(if scaled_inverse(&h, 0.0).is_ok() { h } else { point.information.clone() })
}

/// What the contrasts share over genes.
struct SharedByGenes {
    /// The contrasts, p × r.
    contrasts: Matrix,
    /// One component: G'c; several: Hc. q × r.
    a: Matrix,
    a_squared: Matrix,
    /// c'(X'X)⁻¹c.
    x0: Vec<f64>,
}

impl SharedByGenes {
    fn new(core: &Core, contrasts: &Matrix) -> Self {
        let a = match &core.structure {
            Structure::One { spectrum, .. } => spectrum.g.transpose().times(contrasts),
            Structure::Several(_) => core.shared.projection.transpose().times(contrasts),
        };
        let mut a_squared = a.clone();
        a_squared.entries_mut().iter_mut().for_each(|x| *x *= *x);
        let xc = core.shared.xx_inverse.times(contrasts);
        let x0 = (0..contrasts.n_cols())
            .map(|j| (0..contrasts.n_rows()).map(|i| contrasts[(i, j)] * xc[(i, j)]).sum())
            .collect();
        Self { contrasts: contrasts.clone(), a, a_squared, x0 }
    }

    fn r(&self) -> usize {
        self.contrasts.n_cols()
    }

    /// Ordinary least squares of a block of genes; variances and degrees of freedom still NaN.
    fn ols(&self, core: &Core, genes: std::ops::Range<usize>) -> Estimates {
        let (p, r, n) = (core.p(), self.r(), genes.len());
        let mut estimate = vec![0.0; n * r];
        product(&core.b_ols[genes.start * p..genes.end * p], p, &self.contrasts, &mut estimate);
        Estimates { n_contrasts: r, estimate, variance: vec![f64::NAN; n * r], df: vec![f64::NAN; n * r] }
    }
}

impl Estimates {
    /// Takes back what a gene without variance estimate cannot have: all of it for a gene of zeros.
    fn forget(&mut self, gene: usize, r: usize, outcome: Outcome) {
        let cells = gene * r..(gene + 1) * r;
        if outcome == Outcome::AllZero {
            self.estimate[cells.clone()].fill(f64::NAN);
        }
        self.variance[cells.clone()].fill(f64::NAN);
        self.df[cells].fill(f64::NAN);
    }
}
