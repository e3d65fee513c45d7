//! Fits against brute force: dense weight matrices, one gene at a time.

#![allow(clippy::unwrap_used)]

use ferrocyte_math::linalg::scaled_inverse;
use ferrocyte_math::random::Stream;

use super::*;
use crate::fit::parts::packed;

const N: usize = 12;
const P: usize = 3;

fn design() -> DesignMatrix {
    let mut x = Matrix::zeros(N, P);
    for i in 0..N {
        x.row_mut(i).copy_from_slice(&[1.0, f64::from(u8::from(i % 2 == 0)), (i as f64 * 1.7).sin()]);
    }
    DesignMatrix::new(x, ["a", "b", "c"].map(str::to_owned).to_vec(), vec![]).unwrap()
}

fn numbers(seed: u64, count: usize) -> Vec<f64> {
    let mut stream = Stream::new(seed, 0);
    (0..count).map(|_| stream.normal()).collect()
}

/// Coefficients, covariance, residual variance and degrees of freedom by the normal equations.
fn brute(design: &DesignMatrix, y: &[f64], w: &[f64], v: impl Fn(usize, usize) -> f64) -> (Vec<f64>, Matrix, f64, f64) {
    let seen: Vec<usize> = (0..y.len()).filter(|&i| y[i].is_finite() && w[i] > 0.0).collect();
    let m = seen.len();
    let mut variance = Matrix::zeros(m, m);
    for a in 0..m {
        for b in 0..m {
            variance[(a, b)] = v(seen[a], seen[b]) / (w[seen[a]] * w[seen[b]]).sqrt();
        }
    }
    let precision = scaled_inverse(&variance, 1e-14).unwrap();
    let p = design.n_coefficients();
    let mut x = Matrix::zeros(m, p);
    (0..m).for_each(|a| x.row_mut(a).copy_from_slice(design.matrix().row(seen[a])));
    let values = Matrix::from_rows(m, 1, seen.iter().map(|&i| y[i]).collect());
    let left = x.transpose().times(&precision);
    let covariance = scaled_inverse(&left.times(&x), 1e-14).unwrap();
    let beta = covariance.times(&left.times(&values));
    let mut residual = values;
    subtract(&x.times(&beta), &mut residual);
    let rss = residual.transpose().times(&precision.times(&residual))[(0, 0)];
    let df = (m - p) as f64;
    (beta.into_entries(), covariance, rss / df, df)
}

fn subtract(a: &Matrix, from: &mut Matrix) {
    from.entries_mut().iter_mut().zip(a.entries()).for_each(|(x, a)| *x -= a);
}

fn check(fit: &Fit, design: &DesignMatrix, y: &[f64], w: &[f64], v: impl Fn(usize, usize) -> f64 + Copy) {
    let n = design.n_samples();
    let close = |a: f64, b: f64| assert!((a - b).abs() <= 1e-10 * (1.0 + b.abs()), "{a} {b}");
    for g in 0..fit.n_genes() {
        let (beta, covariance, s2, df) = brute(design, &y[g * n..(g + 1) * n], &w[g * n..(g + 1) * n], v);
        assert_eq!(fit.df_residual[g], df);
        close(fit.sigma[g] * fit.sigma[g], s2);
        for j in 0..beta.len() {
            close(fit.coefficients[(g, j)], beta[j]);
            close(fit.stdev_unscaled[(g, j)], covariance[(j, j)].sqrt());
            if let Some(kept) = &fit.gene_covariances {
                (0..=j).for_each(|i| close(kept[(g, packed(beta.len(), i, j))], covariance[(i, j)]));
            }
        }
    }
}

fn identity(i: usize, j: usize) -> f64 {
    f64::from(u8::from(i == j))
}

#[test]
fn every_route_is_weighted_least_squares() -> Result<()> {
    let (run, design, genes) = (Run::new(), design(), 20);
    let y = numbers(1, genes * N);
    let mut gaps = y.clone();
    (0..genes * N).step_by(7).for_each(|i| gaps[i] = f64::NAN);
    let w: Vec<f64> = numbers(2, genes * N).iter().map(|x| x.exp()).collect();
    let block: Vec<usize> = (0..N).map(|i| i / 3).collect();
    let blocks = |i: usize, j: usize| if i == j { 1.0 } else { 0.4 * f64::from(u8::from(i / 3 == j / 3)) };
    for values in [&y, &gaps] {
        let data = Expression::unnamed(MatrixRef::from_rows(genes, N, values));
        for weights in [
            Weights::None,
            Weights::Samples(&w[..N]),
            Weights::Genes(&w[..genes]),
            Weights::Values(MatrixRef::from_rows(genes, N, &w)),
        ] {
            let dense: Vec<f64> = (0..genes)
                .flat_map(|g| weights.row(g, N).map_or_else(|| vec![1.0; N], std::borrow::Cow::into_owned))
                .collect();
            let plain = LmFitOptions { weights, ..LmFitOptions::default() };
            check(&lm_fit(&run, &data, &design, &plain)?, &design, values, &dense, identity);
            let blocked = LmFitOptions { block: Some(&block), correlation: Some(0.4), ..plain };
            check(&lm_fit(&run, &data, &design, &blocked)?, &design, values, &dense, blocks);
        }
    }
    Ok(())
}

