//! [`contrasts_fit`]: a fit of contrasts from a fit of coefficients.

use ferrocyte_base::{Fault, Result, Run, listing};
use ferrocyte_math::linalg::{Matrix, cholesky_in_place};

use super::write::plain_intercept;
use crate::Fit;
use crate::fit::packed;

/// Genes in a block of work.
const GENES: usize = 4096;

/// Estimates and errors of contrasts of the coefficients: `contrasts` is coefficients × contrasts.
///
/// The error of contrast c is the root of `Σ c_k c_l ρ_kl s_k s_l`, with the unscaled errors s of the gene and the correlation
/// ρ of the coefficients. With weights or missing values of genes, ρ differs between genes; by default that of the design
/// is taken for all, as limma does. `exact` takes the gene's own, which `lm_fit` kept.
///
/// # Errors
/// Where the shape differs, a weight is not finite, a contrast uses a coefficient that the design cannot estimate, or
/// exact errors are wanted of a fit that did not keep what they need.
pub fn contrasts_fit(
    run: &Run,
    fit: &Fit,
    contrasts: &Matrix,
    row_names: &[String],
    names: &[String],
    exact: bool,
) -> Result<Fit> {
    check(run, fit, contrasts, row_names)?;
    let kept = estimable(fit, contrasts)?;
    let terms = (0..contrasts.n_cols()).map(|k| Terms::new(fit, contrasts, k, &kept)).collect::<Result<Vec<_>>>()?;
    let covariances = if exact { exact_covariances(fit, &kept)? } else { None };
    let (genes, m) = (fit.n_genes(), terms.len());
    let parts = run.map_quietly(genes, GENES, |range| {
        let mut estimates = Vec::with_capacity(2 * range.len() * m);
        for g in range {
            let (beta, stdev) = (fit.coefficients.row(g), fit.stdev_unscaled.row(g));
            for contrast in &terms {
                let estimate = contrast.estimate(beta);
                let error = match covariances {
                    Some(all) => contrast.exact_variance(all.row(g), beta.len()).sqrt(),
                    None => contrast.variance(stdev).sqrt(),
                };
                // Both are missing, or none.
                let missing = estimate.is_nan() || error.is_nan();
                estimates.extend(if missing { [f64::NAN; 2] } else { [estimate, error] });
            }
        }
        Ok(estimates)
    })?;
    let pairs: Vec<f64> = parts.into_iter().flatten().collect();
    let every_other = |first: usize| pairs[first.min(pairs.len())..].iter().copied().step_by(2).collect::<Vec<f64>>();
    Ok(Fit {
        coefficients: Matrix::from_rows(genes, m, every_other(0)),
        stdev_unscaled: Matrix::from_rows(genes, m, every_other(1)),
        cov_coefficients: covariance(fit, contrasts, &kept),
        gene_covariances: None,
        names: names.to_vec(),
        sigma: fit.sigma.clone(),
        df_residual: fit.df_residual.clone(),
        pivot: fit.pivot.clone(),
        amean: fit.amean.clone(),
        rank: fit.rank,
    })
}

fn check(run: &Run, fit: &Fit, contrasts: &Matrix, row_names: &[String]) -> Result<()> {
    let p = fit.n_coefficients();
    if contrasts.n_rows() != p {
        return Err(Fault::bad_input(format!("{} rows for {p} coefficients", contrasts.n_rows()))
            .at("contrasts")
            .hint("give one row per coefficient; make_contrasts(.., levels=design) does"));
    }
    if let Some(i) = contrasts.entries().iter().position(|x| !x.is_finite()) {
        let name = &fit.names[i / contrasts.n_cols()];
        return Err(Fault::bad_input(format!("the weight of `{name}` is {}", contrasts.entries()[i])).at("contrasts"));
    }
    let differs = |(a, b): (&String, &String)| plain_intercept(a) != plain_intercept(b);
    if !row_names.is_empty() && row_names.iter().zip(&fit.names).any(differs) {
        run.warn(&format!(
            "rows of the contrasts ({}) are not named as the coefficients ({}); their order is taken as it is",
            listing(row_names, 5),
            listing(&fit.names, 5)
        ));
    }
    Ok(())
}

