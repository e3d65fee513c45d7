//! The consensus of one k: programs, how much each cell uses them, and their spectra over all genes.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_data::{RowChunks, SelectGenes, SelectRows, fold};
use ferrocyte_learn::nmf::{self, Loss, Portions, Products, Refit, Rule, refit_products};
use ferrocyte_math::linalg::{Matrix, symmetric_eigen};

use crate::cluster::{ClusterOptions, Clusters, cluster, part, stability};
use crate::factorised::{DividedRows, Factorised, lay_out};
use crate::options::Dialect;
use crate::sparse::{SparseRows, gram, turned};
use crate::stream::{ByCell, ByGene, GeneStats};
use crate::{FactoriseOptions, Pool, Prepared};

/// Variances are at least this where scores divide by them.
const LEAST_VARIANCE: f64 = 1e-12;

/// How a consensus is found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConsensusOptions {
    /// Spectra whose mean distance to their neighbours is not below this are dropped; 2 keeps all.
    pub density_threshold: f64,
    /// The neighbours of a spectrum, as a share of the replicates.
    pub neighbourhood: f64,
    /// When refits end.
    pub refit: Rule,
    /// Whether usages are fitted again, to all expression of the selected genes.
    pub refit_usage: bool,
    /// Whether the spectra over all genes are scaled to the sum of a million.
    pub normalize_tpm_spectra: bool,
    /// Whose rules are followed.
    pub dialect: Dialect,
    /// The seed of k-means; `None` is that of the dialect.
    pub kmeans_seed: Option<u32>,
}

impl Default for ConsensusOptions {
    /// Threshold 0.5, a neighbourhood of 0.3, the peer's stopping rule, usages refitted, spectra as they come.
    fn default() -> Self {
        Self {
            density_threshold: 0.5,
            neighbourhood: 0.3,
            refit: Rule::Peer,
            refit_usage: true,
            normalize_tpm_spectra: false,
            dialect: Dialect::Cnmf,
            kmeans_seed: None,
        }
    }
}

impl ConsensusOptions {
    fn of_clusters(&self) -> ClusterOptions {
        ClusterOptions {
            density_threshold: self.density_threshold,
            neighbourhood: self.neighbourhood,
            seed: self.kmeans_seed.unwrap_or(self.dialect.kmeans_seed()),
        }
    }

    fn check(&self) -> Result<()> {
        for (name, x) in
            [("density_threshold", self.density_threshold), ("local_neighborhood_size", self.neighbourhood)]
        {
            if !(x >= 0.0 && x.is_finite()) {
                return Err(Fault::bad_input(format!("{name} is finite and >= 0, found {x}")).at(name));
            }
        }
        Ok(())
    }
}

/// Programs of given spectra, by how much all cells use them, most first.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The number of programs.
    pub k: usize,
    /// For each program, which of the given spectra it is.
    pub order: Vec<usize>,
    /// Consensus spectra over the selected genes, each with sum 1: `k x g`.
    pub spectra: Vec<f64>,
    /// Usages fitted to the factorised matrix: `n x k`.
    pub first_usages: Vec<f64>,
    /// Final usages, not normalised: `n x k`.
    pub usages: Vec<f64>,
    /// Spectra in the unit of expression over all genes (those of the dialect): `k x G`.
    pub spectra_tpm: Vec<f64>,
    /// Coefficients of standardised expression on usages: `k x G`.
    pub scores: Vec<f64>,
    /// Spectra for the projection of other cells, over the selected genes: `k x g`.
    pub reference: Vec<f64>,
    /// The genes of `spectra_tpm` and `scores` among all.
    pub genes: Vec<usize>,
    /// `|X - U C|^2` of the factorised matrix.
    pub prediction_error: f64,
    /// Cells (numbers in the factorised matrix) that use no program.
    pub idle_cells: Vec<usize>,
}

impl Programs {
    /// Final usages, each cell divided by its sum; cells that use nothing stay 0.
    pub fn shares(&self) -> Vec<f64> {
        shares(&self.usages, self.k)
    }

