//! Scores, labels and mixtures against the reference and against the optimum.

use ferrocyte_base::Run;
use ferrocyte_ecotype::{
    Draws, Expression, MixtureOptions, Mode, PredictOptions, RecoverOptions, Recovered, Rng, Scores, deconvolute,
    predict, recover, start, train_w,
};
use ferrocyte_io::NamedMatrix;
use ferrocyte_math::linalg::Matrix;
use serde_json::Value;

use crate::files::{Case, Meta, assert_near, expression, places};

fn options(variant: &Value, mode: Mode) -> PredictOptions {
    let chunk = variant["ncell.per.run"].as_u64().or_else(|| variant["nsample.per.run"].as_u64());
    PredictOptions {
        mode,
        scale: variant["scale"].as_bool().unwrap_or(false),
        sum_to_one: variant["sum2one"].as_bool().unwrap_or(true),
        cells_per_run: chunk.unwrap_or(500) as usize,
    }
}

fn assert_scores(what: &str, found: &Scores, cells: &[String], expected: &NamedMatrix, relative: f64, absolute: f64) {
    for (i, name) in expected.row_names.iter().enumerate() {
        let cell = cells.iter().position(|c| c == name).unwrap();
        assert_near(what, found.values.row(cell), expected.row(i), relative, absolute);
    }
}

fn iterations(value: &Value) -> Vec<usize> {
    value.as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect()
}

#[test]
fn scores_are_those_of_the_reference() {
    for case in Case::of("predict") {
        let params = &case.json["params"];
        let outputs = &case.json["outputs"];
        let model = case.model("B", &case.json["inputs"]["W"]);
        if params["variants"].is_null() {
            let x = expression(&case.matrix(&case.json["inputs"]["x"]));
            let found = predict(&Run::new(), &x, &model, &options(params, Mode::Compat)).unwrap();
            assert_scores("few genes", &found, x.cells(), &case.matrix(&outputs["H"]), 0.0, 0.0);
            continue;
        }
        let (x, meta) = case.cells();
        let types = meta.column("CellType");
        let wanted = params["cell_type"].as_str().unwrap();
        let x = x.take_cells(&(0..types.len()).filter(|&i| types[i] == wanted).collect::<Vec<_>>());
        for (name, variant) in params["variants"].as_object().unwrap() {
            let found = predict(&Run::new(), &x, &model, &options(variant, Mode::Compat)).unwrap();
            assert_scores(name, &found, x.cells(), &case.matrix(&outputs[name]), 1e-8, 1e-10);
            assert_eq!(found.iterations, iterations(&outputs["iterations"][name]), "{name}");
        }
        for (name, variant) in [("exact", "one"), ("exact_raw", "raw")] {
            let found = predict(&Run::new(), &x, &model, &options(&params["variants"][variant], Mode::Exact)).unwrap();
            assert_scores(name, &found, x.cells(), &case.matrix(&outputs[name]), 0.0, 1e-7);
        }
        let h0 = case.matrix(&case.json["inputs"]["H0_for_one"]);
        let found = start(&x, &model, true);
        let order = if h0.column_names.len() == x.n_cells() { found.transpose() } else { found };
        assert_near("H0", order.entries(), &h0.values, 1e-12, 0.0);
    }
}

fn assert_labels(found: &Recovered, expected: &Meta, scores: &[f64], absolute: f64) {
    let (best, label) = (expected.column("InitSE"), expected.column("SE"));
    for (cell, at) in places(&found.cells, &expected.ids).into_iter().enumerate() {
        let off = (found.score[at] - scores[cell]).abs();
        assert!(off <= absolute, "{}: {} is not {}", expected.ids[cell], found.score[at], scores[cell]);
        if absolute < 1e-3 || found.margin[at] > 0.05 {
            assert!(scores[cell] == 0.0 || found.best[at] == best[cell], "{}", expected.ids[cell]);
        }
        if absolute < 1e-3 {
            assert_eq!(found.label[at], label[cell], "{}", expected.ids[cell]);
        }
    }
}

