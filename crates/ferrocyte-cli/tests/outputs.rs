//! What commands write: the same answer by every road, the same bytes every time.

use crate::support::{FORMULA, Folder};

#[test]
fn one_step_or_three_the_bytes_are_the_same() {
    let folder = Folder::new();
    let contrast = ["--contrast", "trt:B:A@cls=4", "--test", "mean=(cls2 + cls3)/2"];
    folder.sums("sums.npz", &[]);
    folder.done(&["lmm", "fit", "sums.npz", "-o", "fit.npz"]);
    folder.done(&[&["lmm", "test", "fit.npz", "-o", "tests.tsv"], &contrast[..]].concat());
    folder.done(&[&["lmm", "test", "sums.npz", "-o", "from_sums.tsv"], &contrast[..]].concat());
    let both = ["lmm", "fit", "study.h5ad", "--formula", FORMULA, "-o", "one.npz", "--table", "one.tsv"];
    folder.done(&[&both[..], &contrast].concat());
    assert_eq!(folder.bytes("one.npz"), folder.bytes("fit.npz"));
    assert_eq!(folder.text("one.tsv"), folder.text("tests.tsv"));
    assert_eq!(folder.text("one.tsv"), folder.text("from_sums.tsv"));

    let table = folder.text("one.tsv");
    let header =
        "group\tgene\tcontrast\testimate\tse\tt\tdf\tp_value\tadj_p_value\tlog10_p_value\tstatus\treason\tn_cells";
    assert_eq!(table.lines().next(), Some(header));
    assert_eq!(table.lines().count(), 1 + 2 * 50);
    let names: std::collections::BTreeSet<&str> = table.lines().skip(1).filter_map(|l| l.split('\t').nth(2)).collect();
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["mean", "trt: B - A at cls = 4"]);
}

#[test]
fn without_contrasts_every_coefficient_but_the_intercept_is_tested() {
    let folder = Folder::new();
    let left = folder.done(&["lmm", "fit", "study.h5ad", "--formula", "~ cls + trt + (1 | sam)", "-o", "-"]);
    let mut names: Vec<&str> = left.out.lines().skip(1).filter_map(|l| l.split('\t').nth(2)).collect();
    names.dedup();
    assert_eq!(names, ["cls2", "cls3", "cls4", "trtB"]);
    assert_eq!(folder.names(), ["study.h5ad"], "nothing lies beside stdout");
    assert!(left.err.contains("50 genes, 1000 cells, ln(1 + count) by REML\n"), "{}", left.err);
    assert!(left.err.contains("  trtB: "), "{}", left.err);
    let left = folder.done(&["lmm", "fit", "study.h5ad", "--formula", "~ trt + (1 | sam)", "-o", "-", "-q"]);
    assert_eq!(left.err, "");
}

#[test]
fn tables_have_the_form_of_their_names() {
    let folder = Folder::new();
    folder.sums("sums.npz", &[]);
    for name in ["t.tsv", "t.csv", "t.jsonl", "t.tsv.gz"] {
        folder.done(&["lmm", "test", "sums.npz", "--test", "cls2", "-o", name]);
    }
    let tsv = folder.text("t.tsv");
    assert_eq!(tsv.replace('\t', ","), folder.text("t.csv"), "no field holds a comma here");
    assert_eq!(folder.text("t.jsonl").lines().count(), 50);
    assert_eq!(folder.bytes("t.tsv.gz")[..2], [0x1f, 0x8b]);
    let first: serde_json::Value = serde_json::from_str(folder.text("t.jsonl").lines().next().unwrap()).unwrap();
    assert_eq!(first["gene"], tsv.lines().nth(1).unwrap().split('\t').nth(1).unwrap());
}

#[test]
fn groups_are_fitted_apart() {
    let folder = Folder::new();
    let fit = ["lmm", "fit", "study.h5ad", "--formula", "~ log(libsize) + trt + (1 | sam)", "--groups", "cls"];
    let left = folder.done(&[&fit[..], &["--contrast", "trt:B:A", "-o", "t.tsv"]].concat());
    let table = folder.text("t.tsv");
    let mut groups: Vec<&str> = table.lines().skip(1).filter_map(|l| l.split('\t').next()).collect();
    groups.dedup();
    assert_eq!(groups, ["1", "2", "3", "4"]);
    assert!(left.err.contains("tests of trt: B - A\n  1: "), "{}", left.err);
}

