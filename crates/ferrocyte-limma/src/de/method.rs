//! From the values of a group to a fit, by each method, and from the fit to moderated statistics.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::linalg::Matrix;

use super::{DeMethod, DeOptions, DeStudy};
use crate::{
    CpmOptions, DesignMatrix, EBayesOptions, Expression, FilterOptions, Fit, Groups, LmFitOptions, Moderated,
    Moderation, NormOptions, TreatOptions, Trend, Weights, cpm, e_bayes, filter_by_expr, library_sizes, lm_fit,
    norm_factors, treat,
};

/// What the values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    /// Counts, which are filtered and normalised.
    Counts,
    /// log2 values, which are taken as they are.
    LogValues,
}

/// The fit of a group, and how it came about.
pub(super) struct Fitted {
    pub(super) fit: Fit,
    /// The genes in the fit.
    pub(super) genes: Vec<usize>,
    pub(super) lib_size: Vec<f64>,
    pub(super) norm_factors: Vec<f64>,
    pub(super) sample_weights: Option<Vec<f64>>,
    pub(super) correlation: Option<f64>,
    /// Whether the prior variance follows the mean.
    pub(super) trend: bool,
}

/// Whether the values of a study are counts, and whether the method can work with what they are.
///
/// # Errors
/// Where values are negative or not whole and the method needs counts; the gene, the sample and the value are named.
pub(super) fn kind_of_values(run: &Run, study: &DeStudy<'_>, options: &DeOptions) -> Result<Counted> {
    let y = study.values;
    let strange = run.map_quietly(y.n_genes(), 256, |genes| {
        Ok(genes.into_iter().find_map(|g| {
            let is_count = |v: &f64| *v >= 0.0 && v.is_finite() && (*v - v.round()).abs() <= 1e-9 * v.max(1.0);
            y.row(g).iter().position(|v| !is_count(v)).map(|j| (g, j))
        }))
    })?;
    let Some((g, j)) = strange.into_iter().flatten().next() else { return Ok(Counted::Counts) };
    let value = y.row(g)[j];
    if options.method == DeMethod::Trend {
        return Ok(Counted::LogValues);
    }
    // Estimated counts (of transcripts) are not whole, and voom takes them; negative values are no counts.
    let negative = run.map_quietly(y.n_genes(), 256, |genes| {
        Ok(genes.into_iter().find_map(|g| y.row(g).iter().position(|v| !(*v >= 0.0)).map(|j| (g, j))))
    })?;
    match negative.into_iter().flatten().next() {
        None => Ok(Counted::Counts),
        Some((g, j)) => Err(Fault::bad_input(format!(
            "{} has {} in {}, but `{}` needs counts",
            y.gene(g),
            if y.row(g)[j].is_nan() { value } else { y.row(g)[j] },
            y.sample(j),
            options.method.word()
        ))
        .at("counts")
        .hint("give raw counts, or method=\"trend\" for log2 values")),
    }
}

/// Fits a group.
pub(super) fn fit(
    run: &Run,
    y: &Expression<'_>,
    design: &DesignMatrix,
    blocks: Option<&[usize]>,
    options: &DeOptions,
    counted: Counted,
) -> Result<Fitted> {
    check_replication(design)?;
    if counted == Counted::LogValues {
        let genes = (0..y.n_genes()).collect();
        return trended(run, y, design, blocks, options, (genes, Vec::new(), Vec::new()));
    }
    let genes = expressed(run, y, design, options)?;
    let kept = rows(y, &genes);
    let names: Vec<String> = if y.genes().is_empty() {
        genes.iter().map(|g| format!("{}", g + 1)).collect()
    } else {
        genes.iter().map(|&g| y.genes()[g].clone()).collect()
    };
    let counts = Expression::new(kept.borrowed(), &names, y.samples())?;
    let lib_size = library_sizes(run, &counts)?;
    let how = NormOptions { method: options.normalize, ..NormOptions::default() };
    let factors = norm_factors(run, &counts, Some(&lib_size), &how)?;
    let effective: Vec<f64> = lib_size.iter().zip(&factors).map(|(l, f)| l * f).collect();
    match options.method {
        DeMethod::Trend => {
            let how = CpmOptions { log: true, prior_count: PRIOR_COUNT };
            let values = cpm(run, &counts, Some(&effective), &how)?;
            let y = counts.with_values(values.borrowed());
            trended(run, &y, design, blocks, options, (genes, lib_size, factors))
        }
        DeMethod::Voom | DeMethod::VoomLmFit => {
            let weighted = super::weighted::fit(run, &counts, design, blocks, options, &effective)?;
            Ok(Fitted {
                fit: weighted.fit,
                genes,
                lib_size,
                norm_factors: factors,
                sample_weights: weighted.sample_weights,
                correlation: weighted.correlation,
                trend: false,
            })
        }
    }
}

