//! Missing pairs filled in by the expectation-maximisation of a multivariate normal, gene by gene (option `mvn`).
//!
//! For parity with the reference only: the likelihood of the models here takes observed pairs as they are.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::linalg::{Matrix, cholesky_in_place, solve_lower, solve_lower_transposed};

use super::data::Study;

/// Most rounds.
const ROUNDS: usize = 100;
/// Mean squared change over mean squared imputed value at which the rounds end.
const CHANGE: f64 = 1e-4;

/// Fills in missing values and missing noise of every gene. Imputed noise may be negative; [`super::standardize`] mends it.
pub fn impute(run: &Run, study: &Study) -> Result<Study> {
    let (n, c) = (study.individuals.len(), study.cell_types.len());
    let size = n * c;
    let filled = run.map_blocks("imputing", study.genes.len(), 16, |gene| {
        let cells = gene * size..(gene + 1) * size;
        let name = &study.genes[gene];
        let values = fill(&study.values[cells.clone()], c).map_err(|f| f.at(format!("gene `{name}`")))?;
        let noise = fill(&study.noise[cells], c).map_err(|f| f.at(format!("gene `{name}`")))?;
        Ok((values, noise))
    })?;
    let (values, noise): (Vec<_>, Vec<_>) = filled.into_iter().unzip();
    Ok(Study { values: values.concat(), noise: noise.concat(), ..study.clone() })
}

/// The rounds on one gene: individuals × cell types.
fn fill(x: &[f64], c: usize) -> Result<Vec<f64>> {
    let n = x.len() / c;
    let missing: Vec<usize> = (0..x.len()).filter(|&at| x[at].is_nan()).collect();
    if missing.is_empty() {
        return Ok(x.to_vec());
    }
    let mut mu = column_means(x, c);
    if mu.iter().any(|m| m.is_nan()) {
        return Err(Fault::bad_input("a cell type has no value in any individual and cannot be imputed"));
    }
    let mut filled = x.to_vec();
    missing.iter().for_each(|&at| filled[at] = mu[at % c]);
    let mut sigma = scatter(&filled, &mu, c, n as f64 - 1.0);
    sigma.entries_mut().iter_mut().for_each(|v| *v *= 0.9);
    (0..c).for_each(|a| sigma[(a, a)] += 0.1);
    for _ in 0..ROUNDS {
        let before: Vec<f64> = missing.iter().map(|&at| filled[at]).collect();
        let mut conditional = Matrix::zeros(c, c);
        for i in 0..n {
            let row = &x[i * c..(i + 1) * c];
            if row.iter().any(|v| v.is_nan()) {
                expect(row, &mu, &sigma, &mut filled[i * c..(i + 1) * c], &mut conditional)?;
            }
        }
        let (mut change, mut size) = (0.0, 0.0);
        for (&at, old) in missing.iter().zip(before) {
            change += (filled[at] - old).powi(2);
            size += filled[at].powi(2);
        }
        if change < CHANGE * size || size == 0.0 {
            break;
        }
        mu = column_means(&filled, c);
        sigma = scatter(&filled, &mu, c, n as f64);
        sigma.entries_mut().iter_mut().zip(conditional.entries()).for_each(|(s, v)| *s += v / n as f64);
    }
    Ok(filled)
}

/// The conditional means of what is missing in a row, and their covariance added to `conditional`.
fn expect(row: &[f64], mu: &[f64], sigma: &Matrix, out: &mut [f64], conditional: &mut Matrix) -> Result<()> {
    let (seen, lost): (Vec<usize>, Vec<usize>) = (0..row.len()).partition(|&a| !row[a].is_nan());
    let k = seen.len();
    let mut factor = Matrix::zeros(k, k);
    for (i, &a) in seen.iter().enumerate() {
        for (j, &b) in seen.iter().enumerate() {
            factor[(i, j)] = sigma[(a, b)];
        }
    }
    cholesky_in_place(&mut factor)
        .map_err(|_| Fault::bad_input("the covariance of cell types is singular, missing pairs cannot be imputed"))?;
    let mut regressions = Vec::with_capacity(lost.len());
    for &m in &lost {
        let mut w: Vec<f64> = seen.iter().map(|&a| sigma[(m, a)]).collect();
        solve_lower(&factor, &mut w);
        solve_lower_transposed(&factor, &mut w);
        out[m] = mu[m] + w.iter().zip(&seen).map(|(w, &a)| w * (row[a] - mu[a])).sum::<f64>();
        regressions.push(w);
    }
    for (i, &m) in lost.iter().enumerate() {
        for &l in &lost {
            let known: f64 = regressions[i].iter().zip(&seen).map(|(w, &a)| w * sigma[(a, l)]).sum();
            conditional[(m, l)] += sigma[(m, l)] - known;
        }
    }
    Ok(())
}

fn column_means(x: &[f64], c: usize) -> Vec<f64> {
    let mean = |a: usize| {
        let kept: Vec<f64> = x.iter().skip(a).step_by(c).copied().filter(|v| !v.is_nan()).collect();
        kept.iter().sum::<f64>() / kept.len() as f64
    };
    (0..c).map(mean).collect()
}

/// The centred cross product over rows, divided.
fn scatter(x: &[f64], mu: &[f64], c: usize, divisor: f64) -> Matrix {
    let mut out = Matrix::zeros(c, c);
    for row in x.chunks_exact(c) {
        for a in 0..c {
            for b in 0..c {
                out[(a, b)] += (row[a] - mu[a]) * (row[b] - mu[b]) / divisor;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn observed_values_stay_and_a_copy_is_found() -> Result<()> {
        // The second column is twice the first but for small deviations, so that its missing value follows the first.
        let x: Vec<f64> = (0..20).flat_map(|i| [f64::from(i), 2.0 * f64::from(i) + 0.01 * f64::from(i % 3)]).collect();
        let mut holed = x.clone();
        holed[21] = f64::NAN;
        let filled = fill(&holed, 2)?;
        assert!((filled[21] - x[21]).abs() < 1.0, "{} {}", filled[21], x[21]);
        assert_eq!(filled[20], x[20]);
        assert!(fill(&[1.0, f64::NAN, 2.0, f64::NAN], 2).is_err());
        Ok(())
    }
}
