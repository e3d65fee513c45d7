//! Ecotypes of one tissue, from its cells in one call.

use ferrocyte_base::{Column, Fault, Result, Run, Table};
use ferrocyte_math::linalg::Matrix;

use super::clusters::clusters;
use super::components::{ComponentOptions, components};
use super::fusion::{FusionOptions, fuse};
use super::metacells::{MetacellOptions, around, preprocess};
use super::networks::{Embedding, similarity_networks};
use super::ranked::Ranked;
use super::tiles::Room;
use crate::collate;
use crate::expression::Expression;
use crate::statistics::{Tree, check_cells, grid_spots, side_by_side};

/// Values are taken for counts where one is above this.
const COUNTS_ABOVE: f64 = 50.0;

/// Components of the ranks that clusters are found in.
const COMPONENTS: usize = 10;

/// Fewer neighbourhoods with all types that are asked for are too few.
const FEWEST: usize = 20;

ferrocyte_base::choice! {
    /// Why a cell has the ecotype that it has, or none.
    Placed, "reason" {
        /// It has that of the nearest neighbourhood.
        Ok = "ok",
        /// No neighbourhood with an ecotype is within the radius.
        TooFar = "too_far",
        /// Too few genes are found in it.
        FewGenes = "few_genes",
        /// Its cluster is in no ecotype: left out by the choice of clusters, or unlike all others.
        NoEcotype = "no_ecotype",
    }
}

/// How ecotypes of a tissue are found.
#[derive(Debug, Clone, PartialEq)]
pub struct DiscoverOptions {
    /// How far cells may be from the centre of their neighbourhood.
    pub radius: f64,
    /// The width of the grid of neighbourhoods; `None`: 1.4 times the radius, rounded.
    pub grid_size: Option<f64>,
    /// The larger, the more ecotypes.
    pub resolution: f64,
    /// How many genes of each type, those that vary most.
    pub nfeatures: usize,
    /// Neighbourhoods have at least so many types.
    pub min_types: usize,
    /// How many components of each type.
    pub npcs: usize,
    /// Genes are found in at least so many cells, and metacells of a type.
    pub min_cells: usize,
    /// Cells and metacells have at least so many genes.
    pub min_features: usize,
    /// Metacells are of at least so many cells.
    pub min_cells_per_region: usize,
    /// The most cells of a metacell.
    pub k: usize,
    /// Neighbours in the network of a type, each neighbourhood itself among them.
    pub k_sn: usize,
    /// Only neighbourhoods with all of these types; none: all neighbourhoods.
    pub types_needed: Vec<String>,
    /// How networks are fused.
    pub fusion: FusionOptions,
    /// Searches for clusters.
    pub starts: usize,
    /// The seed of the first of them.
    pub seed: u64,
}

impl Default for DiscoverOptions {
    /// As the reference: 50 around, a grid of 70, resolution 0.5, 300 genes, 20 components, 20 cells, 50 neighbours.
    fn default() -> Self {
        Self {
            radius: 50.0,
            grid_size: None,
            resolution: 0.5,
            nfeatures: 300,
            min_types: 2,
            npcs: 20,
            min_cells: 5,
            min_features: 10,
            min_cells_per_region: 1,
            k: 20,
            k_sn: 50,
            types_needed: Vec::new(),
            fusion: FusionOptions::default(),
            starts: 10,
            seed: 0,
        }
    }
}

impl DiscoverOptions {
    /// The width of the grid.
    pub fn grid(&self) -> f64 {
        self.grid_size.unwrap_or_else(|| (1.4 * self.radius).round_ties_even())
    }

    fn metacells(&self) -> MetacellOptions {
        MetacellOptions { k: self.k, radius: self.radius, grid_size: self.grid(), min_cells: self.min_cells_per_region }
    }

    fn components(&self) -> ComponentOptions {
        ComponentOptions { nfeatures: self.nfeatures, min_cells: self.min_cells, min_features: self.min_features }
    }
}

