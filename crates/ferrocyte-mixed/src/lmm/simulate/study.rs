//! Simulated studies: counts of cells from samples with cluster, treatment and sample effects.
//!
//! The generator of the benchmark sizes S, M, L, T. Numbers depend on the seed only: each gene draws from its own
//! counter-based stream, so that any range of genes or any number of threads gives the same counts.

use ferrocyte_base::{Column, Fault, Result, Run, Table};
use ferrocyte_data::{Factor, Frame, ObsColumn};
use ferrocyte_math::random::Stream;

/// What is simulated.
#[derive(Debug, Clone, PartialEq)]
pub struct StudyOptions {
    /// Number of genes.
    pub n_genes: usize,
    /// Number of cells.
    pub n_cells: usize,
    /// Number of samples; sample i has treatment i mod 2.
    pub n_samples: usize,
    /// Number of clusters; every cluster occurs in both treatments.
    pub n_clusters: usize,
    /// Share of genes whose treatment effect is not zero, in one cluster.
    pub de_share: f64,
    /// Variance of the sample effect (of the logarithm of the mean); `None`: zero for a fifth of the genes, else
    /// Gamma(1.5, 0.06).
    pub sample_variance: Option<f64>,
    /// The seed.
    pub seed: u64,
}

impl StudyOptions {
    /// The benchmark sizes `S`, `M`, `L` and `T`.
    pub fn size(word: &str, seed: u64) -> Result<Self> {
        let (n_genes, n_cells, n_samples, n_clusters) = match word {
            "S" => (50, 1_000, 25, 4),
            "M" => (2_000, 20_000, 20, 8),
            "L" => (6_000, 100_000, 40, 12),
            "T" => (11_596, 20_000, 259, 29),
            other => {
                return Err(
                    Fault::bad_input(format!("there is no size `{other}`")).hint("it is one of `S`, `M`, `L`, `T`")
                );
            }
        };
        Ok(Self { n_genes, n_cells, n_samples, n_clusters, de_share: 0.05, sample_variance: None, seed })
    }
}

/// A simulated study: counts (cells × genes, compressed rows) and the truth behind them.
#[derive(Debug, Clone)]
pub struct Study {
    /// Row pointers, one more than cells.
    pub pointers: Vec<i64>,
    /// Columns, rising within a row.
    pub indices: Vec<i32>,
    /// Counts.
    pub counts: Vec<f32>,
    /// `sample`, `cluster`, `treatment` of each cell.
    pub obs: Frame,
    /// Names of the genes.
    pub genes: Vec<String>,
    /// The treatment effect of each gene (natural logarithm of a ratio) and the cluster that has it; 0 for none.
    pub effect: Vec<(f64, usize)>,
}

impl Study {
    /// The treatment effects that are not zero: `gene`, `cluster`, `log_effect`.
    pub fn truth(&self) -> Result<Table> {
        let affected: Vec<(usize, (f64, usize))> =
            self.effect.iter().copied().enumerate().filter(|(_, (effect, _))| *effect != 0.0).collect();
        let genes = affected.iter().map(|&(gene, _)| self.genes[gene].clone()).collect();
        let clusters = affected.iter().map(|&(_, (_, cluster))| cluster as u32).collect();
        let levels = self.obs.factor("cluster")?.levels.clone();
        let effects = affected.iter().map(|&(_, (effect, _))| effect).collect();
        Ok(Table::new("truth")
            .with(Column::text("gene", "the gene", genes))
            .with(Column::level("cluster", "the cluster with the effect", clusters, levels))
            .with(Column::float("log_effect", "ln of a ratio", "treatment B against A", effects)))
    }
}

/// Streams of a study: 0 and 1 for the cells, then one per gene.
const GENE_STREAMS: u64 = 2;

