//! Cells of several batches brought together in the space of their components: [`harmony`].
//!
//! I. Korsunsky et al., *Fast, sensitive and accurate integration of single-cell data with Harmony*, 2019. Cells belong
//! to several clusters at once, softly, and clusters are rewarded for holding all batches in their proportions; then each
//! cluster shifts the cells of a batch by a ridge regression, in proportion to how much they belong to it; and again.
//!
//! Two ridges are in use and give different answers: [`Ridge::Fixed`] is the published one, [`Ridge::Expected`] grows
//! with the number of cells that a batch is expected to have in a cluster. [`lisi`] tells how well batches are mixed.

mod correct;
mod lisi;
mod rounds;
mod soften;

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_data::Factor;
use ferrocyte_learn::{KmeansOptions, Points, kmeans};
use ferrocyte_math::linalg::{Matrix, dot};

pub use lisi::lisi;
use rounds::State;

/// The penalty of a shift.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Ridge {
    /// The same number for all: 1 in the published method.
    Fixed(f64),
    /// `alpha` × cells of the batch expected in the cluster (the default of later versions of the R and Python packages,
    /// with 0.2). Batches with less than `least_share` of a cluster are not shifted by it.
    Expected {
        /// The factor.
        alpha: f64,
        /// The least share of a cluster.
        least_share: f64,
    },
}

/// How batches are brought together.
#[derive(Debug, Clone, PartialEq)]
pub struct HarmonyOptions {
    /// How many clusters; `None` is a thirtieth of the cells, at least 2 and at most 100.
    pub n_clusters: Option<usize>,
    /// Reward for clusters that hold all batches; 0 is none.
    pub theta: f64,
    /// Softness of clusters.
    pub sigma: f64,
    /// Protects small batches: theta is reduced where a cluster would have fewer than so many cells of a batch.
    pub tau: f64,
    /// The penalty of shifts.
    pub ridge: Ridge,
    /// The most iterations of clustering and shifting.
    pub max_iter: usize,
    /// The most rounds of clustering in an iteration.
    pub max_iter_kmeans: usize,
    /// Clustering stops when its objective changes by less than this share.
    pub eps_cluster: f64,
    /// The whole stops when the objective falls by less than this share.
    pub eps_harmony: f64,
    /// Share of the cells whose memberships are renewed at a time.
    pub block_size: f64,
    /// Whether cells are taken in random order; without it in their own.
    pub shuffle: bool,
    /// Start centres, clusters × components; their number is that of clusters.
    pub start: Option<Matrix>,
    /// Decides start centres and orders.
    pub seed: u64,
}

impl Default for HarmonyOptions {
    fn default() -> Self {
        Self {
            n_clusters: None,
            theta: 2.0,
            sigma: 0.1,
            tau: 0.0,
            ridge: Ridge::Fixed(1.0),
            max_iter: 10,
            max_iter_kmeans: 20,
            eps_cluster: 1e-5,
            eps_harmony: 1e-4,
            block_size: 0.05,
            shuffle: true,
            start: None,
            seed: 0,
        }
    }
}

/// Cells brought together.
#[derive(Debug, Clone, PartialEq)]
pub struct Harmony {
    /// Cells × components: shifted.
    pub corrected: Matrix,
    /// Cells × clusters: how much each cell belongs to each.
    pub memberships: Matrix,
    /// Clusters × batches: cells that are there.
    pub observed: Matrix,
    /// Clusters × batches: cells that would be, were batches mixed perfectly.
    pub expected: Matrix,
    /// The objective at the start and after every iteration.
    pub objective: Vec<f64>,
    /// The objective at the start and after every round.
    pub objective_of_rounds: Vec<f64>,
    /// Rounds of each iteration.
    pub rounds: Vec<usize>,
    /// Whether it stopped before the most iterations.
    pub converged: bool,
}

