//! Tests against stored numbers, as one program.

mod prior;
mod tails;
