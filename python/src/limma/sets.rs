//! Tests of gene sets.

use ferrocyte_base::Result;
use ferrocyte_limma::sets::{
    Alternative, CameraOptions, CameraTable, Contrast, Correlations, Effects, EffectsOptions, GeneSetTestOptions,
    GeneSets, Prior, RankStatistic, RoastOptions, RomerOptions, SetStatistic, Standardize, StatisticKind, barcode,
    camera, camera_pr, fry, gene_set_test, inter_gene_correlation, mroast, rank_sum_test_with_correlation, romer,
};
use ferrocyte_math::moving_average::tricube_moving_average;
use ferrocyte_math::multiple::Adjust;
use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::inputs::{Design, Values, Weighing, weights};
use crate::faults::OrRaise;
use crate::monitor::{Means, attended};

/// What is tested: the position of a coefficient, or weights of all.
#[derive(FromPyObject)]
pub(crate) enum ContrastArgument {
    Coefficient(usize),
    Weights(Vec<f64>),
}

impl ContrastArgument {
    fn contrast(&self) -> Contrast {
        match self {
            Self::Coefficient(j) => Contrast::Coefficient(*j),
            Self::Weights(weights) => Contrast::Weights(weights.clone()),
        }
    }
}

/// An experiment: `(values, design, contrast, weights, block, correlation)`.
#[derive(FromPyObject)]
pub(crate) struct Experiment<'py>(
    Values<'py>,
    Design<'py>,
    ContrastArgument,
    Option<Weighing<'py>>,
    Option<Vec<usize>>,
    Option<f64>,
);

impl Experiment<'_> {
    /// Turns the values of all genes and hands them to `test`.
    fn tested<T: Send>(
        &self,
        py: Python<'_>,
        means: &Means,
        test: impl FnOnce(&ferrocyte_base::Run, &Effects) -> Result<T> + Send,
    ) -> PyResult<T> {
        let y = self.0.expression()?.or_raise(py)?;
        let design = self.1.design()?.or_raise(py)?;
        let contrast = self.2.contrast();
        let options =
            EffectsOptions { weights: weights(self.3.as_ref())?, block: self.4.as_deref(), correlation: self.5 };
        attended(py, means, |run| test(run, &Effects::new(run, &y, &design, &contrast, &options)?))
    }
}

/// Sets: `(names, starts, genes)`; set `s` has the genes from `starts[s]` to `starts[s + 1]`.
#[derive(FromPyObject)]
pub(crate) struct SetsArgument<'py>(Vec<String>, Vec<usize>, PyReadonlyArray1<'py, i64>);

impl SetsArgument<'_> {
    fn sets(&self, n_genes: usize) -> PyResult<Result<GeneSets>> {
        let genes = self.2.as_slice()?;
        let sets: Vec<Vec<usize>> = self.1.windows(2).map(|ends| positions(&genes[ends[0]..ends[1]])).collect();
        Ok(GeneSets::new(self.0.clone(), &sets, n_genes))
    }
}

/// Positions of genes, none negative.
fn positions(genes: &[i64]) -> Vec<usize> {
    genes.iter().map(|&g| usize::try_from(g).unwrap_or(usize::MAX)).collect()
}

/// `(trend, robust)`.
type PriorArgument = (bool, bool);

fn prior((trend, robust): PriorArgument) -> Prior {
    Prior { trend, robust }
}

/// Competitive tests of sets: a `dict` of `n_genes`, `correlation`, `up`, `p_value` and `fdr`.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "one call with everything that the package hands over")]
pub(crate) fn limma_camera<'py>(
    py: Python<'py>,
    experiment: Experiment<'py>,
    sets: SetsArgument<'py>,
    use_ranks: bool,
    allow_negative: bool,
    correlations: Option<Vec<f64>>,
    how_moderated: PriorArgument,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let correlations = correlations.map_or(Correlations::Estimated, Correlations::Known);
    let options = CameraOptions { use_ranks, allow_negative, correlations, prior: prior(how_moderated) };
    let sets = sets.sets(experiment.0.n_genes()?)?.or_raise(py)?;
    let table = experiment.tested(py, &means, |run, effects| camera(run, effects, &sets, &options))?;
    camera_table(py, table)
}