/// The coefficients that can be estimated, in the order of the covariance. Fails where a contrast uses another.
fn estimable(fit: &Fit, contrasts: &Matrix) -> Result<Vec<usize>> {
    let (r, p) = (fit.cov_coefficients.n_rows(), fit.n_coefficients());
    if r >= p {
        return Ok((0..p).collect());
    }
    if let Some(&j) = fit.pivot[r..].iter().find(|&&j| contrasts.row(j).iter().any(|&c| c != 0.0)) {
        return Err(Fault::bad_input(format!(
            "a contrast uses a coefficient that cannot be estimated: `{}`",
            fit.names[j]
        ))
        .at("contrasts")
        .hint("the design has columns that depend on others: non_estimable(design) names them"));
    }
    Ok(fit.pivot[..r].to_vec())
}

/// Covariances gene by gene; `None` where all genes share one correlation, which is exact already.
fn exact_covariances<'a>(fit: &'a Fit, kept: &[usize]) -> Result<Option<&'a Matrix>> {
    if fit.gene_covariances.is_some() {
        return Ok(fit.gene_covariances.as_ref());
    }
    let diagonal: Vec<f64> = fit.cov_coefficients.diagonal().iter().map(|v| v.sqrt()).collect();
    let differs = |g: &usize| {
        let row = fit.stdev_unscaled.row(*g);
        let ratio = |a: usize| row[kept[a]] / diagonal[a];
        row.iter().all(|s| s.is_finite()) && (1..kept.len()).any(|a| (ratio(a) / ratio(0) - 1.0).abs() > 1e-8)
    };
    if (0..fit.n_genes()).any(|g| differs(&g)) {
        return Err(Fault::bad_input("the covariances of the genes were not kept")
            .at("exact")
            .hint("fit with lm_fit(.., keep_covariances=True) and apply all contrasts at once"));
    }
    Ok(None)
}

/// C' V C.
fn covariance(fit: &Fit, contrasts: &Matrix, kept: &[usize]) -> Matrix {
    let mut c = Matrix::zeros(kept.len(), contrasts.n_cols());
    for (a, &j) in kept.iter().enumerate() {
        c.row_mut(a).copy_from_slice(contrasts.row(j));
    }
    c.transpose().times(&fit.cov_coefficients.times(&c))
}

/// The coefficients that a contrast uses.
struct Terms {
    /// Coefficient and weight.
    weights: Vec<(usize, f64)>,
    /// Lower Cholesky factor of their correlation.
    factor: Matrix,
}

impl Terms {
    fn new(fit: &Fit, contrasts: &Matrix, k: usize, kept: &[usize]) -> Result<Self> {
        let used: Vec<usize> = (0..kept.len()).filter(|&a| contrasts[(kept[a], k)] != 0.0).collect();
        let v = &fit.cov_coefficients;
        let mut factor = Matrix::zeros(used.len(), used.len());
        for (i, &a) in used.iter().enumerate() {
            for (j, &b) in used[..=i].iter().enumerate() {
                factor[(i, j)] = if i == j { 1.0 } else { v[(a, b)] / (v[(a, a)] * v[(b, b)]).sqrt() };
            }
        }
        cholesky_in_place(&mut factor).map_err(|i| {
            let name = &fit.names[kept[used[i]]];
            Fault::bad_input(format!("`{name}` is almost a combination of other coefficients, to the last digit"))
                .at("design")
                .hint("centre or rescale covariates, or leave one out")
        })?;
        let weights = used.iter().map(|&a| (kept[a], contrasts[(kept[a], k)])).collect();
        Ok(Self { weights, factor })
    }

    fn estimate(&self, beta: &[f64]) -> f64 {
        self.weights.iter().map(|&(j, c)| c * beta[j]).sum()
    }

    /// `|L'(s ∘ c)|²`.
    fn variance(&self, stdev: &[f64]) -> f64 {
        let column = |b: usize| -> f64 {
            let below = self.weights.iter().enumerate().skip(b);
            below.map(|(a, &(j, c))| self.factor[(a, b)] * c * stdev[j]).sum()
        };
        (0..self.weights.len()).map(|b| column(b) * column(b)).sum()
    }

    /// `c' V_g c`, V_g packed.
    fn exact_variance(&self, covariance: &[f64], p: usize) -> f64 {
        let entry = |i: usize, j: usize| covariance[packed(p, i.min(j), i.max(j))];
        let row = |&(i, c): &(usize, f64)| c * self.weights.iter().map(|&(j, d)| d * entry(i, j)).sum::<f64>();
        self.weights.iter().map(row).sum::<f64>().max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DesignMatrix, Expression, LmFitOptions, Weights, contrast_as_coef, lm_fit};
    use ferrocyte_math::linalg::MatrixRef;
    use ferrocyte_math::random::Stream;

