//! The marginal log-likelihood of a gene: the effects of donors integrated out, with gradient and information.
//!
//! Each donor has the integral of `exp(l(w) + ln g(w))`, a log-concave function of w. Its mode is found by Newton's method;
//! adaptive Gauss-Hermite quadrature around it gives the integral, and with the posterior weights of the nodes the
//! derivatives, by the identities of Fisher and Louis:
//!
//! ```text
//! gradient = sum_i E[S],     Hessian = sum_i E[dS] + Var[S],     S, dS: derivatives at a known w
//! ```
//!
//! Parameters are the coefficients, ln tau and ln s2, in this order. tau = 0 (Poisson) and s2 = 0 (no donor effect) are
//! faces on which their derivatives are zero.

#![allow(clippy::inline_always)]

use ferrocyte_math::linalg::{Matrix, dot};
use ferrocyte_math::quadrature::gauss_hermite;
use ferrocyte_math::wide::{self, Kernel};

use crate::nbmm::effect::EffectLaw;
use crate::nbmm::gamma_poisson::Closed;
use crate::nbmm::layout::{Counts, Layout};
use crate::nbmm::options::Effect;
use crate::nbmm::sweep::{LANES, Lanes, OfDonor, OfStratum, Points, slope, sweep};
use crate::nbmm::tails::TailSums;

/// Newton's method for the mode of a donor ends with a step below this.
const MODE_STEP: f64 = 1e-6;

/// Its longest step, and the most steps.
const LONGEST: f64 = 2.0;
const MOST_STEPS: usize = 60;

/// A quadrature rule, filled up to whole lanes with nodes of no weight.
#[derive(Debug, Clone)]
pub(in crate::nbmm) struct Rule {
    nodes: Vec<f64>,
    ln_weights: Vec<f64>,
}

impl Rule {
    pub(in crate::nbmm) fn new(n: usize) -> Self {
        let (mut nodes, mut ln_weights): (Vec<f64>, Vec<f64>) = gauss_hermite(n).into_iter().unzip();
        let padded = n.next_multiple_of(LANES);
        nodes.resize(padded, 0.0);
        ln_weights.resize(padded, f64::NEG_INFINITY);
        Self { nodes, ln_weights }
    }
}

/// Where the likelihood is looked at.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::nbmm) struct Place {
    pub(in crate::nbmm) coefficients: Vec<f64>,
    pub(in crate::nbmm) tau: f64,
    pub(in crate::nbmm) s2: f64,
}

/// The likelihood there.
#[derive(Debug, Clone)]
pub(in crate::nbmm) struct Outlook {
    /// Log-likelihood, with all constants.
    pub(in crate::nbmm) value: f64,
    /// In coefficients, ln tau, ln s2.
    pub(in crate::nbmm) gradient: Vec<f64>,
    /// Minus the matrix of second derivatives.
    pub(in crate::nbmm) information: Matrix,
    /// Posterior mean of w of each donor.
    pub(in crate::nbmm) effects: Vec<f64>,
}

/// Memory of an evaluation, and the modes of the last one, from which the next begins.
#[derive(Debug, Clone, Default)]
pub(in crate::nbmm) struct Scratch {
    modes: Vec<f64>,
    eta: Vec<f64>,
    strata: Vec<OfStratum>,
    scores: Vec<f64>,
    weights: Vec<f64>,
    mean_score: Vec<f64>,
    seconds: Vec<[f64; 2]>,
}

/// The likelihood of a gene.
#[derive(Debug, Clone, Copy)]
pub(in crate::nbmm) struct Marginal<'a> {
    pub(in crate::nbmm) layout: &'a Layout,
    pub(in crate::nbmm) exposures: &'a [f64],
    pub(in crate::nbmm) counts: &'a Counts,
    pub(in crate::nbmm) effect: Effect,
}

impl Marginal<'_> {
    /// Value, gradient and information at a place; `in_tau`: also in ln tau, else those entries are zero.
    pub(in crate::nbmm) fn look(&self, at: &Place, rule: &Rule, in_tau: bool, scratch: &mut Scratch) -> Outlook {
        let tails = self.counts.tails.at(at.tau);
        if in_tau && at.tau > 0.0 {
            wide::widest(Look::<true> { marginal: *self, at, rule, scratch, tails })
        } else {
            wide::widest(Look::<false> { marginal: *self, at, rule, scratch, tails })
        }
    }

    #[inline(always)]
    fn points(&self, stratum: usize) -> Points<'_> {
        let ends = self.layout.points[stratum]..self.layout.points[stratum + 1];
        Points {
            offsets: &self.layout.offsets[ends.clone()],
            cells: &self.layout.cells[ends.clone()],
            counts: &self.counts.points[ends],
            exposure: self.exposures[stratum],
            total: self.counts.strata[stratum],
        }
    }
}