/// Competitive tests of sets from one statistic per gene.
#[pyfunction]
pub(crate) fn limma_camera_pr<'py>(
    py: Python<'py>,
    statistic: PyReadonlyArray1<'py, f64>,
    sets: SetsArgument<'py>,
    use_ranks: bool,
    correlations: Vec<f64>,
) -> PyResult<Bound<'py, PyDict>> {
    let statistic = statistic.as_slice()?;
    let sets = sets.sets(statistic.len())?.or_raise(py)?;
    camera_table(py, camera_pr(statistic, &sets, use_ranks, &correlations).or_raise(py)?)
}

fn camera_table(py: Python<'_>, table: CameraTable) -> PyResult<Bound<'_, PyDict>> {
    let out = PyDict::new(py);
    out.set_item("n_genes", table.n_genes)?;
    out.set_item("correlation", table.correlation.into_pyarray(py))?;
    out.set_item("up", table.up)?;
    out.set_item("p_value", table.p_value.into_pyarray(py))?;
    out.set_item("fdr", table.fdr.into_pyarray(py))?;
    Ok(out)
}

/// Self-contained tests of sets without rotations: a `dict` of columns.
#[pyfunction]
pub(crate) fn limma_fry<'py>(
    py: Python<'py>,
    experiment: Experiment<'py>,
    sets: SetsArgument<'py>,
    standardize: &str,
    gene_weights: Option<PyReadonlyArray1<'py, f64>>,
    how_moderated: PriorArgument,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let standardize = Standardize::from_word(standardize).or_raise(py)?;
    let sets = sets.sets(experiment.0.n_genes()?)?.or_raise(py)?;
    let gene_weights = gene_weights.as_ref().map(|w| w.as_slice()).transpose()?;
    let table = experiment
        .tested(py, &means, |run, effects| fry(run, effects, &sets, prior(how_moderated), standardize, gene_weights))?;
    let out = PyDict::new(py);
    out.set_item("n_genes", table.n_genes)?;
    out.set_item("up", table.up)?;
    out.set_item("p_value", table.p_value.into_pyarray(py))?;
    out.set_item("fdr", table.fdr.into_pyarray(py))?;
    out.set_item("p_value_mixed", table.p_value_mixed.into_pyarray(py))?;
    out.set_item("fdr_mixed", table.fdr_mixed.into_pyarray(py))?;
    Ok(out)
}

/// How [`limma_mroast`] tests: `(set_statistic, nrot, approximate, adjust_method, midp, seed)`.
type Manner = (String, usize, bool, String, bool, u64);

/// Self-contained tests of sets by rotation: a `dict` of columns.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "one call with everything that the package hands over")]
pub(crate) fn limma_mroast<'py>(
    py: Python<'py>,
    experiment: Experiment<'py>,
    sets: SetsArgument<'py>,
    gene_weights: Option<PyReadonlyArray1<'py, f64>>,
    how_moderated: PriorArgument,
    known_prior: Option<(f64, f64)>,
    manner: Manner,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let (statistic, n_rotations, approximate, adjust, mid_p, seed) = manner;
    let sets = sets.sets(experiment.0.n_genes()?)?.or_raise(py)?;
    let options = RoastOptions {
        statistic: SetStatistic::from_word(&statistic).or_raise(py)?,
        gene_weights: gene_weights.as_ref().map(|w| w.as_slice()).transpose()?,
        prior: prior(how_moderated),
        known_prior,
        n_rotations,
        approximate,
        adjust: Adjust::from_word(&adjust).or_raise(py)?,
        mid_p,
        seed,
    };
    let table = experiment.tested(py, &means, |run, effects| mroast(run, effects, &sets, &options))?;
    let out = PyDict::new(py);
    out.set_item("n_genes", table.n_genes)?;
    for (name, column) in [
        ("prop_down", table.prop_down),
        ("prop_up", table.prop_up),
        ("p_down", table.p_down),
        ("p_up", table.p_up),
        ("p_value", table.p_value),
        ("fdr", table.fdr),
        ("p_value_mixed", table.p_value_mixed),
        ("fdr_mixed", table.fdr_mixed),
    ] {
        out.set_item(name, column.into_pyarray(py))?;
    }
    Ok(out)
}

