//! k-means: greedy k-means++ starts, Lloyd's iterations with Hamerly's bounds, weights, several starts.
//!
//! A point whose centre is certainly the nearest, by how far centres have moved since it was last looked at, is passed
//! over (G. Hamerly, *Making k-means even faster*, 2010); the others are looked at together (`nearest`). A start takes as
//! each next centre the best of a few points drawn in proportion to their squared distances (D. Arthur and S.
//! Vassilvitskii, *k-means++*, 2007), among some of the points where there are many (`seeds`). Results depend on the
//! seed, not on threads.

#![allow(clippy::inline_always, reason = "kernels are compiled where they run")]

mod nearest;
mod seeds;

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::linalg::Matrix;
use ferrocyte_math::random::Stream;
use ferrocyte_math::wide::{self, Kernel};

use crate::Points;
use nearest::{Bounds, Centres};

/// Rows that a thread takes at a time.
const ROWS: usize = 512;

/// Rows that are added up before they are added to others.
const STRETCH: usize = 8192;

/// How clusters are looked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KmeansOptions {
    /// How many clusters.
    pub k: usize,
    /// How many starts; the one with the least inertia is kept.
    pub starts: usize,
    /// The most iterations of a start.
    pub max_iter: usize,
    /// Stop when no centre moves farther than this share of the spread of the points.
    pub tolerance: f64,
    /// Decides the starts.
    pub seed: u64,
}

impl KmeansOptions {
    /// Ten starts of at most 100 iterations.
    pub fn new(k: usize, seed: u64) -> Self {
        Self { k, starts: 10, max_iter: 100, tolerance: 0.0, seed }
    }
}

/// Clusters of points.
#[derive(Debug, Clone, PartialEq)]
pub struct Kmeans {
    /// Clusters × dimensions.
    pub centres: Matrix,
    /// The cluster of each point.
    pub labels: Vec<u32>,
    /// Sum of weight × squared distance to the centre.
    pub inertia: f64,
    /// Iterations of the start that was kept.
    pub iterations: usize,
}

/// Finds `k` clusters of points with weights (1 each if `None`).
///
/// # Errors
/// No cluster, or more clusters than points with weight; weights that are negative or not finite, or for another number
/// of points; the wish to stop.
pub fn kmeans(run: &Run, points: Points<'_>, weights: Option<&[f64]>, options: &KmeansOptions) -> Result<Kmeans> {
    let ones;
    let given = weights;
    let weights = match weights {
        Some(weights) => weights,
        None => {
            ones = vec![1.0; points.n()];
            &ones
        }
    };
    check(points, weights, options)?;
    let starts = || {
        let mut best: Option<Kmeans> = None;
        for start in 0..options.starts.max(1) {
            run.check()?;
            let centres = seeds::seeds(run, points, given, options.k, &mut Stream::new(options.seed, start as u64))?;
            let found = lloyd(run, points, weights, centres, options)?;
            if best.as_ref().is_none_or(|best| found.inertia < best.inertia) {
                best = Some(found);
            }
        }
        best.ok_or_else(|| Fault::internal("no start of k-means was made"))
    };
    // Steps of few points are short: they are not handed to the threads one by one.
    run.install(starts)?
}

/// [`kmeans`] from given centres, clusters × dimensions; the number of clusters, of starts and the seed are not used.
///
/// # Errors
/// No centre, or centres of another dimension; the wish to stop.
pub fn kmeans_from(run: &Run, points: Points<'_>, start: Matrix, options: &KmeansOptions) -> Result<Kmeans> {
    if start.n_rows() == 0 || start.n_cols() != points.d() {
        let (k, d) = (start.n_rows(), start.n_cols());
        return Err(Fault::bad_input(format!("{k} centres in {d} dimensions, the points have {}", points.d())));
    }
    run.install(|| lloyd(run, points, &vec![1.0; points.n()], start, options))?
}

