//! [`quality`]: which cells and genes of one sample are kept, and why: measures, bounds, doublets.

use ferrocyte_base::{Cells, Fault, Kind, Result, Run, Table, choice};
use ferrocyte_data::{RowChunks, SelectGenes, SelectRows};

use super::slots::{Additions, Entry, Named, Values};
use crate::filter::{Bound, filter_genes};
use crate::keys::{Key, Style, translated};
use crate::qc::{GeneFlag, QcMetrics, QcOptions, Typical, qc_metrics};
use crate::scrublet::{Scrublet, ScrubletOptions, scrublet};
use crate::study::quality::Measured;
use crate::study::{Bounds, CellRules, good_cells};
use crate::{Kept, Names};

choice! {
    /// Bounds on totals that come from the cells themselves.
    Outliers, "outliers" {
        /// None.
        Nothing = "none",
        /// Median ± 5 median absolute deviations.
        Mads = "mads",
        /// Quartiles ∓ 1.5 distances of the quartiles.
        Tukey = "tukey",
    }
}

/// What is measured, and what is kept. Bounds belong to what is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct QualityOptions {
    /// Least number of genes of a cell.
    pub min_genes: usize,
    /// Largest number of genes of a cell.
    pub max_genes: Option<usize>,
    /// Least total of a cell.
    pub min_counts: Option<f64>,
    /// Largest total of a cell.
    pub max_counts: Option<f64>,
    /// Bounds on totals from the cells themselves.
    pub outliers: Outliers,
    /// The share of mitochondrial genes, in %, that a cell stays below.
    pub max_mito: Option<f64>,
    /// The same of ribosomal genes.
    pub max_ribo: Option<f64>,
    /// How many of the cells that pass must have a gene.
    pub min_cells: usize,
    /// How symbols of mitochondrial genes begin, in any case.
    pub mito_prefix: String,
    /// Numbers of most abundant genes whose share is measured; those beyond the genes there are, are passed over.
    pub percent_top: Vec<usize>,
    /// How doublets are looked for; `None` does not look for them.
    pub doublets: Option<ScrubletOptions>,
    /// The dialect of names.
    pub style: Style,
    /// Whether totals are stored in 32 bits, as those of a matrix of such floats are.
    pub single: bool,
}

/// Measures of cells and genes, and which are kept.
#[derive(Debug, Clone)]
pub struct Quality {
    /// Columns of cells and genes, in the dialect that was asked for.
    pub additions: Additions,
    /// Cells within the bounds that are no doublets.
    pub cells: Kept,
    /// Genes that enough of the cells within the bounds have.
    pub genes: Kept,
    /// Cells within the bounds.
    pub n_within: usize,
    /// Cells called doublets.
    pub n_doublets: usize,
    /// The median number of genes, total, and share of mitochondrial genes (in %) of the cells that are kept.
    pub medians: [f64; 3],
}

