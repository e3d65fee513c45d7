//! Consensus clusters: many k-means runs, put together ([`sc3`]).
//!
//! V. Y. Kiselev et al., *SC3: consensus clustering of single-cell RNA-seq data*, 2017; the many small clusters
//! ("facilities") with which each run begins are those of F. R. Quah and M. Hemberg, *SC3s: efficient scaling of single
//! cell consensus clustering to millions of cells*, 2022. Each run finds facilities once and groups them, by their sizes,
//! into every number of clusters asked for; cells that all runs treat alike are one pattern, and the patterns, weighted
//! by their cells, are clustered by the clusters they belong to.
//!
//! Facilities, groups and patterns are clustered in full, groups and patterns from several starts, not by mini-batches;
//! and the groups of facilities are only where the clusters of cells begin, which are then made by k-means of the cells.
//! So the runs agree, and the result hardly depends on the seed.

use std::collections::BTreeMap;

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_data::Factor;
use ferrocyte_learn::{KmeansOptions, Points, adjusted_rand, kmeans, kmeans_from};

/// Columns of the basis that are used at most, where no numbers of columns are given.
const COLUMNS: usize = 25;

/// Starts of a clustering of facilities, which are few.
const GROUP_STARTS: usize = 20;

/// Starts of a clustering of patterns.
const PATTERN_STARTS: usize = 10;

/// Iterations for facilities, which need not be the best: they are grouped.
const FACILITY_ITERATIONS: usize = 30;

/// What is clustered into what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sc3Options {
    /// Numbers of clusters.
    pub n_clusters: Vec<usize>,
    /// Runs for each number of columns.
    pub n_runs: usize,
    /// Numbers of columns of the basis; `None` is one number, 25 or all if there are fewer.
    pub d_range: Option<Vec<usize>>,
    /// Facilities of a run; `None` is `multiplier_facility` × the largest number of clusters.
    pub n_facility: Option<usize>,
    /// See [`Sc3Options::n_facility`].
    pub multiplier_facility: usize,
    /// Decides the starts.
    pub seed: u64,
}

impl Sc3Options {
    /// Five runs with three times as many facilities as clusters.
    pub fn new(n_clusters: &[usize], seed: u64) -> Self {
        Self {
            n_clusters: n_clusters.to_vec(),
            n_runs: 5,
            d_range: None,
            n_facility: None,
            multiplier_facility: 3,
            seed,
        }
    }
}

/// Clusters of one number.
#[derive(Debug, Clone, PartialEq)]
pub struct Consensus {
    /// The number that was asked for.
    pub k: usize,
    /// The cluster of each cell, `0` the largest.
    pub labels: Factor,
    /// How much the runs agree: their mean adjusted Rand index, pair by pair. The number of clusters with the largest is
    /// the most stable.
    pub agreement: f64,
}

/// Clusters the rows of a basis (components of cells), into each number of clusters.
///
/// # Errors
/// No number of clusters or of columns, one that is larger than there are cells or columns, no run.
pub fn sc3(run: &Run, basis: Points<'_>, options: &Sc3Options) -> Result<Vec<Consensus>> {
    let columns = check(basis, options)?;
    let most = options.n_clusters.iter().copied().max().unwrap_or(1);
    let wanted = options.n_facility.unwrap_or(options.multiplier_facility * most);
    let n_facility = wanted.min(basis.n().saturating_sub(1)).max(most);
    run.info(&format!("{n_facility} facilities in each of {} runs", columns.len() * options.n_runs));
    // Of every number of clusters, the labels of every run.
    let mut labels: Vec<Vec<Vec<u32>>> = vec![Vec::new(); options.n_clusters.len()];
    let mut task = 0;
    for &d in &columns {
        let values: Vec<f64> = (0..basis.n()).flat_map(|i| basis.row(i)[..d].iter().copied()).collect();
        let points = Points::new(&values, basis.n(), d)?;
        for _ in 0..options.n_runs {
            // Seeds of different runs must differ, also for seeds that are neighbours.
            let seed = options.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(task);
            task += 1;
            for (labels, found) in labels.iter_mut().zip(one_run(run, points, n_facility, &options.n_clusters, seed)?) {
                labels.push(found);
            }
        }
    }
    let numbers = options.n_clusters.iter().zip(&labels);
    numbers.map(|(&k, labels)| consensus(run, k, labels, options.seed)).collect()
}

