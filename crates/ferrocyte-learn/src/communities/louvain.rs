//! The Louvain algorithm (V. D. Blondel, J.-L. Guillaume, R. Lambiotte and E. Lefebvre, *Fast unfolding of communities
//! in large networks*, 2008) for modularity with a resolution. Its communities need not be connected: prefer
//! [`leiden`](super::leiden()).

use ferrocyte_base::{Result, Run};
use ferrocyte_math::random::Stream;

use super::level::Level;
use super::{Communities, check_resolution, in_place, moving};
use crate::Graph;

/// How communities are sought.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LouvainOptions {
    /// The larger, the more communities; 1 is classical modularity.
    pub resolution: f64,
    /// From what the random order follows.
    pub seed: u64,
}

impl Default for LouvainOptions {
    /// Resolution 1, seed 0.
    fn default() -> Self {
        Self { resolution: 1.0, seed: 0 }
    }
}

/// Communities of a graph; they depend on the graph and the options alone.
///
/// # Errors
///
/// A resolution that is negative or not finite.
pub fn louvain(run: &Run, graph: &Graph, options: &LouvainOptions) -> Result<Communities> {
    check_resolution(options.resolution)?;
    let mut draws = Stream::new(options.seed, 0);
    let mut point: Vec<u32> = (0..graph.n() as u32).collect();
    let (mut level, order) = Level::new(graph);
    let mut levels = 0;
    loop {
        run.check()?;
        let mut labels: Vec<u32> = (0..level.n() as u32).collect();
        let (n_labels, moved) = moving::settle(&level, &mut labels, options.resolution, &mut draws);
        if !moved {
            return Communities::settle(graph, &in_place(&point, &order), options.resolution, levels);
        }
        levels += 1;
        point.iter_mut().for_each(|p| *p = labels[*p as usize]);
        level = level.grouped(&labels, n_labels);
    }
}
