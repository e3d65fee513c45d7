//! Pseudobulk: the cells of a sample as one column of counts, for methods whose unit is the sample.
//!
//! [`Samples`] says which cell belongs to which sample (donor and condition, say, and cell type) and what is known of
//! each; [`GroupedSums`] adds up the cells of every sample in one pass over any source.

mod samples;
mod sums;

pub use samples::{Samples, TooFew};
pub use sums::{GroupedSums, pseudobulk};

use ferrocyte_base::choice;

choice! {
    /// How the cells of a sample become one value.
    Aggregate, "mode" {
        /// Their counts are added: for methods of counts.
        Sum = "sum",
        /// The mean of their values: for values that are not counts.
        Mean = "mean",
    }
}
