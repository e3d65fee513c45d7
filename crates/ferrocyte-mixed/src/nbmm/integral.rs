//! The integrals over the effects of donors, and what they add to gradient and information.
//!
//! Donors are worked on side by side, one in each lane of the registers, node after node of the quadrature rule. With the
//! posterior weights of the nodes, the score S of a donor (coefficients, ln tau, ln s2) gives `E[S]` to the gradient and
//! `-E[dS] - Var[S]` to the information.

#![allow(clippy::inline_always)]

use ferrocyte_math::wide;

use crate::nbmm::effect::EffectLaw;
use crate::nbmm::marginal::{Outlook, Rule, Scratch};
use crate::nbmm::strata::Strata;
use crate::nbmm::sweep::{LANES, Lanes, OfDonor, OfStratum};

/// Memory of the integrals.
#[derive(Debug, Clone, Default)]
pub(in crate::nbmm) struct Workspace {
    /// Donors that have strata.
    donors: Vec<usize>,
    /// Rows of the design of the strata of the block: stratum by column.
    x: Vec<Lanes>,
    /// What the strata of the block say: stratum by node.
    of_strata: Vec<OfStratum>,
    /// Sums over them, the effects and the weights of the nodes.
    of_donors: Vec<OfDonor>,
    effects: Vec<Lanes>,
    weights: Vec<Lanes>,
    /// Scores: parameter by node; then less their means.
    scores: Vec<Lanes>,
    /// Second derivatives in ln s2.
    seconds: Vec<Lanes>,
    /// Over all blocks: gradient, and the lower triangle of the information.
    gradient: Vec<Lanes>,
    information: Vec<Lanes>,
}

/// Adds the integrals of all donors around their modes in `scratch`.
#[inline(always)]
pub(in crate::nbmm) fn integrate<const D: bool>(
    strata: &Strata<'_>,
    (p, law, rule): (usize, &EffectLaw, &Rule),
    scratch: &mut Scratch,
    out: &mut Outlook,
) {
    let layout = strata.marginal.layout();
    let mut work = std::mem::take(&mut scratch.integrals);
    work.donors.clear();
    work.donors.extend((0..layout.n_donors()).filter(|&d| layout.donors[d] < layout.donors[d + 1]));
    let width = p + 2;
    work.gradient.clear();
    work.gradient.resize(width, [0.0; LANES]);
    work.information.clear();
    work.information.resize(width * (width + 1) / 2, [0.0; LANES]);
    for first in (0..work.donors.len()).step_by(LANES) {
        of_block::<D>(strata, (p, law, rule), first, scratch, &mut work, out);
    }
    for i in 0..width {
        out.gradient[i] += wide::sum(&work.gradient[i]);
        for j in 0..=i {
            out.information[(i, j)] += wide::sum(&work.information[i * (i + 1) / 2 + j]);
        }
    }
    scratch.integrals = work;
}

