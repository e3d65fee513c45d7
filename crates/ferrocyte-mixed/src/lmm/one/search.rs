//! The search for the estimates of many genes at once.
//!
//! Genes stand in lanes that share λ, so that one vector instruction serves several of them. Each gene walks alone: its
//! steps depend on its own sums, which are added in the order of λ whatever its neighbours do. A lane whose gene has
//! arrived takes the next one.

#![allow(clippy::inline_always)]

use ferrocyte_math::wide::{self, Kernel};

use crate::lmm::one::profile::{OneFit, Profile};
use crate::lmm::status::Outcome;

/// Genes that advance together: two registers of four numbers.
const LANES: usize = 8;

/// Newton and bisection steps; the hardest genes need about 50.
const MAX_STEPS: u32 = 300;

/// Relative size of the last step; convergence is quadratic, so that the answer is exact after it.
const STEP_TOLERANCE: f64 = 1e-11;

/// What is known of a gene: w = U'z (q numbers) and its residual sum of squares.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gene<'a> {
    pub(super) w: &'a [f64],
    pub(super) rss: f64,
}

/// Sums over the spectrum, each for all lanes.
struct Terms {
    /// Σ w²h
    w2h: [f64; LANES],
    /// Σ w²h²
    w2h2: [f64; LANES],
    /// Σ w²h³λ
    w2h3l: [f64; LANES],
    /// Σ μ/(1 + γμ)
    trace: [f64; LANES],
    /// Σ (μ/(1 + γμ))²
    trace2: [f64; LANES],
}

/// Profile values at one γ.
struct Point {
    s0: f64,
    /// g, the gradient in γ.
    g: f64,
    /// g'.
    slope: f64,
    /// ds₀/dγ.
    s0_slope: f64,
}

/// The way of one gene.
#[derive(Clone, Copy)]
struct Walk {
    gene: usize,
    rss: f64,
    gamma: f64,
    /// The stationary point lies between these.
    low: f64,
    high: f64,
    /// Whether it lies at negative γ.
    is_below: bool,
    /// Whether a point of rising likelihood has been met, on the negative side.
    met_rise: bool,
    evaluations: u32,
}

/// Where a gene goes next.
enum Step {
    On(Walk),
    Arrived(OneFit),
}

/// The estimates of `genes`.
pub(super) fn search(profile: &Profile, genes: &[Gene<'_>], non_negative: bool) -> Vec<OneFit> {
    wide::widest(Together { profile, genes, non_negative })
}

/// Genes that walk together.
struct Together<'a> {
    profile: &'a Profile,
    genes: &'a [Gene<'a>],
    non_negative: bool,
}

impl Kernel for Together<'_> {
    type Output = Vec<OneFit>;

    #[inline(always)]
    fn run(self) -> Vec<OneFit> {
        let Self { profile, genes, non_negative } = self;
        let n_zero = profile.lambda.len() - profile.positive().len();
        let mut fits: Vec<OneFit> =
            genes.iter().map(|gene| profile.at_zero(gene.rss, Outcome::NotIdentifiable, 0)).collect();
        if profile.degenerate {
            return fits;
        }
        let mut squares = vec![[0.0; LANES]; profile.positive().len()];
        let mut gamma = [0.0; LANES];
        let mut walks: [Option<Walk>; LANES] = [None; LANES];
        let mut waiting = genes.iter().enumerate();
        loop {
            for lane in 0..LANES {
                while walks[lane].is_none() {
                    let Some((index, gene)) = waiting.next() else { break };
                    let mut sum = 0.0;
                    for (square, w) in squares.iter_mut().zip(&gene.w[n_zero..]) {
                        square[lane] = w * w;
                        sum += w * w;
                    }
                    match depart(profile, index, gene.rss, sum, non_negative) {
                        Step::On(walk) => (walks[lane], gamma[lane]) = (Some(walk), walk.gamma),
                        Step::Arrived(fit) => fits[index] = fit,
                    }
                }
            }
            if walks.iter().all(Option::is_none) {
                return fits;
            }
            let terms = terms(profile, &gamma, &squares);
            for lane in 0..LANES {
                let Some(walk) = walks[lane] else { continue };
                match advance(profile, walk, &terms.at(profile, lane, &walk), genes[walk.gene]) {
                    Step::On(walk) => (walks[lane], gamma[lane]) = (Some(walk), walk.gamma),
                    Step::Arrived(fit) => {
                        fits[walk.gene] = fit;
                        (walks[lane], gamma[lane]) = (None, 0.0);
                    }
                }
            }
        }
    }
}