    /// The genes of largest score of each program, most first, as places in [`Programs::genes`].
    pub fn top_genes(&self, n: usize) -> Vec<Vec<usize>> {
        let g = self.genes.len();
        let of = |row: &[f64]| {
            let mut order: Vec<usize> = (0..g).collect();
            order.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
            order.truncate(n);
            order
        };
        self.scores.chunks_exact(g.max(1)).map(of).collect()
    }
}

/// The consensus of one k.
#[derive(Debug, Clone)]
pub struct Consensus {
    /// The clusters of the pool. Its labels and spectra are in the order of k-means, in which [`Programs::order`] counts.
    pub clusters: Clusters,
    /// The programs.
    pub programs: Programs,
    /// For each program, how well it is found again in halves of the replicates; `None` where these are too few.
    pub stability: Option<Vec<f64>>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Finds the consensus of a pool. `expression` holds all cells and genes, in the order of the counts that were prepared.
///
/// # Errors
/// What [`cluster`] refuses, a pool of other genes, expression of another shape, and the wish to stop.
pub fn consensus<X: Factorised>(
    run: &Run,
    pool: &Pool,
    prepared: &Prepared<X>,
    expression: &mut dyn RowChunks,
    fit: &FactoriseOptions,
    options: &ConsensusOptions,
) -> Result<Consensus> {
    options.check()?;
    check_shapes(pool.n_genes, prepared, expression)?;
    let mut clusters = cluster(run, pool, &options.of_clusters())?;
    let programs = programs(run, &clusters.spectra, prepared, expression, fit, options)?;
    let mut warnings = std::mem::take(&mut clusters.warnings);
    if !programs.idle_cells.is_empty() {
        warnings.push(format!("{} cells use no program; their shares are 0", programs.idle_cells.len()));
    }
    if pool.dropped > 0 {
        warnings.push(format!("{} spectra of the pool are all 0 and are left out", pool.dropped));
    }
    let stability = stability(run, pool, &programs.spectra, &options.of_clusters())?;
    Ok(Consensus { clusters, programs, stability, warnings })
}

/// Fits usages, and spectra over all genes, for given consensus spectra of `k x g`, row after row.
///
/// # Errors
/// Spectra of other genes, expression of another shape, and the wish to stop.
pub fn programs<X: Factorised>(
    run: &Run,
    given: &[f64],
    prepared: &Prepared<X>,
    expression: &mut dyn RowChunks,
    fit: &FactoriseOptions,
    options: &ConsensusOptions,
) -> Result<Programs> {
    let (n, g) = (prepared.x.n_rows(), prepared.x.n_cols());
    if given.is_empty() || !given.len().is_multiple_of(g) {
        return Err(Fault::bad_input(format!("spectra of {g} genes were expected, found {} numbers", given.len())));
    }
    check_shapes(g, prepared, expression)?;
    let mut all_cells: Box<dyn RowChunks + '_> = if prepared.cells.len() == expression.n_rows() {
        Box::new(expression)
    } else {
        Box::new(SelectRows::list(expression, prepared.cells.clone())?)
    };
    let k = given.len() / g;
    let fits = Fits { run, fit, rule: options.refit };
    let first = first_usages(&fits, &prepared.x, given, k)?;
    let (order, prediction_error) = (by_use(&first.w, k), first.error);
    let spectra: Vec<f64> = order.iter().flat_map(|&t| &given[t * g..(t + 1) * g]).copied().collect();
    let first_usages: Vec<f64> = first.w.chunks_exact(k).flat_map(|row| order.iter().map(|&t| row[t])).collect();
    let idle = |i: &usize| first_usages[i * k..(i + 1) * k].iter().all(|u| *u == 0.0);
    let idle_cells: Vec<usize> = (0..n).filter(idle).collect();
    let genes =
        if options.dialect.spectra_of_all_genes() { (0..all_cells.n_cols()).collect() } else { prepared.genes.clone() };
    let mut expressed = SelectGenes::new(&mut *all_cells, &genes)?;
    let un = shares(&first_usages, k);
    let (with_shares, with_usages) = products_by_gene(run, &mut expressed, &un, &first_usages, k)?;
    let mut spectra_tpm = fits.spectra(&mut expressed, &un, &with_shares, k)?;
    if options.normalize_tpm_spectra {
        rows_to_sum(&mut spectra_tpm, genes.len(), 1e6);
    }
    let scores = scores(&first_usages, &with_usages, &prepared.stats, &genes, k, options.dialect)?;
    let places = places_of(&genes, &prepared.genes);
    let reference = reference(&spectra_tpm, genes.len(), &places, prepared, options.dialect);
    let usages = if options.refit_usage {
        last_usages(&fits, &mut expressed, &spectra_tpm, &places, prepared, options.dialect, k)?
    } else {
        first_usages.clone()
    };
    let results = [&spectra, &first_usages, &usages, &spectra_tpm, &scores, &reference];
    if results.iter().any(|values| values.iter().any(|x| !x.is_finite())) {
        return Err(Fault::internal(format!("the programs of k = {k} have values that are not finite")));
    }
    let found = Programs {
        k,
        order,
        spectra,
        first_usages,
        usages,
        spectra_tpm,
        scores,
        reference,
        genes,
        prediction_error,
        idle_cells,
    };
    Ok(found)
}

