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

use ferrocyte_base::{Result, Run};
use ferrocyte_math::linalg::{Matrix, cross_product, dot, product, symmetric_eigen};
use ferrocyte_math::student_t::StudentT;
use ferrocyte_math::variance_prior::{Prior, ResidualPrior, fit_prior};

use super::Several;
use super::crossed::Crossed;
use crate::lmm::core::{Core, Structure};
use crate::lmm::moderated::Evidence;
use crate::lmm::one::{ModeratedTest, Priors};
use crate::lmm::options::Alternative;
use crate::lmm::status::Outcome;
use crate::lmm::sums::GroupSums;

/// Terms of a mixture smaller than the largest by this much (in ln) are not looked at.
const NEGLIGIBLE: f64 = 25.0;

const POINTS: usize = 79;
const GRID_START: f64 = -9.5;
const GRID_STEP: f64 = 1.0 / 6.0;

/// Likelihoods smaller than the largest by this much (in ln) are below the last digit of a sum.
const LOST: f64 = 45.0;

/// Genes of a block.
const BLOCK: usize = 32;

/// About as many genes settle the priors, before all of them are asked.
const SCREENED: usize = 2000;

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
    /// Posterior means of ln γ, by component in the order of the grid; NaN for genes that taught nothing.
    means: [Vec<f64>; 2],
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
        let m = core.n_genes();
        let e0: Vec<f64> = (0..m).map(|g| core.rss[g] - several.explained(core.z_of(g))).collect();
        let Evidence { trend, usable, residual } =
            match Evidence::gather(core, sums, outcomes, counts, several.rank(), &e0)? {
                Ok(evidence) => evidence,
                Err(reason) => return Ok(Err(reason)),
            };
        let crossed = several.as_crossed(&core.shared)?;
        let ln_gamma = crossed.largest_eigenvalues().map(|largest| {
            let start = if largest > 1e4 { -largest.ln() - 1.0 } else { GRID_START };
            (0..POINTS).map(|k| start + GRID_STEP * k as f64).collect::<Vec<f64>>()
        });
        let slices = slices(run, &crossed, &ln_gamma)?;
        let known = |g: usize| {
            !matches!(outcomes[g], Outcome::AllZero | Outcome::FewCells | Outcome::ConstantGivenX)
                && trend[g].is_finite()
        };
        let total = (0..m)
            .map(|g| if known(g) { core.rss[g] + residual.df * residual.variance(trend[g]) } else { f64::NAN })
            .collect();
        let df = core.residual_df() + residual.df;
        let mut found = Self {
            crossed,
            slices,
            ln_gamma,
            priors: Vec::new(),
            residual,
            trend,
            total,
            df,
            means: [Vec::new(), Vec::new()],
        };
        found.learn(run, core, several, &usable)?;
        Ok(Ok(found))
    }

    /// Learns both priors in turn: on some of the genes until they settle, then once more on all of them.
    fn learn(&mut self, run: &Run, core: &Core, several: &Several, usable: &[bool]) -> Result<()> {
        let all: Vec<usize> = (0..usable.len()).filter(|&g| usable[g]).collect();
        let stride = all.len().div_ceil(SCREENED);
        let some: Vec<usize> = all.iter().copied().step_by(stride).collect();
        for _ in 0..MOST_ROUNDS {
            let before = self.priors.clone();
            self.learn_once(run, core, several, &some)?;
            let distance = |a: &Prior, b: &Prior| {
                (a.coefficients[0] - b.coefficients[0]).abs().max((a.omega / b.omega).ln().abs())
            };
            if self
                .priors
                .iter()
                .zip(&before)
                .map(|(a, b)| distance(a, b))
                .reduce(f64::max)
                .is_some_and(|d| d < SETTLED)
            {
                break;
            }
        }
        let marginal = self.learn_once(run, core, several, &all)?;
        for (c, marginal) in marginal.iter().enumerate() {
            let mut means = vec![f64::NAN; usable.len()];
            for (&g, row) in all.iter().zip(marginal.chunks_exact(POINTS)) {
                let ln_weights: Vec<f64> = row.iter().zip(self.ln_prior(c, g)).map(|(l, p)| l + p).collect();
                let total = ln_sum(&ln_weights);
                means[g] = ln_weights.iter().zip(&self.ln_gamma[c]).map(|(l, x)| (l - total).exp() * x).sum();
            }
            self.means[c] = means;
        }
        Ok(())
    }

    /// Both priors from some genes, and the likelihoods they were learnt from: of each ratio (genes × grid), the other
    /// one integrated out under its prior so far.
    fn learn_once(&mut self, run: &Run, core: &Core, several: &Several, genes: &[usize]) -> Result<[Vec<f64>; 2]> {
        let blocks = run.map_ranges("moderating", genes.len(), BLOCK, |range| {
            let genes = &genes[range];
            let table = self.tabulate(core, several, genes);
            let mut out = [Vec::new(), Vec::new()];
            for (row, &g) in table.ln_likelihood.chunks_exact(POINTS * POINTS).zip(genes) {
                let found = marginals(row, &[0, 1].map(|c| self.ln_prior(c, g)));
                out.iter_mut().zip(found).for_each(|(out, row)| out.extend(row));
            }
            Ok(out)
        })?;
        let mut marginal = [0, 1].map(|_| Vec::with_capacity(genes.len() * POINTS));
        for block in blocks {
            marginal.iter_mut().zip(block).for_each(|(all, part)| all.extend(part));
        }
        let trend: Vec<f64> = genes.iter().map(|&g| self.trend[g]).collect();
        let every = vec![true; genes.len()];
        let learnt = [0, 1].map(|c| fit_prior(run, &self.ln_gamma[c], &marginal[c], &trend, &every));
        self.priors = learnt.into_iter().collect::<Result<Vec<Prior>>>()?;
        Ok(marginal)
    }

    /// ln of the prior of a component at its grid points, for one gene; any offset. Flat until it is learnt.
    fn ln_prior(&self, component: usize, gene: usize) -> Vec<f64> {
        let Some(prior) = self.priors.get(component) else { return vec![0.0; POINTS] };
        let mean = prior.mean(self.trend[gene]);
        self.ln_gamma[component].iter().map(|x| -0.5 * ((x - mean) / prior.omega).powi(2)).collect()
    }

    /// Row vectors of the genes in the basis of the grid, the large and the small component.
    fn parts(&self, core: &Core, several: &Several, genes: &[usize]) -> (Vec<f64>, Vec<f64>) {
        let mut rows: Vec<f64> = genes.iter().flat_map(|&g| core.z_of(g)).copied().collect();
        several.to_crossed(&self.crossed, &mut rows);
        self.crossed.parts(&rows)
    }

    /// Q and the log-likelihood of a block of genes at all pairs, genes × (γ₁, γ₂).
    fn tabulate(&self, core: &Core, several: &Several, genes: &[usize]) -> Table {
        let n = genes.len();
        let (w, z2) = self.parts(core, several, genes);
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
            for (i, &g) in genes.iter().enumerate() {
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
        let sides: Vec<Side> = self
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
                Side { y, spread }
            })
            .collect();
        let tail = StudentT::new(self.df);
        let blocks = run.map_ranges("testing", core.n_genes(), BLOCK, |genes| {
            let genes: Vec<usize> = genes.collect();
            let table = self.tabulate(core, several, &genes);
            let shift = self.shifts(core, several, &genes, &x1, &sides);
            let cells = POINTS * POINTS;
            Ok(genes
                .iter()
                .enumerate()
                .map(|(i, &g)| {
                    if self.total[g].is_nan() {
                        return ModeratedTest::NONE;
                    }
                    let ols = dot(&core.b_ols[g * p..(g + 1) * p], contrast);
                    let ln_weights = self.ln_weights(g, &table.ln_likelihood[i * cells..(i + 1) * cells]);
                    let posterior = Posterior {
                        ln_weights: &ln_weights,
                        quadratic: &table.quadratic[i * cells..(i + 1) * cells],
                        shift: &shift[i * cells..(i + 1) * cells],
                        ols,
                    };
                    posterior.test(&sides, &tail, self.df, alternative)
                })
                .collect::<Vec<_>>())
        })?;
        Ok(blocks.into_iter().flatten().collect())
    }

    /// (Hc)'Γu of a block of genes at all pairs.
    fn shifts(&self, core: &Core, several: &Several, genes: &[usize], x1: &[f64], sides: &[Side]) -> Vec<f64> {
        let n = genes.len();
        let (w, z2) = self.parts(core, several, genes);
        let (q1, q2) = (w.len() / n, z2.len() / n);
        let mut out = vec![0.0; n * POINTS * POINTS];
        let (mut v, mut taken, mut shrunk) = (vec![0.0; n * q2], vec![0.0; n * q2], vec![0.0; n * POINTS]);
        for (k, (slice, Side { y, .. })) in self.slices.iter().zip(sides).enumerate() {
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

    /// The place in the grid of each component of the model.
    fn places(&self) -> [usize; 2] {
        if self.crossed.order() == [0, 1] { [0, 1] } else { [1, 0] }
    }

    /// A few words for people.
    pub(in crate::lmm) fn describe(&self) -> String {
        let words = |prior: &Prior| format!("{:.2e} (spread {:.2} in ln)", prior.coefficients[0].exp(), prior.omega);
        let [first, second] = self.places().map(|place| words(&self.priors[place]));
        format!(
            "moderated over genes: variances of the two terms over the residual about {first} and {second}, residual \
             prior of {:.0} df",
            self.residual.df
        )
    }

    /// What was learnt of each component, in the order of the model.
    pub(in crate::lmm) fn priors(&self) -> Vec<Priors> {
        let of = |place: usize| Priors {
            trend: self.trend.clone(),
            ln_gamma: self.means[place].clone(),
            ln_gamma_prior: self.trend.iter().map(|&t| self.priors[place].mean(t)).collect(),
            residual_variance: self.trend.iter().map(|&t| self.residual.variance(t)).collect(),
            coefficients: self.priors[place].coefficients,
            omega: self.priors[place].omega,
            residual_df: self.residual.df,
        };
        self.places().map(of).into()
    }
}

/// Numbers of genes at all pairs.
struct Table {
    quadratic: Vec<f64>,
    ln_likelihood: Vec<f64>,
}

/// What a contrast needs at one value of γ₁.
struct Side {
    /// V'(x₂ - γ₁B'(h∘x₁)) for x = Hc.
    y: Vec<f64>,
    /// Its variance over the residual variance, at each γ₂.
    spread: Vec<f64>,
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
        for (j, l) in row.iter().enumerate().filter(|(_, l)| **l > largest - LOST) {
            let x = (l - largest).exp();
            out[0][k] += x * weights[1][j];
            out[1][j] += x * weights[0][k];
        }
    }
    out.map(|sums| sums.into_iter().map(|x| (x + f64::MIN_POSITIVE).ln()).collect())
}