/// Competitive tests of sets by rotation; `manner`: `(set_statistic, nrot, shrink_resid, seed)`.
#[pyfunction]
pub(crate) fn limma_romer<'py>(
    py: Python<'py>,
    experiment: Experiment<'py>,
    sets: SetsArgument<'py>,
    how_moderated: PriorArgument,
    manner: (String, usize, bool, u64),
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let (statistic, n_rotations, shrink, seed) = manner;
    let statistic = RankStatistic::from_word(&statistic).or_raise(py)?;
    let options = RomerOptions { statistic, prior: prior(how_moderated), n_rotations, shrink, seed };
    let sets = sets.sets(experiment.0.n_genes()?)?.or_raise(py)?;
    let table = experiment.tested(py, &means, |run, effects| romer(run, effects, &sets, &options))?;
    let out = PyDict::new(py);
    out.set_item("n_genes", table.n_genes)?;
    out.set_item("up", table.up.into_pyarray(py))?;
    out.set_item("down", table.down.into_pyarray(py))?;
    out.set_item("mixed", table.mixed.into_pyarray(py))?;
    Ok(out)
}

/// Variance inflation and mean correlation of the genes of a set.
#[pyfunction]
pub(crate) fn limma_inter_gene_correlation<'py>(
    py: Python<'py>,
    values: Values<'py>,
    design: Design<'py>,
    means: Means,
) -> PyResult<(f64, f64)> {
    let y = values.expression()?.or_raise(py)?;
    let design = design.design()?.or_raise(py)?;
    let found = attended(py, &means, |run| inter_gene_correlation(run, &y, &design))?;
    Ok((found.vif, found.correlation))
}

/// One-sided p-values of a set: `(less, greater)`.
#[pyfunction]
pub(crate) fn limma_rank_sum<'py>(
    py: Python<'py>,
    set: Vec<usize>,
    statistics: PyReadonlyArray1<'py, f64>,
    correlation: f64,
    df: f64,
) -> PyResult<(f64, f64)> {
    rank_sum_test_with_correlation(&set, statistics.as_slice()?, correlation, df).or_raise(py)
}

/// The p-value of a set among statistics of all genes; `manner`: `(alternative, type, ranks_only, nsim, seed)`.
#[pyfunction]
pub(crate) fn limma_gene_set_test<'py>(
    py: Python<'py>,
    set: Vec<usize>,
    statistics: PyReadonlyArray1<'py, f64>,
    manner: (String, String, bool, usize, u64),
    means: Means,
) -> PyResult<f64> {
    let (alternative, kind, ranks_only, n_draws, seed) = manner;
    let options = GeneSetTestOptions {
        alternative: Alternative::from_word(&alternative).or_raise(py)?,
        kind: StatisticKind::from_word(&kind).or_raise(py)?,
        ranks_only,
        n_draws,
        seed,
    };
    let statistics = statistics.as_slice()?;
    attended(py, &means, |run| gene_set_test(run, statistics, &set, &options))
}

/// The numbers of a barcode plot: order of all genes, places of the set, enrichment along the order.
#[pyfunction]
#[expect(clippy::type_complexity, reason = "three arrays")]
pub(crate) fn limma_barcode<'py>(
    py: Python<'py>,
    set: Vec<usize>,
    statistics: PyReadonlyArray1<'py, f64>,
    weights: Option<Vec<f64>>,
    span: f64,
) -> PyResult<(Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<f64>>)> {
    let found = barcode(statistics.as_slice()?, &set, weights.as_deref(), span).or_raise(py)?;
    let integers = |values: Vec<usize>| -> Vec<i64> { values.into_iter().map(|v| v as i64).collect() };
    Ok((
        integers(found.order).into_pyarray(py),
        integers(found.places).into_pyarray(py),
        found.enrichment.into_pyarray(py),
    ))
}

/// Moving averages with tricube weights.
#[pyfunction]
pub(crate) fn limma_tricube_moving_average<'py>(
    py: Python<'py>,
    values: PyReadonlyArray1<'py, f64>,
    span: f64,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    Ok(tricube_moving_average(values.as_slice()?, span).into_pyarray(py))
}