/// The count that is added before a logarithm where the prior follows the mean, as limma's guide recommends.
const PRIOR_COUNT: f64 = 3.0;

/// Fits log2 values, and lets the prior follow the mean.
fn trended(
    run: &Run,
    y: &Expression<'_>,
    design: &DesignMatrix,
    blocks: Option<&[usize]>,
    options: &DeOptions,
    (genes, lib_size, norm_factors): (Vec<usize>, Vec<f64>, Vec<f64>),
) -> Result<Fitted> {
    let sample_weights =
        if options.sample_weights { Some(super::weighted::sample_weights(run, y, design)?) } else { None };
    let weights = sample_weights.as_deref().map_or(Weights::None, Weights::Samples);
    let correlation = match blocks {
        Some(blocks) => super::weighted::correlation(run, y, design, blocks, weights)?,
        None => None,
    };
    let how = LmFitOptions {
        weights,
        block: blocks.filter(|_| correlation.is_some()),
        correlation,
        check_counts: false,
        ..LmFitOptions::default()
    };
    let fit = lm_fit(run, y, design, &how)?;
    Ok(Fitted { fit, genes, lib_size, norm_factors, sample_weights, correlation, trend: true })
}

/// Moderated statistics of a fit of contrasts.
pub(super) fn moderate(run: &Run, fit: &Fit, options: &DeOptions, trend: bool) -> Result<Moderated> {
    let moderation = Moderation {
        trend: if trend { Trend::Mean } else { Trend::None },
        robust: options.robust,
        ..Moderation::default()
    };
    if options.lfc > 0.0 {
        treat(run, fit, &TreatOptions { lfc: options.lfc, moderation, ..TreatOptions::default() })
    } else {
        e_bayes(run, fit, &EBayesOptions { moderation, ..EBayesOptions::default() })
    }
}

/// The genes with enough counts.
fn expressed(run: &Run, y: &Expression<'_>, design: &DesignMatrix, options: &DeOptions) -> Result<Vec<usize>> {
    let keep = if options.min_count > 0.0 {
        let how = FilterOptions {
            min_count: options.min_count,
            min_total_count: options.min_total_count,
            ..FilterOptions::default()
        };
        filter_by_expr(run, y, None, Groups::Design(design), &how)?
    } else {
        (0..y.n_genes()).map(|g| y.row(g).iter().sum::<f64>() > 0.0).collect()
    };
    let genes: Vec<usize> = (0..keep.len()).filter(|&g| keep[g]).collect();
    if genes.len() < 2 {
        return Err(Fault::bad_input(format!("{} genes have enough counts, at least two are needed", genes.len()))
            .at("filter")
            .hint("lower min_count and min_total_count, or add cells or samples"));
    }
    Ok(genes)
}

/// Fails without residual degrees of freedom.
fn check_replication(design: &DesignMatrix) -> Result<()> {
    let rank = ferrocyte_math::pivoted_qr::PivotedQr::new(design.matrix()).rank();
    if design.n_samples() > rank {
        return Ok(());
    }
    Err(Fault::bad_input(format!(
        "no replication: {} samples for {rank} coefficients ({})",
        design.n_samples(),
        ferrocyte_base::listing(design.names(), 6)
    ))
    .at("design")
    .hint("compare fewer groups, or add samples"))
}

/// Some rows of a matrix.
fn rows(y: &Expression<'_>, genes: &[usize]) -> Matrix {
    let mut out = Vec::with_capacity(genes.len() * y.n_samples());
    genes.iter().for_each(|&g| out.extend_from_slice(y.row(g)));
    Matrix::from_rows(genes.len(), y.n_samples(), out)
}