#[test]
fn reflections_and_products_agree() -> Result<()> {
    // Weights over twelve orders of magnitude: most genes go to reflections.
    let (run, design, genes) = (Run::new(), design(), 40);
    let y = numbers(3, genes * N);
    let w: Vec<f64> = numbers(4, genes * N).iter().map(|x| (6.0 * x).exp()).collect();
    let weights = Weights::Values(MatrixRef::from_rows(genes, N, &w));
    let data = Expression::unnamed(MatrixRef::from_rows(genes, N, &y));
    let fit = lm_fit(&run, &data, &design, &LmFitOptions { weights, ..LmFitOptions::default() })?;
    let mut solver = super::super::gene::GeneSolver::default();
    let mut part = Part::missing(genes, P, true);
    for g in 0..genes {
        let row = g * N..(g + 1) * N;
        solver.fit(design.matrix(), None, &y[row.clone()], &w[row], &mut part.gene(g, P));
    }
    for (a, b) in fit.coefficients.entries().iter().zip(&part.coefficients) {
        assert!((a - b).abs() <= 1e-9 * (1.0 + b.abs()), "{a} {b}");
    }
    for (a, b) in fit.sigma.iter().zip(&part.sigma) {
        assert!((a - b).abs() <= 1e-9 * b, "{a} {b}");
    }
    Ok(())
}

#[test]
fn duplicates_are_blocks_of_a_longer_row() -> Result<()> {
    let (run, design) = (Run::new(), design());
    let y = numbers(5, 6 * N);
    let data = Expression::unnamed(MatrixRef::from_rows(6, N, &y));
    let options = LmFitOptions { ndups: 2, spacing: 3, correlation: Some(0.3), ..LmFitOptions::default() };
    let fit = lm_fit(&run, &data, &design, &options)?;
    let layout = Duplicates::new(6, 2, 3)?;
    let long = layout.side_by_side(data.values());
    let v = |i: usize, j: usize| if i == j { 1.0 } else { 0.3 * f64::from(u8::from(i / 2 == j / 2)) };
    check(&fit, &layout.design(&design)?, long.entries(), &[1.0; 6 * N], v);
    assert!(
        (fit.amean[1] - 0.5 * (mean(y[N..2 * N].iter().copied()) + mean(y[4 * N..5 * N].iter().copied()))).abs()
            < 1e-14
    );
    Ok(())
}

#[test]
fn what_a_gene_cannot_tell_is_missing() -> Result<()> {
    let run = Run::new();
    let x = Matrix::from_rows(4, 2, vec![1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0]);
    let design = DesignMatrix::new(x, vec!["a".into(), "b".into()], vec![])?;
    let nan = f64::NAN;
    let y = [[1.0, 3.0, nan, nan], [nan; 4], [5.0, nan, nan, 2.0]].concat();
    let fit = lm_fit(&run, &Expression::unnamed(MatrixRef::from_rows(3, 4, &y)), &design, &LmFitOptions::default())?;
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-14, "{a} {b}");
    close(fit.coefficients[(0, 0)], 2.0);
    assert_eq!(fit.df_residual, [1.0, 0.0, 0.0]);
    assert!(fit.coefficients[(0, 1)].is_nan() && fit.stdev_unscaled[(0, 1)].is_nan());
    assert!(fit.coefficients.row(1).iter().all(|b| b.is_nan()) && fit.sigma[1].is_nan() && fit.amean[1].is_nan());
    close(fit.coefficients[(2, 0)], 5.0);
    close(fit.coefficients[(2, 1)], 2.0);
    assert!(fit.sigma[2].is_nan());
    Ok(())
}

#[test]
fn threads_change_no_bit() -> Result<()> {
    let (design, genes) = (design(), 9000);
    let y = numbers(6, genes * N);
    let w: Vec<f64> = numbers(7, genes * N).iter().map(|x| x.exp()).collect();
    let data = Expression::unnamed(MatrixRef::from_rows(genes, N, &y));
    let weights = Weights::Values(MatrixRef::from_rows(genes, N, &w));
    let options = LmFitOptions { weights, ..LmFitOptions::default() };
    let one = lm_fit(&Run::new().threads(1), &data, &design, &options)?;
    assert_eq!(one, lm_fit(&Run::new().threads(3), &data, &design, &options)?);
    Ok(())
}

#[test]
fn robust_fits_do_not_follow_an_outlier() -> Result<()> {
    let (run, design) = (Run::new(), design());
    let mut y: Vec<f64> = numbers(8, N).iter().map(|e| 5.0 + 0.1 * e).collect();
    let options = LmFitOptions { method: Method::Robust, ..LmFitOptions::default() };
    let clean = lm_fit(&run, &Expression::unnamed(MatrixRef::from_rows(1, N, &y)), &design, &options)?;
    y[5] += 100.0;
    let data = Expression::unnamed(MatrixRef::from_rows(1, N, &y));
    let robust = lm_fit(&run, &data, &design, &options)?;
    let plain = lm_fit(&run, &data, &design, &LmFitOptions::default())?;
    let far = |fit: &Fit| (fit.coefficients[(0, 0)] - clean.coefficients[(0, 0)]).abs();
    assert!(far(&robust) < 0.1 && far(&plain) > 5.0, "{} {}", far(&robust), far(&plain));
    assert_eq!(robust.df_residual, [(N - P) as f64]);
    Ok(())
}

#[test]
fn counts_are_refused() {
    let y = [3.0, 80.0, 0.0, 7.0];
    let data = Expression::unnamed(MatrixRef::from_rows(1, 4, &y));
    let design = DesignMatrix::new(Matrix::from_rows(4, 1, vec![1.0; 4]), vec!["a".into()], vec![]).unwrap();
    let fault = lm_fit(&Run::new(), &data, &design, &LmFitOptions::default()).unwrap_err();
    assert!(fault.to_string().contains("counts"));
    let allowed = LmFitOptions { check_counts: false, ..LmFitOptions::default() };
    assert!(lm_fit(&Run::new(), &data, &design, &allowed).is_ok());
}
