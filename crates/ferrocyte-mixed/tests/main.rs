//! The family as a user of the crates meets it: from cells to tables.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod ctmm_golden;
mod gxemm_randomised;
mod gxemm_routes;
mod lmm_ask;
mod lmm_calibration;
mod lmm_inference;
mod lmm_pipeline;
mod lmm_shards;
mod lmm_simulate;
mod lmm_sources;
mod nbmm;
