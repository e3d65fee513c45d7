//! `cells …`: a table of samples to a study and its tables, verb by verb or at once; the same bytes for any number of
//! threads; what is wrong is named.

use crate::support::Folder;

/// Two samples of the same cells, in two batches.
const SAMPLES: &str = "location\tsample\tbatch\tgroup\tage\nstudy.h5ad\ta\tb1\tctrl\t61\nstudy.h5ad\tb\tb2\tstim\t48\n";

/// Bounds that suit a study of 50 genes.
const LOOSE: [&str; 8] = ["--min-genes", "5", "--outliers", "none", "--max-mito", "100", "--doublets", "false"];
const FEW: [&str; 8] = ["--n-top-genes", "30", "--n-comps", "8", "--maxiter", "30", "--n-neighbors", "10"];

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("samples.tsv", SAMPLES);
    folder
}

/// Runs the whole into a folder.
fn whole(folder: &Folder, out: &str, more: &[&str]) -> crate::support::Left {
    folder.done(&[&["cells", "run", "samples.tsv", "-o", out], &LOOSE[..], &FEW, more].concat())
}

fn lines(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|line| line.split('\t').collect()).collect()
}

#[test]
fn a_table_of_samples_becomes_a_study() {
    let folder = folder();
    let left = whole(&folder, "study", &[]);
    assert!(left.err.contains("a: 1000 cells, ") && left.err.contains(" clusters: "), "{}", left.err);
    for name in ["metadata.tsv", "spec.json", "rna/a.h5ad", "rna/b.h5ad", "integrated.h5mu", "log.txt"] {
        assert!(folder.path("study").join(name).exists(), "{name}");
    }
    assert!(folder.text("study/metadata.tsv").starts_with("location\tsample\tbatch\tgroup\tmodality\ttaxa\tage\n"));
    let quality = folder.text("study/qc.tsv");
    let quality = lines(&quality);
    assert_eq!(quality[0][..5], ["sample", "n_cells", "n_within", "n_doublets", "n_kept"]);
    assert_eq!((quality.len(), quality[1][0], quality[2][0]), (3, "a", "b"));
    assert_eq!(quality[1][1..], quality[2][1..], "both samples are the same cells");
    // The shares of a sample sum to 1, and the same cells are shared out alike.
    let shares = folder.text("study/proportions.tsv");
    let shares = lines(&shares);
    let sum: f64 = shares[1][2..].iter().map(|share| share.parse::<f64>().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-12);
    assert_eq!(lines(&folder.text("study/cells.tsv")).len(), 3);
    let markers = folder.text("study/markers.tsv");
    assert_eq!(lines(&markers)[0][..3], ["group", "names", "scores"]);
    let info = folder.done(&["info", "study/integrated.h5mu"]).out;
    for element in
        ["layers/counts", "obsm/X_pca_harmony", "obsm/X_umap", "obs/leiden", "obsp/connectivities", "obs/age"]
    {
        assert!(info.contains(element), "{element}\n{info}");
    }
}

#[test]
fn what_samples_share_is_warned_of_once_and_recorded() {
    let folder = folder();
    let left = whole(&folder, "study", &[]);
    let warning = "no gene is flagged as `mt`: its shares will all be 0";
    assert_eq!(left.err.matches(warning).count(), 1, "{}", left.err);
    assert!(folder.text("study/log.txt").contains(&format!("warning: {warning} (2 times)\n")));
    let record: serde_json::Value = serde_json::from_str(&folder.text("study/integrated.h5mu.run.json")).unwrap();
    assert!(record["provenance"]["warnings"].as_array().unwrap().iter().any(|found| found == warning));
}

