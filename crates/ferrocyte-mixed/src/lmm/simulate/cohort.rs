//! Cohorts: donors in arms, samples of donors, batches, cell types, covariates, and planted effects.
//!
//! Counts of gene g in cell i of type c from sample s (donor d, batch b, arm a) are negative binomial with size r_g and
//! mean m_g exp(t_gc + u_gd + v_gs + w_gb + e_gca) l_i: t are effects of cell types, u, v, w normal effects with variances
//! that differ between genes, e the planted effects of the arms (none in the first), l the depth of a cell.
//!
//! A [`Cohort`] knows its cells and genes; its counts are drawn when rows are asked for ([`super::counts`]), so that a
//! study of any number of cells can be written in little memory.

use std::ops::Range;

use ferrocyte_base::{Column, Fault, Result, Run, Table, listing, nearest};
use ferrocyte_data::{Factor, Frame, ObsColumn};
use ferrocyte_math::random::Stream;

use super::counts::TileRows;
use super::options::{Affected, BatchOf, Direction};

/// What is simulated. The defaults are those of [`super::SIMULATE_OPTIONS`].
#[derive(Debug, Clone, PartialEq)]
pub struct CohortOptions {
    /// Number of genes.
    pub n_genes: usize,
    /// Number of cells of the whole study; every sample has one at least.
    pub n_cells: usize,
    /// Donors of each arm; where samples are paired, of the whole study.
    pub n_donors: usize,
    /// Names of the arms; the first has no planted effects.
    pub arms: Vec<String>,
    /// Whether every donor has samples in all arms.
    pub paired: bool,
    /// Samples of a donor, in each of its arms.
    pub samples_per_donor: usize,
    /// Number of batches, over which the samples or donors of each arm are spread evenly.
    pub n_batches: usize,
    /// Whether samples or whole donors are put into batches.
    pub batch_of: BatchOf,
    /// Number of cell types, named T1, T2, ..
    pub n_cell_types: usize,
    /// Concentration of the Dirichlet law of the shares of the cell types in the study.
    pub type_concentration: f64,
    /// Concentration of the Dirichlet law of the shares in a sample, around those of the study: larger is more alike.
    pub sample_concentration: f64,
    /// Standard deviation of ln of the expected number of cells of a sample; 0 makes samples alike.
    pub cells_sd: f64,
    /// Standard deviation of ln of the depth of a cell.
    pub depth_sd: f64,
    /// Mean over genes of ln of their mean count.
    pub log_mean: f64,
    /// Standard deviation over genes of ln of their mean count.
    pub log_mean_sd: f64,
    /// Share of pairs of a gene and a cell type whose mean differs from that of the gene.
    pub type_share: f64,
    /// Standard deviation of ln of those differences.
    pub type_sd: f64,
    /// Mean, over genes that have any, of the variance of ln of the mean between donors; genes differ by a gamma law of
    /// shape 1.5.
    pub donor_variance: f64,
    /// The same between samples of a donor.
    pub sample_variance: f64,
    /// The same between batches.
    pub batch_variance: f64,
    /// Share of genes that vary neither between donors nor samples nor batches.
    pub flat_share: f64,
    /// Share of genes with planted effects.
    pub de_share: f64,
    /// Least size of an effect (ln of a ratio).
    pub effect_min: f64,
    /// Largest size of an effect.
    pub effect_max: f64,
    /// Whether effects go up, down or both ways.
    pub direction: Direction,
    /// In which cell types a gene with effects has them.
    pub affected: Affected,
    /// The seed.
    pub seed: u64,
}

impl Default for CohortOptions {
    fn default() -> Self {
        Self {
            n_genes: 2_000,
            n_cells: 20_000,
            n_donors: 8,
            arms: vec!["control".to_owned(), "case".to_owned()],
            paired: false,
            samples_per_donor: 1,
            n_batches: 1,
            batch_of: BatchOf::Sample,
            n_cell_types: 6,
            type_concentration: 5.0,
            sample_concentration: 50.0,
            cells_sd: 0.5,
            depth_sd: 0.35,
            log_mean: -3.2,
            log_mean_sd: 1.6,
            type_share: 0.3,
            type_sd: 0.6,
            donor_variance: 0.09,
            sample_variance: 0.03,
            batch_variance: 0.03,
            flat_share: 0.2,
            de_share: 0.05,
            effect_min: 0.3,
            effect_max: 1.0,
            direction: Direction::Both,
            affected: Affected::One,
            seed: 0,
        }
    }
}

