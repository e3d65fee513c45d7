//! What decides the models of an ensemble, by name: by it shares of one are told from strangers.

use super::{Labels, TrainOptions};
use crate::expression::Expression;
use crate::fingerprint::Hash;

/// Options, and fingerprints of cells and labels, as they are used.
pub(super) fn origin(
    x: &Expression,
    labels: &Labels<'_>,
    options: &TrainOptions,
    logged: bool,
) -> Vec<(String, String)> {
    let nfeature_per_se = options.nfeature_per_se.map_or_else(|| "inf".to_owned(), |n| n.to_string());
    let sample = labels.sample.unwrap_or_default();
    [
        ("mode", options.mode.word().to_owned()),
        ("scale", options.scale.to_string()),
        ("balance_sample", options.balance_sample.to_string()),
        ("nfeature", options.nfeature.to_string()),
        ("nfeature_per_se", nfeature_per_se),
        ("min_cells", options.min_cells.to_string()),
        ("downsample", options.downsample.to_string()),
        ("rng", options.rng().word().to_owned()),
        ("small_classes", options.small_classes().word().to_owned()),
        ("whether logarithms were taken", logged.to_string()),
        ("the fingerprint of genes", Hash::default().texts(x.genes()).word()),
        ("the fingerprint of cells", Hash::default().texts(x.cells()).word()),
        ("the fingerprint of values", Hash::default().values(x).word()),
        ("the fingerprint of cell types", Hash::default().texts(labels.cell_type).word()),
        ("the fingerprint of labels", Hash::default().texts(labels.label).word()),
        ("the fingerprint of samples", Hash::default().texts(sample).word()),
    ]
    .map(|(name, word)| (name.to_owned(), word))
    .to_vec()
}
