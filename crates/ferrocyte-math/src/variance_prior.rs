//! The distribution of a log variance over genes, learnt from the likelihoods of all genes.
//!
//! Every gene `g` has a likelihood `L_gk` on a common, equally spaced grid `x_k` of a log variance. The prior is normal
//! around a quadratic trend, cut to the grid:
//!
//! ```text
//! p_gk  proportional to  exp(-(x_k - mu_g)^2 / (2 omega^2)),     mu_g = a_0 + a_1 z_g + a_2 z_g^2   (see Trend)
//! ```
//!
//! [`fit_prior`] maximises `sum_g ln sum_k p_gk exp(L_gk) - (ln omega)^2 / 2 - (a_1^2 + a_2^2) / 8`: the marginal
//! likelihood with weak priors that matter only when there are few genes. [`Prior::posterior`] then gives each gene its
//! weights over the grid, with which any quantity that depends on the variance is averaged.
//!
//! With `d = x - mu` and means under the posterior and the prior weights, value, gradient and Hessian of one gene
//! need the first four moments of `d` only, so that Newton's method ends after some eight evaluations of about
//! `20 genes * grid points` operations each.

#![allow(clippy::inline_always)]

use std::ops::Range;

use ferrocyte_base::{Fault, Result, Run};

pub use crate::residual_prior::{ResidualPrior, fit_residual_prior};
pub use crate::trend::Trend;

use crate::optimise::{Evaluation, Minimum, Stop, minimise};
use crate::wide::{self, Exponentials, Kernel};

/// Fewest genes from which a prior is learnt.
pub const MIN_GENES: usize = 20;

/// Bounds of `omega`, and of `a_1`, `a_2`.
const OMEGA: (f64, f64) = (0.15, 3.0);
const SLOPE: f64 = 4.0;

/// Starting values of `a_0`; the better end is kept.
const STARTS: [f64; 2] = [-4.0, -2.0];

/// Tight, so that rounding in the likelihoods (a study summed in shards) stays rounding in the prior.
const STOP: Stop = Stop { gradient: 1e-13, steps: 200 };

/// About as many genes show which start is the better one.
const SCREENED: usize = 500;

const SCREEN: Stop = Stop { gradient: 1e-7, steps: 200 };

/// Where the screen ends from both starts within this, it is one maximum.
const SAME: f64 = 1e-2;

/// Genes per block: the unit in which work is divided and sums are formed.
const BLOCK: usize = 512;

/// Sums of weights below this are formed again on the log scale.
const SMALLEST_SUM: f64 = 1e-250;

/// Independent sums in the inner loop.
const LANES: usize = 4;

/// A fitted prior of a log variance.
#[derive(Debug, Clone, PartialEq)]
pub struct Prior {
    /// `a_0, a_1, a_2` of the mean.
    pub coefficients: [f64; 3],
    /// The spread `omega` of the log variance around its trend.
    pub omega: f64,
    /// The range of the trend covariate over the genes used.
    pub trend: Trend,
    /// The maximum: log marginal likelihood of the genes used, with the penalties.
    pub log_posterior: f64,
    /// Genes that the prior was learnt from.
    pub n_genes: usize,
    /// Whether the optimiser met its rule.
    pub converged: bool,
    /// Whether `a_0, a_1, a_2, omega` ended at their bounds.
    pub at_bound: [bool; 4],
    /// The grid `x_k`.
    pub grid: Vec<f64>,
}

impl Prior {
    /// The prior mean `mu` of the log variance at a value of the trend covariate.
    pub fn mean(&self, trend: f64) -> f64 {
        self.trend.at(&self.coefficients, trend)
    }

    /// The posterior of one gene: fills `weights` (one per grid point, summing to 1) from its log-likelihood on the
    /// grid and its trend covariate, and returns the posterior mean of `x`.
    ///
    /// Log-likelihoods may have any common offset and may be -inf; a NaN, or -inf throughout, makes everything NaN.
    ///
    /// # Panics
    /// When the lengths differ from that of the grid: a mistake in the code, not in data.
    pub fn posterior(&self, ln_likelihood: &[f64], trend: f64, weights: &mut [f64]) -> f64 {
        let mean = self.ln_posterior(ln_likelihood, trend, weights);
        wide::widest(Exponentials(weights));
        mean
    }

