//! Clusters of several samples, integrated: alike are those whose fold changes rank each other alike.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::linalg::Matrix;
use ferrocyte_math::ranks;

use super::fold_changes::FoldChanges;
use super::fusion::{FusionOptions, fuse};
use super::network::Network;
use super::ranked::Ranked;
use super::tiles::Room;
use crate::collate;
use crate::statistics::pearson;

/// How many clusters of a sample are needed to see which genes vary.
const FEWEST: usize = 3;

/// How clusters are integrated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntegrateOptions {
    /// How many genes of each type, those that vary most over the clusters of all samples.
    pub nfeatures: usize,
    /// Clusters and types need more entries than this.
    pub min_features: usize,
    /// How the networks of types are fused.
    pub fusion: FusionOptions,
}

impl Default for IntegrateOptions {
    /// 300 genes, more than 10 entries, usual fusion.
    fn default() -> Self {
        Self { nfeatures: 300, min_features: 10, fusion: FusionOptions::default() }
    }
}

/// What correlations between clusters of the same region are multiplied by.
const SAME_REGION: f64 = 1.1;

/// How much alike clusters are: clusters × clusters, symmetric, between 0 and 1. With `regions`, one for each cluster,
/// those of the same region are taken to be more alike. `room` is as in [`fuse`].
pub fn integrate(
    run: &Run,
    changes: &FoldChanges,
    regions: Option<&[String]>,
    options: &IntegrateOptions,
    room: Option<Room<'_>>,
) -> Result<Matrix> {
    if let Some(regions) = regions.filter(|regions| regions.len() != changes.clusters.len()) {
        let message = format!("{} regions for {} clusters", regions.len(), changes.clusters.len());
        return Err(Fault::bad_input(message).at("region"));
    }
    let mut views = Vec::new();
    for of in collate::first_seen(&changes.cell_type) {
        let rows: Vec<usize> = (0..changes.gene.len()).filter(|&row| changes.cell_type[row] == of).collect();
        if rows.len() > options.min_features
            && let Some(view) = view(changes, &rows, regions, options)
        {
            views.push(Network::of(&view)?);
        }
    }
    if views.len() < 2 {
        return Err(Fault::bad_input(format!(
            "{} cell types have fold changes of at least {FEWEST} clusters in two samples, 2 are needed",
            views.len()
        )));
    }
    Ok(Ranked::of(run, &fuse(run, &views, &options.fusion, room)?)?.symmetric())
}

/// The network of clusters by one cell type; `None` where it has too few.
fn view(
    changes: &FoldChanges,
    rows: &[usize],
    regions: Option<&[String]>,
    options: &IntegrateOptions,
) -> Option<Matrix> {
    let column = |cluster: usize| rows.iter().map(move |&row| changes.values[(row, cluster)]);
    let told = |cluster: &usize| column(*cluster).filter(|x| !x.is_nan() && *x != 0.0).count() > options.min_features;
    let clusters: Vec<usize> = (0..changes.clusters.len()).filter(told).collect();
    let samples = collate::first_seen(clusters.iter().map(|&cluster| &changes.samples[cluster]));
    let blocks: Vec<Vec<usize>> = samples
        .iter()
        .map(|name| clusters.iter().copied().filter(|&cluster| changes.samples[cluster] == *name).collect())
        .collect();
    if blocks.len() < 2 || blocks.iter().any(|block: &Vec<usize>| block.len() < FEWEST) {
        return None;
    }
    let genes = most_variable(changes, rows, &blocks, options.nfeatures);
    let profile = |cluster: usize| -> Vec<f64> { genes.iter().map(|&row| changes.values[(row, cluster)]).collect() };
    let profiles: Vec<Vec<f64>> = (0..changes.clusters.len()).map(profile).collect();
    let n = changes.clusters.len();
    let mut shares = Matrix::zeros(n, n);
    for &j in &clusters {
        for block in &blocks {
            let alike: Vec<f64> = block
                .iter()
                .map(|&i| (pearson(&profiles[i], &profiles[j]), regions.is_some_and(|of| of[i] == of[j])))
                .map(|(r, same)| if r.is_nan() { 0.0 } else { r * if same { SAME_REGION } else { 1.0 } })
                .collect();
            let ranks = ranks::average(&alike);
            let total: f64 = ranks.iter().sum();
            block.iter().zip(ranks).for_each(|(&i, rank)| shares[(i, j)] = rank / total);
        }
    }
    let mut both = Matrix::zeros(n, n);
    for i in 0..n {
        for j in 0..n {
            both[(i, j)] = shares[(i, j)] + shares[(j, i)];
        }
    }
    Some(both)
}

/// Rows of the genes that vary over the clusters of every sample, by the mean logarithm of their ranks.
fn most_variable(changes: &FoldChanges, rows: &[usize], blocks: &[Vec<usize>], most: usize) -> Vec<usize> {
    let variance = |row: usize, block: &[usize]| {
        let n = block.len() as f64;
        let mean = block.iter().map(|&c| changes.values[(row, c)]).sum::<f64>() / n;
        block.iter().map(|&c| (changes.values[(row, c)] - mean).powi(2)).sum::<f64>() / (n - 1.0)
    };
    let varies = |row: &usize| blocks.iter().all(|block| variance(*row, block) > 0.0);
    let rows: Vec<usize> = rows.iter().copied().filter(varies).collect();
    let mut score = vec![0.0; rows.len()];
    for block in blocks {
        let falling: Vec<f64> = rows.iter().map(|&row| -variance(row, block)).collect();
        score.iter_mut().zip(ranks::average(&falling)).for_each(|(score, rank)| *score += rank.ln());
    }
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by(|&a, &b| score[a].total_cmp(&score[b]));
    order.into_iter().take(most).map(|i| rows[i]).collect()
}
