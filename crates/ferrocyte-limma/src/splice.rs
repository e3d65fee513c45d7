//! [`diff_splice`]: exons of a gene whose contrasts differ from the rest of the gene.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::linalg::Matrix;
use ferrocyte_math::squeeze_var::{Hyper, SqueezeOptions, WINSOR_TAILS, squeeze_var};
use ferrocyte_math::{f, student_t};

use crate::Fit;

/// Genes that are worked on at a time.
const GENES: usize = 256;

/// Options of [`diff_splice`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SpliceOptions {
    /// Whether genes with outlying variances get less prior information.
    pub robust: bool,
    /// Whether the prior is fitted by moments, as limma did before 3.62, rather than by maximum likelihood.
    pub legacy: bool,
}

/// Tests of differential splicing: of every exon of the genes that have several, and of these genes.
#[derive(Debug, Clone, PartialEq)]
pub struct Splicing {
    /// Rows of the fit: exons gene by gene.
    pub exons: Vec<usize>,
    /// Positions of the genes of `exons` among those given.
    pub genes: Vec<usize>,
    /// Number of exons of each of `genes`.
    pub n_exons: Vec<usize>,
    /// How much the coefficient of an exon differs from that of the gene's other exons, exons × coefficients.
    pub coefficients: Matrix,
    /// Moderated t of these differences.
    pub t: Matrix,
    /// Their p-values.
    pub p_value: Matrix,
    /// Whether any exon differs: F, genes × coefficients.
    pub f: Matrix,
    /// p-values of F.
    pub f_p_value: Matrix,
    /// Simes' p-values from those of the exons, genes × coefficients.
    pub simes_p_value: Matrix,
    /// Residual degrees of freedom of each gene.
    pub df_residual: Vec<f64>,
    /// Degrees of freedom of the tests of each gene.
    pub df_total: Vec<f64>,
    /// Posterior variance of each gene.
    pub s2_post: Vec<f64>,
    /// Prior variance, one for all genes.
    pub s2_prior: f64,
    /// Prior degrees of freedom; one per gene in robust fits.
    pub df_prior: Hyper,
}

/// Tests whether the coefficients of exons differ within their genes.
///
/// The rows of `fit` are exons; `genes` has the rows of each gene. The residual variance of a gene is the mean of those of
/// its exons, each counting with its degrees of freedom, squeezed towards a prior over all genes; genes with several
/// exons are tested. An exon is compared with the weighted mean of all exons of its gene,
/// itself included, and the difference divided by the share of the others, so that it is the difference from these.
/// Exons without an estimate are left out.
///
/// # Errors
/// Where no gene has several exons, or no prior can be fitted.
pub fn diff_splice(run: &Run, fit: &Fit, genes: &[Vec<usize>], options: SpliceOptions) -> Result<Splicing> {
    if let Some(&row) = genes.iter().flatten().find(|&&row| row >= fit.n_genes()) {
        return Err(Fault::bad_input(format!("row {row} of a fit of {} exons", fit.n_genes())).at("geneid"));
    }
    let tested: Vec<usize> = (0..genes.len()).filter(|&g| genes[g].len() > 1).collect();
    if tested.is_empty() {
        return Err(Fault::bad_input("no gene has more than one exon")
            .at("geneid")
            .hint("the rows of the fit must be exons, and geneid names the gene of each"));
    }
    // Genes with a single exon are not tested, but tell of the prior.
    let (variance, df): (Vec<f64>, Vec<f64>) = genes.iter().map(|rows| pooled(fit, rows)).unzip();
    let squeeze = SqueezeOptions {
        robust: options.robust.then_some(WINSOR_TAILS),
        legacy: Some(options.legacy),
        ..SqueezeOptions::default()
    };
    let squeezed = squeeze_var(run, &variance, &df, &squeeze)?;
    let df_residual: Vec<f64> = tested.iter().map(|&g| df[g]).collect();
    let most: f64 = df_residual.iter().sum();
    let df_total: Vec<f64> = tested.iter().map(|&g| (df[g] + squeezed.df_prior.at(g)).min(most)).collect();
    let k = fit.n_coefficients();
    let parts = run.map_ranges("genes with several exons", tested.len(), GENES, |range| {
        let mut part = Part::default();
        for i in range {
            let g = tested[i];
            for j in 0..k {
                part.gene(fit, &genes[g], j, squeezed.var_post[g].sqrt(), df_total[i]);
            }
        }
        Ok(part)
    })?;
    let n_exons: Vec<usize> = tested.iter().map(|&g| genes[g].len()).collect();
    let mut exons = [Matrix::zeros(n_exons.iter().sum(), k), Matrix::default(), Matrix::default()];
    exons[1] = exons[0].clone();
    exons[2] = exons[0].clone();
    let mut tests = [(); 3].map(|()| Matrix::zeros(tested.len(), k));
    let mut found = parts.iter().flat_map(|part| &part.exons);
    let mut found_tests = parts.iter().flat_map(|part| &part.tests);
    let mut first = 0;
    for (i, &n) in n_exons.iter().enumerate() {
        for j in 0..k {
            for (row, values) in (first..first + n).zip(found.by_ref()) {
                exons.iter_mut().zip(values).for_each(|(matrix, &x)| matrix[(row, j)] = x);
            }
            if let Some(values) = found_tests.next() {
                tests.iter_mut().zip(values).for_each(|(matrix, &x)| matrix[(i, j)] = x);
            }
        }
        first += n;
    }
    let [coefficients, t, p_value] = exons;
    let [f, f_p_value, simes_p_value] = tests;
    Ok(Splicing {
        exons: tested.iter().flat_map(|&g| genes[g].iter().copied()).collect(),
        n_exons,
        coefficients,
        t,
        p_value,
        f,
        f_p_value,
        simes_p_value,
        df_residual,
        df_total,
        s2_prior: squeezed.var_prior.median(),
        s2_post: tested.iter().map(|&g| squeezed.var_post[g]).collect(),
        df_prior: match squeezed.df_prior {
            Hyper::Common(df) => Hyper::Common(df),
            Hyper::Each(all) => Hyper::Each(tested.iter().map(|&g| all[g]).collect()),
        },
        genes: tested,
    })
}