/// Measures the cells of one sample and says which are kept; `source` has raw counts, `symbols` are those of its genes.
///
/// Doublets are looked for among the cells within the bounds and the genes that enough of them have. Where that fails,
/// as it does with few cells, a warning says so and nothing is called a doublet.
///
/// # Errors
/// Values that are no counts, bounds that contradict each other, no cell within the bounds.
pub fn quality(
    run: &Run,
    source: &mut dyn RowChunks,
    names: &Names<'_>,
    symbols: &[String],
    options: &QualityOptions,
) -> Result<Quality> {
    check(options)?;
    let n_genes = source.n_cols();
    let flags = vec![
        GeneFlag::by_prefix("mt", symbols, &[&options.mito_prefix]),
        GeneFlag::by_prefix("ribo", symbols, &["RPS", "RPL"]),
    ];
    let percent_top = options.percent_top.iter().copied().filter(|&n| n <= n_genes).collect();
    let metrics = qc_metrics(run, source, names, &QcOptions { flags, percent_top })?;
    let within = within(&metrics, options)?;
    let n_within = within.count();
    if n_within == 0 {
        return Err(Fault::bad_input(format!("none of {} cells is within the bounds", within.0.len()))
            .at("min_genes")
            .hint("are the values raw counts? loosen the bounds"));
    }
    let passing = within.indices();
    let genes = {
        let mut kept = SelectRows::list(&mut *source, passing.clone())?;
        filter_genes(run, &mut kept, &Names::default(), Bound::MinDetected(options.min_cells))?.kept
    };
    let doublets = match &options.doublets {
        Some(wanted) => doublets(run, source, &passing, &genes, wanted)?,
        None => None,
    };
    let mut is_doublet = vec![false; within.0.len()];
    if let Some(found) = &doublets {
        for (&cell, &called) in passing.iter().zip(&found.is_doublet) {
            is_doublet[cell] = called;
        }
    }
    let cells = Kept(within.0.iter().zip(&is_doublet).map(|(&kept, &doublet)| kept && !doublet).collect());
    let median = |values: &[f64]| {
        let kept: Vec<f64> = values.iter().zip(&cells.0).filter(|(_, kept)| **kept).map(|(&v, _)| v).collect();
        // Half the distance of the bounds of no width is the median.
        Typical::Mads(0.0).bounds(&kept).map_or(f64::NAN, |(low, _)| low)
    };
    let medians = [median(&metrics.n_genes), median(&metrics.total), median(&metrics.percent(0))];
    let mut additions = match options.style {
        Style::Scanpy => as_scanpy(&metrics, options.single),
        Style::Exprmat => as_exprmat(&metrics),
    };
    let name = |key: Key| key.word(options.style).to_owned();
    additions.obs.push((name(Key::Filter), Values::Bool(within.0)));
    if let Some(found) = doublets {
        add_doublets(&mut additions, &found, &passing, is_doublet.clone(), options);
    }
    additions.obs.push((name(Key::Qc), Values::Bool(cells.0.clone())));
    additions.var.push((name(Key::Qc), Values::Bool(genes.0.clone())));
    let n_doublets = is_doublet.iter().filter(|&&called| called).count();
    Ok(Quality { additions, cells, genes, n_within, n_doublets, medians })
}

fn check(options: &QualityOptions) -> Result<()> {
    let crossed = |low: Option<f64>, high: Option<f64>| low.zip(high).is_some_and(|(low, high)| low > high);
    if crossed(Some(options.min_genes as f64), options.max_genes.map(|n| n as f64)) {
        return Err(Fault::bad_input("the least number of genes is above the largest").at("min_genes"));
    }
    if crossed(options.min_counts, options.max_counts) {
        return Err(Fault::bad_input("the least total is above the largest").at("min_counts"));
    }
    Ok(())
}

/// The cells within all bounds. Bounds from the cells themselves are those of the cells with genes enough.
fn within(metrics: &QcMetrics, options: &QualityOptions) -> Result<Kept> {
    let (low, high) = (options.min_counts.unwrap_or(0.0), options.max_counts.unwrap_or(f64::INFINITY));
    let rules = CellRules {
        totals: match options.outliers {
            Outliers::Nothing => Bounds::Fixed(low, high),
            Outliers::Mads => Bounds::Mads(5.0),
            Outliers::Tukey => Bounds::Tukey(1.5),
        },
        min_genes: options.min_genes as f64,
        max_genes: options.max_genes.map(|n| n as f64),
        max_mito: options.max_mito.map_or(f64::INFINITY, |percent| percent / 100.0),
        max_ribo: options.max_ribo.map(|percent| percent / 100.0),
    };
    let share = |flag: usize| -> Vec<f64> {
        let parts = metrics.flags[flag].1.iter().zip(&metrics.total);
        parts.map(|(&part, &total)| if total > 0.0 { part / total } else { 0.0 }).collect()
    };
    let (mito, ribo) = (share(0), share(1));
    let cells = Measured { totals: &metrics.total, genes: &metrics.n_genes, mito: &mito, ribo: &ribo };
    let good = good_cells(&cells, &rules)?.good;
    Ok(Kept(good.iter().zip(&metrics.total).map(|(&good, &total)| good && low <= total && total <= high).collect()))
}

/// Scores of the cells that pass, or nothing and a warning where they cannot be had.
fn doublets(
    run: &Run,
    source: &mut dyn RowChunks,
    passing: &[usize],
    genes: &Kept,
    options: &ScrubletOptions,
) -> Result<Option<Scrublet>> {
    let cells = SelectRows::list(source, passing.to_vec())?;
    let mut kept = SelectGenes::new(cells, &genes.indices())?;
    match scrublet(run, &mut kept, &Names::default(), options) {
        Ok(found) => Ok(Some(found)),
        Err(fault) if fault.kind() == Kind::BadInput => {
            run.warn(&format!("doublets are not looked for: {fault}"));
            Ok(None)
        }
        Err(fault) => Err(fault),
    }
}

