//! Counts like those of a reference data set, with sample effects and treatment effects in clusters.
//!
//! The distribution of FLASH-MM's simulator (its numbers depend on R's random streams and are not reproduced): negative
//! binomial counts whose mean and size per gene and whose library sizes are those of a reference.

use ferrocyte_base::{Column, Fault, Result, Run, Table};
use ferrocyte_data::{Factor, Frame, ObsColumn, RowChunks, rows_per_block};
use ferrocyte_math::random::Stream;

use super::study::{Drawn, to_rows};

/// Means, negative binomial sizes and library sizes of a reference.
#[derive(Debug, Clone, PartialEq)]
pub struct ReferenceMoments {
    /// Mean of each gene over the cells.
    pub mean: Vec<f64>,
    /// mean² / (variance - mean), the variance with divisor n - 1; negative or infinite where counts vary less than
    /// Poisson's.
    pub size: Vec<f64>,
    /// Total of each cell.
    pub libsize: Vec<f64>,
}

impl ReferenceMoments {
    /// From counts, cells × genes, in one pass.
    pub fn of(run: &Run, source: &mut dyn RowChunks) -> Result<Self> {
        let (n, m) = (source.n_rows(), source.n_cols());
        let (mut sum, mut squares, mut libsize) = (vec![0.0; m], vec![0.0; m], Vec::with_capacity(n));
        let step = rows_per_block(run, source);
        let mut start = 0;
        while start < n {
            run.check()?;
            let end = (start + step).min(n);
            let block = source.read(run, start..end)?;
            libsize.extend(block.row_sums());
            for i in 0..block.n_rows() {
                for (gene, count) in block.row(i) {
                    sum[gene] += count;
                    squares[gene] += count * count;
                }
            }
            start = end;
        }
        let cells = n as f64;
        let mean: Vec<f64> = sum.iter().map(|s| s / cells).collect();
        let size = (0..m)
            .map(|g| {
                let variance = (squares[g] - sum[g] * sum[g] / cells) / (cells - 1.0);
                mean[g] * mean[g] / (variance - mean[g])
            })
            .collect();
        Ok(Self { mean, size, libsize })
    }
}

/// What is simulated.
#[derive(Debug, Clone, PartialEq)]
pub struct RnaseqOptions {
    /// Number of genes.
    pub n_genes: usize,
    /// Number of cells.
    pub n_cells: usize,
    /// Whether a sample has one treatment (named after it) or cells of all.
    pub samples_nested: bool,
    /// Number of samples.
    pub n_samples: usize,
    /// Number of clusters.
    pub n_clusters: usize,
    /// Number of treatments, named A, B, ..; the last has the effects.
    pub n_treatments: usize,
    /// Number of genes with a treatment effect: the last ones, divided over the clusters at random.
    pub n_de_genes: usize,
    /// Range of the size of an effect (natural logarithm of a ratio).
    pub beta: (f64, f64),
    /// Whether effects go both ways, or up only.
    pub both_directions: bool,
    /// Variance of the sample effects.
    pub sample_variance: f64,
    /// Whether cells differ in library size.
    pub adjust_library_size: bool,
    /// The seed.
    pub seed: u64,
}

/// A simulated data set, cells × genes.
#[derive(Debug, Clone)]
pub struct Rnaseq {
    /// Row pointers, one more than cells.
    pub pointers: Vec<i64>,
    /// Columns, rising within a row.
    pub indices: Vec<i32>,
    /// Counts.
    pub counts: Vec<f32>,
    /// `sam`, `cls`, `trt`, `libsize` of each cell; `libsize` is that of the reference.
    pub obs: Frame,
    /// Names of the genes.
    pub genes: Vec<String>,
    /// Genes with an effect: gene, effect, cluster.
    pub de_genes: Vec<(usize, f64, usize)>,
    /// Mean and size of each gene in the reference.
    pub mean_and_size: Vec<(f64, f64)>,
}

impl Rnaseq {
    /// The treatment effects: `gene`, `cluster`, `log_effect`.
    pub fn truth(&self) -> Table {
        let genes = self.de_genes.iter().map(|&(gene, ..)| self.genes[gene].clone()).collect();
        let clusters = self.de_genes.iter().map(|&(_, _, cluster)| (cluster + 1).to_string()).collect();
        let effects = self.de_genes.iter().map(|&(_, effect, _)| effect).collect();
        Table::new("truth")
            .with(Column::text("gene", "the gene", genes))
            .with(Column::text("cluster", "the cluster with the effect", clusters))
            .with(Column::float("log_effect", "ln of a ratio", "the last treatment against the others", effects))
    }
}

const CELL_STREAM: u64 = 0;
const REFERENCE_STREAM: u64 = 1;
const GENE_STREAMS: u64 = 2;

