//! Factorisations against the reference cases, and against themselves on other lanes and threads.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod golden;
#[path = "../structure/npz.rs"]
#[allow(dead_code, reason = "shared with the tests of structure")]
mod npz;
mod replicas;