fn add_doublets(
    additions: &mut Additions,
    found: &Scrublet,
    passing: &[usize],
    is_doublet: Vec<bool>,
    options: &QualityOptions,
) {
    let spread = |values: &[f64]| {
        let mut all = vec![f64::NAN; is_doublet.len()];
        passing.iter().zip(values).for_each(|(&cell, &value)| all[cell] = value);
        Values::F64(all)
    };
    let style = options.style;
    additions.obs.push((Key::DoubletScore.word(style).to_owned(), spread(&found.score)));
    if let Some(name) = Key::DoubletSe.name(style) {
        additions.obs.push((name.to_owned(), spread(&found.se)));
    }
    additions.obs.push((Key::IsDoublet.word(style).to_owned(), Values::Bool(is_doublet)));
    let Some(wanted) = &options.doublets else { return };
    let parents = found.parents.iter().flat_map(|&(a, b)| [i64::from(a), i64::from(b)]).collect();
    let mut record = vec![
        ("doublet_scores_sim".to_owned(), Entry::array(found.simulated.clone())),
        ("doublet_parents".to_owned(), Entry::Array(vec![found.parents.len(), 2], Values::I64(parents))),
        (
            "parameters".to_owned(),
            Entry::dict([
                ("expected_doublet_rate", Entry::Float(wanted.expected_rate)),
                ("sim_doublet_ratio", Entry::Float(wanted.sim_ratio)),
                ("n_neighbors", wanted.n_neighbors.map_or(Entry::Null, |n| Entry::Int(n as i64))),
                ("random_state", Entry::Int(wanted.seed as i64)),
            ]),
        ),
    ];
    if let Some(threshold) = found.threshold {
        record.push(("threshold".to_owned(), Entry::Float(threshold)));
    }
    additions.uns.push(("scrublet".to_owned(), Entry::Dict(record)));
}

/// The columns of scanpy, in its types.
fn as_scanpy(metrics: &QcMetrics, single: bool) -> Additions {
    let column = |table: &Table| -> Vec<Named<Values>> {
        table
            .columns()
            .iter()
            .filter_map(|column| Some((column.name.clone(), typed(&column.name, &column.cells, single)?)))
            .collect()
    };
    Additions { obs: column(&metrics.obs()), var: column(&metrics.var()), ..Additions::default() }
}

fn typed(name: &str, cells: &Cells, single: bool) -> Option<Values> {
    let narrow = ["total_counts", "log1p_total_counts", "pct_counts_mt", "pct_counts_ribo"];
    let narrow = single && narrow.iter().any(|head| name.starts_with(head));
    Some(match cells {
        Cells::Float(v) => Values::floats(v.clone(), narrow),
        Cells::Int(v) if name == "n_genes_by_counts" => Values::I32(v.iter().map(|&n| n as i32).collect()),
        Cells::Int(v) => Values::I64(v.clone()),
        Cells::Bool(v) => Values::Bool(v.clone()),
        Cells::Text(_) | Cells::Level { .. } => return None,
    })
}