impl CohortOptions {
    /// Refuses numbers that do not go together, by name.
    fn check(&self) -> Result<()> {
        let refuse = |at: &str, message: String| Err(Fault::bad_input(message).at(at.to_owned()));
        for (name, value) in [
            ("n_genes", self.n_genes),
            ("n_donors", self.n_donors),
            ("samples_per_donor", self.samples_per_donor),
            ("n_batches", self.n_batches),
            ("n_cell_types", self.n_cell_types),
            ("arms", self.arms.len()),
        ] {
            if value == 0 {
                return refuse(name, "there must be at least one".to_owned());
            }
        }
        for (name, value, least, most) in [
            ("cells_sd", self.cells_sd, 0.0, 5.0),
            ("depth_sd", self.depth_sd, 0.0, 5.0),
            ("log_mean", self.log_mean, -20.0, 10.0),
            ("log_mean_sd", self.log_mean_sd, 0.0, 5.0),
            ("type_share", self.type_share, 0.0, 1.0),
            ("type_sd", self.type_sd, 0.0, 5.0),
            ("donor_variance", self.donor_variance, 0.0, 5.0),
            ("sample_variance", self.sample_variance, 0.0, 5.0),
            ("batch_variance", self.batch_variance, 0.0, 5.0),
            ("flat_share", self.flat_share, 0.0, 1.0),
            ("de_share", self.de_share, 0.0, 1.0),
            ("effect_min", self.effect_min, 0.0, 5.0),
            ("effect_max", self.effect_max, self.effect_min, 5.0),
            ("type_concentration", self.type_concentration, 1e-3, 1e9),
            ("sample_concentration", self.sample_concentration, 1e-3, 1e9),
        ] {
            if !(least..=most).contains(&value) {
                return refuse(name, format!("expected a number from {least} to {most}, found {value}"));
            }
        }
        if let Some(i) = (1..self.arms.len()).find(|&i| self.arms[..i].contains(&self.arms[i])) {
            return refuse("arms", format!("`{}` occurs twice", self.arms[i]));
        }
        let n_samples = self.n_donors * self.samples_per_donor * self.arms.len();
        if self.n_cells < n_samples || u32::try_from(self.n_cells).is_err() {
            return refuse("n_cells", format!("{} cells of {n_samples} samples", self.n_cells));
        }
        if n_samples > 1 << 24 || self.n_genes > 1 << 24 {
            return Err(Fault::too_large(format!("{n_samples} samples of {} genes", self.n_genes))
                .hint("at most 16,777,216 of each are simulated"));
        }
        Ok(())
    }
}

/// What random streams are for; the kind of a stream stands above the index of its task.
#[derive(Debug, Clone, Copy)]
pub(super) enum Draws {
    Study,
    Genes,
    Donors,
    Samples,
    Batches,
    Cells,
    Counts,
}

/// The stream of a task.
pub(super) fn stream(seed: u64, draws: Draws, index: usize) -> Stream {
    Stream::new(seed, ((draws as u64) << 48) | index as u64)
}

/// A sample: one donor in one arm, and a run of cells.
#[derive(Debug, Clone, PartialEq)]
pub struct CohortSample {
    /// Its donor, from 0.
    pub donor: usize,
    /// Its arm, from 0.
    pub arm: usize,
    /// Its batch, from 0.
    pub batch: usize,
    /// Its cells.
    pub cells: Range<usize>,
    /// The expected share of each cell type.
    pub shares: Vec<f64>,
}

/// A gene and the variances of ln of its mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CohortGene {
    /// Mean count of a cell of depth 1 without any effect.
    pub mean: f64,
    /// Negative binomial size.
    pub size: f64,
    /// Variance between donors.
    pub donor_variance: f64,
    /// Variance between samples of a donor.
    pub sample_variance: f64,
    /// Variance between batches.
    pub batch_variance: f64,
}

/// A planted effect.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Planted {
    /// The gene, from 0.
    pub gene: usize,
    /// The cell type, from 0.
    pub cell_type: usize,
    /// The arm, from 0; never the first.
    pub arm: usize,
    /// ln of the ratio of means to that of the first arm.
    pub log_effect: f64,
}

