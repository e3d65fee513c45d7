//! [`Centres`]: the nearest centre of many points at a time, looked for in single precision, settled in double.
//!
//! As `|x - c|² = |x|² + (-2x, 1) · (c, |c|²)`, which centre is nearest is a product of matrices, and one in single
//! precision tells it wherever the second is farther by more than the product may be off. Where it is not, all centres
//! are measured in double precision: the answer is always that of double precision.

use ferrocyte_math::linalg::{Matrix, product_of_rows};
use ferrocyte_math::wide::{self, Kernel};

use super::squared_distance;
use crate::Points;

/// Numbers that are compared at a time.
const LANES: usize = 16;

/// What is known of a point: its centre, at most how far that is, and at least how far any other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bounds {
    pub(super) label: u32,
    pub(super) upper: f64,
    pub(super) lower: f64,
}

/// Centres that are asked for the nearest.
pub(super) struct Centres<'a> {
    exact: &'a Matrix,
    /// Their mean, which is taken from centres and points: what all have in common costs no digits.
    middle: Vec<f64>,
    /// `(c, |c|²)` of each.
    rows: Vec<f32>,
    /// The largest `|c|`.
    longest: f64,
}

impl<'a> Centres<'a> {
    /// Clusters × dimensions.
    pub(super) fn new(exact: &'a Matrix) -> Self {
        let (k, d) = (exact.n_rows(), exact.n_cols());
        let mut middle = vec![0.0; d];
        for c in 0..k {
            middle.iter_mut().zip(exact.row(c)).for_each(|(m, x)| *m += x / k as f64);
        }
        let mut rows = Vec::with_capacity(k * (d + 1));
        let mut longest = 0.0_f64;
        for c in 0..k {
            let mut square = 0.0;
            for (x, m) in exact.row(c).iter().zip(&middle) {
                let y = x - m;
                square += y * y;
                rows.push(y as f32);
            }
            rows.push(square as f32);
            longest = longest.max(square.sqrt());
        }
        Self { exact, middle, rows, longest }
    }

    /// Bounds of some of the points, in their order.
    pub(super) fn of(&self, points: Points<'_>, which: &[usize]) -> Vec<Bounds> {
        let (k, width) = (self.exact.n_rows(), self.middle.len() + 1);
        let (asking, squares) = wide::widest(Asking { points, which, middle: &self.middle });
        let mut gaps = vec![0.0; which.len() * k];
        product_of_rows(&asking, &self.rows, width, &mut gaps);
        wide::widest(Settle { centres: self, points, which, squares: &squares, gaps: &gaps })
    }

    /// How far off the product may be for a point of squared length `square`.
    ///
    /// A sum of m products in single precision, in any order, is off by at most m + 1 half units in the last place of the
    /// sum of absolute products, here at most `(|x| + |c|)²`; entries rounded beforehand add four. The last term covers
    /// what underflows.
    #[inline(always)]
    fn error(&self, square: f64) -> f64 {
        let both = square.sqrt() + self.longest;
        (self.middle.len() + 7) as f64 * f64::from(f32::EPSILON) * both * both + 1e-30
    }
}

/// Rows `(-2x, 1)` of some points, less the middle, and their squared lengths.
struct Asking<'a> {
    points: Points<'a>,
    which: &'a [usize],
    middle: &'a [f64],
}

impl Kernel for Asking<'_> {
    type Output = (Vec<f32>, Vec<f64>);

    #[inline(always)]
    fn run(self) -> (Vec<f32>, Vec<f64>) {
        let d = self.middle.len();
        let mut rows = vec![1.0; self.which.len() * (d + 1)];
        let mut squares = vec![0.0; self.which.len()];
        for ((&i, row), square) in self.which.iter().zip(rows.chunks_exact_mut(d + 1)).zip(&mut squares) {
            let point = self.points.row(i);
            for ((to, x), m) in row.iter_mut().zip(point).zip(self.middle) {
                *to = (-2.0 * (x - m)) as f32;
            }
            *square = squared_distance(point, self.middle);
        }
        (rows, squares)
    }
}

/// Bounds of points of which gaps to all centres are known to single precision.
struct Settle<'a> {
    centres: &'a Centres<'a>,
    points: Points<'a>,
    which: &'a [usize],
    squares: &'a [f64],
    /// Points × centres.
    gaps: &'a [f32],
}

