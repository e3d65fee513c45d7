//! [`fit`]: replicas of one or more ranks, and the best of each: what the fronts call.

use std::sync::Mutex;

use ferrocyte_base::{Cells, Column, Fault, Provenance, Result, Run, Status, Table, Value};
use ferrocyte_math::fused::Level;

use super::prepared::Prepared;
use super::start::replicates;
use super::{Factorisation, Job, Options, Start};

ferrocyte_base::choice! {
    /// Where factorisations begin.
    Begin, "init" {
        /// Random numbers.
        Random = "random",
        /// Singular vectors, zeros kept.
        Nndsvd = "nndsvd",
        /// Singular vectors, zeros replaced by the mean.
        NndsvdMean = "nndsvda",
        /// Singular vectors, zeros replaced by small random numbers.
        NndsvdRandom = "nndsvdar",
    }
}

ferrocyte_base::choice! {
    /// Which factors are kept.
    Keep, "keep" {
        /// Those of the replica of each rank with the lowest objective.
        Best = "best",
        /// Those of all replicas.
        All = "all",
    }
}

/// Which replicas are made.
#[derive(Debug, Clone, PartialEq)]
pub struct RankOptions {
    /// The ranks.
    pub ranks: Vec<usize>,
    /// How many replicas of each.
    pub replicas: usize,
    /// The seed from which those of the replicas are drawn, as [`replicates`] does.
    pub seed: u32,
    /// Where they begin.
    pub begin: Begin,
    /// Which factors are kept.
    pub keep: Keep,
    /// How they are made.
    pub options: Options,
}

impl RankOptions {
    /// What is done, for the record: method and resolved options.
    pub fn provenance(&self) -> Provenance {
        let o = &self.options;
        let loss = match o.loss {
            super::Loss::FROBENIUS => "frobenius".to_owned(),
            super::Loss::KULLBACK_LEIBLER => "kullback-leibler".to_owned(),
            super::Loss::ITAKURA_SAITO => "itakura-saito".to_owned(),
            other => other.value().to_string(),
        };
        Provenance::new("nmf.fit")
            .option("k", Value::list(self.ranks.iter().copied()))
            .option("n_replicas", self.replicas)
            .option("seed", self.seed as usize)
            .option("init", self.begin.word())
            .option("beta_loss", loss)
            .option("solver", o.solver.word())
            .option("sweeps", o.sweeps)
            .option("tol", o.tolerance)
            .option("max_iter", o.max_iterations)
            .option("alpha_w", o.alpha_w)
            .option("alpha_h", o.alpha_h)
            .option("l1_ratio", o.l1_ratio)
            .option("precision", o.precision.word())
            .option("keep", self.keep.word())
            .option("instructions", Level::widest().word())
    }
}

/// One replica.
#[derive(Debug, Clone, PartialEq)]
pub struct Replica {
    /// Its number within its rank, from 0.
    pub index: usize,
    /// The seed of its start.
    pub seed: u32,
    /// Its factors and how they came about; `w` and `h` are empty where they were not kept.
    pub fit: Factorisation,
}

/// Replicas of one or more ranks: ranks rise, replicas rise within them.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranks {
    /// All of them.
    pub replicas: Vec<Replica>,
    /// Half the sum of squares of the matrix, the objective of a model that explains nothing under the squared norm.
    pub nothing: f64,
    /// Whether the loss is the squared norm.
    pub frobenius: bool,
}