/// Mean residual variance of the exons of a gene, and the sum of their degrees of freedom.
fn pooled(fit: &Fit, rows: &[usize]) -> (f64, f64) {
    let (mut sum, mut df) = (0.0, 0.0);
    for &row in rows.iter().filter(|&&row| fit.df_residual[row] > 0.0 && fit.sigma[row].is_finite()) {
        sum += fit.df_residual[row] * fit.sigma[row] * fit.sigma[row];
        df += fit.df_residual[row];
    }
    (if df > 0.0 { sum / df } else { 0.0 }, df)
}

/// Tests of some genes: coefficient, t and p of every exon, and F, its p and Simes' p; gene by gene, coefficient by
/// coefficient.
#[derive(Default)]
struct Part {
    exons: Vec<[f64; 3]>,
    tests: Vec<[f64; 3]>,
}

impl Part {
    fn gene(&mut self, fit: &Fit, rows: &[usize], j: usize, sd: f64, df: f64) {
        let estimated = |row: usize| fit.coefficients[(row, j)].is_finite() && fit.stdev_unscaled[(row, j)] > 0.0;
        let precision = |row: usize| fit.stdev_unscaled[(row, j)].powi(-2);
        let there = || rows.iter().copied().filter(|&row| estimated(row));
        let n = there().count() as f64;
        let total: f64 = there().map(precision).sum();
        let mean = there().map(|row| precision(row) * fit.coefficients[(row, j)]).sum::<f64>() / total;
        let (mut squares, mut p_values) = (0.0, Vec::with_capacity(rows.len()));
        for &row in rows {
            if n < 2.0 || !estimated(row) {
                self.exons.push([f64::NAN; 3]);
                continue;
            }
            let difference = fit.coefficients[(row, j)] - mean;
            let t = difference / (fit.stdev_unscaled[(row, j)] * sd);
            squares += t * t;
            // The share of the other exons in the mean.
            let others = 1.0 - precision(row) / total;
            let t = t / others.sqrt();
            let p = student_t::two_sided(t, df);
            p_values.push(p);
            self.exons.push([difference / others, t, p]);
        }
        if n < 2.0 {
            self.tests.push([f64::NAN; 3]);
            return;
        }
        let statistic = squares / (n - 1.0);
        self.tests.push([statistic, f::upper(statistic, n - 1.0, df), simes(&mut p_values)]);
    }
}

