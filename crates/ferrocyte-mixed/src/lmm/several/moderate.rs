//! Moderated tests with two components: the variance ratios of all genes inform each gene's.
//!
//! As with one component (one/moderate.rs), now over a grid of both ln γ₁ and ln γ₂: per gene, the restricted
//! likelihood with the residual variance integrated out under its prior; normal priors of ln γ₁ and of ln γ₂ around
//! trends with expression, learnt from all genes in turn, the other ratio integrated out; and the test of a contrast is
//! the mixture, over the posterior of both, of the t tests at each pair. Nothing is plugged in: where the cells say
//! little of a ratio, the genes together say what is likely.
//!
//! The grid is shared, and so is the algebra: with M₁₁ = U diag(λ) U', and C(γ₁) = M₂₂ - γ₁B'diag(h)B = V diag(c) V'
//! for each γ₁, a gene costs products with shared matrices only,
//! Q = rss - γ₁ Σ h w² - Σ_j v_j² γ₂/(1 + γ₂c_j) with v = V'(z₂ - γ₁B'(h∘w)).

use std::ops::Range;

use ferrocyte_base::{Result, Run};
use ferrocyte_math::linalg::{Matrix, cross_product, dot, product, symmetric_eigen};
use ferrocyte_math::student_t::StudentT;
use ferrocyte_math::variance_prior::{Prior, ResidualPrior, fit_prior, fit_residual_prior};

use super::Several;
use super::crossed::Crossed;
use crate::lmm::core::{Core, Structure};
use crate::lmm::one::ModeratedTest;
use crate::lmm::options::{Alternative, Method};
use crate::lmm::status::Outcome;
use crate::lmm::sums::GroupSums;

/// Fewer usable genes than this say too little about a distribution.
const FEWEST_GENES: usize = 20;

/// Terms of a mixture smaller than the largest by this much (in ln) are not looked at.
const NEGLIGIBLE: f64 = 25.0;

const POINTS: usize = 79;
const GRID_START: f64 = -9.5;
const GRID_STEP: f64 = 1.0 / 6.0;

/// Genes of a block.
const BLOCK: usize = 32;

/// Rounds in which each prior is learnt with the other integrated out.
const MOST_ROUNDS: usize = 8;

/// Priors that move less than this have settled.
const SETTLED: f64 = 0.01;

/// One value of γ₁.
#[derive(Debug)]
struct Slice {
    gamma: f64,
    h: Vec<f64>,
    /// V, q₂ × q₂.
    v: Matrix,
    /// γ₁ diag(h) B V, q₁ × q₂.
    taken: Matrix,
    /// γ₂/(1 + γ₂c_j), q₂ × points.
    shrink: Matrix,
    /// ½ ln|I + AΓ| at each γ₂.
    half_ln_det: Vec<f64>,
}

