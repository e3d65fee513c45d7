//! [`Effects`]: the values of each gene, turned so that one number is its effect of a contrast.

use ferrocyte_base::{Fault, Result, Run, listing};
use ferrocyte_math::linalg::{Matrix, dot};
use ferrocyte_math::pivoted_qr::PivotedQr;
use ferrocyte_math::squeeze_var::{Hyper, SqueezeOptions, Squeezed, WINSOR_TAILS, squeeze_var};

use crate::fit::{Exchangeable, Whitening};
use crate::{DesignMatrix, Expression, Weights, contrast_as_coef};

/// Genes that are worked on at a time.
const GENES: usize = 512;

/// What is tested.
#[derive(Debug, Clone, PartialEq)]
pub enum Contrast {
    /// A coefficient, by position.
    Coefficient(usize),
    /// A sum of coefficients with these weights, one per coefficient.
    Weights(Vec<f64>),
}

/// How the values of a gene belong together.
#[derive(Debug, Clone, Copy, Default)]
pub struct EffectsOptions<'a> {
    /// Weights of samples, genes or values; all must be positive.
    pub weights: Weights<'a>,
    /// The block of each sample, as a number from 0: samples of a block are correlated.
    pub block: Option<&'a [usize]>,
    /// The correlation within a block.
    pub correlation: Option<f64>,
}

/// What the prior of residual variances is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Prior {
    /// Whether it depends on the mean of a gene.
    pub trend: bool,
    /// Whether outlying variances are kept from shaping it.
    pub robust: bool,
}

/// Each gene's values, turned: in front its effect of the contrast with its sign, then its d residual effects.
///
/// If nothing is going on all `d + 1` are independent with the same variance, which rotation tests rely on. The basis is
/// that of Householder reflections (`x + sign(x_1) |x| e_1`), columns of the design in their order and the contrast
/// last; with weights of single values every gene has a basis of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Effects {
    /// Genes × (d + 1).
    pub values: Matrix,
    /// Standard error of the contrast divided by the residual standard deviation.
    pub stdev_unscaled: Hyper,
    /// Mean value of each gene.
    pub means: Vec<f64>,
}

impl Effects {
    /// The effects of every gene.
    ///
    /// # Errors
    /// Where a value is missing, a weight is not positive, the design is not of full rank or leaves no residual degrees of
    /// freedom, or the contrast does not fit the design.
    pub fn new(
        run: &Run,
        y: &Expression<'_>,
        design: &DesignMatrix,
        contrast: &Contrast,
        options: &EffectsOptions<'_>,
    ) -> Result<Self> {
        design.check_samples(y.n_samples(), y.samples())?;
        check_values(y)?;
        check_weights(y, &options.weights)?;
        let (n, p) = (y.n_samples(), design.n_coefficients());
        let full = PivotedQr::new(design.matrix());
        if !full.is_full_rank() {
            let aliased: Vec<&String> = full.pivot()[full.rank()..].iter().map(|&j| &design.names()[j]).collect();
            return Err(Fault::bad_input(format!("columns that depend on others: {}", listing(&aliased, 5)))
                .at("design")
                .hint("leave them out: non_estimable(design) names them"));
        }
        if n <= p {
            return Err(Fault::bad_input(format!(
                "{p} coefficients of {n} samples leave no residual degrees of freedom"
            ))
            .at("design")
            .hint("use a design with fewer coefficients"));
        }
        let turned = contrast_last(design, contrast)?;
        let correlation = match (options.block, options.correlation) {
            (None, _) => None,
            (Some(block), Some(rho)) if block.len() == n => Some(Exchangeable::new(block.to_vec(), rho)?),
            (Some(block), Some(_)) => {
                return Err(Fault::bad_input(format!("{} blocks for {n} samples", block.len())).at("block"));
            }
            (Some(_), None) => {
                return Err(Fault::bad_input("blocks without the correlation within them")
                    .at("correlation")
                    .hint("take it from duplicate_correlation"));
            }
        };
        match options.weights {
            Weights::Values(w) => each(run, y, &turned, w.entries(), correlation.as_ref()),
            // The weight of a gene scales all its effects.
            Weights::Genes(w) => shared(run, y, &turned, None, Some(w), correlation.as_ref()),
            Weights::Samples(w) => shared(run, y, &turned, Some(w), None, correlation.as_ref()),
            Weights::None => shared(run, y, &turned, None, None, correlation.as_ref()),
        }
    }

    /// Number of genes.
    pub fn n_genes(&self) -> usize {
        self.values.n_rows()
    }