/// What is told of a k without a density filter.
#[derive(Debug, Clone)]
pub struct Selection {
    /// The number of programs.
    pub k: usize,
    /// The mean silhouette of all spectra; `None` where it is not defined.
    pub silhouette: Option<f64>,
    /// `|X - U C|^2`.
    pub prediction_error: f64,
    /// Local densities of all spectra.
    pub density: Vec<f64>,
    /// The least over programs of how well they are found again in halves of the replicates.
    pub stability: Option<f64>,
    /// Inertia of k-means.
    pub inertia: f64,
    /// Iterations of k-means.
    pub iterations: usize,
}

/// Silhouette and prediction error of the unfiltered pool of one k.
///
/// # Errors
/// As [`consensus`].
pub fn select(
    run: &Run,
    pool: &Pool,
    x: &dyn Factorised,
    fit: &FactoriseOptions,
    options: &ConsensusOptions,
) -> Result<Selection> {
    options.check()?;
    let open = ClusterOptions { density_threshold: f64::INFINITY, ..options.of_clusters() };
    let parted = part(run, pool, &open)?;
    let spectra = parted.spectra(pool.k);
    let first = first_usages(&Fits { run, fit, rule: options.refit }, x, &spectra, pool.k)?;
    let stability = stability(run, pool, &spectra, &open)?;
    Ok(Selection {
        k: pool.k,
        silhouette: parted.silhouette(run, pool.k)?,
        prediction_error: first.error,
        stability: stability.map(|s| s.into_iter().fold(1.0, f64::min)),
        inertia: parted.found.inertia,
        iterations: parted.found.iterations,
        density: parted.density,
    })
}

fn check_shapes<X: Factorised>(n_genes: usize, prepared: &Prepared<X>, expression: &dyn RowChunks) -> Result<()> {
    if n_genes != prepared.x.n_cols() {
        let message = format!("spectra of {n_genes} genes for a matrix of {}", prepared.x.n_cols());
        return Err(Fault::bad_input(message).hint("combine the replicates anew"));
    }
    let (n, g) = (expression.n_rows(), expression.n_cols());
    let cells = prepared.cells.len() + prepared.dropped_cells.len();
    if (n, g) != (cells, prepared.stats.mean.len()) {
        let message =
            format!("expression of {n} x {g}, prepared were {cells} cells and {} genes", prepared.stats.mean.len());
        return Err(Fault::bad_input(message).at(expression.name()));
    }
    Ok(())
}

/// Usages, and the squared distance of the matrix to its model.
struct First {
    w: Vec<f64>,
    error: f64,
}

