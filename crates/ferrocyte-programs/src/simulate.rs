//! Cells of planted programs of expression, of which the truth is known: identities, and activities beside them.
//!
//! A quarter of the programs are activities, the others identities. Every cell has one identity, four of ten an activity
//! beside it. Counts are Poisson with mean `l_i (b_g + sum_t u_it s_tg) / 2` for gene g of cell i: library `l`, base `b`,
//! usages `u`, spectra `s`. Numbers are drawn by the laws and in the order of numpy's `RandomState`, so that a seed gives
//! the counts of the published generator.

use ferrocyte_base::{Column, Fault, Result, Run, Table};
use ferrocyte_data::{Factor, Frame, ObsColumn};
use ferrocyte_math::mersenne_twister::MersenneTwister;

use crate::draws::{below, gamma, place, poisson};

/// Shape of the law of what all cells express of a gene, and what is added to it.
const BASE_SHAPE: f64 = 0.35;
const BASE_LEAST: f64 = 1e-3;

/// The share of genes that mark a program; mean and standard deviation of ln of what they gain.
const MARKED: f64 = 0.08;
const GAIN: f64 = 1.4;
const GAIN_SD: f64 = 0.5;

/// The share of cells with an activity; the least share of it in a cell, and how much more it may be.
const ACTIVE: f64 = 0.4;
const SHARE_LEAST: f64 = 0.1;
const SHARE_MORE: f64 = 0.6;

/// Standard deviation of ln of the library.
const DEPTH_SD: f64 = 0.45;

/// Cells that are drawn between two looks at whether the run goes on.
const BLOCK: usize = 1000;

/// What is simulated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SimulateOptions {
    /// Number of cells, before those without counts are left out.
    pub n_cells: usize,
    /// Number of genes, likewise.
    pub n_genes: usize,
    /// Number of programs, at least 2.
    pub n_programs: usize,
    /// Mean counts of a cell.
    pub depth: f64,
    /// In place of the depth: the share of counts that are not 0, about.
    pub density: Option<f64>,
    /// The seed.
    pub seed: u32,
}

impl Default for SimulateOptions {
    /// 2,700 cells, 2,000 genes, 8 programs, 260 counts a cell, seed 9001.
    fn default() -> Self {
        Self { n_cells: 2700, n_genes: 2000, n_programs: 8, depth: 260.0, density: None, seed: 9001 }
    }
}

impl SimulateOptions {
    fn check(&self) -> Result<()> {
        for (name, value, least) in
            [("n_cells", self.n_cells, 1), ("n_genes", self.n_genes, 1), ("n_programs", self.n_programs, 2)]
        {
            if value < least || u32::try_from(value).is_err() {
                let message = format!("expected a whole number of at least {least}, found {value}");
                return Err(Fault::bad_input(message).at(name));
            }
        }
        if !(self.depth > 0.0 && self.depth.is_finite()) {
            return Err(Fault::bad_input(format!("expected a number above 0, found {}", self.depth)).at("depth"));
        }
        match self.density {
            Some(density) if !(density > 0.0 && density < 1.0) => {
                Err(Fault::bad_input(format!("expected a share between 0 and 1, found {density}")).at("density"))
            }
            _ => Ok(()),
        }
    }

    /// How many programs are identities.
    fn n_identities(&self) -> usize {
        // A half goes to the even neighbour, as in the published generator.
        let quarter = (self.n_programs as f64 / 4.0).round_ties_even() as usize;
        self.n_programs - quarter.max(1)
    }
}

/// Cells of which the truth is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulated {
    /// Where the counts of each cell begin, and the end.
    pub pointers: Vec<i64>,
    /// The gene of each count, among those that are left.
    pub indices: Vec<i32>,
    /// Counts that are not 0.
    pub counts: Vec<f32>,
    /// The names of cells that have counts: `C1`, ...
    pub cells: Vec<String>,
    /// The names of genes that have counts: `G1`, ...
    pub genes: Vec<String>,
    /// Of each cell `identity`, `activity` (missing where there is none), and the `share` of the activity.
    pub obs: Frame,
    /// How much each cell uses each program: cells × programs, row after row.
    pub usage: Vec<f64>,
    /// What the programs express of each gene: genes × programs, row after row. Each has sum 1 over all genes.
    pub spectra: Vec<f64>,
    /// The programs, `program`, and whether each is an identity or an activity, `kind`.
    pub truth: Table,
}

/// What all cells share: base and spectra, each with sum 1.
struct Spectra {
    base: Vec<f64>,
    programs: Vec<Vec<f64>>,
}

/// What is drawn of each cell before its counts.
struct Uses {
    identity: Vec<usize>,
    /// The activity, for cells that have one.
    activity: Vec<Option<usize>>,
    /// The share of the activity; 0 where there is none.
    share: Vec<f64>,
    library: Vec<f64>,
}

