//! The extension module `ferrocyte._core`: arguments in, one call, results out. No numerics live here.
//!
//! * `faults`: errors become exceptions, in one `match`.
//! * `monitor`: long work beside a Python that stays responsive: progress, warnings, Ctrl-C.
//! * `values`: plain data, tables and arrays on their way out.
//! * `sources`: matrices on their way in, borrowed from numpy and scipy, read from files, or asked for in blocks.
//! * `obs`: columns of cells on their way in.
//! * `cells`, `cnmf`, `ctmm`, `ecotype`, `gxemm`, `learn`, `lmm`, `limma`, `nbmm`, `nmf`, `pseudobulk`, `report`, `simulate`, `io`,
//!   `cli`: what the modules of the package call.

#![expect(clippy::needless_pass_by_value, reason = "Python hands arguments over by value")]

mod cells;
mod cli;
mod cnmf;
mod ctmm;
mod ecotype;
mod faults;
mod gxemm;
mod io;
mod learn;
mod limma;
mod lmm;
mod monitor;
mod nbmm;
mod nmf;
mod obs;
mod pseudobulk;
mod report;
mod simulate;
mod sources;
mod values;

use pyo3::pymodule;

/// Statistics of multi-sample gene-expression studies, compiled.
#[pymodule(gil_used = false)]
mod _core {
    #[pymodule_export]
    use super::cells::{
        PySampleTable, study_annotate, study_check_spec, study_chosen, study_classes, study_command_id,
        study_gene_flags, study_good_cells, study_merge_column, study_merge_levels, study_paste, study_paths,
        study_plain_class, study_sample_path, study_samples, study_sidecar, study_subset_path, study_summary,
    };
    #[pymodule_export]
    use super::cells::{
        cells_aggregate, cells_check_log1p, cells_check_log1p_in_place, cells_composition, cells_cycle_phase,
        cells_divide, cells_filter, cells_harmony, cells_hvg, cells_keys, cells_markers, cells_neighbors,
        cells_normalize, cells_options, cells_pca, cells_proportion, cells_qc, cells_rise, cells_sc3, cells_scale,
        cells_score_genes, cells_scrublet, cells_size_factors, cells_size_factors_in_place,
    };
    #[pymodule_export]
    use super::cli::{
        cells_arguments, cli_help_pages, cnmf_arguments, ctmm_arguments, ecotype_arguments, gxemm_arguments,
        limma_arguments, lmm_arguments, nbmm_arguments, nmf_arguments, report_arguments, run_program,
        simulate_arguments,
    };
    #[pymodule_export]
    use super::cnmf::{
        CnmfRun, cnmf_combine, cnmf_consensus, cnmf_factorize, cnmf_jobs, cnmf_k_selection, cnmf_kmeans, cnmf_options,
        cnmf_prepare, cnmf_prepare_folder, cnmf_project, cnmf_suggest_threshold, cnmf_variable_genes,
    };
    #[pymodule_export]
    use super::ctmm::{
        ctmm_align, ctmm_fit, ctmm_impute, ctmm_ln_equal_means, ctmm_ln_f, ctmm_ln_likelihood_ratio, ctmm_ln_upper_t,
        ctmm_options, ctmm_prepare, ctmm_simulate, ctmm_standardize, ctmm_statuses, ctmm_test,
    };
    #[pymodule_export]
    use super::ecotype::{
        RStream, ecotype_abundance, ecotype_aggregate, ecotype_block_test, ecotype_coassociation,
        ecotype_colocalization, ecotype_conserve, ecotype_cross_validate, ecotype_deconvolute, ecotype_discover,
        ecotype_ensemble, ecotype_fold_changes, ecotype_fuse, ecotype_gene_names, ecotype_infer_ncells,
        ecotype_integrate, ecotype_merge_runs, ecotype_meta, ecotype_metacells, ecotype_metrics, ecotype_moran,
        ecotype_networks, ecotype_nmf, ecotype_nmf_clustering, ecotype_options, ecotype_partition, ecotype_predict,
        ecotype_preprocess, ecotype_pseudobulks, ecotype_rank_columns, ecotype_recover, ecotype_runs, ecotype_runs_of,
        ecotype_scale, ecotype_select_rank, ecotype_simulate, ecotype_smooth, ecotype_subclusters, ecotype_train,
        ecotype_train_w, ecotype_values,
    };
    #[pymodule_export]
    use super::gxemm::{
        gxemm_align, gxemm_fit, gxemm_fit_genotypes, gxemm_kinship, gxemm_ln_equal, gxemm_ln_joint_wald,
        gxemm_ln_likelihood_ratio, gxemm_ln_mixture, gxemm_ln_wald, gxemm_options, gxemm_sim_options, gxemm_simulate,
        gxemm_statuses,
    };
    #[pymodule_export]
    use super::io::read::{io_anndata, io_kind, io_mudata};
    #[pymodule_export]
    use super::io::study::{Study, io_concat, io_join, io_open, io_stack};
    #[pymodule_export]
    use super::io::write::io_write;
    #[pymodule_export]
    use super::io::{gene_values, genes_values, h5ad_info};
    #[pymodule_export]
    use super::learn::{
        learn_agreement, learn_leiden, learn_louvain, learn_modularity, learn_silhouette, learn_trustworthiness,
        learn_umap,
    };
    #[pymodule_export]
    use super::limma::{
        limma_array_weights, limma_array_weights_quick, limma_average, limma_average_duplicates, limma_barcode,
        limma_call_p_values, limma_camera, limma_camera_pr, limma_classify_tests_f, limma_contrast_as_coef,
        limma_contrasts_fit, limma_cpm, limma_de, limma_decide_tests, limma_diff_splice, limma_duplicate_correlation,
        limma_e_bayes, limma_f_statistics, limma_filter_by_expr, limma_fit_f_dist, limma_fit_f_dist_unequal,
        limma_fit_gamma_intercept, limma_fit_mixture, limma_fry, limma_gamma_function, limma_genas,
        limma_gene_set_test, limma_goana_trend, limma_inter_gene_correlation, limma_interpolate, limma_lm_fit,
        limma_loess_fit, limma_lowess, limma_lowess_span, limma_make_contrasts, limma_mds, limma_model_matrix,
        limma_mroast, limma_non_estimable, limma_norm_factors, limma_normalize, limma_options,
        limma_over_representation, limma_p_adjust, limma_pred_fcm, limma_prop_true_null, limma_rank_sum,
        limma_remove_batch_effect, limma_romer, limma_squeeze_var, limma_statuses, limma_tmixture, limma_top_table,
        limma_top_table_f, limma_treat, limma_tricube_moving_average, limma_variables, limma_voom, limma_voom_lm_fit,
        limma_vooma, limma_vooma_lm_fit, limma_weighted_lowess, limma_wsva, limma_zscore_t,
    };
    #[pymodule_export]
    use super::lmm::{
        Fit, Sums, lmm_blocks, lmm_check, lmm_compare, lmm_contrast_weights, lmm_differences, lmm_fit,
        lmm_inference_columns, lmm_options, lmm_plan, lmm_random_effect_errors, lmm_statuses, lmm_sums,
        lmm_sums_from_arrays, lmm_t_p_values, lmm_terms, lmm_test_columns, lmm_test_components, lmm_test_joint,
        lmm_variables, lmm_variance_shares,
    };
    #[pymodule_export]
    use super::nbmm::{
        NbFit, NbResiduals, NbSums, nbmm_fit, nbmm_options, nbmm_statuses, nbmm_sums, nbmm_test_columns,
    };
    #[pymodule_export]
    use super::nmf::{nmf_factorise, nmf_fit, nmf_instructions, nmf_options, nmf_refit, nmf_solver, nmf_statuses};
    #[pymodule_export]
    use super::pseudobulk::pseudobulk_sums;
    #[pymodule_export]
    use super::report::{report_options, report_page};
    #[pymodule_export]
    use super::simulate::{lmm_moments, sim_cohort, sim_options, sim_programs, sim_rnaseq, sim_study};
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", ferrocyte_base::VERSION)
    }
}
