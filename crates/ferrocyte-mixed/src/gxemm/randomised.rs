//! Moments of very many people: Haseman-Elston regression from genotypes, with traces from random vectors.
//!
//! The regression is that of [`super::moments`]: theta = G⁻¹h, G_jk = ½ (tr A_jA_k - Σ A_j,ii A_k,ii) + w Σ A_j,ii A_k,ii with
//! A_k = MK_kM. h, all diagonals and every trace with a kernel of noise are exact; tr A_jA_k of two genetic kernels is the mean over
//! random signs v of v'A_jA_kv (Wu & Sankararaman, Bioinformatics 2018; Pazokitoroudi et al., AJHG 2024, for environments).
//! The jackknife leaves out one of contiguous blocks of markers at a time, on both sides. The scatter over the random
//! vectors gives the error of the traces, beside it.
//!
//! Genotypes are read twice: for the sums of all markers, and again for all but those of each block.

use std::ops::Range;

use ferrocyte_base::{Result, Run};
use ferrocyte_math::linalg::{Matrix, dot, scaled_inverse};
use ferrocyte_math::random::Stream;

use super::ground::Ground;
use super::model::Model;
use super::sweep::{Source, Sums};

/// People that one thread adds up at a time.
const PEOPLE: usize = 512;

/// Columns of numbers that a block of markers takes besides.
const HELD: usize = 160;

/// A diagonal entry of the scaled G below this is a variance that depends on those before it.
const RANK: f64 = 1e-9;

/// Estimates of one trait.
#[derive(Debug, Clone)]
pub(super) struct Estimate {
    pub(super) theta: Vec<f64>,
    /// From the jackknife over blocks of markers.
    pub(super) covariance: Matrix,
    /// From the scatter of the traces.
    pub(super) monte_carlo: Matrix,
}

/// The estimates of all traits, and what they share.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// For each trait; or the first variance that depends on those before it.
    pub(super) estimates: std::result::Result<Vec<Estimate>, usize>,
    /// Mean diagonals of the kernels.
    pub(super) means: Vec<f64>,
    /// The same within the complement of the fixed effects.
    pub(super) projected: Vec<f64>,
    /// Markers in the kinship.
    pub(super) used: usize,
}

/// Random signs for `n` people: people × vectors. Vector b is stream b of the seed.
pub(super) fn probes(seed: u64, n: usize, count: usize) -> Matrix {
    let mut out = Matrix::zeros(n, count);
    for b in 0..count {
        let mut stream = Stream::new(seed, b as u64);
        for i in 0..n {
            out[(i, b)] = if stream.bits() >> 63 == 0 { 1.0 } else { -1.0 };
        }
    }
    out
}