struct Look<'a, 'b, const D: bool> {
    marginal: Marginal<'a>,
    at: &'b Place,
    rule: &'b Rule,
    scratch: &'b mut Scratch,
    tails: TailSums,
}

impl<const D: bool> Kernel for Look<'_, '_, D> {
    type Output = Outlook;

    #[inline(always)]
    fn run(self) -> Outlook {
        let Self { marginal, at, rule, scratch, tails } = self;
        let (layout, p) = (marginal.layout, marginal.layout.n_fixed());
        let width = p + 2;
        let mut out = Outlook {
            value: marginal.counts.constant + tails.value,
            gradient: vec![0.0; width],
            information: Matrix::zeros(width, width),
            effects: vec![0.0; layout.n_donors()],
        };
        if D {
            out.gradient[p] = tails.first;
            out.information[(p, p)] = -tails.second;
        }
        scratch.modes.resize(layout.n_donors(), 0.0);
        scratch.eta.clear();
        for c in 0..layout.n_strata() {
            scratch.eta.push(dot(layout.x.row(c), &at.coefficients));
        }
        let law = (at.s2 > 0.0).then(|| EffectLaw::new(marginal.effect, at.s2));
        for donor in 0..layout.n_donors() {
            let strata = layout.donors[donor]..layout.donors[donor + 1];
            if strata.is_empty() {
                continue;
            }
            match &law {
                Some(law) if at.tau == 0.0 && law.kind == Effect::Gamma => {
                    in_closed_form(&marginal, (at, law), strata, scratch, donor, &mut out);
                }
                Some(law) => {
                    let (mode, curvature) = find_mode(&marginal, at.tau, law, strata.clone(), scratch, donor);
                    let spread = (2.0 / curvature).sqrt();
                    integrate::<D>(&marginal, (at, law, rule), strata, (mode, spread), scratch, donor, &mut out);
                }
                None => without_effect::<D>(&marginal, at, strata, scratch, &mut out),
            }
        }
        for i in 0..width {
            for j in 0..i {
                out.information[(j, i)] = out.information[(i, j)];
            }
        }
        out
    }
}

/// The mode of a donor's integrand and minus its second derivative there.
#[inline(always)]
fn find_mode(
    marginal: &Marginal<'_>,
    tau: f64,
    law: &EffectLaw,
    strata: std::ops::Range<usize>,
    scratch: &mut Scratch,
    donor: usize,
) -> (f64, f64) {
    let mut w = scratch.modes[donor];
    if !w.is_finite() {
        w = 0.0;
    }
    let mut curvature = 1.0;
    for _ in 0..MOST_STEPS {
        let density = law.density(w);
        let mut gradient = density.slope;
        curvature = density.curvature;
        for c in strata.clone() {
            let (first, second) = slope(marginal.points(c), tau, scratch.eta[c] + w);
            gradient += first;
            curvature += second;
        }
        let step = (gradient / curvature).clamp(-LONGEST, LONGEST);
        w += step;
        if !(step.abs() >= MODE_STEP) {
            break;
        }
    }
    scratch.modes[donor] = w;
    (w, curvature)
}

/// Adds what a donor without an effect gives: counts at w = 0.
#[inline(always)]
fn without_effect<const D: bool>(
    marginal: &Marginal<'_>,
    at: &Place,
    strata: std::ops::Range<usize>,
    scratch: &Scratch,
    out: &mut Outlook,
) {
    let p = at.coefficients.len();
    let mut sums = OfDonor::default();
    for c in strata {
        let of = sweep::<D>(marginal.points(c), at.tau, &[scratch.eta[c]; LANES], &mut sums);
        let x = marginal.layout.x.row(c);
        for i in 0..p {
            out.gradient[i] += x[i] * of.residual[0];
            for j in 0..=i {
                out.information[(i, j)] += x[i] * x[j] * of.weight[0];
            }
            if D {
                out.information[(p, i)] -= x[i] * of.cross[0];
            }
        }
    }
    out.value += sums.value[0];
    if D {
        out.gradient[p] += sums.first[0];
        out.information[(p, p)] -= sums.first[0] + sums.second[0];
    }
}

