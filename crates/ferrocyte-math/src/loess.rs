//! Local parabolas in one predictor, as `loess` has them: fitted at the vertices of a k-d tree, blended in between.
//!
//! W. S. Cleveland and E. Grosse, *Computational methods for local regression*, 1991. The line of vertices is cut at
//! points of the data until a cell holds few of them; at every vertex a parabola is fitted by least squares with tricube
//! weights; a cubic with the heights and slopes of both ends (Hermite's) gives the curve within a cell. So a fit costs
//! some thirty small problems, whatever the number of points.
//!
//! A vertex whose neighbours do not determine a parabola gets the solution of least norm, and is counted.

use ferrocyte_base::{Fault, Result};

use crate::linalg::dot;

/// How wide a neighbourhood and a cell are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoessOptions {
    /// Share of the points that a parabola looks at.
    pub span: f64,
    /// A cell with at most this share of the points of a neighbourhood is not cut.
    pub cell: f64,
}

impl LoessOptions {
    /// A share of the points, with cells of the usual size.
    pub fn new(span: f64) -> Self {
        Self { span, cell: 0.2 }
    }
}

/// A place with the height and the slope of the curve.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Vertex {
    x: f64,
    height: f64,
    slope: f64,
}

/// A fitted curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Loess {
    /// At least two, in order.
    vertices: Vec<Vertex>,
    /// Vertices whose neighbours do not determine a parabola.
    pub n_deficient: usize,
    /// Vertices at which so many points coincide that the neighbourhood had no width.
    pub n_widened: usize,
}

impl Loess {
    /// Fits the curve of `y` on `x`, in any order.
    ///
    /// # Errors
    /// No points, lengths that differ, values that are not finite, a span outside (0, 1].
    pub fn fit(x: &[f64], y: &[f64], options: &LoessOptions) -> Result<Self> {
        let n = x.len();
        if n == 0 || n != y.len() {
            return Err(Fault::bad_input(format!("{n} places and {} heights cannot be fitted", y.len())));
        }
        if let Some(i) = (0..n).find(|&i| !x[i].is_finite() || !y[i].is_finite()) {
            return Err(Fault::bad_input(format!("point {i} is ({}, {})", x[i], y[i])));
        }
        if !(options.span > 0.0 && options.span <= 1.0) {
            return Err(
                Fault::bad_input(format!("a share above 0 and up to 1 is expected, found {}", options.span)).at("span")
            );
        }
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|&i, &j| x[i].total_cmp(&x[j]));
        let xs: Vec<f64> = order.iter().map(|&i| x[i]).collect();
        let ys: Vec<f64> = order.iter().map(|&i| y[i]).collect();
        let window = n as f64 * options.span;
        let q = ((window + 1e-5).floor() as usize).clamp(1, n);
        let few = (window * options.cell).floor() as usize;
        let mut local = Local { x: &xs, y: &ys, q, n_deficient: 0, n_widened: 0, rows: Vec::new() };
        let vertices = places(&xs, few).into_iter().map(|place| local.at(place)).collect();
        Ok(Self { vertices, n_deficient: local.n_deficient, n_widened: local.n_widened })
    }

    /// The height of the curve at `x`, which should lie within the range of the points.
    pub fn at(&self, x: f64) -> f64 {
        // The cell is open on its left.
        let right = self.vertices.partition_point(|v| v.x < x).clamp(1, self.vertices.len() - 1);
        let (a, b) = (self.vertices[right - 1], self.vertices[right]);
        let width = b.x - a.x;
        let t = (x - a.x) / width;
        let s = 1.0 - t;
        s * s * (1.0 + 2.0 * t) * a.height
            + t * t * (3.0 - 2.0 * t) * b.height
            + width * (t * s * s * a.slope - t * t * s * b.slope)
    }
}

/// The places of the vertices for sorted `x`, in order.
fn places(x: &[f64], few: usize) -> Vec<f64> {
    let (low, high) = (x[0], x[x.len() - 1]);
    let margin = 0.005 * (high - low).max(1e-10 * low.abs().max(high.abs()) + 1e-30);
    let mut places = vec![low - margin, high + margin];
    // Stretches of points, and the vertices at the ends of their cells.
    let mut stretches = vec![(0, x.len() - 1, places[0], places[1])];
    while let Some((first, last, left, right)) = stretches.pop() {
        if last - first < few {
            continue;
        }
        let middle = between_different(x, first, last);
        let cut = x[middle];
        if cut == left || cut == right {
            continue;
        }
        places.push(cut);
        stretches.push((first, middle, left, cut));
        if middle < last {
            stretches.push((middle + 1, last, cut, right));
        }
    }
    places.sort_unstable_by(f64::total_cmp);
    places
}