/// Draws a data set like `reference`; without one, like negative binomial counts with means and sizes of 1 + Poisson(1).
pub fn simulate_rnaseq(run: &Run, options: &RnaseqOptions, reference: Option<&ReferenceMoments>) -> Result<Rnaseq> {
    check(options)?;
    let mut stream = Stream::new(options.seed, REFERENCE_STREAM);
    let drawn;
    let reference = match reference {
        Some(reference) => reference,
        None => {
            drawn = draw_reference(&mut stream, options)?;
            &drawn
        }
    };
    let usable: Vec<usize> = (0..reference.mean.len())
        .filter(|&g| reference.mean[g] > 0.0 && reference.size[g] > 0.0 && reference.size[g].is_finite())
        .collect();
    if usable.is_empty() {
        return Err(Fault::bad_input("no gene of the reference varies more than Poisson counts").at("reference"));
    }
    if usable.len() < reference.mean.len() {
        run.info(&format!(
            "{} of {} genes of the reference vary less than Poisson counts and are left out",
            reference.mean.len() - usable.len(),
            reference.mean.len()
        ));
    }
    let genes: Vec<usize> =
        resample(&mut stream, usable.len(), options.n_genes).into_iter().map(|i| usable[i]).collect();
    let libsize: Vec<f64> = resample(&mut stream, reference.libsize.len(), options.n_cells)
        .into_iter()
        .map(|i| reference.libsize[i])
        .collect();
    let mean_libsize = libsize.iter().sum::<f64>() / libsize.len() as f64;
    let libsize = if options.adjust_library_size { libsize } else { vec![mean_libsize; options.n_cells] };
    if let Some(cell) = libsize.iter().position(|&l| l <= 0.0) {
        return Err(Fault::bad_input(format!("cell {cell} of the reference has no counts")).at("reference"));
    }
    let mean_log = libsize.iter().map(|l| l.ln()).sum::<f64>() / libsize.len() as f64;
    let offset: Vec<f64> = libsize.iter().map(|l| l.ln() - mean_log).collect();
    let cells = draw_cells(&mut Stream::new(options.seed, CELL_STREAM), options);

    let first_de = options.n_genes - options.n_de_genes;
    let split = stream.multinomial(options.n_de_genes as u64, &vec![1.0; options.n_clusters])?;
    let cluster_of: Vec<usize> =
        split.iter().enumerate().flat_map(|(c, &n)| std::iter::repeat_n(c, n as usize)).collect();
    let drawn = run.map_blocks("simulating", options.n_genes, 16, |gene| {
        let mut stream = Stream::new(options.seed, GENE_STREAMS + gene as u64);
        let source = genes[gene];
        let effects: Vec<f64> =
            (0..options.n_samples).map(|_| options.sample_variance.sqrt() * stream.normal()).collect();
        let effect = (gene >= first_de).then(|| {
            let size = options.beta.0 + (options.beta.1 - options.beta.0) * stream.uniform();
            let sign = if options.both_directions && stream.chance(0.5) { -1.0 } else { 1.0 };
            (sign * size, cluster_of[gene - first_de])
        });
        let mut counts = Vec::new();
        for cell in 0..options.n_cells {
            let treated = effect.filter(|&(_, cluster)| {
                cells.treatment[cell] == options.n_treatments - 1 && cells.cluster[cell] == cluster
            });
            let log_mean = reference.mean[source].ln()
                + effects[cells.sample[cell]]
                + offset[cell]
                + treated.map_or(0.0, |(beta, _)| beta);
            let count = stream.negative_binomial(log_mean.exp(), reference.size[source])?;
            if count > 0.0 {
                counts.push((cell as u32, count as f32));
            }
        }
        Ok((Drawn { cells: counts }, effect))
    })?;
    let (columns, effects): (Vec<Drawn>, Vec<_>) = drawn.into_iter().unzip();
    let (pointers, indices, counts) = to_rows(&columns, options.n_cells);
    let mut obs = Frame::new(options.n_cells);
    let factor = |codes: &[usize], levels: &[String]| {
        // Levels in sorted order, as text columns have them.
        ObsColumn::Factor(Factor::from_texts(codes.iter().map(|&c| Some(&levels[c]))))
    };
    obs.insert("sam", factor(&cells.sample, &cells.sample_names))?;
    obs.insert("cls", factor(&cells.cluster, &(1..=options.n_clusters).map(|c| c.to_string()).collect::<Vec<_>>()))?;
    obs.insert("trt", factor(&cells.treatment, &treatment_names(options.n_treatments)))?;
    obs.insert("libsize", ObsColumn::Number(libsize))?;
    Ok(Rnaseq {
        pointers,
        indices,
        counts,
        obs,
        genes: (1..=options.n_genes).map(|g| format!("Gene{g}")).collect(),
        de_genes: effects.iter().enumerate().filter_map(|(g, e)| e.map(|(beta, cluster)| (g, beta, cluster))).collect(),
        mean_and_size: genes.iter().map(|&g| (reference.mean[g], reference.size[g])).collect(),
    })
}

