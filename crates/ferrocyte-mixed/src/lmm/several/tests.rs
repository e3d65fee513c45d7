//! The routes against each other, and the likelihood against its own differences.

#![allow(clippy::unwrap_used)]

use ferrocyte_base::Run;
use ferrocyte_math::linalg::{Matrix, cross_product, dot, scaled_inverse};
use ferrocyte_math::random::Stream;

use super::operator::{Guarded, Route, Traces, Which, cheapest};
use super::{Gene, Likelihood, Several};
use crate::lmm::canonical::Canonical;
use crate::lmm::options::Method;

/// A design: fixed effects (n × p) and random effects (n × q) of some components.
pub(super) struct Design {
    x: Matrix,
    z: Matrix,
    dims: Vec<usize>,
}

impl Design {
    /// Cells with a level of each factor, or the covariate that multiplies the level.
    fn new(p: usize, factors: &[(usize, Vec<(usize, f64)>)], stream: &mut Stream) -> Self {
        let n = factors[0].1.len();
        let x = (0..n * p).map(|i| if i % p == 0 { 1.0 } else { stream.normal() }).collect();
        let dims: Vec<usize> = factors.iter().map(|f| f.0).collect();
        let mut z = Matrix::zeros(n, dims.iter().sum());
        let mut from = 0;
        for (levels, cells) in factors {
            for (i, &(level, value)) in cells.iter().enumerate() {
                z[(i, from + level)] = value;
            }
            from += levels;
        }
        Self { x: Matrix::from_rows(n, p, x), z, dims }
    }

    pub(super) fn crossed(n: usize, levels: &[usize], p: usize, seed: u64) -> Self {
        let mut stream = Stream::new(seed, 0);
        let factors: Vec<_> = levels
            .iter()
            .map(|&d| (d, (0..n).map(|i| (if i < d { i } else { stream.below(d) }, 1.0)).collect()))
            .collect();
        Self::new(p, &factors, &mut stream)
    }

    pub(super) fn nested(n: usize, donors: usize, p: usize, seed: u64) -> Self {
        let mut stream = Stream::new(seed, 0);
        let samples: Vec<usize> = (0..n).map(|i| if i < 2 * donors { i } else { stream.below(2 * donors) }).collect();
        let donor = samples.iter().map(|s| (s / 2, 1.0)).collect();
        let sample = samples.iter().map(|&s| (s, 1.0)).collect();
        Self::new(p, &[(donors, donor), (2 * donors, sample)], &mut stream)
    }

    pub(super) fn slopes(n: usize, samples: usize, p: usize, seed: u64) -> Self {
        let mut stream = Stream::new(seed, 0);
        let levels: Vec<usize> = (0..n).map(|i| i % samples).collect();
        let intercept = levels.iter().map(|&s| (s, 1.0)).collect();
        let slope = levels.iter().map(|&s| (s, 20.0 * stream.normal())).collect();
        Self::new(p, &[(samples, intercept), (samples, slope)], &mut stream)
    }

    fn all() -> Vec<Self> {
        vec![
            Self::crossed(150, &[12, 4], 3, 1),
            Self::crossed(150, &[3, 11, 5], 2, 2),
            Self::crossed(90, &[20], 4, 3),
            Self::nested(150, 7, 3, 4),
            Self::slopes(160, 9, 5, 5),
        ]
    }

    pub(super) fn reduce(&self) -> Canonical {
        let (n, p, q) = (self.x.n_rows(), self.x.n_cols(), self.z.n_cols());
        let cross = |a: &Matrix, b: &Matrix| {
            let mut out = Matrix::zeros(a.n_cols(), b.n_cols());
            cross_product(a.entries(), b.entries(), &mut out);
            out
        };
        let (xx, zx, zz) = (cross(&self.x, &self.x), cross(&self.z, &self.x), cross(&self.z, &self.z));
        assert_eq!((xx.n_rows(), zx.n_rows()), (p, q));
        let xx_inverse = scaled_inverse(&xx, 1e-10).unwrap();
        let projection = xx_inverse.times(&zx.transpose());
        let taken = zx.times(&projection);
        let mut a = zz.clone();
        a.entries_mut().iter_mut().zip(taken.entries()).for_each(|(a, t)| *a -= t);
        let lower = a.clone();
        for i in 0..q {
            for j in 0..i {
                a[(j, i)] = lower[(i, j)];
            }
        }
        Canonical { n: n as f64, xx_inverse, projection, a, zz, xx, zx, dims: self.dims.clone() }
    }