    /// [`Prior::posterior`] with the logarithms of the weights, which stay numbers where the weights underflow.
    ///
    /// # Panics
    /// When the lengths differ from that of the grid: a mistake in the code, not in data.
    pub fn ln_posterior(&self, ln_likelihood: &[f64], trend: f64, ln_weights: &mut [f64]) -> f64 {
        assert!(
            ln_likelihood.len() == self.grid.len() && ln_weights.len() == self.grid.len(),
            "likelihood and weights need one entry per grid point"
        );
        let mean = self.mean(trend);
        let half_precision = 0.5 / (self.omega * self.omega);
        let mut largest = f64::NEG_INFINITY;
        let mut is_number = true;
        for ((w, &l), &x) in ln_weights.iter_mut().zip(ln_likelihood).zip(&self.grid) {
            *w = l - half_precision * (x - mean) * (x - mean);
            largest = if *w > largest { *w } else { largest };
            is_number &= !w.is_nan();
        }
        if !(largest.is_finite() && is_number) {
            ln_weights.fill(f64::NAN);
            return f64::NAN;
        }
        let (sum, weighted) = wide::widest(WeightedSums { ln_weights, largest, x: &self.grid });
        let offset = largest + sum.ln();
        ln_weights.iter_mut().for_each(|w| *w -= offset);
        weighted / sum
    }
}

/// The sums of `exp(ln_weights - largest)` and of that times `x`.
struct WeightedSums<'a> {
    ln_weights: &'a [f64],
    largest: f64,
    x: &'a [f64],
}

impl Kernel for WeightedSums<'_> {
    type Output = (f64, f64);

    #[inline(always)]
    fn run(self) -> (f64, f64) {
        let (mut sum, mut weighted) = ([0.0; LANES], [0.0; LANES]);
        let whole = self.x.len() - self.x.len() % LANES;
        for (w, x) in self.ln_weights[..whole].chunks_exact(LANES).zip(self.x[..whole].chunks_exact(LANES)) {
            for lane in 0..LANES {
                let w = wide::exp(w[lane] - self.largest);
                sum[lane] += w;
                weighted[lane] += w * x[lane];
            }
        }
        for (lane, k) in (whole..self.x.len()).enumerate() {
            let w = wide::exp(self.ln_weights[k] - self.largest);
            sum[lane] += w;
            weighted[lane] += w * self.x[k];
        }
        (total(sum), total(weighted))
    }
}

/// Learns the prior of a log variance.
///
/// * `x`: the grid, equally spaced, increasing, at least three points;
/// * `ln_likelihood`: genes by grid points, row-major; any offset per gene;
/// * `trend`: one covariate value per gene;
/// * `use_gene`: which genes to learn from (the others may have NaN rows). The range of the trend is theirs.
///
/// Fails when shapes disagree, fewer than [`MIN_GENES`] genes are used, or a used gene has a trend that is not finite,
/// a NaN or +inf likelihood, or -inf throughout. The result does not depend on the number of threads.
pub fn fit_prior(run: &Run, x: &[f64], ln_likelihood: &[f64], trend: &[f64], use_gene: &[bool]) -> Result<Prior> {
    let step = check_grid(x)?;
    check_shapes(x.len(), ln_likelihood.len(), trend.len(), use_gene.len())?;
    let genes: Vec<usize> = (0..use_gene.len()).filter(|&g| use_gene[g]).collect();
    if genes.len() < MIN_GENES {
        return Err(Fault::bad_input(format!(
            "a variance prior needs at least {MIN_GENES} genes, found {}",
            genes.len()
        ))
        .hint("fit without moderation, or lower the filter on genes"));
    }
    if let Some(&g) = genes.iter().find(|&&g| !trend[g].is_finite()) {
        return Err(Fault::bad_input(format!("the trend covariate of gene {g} (from 0) is {}", trend[g])));
    }
    let range = Trend::over(&genes.iter().map(|&g| trend[g]).collect::<Vec<f64>>())?;
    let problem = |genes: &[usize]| Problem::new(run, x, step, ln_likelihood, genes, |g| range.scaled(trend[g]));
    let (lower, upper) = (
        [x[0], -SLOPE, -SLOPE, OMEGA.0.ln()], //
        [x[x.len() - 1], SLOPE, SLOPE, OMEGA.1.ln()],
    );
    let search = |problem: &Problem<'_>, start: &[f64], stop: Stop| {
        minimise(start, &lower, &upper, stop, |p| problem.evaluate(run, p))
    };
    let whole = problem(&genes)?;
    // Where genes abound, every n-th of them walks the way from the starts, and all of them finish from there: once
    // where both starts lead to one maximum, else from both.
    let stride = genes.len() / SCREENED;
    let mut starts: Vec<Vec<f64>> = STARTS.iter().map(|&a_0| vec![a_0, 0.0, 0.0, 0.0]).collect();
    if stride > 1 {
        let few: Vec<usize> = genes.iter().copied().step_by(stride).collect();
        let screen = problem(&few)?;
        for start in &mut starts {
            *start = search(&screen, start, SCREEN)?.point;
        }
        let (first, others) = (starts[0].clone(), &starts[1..]);
        if others.iter().all(|s| s.iter().zip(&first).all(|(a, b)| (a - b).abs() <= SAME)) {
            starts.truncate(1);
        }
    }
    let mut best: Option<Minimum> = None;
    for start in &starts {
        let found = search(&whole, start, STOP)?;
        if best.as_ref().is_none_or(|b| found.value < b.value) {
            best = Some(found);
        }
    }
    let Some(best) = best else { return Err(Fault::internal("the variance prior has no starting values")) };
    let p = &best.point;
    Ok(Prior {
        coefficients: [p[0], p[1], p[2]],
        omega: p[3].exp(),
        trend: range,
        log_posterior: whole.top.iter().sum::<f64>() - best.value,
        n_genes: genes.len(),
        converged: best.converged,
        at_bound: [best.at_bound[0], best.at_bound[1], best.at_bound[2], best.at_bound[3]],
        grid: x.to_vec(),
    })
}

