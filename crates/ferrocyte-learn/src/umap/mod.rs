//! UMAP: points in few dimensions, such that those joined in a graph are near and others are not (L. McInnes, J. Healy
//! and J. Melville, *UMAP: uniform manifold approximation and projection*, 2018).
//!
//! A start ([`start`]), mostly from eigenvectors of the graph ([`spectral`]), is improved by descent along sampled
//! gradients ([`layout`]). In each move every point looks at where the others were after the last one, so that the
//! points can move at once, on any number of threads, to the same places.

mod curve;
mod layout;
mod spectral;
mod start;

use ferrocyte_base::{Fault, Result, Run};

use crate::{Graph, Points};

pub use curve::{Curve, curve};

/// Where points are before they move.
#[derive(Debug, Clone, Copy, Default)]
pub enum Start<'a> {
    /// Eigenvectors of the graph. Components of the graph are laid out one by one and placed on the axes.
    #[default]
    Spectral,
    /// The same; components are placed by their centres in these points, where there are more than ends of axes.
    SpectralOf(Points<'a>),
    /// Anywhere.
    Random,
    /// Given places, one row for each point, scaled to the size of the others.
    Given(Points<'a>),
}

/// How an embedding is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UmapOptions {
    /// Dimensions, 1 to 16.
    pub dims: usize,
    /// How near points come to one another, from 0 to `spread`.
    pub min_dist: f64,
    /// The scale of the embedding.
    pub spread: f64,
    /// The curve, where it is known; nothing: the one of `min_dist` and `spread`.
    pub curve: Option<Curve>,
    /// Rounds of moves; nothing: 500 up to 10,000 points, 200 beyond.
    pub n_epochs: Option<usize>,
    /// Points that push for each that pulls.
    pub negatives: f64,
    /// How far the first moves go; moves shrink evenly to none at the end.
    pub learning_rate: f64,
    /// How hard points push.
    pub repulsion: f64,
    /// From what start and moves follow.
    pub seed: u64,
}

impl Default for UmapOptions {
    /// Two dimensions, `min_dist` 0.5, spread 1, automatic epochs, 5 negatives, learning rate 1, repulsion 1, seed 0.
    fn default() -> Self {
        Self {
            dims: 2,
            min_dist: 0.5,
            spread: 1.0,
            curve: None,
            n_epochs: None,
            negatives: 5.0,
            learning_rate: 1.0,
            repulsion: 1.0,
            seed: 0,
        }
    }
}

/// Points in few dimensions.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// Coordinates, point after point.
    pub coordinates: Vec<f32>,
    /// How many each point has.
    pub dims: usize,
    /// The curve between distance and sureness.
    pub curve: Curve,
    /// Rounds of moves that were made.
    pub n_epochs: usize,
}

/// Most dimensions.
const MOST_DIMS: usize = 16;

/// An embedding of the points of `graph`; depends on the graph, the start and the options alone.
///
/// # Errors
///
/// Options out of their range, a start with another number of points or of dimensions than asked for.
pub fn umap(run: &Run, graph: &Graph, start: Start<'_>, options: &UmapOptions) -> Result<Embedding> {
    check(options)?;
    let curve = match options.curve {
        Some(curve) => curve,
        None => curve(options.min_dist, options.spread)?,
    };
    let n_epochs = match options.n_epochs {
        Some(n) => n,
        None if graph.n() <= 10_000 => 500,
        None => 200,
    };
    let mut places = start::places(run, graph, start, options)?;
    layout::improve(run, graph, &mut places, &curve, n_epochs, options)?;
    Ok(Embedding { coordinates: places, dims: options.dims, curve, n_epochs })
}

fn check(options: &UmapOptions) -> Result<()> {
    if !(1..=MOST_DIMS).contains(&options.dims) {
        return Err(Fault::bad_input(format!("1 to {MOST_DIMS} dimensions were expected, found {}", options.dims)));
    }
    if let Some(Curve { a, b }) = options.curve
        && !(a > 0.0 && b > 0.0 && a.is_finite() && b.is_finite())
    {
        return Err(Fault::bad_input(format!("`a` and `b` are numbers above 0, found {a} and {b}")));
    }
    for (name, value) in
        [("negatives", options.negatives), ("learning_rate", options.learning_rate), ("repulsion", options.repulsion)]
    {
        if !(value >= 0.0 && value.is_finite()) {
            return Err(Fault::bad_input(format!("`{name}` is a number from 0 up, found {value}")));
        }
    }
    Ok(())
}