/// Adds what a donor of Poisson cells with a gamma effect gives.
#[inline(always)]
fn in_closed_form(
    marginal: &Marginal<'_>,
    (at, law): (&Place, &EffectLaw),
    strata: std::ops::Range<usize>,
    scratch: &mut Scratch,
    donor: usize,
    out: &mut Outlook,
) {
    let p = at.coefficients.len();
    let (mut total, mut expected) = (0.0, 0.0);
    // The derivative of what is expected, in the coefficients.
    let slope = &mut scratch.mean_score;
    slope.clear();
    slope.resize(p, 0.0);
    for c in strata.clone() {
        let (y, mean) = (marginal.counts.strata[c], scratch.eta[c].exp() * marginal.exposures[c]);
        total += y;
        expected += mean;
        out.value += y * scratch.eta[c];
        for (slope, x) in slope.iter_mut().zip(marginal.layout.x.row(c)) {
            *slope += x * mean;
        }
    }
    let closed = Closed::new(law, total, expected);
    out.value += closed.value;
    out.effects[donor] = closed.mean_ln;
    for c in strata {
        let (y, mean) = (marginal.counts.strata[c], scratch.eta[c].exp() * marginal.exposures[c] * closed.mean);
        let x = marginal.layout.x.row(c);
        for i in 0..p {
            out.gradient[i] += x[i] * (y - mean);
            for j in 0..=i {
                out.information[(i, j)] += x[i] * x[j] * mean;
            }
        }
    }
    for i in 0..p {
        for j in 0..=i {
            out.information[(i, j)] -= slope[i] * slope[j] * closed.variance;
        }
        // The score of a coefficient falls with e^w.
        out.information[(p + 1, i)] += slope[i] * closed.score_covariance;
    }
    out.gradient[p + 1] += closed.score;
    out.information[(p + 1, p + 1)] -= closed.score_slope + closed.score_variance;
}