/// The spacing of the grid.
fn check_grid(x: &[f64]) -> Result<f64> {
    if x.len() < 3 {
        return Err(Fault::bad_input(format!("the grid needs at least 3 points, found {}", x.len())));
    }
    let step = (x[x.len() - 1] - x[0]) / (x.len() - 1) as f64;
    let is_even = |k: usize| (x[k] - (x[0] + k as f64 * step)).abs() <= 1e-9 * step;
    if !(step > 0.0 && step.is_finite() && (0..x.len()).all(is_even)) {
        return Err(Fault::bad_input("the grid must be increasing and equally spaced"));
    }
    Ok(step)
}

fn check_shapes(n_points: usize, n_likelihood: usize, n_trend: usize, n_use: usize) -> Result<()> {
    if n_trend != n_use || n_likelihood != n_use * n_points {
        return Err(Fault::bad_input(format!(
            "expected {n_use} genes by {n_points} grid points, found {n_likelihood} likelihoods and {n_trend} trend values"
        )));
    }
    Ok(())
}

/// The genes used, ready for evaluation.
struct Problem<'a> {
    x: &'a [f64],
    step: f64,
    /// Genes by grid points: `exp(L - max L)`, and the logarithms themselves.
    likelihood: Vec<f64>,
    ln_likelihood: Vec<&'a [f64]>,
    /// `max L`, per gene.
    top: Vec<f64>,
    /// The trend on [-1, 1], per gene.
    z: Vec<f64>,
}

impl<'a> Problem<'a> {
    fn new(
        run: &Run,
        x: &'a [f64],
        step: f64,
        ln_likelihood: &'a [f64],
        genes: &[usize],
        z: impl Fn(usize) -> f64,
    ) -> Result<Self> {
        let n = x.len();
        let rows: Vec<&[f64]> = genes.iter().map(|&g| &ln_likelihood[g * n..(g + 1) * n]).collect();
        let top = rows.iter().map(|row| row.iter().copied().fold(f64::NEG_INFINITY, f64::max)).collect::<Vec<f64>>();
        for ((&g, row), top) in genes.iter().zip(&rows).zip(&top) {
            if !top.is_finite() || row.iter().any(|l| l.is_nan()) {
                return Err(Fault::bad_input(format!(
                    "the log-likelihood of gene {g} (from 0) must be finite somewhere and never NaN or +inf"
                )));
            }
        }
        let mut likelihood = vec![0.0; rows.len() * n];
        run.for_each_chunk(&mut likelihood, BLOCK * n, |block, part| {
            for (out, i) in part.chunks_exact_mut(n).zip(block * BLOCK..) {
                out.iter_mut().zip(rows[i]).for_each(|(out, l)| *out = l - top[i]);
            }
            wide::widest(Exponentials(part));
        })?;
        Ok(Self { x, step, likelihood, ln_likelihood: rows, top, z: genes.iter().map(|&g| z(g)).collect() })
    }

