//! `ferrocyte nmf`: non-negative matrix factorisation. One file per verb.

pub(crate) mod fit;

use crate::Verb;

/// What does the work of each verb.
pub(crate) const VERBS: &[(&str, Verb)] = &[("fit", fit::run)];