impl Kernel for Settle<'_> {
    type Output = Vec<Bounds>;

    #[inline(always)]
    fn run(self) -> Vec<Bounds> {
        let exact = self.centres.exact;
        let k = exact.n_rows();
        let mut out = Vec::with_capacity(self.which.len());
        for ((&i, &square), gaps) in self.which.iter().zip(self.squares).zip(self.gaps.chunks_exact(k)) {
            let point = self.points.row(i);
            let (label, first, second) = smallest(gaps);
            let error = self.centres.error(square);
            // Also where numbers are too large for single precision.
            let decided = k == 1 || (second - first > 2.0 * error && second < f64::INFINITY);
            out.push(if decided {
                let upper = squared_distance(point, exact.row(label)).sqrt();
                Bounds { label: label as u32, upper, lower: (square + second - error).max(0.0).sqrt() }
            } else {
                two_nearest(point, exact)
            });
        }
        out
    }
}

/// Which of some numbers is the smallest, that number, and the second.
#[inline(always)]
fn smallest(gaps: &[f32]) -> (usize, f64, f64) {
    let mut first = [f32::INFINITY; LANES];
    let mut second = [f32::INFINITY; LANES];
    let mut at = [0_u32; LANES];
    let (chunks, tail) = gaps.as_chunks::<LANES>();
    for (c, chunk) in chunks.iter().enumerate() {
        for l in 0..LANES {
            let gap = chunk[l];
            let closer = gap < first[l];
            let other = if closer { first[l] } else { gap };
            second[l] = if other < second[l] { other } else { second[l] };
            at[l] = if closer { c as u32 } else { at[l] };
            first[l] = if closer { gap } else { first[l] };
        }
    }
    let (mut label, mut least, mut next) = (0, f32::INFINITY, f32::INFINITY);
    let mut offer = |i: usize, gap: f32| {
        if gap < least {
            (next, least, label) = (least, gap, i);
        } else if gap < next {
            next = gap;
        }
    };
    for l in 0..LANES {
        offer(at[l] as usize * LANES + l, first[l]);
        offer(0, second[l]);
    }
    for (i, &gap) in tail.iter().enumerate() {
        offer(chunks.len() * LANES + i, gap);
    }
    (label, f64::from(least), f64::from(next))
}

/// The nearest centre of a point, and how far the second is, in double precision; of equal ones the first.
#[inline(always)]
fn two_nearest(point: &[f64], centres: &Matrix) -> Bounds {
    let (mut label, mut first, mut second) = (0, f64::INFINITY, f64::INFINITY);
    for c in 0..centres.n_rows() {
        let distance = squared_distance(point, centres.row(c));
        if distance < first {
            (second, first, label) = (first, distance, c as u32);
        } else if distance < second {
            second = distance;
        }
    }
    Bounds { label, upper: first.sqrt(), lower: second.sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_base::Result;
    use ferrocyte_math::random::Stream;

    /// Checks against double precision: the same centre and distance, and the second no farther than it is.
    fn check(values: &[f64], d: usize, centres: &Matrix) -> Result<()> {
        let points = Points::new(values, values.len() / d, d)?;
        let which: Vec<usize> = (0..points.n()).rev().collect();
        let asked = Centres::new(centres);
        for (found, &i) in asked.of(points, &which).iter().zip(&which) {
            let exact = two_nearest(points.row(i), centres);
            assert_eq!((found.label, found.upper), (exact.label, exact.upper));
            let error = asked.error(squared_distance(points.row(i), &asked.middle));
            let least = (exact.lower * exact.lower - 2.0 * error) * (1.0 - 1e-14);
            assert!(found.lower <= exact.lower && found.lower * found.lower >= least, "{found:?} {exact:?}");
        }
        Ok(())
    }

    #[test]
    fn answers_are_those_of_double_precision() -> Result<()> {
        let mut stream = Stream::new(6, 0);
        for (k, d) in [(2, 1), (7, 3), (16, 8), (45, 20), (100, 50)] {
            for (offset, scale) in [(0.0, 1.0), (1e4, 1.0), (-3.0, 1e-25), (1e30, 1e25)] {
                let mut draw = |n: usize| -> Vec<f64> { (0..n).map(|_| offset + scale * stream.normal()).collect() };
                let values = draw(60 * d);
                check(&values, d, &Matrix::from_rows(k, d, draw(k * d)))?;
            }
        }
        Ok(())
    }

    #[test]
    fn of_equal_centres_the_first_is_the_nearest() -> Result<()> {
        let centres = Matrix::from_rows(20, 2, (0..20).flat_map(|c| [f64::from(c % 3), 1.0]).collect());
        check(&[2.0, 1.0, 0.1, 0.9, 7.0, -5.0, 1.5, 1.0], 2, &centres)?;
        let one = Matrix::from_rows(1, 2, vec![0.5, 0.5]);
        let points = [2.0, 1.0];
        let found = Centres::new(&one).of(Points::new(&points, 1, 2)?, &[0]);
        assert_eq!((found[0].label, found[0].upper), (0, 2.5_f64.sqrt()));
        Ok(())
    }
}