    /// Residual degrees of freedom, d.
    pub fn df(&self) -> usize {
        self.values.n_cols() - 1
    }

    /// The effect of the contrast on gene `g`.
    #[inline]
    pub fn contrast(&self, g: usize) -> f64 {
        self.values.row(g)[0]
    }

    /// The residual effects of gene `g`.
    #[inline]
    pub fn residuals(&self, g: usize) -> &[f64] {
        &self.values.row(g)[1..]
    }

    /// Residual variance of every gene.
    pub fn variances(&self) -> Vec<f64> {
        let d = self.df() as f64;
        (0..self.n_genes()).map(|g| dot(self.residuals(g), self.residuals(g)) / d).collect()
    }

    /// Residual variances squeezed towards their prior.
    pub fn squeeze(&self, run: &Run, prior: Prior) -> Result<Squeezed> {
        let df = vec![self.df() as f64; self.n_genes()];
        let options = SqueezeOptions {
            covariate: prior.trend.then_some(self.means.as_slice()),
            robust: prior.robust.then_some(WINSOR_TAILS),
            ..SqueezeOptions::default()
        };
        squeeze_var(run, &self.variances(), &df, &options)
    }
}

/// Mean value of each gene.
fn means(y: &Expression<'_>) -> Vec<f64> {
    (0..y.n_genes()).map(|g| y.row(g).iter().sum::<f64>() / y.n_samples() as f64).collect()
}

/// The design whose last coefficient is the contrast.
fn contrast_last(design: &DesignMatrix, contrast: &Contrast) -> Result<Matrix> {
    let p = design.n_coefficients();
    match contrast {
        Contrast::Coefficient(j) if *j < p => {
            let mut columns: Vec<usize> = (0..p).filter(|k| k != j).collect();
            columns.push(*j);
            let mut out = Matrix::zeros(design.n_samples(), p);
            for i in 0..design.n_samples() {
                columns.iter().enumerate().for_each(|(to, &from)| out[(i, to)] = design.matrix()[(i, from)]);
            }
            Ok(out)
        }
        Contrast::Coefficient(j) => {
            Err(Fault::bad_input(format!("position {j}, but there are {p} coefficients")).at("contrast"))
        }
        Contrast::Weights(weights) => {
            let weights = Matrix::from_rows(weights.len(), 1, weights.clone());
            let turned = contrast_as_coef(design, &weights, &["contrast".to_owned()], false)?;
            Ok(turned.design.matrix().clone())
        }
    }
}

/// One basis for all genes.
fn shared(
    run: &Run,
    y: &Expression<'_>,
    design: &Matrix,
    samples: Option<&[f64]>,
    genes: Option<&[f64]>,
    correlation: Option<&Exchangeable>,
) -> Result<Effects> {
    let (n, p) = (design.n_rows(), design.n_cols());
    let whitening = Whitening::new(n, samples, correlation);
    let qr = whitening.design(design);
    if !qr.is_full_rank() {
        return Err(Fault::bad_input("the weights of the samples make the design singular")
            .at("weights")
            .hint("leave samples with hardly any weight out"));
    }
    let pivot = qr.r(p - 1, p - 1);
    let parts = run.map_ranges("effects of genes", y.n_genes(), GENES, |range| {
        let mut out = Vec::with_capacity(range.len() * (n - p + 1));
        let mut row = vec![0.0; n];
        for g in range {
            row.copy_from_slice(y.row(g));
            if let Some(weights) = genes {
                let root = weights[g].sqrt();
                row.iter_mut().for_each(|x| *x *= root);
            }
            whitening.rows(&mut row);
            turn(&qr, &mut row, p, pivot);
            out.extend_from_slice(&row[p - 1..]);
        }
        Ok(out)
    })?;
    let stdev_unscaled = match genes {
        None => Hyper::Common(1.0 / pivot.abs()),
        Some(weights) => Hyper::Each(weights.iter().map(|w| 1.0 / (pivot.abs() * w.sqrt())).collect()),
    };
    let values = Matrix::from_rows(y.n_genes(), n - p + 1, parts.concat());
    Ok(Effects { values, stdev_unscaled, means: means(y) })
}

