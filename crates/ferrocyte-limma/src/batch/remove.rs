//! [`remove_batch_effect`]: log-values without what batches and covariates add to them.

use ferrocyte_base::{Fault, Result, Run, listing};
use ferrocyte_math::linalg::{Matrix, MatrixRef, subtract_product};
use ferrocyte_math::pivoted_qr::PivotedQr;

use crate::fit::lm_fit::fit_silently;
use crate::fit::parts::genes_at_once;
use crate::{DesignMatrix, Expression, LmFitOptions};

/// The batch of each sample.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// As a number from 0.
    pub codes: &'a [usize],
    /// The names of the batches.
    pub levels: &'a [String],
}

/// Values without the effects of batches and covariates: for plots and clustering, not for tests, which want batches in
/// the design.
///
/// Batches enter as contrasts that sum to zero and covariates with their mean taken away, beside `design`, whose effects
/// stay. Missing values stay missing. What is confounded with the design cannot be told from it and is not removed; a
/// warning names it.
///
/// # Errors
/// Where shapes differ, a covariate is not finite, or [`lm_fit`](crate::lm_fit) fails.
pub fn remove_batch_effect(
    run: &Run,
    y: &Expression<'_>,
    design: &DesignMatrix,
    batches: &[Batch<'_>],
    covariates: Option<MatrixRef<'_>>,
    options: &LmFitOptions<'_>,
) -> Result<Matrix> {
    let n = y.n_samples();
    design.check_samples(n, y.samples())?;
    let (nuisance, names) = nuisance(n, batches, covariates)?;
    let (p, k) = (design.n_coefficients(), nuisance.n_cols());
    if k == 0 {
        return Ok(Matrix::from_rows(y.n_genes(), n, y.values().entries().to_vec()));
    }
    let mut whole = Matrix::zeros(n, p + k);
    for i in 0..n {
        let (kept, removed) = whole.row_mut(i).split_at_mut(p);
        kept.copy_from_slice(design.matrix().row(i));
        removed.copy_from_slice(nuisance.row(i));
    }
    warn_of_confounding(run, &whole, p, &names);
    let all_names = design.names().iter().cloned().chain(names).collect();
    let whole = DesignMatrix::new(whole, all_names, design.samples().to_vec())?;
    // Counts are nobody's log-values, but what is done here is linear and harms nothing.
    let options = LmFitOptions { check_counts: false, keep_covariances: false, ..*options };
    let fit = fit_silently(run, y, &whole, &options)?;
    if fit.n_genes() != y.n_genes() {
        return Err(Fault::bad_input("duplicates within samples have no batch of their own")
            .at("ndups")
            .hint("average them first (ave_dups)"));
    }
    let transposed = nuisance.transpose();
    let parts = run.map_ranges("removing batches", y.n_genes(), genes_at_once(n), |genes| {
        let mut values = y.values().entries()[genes.start * n..genes.end * n].to_vec();
        let mut effects = Vec::with_capacity(genes.len() * k);
        for g in genes {
            effects.extend(fit.coefficients.row(g)[p..].iter().map(|b| if b.is_nan() { 0.0 } else { *b }));
        }
        subtract_product(&effects, k, &transposed, &mut values);
        Ok(values)
    })?;
    Ok(Matrix::from_rows(y.n_genes(), n, parts.concat()))
}

/// The columns to remove, samples × columns, and their names.
fn nuisance(n: usize, batches: &[Batch<'_>], covariates: Option<MatrixRef<'_>>) -> Result<(Matrix, Vec<String>)> {
    let mut columns: Vec<Vec<f64>> = Vec::new();
    let mut names = Vec::new();
    for (which, batch) in batches.iter().enumerate() {
        let place = if which == 0 { "batch".to_owned() } else { format!("batch{}", which + 1) };
        if batch.codes.len() != n {
            return Err(Fault::bad_input(format!("{} entries for {n} samples", batch.codes.len())).at(place));
        }
        let last = batch.levels.len().saturating_sub(1);
        for (level, name) in batch.levels[..last].iter().enumerate() {
            let entry = |&code: &usize| match code {
                code if code == level => 1.0,
                code if code == last => -1.0,
                _ => 0.0,
            };
            columns.push(batch.codes.iter().map(entry).collect());
            names.push(format!("{place} {name}"));
        }
    }
    if let Some(covariates) = covariates {
        if covariates.n_rows() != n {
            return Err(Fault::bad_input(format!("{} rows for {n} samples", covariates.n_rows())).at("covariates"));
        }
        for j in 0..covariates.n_cols() {
            let column: Vec<f64> = (0..n).map(|i| covariates.row(i)[j]).collect();
            if let Some(i) = column.iter().position(|x| !x.is_finite()) {
                return Err(Fault::bad_input(format!("covariate {} is {} in sample {}", j + 1, column[i], i + 1))
                    .at("covariates"));
            }
            let mean = column.iter().sum::<f64>() / n as f64;
            columns.push(column.into_iter().map(|x| x - mean).collect());
            names.push(format!("covariate {}", j + 1));
        }
    }
    Ok((Matrix::from_rows(columns.len(), n, columns.concat()).transpose(), names))
}

fn warn_of_confounding(run: &Run, whole: &Matrix, p: usize, names: &[String]) {
    let qr = PivotedQr::new(whole);
    let aliased = qr.pivot()[qr.rank()..].iter().filter(|&&j| j >= p).map(|&j| &names[j - p]);
    let aliased: Vec<&String> = aliased.collect();
    if !aliased.is_empty() {
        run.warn(&format!(
            "not removed, since the design or other batches cannot be told from it: {}",
            listing(&aliased, 9)
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_math::random::Stream;

    #[test]
    fn batches_vanish_and_groups_stay() -> Result<()> {
        let (n, genes) = (12, 5);
        let mut stream = Stream::new(2, 0);
        let clean: Vec<f64> = (0..genes * n).map(|i| 1e-9 * stream.normal() + ((i % n) / 6) as f64).collect();
        let codes: Vec<usize> = (0..n).map(|i| i % 3).collect();
        let covariate: Vec<f64> = (0..n).map(|_| stream.normal()).collect();
        let shift = [2.0, -3.0, 1.0];
        let mean = covariate.iter().sum::<f64>() / n as f64;
        let y: Vec<f64> =
            clean.iter().enumerate().map(|(i, x)| x + shift[codes[i % n]] + 4.0 * (covariate[i % n] - mean)).collect();
        let x = (0..n).flat_map(|i| [1.0, (i / 6) as f64]).collect();
        let design = DesignMatrix::new(Matrix::from_rows(n, 2, x), vec!["a".into(), "b".into()], vec![])?;
        let levels = ["x", "y", "z"].map(String::from);
        let batch = Batch { codes: &codes, levels: &levels };
        let data = Expression::unnamed(MatrixRef::from_rows(genes, n, &y));
        let covariates = Some(MatrixRef::from_rows(n, 1, &covariate));
        let run = Run::new();
        let out = remove_batch_effect(&run, &data, &design, &[batch], covariates, &LmFitOptions::default())?;
        assert!(out.entries().iter().zip(&clean).all(|(a, b)| (a - b).abs() < 1e-7));
        // Without anything to remove the values stay.
        let same = remove_batch_effect(&run, &data, &design, &[], None, &LmFitOptions::default())?;
        assert_eq!(same.entries(), y);
        Ok(())
    }
}
