//! Communities of a graph: groups of points joined more than their degrees alone would have it.
//!
//! What is sought is high [`modularity`]. [`leiden`] and [`louvain`] move points between communities ([`moving`]) and
//! then take communities for points of a smaller graph ([`level`]); before it does so, Leiden takes each community
//! apart and puts it together again from what is well connected within ([`refine`]).

mod leiden;
mod level;
mod louvain;
mod modularity;
mod moving;
mod refine;

use ferrocyte_base::{Fault, Result};

pub use leiden::{LeidenOptions, leiden, leiden_many};
pub use louvain::{LouvainOptions, louvain};
pub use modularity::modularity;

use crate::Graph;
use crate::graph::by_size;

/// A division of the points of a graph, the largest community first, equal ones by their first point.
#[derive(Debug, Clone, PartialEq)]
pub struct Communities {
    /// The community of each point, from 0.
    pub labels: Vec<u32>,
    /// How many points each has, falling.
    pub sizes: Vec<usize>,
    /// The modularity with the resolution that was asked for.
    pub modularity: f64,
    /// How many iterations were made.
    pub iterations: usize,
}

impl Communities {
    /// Numbers communities by size and measures their modularity.
    fn settle(graph: &Graph, labels: &[u32], resolution: f64, iterations: usize) -> Result<Self> {
        let n_labels = labels.iter().max().map_or(0, |l| *l as usize + 1);
        let labels = by_size(labels, n_labels);
        let n = labels.iter().max().map_or(0, |l| *l as usize + 1);
        let mut sizes = vec![0; n];
        labels.iter().for_each(|l| sizes[*l as usize] += 1);
        let modularity = modularity(graph, &labels, resolution)?;
        Ok(Self { labels, sizes, modularity, iterations })
    }

    /// How many there are.
    pub fn n(&self) -> usize {
        self.sizes.len()
    }
}

fn check_resolution(resolution: f64) -> Result<()> {
    if resolution >= 0.0 && resolution.is_finite() {
        return Ok(());
    }
    Err(Fault::bad_input(format!("a resolution is a number from 0 up, found {resolution}")))
}

/// Labels of points that stand in `order`, as those of the points themselves.
fn in_place(labels: &[u32], order: &[u32]) -> Vec<u32> {
    let mut out = vec![0; labels.len()];
    order.iter().zip(labels).for_each(|(i, label)| out[*i as usize] = *label);
    out
}

/// Labels from 0 without gaps, in the order of their first point; and how many there are.
fn compact(labels: &mut [u32]) -> usize {
    let mut number = vec![u32::MAX; labels.iter().max().map_or(0, |l| *l as usize + 1)];
    let mut n = 0;
    for label in labels {
        let new = &mut number[*label as usize];
        if *new == u32::MAX {
            *new = n;
            n += 1;
        }
        *label = *new;
    }
    n as usize
}
