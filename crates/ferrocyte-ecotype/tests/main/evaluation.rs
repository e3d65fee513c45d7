//! Cross-validation, measures, pseudobulks, factorisations and random numbers against the reference.

use ferrocyte_base::Run;
use ferrocyte_ecotype::nmf::{ClusterOptions, Method, NmfOptions, RankRule, factorise, nmf_clustering, select_rank};
use ferrocyte_ecotype::{
    CrossValidation, Draws, Labels, Metric, Mode, RecoverOptions, Rng, Scheme, TrainOptions, cross_validate, metrics,
    pseudobulks,
};
use ferrocyte_io::NamedMatrix;
use ferrocyte_math::linalg::Matrix;
use ferrocyte_math::r_stream::RStream;
use serde_json::Value;

use crate::files::{Case, Meta, assert_matrix, assert_near, expression, places};

fn matrix(table: &NamedMatrix) -> Matrix {
    Matrix::from_rows(table.row_names.len(), table.column_names.len(), table.values.clone())
}

fn json(case: &Case, entry: &Value) -> Value {
    serde_json::from_str(&std::fs::read_to_string(case.path(entry)).unwrap()).unwrap()
}

/// A number, which may stand as text, or numbers.
fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(items) => items.iter().flat_map(numbers).collect(),
        Value::String(text) => vec![text.parse().unwrap()],
        Value::Null => vec![f64::NAN],
        other => vec![other.as_f64().unwrap()],
    }
}

fn counted_from_1(drawn: Vec<usize>) -> Vec<f64> {
    drawn.into_iter().map(|i| i as f64 + 1.0).collect()
}

#[test]
fn random_numbers_are_those_of_r() {
    for case in Case::of("rng") {
        for stream in json(&case, &case.json["outputs"]["streams"]).as_array().unwrap() {
            let seed = stream["seed"].as_i64().unwrap() as u32;
            for (name, expected) in stream.as_object().unwrap().iter().filter(|(name, _)| *name != "seed") {
                let mut draws = RStream::new(seed);
                let words: Vec<&str> = name.split('_').collect();
                let whole = |i: usize| words[i].parse::<usize>().unwrap();
                let wanted = numbers(expected).len();
                let found: Vec<f64> = match words[0] {
                    "runif" => (0..wanted).map(|_| draws.uniform()).collect(),
                    "rnorm" => (0..wanted).map(|_| draws.normal()).collect(),
                    "sample" if words[1] == "replace" => {
                        counted_from_1((0..whole(3)).map(|_| draws.below(whole(2))).collect())
                    }
                    "sample" => counted_from_1(draws.sample(whole(1), whole(2))),
                    "perm" => counted_from_1(draws.sample(whole(1), whole(1))),
                    "two" => {
                        let first = counted_from_1(draws.sample(50, 3));
                        let second = [draws.uniform(), draws.uniform()];
                        [first, second.to_vec(), counted_from_1(draws.sample(6280, 2))].concat()
                    }
                    other => panic!("{other}"),
                };
                let absolute = if words[0] == "rnorm" { 1e-15 } else { 0.0 };
                assert_near(name, &found, &numbers(expected), 0.0, absolute);
            }
        }
    }
}