    /// Minus the log posterior at `(a_0, a_1, a_2, ln omega)`, with gradient and Hessian.
    fn evaluate(&self, run: &Run, p: &[f64]) -> Result<Evaluation> {
        let normal = Normal::new(self.x, self.step, p[3].exp());
        let parts = run.map_quietly(self.z.len(), BLOCK, |range| {
            Ok(wide::widest(Evaluate { problem: self, genes: range, a: [p[0], p[1], p[2]], normal: &normal }))
        })?;
        let mut sums = Sums::default();
        for part in &parts {
            sums.merge(part);
        }
        Ok(sums.evaluation(p))
    }

    /// One gene's log marginal likelihood and its derivatives in `mu` and `ln omega`.
    #[inline(always)]
    fn gene(&self, i: usize, mean: f64, normal: &Normal) -> Derivatives {
        let n = self.x.len();
        let (posterior, prior) = match normal.moments(&self.likelihood[i * n..(i + 1) * n], mean) {
            Some(moments) => moments,
            // Far from the grid, or likelihood and prior hardly overlap: the same on the log scale.
            None => (
                normal.careful_moments(self.ln_likelihood[i], self.top[i], mean),
                normal.careful_moments(&vec![0.0; n], 0.0, mean),
            ),
        };
        let t = normal.precision;
        let first = (posterior.m1 - prior.m1) * t;
        let second = (posterior.m2 - prior.m2) * t;
        Derivatives {
            // The maximum of L is left out: it only adds to the size of what is minimised, and so to its rounding.
            value: posterior.ln_sum - prior.ln_sum,
            mean: first,
            omega: second,
            mean_mean: (posterior.variance() - prior.variance()) * t * t,
            mean_omega: (posterior.covariance() - prior.covariance()) * t * t - 2.0 * first,
            omega_omega: (posterior.square_variance() - prior.square_variance()) * t * t - 2.0 * second,
        }
    }
}

/// The sums over some genes, at `a_0, a_1, a_2` and the omega of `normal`.
struct Evaluate<'a> {
    problem: &'a Problem<'a>,
    genes: Range<usize>,
    a: [f64; 3],
    normal: &'a Normal<'a>,
}

impl Kernel for Evaluate<'_> {
    type Output = Sums;

    #[inline(always)]
    fn run(self) -> Sums {
        let mut sums = Sums::default();
        for i in self.genes {
            let z = self.problem.z[i];
            sums.add(z, &self.problem.gene(i, self.a[0] + z * (self.a[1] + z * self.a[2]), self.normal));
        }
        sums
    }
}

/// The weights `exp(-(x_k - mu)^2 / (2 omega^2))` for one omega and any mu.
struct Normal<'a> {
    x: &'a [f64],
    step: f64,
    precision: f64,
    /// `exp(-(j step)^2 / (2 omega^2))` for `j = -(K - 1) ..= K - 1`.
    table: Vec<f64>,
}

/// The logarithm of a sum of weights, and the means of `d, d^2, d^3, d^4` under them, `d = x - mu`.
struct Moments {
    ln_sum: f64,
    m1: f64,
    m2: f64,
    m3: f64,
    m4: f64,
}

impl Moments {
    #[inline(always)]
    fn from_sums(s: [f64; 5]) -> Self {
        Self { ln_sum: s[0].ln(), m1: s[1] / s[0], m2: s[2] / s[0], m3: s[3] / s[0], m4: s[4] / s[0] }
    }

    /// The variance of `d`.
    fn variance(&self) -> f64 {
        self.m2 - self.m1 * self.m1
    }

    /// The covariance of `d` and `d^2`.
    fn covariance(&self) -> f64 {
        self.m3 - self.m1 * self.m2
    }

    /// The variance of `d^2`.
    fn square_variance(&self) -> f64 {
        self.m4 - self.m2 * self.m2
    }
}

impl<'a> Normal<'a> {
    fn new(x: &'a [f64], step: f64, omega: f64) -> Self {
        let precision = 1.0 / (omega * omega);
        let n = x.len() as isize;
        let table = (1 - n..n)
            .map(|j| {
                let distance = j as f64 * step;
                (-0.5 * precision * distance * distance).exp()
            })
            .collect();
        Self { x, step, precision, table }
    }

