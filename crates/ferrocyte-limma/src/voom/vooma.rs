//! [`vooma`]: weights from the trend of the variance for values that are no counts.
//!
//! As `voom`, with log-values from elsewhere: the trend is over the mean log-value of a gene, or over that and a predictor of
//! precision, such as the number of peptides of a protein, of genes or values.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::linalg::{Matrix, MatrixRef, scaled_inverse};
use ferrocyte_math::lowess::choose_lowess_span;

use super::log_counts::Shifts;
use super::one_call::VoomLmFit;
use super::refine::{Combined, Refinement, multiply, refine};
use super::trend::{Fitted, Point, Span, VarianceTrend};
use crate::fit::{Exchangeable, least_squares, warn_of_missing};
use crate::{DesignMatrix, Expression, Fit, Weights};

/// What may tell how precise values are.
#[derive(Debug, Clone, Copy, Default)]
pub enum Predictor<'a> {
    /// Their mean alone.
    #[default]
    None,
    /// A number for each gene.
    Genes(&'a [f64]),
    /// A number for each value, genes × samples.
    Values(MatrixRef<'a>),
}

/// Options of [`vooma`].
#[derive(Debug, Clone, Copy)]
pub struct VoomaOptions<'a> {
    /// The block of each sample, as a number from 0.
    pub block: Option<&'a [usize]>,
    /// The correlation within a block.
    pub correlation: Option<f64>,
    /// What may tell how precise values are.
    pub predictor: Predictor<'a>,
    /// Share of the genes that the curve sees at a place; by default it depends on their number.
    pub span: Option<f64>,
    /// Whether it depends on their number as before limma 3.66.
    pub legacy_span: bool,
    /// Whether values that look like counts are refused.
    pub check_counts: bool,
}

impl Default for VoomaOptions<'_> {
    fn default() -> Self {
        Self {
            block: None,
            correlation: None,
            predictor: Predictor::None,
            span: None,
            legacy_span: false,
            check_counts: true,
        }
    }
}

impl VoomaOptions<'_> {
    fn span(&self, n_genes: usize) -> Span {
        match self.span {
            Some(span) => Span::Fixed(span),
            None if self.legacy_span => Span::Fixed(choose_lowess_span(n_genes, 10.0, 0.3, 0.5)),
            None => Span::Adaptive,
        }
    }

    fn check(&self, y: &Expression<'_>) -> Result<()> {
        let (genes, samples) = (y.n_genes(), y.n_samples());
        if genes < 2 {
            return Err(Fault::bad_input(format!("{genes} genes, expected at least 2"))
                .at("y")
                .hint("the trend of the variance is learnt from many genes"));
        }
        if self.check_counts {
            y.refuse_counts("y")?;
        }
        let (found, fits, values) = match self.predictor {
            Predictor::None => return Ok(()),
            Predictor::Genes(x) => (format!("{}", x.len()), x.len() == genes, x),
            Predictor::Values(x) => {
                let shape = (x.n_rows(), x.n_cols());
                (format!("{} x {}", shape.0, shape.1), shape == (genes, samples), x.entries())
            }
        };
        if !fits {
            let message = format!("{found} values, expected {genes}, one per gene, or {genes} x {samples}");
            return Err(Fault::bad_input(message).at("predictor"));
        }
        match values.iter().position(|x| !x.is_finite()) {
            None => Ok(()),
            Some(i) => {
                let g = i / (values.len() / genes);
                let message = format!("{} has {}, expected finite numbers", y.gene(g), values[i]);
                Err(Fault::bad_input(message).at("predictor"))
            }
        }
    }
}