/// Brings the batches of `points` (cells × components) together. `batches` are one or several covariates, each with a
/// level for every cell.
///
/// With one batch the points are returned as they are, with a warning.
///
/// # Errors
/// Cells without batch (counted), covariates of another length, no covariate, options out of range, start centres of
/// another dimension.
pub fn harmony(run: &Run, points: Points<'_>, batches: &[&Factor], options: &HarmonyOptions) -> Result<Harmony> {
    // Steps are short: they are not handed to the threads one by one.
    run.install(|| within(run, points, batches, options))?
}

/// [`harmony`], on a thread of the run.
fn within(run: &Run, points: Points<'_>, batches: &[&Factor], options: &HarmonyOptions) -> Result<Harmony> {
    let design = Design::new(points.n(), batches)?;
    check(points, options)?;
    let original = Matrix::from_rows(points.n(), points.d(), points.values().to_vec());
    if batches.iter().all(|batch| batch.counts().iter().filter(|&&n| n > 0).count() < 2) {
        run.warn("all cells are of one batch: there is nothing to bring together");
        return Ok(Harmony {
            corrected: original,
            memberships: Matrix::zeros(points.n(), 0),
            observed: Matrix::zeros(0, design.n_batches()),
            expected: Matrix::zeros(0, design.n_batches()),
            objective: Vec::new(),
            objective_of_rounds: Vec::new(),
            rounds: Vec::new(),
            converged: true,
        });
    }
    let unit = unit_rows(run, original.clone())?;
    let centres = match &options.start {
        Some(start) => unit_rows(run, start.clone())?,
        None => start_centres(run, &unit, options)?,
    };
    let task = run.task("harmony", options.max_iter as u64);
    let mut state = State::new(run, &design, unit, centres, options)?;
    let mut objective = vec![state.objective()];
    let mut objective_of_rounds = objective.clone();
    let mut rounds = Vec::new();
    let mut corrected = original.clone();
    let mut converged = false;
    for _ in 0..options.max_iter {
        rounds.push(state.cluster(run, options, &mut objective_of_rounds)?);
        let now = objective_of_rounds.last().copied().unwrap_or(f64::NAN);
        corrected = correct::correct(run, &design, &original, &state, options.ridge)?;
        state.move_to(run, unit_rows(run, corrected.clone())?)?;
        task.advance(1);
        let before = objective.last().copied().unwrap_or(f64::NAN);
        objective.push(now);
        // An objective that rises ends it too.
        if (before - now) / before.abs() < options.eps_harmony {
            converged = true;
            break;
        }
    }
    Ok(Harmony {
        corrected,
        memberships: state.memberships,
        observed: state.observed,
        expected: state.expected,
        objective,
        objective_of_rounds,
        rounds,
        converged,
    })
}

fn check(points: Points<'_>, options: &HarmonyOptions) -> Result<()> {
    let positive = [("sigma", options.sigma), ("block_size", options.block_size)];
    if let Some((name, x)) = positive.into_iter().find(|(_, x)| !(*x > 0.0 && x.is_finite())) {
        return Err(Fault::bad_input(format!("a number above 0 is expected, found {x}")).at(name));
    }
    let penalty = match options.ridge {
        Ridge::Fixed(lambda) => lambda,
        Ridge::Expected { alpha, .. } => alpha,
    };
    for (name, x) in [("theta", options.theta), ("tau", options.tau), ("lambda", penalty)] {
        if !(x >= 0.0 && x.is_finite()) {
            return Err(Fault::bad_input(format!("a number of at least 0 is expected, found {x}")).at(name));
        }
    }
    if options.n_clusters == Some(0) || options.n_clusters.is_some_and(|k| k > points.n()) {
        let k = options.n_clusters.unwrap_or(0);
        return Err(Fault::bad_input(format!("{k} clusters of {} cells", points.n())).at("n_clusters"));
    }
    match &options.start {
        Some(start) if start.n_cols() != points.d() || start.n_rows() == 0 => Err(Fault::bad_input(format!(
            "start centres are {} x {}, the components are {}",
            start.n_rows(),
            start.n_cols(),
            points.d()
        ))),
        _ => Ok(()),
    }
}

