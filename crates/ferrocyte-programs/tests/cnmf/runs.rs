//! Whole runs: `run_*`, from counts to consensus, seeds included.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use ferrocyte_base::{Result, Run};
use ferrocyte_learn::nmf::{Replicate, replicates};
use ferrocyte_programs::{
    Consensus, ConsensusOptions, FactoriseOptions, Genes, PerMillion, Pool, PrepareOptions, Prepared, Replica,
    consensus, factorise, prepare, select,
};
use serde_json::Value;

use crate::files::{Comparison, file, lines, npz, run_counts};
use crate::npz::{Array, array, json};

fn numbers(value: &Value) -> Vec<usize> {
    value.as_array().unwrap().iter().map(|x| x.as_u64().unwrap() as usize).collect()
}

fn npy(path: &Path) -> Array {
    array(&std::fs::read(path).unwrap())
}

/// A table of tab-separated numbers, by column.
fn table(name: &str) -> BTreeMap<String, Vec<f64>> {
    let lines = lines(name);
    let names: Vec<&str> = lines[0].split('\t').collect();
    let column = |at: usize| lines[1..].iter().map(|line| line.split('\t').nth(at).unwrap().parse().unwrap()).collect();
    names.iter().enumerate().map(|(at, name)| ((*name).to_owned(), column(at))).collect()
}

/// All replicas, by k and number.
pub(crate) fn make(run: &Run, prepared: &Prepared, jobs: &[Replicate]) -> Result<Vec<Replica>> {
    let made = Mutex::new(Vec::new());
    factorise(run, &prepared.x, &FactoriseOptions::default(), jobs, &|replica| {
        made.lock().unwrap().push(replica);
        Ok(())
    })?;
    let mut made = made.into_inner().unwrap();
    made.sort_by_key(|r| (r.replicate.components, r.replicate.index));
    Ok(made)
}

pub(crate) fn pool(k: usize, prepared: &Prepared, replicas: &[Replica]) -> Result<Pool> {
    let mine = replicas.iter().filter(|r| r.replicate.components == k).cloned().collect();
    Pool::new(k, prepared.x.n_cols(), mine)
}

#[test]
fn a_whole_run_meets_the_reference() {
    let summary = json(&file("run_summary.json"));
    let config = &summary["config"];
    let (mut counts, names) = run_counts();
    let run = Run::new();
    let genes = Genes::Top(config["hvg"].as_u64().unwrap() as usize);
    let options = PrepareOptions { genes, ..PrepareOptions::default() };
    let prepared = prepare(&run, &mut counts, None, &names, &options).unwrap();
    let mut comparison = Comparison::default();
    compare_prepared(&prepared, &names.genes, &mut comparison);

    let ks = numbers(&config["ks"]);
    let jobs = replicates(config["seed"].as_u64().unwrap() as u32, &ks, config["n_iter"].as_u64().unwrap() as usize);
    let replicas = make(&run, &prepared, &jobs).unwrap();
    let reference = table("run_replicates.tsv");
    let column = |of: &dyn Fn(&Replica) -> f64| replicas.iter().map(of).collect::<Vec<f64>>();
    comparison.same("k", &column(&|r| r.replicate.components as f64), &reference["k"]);
    comparison.same("iter", &column(&|r| r.replicate.index as f64), &reference["iter"]);
    comparison.same("seed", &column(&|r| f64::from(r.replicate.seed)), &reference["seed"]);
    comparison.same("n_iter", &column(&|r| r.iterations as f64), &reference["n_iter"]);
    comparison.relative("sq_error", &column(&|r| r.error), &reference["sq_error"], 1e-10);

    let others = npz("run_merged_other_f32.npz");
    let full = numbers(&config["ks_full"]);
    for &k in &ks {
        let pool = pool(k, &prepared, &replicas).unwrap();
        if full.contains(&k) {
            let expected = npy(&file(&format!("run_merged_k{k}.npy")));
            comparison.relative("merged", &pool.spectra, &expected.values, 1e-9);
            comparison.same("rows", &pool.row_names(), &lines(&format!("run_merged_k{k}_rows.txt")));
        } else {
            comparison.relative("merged f32", &pool.spectra, &others[&format!("k{k}")].values, 1e-6);
        }
    }
    compare_selection(&run, &prepared, &replicas, &mut comparison);
    let neighbourhood = config["ln"].as_f64().unwrap();
    for case in config["cons"].as_array().unwrap() {
        let (k, threshold) = (case[0].as_u64().unwrap() as usize, case[1].as_f64().unwrap());
        let options = ConsensusOptions { density_threshold: threshold, neighbourhood, ..ConsensusOptions::default() };
        let pool = pool(k, &prepared, &replicas).unwrap();
        let mut tpm = PerMillion(&mut counts);
        let found = consensus(&run, &pool, &prepared, &mut tpm, &FactoriseOptions::default(), &options).unwrap();
        compare_consensus(k, threshold, &summary, &pool, &found, &mut comparison);
    }
    println!("{} values compared", comparison.values);
}