/// The point nearest to the middle of a stretch after which another value follows: first the middle, then one to the
/// right, one to the left, two to the right and so on until an end is reached; the middle itself if there is none.
fn between_different(x: &[f64], first: usize, last: usize) -> usize {
    // Middles are taken of positions counted from 1.
    let middle = usize::midpoint(first + 1, last + 1) - 1;
    for step in 0..=last - first {
        for candidate in [middle.checked_add(step), middle.checked_sub(step)] {
            match candidate {
                Some(at) if at >= first && at < last => {
                    if x[at] != x[at + 1] {
                        return at;
                    }
                }
                _ => return middle,
            }
        }
    }
    middle
}

/// Parabolas around places.
struct Local<'a> {
    x: &'a [f64],
    y: &'a [f64],
    /// Points of a neighbourhood.
    q: usize,
    n_deficient: usize,
    n_widened: usize,
    /// Weighted points: square root of the weight, distance, height.
    rows: Vec<(f64, f64, f64)>,
}

impl Local<'_> {
    fn at(&mut self, place: f64) -> Vertex {
        let window = self.nearest(place);
        let distance = |i: usize| (self.x[i] - place).abs();
        let mut h = distance(window.start).max(distance(window.end - 1));
        if h == 0.0 {
            self.n_widened += 1;
            h = self.x.iter().map(|x| (x - place).abs()).filter(|&d| d > 0.0).fold(f64::INFINITY, f64::min);
        }
        self.rows.clear();
        for (&x, &y) in self.x.iter().zip(self.y) {
            let u = (x - place).abs() / h;
            if u < 1.0 {
                let tricube = (1.0 - u * u * u).powi(3);
                self.rows.push((tricube.sqrt(), x - place, y));
            }
        }
        let (beta, rank) = parabola(&self.rows);
        self.n_deficient += usize::from(rank < 3);
        Vertex { x: place, height: beta[0], slope: beta[1] }
    }

    /// The `q` points nearest to a place.
    fn nearest(&self, place: f64) -> std::ops::Range<usize> {
        let (mut low, mut high) = (0, self.x.len());
        // Whichever end is farther goes.
        let from = self.x.partition_point(|&x| x < place);
        low = low.max(from.saturating_sub(self.q));
        high = high.min(from + self.q);
        while high - low > self.q {
            if place - self.x[low] > self.x[high - 1] - place { low += 1 } else { high -= 1 }
        }
        low..high
    }
}

/// Weighted least squares of heights on 1, distance and its square; and the rank of the problem.
///
/// Columns are scaled to unit length and made orthogonal twice over (Gram and Schmidt); singular values of the remaining
/// triangle below 100 roundings of the largest count as 0.
fn parabola(rows: &[(f64, f64, f64)]) -> ([f64; 3], usize) {
    const ROUNDINGS: f64 = 100.0 * f64::EPSILON;
    let mut columns: [Vec<f64>; 3] = [
        rows.iter().map(|&(w, _, _)| w).collect(),
        rows.iter().map(|&(w, d, _)| w * d).collect(),
        rows.iter().map(|&(w, d, _)| w * d * d).collect(),
    ];
    let y: Vec<f64> = rows.iter().map(|&(w, _, y)| w * y).collect();
    let mut lengths = [1.0; 3];
    for (column, length) in columns.iter_mut().zip(&mut lengths) {
        let norm = dot(column, column).sqrt();
        if norm > 0.0 {
            *length = norm;
            column.iter_mut().for_each(|x| *x /= norm);
        }
    }
    // Columns of the triangle.
    let mut triangle = [[0.0; 3]; 3];
    for j in 0..3 {
        let (before, rest) = columns.split_at_mut(j);
        for _ in 0..2 {
            for (i, q) in before.iter().enumerate() {
                let along = dot(q, &rest[0]);
                triangle[j][i] += along;
                rest[0].iter_mut().zip(q).for_each(|(x, q)| *x -= along * q);
            }
        }
        let norm = dot(&rest[0], &rest[0]).sqrt();
        triangle[j][j] = norm;
        if norm > f64::EPSILON {
            rest[0].iter_mut().for_each(|x| *x /= norm);
        } else {
            triangle[j][j] = 0.0;
            rest[0].fill(0.0);
        }
    }
    let target = [dot(&columns[0], &y), dot(&columns[1], &y), dot(&columns[2], &y)];
    let (left, right) = jacobi(triangle);
    let singular: Vec<f64> = left.iter().map(norm3).collect();
    let least = ROUNDINGS * singular.iter().copied().fold(0.0, f64::max);
    let mut beta = [0.0; 3];
    let mut rank = 0;
    for k in 0..3 {
        if singular[k] > least {
            rank += 1;
            let along = (0..3).map(|i| left[k][i] * target[i]).sum::<f64>() / (singular[k] * singular[k]);
            (0..3).for_each(|i| beta[i] += along * right[k][i]);
        }
    }
    (0..3).for_each(|i| beta[i] /= lengths[i]);
    (beta, rank)
}

