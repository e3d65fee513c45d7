//! Contrasts with one component: all genes of a block share a few matrix products.

#![allow(clippy::inline_always)]

use std::ops::Range;

use ferrocyte_math::linalg::product;
use ferrocyte_math::wide::{self, Kernel};

use crate::lmm::canonical::Spectrum;
use crate::lmm::core::Core;
use crate::lmm::estimates::{Components, Estimates, SharedByGenes, Surface};
use crate::lmm::fit::GroupFit;
use crate::lmm::options::Method;
use crate::lmm::status::Outcome;

/// Information of (s₁, s₀) times s₀²: that of s₁/s₀ and ln s₀. Degrees of freedom do not mind.
#[derive(Debug, Clone, Copy)]
struct Information {
    h11: f64,
    h10: f64,
    h00: f64,
}

impl Information {
    fn determinant(self) -> f64 {
        self.h11 * self.h00 - self.h10 * self.h10
    }

    /// g'H⁻¹g times the determinant.
    #[inline(always)]
    fn quadratic(self, g1: f64, g0: f64) -> f64 {
        g1 * g1 * self.h00 - 2.0 * g1 * g0 * self.h10 + g0 * g0 * self.h11
    }
}

impl GroupFit {
    /// Estimates of a block of genes.
    pub(in crate::lmm) fn block_one(
        &self,
        core: &Core,
        spectrum: &Spectrum,
        shared: &SharedByGenes,
        genes: Range<usize>,
        surface: Surface,
    ) -> Estimates {
        let (q, r) = (core.q(), shared.r());
        let mut out = shared.ols(core, genes.clone());
        let n = genes.len();
        let components: Vec<Components<'_>> = genes.clone().map(|gene| self.components_of(gene, surface)).collect();
        let weights = wide::widest(Weigh { core, spectrum, genes: genes.clone(), components: &components });
        let mut shift = vec![0.0; n * r];
        product(&weights.shrunk, q, &shared.a, &mut shift);
        let mut sums = vec![0.0; 3 * n * r];
        product(&weights.spread, q, &shared.a_squared, &mut sums);
        let (spread, rest) = sums.split_at(n * r);
        let (over_v2, lambda_over_v2) = rest.split_at(n * r);
        for (i, at) in components.iter().enumerate() {
            if !at.outcome.has_estimate() {
                out.forget(i, r, at.outcome);
                continue;
            }
            let (gamma, s0) = (at.theta[0] / at.theta[1], at.theta[1]);
            let row = i * r..(i + 1) * r;
            for (estimate, shift) in out.estimate[row.clone()].iter_mut().zip(&shift[row.clone()]) {
                *estimate -= shift;
            }
            for ((variance, x0), spread) in
                out.variance[row.clone()].iter_mut().zip(&shared.x0).zip(&spread[row.clone()])
            {
                *variance = s0 * (x0 + spread);
            }
            let df = &mut out.df[row.clone()];
            if at.outcome == Outcome::NotIdentifiable {
                df.fill(core.residual_df());
                continue;
            }
            let information = weights.informations[i];
            let det = 2.0 * information.determinant();
            let gradients = over_v2[row.clone()].iter().zip(&lambda_over_v2[row.clone()]);
            for (((df, x0), spread), (g1, g0)) in df.iter_mut().zip(&shared.x0).zip(&spread[row]).zip(gradients) {
                let f = x0 + spread;
                *df = f * f * det / information.quadratic(*g1, x0 + gamma * gamma * g0);
            }
        }
        out
    }
}

/// What a block of genes puts into the matrix products, with h = 1/(1 + γλ); zero without estimate.
struct Weights {
    /// γhw, genes × q.
    shrunk: Vec<f64>,
    /// γh, h² and λh², each genes × q, below each other: one product serves all three.
    spread: Vec<f64>,
    informations: Vec<Information>,
}

/// What makes them.
struct Weigh<'a> {
    core: &'a Core,
    spectrum: &'a Spectrum,
    genes: Range<usize>,
    components: &'a [Components<'a>],
}

impl Kernel for Weigh<'_> {
    type Output = Weights;

    #[inline(always)]
    fn run(self) -> Weights {
        let Self { core, spectrum, genes, components } = self;
        let (n, q) = (genes.len(), core.q());
        let (mut shrunk, mut spread) = (vec![0.0; n * q], vec![0.0; 3 * n * q]);
        let mut informations = vec![Information { h11: f64::NAN, h10: f64::NAN, h00: f64::NAN }; n];
        let (gamma_h, rest) = spread.split_at_mut(n * q);
        let (h2, lambda_h2) = rest.split_at_mut(n * q);
        for (i, (gene, at)) in genes.zip(components).enumerate() {
            if !at.outcome.has_estimate() {
                continue;
            }
            let (gamma, s0) = (at.theta[0] / at.theta[1], at.theta[1]);
            let row = i * q..(i + 1) * q;
            let w = core.z_of(gene);
            let columns = gamma_h[row.clone()].iter_mut().zip(&mut h2[row.clone()]).zip(&mut lambda_h2[row.clone()]);
            for ((((gamma_h, h2), lambda_h2), l), (w, shrunk)) in
                columns.zip(&spectrum.lambda).zip(w.iter().zip(&mut shrunk[row]))
            {
                let h = 1.0 / (1.0 + gamma * l);
                *gamma_h = gamma * h;
                *shrunk = gamma * h * w;
                *h2 = h * h;
                *lambda_h2 = l * (h * h);
            }
            informations[i] = information(core, spectrum, gene, gamma, s0, at.expected_information);
        }
        Weights { shrunk, spread, informations }
    }
}

