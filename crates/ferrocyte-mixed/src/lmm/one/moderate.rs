//! Moderated tests: the variance components of all genes inform each gene's.
//!
//! With few donors the donor variance of one gene is hardly known; its distribution over genes is. Per gene, the
//! restricted likelihood is tabulated over a grid of ln γ, with the residual variance integrated out under its own
//! prior; a normal prior of ln γ whose mean follows the expression level is fitted to all genes; and the test of a
//! contrast is the mixture, over the posterior of ln γ, of the t tests at each γ. For one known γ and an inverse
//! chi-square prior this is limma's moderated t (Smyth 2004, doi 10.2202/1544-6115.1027).

#![allow(clippy::inline_always)]

use std::ops::Range;

use ferrocyte_base::{Result, Run};
use ferrocyte_math::linalg::{Matrix, dot, product};
use ferrocyte_math::student_t::{StudentT, many::tails};
use ferrocyte_math::variance_prior::{Prior, ResidualPrior, fit_prior};
use ferrocyte_math::wide::{self, Kernel};

use crate::lmm::canonical::Spectrum;
use crate::lmm::core::{Core, GENE_BLOCK, Structure};
use crate::lmm::moderated::Evidence;
use crate::lmm::options::Alternative;
use crate::lmm::status::Outcome;
use crate::lmm::sums::GroupSums;

const GRID_POINTS: usize = 79;
const GRID_START: f64 = -9.5;
const GRID_STEP: f64 = 1.0 / 6.0;

/// The grid with a point of no weight at its end, so that loops over it come out even.
const LANES: usize = GRID_POINTS.next_multiple_of(8);

/// One number per grid point.
type Row = [f64; LANES];

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
    /// ln of the posterior weights of the grid points, genes × grid; NaN for genes without any information.
    ln_weights: Vec<f64>,
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
        let (m, q) = (core.n_genes(), core.q());
        let e0: Vec<f64> = (0..m).map(|g| spectrum.residual(core.z_of(g), core.rss[g])).collect();
        let Evidence { trend, usable, residual } =
            match Evidence::gather(core, sums, outcomes, counts, spectrum.rank, &e0)? {
                Ok(evidence) => evidence,
                Err(reason) => return Ok(Err(reason)),
            };

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
            let floors: Vec<f64> = genes.clone().map(|g| e0[g] + residual.df * residual.variance(trend[g])).collect();
            Ok(tabulate(core, spectrum, genes, &floors, &h, df, &half_ln_det))
        })?;
        let (mut quadratic, mut ln_likelihood) =
            (Vec::with_capacity(m * GRID_POINTS), Vec::with_capacity(m * GRID_POINTS));
        for (q, l) in blocks {
            quadratic.extend(q);
            ln_likelihood.extend(l);
        }
        let prior = fit_prior(run, &ln_gamma, &ln_likelihood, &trend, &usable)?;
        let blocks = run.map_ranges("moderating", m, GENE_BLOCK, |genes| {
            let mut ln_weights = ln_likelihood[genes.start * GRID_POINTS..genes.end * GRID_POINTS].to_vec();
            let mut means = Vec::with_capacity(genes.len());
            for (row, g) in ln_weights.chunks_exact_mut(GRID_POINTS).zip(genes) {
                let known = !matches!(outcomes[g], Outcome::AllZero | Outcome::FewCells | Outcome::ConstantGivenX);
                if known && trend[g].is_finite() {
                    let here = g * GRID_POINTS..(g + 1) * GRID_POINTS;
                    means.push(prior.ln_posterior(&ln_likelihood[here], trend[g], row));
                } else {
                    row.fill(f64::NAN);
                    means.push(f64::NAN);
                }
            }
            Ok((ln_weights, means))
        })?;
        let (mut ln_weights, mut means) = (Vec::with_capacity(m * GRID_POINTS), Vec::with_capacity(m));
        for (w, mean) in blocks {
            ln_weights.extend(w);
            means.extend(mean);
        }
        Ok(Ok(Self { gamma, h, prior, residual, trend, quadratic, ln_weights, ln_gamma: means, df }))
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
        // The variance of the contrast at each grid point, over Q.
        let mut grid = Grid { gamma: [0.0; LANES], spread: [1.0; LANES] };
        for k in 0..GRID_POINTS {
            grid.gamma[k] = self.gamma[k];
            let sum: f64 = (0..q).map(|l| a[l] * a[l] * self.h[(l, k)]).sum();
            grid.spread[k] = (x0 + self.gamma[k] * sum) / self.df;
        }
        let law = StudentT::new(self.df);
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
            let posteriors = genes.zip(shift.chunks_exact(GRID_POINTS)).map(|(gene, shift)| {
                let cells = gene * GRID_POINTS..(gene + 1) * GRID_POINTS;
                Posterior {
                    ln_weights: &self.ln_weights[cells.clone()],
                    quadratic: &self.quadratic[cells],
                    ols: dot(&core.b_ols[gene * p..(gene + 1) * p], contrast),
                    shift,
                }
            });
            let posteriors: Vec<Posterior<'_>> = posteriors.collect();
            Ok(wide::widest(Tests { genes: &posteriors, grid: &grid, law: &law, alternative }))
        })?;
        Ok(blocks.into_iter().flatten().collect())
    }

    /// γ at the grid points.
    pub(in crate::lmm) fn gamma(&self) -> &[f64] {
        &self.gamma
    }

    /// 1/(1 + γλ), q × grid.
    pub(in crate::lmm) fn h(&self) -> &Matrix {
        &self.h
    }

    /// ν + d₀, the degrees of freedom of the residual variance.
    pub(in crate::lmm) fn df(&self) -> f64 {
        self.df
    }

    /// ln of the posterior weights, and Q, of a gene at the grid points; `None` for a gene without any information.
    pub(in crate::lmm) fn of_gene(&self, gene: usize) -> Option<(&[f64], &[f64])> {
        let cells = gene * self.gamma.len()..(gene + 1) * self.gamma.len();
        let ln_weights = &self.ln_weights[cells.clone()];
        (!ln_weights[0].is_nan()).then(|| (ln_weights, &self.quadratic[cells]))
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
            ln_gamma_prior: self.trend.iter().map(|&t| self.prior.mean(t)).collect(),
            residual_variance: self.trend.iter().map(|&t| self.residual.variance(t)).collect(),
            coefficients: self.prior.coefficients,
            omega: self.prior.omega,
            residual_df: self.residual.df,
        }
    }
}