#[test]
fn shards_add_up_to_the_whole() {
    let folder = Folder::new();
    folder.sums("whole.npz", &[]);
    for (name, rows) in [("a.npz", ":300"), ("b.npz", "300:650"), ("c.npz", "650:")] {
        folder.sums(name, &["--rows", rows]);
    }
    folder.done(&["merge", "c.npz", "a.npz", "b.npz", "-o", "merged.npz"]);
    folder.done(&["merge", "a.npz", "b.npz", "c.npz", "-o", "again.npz"]);
    assert_eq!(folder.bytes("merged.npz"), folder.bytes("again.npz"), "the order of the arguments plays no role");

    let (whole, merged) = (read(&folder, "whole.npz"), read(&folder, "merged.npz"));
    assert_eq!(whole.header, merged.header);
    for (a, b) in whole.arrays.iter().zip(&merged.arrays) {
        assert_eq!((&a.name, &a.shape), (&b.name, &b.shape));
        let (ferrocyte_data::Data::F64(a), ferrocyte_data::Data::F64(b)) = (&a.data, &b.data) else {
            panic!("sums are real numbers")
        };
        let scale = a.iter().fold(1.0_f64, |m, x| m.max(x.abs()));
        assert!(a.iter().zip(b).all(|(x, y)| (x - y).abs() <= 1e-12 * scale), "an array differs");
    }
    // What was merged can be merged on; what is still missing is said.
    let left = folder.done(&["merge", "b.npz", "a.npz", "-o", "ab.npz"]);
    assert!(left.err.starts_with("warning: rows 650:1000 of X of study.h5ad are in no part yet\n"), "{}", left.err);
    folder.done(&["merge", "ab.npz", "c.npz", "-o", "tree.npz"]);
    assert_eq!(folder.bytes("tree.npz"), folder.bytes("merged.npz"));
}

fn read(folder: &Folder, name: &str) -> ferrocyte_data::Part {
    ferrocyte_io::read_part(&folder.path(name)).unwrap()
}

#[test]
fn only_the_record_of_the_run_differs_from_run_to_run() {
    let folder = Folder::new();
    for (out, threads, memory) in [("one", "1", "2G"), ("two", "2", "100M")] {
        std::fs::create_dir(folder.path(out)).unwrap();
        let (fit, table) = (format!("{out}/fit.npz"), format!("{out}/table.tsv"));
        let args = ["lmm", "fit", "study.h5ad", "--formula", FORMULA, "-o", &fit, "--table", &table];
        folder.done(&[&args[..], &["--threads", threads, "--max-memory", memory]].concat());
    }
    for name in ["fit.npz", "fit.npz.config.toml", "table.tsv"] {
        assert_eq!(folder.bytes(&format!("one/{name}")), folder.bytes(&format!("two/{name}")), "{name}");
    }
    assert!(!folder.path("one/table.tsv.config.toml").exists(), "one record a command");
    let record: serde_json::Value = serde_json::from_str(&folder.text("two/fit.npz.run.json")).unwrap();
    assert_eq!((&record["threads"], &record["max_memory"]), (&2.into(), &(100_u64 << 20).into()));
    assert_eq!(record["outputs"], serde_json::json!(["two/fit.npz", "two/table.tsv"]));
    assert_eq!(record["provenance"]["options"]["formula"], FORMULA);
    assert!(record["seconds"].as_f64().is_some_and(|s| s >= 0.0));
}

