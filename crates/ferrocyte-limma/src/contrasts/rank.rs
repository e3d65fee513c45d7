//! Whether a design estimates all its coefficients, and which it does not.

use ferrocyte_math::pivoted_qr::PivotedQr;

use crate::DesignMatrix;

/// Whether no column of the design depends on the others.
pub fn is_fullrank(design: &DesignMatrix) -> bool {
    PivotedQr::new(design.matrix()).is_full_rank()
}

/// Columns that depend on those before them, in the order in which they are found.
pub fn non_estimable(design: &DesignMatrix) -> Vec<String> {
    let qr = PivotedQr::new(design.matrix());
    qr.pivot()[qr.rank()..].iter().map(|&j| design.names()[j].clone()).collect()
}
