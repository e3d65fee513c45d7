//! Restricted maximum likelihood of all genes: Fisher scoring of γ.
//!
//! With H the projection onto the weighted design, h its diagonal and s² a gene's residual variance, the score of the
//! log-variances is `w r² / s² - (1 - h)` and their information `diag(1 - 2h) + H ∘ H`, from which the direction that all
//! variances share is taken away.

use ferrocyte_base::{Result, Run};
use ferrocyte_math::linalg::{
    Matrix, cholesky_in_place, dot, product, solve_lower, solve_lower_transposed, subtract_product,
};
use ferrocyte_math::pivoted_qr::PivotedQr;

use super::variance_design::VarianceDesign;
use super::{ArrayWeightOptions, NO_VARIANCE};
use crate::fit::parts::genes_at_once;
use crate::{DesignMatrix, Expression, Weights};

pub(super) fn estimate(
    run: &Run,
    y: &Expression<'_>,
    genes: &[usize],
    design: &DesignMatrix,
    variances: &VarianceDesign,
    options: &ArrayWeightOptions<'_>,
) -> Result<Vec<f64>> {
    let (n, m) = (y.n_samples(), variances.n_parameters());
    let shared = matches!(options.weights, Weights::None);
    let mut gamma = vec![0.0; m];
    let mut weights = vec![1.0; n];
    let mut genes = genes.to_vec();
    let prior = variances.prior(options.prior_n);
    let mut last = f64::INFINITY;
    let mut score = vec![0.0; m];
    for iteration in 0..options.maxiter {
        let sums = if shared {
            shared_sums(run, y, &mut genes, design, &weights, iteration == 0)?
        } else {
            own_sums(run, y, &mut genes, design, &weights, &options.weights, iteration == 0)?
        };
        let all = genes.len() as f64 + options.prior_n;
        let mut information = variances.sandwich(&sums.information);
        information.entries_mut().iter_mut().zip(prior.entries()).for_each(|(x, p)| *x = (*x + p) / all);
        let gradient: Vec<f64> =
            sums.score.iter().zip(&weights).map(|(s, w)| (s + options.prior_n * (w - 1.0)) / all).collect();
        variances.transposed_times(&gradient, &mut score);
        let step = solved(&mut information, &score);
        let scale = if shared { m as f64 } else { m as f64 * all };
        let gain = dot(&score, &step) / scale;
        if !(gain < last) {
            run.warn(&format!(
                "weights of samples: step {} would gain no more than the one before; stopped",
                iteration + 1
            ));
            break;
        }
        last = gain;
        gamma.iter_mut().zip(&step).for_each(|(g, s)| *g += s);
        variances.weights(&gamma, &mut weights);
        if gain < options.tol {
            return Ok(weights);
        }
    }
    Ok(weights)
}

fn solved(information: &mut Matrix, score: &[f64]) -> Vec<f64> {
    let mut step = score.to_vec();
    // Positive definite: the prior alone is.
    let _ = cholesky_in_place(information);
    solve_lower(information, &mut step);
    solve_lower_transposed(information, &mut step);
    step
}

/// Sums over genes.
struct Sums {
    /// Information of the log-variances without the direction that they share, samples × samples.
    information: Matrix,
    /// Score of the log-variances.
    score: Vec<f64>,
}

