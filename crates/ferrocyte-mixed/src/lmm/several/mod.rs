//! Several variance components.

mod dense;
mod estimates;

pub(in crate::lmm) use dense::{Dense, Point};
pub(in crate::lmm) use estimates::information;
