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
//!
//! What the cells of a stratum say is looked up in curves ([`crate::nbmm::strata`]); the rest works on vector registers of
//! quadrature nodes, or of strata where modes are searched.

#![allow(clippy::inline_always)]

use ferrocyte_math::linalg::{Matrix, dot};
use ferrocyte_math::quadrature::gauss_hermite;
use ferrocyte_math::wide::{self, Kernel};

use crate::nbmm::effect::EffectLaw;
use crate::nbmm::gamma_poisson::Closed;
use crate::nbmm::ground::Ground;
use crate::nbmm::integral::{Workspace, integrate};
use crate::nbmm::layout::{Counts, Layout};
use crate::nbmm::options::Effect;
use crate::nbmm::strata::Strata;
use crate::nbmm::sweep::{LANES, OfDonor, Points};
use crate::nbmm::tails::TailSums;

/// A quadrature rule, filled up to whole lanes with nodes of no weight.
#[derive(Debug, Clone)]
pub(in crate::nbmm) struct Rule {
    n: usize,
    pub(in crate::nbmm) nodes: Vec<f64>,
    pub(in crate::nbmm) ln_weights: Vec<f64>,
}

impl Rule {
    pub(in crate::nbmm) fn new(n: usize) -> Self {
        let (mut nodes, mut ln_weights): (Vec<f64>, Vec<f64>) = gauss_hermite(n).into_iter().unzip();
        let padded = n.next_multiple_of(LANES);
        nodes.resize(padded, 0.0);
        ln_weights.resize(padded, f64::NEG_INFINITY);
        Self { n, nodes, ln_weights }
    }

    /// Number of nodes, without those of no weight.
    pub(in crate::nbmm) fn len(&self) -> usize {
        self.n
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
    /// Posterior mean of w of each donor, and its standard deviation.
    pub(in crate::nbmm) effects: Vec<f64>,
    pub(in crate::nbmm) spreads: Vec<f64>,
}

/// Memory of an evaluation, and the modes of the last one, from which the next begins.
#[derive(Debug, Clone, Default)]
pub(in crate::nbmm) struct Scratch {
    pub(in crate::nbmm) modes: Vec<f64>,
    /// Minus the second derivative of the integrand of each donor at its mode.
    pub(in crate::nbmm) curvatures: Vec<f64>,
    /// Predictors of strata without the effect.
    pub(in crate::nbmm) eta: Vec<f64>,
    /// Donors whose modes are being searched, their strata with the place of the donor among these, and their slopes.
    pub(in crate::nbmm) moving: Vec<usize>,
    pub(in crate::nbmm) pending: Vec<(usize, usize)>,
    pub(in crate::nbmm) slopes: Vec<[f64; 2]>,
    /// Curves of cells and counts together, at the tau for which they were added.
    combined: Vec<f64>,
    combined_at: f64,
    pub(in crate::nbmm) integrals: Workspace,
    mean_score: Vec<f64>,
}

/// The likelihood of a gene.
#[derive(Debug, Clone, Copy)]
pub(in crate::nbmm) struct Marginal<'a> {
    pub(in crate::nbmm) ground: &'a Ground,
    pub(in crate::nbmm) counts: &'a Counts,
    /// The curves of the counts ([`Ground::curves_of`]).
    pub(in crate::nbmm) curves: &'a [f64],
    pub(in crate::nbmm) effect: Effect,
}

