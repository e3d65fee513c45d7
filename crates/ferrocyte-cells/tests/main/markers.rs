//! Markers against the reference: every method, reference and correction.

use ferrocyte_base::{Result, Run};
use ferrocyte_cells::markers::{Correction, GroupMarkers, MarkerFilter, MarkerOptions, Method, markers};
use ferrocyte_data::Factor;
use serde_json::Value as Json;

use crate::components::chosen_logs;
use crate::files::{Case, Matrix32, assert_near, number, numbers, texts};
use crate::pipeline::target;

/// The labels of a case.
fn labels(case: &Case) -> Factor {
    let codes = case.npz("marker_groups.npz").get("g").indices();
    Factor::from_texts(codes.iter().map(|code| Some(code.to_string())))
}

fn run_markers(cells: &Matrix32, labels: &Factor, options: &MarkerOptions) -> Result<Vec<GroupMarkers>> {
    markers(&Run::new(), &mut cells.source(), &cells.names(), labels, options)
}

/// `|score| 1e-6 (1 + |score|)`, `|ln p| 1e-6 (1 + |ln p|)`; where the reference has 0, `ln p` below -700.
fn assert_test(what: &str, found: &GroupMarkers, [scores, p, q, lfc]: [&[f64]; 4]) {
    assert_near(&format!("{what}: scores"), &found.scores, scores, 1e-6, 1e-6);
    assert_near(&format!("{what}: fold changes"), &found.log2_fold_change, lfc, 2e-6, 2e-6);
    for (name, ours, theirs) in [("p", &found.ln_p, p), ("q", &found.ln_q, q)] {
        for (i, (ln, p)) in ours.iter().zip(theirs).enumerate() {
            let same = if *p == 0.0 { *ln < -700.0 } else { (ln - p.ln()).abs() <= 1e-6 * (1.0 + p.ln().abs()) };
            assert!(same, "{what}: ln {name} of gene {i} is {ln}, expected {}", p.ln());
        }
    }
}

#[test]
fn tests_of_chosen_genes() -> Result<()> {
    for case in Case::with("marker_groups.npz") {
        let cells = chosen_logs(&case);
        let labels = labels(&case);
        let reference = case.json("metrics.json")["params"]["marker_reference"].as_str().map(str::to_owned);
        let wilcoxon = |tie_correct| MarkerOptions { tie_correct, ..MarkerOptions::new(Method::Wilcoxon) };
        let t_test = MarkerOptions::new(Method::TTest);
        let variants = [
            ("markers_t-test.npz".to_owned(), t_test.clone()),
            ("markers_t-test_overestim_var.npz".to_owned(), MarkerOptions::new(Method::TTestOverestimVar)),
            ("markers_wilcoxon.npz".to_owned(), wilcoxon(false)),
            ("markers_wilcoxon_tiecorrect.npz".to_owned(), wilcoxon(true)),
            (
                format!("markers_t-test_ref{}.npz", reference.clone().unwrap_or_default()),
                MarkerOptions { reference, ..t_test },
            ),
        ];
        for (file, options) in variants {
            if !case.has(&file) {
                continue;
            }
            let expected = case.npz(&file);
            let found = run_markers(&cells, &labels, &options)?;
            for row in 0..expected.get("scores").shape[0] {
                let of = |name: &str| expected.get(name).row(row);
                let arrays = [of("scores"), of("pvals"), of("pvals_adj"), of("logfoldchanges")];
                assert_test(&format!("{file}, group {row}"), &found[row], arrays);
                if expected.find("pts").is_some() {
                    assert_near("fractions", &found[row].fraction, of("pts"), 1e-6, 0.0);
                    assert_near("fractions of the rest", &found[row].fraction_reference, of("pts_rest"), 1e-6, 0.0);
                }
            }
        }
    }
    Ok(())
}