fn check(points: Points<'_>, weights: &[f64], options: &KmeansOptions) -> Result<()> {
    if weights.len() != points.n() {
        return Err(Fault::bad_input(format!("{} weights for {} points", weights.len(), points.n())));
    }
    if let Some(i) = weights.iter().position(|w| !(*w >= 0.0 && w.is_finite())) {
        return Err(Fault::bad_input(format!("the weight of point {i} is {}", weights[i])));
    }
    let n = weights.iter().filter(|&&w| w > 0.0).count();
    if options.k == 0 || options.k > n {
        return Err(Fault::bad_input(format!("{} clusters of {n} points", options.k)).hint("ask for fewer clusters"));
    }
    Ok(())
}

/// The squared distance of two points, added in eight interleaved sums.
#[inline(always)]
fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    const LANES: usize = 8;
    let (chunks_a, tail_a) = a.as_chunks::<LANES>();
    let (chunks_b, tail_b) = b.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for (x, y) in chunks_a.iter().zip(chunks_b) {
        for l in 0..LANES {
            lanes[l] += (x[l] - y[l]) * (x[l] - y[l]);
        }
    }
    let tail: f64 = tail_a.iter().zip(tail_b).map(|(x, y)| (x - y) * (x - y)).sum();
    lanes.iter().sum::<f64>() + tail
}

/// Lloyd's iterations from given centres.
fn lloyd(
    run: &Run,
    points: Points<'_>,
    weights: &[f64],
    mut centres: Matrix,
    options: &KmeansOptions,
) -> Result<Kmeans> {
    let k = centres.n_rows();
    let mut bounds = vec![Bounds { label: 0, upper: f64::INFINITY, lower: 0.0 }; points.n()];
    let mut moved = vec![0.0; k];
    let limit = options.tolerance * spread(points);
    let mut iterations = 0;
    loop {
        run.check()?;
        assign(run, points, &centres, &moved, &mut bounds)?;
        (centres, moved) = means(run, points, weights, &bounds, &centres)?;
        iterations += 1;
        let farthest = moved.iter().copied().fold(0.0, f64::max);
        if farthest <= limit || iterations >= options.max_iter {
            break;
        }
    }
    // Labels and inertia belong to the final centres.
    let asked = Centres::new(&centres);
    let of = |rows: std::ops::Range<usize>| Ok(asked.of(points, &rows.collect::<Vec<_>>()));
    let found = run.map_quietly(points.n(), ROWS, of)?.concat();
    let inertia = found.iter().zip(weights).map(|(b, w)| w * b.upper * b.upper).sum();
    Ok(Kmeans { centres, labels: found.iter().map(|b| b.label).collect(), inertia, iterations })
}

/// Root of the mean squared distance to the mean.
fn spread(points: Points<'_>) -> f64 {
    let n = points.n().max(1) as f64;
    let mut mean = vec![0.0; points.d()];
    (0..points.n()).for_each(|i| mean.iter_mut().zip(points.row(i)).for_each(|(m, x)| *m += x / n));
    ((0..points.n()).map(|i| squared_distance(points.row(i), &mean)).sum::<f64>() / n).sqrt()
}

/// Brings the bounds up to date with centres that have moved, and looks again where they do not decide.
fn assign(run: &Run, points: Points<'_>, centres: &Matrix, moved: &[f64], bounds: &mut [Bounds]) -> Result<()> {
    let k = centres.n_rows();
    // Half the distance of each centre to the nearest other.
    let half: Vec<f64> = (0..k)
        .map(|c| {
            let others = (0..k).filter(|&o| o != c).map(|o| squared_distance(centres.row(c), centres.row(o)));
            0.5 * others.fold(f64::INFINITY, f64::min).sqrt()
        })
        .collect();
    let farthest = moved.iter().copied().fold(0.0, f64::max);
    let asked = Centres::new(centres);
    run.for_each_chunk(bounds, ROWS, |part, bounds| {
        let first = part * ROWS;
        let undecided = wide::widest(Tighten { points, first, centres, moved, farthest, half: &half, bounds });
        for (point, found) in undecided.iter().zip(asked.of(points, &undecided)) {
            bounds[point - first] = found;
        }
    })
}