/// Neighbourhoods of a tissue and their clusters, and where its cells belong.
#[derive(Debug, Clone, PartialEq)]
pub struct Tissue {
    /// The neighbourhoods that have a cluster: `X1_Y2`.
    pub neighbourhoods: Vec<String>,
    /// The coordinates of their centres.
    pub x: Vec<f64>,
    /// The coordinates of their centres.
    pub y: Vec<f64>,
    /// How many cell types each has.
    pub n_types: Vec<usize>,
    /// The cluster of each, from 0, the largest first.
    pub cluster: Vec<u32>,
    /// Neighbourhoods × components of the ranked network.
    pub scores: Matrix,
    /// The cell types whose networks were fused.
    pub cell_types: Vec<String>,
    /// The nearest neighbourhood of each cell, in the order of the input, and how far its centre is; nothing for cells
    /// with too few genes.
    pub nearest: Vec<Option<(usize, f64)>>,
    /// Why each cell has a cluster, or none.
    pub reason: Vec<Placed>,
}

impl Tissue {
    /// The cluster of each cell, where it has one.
    pub fn cluster_of_cells(&self) -> Vec<Option<u32>> {
        let of = |(near, reason): (&Option<(usize, f64)>, &Placed)| {
            near.filter(|_| *reason == Placed::Ok).map(|(spot, _)| self.cluster[spot])
        };
        self.nearest.iter().zip(&self.reason).map(of).collect()
    }

    /// One row for each neighbourhood: `SN`, `X`, `Y`, `n_types`, and the cluster under the name of `column`, its number
    /// from 1 behind `prefix`.
    pub fn table(&self, column: &str, prefix: &str) -> Table {
        let labels = self.cluster.iter().map(|c| format!("{prefix}{}", c + 1)).collect();
        Table::new("neighbourhoods")
            .with(Column::text("SN", "the neighbourhood", self.neighbourhoods.clone()))
            .with(Column::float("X", "", "median of its cells", self.x.clone()))
            .with(Column::float("Y", "", "median of its cells", self.y.clone()))
            .with(Column::int("n_types", "", "cell types in it", self.n_types.iter().map(|&n| n as i64).collect()))
            .with(Column::text(column, "its cluster", labels))
    }
}