/// Genes without weights of their own share a decomposition. Genes without variance are dropped in the first step.
fn shared_sums(
    run: &Run,
    y: &Expression<'_>,
    genes: &mut Vec<usize>,
    design: &DesignMatrix,
    weights: &[f64],
    first: bool,
) -> Result<Sums> {
    let n = y.n_samples();
    let roots: Vec<f64> = weights.iter().map(|w| w.sqrt()).collect();
    let x = design.matrix();
    let mut qr = PivotedQr::default();
    qr.factor(n, x.n_cols(), |j, column| column.iter_mut().enumerate().for_each(|(i, c)| *c = x[(i, j)] * roots[i]));
    let basis = qr.basis();
    let transposed = basis.transpose();
    let (r, df) = (qr.rank(), (n - qr.rank()) as f64);
    let parts = run.map_quietly(genes.len(), genes_at_once(n), |range| {
        let mut values = Vec::with_capacity(range.len() * n);
        for &g in &genes[range.clone()] {
            values.extend(y.row(g).iter().zip(&roots).map(|(y, u)| y * u));
        }
        let mut effects = vec![0.0; range.len() * r];
        product(&values, n, &basis, &mut effects);
        subtract_product(&effects, r, &transposed, &mut values);
        let mut score = vec![0.0; n];
        let mut kept = Vec::with_capacity(range.len());
        for (&g, row) in genes[range].iter().zip(values.chunks_exact(n)) {
            let variance = dot(row, row) / df;
            if first && variance < NO_VARIANCE {
                continue;
            }
            kept.push(g);
            score.iter_mut().zip(row).for_each(|(s, x)| *s += x * x / variance);
        }
        Ok((kept, score))
    })?;
    let mut score = vec![0.0; n];
    genes.clear();
    for (kept, part) in parts {
        genes.extend(kept);
        score.iter_mut().zip(part).for_each(|(s, x)| *s += x);
    }
    let count = genes.len() as f64;
    let mut information = Matrix::zeros(n, n);
    let left = add_gene(&basis, &mut information);
    score.iter_mut().zip(&left).for_each(|(s, l)| *s -= count * l);
    information.entries_mut().iter_mut().for_each(|x| *x *= count);
    Ok(Sums { information, score })
}

/// Genes with weights of their own.
fn own_sums(
    run: &Run,
    y: &Expression<'_>,
    genes: &mut Vec<usize>,
    design: &DesignMatrix,
    weights: &[f64],
    prior: &Weights<'_>,
    first: bool,
) -> Result<Sums> {
    let (n, x) = (y.n_samples(), design.matrix());
    let parts = run.map_ranges("weights of samples", genes.len(), 256, |range| {
        let mut sums = Sums { information: Matrix::zeros(n, n), score: vec![0.0; n] };
        let mut kept = Vec::with_capacity(range.len());
        let (mut qr, mut values, mut roots) = (PivotedQr::default(), vec![0.0; n], vec![0.0; n]);
        for &g in &genes[range] {
            let own = prior.row(g, n);
            for (i, root) in roots.iter_mut().enumerate() {
                *root = (weights[i] * own.as_ref().map_or(1.0, |w| w[i])).sqrt();
            }
            qr.factor(n, x.n_cols(), |j, column| {
                column.iter_mut().enumerate().for_each(|(i, c)| *c = x[(i, j)] * roots[i]);
            });
            values.iter_mut().enumerate().for_each(|(i, v)| *v = y.row(g)[i] * roots[i]);
            qr.apply_transposed(&mut values);
            let rank = qr.rank();
            let variance = dot(&values[rank..], &values[rank..]) / (n - rank) as f64;
            if first && variance < NO_VARIANCE {
                continue;
            }
            kept.push(g);
            values[..rank].fill(0.0);
            qr.apply(&mut values);
            let left = add_gene(&qr.basis(), &mut sums.information);
            for i in 0..n {
                sums.score[i] += values[i] * values[i] / variance - left[i];
            }
        }
        Ok((kept, sums))
    })?;
    let mut sums = Sums { information: Matrix::zeros(n, n), score: vec![0.0; n] };
    genes.clear();
    for (kept, part) in parts {
        genes.extend(kept);
        sums.score.iter_mut().zip(part.score).for_each(|(s, x)| *s += x);
        let entries = sums.information.entries_mut();
        entries.iter_mut().zip(part.information.entries()).for_each(|(s, x)| *s += x);
    }
    Ok(sums)
}

/// Adds the information of a gene, given an orthonormal basis of its weighted design; returns 1 - h.
///
/// Rows of `diag(1 - 2h) + H ∘ H` sum to 1 - h, since H is a projection: that is the direction to take away.
fn add_gene(basis: &Matrix, to: &mut Matrix) -> Vec<f64> {
    let n = basis.n_rows();
    let left: Vec<f64> = (0..n).map(|i| 1.0 - dot(basis.row(i), basis.row(i))).collect();
    let total: f64 = left.iter().sum();
    for i in 0..n {
        for j in 0..n {
            let h = dot(basis.row(i), basis.row(j));
            to[(i, j)] += h * h - left[i] * left[j] / total;
        }
        to[(i, i)] += 2.0 * left[i] - 1.0;
    }
    left
}
