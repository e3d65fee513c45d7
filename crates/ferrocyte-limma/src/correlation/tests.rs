//! Correlations against each other's routes and against truth.

use ferrocyte_math::linalg::MatrixRef;
use ferrocyte_math::random::Stream;

use super::*;

const N: usize = 18;

/// Genes with a common correlation in blocks of three.
fn study(genes: usize, rho: f64) -> (Vec<f64>, Vec<usize>, DesignMatrix) {
    let mut stream = Stream::new(11, 0);
    let block: Vec<usize> = (0..N).map(|i| i / 3).collect();
    let mut y = Vec::new();
    for _ in 0..genes {
        let shared: Vec<f64> = (0..6).map(|_| stream.normal()).collect();
        y.extend(block.iter().map(|&b| rho.sqrt() * shared[b] + (1.0 - rho).sqrt() * stream.normal()));
    }
    let x = (0..N).flat_map(|i| [1.0, f64::from(u8::from(i % 3 == 0)), (i as f64).cos()]).collect();
    let names = ["a", "b", "c"].map(str::to_owned).to_vec();
    let design = DesignMatrix::new(Matrix::from_rows(N, 3, x), names, vec![]).unwrap_or_else(|_| unreachable!());
    (y, block, design)
}

#[test]
fn the_truth_is_found_for_any_number_of_threads() -> Result<()> {
    let (y, block, design) = study(3000, 0.4);
    let data = Expression::unnamed(MatrixRef::from_rows(3000, N, &y));
    let options = CorrelationOptions { block: Some(&block), ..CorrelationOptions::default() };
    let one = duplicate_correlation(&Run::new().threads(1), &data, &design, &options)?;
    assert!((one.consensus - 0.4).abs() < 0.03, "{}", one.consensus);
    assert_eq!(one, duplicate_correlation(&Run::new().threads(3), &data, &design, &options)?);
    Ok(())
}

#[test]
fn a_gene_of_its_own_agrees_with_the_shared_spectrum() -> Result<()> {
    let (y, block, design) = study(50, 0.3);
    let data = Expression::unnamed(MatrixRef::from_rows(50, N, &y));
    let weights: Vec<f64> = (0..N).map(|i| 0.5 + (i as f64 * 0.9).sin().abs()).collect();
    let repeated = weights.repeat(50);
    let ones = vec![1.0; 50 * N];
    let pairs = [
        (Weights::None, Weights::Values(MatrixRef::from_rows(50, N, &ones))),
        (Weights::Samples(&weights), Weights::Values(MatrixRef::from_rows(50, N, &repeated))),
        (Weights::None, Weights::Genes(&ones[..50])),
    ];
    for (shared, own) in pairs {
        let options = |weights| CorrelationOptions { block: Some(&block), weights, ..CorrelationOptions::default() };
        let a = duplicate_correlation(&Run::new(), &data, &design, &options(shared))?;
        let b = duplicate_correlation(&Run::new(), &data, &design, &options(own))?;
        for (a, b) in a.atanh_correlations.iter().zip(&b.atanh_correlations) {
            assert!((a - b).abs() < 1e-9, "{a} {b}");
        }
    }
    Ok(())
}

#[test]
fn blocks_that_tell_nothing_give_zero() -> Result<()> {
    let (y, block, design) = study(4, 0.3);
    let data = Expression::unnamed(MatrixRef::from_rows(4, N, &y));
    let alone: Vec<usize> = (0..N).collect();
    let options = |block| CorrelationOptions { block: Some(block), ..CorrelationOptions::default() };
    assert_eq!(duplicate_correlation(&Run::new(), &data, &design, &options(&alone))?.consensus, 0.0);
    let mut x = Matrix::zeros(N, 6);
    block.iter().enumerate().for_each(|(i, &b)| x[(i, b)] = 1.0);
    let held = DesignMatrix::new(x, (0..6).map(|b| format!("b{b}")).collect(), vec![])?;
    assert_eq!(duplicate_correlation(&Run::new(), &data, &held, &options(&block))?, none(4));
    Ok(())
}

#[test]
fn the_mean_is_trimmed() {
    let values = [5.0, f64::NAN, 1.0, 100.0, 3.0, -50.0];
    assert_eq!(trimmed_mean(&values, 0.0), 11.8);
    assert_eq!(trimmed_mean(&values, 0.2), 3.0);
    assert_eq!(trimmed_mean(&values, 0.5), 3.0);
    assert!(trimmed_mean(&[f64::NAN], 0.15).is_nan());
}
