//! [`seeds`]: centres far from each other, where iterations begin (greedy k-means++).

use std::ops::Range;

use ferrocyte_base::{Result, Run};
use ferrocyte_math::linalg::Matrix;
use ferrocyte_math::random::Stream;
use ferrocyte_math::wide::{self, Kernel};

use super::{ROWS, squared_distance};
use crate::Points;

/// Centres of [`plus_plus`], among some of the points where there are many of equal weight.
///
/// Which of hundreds of points of a cluster a centre begins with does not matter once it moves; to look at all of them
/// for each centre would take longer than all iterations.
pub(super) fn seeds(
    run: &Run,
    points: Points<'_>,
    weights: Option<&[f64]>,
    k: usize,
    stream: &mut Stream,
) -> Result<Matrix> {
    const PER_CENTRE: usize = 50;
    let (n, d) = (points.n(), points.d());
    if let Some(weights) = weights {
        return plus_plus(run, points, weights, k, stream);
    }
    if n <= 2 * PER_CENTRE * k {
        return plus_plus(run, points, &vec![1.0; n], k, stream);
    }
    let mut some: Vec<usize> = stream.permutation(n).into_iter().take(PER_CENTRE * k).collect();
    some.sort_unstable();
    let values: Vec<f64> = some.iter().flat_map(|&i| points.row(i)).copied().collect();
    plus_plus(run, Points::new(&values, some.len(), d)?, &vec![1.0; some.len()], k, stream)
}

/// Squared distances of some points to a place.
struct Distances<'a> {
    points: Points<'a>,
    rows: Range<usize>,
    to: &'a [f64],
}

impl Kernel for Distances<'_> {
    type Output = Vec<f64>;

    #[inline(always)]
    fn run(self) -> Vec<f64> {
        let mut out = vec![0.0; self.rows.len()];
        for (distance, i) in out.iter_mut().zip(self.rows) {
            *distance = squared_distance(self.points.row(i), self.to);
        }
        out
    }
}

/// The first centre by weight, each next one the best of a few that are drawn by weight × squared distance to the
/// nearest centre.
pub(super) fn plus_plus(
    run: &Run,
    points: Points<'_>,
    weights: &[f64],
    k: usize,
    stream: &mut Stream,
) -> Result<Matrix> {
    let (n, d) = (points.n(), points.d());
    let trials = 2 + (k as f64).ln() as usize;
    let mut centres = Matrix::zeros(k, d);
    let first = stream.categorical(weights)?;
    centres.row_mut(0).copy_from_slice(points.row(first));
    let to = |i: usize| -> Result<Vec<f64>> {
        let of = |rows| Ok(wide::widest(Distances { points, rows, to: points.row(i) }));
        run.map_quietly(n, ROWS, of).map(|parts| parts.concat())
    };
    let mut nearest = to(first)?;
    for c in 1..k {
        let chances: Vec<f64> = nearest.iter().zip(weights).map(|(d, w)| d * w).collect();
        let spread: f64 = chances.iter().sum();
        let mut best: Option<(f64, usize, Vec<f64>)> = None;
        for _ in 0..trials {
            // Where all points lie on centres any point will do.
            let candidate = stream.categorical(if spread > 0.0 { &chances } else { weights })?;
            let mut closer = to(candidate)?;
            closer.iter_mut().zip(&nearest).for_each(|(c, n)| *c = c.min(*n));
            let potential: f64 = closer.iter().zip(weights).map(|(d, w)| d * w).sum();
            if best.as_ref().is_none_or(|(least, ..)| potential < *least) {
                best = Some((potential, candidate, closer));
            }
        }
        if let Some((_, candidate, closer)) = best {
            centres.row_mut(c).copy_from_slice(points.row(candidate));
            nearest = closer;
        }
    }
    Ok(centres)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_of_many_points_are_some_of_them_in_every_cloud() -> Result<()> {
        let mut stream = Stream::new(4, 0);
        let values: Vec<f64> = (0..1600).map(|i| 10.0 * f64::from(i % 4) + 0.3 * stream.normal()).collect();
        let points = Points::new(&values, 1600, 1)?;
        let found = seeds(&Run::new(), points, None, 4, &mut stream)?;
        let mut clouds: Vec<f64> = found.entries().iter().map(|x| (x / 10.0).round()).collect();
        clouds.sort_by(f64::total_cmp);
        assert_eq!(clouds, [0.0, 1.0, 2.0, 3.0]);
        assert!(found.entries().iter().all(|x| values.contains(x)));
        Ok(())
    }

    #[test]
    fn points_with_weight_are_met_though_they_are_few() -> Result<()> {
        let values: Vec<f64> = (0..1600).map(f64::from).collect();
        let mut weights = vec![0.0; 1600];
        (0..5).for_each(|i| weights[7 * i] = 1.0);
        let found = seeds(&Run::new(), Points::new(&values, 1600, 1)?, Some(&weights), 5, &mut Stream::new(1, 0))?;
        let mut found = found.into_entries();
        found.sort_by(f64::total_cmp);
        assert_eq!(found, [0.0, 7.0, 14.0, 21.0, 28.0]);
        Ok(())
    }
}
