//! Tests of gene sets: do the genes of a set move together with a contrast?
//!
//! *Competitive* tests ask whether the genes of a set move more than the others: [`camera`], [`camera_pr`], [`romer`],
//! [`gene_set_test`]. *Self-contained* tests ask whether the genes of a set move at all: [`mroast`], [`fry`].
//! All start from [`Effects`]: each gene's values turned so that one number is its effect of the contrast and the others
//! are residuals, all with the same variance.
//!
//! Sources: D. Wu, E. Lim, F. Vaillant, M. L. Asselin-Labat, J. E. Visvader, G. K. Smyth, *ROAST: rotation gene set tests
//! for complex microarray experiments*, 2010; D. Wu, G. K. Smyth, *Camera: a competitive gene set test accounting for
//! inter-gene correlation*, 2012; I. J. Majewski et al., *Opposing roles of polycomb repressive complexes in
//! hematopoietic stem and progenitor cells*, 2010 (romer).

mod barcode;
mod camera;
mod correlation;
mod effects;
mod fry;
mod gene_set_test;
mod gene_sets;
mod rank_sum;
mod roast;
mod roast_statistic;
mod romer;
mod romer_ranks;
mod rotations;

pub use barcode::{Barcode, barcode};
pub use camera::{CameraOptions, CameraTable, Correlations, camera, camera_pr};
pub use correlation::{InterGeneCorrelation, inter_gene_correlation};
pub use effects::{Contrast, Effects, EffectsOptions, Prior};
pub use fry::{FryTable, Standardize, fry};
pub use gene_set_test::{Alternative, GeneSetTestOptions, StatisticKind, gene_set_test};
pub use gene_sets::GeneSets;
pub use rank_sum::{RankSum, rank_sum_test_with_correlation};
pub use roast::{RoastOptions, RoastTable, mroast};
pub use roast_statistic::SetStatistic;
pub use romer::{RankStatistic, RomerOptions, RomerTable, romer};
