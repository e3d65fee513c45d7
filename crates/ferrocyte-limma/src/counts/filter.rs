//! [`filter_by_expr`]: the genes with enough counts in enough samples to be worth a test.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::linalg::dot;
use ferrocyte_math::pivoted_qr::PivotedQr;

use super::{BLOCK, usable_library_sizes};
use crate::{DesignMatrix, Expression};

/// What a comparison of sums may be short of.
const SLACK: f64 = 1e-14;

/// What says how many samples are alike.
#[derive(Debug, Clone, Copy)]
pub enum Groups<'a> {
    /// Nothing: all samples are.
    None,
    /// The group of each sample, as a number from 0.
    Group(&'a [usize]),
    /// A design: as many as 1 over the largest leverage.
    Design(&'a DesignMatrix),
}

/// What a gene must have; the defaults are edgeR's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FilterOptions {
    /// The count that a gene must have in a sample of median library size, and as many per million in others.
    pub min_count: f64,
    /// The total count over all samples.
    pub min_total_count: f64,
    /// Groups larger than this count only in part.
    pub large_n: f64,
    /// The part.
    pub min_prop: f64,
}

impl Default for FilterOptions {
    fn default() -> Self {
        Self { min_count: 10.0, min_total_count: 15.0, large_n: 10.0, min_prop: 0.7 }
    }
}

/// Whether each gene has at least `min_count / median(L) 1e6` counts per million in as many samples as the smallest
/// group has, and a large enough total. `lib_size` are the totals unless given.
///
/// # Errors
/// Where a count is negative or not finite, a library size not above 0, or groups do not fit the samples.
pub fn filter_by_expr(
    run: &Run,
    counts: &Expression<'_>,
    lib_size: Option<&[f64]>,
    groups: Groups<'_>,
    options: &FilterOptions,
) -> Result<Vec<bool>> {
    let sizes = usable_library_sizes(run, counts, lib_size)?;
    let smallest = smallest_group(counts, groups)?;
    let FilterOptions { min_count, min_total_count, large_n, min_prop } = *options;
    let needed = if smallest > large_n { large_n + (smallest - large_n) * min_prop } else { smallest };
    // The order of operations decides about counts that lie exactly on the cut-off.
    let cutoff = min_count / median(&sizes) * 1e6;
    let blocks = run.map_quietly(counts.n_genes(), BLOCK, |genes| {
        Ok(genes
            .map(|g| {
                let row = counts.row(g);
                let enough: usize = row.iter().zip(&sizes).map(|(c, size)| usize::from(c * 1e6 / size >= cutoff)).sum();
                enough as f64 >= needed - SLACK && row.iter().sum::<f64>() >= min_total_count - SLACK
            })
            .collect::<Vec<bool>>())
    })?;
    Ok(blocks.into_iter().flatten().collect())
}

fn smallest_group(counts: &Expression<'_>, groups: Groups<'_>) -> Result<f64> {
    let n = counts.n_samples();
    match groups {
        Groups::None => Ok(n as f64),
        Groups::Group(group) => {
            if group.len() != n {
                return Err(Fault::bad_input(format!("{} entries for {n} samples", group.len())).at("group"));
            }
            let mut sizes = vec![0_usize; group.iter().max().map_or(0, |last| last + 1)];
            group.iter().for_each(|&k| sizes[k] += 1);
            Ok(sizes.into_iter().filter(|&size| size > 0).min().unwrap_or(0) as f64)
        }
        Groups::Design(design) => {
            design.check_samples(n, counts.samples())?;
            Ok(1.0 / leverages(design).into_iter().fold(0.0, f64::max))
        }
    }
}

/// The leverages of the samples: what their own value has in their fitted value, `diag(Q Q')`.
pub(crate) fn leverages(design: &DesignMatrix) -> Vec<f64> {
    let basis = PivotedQr::new(design.matrix()).basis();
    (0..design.n_samples()).map(|i| dot(basis.row(i), basis.row(i))).collect()
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let n = sorted.len();
    match n {
        0 => f64::NAN,
        _ if n % 2 == 1 => sorted[n / 2],
        _ => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use ferrocyte_math::linalg::{Matrix, MatrixRef};

    use super::*;

    const COUNTS: [f64; 16] =
        [9.0, 9.0, 9.0, 9.0, 10.0, 10.0, 0.0, 0.0, 10.0, 0.0, 0.0, 0.0, 971.0, 981.0, 991.0, 991.0];

    fn keep(groups: Groups<'_>, options: &FilterOptions) -> Result<Vec<bool>> {
        let counts = Expression::unnamed(MatrixRef::from_rows(4, 4, &COUNTS));
        filter_by_expr(&Run::new(), &counts, None, groups, options)
    }

    #[test]
    fn groups_and_designs_say_how_many_samples() -> Result<()> {
        // All libraries have 1000 counts: the cut-off is 10.
        let options = FilterOptions::default();
        assert_eq!(keep(Groups::Group(&[0, 0, 2, 2]), &options)?, [false, true, false, true]);
        assert_eq!(keep(Groups::Group(&[0, 1, 1, 1]), &options)?, [false, true, false, true]);
        assert_eq!(keep(Groups::None, &options)?, [false, false, false, true]);
        let x = Matrix::from_rows(4, 2, vec![1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0]);
        let design = DesignMatrix::new(x, vec!["a".into(), "b".into()], vec![])?;
        assert_eq!(keep(Groups::Design(&design), &options)?, [false, true, false, true]);
        assert!(leverages(&design).iter().all(|h| (h - 0.5).abs() < 1e-15));
        Ok(())
    }

    #[test]
    fn totals_and_large_groups() -> Result<()> {
        let options = FilterOptions { min_total_count: 5.0, ..FilterOptions::default() };
        assert_eq!(keep(Groups::Group(&[0, 1, 1, 1]), &options)?, [false, true, true, true]);
        // Of four samples, 1 + 3 * 0.3 < 2 are needed.
        let options = FilterOptions { large_n: 1.0, min_prop: 0.3, ..FilterOptions::default() };
        assert_eq!(keep(Groups::None, &options)?, [false, true, false, true]);
        assert!(keep(Groups::Group(&[0, 1]), &options).is_err());
        Ok(())
    }
}
