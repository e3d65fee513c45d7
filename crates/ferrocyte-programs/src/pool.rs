//! Replicas: which are to be made, how they are made, and the pool of their spectra.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_learn::nmf::{Factorisation, Job, Loss, Options, Portions, Precision, Replicate, Solver, Start, Stop};

use crate::Factorised;
use crate::options::{Init, Iterates};

/// How replicas are made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FactoriseOptions {
    /// The loss; the squared norm is solved by coordinate descent, others by multiplicative updates.
    pub loss: Loss,
    /// Where a replica begins.
    pub init: Init,
    /// The penalty on usages.
    pub alpha_usage: f64,
    /// The penalty on spectra.
    pub alpha_spectra: f64,
    /// The most iterations of a replica, and of a refit.
    pub max_iterations: usize,
    /// With how many bits.
    pub precision: Precision,
    /// By which iterates.
    pub solver: Iterates,
}

impl Default for FactoriseOptions {
    /// The squared norm from random starts, without penalties, at most 1,000 iterations, 64 bits, the peer's
    /// iterates.
    fn default() -> Self {
        Self {
            loss: Loss::FROBENIUS,
            init: Init::Random,
            alpha_usage: 0.0,
            alpha_spectra: 0.0,
            max_iterations: 1000,
            precision: Precision::Double,
            solver: Iterates::Exact,
        }
    }
}

impl FactoriseOptions {
    /// As factorisations take them.
    pub fn of_nmf(&self) -> Options {
        let solver = match (self.loss == Loss::FROBENIUS, self.solver) {
            (false, _) => Solver::Multiplicative,
            (true, Iterates::Exact) => Solver::CoordinateDescent,
            (true, Iterates::Accelerated) => Solver::Accelerated,
        };
        Options {
            loss: self.loss,
            solver,
            max_iterations: self.max_iterations,
            alpha_w: self.alpha_usage,
            alpha_h: self.alpha_spectra,
            precision: self.precision,
            ..Options::default()
        }
    }

    /// Refuses what this matrix cannot be factorised with, before any work; what to know of the rest.
    ///
    /// # Errors
    /// A loss that needs values above 0 on a matrix with zeros.
    pub fn check(&self, x: &dyn Factorised, ks: &[usize], replicates: usize) -> Result<Vec<String>> {
        self.check_sizes((x.n_rows(), x.n_cols()), x.n_positive(), ks, replicates)
    }

    /// [`FactoriseOptions::check`] for a matrix of `n x g` with so many values above 0.
    ///
    /// # Errors
    /// Those of [`FactoriseOptions::check`].
    pub fn check_sizes(
        &self,
        (n, g): (usize, usize),
        n_positive: usize,
        ks: &[usize],
        replicates: usize,
    ) -> Result<Vec<String>> {
        let zeros = (n * g).saturating_sub(n_positive);
        if self.loss.value() <= 0.0 && zeros > 0 {
            let message = format!("this loss needs values above 0, and {zeros} of {n} x {g} are 0");
            return Err(Fault::bad_input(message).at("beta_loss").hint("frobenius and kullback-leibler take zeros"));
        }
        if self.solver == Iterates::Accelerated && self.loss != Loss::FROBENIUS {
            let message = "accelerated iterates are those of the squared norm";
            return Err(Fault::unsupported(message).at("solver").hint("take the solver exact, or beta_loss frobenius"));
        }
        if ks.is_empty() || ks.contains(&0) || replicates == 0 {
            let message = format!("numbers of programs and replicates are at least 1, found {ks:?} and {replicates}");
            return Err(Fault::bad_input(message).at("components"));
        }
        let mut warnings = Vec::new();
        if self.init != Init::Random && replicates > 1 {
            let word = self.init.word();
            warnings.push(format!(
                "every replicate begins at (nearly) the same point with init `{word}`: that they agree says nothing"
            ));
        }
        if replicates < 4 {
            warnings.push(format!("{replicates} replicates are too few to judge which spectra are outliers"));
        }
        if let Some(k) = ks.iter().find(|k| **k > g.min(n)) {
            warnings.push(format!("{k} programs of {n} cells and {g} genes are more than the matrix has dimensions"));
        }
        Ok(warnings)
    }
}

/// One replica, without its usages.
#[derive(Debug, Clone, PartialEq)]
pub struct Replica {
    /// Which it is.
    pub replicate: Replicate,
    /// Spectra of `k x g`, row after row.
    pub spectra: Vec<f64>,
    /// How many iterations were made.
    pub iterations: usize,
    /// Squared distance of the matrix to its model, or the divergence for another loss.
    pub error: f64,
    /// Why iterations ended.
    pub stop: Stop,
}

/// The share of one of several workers: every `n_workers`-th job from its own number on, counted from 0.
///
/// # Errors
/// A worker that is not among them.
pub fn share(jobs: &[Replicate], worker: usize, n_workers: usize) -> Result<Vec<Replicate>> {
    if worker >= n_workers {
        let message = format!("workers are numbered from 0 to {}, found {worker}", n_workers.saturating_sub(1));
        return Err(Fault::bad_input(message).at("worker_index"));
    }
    Ok(jobs.iter().skip(worker).step_by(n_workers).copied().collect())
}