/// Precision weights of log-values, genes × samples, and the trend they come from.
///
/// # Errors
/// Where there are fewer than two genes, values look like counts, or design, blocks and predictor do not fit.
pub fn vooma(
    run: &Run,
    y: &Expression<'_>,
    design: &DesignMatrix,
    options: &VoomaOptions<'_>,
) -> Result<(Matrix, VarianceTrend)> {
    design.check_samples(y.n_samples(), y.samples())?;
    options.check(y)?;
    let blocks = match (options.block, options.correlation) {
        (Some(block), Some(rho)) => Some(exchangeable(block, rho, y.n_samples())?),
        (Some(_), None) => {
            return Err(Fault::bad_input("blocks come without a correlation")
                .at("correlation")
                .hint("estimate it: duplicate_correlation(y, design, block=..).consensus_correlation"));
        }
        _ => None,
    };
    let (trend, weights, fit) = learn(run, y, design, options, &Weights::None, blocks.as_ref())?;
    warn_of_missing(run, &fit);
    Ok((weights, trend))
}

/// Weights of each group of samples from a trend of its own; a group of one takes that of all. `block` of the options runs
/// over all samples. Gives the weights and the trend of each group.
pub fn vooma_by_group(
    run: &Run,
    y: &Expression<'_>,
    group: &[usize],
    design: &DesignMatrix,
    options: &VoomaOptions<'_>,
) -> Result<(Matrix, Vec<VarianceTrend>)> {
    let (genes, n) = (y.n_genes(), y.n_samples());
    if group.len() != n {
        return Err(Fault::bad_input(format!("{} entries for {n} samples", group.len())).at("group"));
    }
    let n_groups = group.iter().max().map_or(0, |&k| k + 1);
    let (all, overall) = vooma(run, y, design, options)?;
    let mut weights = Matrix::zeros(genes, n);
    let mut trends = Vec::with_capacity(n_groups);
    for k in 0..n_groups {
        let columns: Vec<usize> = (0..n).filter(|&j| group[j] == k).collect();
        let (own, trend) = if columns.len() < 2 {
            (select(all.borrowed(), &columns), overall.clone())
        } else {
            let values = select(y.values(), &columns);
            let block: Option<Vec<usize>> = options.block.map(|block| columns.iter().map(|&j| block[j]).collect());
            let predictor = match options.predictor {
                Predictor::Values(x) => Some(select(x, &columns)),
                _ => None,
            };
            let own = VoomaOptions {
                block: block.as_deref(),
                // All values together were checked.
                check_counts: false,
                predictor: predictor.as_ref().map_or(options.predictor, |x| Predictor::Values(x.borrowed())),
                ..*options
            };
            let mean = DesignMatrix::new(
                Matrix::from_rows(columns.len(), 1, vec![1.0; columns.len()]),
                vec!["(Intercept)".to_owned()],
                Vec::new(),
            )?;
            vooma(run, &Expression::new(values.borrowed(), y.genes(), &[])?, &mean, &own)?
        };
        for g in 0..genes {
            for (i, &j) in columns.iter().enumerate() {
                weights[(g, j)] = own[(g, i)];
            }
        }
        trends.push(trend);
    }
    Ok((weights, trends))
}

/// `vooma` and the weighted fit in one call, with weights of samples and blocks as [`voom_lm_fit`](super::voom_lm_fit()).
pub fn vooma_lm_fit(
    run: &Run,
    y: &Expression<'_>,
    design: &DesignMatrix,
    options: &VoomaOptions<'_>,
    prior_weights: Weights<'_>,
    refinement: &Refinement<'_>,
    keep_covariances: bool,
) -> Result<VoomLmFit> {
    design.check_samples(y.n_samples(), y.samples())?;
    options.check(y)?;
    prior_weights.check(y.n_genes(), y.n_samples())?;
    refinement.check(y.n_samples())?;
    let refined = refine(run, y, design, refinement, |samples, blocks| {
        let combined = Combined::new(prior_weights, samples, y.n_genes(), y.n_samples());
        let (trend, mut weights, _) = learn(run, y, design, options, &combined.weights(), blocks)?;
        multiply(&mut weights, &prior_weights);
        Ok((trend, weights))
    })?;
    let blocks = refinement.correlated(refined.correlation)?;
    let weights = Weights::Values(refined.weights.borrowed());
    let fit = least_squares(run, y, design, &weights, blocks.as_ref(), keep_covariances)?;
    warn_of_missing(run, &fit);
    let values = Matrix::from_rows(y.n_genes(), y.n_samples(), y.values().entries().to_vec());
    Ok(VoomLmFit {
        fit,
        trend: refined.trend,
        lib_size: Vec::new(),
        values: Some((values, refined.weights)),
        sample_weights: refined.sample_weights,
        correlation: refined.correlation,
    })
}

