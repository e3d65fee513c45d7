//! Average linkage, and the order in which it lines up the leaves.
//!
//! The nearest-neighbour chain (F. Murtagh, 1983) finds the merges in quadratic time. Merges are then sorted by height;
//! of two clusters that merge, the one that is older stands to the left.

/// One merge: two leaves, one from each side, and the height.
struct Merge {
    a: usize,
    b: usize,
    height: f64,
}

/// The leaves from left to right, for distances of `n x n`.
pub(crate) fn leaves(distances: Vec<f64>, n: usize) -> Vec<usize> {
    if n < 3 {
        return (0..n).collect();
    }
    let mut merges = chain(distances, n);
    // Stable: equal heights stay in the order in which they were found.
    merges.sort_by(|x, y| x.height.total_cmp(&y.height));
    let mut parent: Vec<usize> = (0..2 * n - 1).collect();
    let mut children: Vec<(usize, usize)> = Vec::with_capacity(n - 1);
    for merge in &merges {
        let (x, y) = (root(&parent, merge.a), root(&parent, merge.b));
        let cluster = n + children.len();
        (parent[x], parent[y]) = (cluster, cluster);
        children.push((x.min(y), x.max(y)));
    }
    let mut order = Vec::with_capacity(n);
    let mut open = vec![2 * n - 2];
    while let Some(cluster) = open.pop() {
        match cluster.checked_sub(n) {
            None => order.push(cluster),
            Some(merge) => open.extend([children[merge].1, children[merge].0]),
        }
    }
    order
}

/// The cluster that a leaf or cluster is in by now.
fn root(parent: &[usize], mut at: usize) -> usize {
    while parent[at] != at {
        at = parent[at];
    }
    at
}

/// All merges, in the order in which the chain finds them.
fn chain(mut distances: Vec<f64>, n: usize) -> Vec<Merge> {
    let mut sizes = vec![1.0_f64; n];
    let mut merges = Vec::with_capacity(n - 1);
    let mut chain: Vec<usize> = Vec::new();
    while merges.len() < n - 1 {
        if chain.is_empty() {
            chain.extend((0..n).find(|&i| sizes[i] > 0.0));
        }
        let (x, y, height) = grow(&mut chain, &distances, &sizes, n);
        // The merged cluster takes the place of the one with the larger number.
        let (gone, stays) = (x.min(y), x.max(y));
        merges.push(Merge { a: gone, b: stays, height });
        let (weight_gone, weight_stays) = (sizes[gone], sizes[stays]);
        sizes[gone] = 0.0;
        sizes[stays] = weight_gone + weight_stays;
        for i in (0..n).filter(|&i| sizes[i] > 0.0 && i != stays) {
            let sum = weight_gone * distances[i * n + gone] + weight_stays * distances[i * n + stays];
            let mean = sum / (weight_gone + weight_stays);
            distances[i * n + stays] = mean;
            distances[stays * n + i] = mean;
        }
    }
    merges
}

/// Follows nearest neighbours until two are each other's: takes both off the chain, with their distance. Among equals
/// the cluster before on the chain is preferred, then the first.
fn grow(chain: &mut Vec<usize>, distances: &[f64], sizes: &[f64], n: usize) -> (usize, usize, f64) {
    loop {
        let x = chain[chain.len() - 1];
        let before = chain.len().checked_sub(2).map(|at| chain[at]);
        let (mut y, mut least) = before.map_or((x, f64::INFINITY), |b| (b, distances[x * n + b]));
        for i in (0..n).filter(|&i| sizes[i] > 0.0 && i != x) {
            if distances[x * n + i] < least {
                (y, least) = (i, distances[x * n + i]);
            }
        }
        if before == Some(y) {
            chain.truncate(chain.len() - 2);
            return (x, y, least);
        }
        chain.push(y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_line(points: &[f64]) -> Vec<usize> {
        let distances = points.iter().flat_map(|a| points.iter().map(move |b| (a - b).abs())).collect();
        leaves(distances, points.len())
    }

    #[test]
    fn near_leaves_stand_together_and_older_clusters_to_the_left() {
        // 1 and 3 merge first (0.1), then 0 and 2 (0.2), then both; 4 is a leaf, older than any cluster.
        assert_eq!(of_line(&[0.0, 5.0, 0.2, 5.1, 50.0]), [4, 1, 3, 0, 2]);
        assert_eq!(of_line(&[1.0, 0.0]), [0, 1]);
        assert_eq!(of_line(&[]), Vec::<usize>::new());
    }

    #[test]
    fn heights_are_means_of_distances() {
        let points = [0.0_f64, 1.0, 4.0, 9.0];
        let distances = points.iter().flat_map(|a| points.iter().map(move |b| (a - b).abs())).collect();
        let mut heights: Vec<f64> = chain(distances, 4).iter().map(|m| m.height).collect();
        heights.sort_by(f64::total_cmp);
        assert_eq!(heights, [1.0, 3.5, 22.0 / 3.0]);
    }
}
