//! `ferrocyte cnmf`: consensus factorisations in a folder of the layout of the program `cnmf`.
//!
//! * [`Folder`]: the names of the files; [`steps`]: what is done, each step from the files of the one before. The Python
//!   package calls the same.
//! * `verbs`: the command line.

mod folder;
pub mod steps;
pub(crate) mod verbs;

pub use folder::{Folder, threshold_word};

use crate::Verb;

/// What does the work of each verb.
pub(crate) const VERBS: &[(&str, Verb)] = &[
    ("run", verbs::run),
    ("prepare", verbs::prepare),
    ("factorize", verbs::factorize),
    ("combine", verbs::combine),
    ("k-selection", verbs::k_selection),
    ("consensus", verbs::consensus),
    ("project", verbs::projection),
];
