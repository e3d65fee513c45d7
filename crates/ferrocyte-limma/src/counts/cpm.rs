//! [`cpm`] and [`rpkm`]: counts per million, and per thousand bases of transcript.

#![allow(clippy::inline_always)]

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::linalg::Matrix;
use ferrocyte_math::wide::{self, Kernel};

use super::{BLOCK, usable_library_sizes};
use crate::Expression;

/// What counts per million are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CpmOptions {
    /// Whether they are log2 values.
    pub log: bool,
    /// The count that is added to a sample of mean library size before the logarithm, and in proportion to others.
    pub prior_count: f64,
}

impl Default for CpmOptions {
    fn default() -> Self {
        Self { log: false, prior_count: 2.0 }
    }
}

/// Counts per million, genes × samples: `(c 1e6) / L`, or, with prior `a` and mean library size `m`,
/// `log2((c + a L/m) / (L + 2 a L/m) 1e6)`. Library sizes are the totals unless given.
///
/// # Errors
/// Where a count is negative or not finite, or a library size not above 0.
pub fn cpm(run: &Run, counts: &Expression<'_>, lib_size: Option<&[f64]>, options: &CpmOptions) -> Result<Matrix> {
    let sizes = usable_library_sizes(run, counts, lib_size)?;
    if options.log && !(options.prior_count > 0.0) {
        let message = format!("{} in front of a logarithm, expected a number above 0", options.prior_count);
        return Err(Fault::bad_input(message).at("prior_count"));
    }
    let mean = sizes.iter().sum::<f64>() / sizes.len() as f64;
    let priors: Vec<f64> = sizes.iter().map(|size| options.prior_count * size / mean).collect();
    let n = sizes.len();
    let mut out = Matrix::zeros(counts.n_genes(), n);
    run.for_each_chunk(out.entries_mut(), BLOCK * n.max(1), |block, rows| {
        for (k, row) in rows.chunks_mut(n).enumerate() {
            let counts = counts.row(block * BLOCK + k);
            if options.log {
                wide::widest(LogCpm { counts, sizes: &sizes, priors: &priors, out: row });
            } else {
                for ((out, count), size) in row.iter_mut().zip(counts).zip(&sizes) {
                    *out = count * 1e6 / size;
                }
            }
        }
    })?;
    Ok(out)
}

/// Counts per million and thousand bases, genes × samples; `lengths` in bases, one per gene.
pub fn rpkm(
    run: &Run,
    counts: &Expression<'_>,
    lengths: &[f64],
    lib_size: Option<&[f64]>,
    options: &CpmOptions,
) -> Result<Matrix> {
    if lengths.len() != counts.n_genes() {
        let message = format!("{} lengths for {} genes", lengths.len(), counts.n_genes());
        return Err(Fault::bad_input(message).at("gene_length"));
    }
    if let Some(g) = lengths.iter().position(|length| !(*length > 0.0 && length.is_finite())) {
        let message = format!("{} has length {}, expected a number above 0", counts.gene(g), lengths[g]);
        return Err(Fault::bad_input(message).at("gene_length"));
    }
    let mut out = cpm(run, counts, lib_size, options)?;
    for (g, length) in lengths.iter().enumerate() {
        let thousands = length / 1000.0;
        if options.log {
            let log = thousands.log2();
            out.row_mut(g).iter_mut().for_each(|x| *x -= log);
        } else {
            out.row_mut(g).iter_mut().for_each(|x| *x /= thousands);
        }
    }
    Ok(out)
}

struct LogCpm<'a> {
    counts: &'a [f64],
    sizes: &'a [f64],
    priors: &'a [f64],
    out: &'a mut [f64],
}

impl Kernel for LogCpm<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (((out, count), size), prior) in self.out.iter_mut().zip(self.counts).zip(self.sizes).zip(self.priors) {
            *out = wide::ln((count + prior) / (size + 2.0 * prior) * 1e6) * std::f64::consts::LOG2_E;
        }
    }
}

#[cfg(test)]
mod tests {
    use ferrocyte_math::linalg::MatrixRef;

    use super::*;

    #[test]
    fn values_are_those_of_the_formulas() -> Result<()> {
        let entries = [0.0, 6.0, 4.0, 14.0];
        let counts = Expression::unnamed(MatrixRef::from_rows(2, 2, &entries));
        let run = Run::new();
        assert_eq!(cpm(&run, &counts, None, &CpmOptions::default())?.entries(), [0.0, 3e5, 1e6, 7e5]);
        let logs = cpm(&run, &counts, None, &CpmOptions { log: true, prior_count: 3.0 })?;
        // Libraries of 4 and 20, a mean of 12: priors of 1 and 5.
        for (found, expected) in logs.entries().iter().zip([1.0 / 6.0, 11.0 / 30.0, 5.0 / 6.0, 19.0 / 30.0]) {
            assert!((found - (expected * 1e6_f64).log2()).abs() < 1e-13);
        }
        let per_kb = rpkm(&run, &counts, &[500.0, 2000.0], None, &CpmOptions::default())?;
        assert_eq!(per_kb.entries(), [0.0, 6e5, 5e5, 3.5e5]);
        let per_kb = rpkm(&run, &counts, &[500.0, 2000.0], None, &CpmOptions { log: true, prior_count: 3.0 })?;
        assert!((per_kb[(1, 0)] - (logs[(1, 0)] - 1.0)).abs() < 1e-14);
        Ok(())
    }

    #[test]
    fn what_cannot_be_divided_by_is_named() {
        let entries = [0.0, 6.0, 0.0, 14.0];
        let counts = Expression::unnamed(MatrixRef::from_rows(2, 2, &entries));
        let run = Run::new();
        let options = CpmOptions::default();
        assert!(cpm(&run, &counts, None, &options).is_err_and(|f| f.to_string().contains("sample 1")));
        let sizes = Some(&[3.0, 4.0][..]);
        assert!(rpkm(&run, &counts, &[1.0, 0.0], sizes, &options).is_err_and(|f| f.to_string().contains("gene 2")));
        assert!(rpkm(&run, &counts, &[1.0], sizes, &options).is_err());
        assert!(cpm(&run, &counts, sizes, &CpmOptions { log: true, prior_count: 0.0 }).is_err());
    }
}