fn check(basis: Points<'_>, options: &Sc3Options) -> Result<Vec<usize>> {
    let columns = options.d_range.clone().unwrap_or_else(|| vec![basis.d().min(COLUMNS)]);
    if options.n_clusters.is_empty() || columns.is_empty() || options.n_runs == 0 {
        return Err(Fault::bad_input(
            "at least one number of clusters, one number of columns and one run are expected",
        ));
    }
    if let Some(k) = options.n_clusters.iter().find(|&&k| k == 0 || k > basis.n()) {
        return Err(Fault::bad_input(format!("{k} clusters of {} cells", basis.n())).at("n_clusters"));
    }
    if let Some(d) = columns.iter().find(|&&d| d == 0 || d > basis.d()) {
        return Err(Fault::bad_input(format!("{d} columns of a basis of {}", basis.d())).at("d_range"));
    }
    Ok(columns)
}

/// Facilities of one run, grouped into each number of clusters, from which those of the cells are found: their labels.
fn one_run(run: &Run, points: Points<'_>, n_facility: usize, numbers: &[usize], seed: u64) -> Result<Vec<Vec<u32>>> {
    let quick = KmeansOptions { starts: 1, max_iter: FACILITY_ITERATIONS, ..KmeansOptions::new(n_facility, seed) };
    let facilities = kmeans(run, points, None, &quick)?;
    let mut weights = vec![0.0; n_facility];
    facilities.labels.iter().for_each(|&label| weights[label as usize] += 1.0);
    let used = weights.iter().filter(|&&w| w > 0.0).count();
    let centres = Points::new(facilities.centres.entries(), n_facility, points.d())?;
    numbers
        .iter()
        .map(|&k| {
            let options = KmeansOptions { starts: GROUP_STARTS, ..KmeansOptions::new(k.min(used), seed) };
            let groups = kmeans(run, centres, Some(&weights), &options)?;
            Ok(kmeans_from(run, points, groups.centres, &KmeansOptions::new(k, seed))?.labels)
        })
        .collect()
}

/// Clusters of the patterns of labels that the runs give to cells.
fn consensus(run: &Run, k: usize, runs: &[Vec<u32>], seed: u64) -> Result<Consensus> {
    let n = runs.first().map_or(0, Vec::len);
    let mut patterns: BTreeMap<Vec<u32>, u32> = BTreeMap::new();
    let mut of_cell = Vec::with_capacity(n);
    for cell in 0..n {
        let pattern: Vec<u32> = runs.iter().map(|labels| labels[cell]).collect();
        let next = patterns.len() as u32;
        of_cell.push(*patterns.entry(pattern).or_insert(next));
    }
    let mut weights = vec![0.0; patterns.len()];
    of_cell.iter().for_each(|&pattern| weights[pattern as usize] += 1.0);
    // Whether a pattern belongs to each cluster of each run.
    let width = k * runs.len();
    let mut binary = vec![0.0; patterns.len() * width];
    for (pattern, &row) in &patterns {
        for (r, &label) in pattern.iter().enumerate() {
            binary[row as usize * width + r * k + label as usize] = 1.0;
        }
    }
    if patterns.len() < k {
        run.warn(&format!("the runs tell {} groups of cells apart, not {k}", patterns.len()));
    }
    let points = Points::new(&binary, patterns.len(), width)?;
    let options = KmeansOptions { starts: PATTERN_STARTS, ..KmeansOptions::new(k.min(patterns.len()), seed) };
    let found = kmeans(run, points, Some(&weights), &options)?;
    let labels: Vec<u32> = of_cell.iter().map(|&pattern| found.labels[pattern as usize]).collect();
    Ok(Consensus { k, labels: by_size(&labels), agreement: agreement(runs)? })
}