#[test]
fn labels_are_those_of_the_reference() {
    for case in Case::of("recover") {
        let inputs = &case.json["inputs"];
        let x = expression(&case.matrix(&inputs["x"]));
        let meta = Meta::read(&case.path(&inputs["celltypes"]));
        let x = x.take_cells(&places(x.cells(), &meta.ids));
        let models: Vec<_> = inputs["W"].as_object().unwrap().iter().map(|(of, path)| case.model(of, path)).collect();
        let params = &case.json["params"];
        let expected = Meta::read(&case.path(&case.json["outputs"]["result"]));
        let scores: Vec<f64> = expected.column("PredScore").iter().map(|s| s.parse().unwrap()).collect();
        for (mode, absolute) in [(Mode::Compat, 1e-9), (Mode::Exact, 0.1)] {
            let options = RecoverOptions {
                mode,
                scale: params["scale"].as_bool().unwrap(),
                cells_per_run: case.whole("ncell.per.run").unwrap(),
                min_score: params["min.score"].as_f64().unwrap(),
                ..RecoverOptions::default()
            };
            let found = recover(&Run::new(), &x, &meta.column("CellType"), &models, true, &options).unwrap();
            assert_labels(&found, &expected, &scores, absolute);
            if mode == Mode::Compat {
                let made: Vec<usize> = found.iterations.iter().flat_map(|(_, n)| n.clone()).collect();
                assert_eq!(made, iterations(&case.json["outputs"]["iterations"]));
            }
        }
    }
}

/// A table of genes × samples.
fn samples(case: &Case, name: &str) -> Expression {
    expression(&case.matrix(&case.json["inputs"][name]))
}

#[test]
fn weights_of_mixtures_are_those_of_the_reference() {
    for case in Case::of("train_w") {
        let table = case.matrix(&case.json["inputs"]["fractions"]);
        let x = samples(&case, "expr");
        let mut x = x.take_cells(&places(x.cells(), &table.row_names));
        let fractions = Matrix::from_rows(table.row_names.len(), table.column_names.len(), table.values.clone());
        let given = case.model("mixture", &case.json["inputs"]["W0"]);
        let seed = case.whole("seed_before_call").unwrap() as u64;
        let params = &case.json["params"];
        for (mode, start, output, relative, absolute) in [
            (Mode::Compat, Some(&given), "W", 1e-9, 1e-12),
            (Mode::Compat, None, "W", 1e-9, 1e-12),
            (Mode::Exact, None, "W_exact", 0.0, 1e-7),
        ] {
            let options = MixtureOptions {
                mode,
                scale: params["scale"].as_bool().unwrap(),
                nfeature: case.whole("nfeature").unwrap(),
                nfeature_per_se: params["nfeature.per.se"].as_u64().map(|n| n as usize),
            };
            let mut draws = Draws::new(Rng::R, seed, "");
            let model =
                train_w(&Run::new(), &mut x, &fractions, &table.column_names, true, start, &mut draws, &options)
                    .unwrap();
            let expected = case.matrix(&case.json["outputs"][output]);
            let names: Vec<String> = model.features.iter().map(ToString::to_string).collect();
            assert_eq!(names.len(), expected.row_names.len());
            for (i, row) in places(&names, &expected.row_names).into_iter().enumerate() {
                assert_near(&names[row], model.weights.row(row), expected.row(i), relative, absolute);
            }
        }
    }
}

#[test]
fn mixtures_are_taken_apart_as_by_the_reference() {
    for case in Case::of("deconvolute") {
        let (x, model) = (samples(&case, "bulk"), case.model("mixture", &case.json["inputs"]["W"]));
        let params = &case.json["params"];
        for (name, variant) in params["variants"].as_object().unwrap() {
            let options =
                PredictOptions { scale: params["scale"].as_bool().unwrap(), ..options(variant, Mode::Compat) };
            let found = deconvolute(&Run::new(), &x, &model, true, &options).unwrap();
            let expected = case.matrix(&case.json["outputs"][name]);
            assert_scores(name, &found, x.cells(), &expected, 1e-8, 1e-10);
        }
        let options = PredictOptions { scale: true, ..PredictOptions::default() };
        let found = deconvolute(&Run::new(), &x, &model, true, &options).unwrap();
        assert_scores("exact", &found, x.cells(), &case.matrix(&case.json["outputs"]["exact"]), 0.0, 1e-7);
    }
}
