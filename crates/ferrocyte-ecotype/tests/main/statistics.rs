//! Statistics of labels and coordinates against the reference.

use ferrocyte_base::Run;
use ferrocyte_ecotype::statistics::{
    AbundanceOptions, BlockTest, ColocalizationOptions, States, abundance, block_test, coassociation, colocalization,
    colocalization_meta, ecotype_of, infer_ncells, moran, partition_tissue, smooth_abundance,
};
use ferrocyte_ecotype::{Draws, Rng};
use ferrocyte_io::NamedMatrix;
use ferrocyte_math::linalg::Matrix;
use serde_json::Value;

use crate::files::{Case, Meta, assert_near, places};

fn draws(case: &Case, name: &str) -> Draws {
    Draws::new(Rng::R, case.whole(name).unwrap() as u64, "")
}

fn numbers(meta: &Meta, name: &str) -> Vec<f64> {
    meta.column(name).iter().map(|x| x.parse().unwrap()).collect()
}

fn states(table: &NamedMatrix) -> States {
    let n = table.row_names.len();
    States {
        names: table.row_names.clone(),
        ecotypes: table.row_names.iter().map(|name| ecotype_of(name).to_owned()).collect(),
        values: Matrix::from_rows(n, n, table.values.clone()),
    }
}

fn assert_states(found: &States, expected: &NamedMatrix, relative: f64, absolute: f64) {
    assert_eq!(found.names, expected.row_names);
    assert_near("states", found.values.entries(), &expected.values, relative, absolute);
}

/// A column of a small table, in the order of `names`.
fn column(table: &NamedMatrix, name: &str, names: &[String]) -> Vec<f64> {
    let j = table.column_names.iter().position(|c| c == name).unwrap();
    places(&table.row_names, names).into_iter().map(|i| table.row(i)[j]).collect()
}

#[test]
fn coassociation_is_that_of_the_reference() {
    for case in Case::of("coassociation") {
        let labels = Meta::read(&case.path(&case.json["inputs"]["labels"]));
        let non_se = case.json["params"]["NonSE"].as_str().unwrap();
        let of = |name: &str| labels.column(name);
        let found = coassociation(&of("SE"), &of("CellType"), &of("Sample"), non_se).unwrap();
        assert_states(&found, &case.matrix(&case.json["outputs"]["index"]), 0.0, 1e-12);
        let n = case.whole("nperm").unwrap();
        let test = block_test(&Run::new(), &found, n, &mut draws(&case, "seed_before_test")).unwrap();
        let expected = case.matrix(&case.json["outputs"]["test"]);
        assert_near("z", &test.z, &column(&expected, "Z", &test.ecotypes), 1e-10, 1e-12);
        assert_near("p", &test.p, &column(&expected, "P", &test.ecotypes), 1e-8, 1e-12);
    }
}

#[test]
fn colocalization_is_that_of_the_reference() {
    for case in Case::of("colocalization") {
        let cells = Meta::read(&case.path(&case.json["inputs"]["cells"]));
        let options = ColocalizationOptions {
            radius: case.json["params"]["radius"].as_f64().unwrap(),
            k: case.whole("k").unwrap(),
            min_cell: case.whole("min.cell").unwrap(),
            n_permutations: case.whole("nperm").unwrap(),
        };
        let (x, y) = (numbers(&cells, "X"), numbers(&cells, "Y"));
        let (types, state) = (cells.column("CellType"), cells.column("CellState"));
        let mut draws = draws(&case, "seed_before_call");
        let found = colocalization(&Run::new(), &x, &y, &types, &state, &options, &mut draws).unwrap();
        assert_states(&found.observed, &case.matrix(&case.json["outputs"]["observed"]), 0.0, 1e-12);
        assert_states(&found.z, &case.matrix(&case.json["outputs"]["z"]), 0.0, 1e-8);
    }
}

#[test]
fn moran_is_that_of_the_reference() {
    for case in Case::of("normalized_moran") {
        let cells = Meta::read(&case.path(&case.json["inputs"]["cells"]));
        let (x, y) = (numbers(&cells, "X"), numbers(&cells, "Y"));
        let (types, ecotype) = (cells.column("CellType"), cells.column("SE"));
        let (k, n) = (case.whole("k").unwrap(), case.whole("nperm").unwrap());
        let mut draws = draws(&case, "seed_before_call");
        let found = moran(&Run::new(), &x, &y, &types, &ecotype, k, n, &mut draws).unwrap();
        let expected = case.matrix(&case.json["outputs"]["moran"]);
        assert_near("I", &found.i, &column(&expected, "I", &found.ecotypes), 0.0, 1e-12);
        assert_near("Z", &found.z, &column(&expected, "Z", &found.ecotypes), 0.0, 1e-8);
    }
}

