//! [`Level`]: a graph as the community finders walk it, and the smaller one of its communities.

use crate::Graph;

/// A graph whose points may stand for many of the graph below.
pub(super) struct Level {
    starts: Vec<usize>,
    /// Neighbour and weight side by side: they are always read together.
    ends: Vec<(u32, f32)>,
    /// Of each point the sum of all its weights, those within it counted twice.
    pub(super) degrees: Vec<f64>,
    /// The sum of the degrees.
    pub(super) total: f64,
}

impl Level {
    /// The points of `graph` in an order in which neighbours stand near one another, so that walking from one to the
    /// next stays within the processor's memory; and that order.
    pub(super) fn new(graph: &Graph) -> (Self, Vec<u32>) {
        let order = by_breadth(graph);
        let mut place = vec![0; graph.n()];
        order.iter().enumerate().for_each(|(t, i)| place[*i as usize] = t as u32);
        let (mut starts, mut ends) = (Vec::with_capacity(graph.n() + 1), Vec::with_capacity(graph.n_stored()));
        let mut degrees = Vec::with_capacity(graph.n());
        starts.push(0);
        for i in &order {
            let (neighbours, weights) = graph.row(*i as usize);
            ends.extend(neighbours.iter().zip(weights).map(|(j, w)| (place[*j as usize], *w)));
            starts.push(ends.len());
            degrees.push(weights.iter().map(|w| f64::from(*w)).sum());
        }
        (Self { starts, ends, total: degrees.iter().sum(), degrees }, order)
    }

    pub(super) fn n(&self) -> usize {
        self.degrees.len()
    }

    /// The neighbours of a point and the weights of its edges.
    #[inline]
    pub(super) fn row(&self, i: usize) -> &[(u32, f32)] {
        &self.ends[self.starts[i]..self.starts[i + 1]]
    }

    /// The graph whose points are the groups of this one, `n_groups` of them.
    pub(super) fn grouped(&self, groups: &[u32], n_groups: usize) -> Self {
        let mut firsts = vec![0_usize; n_groups + 1];
        groups.iter().for_each(|g| firsts[*g as usize + 1] += 1);
        for g in 0..n_groups {
            firsts[g + 1] += firsts[g];
        }
        let mut next = firsts.clone();
        let mut members = vec![0_u32; self.n()];
        for (i, g) in groups.iter().enumerate() {
            members[next[*g as usize]] = i as u32;
            next[*g as usize] += 1;
        }
        let mut degrees = vec![0.0; n_groups];
        let mut reached = Reached::new(n_groups);
        let (mut starts, mut ends) = (Vec::with_capacity(n_groups + 1), Vec::new());
        starts.push(0);
        for g in 0..n_groups {
            for i in &members[firsts[g]..firsts[g + 1]] {
                degrees[g] += self.degrees[*i as usize];
                for (j, w) in self.row(*i as usize) {
                    reached.add(groups[*j as usize], *w);
                }
            }
            let others = reached.found().iter().filter(|h| **h as usize != g);
            ends.extend(others.map(|h| (*h, reached.weight(*h) as f32)));
            reached.clear();
            starts.push(ends.len());
        }
        Self { starts, ends, degrees, total: self.total }
    }
}

/// All points, component by component, each before those that are reached through it.
fn by_breadth(graph: &Graph) -> Vec<u32> {
    let mut order = Vec::with_capacity(graph.n());
    let mut seen = vec![false; graph.n()];
    for first in 0..graph.n() {
        if seen[first] {
            continue;
        }
        seen[first] = true;
        let mut next = order.len();
        order.push(first as u32);
        while next < order.len() {
            for j in graph.row(order[next] as usize).0 {
                if !seen[*j as usize] {
                    seen[*j as usize] = true;
                    order.push(*j);
                }
            }
            next += 1;
        }
    }
    order
}

/// The weights by which one point reaches groups, added up without hashing.
pub(super) struct Reached {
    weights: Vec<f64>,
    /// Groups that were reached, in the order in which they were: the first `n_found`, and a place to write to.
    found: Vec<u32>,
    n_found: usize,
}

impl Reached {
    pub(super) fn new(n_groups: usize) -> Self {
        Self { weights: vec![-1.0; n_groups], found: vec![0; n_groups + 1], n_found: 0 }
    }

    /// Written without a branch, since it cannot be foreseen which groups are new.
    #[inline]
    pub(super) fn add(&mut self, group: u32, weight: f32) {
        let sum = &mut self.weights[group as usize];
        self.found[self.n_found] = group;
        // Weights are positive, so that less than 0 says that nothing was added yet.
        self.n_found += usize::from(*sum < 0.0);
        *sum = sum.max(0.0) + f64::from(weight);
    }

    /// The groups that were reached, in the order in which they were.
    pub(super) fn found(&self) -> &[u32] {
        &self.found[..self.n_found]
    }

    /// What was added for a group, 0 if nothing.
    #[inline]
    pub(super) fn weight(&self, group: u32) -> f64 {
        self.weights[group as usize].max(0.0)
    }

    pub(super) fn clear(&mut self) {
        for group in &self.found[..self.n_found] {
            self.weights[*group as usize] = -1.0;
        }
        self.n_found = 0;
    }
}
