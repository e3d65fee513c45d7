//! `limma de` and `limma pseudobulk`: tables in, tables out, the same bytes for any number of threads.

use crate::support::Folder;

/// Counts of 40 genes in six samples of two groups, two of them twenty times as high in `b`; texts are annotation.
fn counts() -> String {
    let mut text = String::from("gene\tsymbol\ts1\ts2\ts3\ts4\ts5\ts6\n");
    for g in 0..40_u32 {
        text.push_str(&["g", &g.to_string(), "\tsym", &g.to_string()].concat());
        for s in 0..6_u32 {
            // Counts that look random: digits of squares.
            let noise = (g * 7919 + s * 104_729 + g * s * 31) % 97;
            let base = if g < 2 && s > 2 { 2_000 } else { 100 };
            text.push_str(&["\t", &(base + noise).to_string()].concat());
        }
        text.push('\n');
    }
    text
}

const SAMPLES: &str = "sample\tgroup\tdonor\ns1\ta\tx\ns2\ta\ty\ns3\ta\tz\ns4\tb\tx\ns5\tb\ty\ns6\tb\tz\n";
const DE: [&str; 6] = ["limma", "de", "counts.tsv", "samples.tsv", "--formula", "~ 0 + group"];

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("counts.tsv", &counts());
    folder.write("samples.tsv", SAMPLES);
    folder
}

fn column(table: &str, name: &str) -> Vec<String> {
    let at = table.lines().next().unwrap().split('\t').position(|n| n == name).unwrap();
    table.lines().skip(1).map(|line| line.split('\t').nth(at).unwrap().to_owned()).collect()
}

#[test]
fn a_folder_holds_all_tables() {
    let folder = folder();
    let left = folder.done(&[&DE[..], &["--contrast", "up=b - a", "-o", "out"]].concat());
    assert!(left.err.contains("up"), "{}", left.err);
    let table = folder.text("out/de.tsv");
    let header = "group\tcontrast\tgene\tsymbol\tlog_fc\tse\tave_expr\tt\tdf\tp_value\tadj_p_value\tlog10_p_value\tb\t\
        n_samples\tstatus\treason";
    assert_eq!(table.lines().next(), Some(header));
    assert_eq!(table.lines().count(), 41);
    let mut first = column(&table, "gene")[..2].to_vec();
    first.sort();
    assert_eq!(first, ["g0", "g1"], "the genes that change come first");
    assert!(column(&table, "contrast").iter().all(|name| name == "up"));
    assert!(column(&table, "symbol")[0].starts_with("sym"), "annotation reaches the table");
    assert!(column(&table, "log_fc")[0].parse::<f64>().unwrap() > 3.0);
    assert_eq!(folder.text("out/samples.tsv").lines().count(), 7);
    assert_eq!(folder.text("out/groups.tsv").lines().count(), 2);
}

#[test]
fn threads_and_runs_change_no_byte() {
    let folder = folder();
    for (threads, out) in [("1", "one.tsv"), ("2", "two.tsv"), ("2", "again.tsv")] {
        folder.done(&[&DE[..], &["--contrast", "b - a", "--block", "donor", "--threads", threads, "-o", out]].concat());
    }
    assert_eq!(folder.text("one.tsv"), folder.text("two.tsv"));
    assert_eq!(folder.text("two.tsv"), folder.text("again.tsv"));
}

#[test]
fn samples_are_matched_by_name() {
    let folder = folder();
    folder.done(&[&DE[..], &["--contrast", "b - a", "-o", "one.tsv"]].concat());
    // The order of the table of samples changes no byte.
    let (header, rows) = SAMPLES.trim_end().split_once('\n').unwrap();
    let turned: Vec<&str> = rows.lines().rev().collect();
    folder.write("samples.tsv", &format!("{header}\n{}\n", turned.join("\n")));
    folder.done(&[&DE[..], &["--contrast", "b - a", "-o", "turned.tsv"]].concat());
    assert_eq!(folder.text("turned.tsv"), folder.text("one.tsv"));
    // Samples of the counts that the table lacks are left out; an unknown one is an error.
    folder.write("few.tsv", SAMPLES.trim_end().rsplit_once('\n').unwrap().0);
    let few = ["limma", "de", "counts.tsv", "few.tsv", "--formula", "~ group", "-o", "few.out.tsv"];
    folder.done(&few);
    assert!(column(&folder.text("few.out.tsv"), "n_samples").iter().all(|n| n == "5"));
    folder.write("more.tsv", &format!("{SAMPLES}s7\tb\tx\n"));
    let left = folder.run(&["limma", "de", "counts.tsv", "more.tsv", "--formula", "~ group", "-o", "more.out.tsv"]);
    assert_eq!(left.code, 1);
    assert!(left.err.contains("s7"), "{}", left.err);
    assert!(!folder.path("more.out.tsv").exists());
}