#[test]
fn cross_validated_labels_are_those_of_the_reference() {
    for case in Case::of("cross_validate") {
        for (name, params) in case.json["params"].as_object().unwrap() {
            let mut with_samples = Case { folder: case.folder.clone(), json: case.json.clone() };
            with_samples.json["inputs"]["use_samples"] = params["use_samples"].clone();
            let (x, meta) = with_samples.cells();
            let (types, label) = (meta.column("CellType"), meta.column("SE"));
            let sample = meta.column("Sample");
            let labels = Labels { cell_type: &types, label: &label, sample: Some(&sample) };
            let whole = |name: &str| params[name].as_u64().unwrap() as usize;
            let training = TrainOptions {
                mode: Mode::Compat,
                nfeature: whole("nfeature"),
                nfeature_per_se: Some(whole("nfeature.per.se")),
                downsample: whole("downsample"),
                ..TrainOptions::default()
            };
            let validation = CrossValidation {
                scheme: Scheme::TrainOnOne,
                repeats: whole("repeats"),
                recover: RecoverOptions { mode: Mode::Compat, ..CrossValidation::default().recover },
            };
            let mut draws = Draws::new(Rng::R, whole("seed_before_call") as u64, "");
            let found = cross_validate(&Run::new(), &x, &labels, true, &training, &validation, &mut draws).unwrap();
            let expected = Meta::read(&case.path(&case.json["outputs"][name]));
            let cells = places(x.cells(), &expected.ids);
            let equal = cells.iter().zip(expected.column("cvPred")).filter(|(c, l)| found.label[**c] == *l).count();
            assert!(equal as f64 >= 0.995 * cells.len() as f64, "{name}: {equal} of {}", cells.len());
        }
    }
}

#[test]
fn measures_are_those_of_the_reference() {
    for case in Case::of("metrics") {
        let labels = Meta::read(&case.path(&case.json["inputs"]["labels"]));
        let column = |name: &str| labels.column(case.json["params"][name].as_str().unwrap_or(name));
        let (truth, predicted) = (column("SE"), column("Pred"));
        let (types, samples) = (labels.column("CellType"), labels.column("Sample"));
        for (name, path) in case.json["outputs"].as_object().unwrap() {
            let metric = Metric::from_word(name.split('_').next().unwrap()).unwrap();
            let of_type = name.contains("_bytype").then_some(&types[..]);
            let of_sample = name.contains("_bysample").then_some(&samples[..]);
            let found = metrics(&truth, &predicted, of_type, of_sample, metric).unwrap();
            let expected = case.matrix(path);
            let (rows, columns) =
                (places(&found.labels, &expected.row_names), places(&found.labels, &expected.column_names));
            assert_eq!(rows.len(), found.labels.len(), "{name}");
            for (i, &row) in rows.iter().enumerate() {
                let values: Vec<f64> = columns.iter().map(|&column| found.matrix[(row, column)]).collect();
                assert_near(name, &values, expected.row(i), 1e-12, 1e-13);
            }
        }
    }
}

#[test]
fn pseudobulks_are_those_of_the_reference() {
    for case in Case::of("pseudobulks") {
        let inputs = &case.json["inputs"];
        let x = expression(&case.matrix(&inputs["counts"]));
        let words: Vec<&str> = inputs["groups"].as_str().unwrap().split(' ').collect();
        let meta = Meta::read(&case.path(&Value::from(words[3])));
        let x = x.take_cells(&places(x.cells(), &meta.ids));
        let mut draws = Draws::new(Rng::R, case.whole("seed_before_call").unwrap() as u64, "");
        let n = case.whole("n_mixtures").unwrap();
        let found = pseudobulks(&Run::new(), &x, &meta.column(words[1]), true, n, &mut draws).unwrap();
        let outputs = &case.json["outputs"];
        assert_matrix("fractions", &found.fractions, &case.matrix(&outputs["fractions"]), 0.0, 1e-13);
        assert_matrix("mixtures", &found.values.transpose(), &case.matrix(&outputs["mixtures"]), 1e-11, 0.0);
    }
}

#[test]
fn ranks_are_chosen_as_by_the_reference() {
    for case in Case::of("select_rank") {
        for profile in json(&case, &case.json["inputs"]["profiles"]).as_array().unwrap() {
            let (coph, ranks) = (numbers(&profile["coph"]), numbers(&profile["ranks"]));
            let ranks: Vec<usize> = ranks.into_iter().map(|r| r as usize).collect();
            for (name, rule) in case.json["params"].as_object().unwrap() {
                let rule = RankRule {
                    threshold: rule["threshold"].as_f64().unwrap(),
                    min_rank: rule["min_rank"].as_u64().unwrap() as usize,
                    window: rule["window"].as_u64().unwrap() as usize,
                    weight: rule["weight"].as_f64().unwrap(),
                };
                let found = select_rank(&coph, &ranks, &rule).unwrap().0;
                assert_eq!(found as u64, profile[name].as_u64().unwrap(), "{profile}: {name}");
            }
        }
    }
}

