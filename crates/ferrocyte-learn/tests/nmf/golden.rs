//! Single factorisations, refits and starts of `single_*`, exact refits of `stage_*`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ferrocyte_base::Run;
use ferrocyte_learn::nmf::{
    Factorisation, Input, Job, Loss, Options, Precision, Rule, Solver, Start, Stop, Values, factorise, initial, nndsvd,
    refit, replicates,
};
use ferrocyte_math::linalg::{Matrix, symmetric_eigen};
use ferrocyte_math::mersenne_twister::MersenneTwister;
use serde_json::Value;

use crate::npz::{self, Array, arrays, json};

type Arrays = BTreeMap<String, Array>;

fn file(name: &str) -> PathBuf {
    npz::golden().with_file_name("cnmf").join(name)
}

/// A matrix with factors to begin with.
pub(crate) struct Case {
    pub(crate) dense: Vec<f64>,
    pub(crate) n: usize,
    pub(crate) g: usize,
    w0: Vec<f64>,
    h0: Vec<f64>,
}

fn dense_of(arrays: &Arrays, name: &str, n: usize, g: usize) -> Vec<f64> {
    let part = |what: &str| &arrays[&format!("{name}_{what}")].values;
    let (data, indices, starts) = (part("data"), part("indices"), part("indptr"));
    let mut dense = vec![0.0; n * g];
    for i in 0..n {
        (starts[i] as usize..starts[i + 1] as usize).for_each(|at| dense[i * g + indices[at] as usize] = data[at]);
    }
    dense
}

/// The input that a case describes in words.
pub(crate) fn case(words: &str) -> Case {
    if words.contains("rank1") {
        let a = arrays(&file("single_rank1_inputs.npz"));
        let take = |name: &str| a[name].values.clone();
        let shape = &a["X"].shape;
        return Case { dense: take("X"), n: shape[0], g: shape[1], w0: take("W0"), h0: take("H0") };
    }
    let a = arrays(&file("single_inputs.npz"));
    let (n, g) = (a["dense"].shape[0], a["dense"].shape[1]);
    let mut dense = if words.starts_with("dense") { a["dense"].values.clone() } else { dense_of(&a, "sparse", n, g) };
    let mut h0 = a["H0"].values.clone();
    if words.contains("row 3 and column 4 set to zero") {
        dense[3 * g..4 * g].fill(0.0);
        (0..n).for_each(|i| dense[i * g + 4] = 0.0);
    }
    if words.contains("column 6 := column 5") {
        (0..n).for_each(|i| dense[i * g + 6] = dense[i * g + 5]);
    }
    if words.contains("row 1 of H0 set to zero") {
        h0[g..2 * g].fill(0.0);
    }
    Case { dense, n, g, w0: a["W0"].values.clone(), h0 }
}

/// Compressed rows of a dense matrix.
pub(crate) fn compressed(dense: &[f64], g: usize) -> (Vec<usize>, Vec<u32>, Vec<f64>) {
    let (mut starts, mut indices, mut values) = (vec![0], Vec::new(), Vec::new());
    for row in dense.chunks_exact(g) {
        let mine = row.iter().enumerate().filter(|(_, x)| **x != 0.0);
        mine.for_each(|(j, x)| {
            indices.push(j as u32);
            values.push(*x);
        });
        starts.push(values.len());
    }
    (starts, indices, values)
}

fn options(about: &Value) -> Options {
    let args = &about["args"];
    let number = |name: &str| args[name].as_f64().unwrap();
    let loss = match &args["beta_loss"] {
        Value::Null => Loss::FROBENIUS,
        Value::String(word) => Loss::from_word(word).unwrap(),
        other => Loss::beta(other.as_f64().unwrap()).unwrap(),
    };
    Options {
        loss,
        solver: Solver::from_word(args["solver"].as_str().unwrap()).unwrap(),
        tolerance: number("tol"),
        max_iterations: args["max_iter"].as_u64().unwrap() as usize,
        alpha_w: number("alpha_W"),
        alpha_h: number("alpha_H"),
        l1_ratio: number("l1_ratio"),
        precision: if about["dtype"] == "float32" { Precision::Single } else { Precision::Double },
        trace: true,
        ..Options::default()
    }
}