#[test]
fn what_is_wrong_is_named() {
    let folder = folder();
    let cases: [(&[&str], i32, &str); 5] = [
        (&["--contrast", "bb - a"], 1, "bb"),
        (&["--contrast", "b - a", "--method", "vom"], 2, "voom_lm_fit"),
        (&["--contrast", "b - a", "--min-count=-1"], 2, "found `-1`"),
        (&["--contrast", "b - a", "--block", "donr"], 1, "donr"),
        (&["--contrast", "b - a", "--by", "group"], 2, "only a study of cells"),
    ];
    for (more, code, told) in cases {
        let left = folder.run(&[&DE[..], more, &["-o", "x.tsv"]].concat());
        assert_eq!(left.code, code, "{more:?}\n{}", left.err);
        assert!(left.err.contains(told), "{more:?}\n{}", left.err);
        assert!(!folder.path("x.tsv").exists(), "{more:?}");
    }
    folder.write("minus.tsv", &counts().replacen("\t100\t", "\t-5\t", 1).replacen("\t1", "\t-1", 1));
    let left = folder.run(&["limma", "de", "minus.tsv", "samples.tsv", "--formula", "~ group", "-o", "x.tsv"]);
    assert_eq!(left.code, 1);
    assert!(left.err.contains("needs counts"), "{}", left.err);
    folder.write("zero.tsv", &empty_sample());
    let left = folder.run(&["limma", "de", "zero.tsv", "samples.tsv", "--formula", "~ group", "-o", "x.tsv"]);
    assert_eq!(left.code, 1);
    assert!(left.err.contains("sample `s6` has library size 0"), "{}", left.err);
}

/// The counts with nothing in the last sample.
fn empty_sample() -> String {
    let mut lines = counts().lines().map(str::to_owned).collect::<Vec<_>>();
    for line in &mut lines[1..] {
        let (kept, _) = line.rsplit_once('\t').unwrap();
        *line = format!("{kept}\t0");
    }
    lines.join("\n") + "\n"
}

#[test]
fn cells_become_samples_once_or_on_the_way() {
    let folder = Folder::new();
    let by = ["--by", "sam", "--by", "trt", "--min-cells", "1"];
    folder.done(&[&["limma", "pseudobulk", "study.h5ad", "-o", "bulk.h5ad"], &by[..]].concat());
    folder.done(&[&["limma", "pseudobulk", "study.h5ad", "-o", "again.h5ad", "--threads", "2"], &by[..]].concat());
    assert_eq!(folder.bytes("bulk.h5ad"), folder.bytes("again.h5ad"));
    let de = ["--formula", "~ trt", "-o"];
    folder.done(&[&["limma", "de", "study.h5ad"], &by[..], &de, &["cells.tsv"]].concat());
    folder.done(&[&["limma", "de", "bulk.h5ad"], &de[..], &["bulk.tsv"]].concat());
    assert_eq!(folder.text("cells.tsv"), folder.text("bulk.tsv"));
    let left = folder.run(&[&["limma", "de", "study.h5ad", "--mode", "mean"], &by[..], &de, &["x.tsv"]].concat());
    assert_ne!(left.code, 0, "means are no counts");
    assert!(left.err.contains("trend"), "{}", left.err);
    let left = folder.run(&["limma", "pseudobulk", "study.h5ad", "--by", "donor", "-o", "x.h5ad"]);
    assert_eq!(left.code, 1);
    assert!(left.err.contains("donor"), "{}", left.err);
    assert!(!folder.path("x.h5ad").exists());
}
