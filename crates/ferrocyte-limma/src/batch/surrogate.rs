//! [`wsva`]: hidden variables from what a design leaves.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::linalg::{Matrix, cross_product, dot, product, subtract_product, symmetric_eigen};
use ferrocyte_math::pivoted_qr::PivotedQr;

use crate::{DesignMatrix, Expression};

/// Genes in a block of work.
const GENES: usize = 1024;

/// Surrogate variables, samples × variables, each with mean square 1; their signs mean nothing.
///
/// With E the residual effects (genes × n - p, the values along a basis of what the design leaves) and u a leading left
/// singular vector of E, the variable is `Y'u`. `weight_by_sd` takes one variable at a time: genes count by the standard
/// deviation of their effects, and each variable joins the design before the next is sought.
///
/// Singular vectors come from `Y'Y`, samples × samples, so that memory does not grow with the genes. Genes with missing
/// values are left out, with a warning.
///
/// # Errors
/// Where the design leaves nothing, or shapes differ.
pub fn wsva(run: &Run, y: &Expression<'_>, design: &DesignMatrix, n_sv: usize, weight_by_sd: bool) -> Result<Matrix> {
    let n = y.n_samples();
    design.check_samples(n, y.samples())?;
    let genes: Vec<usize> = (0..y.n_genes()).filter(|&g| y.row(g).iter().all(|x| x.is_finite())).collect();
    if genes.len() < y.n_genes() {
        run.warn(&format!("{} genes with missing values are left out", y.n_genes() - genes.len()));
    }
    let mut known = design.matrix().clone();
    let mut variables: Vec<Vec<f64>> = Vec::new();
    if weight_by_sd {
        for _ in 0..n_sv {
            let Some(left) = complement(&known) else { break };
            let products = products(run, y, &genes, Some(&known))?;
            let variable = leading(&products, &left, 1)?.pop().unwrap_or_default();
            known = beside(&known, &variable);
            variables.push(variable);
        }
    } else if let Some(left) = complement(&known) {
        variables = leading(&products(run, y, &genes, None)?, &left, n_sv)?;
    }
    if variables.is_empty() && n_sv > 0 {
        return Err(Fault::bad_input("the design leaves no degree of freedom for hidden variables").at("design"));
    }
    if variables.len() < n_sv {
        run.warn(&format!("{n_sv} variables were asked for, the design leaves room for {}", variables.len()));
    }
    for variable in &mut variables {
        let scale = (dot(variable, variable) / n as f64).sqrt();
        variable.iter_mut().for_each(|x| *x /= scale);
    }
    Ok(Matrix::from_rows(variables.len(), n, variables.concat()).transpose())
}

/// A basis of what a design leaves; `None` if that is nothing.
fn complement(design: &Matrix) -> Option<Matrix> {
    let qr = PivotedQr::new(design);
    (qr.rank() < design.n_rows()).then(|| qr.complement())
}

/// `Y'Y`, or `Y' diag(s²) Y` with the residual variances s² of the genes on a design.
fn products(run: &Run, y: &Expression<'_>, genes: &[usize], design: Option<&Matrix>) -> Result<Matrix> {
    let n = y.n_samples();
    let basis = design.map(|x| PivotedQr::new(x).basis());
    let parts = run.map_quietly(genes.len(), GENES, |range| {
        let mut values: Vec<f64> = genes[range.clone()].iter().flat_map(|&g| y.row(g).iter().copied()).collect();
        if let Some(basis) = &basis {
            let mut left = values.clone();
            let mut effects = vec![0.0; range.len() * basis.n_cols()];
            product(&values, n, basis, &mut effects);
            subtract_product(&effects, basis.n_cols(), &basis.transpose(), &mut left);
            for (row, left) in values.chunks_exact_mut(n).zip(left.chunks_exact(n)) {
                let deviation = dot(left, left).sqrt();
                row.iter_mut().for_each(|x| *x *= deviation);
            }
        }
        let mut part = Matrix::zeros(n, n);
        cross_product(&values, &values, &mut part);
        Ok(part)
    })?;
    let mut sum = Matrix::zeros(n, n);
    for part in parts {
        sum.entries_mut().iter_mut().zip(part.entries()).for_each(|(s, x)| *s += x);
    }
    Ok(sum)
}

/// `C L v` for the leading eigenvectors v of `L'CL`.
fn leading(products: &Matrix, left: &Matrix, count: usize) -> Result<Vec<Vec<f64>>> {
    let image = products.times(left);
    let (values, vectors) = symmetric_eigen(&left.transpose().times(&image))?;
    let m = values.len();
    let vector = |k: usize| {
        let v = Matrix::from_rows(m, 1, (0..m).map(|i| vectors[(i, k)]).collect());
        image.times(&v).into_entries()
    };
    Ok((0..count.min(m)).map(|k| vector(m - 1 - k)).collect())
}

/// A matrix with one more column.
fn beside(x: &Matrix, column: &[f64]) -> Matrix {
    let entries = column.iter().enumerate().flat_map(|(i, value)| x.row(i).iter().copied().chain([*value])).collect();
    Matrix::from_rows(x.n_rows(), x.n_cols() + 1, entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_math::linalg::MatrixRef;
    use ferrocyte_math::random::Stream;

    #[test]
    fn a_hidden_variable_is_found() -> Result<()> {
        let (n, genes) = (10, 200);
        let mut stream = Stream::new(9, 0);
        let hidden: Vec<f64> = (0..n).map(|_| stream.normal()).collect();
        let loads: Vec<f64> = (0..genes).map(|_| 3.0 * stream.normal()).collect();
        let y: Vec<f64> = (0..genes * n).map(|i| loads[i / n] * hidden[i % n] + 0.01 * stream.normal()).collect();
        let design = DesignMatrix::new(Matrix::from_rows(n, 1, vec![1.0; n]), vec!["a".into()], vec![])?;
        let data = Expression::unnamed(MatrixRef::from_rows(genes, n, &y));
        let centre = |x: &[f64]| {
            let mean = x.iter().sum::<f64>() / n as f64;
            x.iter().map(|v| v - mean).collect::<Vec<f64>>()
        };
        for weighted in [false, true] {
            let found = wsva(&Run::new(), &data, &design, 1, weighted)?;
            assert!((dot(found.entries(), found.entries()) / n as f64 - 1.0).abs() < 1e-12);
            let (a, b) = (centre(found.entries()), centre(&hidden));
            let correlation = dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt();
            assert!(correlation.abs() > 0.999, "{correlation}");
        }
        Ok(())
    }
}
