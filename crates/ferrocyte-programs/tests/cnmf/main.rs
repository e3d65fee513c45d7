//! Consensus factorisations against the reference cases, against themselves on other threads, and on bad input.
//!
//! Arrays of the cases are read by `npz.rs` of the tests of structure, with `zip` and `flate2`.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod edge;
mod exprmat;
mod files;
#[path = "../../../ferrocyte-learn/tests/structure/npz.rs"]
#[allow(dead_code, reason = "shared with the tests of structure")]
mod npz;
mod runs;
mod stages;
