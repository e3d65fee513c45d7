//! `ferrocyte ctmm`: pseudobulk with its noise, and cell type-specific mixed models of it. One file per verb; what they share
//! beside them.

pub(crate) mod arguments;
mod covariates;
mod fit;
mod prepare;

use crate::Verb;

/// What does the work of each verb.
pub(crate) const VERBS: &[(&str, Verb)] = &[("prepare", prepare::run), ("fit", fit::run)];
