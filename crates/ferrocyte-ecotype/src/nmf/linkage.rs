//! Average linkage, and how well its tree keeps the distances.

use ferrocyte_math::linalg::Matrix;

/// The correlation of distances `1 - similarity` with those in their tree of average linkage; 1 where no two items share
/// anything.
pub fn cophenetic_correlation(similarity: &Matrix) -> f64 {
    let n = similarity.n_rows();
    let pairs = || (0..n).flat_map(move |i| (0..i).map(move |j| (i, j)));
    if pairs().all(|pair| similarity[pair] == 0.0) {
        return 1.0;
    }
    let heights = cophenetic(similarity);
    let distance: Vec<f64> = pairs().map(|pair| 1.0 - similarity[pair]).collect();
    let tree: Vec<f64> = pairs().map(|pair| heights[pair]).collect();
    correlation(&distance, &tree)
}

/// At which height items join: the mean distance between their clusters.
fn cophenetic(similarity: &Matrix) -> Matrix {
    let n = similarity.n_rows();
    let mut distance = Matrix::zeros(n, n);
    distance.entries_mut().iter_mut().zip(similarity.entries()).for_each(|(d, s)| *d = 1.0 - s);
    let mut members: Vec<Vec<usize>> = (0..n).map(|i| vec![i]).collect();
    let mut alive: Vec<usize> = (0..n).collect();
    let mut nearest: Vec<usize> = (0..n).map(|i| nearest_after(&distance, &alive, i)).collect();
    let mut heights = Matrix::zeros(n, n);
    while alive.len() > 1 {
        let i = alive[..alive.len() - 1].iter().copied().fold(alive[0], |best, i| {
            if distance[(i, nearest[i])] < distance[(best, nearest[best])] { i } else { best }
        });
        let (j, height) = (nearest[i], distance[(i, nearest[i])]);
        for &a in &members[i] {
            for &b in &members[j] {
                heights[(a, b)] = height;
                heights[(b, a)] = height;
            }
        }
        alive.retain(|&other| other != j);
        let (ni, nj) = (members[i].len() as f64, members[j].len() as f64);
        for &other in alive.iter().filter(|&&other| other != i) {
            let merged = (ni * distance[(i, other)] + nj * distance[(j, other)]) / (ni + nj);
            distance[(i, other)] = merged;
            distance[(other, i)] = merged;
        }
        let joined = std::mem::take(&mut members[j]);
        members[i].extend(joined);
        for &other in &alive {
            if other <= i || nearest[other] == i || nearest[other] == j {
                nearest[other] = nearest_after(&distance, &alive, other);
            }
        }
    }
    heights
}

/// The nearest of the clusters behind one, itself if there is none.
fn nearest_after(distance: &Matrix, alive: &[usize], i: usize) -> usize {
    let after = alive.iter().copied().filter(|&j| j > i);
    after.reduce(|best, j| if distance[(i, j)] < distance[(i, best)] { j } else { best }).unwrap_or(i)
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len() as f64;
    let (ma, mb) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
    let sum = |f: &dyn Fn(f64, f64) -> f64| a.iter().zip(b).map(|(x, y)| f(x - ma, y - mb)).sum::<f64>();
    sum(&|x, y| x * y) / (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_keeps_its_own_distances() {
        // Two pairs that are alike, and nothing between them.
        let similarity = Matrix::from_rows(
            4,
            4,
            vec![1.0, 0.9, 0.1, 0.1, 0.9, 1.0, 0.1, 0.1, 0.1, 0.1, 1.0, 0.7, 0.1, 0.1, 0.7, 1.0],
        );
        assert!((cophenetic_correlation(&similarity) - 1.0).abs() < 1e-12);
        let heights = cophenetic(&similarity);
        assert!((heights[(2, 3)] - 0.3).abs() < 1e-12 && (heights[(0, 3)] - 0.9).abs() < 1e-12);
        let nothing = Matrix::from_rows(2, 2, vec![1.0, 0.0, 0.0, 1.0]);
        assert_eq!(cophenetic_correlation(&nothing), 1.0);
    }
}
