//! Co-association: states whose shares of their types rise and fall together over samples.

use ferrocyte_base::{Fault, Result};
use ferrocyte_math::linalg::Matrix;

use super::{States, check_cells};
use crate::collate::{self, collate};

/// Correlations of the shares of states over samples, states sorted by ecotype and type.
///
/// The share of a state is that of its type's cells in a sample. Four ways of counting are averaged: with cells of no
/// ecotype and without, and with states that a sample lacks as missing or as 0. Pairs that no way of counting knows are 0.
pub fn coassociation(ecotype: &[String], cell_type: &[String], sample: &[String], non_se: &str) -> Result<States> {
    check_cells(ecotype.len(), &[("cell_type", cell_type.len()), ("sample", sample.len())], &[])?;
    let samples = collate::first_seen(sample);
    if samples.len() < 2 {
        return Err(
            Fault::bad_input(format!("correlations over samples need two, found {}", samples.len())).at("sample")
        );
    }
    let mut pairs: Vec<(&String, &String)> = ecotype.iter().zip(cell_type).collect();
    pairs.sort_by(|a, b| collate(a.0, b.0).then_with(|| collate(a.1, b.1)));
    pairs.dedup();
    let n = pairs.len();
    let mut count = Matrix::zeros(n, samples.len());
    for cell in 0..ecotype.len() {
        let state = pairs.iter().position(|(e, t)| **e == ecotype[cell] && **t == cell_type[cell]);
        let at = samples.iter().position(|name| *name == sample[cell]);
        if let (Some(state), Some(at)) = (state, at) {
            count[(state, at)] += 1.0;
        }
    }
    let (mut sum, mut known) = (Matrix::zeros(n, n), Matrix::zeros(n, n));
    for with_none in [true, false] {
        let used: Vec<bool> =
            pairs.iter().map(|(e, _)| with_none || e.to_lowercase() != non_se.to_lowercase()).collect();
        for absent in [f64::NAN, 0.0] {
            let shares = shares(&count, &pairs, &used, absent);
            for i in (0..n).filter(|&i| used[i]) {
                for j in (0..n).filter(|&j| used[j]) {
                    let r = pearson(shares.row(i), shares.row(j));
                    // What is correlated with itself is 1 without rounding.
                    let r = if i == j && !r.is_nan() { 1.0 } else { r };
                    if !r.is_nan() {
                        sum[(i, j)] += r;
                        known[(i, j)] += 1.0;
                    }
                }
            }
        }
    }
    sum.entries_mut().iter_mut().zip(known.entries()).for_each(|(sum, n)| *sum /= n.max(1.0));
    Ok(States {
        names: pairs.iter().map(|(e, t)| format!("{e}_{t}")).collect(),
        ecotypes: pairs.iter().map(|(e, _)| (*e).clone()).collect(),
        values: sum,
    })
}

/// Shares of states within their types, sample by sample.
fn shares(count: &Matrix, pairs: &[(&String, &String)], used: &[bool], absent: f64) -> Matrix {
    let mut shares = count.clone();
    for sample in 0..count.n_cols() {
        for i in 0..pairs.len() {
            let same = (0..pairs.len()).filter(|&j| used[j] && pairs[j].1 == pairs[i].1);
            let total: f64 = same.map(|j| count[(j, sample)]).sum();
            let n = count[(i, sample)];
            shares[(i, sample)] = if n > 0.0 { n / total } else { absent };
        }
    }
    shares
}

/// The correlation of what both have.
pub(crate) fn pearson(a: &[f64], b: &[f64]) -> f64 {
    let pairs = || a.iter().zip(b).filter(|(x, y)| !x.is_nan() && !y.is_nan());
    let n = pairs().count() as f64;
    if n < 2.0 {
        return f64::NAN;
    }
    let (ma, mb) = (pairs().map(|(x, _)| x).sum::<f64>() / n, pairs().map(|(_, y)| y).sum::<f64>() / n);
    let sum = |f: &dyn Fn(f64, f64) -> f64| pairs().map(|(x, y)| f(x - ma, y - mb)).sum::<f64>();
    let r = sum(&|x, y| x * y) / (sum(&|x, _| x * x).sqrt() * sum(&|_, y| y * y).sqrt());
    r.clamp(-1.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_that_rise_together_are_correlated() -> Result<()> {
        // In sample i, i + 1 cells of SE1 and 4 - i of SE2, in both types.
        let (mut ecotype, mut cell_type, mut sample) = (Vec::new(), Vec::new(), Vec::new());
        for i in 0..4 {
            for of in ["B", "T"] {
                for (name, n) in [("SE1", i + 1), ("SE2", 4 - i)] {
                    for _ in 0..n {
                        ecotype.push(name.to_owned());
                        cell_type.push(of.to_owned());
                        sample.push(format!("s{i}"));
                    }
                }
            }
        }
        let found = coassociation(&ecotype, &cell_type, &sample, "nonSE")?;
        assert_eq!(found.names, ["SE1_B", "SE1_T", "SE2_B", "SE2_T"]);
        assert!((found.values[(0, 1)] - 1.0).abs() < 1e-12 && (found.values[(0, 3)] + 1.0).abs() < 1e-12);
        assert!(coassociation(&ecotype, &cell_type, &vec!["s".to_owned(); 40], "nonSE").is_err());
        Ok(())
    }
}
