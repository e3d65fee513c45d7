//! Moderated tests: the variance components of all genes inform each gene's.
//!
//! With few donors the donor variance of one gene is hardly known; its distribution over genes is. Per gene, the
//! restricted likelihood is tabulated over a grid of ln γ, with the residual variance integrated out under its own
//! prior; a normal prior of ln γ whose mean follows the expression level is fitted to all genes; and the test of a
//! contrast is the mixture, over the posterior of ln γ, of the t tests at each γ. For one known γ and an inverse
//! chi-square prior this is limma's moderated t (Smyth 2004, doi 10.2202/1544-6115.1027).

use ferrocyte_base::{Result, Run};
use ferrocyte_math::linalg::{Matrix, dot, product};
use ferrocyte_math::student_t::StudentT;
use ferrocyte_math::variance_prior::{Prior, ResidualPrior, fit_prior, fit_residual_prior};

use crate::lmm::core::{Core, GENE_BLOCK, Structure};
use crate::lmm::options::{Alternative, Method};
use crate::lmm::status::Outcome;
use crate::lmm::sums::GroupSums;

/// Fewer usable genes than this say too little about a distribution.
const FEWEST_GENES: usize = 20;

/// Terms of a mixture smaller than the largest by this much (in ln) are below the last digit.
const NEGLIGIBLE: f64 = 42.0;

const GRID_POINTS: usize = 79;
const GRID_START: f64 = -9.5;
const GRID_STEP: f64 = 1.0 / 6.0;

/// What the genes have in common, and what the grid makes of each gene.
#[derive(Debug)]
pub(in crate::lmm) struct Moderation {
    /// γ at the grid points.
    gamma: Vec<f64>,
    /// 1/(1 + γλ), q × grid.
    h: Matrix,
    /// The prior of ln γ.
    prior: Prior,
    /// The prior of the residual variance.
    residual: ResidualPrior,
    /// ln of the mean of y, or the mean itself.
    trend: Vec<f64>,
    /// Q of each gene and grid point, genes × grid.
    quadratic: Vec<f64>,
    /// Posterior weights of the grid points, genes × grid; NaN for genes without any information.
    weights: Vec<f64>,
    /// Posterior mean of ln γ.
    ln_gamma: Vec<f64>,
    /// ν + d₀.
    df: f64,
}

/// The moderated test of one contrast for one gene.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ModeratedTest {
    /// The estimate, averaged over the posterior by precision.
    pub estimate: f64,
    /// The square root of one over the mean precision.
    pub se: f64,
    /// Degrees of freedom of the t distribution that is nearest to the mixture.
    pub df: f64,
    /// ln of the p-value of the mixture.
    pub ln_p: f64,
}

impl ModeratedTest {
    pub(in crate::lmm) const NONE: Self = Self { estimate: f64::NAN, se: f64::NAN, df: f64::NAN, ln_p: f64::NAN };
}

