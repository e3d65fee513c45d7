//! The Leiden algorithm (V. A. Traag, L. Waltman and N. J. van Eck, *From Louvain to Leiden: guaranteeing
//! well-connected communities*, 2019) for modularity with a resolution.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::random::Stream;

use super::level::Level;
use super::{Communities, check_resolution, compact, in_place, modularity, moving, refine};
use crate::Graph;

/// How communities are sought.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LeidenOptions {
    /// The larger, the more communities; 1 is classical modularity.
    pub resolution: f64,
    /// How random the refinement is, in units of weight; 0 takes the largest gain.
    pub randomness: f64,
    /// Runs through all levels, each from the communities of the one before; nothing: until modularity gains no more.
    pub n_iterations: Option<usize>,
    /// Random orders that are tried, of which the best communities are taken; nothing: 3 up to 10,000 points, 1 beyond.
    pub n_starts: Option<usize>,
    /// From what the random orders follow.
    pub seed: u64,
}

impl Default for LeidenOptions {
    /// Resolution 1, randomness 0.01, two iterations, automatic starts, seed 0.
    fn default() -> Self {
        Self { resolution: 1.0, randomness: 0.01, n_iterations: Some(2), n_starts: None, seed: 0 }
    }
}

/// Up to so many points several starts take no time to speak of.
const FEW: usize = 10_000;

/// Most iterations where their number is left open.
const MOST: usize = 1000;

/// Communities of a graph. All are connected; they depend on the graph and the options alone.
///
/// # Errors
///
/// A resolution or randomness that is negative or not finite, or no iteration.
///
/// ```
/// use ferrocyte_base::Run;
/// use ferrocyte_learn::{Graph, LeidenOptions, leiden};
/// // 0 - 1 - 2 - 3, with a weak edge in the middle.
/// let weights = vec![2.0, 2.0, 0.1, 0.1, 2.0, 2.0];
/// let graph = Graph::new(vec![0, 1, 3, 5, 6], vec![1, 0, 2, 1, 3, 2], weights)?;
/// assert_eq!(leiden(&Run::new(), &graph, &LeidenOptions::default())?.labels, [0, 0, 1, 1]);
/// # Ok::<(), ferrocyte_base::Fault>(())
/// ```
pub fn leiden(run: &Run, graph: &Graph, options: &LeidenOptions) -> Result<Communities> {
    check(options)?;
    let (level, order) = Level::new(graph);
    of_level(run, graph, &level, &order, options)
}

/// [`leiden`] with several options, such as resolutions or seeds, side by side.
pub fn leiden_many(run: &Run, graph: &Graph, options: &[LeidenOptions]) -> Result<Vec<Communities>> {
    options.iter().try_for_each(check)?;
    let (level, order) = Level::new(graph);
    run.map_blocks("leiden", options.len(), 1, |t| of_level(run, graph, &level, &order, &options[t]))
}

fn check(options: &LeidenOptions) -> Result<()> {
    check_resolution(options.resolution)?;
    if !(options.randomness >= 0.0 && options.randomness.is_finite()) {
        return Err(Fault::bad_input(format!("randomness is a number from 0 up, found {}", options.randomness)));
    }
    if options.n_iterations == Some(0) || options.n_starts == Some(0) {
        return Err(Fault::bad_input("at least one iteration and one start were expected, found 0"));
    }
    Ok(())
}

/// Communities of a level that has the points of `graph` in `order`: the best of all starts, the first of equal ones.
fn of_level(run: &Run, graph: &Graph, level: &Level, order: &[u32], options: &LeidenOptions) -> Result<Communities> {
    let mut best = of_start(run, graph, level, order, options, 0)?;
    let n_starts = options.n_starts.unwrap_or(if graph.n() <= FEW { 3 } else { 1 });
    for start in 1..n_starts {
        let found = of_start(run, graph, level, order, options, start)?;
        if found.modularity > best.modularity {
            best = found;
        }
    }
    Ok(best)
}

fn of_start(
    run: &Run,
    graph: &Graph,
    level: &Level,
    order: &[u32],
    options: &LeidenOptions,
    start: usize,
) -> Result<Communities> {
    let mut labels: Vec<u32> = (0..graph.n() as u32).collect();
    let mut iterations = 0;
    let mut reached = f64::NEG_INFINITY;
    while iterations < options.n_iterations.unwrap_or(MOST) {
        run.check()?;
        let mut draws = Stream::new(options.seed, (start * MOST + iterations) as u64);
        let found = iterate(level, &labels, options, &mut draws);
        iterations += 1;
        if options.n_iterations.is_none() {
            let now = modularity(graph, &in_place(&found, order), options.resolution)?;
            // An iteration may exchange communities of equal modularity for ever.
            if now <= reached + 1e-12 {
                break;
            }
            reached = now;
        }
        labels = found;
    }
    let labels = in_place(&connected(level, &labels), order);
    Communities::settle(graph, &labels, options.resolution, iterations)
}

/// One run through all levels, from given communities of the points.
fn iterate(level: &Level, start: &[u32], options: &LeidenOptions, draws: &mut Stream) -> Vec<u32> {
    let mut labels = start.to_vec();
    let (mut n_labels, _) = moving::settle(level, &mut labels, options.resolution, draws);
    // The point of the current level that each point of the graph belongs to, and the level itself.
    let mut point: Vec<u32> = (0..level.n() as u32).collect();
    let mut above: Option<Level> = None;
    loop {
        let here = above.as_ref().unwrap_or(level);
        if n_labels == here.n() {
            break;
        }
        let (mut groups, mut n_groups) =
            refine::refine(here, &labels, n_labels, options.resolution, options.randomness, draws);
        if n_groups == here.n() {
            // Nothing held together: the communities themselves go up, or there would be no end.
            (groups, n_groups) = (labels.clone(), n_labels);
        }
        let mut upper_labels = vec![0; n_groups];
        groups.iter().zip(&labels).for_each(|(g, c)| upper_labels[*g as usize] = *c);
        let upper = here.grouped(&groups, n_groups);
        point.iter_mut().for_each(|p| *p = groups[*p as usize]);
        labels = upper_labels;
        (n_labels, _) = moving::settle(&upper, &mut labels, options.resolution, draws);
        above = Some(upper);
    }
    point.iter().map(|p| labels[*p as usize]).collect()
}

/// Communities cut into connected parts: a part that nothing joins to the rest is better alone.
fn connected(level: &Level, labels: &[u32]) -> Vec<u32> {
    let mut parts = vec![u32::MAX; labels.len()];
    let mut stack = Vec::new();
    for first in 0..labels.len() {
        if parts[first] != u32::MAX {
            continue;
        }
        parts[first] = first as u32;
        stack.push(first as u32);
        while let Some(i) = stack.pop() {
            for (j, _) in level.row(i as usize) {
                if parts[*j as usize] == u32::MAX && labels[*j as usize] == labels[i as usize] {
                    parts[*j as usize] = first as u32;
                    stack.push(*j);
                }
            }
        }
    }
    compact(&mut parts);
    parts
}
