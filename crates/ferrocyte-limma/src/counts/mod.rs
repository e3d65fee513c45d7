//! Counts: library sizes, normalisation factors, counts per million, and the filter of genes. The numbers are edgeR's.

mod columns;
mod cpm;
mod filter;
mod norm_factors;
mod tmm;

use ferrocyte_base::{Fault, Result, Run};

use crate::Expression;

pub(crate) use filter::leverages;

pub use cpm::{CpmOptions, cpm, rpkm};
pub use filter::{FilterOptions, Groups, filter_by_expr};
pub use norm_factors::{NormMethod, NormOptions, ZeroLib, norm_factors};

/// Genes whose counts are added at once.
const BLOCK: usize = 256;

/// Total counts of the samples, after a check of every count.
///
/// # Errors
/// Where a count is negative or not finite; the message names gene and sample.
pub fn library_sizes(run: &Run, counts: &Expression<'_>) -> Result<Vec<f64>> {
    let n = counts.n_samples();
    let parts = run.map_quietly(counts.n_genes(), BLOCK, |genes| {
        let mut sums = vec![0.0; n];
        for g in genes {
            let row = counts.row(g);
            let mut strange = false;
            for (sum, &count) in sums.iter_mut().zip(row) {
                strange |= !(0.0..f64::INFINITY).contains(&count);
                *sum += count;
            }
            if strange {
                return Err(strange_count(counts, g));
            }
        }
        Ok(sums)
    })?;
    let mut sums = vec![0.0; n];
    for part in parts {
        for (sum, part) in sums.iter_mut().zip(part) {
            *sum += part;
        }
    }
    Ok(sums)
}

/// Names the first count of a gene that is none.
fn strange_count(counts: &Expression<'_>, g: usize) -> Fault {
    let row = counts.row(g);
    let j = row.iter().position(|c| !(c.is_finite() && *c >= 0.0)).unwrap_or(0);
    let fault = Fault::bad_input(format!(
        "{} has {} in {}, expected a count that is not negative",
        counts.gene(g),
        row[j],
        counts.sample(j)
    ))
    .at("counts");
    if row[j] < 0.0 {
        fault.hint("give raw counts, not log-values")
    } else {
        fault.hint("leave the gene or the sample out, or put 0 where nothing was counted")
    }
}

/// Library sizes that can be divided by: those given, else the total counts. Checks the counts.
///
/// # Errors
/// Where there are not as many as samples, or one is not finite and above 0; the message names the sample.
pub(crate) fn usable_library_sizes(run: &Run, counts: &Expression<'_>, given: Option<&[f64]>) -> Result<Vec<f64>> {
    let totals = library_sizes(run, counts)?;
    let sizes = chosen_library_sizes(counts, given, totals)?;
    match sizes.iter().position(|size| !(*size > 0.0 && size.is_finite())) {
        None => Ok(sizes),
        Some(j) => Err(unusable_library(counts, j, sizes[j])),
    }
}

fn chosen_library_sizes(counts: &Expression<'_>, given: Option<&[f64]>, totals: Vec<f64>) -> Result<Vec<f64>> {
    let Some(given) = given else { return Ok(totals) };
    if given.len() != counts.n_samples() {
        let message = format!("{} library sizes for {} samples", given.len(), counts.n_samples());
        return Err(Fault::bad_input(message).at("lib_size"));
    }
    Ok(given.to_vec())
}

fn unusable_library(counts: &Expression<'_>, j: usize, size: f64) -> Fault {
    Fault::bad_input(format!("{} has library size {size}, expected one above 0", counts.sample(j)))
        .at("lib_size")
        .hint("leave the sample out: nothing was counted in it")
}

#[cfg(test)]
mod tests {
    use ferrocyte_math::linalg::MatrixRef;

    use super::*;

    #[test]
    fn counts_that_are_none_are_named() {
        let run = Run::new();
        let message = |values: &[f64]| {
            let counts = Expression::unnamed(MatrixRef::from_rows(2, 2, values));
            library_sizes(&run, &counts).map_err(|fault| fault.to_string())
        };
        assert_eq!(message(&[1.0, 2.0, 3.0, 4.5]), Ok(vec![4.0, 6.5]));
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            let said = message(&[1.0, 2.0, bad, 4.0]).err().unwrap_or_default();
            assert!(said.contains("gene 2") && said.contains("sample 1"), "{said}");
        }
    }

    #[test]
    fn an_empty_library_is_named() {
        let counts = Expression::unnamed(MatrixRef::from_rows(1, 2, &[0.0, 2.0]));
        let outcome = usable_library_sizes(&Run::new(), &counts, None);
        assert!(outcome.is_err_and(|fault| fault.to_string().contains("sample 1 has library size 0")));
        assert!(usable_library_sizes(&Run::new(), &counts, Some(&[1.0])).is_err());
        assert_eq!(usable_library_sizes(&Run::new(), &counts, Some(&[1.0, 3.0])).ok(), Some(vec![1.0, 3.0]));
    }
}
