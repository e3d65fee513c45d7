//! [`contrast_as_coef`]: a design whose coefficients are contrasts of another's.

use ferrocyte_base::{Fault, Result};
use ferrocyte_math::linalg::Matrix;
use ferrocyte_math::pivoted_qr::PivotedQr;

use crate::DesignMatrix;

/// A design and which of its coefficients are the contrasts.
#[derive(Debug, Clone, PartialEq)]
pub struct ContrastDesign {
    /// The same model with other coefficients.
    pub design: DesignMatrix,
    /// Positions of the contrasts among them.
    pub coefficients: Vec<usize>,
}

/// Rotates a design so that contrasts (coefficients × contrasts) become coefficients, the first ones or the last ones.
///
/// With `C = QR` the new design is `X Q` with the columns of the contrasts divided by R': its coefficients are `C'β` and
/// `Q₂'β`. Contrasts that depend on others are left out.
///
/// # Errors
/// Where the shape differs or all contrasts are zero.
pub fn contrast_as_coef(
    design: &DesignMatrix,
    contrasts: &Matrix,
    names: &[String],
    first: bool,
) -> Result<ContrastDesign> {
    let p = design.n_coefficients();
    if contrasts.n_rows() != p {
        return Err(Fault::bad_input(format!("{} rows for {p} coefficients", contrasts.n_rows())).at("contrast"));
    }
    if contrasts.entries().iter().any(|x| !x.is_finite()) {
        return Err(Fault::bad_input("a weight is not finite").at("contrast"));
    }
    let qr = PivotedQr::new(contrasts);
    let r = qr.rank();
    if r == 0 {
        return Err(Fault::bad_input("every weight is zero").at("contrast"));
    }
    // X Q: each row of X is turned by Q'.
    let mut rotated = design.matrix().clone();
    for i in 0..rotated.n_rows() {
        let row = rotated.row_mut(i);
        qr.apply_transposed(row);
        // A row z of X Q₁ becomes b with R b' = z': then b (R'Q₁'β) = z (Q₁'β), and R'Q₁'β are the contrasts.
        qr.solve(&mut row[..r]);
    }
    let mut columns: Vec<usize> = (0..p).collect();
    let mut labels: Vec<String> = qr.pivot()[..r].iter().map(|&k| names[k].clone()).collect();
    labels.extend((r..p).map(|j| format!("C{}", j + 1)));
    if !first {
        columns.rotate_left(r);
    }
    let mut matrix = Matrix::zeros(rotated.n_rows(), p);
    for i in 0..rotated.n_rows() {
        columns.iter().enumerate().for_each(|(to, &from)| matrix[(i, to)] = rotated[(i, from)]);
    }
    let labels = columns.iter().map(|&j| labels[j].clone()).collect();
    let design = DesignMatrix::new(matrix, labels, design.samples().to_vec())?;
    Ok(ContrastDesign { design, coefficients: if first { (0..r).collect() } else { (p - r..p).collect() } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_the_same() -> Result<()> {
        let x = Matrix::from_rows(4, 3, vec![1.0, 0.0, 2.0, 1.0, 1.0, 0.5, 1.0, 0.0, -1.0, 1.0, 1.0, 3.0]);
        let names = ["a", "b", "c"].map(String::from);
        let design = DesignMatrix::new(x, names.to_vec(), vec![])?;
        let contrasts = Matrix::from_rows(3, 2, vec![0.0, 1.0, 1.0, 0.0, -1.0, 2.0]);
        let beta = Matrix::from_rows(3, 1, vec![0.3, -1.0, 2.0]);
        for first in [true, false] {
            let rotated = contrast_as_coef(&design, &contrasts, &names[..2], first)?;
            // The coefficients of the new design that give the same fitted values.
            let fitted = design.matrix().times(&beta);
            let qr = PivotedQr::new(rotated.design.matrix());
            let mut effects = fitted.into_entries();
            qr.apply_transposed(&mut effects);
            qr.solve(&mut effects);
            let expected = contrasts.transpose().times(&beta);
            for (k, &j) in rotated.coefficients.iter().enumerate() {
                assert!((effects[j] - expected[(k, 0)]).abs() < 1e-12, "{effects:?}");
            }
        }
        Ok(())
    }
}