    /// z and the residual sum of squares of a gene with these standard deviations of the components (residual 1).
    pub(super) fn gene(&self, shared: &Canonical, sd: &[f64], stream: &mut Stream) -> (Vec<f64>, f64) {
        let mut effects = Vec::new();
        for (d, sd) in self.dims.iter().zip(sd) {
            effects.extend((0..*d).map(|_| sd * stream.normal()));
        }
        let y: Vec<f64> = (0..self.z.n_rows()).map(|i| dot(self.z.row(i), &effects) + stream.normal()).collect();
        let (mut xy, mut zy) = (Matrix::zeros(self.x.n_cols(), 1), Matrix::zeros(self.z.n_cols(), 1));
        cross_product(self.x.entries(), &y, &mut xy);
        cross_product(self.z.entries(), &y, &mut zy);
        let reduced = shared.reduce(xy.entries(), zy.entries(), &[dot(&y, &y)]);
        (reduced.z, reduced.rss[0])
    }
}

const ROUTES: [Route; 3] = [Route::Dense, Route::Crossed, Route::Blocks];

fn close(x: f64, y: f64, tolerance: f64) -> bool {
    (x - y).abs() <= tolerance * (1.0 + x.abs().max(y.abs()))
}

/// Ratios around the edge of the region, of either sign, some of them zero.
fn ratios(k: usize, scale: &[f64], stream: &mut Stream) -> Vec<f64> {
    (0..k)
        .map(|j| match stream.below(5) {
            0 => 0.0,
            1 | 2 => -1.5 * stream.uniform() / scale[j],
            _ => (3.0 * stream.normal()).exp() / scale[j],
        })
        .collect()
}

/// What a route says of M at a point, in the basis of the model.
struct Answer {
    ln_det: f64,
    traces: Traces,
    solved: Vec<f64>,
    k_times: Vec<f64>,
}

fn ask(guarded: &Guarded, gamma: &[f64], x: &[f64]) -> Option<Answer> {
    let mut evaluator = guarded.evaluator();
    if !evaluator.factor(gamma) {
        return None;
    }
    let mut row = x.to_vec();
    guarded.operator().enter(&mut row);
    let back = |m: &Matrix, column: usize| {
        let mut out: Vec<f64> = (0..m.n_rows()).map(|i| m[(i, column)]).collect();
        guarded.operator().leave(&mut out);
        out
    };
    // Two columns: what belongs to one must not reach the other.
    let entries = row.iter().flat_map(|&x| [1.0, x]).collect();
    let two = Matrix::from_rows(row.len(), 2, entries);
    let at = evaluator.at();
    let mut traces = Traces::zeros(gamma.len());
    at.traces(&mut traces);
    let (mut solved, mut k_times) = (two.clone(), two);
    at.solve(&mut solved);
    at.k_times(&mut k_times);
    Some(Answer { ln_det: at.ln_det(), traces, solved: back(&solved, 1), k_times: back(&k_times, 1) })
}

#[test]
fn the_routes_agree_at_ratios_of_both_signs() {
    let mut stream = Stream::new(17, 0);
    let (mut inside, mut outside) = (0, 0);
    for design in Design::all() {
        let shared = design.reduce();
        let k = design.dims.len();
        let diagonal = shared.zz.diagonal();
        let scale: Vec<f64> = super::operator::ranges(&design.dims)
            .into_iter()
            .map(|r| diagonal[r].iter().copied().fold(0.0, f64::max))
            .collect();
        for which in [Which::Projected, Which::Plain] {
            let routes: Vec<Guarded> = ROUTES.iter().map(|&r| Guarded::by_route(&shared, which, r).unwrap()).collect();
            for guarded in &routes[1..] {
                assert_eq!(guarded.operator().rank(), routes[0].operator().rank(), "{:?} {which:?}", guarded.kind());
            }
            for _ in 0..60 {
                let gamma = ratios(k, &scale, &mut stream);
                let x: Vec<f64> = (0..shared.q()).map(|_| stream.normal()).collect();
                let expected = ask(&routes[0], &gamma, &x);
                for guarded in &routes[1..] {
                    let found = ask(guarded, &gamma, &x);
                    assert_eq!(found.is_some(), expected.is_some(), "{:?} {gamma:?}", guarded.kind());
                    let (Some(found), Some(expected)) = (found, &expected) else {
                        outside += 1;
                        continue;
                    };
                    inside += 1;
                    assert!(close(found.ln_det, expected.ln_det, 1e-10));
                    let numbers =
                        |a: &Answer| [&a.traces.t, a.traces.f.entries(), &a.solved, &a.k_times].map(<[f64]>::to_vec);
                    for (found, expected) in numbers(&found).iter().zip(&numbers(expected)) {
                        let size = expected.iter().fold(0.0, |a, x| f64::max(a, x.abs()));
                        for (x, y) in found.iter().zip(expected) {
                            assert!((x - y).abs() <= 1e-9 * size, "{:?} {gamma:?} {x} {y}", guarded.kind());
                        }
                    }
                }
            }
        }
    }
    assert!(inside > 300 && outside > 100, "{inside} inside, {outside} outside");
}