fn exchangeable(block: &[usize], correlation: f64, n_samples: usize) -> Result<Exchangeable> {
    if block.len() != n_samples {
        return Err(Fault::bad_input(format!("{} entries for {n_samples} samples", block.len())).at("block"));
    }
    Exchangeable::new(block.to_vec(), correlation)
}

/// A trend, weights from it, and the fit it was learnt from.
fn learn(
    run: &Run,
    y: &Expression<'_>,
    design: &DesignMatrix,
    options: &VoomaOptions<'_>,
    weights: &Weights<'_>,
    blocks: Option<&Exchangeable>,
) -> Result<(VarianceTrend, Matrix, Fit)> {
    let genes = y.n_genes();
    let fit = least_squares(run, y, design, weights, blocks, false)?;
    let axis = Axis::new(&fit, options.predictor)?;
    let point = |g: usize| Point { x: axis.of_gene(&fit, g), sigma: fit.sigma[g], df: fit.df_residual[g] };
    let trend = VarianceTrend::new(run, (0..genes).map(point), genes, options.span(genes), false)?;
    let fitted = Fitted::new(design, &fit.pivot[fit.rank..]);
    let shifts = Shifts::none(y.n_samples());
    let weights = fitted.weights(run, &shifts, genes, &fit.coefficients, |start, values| {
        axis.of_values(start, y.n_samples(), values);
        trend.weigh(values);
    })?;
    Ok((trend, weights, fit))
}

/// What the trend runs over: `b0 + b1 mean + b2 predictor`, the regression of roots of standard deviations.
struct Axis<'a> {
    predictor: Predictor<'a>,
    /// Mean of the predictor for each gene.
    means: Vec<f64>,
    b: [f64; 3],
}

impl<'a> Axis<'a> {
    fn new(fit: &Fit, predictor: Predictor<'a>) -> Result<Self> {
        let means: Vec<f64> = match predictor {
            Predictor::None => return Ok(Self { predictor, means: Vec::new(), b: [0.0, 1.0, 0.0] }),
            Predictor::Genes(x) => x.to_vec(),
            Predictor::Values(x) => (0..x.n_rows()).map(|g| x.row(g).iter().sum::<f64>() / x.n_cols() as f64).collect(),
        };
        let seen: Vec<usize> =
            (0..fit.n_genes()).filter(|&g| fit.sigma[g].is_finite() && fit.amean[g].is_finite()).collect();
        let b = regression(&seen, |g| [1.0, fit.amean[g], means[g]], |g| fit.sigma[g].sqrt())?;
        Ok(Self { predictor, means, b })
    }

    fn of_gene(&self, fit: &Fit, g: usize) -> f64 {
        self.b[0] + self.b[1] * fit.amean[g] + self.means.get(g).map_or(0.0, |x| self.b[2] * x)
    }

    /// Turns fitted log-values of some genes into places on the axis.
    fn of_values(&self, start: usize, n_samples: usize, values: &mut [f64]) {
        let [b0, b1, b2] = self.b;
        for (k, row) in values.chunks_exact_mut(n_samples).enumerate() {
            match self.predictor {
                Predictor::None => {}
                Predictor::Genes(x) => row.iter_mut().for_each(|v| *v = b0 + b1 * *v + b2 * x[start + k]),
                Predictor::Values(x) => {
                    row.iter_mut().zip(x.row(start + k)).for_each(|(v, x)| *v = b0 + b1 * *v + b2 * x);
                }
            }
        }
    }
}