/// A simulated cohort: its cells, its genes, its truth; and its counts, cells × genes, as a stream of rows
/// ([`ferrocyte_data::RowChunks`]). Cells of a sample stand together.
#[derive(Debug)]
pub struct Cohort {
    /// What was asked for.
    pub options: CohortOptions,
    /// `sample`, `donor`, `condition`, `batch`, `cell_type`, `age`, `sex`, `depth` of each cell. Age and sex are those of
    /// the donor and have no effect on counts.
    pub obs: Frame,
    /// Names of the genes.
    pub gene_names: Vec<String>,
    /// The genes.
    pub genes: Vec<CohortGene>,
    /// The samples, in the order of their cells.
    pub samples: Vec<CohortSample>,
    /// Names of the cell types.
    pub cell_types: Vec<String>,
    /// Planted effects, by gene, arm, cell type.
    pub planted: Vec<Planted>,
    /// Cell type of each cell.
    pub(super) type_of: Vec<u32>,
    /// Depth of each cell.
    pub(super) depth: Vec<f64>,
    /// Mean count of each gene and cell type (types within genes) at depth 1, for each arm.
    pub(super) means: Vec<Vec<f64>>,
    /// Pieces of samples whose counts are drawn together: sample and cells.
    pub(super) pieces: Vec<(usize, Range<usize>)>,
    /// The last piece that was drawn, since ranges that are read need not end where pieces do.
    pub(super) last: Option<(usize, Vec<TileRows>)>,
}

/// Draws everything of a cohort but its counts, which are drawn as its rows are read.
///
/// ```
/// use ferrocyte_base::Run;
/// use ferrocyte_data::RowChunks;
/// use ferrocyte_mixed::lmm::{CohortOptions, simulate_cohort};
///
/// let run = Run::new();
/// let options = CohortOptions { n_genes: 50, n_cells: 600, n_donors: 3, seed: 1, ..CohortOptions::default() };
/// let mut cohort = simulate_cohort(&run, options)?;
/// assert_eq!(cohort.obs.factor("condition")?.levels, ["control", "case"]);
/// assert_eq!(cohort.read(&run, 100..400)?.n_rows(), 300);
/// # Ok::<(), ferrocyte_base::Fault>(())
/// ```
pub fn simulate_cohort(run: &Run, options: CohortOptions) -> Result<Cohort> {
    options.check()?;
    let cell_types = numbered("T", options.n_cell_types);
    let affected = options.affected.types(&cell_types)?;
    let samples = draw_samples(&options)?;
    let drawn = run.map_blocks("genes", options.n_genes, 256, |gene| draw_gene(&options, gene, &affected))?;
    let (mut genes, mut types, mut planted) = (Vec::new(), Vec::new(), Vec::new());
    for (gene, effects, its_planted) in drawn {
        types.extend(effects.into_iter().map(|effect: f64| gene.mean * effect.exp()));
        genes.push(gene);
        planted.extend(its_planted);
    }
    let mut means = vec![types; options.arms.len()];
    for p in &planted {
        means[p.arm][p.gene * options.n_cell_types + p.cell_type] *= p.log_effect.exp();
    }
    let cells = run.map_blocks("cells", samples.len(), 1, |i| draw_cells(&options, i, &samples[i]))?;
    let (type_of, depth): (Vec<Vec<u32>>, Vec<Vec<f64>>) = cells.into_iter().unzip();
    let (type_of, depth) = (type_of.concat(), depth.concat());
    let obs = describe(&options, &samples, &cell_types, &type_of, &depth)?;
    Ok(Cohort {
        obs,
        gene_names: numbered("g", options.n_genes),
        genes,
        pieces: super::counts::pieces(&samples),
        samples,
        cell_types,
        planted,
        type_of,
        depth,
        means,
        options,
        last: None,
    })
}

impl Cohort {
    /// The planted effects: `gene`, `cell_type`, `condition`, `log_effect`.
    pub fn truth(&self) -> Table {
        let codes = |of: fn(&Planted) -> usize| self.planted.iter().map(|p| of(p) as u32).collect();
        let genes = self.planted.iter().map(|p| self.gene_names[p.gene].clone()).collect();
        let effects = self.planted.iter().map(|p| p.log_effect).collect();
        Table::new("truth")
            .with(Column::text("gene", "the gene", genes))
            .with(Column::level(
                "cell_type",
                "the cell type with the effect",
                codes(|p| p.cell_type),
                self.cell_types.clone(),
            ))
            .with(Column::level("condition", "the arm with the effect", codes(|p| p.arm), self.options.arms.clone()))
            .with(Column::float("log_effect", "ln of a ratio", "against the first arm", effects))
    }

