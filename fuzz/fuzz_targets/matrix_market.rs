//! Whatever the bytes, the reader `matrix_market` answers with content or a fault.
#![no_main]

#[path = "../../crates/ferrocyte-io/tests/hostile/readers.rs"]
mod readers;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| readers::feed("matrix_market", bytes));
