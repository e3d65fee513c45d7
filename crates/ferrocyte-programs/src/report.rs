//! What a run has to tell, as tables: replicates, numbers of programs, programs, genes, cells.

use ferrocyte_base::{Column, Table};
use ferrocyte_learn::nmf::Stop;

use crate::consensus::{Consensus, Programs, Selection};
use crate::pool::Replica;
use crate::prepare::Prepared;
use crate::selection::{SETTLED, suggest_k, suggest_threshold};

/// What is kept of a replica when its spectra are in the pool.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplicaSummary {
    /// The number of programs.
    pub k: usize,
    /// Which replicate, from 0.
    pub index: usize,
    /// The seed of its start.
    pub seed: u32,
    /// How many iterations were made.
    pub iterations: usize,
    /// Squared distance of the matrix to its model, or the divergence for another loss.
    pub error: f64,
    /// Why iterations ended.
    pub stop: Stop,
}

impl From<&Replica> for ReplicaSummary {
    fn from(replica: &Replica) -> Self {
        let r = replica.replicate;
        let Replica { iterations, error, stop, .. } = *replica;
        Self { k: r.components, index: r.index, seed: r.seed, iterations, error, stop }
    }
}

/// A row for each replica.
pub fn replicates_table(replicas: &[ReplicaSummary]) -> Table {
    let ints = |of: &dyn Fn(&ReplicaSummary) -> usize| replicas.iter().map(|r| of(r) as i64).collect::<Vec<i64>>();
    let texts = |of: &dyn Fn(&ReplicaSummary) -> &'static str| replicas.iter().map(|r| of(r).to_owned()).collect();
    Table::new("replicates")
        .with(Column::int("k", "programs", "number of programs", ints(&|r| r.k)))
        .with(Column::int("iter", "", "which replicate, from 0", ints(&|r| r.index)))
        .with(Column::int("seed", "", "seed of its start", ints(&|r| r.seed as usize)))
        .with(Column::int("n_iter", "iterations", "iterations that were made", ints(&|r| r.iterations)))
        .with(Column::float(
            "error",
            "",
            "squared distance of the matrix to its model; the divergence for another loss",
            replicas.iter().map(|r| r.error).collect(),
        ))
        .with(Column::text("status", "ok, or why iterations ended otherwise", texts(&|r| r.stop.status().word)))
        .with(Column::text("reason", "the status in a sentence", texts(&|r| r.stop.status().sentence)))
}

/// A row for each k: what speaks for it.
///
/// A silhouette that is not defined is NaN, with its reason. `suggested` marks the largest stable k.
pub fn selection_table(selections: &[Selection], replicas: &[ReplicaSummary]) -> Table {
    let n = selections.len();
    let ks: Vec<usize> = selections.iter().map(|s| s.k).collect();
    let silhouettes: Vec<Option<f64>> = selections.iter().map(|s| s.silhouette).collect();
    let best = suggest_k(&ks, &silhouettes);
    let count =
        |k: usize, f: &dyn Fn(&ReplicaSummary) -> bool| replicas.iter().filter(|r| r.k == k && f(r)).count() as i64;
    let thresholds: Vec<_> = selections.iter().map(|s| suggest_threshold(&s.density)).collect();
    let reason = |s: &Selection| {
        let mut parts = Vec::new();
        if s.silhouette.is_none() {
            parts.push("a silhouette needs at least two clusters and a cluster of two spectra");
        }
        if s.stability.is_some_and(|c| c < SETTLED) {
            parts.push("programs of halves of the replicates differ: more replicates may change the answer");
        }
        parts.join("; ")
    };
    Table::new("k_selection")
        .with(Column::int("k", "programs", "number of programs", ks.iter().map(|k| *k as i64).collect()))
        .with(Column::float(
            "local_density_threshold",
            "",
            "as files of the peer have it; nothing was filtered",
            vec![0.5; n],
        ))
        .with(Column::float(
            "silhouette",
            "",
            "mean silhouette of all spectra: how well replicates agree",
            silhouettes.iter().map(|s| s.unwrap_or(f64::NAN)).collect(),
        ))
        .with(Column::float(
            "prediction_error",
            "",
            "squared distance of the matrix to consensus spectra with their usages",
            selections.iter().map(|s| s.prediction_error).collect(),
        ))
        .with(Column::int(
            "n_replicates",
            "replicates",
            "replicates that were made",
            ks.iter().map(|k| count(*k, &|_| true)).collect(),
        ))
        .with(Column::int(
            "n_at_limit",
            "replicates",
            "replicates that met the limit of iterations",
            ks.iter().map(|k| count(*k, &|r| r.stop == Stop::Limit)).collect(),
        ))
        .with(Column::float(
            "stability",
            "",
            "least cosine of a program with the nearest one of either half of the replicates; NaN with too few",
            selections.iter().map(|s| s.stability.unwrap_or(f64::NAN)).collect(),
        ))
        .with(Column::float(
            "suggested_density_threshold",
            "",
            "middle of the first wide gap of local densities; 2 where there is none",
            thresholds.iter().map(|t| t.threshold).collect(),
        ))
        .with(Column::int(
            "n_outliers",
            "spectra",
            "spectra that the suggested threshold drops",
            thresholds.iter().map(|t| t.dropped as i64).collect(),
        ))
        .with(Column::new(
            "suggested",
            "",
            "whether this is the largest k that is about as stable as the best",
            ferrocyte_base::Cells::Bool(ks.iter().map(|k| Some(*k) == best).collect()),
        ))
        .with(Column::text("reason", "what to know of this row", selections.iter().map(reason).collect()))
}