#[test]
fn abundance_is_that_of_the_reference() {
    for case in Case::of("abundance / smooth / infer_ncells / partition") {
        let (params, outputs) = (&case.json["params"], &case.json["outputs"]);
        let mut with_meta = Case { folder: case.folder.clone(), json: case.json.clone() };
        with_meta.json["inputs"]["meta"] = case.json["inputs"]["cells"].clone();
        let (expression, meta) = with_meta.cells();
        let (x, y) = (numbers(&meta, "X"), numbers(&meta, "Y"));
        let options = AbundanceOptions {
            radius: params["radius"].as_f64().unwrap(),
            grid_size: params["grid.size"].as_f64().unwrap(),
            k: case.whole("k").unwrap(),
            min_cells: case.whole("min.cells").unwrap(),
        };
        let found = abundance(&x, &y, &meta.column("SE"), &options).unwrap();
        let smooth =
            smooth_abundance(&found, case.whole("smooth_k").unwrap(), params["include.self"].as_bool().unwrap())
                .unwrap();
        for (spots, name) in [(&found, "abundance"), (&smooth, "smooth")] {
            let expected = case.matrix(&outputs[name]);
            assert_eq!(spots.names, expected.row_names);
            for (k, ecotype) in spots.ecotypes.iter().enumerate() {
                let shares: Vec<f64> = (0..spots.names.len()).map(|i| spots.shares[(i, k)]).collect();
                assert_near(ecotype, &shares, &column(&expected, ecotype, &spots.names), 0.0, 1e-12);
            }
            assert_near("x", &spots.x, &column(&expected, "X", &spots.names), 0.0, 1e-12);
        }
        let expected = case.matrix(&outputs["ncells"]);
        let cells = places(expression.cells(), &expected.row_names);
        let sums: Vec<f64> = cells.iter().map(|&cell| expression.cell(cell).1.iter().sum()).collect();
        let found: Vec<f64> =
            infer_ncells(&sums, params["avg.number"].as_f64().unwrap()).into_iter().map(|n| n as f64).collect();
        assert_near("cells", &found, &expected.values, 0.0, 0.0);
        let parts = partition_tissue(&x, &y, case.whole("nrow").unwrap(), case.whole("ncol").unwrap()).unwrap();
        let expected = Meta::read(&case.path(&outputs["partition"]));
        let wanted = expected.column("Partition");
        places(&meta.ids, &expected.ids).into_iter().zip(wanted).for_each(|(cell, part)| assert_eq!(parts[cell], part));
    }
}

#[test]
fn meta_analysis_is_that_of_the_reference() {
    for case in Case::of("colocalization_meta") {
        let inputs = &case.json["inputs"];
        let files = |name: &str| -> Vec<NamedMatrix> {
            let pattern = inputs[name].as_str().unwrap();
            (1..10_000)
                .map(|i| Value::from(pattern.replace("<i>", &i.to_string())))
                .take_while(|path| case.path(path).exists())
                .map(|path| case.matrix(&path))
                .collect()
        };
        let z: Vec<States> = files("index").iter().map(states).collect();
        let tests: Vec<BlockTest> = files("test")
            .into_iter()
            .map(|table| BlockTest {
                z: column(&table, "Z", &table.row_names),
                p: column(&table, "P", &table.row_names),
                mean: vec![f64::NAN; table.row_names.len()],
                ecotypes: table.row_names,
            })
            .collect();
        assert!(!z.is_empty());
        let params = &case.json["params"];
        let found =
            colocalization_meta(&z, &tests, params["cap"].as_f64().unwrap(), case.whole("min.samples").unwrap())
                .unwrap();
        assert_states(&found.index, &case.matrix(&case.json["outputs"]["meta_index"]), 1e-12, 1e-14);
        let expected = case.matrix(&case.json["outputs"]["meta_p"]);
        assert_near("p", &found.p, &column(&expected, "P", &found.ecotypes), 1e-9, 0.0);
    }
}