/// Least squares on three columns, centred so that their scales do not matter.
fn regression(genes: &[usize], x: impl Fn(usize) -> [f64; 3], y: impl Fn(usize) -> f64) -> Result<[f64; 3]> {
    let n = genes.len() as f64;
    let mut means = [0.0; 3];
    let mut mean_y = 0.0;
    for &g in genes {
        x(g).iter().zip(&mut means).for_each(|(x, mean)| *mean += x / n);
        mean_y += y(g) / n;
    }
    let mut products = Matrix::zeros(2, 2);
    let mut right = [0.0; 2];
    for &g in genes {
        let x = x(g);
        let d = [x[1] - means[1], x[2] - means[2]];
        for i in 0..2 {
            right[i] += d[i] * (y(g) - mean_y);
            for j in 0..2 {
                products[(i, j)] += d[i] * d[j];
            }
        }
    }
    let inverse = scaled_inverse(&products, 1e-12).map_err(|_| {
        Fault::bad_input("it does not vary, or only with the mean log-value").at("predictor").hint("leave it out")
    })?;
    let slopes = [0, 1].map(|i| inverse[(i, 0)] * right[0] + inverse[(i, 1)] * right[1]);
    Ok([mean_y - slopes[0] * means[1] - slopes[1] * means[2], slopes[0], slopes[1]])
}

