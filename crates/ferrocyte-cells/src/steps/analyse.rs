//! [`analyse`]: the whole way from counts of cells that are kept to coordinates, clusters and markers.

use ferrocyte_base::{Result, Run};
use ferrocyte_data::Factor;
use ferrocyte_learn::{Graph, KnnOptions, LeidenOptions, UmapOptions};

use super::embed::{Basis, ComponentOptions, components, integrate, variable_genes};
use super::graph::{Weights, clusters, joined, layout, neighbours};
use super::rank::{RankOptions, rank};
use super::sheet::Sheet;
use super::slots::{Additions, Entry};
use crate::Names;
use crate::harmony::HarmonyOptions;
use crate::hvg::{Flavor, HvgOptions};
use crate::keys::Style;
use crate::markers::GroupMarkers;
use crate::normalize::NormalizeOptions;

/// How coordinates are found.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbedOptions {
    /// To what total cells are brought.
    pub normalize: NormalizeOptions,
    /// Variable genes.
    pub hvg: HvgOptions,
    /// Components.
    pub components: ComponentOptions,
    /// Batches brought together, where there are several.
    pub harmony: HarmonyOptions,
    /// Neighbours.
    pub knn: KnnOptions,
    /// How they are joined.
    pub weights: Weights,
    /// How many columns of the coordinates neighbours are found with.
    pub n_pcs: Option<usize>,
    /// The layout.
    pub umap: UmapOptions,
    /// Whether the layout starts from the spectrum of the graph, or at random.
    pub spectral: bool,
    /// The dialect of names.
    pub style: Style,
}

/// Cells in the space of their components.
#[derive(Debug, Clone)]
pub struct Embedding {
    /// Logarithms of normalised counts: what X becomes.
    pub logged: Sheet,
    /// The coordinates behind it.
    pub basis: Basis,
    /// Variable genes.
    pub n_variable: usize,
    /// What is added to the study.
    pub additions: Additions,
}

/// From counts to coordinates, neighbours and a layout; `batches` is the column that tells batches, and its labels.
///
/// # Errors
/// Those of the steps.
pub fn embed(
    run: &Run,
    counts: &Sheet,
    names: &Names<'_>,
    batches: Option<(&str, &Factor)>,
    options: &EmbedOptions,
) -> Result<Embedding> {
    let LaidOut { basis, n_variable, mut additions, graph, factors } = laid_out(run, counts, names, batches, options)?;
    additions += joined(graph, options.weights, options.style);
    Ok(Embedding { logged: counts.logged(run, &factors)?, basis, n_variable, additions })
}

/// What [`embed`] finds, with the graph beside: it is the largest of what is added, and there is one of it. The logarithms
/// are made again from the factors of the cells where they are wanted, and take no memory in the meantime.
struct LaidOut {
    basis: Basis,
    n_variable: usize,
    additions: Additions,
    graph: Graph,
    factors: Vec<f64>,
}

fn laid_out(
    run: &Run,
    counts: &Sheet,
    names: &Names<'_>,
    batches: Option<(&str, &Factor)>,
    options: &EmbedOptions,
) -> Result<LaidOut> {
    let style = options.style;
    let (logged, found) = counts.log_normalized(run, names, &options.normalize)?;
    let log1p = ("log1p".to_owned(), Entry::dict([("base", Entry::Null)]));
    let mut additions = Additions::default();
    if style == Style::Scanpy {
        additions.uns.push(log1p);
    }
    let of_counts = matches!(options.hvg.flavor, Flavor::SeuratV3 | Flavor::SeuratV3Paper);
    let mut rows = if of_counts { counts.rows()? } else { logged.rows()? };
    let of_batches = batches.map(|(_, labels)| labels);
    let (hvg, added) = variable_genes(run, &mut *rows, names, of_batches, &options.hvg, style)?;
    additions += added;
    drop(rows);
    let single = logged.values().single();
    let chosen = Some(&hvg.highly_variable[..]);
    let (mut basis, added) = components(run, &mut *logged.rows()?, names, chosen, &options.components, single)?;
    additions += added;
    drop(logged);
    if let Some(batches) = batches {
        let (together, added) = integrate(run, &basis, batches, &options.harmony, style)?;
        additions += added;
        basis = together;
    }
    let (graph, added) = neighbours(run, &basis, &options.knn, options.weights, options.n_pcs, style)?;
    additions += added;
    additions += layout(run, &graph, options.spectral.then_some(&basis), &options.umap, style)?;
    Ok(LaidOut { basis, n_variable: hvg.indices().len(), additions, graph, factors: found.factors })
}

/// How clusters and their markers are found, behind [`EmbedOptions`].
#[derive(Debug, Clone, PartialEq)]
pub struct AnalysisOptions {
    /// Coordinates.
    pub embed: EmbedOptions,
    /// Clusters.
    pub leiden: LeidenOptions,
    /// Markers; the column of groups is that of the clusters.
    pub rank: RankOptions,
}

/// Cells in coordinates and clusters.
#[derive(Debug, Clone)]
pub struct Analysis {
    /// The coordinates. Its additions are those of all steps.
    pub embedding: Embedding,
    /// The clusters.
    pub clusters: Factor,
    /// Their markers; none where there is but one cluster.
    pub markers: Vec<GroupMarkers>,
}

/// From counts to coordinates, clusters and markers.
///
/// # Errors
/// Those of the steps.
pub fn analyse(
    run: &Run,
    counts: &Sheet,
    names: &Names<'_>,
    batches: Option<(&str, &Factor)>,
    options: &AnalysisOptions,
) -> Result<Analysis> {
    let LaidOut { basis, n_variable, mut additions, graph, factors } =
        laid_out(run, counts, names, batches, &options.embed)?;
    let (labels, added) = clusters(run, &graph, &options.leiden, &options.rank.groupby)?;
    additions += added;
    additions += joined(graph, options.embed.weights, options.embed.style);
    let mut embedding = Embedding { logged: counts.logged(run, &factors)?, basis, n_variable, additions };
    let sizes = labels.counts();
    let lonely: Vec<String> = (0..sizes.len()).filter(|&i| sizes[i] == 1).map(|i| labels.levels[i].clone()).collect();
    if sizes.len() - lonely.len() < 2 {
        run.warn("there are no two clusters of several cells: markers are not looked for");
        return Ok(Analysis { embedding, clusters: labels, markers: Vec::new() });
    }
    let mut wanted = options.rank.clone();
    if !lonely.is_empty() {
        run.warn(&format!("clusters of one cell have no markers: {}", lonely.join(", ")));
        wanted.markers.groups = Some(labels.levels.iter().filter(|level| !lonely.contains(level)).cloned().collect());
    }
    let (markers, added) = rank(run, &mut *embedding.logged.rows()?, names, &labels, &wanted)?;
    embedding.additions += added;
    Ok(Analysis { embedding, clusters: labels, markers })
}