/// Adds what a donor gives, its effect integrated out around `mode`.
#[inline(always)]
fn integrate<const D: bool>(
    marginal: &Marginal<'_>,
    (at, law, rule): (&Place, &EffectLaw, &Rule),
    strata: std::ops::Range<usize>,
    (mode, spread): (f64, f64),
    scratch: &mut Scratch,
    donor: usize,
    out: &mut Outlook,
) {
    let (p, layout) = (at.coefficients.len(), marginal.layout);
    let (width, n_nodes, n_strata) = (p + 2, rule.nodes.len(), strata.len());
    let Scratch { eta, strata: of_strata, scores, weights, mean_score, seconds, .. } = scratch;
    scores.clear();
    scores.resize(n_nodes * width, 0.0);
    weights.clear();
    weights.resize(n_nodes, 0.0);
    of_strata.clear();
    of_strata.resize(n_strata * n_nodes / LANES, OfStratum::default());
    // Second derivatives at the nodes that need no strata: in ln tau, in ln s2.
    seconds.clear();
    seconds.resize(n_nodes, [0.0; 2]);
    let (mut top, mut value) = (f64::NEG_INFINITY, 0.0);
    for block in 0..n_nodes / LANES {
        let mut w: Lanes = [0.0; LANES];
        for q in 0..LANES {
            w[q] = mode + spread * rule.nodes[block * LANES + q];
        }
        let mut sums = OfDonor::default();
        for (i, c) in strata.clone().enumerate() {
            let mut predictor: Lanes = [0.0; LANES];
            for q in 0..LANES {
                predictor[q] = eta[c] + w[q];
            }
            let of = sweep::<D>(marginal.points(c), at.tau, &predictor, &mut sums);
            let x = layout.x.row(c);
            for q in 0..LANES {
                let score = &mut scores[(block * LANES + q) * width..][..p];
                for j in 0..p {
                    score[j] += x[j] * of.residual[q];
                }
            }
            of_strata[block * n_strata + i] = of;
        }
        for q in 0..LANES {
            let node = block * LANES + q;
            let effect = law.score(w[q]);
            weights[node] = rule.ln_weights[node] + sums.value[q] + law.density(w[q]).value;
            top = if weights[node] > top { weights[node] } else { top };
            scores[node * width + p] = sums.first[q];
            scores[node * width + p + 1] = effect.first;
            seconds[node] = [sums.first[q] + sums.second[q], effect.second];
        }
    }
    for weight in &mut *weights {
        *weight = wide::exp(*weight - top);
        value += *weight;
    }
    out.value += top + value.ln() + spread.ln();
    let mut mean = 0.0;
    for (q, weight) in weights.iter_mut().enumerate() {
        *weight /= value;
        mean += *weight * (mode + spread * rule.nodes[q]);
    }
    out.effects[donor] = mean;
    // E[S], and E[dS] + Var[S], entry by entry of the lower triangle.
    mean_score.clear();
    mean_score.resize(width, 0.0);
    for (score, &weight) in scores.chunks_exact(width).zip(&*weights) {
        for j in 0..width {
            mean_score[j] += weight * score[j];
        }
    }
    for ((score, &weight), second) in scores.chunks_exact_mut(width).zip(&*weights).zip(&*seconds) {
        for j in 0..width {
            score[j] -= mean_score[j];
        }
        for i in 0..width {
            let scaled = weight * score[i];
            for j in 0..=i {
                out.information[(i, j)] -= scaled * score[j];
            }
        }
        out.information[(p, p)] -= weight * second[0];
        out.information[(p + 1, p + 1)] -= weight * second[1];
    }
    for j in 0..width {
        out.gradient[j] += mean_score[j];
    }
    for (i, c) in strata.enumerate() {
        let (mut expected, mut crossed) = (0.0, 0.0);
        for block in 0..n_nodes / LANES {
            let of = &of_strata[block * n_strata + i];
            for q in 0..LANES {
                expected += weights[block * LANES + q] * of.weight[q];
                if D {
                    crossed += weights[block * LANES + q] * of.cross[q];
                }
            }
        }
        let x = layout.x.row(c);
        for a in 0..p {
            for b in 0..=a {
                out.information[(a, b)] += x[a] * x[b] * expected;
            }
            if D {
                out.information[(p, a)] -= x[a] * crossed;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nbmm::nodes::OffsetNodes;
    use crate::nbmm::tails::Tails;
    use ferrocyte_base::Result;
    use ferrocyte_math::gamma::ln_gamma;
    use ferrocyte_math::random::Stream;

    /// Cells of 5 donors and 2 states with offsets, as (stratum, offset, count).
    fn cells() -> Result<Vec<(usize, f64, f64)>> {
        let mut stream = Stream::new(3, 0);
        (0..160)
            .map(|j| {
                let stratum = j % 10;
                let offset = (stream.uniform() - 0.5).exp();
                let mean = offset * 2.0 * (0.3 * (stratum / 2) as f64).exp();
                Ok((stratum, offset, stream.negative_binomial(mean, 1.5)?))
            })
            .collect()
    }

    fn layout(points: Vec<usize>, offsets: Vec<f64>, cells: Vec<f64>) -> Layout {
        // Stratum c belongs to donor c / 2; columns: intercept, state, arm of the donor.
        let rows: Vec<f64> = (0..10).flat_map(|c| [1.0, (c % 2) as f64, f64::from(u8::from(c >= 6))]).collect();
        Layout { x: Matrix::from_rows(10, 3, rows), donors: vec![0, 2, 4, 6, 8, 10], points, offsets, cells }
    }

    /// The same cells, each a point, and on nodes.
    fn both(cells: &[(usize, f64, f64)], tails: &Tails) -> [(Layout, Counts); 2] {
        let (mut points, mut offsets, mut counts) = (vec![0], Vec::new(), Vec::new());
        for c in 0..10 {
            for (_, o, y) in cells.iter().filter(|cell| cell.0 == c) {
                offsets.push(*o);
                counts.push(*y);
            }
            points.push(offsets.len());
        }
        let one_by_one = layout(points, offsets.clone(), vec![1.0; cells.len()]);
        let nodes = OffsetNodes::new(-0.5, 0.5, Some(16));
        let m = nodes.len();
        let (mut n, mut w, mut cardinals) = (vec![0.0; 10 * m], vec![0.0; 10 * m], vec![0.0; m]);
        for (c, o, y) in cells {
            nodes.cardinals(o.ln(), &mut cardinals);
            for (k, l) in cardinals.iter().enumerate() {
                n[c * m + k] += l;
                w[c * m + k] += l * y;
            }
        }
        let on_nodes = layout((0..=10).map(|c| c * m).collect(), nodes.offsets().repeat(10), n);
        let first = Counts::new(&one_by_one, counts, tails.clone());
        let second = Counts::new(&on_nodes, w, tails.clone());
        [(one_by_one, first), (on_nodes, second)]
    }

    fn ln_density(y: f64, mean: f64, tau: f64) -> f64 {
        if tau == 0.0 {
            return y * mean.ln() - mean - ln_gamma(y + 1.0);
        }
        let size = 1.0 / tau;
        ln_gamma(y + size) - ln_gamma(size) - ln_gamma(y + 1.0) + y * (tau * mean).ln()
            - (y + size) * (tau * mean).ln_1p()
    }

    /// The marginal likelihood by the trapezium rule over w, cell by cell.
    fn directly(cells: &[(usize, f64, f64)], x: &Matrix, at: &Place, effect: Effect) -> f64 {
        let law = EffectLaw::new(effect, at.s2.max(1e-3));
        let (n, step) = (4000, 12.0 * at.s2.max(1e-3).sqrt() / 4000.0);
        (0..5)
            .map(|donor| {
                let value = |w: f64| -> f64 {
                    cells
                        .iter()
                        .filter(|cell| cell.0 / 2 == donor)
                        .map(|(c, o, y)| ln_density(*y, o * (dot(x.row(*c), &at.coefficients) + w).exp(), at.tau))
                        .sum()
                };
                if at.s2 == 0.0 {
                    return value(0.0);
                }
                let terms: Vec<f64> = (0..=n)
                    .map(|i| {
                        let w = (f64::from(i) - f64::from(n) / 2.0) * step;
                        value(w) + law.density(w).value
                    })
                    .collect();
                let top = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                top + (terms.iter().map(|t| (t - top).exp()).sum::<f64>() * step).ln()
            })
            .sum()
    }

    #[test]
    fn nodes_and_cells_give_the_likelihood_of_every_cell() -> Result<()> {
        let cells = cells()?;
        let tails = Tails::new(cells.iter().map(|&(_, _, y)| (y as u64, 1.0)));
        let rule = Rule::new(31);
        for effect in [Effect::Lognormal, Effect::Gamma] {
            for (tau, s2) in [(0.5, 0.2), (0.02, 1.5), (0.0, 0.4), (0.7, 0.0), (0.0, 0.0)] {
                let at = Place { coefficients: vec![0.4, -0.2, 0.3], tau, s2 };
                for (layout, counts) in &both(&cells, &tails) {
                    let exposures = layout.exposures();
                    let marginal = Marginal { layout, exposures: &exposures, counts, effect };
                    let exact = directly(&cells, &layout.x, &at, effect);
                    let found = marginal.look(&at, &rule, true, &mut Scratch::default());
                    assert!((found.value / exact - 1.0).abs() < 1e-9, "{effect:?} {at:?}: {} {exact}", found.value);
                }
            }
        }
        Ok(())
    }

    #[test]
    fn gradient_and_information_are_differences() -> Result<()> {
        let cells = cells()?;
        let tails = Tails::new(cells.iter().map(|&(_, _, y)| (y as u64, 1.0)));
        let rule = Rule::new(31);
        let [_, (layout, counts)] = &both(&cells, &tails);
        let exposures = layout.exposures();
        for (effect, tau) in
            [(Effect::Lognormal, 0.5), (Effect::Gamma, 0.5), (Effect::Lognormal, 0.0), (Effect::Gamma, 0.0)]
        {
            let marginal = Marginal { layout, exposures: &exposures, counts, effect };
            let place = |shift: &[f64; 5]| Place {
                coefficients: (0..3).map(|i| [0.4, -0.2, 0.3][i] + shift[i]).collect(),
                tau: tau * shift[3].exp(),
                s2: 0.3 * shift[4].exp(),
            };
            let look = |shift: &[f64; 5]| marginal.look(&place(shift), &rule, true, &mut Scratch::default());
            let here = look(&[0.0; 5]);
            for i in 0..5 {
                let h = 1e-4;
                let (mut up, mut down) = ([0.0; 5], [0.0; 5]);
                (up[i], down[i]) = (h, -h);
                let (up, down) = (look(&up), look(&down));
                let slope = (up.value - down.value) / (2.0 * h);
                assert!((here.gradient[i] - slope).abs() < 1e-5 * (1.0 + slope.abs()), "{effect:?} {i}");
                for j in 0..5 {
                    let second = -(up.gradient[j] - down.gradient[j]) / (2.0 * h);
                    let found = here.information[(i, j)];
                    assert!(
                        (found - second).abs() < 1e-5 * (1.0 + second.abs()),
                        "{effect:?} {i} {j}: {found} {second}"
                    );
                }
            }
        }
        Ok(())
    }
}
