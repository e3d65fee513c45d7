//! The slowest vibrations of a graph: eigenvectors of `D^-1/2 W D^-1/2` with the largest eigenvalues after the first.
//!
//! A block of vectors is filtered by Chebyshev polynomials that are small on the eigenvalues not wanted, made
//! orthogonal, and turned to the eigenvectors of the matrix within their span (Y. Zhou, Y. Saad, M. L. Tiago and J. R.
//! Chelikowsky, *Self-consistent-field calculations using Chebyshev-filtered subspace iteration*, 2006). The first
//! eigenvector is known: the roots of the degrees. It is taken out of the block each time. Vectors are kept in single
//! precision, which a start for an embedding does not notice, and sums of theirs are made in double precision.

#![allow(clippy::inline_always)]

use ferrocyte_base::{Result, Run};
use ferrocyte_math::linalg::{Matrix, symmetric_eigen};
use ferrocyte_math::random::Stream;
use ferrocyte_math::wide::{Kernel, widest};

use crate::Graph;

/// Up to so many points the matrix is decomposed as a whole.
const SMALL: usize = 150;

/// Products with the matrix in each filter.
const DEGREE: usize = 24;

/// Filters at most.
const ROUNDS: usize = 8;

/// How far, relative to the length, a product with the matrix may differ from the eigenvalue times the vector.
const TOLERANCE: f64 = 3e-4;

/// Rows that a thread works on at a time.
const BLOCK: usize = 1024;

/// The eigenvectors of the `wanted` (at most 16) largest eigenvalues after the first, point after point; the largest
/// entry of each is positive. The graph is connected and has more points than are wanted.
///
/// Where eigenvalues lie too close together for them to settle, what comes are vectors nearly as slow.
pub(super) fn slowest(run: &Run, graph: &Graph, wanted: usize, seed: u64) -> Result<Vec<f64>> {
    let mut vectors = match wanted {
        _ if graph.n() <= SMALL => whole(graph, wanted)?,
        // Some vectors more than are wanted: the more, the faster the wanted ones settle.
        0..=3 => Operator::<8>::new(graph).slowest(run, wanted, seed)?,
        4..=11 => Operator::<16>::new(graph).slowest(run, wanted, seed)?,
        _ => Operator::<24>::new(graph).slowest(run, wanted, seed)?,
    };
    for c in 0..wanted {
        let largest =
            vectors.iter().skip(c).step_by(wanted).fold(0.0_f64, |m, x| if x.abs() > m.abs() { *x } else { m });
        if largest < 0.0 {
            vectors.iter_mut().skip(c).step_by(wanted).for_each(|x| *x = -*x);
        }
    }
    Ok(vectors)
}

/// The eigenvectors of a small graph, exactly.
fn whole(graph: &Graph, wanted: usize) -> Result<Vec<f64>> {
    let n = graph.n();
    let degrees = graph.degrees();
    let mut matrix = Matrix::zeros(n, n);
    for i in 0..n {
        let (neighbours, weights) = graph.row(i);
        for (j, w) in neighbours.iter().zip(weights) {
            matrix[(i, *j as usize)] = f64::from(*w) / (degrees[i] * degrees[*j as usize]).sqrt();
        }
    }
    let (_, vectors) = symmetric_eigen(&matrix)?;
    Ok((0..n * wanted).map(|at| vectors[(at / wanted, n - 2 - at % wanted)]).collect())
}

/// The matrix, its first eigenvector, and blocks of `W` vectors, point after point.
struct Operator<'a, const W: usize> {
    starts: &'a [usize],
    /// Neighbours and entries of the matrix.
    entries: Vec<(u32, f32)>,
    /// Roots of the degrees, scaled to length 1.
    first: Vec<f64>,
}

impl<'a, const W: usize> Operator<'a, W> {
    fn new(graph: &'a Graph) -> Self {
        let degrees = graph.degrees();
        let total: f64 = degrees.iter().sum();
        let mut entries = Vec::with_capacity(graph.n_stored());
        for i in 0..graph.n() {
            let (neighbours, weights) = graph.row(i);
            entries.extend(neighbours.iter().zip(weights).map(|(j, w)| {
                let scale = (degrees[i] * degrees[*j as usize]).sqrt();
                (*j, (f64::from(*w) / scale) as f32)
            }));
        }
        Self { starts: graph.starts(), entries, first: degrees.iter().map(|k| (k / total).sqrt()).collect() }
    }

