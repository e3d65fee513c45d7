//! `nmf fit`: a study in, tables out, the same bytes for any number of threads and any way in.

use crate::support::Folder;

const FIT: [&str; 7] = ["nmf", "fit", "study.h5ad", "-k", "3,5", "--n-replicas", "4"];

#[test]
fn a_folder_holds_replicas_usages_and_spectra() {
    let folder = Folder::new();
    let left = folder.done(&[&FIT[..], &["-o", "out", "--json"]].concat());
    assert!(left.out.contains("\"at_limit\":"), "{}", left.out);
    let replicas = folder.text("out/replicas.tsv");
    let header = "k\treplica\tseed\titerations\tobjective\texplained\tbest\tstatus\treason";
    assert_eq!(replicas.lines().next(), Some(header));
    assert_eq!(replicas.lines().count(), 9);
    let usages = folder.text("out/usages.k5.tsv");
    assert_eq!(usages.lines().next().unwrap().split('\t').count(), 6);
    assert_eq!(usages.lines().count(), 1001);
    assert_eq!(folder.text("out/spectra.k3.tsv").lines().count(), 51);
    for (threads, out) in [("1", "one"), ("2", "two")] {
        folder.done(&[&FIT[..], &["--threads", threads, "-o", out]].concat());
        for name in ["replicas.tsv", "usages.k3.tsv", "spectra.k5.tsv"] {
            assert_eq!(folder.bytes(&format!("{out}/{name}")), folder.bytes(&format!("out/{name}")), "{name}");
        }
    }
    // As many files as replicas where all are kept; one k has the bits that it has beside others.
    folder.done(&["nmf", "fit", "study.h5ad", "-k", "3", "--n-replicas", "4", "--keep", "all", "-o", "all"]);
    assert_eq!(folder.text("all/replicas.tsv").lines().nth(2), replicas.lines().nth(2));
    assert!(folder.path("all/usages.k3.r3.tsv").exists());
}

#[test]
fn what_cannot_be_is_said() {
    let folder = Folder::new();
    let wrong = [
        (vec!["-o", "out"], "how many programs"),
        (vec!["-k", "three", "-o", "out"], "whole numbers"),
        (vec!["-k", "51", "-o", "out"], "between 1 and 50"),
        (vec!["-k", "3", "--beta-loss", "itakura-saito", "-o", "out"], "beta <= 0"),
        (vec!["-k", "3", "--beta-loss", "1", "--solver", "cd", "-o", "out"], "solver mu"),
        (vec!["-k", "3", "-o", "out.tsv"], "name a folder"),
    ];
    for (args, expected) in wrong {
        let left = folder.run(&[&["nmf", "fit", "study.h5ad"][..], &args].concat());
        assert!(left.code > 0 && left.err.contains(expected), "{args:?}: {}", left.err);
        assert!(!folder.path("out").exists());
    }
}