/// A row for each program: its share, the spectra behind it, its first genes.
pub fn programs_table(found: &Consensus, genes: &[String], n_genes: usize) -> Table {
    let Programs { k, order, usages, .. } = &found.programs;
    let k = *k;
    let mut shares = vec![0.0; k];
    found.programs.shares().chunks_exact(k).for_each(|row| shares.iter_mut().zip(row).for_each(|(s, x)| *s += x));
    let n = (usages.len() / k).max(1) as f64;
    let size = |t: usize| found.clusters.labels.iter().filter(|l| **l as usize == order[t]).count();
    let names = |order: Vec<usize>| {
        let names: Vec<&str> = order.iter().map(|&at| genes[found.programs.genes[at]].as_str()).collect();
        names.join(" ")
    };
    Table::new("programs")
        .with(Column::int("k", "programs", "number of programs", vec![k as i64; k]))
        .with(Column::int("program", "", "which program, from 1, by use", (1..=k as i64).collect()))
        .with(Column::float("share", "", "mean share of the usages of cells", shares.iter().map(|s| s / n).collect()))
        .with(Column::int("n_spectra", "spectra", "spectra in its cluster", (0..k).map(|t| size(t) as i64).collect()))
        .with(Column::float(
            "stability",
            "",
            "least cosine with the nearest program of either half of the replicates; NaN with too few",
            found.stability.clone().unwrap_or_else(|| vec![f64::NAN; k]),
        ))
        .with(Column::text(
            "top_genes",
            "genes of largest score, most first",
            found.programs.top_genes(n_genes).into_iter().map(names).collect(),
        ))
}

/// A row for each gene: how it was judged. Genes of a list have no judgement.
pub fn genes_table(prepared: &Prepared, genes: &[String]) -> Table {
    let n = genes.len();
    let mut selected = vec![false; n];
    prepared.genes.iter().for_each(|&j| selected[j] = true);
    let judged = prepared.judged.as_ref();
    let column = |of: &dyn Fn(&crate::VariableGenes) -> Vec<f64>| judged.map_or_else(|| vec![f64::NAN; n], of);
    Table::new("genes")
        .with(Column::text("gene", "its name", genes.to_vec()))
        .with(Column::float("mean", "expression", "mean over cells", prepared.stats.mean.clone()))
        .with(Column::float("sd", "expression", "standard deviation over cells, ddof 0", prepared.stats.sd(None, 0)))
        .with(Column::float("fano", "", "variance over mean", column(&|g| g.fano.clone())))
        .with(Column::float("expected_fano", "", "what its mean leads to expect", column(&|g| g.expected.clone())))
        .with(Column::float("fano_ratio", "", "the one over the other", column(&|g| g.ratio.clone())))
        .with(Column::new("selected", "", "whether it is factorised", ferrocyte_base::Cells::Bool(selected)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(k: usize, silhouette: Option<f64>, stability: Option<f64>) -> Selection {
        let density = vec![0.01; 10];
        Selection { k, silhouette, prediction_error: 2.0, density, stability, inertia: 0.0, iterations: 1 }
    }

    #[test]
    fn one_k_is_suggested_and_reasons_are_given() -> ferrocyte_base::Result<()> {
        let replica = |k, index, stop| ReplicaSummary { k, index, seed: 1, iterations: 3, error: 1.0, stop };
        let replicas = [replica(1, 0, Stop::Limit), replica(4, 0, Stop::Converged), replica(4, 1, Stop::Limit)];
        let rows = [selection(1, None, None), selection(4, Some(0.9), Some(0.5)), selection(5, Some(0.4), Some(0.999))];
        let table = selection_table(&rows, &replicas);
        assert!(table.floats("silhouette")?[0].is_nan());
        let text = |name: &str, row: usize| match &table.column(name).map(|c| &c.cells) {
            Ok(ferrocyte_base::Cells::Text(cells)) => cells[row].clone(),
            Ok(ferrocyte_base::Cells::Bool(cells)) => cells[row].to_string(),
            Ok(ferrocyte_base::Cells::Int(cells)) => cells[row].to_string(),
            _ => String::new(),
        };
        assert!(text("reason", 0).contains("two clusters") && text("reason", 1).contains("more replicates"));
        assert_eq!(
            (text("reason", 2), text("suggested", 1), text("suggested", 2)),
            (String::new(), "true".into(), "false".into())
        );
        assert_eq!((text("n_replicates", 1), text("n_at_limit", 1)), ("2".into(), "1".into()));
        assert_eq!(replicates_table(&replicas).n_rows(), 3);
        Ok(())
    }
}