/// A basis for each gene.
fn each(
    run: &Run,
    y: &Expression<'_>,
    design: &Matrix,
    weights: &[f64],
    correlation: Option<&Exchangeable>,
) -> Result<Effects> {
    let (n, p) = (design.n_rows(), design.n_cols());
    let columns = design.transpose();
    let whitening = Whitening::new(n, None, correlation);
    let parts = run.map_ranges("effects of genes", y.n_genes(), GENES, |range| {
        let (mut out, mut stdev) = (Vec::with_capacity(range.len() * (n - p + 1)), Vec::with_capacity(range.len()));
        let (mut qr, mut row, mut roots) = (PivotedQr::default(), vec![0.0; n], vec![0.0; n]);
        for g in range {
            for (root, w) in roots.iter_mut().zip(&weights[g * n..(g + 1) * n]) {
                *root = w.sqrt();
            }
            qr.factor(n, p, |j, column| {
                column.iter_mut().zip(columns.row(j)).zip(&roots).for_each(|((c, x), root)| *c = x * root);
                whitening.rows(column);
            });
            if !qr.is_full_rank() {
                return Err(Fault::bad_input(format!("the weights of {} make the design singular", y.gene(g)))
                    .at("weights")
                    .hint("leave the gene out, or use weights that are not so different"));
            }
            row.iter_mut().zip(y.row(g)).zip(&roots).for_each(|((x, y), root)| *x = y * root);
            whitening.rows(&mut row);
            let pivot = qr.r(p - 1, p - 1);
            turn(&qr, &mut row, p, pivot);
            out.extend_from_slice(&row[p - 1..]);
            stdev.push(1.0 / pivot.abs());
        }
        Ok((out, stdev))
    })?;
    let (values, stdev): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
    Ok(Effects {
        values: Matrix::from_rows(y.n_genes(), n - p + 1, values.concat()),
        stdev_unscaled: Hyper::Each(stdev.concat()),
        means: means(y),
    })
}

/// Turns the values of a gene in place: entry `p - 1` becomes the effect of the contrast, those behind it residuals.
///
/// Residuals that are nothing but rounding become zero, so that a constant gene has none.
fn turn(qr: &PivotedQr, row: &mut [f64], p: usize, pivot: f64) {
    let total = dot(row, row);
    qr.apply_transposed(row);
    row[p - 1] *= pivot.signum();
    let rounding = row.len() as f64 * f64::EPSILON;
    let residuals = &mut row[p..];
    if dot(residuals, residuals) < rounding * rounding * total {
        residuals.fill(0.0);
    }
}

fn check_values(y: &Expression<'_>) -> Result<()> {
    for g in 0..y.n_genes() {
        if let Some(j) = y.row(g).iter().position(|x| !x.is_finite()) {
            return Err(Fault::bad_input(format!(
                "{} has the value {} in {}, expected finite numbers",
                y.gene(g),
                y.row(g)[j],
                y.sample(j)
            ))
            .at("values")
            .hint("leave genes with missing values out, or impute them: set tests need every value"));
        }
    }
    Ok(())
}

fn check_weights(y: &Expression<'_>, weights: &Weights<'_>) -> Result<()> {
    weights.check(y.n_genes(), y.n_samples())?;
    let found = match weights {
        Weights::None => None,
        Weights::Samples(w) => w.iter().position(|w| !usable(*w)).map(|j| (w[j], y.sample(j))),
        Weights::Genes(w) => w.iter().position(|w| !usable(*w)).map(|g| (w[g], y.gene(g))),
        Weights::Values(w) => w.entries().iter().position(|w| !usable(*w)).map(|i| {
            let n = y.n_samples();
            (w.entries()[i], format!("{} in {}", y.gene(i / n), y.sample(i % n)))
        }),
    };
    match found {
        None => Ok(()),
        Some((weight, place)) => {
            Err(Fault::bad_input(format!("the weight of {place} is {weight}, expected a positive number"))
                .at("weights")
                .hint("leave the gene or sample out"))
        }
    }
}