/// The largest difference as a share of the largest expected size; counts what it compared.
fn compare(name: &str, found: &[f64], expected: &[f64], tolerance: f64, compared: &mut usize) {
    assert_eq!(found.len(), expected.len(), "{name}: number of values");
    let largest = expected.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
    let off = found.iter().zip(expected).fold(0.0_f64, |m, (a, b)| m.max((a - b).abs()));
    assert!(off <= tolerance * largest && found.iter().all(|x| x.is_finite()), "{name}: {off:e} of {largest:e}");
    *compared += found.len();
}

#[test]
fn single_factorisations_meet_the_reference() {
    let index = json(&file("single_index.json"));
    let cases = index["cases"].as_object().unwrap();
    assert!(!cases.is_empty());
    let mut compared = 0;
    for (name, about) in cases {
        let input = case(about["input"].as_str().unwrap());
        let reference = arrays(&file(&format!("single_{name}.npz")));
        let options = options(about);
        let k = about["args"]["n_components"].as_u64().unwrap() as usize;
        let (starts, indices, values) = compressed(&input.dense, input.g);
        let single: Vec<f32> = values.iter().map(|x| *x as f32).collect();
        let values = match options.precision {
            Precision::Double => Values::Double(&values),
            Precision::Single => Values::Single(&single),
        };
        let x = Input::rows(&starts, &indices, values, input.n, input.g).unwrap();
        let (tolerance, off_by) = if options.precision == Precision::Single { (1e-4, 1) } else { (1e-10, 0) };
        let run = Run::new().threads(1);
        if let Some(which) = about["H_fixed"].as_str() {
            let mut h = arrays(&file("single_cd_sparse.npz"))["H"].values.clone();
            if which.contains("plus 0.001") {
                h.iter_mut().for_each(|x| *x += 0.001);
            }
            let found = refit(&run, &x, &h, k, &options, Rule::Peer).unwrap();
            assert_eq!(found.iterations as u64, about["n_iter"].as_u64().unwrap(), "{name}");
            compare(name, &found.w, &reference["W"].values, tolerance, &mut compared);
            compare(name, &found.trace.objective, &reference["trace_objective"].values, tolerance, &mut compared);
            compare(name, &[found.objective], &[about["objective"].as_f64().unwrap()], tolerance, &mut compared);
            continue;
        }
        let start = Start::Given { w: &input.w0, h: &input.h0 };
        let fit = |options: &Options| -> Factorisation {
            factorise(&run, &x, options, &[Job { components: k, start }]).unwrap().remove(0)
        };
        let found = fit(&options);
        let n_iter = about["n_iter"].as_u64().unwrap() as usize;
        assert!(found.iterations.abs_diff(n_iter) <= off_by, "{name}: {} iterations, not {n_iter}", found.iterations);
        assert!(found.trace.objective.windows(2).all(|w| w[1] <= w[0] * (1.0 + 1e-6)), "{name}: the loss rises");
        compare(name, &found.w, &reference["W"].values, tolerance, &mut compared);
        compare(name, &found.h, &reference["H"].values, tolerance, &mut compared);
        if found.iterations == n_iter {
            let traces = [
                ("trace_objective", &found.trace.objective),
                ("trace_violation_W", &found.trace.violation_w),
                ("trace_violation_H", &found.trace.violation_h),
            ];
            for (which, trace) in traces {
                if let Some(expected) = reference.get(which) {
                    compare(&format!("{name} {which}"), trace, &expected.values, tolerance, &mut compared);
                }
            }
        }
        for (which, expected) in &reference {
            if let Some(i) = which.strip_prefix("W_iter").or(which.strip_prefix("H_iter")) {
                let early = fit(&Options { tolerance: 0.0, max_iterations: i.parse().unwrap(), ..options });
                let found = if which.starts_with('W') { &early.w } else { &early.h };
                compare(&format!("{name} {which}"), found, &expected.values, tolerance, &mut compared);
            }
        }
    }
    println!("{compared} values of {} cases compared", cases.len());
}

