//! Stages on their own: `stage_*`.

use ferrocyte_base::Run;
use ferrocyte_data::Dense;
use ferrocyte_learn::nmf::{Loss, Rule};
use ferrocyte_math::linalg::Matrix;
use ferrocyte_programs::{
    ConsensusOptions, FactoriseOptions, GeneStats, Genes, PerMillion, PrepareOptions, Reference, UnitSpectra,
    peer_kmeans, prepare, programs, project, variable_genes,
};

use crate::files::{Comparison, file, npz, numbered, sparse, stream};
use crate::npz::json;

#[test]
fn variable_genes_are_those_of_the_reference() {
    let reference = npz("stage_highvar.npz");
    let counts = &reference["counts"];
    let (n, g) = (counts.shape[0], counts.shape[1]);
    let run = Run::new();
    let names = numbered(n, g);
    let mut rows = Dense::row_major(n, g, &counts.values).unwrap();
    let options = PrepareOptions { genes: Genes::Top(60), ..PrepareOptions::default() };
    let stats: GeneStats = prepare(&run, &mut rows, None, &names, &options).unwrap().stats;
    let mut comparison = Comparison::default();
    let cases = [("auto_sparse", Genes::AUTOMATIC), ("top60_sparse", Genes::Top(60)), ("all_sparse", Genes::Top(g))];
    for (name, genes) in cases {
        let found = variable_genes(&stats, &genes).unwrap();
        let expected = &reference[&format!("{name}_ratio")].values;
        comparison.relative(name, &found.ratio, expected, 1e-10);
        let selected: Vec<f64> = found.selected.iter().map(|s| f64::from(u8::from(*s))).collect();
        let high = &reference[&format!("{name}_high_var")].values;
        // Genes of equal ratio may be cut either way; genes without variance are never taken by us.
        let off = (0..g).filter(|&j| selected[j] != high[j]);
        let least = (0..g).filter(|&j| selected[j] == 1.0).map(|j| found.ratio[j]).fold(f64::INFINITY, f64::min);
        for j in off {
            let tie = (found.ratio[j] - least).abs() < 1e-9 * least;
            assert!(tie || stats.variance[j] == 0.0, "{name}: gene {j} with ratio {}", found.ratio[j]);
        }
        let abt = &reference[&format!("{name}_A_B_T")].values;
        comparison.relative(name, &[found.a, found.b], &abt[..2], 1e-10);
        if let Some(threshold) = found.threshold {
            comparison.relative(name, &[threshold], &abt[2..3], 1e-10);
        }
    }
    let own = variable_genes(&stats, &Genes::Above { ratio: Some(1.3), mean: 2000.0 }).unwrap();
    let selected: Vec<f64> = own.selected.iter().map(|s| f64::from(u8::from(*s))).collect();
    comparison.same("thr1p3_min2000", &selected, &reference["thr1p3_min2000_high_var"].values);
    println!("{} values compared", comparison.values);
}

#[test]
fn kmeans_has_the_labels_of_the_reference() {
    let reference = npz("stage_kmeans.npz");
    let k = json(&file("stage_index.json"))["kmeans"]["k"].as_u64().unwrap() as usize;
    let l = &reference["L"];
    let rows = Matrix::from_rows(l.shape[0], l.shape[1], l.values.clone());
    let found = peer_kmeans(&Run::new(), &rows, k, 1).unwrap();
    let mut comparison = Comparison::default();
    comparison.same("labels", &found.labels, &reference["labels"].integers());
    comparison.relative("centres", found.centres.entries(), &reference["centers"].values, 1e-10);
    comparison.relative("inertia", &[found.inertia], &reference["inertia"].values, 1e-10);
    comparison.same("iterations", &[found.iterations as u32], &reference["n_iter"].integers());
    let units = UnitSpectra::new(&l.values, l.shape[0]);
    let silhouette = units.silhouette(&Run::new(), &found.labels, k).unwrap().unwrap();
    comparison.absolute("silhouette", &[silhouette], &reference["silhouette"].values, 1e-9);
    println!("{} values compared", comparison.values);
}

