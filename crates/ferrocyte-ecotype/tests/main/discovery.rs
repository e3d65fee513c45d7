//! Steps of discovery against the reference.

use ferrocyte_base::Run;
use ferrocyte_ecotype::discover::{
    Embedding, FoldChanges, FusionOptions, IntegrateOptions, MetacellOptions, Network, fold_changes, fuse, integrate,
    preprocess, rank_columns, similarity_networks, spatial_metacells,
};
use ferrocyte_io::NamedMatrix;
use ferrocyte_math::linalg::Matrix;
use serde_json::Value;

use crate::files::{Case, Meta, assert_near, dense, places};

fn json(case: &Case, entry: &Value) -> Value {
    serde_json::from_str(&std::fs::read_to_string(case.path(entry)).unwrap()).unwrap()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect()
}

fn numbers(meta: &Meta, name: &str) -> Vec<f64> {
    meta.column(name).iter().map(|x| x.parse().unwrap()).collect()
}

/// Files of a folder whose names match `before<type>after`, with their types, sorted.
fn by_type(case: &Case, pattern: &str) -> Vec<(String, Value)> {
    let (folder, name) = pattern.rsplit_once('/').unwrap_or((".", pattern));
    let (before, after) = name.split(' ').next().unwrap().split_once("<type>").unwrap();
    let mut found: Vec<(String, Value)> = std::fs::read_dir(case.folder.join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter_map(|file| Some(file.strip_prefix(before)?.strip_suffix(after)?.to_owned()))
        .map(|of| (of.clone(), Value::from(format!("{folder}/{before}{of}{after}"))))
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

/// A sparse table (row, col, value) as a matrix.
fn sparse(path: &std::path::Path, rows: &[String], columns: &[String]) -> Matrix {
    let table = Meta::read_rows(path);
    let index = |names: &[String]| -> std::collections::HashMap<String, usize> {
        names.iter().enumerate().map(|(i, name)| (name.clone(), i)).collect()
    };
    let (rows_of, columns_of) = (index(rows), index(columns));
    let mut out = Matrix::zeros(rows.len(), columns.len());
    for (row, column, value) in table {
        out[(rows_of[&row], columns_of[&column])] = value;
    }
    out
}

#[test]
fn genes_and_cells_that_are_kept() {
    for case in Case::of("preprocess") {
        let (x, _) = case.cells();
        let (genes, cells) = preprocess(&x, case.whole("min.cells").unwrap(), case.whole("min.features").unwrap());
        let kept = json(&case, &case.json["outputs"]["kept"]);
        assert_eq!(genes.iter().map(|&g| x.genes()[g].clone()).collect::<Vec<_>>(), texts(&kept["genes"]));
        assert_eq!(cells.iter().map(|&c| x.cells()[c].clone()).collect::<Vec<_>>(), texts(&kept["cells"]));
    }
}

#[test]
fn metacells_are_those_of_the_reference() {
    for case in Case::of("spatial_metacells") {
        let (x, meta) = case.cells();
        let params = &case.json["params"];
        let options = MetacellOptions {
            k: case.whole("k").unwrap(),
            radius: params["radius"].as_f64().unwrap(),
            grid_size: params["grid.size"].as_f64().unwrap(),
            min_cells: case.whole("min.cells.per.region").unwrap(),
        };
        let (px, py) = (numbers(&meta, "X"), numbers(&meta, "Y"));
        let found = spatial_metacells(&Run::new(), &x, (&px, &py), &meta.column("CellType"), &options).unwrap();
        let names = json(&case, &case.json["outputs"]["names"]);
        let (columns, genes) = (texts(&names["columns"]), texts(&names["genes"]));
        assert_eq!(found.expression.n_cells(), columns.len());
        let expected = sparse(&case.path(&case.json["outputs"]["metacells"]), &genes, &columns);
        let order = places(found.expression.cells(), &columns);
        for (column, cell) in order.into_iter().enumerate() {
            let wanted: Vec<f64> = (0..genes.len()).map(|gene| expected[(gene, column)]).collect();
            assert_near(&columns[column], &dense(&found.expression, cell), &wanted, 1e-12, 0.0);
        }
    }
}

#[test]
fn networks_are_those_of_the_reference() {
    for case in Case::of("similarity_networks") {
        let pattern = case.json["inputs"]["embeddings"].as_str().unwrap();
        let embeddings: Vec<Embedding> = by_type(&case, pattern)
            .into_iter()
            .map(|(cell_type, path)| {
                let NamedMatrix { row_names, column_names, values } = case.matrix(&path);
                let scores = Matrix::from_rows(row_names.len(), column_names.len(), values);
                Embedding { cell_type, neighbourhoods: row_names, scores }
            })
            .collect();
        let whole = |name: &str| case.whole(name).unwrap();
        let found =
            similarity_networks(&Run::new(), &embeddings, whole("npcs"), whole("k"), whole("min.cts.per.region"))
                .unwrap();
        let order = texts(&json(&case, &case.json["outputs"]["order"])["order"]);
        assert_eq!(found.neighbourhoods.len(), order.len());
        let at = places(&found.neighbourhoods, &order);
        for (of, path) in by_type(&case, case.json["outputs"]["networks"].as_str().unwrap()) {
            let expected = sparse(&case.path(&path), &order, &order);
            let view = found.values[found.cell_types.iter().position(|name| *name == of).unwrap()].dense();
            for (i, &row) in at.iter().enumerate() {
                let values: Vec<f64> = at.iter().map(|&column| view[(row, column)]).collect();
                assert_near(&of, &values, expected.row(i), 1e-12, 0.0);
            }
        }
    }
}

#[test]
fn fused_networks_are_those_of_the_reference() {
    for case in Case::of("snf") {
        let order = texts(&json(&case, &case.json["inputs"]["order"])["order"]);
        let views: Vec<Network> = by_type(&case, case.json["inputs"]["networks"].as_str().unwrap())
            .into_iter()
            .map(|(_, path)| Network::of(&sparse(&case.path(&path), &order, &order)).unwrap())
            .collect();
        let (k, iterations) = (case.whole("K").unwrap(), case.whole("t").unwrap());
        let options = FusionOptions { k, iterations, ..FusionOptions::default() };
        let fused = fuse(&Run::new(), &views, &options, None).unwrap().dense().unwrap();
        let outputs = &case.json["outputs"];
        let stored = |name: &str| sparse(&case.path(&outputs[name]), &order, &order);
        assert_near("fused", fused.entries(), stored("fused").entries(), 1e-10, 1e-14);
        // Of the stored matrix, so that ties are the same.
        let ranked = rank_columns(&stored("fused"));
        assert_near("ranked", ranked.entries(), stored("ranked").entries(), 0.0, 1e-12);
    }
}

#[test]
fn fold_changes_and_integration_are_those_of_the_reference() {
    for case in Case::of("fold_changes + integrate") {
        let (x, _) = case.cells();
        let meta = Meta::read(&case.path(&case.json["inputs"]["clusters"]));
        let x = x.take_cells(&places(x.cells(), &meta.ids));
        let (types, sample, cluster) = (meta.column("CellType"), meta.column("Sample"), meta.column("InitSE"));
        let scale = case.json["params"]["scale"].as_bool().unwrap();
        let found = fold_changes(&Run::new(), &x, &types, &sample, &cluster, None, scale).unwrap();
        let expected = case.matrix(&case.json["outputs"]["foldchanges"]);
        let names: Vec<String> = found.cell_type.iter().zip(&found.gene).map(|(t, g)| format!("{t}..{g}")).collect();
        let columns = places(&found.clusters, &expected.column_names);
        for (i, row) in places(&names, &expected.row_names).into_iter().enumerate() {
            let values: Vec<f64> = columns.iter().map(|&column| found.values[(row, column)]).collect();
            assert_near(&names[row], &values, expected.row(i), 1e-10, 1e-12);
        }
        let split = |name: &String| name.split_once("..").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        let (cell_type, gene) = expected.row_names.iter().map(split).unzip();
        let stored = FoldChanges {
            cell_type,
            gene,
            samples: expected.column_names.iter().map(|name| split(name).0).collect(),
            values: Matrix::from_rows(expected.row_names.len(), expected.column_names.len(), expected.values.clone()),
            clusters: expected.column_names,
        };
        let whole = |name: &str| case.whole(name).unwrap();
        let options = IntegrateOptions {
            nfeatures: whole("nfeatures"),
            min_features: whole("min.features"),
            fusion: FusionOptions { k: whole("K"), iterations: whole("t"), ..FusionOptions::default() },
        };
        let found = integrate(&Run::new(), &stored, None, &options, None).unwrap();
        let expected = case.matrix(&case.json["outputs"]["integrated"]);
        assert_eq!(stored.clusters, expected.row_names);
        let n = stored.clusters.len() as f64;
        let off = |(a, b): (&f64, &f64)| (a - b).abs();
        let pairs = || found.entries().iter().zip(&expected.values);
        // Ties may move by one step in either direction.
        assert!(pairs().all(|pair| off(pair) <= 1.0 / n + 1e-9));
        let moved = pairs().filter(|pair| off(*pair) > 1e-9).count();
        assert!(moved as f64 <= 0.05 * n * n, "{moved} of {} entries moved", n * n);
    }
}