#[test]
fn updates_are_those_of_the_reference() {
    for case in Case::of("nmf") {
        let inputs = &case.json["inputs"];
        let [v, w0, h0] = ["V", "W0", "H0"].map(|name| matrix(&case.matrix(&inputs[name])));
        let info = json(&case, &case.json["outputs"]["info"]);
        for method in case.json["params"]["methods"].as_array().unwrap() {
            let word = method.as_str().unwrap();
            for most in case.json["params"]["max_iter"].as_array().unwrap() {
                let max_iterations = most.as_u64().unwrap() as usize;
                let options = NmfOptions {
                    method: Method::from_word(word).unwrap(),
                    max_iterations,
                    theta: case.json["params"]["nsNMF_theta"].as_f64().unwrap(),
                };
                let found = factorise(&v, w0.clone(), h0.clone(), &options).unwrap();
                let of = &info[format!("{word}_{max_iterations}")];
                assert_eq!(found.iterations as u64, of["iterations"].as_u64().unwrap(), "{word} {max_iterations}");
                assert_near(word, &[found.objective], &numbers(&of["residual"]), 1e-9, 0.0);
                let (relative, absolute) = if max_iterations > 100 { (1e-6, 1e-9) } else { (1e-10, 1e-13) };
                for (name, factor) in [("W", &found.w), ("H", &found.h)] {
                    let path = case.json["outputs"][name].as_str().unwrap();
                    let path = path.replace("<method>", word).replace("<max_iter>", &max_iterations.to_string());
                    assert_matrix(&path, factor, &case.matrix(&Value::from(path.clone())), relative, absolute);
                }
            }
        }
    }
}

#[test]
fn clusters_are_those_of_the_reference() {
    for case in Case::of("nmf_clustering") {
        let q = matrix(&case.matrix(&case.json["inputs"]["Q"]));
        let options = ClusterOptions {
            ranks: numbers(&case.json["params"]["ranks"]).into_iter().map(|r| r as usize).collect(),
            runs_per_rank: case.whole("nrun.per.rank").unwrap(),
            seed: case.whole("seed").unwrap() as u32,
            ..ClusterOptions::default()
        };
        let found = nmf_clustering(&Run::new(), &q, &options).unwrap();
        let info = json(&case, &case.json["outputs"]["info"]);
        assert_near(
            "seeds",
            &found.seeds.iter().map(|s| f64::from(*s)).collect::<Vec<_>>(),
            &numbers(&info["seeds"]),
            0.0,
            0.0,
        );
        assert_eq!(found.best_rank as u64, info["bestK"].as_u64().unwrap());
        let made: Vec<f64> = found.ranks.iter().flat_map(|of| of.iterations.iter().map(|n| *n as f64)).collect();
        assert_near("iterations", &made, &numbers(&info["iterations_rank_major"]), 0.0, 0.0);
        for of in &found.ranks {
            let path = |name: &str| {
                let path = case.json["outputs"][name].as_str().unwrap().replace("<k>", &of.rank.to_string());
                Value::from(path)
            };
            assert_matrix("consensus", &of.consensus, &case.matrix(&path("consensus")), 0.0, 1e-12);
            let labels: Vec<f64> = of.labels.iter().map(|l| *l as f64).collect();
            assert_near("labels", &labels, &case.matrix(&path("labels")).values, 0.0, 0.0);
            let expected = &info["ranks"][format!("K{}", of.rank)];
            assert_near("cophenetic", &[of.cophenetic], &numbers(&expected["cophenetic"]), 0.0, 1e-4);
            assert_near("residual", &[of.best.objective], &numbers(&expected["best_residual"]), 1e-6, 0.0);
            assert_near("dispersion", &[of.dispersion], &numbers(&expected["dispersion"]), 1e-9, 0.0);
        }
    }
}
