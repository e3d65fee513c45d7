//! `fe.nbmm`: sums and fits of count models as opaque objects, their arrays and tables, and the words of the family.

mod fit;
mod sums;

pub(crate) use fit::{NbFit, NbResiduals, nbmm_fit, nbmm_options, nbmm_statuses, nbmm_test_columns};
pub(crate) use sums::{NbSums, nbmm_sums};
