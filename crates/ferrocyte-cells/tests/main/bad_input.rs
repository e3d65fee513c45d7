//! What is refused and what is warned of, one test for each row of the table of bad input.

use std::sync::{Arc, Mutex};

use ferrocyte_base::{Level, Monitor, Result, Run};
use ferrocyte_cells::Names;
use ferrocyte_cells::harmony::{HarmonyOptions, harmony};
use ferrocyte_cells::hvg::{Flavor, HvgOptions, highly_variable_genes};
use ferrocyte_cells::markers::{MarkerOptions, Method, markers};
use ferrocyte_cells::normalize::{NormalizeOptions, Target, check_log1p, size_factors};
use ferrocyte_cells::pca::{PcaOptions, pca};
use ferrocyte_cells::qc::{GeneFlag, QcOptions, qc_metrics};
use ferrocyte_cells::scale::{ScaleOptions, Scaling};
use ferrocyte_data::{Dense, Factor};
use ferrocyte_learn::Points;
use ferrocyte_testkit::Counts;

/// Keeps what it is told.
#[derive(Default)]
struct Listener(Mutex<Vec<String>>);

impl Monitor for Listener {
    fn say(&self, level: Level, message: &str) {
        if level == Level::Warning {
            self.0.lock().unwrap().push(message.to_owned());
        }
    }
}

/// A run, and the warnings that come of it.
fn listening() -> (Run, Arc<Listener>) {
    let listener = Arc::new(Listener::default());
    (Run::new().monitor(Arc::clone(&listener) as Arc<dyn Monitor>), listener)
}

fn warned(listener: &Listener) -> String {
    listener.0.lock().unwrap().join("\n")
}

const NAMES: Names<'static> = Names { cells: &[], genes: &[] };

#[test]
fn missing_and_infinite_values_are_counted_and_named() -> Result<()> {
    let cells = ["c1", "c2"].map(str::to_owned);
    let genes = ["CD3D", "MS4A1", "LYZ"].map(str::to_owned);
    let names = Names { cells: &cells, genes: &genes };
    let values = [1.0, 0.5, 2.0, 3.0, f64::NAN, f64::INFINITY];
    let run = Run::new();
    let expected = "a dense matrix: 2 values are missing or infinite, the first (NaN) in cell `c2`, gene `MS4A1`";
    let source = || Dense::row_major(2, 3, &values);
    let options = PcaOptions { n_comps: Some(1), scale: None };
    assert_eq!(pca(&run, &mut source()?, &names, &options).err().map(|f| f.to_string()).as_deref(), Some(expected));
    let seurat = HvgOptions::new(Flavor::Seurat);
    let fault = highly_variable_genes(&run, &mut source()?, &names, None, &seurat).err();
    assert_eq!(fault.map(|f| f.to_string()).as_deref(), Some(expected));
    Ok(())
}

#[test]
fn negative_counts_are_refused() -> Result<()> {
    let values = [1.0, 2.0, -1.0, 0.0];
    let run = Run::new();
    let source = || Dense::row_major(2, 2, &values);
    let usual = NormalizeOptions { target: Target::Median, exclude_highly_expressed: None };
    let faults = [
        size_factors(&run, &mut source()?, &NAMES, &usual).err(),
        check_log1p(&run, &mut source()?, &NAMES).err(),
        qc_metrics(&run, &mut source()?, &NAMES, &QcOptions::default()).err(),
        highly_variable_genes(&run, &mut source()?, &NAMES, None, &HvgOptions::new(Flavor::SeuratV3)).err(),
    ];
    for fault in faults {
        let told = fault.map(|f| f.to_string()).unwrap_or_default();
        assert!(
            told.ends_with("1 values are missing, infinite or negative, the first (-1) in cell 1, gene 0"),
            "{told}"
        );
    }
    Ok(())
}

#[test]
fn cells_without_counts_are_counted_in_a_warning() -> Result<()> {
    let values = [1.0, 2.0, 0.0, 0.0, 0.0, 0.0];
    let (run, listener) = listening();
    let usual = NormalizeOptions { target: Target::Median, exclude_highly_expressed: None };
    let found = size_factors(&run, &mut Dense::row_major(3, 2, &values)?, &NAMES, &usual)?;
    assert_eq!(found.factors, [1.0; 3]);
    assert_eq!(warned(&listener), "2 of 3 cells have no counts to scale and stay as they are");
    Ok(())
}