/// Factorises a matrix at one or more ranks, from one or more starts each.
///
/// # Errors
/// No ranks or replicas, a rank above the smaller side of the matrix, and those of [`Prepared::factorise_each`].
pub fn fit(run: &Run, matrix: &Prepared, asked: &RankOptions) -> Result<Ranks> {
    let most = matrix.n().min(matrix.g());
    if asked.ranks.is_empty() || asked.replicas == 0 {
        let message = "at least one k and one replica are needed";
        return Err(Fault::bad_input(message).at(if asked.replicas == 0 { "n_replicas" } else { "k" }));
    }
    if let Some(k) = asked.ranks.iter().find(|&&k| k == 0 || k > most) {
        let message = format!("k lies between 1 and {most}, the smaller side of the matrix; found {k}");
        return Err(Fault::bad_input(message).at("k"));
    }
    let plan = replicates(asked.seed, &asked.ranks, asked.replicas);
    if asked.replicas > 1 && matches!(asked.begin, Begin::Nndsvd | Begin::NndsvdMean) {
        run.warn("all replicas of a rank begin at the same singular vectors, and are the same");
    }
    let start = |seed: u32| match asked.begin {
        Begin::Random => Start::Random(seed),
        Begin::Nndsvd => Start::Nndsvd,
        Begin::NndsvdMean => Start::NndsvdMean,
        Begin::NndsvdRandom => Start::NndsvdRandom(seed),
    };
    let jobs: Vec<Job> = plan.iter().map(|r| Job { components: r.components, start: start(r.seed) }).collect();
    let found = Mutex::new(vec![None; jobs.len()]);
    let poisoned = || Fault::internal("replicas were lost");
    matrix.factorise_each(run, &asked.options, &jobs, |at, one| {
        let mut found = found.lock().map_err(|_| poisoned())?;
        let replica = Replica { index: plan[at].index, seed: plan[at].seed, fit: one };
        place(&mut found, at, replica, asked.keep);
        Ok(())
    })?;
    let found = found.into_inner().map_err(|_| poisoned())?;
    let replicas = found.into_iter().collect::<Option<Vec<Replica>>>().ok_or_else(poisoned)?;
    let frobenius = asked.options.loss == super::Loss::FROBENIUS;
    Ok(Ranks { replicas, nothing: matrix.squares() / 2.0, frobenius })
}

/// Puts a replica where it belongs; factors that are not the best of their rank are let go, unless all are kept.
fn place(found: &mut [Option<Replica>], at: usize, mut new: Replica, keep: Keep) {
    if keep == Keep::Best {
        let (k, loss, index) = (new.fit.components, new.fit.objective, new.index);
        let holder = found.iter_mut().flatten().find(|r| r.fit.components == k && !r.fit.h.is_empty());
        if let Some(old) = holder {
            // Of equal ones the first is the best, whichever ended first.
            let better = loss < old.fit.objective || (loss == old.fit.objective && index < old.index);
            let worse = if better { &mut old.fit } else { &mut new.fit };
            (worse.w, worse.h) = (Vec::new(), Vec::new());
        }
    }
    found[at] = Some(new);
}

impl Ranks {
    /// The ranks, rising.
    pub fn ranks(&self) -> Vec<usize> {
        let mut ranks: Vec<usize> = self.replicas.iter().map(|r| r.fit.components).collect();
        ranks.dedup();
        ranks
    }

    /// The replica of a rank with the lowest objective; the first of equal ones.
    pub fn best(&self, k: usize) -> Option<&Replica> {
        let of_rank = self.replicas.iter().filter(|r| r.fit.components == k);
        of_rank.min_by(|a, b| a.fit.objective.total_cmp(&b.fit.objective))
    }

    /// One row for each replica.
    pub fn table(&self) -> Table {
        let ints = |f: &dyn Fn(&Replica) -> usize| self.replicas.iter().map(|r| f(r) as i64).collect();
        let status = |r: &Replica| -> Status { r.fit.stop.status() };
        let best: Vec<Option<usize>> =
            self.replicas.iter().map(|r| self.best(r.fit.components).map(|b| b.index)).collect();
        let is_best = self.replicas.iter().zip(&best).map(|(r, best)| *best == Some(r.index)).collect();
        let explained = |r: &Replica| {
            if self.frobenius && self.nothing > 0.0 { 1.0 - r.fit.objective / self.nothing } else { f64::NAN }
        };
        let objective: Vec<f64> = self.replicas.iter().map(|r| r.fit.objective).collect();
        Table::new("replicas")
            .with(Column::int("k", "", "number of programs", ints(&|r| r.fit.components)))
            .with(Column::int("replica", "", "which replica of this k, from 0", ints(&|r| r.index)))
            .with(Column::int("seed", "", "the seed of its start", ints(&|r| r.seed as usize)))
            .with(Column::int("iterations", "", "how many were made", ints(&|r| r.fit.iterations)))
            .with(Column::float("objective", "", "the loss at the end, without penalties", objective))
            .with(Column::float(
                "explained",
                "",
                "share of the sum of squares that the model explains; missing for other losses",
                self.replicas.iter().map(explained).collect(),
            ))
            .with(Column::new("best", "", "whether its objective is the lowest of this k", Cells::Bool(is_best)))
            .with(Column::text("status", "ok, or a word from the list", self.words(|r| status(r).word)))
            .with(Column::text("reason", "what the word means", self.words(|r| status(r).sentence)))
    }

