//! The program as its users meet it: whole commands, their files, messages and exit codes.

#![allow(clippy::unwrap_used, clippy::panic)]

mod cells;
mod convert;
mod errors;
mod limma;
mod means;
mod nmf;
mod outputs;
mod simulate;
mod support;
