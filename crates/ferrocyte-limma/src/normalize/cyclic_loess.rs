//! [`normalize_cyclic_loess`]: no trend of the difference of two samples over their mean (Ballman et al. 2004).

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::linalg::Matrix;
use ferrocyte_math::lowess::choose_lowess_span;
use ferrocyte_math::weighted_lowess::loess_fit;

use super::{CyclicMethod, NormalizeOptions, columns_of, from_columns};
use crate::Expression;

/// Passes of a curve.
const PASSES: usize = 4;

/// Smooth curves of differences over means taken away, some times over; `weights` of genes say how much they count in
/// the curves.
///
/// # Errors
/// Where there are not as many weights as genes.
pub fn normalize_cyclic_loess(
    run: &Run,
    y: &Expression<'_>,
    weights: Option<&[f64]>,
    options: &NormalizeOptions,
) -> Result<Matrix> {
    if let Some(w) = weights.filter(|w| w.len() != y.n_genes()) {
        return Err(Fault::bad_input(format!("{} weights for {} genes", w.len(), y.n_genes())).at("weights"));
    }
    let span = if options.adaptive_span { choose_lowess_span(y.n_genes(), 50.0, 0.3, 1.0 / 3.0) } else { options.span };
    let curves = Curves { run, weights, span };
    let mut columns = columns_of(y);
    for _ in 0..options.iterations {
        match options.cyclic {
            CyclicMethod::Fast => curves.against_the_mean(&mut columns)?,
            CyclicMethod::Affy => curves.of_all_pairs(&mut columns)?,
            CyclicMethod::Pairs => curves.pair_by_pair(&mut columns)?,
        }
    }
    Ok(from_columns(&columns, y.n_genes()))
}

struct Curves<'a> {
    run: &'a Run,
    weights: Option<&'a [f64]>,
    span: f64,
}

impl Curves<'_> {
    /// The curve of differences over means; 0 for genes that miss a value.
    fn curve(&self, differences: &[f64], means: &[f64]) -> Result<Vec<f64>> {
        let mut fitted = loess_fit(differences, means, self.weights, self.span, PASSES)?.fitted;
        fitted.iter_mut().filter(|f| f.is_nan()).for_each(|f| *f = 0.0);
        Ok(fitted)
    }

    /// The curve of the second sample less the first.
    fn pair(&self, a: &[f64], b: &[f64]) -> Result<Vec<f64>> {
        let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| b - a).collect();
        let means: Vec<f64> = a.iter().zip(b).map(|(a, b)| 0.5 * (a + b)).collect();
        self.curve(&differences, &means)
    }

    fn against_the_mean(&self, columns: &mut [Vec<f64>]) -> Result<()> {
        let n_genes = columns.first().map_or(0, Vec::len);
        let means: Vec<f64> = (0..n_genes)
            .map(|g| {
                let seen = columns.iter().map(|column| column[g]).filter(|v| v.is_finite());
                seen.clone().sum::<f64>() / seen.count() as f64
            })
            .collect();
        let changed = self.run.map_blocks("curves", columns.len(), 1, |j| {
            let differences: Vec<f64> = columns[j].iter().zip(&means).map(|(y, mean)| y - mean).collect();
            let curve = self.curve(&differences, &means)?;
            Ok(columns[j].iter().zip(curve).map(|(y, c)| y - c).collect::<Vec<f64>>())
        })?;
        columns.iter_mut().zip(changed).for_each(|(column, new)| *column = new);
        Ok(())
    }

    fn of_all_pairs(&self, columns: &mut [Vec<f64>]) -> Result<()> {
        let n = columns.len();
        let pairs: Vec<(usize, usize)> = (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j))).collect();
        let curves =
            self.run.map_blocks("curves", pairs.len(), 1, |k| self.pair(&columns[pairs[k].0], &columns[pairs[k].1]))?;
        for (&(i, j), curve) in pairs.iter().zip(curves) {
            let change = |column: &mut [f64], sign: f64| {
                column.iter_mut().zip(&curve).for_each(|(y, c)| *y += sign * c / n as f64);
            };
            change(&mut columns[i], 1.0);
            change(&mut columns[j], -1.0);
        }
        Ok(())
    }

    fn pair_by_pair(&self, columns: &mut [Vec<f64>]) -> Result<()> {
        for i in 0..columns.len() {
            for j in i + 1..columns.len() {
                self.run.check()?;
                let curve = self.pair(&columns[i], &columns[j])?;
                columns[i].iter_mut().zip(&curve).for_each(|(y, c)| *y += 0.5 * c);
                columns[j].iter_mut().zip(&curve).for_each(|(y, c)| *y -= 0.5 * c);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ferrocyte_math::linalg::MatrixRef;

    use super::*;
    use crate::{NormalizeMethod, normalize_between_arrays};

    #[test]
    fn a_bend_between_samples_is_taken_away() -> Result<()> {
        let noise = |i: usize| ((i * 7919) % 101) as f64 * 1e-3;
        let values: Vec<f64> = (0..300)
            .flat_map(|g| {
                let x = g as f64 * 0.03;
                [x + noise(g), x + 0.5 * (x * 0.5).sin() + noise(g + 7), x - 0.05 * x + noise(g + 13)]
            })
            .collect();
        let y = Expression::unnamed(MatrixRef::from_rows(300, 3, &values));
        let spread =
            |values: &[f64]| values.chunks(3).map(|r| (r[0] - r[1]).abs() + (r[2] - r[1]).abs()).fold(0.0, f64::max);
        for cyclic in [CyclicMethod::Fast, CyclicMethod::Affy, CyclicMethod::Pairs] {
            let options = NormalizeOptions { cyclic, span: 0.3, ..NormalizeOptions::new(NormalizeMethod::CyclicLoess) };
            let out = normalize_between_arrays(&Run::new(), &y, &options)?;
            assert!(spread(out.entries()) < 0.35 && spread(&values) > 0.6, "{}", spread(out.entries()));
            let again = normalize_between_arrays(&Run::new().threads(1), &y, &options)?;
            assert_eq!(out, again);
        }
        Ok(())
    }
}