fn compare_prepared(prepared: &Prepared, genes: &[String], comparison: &mut Comparison) {
    let reference = npz("run_prepare.npz");
    let judged = prepared.judged.as_ref().unwrap();
    let of = |name: &str| &reference[name].values;
    comparison.relative("mean", &prepared.stats.mean, of("mean"), 1e-8);
    comparison.relative("var", &prepared.stats.variance, of("var"), 1e-8);
    comparison.relative("fano", &judged.fano, of("fano"), 1e-8);
    comparison.relative("expected_fano", &judged.expected, of("expected_fano"), 1e-8);
    comparison.relative("fano_ratio", &judged.ratio, of("fano_ratio"), 1e-8);
    comparison.relative("tpm_std", &prepared.stats.sd(None, 0), of("tpm_std"), 1e-8);
    let selected: Vec<f64> = judged.selected.iter().map(|s| f64::from(u8::from(*s))).collect();
    comparison.same("high_var", &selected, of("high_var"));
    let names: Vec<String> = prepared.genes.iter().map(|&j| genes[j].clone()).collect();
    comparison.same("hvgs", &names, &lines("run_hvgs.txt"));
    comparison.relative("norm_counts", prepared.x.values(), of("norm_counts_data"), 1e-12);
    let auto = ferrocyte_programs::variable_genes(&prepared.stats, &Genes::AUTOMATIC).unwrap();
    let selected: Vec<f64> = auto.selected.iter().map(|s| f64::from(u8::from(*s))).collect();
    comparison.same("high_var_auto", &selected, of("high_var_auto"));
    let abt = [auto.a, auto.b, auto.threshold.unwrap(), auto.min_mean.unwrap()];
    comparison.relative("A_B_T_minmean", &abt, of("A_B_T_minmean_auto"), 1e-8);
}

fn compare_selection(run: &Run, prepared: &Prepared, replicas: &[Replica], comparison: &mut Comparison) {
    let reference = table("run_k_selection.tsv");
    for (row, &k) in reference["k"].iter().enumerate() {
        let pool = pool(k as usize, prepared, replicas).unwrap();
        let options = ConsensusOptions::default();
        let found = select(run, &pool, &prepared.x, &FactoriseOptions::default(), &options).unwrap();
        comparison.absolute("silhouette", &[found.silhouette.unwrap()], &reference["silhouette"][row..=row], 1e-9);
        comparison.relative("error", &[found.prediction_error], &reference["prediction_error"][row..=row], 1e-10);
        comparison.relative("inertia", &[found.inertia], &reference["kmeans_inertia"][row..=row], 1e-8);
        comparison.same("iterations", &[found.iterations as f64], &reference["kmeans_n_iter"][row..=row]);
    }
}