/// Brings the bounds of some points up to date; the points of which they do not decide.
struct Tighten<'a> {
    points: Points<'a>,
    /// The point of the first bounds.
    first: usize,
    centres: &'a Matrix,
    moved: &'a [f64],
    farthest: f64,
    half: &'a [f64],
    bounds: &'a mut [Bounds],
}

impl Kernel for Tighten<'_> {
    type Output = Vec<usize>;

    #[inline(always)]
    fn run(self) -> Vec<usize> {
        let mut undecided = Vec::with_capacity(self.bounds.len());
        for (i, b) in self.bounds.iter_mut().enumerate() {
            let label = b.label as usize;
            b.upper += self.moved[label];
            b.lower -= self.farthest;
            let enough = if self.half[label] > b.lower { self.half[label] } else { b.lower };
            if b.upper > enough {
                b.upper = squared_distance(self.points.row(self.first + i), self.centres.row(label)).sqrt();
                if b.upper > enough {
                    undecided.push(self.first + i);
                }
            }
        }
        undecided
    }
}

/// The means of the clusters and how far the centres move. A cluster without weight takes the point farthest from its
/// centre.
fn means(
    run: &Run,
    points: Points<'_>,
    weights: &[f64],
    bounds: &[Bounds],
    centres: &Matrix,
) -> Result<(Matrix, Vec<f64>)> {
    let (k, d) = (centres.n_rows(), centres.n_cols());
    let parts = run.map_quietly(points.n(), STRETCH, |rows| {
        let (mut sums, mut total) = (Matrix::zeros(k, d), vec![0.0; k]);
        wide::widest(AddUp { points, rows, weights, bounds, sums: &mut sums, total: &mut total });
        Ok((sums, total))
    })?;
    let mut sums = Matrix::zeros(k, d);
    let mut total = vec![0.0; k];
    for (part, part_total) in &parts {
        sums.entries_mut().iter_mut().zip(part.entries()).for_each(|(s, x)| *s += x);
        total.iter_mut().zip(part_total).for_each(|(t, x)| *t += x);
    }
    let mut taken: Vec<usize> = Vec::new();
    for c in 0..k {
        if total[c] > 0.0 {
            sums.row_mut(c).iter_mut().for_each(|s| *s /= total[c]);
            continue;
        }
        let distance = |i: usize| squared_distance(points.row(i), centres.row(bounds[i].label as usize));
        let farthest = (0..points.n())
            .filter(|i| weights[*i] > 0.0 && !taken.contains(i))
            .max_by(|&a, &b| distance(a).total_cmp(&distance(b)).then(b.cmp(&a)));
        if let Some(i) = farthest {
            taken.push(i);
            sums.row_mut(c).copy_from_slice(points.row(i));
        }
    }
    let moved = (0..k).map(|c| squared_distance(sums.row(c), centres.row(c)).sqrt()).collect();
    Ok((sums, moved))
}

/// Adds points to the sums of their clusters.
struct AddUp<'a> {
    points: Points<'a>,
    rows: std::ops::Range<usize>,
    weights: &'a [f64],
    bounds: &'a [Bounds],
    sums: &'a mut Matrix,
    total: &'a mut [f64],
}

