//! How well few dimensions tell what many do.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::random::Stream;

use crate::{KnnOptions, Neighbours, Points, Search, nearest};

/// Points that are worked on together.
const BLOCK: usize = 32;

/// The mean share of the neighbours of `truth` that are neighbours in `found` too, the points themselves not counted.
///
/// # Errors
///
/// Not the same points, or no neighbours but the points themselves.
pub fn neighbour_recall(found: &Neighbours, truth: &Neighbours) -> Result<f64> {
    if found.n() != truth.n() || truth.k() < 2 || truth.n() == 0 {
        return Err(Fault::bad_input(format!(
            "neighbours of the same points and at least 2 of each were expected, found {} points, and {} with k = {}",
            found.n(),
            truth.n(),
            truth.k()
        )));
    }
    let mut mine = vec![u32::MAX; truth.n()];
    let mut hits = 0;
    for i in 0..truth.n() {
        found.row(i).iter().for_each(|j| mine[*j as usize] = i as u32);
        hits += truth.row(i)[1..].iter().filter(|j| mine[**j as usize] == i as u32).count();
    }
    Ok(hits as f64 / (truth.n() * (truth.k() - 1)) as f64)
}

/// How far those near in `embedding` are near among the `points` too: one minus the mean excess of the ranks of the `k`
/// nearest, the points themselves not counted, scaled such that the worst is about 0 (J. Venna and S. Kaski, 2001).
///
/// Of more than `sample` points only so many, drawn by `seed`, are asked; each looks at all others, so that time grows
/// with their number.
///
/// # Errors
///
/// Not as many points in both, or `k` not below half of them.
pub fn trustworthiness(
    run: &Run,
    points: Points<'_>,
    embedding: Points<'_>,
    k: usize,
    sample: usize,
    seed: u64,
) -> Result<f64> {
    let n = points.n();
    if embedding.n() != n || k == 0 || 2 * k >= n || sample == 0 {
        return Err(Fault::bad_input(format!(
            "trustworthiness needs the same points twice, a sample, and k from 1 to below half of them; found {n} \
             and {} points, {sample} of them asked, k = {k}",
            embedding.n()
        )));
    }
    let options = KnnOptions { k: k + 1, search: Search::Exact, ..KnnOptions::default() };
    let near = nearest(run, embedding, &options)?;
    let asked: Vec<usize> = if sample < n {
        Stream::new(seed, 0).permutation(n).into_iter().take(sample).collect()
    } else {
        (0..n).collect()
    };
    let excess = run.map_blocks("trustworthiness", asked.len(), BLOCK, |t| {
        let i = asked[t];
        let here = points.row(i);
        let square = |j: usize| here.iter().zip(points.row(j)).map(|(x, y)| (x - y) * (x - y)).sum::<f64>();
        let all: Vec<f64> = (0..n).map(square).collect();
        let rank = |j: usize| (0..n).filter(|o| *o != i && (all[*o], *o) < (all[j], j)).count() + 1;
        Ok(near.row(i)[1..].iter().map(|j| rank(*j as usize).saturating_sub(k) as f64).sum::<f64>())
    })?;
    let (n, k) = (n as f64, k as f64);
    Ok(1.0 - 2.0 / (asked.len() as f64 * k * (2.0 * n - 3.0 * k - 1.0)) * excess.iter().sum::<f64>())
}

/// The mean silhouette: `(b - a) / max(a, b)` for the mean distance a to points of the same label and b to those of the
/// nearest other label; 0 for a point alone with its label (P. J. Rousseeuw, 1987).
///
/// # Errors
///
/// Not a label for each point, or fewer than two labels.
pub fn silhouette(run: &Run, points: Points<'_>, labels: &[u32]) -> Result<f64> {
    let n = points.n();
    let mut distinct = labels.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    if labels.len() != n || distinct.len() < 2 {
        return Err(Fault::bad_input(format!(
            "a label for each of {n} points and at least two different were expected, found {} labels, {} different",
            labels.len(),
            distinct.len()
        )));
    }
    let group: Vec<usize> = labels.iter().map(|l| distinct.partition_point(|d| d < l)).collect();
    let mut sizes = vec![0.0_f64; distinct.len()];
    group.iter().for_each(|g| sizes[*g] += 1.0);
    let widths = run.map_blocks("silhouette", n, BLOCK, |i| {
        let here = points.row(i);
        let mut sums = vec![0.0; distinct.len()];
        for (j, g) in group.iter().enumerate() {
            let square: f64 = here.iter().zip(points.row(j)).map(|(x, y)| (x - y) * (x - y)).sum();
            sums[*g] += square.sqrt();
        }
        let own = group[i];
        if sizes[own] == 1.0 {
            return Ok(0.0);
        }
        let a = sums[own] / (sizes[own] - 1.0);
        let others = (0..sums.len()).filter(|g| *g != own).map(|g| sums[g] / sizes[g]);
        let b = others.fold(f64::INFINITY, f64::min);
        let most = a.max(b);
        Ok(if most > 0.0 { (b - a) / most } else { 0.0 })
    })?;
    Ok(widths.iter().sum::<f64>() / n as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_trusted_and_an_exchange_is_not() -> Result<()> {
        let run = Run::new().threads(1);
        let line: Vec<f64> = (0..12).map(f64::from).collect();
        let points = Points::new(&line, 12, 1)?;
        assert_eq!(trustworthiness(&run, points, points, 2, 12, 0)?, 1.0);
        // Ends exchanged; ranks by sorting, the lower index first among equals.
        let mut other = line.clone();
        other.swap(0, 11);
        let found = trustworthiness(&run, points, Points::new(&other, 12, 1)?, 1, 12, 0)?;
        let mut excess = 0.0;
        for i in 0..12_usize {
            let order = |row: &[f64]| {
                let mut all: Vec<usize> = (0..12).filter(|j| *j != i).collect();
                all.sort_by(|a, b| (row[*a] - row[i]).abs().total_cmp(&(row[*b] - row[i]).abs()));
                all
            };
            let first = order(&other)[0];
            excess += order(&line).iter().position(|j| *j == first).unwrap_or(0) as f64;
        }
        let expected = 1.0 - 2.0 / (12.0 * (24.0 - 4.0)) * excess;
        assert!((found - expected).abs() < 1e-12, "{found}, expected {expected}");
        assert!(trustworthiness(&run, points, points, 6, 12, 0).is_err());
        Ok(())
    }

    #[test]
    fn silhouettes_of_two_pairs() -> Result<()> {
        let run = Run::new().threads(1);
        let points = Points::new(&[0.0, 1.0, 10.0, 11.0], 4, 1)?;
        let expected = (1.0 - 1.0 / 10.5 + 1.0 - 1.0 / 9.5) / 2.0;
        assert!((silhouette(&run, points, &[3, 3, 9, 9])? - expected).abs() < 1e-15);
        assert_eq!(silhouette(&run, points, &[0, 1, 2, 3])?, 0.0);
        assert!(silhouette(&run, points, &[1; 4]).is_err());
        Ok(())
    }
}