/// Q and the log-likelihood (up to a constant per gene) of a block of genes at the grid points, genes × grid each.
fn tabulate(
    core: &Core,
    spectrum: &Spectrum,
    genes: Range<usize>,
    floors: &[f64],
    h: &Matrix,
    df: f64,
    half_ln_det: &[f64],
) -> (Vec<f64>, Vec<f64>) {
    let q = core.q();
    let mut c = vec![0.0; genes.len() * q];
    for (row, gene) in c.chunks_exact_mut(q).zip(genes) {
        for ((c, w), over) in row.iter_mut().zip(core.z_of(gene)).zip(&spectrum.over_lambda) {
            *c = w * w * over;
        }
    }
    let mut quadratic = vec![0.0; floors.len() * GRID_POINTS];
    product(&c, q, h, &mut quadratic);
    let mut ln_likelihood = vec![0.0; quadratic.len()];
    wide::widest(Likelihoods { quadratic: &mut quadratic, ln_likelihood: &mut ln_likelihood, floors, df, half_ln_det });
    (quadratic, ln_likelihood)
}

/// From Σ ch and the rest of Q of each gene to Q and the log-likelihood.
struct Likelihoods<'a> {
    quadratic: &'a mut [f64],
    ln_likelihood: &'a mut [f64],
    floors: &'a [f64],
    df: f64,
    half_ln_det: &'a [f64],
}

impl Kernel for Likelihoods<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let rows = self.quadratic.chunks_exact_mut(GRID_POINTS).zip(self.ln_likelihood.chunks_exact_mut(GRID_POINTS));
        for ((quadratic, likelihood), floor) in rows.zip(self.floors) {
            // ln Q over its value at the end of the grid: the degrees of freedom may be many, and would multiply the
            // rounding of ln Q itself.
            let end = quadratic[GRID_POINTS - 1];
            let over_end = 1.0 / (end + floor);
            for ((q, l), half) in quadratic.iter_mut().zip(likelihood).zip(self.half_ln_det) {
                *l = -0.5 * self.df * wide::ln_1p((*q - end) * over_end) - half;
                *q += floor;
            }
        }
    }
}

