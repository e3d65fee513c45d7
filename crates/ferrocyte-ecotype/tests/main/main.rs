//! Tests of the crate as its users see it, against reference cases.
//!
//! Cases are found by listing the folder `ecotype` under `FERROCYTE_GOLDEN`, else `tests/golden`; parameters, inputs and
//! outputs are read from each `case.json`. A kind of case that is absent is passed over, no case at all is a failure.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod discovery;
mod evaluation;
mod files;
mod models;
mod scores;
mod statistics;