#[test]
fn threads_change_no_byte_and_the_config_is_taken_back() {
    let folder = folder();
    whole(&folder, "one", &["--threads", "1", "--max-memory", "200M"]);
    whole(&folder, "two", &["--threads", "2"]);
    let again = ["cells", "run", "samples.tsv", "-o", "again", "--config", "one/integrated.h5mu.config.toml"];
    folder.done(&again);
    let names = [
        "rna/a.h5ad",
        "rna/b.h5ad",
        "integrated.h5mu",
        "integrated.h5mu.config.toml",
        "markers.tsv",
        "proportions.tsv",
        "cells.tsv",
        "qc.tsv",
        "log.txt",
        "metadata.tsv",
    ];
    for name in names {
        let bytes = |out: &str| folder.bytes(&format!("{out}/{name}"));
        assert!(bytes("one") == bytes("two"), "{name}: threads");
        assert!(bytes("one") == bytes("again"), "{name}: config");
    }
}

#[test]
fn verb_by_verb() {
    let folder = folder();
    folder.done(&["cells", "import", "study.h5ad", "--sample", "s1", "-o", "raw.h5ad"]);
    folder.done(&[&["cells", "qc", "raw.h5ad", "-o", "kept.h5ad", "--table", "qc.tsv"], &LOOSE[..]].concat());
    folder.done(&[&["cells", "embed", "kept.h5ad", "-o", "embedded.h5ad", "--batch-key", "sam"], &FEW[..]].concat());
    folder.done(&["cells", "cluster", "embedded.h5ad", "-o", "clustered.h5ad", "--resolution", "0.5"]);
    folder.done(&[
        "cells",
        "markers",
        "clustered.h5ad",
        "-o",
        "marked.h5ad",
        "--pts",
        "true",
        "--table",
        "markers.tsv",
    ]);
    folder.done(&["cells", "markers", "clustered.h5ad", "-o", "only.tsv"]);
    assert_eq!(folder.text("markers.tsv"), folder.text("only.tsv"));
    let left = folder.done(&["cells", "annotate", "marked.h5ad", "-o", "named.h5ad", "--name", "first=0"]);
    assert!(left.err.contains("first"), "{}", left.err);
    folder.done(&["cells", "proportion", "named.h5ad", "-o", "p.tsv", "--major", "sam", "--minor", "cell_type"]);
    let table = folder.text("p.tsv");
    assert!(lines(&table)[0].contains(&"first"), "{table}");
    assert_eq!(lines(&table).len(), 26, "a row for each sample");
    // What was there is still there, whatever the verbs added.
    let info = folder.done(&["info", "named.h5ad"]).out;
    for element in ["obs/cls", "obs/barcode", "obs/leiden", "obs/cell_type", "uns/rank_genes_groups", "obsm/X_umap"] {
        assert!(info.contains(element), "{element}\n{info}");
    }
    folder.done(&["cells", "cluster", "embedded.h5ad", "-o", "sc3.h5mu", "--algorithm", "sc3", "--n-clusters", "3,4"]);
    assert!(folder.done(&["info", "sc3.h5mu"]).out.contains("sc3s_4"));
}

#[test]
fn a_graph_that_lost_cells_is_refused() {
    let folder = folder();
    let style = ["--style", "exprmat"];
    folder.done(&[&["cells", "embed", "study.h5ad", "-o", "e.h5ad"], &FEW[..], &style].concat());
    assert!(folder.done(&["info", "e.h5ad"]).out.contains("obsm/knn.d"));
    // Few cells are within these bounds, so that the graph loses most of its neighbours.
    let bounds = [&["--min-genes", "30"], &LOOSE[2..]].concat();
    folder.done(&[&["cells", "qc", "e.h5ad", "-o", "few.h5ad"], &bounds[..]].concat());
    let left = folder.run(&["cells", "cluster", "few.h5ad", "-o", "x.h5ad"]);
    assert_eq!(left.code, 1);
    assert!(left.err.contains("more cells"), "{}", left.err);
    assert!(!folder.done(&["info", "few.h5ad"]).out.contains("obsm/knn.d"));
    folder.done(&["cells", "cluster", "few.h5ad", "-o", "y.h5ad", "--allow-stale", "true"]);
}

