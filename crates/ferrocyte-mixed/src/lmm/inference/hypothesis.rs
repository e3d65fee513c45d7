//! What a joint test is of: a term of the formula, several contrasts, or rows of weights, and which of them are
//! independent of each other.

use ferrocyte_base::{Fault, Result};
use ferrocyte_math::linalg::{Matrix, dot};

use crate::lmm::fit::GroupFit;
use crate::lmm::inference::Contrast;

/// A row whose square, scaled to one, has less than this left after the rows before it is a combination of them.
const DEPENDENT: f64 = 1e-10;

/// Several contrasts that are zero together.
#[derive(Debug, Clone, PartialEq)]
pub enum Hypothesis {
    /// All coefficients of a term of the formula, its variables in any order: `cell_type:condition`.
    Term(String),
    /// Terms and linear expressions of coefficients together; what is the name of a term is one.
    Parts {
        /// Its name in the table; the parts joined by `; ` where empty.
        name: String,
        /// The parts.
        parts: Vec<String>,
    },
    /// Contrasts of coefficients.
    Contrasts {
        /// Its name in the table; the contrasts joined by `; ` where empty.
        name: String,
        /// The contrasts.
        contrasts: Vec<Contrast>,
    },
    /// Weights of the coefficients, a row per contrast.
    Rows {
        /// Its name in the table.
        name: String,
        /// The coefficients that the columns of `weights` are of; empty: all coefficients of the model, in order.
        coefficients: Vec<String>,
        /// The weights, rows × coefficients.
        weights: Matrix,
    },
}

impl Hypothesis {
    /// A term of the formula.
    pub fn term(name: impl Into<String>) -> Self {
        Self::Term(name.into())
    }

    /// The name in the table.
    pub fn name(&self) -> String {
        match self {
            Self::Contrasts { name, contrasts } if name.is_empty() => {
                contrasts.iter().map(Contrast::name).collect::<Vec<_>>().join("; ")
            }
            Self::Parts { name, parts } if name.is_empty() => parts.join("; "),
            Self::Term(name) | Self::Parts { name, .. } | Self::Contrasts { name, .. } | Self::Rows { name, .. } => {
                name.clone()
            }
        }
    }

    /// The weights of the coefficients of a group, a column per contrast: p × s.
    pub fn weights(&self, group: &GroupFit) -> Result<Matrix> {
        let p = group.coefficients.len();
        match self {
            Self::Term(name) => Ok(unit_columns(p, &group.coefficients.term(name)?)),
            Self::Parts { parts, .. } => {
                let mut rows = Vec::new();
                for part in parts {
                    rows.extend(part_rows(group, part)?);
                }
                Ok(Matrix::from_rows(rows.len() / p, p, rows).transpose())
            }
            Self::Contrasts { contrasts, .. } => {
                let mut rows = Vec::with_capacity(contrasts.len() * p);
                for contrast in contrasts {
                    rows.extend(contrast.weights(group)?);
                }
                Ok(Matrix::from_rows(contrasts.len(), p, rows).transpose())
            }
            Self::Rows { name, coefficients, weights } => named_rows(group, name, coefficients, weights),
        }
    }
}

/// Unit vectors of length p, as columns.
fn unit_columns(p: usize, positions: &[usize]) -> Matrix {
    let mut weights = Matrix::zeros(p, positions.len());
    for (j, &at) in positions.iter().enumerate() {
        weights[(at, j)] = 1.0;
    }
    weights
}

/// The weights of a term, or of an expression, row by row.
fn part_rows(group: &GroupFit, part: &str) -> Result<Vec<f64>> {
    let term = group.coefficients.term(part);
    if let Ok(positions) = &term {
        return Ok(unit_columns(group.coefficients.len(), positions).transpose().into_entries());
    }
    match (group.coefficients.contrast(part), term) {
        (Ok(weights), _) => Ok(weights),
        // A lone name that is none: the terms that exist are the better answer.
        (Err(_), Err(fault)) if !part.contains(['+', '-', '*', '/']) => Err(fault),
        (Err(fault), _) => Err(fault),
    }
}