    /// The usages of a replica: a row for each cell.
    pub fn usages(&self, replica: &Replica, cells: &[String]) -> Table {
        let k = replica.fit.components;
        let column = |t: usize| replica.fit.w.iter().skip(t).step_by(k).copied().collect();
        programs("usages", Column::text("cell", "name of the cell", cells.to_vec()), k, "how much it uses it", column)
    }

    /// The spectra of a replica: a row for each gene.
    pub fn spectra(&self, replica: &Replica, genes: &[String]) -> Table {
        let (k, g) = (replica.fit.components, genes.len());
        let column = |t: usize| replica.fit.h[t * g..(t + 1) * g].to_vec();
        programs("spectra", Column::text("gene", "name of the gene", genes.to_vec()), k, "its share in it", column)
    }

    fn words(&self, f: impl Fn(&Replica) -> &'static str) -> Vec<String> {
        self.replicas.iter().map(|r| f(r).to_owned()).collect()
    }
}

/// A column of numbers for each program.
fn programs(name: &str, names: Column, k: usize, meaning: &str, column: impl Fn(usize) -> Vec<f64>) -> Table {
    let add = |table: Table, t: usize| table.with(Column::float(&format!("program_{}", t + 1), "", meaning, column(t)));
    (0..k).fold(Table::new(name).with(names), add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nmf::{Input, Keep, Precision, Values};

    fn asked(ranks: &[usize], keep: Keep) -> RankOptions {
        let options = Options { max_iterations: 30, ..Options::default() };
        RankOptions { ranks: ranks.to_vec(), replicas: 5, seed: 14, begin: Begin::Random, keep, options }
    }

    fn matrix(values: &[f64]) -> Result<Prepared> {
        Ok(Prepared::new(&Input::dense(Values::Double(values), values.len() / 6, 6)?, Precision::Double))
    }

    #[test]
    fn the_best_of_each_rank_is_kept_and_all_are_told() -> Result<()> {
        let values: Vec<f64> = (0..120).map(|t| f64::from(t * t % 17)).collect();
        let matrix = matrix(&values)?;
        let all = fit(&Run::new(), &matrix, &asked(&[3, 2, 3], Keep::All))?;
        assert_eq!((all.ranks(), all.replicas.len()), (vec![2, 3], 10));
        assert!(all.replicas.iter().all(|r| r.fit.w.len() == 20 * r.fit.components));
        for threads in [1, 3] {
            let best = fit(&Run::new().threads(threads), &matrix, &asked(&[2, 3], Keep::Best))?;
            for k in [2, 3] {
                assert_eq!(best.best(k), all.best(k));
            }
            assert_eq!(best.replicas.iter().filter(|r| !r.fit.h.is_empty()).count(), 2);
            assert_eq!(best.table(), all.table());
        }
        let table = all.table();
        assert_eq!(table.n_rows(), 10);
        assert!(table.floats("explained")?.iter().all(|x| *x > 0.3 && *x < 1.0));
        let names = |n: usize| (0..n).map(|i| i.to_string()).collect::<Vec<_>>();
        let replica = &all.replicas[7];
        assert_eq!(all.usages(replica, &names(20)).floats("program_3")?[4], replica.fit.w[14]);
        assert_eq!(all.spectra(replica, &names(6)).floats("program_2")?[1], replica.fit.h[7]);
        Ok(())
    }

    #[test]
    fn ranks_that_cannot_be_are_refused() -> Result<()> {
        let matrix = matrix(&[1.0; 24])?;
        let refused = |ranks: &[usize], what: &str| {
            fit(&Run::new(), &matrix, &asked(ranks, Keep::Best)).is_err_and(|f| f.message().contains(what))
        };
        assert!(refused(&[], "at least one k") && refused(&[0], "found 0") && refused(&[2, 5], "between 1 and 4"));
        Ok(())
    }
}