impl Kernel for AddUp<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for i in self.rows {
            let (label, weight) = (self.bounds[i].label as usize, self.weights[i]);
            self.total[label] += weight;
            for (s, x) in self.sums.row_mut(label).iter_mut().zip(self.points.row(i)) {
                *s += weight * x;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four clouds, `each` points in three dimensions.
    fn clouds(each: usize) -> Vec<f64> {
        let mut stream = Stream::new(4, 0);
        let mut values = Vec::new();
        for i in 0..4 * each {
            let centre = [[0.0, 0.0, 0.0], [5.0, 0.0, 0.0], [0.0, 5.0, 0.0], [5.0, 5.0, 5.0]][i % 4];
            values.extend(centre.map(|c| c + 0.5 * stream.normal()));
        }
        values
    }

    #[test]
    fn clouds_are_found_and_bounds_change_nothing() -> Result<()> {
        let values = clouds(300);
        let points = Points::new(&values, 1200, 3)?;
        let found = kmeans(&Run::new(), points, None, &KmeansOptions::new(4, 1))?;
        for (i, label) in found.labels.iter().enumerate() {
            assert_eq!(*label, found.labels[i % 4]);
        }
        // Plain Lloyd from the same start.
        let start = seeds::plus_plus(&Run::new(), points, &[1.0; 1200], 7, &mut Stream::new(9, 0))?;
        let options = KmeansOptions { max_iter: 30, ..KmeansOptions::new(7, 9) };
        let quick = lloyd(&Run::new(), points, &[1.0; 1200], start.clone(), &options)?;
        let mut centres = start;
        for _ in 0..quick.iterations {
            let bounds: Vec<Bounds> = (0..1200)
                .map(|i| {
                    let distance = |c: usize| squared_distance(points.row(i), centres.row(c));
                    let label = (0..7).min_by(|&a, &b| distance(a).total_cmp(&distance(b))).unwrap_or(0) as u32;
                    Bounds { label, upper: 0.0, lower: 0.0 }
                })
                .collect();
            centres = means(&Run::new(), points, &[1.0; 1200], &bounds, &centres)?.0;
        }
        assert_eq!(quick.centres, centres);
        Ok(())
    }

    #[test]
    fn threads_change_no_bit() -> Result<()> {
        let values = clouds(400);
        let points = Points::new(&values, 1600, 3)?;
        let work = |run: &Run| kmeans(run, points, None, &KmeansOptions { starts: 2, ..KmeansOptions::new(6, 2) });
        ferrocyte_testkit::assert_same_bits_over_runs(work, |found| found.centres.entries().to_vec())
    }

    #[test]
    fn weights_are_repeated_points() -> Result<()> {
        let values = [0.0, 1.0, 10.0, 11.0, 30.0];
        let weights = [1.0, 3.0, 1.0, 1.0, 2.0];
        let found = kmeans(&Run::new(), Points::new(&values, 5, 1)?, Some(&weights), &KmeansOptions::new(3, 0))?;
        let mut centres = found.centres.entries().to_vec();
        centres.sort_by(f64::total_cmp);
        assert_eq!(centres, [0.75, 10.5, 30.0]);
        assert!((found.inertia - (0.75 + 0.5)).abs() < 1e-12);
        Ok(())
    }

    #[test]
    fn points_that_coincide_and_impossible_numbers() -> Result<()> {
        let values = [1.0; 6];
        let found = kmeans(&Run::new(), Points::new(&values, 6, 1)?, None, &KmeansOptions::new(3, 0))?;
        assert_eq!(found.inertia, 0.0);
        for (k, weights) in [(0, [1.0; 6]), (7, [1.0; 6]), (2, [0.0, 0.0, 0.0, 0.0, 0.0, 1.0]), (2, [-1.0; 6])] {
            let options = KmeansOptions::new(k, 0);
            assert!(kmeans(&Run::new(), Points::new(&values, 6, 1)?, Some(&weights), &options).is_err());
        }
        let start = Matrix::from_rows(2, 2, vec![0.0; 4]);
        let points = Points::new(&values, 6, 1)?;
        assert!(kmeans_from(&Run::new(), points, start, &KmeansOptions::new(2, 0)).is_err());
        Ok(())
    }
}