#[test]
fn what_is_wrong_is_named() {
    let folder = folder();
    folder.write("no_location.tsv", "sample\tbatch\na\tb1\n");
    folder.write("lost.tsv", "location\tsample\nnowhere.h5\ta\n");
    folder.write("twice.tsv", "location\tsample\nstudy.h5ad\ta\nstudy.h5ad\ta\n");
    folder.write("modality.tsv", "location\tsample\tmodality\nstudy.h5ad\ta\tatac\n");
    folder.write("names.tsv", "cluster\tname\n0\tT\n0\tB\n");
    let cases: [(&[&str], i32, &str); 18] = [
        (&["run", "no_location.tsv", "-o", "x"], 1, "`location`"),
        (&["run", "lost.tsv", "-o", "x"], 1, "nowhere.h5"),
        (&["run", "twice.tsv", "-o", "x"], 1, "`a`"),
        (&["run", "modality.tsv", "-o", "x"], 1, "`atac`"),
        (&["run", "absent.tsv", "-o", "x"], 1, "no such file"),
        (&["run", "samples.tsv", "-o", "x.tsv"], 2, "name a folder"),
        (&["run", "samples.tsv", "-o", "x", "--n-neighbors", "1"], 2, "found `1`"),
        (&["run", "samples.tsv", "-o", "x", "--min-genes", "60"], 1, "within the bounds"),
        (&["qc", "study.h5ad", "-o", "x.h5ad", "--min-genes", "9", "--max-genes", "3"], 1, "above the largest"),
        (&["qc", "study.h5ad", "-o", "x.csv"], 2, ".h5ad or .h5mu"),
        (&["qc", "study.h5ad", "-o", "study.h5ad"], 2, "is an input"),
        (&["embed", "study.h5ad", "-o", "x.h5ad", "--batch-key", "batsh"], 1, "did you mean `batch`"),
        (&["embed", "study.h5ad", "-o", "x.h5ad", "--layer", "count"], 1, "no layer `count`"),
        (&["embed", "study.h5ad", "-o", "x.h5ad", "--lamb", "some"], 2, "found `some`"),
        (&["embed", "study.h5ad", "-o", "x.h5ad", "--max-value", "10", "--n-top-genes", "30"], 1, "scale"),
        (&["cluster", "study.h5ad", "-o", "x.h5ad"], 1, "cells embed"),
        (&["annotate", "study.h5ad", "-o", "x.h5ad", "--cluster", "cls"], 2, "no cluster is given a name"),
        (&["proportion", "study.h5ad", "-o", "x.tsv", "--major", "sam", "--minor", "kind"], 1, "`kind`"),
    ];
    for (args, code, told) in cases {
        let left = folder.run(&[&["cells"], args].concat());
        assert_eq!(left.code, code, "{args:?}\n{}", left.err);
        assert!(left.err.contains(told), "{args:?}\n{}", left.err);
        assert!(!folder.path("x.h5ad").exists() && !folder.path("x/integrated.h5mu").exists(), "{args:?}");
    }
    let annotate = ["cells", "annotate", "study.h5ad", "-o", "x.h5ad", "--cluster", "cls"];
    let left = folder.run(&[&annotate[..], &["--mapping", "names.tsv"]].concat());
    assert!(left.code == 1 && left.err.contains("more than once"), "{}", left.err);
    let left = folder.run(&[&annotate[..], &["--name", "T=1,2", "--name", "B=2"]].concat());
    assert!(left.code == 1 && left.err.contains("both `T` and `B`"), "{}", left.err);
    let left =
        folder.run(&["cells", "markers", "study.h5ad", "-o", "x.h5ad", "--groupby", "cls", "--groups", "nobody"]);
    assert!(left.code == 1 && left.err.contains("nobody"), "{}", left.err);
}
