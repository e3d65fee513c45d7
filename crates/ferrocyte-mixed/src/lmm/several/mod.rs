//! Several variance components.

mod dense;
mod estimates;

pub(in crate::lmm) use dense::{Dense, Point};