/// Some columns of a matrix.
fn select(values: MatrixRef<'_>, columns: &[usize]) -> Matrix {
    let entries = (0..values.n_rows()).flat_map(|g| columns.iter().map(move |&j| values.row(g)[j])).collect();
    Matrix::from_rows(values.n_rows(), columns.len(), entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values whose standard deviation falls with the mean, in two groups of four.
    fn example(n_genes: usize) -> Vec<f64> {
        let noise = |i: usize| (((i * 7919 + 13) % 1009) as f64 / 504.5 - 1.0) * 1.7;
        (0..n_genes * 8)
            .map(|i| {
                let level = (i / 8) as f64 * 8.0 / n_genes as f64;
                level + (1.0 / (1.0 + level)) * noise(i * i % 9973 + i)
            })
            .collect()
    }

    fn design() -> Result<DesignMatrix> {
        let rows = (0..8).flat_map(|i| [1.0, if i < 4 { 0.0 } else { 1.0 }]).collect();
        DesignMatrix::new(Matrix::from_rows(8, 2, rows), vec!["a".into(), "b".into()], Vec::new())
    }

    #[test]
    fn precise_values_weigh_more() -> Result<()> {
        let values = example(300);
        let y = Expression::unnamed(MatrixRef::from_rows(300, 8, &values));
        let (weights, _) = vooma(&Run::new(), &y, &design()?, &VoomaOptions::default())?;
        assert!(weights[(280, 0)] > 10.0 * weights[(10, 0)]);
        Ok(())
    }

    #[test]
    fn the_mean_as_predictor_of_itself_is_refused_and_noise_changes_little() -> Result<()> {
        let values = example(300);
        let y = Expression::unnamed(MatrixRef::from_rows(300, 8, &values));
        let fit = least_squares(&Run::new(), &y, &design()?, &Weights::None, None, false)?;
        let itself = VoomaOptions { predictor: Predictor::Genes(&fit.amean), ..VoomaOptions::default() };
        assert!(vooma(&Run::new(), &y, &design()?, &itself).is_err());
        let short = VoomaOptions { predictor: Predictor::Genes(&[1.0]), ..VoomaOptions::default() };
        assert!(vooma(&Run::new(), &y, &design()?, &short).is_err());
        // A predictor of values that is the same for all values of a gene is one of genes.
        let genes: Vec<f64> = (0..300).map(|g| ((g * 31) % 17) as f64).collect();
        let repeated: Vec<f64> = genes.iter().flat_map(|&x| [x; 8]).collect();
        let of_genes = VoomaOptions { predictor: Predictor::Genes(&genes), ..VoomaOptions::default() };
        let matrix = MatrixRef::from_rows(300, 8, &repeated);
        let of_values = VoomaOptions { predictor: Predictor::Values(matrix), ..VoomaOptions::default() };
        let (a, _) = vooma(&Run::new(), &y, &design()?, &of_genes)?;
        let (b, _) = vooma(&Run::new(), &y, &design()?, &of_values)?;
        for (a, b) in a.entries().iter().zip(b.entries()) {
            assert!((a - b).abs() < 1e-9 * a);
        }
        Ok(())
    }

    #[test]
    fn counts_are_refused() -> Result<()> {
        let counts: Vec<f64> = example(200).iter().map(|y| (y.abs() * 100.0).round()).collect();
        let y = Expression::unnamed(MatrixRef::from_rows(200, 8, &counts));
        let (run, design) = (Run::new(), design()?);
        let options = VoomaOptions::default();
        assert!(vooma(&run, &y, &design, &options).is_err_and(|fault| fault.to_string().contains("counts")));
        assert!(vooma_by_group(&run, &y, &[0, 0, 0, 0, 1, 1, 1, 1], &design, &options).is_err());
        assert!(vooma_lm_fit(&run, &y, &design, &options, Weights::None, &Refinement::default(), true).is_err());
        let allowed = VoomaOptions { check_counts: false, ..options };
        assert!(vooma(&run, &y, &design, &allowed).is_ok());
        assert!(vooma_by_group(&run, &y, &[0, 0, 0, 0, 1, 1, 1, 1], &design, &allowed).is_ok());
        Ok(())
    }

    #[test]
    fn a_group_has_the_weights_of_its_own_samples() -> Result<()> {
        let values = example(200);
        let y = Expression::unnamed(MatrixRef::from_rows(200, 8, &values));
        let run = Run::new();
        let (weights, trends) =
            vooma_by_group(&run, &y, &[0, 0, 0, 0, 1, 1, 1, 2], &design()?, &VoomaOptions::default())?;
        assert_eq!(trends.len(), 3);
        let first = select(y.values(), &[0, 1, 2, 3]);
        let mean = DesignMatrix::new(Matrix::from_rows(4, 1, vec![1.0; 4]), vec!["m".into()], Vec::new())?;
        let (own, _) = vooma(&run, &Expression::unnamed(first.borrowed()), &mean, &VoomaOptions::default())?;
        let (all, _) = vooma(&run, &y, &design()?, &VoomaOptions::default())?;
        for g in 0..200 {
            assert_eq!(weights.row(g)[..4], *own.row(g));
            assert_eq!(weights.row(g)[7], all.row(g)[7]);
        }
        Ok(())
    }

    #[test]
    fn the_fit_in_one_call_is_that_in_two() -> Result<()> {
        let values = example(200);
        let y = Expression::unnamed(MatrixRef::from_rows(200, 8, &values));
        let run = Run::new();
        let (weights, _) = vooma(&run, &y, &design()?, &VoomaOptions::default())?;
        let two = least_squares(&run, &y, &design()?, &Weights::Values(weights.borrowed()), None, true)?;
        let options = VoomaOptions::default();
        let one = vooma_lm_fit(&run, &y, &design()?, &options, Weights::None, &Refinement::default(), true)?;
        assert_eq!(one.fit, two);
        let refinement =
            Refinement { block: Some(&[0, 0, 1, 1, 2, 2, 3, 3]), sample_weights: true, ..Refinement::default() };
        let both = vooma_lm_fit(&run, &y, &design()?, &options, Weights::None, &refinement, true)?;
        let product: f64 = both.sample_weights.iter().flatten().map(|w| w.ln()).sum();
        assert!(product.abs() < 1e-9 && both.correlation.is_some_and(f64::is_finite));
        Ok(())
    }
}
