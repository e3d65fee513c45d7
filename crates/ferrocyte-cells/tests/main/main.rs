//! Tests of the crate as its users see it, against reference cases.
//!
//! Cases are found by what their folder holds: under `FERROCYTE_GOLDEN`, else `tests/golden`; their inputs under
//! `FERROCYTE_DATA`, else `data`. A kind of case that is absent is passed over, no case at all is a failure.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "these are tests")]

mod bad_input;
mod components;
mod composition;
mod edge;
mod files;
mod harmony;
mod hvg;
mod markers;
mod pipeline;
mod sc3;
mod speed;
