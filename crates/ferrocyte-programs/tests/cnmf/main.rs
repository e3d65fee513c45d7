//! Consensus factorisations against the reference cases, against themselves on other threads, and on bad input.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod edge;
mod exprmat;
mod files;
#[path = "../../../ferrocyte-learn/tests/structure/npz.rs"]
#[allow(dead_code, reason = "shared with the tests of structure")]
mod npz;
mod runs;
mod stages;
