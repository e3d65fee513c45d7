//! `ferrocyte simulate`: its files, their bytes, and what it refuses.

use ferrocyte_base::Run;
use ferrocyte_data::RowChunks;
use ferrocyte_io::H5ad;

use crate::support::{Folder, golden};

const COHORT: [&str; 9] = ["simulate", "cohort", "--cells", "3000", "--genes", "300", "--donors", "3", "--seed=7"];

#[test]
fn a_cohort_has_the_same_bytes_for_any_means() {
    let folder = Folder::new();
    let left = folder.done(&[&COHORT[..], &["-o", "a.h5ad", "--threads", "1"]].concat());
    assert!(left.err.starts_with("3000 cells of 6 samples, 300 genes, "), "{}", left.err);
    assert!(left.err.contains("wrote a.h5ad\nwrote a.h5ad.truth.tsv\n"), "{}", left.err);
    folder.done(&[&COHORT[..], &["-o", "b.h5ad", "--threads", "3", "--max-memory", "4M"]].concat());
    for ending in ["", ".truth.tsv", ".config.toml"] {
        let (a, b) = (folder.bytes(&format!("a.h5ad{ending}")), folder.bytes(&format!("b.h5ad{ending}")));
        assert!(a == b, "a.h5ad{ending}");
    }
    folder.done(&["simulate", "cohort", "--config", "a.h5ad.config.toml", "-o", "c.h5ad"]);
    assert!(folder.bytes("a.h5ad") == folder.bytes("c.h5ad"), "the config file asks for the same again");
    folder.done(&[&COHORT[..8], &["--seed", "8", "-o", "d.h5ad"]].concat());
    assert!(folder.bytes("a.h5ad") != folder.bytes("d.h5ad"), "the seed decides");

    let study = H5ad::open(folder.path("a.h5ad")).unwrap();
    assert_eq!((study.n_obs(), study.n_var()), (3000, 300));
    let obs = study.obs(&["condition", "donor", "age"]).unwrap();
    assert_eq!(obs.factor("condition").unwrap().levels, ["control", "case"]);
    assert_eq!(obs.factor("donor").unwrap().levels.len(), 6);
    let truth = folder.text("a.h5ad.truth.tsv");
    assert!(truth.starts_with("gene\tcell_type\tcondition\tlog_effect\n"), "{truth}");
    let record: serde_json::Value = serde_json::from_slice(&folder.bytes("a.h5ad.run.json")).unwrap();
    assert_eq!(record["provenance"]["method"], "simulate.cohort");
    assert_eq!(record["provenance"]["seed"], "7");
    assert_eq!(record["provenance"]["options"]["n_genes"], "300");
    // What was written is what the other commands read.
    folder.done(&["lmm", "fit", "a.h5ad", "--formula", "~ cell_type + condition + (1 | sample)", "-o", "t.tsv"]);
}

#[test]
fn counts_do_not_depend_on_how_they_are_stored() {
    let folder = Folder::new();
    let run = Run::new();
    let rows = |name: &str, options: &[&str]| {
        folder.done(&[&COHORT[..], options, &["-o", name]].concat());
        let mut matrix = H5ad::open(folder.path(name)).unwrap().matrix("X").unwrap();
        let dtype = matrix.dtype().name().to_owned();
        let block = matrix.read(&run, 0..3000).unwrap();
        let rows: Vec<Vec<(usize, f64)>> = (0..3000).map(|i| block.row(i).collect()).collect();
        (dtype, matrix.compression(), rows)
    };
    let plain = rows("a.h5ad", &["--gzip", "0"]);
    let whole = rows("b.h5ad", &["--values", "int32", "--gzip", "9"]);
    assert_eq!((plain.0.as_str(), plain.1.as_str()), ("float32", "none"));
    assert_eq!((whole.0.as_str(), whole.1.as_str()), ("int32", "shuffle+gzip"));
    assert!(plain.2 == whole.2);
}