fn norm3(v: &[f64; 3]) -> f64 {
    v.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// Turns the columns of a 3 x 3 matrix until they are orthogonal (one-sided Jacobi): those columns, whose lengths are
/// the singular values, and the columns of the rotation.
fn jacobi(mut a: [[f64; 3]; 3]) -> ([[f64; 3]; 3], [[f64; 3]; 3]) {
    const SWEEPS: usize = 60;
    let mut v = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    for _ in 0..SWEEPS {
        let mut turned = false;
        for (p, q) in [(0, 1), (0, 2), (1, 2)] {
            let product = |x: usize, y: usize| (0..3).map(|i| a[x][i] * a[y][i]).sum::<f64>();
            let (pp, qq, pq) = (product(p, p), product(q, q), product(p, q));
            if pq.abs() <= f64::EPSILON * (pp * qq).sqrt() {
                continue;
            }
            turned = true;
            let zeta = (qq - pp) / (2.0 * pq);
            let t = zeta.signum() / (zeta.abs() + (1.0 + zeta * zeta).sqrt());
            let c = 1.0 / (1.0 + t * t).sqrt();
            let s = c * t;
            for m in [&mut a, &mut v] {
                for i in 0..3 {
                    let (x, y) = (m[p][i], m[q][i]);
                    m[p][i] = c * x - s * y;
                    m[q][i] = s * x + c * y;
                }
            }
        }
        if !turned {
            break;
        }
    }
    (a, v)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    #[test]
    fn a_parabola_is_its_own_curve() -> Result<()> {
        let mut stream = Stream::new(3, 0);
        let x: Vec<f64> = (0..400).map(|_| 10.0 * stream.uniform()).collect();
        let curve = |x: f64| 2.0 - 3.0 * x + 0.5 * x * x;
        let y: Vec<f64> = x.iter().map(|&x| curve(x)).collect();
        let fit = Loess::fit(&x, &y, &LoessOptions::new(0.3))?;
        assert_eq!((fit.n_deficient, fit.n_widened), (0, 0));
        assert!(fit.vertices.len() > 15 && fit.vertices.len() < 60);
        for &x in &x {
            assert!((fit.at(x) - curve(x)).abs() < 1e-10);
        }
        Ok(())
    }

    #[test]
    fn order_of_points_does_not_matter() -> Result<()> {
        let x: Vec<f64> = (0..200).map(|i| f64::from(i).sqrt()).collect();
        let y: Vec<f64> = x.iter().map(|x| x.sin()).collect();
        let fit = Loess::fit(&x, &y, &LoessOptions::new(0.4))?;
        let (xr, yr): (Vec<f64>, Vec<f64>) = x.iter().copied().zip(y.iter().copied()).rev().unzip();
        assert_eq!(Loess::fit(&xr, &yr, &LoessOptions::new(0.4))?, fit);
        Ok(())
    }

    #[test]
    fn few_places_are_counted_not_refused() -> Result<()> {
        // Two places: no parabola is determined, but the mean at each is.
        let x = [1.0, 1.0, 1.0, 2.0, 2.0, 2.0];
        let fit = Loess::fit(&x, &[1.0, 2.0, 3.0, 5.0, 5.0, 5.0], &LoessOptions::new(0.5))?;
        assert!(fit.n_deficient > 0);
        assert!(fit.at(1.5).is_finite());
        assert!(Loess::fit(&[4.0; 5], &[1.0; 5], &LoessOptions::new(1.0))?.at(4.0).is_finite());
        Ok(())
    }

    #[test]
    fn the_pseudo_inverse_has_the_least_norm() {
        // Two points: of all parabolas through them, with columns of unit length, the shortest.
        let (beta, rank) = parabola(&[(1.0, 1.0, 2.0), (1.0, -1.0, 0.0)]);
        assert_eq!(rank, 2);
        for (found, expected) in beta.iter().zip([0.5, 1.0, 0.5]) {
            assert!((found - expected).abs() < 1e-14, "{beta:?}");
        }
    }

    #[test]
    fn impossible_points_are_refused() {
        let options = LoessOptions::new(0.3);
        assert!(Loess::fit(&[], &[], &options).is_err());
        assert!(Loess::fit(&[1.0], &[1.0, 2.0], &options).is_err());
        assert!(Loess::fit(&[1.0, f64::NAN], &[1.0, 2.0], &options).is_err_and(|f| f.to_string().contains("point 1")));
        assert!(Loess::fit(&[1.0], &[1.0], &LoessOptions::new(1.5)).is_err());
    }
}