/// What a test needs of one gene: a number per pair, and the contrast by ordinary least squares.
struct Posterior<'a> {
    ln_weights: &'a [f64],
    quadratic: &'a [f64],
    shift: &'a [f64],
    ols: f64,
}

impl Posterior<'_> {
    /// Estimate and variance at one pair.
    fn at(&self, pair: usize, sides: &[Side], df: f64) -> (f64, f64) {
        let spread = sides[pair / POINTS].spread[pair % POINTS];
        (self.ols - self.shift[pair], self.quadratic[pair] / df * spread)
    }

    /// The mixture of the t tests at all pairs.
    fn test(&self, sides: &[Side], tail: &StudentT, df: f64, alternative: Alternative) -> ModeratedTest {
        let ln_tail = |(estimate, variance): (f64, f64)| {
            let t = estimate / variance.sqrt();
            match alternative {
                Alternative::TwoSided => tail.ln_two_sided(t),
                Alternative::Less => tail.ln_lower(t),
                Alternative::Greater => tail.ln_upper(t),
            }
        };
        let heavier = |a: usize, i: usize| if self.ln_weights[i] > self.ln_weights[a] { i } else { a };
        let likeliest = (0..self.ln_weights.len()).fold(0, heavier);
        // A tail is at most one: pairs whose weight alone is far below what is known already add nothing.
        let mut known = self.ln_weights[likeliest] + ln_tail(self.at(likeliest, sides, df));
        let (mut precision, mut precision2, mut weighted) = (0.0, 0.0, 0.0);
        let mut terms = Vec::new();
        for (i, &ln_weight) in self.ln_weights.iter().enumerate() {
            if ln_weight <= known - NEGLIGIBLE {
                continue;
            }
            let (estimate, variance) = self.at(i, sides, df);
            let r = ln_weight.exp() / variance;
            precision += r;
            precision2 += r / variance;
            weighted += r * estimate;
            let term = ln_weight + ln_tail((estimate, variance));
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
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use ferrocyte_math::random::Stream;

    use super::super::tests::Design;
    use super::super::{Gene, Likelihood};
    use super::*;
    use crate::lmm::options::Method;

    #[test]
    fn the_grid_holds_what_the_likelihood_says_at_each_pair() {
        let run = Run::new().threads(1);
        let mut stream = Stream::new(31, 0);
        for design in [Design::crossed(150, &[4, 12], 3, 6), Design::nested(150, 7, 3, 7), Design::slopes(160, 9, 5, 8)]
        {
            let shared = design.reduce();
            let several = Several::new(&shared, Method::Reml).unwrap();
            let crossed = several.as_crossed(&shared).unwrap();
            let ln_gamma = [0, 1].map(|_| (0..POINTS).map(|k| GRID_START + GRID_STEP * k as f64).collect::<Vec<f64>>());
            let slices = slices(&run, &crossed, &ln_gamma).unwrap();
            let (z, rss) = design.gene(&shared, &[0.4, 0.3], &mut stream);
            let (mut own, mut row) = (z.clone(), z.clone());
            several.enter(&mut own);
            crossed.enter_row(&mut row);
            let (w, z2) = crossed.parts(&row);
            let order = crossed.order();
            let mut likelihood = Likelihood::new(&several);
            for (k, j) in [(0, 0), (20, 60), (60, 20), (40, 40), (78, 78)] {
                let slice = &slices[k];
                let mut theta = vec![0.0, 0.0, 1.0];
                theta[order[0]] = ln_gamma[0][k].exp();
                theta[order[1]] = ln_gamma[1][j].exp();
                let point = likelihood.evaluate(&theta, Gene { z: &own, rss }).unwrap();
                let (mut v, mut taken) = (vec![0.0; z2.len()], vec![0.0; z2.len()]);
                product(&z2, z2.len(), &slice.v, &mut v);
                product(&w, w.len(), &slice.taken, &mut taken);
                let small: f64 =
                    v.iter().zip(&taken).enumerate().map(|(i, (v, t))| (v - t).powi(2) * slice.shrink[(i, j)]).sum();
                let large: f64 = slice.gamma * w.iter().zip(&slice.h).map(|(w, h)| w * w * h).sum::<f64>();
                assert!((rss - large - small - point.quadratic).abs() < 1e-9 * rss);
                assert!((2.0 * slice.half_ln_det[j] - point.ln_det).abs() < 1e-9 * (1.0 + point.ln_det.abs()));
            }
        }
    }

    #[test]
    fn marginals_are_sums_over_the_other_ratio() {
        let table: Vec<f64> = (0..POINTS * POINTS).map(|i| -((i % 97) as f64) / 50.0).collect();
        let prior = [0.3, -0.2].map(|slope| (0..POINTS).map(|k| slope * k as f64 / 79.0).collect::<Vec<f64>>());
        let [first, second] = marginals(&table, &prior);
        let all: Vec<f64> =
            (0..POINTS * POINTS).map(|i| table[i] + prior[0][i / POINTS] + prior[1][i % POINTS]).collect();
        for (marginal, prior) in [(first, &prior[0]), (second, &prior[1])] {
            let terms: Vec<f64> = marginal.iter().zip(prior).map(|(l, p)| l + p).collect();
            // Both are the same total, up to the offset of the largest likelihood, which is zero here.
            assert!((ln_sum(&terms) - ln_sum(&all)).abs() < 1e-12);
        }
    }
}