#[test]
fn tests_of_all_genes_and_marker_tables() -> Result<()> {
    for case in Case::with("marker_tables.json") {
        let cells = Matrix32::filtered(&case).lognorm(target(&case));
        let labels = labels(&case);
        let found = run_markers(&cells, &labels, &MarkerOptions::new(Method::TTest))?;
        let expected = case.table("markers_all_genes_group0_top3000.tsv.gz");
        let order = found[0].order(false);
        let scores: Vec<f64> = order.iter().map(|&gene| found[0].scores[gene]).collect();
        let theirs = expected.floats("scores");
        assert_near("scores by order", &scores[..theirs.len()], &theirs, 1e-6, 1e-6);
        // Genes may change places only where scores tie in 32 bits.
        for (place, name) in expected.texts("names").iter().enumerate() {
            let gene = order[place];
            let tied = place > 0 && theirs[place] == theirs[place - 1];
            let tied = tied || theirs.get(place + 1) == Some(&theirs[place]);
            assert!(tied || cells.genes[gene] == *name, "place {place}: {} for {name}", cells.genes[gene]);
        }
        let tables = case.json("marker_tables.json");
        for group in &found {
            let expected = &tables["groups"][&group.group];
            let selected = MarkerFilter::for_figures().select(group);
            assert_eq!(selected.len() as u64, expected["n_pass"].as_u64().unwrap(), "group {}", group.group);
            for (&gene, row) in selected.iter().zip(expected["top10"].as_array().unwrap()) {
                assert_eq!(cells.genes[gene], row["name"].as_str().unwrap());
                let (of, at) = (&group.group, &cells.genes[gene]);
                let near = |name: &str, ours: f64, tolerance: f64| {
                    assert_near(&format!("{of}, {at}: {name}"), &[ours], &[number(&row[name])], tolerance, tolerance);
                };
                near("score", group.scores[gene], 1e-6);
                near("lfc", group.log2_fold_change[gene], 2e-6);
                near("pct", group.fraction[gene], 1e-12);
                near("pct_reference", group.fraction_reference[gene], 1e-12);
            }
        }
    }
    Ok(())
}

/// A group of the edge case.
fn assert_edge(what: &str, found: &GroupMarkers, genes: &[String], expected: &Json) {
    // Rows of the reference are by falling score.
    let names = texts(&expected["names"]);
    let column = |name: &str| -> Vec<f64> {
        let values = numbers(&expected[name]);
        let at = |gene: &String| names.iter().position(|name| name == gene).unwrap();
        genes.iter().map(|gene| values[at(gene)]).collect()
    };
    if expected.get("pvals").is_none() {
        assert_near(what, &found.scores, &column("scores"), 1e-6, 1e-6);
        return;
    }
    let (scores, p, q) = (column("scores"), column("pvals"), column("pvals_adj"));
    assert_test(what, found, [&scores, &p, &q, &column("logfoldchanges")]);
}

#[test]
fn every_method_reference_and_correction_on_the_edge() -> Result<()> {
    for case in Case::with("edge.json") {
        let edge = case.json("edge.json");
        let cells = Matrix32::read(&case.folder.join("edge_lognorm.h5ad"));
        let words = texts(&edge["groups"]);
        let factor = Factor::from_texts(words.iter().map(Some));
        for (key, expected) in edge["markers"].as_object().unwrap() {
            let parts: Vec<&str> = key.split('|').collect();
            let (mut labels, mut options) = (factor.clone(), MarkerOptions::new(Method::TTest));
            if key == "singleton" {
                let lonely = (0..words.len()).map(|i| if i == 0 { Some("lonely") } else { Some(words[i].as_str()) });
                let fault = run_markers(&cells, &Factor::from_texts(lonely), &options).err();
                assert!(fault.is_some_and(|f| f.to_string().contains("`lonely`")));
                continue;
            }
            match parts[..] {
                [method, reference, correction] if reference.starts_with("ref=") => {
                    options.method = Method::from_word(method.trim_end_matches("_tie"))?;
                    options.tie_correct = method.ends_with("_tie");
                    options.reference = Some(reference[4..].to_owned()).filter(|name| name != "rest");
                    options.correction = Correction::from_word(correction)?;
                }
                [_, groups, _] if groups.starts_with("groups=") => {
                    options.groups = Some(groups[7..].split(',').map(str::to_owned).collect());
                }
                _ => {
                    assert!(key.starts_with("NaN group"), "{key} is not understood");
                    // Its first four cells have no label.
                    labels = Factor::from_texts((0..words.len()).map(|i| (i >= 4).then(|| words[i].as_str())));
                }
            }
            let found = run_markers(&cells, &labels, &options)?;
            let groups = expected.as_object().unwrap();
            assert_eq!(found.len(), groups.len(), "{key}");
            for group in &found {
                assert_edge(&format!("{key}, {}", group.group), group, &cells.genes, &groups[&group.group]);
            }
        }
        let bh = &edge["bh"];
        let p: Vec<f64> = numbers(&bh["p"]).iter().map(|p| if p.is_nan() { 1.0 } else { *p }).collect();
        let q = ferrocyte_math::multiple::benjamini_hochberg(&p);
        assert_near("q", &q, &numbers(&bh["q_with_nan_as_1"]), 1e-13, 0.0);
    }
    Ok(())
}