/// The file of a case is the one whose arrays have its k and whose name, which the summary has as a key, its threshold.
fn compare_consensus(
    k: usize,
    threshold: f64,
    summary: &Value,
    pool: &Pool,
    found: &Consensus,
    comparison: &mut Comparison,
) {
    let text = format!("{threshold:?}");
    let reference = npz(&format!("run_consensus_k{k}_dt{}.npz", text.replace('.', "_")));
    let of = |name: &str| &reference[name].values;
    comparison.absolute("local_density", &found.clusters.density, of("local_density"), 1e-7);
    let kept: Vec<f64> = (0..pool.n()).map(|i| f64::from(u8::from(found.clusters.kept.contains(&i)))).collect();
    comparison.same("kept", &kept, of("kept"));
    let labels: Vec<f64> = found.clusters.labels.iter().map(|l| f64::from(l + 1)).collect();
    comparison.same("kmeans_label", &labels, of("kmeans_label"));
    let order: Vec<f64> = found.clusters.order.iter().map(|i| f64::from(*i)).collect();
    comparison.same("clustergram_order", &order, of("clustergram_order"));
    comparison.relative("consensus_spectra", &found.programs.spectra, of("consensus_spectra"), 1e-8);
    comparison.relative("usages", &found.programs.usages, of("usages"), 1e-8);
    comparison.relative("gene_spectra_tpm", &found.programs.spectra_tpm, of("gene_spectra_tpm"), 1e-8);
    comparison.relative("gene_spectra_score", &found.programs.scores, of("gene_spectra_score"), 1e-8);
    comparison.relative("starcat_spectra", &found.programs.reference, of("starcat_spectra"), 1e-8);
    let top = &summary["consensus"][format!("k{k}_dt{text}")]["top50_gene_index"];
    for (t, genes) in found.programs.top_genes(50).into_iter().enumerate() {
        comparison.same("top genes", &genes, &numbers(&top[(t + 1).to_string()]));
    }
}

#[test]
fn bits_of_a_replica_depend_on_nothing_beside_it() {
    let (mut counts, names) = run_counts();
    let options = PrepareOptions { genes: Genes::Top(300), ..PrepareOptions::default() };
    let prepared = prepare(&Run::new(), &mut counts, None, &names, &options).unwrap();
    let jobs = replicates(14, &[5, 7], 6);
    let all = make(&Run::new().threads(2), &prepared, &jobs).unwrap();
    let alone = make(&Run::new().threads(1), &prepared, &jobs[7..8]).unwrap();
    assert_eq!(alone[0], all[7]);
    let some = make(&Run::new().threads(4), &prepared, &[jobs[9], jobs[0], jobs[7], jobs[4]]).unwrap();
    assert_eq!(some, [0, 4, 7, 9].map(|at| all[at].clone()));
}

#[test]
fn planted_programs_are_found() {
    let (mut counts, names) = run_counts();
    let run = Run::new();
    let options = PrepareOptions { genes: Genes::Top(300), ..PrepareOptions::default() };
    let prepared = prepare(&run, &mut counts, None, &names, &options).unwrap();
    let replicas = make(&run, &prepared, &replicates(14, &[8], 10)).unwrap();
    let pool = pool(8, &prepared, &replicas).unwrap();
    let mut tpm = PerMillion(&mut counts);
    let fit = FactoriseOptions::default();
    let found = consensus(&run, &pool, &prepared, &mut tpm, &fit, &ConsensusOptions::default()).unwrap();
    let truth = npz("run_truth.npz");
    let planted = &truth["spectra"];
    for spectrum in planted.values.chunks_exact(planted.shape[1]) {
        let best = found
            .programs
            .spectra_tpm
            .chunks_exact(planted.shape[1])
            .map(|s| correlation(s, spectrum))
            .fold(0.0, f64::max);
        assert!(best > 0.9, "a planted program is found with correlation {best}");
    }
    assert!(found.stability.is_some_and(|s| s.iter().all(|c| *c > 0.99)));
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len() as f64;
    let (ma, mb) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
    let of = |f: &dyn Fn(usize) -> f64| (0..a.len()).map(f).sum::<f64>();
    let cross = of(&|i| (a[i] - ma) * (b[i] - mb));
    cross / (of(&|i| (a[i] - ma).powi(2)) * of(&|i| (b[i] - mb).powi(2))).sqrt()
}