    fn slowest(&self, run: &Run, wanted: usize, seed: u64) -> Result<Vec<f64>> {
        let mut draws = Stream::new(seed, 1);
        let mut block = vec![[0.0_f32; W]; self.first.len()];
        block.iter_mut().flatten().for_each(|x| *x = draws.normal() as f32);
        let mut values = self.turn(run, &mut block)?.0;
        for _ in 0..ROUNDS {
            run.check()?;
            // Eigenvalues below the smallest in the span are not wanted.
            self.filter(run, &mut block, values[0].clamp(-0.9, 0.999))?;
            let product;
            (values, product) = self.turn(run, &mut block)?;
            if residual(&product, &block, &values, wanted) < TOLERANCE {
                break;
            }
        }
        // The largest eigenvalues stand last.
        Ok(block.iter().flat_map(|row| row.iter().rev().take(wanted)).map(|x| f64::from(*x)).collect())
    }

    /// `out = scale (A x - centre x) - back out`.
    fn step(&self, run: &Run, x: &[[f32; W]], out: &mut [[f32; W]], [scale, centre, back]: [f64; 3]) -> Result<()> {
        let [scale, centre, back] = [scale as f32, centre as f32, back as f32];
        run.for_each_chunk(out, BLOCK, |block, out| {
            let first = block * BLOCK;
            let starts = &self.starts[first..=first + out.len()];
            widest(Product { starts, entries: &self.entries, x, first, out, scale, centre, back });
        })
    }

    /// Damps eigenvalues in [-1, cut].
    fn filter(&self, run: &Run, block: &mut Vec<[f32; W]>, cut: f64) -> Result<()> {
        let (half, centre) = (0.5 * (cut + 1.0), 0.5 * (cut - 1.0));
        // Scaled so that the eigenvalue 1 keeps its size.
        let mut sigma = half / (1.0 - centre);
        let double = 2.0 / sigma;
        let mut before = block.clone();
        let mut now = vec![[0.0; W]; block.len()];
        self.step(run, &before, &mut now, [sigma / half, centre, 0.0])?;
        for _ in 1..DEGREE {
            let next = 1.0 / (double - sigma);
            self.step(run, &now, &mut before, [2.0 * next / half, centre, sigma * next])?;
            std::mem::swap(&mut before, &mut now);
            sigma = next;
        }
        *block = now;
        Ok(())
    }

    /// Makes the block orthogonal, also to the first eigenvector, and its vectors eigenvectors within their span, with
    /// rising eigenvalues; these, and the product with the matrix.
    fn turn(&self, run: &Run, block: &mut [[f32; W]]) -> Result<(Vec<f64>, Vec<[f32; W]>)> {
        // Twice, since the first time loses digits where vectors nearly agree.
        for _ in 0..2 {
            self.leave_first(block);
            let (values, mut unit) = symmetric_eigen(&gram(run, block, block)?)?;
            for c in 0..W {
                let scale = 1.0 / values[c].max(values[W - 1] * 1e-12).sqrt();
                (0..W).for_each(|r| unit[(r, c)] *= scale);
            }
            rotate(run, block, &unit)?;
        }
        let mut product = vec![[0.0; W]; block.len()];
        self.step(run, block, &mut product, [1.0, 0.0, 0.0])?;
        let (values, vectors) = symmetric_eigen(&gram(run, block, &product)?)?;
        rotate(run, block, &vectors)?;
        rotate(run, &mut product, &vectors)?;
        Ok((values, product))
    }

    fn leave_first(&self, block: &mut [[f32; W]]) {
        let mut along = [0.0; W];
        for (row, f) in block.iter().zip(&self.first) {
            along.iter_mut().zip(row).for_each(|(a, x)| *a += f * f64::from(*x));
        }
        for (row, f) in block.iter_mut().zip(&self.first) {
            row.iter_mut().zip(&along).for_each(|(x, a)| *x = (f64::from(*x) - f * a) as f32);
        }
    }
}