/// Draws a study.
pub fn simulate_study(run: &Run, options: &StudyOptions) -> Result<Study> {
    let StudyOptions { n_genes, n_cells, n_samples, n_clusters, .. } = *options;
    if n_samples < 2 || n_clusters == 0 || n_cells < n_samples {
        return Err(Fault::bad_input(format!("{n_cells} cells of {n_samples} samples in {n_clusters} clusters"))
            .hint("there must be two samples or more, a cluster, and a cell for each sample"));
    }
    let mut stream = Stream::new(options.seed, 0);
    let weights: Vec<f64> = (0..n_samples).map(|_| (0.5 * stream.normal()).exp()).collect();
    let cluster_weights = stream.dirichlet(&vec![5.0; n_clusters])?;
    let (mut sample, mut cluster, mut depth) = (Vec::new(), Vec::new(), Vec::new());
    for cell in 0..n_cells {
        sample.push(if cell < n_samples { cell } else { stream.categorical(&weights)? });
        cluster.push(stream.categorical(&cluster_weights)?);
        depth.push((0.35 * stream.normal()).exp());
    }
    cover_both_treatments(&sample, &mut cluster, n_clusters);
    let treatment: Vec<usize> = sample.iter().map(|s| s % 2).collect();

    let genes = run.map_blocks("simulating", n_genes, 16, |gene| {
        let mut stream = Stream::new(options.seed, GENE_STREAMS + gene as u64);
        draw_gene(&mut stream, options, &sample, &cluster, &treatment, &depth)
    })?;
    let (genes, effect): (Vec<Drawn>, Vec<_>) = genes.into_iter().unzip();
    let (pointers, indices, counts) = to_rows(&genes, n_cells);
    let mut obs = Frame::new(n_cells);
    let factor = |codes: &[usize], levels: Vec<String>| {
        ObsColumn::Factor(Factor { levels, codes: codes.iter().map(|&c| c as u32).collect() })
    };
    let width = n_samples.to_string().len();
    obs.insert("sample", factor(&sample, (1..=n_samples).map(|i| format!("s{i:0width$}")).collect()))?;
    let width = n_clusters.to_string().len();
    obs.insert("cluster", factor(&cluster, (1..=n_clusters).map(|i| format!("c{i:0width$}")).collect()))?;
    obs.insert("treatment", factor(&treatment, vec!["A".to_owned(), "B".to_owned()]))?;
    let width = n_genes.to_string().len();
    let names = (1..=n_genes).map(|i| format!("g{i:0width$}")).collect();
    Ok(Study { pointers, indices, counts, obs, genes: names, effect })
}

/// Gives every cluster a cell in each treatment, by moving cells in order of their index.
fn cover_both_treatments(sample: &[usize], cluster: &mut [usize], n_clusters: usize) {
    for wanted in 0..n_clusters {
        for treatment in 0..2 {
            if (0..sample.len()).any(|i| cluster[i] == wanted && sample[i] % 2 == treatment) {
                continue;
            }
            let mut sizes = vec![0_usize; n_clusters];
            (0..sample.len()).filter(|&i| sample[i] % 2 == treatment).for_each(|i| sizes[cluster[i]] += 1);
            if let Some(i) = (0..sample.len()).find(|&i| sample[i] % 2 == treatment && sizes[cluster[i]] > 1) {
                cluster[i] = wanted;
            }
        }
    }
}

/// The counts of one gene: cells with counts, and the counts.
pub(in crate::lmm) struct Drawn {
    pub(in crate::lmm) cells: Vec<(u32, f32)>,
}

fn draw_gene(
    stream: &mut Stream,
    options: &StudyOptions,
    sample: &[usize],
    cluster: &[usize],
    treatment: &[usize],
    depth: &[f64],
) -> Result<(Drawn, (f64, usize))> {
    let mean = (-3.2 + 1.6 * stream.normal()).exp().clamp(0.002, 60.0);
    let size = 0.5 + stream.gamma(2.0, 1.0)?;
    let cluster_effect: Vec<f64> =
        (0..options.n_clusters).map(|_| if stream.chance(0.3) { 0.6 * stream.normal() } else { 0.0 }).collect();
    let variance = match options.sample_variance {
        Some(v) => v,
        None if stream.chance(0.2) => 0.0,
        None => stream.gamma(1.5, 0.06)?,
    };
    let sample_effect: Vec<f64> = (0..options.n_samples).map(|_| variance.sqrt() * stream.normal()).collect();
    let effect = if stream.chance(options.de_share) {
        let magnitude = 0.3 + 0.7 * stream.uniform();
        (if stream.chance(0.5) { magnitude } else { -magnitude }, stream.below(options.n_clusters))
    } else {
        (0.0, 0)
    };
    let mut cells = Vec::new();
    for i in 0..sample.len() {
        let treated = if treatment[i] == 1 && cluster[i] == effect.1 { effect.0 } else { 0.0 };
        let mu = mean * depth[i] * (cluster_effect[cluster[i]] + sample_effect[sample[i]] + treated).exp();
        let count = stream.negative_binomial(mu, size)?;
        if count > 0.0 {
            cells.push((i as u32, count as f32));
        }
    }
    Ok((Drawn { cells }, effect))
}

/// Genes with their cells to compressed rows of cells: pointers, columns, counts.
pub(in crate::lmm) fn to_rows(genes: &[Drawn], n_cells: usize) -> (Vec<i64>, Vec<i32>, Vec<f32>) {
    let mut pointers = vec![0_i64; n_cells + 1];
    genes.iter().flat_map(|g| &g.cells).for_each(|&(cell, _)| pointers[cell as usize + 1] += 1);
    for i in 0..n_cells {
        pointers[i + 1] += pointers[i];
    }
    let stored = pointers[n_cells] as usize;
    let (mut indices, mut counts, mut next) = (vec![0_i32; stored], vec![0.0_f32; stored], pointers.clone());
    for (gene, drawn) in genes.iter().enumerate() {
        for &(cell, count) in &drawn.cells {
            let slot = &mut next[cell as usize];
            indices[*slot as usize] = gene as i32;
            counts[*slot as usize] = count;
            *slot += 1;
        }
    }
    (pointers, indices, counts)
}