/// Information of (s₁, s₀) of one gene, as h₁₁, h₁₀, h₀₀: observed where it is positive definite and wanted, else expected.
pub(in crate::lmm) fn information_one(
    core: &Core,
    spectrum: &Spectrum,
    gene: usize,
    s1: f64,
    s0: f64,
    expected: bool,
) -> [f64; 3] {
    let found = information(core, spectrum, gene, s1 / s0, s0, expected);
    [found.h11, found.h10, found.h00].map(|h| h / (s0 * s0))
}

/// Information of the components of a gene times s₀²: observed where it is positive definite and wanted, else expected.
#[inline(always)]
fn information(core: &Core, spectrum: &Spectrum, gene: usize, gamma: f64, s0: f64, expected: bool) -> Information {
    let (traces, degrees) = match core.method {
        Method::Reml => (&spectrum.lambda, core.residual_df()),
        Method::Ml => (&spectrum.mu, core.shared.n),
    };
    let [t2, t1, t0, positive] = trace_sums(gamma, traces);
    let half = Information { h11: 0.5 * t2, h10: 0.5 * t1, h00: 0.5 * (t0 + degrees - positive) };
    if expected {
        return half;
    }
    let [y2, y1, y0, explained] = gene_sums(gamma, core.z_of(gene), &spectrum.lambda, &spectrum.over_lambda);
    let residual = (core.rss[gene] - explained).max(0.0);
    let observed =
        Information { h11: y2 / s0 - half.h11, h10: y1 / s0 - half.h10, h00: (y0 + residual) / s0 - half.h00 };
    if observed.h11 > 0.0 && observed.determinant() > 0.0 { observed } else { half }
}

/// Lanes of the sums; they are added in a fixed order.
const LANES: usize = 4;

/// Σ (μh)², Σ μh², Σ h² over positive μ, with h = 1/(1 + γμ), and how many there are.
#[inline(always)]
fn trace_sums(gamma: f64, mu: &[f64]) -> [f64; 4] {
    let terms = |m: f64| {
        let h = 1.0 / (1.0 + gamma * m);
        let is_positive = if m > 0.0 { 1.0 } else { 0.0 };
        let h2 = h * h * is_positive;
        [m * m * h2, m * h2, h2, is_positive]
    };
    let mut sums = [[0.0; LANES]; 4];
    let many = mu.chunks_exact(LANES);
    for (lane, &m) in many.remainder().iter().enumerate() {
        add(&mut sums, lane, terms(m));
    }
    for few in many {
        for lane in 0..LANES {
            add(&mut sums, lane, terms(few[lane]));
        }
    }
    sums.map(total)
}

/// With c = w²/λ and h = 1/(1 + γλ): Σ λ²ch³, Σ λch³, Σ ch³, Σ c.
#[inline(always)]
fn gene_sums(gamma: f64, w: &[f64], lambda: &[f64], over_lambda: &[f64]) -> [f64; 4] {
    let terms = |w: f64, l: f64, over: f64| {
        let h = 1.0 / (1.0 + gamma * l);
        let c = w * w * over;
        let ch3 = c * h * (h * h);
        [l * l * ch3, l * ch3, ch3, c]
    };
    let mut sums = [[0.0; LANES]; 4];
    let (many_w, many_l, many_o) = (w.chunks_exact(LANES), lambda.chunks_exact(LANES), over_lambda.chunks_exact(LANES));
    let rest = many_w.remainder().iter().zip(many_l.remainder()).zip(many_o.remainder());
    for (lane, ((w, l), over)) in rest.enumerate() {
        add(&mut sums, lane, terms(*w, *l, *over));
    }
    for ((w, l), over) in many_w.zip(many_l).zip(many_o) {
        for lane in 0..LANES {
            add(&mut sums, lane, terms(w[lane], l[lane], over[lane]));
        }
    }
    sums.map(total)
}

#[inline(always)]
fn add(sums: &mut [[f64; LANES]; 4], lane: usize, terms: [f64; 4]) {
    for k in 0..4 {
        sums[k][lane] += terms[k];
    }
}

#[inline(always)]
fn total(lanes: [f64; LANES]) -> f64 {
    (lanes[0] + lanes[1]) + (lanes[2] + lanes[3])
}