/// Rows of weights over named coefficients, as columns over all coefficients of a group.
fn named_rows(group: &GroupFit, name: &str, coefficients: &[String], weights: &Matrix) -> Result<Matrix> {
    let p = group.coefficients.len();
    let place = format!("hypothesis `{name}`");
    let positions: Vec<usize> = if coefficients.is_empty() {
        (0..p).collect()
    } else {
        coefficients.iter().map(|c| group.coefficients.resolve(c)).collect::<Result<_>>()?
    };
    if positions.len() != weights.n_cols() {
        return Err(Fault::bad_input(format!(
            "{} weights a row for {} coefficients",
            weights.n_cols(),
            positions.len()
        ))
        .at(place)
        .hint("give a weight for each coefficient, or name the coefficients"));
    }
    let bad = weights.entries().iter().filter(|w| !w.is_finite()).count();
    if bad > 0 {
        return Err(Fault::bad_input(format!("{bad} weights are missing or infinite")).at(place));
    }
    let mut out = Matrix::zeros(p, weights.n_rows());
    for j in 0..weights.n_rows() {
        for (&at, &w) in positions.iter().zip(weights.row(j)) {
            out[(at, j)] += w;
        }
    }
    Ok(out)
}

/// The contrasts (columns, p × s) that do not depend on those before them, in their order.
///
/// The rank is decided in the metric of (X'X)⁻¹ with every contrast scaled to length one, so that the units of
/// covariates do not matter. Fails when no contrast is left.
pub(super) fn independent(contrasts: &Matrix, xx_inverse: &Matrix) -> Result<Matrix> {
    let (p, s) = (contrasts.n_rows(), contrasts.n_cols());
    let gram = contrasts.transpose().times(&xx_inverse.times(contrasts));
    let mut kept: Vec<usize> = Vec::new();
    // Rows of the Cholesky factor of the scaled Gram matrix, for the contrasts kept so far.
    let mut factor: Vec<Vec<f64>> = Vec::new();
    for j in 0..s {
        if !(gram[(j, j)] > 0.0) {
            continue;
        }
        let scaled = |i: usize| gram[(j, i)] / (gram[(j, j)] * gram[(i, i)]).sqrt();
        let mut row: Vec<f64> = Vec::with_capacity(kept.len() + 1);
        for (a, &i) in kept.iter().enumerate() {
            let x = (scaled(i) - dot(&row, &factor[a][..a])) / factor[a][a];
            row.push(x);
        }
        let left = 1.0 - dot(&row, &row);
        if left > DEPENDENT {
            row.push(left.sqrt());
            factor.push(row);
            kept.push(j);
        }
    }
    if kept.is_empty() {
        return Err(Fault::bad_input("all weights are zero: there is nothing to test"));
    }
    let mut out = Matrix::zeros(p, kept.len());
    for i in 0..p {
        for (to, &from) in kept.iter().enumerate() {
            out[(i, to)] = contrasts[(i, from)];
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(p: usize) -> Matrix {
        let mut out = Matrix::zeros(p, p);
        for i in 0..p {
            out[(i, i)] = 1.0;
        }
        out
    }

    #[test]
    fn dependent_and_empty_contrasts_are_left_out() -> Result<()> {
        // Columns: a, b, a + b in large units, zero, c - a.
        let contrasts =
            Matrix::from_rows(3, 5, vec![1.0, 0.0, 1e9, 0.0, -1.0, 0.0, 1.0, 1e9, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
        let kept = independent(&contrasts, &identity(3))?;
        assert_eq!(kept.n_cols(), 3);
        assert_eq!(kept.transpose().row(2), [-1.0, 0.0, 1.0]);
        Ok(())
    }

    #[test]
    fn units_do_not_decide_the_rank() -> Result<()> {
        let mut xx_inverse = identity(2);
        xx_inverse[(0, 0)] = 1e-24;
        assert_eq!(independent(&identity(2), &xx_inverse)?.n_cols(), 2);
        Ok(())
    }

    #[test]
    fn nothing_to_test_is_refused() {
        assert!(independent(&Matrix::zeros(2, 3), &identity(2)).is_err());
    }
}