/// The priors, and what the grid makes of the design.
#[derive(Debug)]
pub(in crate::lmm) struct Moderation {
    crossed: Crossed,
    slices: Vec<Slice>,
    ln_gamma: [Vec<f64>; 2],
    /// Of the large and of the small component.
    priors: Vec<Prior>,
    residual: ResidualPrior,
    trend: Vec<f64>,
    /// rss + d₀ s₀₀ of each gene; NaN for genes without any information.
    total: Vec<f64>,
    df: f64,
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
        let Structure::Several(several) = &core.structure else {
            return Ok(Err("the model has one random term".to_owned()));
        };
        if core.shared.dims.len() != 2 {
            return Ok(Err("the model has more than two random terms".to_owned()));
        }
        if core.method == Method::Ml {
            return Ok(Err("moderation needs method=\"REML\"".to_owned()));
        }
        let m = core.n_genes();
        let d = core.residual_df() - several.rank() as f64;
        if several.rank() == 0 || d < 1.0 {
            return Ok(Err("the random effects cannot be told from the fixed effects or the residual".to_owned()));
        }
        let mean = |g: usize| sums.y_sum[g] / core.shared.n;
        let positive = counts || (0..m).all(|g| mean(g) > 0.0 || sums.y_norm[g] == 0.0);
        let trend: Vec<f64> = (0..m).map(|g| if positive { mean(g).ln() } else { mean(g) }).collect();
        let e0: Vec<f64> = (0..m).map(|g| core.rss[g] - several.explained(core.z_of(g))).collect();
        let usable: Vec<bool> =
            (0..m).map(|g| outcomes[g].has_estimate() && trend[g].is_finite() && e0[g] > 0.0).collect();
        let n_usable = usable.iter().filter(|&&u| u).count();
        if n_usable < FEWEST_GENES {
            return Ok(Err(format!("{n_usable} genes can inform each other, {FEWEST_GENES} are needed")));
        }
        let residual = fit_residual_prior(&e0, d, &trend, &usable)?;
        let crossed = several.as_crossed(&core.shared)?;
        let ln_gamma = crossed.largest_eigenvalues().map(|largest| {
            let start = if largest > 1e4 { -largest.ln() - 1.0 } else { GRID_START };
            (0..POINTS).map(|k| start + GRID_STEP * k as f64).collect::<Vec<f64>>()
        });
        let slices = slices(run, &crossed, &ln_gamma)?;
        let known = |g: usize| {
            outcomes[g] != Outcome::AllZero && outcomes[g] != Outcome::ConstantGivenX && trend[g].is_finite()
        };
        let total = (0..m)
            .map(|g| if known(g) { core.rss[g] + residual.df * residual.variance(trend[g]) } else { f64::NAN })
            .collect();
        let df = core.residual_df() + residual.df;
        let mut found = Self { crossed, slices, ln_gamma, priors: Vec::new(), residual, trend, total, df };
        found.learn(run, core, several, &usable)?;
        Ok(Ok(found))
    }

    /// Learns both priors in turn.
    fn learn(&mut self, run: &Run, core: &Core, several: &Several, usable: &[bool]) -> Result<()> {
        for _ in 0..MOST_ROUNDS {
            let blocks = run.map_ranges("moderating", core.n_genes(), BLOCK, |genes| {
                let table = self.tabulate(core, several, genes.clone());
                let mut out = [Vec::new(), Vec::new()];
                for (row, g) in table.ln_likelihood.chunks_exact(POINTS * POINTS).zip(genes) {
                    let priors = [0, 1].map(|c| self.ln_prior(c, g));
                    let [first, second] = marginals(row, &priors);
                    out[0].extend(first);
                    out[1].extend(second);
                }
                Ok(out)
            })?;
            let mut marginal = [Vec::new(), Vec::new()];
            for block in blocks {
                marginal.iter_mut().zip(block).for_each(|(all, part)| all.extend(part));
            }
            let learnt = [0, 1].map(|c| fit_prior(run, &self.ln_gamma[c], &marginal[c], &self.trend, usable));
            let learnt = learnt.into_iter().collect::<Result<Vec<Prior>>>()?;
            let distance = |a: &Prior, b: &Prior| {
                (a.coefficients[0] - b.coefficients[0]).abs().max((a.omega / b.omega).ln().abs())
            };
            let moved =
                learnt.iter().zip(&self.priors).map(|(a, b)| distance(a, b)).reduce(f64::max).unwrap_or(f64::INFINITY);
            self.priors = learnt;
            if moved < SETTLED {
                break;
            }
        }
        Ok(())
    }

    /// ln of the prior of a component at its grid points, for one gene; any offset. Flat until it is learnt.
    fn ln_prior(&self, component: usize, gene: usize) -> Vec<f64> {
        let Some(prior) = self.priors.get(component) else { return vec![0.0; POINTS] };
        let mean = prior.mean(self.trend[gene]);
        self.ln_gamma[component].iter().map(|x| -0.5 * ((x - mean) / prior.omega).powi(2)).collect()
    }

    /// Row vectors of the genes in the basis of the grid, the large and the small component.
    fn parts(&self, core: &Core, several: &Several, genes: Range<usize>) -> (Vec<f64>, Vec<f64>) {
        let q = core.q();
        let mut rows = core.z[genes.start * q..genes.end * q].to_vec();
        several.to_crossed(&self.crossed, &mut rows);
        self.crossed.parts(&rows)
    }

    /// Q and the log-likelihood of a block of genes at all pairs, genes × (γ₁, γ₂).
    fn tabulate(&self, core: &Core, several: &Several, genes: Range<usize>) -> Table {
        let n = genes.len();
        let (w, z2) = self.parts(core, several, genes.clone());
        let (q1, q2) = (w.len() / n, z2.len() / n);
        let squares: Vec<f64> = w.iter().map(|w| w * w).collect();
        let mut quadratic = vec![0.0; n * POINTS * POINTS];
        let mut ln_likelihood = vec![0.0; n * POINTS * POINTS];
        let mut v = vec![0.0; n * q2];
        let mut taken = vec![0.0; n * q2];
        let mut shrunk = vec![0.0; n * POINTS];
        for (k, slice) in self.slices.iter().enumerate() {
            product(&z2, q2, &slice.v, &mut v);
            product(&w, q1, &slice.taken, &mut taken);
            v.iter_mut().zip(&taken).for_each(|(v, t)| *v = (*v - t) * (*v - t));
            product(&v, q2, &slice.shrink, &mut shrunk);
            for (i, g) in genes.clone().enumerate() {
                let first = self.total[g] - slice.gamma * dot(&squares[i * q1..(i + 1) * q1], &slice.h);
                let at = (i * POINTS + k) * POINTS;
                for j in 0..POINTS {
                    let q = first - shrunk[i * POINTS + j];
                    quadratic[at + j] = q;
                    ln_likelihood[at + j] = -0.5 * self.df * q.ln() - slice.half_ln_det[j];
                }
            }
        }
        Table { quadratic, ln_likelihood }
    }

    /// Tests the contrast c (p numbers) for every gene.
    pub(in crate::lmm) fn test(
        &self,
        run: &Run,
        core: &Core,
        contrast: &[f64],
        alternative: Alternative,
    ) -> Result<Vec<ModeratedTest>> {
        let Structure::Several(several) = &core.structure else {
            return Ok(vec![ModeratedTest::NONE; core.n_genes()]);
        };
        let p = core.p();
        let mut hc: Vec<f64> = vec![0.0; core.q()];
        product(contrast, p, &core.shared.projection, &mut hc);
        self.crossed.enter_row(&mut hc);
        let (x1, x2) = self.crossed.parts(&hc);
        let x0: f64 = (0..p).map(|i| contrast[i] * dot(core.shared.xx_inverse.row(i), contrast)).sum();
        // For each γ₁: y = V'(x₂ - γ₁B'(h∘x₁)), and the variance of the contrast at each γ₂ over the residual variance.
        let sides: Vec<(Vec<f64>, Vec<f64>)> = self
            .slices
            .iter()
            .map(|slice| {
                let (mut y, mut taken) = (vec![0.0; x2.len()], vec![0.0; x2.len()]);
                product(&x2, x2.len(), &slice.v, &mut y);
                product(&x1, x1.len(), &slice.taken, &mut taken);
                y.iter_mut().zip(&taken).for_each(|(y, t)| *y -= t);
                let first: f64 = x0 + slice.gamma * x1.iter().zip(&slice.h).map(|(x, h)| x * x * h).sum::<f64>();
                let squares: Vec<f64> = y.iter().map(|y| y * y).collect();
                let mut spread = vec![0.0; POINTS];
                product(&squares, squares.len(), &slice.shrink, &mut spread);
                spread.iter_mut().for_each(|s| *s += first);
                (y, spread)
            })
            .collect();
        let tail = StudentT::new(self.df);
        let blocks = run.map_ranges("testing", core.n_genes(), BLOCK, |genes| {
            let table = self.tabulate(core, several, genes.clone());
            let shift = self.shifts(core, several, genes.clone(), &x1, &sides);
            let cells = POINTS * POINTS;
            Ok(genes
                .clone()
                .enumerate()
                .map(|(i, g)| {
                    if self.total[g].is_nan() {
                        return ModeratedTest::NONE;
                    }
                    let ols = dot(&core.b_ols[g * p..(g + 1) * p], contrast);
                    let ln_weights = self.ln_weights(g, &table.ln_likelihood[i * cells..(i + 1) * cells]);
                    mixture(
                        &ln_weights,
                        &table.quadratic[i * cells..(i + 1) * cells],
                        &shift[i * cells..(i + 1) * cells],
                        &sides,
                        ols,
                        &tail,
                        self.df,
                        alternative,
                    )
                })
                .collect::<Vec<_>>())
        })?;
        Ok(blocks.into_iter().flatten().collect())
    }

    /// (Hc)'Γu of a block of genes at all pairs.
    fn shifts(
        &self,
        core: &Core,
        several: &Several,
        genes: Range<usize>,
        x1: &[f64],
        sides: &[(Vec<f64>, Vec<f64>)],
    ) -> Vec<f64> {
        let n = genes.len();
        let (w, z2) = self.parts(core, several, genes);
        let (q1, q2) = (w.len() / n, z2.len() / n);
        let mut out = vec![0.0; n * POINTS * POINTS];
        let (mut v, mut taken, mut shrunk) = (vec![0.0; n * q2], vec![0.0; n * q2], vec![0.0; n * POINTS]);
        for (k, (slice, (y, _))) in self.slices.iter().zip(sides).enumerate() {
            product(&z2, q2, &slice.v, &mut v);
            product(&w, q1, &slice.taken, &mut taken);
            for (row, taken) in v.chunks_exact_mut(q2).zip(taken.chunks_exact(q2)) {
                row.iter_mut().zip(taken).zip(y).for_each(|((v, t), y)| *v = (*v - t) * y);
            }
            product(&v, q2, &slice.shrink, &mut shrunk);
            let hx: Vec<f64> = x1.iter().zip(&slice.h).map(|(x, h)| slice.gamma * x * h).collect();
            for i in 0..n {
                let first = dot(&w[i * q1..(i + 1) * q1], &hx);
                let at = (i * POINTS + k) * POINTS;
                for j in 0..POINTS {
                    out[at + j] = first + shrunk[i * POINTS + j];
                }
            }
        }
        out
    }

    /// ln of the posterior weights of one gene.
    fn ln_weights(&self, gene: usize, ln_likelihood: &[f64]) -> Vec<f64> {
        let (first, second) = (self.ln_prior(0, gene), self.ln_prior(1, gene));
        let mut out = ln_likelihood.to_vec();
        for (row, a) in out.chunks_exact_mut(POINTS).zip(&first) {
            row.iter_mut().zip(&second).for_each(|(l, b)| *l += a + b);
        }
        let total = ln_sum(&out);
        out.iter_mut().for_each(|l| *l -= total);
        out
    }

    /// A few words for people.
    pub(in crate::lmm) fn describe(&self) -> String {
        let words = |prior: &Prior| format!("{:.2e} (spread {:.2} in ln)", prior.coefficients[0].exp(), prior.omega);
        let order = self.crossed.order();
        let of = |component: usize| words(&self.priors[usize::from(order[0] != component)]);
        format!(
            "moderated over genes: variances of the two terms over the residual about {} and {}, residual prior of {:.0} df",
            of(0),
            of(1),
            self.residual.df
        )
    }
}