fn first_usages(fits: &Fits, x: &dyn Factorised, spectra: &[f64], k: usize) -> Result<First> {
    let (cross, squares) = x.products(fits.run, spectra, k)?;
    let gram_h = gram(spectra, k);
    let products = Products { cross: &cross, gram: &gram_h, columns: x.n_cols(), squares };
    let w = if fits.fit.loss == Loss::FROBENIUS {
        fits.products(&products, k)?
    } else {
        fits.laid_out(&x.lay_out(fits.run, fits.portions(x.n_cols()))?, spectra, k)?
    };
    let along: f64 = w.iter().zip(&cross).map(|(w, p)| w * p).sum();
    let gram_w = gram(&turned(&w, x.n_rows()), k);
    let square: f64 = gram_w.iter().zip(&gram_h).map(|(a, b)| a * b).sum();
    Ok(First { w, error: (products.squares - 2.0 * along + square).max(0.0) })
}

/// Programs by the sum of shares over cells, largest first.
fn by_use(usages: &[f64], k: usize) -> Vec<usize> {
    let mut sums = vec![0.0; k];
    shares(usages, k).chunks_exact(k).for_each(|row| sums.iter_mut().zip(row).for_each(|(s, x)| *s += x));
    let mut order: Vec<usize> = (0..k).collect();
    order.sort_by(|&a, &b| sums[b].total_cmp(&sums[a]));
    order
}

/// Rows divided by their sums; rows of zeros stay.
pub(crate) fn shares(usages: &[f64], k: usize) -> Vec<f64> {
    let mut out = usages.to_vec();
    rows_to_sum(&mut out, k, 1.0);
    out
}

/// Scales rows to a sum; rows of zeros stay.
fn rows_to_sum(values: &mut [f64], width: usize, target: f64) {
    for row in values.chunks_exact_mut(width.max(1)) {
        let sum: f64 = row.iter().sum();
        if sum > 0.0 {
            row.iter_mut().for_each(|x| *x = *x / sum * target);
        }
    }
}

/// T' Un and T' U over all cells, genes × k each.
fn products_by_gene(
    run: &Run,
    expressed: &mut dyn RowChunks,
    un: &[f64],
    u: &[f64],
    k: usize,
) -> Result<(Vec<f64>, Vec<f64>)> {
    let mut both = ByGene::new(expressed.n_cols(), 2 * k, |i, x, sums: &mut [f64]| {
        let (first, second) = sums.split_at_mut(k);
        first.iter_mut().zip(&un[i * k..(i + 1) * k]).for_each(|(s, u)| *s += x * u);
        second.iter_mut().zip(&u[i * k..(i + 1) * k]).for_each(|(s, u)| *s += x * u);
    });
    fold(run, expressed, &mut [&mut both])?;
    let take =
        |from: usize| both.sums.chunks_exact(2 * k).flat_map(|row| row[from..from + k].iter().copied()).collect();
    Ok((take(0), take(k)))
}

/// How refits are made.
struct Fits<'a> {
    run: &'a Run,
    fit: &'a FactoriseOptions,
    rule: Rule,
}

impl Fits<'_> {
    fn products(&self, products: &Products, k: usize) -> Result<Vec<f64>> {
        self.heed(refit_products(self.run, products, k, &self.fit.of_nmf(), self.rule)?)
    }

    /// An empty layout for refits of rows of `g` numbers.
    fn portions(&self, g: usize) -> Portions {
        Portions::for_refits(g, self.fit.precision)
    }

    /// Usages for fixed spectra of a matrix that is laid out.
    fn laid_out(&self, x: &nmf::Prepared, spectra: &[f64], k: usize) -> Result<Vec<f64>> {
        self.heed(x.refit(self.run, spectra, k, &self.fit.of_nmf(), self.rule)?)
    }

    fn heed(&self, refit: Refit) -> Result<Vec<f64>> {
        self.run.check()?;
        Ok(refit.w)
    }

    /// Spectra over genes for fixed shares: `k x G`.
    fn spectra(&self, expressed: &mut dyn RowChunks, un: &[f64], with_shares: &[f64], k: usize) -> Result<Vec<f64>> {
        let (n, g) = (expressed.n_rows(), expressed.n_cols());
        let by_program = turned(un, n);
        let by_gene = if self.fit.loss == Loss::FROBENIUS {
            let gram_u = gram(&by_program, k);
            self.products(&Products { cross: with_shares, gram: &gram_u, columns: n, squares: 0.0 }, k)?
        } else {
            self.laid_out(&by_genes(self.run, expressed, self.portions(n))?, &by_program, k)?
        };
        Ok(turned(&by_gene, g))
    }
}