/// The regression of `traits` (residuals of variance 1).
///
/// `probes` are people × vectors, of mean zero and covariance I; `blocks` of markers are left out one at a time, `w` weighs
/// each person's own square.
#[allow(clippy::too_many_arguments)]
pub(super) fn estimate(
    run: &Run,
    ground: &Ground,
    model: &Model,
    source: &mut Source,
    traits: &[&[f64]],
    probes: &Matrix,
    blocks: usize,
    w: f64,
) -> Result<Found> {
    let m = source.markers.n_markers();
    let shape = Shape::new(ground, model, probes.n_cols(), traits.len());
    let n = ground.n() as u64;
    let columns = (shape.places * (3 * shape.width() + traits.len()) + 2 * probes.n_cols() + HELD) as u64;
    run.reserve("products of genotypes with random vectors", 8 * n * columns)?;
    let (x, y) = shape.columns(ground, probes, traits);
    let cuts: Vec<Range<usize>> =
        (0..blocks).map(|b| b * m / blocks..(b + 1) * m / blocks).filter(|cut| !cut.is_empty()).collect();
    let task = run.task("genotypes", 2 * m as u64);
    let mut all = Sums::new(ground.n(), x.n_cols(), y.n_cols());
    let (mut used, mut squares) = (Vec::with_capacity(cuts.len()), Vec::with_capacity(cuts.len()));
    for cut in &cuts {
        let before = all.squares.clone();
        let count = all.used;
        all.squares.fill(0.0);
        all.add(run, source, cut.clone(), &x, &y)?;
        used.push(all.used - count);
        squares.push(all.squares.clone());
        all.squares.iter_mut().zip(before).for_each(|(sum, before)| *sum += before);
        task.advance(cut.len() as u64);
    }
    let fixed = Fixed::new(ground, model, traits);
    let whole = shape.system(run, ground, model, &fixed, &all, None, w)?;
    let mut found = Found {
        estimates: Ok(Vec::new()),
        means: whole.means.clone(),
        projected: whole.projected.clone(),
        used: all.used,
    };
    let inverse = match scaled_inverse(&whole.g, RANK) {
        Ok(inverse) => inverse,
        Err(k) => {
            found.estimates = Err(k);
            return Ok(found);
        }
    };
    let solve = |inverse: &Matrix, h: &[f64]| -> Vec<f64> { (0..h.len()).map(|j| dot(inverse.row(j), h)).collect() };
    let thetas: Vec<Vec<f64>> = whole.h.iter().map(|h| solve(&inverse, h)).collect();
    let mut refits: Vec<Vec<Vec<f64>>> = vec![Vec::new(); traits.len()];
    let mut without = Sums::new(ground.n(), x.n_cols(), y.n_cols());
    let none = Matrix::zeros(ground.n(), 0);
    for ((cut, used), squares) in cuts.iter().zip(&used).zip(&squares) {
        // A block without markers that vary leaves out nothing.
        if *used > 0 && *used < all.used {
            without.clear();
            without.add(run, source, cut.clone(), &x, &none)?;
            without.squares.clone_from(squares);
            let system = shape.system(run, ground, model, &fixed, &all, Some(&without), w)?;
            if let Ok(inverse) = scaled_inverse(&system.g, 1e-14) {
                refits.iter_mut().zip(&system.h).for_each(|(refits, h)| refits.push(solve(&inverse, h)));
            }
        }
        task.advance(cut.len() as u64);
    }
    let each = thetas.into_iter().zip(&refits).map(|(theta, refits)| Estimate {
        covariance: jackknife(refits, model.len()),
        monte_carlo: monte_carlo(&inverse, &whole.traces, &theta),
        theta,
    });
    found.estimates = Ok(each.collect());
    Ok(found)
}

/// (b - 1) / b times the scatter of the estimates without one block; not a number with fewer than two.
fn jackknife(refits: &[Vec<f64>], k: usize) -> Matrix {
    let b = refits.len() as f64;
    let factor = if refits.len() < 2 { f64::NAN } else { (b - 1.0) / b };
    let mean: Vec<f64> = (0..k).map(|j| refits.iter().map(|r| r[j]).sum::<f64>() / b).collect();
    let mut out = Matrix::zeros(k, k);
    for i in 0..k {
        for j in 0..k {
            out[(i, j)] = factor * refits.iter().map(|r| (r[i] - mean[i]) * (r[j] - mean[j])).sum::<f64>();
        }
    }
    out
}

/// The covariance of G⁻¹ (mean of G_b) theta over random vectors: what the traces add to the error.
fn monte_carlo(inverse: &Matrix, traces: &[Matrix], theta: &[f64]) -> Matrix {
    let (k, b) = (theta.len(), traces.len() as f64);
    let pulls: Vec<Vec<f64>> = traces
        .iter()
        .map(|of| {
            let along: Vec<f64> = (0..k).map(|j| dot(of.row(j), theta)).collect();
            (0..k).map(|j| dot(inverse.row(j), &along)).collect()
        })
        .collect();
    let mut out = jackknife(&pulls, k);
    // The jackknife's factor (b - 1) / b becomes that of a mean, 1 / (b (b - 1)).
    out.entries_mut().iter_mut().for_each(|x| *x /= (b - 1.0) * (b - 1.0));
    out
}

/// How the columns of a pass are laid out: for every place, random vectors and then fixed effects.
struct Shape {
    places: usize,
    probes: usize,
    p: usize,
    traits: usize,
}

/// The normal equations.
struct System {
    g: Matrix,
    /// For each trait.
    h: Vec<Vec<f64>>,
    /// ½ v'A_jA_kv of every random vector, zero for noise.
    traces: Vec<Matrix>,
    means: Vec<f64>,
    projected: Vec<f64>,
}

/// What does not depend on genotypes.
struct Fixed {
    /// Σ r_i² d_i of every noise and trait: noise × traits.
    pulls: Matrix,
    /// Squares of the residuals, people × traits.
    squares: Matrix,
    /// tr A_aA_b of noise.
    traces: Matrix,
    /// The diagonals of projected noise, people × noise.
    diagonals: Matrix,
}

