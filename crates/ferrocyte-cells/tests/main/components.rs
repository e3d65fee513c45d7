//! Scaling and principal components against the reference.

use ferrocyte_base::{Result, Run};
use ferrocyte_cells::normalize::Target;
use ferrocyte_cells::pca::{Pca, PcaOptions, pca};
use ferrocyte_cells::scale::{ScaleOptions, Scaling};
use ferrocyte_data::Csr;

use crate::files::{Case, Matrix32, assert_near, number};
use crate::pipeline::{in_64_bits, target};

/// The chosen genes of a case.
pub(crate) fn chosen(case: &Case) -> Vec<usize> {
    let flags = case.table("hvg_seurat_v3.tsv.gz").flags("highly_variable");
    (0..flags.len()).filter(|&gene| flags[gene]).collect()
}

/// The logarithms of the chosen genes, rounded once to 32 bits.
pub(crate) fn chosen_logs(case: &Case) -> Matrix32 {
    let logged = Matrix32::filtered(case).lognorm(target(case));
    let all: Vec<usize> = (0..logged.cells.len()).collect();
    logged.take(&all, &chosen(case))
}

#[test]
fn scaling_is_exact() -> Result<()> {
    for case in Case::with("scale_hvg.tsv.gz") {
        let cells = chosen_logs(&case);
        let most = number(&case.json("metrics.json")["params"]["scale_max"]);
        let options = ScaleOptions { max_value: Some(most), ..ScaleOptions::default() };
        let scaling = Scaling::measure(&Run::new(), &mut cells.source(), &cells.names(), options)?;
        let expected = case.table("scale_hvg.tsv.gz");
        assert_near("mean", &scaling.mean, &expected.floats("mean"), 1e-6, 0.0);
        assert_near("sd", &scaling.sd, &expected.floats("std"), 1e-6, 0.0);
        let block = case.npz("scaled_first40.npz");
        let block = block.get("X");
        let found = scaling.dense(&Run::new(), &mut cells.source(), 0..block.shape[0])?;
        assert_near("block", &found, &block.values, 0.0, 2e-6);
    }
    Ok(())
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len() as f64;
    let (ma, mb) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
    let sum = |f: &dyn Fn(f64, f64) -> f64| a.iter().zip(b).map(|(x, y)| f(x - ma, y - mb)).sum::<f64>();
    sum(&|x, y| x * y) / (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt()
}

/// Scores agree, sign included, for components whose variances differ by more than 1 % from their neighbours'.
fn assert_scores(found: &Pca, expected: &crate::files::Array, scored: usize) {
    for i in 0..scored {
        let apart = |j: usize| (found.variance[i] / found.variance[j] - 1.0).abs() > 0.01;
        if (i > 0 && !apart(i - 1)) || (i + 1 < found.variance.len() && !apart(i + 1)) {
            continue;
        }
        let ours: Vec<f64> = (0..found.scores.n_rows()).map(|c| found.scores[(c, i)]).collect();
        let c = correlation(&ours, &expected.column(i));
        assert!(c >= 1.0 - 1e-6, "component {i}: correlation {c}");
    }
}

#[test]
fn components_of_scaled_genes() -> Result<()> {
    for case in Case::with("pca.npz") {
        let params = &case.json("metrics.json")["params"];
        let cells = chosen_logs(&case);
        let scale = ScaleOptions { max_value: Some(number(&params["scale_max"])), ..ScaleOptions::default() };
        let options = PcaOptions { n_comps: params["npc"].as_u64().map(|n| n as usize), scale: Some(scale) };
        let found = pca(&Run::new(), &mut cells.source(), &cells.names(), &options)?;
        let expected = case.npz("pca.npz");
        assert_near("variance", &found.variance, &expected.get("variance").values, 1e-5, 0.0);
        assert_near("ratio", &found.variance_ratio, &expected.get("variance_ratio").values, 1e-5, 0.0);
        let exact = &expected.get("singular_values_exact_f64").values;
        assert_near("singular values", &found.singular_values, exact, 1e-7, 0.0);
        assert_scores(&found, expected.get("scores"), found.variance.len());
        let loadings = expected.get("loadings");
        let first = loadings.column(0);
        assert_near("loadings of the first", found.loadings.row(0), &first, 1e-4, 1e-5);
    }
    Ok(())
}

#[test]
fn components_of_genes_as_they_are() -> Result<()> {
    for case in Case::with("pca_unscaled.npz") {
        let expected = case.npz("pca_unscaled.npz");
        let cells = Matrix32::filtered(&case);
        let (values, indices, pointers) = in_64_bits(&cells, target(&case))?;
        let all = Csr::new(cells.cells.len(), cells.genes.len(), &values, &indices, &pointers)?;
        let mut source = ferrocyte_data::SelectGenes::new(all, &chosen(&case))?;
        let k = expected.get("variance").values.len();
        let options = PcaOptions { n_comps: Some(k), scale: None };
        let found = pca(&Run::new(), &mut source, &ferrocyte_cells::Names::default(), &options)?;
        assert_near("variance", &found.variance, &expected.get("variance").values, 1e-9, 0.0);
        assert_near("ratio", &found.variance_ratio, &expected.get("variance_ratio").values, 1e-9, 0.0);
        assert_scores(&found, expected.get("scores_first10"), 10);
    }
    Ok(())
}

#[test]
fn components_by_the_population_and_without_a_limit() -> Result<()> {
    for case in Case::with("pca_exprmat.npz") {
        let expected = case.npz("pca_exprmat.npz");
        let cells = Matrix32::filtered(&case);
        let (values, indices, pointers) = in_64_bits(&cells, Target::Mean)?;
        let all = Csr::new(cells.cells.len(), cells.genes.len(), &values, &indices, &pointers)?;
        let mut source = ferrocyte_data::SelectGenes::new(all, &chosen(&case))?;
        let scale = ScaleOptions { ddof: 0, ..ScaleOptions::default() };
        let k = expected.get("variance").values.len();
        let options = PcaOptions { n_comps: Some(k), scale: Some(scale) };
        let found = pca(&Run::new(), &mut source, &ferrocyte_cells::Names::default(), &options)?;
        assert_near("variance", &found.variance, &expected.get("variance").values, 1e-9, 0.0);
        assert_near("ratio", &found.variance_ratio, &expected.get("variance_ratio").values, 1e-9, 0.0);
        assert_near("singular values", &found.singular_values, &expected.get("singular").values, 1e-9, 0.0);
        assert_scores(&found, expected.get("scores_first10"), 10);
    }
    Ok(())
}
