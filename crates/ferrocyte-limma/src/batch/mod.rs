//! What is not of interest: effects of batches, hidden variables, replicates.

mod average;
mod remove;
mod surrogate;

pub use average::{average_columns, average_duplicates, average_rows};
pub use remove::{Batch, remove_batch_effect};
pub use surrogate::wsva;