/// Simulates counts of cells that use planted programs.
///
/// # Errors
/// A number out of its range, and the wish to stop.
pub fn simulate(run: &Run, options: &SimulateOptions) -> Result<Simulated> {
    options.check()?;
    let mut draws = MersenneTwister::new(options.seed);
    let spectra = draw_spectra(&mut draws, options);
    let uses = draw_uses(&mut draws, options, &spectra.base);
    let (pointers, indices, counts) = draw_counts(run, &mut draws, &spectra, &uses)?;
    left_over(options, &spectra, &uses, (pointers, indices, counts))
}

fn draw_spectra(draws: &mut MersenneTwister, options: &SimulateOptions) -> Spectra {
    let mut base: Vec<f64> = (0..options.n_genes).map(|_| gamma(draws, BASE_SHAPE) + BASE_LEAST).collect();
    to_sum_one(&mut base);
    let mut one = || {
        let marks: Vec<bool> = base.iter().map(|_| draws.uniform() < MARKED).collect();
        let mut of_marks = |marked| if marked { libm::exp(GAIN + GAIN_SD * draws.normal()) } else { 1.0 };
        let mut spectrum: Vec<f64> = base.iter().zip(marks).map(|(base, marked)| base * of_marks(marked)).collect();
        to_sum_one(&mut spectrum);
        spectrum
    };
    let programs = (0..options.n_programs).map(|_| one()).collect();
    Spectra { base, programs }
}

fn to_sum_one(values: &mut [f64]) {
    let sum: f64 = values.iter().sum();
    values.iter_mut().for_each(|x| *x /= sum);
}

fn draw_uses(draws: &mut MersenneTwister, options: &SimulateOptions, base: &[f64]) -> Uses {
    let (n, n_identities) = (options.n_cells, options.n_identities());
    let n_active = (options.n_programs - n_identities) as u32;
    let mut sums: Vec<f64> = (1..=n_identities).map(|t| 1.0 / (t as f64).sqrt()).collect();
    to_sum_one(&mut sums);
    for t in 1..n_identities {
        sums[t] += sums[t - 1];
    }
    let last = sums[n_identities - 1];
    sums.iter_mut().for_each(|sum| *sum /= last);
    let identity = (0..n).map(|_| place(draws, &sums)).collect();
    let has: Vec<bool> = (0..n).map(|_| draws.uniform() < ACTIVE).collect();
    // A cell that has none draws an activity and its share too.
    let activity: Vec<usize> = (0..n).map(|_| n_identities + below(draws, n_active) as usize).collect();
    let share: Vec<f64> = (0..n).map(|_| SHARE_LEAST + SHARE_MORE * draws.uniform()).collect();
    let depth = options.density.map_or(options.depth, |density| depth_of(density, base));
    let middle = libm::log(depth) - DEPTH_SD * DEPTH_SD / 2.0;
    let library = (0..n).map(|_| libm::exp(middle + DEPTH_SD * draws.normal())).collect();
    Uses {
        identity,
        activity: has.iter().zip(activity).map(|(has, t)| has.then_some(t)).collect(),
        share: has.iter().zip(share).map(|(has, share)| if *has { share } else { 0.0 }).collect(),
        library,
    }
}

