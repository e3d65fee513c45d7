//! Both variance priors on the sums of a small mixed model: 39 cells of 6 donors, 254 genes.
//!
//! `moderated_lmm_few_cells.tsv` holds, per gene, the trend, the residual sum of squares `e_0` (33 degrees of freedom)
//! and the squared canonical coordinates `c_l` with eigenvalues `lambda_l` (second line): under the model
//! `c_l ~ s_0 (1 + gamma lambda_l) chi2_1`. The expected numbers come from an independent implementation in NumPy and
//! SciPy (L-BFGS-B), whose optimum is good to about 1e-6.

use ferrocyte_base::{Result, Run};
use ferrocyte_math::variance_prior::{fit_prior, fit_residual_prior};

const TABLE: &str = include_str!("../moderated_lmm_few_cells.tsv");
const RESIDUAL_DF: f64 = 33.0;

/// `n - p`.
const NU: f64 = 37.0;

fn numbers(line: &str) -> Vec<f64> {
    line.split('\t').skip(1).map(|cell| cell.parse().unwrap_or(f64::NAN)).collect()
}

#[test]
fn a_small_mixed_model() -> Result<()> {
    let mut lines = TABLE.lines().skip(1);
    let lambda = lines.next().map(numbers).unwrap_or_default()[2..6].to_vec();
    let genes: Vec<Vec<f64>> = lines.map(numbers).collect();
    assert_eq!(genes.len(), 254);
    let column = |j: usize| genes.iter().map(|g| g[j]).collect::<Vec<f64>>();
    let (trend, e_0, use_gene) = (column(0), column(1), vec![true; genes.len()]);

    let residual = fit_residual_prior(&e_0, RESIDUAL_DF, &trend, &use_gene)?;
    assert!((residual.df / 34.151766937228054 - 1.0).abs() < 1e-9, "{residual:?}");
    for gene in &genes {
        assert!((residual.variance(gene[0]) / gene[7] - 1.0).abs() < 1e-9, "{gene:?}");
    }

    let grid: Vec<f64> = (0..79).map(|k| -9.5 + f64::from(k) / 6.0).collect();
    let mut ln_likelihood = Vec::new();
    for gene in &genes {
        for gamma in grid.iter().map(|x| x.exp()) {
            let mut sum = gene[1] + residual.df * residual.variance(gene[0]);
            let mut ln_determinant = 0.0;
            for (c, l) in gene[2..6].iter().zip(&lambda) {
                sum += c / (1.0 + gamma * l);
                ln_determinant += (gamma * l).ln_1p();
            }
            ln_likelihood.push(-0.5 * ((NU + residual.df) * sum.ln() + ln_determinant));
        }
    }
    let prior = fit_prior(&Run::new().threads(2), &grid, &ln_likelihood, &trend, &use_gene)?;
    let expected = [-3.2585926114221735, 1.370567730956138, 0.3227774915927223];
    for (found, expected) in prior.coefficients.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-5, "{prior:?}");
    }
    assert!((prior.omega - 1.376278522075457).abs() < 1e-5 && prior.converged, "{prior:?}");

    let mut weights = vec![0.0; grid.len()];
    for (gene, row) in genes.iter().zip(ln_likelihood.chunks_exact(grid.len())) {
        let mean = prior.posterior(row, gene[0], &mut weights);
        assert!((mean - gene[6]).abs() < 1e-5, "{gene:?}: {mean}");
    }
    Ok(())
}
