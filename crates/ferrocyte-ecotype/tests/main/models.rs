//! Trained models, ensembles and scaling against the reference.

use ferrocyte_base::Run;
use ferrocyte_ecotype::{
    EnsembleOptions, Labels, Mode, Model, TrainOptions, scale, scale_by_groups, train, train_ensemble,
};
use ferrocyte_io::NamedMatrix;
use serde_json::Value;

use crate::files::{Case, Meta, assert_matrix, assert_near, expression};

fn options(case: &Case) -> TrainOptions {
    let params = &case.json["params"];
    let usual = TrainOptions { mode: Mode::Compat, ..TrainOptions::default() };
    TrainOptions {
        scale: params["scale"].as_bool().unwrap_or(usual.scale),
        balance_sample: params["balance.sample"].as_bool().unwrap_or(usual.balance_sample),
        nfeature: case.whole("nfeature").unwrap_or(usual.nfeature),
        nfeature_per_se: match &params["nfeature.per.se"] {
            Value::Null => usual.nfeature_per_se,
            Value::String(_) => None,
            number => number.as_u64().map(|n| n as usize),
        },
        min_cells: case.whole("min.cells").unwrap_or(usual.min_cells),
        downsample: case.whole("downsample").unwrap_or(usual.downsample),
        seed: case.whole("seed").unwrap_or(2024) as u64,
        ..usual
    }
}

/// Rows may change places where their sums agree, so they are compared by name.
fn assert_model(model: &Model, expected: &NamedMatrix) {
    assert_eq!(model.classes, expected.column_names);
    let names: Vec<String> = model.features.iter().map(ToString::to_string).collect();
    assert_eq!(names.len(), expected.row_names.len(), "{names:?} {:?}", expected.row_names);
    for (i, name) in expected.row_names.iter().enumerate() {
        let row = names.iter().position(|n| n == name).unwrap_or_else(|| panic!("no feature {name}"));
        assert_near(name, model.weights.row(row), expected.row(i), 1e-10, 1e-13);
    }
}

fn strings(case: &Case, name: &str, meta: &Meta) -> Option<Vec<String>> {
    let column = match &case.json["params"][name] {
        Value::String(column) => column.clone(),
        Value::Null if case.json["params"].get(name).is_some() => return None,
        _ => name.to_owned(),
    };
    Some(meta.column(&column))
}

#[test]
fn models_are_those_of_the_reference() {
    for case in Case::of("train") {
        let (mut x, meta) = case.cells();
        let (types, label) = (strings(&case, "CellType", &meta).unwrap(), strings(&case, "SE", &meta).unwrap());
        let sample = strings(&case, "Sample", &meta);
        let labels = Labels { cell_type: &types, label: &label, sample: sample.as_deref() };
        let trained = train(&Run::new(), &mut x, &labels, true, &options(&case)).unwrap();
        let outputs = &case.json["outputs"];
        let order: Vec<&str> = trained.models.iter().map(|m| m.cell_type.as_str()).collect();
        assert_eq!(Value::from(order), outputs["types_in_order"], "{}", case.folder.display());
        for (model, basis) in trained.models.iter().zip(&trained.bases) {
            assert_model(model, &case.matrix(&outputs["W"][&model.cell_type]));
            if !outputs["intermediate"].is_null() {
                let text = std::fs::read_to_string(case.path(&outputs["intermediate"])).unwrap();
                let of_type = &serde_json::from_str::<Value>(&text).unwrap()[&model.cell_type];
                assert_eq!(Value::from(basis.genes.clone()), of_type["features_in_order"]);
                assert_eq!(Value::from(basis.cells.clone()), of_type["cells_in_order"]);
            }
        }
    }
}

#[test]
fn ensembles_agree_with_the_reference() {
    for case in Case::of("aggregate") {
        let (mut x, meta) = case.cells();
        let (types, label) = (meta.column("CellType"), meta.column("SE"));
        let sample = meta.column("Sample");
        let labels = Labels { cell_type: &types, label: &label, sample: Some(&sample) };
        let params = &case.json["params"];
        let ensemble = EnsembleOptions {
            seeds: params["seeds"].as_array().unwrap().iter().map(|s| s.as_u64().unwrap()).collect(),
            delta_threshold: params["delta.threshold"].as_f64().unwrap(),
            min_model_fraction: params["min.model.fraction"].as_f64().unwrap(),
            keep_runs: true,
        };
        let found = train_ensemble(&Run::new(), &mut x, &labels, true, &options(&case), &ensemble).unwrap();
        for aggregate in &found.aggregates {
            assert_model(&aggregate.model, &case.matrix(&case.json["outputs"]["A"][&aggregate.model.cell_type]));
        }
        for model in &found.runs[0] {
            let name = case.json["outputs"]["run1"].as_str().unwrap().replace("<type>", &model.cell_type);
            assert_model(model, &case.matrix(&Value::from(name)));
        }
    }
}

#[test]
fn scaling_is_that_of_the_reference() {
    for case in Case::of("scale / znorm") {
        let inputs = &case.json["inputs"];
        let x = expression(&case.matrix(&inputs["x"]));
        let groups = Meta::read(&case.path(&inputs["groups"])).column("group");
        let outputs = &case.json["outputs"];
        let (z, grouped) = (scale(&x).transpose(), scale_by_groups(&x, &groups).unwrap().transpose());
        assert_matrix("scaled", &z, &case.matrix(&outputs["z"]), 1e-12, 1e-13);
        assert_matrix("scaled, sparse", &z, &case.matrix(&outputs["z_sparse_path"]), 1e-12, 1e-13);
        assert_matrix("scaled by groups", &grouped, &case.matrix(&outputs["z_grouped"]), 1e-12, 1e-13);
    }
}