impl Moderation {
    /// Fits the priors, or says why it cannot.
    pub(in crate::lmm) fn new(
        run: &Run,
        core: &Core,
        sums: &GroupSums,
        outcomes: &[Outcome],
        counts: bool,
    ) -> Result<std::result::Result<Self, String>> {
        let Structure::One { spectrum, .. } = &core.structure else {
            return Ok(Err("the model has several random terms".to_owned()));
        };
        if core.method == Method::Ml {
            return Ok(Err("moderation needs method=\"REML\"".to_owned()));
        }
        let (m, q) = (core.n_genes(), core.q());
        let d = core.residual_df() - spectrum.rank as f64;
        if spectrum.rank == 0 || d < 1.0 {
            return Ok(Err("the random effects cannot be told from the fixed effects or the residual".to_owned()));
        }
        let mean = |g: usize| sums.y_sum[g] / core.shared.n;
        let positive = counts || (0..m).all(|g| mean(g) > 0.0 || sums.y_norm[g] == 0.0);
        let trend: Vec<f64> = (0..m).map(|g| if positive { mean(g).ln() } else { mean(g) }).collect();
        let e0: Vec<f64> = (0..m).map(|g| spectrum.residual(core.z_of(g), core.rss[g])).collect();
        let usable: Vec<bool> =
            (0..m).map(|g| outcomes[g].has_estimate() && trend[g].is_finite() && e0[g] > 0.0).collect();
        let n_usable = usable.iter().filter(|&&u| u).count();
        if n_usable < FEWEST_GENES {
            return Ok(Err(format!("{n_usable} genes can inform each other, {FEWEST_GENES} are needed")));
        }
        let residual = fit_residual_prior(&e0, d, &trend, &usable)?;

        let largest = spectrum.lambda.last().copied().unwrap_or(0.0);
        let start = if largest > 1e4 { -largest.ln() - 1.0 } else { GRID_START };
        let ln_gamma: Vec<f64> = (0..GRID_POINTS).map(|k| start + GRID_STEP * k as f64).collect();
        let gamma: Vec<f64> = ln_gamma.iter().map(|x| x.exp()).collect();
        let mut h = Matrix::zeros(q, GRID_POINTS);
        let mut half_ln_det = vec![0.0; GRID_POINTS];
        for (l, &lambda) in spectrum.lambda.iter().enumerate() {
            for k in 0..GRID_POINTS {
                let v = 1.0 + gamma[k] * lambda;
                h[(l, k)] = 1.0 / v;
                half_ln_det[k] += 0.5 * v.ln();
            }
        }
        let df = core.residual_df() + residual.df;
        let blocks = run.map_ranges("moderating", m, GENE_BLOCK, |genes| {
            let mut c = vec![0.0; genes.len() * q];
            for (row, gene) in c.chunks_exact_mut(q).zip(genes.clone()) {
                for ((c, w), &lambda) in row.iter_mut().zip(core.z_of(gene)).zip(&spectrum.lambda) {
                    *c = if lambda > 0.0 { w * w / lambda } else { 0.0 };
                }
            }
            let mut quadratic = vec![0.0; genes.len() * GRID_POINTS];
            product(&c, q, &h, &mut quadratic);
            for (row, gene) in quadratic.chunks_exact_mut(GRID_POINTS).zip(genes) {
                let floor = e0[gene] + residual.df * residual.variance(trend[gene]);
                row.iter_mut().for_each(|x| *x += floor);
            }
            Ok(quadratic)
        })?;
        let quadratic: Vec<f64> = blocks.into_iter().flatten().collect();
        let mut ln_likelihood = quadratic.clone();
        for row in ln_likelihood.chunks_exact_mut(GRID_POINTS) {
            for (x, half) in row.iter_mut().zip(&half_ln_det) {
                *x = -0.5 * df * x.ln() - half;
            }
        }
        let prior = fit_prior(run, &ln_gamma, &ln_likelihood, &trend, &usable)?;
        let posterior = run.map_blocks("moderating", m, GENE_BLOCK, |g| {
            let mut weights = vec![f64::NAN; GRID_POINTS];
            let known = !matches!(outcomes[g], Outcome::AllZero | Outcome::FewCells | Outcome::ConstantGivenX)
                && trend[g].is_finite();
            let mean = if known {
                prior.posterior(&ln_likelihood[g * GRID_POINTS..(g + 1) * GRID_POINTS], trend[g], &mut weights)
            } else {
                f64::NAN
            };
            Ok((weights, mean))
        })?;
        let (mut weights, mut means) = (Vec::with_capacity(m * GRID_POINTS), Vec::with_capacity(m));
        for (w, mean) in posterior {
            weights.extend(w);
            means.push(mean);
        }
        Ok(Ok(Self { gamma, h, prior, residual, trend, quadratic, weights, ln_gamma: means, df }))
    }

    /// Tests the contrast c (p numbers) for every gene.
    pub(in crate::lmm) fn test(
        &self,
        run: &Run,
        core: &Core,
        contrast: &[f64],
        alternative: Alternative,
    ) -> Result<Vec<ModeratedTest>> {
        let Structure::One { spectrum, .. } = &core.structure else {
            return Ok(vec![ModeratedTest::NONE; core.n_genes()]);
        };
        let (p, q) = (core.p(), core.q());
        let a: Vec<f64> = (0..q).map(|l| (0..p).map(|i| spectrum.g[(i, l)] * contrast[i]).sum()).collect();
        let x0: f64 = (0..p).map(|i| contrast[i] * dot(core.shared.xx_inverse.row(i), contrast)).sum();
        // The variance of the contrast at each grid point, in units of the residual variance.
        let spread: Vec<f64> = (0..GRID_POINTS)
            .map(|k| x0 + self.gamma[k] * (0..q).map(|l| a[l] * a[l] * self.h[(l, k)]).sum::<f64>())
            .collect();
        let tail = StudentT::new(self.df);
        let blocks = run.map_ranges("testing", core.n_genes(), GENE_BLOCK, |genes| {
            run.check()?;
            let mut aw = vec![0.0; genes.len() * q];
            for (row, gene) in aw.chunks_exact_mut(q).zip(genes.clone()) {
                for ((x, w), a) in row.iter_mut().zip(core.z_of(gene)).zip(&a) {
                    *x = a * w;
                }
            }
            let mut shift = vec![0.0; genes.len() * GRID_POINTS];
            product(&aw, q, &self.h, &mut shift);
            let mut out = Vec::with_capacity(genes.len());
            for (gene, shift) in genes.zip(shift.chunks_exact(GRID_POINTS)) {
                let ols = dot(&core.b_ols[gene * p..(gene + 1) * p], contrast);
                out.push(self.test_gene(gene, ols, shift, &spread, &tail, alternative));
            }
            Ok(out)
        })?;
        Ok(blocks.into_iter().flatten().collect())
    }