#[test]
fn random_numbers_and_starts_meet_the_reference() {
    let index = json(&file("single_index.json"));
    for (seed, about) in index["rng"].as_object().unwrap() {
        let seed: u32 = seed.parse().unwrap();
        let expected =
            |name: &str| -> Vec<f64> { about[name].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect() };
        let seeds: Vec<f64> = replicates(seed, &[5], 1000).iter().map(|r| f64::from(r.seed)).collect();
        assert_eq!(seeds[..12], expected("replicate_seeds_first_12"));
        assert_eq!(seeds[997..], expected("replicate_seeds_last_3"));
        let mut draws = MersenneTwister::new(seed);
        let normals: Vec<f64> = (0..8).map(|_| draws.normal()).collect();
        compare("normals", &normals, &expected("standard_normal_first_8"), 1e-15, &mut 0);
    }
    let input = case("sparse");
    let x = Input::dense(Values::Double(&input.dense), input.n, input.g).unwrap();
    let reference = arrays(&file("single_init.npz"));
    let mut n_starts = 0;
    for (name, expected) in &reference {
        let Some(seed) = name.strip_prefix("random_").and_then(|s| s.strip_suffix("_W")) else { continue };
        let start = Start::Random(seed.parse().unwrap());
        let (w, h) = initial(&Run::new(), &x, expected.shape[1], start).unwrap();
        compare(name, &w, &expected.values, 1e-14, &mut 0);
        compare(name, &h, &reference[&format!("random_{seed}_H")].values, 1e-14, &mut 0);
        n_starts += 1;
    }
    assert_eq!(n_starts, 3);
}

#[test]
fn starts_from_singular_vectors_meet_the_reference() {
    let input = case("sparse");
    let reference = arrays(&file("single_init.npz"));
    let k = reference["svd_S"].values.len();
    let v = Matrix::from_rows(k, input.g, reference["svd_V"].values.clone());
    let u = Matrix::from_rows(input.n, k, reference["svd_U"].values.clone()).transpose();
    let mean = input.dense.iter().sum::<f64>() / input.dense.len() as f64;
    let x = Input::dense(Values::Double(&input.dense), input.n, input.g).unwrap();
    let rows = Matrix::from_rows(input.n, input.g, input.dense.clone());
    let (all_values, vectors) = symmetric_eigen(&rows.times(&rows.transpose())).unwrap();
    let own_values: Vec<f64> = all_values.iter().rev().take(k).map(|x| x.sqrt()).collect();
    let turned = vectors.transpose();
    let last = |t: usize| turned.row(input.n - 1 - t).to_vec();
    let own_u = Matrix::from_rows(k, input.n, (0..k).flat_map(last).collect());
    let mut own_v = own_u.times(&rows);
    (0..k).for_each(|t| own_v.row_mut(t).iter_mut().for_each(|x| *x /= own_values[t]));
    for (name, start) in
        [("nndsvd", Start::Nndsvd), ("nndsvda", Start::NndsvdMean), ("nndsvdar", Start::NndsvdRandom(0))]
    {
        let (w, h) = nndsvd(start, &u, &reference["svd_S"].values, &v, mean);
        let expected = |factor: &str| &reference[&format!("{name}_{factor}")].values;
        compare(name, &w, expected("W"), 1e-12, &mut 0);
        compare(name, &h, expected("H"), 1e-12, &mut 0);
        // From our own singular vectors: those of the columns, here found from the rows. (The reference's were found at
        // random, and its last ones, whose values lie close together, are not exact.)
        let expected = nndsvd(start, &own_u, &own_values, &own_v, mean);
        let (w, h) = initial(&Run::new(), &x, k, start).unwrap();
        compare(name, &w, &expected.0, 1e-9, &mut 0);
        compare(name, &h, &expected.1, 1e-9, &mut 0);
    }
}

