//! Which columns of a design depend on columns before them, from X'X alone.
//!
//! A Cholesky factorisation in the order of the columns, of X'X scaled to unit diagonal: the square of what is left
//! of a column after regression on the columns before it, as a fraction of the column, is its Schur diagonal. Below
//! [`TOLERANCE`] the column is aliased and takes no part in what follows. The scaling makes the answer independent of
//! the units of covariates.

/// The least squared fraction of a column that the columns before it must leave.
pub const TOLERANCE: f64 = 1e-10;

/// Weights of a dependence below this fraction of the column are rounding.
const NEGLIGIBLE: f64 = 1e-6;

/// A column that depends on columns before it.
#[derive(Debug, Clone, PartialEq)]
pub struct Alias {
    /// The dependent column.
    pub column: usize,
    /// The columns before it whose combination it is, with their weights; empty for a column of zeros. None of them
    /// is aliased itself.
    pub depends_on: Vec<(usize, f64)>,
}

/// An aliased column by name, and why, in words.
#[derive(Debug, Clone, PartialEq)]
pub struct AliasReport {
    /// The column's name.
    pub name: String,
    /// Why it is aliased: `` equals `donorP2`: each `donor` has one `condition` ``.
    pub why: String,
    /// The names of the columns whose combination it is, with their weights; empty for a column of zeros.
    pub depends_on: Vec<(String, f64)>,
}

/// Finds the columns that depend on columns before them. `xx` is X'X, `p` x `p`, row-major.
///
/// ```
/// // The third column is the first plus a million times the second.
/// let xx = [2.0, 1.0, 1000002.0, 1.0, 1.0, 1000001.0, 1000002.0, 1000001.0, 1000002000002.0];
/// let aliases = ferrocyte_design::alias::find(&xx, 3);
/// assert_eq!(aliases[0].column, 2);
/// assert!((aliases[0].depends_on[1].1 / 1e6 - 1.0).abs() < 1e-9);
/// ```
pub fn find(xx: &[f64], p: usize) -> Vec<Alias> {
    debug_assert_eq!(xx.len(), p * p);
    let root: Vec<f64> = (0..p).map(|j| xx[j * p + j].sqrt()).collect();
    let mut aliases = Vec::new();
    // Rows of the factor for the columns kept, packed: row i has i + 1 entries.
    let mut factor: Vec<Vec<f64>> = Vec::new();
    let mut kept: Vec<usize> = Vec::new();
    for j in 0..p {
        if root[j].is_nan() || root[j] <= 0.0 {
            aliases.push(Alias { column: j, depends_on: Vec::new() });
            continue;
        }
        let scaled = |i: usize| xx[j * p + i] / (root[j] * root[i]);
        let mut row: Vec<f64> = Vec::with_capacity(kept.len() + 1);
        for (k, &i) in kept.iter().enumerate() {
            let done: f64 = row.iter().zip(&factor[k]).map(|(a, b)| a * b).sum();
            row.push((scaled(i) - done) / factor[k][k]);
        }
        let left = 1.0 - row.iter().map(|a| a * a).sum::<f64>();
        if left > TOLERANCE {
            row.push(left.sqrt());
            factor.push(row);
            kept.push(j);
        } else {
            solve_transposed(&factor, &mut row);
            let weights = kept.iter().zip(&row).filter(|(_, a)| a.abs() > NEGLIGIBLE);
            let depends_on = weights.map(|(&i, &a)| (i, tidy(a * root[j] / root[i]))).collect();
            aliases.push(Alias { column: j, depends_on });
        }
    }
    aliases
}

/// Solves L'x = b in place, for the packed rows of L.
fn solve_transposed(factor: &[Vec<f64>], b: &mut [f64]) {
    for i in (0..b.len()).rev() {
        b[i] /= factor[i][i];
        let x = b[i];
        for (earlier, l) in b[..i].iter_mut().zip(&factor[i]) {
            *earlier -= l * x;
        }
    }
}

/// A weight that is a whole number but for rounding, as that number.
fn tidy(weight: f64) -> f64 {
    let whole = weight.round();
    if (weight - whole).abs() < NEGLIGIBLE && whole != 0.0 { whole } else { weight }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gram(columns: &[Vec<f64>]) -> Vec<f64> {
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum();
        columns.iter().flat_map(|a| columns.iter().map(move |b| dot(a, b))).collect()
    }

    /// Intercept, covariate, two groups with a reference, all groups again.
    fn columns(scale: f64) -> Vec<Vec<f64>> {
        let n = 60;
        let indicator = |g: usize| (0..n).map(|i| f64::from(u8::from(i % 3 == g))).collect::<Vec<_>>();
        let covariate = (0..n).map(|i| scale * (i as f64 * 0.7).sin()).collect();
        vec![vec![1.0; n], covariate, indicator(1), vec![0.0; n], indicator(2), indicator(0)]
    }

    #[test]
    fn dependent_and_zero_columns_are_found_in_any_units() {
        for scale in [1e-9, 1.0, 1e6, 1e9] {
            let aliases = find(&gram(&columns(scale)), 6);
            assert_eq!(
                aliases,
                [
                    Alias { column: 3, depends_on: vec![] },
                    Alias { column: 5, depends_on: vec![(0, 1.0), (2, -1.0), (4, -1.0)] },
                ]
            );
        }
    }

    #[test]
    fn nearly_dependent_columns_are_kept_down_to_the_tolerance() {
        let line = |slope: f64| -> Vec<f64> { (0..50).map(|i| 1.0 + slope * (i as f64 / 50.0 - 0.49)).collect() };
        assert!(find(&gram(&[line(0.0), line(1e-4)]), 2).is_empty());
        assert_eq!(find(&gram(&[line(0.0), line(1e-6)]), 2)[0].column, 1);
    }
}