#[test]
fn the_resolved_config_asks_for_the_same_again() {
    let folder = Folder::new();
    let flags =
        ["--formula", "~ cls + trt + (1 | sam)", "--method", "ML", "--moderate", "false", "--contrast", "trt:B:A"];
    folder.done(&[&["lmm", "fit", "study.h5ad", "-o", "flags.tsv"], &flags[..]].concat());
    folder.done(&["lmm", "fit", "study.h5ad", "-o", "again.tsv", "--config", "flags.tsv.config.toml"]);
    assert_eq!(folder.text("flags.tsv"), folder.text("again.tsv"));
    assert_eq!(folder.text("flags.tsv.config.toml"), folder.text("again.tsv.config.toml"));
    assert_eq!(
        folder.text("flags.tsv.config.toml"),
        "# options of `ferrocyte lmm fit`\nformula = \"~ cls + trt + (1 | sam)\"\ntransform = \"log1p\"\n\
         na = \"refuse\"\naliased = \"refuse\"\nmethod = \"ML\"\nnegative = \"allow\"\nmoderate = false\nmin_cells = 0\n\
         contrast = [\"trt:B:A\"]\nalternative = \"two.sided\"\nadjust = \"group\"\nunit = \"model\"\n"
    );

    // Flags win; keys of other commands are passed over; dashes are underscores; one text stands for a list of one.
    folder.write(
        "run.toml",
        "formula = \"~ cls + trt\"\nrandom = \"(1 | sam)\"\nmethod = \"REML\"\nmoderate = false\n\
         contrast = [\"trt:B:A\"]\nrows = \"0:10\"\nthreads = 1\nmax_memory = \"1G\"\n",
    );
    folder.done(&["lmm", "fit", "study.h5ad", "-o", "config.tsv", "--config", "run.toml", "--method", "ML"]);
    assert_eq!(folder.text("config.tsv"), folder.text("flags.tsv"));

    // A config file that asks for another model than saved sums have is refused; the same model is fine.
    folder.sums("sums.npz", &[]);
    let args = ["lmm", "fit", "sums.npz", "-o", "s.tsv", "--config", "run.toml"];
    let left = folder.run(&args);
    assert_eq!(
        (left.code, left.err.lines().next().unwrap()),
        (
            2,
            &*format!(
                "error: formula: the config file asks for `~ cls + trt + (1 | sam)`, but `sums.npz` was made with `{FORMULA}`"
            )
        )
    );
    folder.write("run.toml", &format!("formula = \"{FORMULA}\"\ntransform = \"log1p\"\n"));
    folder.done(&args);
    let config = folder.text("s.tsv.config.toml");
    assert!(config.contains("method") && !config.contains("formula") && !config.contains("transform"), "{config}");
}

/// The distinct values of a column, in order.
fn distinct<'a>(table: &'a str, column: &str) -> Vec<&'a str> {
    let at = table.lines().next().unwrap().split('\t').position(|name| name == column).unwrap();
    let mut values: Vec<&str> = table.lines().skip(1).filter_map(|l| l.split('\t').nth(at)).collect();
    values.dedup();
    values
}

#[test]
fn terms_are_tested_jointly() {
    let folder = Folder::new();
    folder.sums("sums.npz", &[]);
    folder.done(&["lmm", "test", "sums.npz", "--joint", "trt:cls", "--joint", "both=cls; cls2:trtB", "-o", "t.tsv"]);
    let table = folder.text("t.tsv");
    assert!(table.starts_with("group\tgene\tcontrast\tF\tdf1\tdf2\tp_value\t"), "{table}");
    assert_eq!(distinct(&table, "contrast"), ["trt:cls", "both"]);
    assert_eq!(distinct(&table, "df1"), ["4"]);
    folder.done(&["lmm", "test", "sums.npz", "--joint", "all", "--df", "satterthwaite", "-o", "all.tsv"]);
    assert_eq!(distinct(&folder.text("all.tsv"), "contrast"), ["log(libsize)", "cls", "cls:trt"]);
    let left = folder.run(&["lmm", "test", "sums.npz", "--joint", "cls", "--test", "cls2", "-o", "-"]);
    assert_eq!(left.code, 2);
    assert!(left.err.contains("joint tests and tests of single contrasts are two tables"), "{}", left.err);
}

#[test]
fn pairs_and_levels_are_taken_in_a_word() {
    let folder = Folder::new();
    folder.sums("sums.npz", &[]);
    let args = ["lmm", "test", "sums.npz", "--pairwise", "cls@trt=A", "--contrast", "trt:B:A@cls=all", "-o", "t.tsv"];
    folder.done(&args);
    let table = folder.text("t.tsv");
    let names = distinct(&table, "contrast");
    assert_eq!(names.len(), 6 + 4);
    assert_eq!(names[0], "cls: 2 - 1 at trt = A");
    assert_eq!(names[9], "trt: B - A at cls = 4");
}

