//! Questions to saved sums: the answers are those of sums collected for the question.

use ferrocyte_base::{Result, Run};
use ferrocyte_data::{Additive, Csr, Factor, ObsColumn};
use ferrocyte_design::Model;
use ferrocyte_mixed::lmm::{self, AliasedChoice, Contrast, Fit, FitOptions, Study, StudyOptions, Sums, SumsOptions};
use ferrocyte_mixed::lmm::{GeneMask, TestOptions};

/// A study with an age per sample and batches across samples.
fn study() -> Result<Study> {
    let mut study = lmm::simulate_study(&Run::new(), &StudyOptions { n_genes: 30, ..StudyOptions::size("S", 21)? })?;
    let n = study.obs.n_rows();
    let samples = study.obs.factor("sample")?.codes.clone();
    let batches = Factor::from_texts((0..n).map(|i| Some(format!("b{}", i * 7 % 5))));
    study.obs.insert("batch", ObsColumn::Factor(batches))?;
    study.obs.insert("age", ObsColumn::Number(samples.iter().map(|s| 40.0 + f64::from(s * 13 % 30)).collect()))?;
    // So few genes leave cells without a count: totals come from elsewhere.
    study.obs.insert("libsize", ObsColumn::Number((0..n).map(|i| 900.0 + (i * 37 % 500) as f64).collect()))?;
    Ok(study)
}

fn collect(study: &Study, formula: &str, options: &SumsOptions) -> Result<Sums> {
    let mut source = Csr::new(study.obs.n_rows(), 30, &study.counts, &study.indices, &study.pointers)?;
    lmm::sums(&Run::new(), &mut source, &study.genes, &study.obs, &Model::parse(formula, &[])?, options)
}

fn with_groups(groups: Option<&str>) -> SumsOptions {
    let groups = groups.map(str::to_owned);
    SumsOptions { groups, aliased: Some(AliasedChoice::Drop), ..SumsOptions::default() }
}

fn ask(sums: &Sums, formula: &str) -> Result<Sums> {
    sums.submodel(&Run::new(), &Model::parse(formula, &[])?, AliasedChoice::Drop)
}

/// Largest difference of two arrays relative to the largest entry.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let scale = b.iter().fold(1e-300_f64, |m, x| m.max(x.abs()));
    a.iter().zip(b).fold(0.0_f64, |m, (x, y)| m.max((x - y).abs())) / scale
}

#[test]
fn a_sub_model_is_that_of_the_cells() -> Result<()> {
    let study = study()?;
    let rich = "~ age + cluster*treatment + batch + (1 | sample) + (1 | batch:cluster)";
    for (groups, rich, questions) in [
        (
            None,
            rich,
            vec![
                rich,
                "~ treatment + (1 | sample)",
                "~ age + cluster + cluster:treatment + (1 | sample)",
                "~ 0 + cluster + batch + (1 | batch:cluster) + (1 | sample)",
                "~ batch + treatment + sample + (1 | batch:cluster)",
                "~ treatment + (1 | cluster) + (1 | batch)",
            ],
        ),
        (
            Some("cluster"),
            "~ log(libsize) + treatment*batch + (1 | sample)",
            vec!["~ treatment + (1 | sample)", "~ 0 + treatment:batch + log(libsize) + (1 | sample)"],
        ),
    ] {
        let saved = collect(&study, rich, &with_groups(groups))?;
        for question in questions {
            let (asked, expected) = (ask(&saved, question)?, collect(&study, question, &with_groups(groups))?);
            assert_eq!((&asked.formula, &asked.libsize), (&expected.formula, &expected.libsize), "{question}");
            assert_eq!(asked.inputs, expected.inputs);
            for (a, b) in asked.groups.iter().zip(&expected.groups) {
                assert_eq!(a.coefficients.names(), b.coefficients.names(), "{question}");
                assert_eq!((&a.components, a.n_cells), (&b.components, b.n_cells), "{question}");
                for (a, b) in [(&a.xx, &b.xx), (&a.zx, &b.zx), (&a.zz, &b.zz)] {
                    assert!(distance(a.entries(), b.entries()) < 1e-12, "{question}");
                }
                for (a, b) in [(&a.xy, &b.xy), (&a.zy, &b.zy), (&a.y_norm, &b.y_norm), (&a.y_sum, &b.y_sum)] {
                    assert!(distance(a, b) < 1e-12, "{question}");
                }
            }
        }
    }
    Ok(())
}