struct Table {
    quadratic: Vec<f64>,
    ln_likelihood: Vec<f64>,
}

/// The algebra at each γ₁.
fn slices(run: &Run, crossed: &Crossed, ln_gamma: &[Vec<f64>; 2]) -> Result<Vec<Slice>> {
    run.map_blocks("preparing", POINTS, 1, |k| {
        let gamma = ln_gamma[0][k].exp();
        let (lambda, b) = (crossed.lambda(), crossed.b());
        let h: Vec<f64> = lambda.iter().map(|l| 1.0 / (1.0 + gamma * l)).collect();
        let mut scaled = b.clone();
        for (i, h) in h.iter().enumerate() {
            scaled.row_mut(i).iter_mut().for_each(|x| *x *= gamma * h);
        }
        let mut c = Matrix::zeros(b.n_cols(), b.n_cols());
        cross_product(b.entries(), scaled.entries(), &mut c);
        c.entries_mut().iter_mut().zip(crossed.m22().entries()).for_each(|(c, m)| *c = m - *c);
        let (values, v) = symmetric_eigen(&c)?;
        let mut shrink = Matrix::zeros(values.len(), POINTS);
        let mut half_ln_det = vec![-0.5 * h.iter().map(|h| h.ln()).sum::<f64>(); POINTS];
        for (j, x) in ln_gamma[1].iter().enumerate() {
            let gamma = x.exp();
            for (i, value) in values.iter().enumerate() {
                let one = 1.0 + gamma * value.max(0.0);
                shrink[(i, j)] = gamma / one;
                half_ln_det[j] += 0.5 * one.ln();
            }
        }
        let taken = scaled.times(&v);
        Ok(Slice { gamma, h, v, taken, shrink, half_ln_det })
    })
}