#[test]
fn flags_without_genes_are_warned_of() -> Result<()> {
    let counts = Counts::random(1, 20, 5, 1.0)?;
    let (run, listener) = listening();
    let flag = GeneFlag { name: "mt".to_owned(), genes: vec![false; 5] };
    let options = QcOptions { flags: vec![flag], percent_top: Vec::new() };
    qc_metrics(&run, &mut counts.source()?, &NAMES, &options)?;
    assert!(warned(&listener).starts_with("no gene is flagged as `mt`"));
    Ok(())
}

#[test]
fn constant_genes_are_listed_and_come_out_as_zero() -> Result<()> {
    let values = [1.0, 2.0, 1.0, 5.0, 1.0, 9.0];
    let (run, listener) = listening();
    let mut source = Dense::row_major(3, 2, &values)?;
    let scaling = Scaling::measure(&run, &mut source, &NAMES, ScaleOptions::default())?;
    assert_eq!(warned(&listener), "1 genes do not vary: gene 0");
    let dense = scaling.dense(&run, &mut source, 0..3)?;
    assert_eq!([dense[0], dense[2], dense[4]], [0.0; 3]);
    Ok(())
}

#[test]
fn values_that_are_no_counts_are_warned_of() -> Result<()> {
    let counts = Counts::random(2, 60, 80, 1.0)?;
    let half: Vec<f64> = counts.values.iter().map(|v| f64::from(*v) * 0.5).collect();
    let source = || ferrocyte_data::Csr::new(60, 80, &half, &counts.indices, &counts.pointers);
    let (run, listener) = listening();
    highly_variable_genes(&run, &mut source()?, &NAMES, None, &HvgOptions::new(Flavor::SeuratV3))?;
    assert!(warned(&listener).contains("expects counts, but a sparse matrix (CSR) has values that are not whole"));
    let (run, listener) = listening();
    check_log1p(&run, &mut source()?, &NAMES)?;
    assert!(warned(&listener).contains("they seem to be logarithms already"));
    // And the other way round: markers of counts.
    let (run, listener) = listening();
    let labels = Factor::from_texts((0..60).map(|i| Some(if i % 2 == 0 { "a" } else { "b" })));
    markers(&run, &mut counts.source()?, &NAMES, &labels, &MarkerOptions::new(Method::TTest))?;
    assert!(warned(&listener).contains("logarithms of normalised counts are expected"));
    Ok(())
}

#[test]
fn cells_without_group_are_counted_in_a_warning() -> Result<()> {
    let counts = Counts::random(3, 40, 6, 1.0)?;
    let labels = Factor::from_texts((0..40).map(|i| [Some("a"), Some("b"), None][i % 3]));
    let (run, listener) = listening();
    let found = markers(&run, &mut counts.source()?, &NAMES, &labels, &MarkerOptions::new(Method::Wilcoxon))?;
    assert!(warned(&listener).contains("13 cells have no group: they count among the rest"));
    assert_eq!(found[0].n + found[0].n_reference, 40);
    Ok(())
}

#[test]
fn small_batches_are_left_out_by_name() -> Result<()> {
    let counts = Counts::random(4, 120, 90, 0.8)?;
    let batches = Factor::from_texts((0..120).map(|i| Some(if i < 2 { "few" } else { "many" })));
    let (run, listener) = listening();
    let mut options = HvgOptions::new(Flavor::SeuratV3);
    options.n_top = Some(10);
    let found = highly_variable_genes(&run, &mut counts.source()?, &NAMES, Some(&batches), &options)?;
    assert!(warned(&listener).contains("batch `few` is left out: it has 2 cells"));
    assert_eq!(found.indices().len(), 10);
    let missing = Factor::from_texts((0..120).map(|i| (i > 3).then_some("x")));
    let fault = highly_variable_genes(&run, &mut counts.source()?, &NAMES, Some(&missing), &options).err();
    assert_eq!(fault.map(|f| f.to_string()).as_deref(), Some("batch_key: 4 of 120 cells have no batch"));
    Ok(())
}

#[test]
fn one_batch_has_nothing_to_be_brought_together() -> Result<()> {
    let values: Vec<f64> = (0..90).map(|i| f64::from(i * i % 17)).collect();
    let batch = Factor::from_texts((0..30).map(|_| Some("x")));
    let (run, listener) = listening();
    let found = harmony(&run, Points::new(&values, 30, 3)?, &[&batch], &HarmonyOptions::default())?;
    assert_eq!(found.corrected.entries(), values);
    assert!(warned(&listener).starts_with("all cells are of one batch"));
    Ok(())
}