/// k-means of the cells on the unit sphere.
fn start_centres(run: &Run, unit: &Matrix, options: &HarmonyOptions) -> Result<Matrix> {
    const ITERATIONS: usize = 25;
    const MOST: f64 = 100.0;
    let n = unit.n_rows();
    let usual = (n as f64 / 30.0).round_ties_even().clamp(2.0, MOST) as usize;
    let options = KmeansOptions {
        k: options.n_clusters.unwrap_or(usual).min(n),
        starts: 1,
        max_iter: ITERATIONS,
        tolerance: 0.0,
        seed: options.seed,
    };
    let points = Points::new(unit.entries(), n, unit.n_cols())?;
    unit_rows(run, kmeans(run, points, None, &options)?.centres)
}

/// Rows brought to length 1; a row of zeros stays.
fn unit_rows(run: &Run, mut matrix: Matrix) -> Result<Matrix> {
    const ROWS: usize = 1024;
    let d = matrix.n_cols();
    run.for_each_chunk(matrix.entries_mut(), ROWS * d.max(1), |_, rows| {
        for row in rows.chunks_exact_mut(d) {
            let length = dot(row, row).sqrt();
            if length > 0.0 {
                row.iter_mut().for_each(|x| *x /= length);
            }
        }
    })?;
    Ok(matrix)
}

/// The batches of every cell. Cells with the same levels of all covariates are of one kind.
struct Design {
    /// The kind of each cell.
    kinds: Vec<u32>,
    /// The batches of each kind, one for each covariate, numbered through.
    batches: Vec<Vec<usize>>,
    /// Share of the cells in each batch.
    shares: Vec<f64>,
}

impl Design {
    fn new(n: usize, covariates: &[&Factor]) -> Result<Self> {
        if covariates.is_empty() || n == 0 {
            return Err(Fault::bad_input(format!("{} covariates of {n} cells", covariates.len())).at("batch"));
        }
        let mut first = Vec::new();
        let mut n_batches = 0;
        for covariate in covariates {
            if covariate.codes.len() != n {
                let message = format!("{} batches for {n} cells", covariate.codes.len());
                return Err(Fault::bad_input(message).at("batch"));
            }
            let missing = n - covariate.counts().iter().sum::<usize>();
            if missing > 0 {
                return Err(Fault::bad_input(format!("{missing} of {n} cells have no batch"))
                    .at("batch")
                    .hint("leave these cells out, or give them a batch of their own"));
            }
            first.push(n_batches);
            n_batches += covariate.levels.len();
        }
        let mut shares = vec![0.0; n_batches];
        let mut known: std::collections::HashMap<Vec<usize>, u32> = std::collections::HashMap::new();
        let (mut kinds, mut batches) = (Vec::with_capacity(n), Vec::new());
        for cell in 0..n {
            let mine: Vec<usize> =
                covariates.iter().zip(&first).map(|(c, first)| first + c.codes.get(cell) as usize).collect();
            mine.iter().for_each(|&batch| shares[batch] += 1.0);
            let kind = *known.entry(mine.clone()).or_insert_with(|| {
                batches.push(mine);
                batches.len() as u32 - 1
            });
            kinds.push(kind);
        }
        shares.iter_mut().for_each(|share| *share /= n as f64);
        Ok(Self { kinds, batches, shares })
    }

    fn n_batches(&self) -> usize {
        self.shares.len()
    }

    fn n_kinds(&self) -> usize {
        self.batches.len()
    }

