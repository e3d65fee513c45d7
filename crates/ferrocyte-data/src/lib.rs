//! Matrices as streams of row blocks, tables of cells, additive summaries.
//!
//! Cells are rows, genes are columns, here and in every cell-level algorithm. Such an algorithm is written once,
//! against [`RowChunks`], and never learns where the numbers come from or of what type they were:
//!
//! ```text
//! RowChunks  ->  RowBlock  ->  Summary  ->  Part (a file, or another machine)
//! ```
//!
//! * [`RowChunks`]: anything that can give a range of rows as a [`RowBlock`]: matrices in memory ([`Csr`], [`Csc`],
//!   [`Dense`]), a file (crate `ferrocyte-io`), arrays owned by Python; selections of these ([`SelectRows`],
//!   [`SelectGenes`]).
//! * [`RowBlock`]: the one concrete block: sparse rows, sorted `u32` columns without duplicates, `f32` or `f64` values.
//! * [`Summary`]: what learns from the rows as they pass; [`fold`] feeds any number of them in one reading. What it leaves
//!   behind is [`Additive`]: it merges over shards and machines.
//! * [`plan`]: where a study is cut for several machines.
//! * [`pseudobulk()`]: the cells of a sample as one column of counts.
//! * [`Part`]: named arrays and a header: how summaries and results are stored.
//! * [`Frame`]: the columns of `obs` that a model needs; labels are [`Codes`].
//!
//! ```
//! use ferrocyte_base::Run;
//! use ferrocyte_data::{Csr, RowChunks};
//!
//! // Two cells, three genes; columns may be unsorted, indices of either width.
//! let (values, indices, pointers) = ([5.0_f32, 1.0, 2.0], [2_i32, 0, 1], [0_i64, 2, 3]);
//! let mut counts = Csr::new(2, 3, &values, &indices, &pointers)?;
//! let block = counts.read(&Run::new(), 0..2)?;
//! assert_eq!(block.indices(), [0, 2, 1]);
//! # Ok::<(), ferrocyte_base::Fault>(())
//! ```

mod block;
mod chunks;
mod codes;
mod concat;
mod frame;
mod memory;
mod owned;
mod part;
mod plan;
mod pseudobulk;
mod select;
mod summary;
mod transform;

pub use block::{RowBlock, Values};
pub use chunks::{RowChunks, rows_per_block};
pub use codes::Codes;
pub use concat::{ConcatRows, Join, JoinedColumns};
pub use frame::{Factor, Frame, ObsColumn};
pub use memory::{Csc, Csr, Dense, Index, Number};
pub use owned::{CsrBuilder, OwnedCsr};
pub use part::{Array, Data, Part};
pub use plan::{CUT, plan};
pub use pseudobulk::{Aggregate, GroupedSums, Samples, TooFew, pseudobulk};
pub use select::{SelectGenes, SelectRows};
pub use summary::{Additive, Summary, fold, fold_rows};
pub use transform::{GuardFinding, LOGNORM_TARGET, Transform, guard_counts};
