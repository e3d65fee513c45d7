//! `ferrocyte limma`: linear models of samples. One file per verb; what they share beside them.

pub(crate) mod de;
pub(crate) mod pseudobulk;
mod study;

use crate::Verb;

/// What does the work of each verb.
pub(crate) const VERBS: &[(&str, Verb)] = &[("de", de::run), ("pseudobulk", pseudobulk::run)];