/// Finds the ecotypes of a tissue.
///
/// Around each square of a grid the nearest cells of each type are averaged; the squares are linked to those that are
/// alike in a type, the networks of all types are fused, and their ranks divided into communities. Cells belong to the
/// nearest square, if it is within the radius. Values above 50 are taken for counts and become `ln(1 + x)`. `room` is as
/// in [`fuse`](super::fuse()).
///
/// # Errors
/// Columns of other lengths than the cells, coordinates that are not finite, fewer than two cell types with enough cells,
/// too few neighbourhoods with the types that are needed, neither memory nor room, the wish to stop.
pub fn discover(
    run: &Run,
    x: &Expression,
    coordinates: (&[f64], &[f64]),
    cell_type: &[String],
    options: &DiscoverOptions,
    room: Option<Room<'_>>,
) -> Result<Tissue> {
    check_cells(x.n_cells(), &[("cell_type", cell_type.len())], &[coordinates.0, coordinates.1])?;
    if !(options.radius > 0.0) {
        return Err(Fault::bad_input(format!("the radius is above 0, found {}", options.radius)).at("radius"));
    }
    let (genes, kept) = preprocess(x, options.min_cells, options.min_features);
    let mut small = x.take_cells(&kept).take_genes(&genes);
    if small.range().1 > COUNTS_ABOVE {
        small.log_counts();
    }
    let types: Vec<String> = kept.iter().map(|&cell| cell_type[cell].clone()).collect();
    let (cx, cy): (Vec<f64>, Vec<f64>) = kept.iter().map(|&c| (coordinates.0[c], coordinates.1[c])).unzip();
    let grid = grid_spots(&cx, &cy, options.grid())?;
    let embeddings = embeddings(run, &small, (&cx, &cy), &types, &grid, options)?;
    drop(small);
    let networks = similarity_networks(run, &embeddings, options.npcs, options.k_sn, options.min_types)?;
    let mut n_types = vec![0; networks.neighbourhoods.len()];
    let names = collate::Index::of(&networks.neighbourhoods);
    for name in embeddings.iter().flat_map(|of| &of.neighbourhoods) {
        names.get(name).into_iter().for_each(|i| n_types[i] += 1);
    }
    let fused = fuse(run, &networks.values, &options.fusion, room)?;
    let ranked = Ranked::of(run, &fused)?;
    drop(fused);
    let scores = ranked.components(run, COMPONENTS)?;
    drop(ranked);
    let cluster = clusters(run, &scores, options.resolution, options.seed, options.starts)?;
    let places = collate::Index::of(&grid.0);
    let at: Vec<usize> = networks.neighbourhoods.iter().filter_map(|name| places.get(name)).collect();
    let (sx, sy): (Vec<f64>, Vec<f64>) = at.iter().map(|&spot| (grid.1[spot], grid.2[spot])).unzip();
    let (nearest, reason) = placed(x.n_cells(), &kept, (&cx, &cy), (&sx, &sy), options.radius);
    Ok(Tissue {
        neighbourhoods: networks.neighbourhoods,
        x: sx,
        y: sy,
        n_types,
        cluster,
        scores,
        cell_types: networks.cell_types,
        nearest,
        reason,
    })
}

/// Squares of a grid: names, and coordinates of their centres.
type Grid = (Vec<String>, Vec<f64>, Vec<f64>);

/// The components of each type, and the squares that they are of.
fn embeddings(
    run: &Run,
    x: &Expression,
    coordinates: (&[f64], &[f64]),
    types: &[String],
    (spots, sx, sy): &Grid,
    options: &DiscoverOptions,
) -> Result<Vec<Embedding>> {
    let around = |of: &str| {
        let cells: Vec<usize> = (0..types.len()).filter(|&cell| types[cell] == of).collect();
        around(run, x, coordinates, &cells, (sx, sy), &options.metacells())
    };
    let mut complete = vec![true; spots.len()];
    for of in &options.types_needed {
        let mut with = vec![false; spots.len()];
        around(of)?.into_iter().for_each(|(spot, _)| with[spot] = true);
        complete.iter_mut().zip(with).for_each(|(complete, with)| *complete &= with);
    }
    let n_complete = complete.iter().filter(|complete| **complete).count();
    if !options.types_needed.is_empty() && n_complete < FEWEST {
        let message = format!("{n_complete} neighbourhoods have all types that are needed, expected at least {FEWEST}");
        return Err(Fault::bad_input(message).at("filter_region_by_celltypes").hint("ask for fewer types"));
    }
    let names = collate::sorted(types);
    let task = run.task("metacells", names.len() as u64);
    let mut out = Vec::new();
    for cell_type in names {
        run.check()?;
        let mut metacells = around(&cell_type)?;
        metacells.retain(|(spot, _)| complete[*spot]);
        let rows: Vec<&[f64]> = metacells.iter().map(|(_, row)| row.as_slice()).collect();
        if let Some((kept, scores)) = components(run, &rows, &options.components())? {
            let neighbourhoods = kept.iter().map(|&i| spots[metacells[i].0].clone()).collect();
            out.push(Embedding { cell_type, neighbourhoods, scores });
        }
        task.advance(1);
    }
    drop(task);
    if out.len() < 2 {
        return Err(Fault::bad_input(format!(
            "{} cell types have enough cells and neighbourhoods, 2 are needed: a type has more than {} cells, and metacells \
             at 5 places",
            out.len(),
            options.k
        ))
        .at("cell_type")
        .hint("lower k or min_features, or widen the radius"));
    }
    Ok(out)
}

