//! The people behind a trait: fixed effects, environments, kinship.

use std::borrow::Cow;

use ferrocyte_base::{Fault, Result};
use ferrocyte_math::linalg::{Matrix, dot};

use super::data::Study;
use super::kinship::Kinship;

/// What is left of a column after those before it, below this share of its length, is rounding.
const RANK: f64 = 1e-6;

/// Some people of a study.
#[derive(Debug)]
pub(super) struct Ground<'a> {
    /// Their kinship; of nobody where the study has none.
    pub(super) kinship: Cow<'a, Kinship>,
    /// People × environments.
    pub(super) z: Matrix,
    /// Orthonormal columns that span intercept and covariates, people × columns.
    pub(super) q: Matrix,
    /// Upper triangle with `[1, X] = q r`.
    pub(super) r: Matrix,
}

impl<'a> Ground<'a> {
    /// The people `rows` of the study. Fails where a covariate depends on those before it.
    pub(super) fn new(study: &'a Study, rows: &[usize]) -> Result<Self> {
        let everyone = rows.len() == study.individuals.len();
        let kinship = match &study.kinship {
            Some(kinship) if everyone => Cow::Borrowed(kinship),
            Some(kinship) => Cow::Owned(kinship.take(rows)),
            None => Cow::Owned(Kinship::symmetric(0, Vec::new())),
        };
        let take = |from: &Matrix| {
            let entries = rows.iter().flat_map(|&i| from.row(i)).copied().collect();
            Matrix::from_rows(rows.len(), from.n_cols(), entries)
        };
        let (q, r) = orthonormal(&take(&study.covariates), &study.covariate_names)?;
        Ok(Self { kinship, z: take(&study.environments), q, r })
    }

    /// Number of people.
    pub(super) fn n(&self) -> usize {
        self.q.n_rows()
    }

    /// Number of fixed effects, the intercept included.
    pub(super) fn p(&self) -> usize {
        self.q.n_cols()
    }

    /// What fixed effects leave of `y`: (I - QQ') y.
    pub(super) fn residual(&self, y: &[f64]) -> Vec<f64> {
        let mut out = y.to_vec();
        // Twice, since the first time leaves rounding of the size of y.
        for _ in 0..2 {
            let b = transposed_product(&self.q, &out);
            for (i, x) in out.iter_mut().enumerate() {
                *x -= dot(self.q.row(i), &b);
            }
        }
        out
    }

    /// The vector of a place: ones, or the column of an environment.
    pub(super) fn place(&self, i: usize, place: usize) -> f64 {
        if place == 0 { 1.0 } else { self.z[(i, place - 1)] }
    }
}

/// A'v.
pub(super) fn transposed_product(a: &Matrix, v: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; a.n_cols()];
    for (i, x) in v.iter().enumerate() {
        out.iter_mut().zip(a.row(i)).for_each(|(o, a)| *o += a * x);
    }
    out
}

/// Orthonormal columns for the intercept and the covariates, and the triangle that leads back to them.
fn orthonormal(covariates: &Matrix, names: &[String]) -> Result<(Matrix, Matrix)> {
    let (n, p) = (covariates.n_rows(), covariates.n_cols() + 1);
    let mut columns: Vec<Vec<f64>> = vec![vec![1.0 / (n as f64).sqrt(); n]];
    let mut r = Matrix::zeros(p, p);
    r[(0, 0)] = (n as f64).sqrt();
    for k in 1..p {
        let mut column: Vec<f64> = (0..n).map(|i| covariates[(i, k - 1)]).collect();
        let mut length = dot(&column, &column).sqrt();
        for pass in 0..2 {
            for (j, other) in columns.iter().enumerate() {
                let along = dot(&column, other);
                r[(j, k)] += along;
                column.iter_mut().zip(other).for_each(|(x, o)| *x -= along * o);
                if pass == 0 && j == 0 {
                    // A large mean is no dependence, a column that is nothing else is.
                    let centred = dot(&column, &column).sqrt();
                    length = if centred > 1e-12 * length { centred } else { f64::INFINITY };
                }
            }
        }
        let left = dot(&column, &column).sqrt();
        if !(left > RANK * length) {
            return Err(collinear(&names[k - 1], &names[..k - 1]));
        }
        r[(k, k)] = left;
        column.iter_mut().for_each(|x| *x /= left);
        columns.push(column);
    }
    let entries = (0..n).flat_map(|i| columns.iter().map(move |c| c[i])).collect();
    Ok((Matrix::from_rows(n, p, entries), r))
}

fn collinear(name: &str, before: &[String]) -> Fault {
    let among = if before.is_empty() { String::new() } else { format!(" and {}", ferrocyte_base::listing(before, 10)) };
    Fault::bad_input(format!("column `{name}` of X is collinear with the intercept{among}"))
        .at(format!("X, column `{name}`"))
        .hint("leave it out; of environments that are a partition X holds all but one")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_orthonormal_and_lead_back() -> Result<()> {
        let x = Matrix::from_rows(4, 2, vec![2000.0, 1.0, 2001.0, -1.0, 2002.5, 4.0, 2004.0, 0.5]);
        let (q, r) = orthonormal(&x, &["year".into(), "b".into()])?;
        let back = q.times(&r);
        for i in 0..4 {
            assert!((back[(i, 0)] - 1.0).abs() < 1e-12);
            assert!((back[(i, 1)] - x[(i, 0)]).abs() < 1e-9);
            assert!((back[(i, 2)] - x[(i, 1)]).abs() < 1e-12);
        }
        let unit = q.transpose().times(&q);
        (0..3).for_each(|i| assert!((unit[(i, i)] - 1.0).abs() < 1e-14 && unit[(i, (i + 1) % 3)].abs() < 1e-14));
        Ok(())
    }

    #[test]
    fn a_dependent_column_is_named() {
        let x = Matrix::from_rows(3, 2, vec![1.0, 0.0, 0.0, 1.0, 0.0, 1.0]);
        let told = orthonormal(&x, &["a".into(), "b".into()]).map_err(|f| f.to_string());
        assert!(told.is_err_and(|t| t.contains("column `b` of X is collinear") && t.contains("`a`")));
        let flat = Matrix::from_rows(3, 1, vec![0.1; 3]);
        assert!(orthonormal(&flat, &["flat".into()]).is_err());
    }
}