    fn names(all: &[&str]) -> Vec<String> {
        all.iter().map(|&name| name.to_owned()).collect()
    }

    /// A contrast is the coefficient of a design that was rotated to have it.
    #[test]
    fn exact_errors_are_those_of_a_rotated_design() -> Result<()> {
        let mut stream = Stream::new(3, 0);
        let (genes, n) = (15, 9);
        let x: Vec<f64> = (0..n * 3).map(|i| if i % 3 == 0 { 1.0 } else { stream.normal() }).collect();
        let design = DesignMatrix::new(Matrix::from_rows(n, 3, x), names(&["a", "b", "c"]), vec![])?;
        let mut y: Vec<f64> = (0..genes * n).map(|_| stream.normal()).collect();
        y[4] = f64::NAN;
        let w: Vec<f64> = (0..genes * n).map(|_| stream.normal().exp()).collect();
        let data = Expression::unnamed(MatrixRef::from_rows(genes, n, &y));
        let weights = Weights::Values(MatrixRef::from_rows(genes, n, &w));
        let options = LmFitOptions { weights, ..LmFitOptions::default() };
        let contrast = Matrix::from_rows(3, 1, vec![0.5, -1.0, 2.0]);
        let run = Run::new();
        let fit = lm_fit(&run, &data, &design, &options)?;
        let exact = contrasts_fit(&run, &fit, &contrast, &[], &names(&["k"]), true)?;
        let rotated = contrast_as_coef(&design, &contrast, &names(&["k"]), true)?;
        let direct = lm_fit(&run, &data, &rotated.design, &options)?;
        for g in 0..genes {
            assert!((exact.coefficients[(g, 0)] - direct.coefficients[(g, 0)]).abs() < 1e-10);
            assert!((exact.stdev_unscaled[(g, 0)] - direct.stdev_unscaled[(g, 0)]).abs() < 1e-10);
        }
        let rough = contrasts_fit(&run, &fit, &contrast, &[], &names(&["k"]), false)?;
        assert!(rough.stdev_unscaled != exact.stdev_unscaled);
        // Without weights of genes both are the same.
        let plain = LmFitOptions { weights: Weights::Samples(&w[..n]), ..LmFitOptions::default() };
        y[4] = 0.0;
        let data = Expression::unnamed(MatrixRef::from_rows(genes, n, &y));
        let fit = lm_fit(&run, &data, &design, &plain)?;
        let exact = contrasts_fit(&run, &fit, &contrast, &[], &names(&["k"]), true)?;
        assert_eq!(exact, contrasts_fit(&run, &fit, &contrast, &[], &names(&["k"]), false)?);
        let squared = exact.cov_coefficients[(0, 0)];
        assert!((exact.stdev_unscaled[(3, 0)].powi(2) - squared).abs() < 1e-12 * squared);
        // What was thrown away is asked for.
        let thrown = LmFitOptions { keep_covariances: false, ..options };
        let fit = lm_fit(&run, &data, &design, &thrown)?;
        assert!(contrasts_fit(&run, &fit, &contrast, &[], &names(&["k"]), true).is_err());
        Ok(())
    }

    #[test]
    fn a_missing_coefficient_is_missing_where_it_is_used() -> Result<()> {
        let x = Matrix::from_rows(4, 2, vec![1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0]);
        let design = DesignMatrix::new(x, names(&["a", "b"]), vec![])?;
        let y = [1.0, 3.0, f64::NAN, f64::NAN];
        let run = Run::new();
        let data = Expression::unnamed(MatrixRef::from_rows(1, 4, &y));
        let fit = lm_fit(&run, &data, &design, &LmFitOptions::default())?;
        let contrasts = Matrix::from_rows(2, 2, vec![1.0, 2.0, -1.0, 0.0]);
        let out = contrasts_fit(&run, &fit, &contrasts, &[], &names(&["a-b", "2a"]), false)?;
        assert!(out.coefficients[(0, 0)].is_nan() && out.stdev_unscaled[(0, 0)].is_nan());
        assert!((out.coefficients[(0, 1)] - 4.0).abs() < 1e-14);
        Ok(())
    }
}