/// ln Σ exp.
fn ln_sum(terms: &[f64]) -> f64 {
    let largest = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    largest + terms.iter().map(|t| (t - largest).exp()).sum::<f64>().ln()
}

/// The likelihood of each ratio with the other integrated out under its prior.
fn marginals(ln_likelihood: &[f64], ln_prior: &[Vec<f64>; 2]) -> [Vec<f64>; 2] {
    let largest = ln_likelihood.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut out = [vec![0.0; POINTS], vec![0.0; POINTS]];
    let weights = [0, 1].map(|c: usize| ln_prior[c].iter().map(|l| l.exp()).collect::<Vec<f64>>());
    for (k, row) in ln_likelihood.chunks_exact(POINTS).enumerate() {
        for (j, l) in row.iter().enumerate() {
            let x = (l - largest).exp();
            out[0][k] += x * weights[1][j];
            out[1][j] += x * weights[0][k];
        }
    }
    out.map(|sums| sums.into_iter().map(|x| (x + f64::MIN_POSITIVE).ln()).collect())
}

/// The mixture of t tests.
#[expect(clippy::too_many_arguments, reason = "one formula with many symbols")]
fn mixture(
    ln_weights: &[f64],
    quadratic: &[f64],
    shift: &[f64],
    sides: &[(Vec<f64>, Vec<f64>)],
    ols: f64,
    tail: &StudentT,
    df: f64,
    alternative: Alternative,
) -> ModeratedTest {
    let ln_tail = |t: f64| match alternative {
        Alternative::TwoSided => tail.ln_two_sided(t),
        Alternative::Less => tail.ln_lower(t),
        Alternative::Greater => tail.ln_upper(t),
    };
    let at = |i: usize| {
        let variance = quadratic[i] / df * sides[i / POINTS].1[i % POINTS];
        (ols - shift[i], variance)
    };
    let likeliest = (0..ln_weights.len()).fold(0, |a, i| if ln_weights[i] > ln_weights[a] { i } else { a });
    let t_at = |i: usize| {
        let (estimate, variance) = at(i);
        estimate / variance.sqrt()
    };
    let mut known = ln_weights[likeliest] + ln_tail(t_at(likeliest));
    let (mut precision, mut precision2, mut weighted) = (0.0, 0.0, 0.0);
    let mut terms = Vec::new();
    for (i, &ln_weight) in ln_weights.iter().enumerate() {
        if ln_weight <= known - NEGLIGIBLE {
            continue;
        }
        let (estimate, variance) = at(i);
        let r = ln_weight.exp();
        precision += r / variance;
        precision2 += r / (variance * variance);
        weighted += r * estimate / variance;
        let term = ln_weight + ln_tail(estimate / variance.sqrt());
        known = known.max(term);
        terms.push(term);
    }
    let spread_of_precision = precision2 * (1.0 + 2.0 / df) - precision * precision;
    ModeratedTest {
        estimate: weighted / precision,
        se: 1.0 / precision.sqrt(),
        df: (2.0 * precision * precision / spread_of_precision).clamp(0.0, df),
        ln_p: ln_sum(&terms).min(0.0),
    }
}