#[test]
fn variances_are_tested_and_shared_out_and_fits_compared() {
    let folder = Folder::new();
    folder.sums("sums.npz", &[]);
    folder.done(&["lmm", "components", "sums.npz", "-o", "components.tsv"]);
    assert_eq!(distinct(&folder.text("components.tsv"), "component"), ["sam"]);
    folder.done(&["lmm", "shares", "sums.npz", "-o", "shares.tsv"]);
    assert!(folder.text("shares.tsv").starts_with("group\tgene\tvariance\tfixed\tsam\tresidual\tr2_marginal\t"));
    for (name, formula) in [("small.npz", "~ cls + (1 | sam)"), ("large.npz", "~ cls + trt + (1 | sam)")] {
        folder.done(&["lmm", "fit", "study.h5ad", "--formula", formula, "--method", "ML", "-o", name]);
    }
    folder.done(&["lmm", "compare", "small.npz", "large.npz", "-o", "compare.tsv"]);
    assert_eq!(folder.text("compare.tsv").lines().count(), 51);
    assert_eq!(distinct(&folder.text("compare.tsv"), "parameters_2"), ["7"]);
    let left = folder.run(&["lmm", "compare", "small.npz", "sums.npz", "-o", "-"]);
    assert_eq!(left.code, 1);
    assert!(left.err.contains("`method` differs: `ML` here, `REML` there"), "{}", left.err);
}

#[test]
fn a_design_is_looked_at_without_counts() {
    let folder = Folder::new();
    let left = folder.done(&["lmm", "check", "study.h5ad", "--formula", FORMULA]);
    assert!(left.err.contains("cls:trt") && left.err.contains("between cells"), "{}", left.err);
    assert_eq!(folder.names(), ["study.h5ad"], "nothing is written that was not asked for");
    let left = folder.done(&["lmm", "check", "study.h5ad", "--formula", "~ trt + sam + (1 | cls)", "-o", "-", "-q"]);
    let row = left.out.lines().find(|l| l.split('\t').nth(1) == Some("sam"));
    assert!(row.is_some_and(|l| l.contains("partly_aliased")), "{}", left.out);
    folder.done(&["lmm", "check", "study.h5ad", "--formula", FORMULA, "-o", "t.tsv", "--support", "s.tsv"]);
    assert!(folder.text("s.tsv").starts_with("group\tcoefficient\tterm\tn_cells\tn_sam\n"));
    let left = folder.run(&["lmm", "check", "study.h5ad", "--formula", "~ trt"]);
    assert!(left.code == 1 && left.err.contains("no random term"), "{}", left.err);
}

#[test]
fn estimates_come_in_log2_and_rare_genes_with_a_status() {
    let folder = Folder::new();
    folder.sums("sums.npz", &[]);
    let column = |table: &str, name: usize, i: usize| -> f64 {
        table.lines().nth(i).and_then(|l| l.split('\t').nth(name)).unwrap().parse().unwrap()
    };
    folder.done(&["lmm", "test", "sums.npz", "--test", "cls2", "-o", "e.tsv"]);
    folder.done(&["lmm", "test", "sums.npz", "--test", "cls2", "--unit", "log2", "-o", "log2.tsv"]);
    let (e, log2) = (folder.text("e.tsv"), folder.text("log2.tsv"));
    assert!((column(&log2, 3, 1) * std::f64::consts::LN_2 / column(&e, 3, 1) - 1.0).abs() < 1e-12);
    assert_eq!(column(&log2, 5, 1), column(&e, 5, 1));
    let fit = ["lmm", "fit", "sums.npz", "--min-cells", "900", "--test", "cls2", "-o", "few.tsv"];
    folder.done(&fit);
    assert!(folder.text("few.tsv").contains("\tfew_cells\t"));
    let left = folder.run(&["lmm", "fit", "sums.npz", "--min-cells", "many", "-o", "few.tsv"]);
    assert!(left.code == 2 && left.err.contains("min_cells"), "{}", left.err);
}