/// Some rows of a step.
struct Product<'a, const W: usize> {
    starts: &'a [usize],
    entries: &'a [(u32, f32)],
    x: &'a [[f32; W]],
    first: usize,
    out: &'a mut [[f32; W]],
    scale: f32,
    centre: f32,
    back: f32,
}

impl<const W: usize> Kernel for Product<'_, W> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for l in 0..self.out.len() {
            let mut sums = [0.0_f32; W];
            for (j, entry) in &self.entries[self.starts[l]..self.starts[l + 1]] {
                let there = &self.x[*j as usize];
                for c in 0..W {
                    sums[c] += entry * there[c];
                }
            }
            let here = &self.x[self.first + l];
            let out = &mut self.out[l];
            for c in 0..W {
                out[c] = self.scale * (sums[c] - self.centre * here[c]) - self.back * out[c];
            }
        }
    }
}

/// `a'b`, added up block by block in order.
fn gram<const W: usize>(run: &Run, a: &[[f32; W]], b: &[[f32; W]]) -> Result<Matrix> {
    let parts = run.map_quietly(a.len(), BLOCK, |range| {
        let mut sums = [[0.0_f64; W]; W];
        for (x, y) in a[range.clone()].iter().zip(&b[range]) {
            for r in 0..W {
                for c in 0..W {
                    sums[r][c] += f64::from(x[r]) * f64::from(y[c]);
                }
            }
        }
        Ok(sums)
    })?;
    let mut total = Matrix::zeros(W, W);
    for part in parts {
        total.entries_mut().iter_mut().zip(part.iter().flatten()).for_each(|(t, s)| *t += s);
    }
    Ok(total)
}

fn rotate<const W: usize>(run: &Run, block: &mut [[f32; W]], by: &Matrix) -> Result<()> {
    run.for_each_chunk(block, BLOCK, |_, part| {
        for row in part {
            let mut sums = [0.0; W];
            for (x, turned) in row.iter().zip(by.entries().chunks_exact(W)) {
                sums.iter_mut().zip(turned).for_each(|(s, t)| *s += f64::from(*x) * t);
            }
            *row = sums.map(|s| s as f32);
        }
    })
}

/// How far the last `wanted` vectors are from eigenvectors.
fn residual<const W: usize>(product: &[[f32; W]], block: &[[f32; W]], values: &[f64], wanted: usize) -> f64 {
    let mut squares = [0.0; W];
    for (p, x) in product.iter().zip(block) {
        for c in W - wanted..W {
            let rest = f64::from(p[c]) - values[c] * f64::from(x[c]);
            squares[c] += rest * rest;
        }
    }
    squares.into_iter().fold(0.0, f64::max).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_vibrates_in_sines() -> Result<()> {
        // Eigenvalues cos(2 pi t / n), each twice; the smaller ring as a whole, the larger by filters.
        for n in [60_usize, 200] {
            let rows = (0..n).map(|i| [(i + n - 1) % n, (i + 1) % n]).map(|[a, b]| [a.min(b), a.max(b)]);
            let neighbours = rows.flatten().map(|j| j as u32).collect();
            let graph = Graph::new((0..=n).map(|i| 2 * i).collect(), neighbours, vec![1.0; 2 * n])?;
            let found = slowest(&Run::new().threads(2), &graph, 2, 0)?;
            let angle = std::f64::consts::TAU / n as f64;
            let place = |i: usize| (found[2 * (i % n)], found[2 * (i % n) + 1]);
            for i in 0..n {
                let ((x, y), (u, v)) = (place(i), place(i + 1));
                let radius = (2.0 / n as f64).sqrt();
                assert!((x.hypot(y) / radius - 1.0).abs() < 0.02, "{n}: not on a circle: {x} {y}");
                let cosine = (x * u + y * v) / (x.hypot(y) * u.hypot(v));
                assert!((cosine - angle.cos()).abs() < 1e-3, "{n}: {cosine}");
            }
        }
        Ok(())
    }
}