#[test]
fn tests_of_a_sub_model_are_those_of_the_cells() -> Result<()> {
    let (run, study) = (Run::new(), study()?);
    let question = "~ cluster + treatment + (1 | sample)";
    let saved = collect(&study, "~ age + cluster*treatment + batch + (1 | sample)", &SumsOptions::default())?;
    let saved = Sums::from_part(&saved.to_part())?;
    let test = |sums: Sums| -> Result<Vec<f64>> {
        let fit = Fit::new(&run, sums, FitOptions::default())?;
        let contrast = Contrast::difference("treatment", "B", "A");
        Ok(fit.test(&run, &[contrast], &TestOptions::default())?.floats("p_value")?.to_vec())
    };
    let asked = saved.submodel(&Run::new(), &Model::parse(question, &[])?, AliasedChoice::Refuse)?;
    let (a, b) = (test(asked)?, test(collect(&study, question, &SumsOptions::default())?)?);
    assert!(a.iter().zip(&b).all(|(a, b)| (a / b - 1.0).abs() < 1e-7), "{a:?} {b:?}");
    Ok(())
}

#[test]
fn what_cannot_be_answered_is_refused_with_the_reason() -> Result<()> {
    let study = study()?;
    let saved = collect(&study, "~ age + cluster*treatment + (1 | sample)", &SumsOptions::default())?;
    let refused = |formula: &str| {
        saved
            .submodel(&Run::new(), &Model::parse(formula, &[]).unwrap(), AliasedChoice::Refuse)
            .map(|_| ())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        refused("~ batch + (1 | sample)"),
        "formula: `batch` is not in the sums; they were made with `~ age + cluster + treatment + cluster:treatment + (1 | sample)`"
    );
    // The donors of a treatment are its donors: dependent columns are told as those of a study are.
    assert!(refused("~ treatment + sample + (1 | cluster)").starts_with("design: aliased column `sample"));
    let dropped = ask(&saved, "~ treatment + sample + (1 | cluster)")?;
    assert!(dropped.warnings.iter().any(|w| w.contains("is left out: it equals")), "{:?}", dropped.warnings);
    assert!(
        dropped
            .warnings
            .iter()
            .any(|w| w.ends_with("leaves out the random term of `sample` that the sums were made with"))
    );
    Ok(())
}

#[test]
fn genes_are_taken_out_and_put_together() -> Result<()> {
    let study = study()?;
    let formula = "~ log(libsize) + treatment + (1 | sample)";
    let whole = collect(&study, formula, &SumsOptions::default())?;
    let block = |keep: &dyn Fn(usize) -> bool| {
        let mask = GeneMask { kept: (0..30).map(keep).collect(), name: String::new() };
        collect(&study, formula, &SumsOptions { mask: Some(mask), ..SumsOptions::default() })
    };
    let (first, second) = (block(&|g| g < 11)?, block(&|g| g >= 11)?);
    assert!(whole.select_genes(&(0..11).collect::<Vec<_>>())? == first);
    let mut together = first.clone();
    together.concat_genes(&second)?;
    assert!(together == whole);
    let few = whole.select_genes(&whole.find_genes(&[&study.genes[20], &study.genes[3]])?)?;
    assert_eq!(few.genes, [study.genes[20].clone(), study.genes[3].clone()]);
    assert_eq!(few.groups[0].y_norm, [whole.groups[0].y_norm[20], whole.groups[0].y_norm[3]]);

    let text = |outcome: Result<()>| outcome.unwrap_err().to_string();
    assert!(text(together.concat_genes(&second)).starts_with("genes: genes are in both: "));
    let other = collect(&study, "~ treatment + (1 | sample)", &SumsOptions::default())?;
    assert!(text(first.clone().concat_genes(&other)).starts_with("the formula differs"));
    let shard = collect(&study, formula, &SumsOptions { rows: Some(0..500), ..SumsOptions::default() })?;
    let shard = shard.select_genes(&[20])?;
    assert_eq!(
        text(first.clone().concat_genes(&shard)),
        "genes: the rows of the sources differ: blocks of genes must come from the same cells"
    );
    assert_eq!(text(whole.select_genes(&[30]).map(|_| ())), "genes: gene 30 was selected, but there are 30 genes");
    assert!(text(whole.select_genes(&[3, 3]).map(|_| ())).ends_with("(gene 3) was selected twice"));
    assert_eq!(text(whole.select_genes(&[]).map(|_| ())), "genes: no gene is selected");
    assert_eq!(text(whole.find_genes(&["ISG15"]).map(|_| ())), "genes: there is no gene `ISG15`");
    Ok(())
}