impl Fixed {
    fn new(ground: &Ground, model: &Model, traits: &[&[f64]]) -> Self {
        let (n, p, e) = (ground.n(), ground.p(), model.reported_noise.len());
        let q = &ground.q;
        let corner = |d: &[f64]| {
            let mut out = Matrix::zeros(p, p);
            for (i, d) in d.iter().enumerate() {
                for a in 0..p {
                    (0..p).for_each(|b| out[(a, b)] += d * q[(i, a)] * q[(i, b)]);
                }
            }
            out
        };
        let corners: Vec<Matrix> = model.reported_noise.iter().map(|d| corner(d)).collect();
        let mut out = Self {
            pulls: Matrix::zeros(e, traits.len()),
            squares: Matrix::zeros(n, traits.len()),
            traces: Matrix::zeros(e, e),
            diagonals: Matrix::zeros(n, e),
        };
        for i in 0..n {
            let row = q.row(i);
            let leverage = dot(row, row);
            for (a, d) in model.reported_noise.iter().enumerate() {
                let inside: f64 = (0..p).map(|j| row[j] * dot(corners[a].row(j), row)).sum();
                out.diagonals[(i, a)] = d[i] * (1.0 - 2.0 * leverage) + inside;
                for (b, other) in model.reported_noise.iter().enumerate() {
                    out.traces[(a, b)] += d[i] * other[i] * (1.0 - 2.0 * leverage);
                }
            }
            for (t, r) in traits.iter().enumerate() {
                out.squares[(i, t)] = r[i] * r[i];
                model.reported_noise.iter().enumerate().for_each(|(a, d)| out.pulls[(a, t)] += d[i] * r[i] * r[i]);
            }
        }
        for a in 0..e {
            for b in 0..e {
                let both = corners[a].entries().iter().zip(corners[b].entries()).map(|(x, y)| x * y).sum::<f64>();
                out.traces[(a, b)] += both;
            }
        }
        out
    }
}

impl Shape {
    fn new(ground: &Ground, model: &Model, probes: usize, traits: usize) -> Self {
        let places = if model.genetic.len() > 1 { model.n_environments + 1 } else { 1 };
        Self { places, probes, p: ground.p(), traits }
    }

    fn width(&self) -> usize {
        self.probes + self.p
    }

    /// X (people × places × [random vectors, fixed effects]) and Y (people × places × traits), each times its place's vector.
    fn columns(&self, ground: &Ground, probes: &Matrix, traits: &[&[f64]]) -> (Matrix, Matrix) {
        let (n, width) = (ground.n(), self.width());
        let mut inside = Matrix::zeros(n, self.probes);
        for b in 0..self.probes {
            let left = ground.residual(&(0..n).map(|i| probes[(i, b)]).collect::<Vec<f64>>());
            left.iter().enumerate().for_each(|(i, x)| inside[(i, b)] = *x);
        }
        let mut x = Matrix::zeros(n, self.places * width);
        let mut y = Matrix::zeros(n, self.places * self.traits);
        for i in 0..n {
            for place in 0..self.places {
                let a = ground.place(i, place);
                let part = &mut x.row_mut(i)[place * width..(place + 1) * width];
                let from = inside.row(i).iter().chain(ground.q.row(i));
                part.iter_mut().zip(from).for_each(|(x, from)| *x = a * from);
                let part = &mut y.row_mut(i)[place * self.traits..(place + 1) * self.traits];
                part.iter_mut().zip(traits).for_each(|(y, r)| *y = a * r[i]);
            }
        }
        (x, y)
    }

    /// Genetic kernels of person `i` from the sums of `all` but `without`, over `m` markers: K_kX for each, and the diagonals.
    #[allow(clippy::too_many_arguments)]
    fn person(
        &self,
        ground: &Ground,
        model: &Model,
        i: usize,
        all: &Sums,
        without: Option<&Sums>,
        m: f64,
        out: &mut Matrix,
        diagonal: &mut [f64],
    ) {
        let width = self.width();
        let own = all.diagonal[i] - without.map_or(0.0, |w| w.diagonal[i]);
        let row = all.products.row(i);
        for (k, places) in model.genetic.iter().enumerate() {
            let to = out.row_mut(k);
            to.fill(0.0);
            diagonal[k] = 0.0;
            for &place in places {
                let a = ground.place(i, place) / m;
                diagonal[k] += a * ground.place(i, place) * own;
                let span = place * width..(place + 1) * width;
                to.iter_mut().zip(&row[span.clone()]).for_each(|(x, sum)| *x += a * sum);
                if let Some(without) = without {
                    let less = &without.products.row(i)[span];
                    to.iter_mut().zip(less).for_each(|(x, sum)| *x -= a * sum);
                }
            }
        }
    }

