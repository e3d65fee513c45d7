//! Consensus spectra: outliers of the pool dropped, the rest clustered, medians taken.

use ferrocyte_base::{Fault, Kind, Result, Run};
use ferrocyte_math::linalg::dot;

use crate::Pool;
use crate::distances::UnitSpectra;
use crate::kmeans::{PeerKmeans, peer_kmeans};
use crate::selection::suggest_threshold;
use crate::sparse::turned;
use crate::variable::quantile;

/// How spectra are clustered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClusterOptions {
    /// Spectra whose mean distance to their neighbours is not below this are dropped; 2 keeps all.
    pub density_threshold: f64,
    /// The neighbours of a spectrum, as a share of the replicates.
    pub neighbourhood: f64,
    /// The seed of k-means.
    pub seed: u32,
}

/// Consensus spectra of a pool.
#[derive(Debug, Clone)]
pub struct Clusters {
    /// Mean distance of each spectrum of the pool to its neighbours; all 0 where there are no neighbours.
    pub density: Vec<f64>,
    /// How many neighbours were looked at.
    pub neighbours: usize,
    /// The spectra that are kept, rising.
    pub kept: Vec<usize>,
    /// The cluster of each kept spectrum, from 0.
    pub labels: Vec<u32>,
    /// Kept spectra (their numbers among the kept) as a clustergram shows them.
    pub order: Vec<u32>,
    /// Medians of the clusters over unit vectors, each with sum 1: `k x g`.
    pub spectra: Vec<f64>,
    /// The mean silhouette; `None` where it is not defined.
    pub silhouette: Option<f64>,
    /// Inertia of k-means.
    pub inertia: f64,
    /// Iterations of k-means.
    pub iterations: usize,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Finds the consensus spectra of a pool.
///
/// # Errors
/// A threshold that keeps nothing, with the densities and a threshold that would; fewer spectra than programs.
pub fn cluster(run: &Run, pool: &Pool, options: &ClusterOptions) -> Result<Clusters> {
    let Parted { density, neighbours, kept, units, found, mut warnings } = part(run, pool, options)?;
    if kept.len() < pool.n() {
        warnings.extend(lost_programs(run, pool, &kept, options)?);
    }
    let silhouette = units.silhouette(run, &found.labels, pool.k)?;
    let order = units.clustergram_order(run, &found.labels, pool.k)?;
    let spectra = medians(&units, &found.labels, pool.k, &mut warnings);
    let (labels, inertia, iterations) = (found.labels, found.inertia, found.iterations);
    Ok(Clusters { density, neighbours, kept, labels, order, spectra, silhouette, inertia, iterations, warnings })
}

/// A pool without its outliers, in clusters: all that halves of a pool are asked for.
pub(crate) struct Parted {
    pub(crate) density: Vec<f64>,
    neighbours: usize,
    kept: Vec<usize>,
    /// The spectra that are kept.
    units: UnitSpectra,
    pub(crate) found: PeerKmeans,
    warnings: Vec<String>,
}

impl Parted {
    /// The mean silhouette; `None` where it is not defined.
    pub(crate) fn silhouette(&self, run: &Run, k: usize) -> Result<Option<f64>> {
        self.units.silhouette(run, &self.found.labels, k)
    }