fn usable(weight: f64) -> bool {
    weight.is_finite() && weight > 0.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_math::linalg::MatrixRef;
    use ferrocyte_math::random::Stream;

    const N: usize = 7;

    fn example() -> Result<(Vec<f64>, DesignMatrix, Vec<f64>)> {
        let mut stream = Stream::new(5, 0);
        let y: Vec<f64> = (0..4 * N).map(|_| stream.normal() + 5.0).collect();
        let x: Vec<f64> = (0..N).flat_map(|i| [1.0, f64::from(u8::from(i > 3)), (i % 3) as f64]).collect();
        let names = ["a", "b", "c"].map(String::from).to_vec();
        let design = DesignMatrix::new(Matrix::from_rows(N, 3, x), names, vec![])?;
        let w = (0..4 * N).map(|_| 0.5 + stream.uniform()).collect();
        Ok((y, design, w))
    }

    fn effects(y: &[f64], design: &DesignMatrix, contrast: &Contrast, weights: Weights<'_>) -> Result<Effects> {
        let y = Expression::unnamed(MatrixRef::from_rows(4, N, y));
        let options = EffectsOptions { weights, ..EffectsOptions::default() };
        Effects::new(&Run::new().threads(1), &y, design, contrast, &options)
    }

    /// The unscaled t of a coefficient and the residual sum of squares from the normal equations.
    fn direct(y: &[f64], design: &DesignMatrix, contrast: &[f64], w: &[f64]) -> Option<(f64, f64, f64)> {
        let mut gram = Matrix::zeros(3, 3);
        let mut right = [0.0; 3];
        for i in 0..N {
            let x = design.matrix().row(i);
            for a in 0..3 {
                right[a] += w[i] * x[a] * y[i];
                for b in 0..3 {
                    gram[(a, b)] += w[i] * x[a] * x[b];
                }
            }
        }
        let inverse = ferrocyte_math::linalg::scaled_inverse(&gram, 1e-12).ok()?;
        let beta: Vec<f64> = (0..3).map(|a| dot(inverse.row(a), &right)).collect();
        let variance: f64 = (0..3).map(|a| contrast[a] * dot(inverse.row(a), contrast)).sum();
        let rss = (0..N).map(|i| w[i] * (y[i] - dot(design.matrix().row(i), &beta)).powi(2)).sum();
        Some((dot(contrast, &beta) / variance.sqrt(), rss, variance.sqrt()))
    }

    #[test]
    fn effects_are_unscaled_t_and_residuals() -> Result<()> {
        let (y, design, w) = example()?;
        for (contrast, weights) in [
            (Contrast::Coefficient(1), vec![0.0, 1.0, 0.0]),
            (Contrast::Weights(vec![0.0, 1.0, -0.5]), vec![0.0, 1.0, -0.5]),
        ] {
            for kind in 0..4 {
                let values = MatrixRef::from_rows(4, N, &w);
                let given =
                    [Weights::None, Weights::Samples(&w[..N]), Weights::Genes(&w[..4]), Weights::Values(values)];
                let found = effects(&y, &design, &contrast, given[kind])?;
                assert_eq!(found.df(), 4);
                for g in 0..4 {
                    let row = given[kind].row(g, N).map_or(vec![1.0; N], |w| w.to_vec());
                    let (t, rss, stdev) = direct(&y[g * N..(g + 1) * N], &design, &weights, &row).unwrap_or_default();
                    assert!((found.contrast(g) - t).abs() < 1e-11, "{} {t}", found.contrast(g));
                    assert!((found.variances()[g] * 4.0 - rss).abs() < 1e-11);
                    assert!((found.stdev_unscaled.at(g) - stdev).abs() < 1e-12);
                }
            }
        }
        Ok(())
    }

    #[test]
    fn one_basis_and_a_basis_for_each_agree() -> Result<()> {
        let (y, design, w) = example()?;
        let repeated: Vec<f64> = (0..4).flat_map(|_| w[..N].to_vec()).collect();
        let one = effects(&y, &design, &Contrast::Coefficient(0), Weights::Samples(&w[..N]))?;
        let values = Weights::Values(MatrixRef::from_rows(4, N, &repeated));
        let each = effects(&y, &design, &Contrast::Coefficient(0), values)?;
        assert!(one.values.entries().iter().zip(each.values.entries()).all(|(a, b)| (a - b).abs() < 1e-12));
        Ok(())
    }

    #[test]
    fn a_constant_gene_has_no_residuals() -> Result<()> {
        let (mut y, design, _) = example()?;
        y[..N].fill(7.3);
        let found = effects(&y, &design, &Contrast::Coefficient(1), Weights::None)?;
        assert_eq!(found.variances()[0], 0.0);
        Ok(())
    }

    #[test]
    fn what_cannot_be_turned_is_named() -> Result<()> {
        let (mut y, design, mut w) = example()?;
        w[N + 2] = 0.0;
        let values = Weights::Values(MatrixRef::from_rows(4, N, &w));
        let fault = effects(&y, &design, &Contrast::Coefficient(1), values);
        assert!(fault.is_err_and(|f| f.to_string().contains("gene 2 in sample 3")));
        y[3 * N + 1] = f64::NAN;
        let fault = effects(&y, &design, &Contrast::Coefficient(1), Weights::None);
        assert!(fault.is_err_and(|f| f.to_string().contains("gene 4") && f.to_string().contains("sample 2")));
        let y = vec![1.0; 4 * N];
        assert!(effects(&y, &design, &Contrast::Coefficient(3), Weights::None).is_err());
        assert!(effects(&y, &design, &Contrast::Weights(vec![0.0; 3]), Weights::None).is_err());
        Ok(())
    }
}