/// The nearest neighbourhood of each cell, and whether it is near enough. Cells that were not kept have none.
fn placed(
    n: usize,
    kept: &[usize],
    (cx, cy): (&[f64], &[f64]),
    (sx, sy): (&[f64], &[f64]),
    radius: f64,
) -> (Vec<Option<(usize, f64)>>, Vec<Placed>) {
    let tree = Tree::new(side_by_side(sx, sy), 2);
    let (mut nearest, mut reason) = (vec![None; n], vec![Placed::FewGenes; n]);
    for ((&cell, &x), &y) in kept.iter().zip(cx).zip(cy) {
        nearest[cell] = tree.nearest(&[x, y], 1).first().copied();
        let near = nearest[cell].is_some_and(|(_, far)| far <= radius);
        reason[cell] = if near { Placed::Ok } else { Placed::TooFar };
    }
    (nearest, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::{SimulateOptions, simulate};
    use ferrocyte_learn::adjusted_rand;

    fn code(labels: &[String]) -> Vec<u32> {
        let levels = collate::sorted(labels);
        collate::codes(labels, &levels).into_iter().flatten().map(|c| c as u32).collect()
    }

    #[test]
    fn planted_ecotypes_are_found() -> Result<()> {
        let run = Run::new();
        let planted =
            SimulateOptions { samples: 1, cells: 1500, strength: 2.0, depth: 600.0, ..SimulateOptions::default() };
        let study = simulate(&run, &planted)?;
        let mut x = study.counts;
        x.log_normalize()?;
        let places = (&study.x[..], &study.y[..]);
        let options = DiscoverOptions { radius: 30.0, grid_size: Some(18.0), k: 10, ..DiscoverOptions::default() };
        let found = discover(&Run::new().threads(1), &x, places, &study.cell_type, &options, None)?;
        let same = discover(&Run::new().threads(3), &x, places, &study.cell_type, &options, None)?;
        assert_eq!(found, same);
        let clusters = found.cluster_of_cells();
        let known: Vec<usize> =
            (0..x.n_cells()).filter(|&c| study.ecotype[c] != "nonSE" && clusters[c].is_some()).collect();
        assert!(known.len() > 1200, "{}", known.len());
        let truth = code(&known.iter().map(|&c| study.ecotype[c].clone()).collect::<Vec<_>>());
        let labels: Vec<u32> = known.iter().filter_map(|&c| clusters[c]).collect();
        let agreement = adjusted_rand(&truth, &labels)?;
        assert!(agreement > 0.5, "{agreement}");
        assert_eq!(found.table("SE", "NewSE").n_rows(), found.neighbourhoods.len());
        Ok(())
    }

    #[test]
    fn what_is_too_little_is_named() -> Result<()> {
        let run = Run::new();
        let study = simulate(&run, &SimulateOptions { samples: 1, cells: 300, ..SimulateOptions::default() })?;
        let places = (&study.x[..], &study.y[..]);
        let find = |options: &DiscoverOptions| {
            discover(&run, &study.counts, places, &study.cell_type, options, None).map(|_| ())
        };
        let usual = DiscoverOptions::default();
        let fault = find(&DiscoverOptions { k: 299, ..usual.clone() });
        assert!(fault.is_err_and(|f| f.place() == Some("cell_type")));
        let fault = find(&DiscoverOptions { types_needed: vec!["type1".into(), "type9".into()], ..usual.clone() });
        assert!(fault.is_err_and(|f| f.message().starts_with("0 neighbourhoods")));
        assert!(find(&DiscoverOptions { radius: 0.0, ..usual.clone() }).is_err());
        let fault = discover(&run, &study.counts, (&study.x[1..], &study.y), &study.cell_type, &usual, None);
        assert!(fault.is_err_and(|f| f.place() == Some("X")));
        Ok(())
    }
}
