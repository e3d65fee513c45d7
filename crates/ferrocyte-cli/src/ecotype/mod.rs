//! `ferrocyte ecotype`: models of ecotypes, and labels by them. One file per verb or two; what they share beside them.

pub(crate) mod arguments;
mod cv;
mod discover;
mod ensemble;
mod folder;
mod recover;
mod stats;
mod stored;
mod study;
mod train;

use crate::Verb;

/// What does the work of each verb.
pub(crate) const VERBS: &[(&str, Verb)] = &[
    ("train", train::run),
    ("ensemble", ensemble::run),
    ("aggregate", ensemble::aggregated),
    ("recover", recover::run),
    ("deconvolute", recover::deconvoluted),
    ("cv", cv::run),
    ("discover", discover::run),
    ("stats", stats::run),
];
