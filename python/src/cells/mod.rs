//! What single cells need of the compiled module: one call for each step.

mod aggregate;
mod composition;
mod labels;
mod markers;
mod sc3;
mod score;

pub(crate) use aggregate::cells_aggregate;
pub(crate) use composition::{cells_composition, cells_proportion};
pub(crate) use markers::cells_markers;
pub(crate) use sc3::cells_sc3;
pub(crate) use score::{cells_cycle_phase, cells_score_genes};