    fn test_gene(
        &self,
        gene: usize,
        ols: f64,
        shift: &[f64],
        spread: &[f64],
        tail: &StudentT,
        alternative: Alternative,
    ) -> ModeratedTest {
        let cells = gene * GRID_POINTS..(gene + 1) * GRID_POINTS;
        let (weights, quadratic) = (&self.weights[cells.clone()], &self.quadratic[cells]);
        if weights[0].is_nan() {
            return ModeratedTest::NONE;
        }
        let ln_tail = |t: f64| match alternative {
            Alternative::TwoSided => tail.ln_two_sided(t),
            Alternative::Less => tail.ln_lower(t),
            Alternative::Greater => tail.ln_upper(t),
        };
        let (mut precision, mut precision2, mut weighted) = (0.0, 0.0, 0.0);
        let mut t = [0.0; GRID_POINTS];
        let mut likeliest = 0;
        for k in 0..GRID_POINTS {
            let estimate = ols - self.gamma[k] * shift[k];
            let variance = quadratic[k] / self.df * spread[k];
            let r = weights[k];
            precision += r / variance;
            precision2 += r / (variance * variance);
            weighted += r * estimate / variance;
            t[k] = estimate / variance.sqrt();
            if r > weights[likeliest] {
                likeliest = k;
            }
        }
        // A tail is at most one: grid points whose weight alone is far below what is known already add nothing.
        let mut terms = [f64::NEG_INFINITY; GRID_POINTS];
        let mut known = weights[likeliest].ln() + ln_tail(t[likeliest]);
        for k in 0..GRID_POINTS {
            let ln_weight = weights[k].ln();
            if ln_weight > known - NEGLIGIBLE {
                terms[k] = ln_weight + ln_tail(t[k]);
                known = known.max(terms[k]);
            }
        }
        let largest = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let ln_p = if largest.is_finite() {
            (largest + terms.iter().map(|t| (t - largest).exp()).sum::<f64>().ln()).min(0.0)
        } else {
            largest
        };
        let spread_of_precision = precision2 * (1.0 + 2.0 / self.df) - precision * precision;
        ModeratedTest {
            estimate: weighted / precision,
            se: 1.0 / precision.sqrt(),
            df: (2.0 * precision * precision / spread_of_precision).clamp(0.0, self.df),
            ln_p,
        }
    }

    /// A few words for people.
    pub(in crate::lmm) fn describe(&self) -> String {
        let [a0, ..] = self.prior.coefficients;
        format!(
            "moderated over genes: unit-to-residual variance about {:.2e} (spread {:.2} in ln), residual prior of {:.0} df",
            a0.exp(),
            self.prior.omega,
            self.residual.df
        )
    }

    /// What was learnt, for those who want to look.
    pub(in crate::lmm) fn priors(&self) -> Priors {
        Priors {
            trend: self.trend.clone(),
            ln_gamma: self.ln_gamma.clone(),
            residual_variance: self.trend.iter().map(|&t| self.residual.variance(t)).collect(),
            coefficients: self.prior.coefficients,
            omega: self.prior.omega,
            residual_df: self.residual.df,
        }
    }
}

/// The priors that moderated tests use.
#[derive(Debug, Clone, PartialEq)]
pub struct Priors {
    /// The covariate of both priors, per gene: ln of the mean of y (the mean itself where it can be negative).
    pub trend: Vec<f64>,
    /// Posterior mean of ln γ, per gene; γ is the ratio of the component to the residual variance.
    pub ln_gamma: Vec<f64>,
    /// Prior residual variance, per gene.
    pub residual_variance: Vec<f64>,
    /// The mean of ln γ is a₀ + a₁z + a₂z², z the trend scaled to -1 at its 1 % and to 1 at its 99 % quantile.
    pub coefficients: [f64; 3],
    /// The standard deviation of ln γ around that mean.
    pub omega: f64,
    /// Degrees of freedom of the prior of the residual variance.
    pub residual_df: f64,
}