    /// The normal equations from the sums of all markers but those of `without`.
    #[allow(clippy::too_many_arguments)]
    fn system(
        &self,
        run: &Run,
        ground: &Ground,
        model: &Model,
        fixed: &Fixed,
        all: &Sums,
        without: Option<&Sums>,
        w: f64,
    ) -> Result<System> {
        let (n, g, k, p) = (ground.n(), model.genetic.len(), model.len(), self.p);
        let (width, probes) = (self.width(), self.probes);
        let m = (all.used - without.map_or(0, |w| w.used)) as f64;
        // Q'K_k [MV, Q], and v'MK_jK_kMv.
        let first = run.map_quietly(n, PEOPLE, |rows| {
            let mut inside = vec![Matrix::zeros(p, width); g];
            let mut pairs = vec![Matrix::zeros(g, g); probes];
            let (mut of, mut diagonal) = (Matrix::zeros(g, width), vec![0.0; g]);
            for i in rows {
                self.person(ground, model, i, all, without, m, &mut of, &mut diagonal);
                for (j, inside) in inside.iter_mut().enumerate() {
                    for (a, q) in ground.q.row(i).iter().enumerate() {
                        inside.row_mut(a).iter_mut().zip(of.row(j)).for_each(|(x, y)| *x += q * y);
                    }
                    for l in 0..=j {
                        let both = of.row(j).iter().zip(of.row(l));
                        pairs.iter_mut().zip(both).for_each(|(pair, (x, y))| pair[(j, l)] += x * y);
                    }
                }
            }
            Ok((inside, pairs))
        })?;
        let mut inside = vec![Matrix::zeros(p, width); g];
        let mut traces = vec![Matrix::zeros(k, k); probes];
        for (part, pairs) in &first {
            inside.iter_mut().zip(part).for_each(|(x, y)| add(x, y));
            for (out, pair) in traces.iter_mut().zip(pairs) {
                for j in 0..g {
                    (0..=j).for_each(|l| out[(j, l)] += 0.5 * pair[(j, l)]);
                }
            }
        }
        for (b, out) in traces.iter_mut().enumerate() {
            for j in 0..g {
                for l in 0..=j {
                    let along = (0..p).map(|a| inside[j][(a, b)] * inside[l][(a, b)]).sum::<f64>();
                    out[(j, l)] -= 0.5 * along;
                    out[(l, j)] = out[(j, l)];
                }
            }
        }
        // The diagonals of A_k: K_ii - 2 q'(KQ)_i + q' (Q'KQ) q.
        let second = run.map_quietly(n, PEOPLE, |rows| {
            let mut sums = Diagonals::new(k, fixed.squares.n_cols(), model.reported_noise.len());
            let (mut of, mut diagonal) = (Matrix::zeros(g, width), vec![0.0; g]);
            let mut a = vec![0.0; k];
            for i in rows {
                self.person(ground, model, i, all, without, m, &mut of, &mut diagonal);
                let q = ground.q.row(i);
                for j in 0..g {
                    let corner: f64 = (0..p).map(|c| q[c] * dot(&inside[j].row(c)[probes..], q)).sum();
                    a[j] = diagonal[j] - 2.0 * dot(q, &of.row(j)[probes..]) + corner;
                    sums.plain[j] += diagonal[j];
                }
                a[g..].copy_from_slice(fixed.diagonals.row(i));
                sums.add(&a, fixed.squares.row(i), model, i);
            }
            Ok(sums)
        })?;
        let mut sums = Diagonals::new(k, fixed.squares.n_cols(), model.reported_noise.len());
        second.iter().for_each(|part| sums.merge(part));
        Ok(self.assemble(model, fixed, &sums, traces, all, without, m, n, w))
    }

