//! `ferrocyte gxemm`: heritability of traits by environment. One file per verb; what they share beside them.

pub(crate) mod arguments;
mod fit;
mod tables;

use crate::Verb;

/// What does the work of each verb.
pub(crate) const VERBS: &[(&str, Verb)] = &[("fit", fit::run)];
