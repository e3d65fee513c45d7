//! Discovery in one call: of one tissue, and of several samples.

use std::path::PathBuf;

use ferrocyte_base::Result;
use ferrocyte_ecotype::discover::{
    ConserveOptions, Conserved, DiscoverOptions, FusionOptions, IntegrateOptions, Placed, Placing, Precision, Storage,
    Tissue, clusters, conserve, discover, fine_clusters,
};
use ferrocyte_ecotype::nmf::ClusterOptions;
use ferrocyte_io::scratch_file;
use numpy::PyReadonlyArray2;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::inputs::{Cells, dense};
use crate::faults::OrRaise;
use crate::monitor::{Means, attended};
use crate::sources::Held;
use crate::values::{matrix, table};

/// How ecotypes are found: `ferrocyte.ecotype._discover.Discovering`.
#[derive(FromPyObject)]
pub(crate) struct Discovering {
    radius: f64,
    grid_size: Option<f64>,
    resolution: f64,
    nfeatures: usize,
    min_types: usize,
    npcs: usize,
    min_cells: usize,
    min_features: usize,
    min_cells_per_region: usize,
    k: usize,
    k_sn: usize,
    types_needed: Vec<String>,
    neighbours: usize,
    iterations: usize,
    precision: String,
    starts: usize,
    seed: u32,
    ranks: Vec<usize>,
    runs_per_rank: usize,
    min_coph: f64,
    downsample_by_region: bool,
    scratch: Option<PathBuf>,
}

impl Discovering {
    fn fusion(&self) -> Result<FusionOptions> {
        let precision = Precision::from_word(&self.precision)?;
        Ok(FusionOptions { k: self.neighbours, iterations: self.iterations, precision })
    }

    fn tissue(&self) -> Result<DiscoverOptions> {
        Ok(DiscoverOptions {
            radius: self.radius,
            grid_size: self.grid_size,
            resolution: self.resolution,
            nfeatures: self.nfeatures,
            min_types: self.min_types,
            npcs: self.npcs,
            min_cells: self.min_cells,
            min_features: self.min_features,
            min_cells_per_region: self.min_cells_per_region,
            k: self.k,
            k_sn: self.k_sn,
            types_needed: self.types_needed.clone(),
            fusion: self.fusion()?,
            starts: self.starts,
            seed: u64::from(self.seed),
        })
    }

    fn samples(&self) -> Result<ConserveOptions> {
        Ok(ConserveOptions {
            subresolution: self.resolution,
            integrate: IntegrateOptions {
                nfeatures: self.nfeatures,
                min_features: self.min_features,
                fusion: self.fusion()?,
            },
            nmf: ClusterOptions {
                ranks: self.ranks.clone(),
                runs_per_rank: self.runs_per_rank,
                min_coph: self.min_coph,
                seed: self.seed,
                ..ClusterOptions::default()
            },
            downsample_by_region: self.downsample_by_region,
            seed: self.seed,
        })
    }
}

/// Room beside memory, in a folder or where the system keeps temporary files.
pub(super) fn room(folder: Option<PathBuf>) -> impl Fn(u64) -> Result<Box<dyn Storage>> + Sync {
    move |bytes| Ok(Box::new(scratch_file(folder.as_deref(), bytes)?))
}

/// A `dict` of `neighbourhoods` (a table, with clusters named by `naming`: column and prefix), `scores`, `cell_types`, and
/// for each cell `nearest` (-1 for none), `distance` and `reason`.
fn tissue_out<'py>(py: Python<'py>, found: Tissue, naming: (&str, &str)) -> PyResult<Bound<'py, PyDict>> {
    let out = PyDict::new(py);
    out.set_item("neighbourhoods", table(py, found.table(naming.0, naming.1))?)?;
    out.set_item("cell_types", &found.cell_types)?;
    let nearest: Vec<i64> = found.nearest.iter().map(|near| near.map_or(-1, |(spot, _)| spot as i64)).collect();
    let distance: Vec<f64> = found.nearest.iter().map(|near| near.map_or(f64::NAN, |(_, far)| far)).collect();
    out.set_item("nearest", nearest)?;
    out.set_item("distance", distance)?;
    out.set_item("reason", words(&found.reason))?;
    let (n, k) = (found.scores.n_rows(), found.scores.n_cols());
    out.set_item("scores", matrix(py, n, k, found.scores.into_entries())?)?;
    Ok(out)
}