    /// What is known of the genes: `mean`, `size`, and the variances of ln of the mean.
    pub fn var(&self) -> Result<Frame> {
        let mut var = Frame::new(self.genes.len());
        let mut insert = |name: &str, of: fn(&CohortGene) -> f64| {
            var.insert(name, ObsColumn::Number(self.genes.iter().map(of).collect()))
        };
        insert("mean", |g| g.mean)?;
        insert("size", |g| g.size)?;
        insert("donor_variance", |g| g.donor_variance)?;
        insert("sample_variance", |g| g.sample_variance)?;
        insert("batch_variance", |g| g.batch_variance)?;
        Ok(var)
    }
}

/// `stem` with numbers from 1, of one width.
fn numbered(stem: &str, n: usize) -> Vec<String> {
    let width = n.to_string().len();
    (1..=n).map(|i| format!("{stem}{i:0width$}")).collect()
}

/// Who gives which sample, in which batch, with how many cells of which types.
fn draw_samples(options: &CohortOptions) -> Result<Vec<CohortSample>> {
    let mut stream = stream(options.seed, Draws::Study, 0);
    let (n_arms, n_donors) = (options.arms.len(), options.n_donors);
    let mut samples = Vec::new();
    for donor in 0..if options.paired { n_donors } else { n_donors * n_arms } {
        for arm in if options.paired { 0..n_arms } else { donor / n_donors..donor / n_donors + 1 } {
            for _ in 0..options.samples_per_donor {
                samples.push(CohortSample { donor, arm, batch: 0, cells: 0..0, shares: Vec::new() });
            }
        }
    }
    spread_over_batches(&mut stream, options, &mut samples);
    let weights: Vec<f64> = samples.iter().map(|_| (options.cells_sd * stream.normal()).exp()).collect();
    let beyond_one = stream.multinomial((options.n_cells - samples.len()) as u64, &weights)?;
    let shares = stream.dirichlet(&vec![options.type_concentration; options.n_cell_types])?;
    let around: Vec<f64> = shares.iter().map(|share| options.sample_concentration * share).collect();
    let mut start = 0;
    for (sample, more) in samples.iter_mut().zip(beyond_one) {
        sample.cells = start..start + 1 + more as usize;
        start = sample.cells.end;
        sample.shares = stream.dirichlet(&around)?;
    }
    Ok(samples)
}

/// Deals the units of each arm to the batches in random order, so that arms and batches are balanced. The units of
/// an arm go on where those of the arm before it stopped.
fn spread_over_batches(stream: &mut Stream, options: &CohortOptions, samples: &mut [CohortSample]) {
    let unit = |sample: &CohortSample, i: usize| match options.batch_of {
        BatchOf::Sample => i,
        BatchOf::Donor => sample.donor,
    };
    let mut batch_of_unit = vec![None; samples.len()];
    let mut next = 0;
    for arm in 0..options.arms.len() {
        let mut units: Vec<usize> =
            samples.iter().enumerate().filter(|(_, s)| s.arm == arm).map(|(i, s)| unit(s, i)).collect();
        units.dedup();
        stream.shuffle(&mut units);
        for unit in units {
            if batch_of_unit[unit].is_none() {
                batch_of_unit[unit] = Some(next % options.n_batches);
                next += 1;
            }
        }
    }
    for i in 0..samples.len() {
        samples[i].batch = batch_of_unit[unit(&samples[i], i)].unwrap_or(0);
    }
}

