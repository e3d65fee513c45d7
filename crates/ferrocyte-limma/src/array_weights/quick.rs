//! [`array_weights_quick`]: weights of samples from a fit, in one pass.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::linalg::{dot, subtract_product};
use ferrocyte_math::pivoted_qr::PivotedQr;

use crate::fit::parts::genes_at_once;
use crate::{DesignMatrix, Expression, Fit};

/// Weights of samples: one over the mean of squared standardised residuals, `r² / (σ² (1 - h))`, h the leverages of the
/// design. Genes without variance or with missing values are left out; a sample that the design fits exactly has NaN.
///
/// # Errors
/// Where the fit is not of these genes on this design.
pub fn array_weights_quick(run: &Run, y: &Expression<'_>, design: &DesignMatrix, fit: &Fit) -> Result<Vec<f64>> {
    let (n, p) = (y.n_samples(), design.n_coefficients());
    design.check_samples(n, y.samples())?;
    if (fit.n_genes(), fit.n_coefficients()) != (y.n_genes(), p) {
        return Err(Fault::bad_input(format!(
            "{} genes x {} coefficients, expected {} x {p}",
            fit.n_genes(),
            fit.n_coefficients(),
            y.n_genes()
        ))
        .at("fit"));
    }
    let qr = PivotedQr::new(design.matrix());
    let basis = qr.basis();
    let left: Vec<f64> = (0..n).map(|i| 1.0 - dot(basis.row(i), basis.row(i))).collect();
    let transposed = design.matrix().transpose();
    let parts = run.map_quietly(y.n_genes(), genes_at_once(n), |genes| {
        let mut values = y.values().entries()[genes.start * n..genes.end * n].to_vec();
        let mut coefficients = fit.coefficients.entries()[genes.start * p..genes.end * p].to_vec();
        // Coefficients that cannot be estimated add nothing.
        coefficients.iter_mut().filter(|b| b.is_nan()).for_each(|b| *b = 0.0);
        subtract_product(&coefficients, p, &transposed, &mut values);
        let (mut sums, mut count) = (vec![0.0; n], 0_usize);
        for (g, row) in genes.zip(values.chunks_exact(n)) {
            let variance = fit.sigma[g] * fit.sigma[g];
            if variance > 0.0 && row.iter().all(|x| x.is_finite()) {
                count += 1;
                sums.iter_mut().zip(row).for_each(|(s, r)| *s += r * r / variance);
            }
        }
        Ok((sums, count))
    })?;
    let (mut sums, mut count) = (vec![0.0; n], 0_usize);
    for (part, genes) in parts {
        count += genes;
        sums.iter_mut().zip(part).for_each(|(s, x)| *s += x);
    }
    let weight = |(sum, left): (f64, f64)| if left < 1e-10 { f64::NAN } else { count as f64 * left / sum };
    Ok(sums.into_iter().zip(left).map(weight).collect())
}