#[test]
fn studies_and_references_are_written_too() {
    let folder = Folder::new();
    folder.done(&["simulate", "study", "--genes", "50", "--cells", "400", "--seed", "3", "-o", "s.h5ad"]);
    let study = H5ad::open(folder.path("s.h5ad")).unwrap();
    assert_eq!((study.n_obs(), study.n_var()), (400, 50));
    assert!(study.has("uns/truth/log_effect") && study.has("var/effect"));

    let left =
        folder.done(&["simulate", "rnaseq", "--reference", "study.h5ad", "--samples", "8", "-o", "r.h5ad", "--json"]);
    let summary: serde_json::Value = serde_json::from_str(&left.out).unwrap();
    assert_eq!((&summary["command"], &summary["cells"]), (&"simulate rnaseq".into(), &1000.into()));
    assert_eq!(summary["outputs"], serde_json::json!(["r.h5ad", "r.h5ad.truth.tsv"]));
    let record: serde_json::Value = serde_json::from_slice(&folder.bytes("r.h5ad.run.json")).unwrap();
    assert_eq!(record["provenance"]["inputs"][0]["name"], "X of study.h5ad");
    // What is told of the genes are the moments of the reference.
    let expected = ferrocyte_io::read_matrix_tsv(&golden("flashmm/data/moments_of_counts.tsv")).unwrap();
    let column = H5ad::open(folder.path("r.h5ad")).unwrap().var(&["mean"]).unwrap();
    let ferrocyte_data::ObsColumn::Number(means) = column.column("mean").unwrap() else { unreachable!("numbers") };
    for (i, mean) in means.iter().enumerate() {
        let wanted = expected.row(i)[0];
        assert!((mean / wanted - 1.0).abs() < 1e-9, "gene {i}: {mean}, expected {wanted}");
    }
}

#[test]
fn what_is_not_understood_is_said_before_any_work() {
    let folder = Folder::new();
    let refused = |args: &[&str], words: &str| {
        let left = folder.run(&[&["simulate"], args].concat());
        assert!(left.code == 2 && left.err.contains(words), "{args:?}: {} {}", left.code, left.err);
    };
    refused(&["cohort", "-o", "a.tsv"], "does not end in .h5ad");
    refused(&["cohort", "-o", "no/a.h5ad"], "there is no folder `no`");
    refused(&["cohort", "-o", "a.h5ad", "--cells", "many"], "expected a whole number, found `many`");
    refused(&["cohort", "-o", "a.h5ad", "--log-mean", "low"], "expected a number, found `low`");
    refused(&["cohort", "-o", "a.h5ad", "--gzip", "12"], "expected a level from 0 to 9");
    refused(&["cohort", "-o", "a.h5ad", "--direction", "sideways"], "sideways");
    refused(&["rnaseq", "-o", "study.h5ad", "--reference", "study.h5ad"], "`study.h5ad` is an input");
    refused(&["rnaseq", "-o", "a.h5ad"], "neither a reference nor a number");
    let left = folder.run(&["simulate", "cohort", "-o", "a.h5ad", "--cells", "5"]);
    assert!(left.code == 1 && left.err.contains("n_cells: 5 cells of 16 samples"), "{}", left.err);
    assert_eq!(folder.names(), ["study.h5ad"]);
}

#[test]
fn pseudobulk_goes_straight_to_its_models() {
    let folder = Folder::new();
    let drawn =
        folder.done(&["simulate", "ctmm", "--n-genes", "30", "--n-individuals", "40", "--seed", "3", "-o", "a.npz"]);
    assert!(drawn.err.starts_with("30 genes of 40 individuals, 4 cell types"), "{}", drawn.err);
    let truth = folder.text("a.npz.truth.tsv");
    assert!(truth.starts_with("cell_type\tmean\thom2\tV[type1]\t"), "{truth}");
    folder.done(&["simulate", "ctmm", "--config", "a.npz.config.toml", "--threads", "2", "-o", "b.npz"]);
    assert!(folder.bytes("a.npz") == folder.bytes("b.npz"), "the config file asks for the same again");
    folder.done(&["ctmm", "fit", "a.npz", "--method", "reml", "--jackknife", "none", "-o", "t.tsv"]);
    assert_eq!(folder.text("t.tsv").lines().count(), 31);
    let wrong = folder.run(&["simulate", "ctmm", "--ratios", "1,x", "-o", "c.npz"]);
    assert!(wrong.err.contains("expected numbers between commas, found `1,x`"), "{}", wrong.err);
}