/// Makes replicas and hands each on as it ends, from any thread and in any order.
///
/// # Errors
/// What factorisations refuse, what `each` cannot do, and the wish to stop.
pub fn factorise(
    run: &Run,
    x: &dyn Factorised,
    options: &FactoriseOptions,
    replicates: &[Replicate],
    each: &(dyn Fn(Replica) -> Result<()> + Sync),
) -> Result<()> {
    let start = |seed: u32| match options.init {
        Init::Random => Start::Random(seed),
        Init::Nndsvd => Start::Nndsvd,
        Init::NndsvdMean => Start::NndsvdMean,
        Init::NndsvdRandom => Start::NndsvdRandom(seed),
    };
    let jobs: Vec<Job> = replicates.iter().map(|r| Job { components: r.components, start: start(r.seed) }).collect();
    let scale = if options.loss == Loss::FROBENIUS { 2.0 } else { 1.0 };
    let hand_on = |at: usize, one: Factorisation| {
        let Factorisation { h, iterations, objective, stop, .. } = one;
        each(Replica { replicate: replicates[at], spectra: h, iterations, error: scale * objective, stop })
    };
    let laid_out = x.lay_out(run, Portions::new(x.n_cols(), options.precision))?;
    laid_out.factorise_each(run, &options.of_nmf(), &jobs, hand_on)
}

/// Spectra of all replicas of one k.
#[derive(Debug, Clone, PartialEq)]
pub struct Pool {
    /// The number of programs.
    pub k: usize,
    /// The number of genes.
    pub n_genes: usize,
    /// `rows x genes`, row after row: replicate by replicate, component by component.
    pub spectra: Vec<f64>,
    /// Replicate (from 0) and component (from 1) of each row.
    pub rows: Vec<(usize, usize)>,
    /// Spectra that were all 0 and are left out.
    pub dropped: usize,
}

impl Pool {
    /// From replicas in any order.
    ///
    /// # Errors
    /// Replicas of another k or size, and two of one number: the fault names them. None at all.
    pub fn new(k: usize, n_genes: usize, mut replicas: Vec<Replica>) -> Result<Self> {
        replicas.sort_by_key(|r| r.replicate.index);
        if replicas.is_empty() {
            return Err(Fault::bad_input(format!("there are no replicates of k = {k}")).at("components"));
        }
        if let Some(twin) = replicas.windows(2).find(|w| w[0].replicate.index == w[1].replicate.index) {
            return Err(Fault::bad_input(format!("replicate {} of k = {k} is there twice", twin[0].replicate.index)));
        }
        if let Some(other) = replicas.iter().find(|r| r.replicate.components != k || r.spectra.len() != k * n_genes) {
            let (index, components) = (other.replicate.index, other.replicate.components);
            let message = format!(
                "replicate {index} has {components} spectra and {} numbers, expected {k} of {n_genes} genes",
                other.spectra.len()
            );
            return Err(Fault::bad_input(message));
        }
        let rows = replicas.iter().flat_map(|r| (1..=k).map(|t| (r.replicate.index, t)));
        let spectra = replicas.iter().flat_map(|r| r.spectra.iter().copied()).collect();
        Self::of_rows(k, n_genes, spectra, rows.collect())
    }

    /// From stacked spectra.
    ///
    /// # Errors
    /// Another number of values, values that are negative or not finite, and spectra that are all 0.
    pub fn of_rows(k: usize, n_genes: usize, spectra: Vec<f64>, rows: Vec<(usize, usize)>) -> Result<Self> {
        if n_genes.checked_mul(rows.len()) != Some(spectra.len()) {
            let message =
                format!("{} spectra of {n_genes} genes were expected, found {} numbers", rows.len(), spectra.len());
            return Err(Fault::bad_input(message));
        }
        if let Some(at) = spectra.iter().position(|x| !(*x >= 0.0 && x.is_finite())) {
            let (iter, topic) = rows[at / n_genes];
            let message =
                format!("spectra are finite and >= 0, component {topic} of replicate {iter} has {}", spectra[at]);
            return Err(Fault::bad_input(message));
        }
        let alive: Vec<bool> = spectra.chunks_exact(n_genes.max(1)).map(|row| row.iter().any(|x| *x > 0.0)).collect();
        let dropped = alive.iter().filter(|alive| !**alive).count();
        if dropped == rows.len() {
            return Err(Fault::bad_input(format!("all {dropped} spectra of k = {k} are 0")));
        }
        if dropped == 0 {
            return Ok(Self { k, n_genes, spectra, rows, dropped });
        }
        let kept = || alive.iter().enumerate().filter(|(_, alive)| **alive).map(|(i, _)| i);
        let values = kept().flat_map(|i| spectra[i * n_genes..(i + 1) * n_genes].iter().copied()).collect();
        Ok(Self { k, n_genes, spectra: values, rows: kept().map(|i| rows[i]).collect(), dropped })
    }

