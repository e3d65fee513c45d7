//! Weights of samples against truth and against each other.

use ferrocyte_math::linalg::MatrixRef;
use ferrocyte_math::random::Stream;

use super::*;
use crate::{LmFitOptions, lm_fit};

/// Genes in which sample `bad` has ten times the standard deviation.
fn study(genes: usize, n: usize, bad: usize) -> (Vec<f64>, Result<DesignMatrix>) {
    let mut stream = Stream::new(21, 0);
    let y = (0..genes * n).map(|i| stream.normal() * if i % n == bad { 10.0 } else { 1.0 }).collect();
    let x = (0..n).flat_map(|i| [1.0, f64::from(u8::from(i % 2 == 0))]).collect();
    (y, DesignMatrix::new(Matrix::from_rows(n, 2, x), vec!["a".into(), "b".into()], vec![]))
}

#[test]
fn every_method_finds_the_bad_sample() -> Result<()> {
    // Few samples are solved directly, many by conjugate gradients.
    for n in [8, 30] {
        let (y, design) = study(400, n, 3);
        let (design, run) = (design?, Run::new());
        let data = Expression::unnamed(MatrixRef::from_rows(400, n, &y));
        let ones = vec![1.0; 400 * n];
        let plain = ArrayWeightOptions::default();
        let reml = array_weights(&run, &data, &design, &plain)?;
        let weights = Weights::Values(MatrixRef::from_rows(400, n, &ones));
        let own = ArrayWeightOptions { method: ArrayWeightMethod::Reml, weights, tol: 1e-9, ..plain };
        let sharp = ArrayWeightOptions { tol: 1e-9, ..plain };
        let own = array_weights(&run, &data, &design, &own)?;
        let shared = array_weights(&run, &data, &design, &sharp)?;
        assert!(own.iter().zip(&shared).all(|(a, b)| (a / b - 1.0).abs() < 1e-3));
        let walk = ArrayWeightOptions { method: ArrayWeightMethod::GeneByGene, ..plain };
        let walked = array_weights(&run, &data, &design, &walk)?;
        let fit = lm_fit(&run, &data, &design, &LmFitOptions::default())?;
        let quick = array_weights_quick(&run, &data, &design, &fit)?;
        for weights in [&reml, &walked, &quick] {
            let others = (0..n).filter(|&j| j != 3).map(|j| weights[j]);
            assert!(others.fold(f64::INFINITY, f64::min) > 5.0 * weights[3], "{weights:?}");
        }
    }
    Ok(())
}

#[test]
fn a_value_of_weight_zero_is_missing() -> Result<()> {
    let (mut y, design) = study(60, 8, 2);
    let (design, run) = (design?, Run::new());
    let mut w = vec![1.0; 60 * 8];
    (0..60 * 8).step_by(11).for_each(|i| w[i] = 0.0);
    let data = Expression::unnamed(MatrixRef::from_rows(60, 8, &y));
    let weights = Weights::Values(MatrixRef::from_rows(60, 8, &w));
    let by_weights = array_weights(&run, &data, &design, &ArrayWeightOptions { weights, ..Default::default() })?;
    (0..60 * 8).step_by(11).for_each(|i| y[i] = f64::NAN);
    let data = Expression::unnamed(MatrixRef::from_rows(60, 8, &y));
    let by_gaps = array_weights(&run, &data, &design, &ArrayWeightOptions::default())?;
    assert_eq!(by_weights, by_gaps);
    Ok(())
}

#[test]
fn bad_weights_are_named() -> Result<()> {
    let (y, design) = study(3, 8, 2);
    let data = Expression::unnamed(MatrixRef::from_rows(3, 8, &y));
    let weights = Weights::Genes(&[1.0, -2.0, 1.0]);
    let options = ArrayWeightOptions { weights, ..Default::default() };
    let fault = array_weights(&Run::new(), &data, &design?, &options);
    assert!(fault.is_err_and(|fault| fault.to_string().contains("gene 2 is -2")));
    Ok(())
}
