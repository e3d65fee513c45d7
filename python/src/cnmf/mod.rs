//! What `ferrocyte.cnmf` calls: counts to programs in memory (`run`), or in a folder (`folder`), and new cells on known
//! programs (`project`).

mod folder;
mod project;
mod run;
mod words;

pub(crate) use folder::{cnmf_combine, cnmf_consensus, cnmf_factorize, cnmf_k_selection, cnmf_prepare_folder};
pub(crate) use project::{cnmf_kmeans, cnmf_project};
pub(crate) use run::{CnmfRun, cnmf_jobs, cnmf_prepare, cnmf_suggest_threshold, cnmf_variable_genes};
pub(crate) use words::cnmf_options;
