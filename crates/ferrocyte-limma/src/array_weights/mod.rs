//! [`array_weights`]: how reliable each sample is.

mod gene_by_gene;
mod quick;
mod reml;
mod variance_design;

use ferrocyte_base::{Fault, Result, Run, choice, listing};
use ferrocyte_math::linalg::Matrix;
use ferrocyte_math::pivoted_qr::PivotedQr;

pub use quick::array_weights_quick;
use variance_design::VarianceDesign;
pub use variance_design::VarianceModel;

use crate::{DesignMatrix, Expression, Weights};

/// Residual variances below this tell nothing.
const NO_VARIANCE: f64 = 1e-15;

choice! {
    /// How variances of samples are estimated.
    ArrayWeightMethod, "method" {
        /// Gene by gene where there are weights or missing values, else restricted maximum likelihood.
        Auto = "auto",
        /// One scoring step per gene, in the order of the genes.
        GeneByGene = "genebygene",
        /// Restricted maximum likelihood of all genes.
        Reml = "reml",
    }
}

/// Options of [`array_weights`].
#[derive(Debug, Clone, Copy)]
pub struct ArrayWeightOptions<'a> {
    /// Prior weights. Zero: the value is missing.
    pub weights: Weights<'a>,
    /// What variances depend on.
    pub variances: VarianceModel<'a>,
    /// Genes without differences between samples that the data are pooled with.
    pub prior_n: f64,
    /// How variances are estimated.
    pub method: ArrayWeightMethod,
    /// Steps at most (restricted maximum likelihood).
    pub maxiter: usize,
    /// The scaled gain in likelihood below which steps end.
    pub tol: f64,
}

impl Default for ArrayWeightOptions<'_> {
    fn default() -> Self {
        Self {
            weights: Weights::None,
            variances: VarianceModel::Samples,
            prior_n: 10.0,
            method: ArrayWeightMethod::Auto,
            maxiter: 50,
            tol: 1e-5,
        }
    }
}

/// Weights of samples: the inverse of their variances relative to the geometric mean.
///
/// The variance of gene g in sample j is `s²_g exp(z_j'γ)`, so that the weight is `exp(-z_j'γ)` (Ritchie et al. 2006). By
/// restricted maximum likelihood over all genes, or by one scoring step per gene. The latter takes weights and missing
/// values as they come; its answer depends on the order of the genes.
///
/// With fewer than two residual degrees of freedom or two genes all weights are 1.
///
/// # Errors
/// Where shapes differ or a prior weight is negative or not finite.
pub fn array_weights(
    run: &Run,
    y: &Expression<'_>,
    design: &DesignMatrix,
    options: &ArrayWeightOptions<'_>,
) -> Result<Vec<f64>> {
    let n = y.n_samples();
    design.check_samples(n, y.samples())?;
    check_weights(y, &options.weights)?;
    if !(options.prior_n > 0.0 && options.prior_n.is_finite()) {
        return Err(Fault::bad_input(format!("{} is no positive number", options.prior_n)).at("prior_n"));
    }
    let design = independent_columns(run, design)?;
    if n < design.n_coefficients() + 2 || y.n_genes() < 2 {
        return Ok(vec![1.0; n]);
    }
    let variances = VarianceDesign::new(&options.variances, n)?;
    if variances.n_parameters() == 0 {
        return Ok(vec![1.0; n]);
    }
    let complete: Vec<usize> = (0..y.n_genes()).filter(|&g| is_complete(y, &options.weights, g)).collect();
    let own = !matches!(options.weights, Weights::None);
    let method = match options.method {
        ArrayWeightMethod::Auto if own || complete.len() < y.n_genes() => ArrayWeightMethod::GeneByGene,
        ArrayWeightMethod::Auto => ArrayWeightMethod::Reml,
        given => given,
    };
    if method == ArrayWeightMethod::GeneByGene {
        return gene_by_gene::estimate(run, y, &design, &variances, options);
    }
    if complete.len() < y.n_genes() {
        let missing = y.n_genes() - complete.len();
        run.warn(&format!("{missing} genes with missing values are left out of the weights of samples"));
    }
    reml::estimate(run, y, &complete, &design, &variances, options)
}

/// Whether no value of a gene is missing or has weight zero.
fn is_complete(y: &Expression<'_>, weights: &Weights<'_>, g: usize) -> bool {
    let positive = match weights {
        Weights::None => true,
        Weights::Samples(w) => w.iter().all(|&w| w > 0.0),
        Weights::Genes(w) => w[g] > 0.0,
        Weights::Values(w) => w.row(g).iter().all(|&w| w > 0.0),
    };
    positive && y.row(g).iter().all(|x| x.is_finite())
}

fn check_weights(y: &Expression<'_>, weights: &Weights<'_>) -> Result<()> {
    weights.check(y.n_genes(), y.n_samples())?;
    let bad = |w: &f64| !(w.is_finite() && *w >= 0.0);
    let found = match weights {
        Weights::None => None,
        Weights::Samples(w) => w.iter().position(bad).map(|j| (w[j], y.sample(j))),
        Weights::Genes(w) => w.iter().position(bad).map(|g| (w[g], y.gene(g))),
        Weights::Values(w) => w.entries().iter().position(bad).map(|i| {
            let (g, j) = (i / y.n_samples(), i % y.n_samples());
            (w.entries()[i], format!("{}, {}", y.gene(g), y.sample(j)))
        }),
    };
    match found {
        None => Ok(()),
        Some((w, place)) => Err(Fault::bad_input(format!("the weight of {place} is {w}"))
            .at("weights")
            .hint("give numbers that are not negative; 0 means that the value is missing")),
    }
}

/// The columns of a design that do not depend on others.
fn independent_columns(run: &Run, design: &DesignMatrix) -> Result<DesignMatrix> {
    let qr = PivotedQr::new(design.matrix());
    if qr.is_full_rank() {
        return Ok(design.clone());
    }
    let (kept, left) = qr.pivot().split_at(qr.rank());
    let left: Vec<&String> = left.iter().map(|&j| &design.names()[j]).collect();
    run.warn(&format!("coefficients that the design cannot estimate: {}", listing(&left, 9)));
    let x = design.matrix();
    let entries = (0..x.n_rows()).flat_map(|i| kept.iter().map(move |&j| x[(i, j)])).collect();
    let names = kept.iter().map(|&j| design.names()[j].clone()).collect();
    DesignMatrix::new(Matrix::from_rows(x.n_rows(), kept.len(), entries), names, design.samples().to_vec())
}

#[cfg(test)]
mod tests;