/// A gene, the effects of the cell types on ln of its mean, and what is planted in it.
fn draw_gene(options: &CohortOptions, gene: usize, affected: &Affects) -> Result<(CohortGene, Vec<f64>, Vec<Planted>)> {
    let mut stream = stream(options.seed, Draws::Genes, gene);
    let mean = (options.log_mean + options.log_mean_sd * stream.normal()).exp().clamp(0.002, 60.0);
    let size = 0.5 + stream.gamma(2.0, 1.0)?;
    let effects = (0..options.n_cell_types)
        .map(|_| if stream.chance(options.type_share) { options.type_sd * stream.normal() } else { 0.0 })
        .collect();
    let flat = stream.chance(options.flat_share);
    let mut variance = |mean: f64| -> Result<f64> {
        let drawn = stream.gamma(1.5, mean / 1.5)?;
        Ok(if flat { 0.0 } else { drawn })
    };
    let (donor_variance, sample_variance) = (variance(options.donor_variance)?, variance(options.sample_variance)?);
    let batch_variance = variance(options.batch_variance)?;
    let mut planted = Vec::new();
    if stream.chance(options.de_share) {
        let types = match affected {
            Affects::One => vec![stream.below(options.n_cell_types)],
            Affects::These(types) => types.clone(),
        };
        for arm in 1..options.arms.len() {
            let size = options.effect_min + (options.effect_max - options.effect_min) * stream.uniform();
            let down = match options.direction {
                Direction::Up => false,
                Direction::Down => true,
                Direction::Both => stream.chance(0.5),
            };
            let log_effect = if down { -size } else { size };
            planted.extend(types.iter().map(|&cell_type| Planted { gene, cell_type, arm, log_effect }));
        }
    }
    Ok((CohortGene { mean, size, donor_variance, sample_variance, batch_variance }, effects, planted))
}

/// Types and depths of the cells of a sample.
fn draw_cells(options: &CohortOptions, index: usize, sample: &CohortSample) -> Result<(Vec<u32>, Vec<f64>)> {
    let mut stream = stream(options.seed, Draws::Cells, index);
    let (mut types, mut depths) = (Vec::with_capacity(sample.cells.len()), Vec::with_capacity(sample.cells.len()));
    for _ in sample.cells.clone() {
        types.push(stream.categorical(&sample.shares)? as u32);
        depths.push((options.depth_sd * stream.normal()).exp());
    }
    Ok((types, depths))
}

/// The columns of the cells.
fn describe(
    options: &CohortOptions,
    samples: &[CohortSample],
    cell_types: &[String],
    type_of: &[u32],
    depth: &[f64],
) -> Result<Frame> {
    let n_donors = samples.last().map_or(0, |s| s.donor + 1);
    let mut stream = stream(options.seed, Draws::Study, 1);
    let (age, sex): (Vec<f64>, Vec<u32>) =
        (0..n_donors).map(|_| (20.0 + stream.below(61) as f64, u32::from(stream.chance(0.5)))).unzip();
    let each = |of: &dyn Fn(usize, &CohortSample) -> u32| -> Vec<u32> {
        let codes = samples.iter().enumerate().map(|(i, s)| std::iter::repeat_n(of(i, s), s.cells.len()));
        codes.flatten().collect()
    };
    let factor = |levels: Vec<String>, codes: Vec<u32>| ObsColumn::Factor(Factor { levels, codes: codes.into() });
    let mut obs = Frame::new(options.n_cells);
    obs.insert("sample", factor(numbered("s", samples.len()), each(&|i, _| i as u32)))?;
    obs.insert("donor", factor(numbered("d", n_donors), each(&|_, s| s.donor as u32)))?;
    obs.insert("condition", factor(options.arms.clone(), each(&|_, s| s.arm as u32)))?;
    obs.insert("batch", factor(numbered("b", options.n_batches), each(&|_, s| s.batch as u32)))?;
    obs.insert("cell_type", factor(cell_types.to_vec(), type_of.to_vec()))?;
    let ages = samples.iter().flat_map(|s| std::iter::repeat_n(age[s.donor], s.cells.len())).collect();
    obs.insert("age", ObsColumn::Number(ages))?;
    obs.insert("sex", factor(vec!["female".to_owned(), "male".to_owned()], each(&|_, s| sex[s.donor])))?;
    obs.insert("depth", ObsColumn::Number(depth.to_vec()))?;
    Ok(obs)
}

/// The cell types of planted effects, by index.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Affects {
    One,
    These(Vec<usize>),
}

impl Affected {
    fn types(&self, known: &[String]) -> Result<Affects> {
        let find = |name: &String| {
            known.iter().position(|k| k == name).ok_or_else(|| {
                let near = nearest(name, known, 3);
                let shown = if near.is_empty() { listing(known, 9) } else { listing(&near, 3) };
                Fault::missing(format!("there is no cell type `{name}`"))
                    .at("affected")
                    .hint(format!("there are {shown}; `one` is one drawn for each gene, `all` are all"))
            })
        };
        Ok(match self {
            Self::One => Affects::One,
            Self::All => Affects::These((0..known.len()).collect()),
            Self::Named(names) => Affects::These(names.iter().map(find).collect::<Result<_>>()?),
        })
    }
}
