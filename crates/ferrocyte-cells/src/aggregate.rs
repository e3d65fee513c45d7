//! Sums, means, variances and shares of groups of cells, gene by gene: [`aggregate`].

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_data::{Factor, RowChunks};
use ferrocyte_math::linalg::Matrix;

use crate::Names;
use crate::moments::{Moments, Of, mean_var};
use crate::scan::{Need, scan};

/// What all genes are in all groups; matrices are groups × genes.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregated {
    /// Cells of each group.
    pub n: Vec<usize>,
    /// Sum of the values.
    pub sum: Matrix,
    /// Their mean; 0 in a group without cells.
    pub mean: Matrix,
    /// Their variance.
    pub variance: Matrix,
    /// Cells whose value is not 0.
    pub n_not_zero: Matrix,
}

/// Adds up the cells of every level of `labels`, in one pass. Cells without label count in none. `ddof` is taken from
/// the number of cells for the variance, which is 0 in groups that have no more cells than that.
///
/// # Errors
/// Labels for another number of cells; values that are missing or infinite.
pub fn aggregate(
    run: &Run,
    source: &mut dyn RowChunks,
    names: &Names<'_>,
    labels: &Factor,
    ddof: f64,
) -> Result<Aggregated> {
    if labels.codes.len() != source.n_rows() {
        let message = format!("{} labels for {} cells", labels.codes.len(), source.n_rows());
        return Err(Fault::bad_input(message).at("by"));
    }
    let (n_groups, n_genes) = (labels.levels.len(), source.n_cols());
    let mut moments = Moments::new(Of::Values, n_genes, Some(labels));
    scan(run, source, names, Need::Finite, &mut [&mut moments])?;
    let empty = || Matrix::zeros(n_groups, n_genes);
    let mut out = Aggregated {
        n: moments.n.iter().map(|&n| n as usize).collect(),
        sum: empty(),
        mean: empty(),
        variance: empty(),
        n_not_zero: empty(),
    };
    for group in 0..n_groups {
        for (gene, sums) in moments.group(group).iter().enumerate() {
            let (mean, variance) = mean_var(moments.n[group], sums, ddof);
            out.sum[(group, gene)] = sums.sum;
            out.mean[(group, gene)] = mean;
            out.variance[(group, gene)] = variance;
            out.n_not_zero[(group, gene)] = sums.detected;
        }
    }
    Ok(out)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops where it fails")]
mod tests {
    use super::*;
    use ferrocyte_data::Dense;

    #[test]
    fn groups_are_added_up_and_cells_without_group_left_out() {
        let values = [1.0, 0.0, 3.0, 2.0, 9.0, 9.0, 5.0, 0.0];
        let mut source = Dense::row_major(4, 2, &values).unwrap();
        let labels = Factor::from_texts([Some("a"), Some("a"), None, Some("b")]);
        let found = aggregate(&Run::new(), &mut source, &Names::default(), &labels, 1.0).unwrap();
        assert_eq!(found.n, [2, 1]);
        assert_eq!(found.sum.entries(), [4.0, 2.0, 5.0, 0.0]);
        assert_eq!(found.mean.entries(), [2.0, 1.0, 5.0, 0.0]);
        assert_eq!(found.variance.entries(), [2.0, 2.0, 0.0, 0.0]);
        assert_eq!(found.n_not_zero.entries(), [2.0, 1.0, 1.0, 0.0]);
        let short = Factor::from_texts([Some("a")]);
        let fault = aggregate(&Run::new(), &mut source, &Names::default(), &short, 1.0).unwrap_err();
        assert!(fault.message().contains("1 labels for 4 cells"), "{fault:?}");
    }
}