#[test]
fn what_the_random_effects_explain_is_the_same_by_each_route() {
    let mut stream = Stream::new(19, 0);
    for design in Design::all() {
        let shared = design.reduce();
        let (z, rss) = design.gene(&shared, &vec![0.5; design.dims.len()], &mut stream);
        let explained = ROUTES.map(|route| {
            let guarded = Guarded::by_route(&shared, Which::Projected, route).unwrap();
            let mut z = z.clone();
            guarded.operator().enter(&mut z);
            guarded.operator().explained(&z)
        });
        assert!(explained[0] > 0.0 && explained[0] < rss);
        assert!(explained.iter().all(|&e| close(e, explained[0], 1e-10)), "{explained:?}");
    }
}

fn model(shared: &Canonical, method: Method, route: Route) -> Several {
    let by = |which| Guarded::by_route(shared, which, route).unwrap();
    Several::from_routes(shared, method, by(Which::Projected), by(Which::Plain))
}

#[test]
fn scoring_ends_at_the_same_point_by_each_route() {
    let run = Run::new();
    let mut stream = Stream::new(23, 0);
    let mut outcomes = Vec::new();
    for design in Design::all() {
        let shared = design.reduce();
        for method in [Method::Reml, Method::Ml] {
            let models = ROUTES.map(|route| model(&shared, method, route));
            for trial in 0..12 {
                let sd: Vec<f64> =
                    design.dims.iter().map(|_| if trial % 3 == 0 { 0.0 } else { stream.uniform() }).collect();
                let (z, rss) = design.gene(&shared, &sd, &mut stream);
                for non_negative in [false, true] {
                    let fits = models.each_ref().map(|model| {
                        let mut z = z.clone();
                        model.enter(&mut z);
                        Likelihood::new(model).fit(&run, Gene { z: &z, rss }, non_negative).unwrap()
                    });
                    outcomes.push(fits[0].outcome);
                    for fit in &fits[1..] {
                        assert_eq!(fit.outcome, fits[0].outcome);
                        let size = fits[0].theta.iter().fold(0.0, |a, s| f64::max(a, s.abs()));
                        for (s, expected) in fit.theta.iter().zip(&fits[0].theta) {
                            assert!((s - expected).abs() <= 1e-8 * size, "{:?} {:?}", fit.theta, fits[0].theta);
                        }
                        assert!(close(fit.log_likelihood, fits[0].log_likelihood, 1e-10));
                    }
                }
            }
        }
    }
    outcomes.sort_unstable_by_key(|o| o.code());
    outcomes.dedup();
    assert!(outcomes.len() >= 3, "{outcomes:?}");
}

#[test]
fn gradient_and_information_are_the_differences_of_the_likelihood() {
    let mut stream = Stream::new(29, 0);
    for design in Design::all() {
        let shared = design.reduce();
        let k = design.dims.len();
        let (z, rss) = design.gene(&shared, &vec![0.4; k], &mut stream);
        for method in [Method::Reml, Method::Ml] {
            let model = Several::new(&shared, method).unwrap();
            let mut z = z.clone();
            model.enter(&mut z);
            let gene = Gene { z: &z, rss };
            let mut likelihood = Likelihood::new(&model);
            let theta: Vec<f64> = (0..=k).map(|i| if i == k { 1.1 } else { 0.1 + 0.05 * i as f64 }).collect();
            let point = likelihood.evaluate(&theta, gene).unwrap();
            let observed = likelihood.observed(&point);
            for i in 0..=k {
                let step = 1e-5;
                let (mut up, mut down) = (theta.clone(), theta.clone());
                up[i] += step;
                down[i] -= step;
                let up = likelihood.evaluate(&up, gene).unwrap();
                let down = likelihood.evaluate(&down, gene).unwrap();
                let slope = (up.log_likelihood - down.log_likelihood) / (2.0 * step);
                assert!(close(slope, point.score[i], 1e-5), "{slope} {}", point.score[i]);
                for j in 0..=k {
                    let bend = (down.score[j] - up.score[j]) / (2.0 * step);
                    assert!(close(bend, observed[(i, j)], 1e-6), "{bend} {}", observed[(i, j)]);
                }
            }
        }
    }
}

#[test]
fn each_design_takes_the_route_that_suits_it() {
    let choose = |design: &Design, which: Which| {
        let shared = design.reduce();
        let p = if which == Which::Projected { shared.p() } else { 0 };
        cheapest(&design.dims, &super::blocks::groups(&shared.zz), p)
    };
    let crossed = Design::crossed(600, &[60, 6], 5, 1);
    assert_eq!(choose(&crossed, Which::Projected), Route::Crossed);
    assert_eq!(choose(&crossed, Which::Plain), Route::Crossed);
    assert_eq!(choose(&Design::slopes(400, 40, 4, 1), Which::Projected), Route::Blocks);
    assert_eq!(choose(&Design::slopes(400, 40, 4, 1), Which::Plain), Route::Blocks);
    assert_eq!(choose(&Design::nested(400, 40, 4, 1), Which::Projected), Route::Blocks);
    // Many factors with the same few levels, and no fewer fixed than random effects: nothing to take apart.
    assert_eq!(choose(&Design::crossed(400, &[5; 5], 30, 1), Which::Projected), Route::Dense);
}
