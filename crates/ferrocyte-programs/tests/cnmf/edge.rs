//! Bad and borderline input: `edge_*`. Each case of the index is made and held to what it requires.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_data::Dense;
use ferrocyte_learn::nmf::{Loss, Stop, replicates};
use ferrocyte_programs::{
    Consensus, ConsensusOptions, Expression, FactoriseOptions, Genes, Names, PerMillion, PrepareOptions, Prepared,
    Replica, consensus, prepare, select,
};

use crate::files::{file, npz, numbered};
use crate::npz::json;

/// One run on changed input.
struct Case {
    counts: Vec<f64>,
    n: usize,
    g: usize,
    hvg: Vec<usize>,
    names: Names,
    options: PrepareOptions,
    fit: FactoriseOptions,
    k: usize,
    n_iter: usize,
    threshold: f64,
}

impl Case {
    fn new() -> Self {
        let inputs = npz("edge_inputs.npz");
        let (n, g) = (inputs["counts"].shape[0], inputs["counts"].shape[1]);
        Self {
            counts: inputs["counts"].values.clone(),
            n,
            g,
            hvg: inputs["hvg_index"].integers().iter().map(|j| *j as usize).collect(),
            names: numbered(n, g),
            options: PrepareOptions { genes: Genes::Top(40), ..PrepareOptions::default() },
            fit: FactoriseOptions::default(),
            k: 3,
            n_iter: 5,
            threshold: 0.5,
        }
    }

    fn listed(mut self) -> Self {
        self.options.genes = Genes::Listed(self.hvg.iter().map(|&j| self.names.genes[j].clone()).collect());
        self
    }

    fn with(mut self, i: usize, j: usize, x: f64) -> Self {
        self.counts[i * self.g + j] = x;
        self
    }

    fn column(mut self, j: usize, x: f64) -> Self {
        (0..self.n).for_each(|i| self.counts[i * self.g + j] = x);
        self
    }

    fn prepared(&self) -> Result<Prepared> {
        let mut rows = Dense::row_major(self.n, self.g, &self.counts)?;
        prepare(&Run::new(), &mut rows, None, &self.names, &self.options)
    }

    /// All of it: prepared, replicas, consensus.
    fn all(&self) -> Result<(Prepared, Vec<Replica>, Consensus)> {
        let prepared = self.prepared()?;
        self.fit.check(&prepared.x, &[self.k], self.n_iter)?;
        let made = std::sync::Mutex::new(Vec::new());
        let jobs = replicates(1, &[self.k], self.n_iter);
        ferrocyte_programs::factorise(&Run::new(), &prepared.x, &self.fit, &jobs, &|replica| {
            made.lock().unwrap().push(replica);
            Ok(())
        })?;
        let replicas = made.into_inner().unwrap();
        let pool = ferrocyte_programs::Pool::new(self.k, prepared.x.n_cols(), replicas.clone())?;
        let mut tpm = PerMillion(Dense::row_major(self.n, self.g, &self.counts)?);
        let options = ConsensusOptions { density_threshold: self.threshold, ..ConsensusOptions::default() };
        select(&Run::new(), &pool, &prepared.x, &self.fit, &options)?;
        let found = consensus(&Run::new(), &pool, &prepared, &mut tpm, &self.fit, &options)?;
        for values in [
            &found.programs.usages,
            &found.programs.scores,
            &found.programs.spectra_tpm,
            &found.programs.reference,
            &found.programs.spectra,
        ] {
            assert!(values.iter().all(|x| x.is_finite()));
        }
        Ok((prepared, replicas, found))
    }

    fn refused(&self) -> Fault {
        self.all().map(|_| ()).unwrap_err()
    }
}

/// Holds a fault to the words that it must have.
fn says(fault: &Fault, words: &[&str]) {
    let text = format!("{fault} ({})", fault.way_out().unwrap_or_default());
    words.iter().for_each(|word| assert!(text.contains(word), "`{word}` is not in: {text}"));
}

fn warned(prepared: &Prepared, word: &str) {
    assert!(prepared.warnings.iter().any(|w| w.contains(word)), "`{word}` is not in {:?}", prepared.warnings);
}