    /// How many spectra there are.
    pub fn n(&self) -> usize {
        self.rows.len()
    }

    /// The spectra of replicates of one parity: half of the evidence.
    #[must_use]
    pub(crate) fn half(&self, parity: usize) -> Self {
        let mine: Vec<usize> = (0..self.n()).filter(|&i| self.rows[i].0 % 2 == parity).collect();
        let row = |i: usize| &self.spectra[i * self.n_genes..(i + 1) * self.n_genes];
        Self {
            spectra: mine.iter().flat_map(|&i| row(i)).copied().collect(),
            rows: mine.iter().map(|&i| self.rows[i]).collect(),
            dropped: 0,
            ..*self
        }
    }

    /// The names of the rows, as files have them: `iter0_topic1`.
    pub fn row_names(&self) -> Vec<String> {
        self.rows.iter().map(|(iter, topic)| format!("iter{iter}_topic{topic}")).collect()
    }
}

/// Which of the jobs no replica was made of, for a message; `None` if none is missing.
pub fn gaps(jobs: &[Replicate], made: &[Replicate]) -> Option<Fault> {
    let strangers: Vec<String> =
        made.iter().filter(|r| !jobs.contains(r)).map(|r| format!("k{} iter{}", r.components, r.index)).collect();
    if !strangers.is_empty() {
        let message = format!(
            "{} replicates belong to another job table: {}",
            strangers.len(),
            ferrocyte_base::listing(&strangers, 5)
        );
        return Some(Fault::bad_input(message).hint("prepare and factorise anew, or in another folder"));
    }
    let missing: Vec<String> =
        jobs.iter().filter(|r| !made.contains(r)).map(|r| format!("k{} iter{}", r.components, r.index)).collect();
    if missing.is_empty() {
        return None;
    }
    let message = format!(
        "{} of {} replicates are not made yet: {}",
        missing.len(),
        jobs.len(),
        ferrocyte_base::listing(&missing, 5)
    );
    Some(Fault::missing(message).hint("make them (factorize), or combine what is there (skip_missing_files)"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_learn::nmf::replicates;

    fn replica(k: usize, index: usize, spectra: Vec<f64>) -> Replica {
        let replicate = Replicate { components: k, index, seed: 1 };
        Replica { replicate, spectra, iterations: 1, error: 0.0, stop: Stop::Converged }
    }

    #[test]
    fn shares_are_disjoint_and_complete() -> Result<()> {
        let jobs = replicates(1, &[3, 4], 3);
        let mut all: Vec<Replicate> = Vec::new();
        for worker in 0..4 {
            all.extend(share(&jobs, worker, 4)?);
        }
        all.sort_by_key(|r| (r.components, r.index));
        assert_eq!(all, jobs);
        assert!(share(&jobs, 4, 4).is_err());
        Ok(())
    }

    #[test]
    fn pools_stand_in_the_order_of_replicates() -> Result<()> {
        let pool = Pool::new(1, 2, vec![replica(1, 1, vec![3.0, 4.0]), replica(1, 0, vec![1.0, 2.0])])?;
        assert_eq!(
            (pool.spectra.as_slice(), pool.row_names()),
            ([1.0, 2.0, 3.0, 4.0].as_slice(), vec!["iter0_topic1".into(), "iter1_topic1".into()])
        );
        assert_eq!(pool.half(1).spectra, [3.0, 4.0]);
        assert!(Pool::new(1, 2, vec![replica(1, 1, vec![1.0; 2]), replica(1, 1, vec![1.0; 2])]).is_err());
        assert!(Pool::new(1, 2, vec![replica(2, 0, vec![1.0; 4])]).is_err() && Pool::new(1, 2, Vec::new()).is_err());
        Ok(())
    }

    #[test]
    fn spectra_of_zeros_are_left_out_and_counted() -> Result<()> {
        let pool = Pool::new(2, 2, vec![replica(2, 0, vec![1.0, 0.0, 0.0, 0.0])])?;
        assert_eq!((pool.n(), pool.dropped, pool.rows.as_slice()), (1, 1, [(0, 1)].as_slice()));
        assert!(Pool::new(1, 1, vec![replica(1, 0, vec![f64::NAN])]).is_err());
        assert!(Pool::new(1, 1, vec![replica(1, 0, vec![0.0])]).is_err());
        Ok(())
    }

    #[test]
    fn gaps_and_strangers_are_named() {
        let jobs = replicates(1, &[3], 3);
        assert!(gaps(&jobs, &jobs).is_none());
        assert!(gaps(&jobs, &jobs[..2]).is_some_and(|f| f.message().contains("`k3 iter2`")));
        let stranger = Replicate { components: 3, index: 2, seed: 99 };
        assert!(gaps(&jobs, &[stranger]).is_some_and(|f| f.message().contains("another job table")));
    }
}