    /// Moments under `likelihood * weights` and under the weights alone; `None` where the sums are not safe.
    ///
    /// With the grid point `x_c` next to `mu` and `e = mu - x_c`, the weights are
    /// `table[k - c] * exp(step * e / omega^2)^(k - c)` times a constant that both sums share: two exponentials per
    /// gene. Four interleaved sums, added up in a fixed order.
    #[inline(always)]
    fn moments(&self, likelihood: &[f64], mean: f64) -> Option<(Moments, Moments)> {
        let n = self.x.len();
        let c = ((mean - self.x[0]) / self.step).round().clamp(0.0, (n - 1) as f64);
        let offset = mean - (self.x[0] + c * self.step);
        let rate = self.step * offset * self.precision;
        // Also catches means far outside the grid, whose powers would overflow.
        if (rate * n as f64).abs() >= 300.0 || rate.is_nan() {
            return None;
        }
        let ratio = wide::exp(rate);
        let table = &self.table[n - 1 - c as usize..][..n];
        let mut power = [0.0; LANES];
        let mut distance = [0.0; LANES];
        let mut p = wide::exp(-rate * c);
        for lane in 0..LANES {
            power[lane] = p;
            distance[lane] = (lane as f64 - c) * self.step - offset;
            p *= ratio;
        }
        let jump = (ratio * ratio) * (ratio * ratio);
        let stride = LANES as f64 * self.step;
        let mut prior = [[0.0; LANES]; 5];
        let mut posterior = [[0.0; LANES]; 5];
        let whole = n - n % LANES;
        for (t, e) in table[..whole].chunks_exact(LANES).zip(likelihood[..whole].chunks_exact(LANES)) {
            let mut term = [0.0; LANES];
            for lane in 0..LANES {
                term[lane] = t[lane] * power[lane];
                power[lane] *= jump;
            }
            // Lanes innermost: they are one register.
            for j in 0..5 {
                for lane in 0..LANES {
                    prior[j][lane] += term[lane];
                    posterior[j][lane] += term[lane] * e[lane];
                    term[lane] *= distance[lane];
                }
            }
            for lane in 0..LANES {
                distance[lane] += stride;
            }
        }
        for (lane, k) in (whole..n).enumerate() {
            let mut term = table[k] * power[lane];
            for j in 0..5 {
                prior[j][lane] += term;
                posterior[j][lane] += term * likelihood[k];
                term *= distance[lane];
            }
        }
        let (prior, posterior) = (prior.map(total), posterior.map(total));
        if prior[0] < SMALLEST_SUM || posterior[0] < SMALLEST_SUM {
            return None;
        }
        Some((Moments::from_sums(posterior), Moments::from_sums(prior)))
    }

    /// Moments under `exp(ln_likelihood - top) * weights` with the largest term taken out first. The constant that
    /// [`Normal::moments`] drops is here, in both sums or in neither.
    #[cold]
    fn careful_moments(&self, ln_likelihood: &[f64], top: f64, mean: f64) -> Moments {
        let term = |k: usize| {
            let d = self.x[k] - mean;
            (ln_likelihood[k] - top) - 0.5 * self.precision * d * d
        };
        let largest = (0..self.x.len()).map(term).fold(f64::NEG_INFINITY, f64::max);
        let mut sums = [0.0; 5];
        for k in 0..self.x.len() {
            let d = self.x[k] - mean;
            let mut w = (term(k) - largest).exp();
            for s in &mut sums {
                *s += w;
                w *= d;
            }
        }
        let mut moments = Moments::from_sums(sums);
        moments.ln_sum += largest;
        moments
    }
}

#[inline(always)]
fn total(lanes: [f64; LANES]) -> f64 {
    (lanes[0] + lanes[1]) + (lanes[2] + lanes[3])
}

/// One gene's value, and its first and second derivatives in `mu` and `ln omega`.
struct Derivatives {
    value: f64,
    mean: f64,
    omega: f64,
    mean_mean: f64,
    mean_omega: f64,
    omega_omega: f64,
}

/// Sums of derivatives over genes, with the powers of `z` that the chain rule to `a_0, a_1, a_2` needs.
#[derive(Default)]
struct Sums {
    value: f64,
    omega: f64,
    omega_omega: f64,
    mean: [f64; 3],
    mean_omega: [f64; 3],
    mean_mean: [f64; 5],
}