fn words(reasons: &[Placed]) -> Vec<&'static str> {
    reasons.iter().map(|reason| reason.word()).collect()
}

/// The ecotypes of one tissue.
#[pyfunction]
pub(crate) fn ecotype_discover<'py>(
    py: Python<'py>,
    cells: Cells<'py>,
    places: (Vec<f64>, Vec<f64>),
    cell_type: Vec<String>,
    how: Discovering,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let options = how.tissue().or_raise(py)?;
    let room = room(how.scratch.clone());
    let (source, named) = cells.parts().or_raise(py)?;
    let held = Held::new(source)?;
    let mut source = held.open(py).or_raise(py)?;
    let found = attended(py, &means, |run| {
        let x = named.read(run, &mut *source)?;
        discover(run, &x, (&places.0, &places.1), &cell_type, &options, Some(&room))
    })?;
    tissue_out(py, found, ("SE", "NewSE"))
}

/// The community of each row of `scores`, from 0.
#[pyfunction]
pub(crate) fn ecotype_subclusters(
    py: Python<'_>,
    scores: PyReadonlyArray2<'_, f64>,
    resolution: f64,
    seed: u64,
    starts: usize,
    means: Means,
) -> PyResult<Vec<u32>> {
    let scores = dense(&scores);
    attended(py, &means, |run| clusters(run, &scores, resolution, seed, starts))
}

/// What is known of each cell: `(types, samples, regions)`.
type SampleColumns = (Vec<String>, Vec<String>, Option<Vec<String>>);

/// The ecotypes of several samples: a `dict` of `tissues` (pairs of sample and tissue, none where `known` clusters are given),
/// `initial` (clusters of cells), `clusters` (names, samples, ecotypes), `alike`, `cophenetic` (rank and value), `best_rank`
/// and `ecotype` (of each cell, 0 for none).
#[pyfunction]
pub(crate) fn ecotype_conserve<'py>(
    py: Python<'py>,
    cells: Cells<'py>,
    places: (Vec<f64>, Vec<f64>),
    columns: SampleColumns,
    known: Option<Vec<Option<String>>>,
    how: Discovering,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let (tissue, samples) = how.tissue().and_then(|tissue| Ok((tissue, how.samples()?))).or_raise(py)?;
    let room = room(how.scratch.clone());
    let (cell_type, sample, region) = &columns;
    let of = Placing { cell_type, sample, region: region.as_deref() };
    let (source, named) = cells.parts().or_raise(py)?;
    let held = Held::new(source)?;
    let mut source = held.open(py).or_raise(py)?;
    let (tissues, initial, found) = attended(py, &means, |run| {
        let x = named.read(run, &mut *source)?;
        let (tissues, initial) = match known {
            Some(known) => (Vec::new(), known),
            None => {
                let places = (&places.0[..], &places.1[..]);
                fine_clusters(run, &x, places, &of, &tissue, samples.subresolution, Some(&room))?
            }
        };
        let found = conserve(run, &x, &of, &initial, &samples, Some(&room))?;
        Ok((tissues, initial, found))
    })?;
    let tissues = tissues
        .into_iter()
        .map(|(sample, tissue)| Ok((sample, tissue_out(py, tissue, ("InitSE", "InitSE"))?)))
        .collect::<PyResult<Vec<_>>>()?;
    let out = conserved_out(py, found)?;
    out.set_item("tissues", tissues)?;
    out.set_item("initial", initial)?;
    Ok(out)
}

fn conserved_out(py: Python<'_>, found: Conserved) -> PyResult<Bound<'_, PyDict>> {
    let out = PyDict::new(py);
    let ecotype: Vec<usize> = found.of_cells.iter().map(|of| of.unwrap_or(0)).collect();
    let cophenetic: Vec<(usize, f64)> = found.clustering.ranks.iter().map(|of| (of.rank, of.cophenetic)).collect();
    out.set_item("ecotype", ecotype)?;
    out.set_item("cophenetic", cophenetic)?;
    out.set_item("best_rank", found.clustering.best_rank)?;
    out.set_item("clusters", (found.clusters, found.samples, found.ecotype))?;
    let n = found.alike.n_rows();
    out.set_item("alike", matrix(py, n, n, found.alike.into_entries())?)?;
    Ok(out)
}