    #[allow(clippy::too_many_arguments)]
    fn assemble(
        &self,
        model: &Model,
        fixed: &Fixed,
        sums: &Diagonals,
        traces: Vec<Matrix>,
        all: &Sums,
        without: Option<&Sums>,
        m: f64,
        n: usize,
        w: f64,
    ) -> System {
        let (g, k) = (model.genetic.len(), model.len());
        let mut out = Matrix::zeros(k, k);
        for of in &traces {
            out.entries_mut().iter_mut().zip(of.entries()).for_each(|(x, t)| *x += t / traces.len() as f64);
        }
        for e in 0..k - g {
            for j in 0..g {
                out[(j, g + e)] = 0.5 * sums.with_noise[(j, e)];
                out[(g + e, j)] = out[(j, g + e)];
            }
            (0..k - g).for_each(|f| out[(g + e, g + f)] = 0.5 * fixed.traces[(e, f)]);
        }
        for (x, own) in out.entries_mut().iter_mut().zip(sums.squares.entries()) {
            *x += (w - 0.5) * own;
        }
        let h = (0..self.traits).map(|t| {
            let square = |place: usize| {
                let at = place * self.traits + t;
                (all.squares[at] - without.map_or(0.0, |w| w.squares[at])) / m
            };
            let genetic = model.genetic.iter().map(|places| places.iter().map(|&place| square(place)).sum::<f64>());
            let noise = (0..k - g).map(|e| fixed.pulls[(e, t)]);
            let pulls = genetic.chain(noise).enumerate();
            pulls.map(|(j, pull)| 0.5 * pull + (w - 0.5) * sums.pulls[(j, t)]).collect()
        });
        let mut means: Vec<f64> = sums.plain.iter().map(|x| x / n as f64).collect();
        means.truncate(g);
        means.extend(model.reported_noise.iter().map(|d| d.iter().sum::<f64>() / n as f64));
        let projected = sums.own.iter().map(|x| x / n as f64).collect();
        System { g: out, h: h.collect(), traces, means, projected }
    }
}

/// Sums over people of the diagonals a of the projected kernels.
struct Diagonals {
    /// Σ K_k,ii.
    plain: Vec<f64>,
    /// Σ a_k.
    own: Vec<f64>,
    /// Σ a_j a_k.
    squares: Matrix,
    /// Σ d_e a_j.
    with_noise: Matrix,
    /// Σ a_j r².
    pulls: Matrix,
}

impl Diagonals {
    fn new(k: usize, traits: usize, noise: usize) -> Self {
        Self {
            plain: vec![0.0; k],
            own: vec![0.0; k],
            squares: Matrix::zeros(k, k),
            with_noise: Matrix::zeros(k, noise),
            pulls: Matrix::zeros(k, traits),
        }
    }

    fn add(&mut self, a: &[f64], squares: &[f64], model: &Model, i: usize) {
        for (j, x) in a.iter().enumerate() {
            self.own[j] += x;
            self.squares.row_mut(j).iter_mut().zip(a).for_each(|(sum, y)| *sum += x * y);
            self.pulls.row_mut(j).iter_mut().zip(squares).for_each(|(sum, r)| *sum += x * r);
            let noise = self.with_noise.row_mut(j).iter_mut();
            noise.zip(&model.reported_noise).for_each(|(sum, d)| *sum += x * d[i]);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.plain.iter_mut().zip(&other.plain).for_each(|(x, y)| *x += y);
        self.own.iter_mut().zip(&other.own).for_each(|(x, y)| *x += y);
        add(&mut self.squares, &other.squares);
        add(&mut self.with_noise, &other.with_noise);
        add(&mut self.pulls, &other.pulls);
    }
}

fn add(to: &mut Matrix, more: &Matrix) {
    to.entries_mut().iter_mut().zip(more.entries()).for_each(|(x, y)| *x += y);
}

#[cfg(test)]
mod tests {
    use super::super::data::Study;
    use super::super::genotypes::{Markers, kinship_of};
    use super::super::kinship::Kinship;
    use super::super::moments::{Kernel, Moments};
    use super::super::options::{FitOptions, Genetic, Noise, Standardize};
    use super::*;

    struct Given(Vec<i8>, usize);

    impl Markers for Given {
        fn n_individuals(&self) -> usize {
            self.1
        }
        fn n_markers(&self) -> usize {
            self.0.len() / self.1
        }
        fn read(&mut self, markers: Range<usize>) -> Result<Vec<i8>> {
            Ok(self.0[markers.start * self.1..markers.end * self.1].to_vec())
        }
    }