impl Sums {
    #[inline(always)]
    fn add(&mut self, z: f64, gene: &Derivatives) {
        self.value += gene.value;
        self.omega += gene.omega;
        self.omega_omega += gene.omega_omega;
        let mut power = 1.0;
        for j in 0..5 {
            if j < 3 {
                self.mean[j] += gene.mean * power;
                self.mean_omega[j] += gene.mean_omega * power;
            }
            self.mean_mean[j] += gene.mean_mean * power;
            power *= z;
        }
    }

    fn merge(&mut self, other: &Self) {
        self.value += other.value;
        self.omega += other.omega;
        self.omega_omega += other.omega_omega;
        (0..3).for_each(|j| self.mean[j] += other.mean[j]);
        (0..3).for_each(|j| self.mean_omega[j] += other.mean_omega[j]);
        (0..5).for_each(|j| self.mean_mean[j] += other.mean_mean[j]);
    }

    /// Minus the log posterior: penalties in, signs turned.
    fn evaluation(&self, p: &[f64]) -> Evaluation {
        let penalty = 0.5 * p[3] * p[3] + 0.125 * (p[1] * p[1] + p[2] * p[2]);
        let gradient =
            vec![-self.mean[0], -self.mean[1] + 0.25 * p[1], -self.mean[2] + 0.25 * p[2], -self.omega + p[3]];
        let mut hessian = vec![0.0; 16];
        for i in 0..3 {
            for j in 0..3 {
                hessian[i * 4 + j] = -self.mean_mean[i + j];
            }
            hessian[i * 4 + 3] = -self.mean_omega[i];
            hessian[12 + i] = -self.mean_omega[i];
        }
        hessian[5] += 0.25;
        hessian[10] += 0.25;
        hessian[15] = 1.0 - self.omega_omega;
        Evaluation { value: penalty - self.value, gradient, hessian: Some(hessian) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    /// Genes with scaled chi-squared mean squares on `df` degrees of freedom, whose log variance follows the prior.
    fn simulated(n_genes: usize, df: f64) -> Result<(Vec<f64>, Vec<f64>, Vec<f64>)> {
        let x: Vec<f64> = (0..79).map(|k| -9.5 + k as f64 / 6.0).collect();
        let (mut likelihood, mut trend) = (Vec::new(), Vec::new());
        for g in 0..n_genes {
            let mut s = Stream::new(1, g as u64);
            let t = s.uniform();
            let ln_variance = -4.0 + 1.0 * (2.0 * t - 1.0) + 0.8 * s.normal();
            let mean_square = ln_variance.exp() * s.gamma(0.5 * df, 2.0 / df)?;
            likelihood.extend(x.iter().map(|x| -0.5 * df * (x + mean_square * (-x).exp())));
            trend.push(t);
        }
        Ok((x, likelihood, trend))
    }

    #[test]
    fn recovers_what_was_simulated_with_the_same_bits_on_any_threads() -> Result<()> {
        let (x, likelihood, trend) = simulated(3000, 4.0)?;
        let prior = fit_prior(&Run::new().threads(1), &x, &likelihood, &trend, &[true; 3000])?;
        assert!(prior.converged && prior.at_bound == [false; 4], "{prior:?}");
        let expected = [-4.0, 1.0, 0.0];
        assert!(prior.coefficients.iter().zip(expected).all(|(a, e)| (a - e).abs() < 0.1), "{prior:?}");
        assert!((prior.omega - 0.8).abs() < 0.05, "{prior:?}");
        assert_eq!(prior, fit_prior(&Run::new().threads(3), &x, &likelihood, &trend, &[true; 3000])?);
        Ok(())
    }

    #[test]
    fn derivatives_are_those_of_the_value() -> Result<()> {
        let (x, likelihood, trend) = simulated(40, 3.0)?;
        let run = Run::new().threads(1);
        let genes: Vec<usize> = (0..40).collect();
        let problem = Problem::new(&run, &x, 1.0 / 6.0, &likelihood, &genes, |g| 2.0 * trend[g] - 1.0)?;
        // Inside the grid; narrow; far outside of it, where sums are formed on the log scale.
        for p in [[-3.7, 0.4, -0.2, -0.3], [-5.0, 2.0, 1.0, -1.8], [3.4, 4.0, 3.0, -1.5]] {
            let here = problem.evaluate(&run, &p)?;
            let hessian = here.hessian.clone().unwrap_or_default();
            for i in 0..4 {
                let h = 1e-5;
                let (mut up, mut down) = (p, p);
                up[i] += h;
                down[i] -= h;
                let (up, down) = (problem.evaluate(&run, &up)?, problem.evaluate(&run, &down)?);
                let slope = (up.value - down.value) / (2.0 * h);
                assert!((slope - here.gradient[i]).abs() < 1e-6 * slope.abs().max(1.0), "{p:?} {i}");
                for j in 0..4 {
                    let bend = (up.gradient[j] - down.gradient[j]) / (2.0 * h);
                    assert!((bend - hessian[i * 4 + j]).abs() < 1e-5 * bend.abs().max(10.0), "{p:?} {i} {j}");
                }
            }
        }
        Ok(())
    }

    #[test]
    fn fast_and_careful_sums_agree() {
        let x: Vec<f64> = (0..79).map(|k| -9.5 + k as f64 / 6.0).collect();
        let ln_likelihood: Vec<f64> = x.iter().map(|x| -2.0 * (x + 5.0) * (x + 5.0)).collect();
        let likelihood: Vec<f64> = ln_likelihood.iter().map(|l| l.exp()).collect();
        let flat = vec![0.0; 79];
        for omega in [0.15, 0.4, 1.0, 3.0] {
            let normal = Normal::new(&x, 1.0 / 6.0, omega);
            for mean in [-9.4, -5.05, 0.0, 3.4] {
                let Some((posterior, prior)) = normal.moments(&likelihood, mean) else { continue };
                let (p, q) =
                    (normal.careful_moments(&ln_likelihood, 0.0, mean), normal.careful_moments(&flat, 0.0, mean));
                let (fast, careful) = (posterior.ln_sum - prior.ln_sum, p.ln_sum - q.ln_sum);
                assert!((fast - careful).abs() < 1e-12 * careful.abs().max(1.0), "{omega} {mean}: {fast} {careful}");
                assert!((posterior.m4 - p.m4).abs() < 1e-11 * p.m4 && (prior.m4 - q.m4).abs() < 1e-11 * q.m4);
            }
        }
    }

    #[test]
    fn posterior_weights() -> Result<()> {
        let (x, likelihood, trend) = simulated(100, 2.0)?;
        let prior = fit_prior(&Run::new(), &x, &likelihood, &trend, &[true; 100])?;
        let mut weights = vec![0.0; 79];
        let mean = prior.posterior(&likelihood[..79], trend[0], &mut weights);
        assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-14 && mean > x[0] && mean < x[78]);
        let shifted: Vec<f64> = likelihood[..79].iter().map(|l| l + 1e5).collect();
        assert!((prior.posterior(&shifted, trend[0], &mut weights) - mean).abs() < 1e-9);
        let known = prior.posterior(&[0.0; 79], 0.5, &mut weights);
        assert!((known - prior.mean(0.5)).abs() < 0.05);
        assert!(prior.posterior(&[f64::NAN; 79], 0.5, &mut weights).is_nan() && weights[0].is_nan());
        assert!(prior.posterior(&[f64::NEG_INFINITY; 79], 0.5, &mut weights).is_nan());
        Ok(())
    }

    #[test]
    fn unused_genes_and_bad_input() -> Result<()> {
        let (x, mut likelihood, mut trend) = simulated(60, 4.0)?;
        let run = Run::new();
        let all = fit_prior(&run, &x, &likelihood, &trend, &[true; 60])?;
        likelihood.extend([f64::NAN; 79]);
        trend.push(f64::NAN);
        let mut use_gene = vec![true; 61];
        assert!(fit_prior(&run, &x, &likelihood, &trend, &use_gene).is_err_and(|f| f.to_string().contains("gene 60")));
        use_gene[60] = false;
        assert_eq!(all, fit_prior(&run, &x, &likelihood, &trend, &use_gene)?);
        assert!(fit_prior(&run, &x, &likelihood, &trend[..60], &use_gene).is_err());
        assert!(fit_prior(&run, &[0.0, 1.0, 3.0], &[0.0; 60], &[0.0; 20], &[true; 20]).is_err());
        let few = fit_prior(&run, &x, &likelihood[..19 * 79], &trend[..19], &[true; 19]);
        assert!(few.is_err_and(|f| f.to_string().contains("found 19")));
        Ok(())
    }
}
