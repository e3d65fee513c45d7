//! What `ferrocyte.ecotype` calls: cells, labels and models in, models, scores and tables out.

mod cells;
mod discovery;
mod discovery_calls;
mod evaluation;
mod factors;
mod inputs;
mod models;
mod scores;
mod simulation;
mod statistics;

pub(crate) use cells::{ecotype_gene_names, ecotype_values};
pub(crate) use discovery::{
    ecotype_fold_changes, ecotype_fuse, ecotype_integrate, ecotype_metacells, ecotype_networks, ecotype_preprocess,
    ecotype_rank_columns,
};
pub(crate) use discovery_calls::{ecotype_conserve, ecotype_discover, ecotype_subclusters};
pub(crate) use evaluation::{ecotype_cross_validate, ecotype_metrics, ecotype_pseudobulks};
pub(crate) use factors::{RStream, ecotype_nmf, ecotype_nmf_clustering, ecotype_select_rank};
pub(crate) use models::{
    ecotype_aggregate, ecotype_ensemble, ecotype_merge_runs, ecotype_options, ecotype_runs, ecotype_runs_of,
    ecotype_scale, ecotype_train, ecotype_train_w,
};
pub(crate) use scores::{ecotype_deconvolute, ecotype_predict, ecotype_recover};
pub(crate) use simulation::ecotype_simulate;
pub(crate) use statistics::{
    ecotype_abundance, ecotype_block_test, ecotype_coassociation, ecotype_colocalization, ecotype_infer_ncells,
    ecotype_meta, ecotype_moran, ecotype_partition, ecotype_smooth,
};
