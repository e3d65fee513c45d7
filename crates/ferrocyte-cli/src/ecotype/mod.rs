//! `ferrocyte ecotype`: models of ecotypes, and labels by them. One file per verb or two; what they share beside them.

pub(crate) mod arguments;
pub(crate) mod cv;
pub(crate) mod ensemble;
mod folder;
pub(crate) mod recover;
mod study;
pub(crate) mod train;
