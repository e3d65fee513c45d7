//! Consensus clusters against the distributions of the reference.

use ferrocyte_base::{Result, Run};
use ferrocyte_cells::sc3::{Sc3Options, sc3};
use ferrocyte_learn::{Points, adjusted_rand};

use crate::files::{Case, number, numbers};

const SEEDS: u64 = 5;

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Mean squared distance to the mean of the cluster.
fn inertia(points: Points<'_>, labels: &[u32]) -> f64 {
    let k = labels.iter().max().map_or(0, |&m| m as usize + 1);
    let mut sums = vec![vec![0.0; points.d()]; k];
    let mut n = vec![0.0; k];
    for (i, &label) in labels.iter().enumerate() {
        n[label as usize] += 1.0;
        sums[label as usize].iter_mut().zip(points.row(i)).for_each(|(s, x)| *s += x);
    }
    let distance = |(i, &label): (usize, &u32)| {
        let (sums, n) = (&sums[label as usize], n[label as usize]);
        points.row(i).iter().zip(sums).map(|(x, s)| (x - s / n).powi(2)).sum::<f64>()
    };
    labels.iter().enumerate().map(distance).sum::<f64>() / labels.len() as f64
}

#[test]
fn as_good_as_the_reference_and_more_stable() -> Result<()> {
    for case in Case::with("sc3_stats.json").into_iter().filter(|case| case.has("marker_groups.npz")) {
        let stats = case.json("sc3_stats.json");
        let scores = case.npz("pca.npz");
        let scores = scores.get("scores");
        let d = number(&stats["dims"]) as usize;
        let values: Vec<f64> = (0..scores.shape[0]).flat_map(|i| scores.row(i)[..d].to_vec()).collect();
        let points = Points::new(&values, scores.shape[0], d)?;
        let truth: Vec<u32> = case.npz("marker_groups.npz").get("g").indices().iter().map(|&g| g as u32).collect();
        let ks: Vec<usize> = numbers(&stats["args"]["n_clusters"]).iter().map(|&k| k as usize).collect();
        let runs: Vec<_> =
            (0..SEEDS).map(|seed| sc3(&Run::new(), points, &Sc3Options::new(&ks, seed))).collect::<Result<_>>()?;
        for (i, k) in ks.iter().enumerate() {
            let labels: Vec<Vec<u32>> = runs.iter().map(|found| found[i].labels.codes.iter().collect()).collect();
            let theirs = &stats["K"][k.to_string()];
            let ours: Vec<f64> = labels.iter().map(|l| inertia(points, l)).collect();
            let bar = mean(&numbers(&theirs["inertia_per_cell"]));
            assert!(mean(&ours) <= bar, "K = {k}: inertia {} above {bar}", mean(&ours));
            let mut pairs = Vec::new();
            for a in 0..labels.len() {
                for b in 0..a {
                    pairs.push(adjusted_rand(&labels[a], &labels[b])?);
                }
            }
            let bar = (number(&theirs["pairwise_ari_mean"]) + 0.1).min(0.98);
            assert!(mean(&pairs) >= bar, "K = {k}: seeds agree by {}, expected {bar}", mean(&pairs));
            if *k == 10 {
                let ours: Vec<f64> = labels.iter().map(|l| adjusted_rand(l, &truth)).collect::<Result<_>>()?;
                let bar = mean(&numbers(&theirs["ari_vs_labels"])) - 0.02;
                assert!(mean(&ours) >= bar, "K = {k}: agreement with the labels {} below {bar}", mean(&ours));
            }
        }
    }
    Ok(())
}