#[test]
fn refits_of_the_stage_meet_the_reference_and_the_optimum() {
    let inputs = arrays(&file("stage_inputs.npz"));
    let spectra = inputs.iter().find(|(name, _)| name.contains("spectra")).unwrap().1;
    let (k, g) = (spectra.shape[0], spectra.shape[1]);
    let name = inputs.keys().find(|name| name.starts_with("norm") && name.ends_with("_indptr")).unwrap();
    let name = name.trim_end_matches("_indptr");
    let n = inputs[&format!("{name}_indptr")].values.len() - 1;
    let dense = dense_of(&inputs, name, n, g);
    let x = Input::dense(Values::Double(&dense), n, g).unwrap();
    let run = Run::new();
    let cd = arrays(&file("stage_cd.npz"));
    let options = Options::default();
    let peer = refit(&run, &x, &spectra.values, k, &options, Rule::Peer).unwrap();
    compare("usage_refit", &peer.w, &cd["usage_refit"].values, 1e-10, &mut 0);
    let exact = refit(&run, &x, &spectra.values, k, &options, Rule::Exact).unwrap();
    compare("usage_exact_nnls", &exact.w, &cd["usage_exact_nnls"].values, 1e-8, &mut 0);
    assert!(exact.objective <= peer.objective);
    let single = Options { precision: Precision::Single, ..options };
    let single = refit(&run, &x, &spectra.values, k, &single, Rule::Peer).unwrap();
    compare("usage_refit_float32", &single.w, &cd["usage_refit_float32"].values, 1e-4, &mut 0);
    let kl = arrays(&file("stage_kl.npz"));
    let updates = Options { loss: Loss::KULLBACK_LEIBLER, solver: Solver::Multiplicative, ..options };
    let peer = refit(&run, &x, &spectra.values, k, &updates, Rule::Peer).unwrap();
    compare("usage_refit of kl", &peer.w, &kl["usage_refit"].values, 1e-10, &mut 0);
    // The optimum is where updates go on to, and no worse than wherever they are.
    let exact = refit(&run, &x, &spectra.values, k, &updates, Rule::Exact).unwrap();
    assert_eq!(exact.stop, Stop::Converged);
    let long = Options { tolerance: 0.0, max_iterations: 3000, ..updates };
    let long = refit(&run, &x, &spectra.values, k, &long, Rule::Peer).unwrap();
    assert!(exact.objective <= long.objective && long.objective < peer.objective);
    assert!((long.objective - exact.objective) < 1e-5 * exact.objective);
    compare("usages of kl at the optimum", &long.w, &exact.w, 2e-3, &mut 0);
}

#[test]
fn projections_meet_the_reference_and_the_optimum() {
    let stage = arrays(&file("stage_project.npz"));
    let reference = &stage["reference"];
    let (k, g) = (reference.shape[0], reference.shape[1]);
    let counts = &stage["query_counts"];
    let n = counts.shape[0];
    assert_eq!(counts.shape[1], g);
    let spread = |j: usize| {
        let column: Vec<f64> = (0..n).map(|i| counts.values[i * g + j]).collect();
        let mean = column.iter().sum::<f64>() / n as f64;
        let variance = column.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n as f64;
        if variance > 0.0 { variance.sqrt() } else { 1.0 }
    };
    let spreads: Vec<f64> = (0..g).map(spread).collect();
    let dense: Vec<f64> = counts.values.iter().enumerate().map(|(at, x)| x / spreads[at % g]).collect();
    let x = Input::dense(Values::Double(&dense), n, g).unwrap();
    let updates = Options { solver: Solver::Multiplicative, ..Options::default() };
    let run = Run::new();
    let peer = refit(&run, &x, &reference.values, k, &updates, Rule::Peer).unwrap();
    compare("usage_mu", &peer.w, &stage["usage_mu"].values, 1e-10, &mut 0);
    let exact = refit(&run, &x, &reference.values, k, &updates, Rule::Exact).unwrap();
    compare("usage_exact", &exact.w, &stage["usage_exact"].values, 1e-8, &mut 0);
}