    /// The reward of each batch, less for small ones.
    fn thetas(&self, options: &HarmonyOptions, k: usize) -> Vec<f64> {
        let n = self.kinds.len() as f64;
        let reduced = |share: &f64| {
            let cells = share * n / (k as f64 * options.tau);
            options.theta * (1.0 - (-cells * cells).exp())
        };
        self.shares.iter().map(|s| if options.tau > 0.0 { reduced(s) } else { options.theta }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_math::random::Stream;
    use ferrocyte_testkit::assert_same_bits_over_runs;

    /// Two groups of cells in each of two batches, one batch moved aside.
    fn example(n: usize) -> (Vec<f64>, Factor) {
        let mut stream = Stream::new(2, 0);
        let mut values = Vec::new();
        for i in 0..n {
            let (group, batch) = ((i / 2 % 2) as f64, (i % 2) as f64);
            values.extend([6.0 * group - 3.0 + stream.normal(), 5.0 + 1.5 * batch + stream.normal(), stream.normal()]);
        }
        let batches = Factor::from_texts((0..n).map(|i| Some(if i % 2 == 0 { "x" } else { "y" })));
        (values, batches)
    }

    #[test]
    fn batches_come_together_and_groups_stay_apart() -> Result<()> {
        let (values, batches) = example(1200);
        let points = Points::new(&values, 1200, 3)?;
        let found = harmony(&Run::new(), points, &[&batches], &HarmonyOptions::default())?;
        let mean = |m: &dyn Fn(usize) -> f64, of: &dyn Fn(usize) -> bool| {
            let cells: Vec<usize> = (0..1200).filter(|&i| of(i)).collect();
            cells.iter().map(|&i| m(i)).sum::<f64>() / cells.len() as f64
        };
        let between = |m: &dyn Fn(usize) -> f64| (mean(m, &|i| i % 2 == 0) - mean(m, &|i| i % 2 == 1)).abs();
        assert!(between(&|i| points.row(i)[1]) > 1.3 && between(&|i| found.corrected[(i, 1)]) < 0.3);
        let groups = |m: &dyn Fn(usize) -> f64| (mean(m, &|i| i / 2 % 2 == 0) - mean(m, &|i| i / 2 % 2 == 1)).abs();
        assert!(groups(&|i| found.corrected[(i, 0)]) > 5.0);
        let sums: Vec<f64> = (0..1200).map(|i| found.memberships.row(i).iter().sum()).collect();
        assert!(sums.iter().all(|s| (s - 1.0).abs() < 1e-12));
        Ok(())
    }

    #[test]
    fn threads_change_no_bit_with_one_covariate_or_two() -> Result<()> {
        let (values, batches) = example(900);
        let points = Points::new(&values, 900, 3)?;
        let other = Factor::from_texts((0..900).map(|i| Some(["p", "q", "r"][i * 7 % 3])));
        let options = HarmonyOptions { max_iter: 2, tau: 3.0, ..HarmonyOptions::default() };
        for covariates in [vec![&batches], vec![&batches, &other]] {
            let work = |run: &Run| harmony(run, points, &covariates, &options);
            assert_same_bits_over_runs(work, |h| [h.corrected.entries(), &h.objective_of_rounds].concat())?;
        }
        Ok(())
    }

    #[test]
    fn one_batch_and_cells_without() -> Result<()> {
        let (values, _) = example(40);
        let points = Points::new(&values, 40, 3)?;
        let one = Factor::from_texts((0..40).map(|_| Some("x")));
        let found = harmony(&Run::new(), points, &[&one], &HarmonyOptions::default())?;
        assert_eq!(found.corrected.entries(), values);
        let some = Factor::from_texts((0..40).map(|i| (i > 2).then_some("x")));
        let fault = harmony(&Run::new(), points, &[&some], &HarmonyOptions::default()).err().map(|f| f.to_string());
        assert_eq!(fault.as_deref(), Some("batch: 3 of 40 cells have no batch"));
        let options = HarmonyOptions { sigma: 0.0, ..HarmonyOptions::default() };
        let fault = harmony(&Run::new(), points, &[&one], &options).err().map(|f| f.to_string());
        assert_eq!(fault.as_deref(), Some("sigma: a number above 0 is expected, found 0"));
        assert!(harmony(&Run::new(), points, &[], &HarmonyOptions::default()).is_err());
        Ok(())
    }
}