/// Expression turned over, a row for each gene, laid out a few genes at a time: one pass for each portion of them.
fn by_genes(run: &Run, expressed: &mut dyn RowChunks, mut portions: Portions) -> Result<nmf::Prepared> {
    /// Values that are in memory beside the layout.
    const AT_ONCE: f64 = 2_097_152.0;
    let n_genes = expressed.n_cols();
    let mut stored = ByGene::new(n_genes, 1, |_, x, s: &mut [f64]| s[0] += f64::from(u8::from(x != 0.0)));
    fold(run, expressed, &mut [&mut stored])?;
    let mut from = 0;
    while from < n_genes {
        let (mut to, mut values) = (from, 0.0);
        while to < n_genes && (to == from || values + stored.sums[to] <= AT_ONCE) {
            values += stored.sums[to];
            to += 1;
        }
        let some: Vec<usize> = (from..to).collect();
        let held = SparseRows::collect(run, &mut SelectGenes::new(&mut *expressed, &some)?)?;
        portions.add_rows_of(&held.turned()?)?;
        from = to;
    }
    Ok(portions.finish())
}

/// Least squares of standardised genes on usages, of least norm, without a dense matrix: `k x G`.
fn scores(
    usages: &[f64],
    with_usages: &[f64],
    stats: &GeneStats,
    genes: &[usize],
    k: usize,
    dialect: Dialect,
) -> Result<Vec<f64>> {
    let n = usages.len() / k;
    let by_program = turned(usages, n);
    let inverse = pseudo_inverse(&Matrix::from_rows(k, k, gram(&by_program, k)))?;
    let sums: Vec<f64> = by_program.chunks_exact(n).map(|row| row.iter().sum()).collect();
    let sd = stats.sd(Some(genes), dialect.ddof());
    let mut out = vec![0.0; k * genes.len()];
    for (at, (&j, products)) in genes.iter().zip(with_usages.chunks_exact(k)).enumerate() {
        let sd = sd[at].max(LEAST_VARIANCE.sqrt());
        let y: Vec<f64> = products.iter().zip(&sums).map(|(p, sum)| (p - sum * stats.mean[j]) / sd).collect();
        for t in 0..k {
            out[t * genes.len() + at] = inverse.row(t).iter().zip(&y).map(|(a, y)| a * y).sum();
        }
    }
    Ok(out)
}

/// The inverse of a symmetric matrix on the space where it has one.
fn pseudo_inverse(a: &Matrix) -> Result<Matrix> {
    let k = a.n_rows();
    let (values, vectors) = symmetric_eigen(a)?;
    let least = values.iter().copied().fold(0.0, f64::max) * k as f64 * f64::EPSILON;
    let mut out = Matrix::zeros(k, k);
    for (t, value) in values.iter().enumerate().filter(|(_, value)| **value > least) {
        for i in 0..k {
            for j in 0..k {
                out[(i, j)] += vectors[(i, t)] * vectors[(j, t)] / value;
            }
        }
    }
    Ok(out)
}

/// Where selected genes are among the genes of the spectra.
fn places_of(genes: &[usize], selected: &[usize]) -> Vec<usize> {
    let most = genes.iter().chain(selected).max().map_or(0, |most| most + 1);
    let mut place = vec![0; most];
    genes.iter().enumerate().for_each(|(at, &j)| place[j] = at);
    selected.iter().map(|&j| place[j]).collect()
}

/// 0 becomes 1.
fn never_zero(sd: Vec<f64>) -> Vec<f64> {
    sd.into_iter().map(|sd| if sd == 0.0 { 1.0 } else { sd }).collect()
}