fn check(options: &RnaseqOptions) -> Result<()> {
    let refuse = |message: String, at: &str| Err(Fault::bad_input(message).at(at.to_owned()));
    for (name, value) in [
        ("n_genes", options.n_genes),
        ("n_cells", options.n_cells),
        ("n_samples", options.n_samples),
        ("n_clusters", options.n_clusters),
        ("n_treatments", options.n_treatments),
    ] {
        if value == 0 {
            return refuse("there must be at least one".to_owned(), name);
        }
    }
    if options.n_treatments > 26 {
        return refuse(format!("{} treatments, at most 26 have letters", options.n_treatments), "n_treatments");
    }
    if options.n_de_genes > options.n_genes {
        return refuse(format!("{} genes with effects of {} genes", options.n_de_genes, options.n_genes), "n_de_genes");
    }
    if options.samples_nested && options.n_samples < options.n_treatments {
        return refuse(format!("{} samples for {} treatments", options.n_samples, options.n_treatments), "n_samples");
    }
    if !(options.sample_variance >= 0.0) {
        return refuse(format!("a variance of {}", options.sample_variance), "sample_variance");
    }
    Ok(())
}

fn treatment_names(n: usize) -> Vec<String> {
    (b'A'..=b'Z').take(n).map(|letter| char::from(letter).to_string()).collect()
}

/// `wanted` of `n` items: all when the numbers agree, a random subset when fewer, random repeats when more.
fn resample(stream: &mut Stream, n: usize, wanted: usize) -> Vec<usize> {
    match wanted.cmp(&n) {
        std::cmp::Ordering::Equal => (0..n).collect(),
        std::cmp::Ordering::Less => stream.permutation(n).into_iter().take(wanted).collect(),
        std::cmp::Ordering::Greater => (0..wanted).map(|_| stream.below(n)).collect(),
    }
}

/// Moments of counts drawn with means and sizes of 1 + Poisson(1).
fn draw_reference(stream: &mut Stream, options: &RnaseqOptions) -> Result<ReferenceMoments> {
    let (m, n) = (options.n_genes, options.n_cells);
    let mut moments = ReferenceMoments { mean: Vec::new(), size: Vec::new(), libsize: vec![0.0; n] };
    for _ in 0..m {
        let (mean, size) = (1.0 + stream.poisson(1.0)?, 1.0 + stream.poisson(1.0)?);
        let (mut sum, mut squares) = (0.0, 0.0);
        for total in &mut moments.libsize {
            let count = stream.negative_binomial(mean, size)?;
            *total += count;
            sum += count;
            squares += count * count;
        }
        let cells = n as f64;
        let found = sum / cells;
        let variance = (squares - sum * sum / cells) / (cells - 1.0);
        moments.mean.push(found);
        moments.size.push(found * found / (variance - found));
    }
    Ok(moments)
}

struct SampledCells {
    sample: Vec<usize>,
    sample_names: Vec<String>,
    cluster: Vec<usize>,
    treatment: Vec<usize>,
}

fn draw_cells(stream: &mut Stream, options: &RnaseqOptions) -> SampledCells {
    let n = options.n_cells;
    let cluster = (0..n).map(|_| stream.below(options.n_clusters)).collect();
    let mut treatment: Vec<usize> = (0..n).map(|_| stream.below(options.n_treatments)).collect();
    let letters = treatment_names(options.n_treatments);
    if !options.samples_nested {
        let sample = (0..n).map(|_| stream.below(options.n_samples)).collect();
        return SampledCells {
            sample,
            sample_names: (1..=options.n_samples).map(|i| format!("S{i}")).collect(),
            cluster,
            treatment,
        };
    }
    // Every treatment has a sample; the others fall at random.
    let mut of_treatment: Vec<usize> = (0..options.n_treatments).collect();
    of_treatment.extend((options.n_treatments..options.n_samples).map(|_| stream.below(options.n_treatments)));
    of_treatment.sort_unstable();
    let mut counter = vec![0; options.n_treatments];
    let sample_names = of_treatment
        .iter()
        .map(|&t| {
            counter[t] += 1;
            format!("{}{}", letters[t], counter[t])
        })
        .collect();
    let first: Vec<usize> = (0..options.n_treatments).map(|t| of_treatment.partition_point(|&x| x < t)).collect();
    let sample = treatment.iter_mut().map(|t| first[*t] + stream.below(counter[*t])).collect();
    SampledCells { sample, sample_names, cluster, treatment }
}