/// The first step, from γ = 0, where the sums need no division.
#[inline(always)]
fn depart(profile: &Profile, gene: usize, rss: f64, sum_w2: f64, non_negative: bool) -> Step {
    let g = 0.5 * (sum_w2 * profile.nu / rss - profile.sum_mu);
    if g == 0.0 {
        return Step::Arrived(profile.at_zero(rss, Outcome::Ok, 1));
    }
    if !(g > 0.0) && non_negative {
        return Step::Arrived(profile.at_zero(rss, Outcome::Boundary, 1));
    }
    // One step of Fisher scoring, in γ.
    let first = g * 2.0 * profile.nu / (profile.nu * profile.sum_mu2 - profile.sum_mu * profile.sum_mu);
    let walk = Walk { gene, rss, gamma: 0.0, low: 0.0, high: 0.0, is_below: false, met_rise: false, evaluations: 1 };
    Step::On(if g > 0.0 {
        let gamma = if first.is_finite() && first > 0.0 { first } else { 1.0 };
        Walk { gamma, high: f64::INFINITY, ..walk }
    } else {
        Walk { gamma: first.max(0.25 * profile.limit), low: profile.limit, is_below: true, ..walk }
    })
}

/// One step: Newton's where it can be trusted, else doubling, halving, or half of what is left to the limit.
#[inline(always)]
fn advance(profile: &Profile, walk: Walk, at: &Point, gene: Gene<'_>) -> Step {
    let mut walk = Walk { evaluations: walk.evaluations + 1, ..walk };
    let gamma = walk.gamma;
    if at.g > 0.0 {
        walk.low = gamma;
        walk.met_rise = true;
    } else {
        walk.high = gamma;
    }
    let newton = gamma - at.g / at.slope;
    let is_trusted = at.slope < 0.0 && newton > walk.low && newton < walk.high;
    let halfway = 0.5 * (gamma + profile.limit);
    let next = match (is_trusted, walk.is_below && !walk.met_rise) {
        (true, false) => newton,
        (true, true) => newton.max(halfway),
        (false, true) => halfway,
        (false, false) if walk.high.is_infinite() => 2.0 * gamma,
        (false, false) => 0.5 * (walk.low + walk.high),
    };
    if (next - gamma).abs() <= STEP_TOLERANCE * gamma.abs() || at.g == 0.0 {
        let gamma = if at.g == 0.0 { gamma } else { next };
        // The last step is so small that its square is lost.
        let s0 = at.s0 + at.s0_slope * (gamma - walk.gamma);
        let outcome = match (walk.is_below, gamma > profile.v_limit) {
            (false, _) => Outcome::Ok,
            (true, true) => Outcome::Negative,
            (true, false) => Outcome::VNotPd,
        };
        return Step::Arrived(OneFit { gamma, s0, outcome, evaluations: walk.evaluations });
    }
    let is_lost = if walk.is_below {
        !walk.met_rise && gamma - profile.limit < 1e-9 * profile.limit.abs()
    } else {
        !at.s0.is_finite() || gamma > 1e100
    };
    if is_lost || walk.evaluations + 1 == MAX_STEPS {
        let gamma = if is_lost { gamma } else { next };
        return Step::Arrived(if walk.is_below {
            profile.at_zero(walk.rss, Outcome::NoStationary, walk.evaluations)
        } else {
            OneFit {
                gamma,
                s0: profile.s0_of(gamma, gene.w, walk.rss),
                outcome: Outcome::MaxIter,
                evaluations: MAX_STEPS,
            }
        });
    }
    walk.gamma = next;
    Step::On(walk)
}

impl Terms {
    /// s₀, g and g' of one lane.
    #[inline(always)]
    fn at(&self, profile: &Profile, lane: usize, walk: &Walk) -> Point {
        let (nu, w2h2) = (profile.nu, self.w2h2[lane]);
        let s0 = (walk.rss - walk.gamma * self.w2h[lane]) / nu;
        let ratio = w2h2 / s0;
        Point {
            s0,
            g: 0.5 * (ratio - self.trace[lane]),
            slope: 0.5 * (-2.0 * self.w2h3l[lane] / s0 + ratio * ratio / nu + self.trace2[lane]),
            s0_slope: -w2h2 / nu,
        }
    }
}

/// All sums that need 1/(1 + γλ), in one pass.
#[inline(always)]
fn terms(profile: &Profile, gamma: &[f64; LANES], squares: &[[f64; LANES]]) -> Terms {
    let zero = [0.0; LANES];
    let mut out = Terms { w2h: zero, w2h2: zero, w2h3l: zero, trace: zero, trace2: zero };
    for (square, &l) in squares.iter().zip(profile.positive()) {
        for lane in 0..LANES {
            let h = 1.0 / (1.0 + gamma[lane] * l);
            let lh = l * h;
            let a = square[lane] * h;
            let b = a * h;
            out.w2h[lane] += a;
            out.w2h2[lane] += b;
            out.w2h3l[lane] += b * lh;
            out.trace[lane] += lh;
            out.trace2[lane] += lh * lh;
        }
    }
    if let Some(mu) = &profile.mu {
        (out.trace, out.trace2) = (zero, zero);
        for &m in mu {
            for lane in 0..LANES {
                let mh = m / (1.0 + gamma[lane] * m);
                out.trace[lane] += mh;
                out.trace2[lane] += mh * mh;
            }
        }
    }
    out
}
