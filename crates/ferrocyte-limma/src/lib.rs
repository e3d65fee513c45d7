//! Linear models with moderated statistics for expression matrices: limma's verbs and limma's numbers.
//!
//! ```text
//! counts -> filter_by_expr, calc_norm_factors -> voom -> lm_fit -> contrasts_fit -> e_bayes -> top_table
//! ```
//!
//! One linear model per gene; the residual variances of all genes are squeezed towards a common or trended prior, which
//! gives moderated t and F statistics and log-odds (Smyth 2004). [`voom`](https://doi.org/10.1186/gb-2014-15-2-r29)
//! turns counts into log-values with precision weights.
//!
//! Matrices are genes × samples, one gene a contiguous row; a missing value is NaN. `log` is the natural logarithm
//! unless it says log2. Numbers are those of limma 3.66 and edgeR 4.8.
//!
//! * [`Expression`]: a borrowed matrix with the names of its genes and samples, which errors tell.
//! * [`DesignMatrix`]: one row per sample, named columns.
//! * [`Weights`]: of samples, genes or single values.
//! * [`library_sizes`], [`norm_factors`], [`cpm`], [`filter_by_expr`]: counts before a fit.
//! * [`normalize_between_arrays`], [`mds`]: log-values before a fit, and what they look like.
//! * [`voom`], [`voom_lm_fit`]: log-counts with weights, and their fit at once.
//! * [`lm_fit`]: a linear model for every gene.
//! * [`sets`]: tests of gene sets; [`over_representation`] of terms.
//! * [`diff_splice`]: exons that differ from the rest of their gene.
//! * [`Fit`]: coefficients and their unscaled errors, and what a moderated test needs.
//! * [`e_bayes`], [`treat`]: moderated t, F and B statistics, and tests against a threshold.
//! * [`top_table`], [`decide_tests`]: tables of genes, and calls.

mod array_weights;
mod batch;
mod contrasts;
mod correlation;
mod counts;
mod de;
mod design;
mod enrichment;
mod expression;
mod fit;
mod genas;
mod mds;
mod mixture;
mod moderate;
mod normalize;
pub mod sets;
mod shrink_effects;
mod splice;
mod status;
mod tables;
mod voom;
mod weights;

pub use array_weights::{ArrayWeightMethod, ArrayWeightOptions, VarianceModel, array_weights, array_weights_quick};
pub use batch::{Batch, average_columns, average_duplicates, average_rows, remove_batch_effect, wsva};
pub use contrasts::{ContrastDesign, contrast_as_coef, contrasts_fit, is_fullrank, make_contrasts, non_estimable};
pub use correlation::{CorrelationOptions, DuplicateCorrelation, duplicate_correlation};
pub use counts::{
    CpmOptions, FilterOptions, Groups, NormMethod, NormOptions, ZeroLib, cpm, filter_by_expr, library_sizes,
    norm_factors, rpkm,
};
pub use de::{Adjust, Analysed, Call, De, DeGroup, DeMethod, DeOptions, DeStudy, OPTIONS, de};
pub use design::DesignMatrix;
pub use enrichment::{Annotation, Enrichment, goana_trend, over_representation};
pub use expression::Expression;
pub use fit::{Fit, LmFitOptions, Method, lm_fit};
pub use genas::{Genas, GenasSubset, genas};
pub use mds::{GeneSelection, Mds, MdsOptions, mds};
pub use mixture::{Mixture, fit_mixture};
pub use moderate::{
    Classifier, EBayesOptions, FStatistics, MixtureLimits, Moderated, Moderation, Odds, Threshold, TreatOptions, Trend,
    classify_tests_f, e_bayes, tmixture, treat,
};
pub use normalize::{
    CyclicMethod, NormalizeMethod, NormalizeOptions, normalize_between_arrays, normalize_cyclic_loess,
    normalize_median_values, normalize_quantiles,
};
pub use shrink_effects::pred_fcm;
pub use splice::{SpliceOptions, Splicing, diff_splice};
pub use status::Outcome;
pub use tables::{
    DecideMethod, DecideOptions, Order, Top, TopOptions, call_p_values, counts, decide_tests, top_table, top_table_f,
};
pub use voom::{
    Predictor, Refinement, VarianceTrend, Voom, VoomLmFit, VoomLmFitOptions, VoomOptions, VoomaOptions, voom,
    voom_duplicate_correlation, voom_fit, voom_lm_fit, voom_with_quality_weights, vooma, vooma_by_group, vooma_lm_fit,
};
pub use weights::Weights;