fn hold(name: &str) {
    let base = Case::new();
    let (first, third) = (base.hvg[0], base.hvg[2]);
    let gene = |j: usize| format!("g{j}");
    match name {
        "base" => assert_eq!(base.all().unwrap().2.programs.usages.len(), 120 * 3),
        "empty_cell" => {
            let empty = (0..base.g).fold(base, |case, j| case.with(7, j, 0.0));
            says(&empty.refused(), &["1 cells", "`c7`"]);
            let dropped = Case { options: PrepareOptions { drop_empty: true, ..empty.options.clone() }, ..empty };
            assert_eq!(dropped.all().unwrap().0.dropped_cells, [7]);
        }
        "cell_without_selected_genes" => {
            let hvg = base.hvg.clone();
            let empty = hvg.iter().fold(base.listed(), |case, &j| case.with(5, j, 0.0).with(9, j, 0.0));
            says(&empty.refused(), &["2 cells", "`c5`, `c9`"]);
        }
        "zero_gene_in_list" => {
            let (prepared, _, _) = base.listed().column(first, 0.0).all().unwrap();
            warned(&prepared, &gene(first));
            assert_eq!(prepared.dropped_genes, [first]);
        }
        "more_genes_asked_than_vary" => {
            let mut case = (0..5).fold(base, |case, j| case.column(j, 0.0));
            case.options.genes = Genes::Top(500);
            let (prepared, _, _) = case.all().unwrap();
            warned(&prepared, "500 genes were asked for, 77 vary");
        }
        "constant_gene_in_list" => {
            let (prepared, _, _) = base.listed().column(first, 3.0).all().unwrap();
            warned(&prepared, &gene(first));
            assert_eq!(prepared.x.row(0).1[0], 3.0);
        }
        "nan" => says(&base.with(3, third, f64::NAN).refused(), &["`c3`", &gene(third)]),
        "infinite" => says(&base.with(3, third, f64::INFINITY).refused(), &["`c3`", &gene(third), "inf"]),
        "negative" => says(&base.with(3, third, -2.0).refused(), &["`c3`", &gene(third), "-2", "logarithmic"]),
        "duplicate_gene_names" => {
            let mut case = base;
            case.names.genes[1] = String::from("g0");
            says(&case.refused(), &["`g0`"]);
        }
        "duplicate_cell_names" => {
            let mut case = base;
            case.names.cells[1] = String::from("c0");
            warned(&case.all().unwrap().0, "several cells");
        }
        "unknown_gene_in_list" => {
            let mut case = base;
            case.options.genes = Genes::Listed(["g1", "nope", "g3"].map(str::to_owned).to_vec());
            says(&case.refused(), &["`nope`"]);
        }
        "three_replicates" => {
            let (_, _, found) = Case { n_iter: 3, ..base }.all().unwrap();
            assert_eq!(found.clusters.kept.len(), 9);
            assert!(found.warnings.iter().any(|w| w.contains("every spectrum is kept")));
        }
        "one_replicate" => {
            let (_, replicas, found) = Case { n_iter: 1, ..base }.all().unwrap();
            assert!(found.clusters.silhouette.is_none());
            let sum: f64 = replicas[0].spectra[..40].iter().sum();
            let share = replicas[0].spectra[0] / sum;
            assert!(found.programs.spectra.chunks_exact(40).any(|row| (row[0] - share).abs() < 1e-12));
        }
        "k_is_1" => {
            let (prepared, _, found) = Case { k: 1, ..base }.all().unwrap();
            assert!(found.clusters.silhouette.is_none() && found.programs.prediction_error > 0.0);
            assert!(found.programs.prediction_error < prepared.x.squares());
        }
        "k_above_genes" => {
            let case = Case { k: 60, ..base };
            let (prepared, _, _) = case.all().unwrap();
            let warnings = case.fit.check(&prepared.x, &[60], 5).unwrap();
            assert!(warnings.iter().any(|w| w.contains("60 programs")));
        }
        "threshold_removes_all" => {
            says(
                &Case { threshold: 1e-9, ..base }.refused(),
                &["0 of 15", "smallest", "median", "largest", "would do"],
            );
        }
        "threshold_leaves_fewer_than_k" => {
            let case = Case { k: 9, n_iter: 8, threshold: 0.0019996380173661656, ..base };
            says(&case.refused(), &["4 of 72", "9 programs"]);
        }
        "itakura_saito_with_zeros" => {
            let fit = FactoriseOptions { loss: Loss::ITAKURA_SAITO, ..FactoriseOptions::default() };
            says(&Case { fit, ..base }.refused(), &["are 0", "kullback-leibler"]);
        }
        "max_iter_reached" => {
            let fit = FactoriseOptions { max_iterations: 5, ..FactoriseOptions::default() };
            let (_, replicas, _) = Case { fit, ..base }.all().unwrap();
            assert_eq!(replicas.iter().filter(|r| r.stop == Stop::Limit).count(), 5);
        }
        "tpm_has_fewer_cells" => {
            let mut tpm = Dense::row_major(100, base.g, &base.counts[..100 * base.g]).unwrap();
            let cells = base.names.cells[..100].to_vec();
            let given = Expression { rows: &mut tpm, cells };
            let mut rows = Dense::row_major(base.n, base.g, &base.counts).unwrap();
            let fault = prepare(&Run::new(), &mut rows, Some(given), &base.names, &base.options).unwrap_err();
            says(&fault, &["120", "100"]);
        }
        "tpm_cells_in_other_order" => {
            let turned: Vec<f64> = base.counts.chunks_exact(base.g).rev().flatten().copied().collect();
            let cells: Vec<String> = base.names.cells.iter().rev().cloned().collect();
            let prepared = |values: &[f64], cells: Vec<String>| {
                let mut tpm = Dense::row_major(base.n, base.g, values).unwrap();
                let mut rows = Dense::row_major(base.n, base.g, &base.counts).unwrap();
                let given = Expression { rows: &mut tpm, cells };
                prepare(&Run::new(), &mut rows, Some(given), &base.names, &base.options).unwrap()
            };
            let (found, plain) = (prepared(&turned, cells), prepared(&base.counts, base.names.cells.clone()));
            assert_eq!((&found.stats, &found.x), (&plain.stats, &plain.x));
            warned(&found, "matched by name");
        }
        // The k that exist are known to a folder only; fronts test it.
        "k_not_prepared" => assert!(ferrocyte_programs::Pool::new(4, 40, Vec::new()).is_err()),
        other => panic!("the case `{other}` is not tested"),
    }
}

#[test]
fn bad_input_is_met_as_required() {
    let index = json(&file("edge_index.json"));
    let cases = index["cases"].as_array().unwrap();
    assert!(!cases.is_empty());
    cases.iter().for_each(|case| hold(case["case"].as_str().unwrap()));
    println!("{} cases held", cases.len());
}