/// The depth at which such a share of the counts of the base is not 0, by bisection of its logarithm.
fn depth_of(density: f64, base: &[f64]) -> f64 {
    let share = |depth: f64| base.iter().map(|b| -libm::expm1(-depth * b)).sum::<f64>() / base.len() as f64;
    let (mut low, mut high) = (1.0_f64, 1e7_f64);
    for _ in 0..60 {
        let middle = (low * high).sqrt();
        if share(middle) < density {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low * high).sqrt()
}

/// Counts of all cells and genes as compressed rows.
type Rows = (Vec<i64>, Vec<i32>, Vec<f32>);

fn draw_counts(run: &Run, draws: &mut MersenneTwister, spectra: &Spectra, uses: &Uses) -> Result<Rows> {
    let n = uses.identity.len();
    let (mut pointers, mut indices, mut counts) = (vec![0_i64], Vec::new(), Vec::new());
    let half: Vec<f64> = spectra.base.iter().map(|b| b / 2.0).collect();
    let task = run.task("simulating", n as u64);
    for i in 0..n {
        if i % BLOCK == 0 {
            run.check()?;
            task.advance(BLOCK.min(n - i) as u64);
        }
        let own = &spectra.programs[uses.identity[i]];
        let (other, share) = match uses.activity[i] {
            Some(t) => (&spectra.programs[t], uses.share[i]),
            None => (own, 0.0),
        };
        for (g, half) in half.iter().enumerate() {
            let used = (1.0 - share) * own[g] + share * other[g];
            let count = poisson(draws, uses.library[i] * (half + used / 2.0));
            if count > 0 {
                indices.push(g as i32);
                counts.push(count as f32);
            }
        }
        pointers.push(counts.len() as i64);
    }
    Ok((pointers, indices, counts))
}

/// Leaves genes and cells without counts out, and names the rest.
fn left_over(options: &SimulateOptions, spectra: &Spectra, uses: &Uses, rows: Rows) -> Result<Simulated> {
    let (pointers, mut indices, counts) = rows;
    let mut place = vec![-1_i32; options.n_genes];
    indices.iter().for_each(|&g| place[g as usize] = 0);
    let genes: Vec<usize> = (0..options.n_genes).filter(|&g| place[g] == 0).collect();
    genes.iter().enumerate().for_each(|(at, &g)| place[g] = at as i32);
    indices.iter_mut().for_each(|g| *g = place[*g as usize]);
    let cells: Vec<usize> = (0..options.n_cells).filter(|&i| pointers[i] < pointers[i + 1]).collect();
    let mut usage = vec![0.0; cells.len() * options.n_programs];
    for (row, &i) in usage.chunks_exact_mut(options.n_programs).zip(&cells) {
        row[uses.identity[i]] = 1.0 - uses.share[i];
        if let Some(t) = uses.activity[i] {
            row[t] = uses.share[i];
        }
    }
    Ok(Simulated {
        pointers: std::iter::once(0).chain(cells.iter().map(|&i| pointers[i + 1])).collect(),
        indices,
        counts,
        cells: cells.iter().map(|i| format!("C{}", i + 1)).collect(),
        genes: genes.iter().map(|g| format!("G{}", g + 1)).collect(),
        obs: columns(options, uses, &cells)?,
        usage,
        spectra: genes.iter().flat_map(|&g| spectra.programs.iter().map(move |one| one[g])).collect(),
        truth: truth(options),
    })
}

/// Names of programs: `P1`, ...
fn names(options: &SimulateOptions) -> Vec<String> {
    (1..=options.n_programs).map(|t| format!("P{t}")).collect()
}

fn columns(options: &SimulateOptions, uses: &Uses, cells: &[usize]) -> Result<Frame> {
    let (names, n_identities) = (names(options), options.n_identities());
    let factor = |codes: Vec<u32>, levels: &[String]| {
        ObsColumn::Factor(Factor { codes: codes.into_iter().collect(), levels: levels.to_vec() })
    };
    let identity = cells.iter().map(|&i| uses.identity[i] as u32).collect();
    let activity =
        cells.iter().map(|&i| uses.activity[i].map_or(Factor::MISSING, |t| (t - n_identities) as u32)).collect();
    let mut obs = Frame::new(cells.len());
    obs.insert("identity", factor(identity, &names[..n_identities]))?;
    obs.insert("activity", factor(activity, &names[n_identities..]))?;
    obs.insert("share", ObsColumn::Number(cells.iter().map(|&i| uses.share[i]).collect()))?;
    Ok(obs)
}

fn truth(options: &SimulateOptions) -> Table {
    let kind = |t| if t < options.n_identities() { "identity" } else { "activity" };
    let kinds = (0..options.n_programs).map(|t| kind(t).to_owned()).collect();
    Table::new("truth").with(Column::text("program", "the program", names(options))).with(Column::text(
        "kind",
        "whether every cell has one of its kind, or some have it beside theirs",
        kinds,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_testkit::assert_same_bits_over_runs;

    fn small() -> SimulateOptions {
        SimulateOptions { n_cells: 400, n_genes: 150, n_programs: 6, depth: 300.0, density: None, seed: 3 }
    }

    #[test]
    fn usages_are_those_of_the_columns_and_counts_follow_them() -> Result<()> {
        let made = simulate(&Run::new(), &small())?;
        let n = made.cells.len();
        assert_eq!((made.usage.len(), made.spectra.len()), (n * 6, made.genes.len() * 6));
        assert!(made.usage.chunks_exact(6).all(|row| (row.iter().sum::<f64>() - 1.0).abs() < 1e-12));
        let Some(ObsColumn::Number(share)) = made.obs.get("share") else { unreachable!("a column of numbers") };
        let active = share.iter().filter(|share| **share > 0.0).count() as f64 / n as f64;
        assert!((0.3..0.5).contains(&active), "{active}");
        let mean = made.counts.iter().map(|x| f64::from(*x)).sum::<f64>() / n as f64;
        assert!((mean / 300.0 - 1.0).abs() < 0.1, "{mean}");
        assert_eq!(made.pointers[n] as usize, made.counts.len());
        assert!(made.indices.iter().all(|&g| (g as usize) < made.genes.len()));
        assert_same_bits_over_runs(
            |run| simulate(run, &small()),
            |made| made.counts.iter().map(|&x| x.into()).collect(),
        )
    }

    #[test]
    fn a_density_is_met() -> Result<()> {
        let made = simulate(&Run::new(), &SimulateOptions { density: Some(0.1), ..small() })?;
        let share = made.counts.len() as f64 / (400.0 * 150.0);
        assert!((0.07..0.13).contains(&share), "{share}");
        Ok(())
    }

    #[test]
    fn numbers_out_of_range_are_named() {
        for (name, options) in [
            ("n_cells", SimulateOptions { n_cells: 0, ..small() }),
            ("n_genes", SimulateOptions { n_genes: 0, ..small() }),
            ("n_programs", SimulateOptions { n_programs: 1, ..small() }),
            ("depth", SimulateOptions { depth: f64::NAN, ..small() }),
            ("density", SimulateOptions { density: Some(1.0), ..small() }),
        ] {
            assert!(simulate(&Run::new(), &options).is_err_and(|fault| fault.place() == Some(name)));
        }
    }
}