#[test]
fn refits_scores_and_references_are_right_for_both_losses() {
    let inputs = npz("stage_inputs.npz");
    let shape = inputs["shape"].integers();
    let (n, g) = (shape[0] as usize, shape[1] as usize);
    let counts = sparse(&inputs, "counts", g);
    let genes: Vec<usize> = inputs["hvg_index"].integers().iter().map(|j| *j as usize).collect();
    let spectra = &inputs["consensus_spectra"];
    let (k, n_selected) = (spectra.shape[0], spectra.shape[1]);
    let names = numbered(n, g);
    let listed = genes.iter().map(|&j| names.genes[j].clone()).collect();
    let options = PrepareOptions { genes: Genes::Listed(listed), ..PrepareOptions::default() };
    let run = Run::new().threads(2);
    let prepared = prepare(&run, &mut stream(&counts), None, &names, &options).unwrap();
    let mut comparison = Comparison::default();
    comparison.relative("norm_counts", prepared.x.values(), &inputs["norm_counts_data"].values, 1e-12);
    let index = json(&file("stage_index.json"));
    for (name, loss) in [("cd", Loss::FROBENIUS), ("kl", Loss::KULLBACK_LEIBLER)] {
        let reference = npz(&format!("stage_{name}.npz"));
        let fit = FactoriseOptions { loss, ..FactoriseOptions::default() };
        let mut tpm = PerMillion(stream(&counts));
        let found = programs(&run, &spectra.values, &prepared, &mut tpm, &fit, &ConsensusOptions::default()).unwrap();
        let order: Vec<usize> = reference["program_order"].integers().iter().map(|t| *t as usize).collect();
        let expected: Vec<f64> =
            order.iter().flat_map(|&t| spectra.values[t * n_selected..(t + 1) * n_selected].iter().copied()).collect();
        comparison.relative(&format!("{name} spectra"), &found.spectra, &expected, 1e-12);
        let refit = &reference["usage_refit"].values;
        let in_order: Vec<f64> = refit.chunks_exact(k).flat_map(|row| order.iter().map(|&t| row[t])).collect();
        comparison.relative(&format!("{name} usage_refit"), &found.first_usages, &in_order, 1e-10);
        comparison.relative(
            &format!("{name} spectra_tpm"),
            &found.spectra_tpm,
            &reference["spectra_tpm"].values,
            1e-10,
        );
        comparison.relative(&format!("{name} score"), &found.scores, &reference["gene_spectra_score"].values, 1e-10);
        comparison.relative(&format!("{name} usage"), &found.usages, &reference["final_usage"].values, 1e-10);
        comparison.relative(&format!("{name} starcat"), &found.reference, &reference["starcat"].values, 1e-10);
        let error = index[name]["prediction_error"].as_f64().unwrap();
        comparison.relative(&format!("{name} error"), &[found.prediction_error], &[error], 1e-10);
        if name == "cd" {
            let exact = ConsensusOptions { refit: Rule::Exact, ..ConsensusOptions::default() };
            let best =
                programs(&run, &spectra.values, &prepared, &mut PerMillion(stream(&counts)), &fit, &exact).unwrap();
            let optimum = &reference["usage_exact_nnls"].values;
            let mine: Vec<f64> = optimum.chunks_exact(k).flat_map(|row| order.iter().map(|&t| row[t])).collect();
            comparison.relative("exact usages", &best.first_usages, &mine, 1e-8);
        } else {
            let wrong = &reference["peer_wrong_spectra_tpm"].values;
            let off = wrong.iter().zip(&found.spectra_tpm).fold(0.0_f64, |m, (a, b)| m.max((a - b).abs()));
            assert!(off > 1.0, "the fault of the peer is not to be met");
        }
    }
    println!("{} values compared", comparison.values);
}

#[test]
fn projections_are_those_of_the_reference() {
    let reference = npz("stage_project.npz");
    let (query, spectra) = (&reference["query_counts"], &reference["reference"]);
    let (n, g, k) = (query.shape[0], query.shape[1], spectra.shape[0]);
    let names = numbered(n, g);
    let known = Reference {
        programs: (1..=k).map(|t| format!("GEP{t}")).collect(),
        genes: names.genes.clone(),
        spectra: spectra.values.clone(),
    };
    let mut comparison = Comparison::default();
    for (rule, name, tolerance) in [(Rule::Peer, "usage_mu", 1e-10), (Rule::Exact, "usage_exact", 1e-8)] {
        let mut rows = Dense::row_major(n, g, &query.values).unwrap();
        let found = project(&Run::new(), &mut rows, &names, &known, rule).unwrap();
        comparison.relative(name, &found.usages, &reference[name].values, tolerance);
        if rule == Rule::Exact {
            comparison.relative(name, &found.shares(), &reference["usage_exact_normalised"].values, tolerance);
        }
        assert!(found.missing.is_empty());
    }
    println!("{} values compared", comparison.values);
}