/// What a test needs of the grid points: γ, and the variance of the contrast over Q.
struct Grid {
    gamma: Row,
    spread: Row,
}

/// What a test needs of a gene: a number per grid point, and the contrast by ordinary least squares.
struct Posterior<'a> {
    ln_weights: &'a [f64],
    quadratic: &'a [f64],
    ols: f64,
    /// What γ takes from the contrast.
    shift: &'a [f64],
}

/// The tests of a block of genes.
struct Tests<'a> {
    genes: &'a [Posterior<'a>],
    grid: &'a Grid,
    law: &'a StudentT,
    alternative: Alternative,
}

impl Kernel for Tests<'_> {
    type Output = Vec<ModeratedTest>;

    #[inline(always)]
    fn run(self) -> Vec<ModeratedTest> {
        let mut out = Vec::with_capacity(self.genes.len());
        for gene in self.genes {
            out.push(gene.test(self.grid, self.law, self.alternative));
        }
        out
    }
}

impl Posterior<'_> {
    /// The mixture of the t tests at the grid points.
    #[inline(always)]
    fn test(&self, grid: &Grid, law: &StudentT, alternative: Alternative) -> ModeratedTest {
        if self.ln_weights[0].is_nan() {
            return ModeratedTest::NONE;
        }
        let df = law.df();
        // The point at the end has no weight.
        let mut ln_weights = [f64::NEG_INFINITY; LANES];
        let (mut quadratic, mut shift) = ([f64::INFINITY; LANES], [0.0; LANES]);
        ln_weights[..GRID_POINTS].copy_from_slice(self.ln_weights);
        quadratic[..GRID_POINTS].copy_from_slice(self.quadratic);
        shift[..GRID_POINTS].copy_from_slice(self.shift);

        let mut t = [0.0; LANES];
        let (mut precision, mut precision2, mut weighted) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
        for k in 0..LANES {
            let estimate = self.ols - grid.gamma[k] * shift[k];
            let one = 1.0 / (quadratic[k] * grid.spread[k]);
            let r = wide::exp(ln_weights[k]) * one;
            precision[k] = r;
            precision2[k] = r * one;
            weighted[k] = r * estimate;
            t[k] = estimate * one.sqrt();
        }
        let [precision, precision2, weighted] = [&precision, &precision2, &weighted].map(|row| wide::sum(row));

        // Each term of the mixture is factor · exp(exponent).
        let (mut exponent, mut factor) = ([0.0; LANES], [0.0; LANES]);
        tails(law, &t, &mut exponent, &mut factor);
        for k in 0..LANES {
            let outward = match alternative {
                Alternative::TwoSided => true,
                Alternative::Less => t[k] < 0.0,
                Alternative::Greater => t[k] > 0.0,
            };
            let share = if alternative == Alternative::TwoSided { 1.0 } else { 0.5 };
            if outward {
                (exponent[k], factor[k]) = (ln_weights[k] - exponent[k], share * factor[k]);
            } else {
                (exponent[k], factor[k]) = (ln_weights[k], 1.0 - share * factor[k] * wide::exp(-exponent[k]));
            }
        }
        let mut largest = f64::NEG_INFINITY;
        for e in exponent {
            largest = if e > largest { e } else { largest };
        }
        for k in 0..LANES {
            factor[k] *= wide::exp(exponent[k] - largest);
        }
        let ln_p = if largest.is_finite() { largest + wide::ln(wide::sum(&factor)) } else { largest };
        let spread_of_precision = precision2 * (1.0 + 2.0 / df) - precision * precision;
        ModeratedTest {
            estimate: weighted / precision,
            se: 1.0 / precision.sqrt(),
            df: (2.0 * precision * precision / spread_of_precision).clamp(0.0, df),
            ln_p: if ln_p > 0.0 { 0.0 } else { ln_p },
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
    /// Prior mean of ln γ, per gene.
    pub ln_gamma_prior: Vec<f64>,
    /// Prior residual variance, per gene.
    pub residual_variance: Vec<f64>,
    /// The mean of ln γ is a₀ + a₁z + a₂z², z the trend scaled to -1 at its 1 % and to 1 at its 99 % quantile.
    pub coefficients: [f64; 3],
    /// The standard deviation of ln γ around that mean.
    pub omega: f64,
    /// Degrees of freedom of the prior of the residual variance.
    pub residual_df: f64,
}
