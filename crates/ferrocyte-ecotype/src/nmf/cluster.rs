//! Clusters of samples by votes of many factorisations.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::linalg::Matrix;
use ferrocyte_math::r_stream::RStream;

use super::linkage::cophenetic_correlation;
use super::rank::{RankRule, select_rank};
use super::updates::{Factors, Method, NmfOptions, columns, factorise, random_start};

/// Seeds of runs are drawn below this.
const SEEDS: usize = 6280;

/// How samples are clustered.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterOptions {
    /// The ranks that are tried.
    pub ranks: Vec<usize>,
    /// Factorisations of each rank.
    pub runs_per_rank: usize,
    /// Cophenetic correlations above this are good enough.
    pub min_coph: f64,
    /// The method.
    pub method: Method,
    /// The seed of the seeds of the runs.
    pub seed: u32,
}

impl Default for ClusterOptions {
    /// Rank 10, thirty runs, 0.95, Brunet's method, seed 2024.
    fn default() -> Self {
        Self { ranks: vec![10], runs_per_rank: 30, min_coph: 0.95, method: Method::Brunet, seed: 2024 }
    }
}

/// The runs of one rank.
#[derive(Debug, Clone, PartialEq)]
pub struct RankResult {
    /// The rank.
    pub rank: usize,
    /// In which share of the runs two samples have the same largest factor: samples × samples.
    pub consensus: Matrix,
    /// How well a tree keeps the consensus.
    pub cophenetic: f64,
    /// The mean of `(2 c - 1)²` over the consensus c: 1 where all runs agree.
    pub dispersion: f64,
    /// The factors of the run with the smallest objective.
    pub best: Factors,
    /// The largest factor of each sample in that run, counted from 1.
    pub labels: Vec<usize>,
    /// Updates of each run.
    pub iterations: Vec<usize>,
}

/// Clusters of samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Clustering {
    /// The rank that is chosen.
    pub best_rank: usize,
    /// The seeds of the runs, the same for all ranks.
    pub seeds: Vec<u32>,
    /// The runs of each rank.
    pub ranks: Vec<RankResult>,
    /// Whether no rank was good enough.
    pub none_good: bool,
}

impl Clustering {
    /// The runs of the rank that is chosen.
    pub fn best(&self) -> Option<&RankResult> {
        self.ranks.iter().find(|of| of.rank == self.best_rank)
    }
}

/// Factorises `matrix` (features × samples) many times for each rank, and chooses the rank whose runs agree best.
///
/// Negative values are split into a positive and a negative row each, missing ones are 0, rows without spread are left
/// out. All runs are independent, and their number of updates is that of the reference.
pub fn nmf_clustering(run: &Run, matrix: &Matrix, options: &ClusterOptions) -> Result<Clustering> {
    if options.ranks.is_empty() || options.ranks.contains(&0) || options.runs_per_rank == 0 {
        return Err(Fault::bad_input("ranks and runs are at least 1").at("ranks"));
    }
    let v = prepared(matrix)?;
    let mut draws = RStream::new(options.seed);
    let seeds: Vec<u32> = draws.sample(SEEDS, options.runs_per_rank).into_iter().map(|i| i as u32 + 1).collect();
    let runs = seeds.len();
    let nmf = NmfOptions { method: options.method, ..NmfOptions::default() };
    let mut all = run
        .map_blocks("factorising", options.ranks.len() * runs, 1, |i| {
            let (w, h) = random_start(&v, options.ranks[i / runs], seeds[i % runs]);
            factorise(&v, w, h, &nmf)
        })?
        .into_iter();
    let ranks: Vec<RankResult> =
        options.ranks.iter().map(|&rank| summarise(rank, all.by_ref().take(runs).collect())).collect::<Result<_>>()?;
    let cophenetic: Vec<f64> = ranks.iter().map(|of| of.cophenetic).collect();
    let rule = RankRule { threshold: options.min_coph, ..RankRule::default() };
    let (best_rank, none_good) = select_rank(&cophenetic, &options.ranks, &rule)?;
    if none_good {
        run.warn(&format!("no rank has a cophenetic correlation above {}", options.min_coph));
    }
    Ok(Clustering { best_rank, seeds, ranks, none_good })
}

/// The non-negative matrix that is factorised.
fn prepared(matrix: &Matrix) -> Result<Matrix> {
    let signs: &[f64] = if matrix.entries().iter().any(|&x| x < 0.0) { &[1.0, -1.0] } else { &[1.0] };
    let mut rows: Vec<f64> = Vec::new();
    for sign in signs {
        for row in 0..matrix.n_rows() {
            let part = matrix.row(row).iter().map(|&x| if x.is_nan() { 0.0 } else { (sign * x).max(0.0) });
            let part: Vec<f64> = part.collect();
            if part.iter().any(|x| *x != part[0]) {
                rows.extend(part);
            }
        }
    }
    let n = matrix.n_cols();
    if rows.is_empty() {
        return Err(Fault::bad_input(format!("no row of {} x {n} values varies", matrix.n_rows())));
    }
    Ok(Matrix::from_rows(rows.len() / n, n, rows))
}

fn summarise(rank: usize, runs: Vec<Factors>) -> Result<RankResult> {
    let iterations = runs.iter().map(|run| run.iterations).collect();
    let votes: Vec<Vec<usize>> = runs.iter().map(|run| columns(&run.h)).collect();
    let n = votes.first().map_or(0, Vec::len);
    let mut consensus = Matrix::zeros(n, n);
    for i in 0..n {
        for j in 0..n {
            let together = votes.iter().filter(|labels| labels[i] == labels[j]).count();
            consensus[(i, j)] = together as f64 / votes.len() as f64;
        }
    }
    let best = runs.into_iter().reduce(|best, run| if run.objective < best.objective { run } else { best });
    let best = best.ok_or_else(|| Fault::internal("a rank has no runs"))?;
    let spread: f64 = consensus.entries().iter().map(|c| (2.0 * c - 1.0) * (2.0 * c - 1.0)).sum();
    Ok(RankResult {
        rank,
        cophenetic: cophenetic_correlation(&consensus),
        dispersion: spread / (n * n) as f64,
        consensus,
        labels: columns(&best.h).into_iter().map(|k| k + 1).collect(),
        best,
        iterations,
    })
}