impl<'a> Marginal<'a> {
    pub(in crate::nbmm) fn layout(&self) -> &'a Layout {
        &self.ground.layout
    }

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
    pub(in crate::nbmm) fn points(&self, stratum: usize) -> Points<'a> {
        let layout = self.layout();
        let ends = layout.points[stratum]..layout.points[stratum + 1];
        Points {
            offsets: &layout.offsets[ends.clone()],
            cells: &layout.cells[ends.clone()],
            counts: &self.counts.points[ends],
            exposure: self.ground.exposures[stratum],
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
        let (layout, p) = (marginal.layout(), marginal.layout().n_fixed());
        let width = p + 2;
        let mut out = Outlook {
            value: marginal.counts.constant + tails.value,
            gradient: vec![0.0; width],
            information: Matrix::zeros(width, width),
            effects: vec![0.0; layout.n_donors()],
            spreads: vec![0.0; layout.n_donors()],
        };
        if D {
            out.gradient[p] = tails.first;
            out.information[(p, p)] = -tails.second;
        }
        scratch.modes.resize(layout.n_donors(), 0.0);
        scratch.curvatures.resize(layout.n_donors(), 1.0);
        scratch.eta.clear();
        for c in 0..layout.n_strata() {
            scratch.eta.push(dot(layout.x.row(c), &at.coefficients));
        }
        for (eta, shift) in scratch.eta.iter_mut().zip(&marginal.ground.shifts) {
            *eta += shift;
        }
        let mut combined = std::mem::take(&mut scratch.combined);
        if !D && at.tau > 0.0 && scratch.combined_at.to_bits() != at.tau.to_bits() {
            combine(&marginal, at.tau, &mut combined);
            scratch.combined_at = at.tau;
        }
        let strata = Strata::new(marginal, at.tau, if D { &[] } else { &combined });
        if at.s2 > 0.0 {
            let law = EffectLaw::new(marginal.effect, at.s2);
            if at.tau == 0.0 && law.kind == Effect::Gamma {
                for donor in 0..layout.n_donors() {
                    let of_donor = layout.donors[donor]..layout.donors[donor + 1];
                    in_closed_form(&marginal, (at, &law), of_donor, scratch, donor, &mut out);
                }
            } else {
                strata.find_modes(&law, scratch);
                integrate::<D>(&strata, (p, &law, rule), scratch, &mut out);
            }
        } else {
            without_effect::<D>(&strata, p, scratch, &mut out);
        }
        scratch.combined = combined;
        for i in 0..width {
            for j in 0..i {
                out.information[(j, i)] = out.information[(i, j)];
            }
        }
        out
    }
}

/// The curves of cells and counts together at one tau.
#[inline(always)]
fn combine(marginal: &Marginal<'_>, tau: f64, combined: &mut Vec<f64>) {
    combined.clear();
    let Some(curves) = &marginal.ground.curves else { return };
    let inverse = 1.0 / tau;
    combined.resize(marginal.curves.len(), 0.0);
    for ((sum, of_cells), of_counts) in combined.iter_mut().zip(&curves.cells).zip(marginal.curves) {
        *sum = of_cells * inverse + of_counts;
    }
}

/// Adds what the strata give without effects of donors: counts at w = 0.
#[inline(always)]
fn without_effect<const D: bool>(strata: &Strata<'_>, p: usize, scratch: &Scratch, out: &mut Outlook) {
    let x = &strata.marginal.layout().x;
    let n = x.n_rows();
    for block in (0..n).step_by(LANES) {
        let mut sums = OfDonor::default();
        let of = strata.in_a_row::<D>(block, &scratch.eta, &mut sums);
        for q in 0..LANES.min(n - block) {
            let x = x.row(block + q);
            for i in 0..p {
                out.gradient[i] += x[i] * of.residual[q];
                for j in 0..=i {
                    out.information[(i, j)] += x[i] * x[j] * of.weight[q];
                }
                if D {
                    out.information[(p, i)] -= x[i] * of.cross[q];
                }
            }
            out.value += sums.value[q];
            if D {
                out.gradient[p] += sums.first[q];
                out.information[(p, p)] -= sums.first[q] + sums.second[q];
            }
        }
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
        let (y, mean) = (marginal.counts.strata[c], scratch.eta[c].exp() * marginal.ground.exposures[c]);
        total += y;
        expected += mean;
        out.value += y * scratch.eta[c];
        for (slope, x) in slope.iter_mut().zip(marginal.layout().x.row(c)) {
            *slope += x * mean;
        }
    }
    let closed = Closed::new(law, total, expected);
    out.value += closed.value;
    (out.effects[donor], out.spreads[donor]) = (closed.mean_ln, closed.variance_ln.sqrt());
    for c in strata {
        let (y, mean) = (marginal.counts.strata[c], scratch.eta[c].exp() * marginal.ground.exposures[c] * closed.mean);
        let x = marginal.layout().x.row(c);
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
                    let ground = Ground::new(layout.clone());
                    let marginal = Marginal { ground: &ground, counts, curves: &ground.curves_of(counts), effect };
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
        let ground = Ground::new(layout.clone());
        assert!(ground.curves.is_some());
        for (effect, tau) in
            [(Effect::Lognormal, 0.5), (Effect::Gamma, 0.5), (Effect::Lognormal, 0.0), (Effect::Gamma, 0.0)]
        {
            let marginal = Marginal { ground: &ground, counts, curves: &ground.curves_of(counts), effect };
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