/// Adds the integrals of the donors from the `first` of the list on, as many as a register has lanes.
#[inline(always)]
fn of_block<const D: bool>(
    strata: &Strata<'_>,
    (p, law, rule): (usize, &EffectLaw, &Rule),
    first: usize,
    scratch: &Scratch,
    work: &mut Workspace,
    out: &mut Outlook,
) {
    let (layout, n_nodes) = (strata.marginal.layout(), rule.len());
    let Workspace { donors, x, of_strata, of_donors, effects, weights, scores, seconds, gradient, information } = work;
    let n_donors = LANES.min(donors.len() - first);
    let (mut mode, mut spread, mut first_stratum, mut n_strata) = ([0.0; LANES], [0.0; LANES], [0; LANES], [0; LANES]);
    for q in 0..LANES {
        // Lanes that are left have the last donor, without any weight.
        let donor = donors[first + q.min(n_donors - 1)];
        mode[q] = scratch.modes[donor];
        spread[q] = (2.0 / scratch.curvatures[donor]).sqrt();
        first_stratum[q] = layout.donors[donor];
        n_strata[q] = layout.donors[donor + 1] - layout.donors[donor];
    }
    let slots = n_strata.into_iter().max().unwrap_or(0);
    effects.clear();
    for k in 0..n_nodes {
        let mut w = [0.0; LANES];
        for q in 0..LANES {
            w[q] = mode[q] + spread[q] * rule.nodes[k];
        }
        effects.push(w);
    }
    of_donors.clear();
    of_donors.resize(n_nodes, OfDonor::default());
    of_strata.clear();
    x.clear();
    for slot in 0..slots {
        // Donors that have fewer strata repeat their last, without any weight.
        let (mut present, mut stratum, mut eta) = ([0.0; LANES], [0; LANES], [0.0; LANES]);
        for q in 0..LANES {
            present[q] = if slot < n_strata[q] && q < n_donors { 1.0 } else { 0.0 };
            stratum[q] = first_stratum[q] + slot.min(n_strata[q] - 1);
            eta[q] = scratch.eta[stratum[q]];
        }
        for j in 0..p {
            let mut column = [0.0; LANES];
            for q in 0..LANES {
                column[q] = layout.x[(stratum[q], j)];
            }
            x.push(column);
        }
        strata.side_by_side::<D>((&stratum, &present, &eta), effects, of_strata, of_donors);
    }
    // Weights of the nodes.
    weights.clear();
    seconds.clear();
    scores.clear();
    scores.resize((p + 2) * n_nodes, [0.0; LANES]);
    let mut top = [f64::NEG_INFINITY; LANES];
    for k in 0..n_nodes {
        let [density, effect_1, effect_2] = law.at_nodes(&effects[k]);
        let mut weight = [0.0; LANES];
        for q in 0..LANES {
            weight[q] = rule.ln_weights[k] + of_donors[k].value[q] + density[q];
            top[q] = if weight[q] > top[q] { weight[q] } else { top[q] };
        }
        weights.push(weight);
        scores[p * n_nodes + k] = of_donors[k].first;
        scores[(p + 1) * n_nodes + k] = effect_1;
        seconds.push(effect_2);
    }
    let (mut sum, mut scale, mut mean) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
    for weight in weights.iter_mut() {
        for q in 0..LANES {
            weight[q] = wide::exp(weight[q] - top[q]);
            sum[q] += weight[q];
        }
    }
    for q in 0..LANES {
        scale[q] = if q < n_donors { 1.0 / sum[q] } else { 0.0 };
    }
    for (weight, effect) in weights.iter_mut().zip(&*effects) {
        for q in 0..LANES {
            weight[q] *= scale[q];
            mean[q] += weight[q] * effect[q];
        }
    }
    let mut variance = [0.0; LANES];
    for (weight, effect) in weights.iter().zip(&*effects) {
        for q in 0..LANES {
            variance[q] += weight[q] * (effect[q] - mean[q]) * (effect[q] - mean[q]);
        }
    }
    for q in 0..n_donors {
        out.value += top[q] + (sum[q] * spread[q]).ln();
        out.effects[donors[first + q]] = mean[q];
        out.spreads[donors[first + q]] = variance[q].sqrt();
    }
    // E[S] and Var[S].
    for slot in 0..slots {
        for j in 0..p {
            let column = &x[slot * p + j];
            for k in 0..n_nodes {
                let (score, residual) = (&mut scores[j * n_nodes + k], &of_strata[slot * n_nodes + k].residual);
                for q in 0..LANES {
                    score[q] += column[q] * residual[q];
                }
            }
        }
    }
    for (i, scores) in scores.chunks_exact_mut(n_nodes).enumerate() {
        if i == p && !D {
            continue;
        }
        let mut mean = [0.0; LANES];
        for (score, weight) in scores.iter().zip(&*weights) {
            for q in 0..LANES {
                mean[q] += weight[q] * score[q];
            }
        }
        for score in scores {
            for q in 0..LANES {
                score[q] -= mean[q];
            }
        }
        add(&mut gradient[i], &mean);
    }
    for i in (0..p + 2).filter(|&i| D || i != p) {
        for j in (0..=i).filter(|&j| D || j != p) {
            let mut covariance = [0.0; LANES];
            for k in 0..n_nodes {
                let (a, b, weight) = (&scores[i * n_nodes + k], &scores[j * n_nodes + k], &weights[k]);
                for q in 0..LANES {
                    covariance[q] -= weight[q] * a[q] * b[q];
                }
            }
            add(&mut information[i * (i + 1) / 2 + j], &covariance);
        }
    }
    // E[dS].
    let triangle = |i: usize, j: usize| i * (i + 1) / 2 + j;
    for k in 0..n_nodes {
        let (weight, of, second) = (&weights[k], &of_donors[k], &seconds[k]);
        let (mut in_tau, mut in_s2) = ([0.0; LANES], [0.0; LANES]);
        for q in 0..LANES {
            in_tau[q] = -weight[q] * (of.first[q] + of.second[q]);
            in_s2[q] = -weight[q] * second[q];
        }
        if D {
            add(&mut information[triangle(p, p)], &in_tau);
        }
        add(&mut information[triangle(p + 1, p + 1)], &in_s2);
    }
    for slot in 0..slots {
        let (mut expected, mut crossed) = ([0.0; LANES], [0.0; LANES]);
        for (weight, of) in weights.iter().zip(&of_strata[slot * n_nodes..]) {
            for q in 0..LANES {
                expected[q] += weight[q] * of.weight[q];
                if D {
                    crossed[q] += weight[q] * of.cross[q];
                }
            }
        }
        let x = &x[slot * p..(slot + 1) * p];
        for i in 0..p {
            for j in 0..=i {
                let sum = &mut information[triangle(i, j)];
                for q in 0..LANES {
                    sum[q] += x[i][q] * x[j][q] * expected[q];
                }
            }
            if D {
                let sum = &mut information[triangle(p, i)];
                for q in 0..LANES {
                    sum[q] -= x[i][q] * crossed[q];
                }
            }
        }
    }
}

#[inline(always)]
fn add(sum: &mut Lanes, term: &Lanes) {
    for q in 0..LANES {
        sum[q] += term[q];
    }
}
