//! Counts and designs that the tests of this folder share.

use ferrocyte_base::Result;
use ferrocyte_math::linalg::Matrix;

use crate::DesignMatrix;

/// Counts of genes from rare to abundant, some of which lack counts in the first three samples.
pub(super) fn counts(n_genes: usize, n_samples: usize) -> Vec<f64> {
    let noise = |i: usize| 0.5 + ((i * 7919 + 13) % 1009) as f64 / 1009.0;
    (0..n_genes * n_samples)
        .map(|i| {
            let (g, j) = (i / n_samples, i % n_samples);
            let level = (6.0 * g as f64 / n_genes as f64).exp();
            if g % 10 == 3 && j < 3 {
                0.0
            } else {
                (level * noise(i * i % 99_991 + g) * (1.0 + 0.1 * j as f64)).round()
            }
        })
        .collect()
}

/// Three samples of a group, and the others with a covariate.
pub(super) fn design(n_samples: usize) -> Result<DesignMatrix> {
    let row = |j: usize| [1.0, f64::from(u8::from(j >= 3)), if j >= 3 { (j * j % 5) as f64 } else { 0.0 }];
    let rows = (0..n_samples).flat_map(row).collect();
    DesignMatrix::new(
        Matrix::from_rows(n_samples, 3, rows),
        ["(Intercept)", "group", "covariate"].map(str::to_owned).to_vec(),
        Vec::new(),
    )
}