/// Simes' test of several p-values: the least of `n p_(i) / i`.
fn simes(p_values: &mut [f64]) -> f64 {
    p_values.sort_unstable_by(f64::total_cmp);
    let n = p_values.len() as f64;
    p_values.iter().enumerate().map(|(i, p)| p * n / (i + 1) as f64).fold(1.0, f64::min)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_math::random::Stream;

    fn fit() -> Fit {
        let mut stream = Stream::new(8, 0);
        let n = 30;
        Fit {
            coefficients: Matrix::from_rows(n, 1, (0..n).map(|_| stream.normal()).collect()),
            stdev_unscaled: Matrix::from_rows(n, 1, (0..n).map(|_| 0.5 + stream.uniform()).collect()),
            sigma: (0..n).map(|_| (0.5 + stream.uniform()).sqrt()).collect(),
            df_residual: vec![4.0; n],
            cov_coefficients: Matrix::from_rows(1, 1, vec![0.5]),
            rank: 1,
            pivot: vec![0],
            amean: vec![0.0; n],
            gene_covariances: None,
            names: vec!["x".to_owned()],
        }
    }

    fn genes() -> Vec<Vec<usize>> {
        let mut genes: Vec<Vec<usize>> = (0..9).map(|g| (3 * g..3 * g + 3).collect()).collect();
        genes.push(vec![27]);
        genes.push(vec![29, 28]);
        genes
    }

    /// An exon against the others: the difference of two independent estimates.
    #[test]
    fn an_exon_is_compared_with_the_others() -> Result<()> {
        let (fit, genes) = (fit(), genes());
        let found = diff_splice(&Run::new(), &fit, &genes, SpliceOptions::default())?;
        assert_eq!((found.genes.len(), found.exons.len()), (10, 29));
        assert_eq!((found.n_exons[9], &found.exons[27..]), (2, &[29, 28][..]));
        let (b, u) = (|i: usize| fit.coefficients[(i, 0)], |i: usize| fit.stdev_unscaled[(i, 0)].powi(2));
        let (w1, w2) = (1.0 / u(1), 1.0 / u(2));
        let difference = b(0) - (w1 * b(1) + w2 * b(2)) / (w1 + w2);
        let t = difference / ((u(0) + 1.0 / (w1 + w2)) * found.s2_post[0]).sqrt();
        assert!((found.coefficients[(0, 0)] - difference).abs() < 1e-13);
        assert!((found.t[(0, 0)] - t).abs() < 1e-13);
        // Two exons are one test.
        let p = found.p_value[(28, 0)];
        assert!((found.p_value[(27, 0)] - p).abs() < 1e-13);
        assert!((found.f_p_value[(9, 0)] - p).abs() < 1e-12 && (found.simes_p_value[(9, 0)] - p).abs() < 1e-12);
        let variance = fit.sigma[..3].iter().map(|s| s * s).sum::<f64>() / 3.0;
        let d0 = found.df_prior.at(0);
        let expected =
            if d0.is_infinite() { found.s2_prior } else { (12.0 * variance + d0 * found.s2_prior) / (12.0 + d0) };
        assert!((found.s2_post[0] - expected).abs() < 1e-12);
        Ok(())
    }

    #[test]
    fn exons_without_an_estimate_are_left_out() -> Result<()> {
        let (mut fit, genes) = (fit(), genes());
        fit.coefficients[(1, 0)] = f64::NAN;
        fit.coefficients[(28, 0)] = f64::NAN;
        let found = diff_splice(&Run::new(), &fit, &genes, SpliceOptions { robust: true, legacy: true })?;
        assert!(found.t[(1, 0)].is_nan() && (found.p_value[(0, 0)] - found.f_p_value[(0, 0)]).abs() < 1e-12);
        assert!(found.f[(9, 0)].is_nan() && found.f[(1, 0)].is_finite());
        let single: Vec<Vec<usize>> = (0..30).map(|g| vec![g]).collect();
        assert!(diff_splice(&Run::new(), &fit, &single, SpliceOptions::default()).is_err());
        Ok(())
    }

    #[test]
    fn simes_by_hand() {
        assert!((simes(&mut [0.5, 0.01, 0.04]) - 0.03).abs() < 1e-15);
        assert!((simes(&mut [0.03, 0.035]) - 0.035).abs() < 1e-15);
    }
}
