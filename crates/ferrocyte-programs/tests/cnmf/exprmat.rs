//! The exprmat variant: `exprmat_*`.

use ferrocyte_base::Run;
use ferrocyte_learn::nmf::replicates;
use ferrocyte_programs::{
    ConsensusOptions, Dialect, Expression, FactoriseOptions, Genes, PrepareOptions, SparseRows, consensus, prepare,
    select,
};

use crate::files::{Comparison, file, npz, numbered, sparse, stream};
use crate::npz::json;
use crate::runs::{make, pool};

#[test]
fn the_exprmat_variant_meets_the_reference() {
    let index = json(&file("exprmat_index.json"));
    let config = &index["config"];
    let inputs = npz("exprmat_inputs.npz");
    let shape = inputs["shape"].integers();
    let (n, g) = (shape[0] as usize, shape[1] as usize);
    let counts = sparse(&inputs, "counts", g);
    let norm =
        SparseRows::new(g, counts.starts().to_vec(), counts.columns().to_vec(), inputs["norm_data"].values.clone())
            .unwrap();
    let mask = inputs["hvg"].integers();
    let names = numbered(n, mask.len());
    let listed = (0..mask.len()).filter(|&j| mask[j] == 1).map(|j| names.genes[j].clone()).collect();
    let (genes, dialect) = (Genes::Listed(listed), Dialect::Exprmat);
    let options = PrepareOptions { genes, dialect, ..PrepareOptions::default() };
    let run = Run::new();
    let mut rows = stream(&norm);
    let given = Expression { rows: &mut rows, cells: Vec::new() };
    let prepared = prepare(&run, &mut stream(&counts), Some(given), &names, &options).unwrap();
    let ks: Vec<usize> = config["ks"].as_array().unwrap().iter().map(|k| k.as_u64().unwrap() as usize).collect();
    let number = |name: &str| config[name].as_u64().unwrap() as usize;
    let jobs = replicates(number("nseed") as u32, &ks, number("n_iter"));
    let replicas = make(&run, &prepared, &jobs).unwrap();
    let mut comparison = Comparison::default();
    let fit = FactoriseOptions::default();
    let options = ConsensusOptions { dialect, ..ConsensusOptions::default() };
    for &k in &ks {
        let found = select(&run, &pool(k, &prepared, &replicas).unwrap(), &prepared.x, &fit, &options).unwrap();
        let expected = &index["stats"]["ncpus1"][k.to_string()];
        comparison.absolute("silhouette", &[found.silhouette.unwrap()], &[expected[2].as_f64().unwrap()], 1e-9);
        comparison.relative("error", &[found.prediction_error], &[expected[3].as_f64().unwrap()], 1e-10);
    }
    let k = number("k");
    let pool = pool(k, &prepared, &replicas).unwrap();
    let found = consensus(&run, &pool, &prepared, &mut stream(&norm), &fit, &options).unwrap();
    let outputs = npz("exprmat_outputs.npz");
    let of = |name: &str| &outputs[name].values;
    comparison.relative("merged", &pool.spectra, of("ncpus1_merged"), 1e-9);
    comparison.absolute("local_density", &found.clusters.density, of("local_density"), 1e-7);
    comparison.relative("consensus_spectra", &found.programs.spectra, of("consensus_spectra"), 1e-8);
    comparison.relative("spectra_tpm", &found.programs.spectra_tpm, of("spectra_tpm"), 1e-8);
    comparison.relative("usage_coef", &found.programs.scores, of("usage_coef"), 1e-8);
    comparison.relative("usages", &found.programs.usages, of("usages"), 1e-8);
    println!("{} values compared", comparison.values);
}