/// Labels as a factor whose levels are numbers, 0 for the largest cluster.
fn by_size(labels: &[u32]) -> Factor {
    let n = labels.iter().max().map_or(0, |&most| most as usize + 1);
    let mut sizes = vec![0_usize; n];
    labels.iter().for_each(|&label| sizes[label as usize] += 1);
    let mut order: Vec<usize> = (0..n).filter(|&c| sizes[c] > 0).collect();
    order.sort_by(|&a, &b| sizes[b].cmp(&sizes[a]));
    let mut rank = vec![0; n];
    order.iter().enumerate().for_each(|(new, &old)| rank[old] = new as u32);
    Factor {
        levels: (0..order.len()).map(|i| i.to_string()).collect(),
        codes: labels.iter().map(|&label| rank[label as usize]).collect(),
    }
}

/// The mean adjusted Rand index over pairs of runs; 1 for a single run.
fn agreement(runs: &[Vec<u32>]) -> Result<f64> {
    let (mut sum, mut pairs) = (0.0, 0.0);
    for (i, a) in runs.iter().enumerate() {
        for b in &runs[..i] {
            sum += adjusted_rand(a, b)?;
            pairs += 1.0;
        }
    }
    Ok(if pairs > 0.0 { sum / pairs } else { 1.0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_math::random::Stream;
    use ferrocyte_testkit::assert_same_bits_over_runs;

    /// Four clouds of 90, 80, 70 and 60 points.
    fn clouds() -> (Vec<f64>, Vec<u32>) {
        let mut stream = Stream::new(8, 0);
        let (mut values, mut truth) = (Vec::new(), Vec::new());
        for (cloud, n) in [90, 80, 70, 60].into_iter().enumerate() {
            for _ in 0..n {
                values.extend([8.0 * (cloud % 2) as f64, 8.0 * (cloud / 2) as f64, 0.0].map(|c| c + stream.normal()));
                truth.push(cloud as u32);
            }
        }
        (values, truth)
    }

    #[test]
    fn clouds_are_found_numbered_by_size_and_the_most_stable() -> Result<()> {
        let (values, truth) = clouds();
        let points = Points::new(&values, 300, 3)?;
        let found = sc3(&Run::new(), points, &Sc3Options::new(&[3, 4, 9], 1))?;
        assert_eq!(found[1].labels.codes.iter().collect::<Vec<_>>(), truth);
        assert!(found[1].agreement > 0.99 && found[2].agreement < found[1].agreement);
        let ks: Vec<usize> = found.iter().map(|c| c.labels.levels.len()).collect();
        assert_eq!(ks, [3, 4, 9]);
        Ok(())
    }

    #[test]
    fn threads_change_no_label() -> Result<()> {
        let (values, _) = clouds();
        let points = Points::new(&values, 300, 3)?;
        let options = Sc3Options { d_range: Some(vec![2, 3]), n_runs: 2, ..Sc3Options::new(&[5], 3) };
        assert_same_bits_over_runs(
            |run| sc3(run, points, &options),
            |found| found[0].labels.codes.iter().map(f64::from).collect(),
        )
    }

    #[test]
    fn impossible_numbers_are_named() -> Result<()> {
        let points = Points::new(&[1.0, 2.0, 3.0], 3, 1)?;
        let told = |options: &Sc3Options| sc3(&Run::new(), points, options).err().map(|f| f.to_string());
        assert_eq!(told(&Sc3Options::new(&[4], 0)).as_deref(), Some("n_clusters: 4 clusters of 3 cells"));
        let options = Sc3Options { d_range: Some(vec![2]), ..Sc3Options::new(&[2], 0) };
        assert_eq!(told(&options).as_deref(), Some("d_range: 2 columns of a basis of 1"));
        assert!(told(&Sc3Options::new(&[], 0)).is_some());
        Ok(())
    }
}