/// The columns of exprmat: shares are fractions there.
fn as_exprmat(metrics: &QcMetrics) -> Additions {
    let whole = |values: &[f64]| Values::I64(values.iter().map(|&v| v as i64).collect());
    let total = |values: &[f64]| {
        if values.iter().all(|v| v.fract() == 0.0) { whole(values) } else { Values::F64(values.to_vec()) }
    };
    let named = |name: &str, values: Values| (translated(name, Style::Exprmat), values);
    let mut obs =
        vec![named("total_counts", total(&metrics.total)), named("n_genes_by_counts", whole(&metrics.n_genes))];
    for (i, (flag, totals)) in metrics.flags.iter().enumerate() {
        let share = metrics.percent(i).into_iter().map(|percent| percent / 100.0).collect();
        obs.push(named(&format!("total_counts_{}", flag.name), Values::F64(totals.clone())));
        obs.push(named(&format!("pct_counts_{}", flag.name), Values::F64(share)));
    }
    let var =
        vec![named("total_counts", total(&metrics.gene_total)), named("n_cells_by_counts", whole(&metrics.n_cells))];
    Additions { obs, var, ..Additions::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_data::Dense;
    use ferrocyte_testkit::assert_same_bits_over_runs;

    fn options(style: Style) -> QualityOptions {
        QualityOptions {
            min_genes: 2,
            max_genes: None,
            min_counts: None,
            max_counts: None,
            outliers: Outliers::Nothing,
            max_mito: Some(50.0),
            max_ribo: None,
            min_cells: 2,
            mito_prefix: "MT-".into(),
            percent_top: vec![2, 50],
            doublets: None,
            style,
            single: true,
        }
    }

    /// Five cells: one of few genes, one of mitochondria, one empty.
    const COUNTS: [f64; 20] =
        [1.0, 4.0, 0.0, 0.0, 2.0, 3.0, 5.0, 0.0, 0.0, 0.0, 7.0, 0.0, 9.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];

    fn symbols() -> Vec<String> {
        ["MT-CO1", "CD3D", "RPS6", "MS4A1"].map(str::to_owned).to_vec()
    }

    #[test]
    fn cells_and_genes_within_the_bounds() -> Result<()> {
        let mut source = Dense::row_major(5, 4, &COUNTS)?;
        let found = quality(&Run::new(), &mut source, &Names::default(), &symbols(), &options(Style::Scanpy))?;
        assert_eq!(found.cells.0, [true, true, false, false, false]);
        assert_eq!(found.genes.0, [true, true, false, false]);
        assert_eq!((found.n_within, found.n_doublets), (2, 0));
        let names: Vec<&str> = found.additions.obs.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names[..4], ["n_genes_by_counts", "log1p_n_genes_by_counts", "total_counts", "log1p_total_counts"]);
        assert!(names.contains(&"pct_counts_in_top_2_genes") && !names.contains(&"pct_counts_in_top_50_genes"));
        assert_eq!(names[names.len() - 2..], ["filter", "qc"]);
        assert_eq!(found.additions.obs[2].1, Values::F32(vec![5.0, 10.0, 7.0, 10.0, 0.0]));
        Ok(())
    }

    #[test]
    fn shares_of_the_other_dialect_are_fractions() -> Result<()> {
        let mut source = Dense::row_major(5, 4, &COUNTS)?;
        let found = quality(&Run::new(), &mut source, &Names::default(), &symbols(), &options(Style::Exprmat))?;
        let column = |name: &str| found.additions.obs.iter().find(|(known, _)| known == name).map(|(_, v)| v.clone());
        assert_eq!(column("pct.mito"), Some(Values::F64(vec![0.2, 0.2, 0.0, 0.9, 0.0])));
        assert_eq!(column("n.umi"), Some(Values::I64(vec![5, 10, 7, 10, 0])));
        Ok(())
    }

    #[test]
    fn few_cells_have_no_doublets_and_a_warning() -> Result<()> {
        let wanted = QualityOptions { doublets: Some(ScrubletOptions::default()), ..options(Style::Scanpy) };
        let work = |run: &Run| {
            let mut source = Dense::row_major(5, 4, &COUNTS)?;
            quality(run, &mut source, &Names::default(), &symbols(), &wanted)
        };
        assert!(work(&Run::new())?.additions.uns.is_empty());
        assert_same_bits_over_runs(work, |found| found.medians.to_vec())
    }

    #[test]
    fn bounds_that_leave_nothing_are_refused() -> Result<()> {
        let refused = |wanted: &QualityOptions| {
            let mut source = Dense::row_major(5, 4, &COUNTS)?;
            Ok::<_, Fault>(quality(&Run::new(), &mut source, &Names::default(), &symbols(), wanted).is_err())
        };
        assert!(refused(&QualityOptions { min_genes: 9, ..options(Style::Scanpy) })?);
        assert!(refused(&QualityOptions { max_genes: Some(1), ..options(Style::Scanpy) })?);
        assert!(refused(&QualityOptions { min_counts: Some(9.0), max_counts: Some(3.0), ..options(Style::Scanpy) })?);
        Ok(())
    }
}
