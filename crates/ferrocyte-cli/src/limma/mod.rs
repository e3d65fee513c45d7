//! `ferrocyte limma`: linear models of samples. One file per verb; what they share beside them.

pub(crate) mod de;
pub(crate) mod pseudobulk;
mod study;