    /// Medians of the clusters, each with sum 1: `k x g`.
    pub(crate) fn spectra(&self, k: usize) -> Vec<f64> {
        medians(&self.units, &self.found.labels, k, &mut Vec::new())
    }
}

/// Drops outliers and clusters the rest.
pub(crate) fn part(run: &Run, pool: &Pool, options: &ClusterOptions) -> Result<Parted> {
    let mut warnings = Vec::new();
    let all = UnitSpectra::new(&pool.spectra, pool.n());
    let neighbours = (options.neighbourhood * pool.n() as f64 / pool.k as f64).floor() as usize;
    let density = all.local_density(run, neighbours)?;
    if neighbours == 0 && options.density_threshold < std::f64::consts::SQRT_2 {
        warnings.push("too few replicates for local densities: every spectrum is kept".to_owned());
    }
    let keep = |i: &usize| neighbours == 0 || density[*i] < options.density_threshold;
    let kept: Vec<usize> = (0..pool.n()).filter(keep).collect();
    check_kept(&density, kept.len(), pool.k, options)?;
    let units = if kept.len() == pool.n() { all } else { all.some(&kept) };
    let found = peer_kmeans(run, units.rows(), pool.k, options.seed)?;
    Ok(Parted { density, neighbours, kept, units, found, warnings })
}

fn check_kept(density: &[f64], kept: usize, k: usize, options: &ClusterOptions) -> Result<()> {
    if kept >= k {
        return Ok(());
    }
    let mut sorted = density.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (least, half, most) = (quantile(&sorted, 0.0), quantile(&sorted, 0.5), quantile(&sorted, 1.0));
    let message = format!(
        "{kept} of {} spectra have a local density below {}, and {k} programs are asked for; densities are {least:.3e} \
         at the smallest, {half:.3e} at the median, {most:.3e} at the largest",
        density.len(),
        options.density_threshold
    );
    let suggested = suggest_threshold(density).threshold;
    Err(Fault::bad_input(message).at("density_threshold").hint(format!("{suggested:.3} would do")))
}

/// Warns of clusters of the whole pool of which nothing was kept: k-means then divides others.
fn lost_programs(run: &Run, pool: &Pool, kept: &[usize], options: &ClusterOptions) -> Result<Option<String>> {
    let k = pool.k;
    let all = peer_kmeans(run, UnitSpectra::new(&pool.spectra, pool.n()).rows(), k, options.seed)?;
    let mut alive = vec![false; k];
    kept.iter().for_each(|&i| alive[all.labels[i] as usize] = true);
    let lost = alive.iter().filter(|alive| !**alive).count();
    Ok((lost > 0).then(|| {
        format!(
            "the threshold {} removes all spectra of {lost} of {k} clusters: fewer dense groups than programs, so that \
             some are divided",
            options.density_threshold
        )
    }))
}

/// Medians of clusters, gene by gene, each divided by its sum: `k x g`.
fn medians(units: &UnitSpectra, labels: &[u32], k: usize, warnings: &mut Vec<String>) -> Vec<f64> {
    let g = units.rows().n_cols();
    let mut out = Vec::with_capacity(k * g);
    for t in 0..k {
        let members: Vec<usize> = (0..units.n()).filter(|&i| labels[i] as usize == t).collect();
        let rows: Vec<f64> = members.iter().flat_map(|&i| units.rows().row(i)).copied().collect();
        let mut by_gene = turned(&rows, members.len());
        let mut spectrum: Vec<f64> = by_gene.chunks_exact_mut(members.len()).map(median).collect();
        let sum: f64 = spectrum.iter().sum();
        if sum > 0.0 {
            spectrum.iter_mut().for_each(|x| *x /= sum);
        } else {
            warnings.push(format!("the median spectrum of cluster {} is all 0", t + 1));
        }
        out.extend(spectrum);
    }
    out
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    if values.len() % 2 == 1 { values[half] } else { 0.5 * (values[half - 1] + values[half]) }
}

/// How well halves of the replicates agree on each program: the smaller of the cosines of the program with the nearest
/// one of either half. `None` where a half has too few spectra.
pub(crate) fn stability(run: &Run, pool: &Pool, spectra: &[f64], options: &ClusterOptions) -> Result<Option<Vec<f64>>> {
    let (k, g) = (pool.k, pool.n_genes);
    let mut least = vec![f64::INFINITY; k];
    for parity in [0, 1] {
        let half = pool.half(parity);
        if half.n() < k {
            return Ok(None);
        }
        let found = match part(run, &half, options) {
            Ok(parted) => parted.spectra(k),
            Err(fault) if fault.kind() == Kind::Cancelled => return Err(fault),
            // What halves have too few of, or the threshold leaves too few of.
            Err(_) => return Ok(None),
        };
        let cosine = |a: &[f64], b: &[f64]| {
            let lengths = dot(a, a).sqrt() * dot(b, b).sqrt();
            if lengths > 0.0 { dot(a, b) / lengths } else { 0.0 }
        };
        for (t, program) in spectra.chunks_exact(g).enumerate() {
            let nearest = found.chunks_exact(g).map(|other| cosine(program, other)).fold(0.0, f64::max);
            least[t] = least[t].min(nearest);
        }
    }
    Ok(Some(least))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Twenty replicates of two programs near the axes, and `n_outliers` more spectra far from both.
    pub(crate) fn pool(n_outliers: usize) -> Result<Pool> {
        let mut spectra = Vec::new();
        for i in 0..20 {
            let e = 0.001 * f64::from(i);
            spectra.extend([1.0, e, 0.0, 0.0, e, 2.0, 0.0, 0.0]);
        }
        for i in 0..n_outliers {
            let e = i as f64 / n_outliers as f64;
            spectra.extend([0.0, 0.0, 1.0 - e, e]);
        }
        let n = spectra.len() / 4;
        Pool::of_rows(2, 4, spectra, (0..n).map(|i| (i / 2, i % 2 + 1)).collect())
    }

    #[test]
    fn outliers_are_dropped_and_medians_taken() -> Result<()> {
        let options = ClusterOptions { density_threshold: 0.1, neighbourhood: 0.3, seed: 1 };
        let found = cluster(&Run::new(), &pool(4)?, &options)?;
        assert_eq!((found.kept.len(), found.neighbours), (40, 6));
        assert!(found.warnings.is_empty() || found.warnings[0].contains("dense groups"));
        assert!(found.silhouette.is_some_and(|s| s > 0.95));
        let first = found.labels[0] as usize;
        assert!((found.spectra[first * 4] - 1.0).abs() < 0.02);
        assert!(found.spectra.chunks_exact(4).all(|row| (row.iter().sum::<f64>() - 1.0).abs() < 1e-12));
        Ok(())
    }

    #[test]
    fn a_threshold_that_keeps_too_little_is_refused_with_one_that_does() -> Result<()> {
        let options = ClusterOptions { density_threshold: 1e-9, neighbourhood: 0.3, seed: 1 };
        let fault = cluster(&Run::new(), &pool(0)?, &options).err();
        assert!(fault.is_some_and(|f| f.message().contains("median")
            && f.message().contains("2 programs")
            && f.way_out().is_some()));
        Ok(())
    }

    #[test]
    fn one_replicate_is_its_own_consensus() -> Result<()> {
        let pool = Pool::of_rows(2, 2, vec![1.0, 0.0, 3.0, 1.0], vec![(0, 1), (0, 2)])?;
        let options = ClusterOptions { density_threshold: 0.5, neighbourhood: 0.3, seed: 1 };
        let found = cluster(&Run::new(), &pool, &options)?;
        assert!(found.silhouette.is_none() && found.warnings.len() == 1);
        let mut first: Vec<f64> = found.spectra.chunks_exact(2).map(|row| row[0]).collect();
        first.sort_by(f64::total_cmp);
        assert!((first[0] - 0.75).abs() < 1e-12 && first[1] == 1.0);
        Ok(())
    }

    #[test]
    fn halves_of_one_mind_are_stable() -> Result<()> {
        let pool = pool(0)?;
        let options = ClusterOptions { density_threshold: 2.0, neighbourhood: 0.3, seed: 1 };
        let whole = cluster(&Run::new(), &pool, &options)?;
        let found = stability(&Run::new(), &pool, &whole.spectra, &options)?;
        assert!(found.is_some_and(|s| s.len() == 2 && s.iter().all(|x| *x > 0.999)));
        let one = Pool::of_rows(2, 2, vec![1.0, 0.0, 3.0, 1.0], vec![(0, 1), (0, 2)])?;
        assert_eq!(stability(&Run::new(), &one, &[1.0, 0.0, 0.0, 1.0], &options)?, None);
        Ok(())
    }
}