    const N: usize = 37;
    const M: usize = 60;

    fn study() -> Result<(Study, Given)> {
        let mut stream = Stream::new(9, 0);
        let counts: Vec<i8> = (0..N * M).map(|k| if k % 31 == 0 { -1 } else { stream.below(3) as i8 }).collect();
        let mut given = Given(counts, N);
        let individuals: Vec<String> = (0..N).map(|i| format!("i{i}")).collect();
        let (kinship, _) = kinship_of(&Run::new(), &mut given, |j| j % 7 != 3, Standardize::Sample)?;
        let z = (0..N).flat_map(|i| [f64::from(u8::from(i % 3 == 0)), f64::from(u8::from(i % 3 != 0))]).collect();
        let study = Study {
            kinship: Some(Kinship::new(N, kinship, &individuals)?),
            individuals,
            traits: vec!["a".into()],
            values: (0..N).map(|_| stream.normal()).collect(),
            covariate_names: vec!["x".into()],
            covariates: Matrix::from_rows(N, 1, (0..N).map(|_| stream.normal()).collect()),
            environment_names: vec!["A".into(), "B".into()],
            environments: Matrix::from_rows(N, 2, z),
        };
        Ok((study, given))
    }

    /// With these vectors every trace is exact.
    fn units() -> Matrix {
        let mut out = Matrix::zeros(N, N);
        (0..N).for_each(|i| out[(i, i)] = (N as f64).sqrt());
        out
    }

    fn of(study: &Study, given: &mut Given, chosen: &dyn Fn(usize) -> bool, blocks: usize, w: f64) -> Result<Estimate> {
        let ground = Ground::new(study, &(0..N).collect::<Vec<usize>>())?;
        let options = FitOptions { gtype: Genetic::Free, etype: Noise::Free, ..FitOptions::default() };
        let model = Model::new(&options, &ground.z, &study.environment_names);
        let people: Vec<usize> = (0..N).collect();
        let mut source = Source { markers: given, chosen, standardize: Standardize::Sample, people: &people };
        let r = ground.residual(&study.values);
        let found =
            estimate(&Run::new().threads(2), &ground, &model, &mut source, &[&r], &units(), blocks, w)?.estimates;
        Ok(found.unwrap_or_default().remove(0))
    }

    #[test]
    fn with_exact_traces_it_is_the_regression_of_moments() -> Result<()> {
        let (study, mut given) = study()?;
        let ground = Ground::new(&study, &(0..N).collect::<Vec<usize>>())?;
        let options = FitOptions { gtype: Genetic::Free, etype: Noise::Free, ..FitOptions::default() };
        let model = Model::new(&options, &ground.z, &study.environment_names);
        let genetic = model.genetic.iter().map(|places| Kernel::Genetic(places));
        let kernels: Vec<Kernel> = genetic.chain(model.reported_noise.iter().map(|d| Kernel::Noise(d))).collect();
        let run = Run::new();
        let moments = Moments::new(&run, &ground, &kernels, None)?;
        let r = ground.residual(&study.values);
        for w in [0.25, 0.5] {
            let exact = moments.estimates(&run, &ground, &kernels, &[&r], None, w, false)?.remove(0);
            let exact = exact.map(|e| e.theta).unwrap_or_default();
            let ours = of(&study, &mut given, &|j| j % 7 != 3, 6, w)?.theta;
            assert_eq!(ours.len(), 5);
            for (a, b) in ours.iter().zip(&exact) {
                assert!((a - b).abs() < 1e-9 * b.abs().max(1e-3), "{ours:?} {exact:?}");
            }
        }
        Ok(())
    }

    #[test]
    fn the_jackknife_leaves_out_blocks_of_markers() -> Result<()> {
        let (study, mut given) = study()?;
        let blocks = 5;
        let ours = of(&study, &mut given, &|_| true, blocks, 0.25)?;
        let mut refits = Vec::new();
        for b in 0..blocks {
            let block = b * M / blocks..(b + 1) * M / blocks;
            refits.push(of(&study, &mut given, &|j| !block.contains(&j), blocks, 0.25)?.theta);
        }
        let expected = jackknife(&refits, 5);
        for (a, b) in ours.covariance.entries().iter().zip(expected.entries()) {
            assert!((a - b).abs() < 1e-8 * expected[(0, 0)].abs().max(1.0), "{a} {b}");
        }
        Ok(())
    }
}