/// Spectra per million over the standard deviation of genes, selected genes only: `k x g`.
fn reference<X>(
    spectra_tpm: &[f64],
    n_genes: usize,
    places: &[usize],
    prepared: &Prepared<X>,
    dialect: Dialect,
) -> Vec<f64> {
    let sd = never_zero(prepared.stats.sd(Some(&prepared.genes), dialect.ddof()));
    let mut scaled = spectra_tpm.to_vec();
    rows_to_sum(&mut scaled, n_genes, 1e6);
    let row = |row: &[f64]| places.iter().zip(&sd).map(|(&at, sd)| row[at] / sd).collect::<Vec<f64>>();
    scaled.chunks_exact(n_genes).flat_map(row).collect()
}

/// Usages of the spectra over all expression of the selected genes: `n x k`.
fn last_usages<X>(
    fits: &Fits,
    expressed: &mut dyn RowChunks,
    spectra_tpm: &[f64],
    places: &[usize],
    prepared: &Prepared<X>,
    dialect: Dialect,
    k: usize,
) -> Result<Vec<f64>> {
    let n_genes = expressed.n_cols();
    let selected = &prepared.genes;
    let of_spectra = never_zero(prepared.stats.sd(Some(selected), dialect.ddof()));
    let of_cells = never_zero(prepared.stats.sd(Some(selected), 1));
    let row = |row: &[f64]| places.iter().zip(&of_spectra).map(|(&at, sd)| row[at] / sd).collect::<Vec<f64>>();
    let h: Vec<f64> = spectra_tpm.chunks_exact(n_genes).flat_map(row).collect();
    if fits.fit.loss != Loss::FROBENIUS {
        let mut scaled = DividedRows { source: SelectGenes::new(expressed, places)?, by: of_cells };
        let laid_out = lay_out(fits.run, &mut scaled, fits.portions(selected.len()))?;
        return fits.laid_out(&laid_out, &h, k);
    }
    // Of every gene its row of the spectra, divided by what its expression is divided by; nothing for other genes.
    let by_gene = turned(&h, k);
    let mut rows: Vec<&[f64]> = vec![&[]; n_genes];
    let scaled: Vec<f64> =
        by_gene.chunks_exact(k).zip(&of_cells).flat_map(|(h, sd)| h.iter().map(move |h| h / sd)).collect();
    places.iter().zip(scaled.chunks_exact(k)).for_each(|(&at, row)| rows[at] = row);
    let mut cross = ByCell::new(expressed.n_rows(), k, |gene, x, sums: &mut [f64]| {
        sums.iter_mut().zip(rows[gene]).for_each(|(s, h)| *s += x * h);
    });
    fold(fits.run, expressed, &mut [&mut cross])?;
    let gram_h = gram(&h, k);
    fits.products(&Products { cross: &cross.sums, gram: &gram_h, columns: selected.len(), squares: 0.0 }, k)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_stand_by_use_and_idle_cells_stay_at_zero() {
        let usages = [1.0, 3.0, 0.0, 0.0, 1.0, 1.0];
        assert_eq!(by_use(&usages, 2), [1, 0]);
        assert_eq!(shares(&usages, 2), [0.25, 0.75, 0.0, 0.0, 0.5, 0.5]);
    }

    #[test]
    fn singular_matrices_have_an_inverse_where_they_can() -> Result<()> {
        let a = Matrix::from_rows(2, 2, vec![2.0, 0.0, 0.0, 0.0]);
        let found = pseudo_inverse(&a)?;
        assert!((found[(0, 0)] - 0.5).abs() < 1e-15 && found[(1, 1)] == 0.0);
        let same = pseudo_inverse(&Matrix::from_rows(2, 2, vec![1.0; 4]))?;
        assert!(same.entries().iter().all(|x| (x - 0.25).abs() < 1e-15));
        Ok(())
    }

    #[test]
    fn selected_genes_are_found_among_those_of_the_spectra() {
        assert_eq!(places_of(&[0, 1, 2, 3], &[3, 1]), [3, 1]);
        assert_eq!(places_of(&[7, 2], &[7, 2]), [0, 1]);
    }
}
