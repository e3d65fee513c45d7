//! [`Graph`]: points joined by weighted edges, and the graphs that come of nearest neighbours.

mod components;
mod fuzzy;
mod gauss;
mod jaccard;
mod symmetric;

use ferrocyte_base::{Fault, Result};

pub use components::Components;
pub(crate) use components::by_size;
pub use fuzzy::{Smooth, connectivities, smooth_distances};
pub use gauss::gauss;
pub use jaccard::jaccard;

/// An undirected graph without loops: for each point its neighbours, in rising order, and the weights of its edges.
///
/// Each edge is stored at both of its ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    starts: Vec<usize>,
    neighbours: Vec<u32>,
    weights: Vec<f32>,
}

impl Graph {
    /// A graph from compressed rows: the neighbours of point `i` are `neighbours[starts[i]..starts[i + 1]]`.
    ///
    /// # Errors
    ///
    /// Arrays that disagree, a neighbour that is beyond the points, the point itself, or out of order; a weight that is
    /// not positive and finite; an edge that the other end does not have, or has with another weight.
    pub fn new(starts: Vec<usize>, neighbours: Vec<u32>, weights: Vec<f32>) -> Result<Self> {
        let n = starts.len().saturating_sub(1);
        let fits = starts.first() == Some(&0) && starts.is_sorted() && starts.last() == Some(&neighbours.len());
        if !fits || neighbours.len() != weights.len() {
            return Err(Fault::bad_input(format!(
                "starts that rise from 0 to the number of neighbours were expected, and a weight for each; found {} \
                 starts, {} neighbours and {} weights",
                starts.len(),
                neighbours.len(),
                weights.len()
            )));
        }
        let graph = Self { starts, neighbours, weights };
        for i in 0..n {
            graph.check_row(i).map_err(|message| Fault::bad_input(message).at(format!("point {i} of the graph")))?;
        }
        graph.check_symmetry()?;
        Ok(graph)
    }

    /// Rows that are known to be right, some at a time: how many each has, neighbours and weights. Each part is given
    /// back as soon as it is copied.
    fn from_rows(parts: Vec<(Vec<usize>, Vec<u32>, Vec<f32>)>) -> Self {
        let n = parts.iter().map(|(lengths, ..)| lengths.len()).sum::<usize>();
        let n_stored = parts.iter().map(|(_, neighbours, _)| neighbours.len()).sum();
        let mut graph = Self {
            starts: Vec::with_capacity(n + 1),
            neighbours: Vec::with_capacity(n_stored),
            weights: Vec::with_capacity(n_stored),
        };
        graph.starts.push(0);
        for (lengths, neighbours, weights) in parts {
            for length in lengths {
                graph.starts.push(graph.starts[graph.starts.len() - 1] + length);
            }
            graph.neighbours.extend(neighbours);
            graph.weights.extend(weights);
        }
        graph
    }

    /// Where the neighbours of each point begin, all neighbours, and all weights.
    pub fn into_parts(self) -> (Vec<usize>, Vec<u32>, Vec<f32>) {
        (self.starts, self.neighbours, self.weights)
    }

    fn check_row(&self, i: usize) -> std::result::Result<(), String> {
        let n = self.n();
        let (neighbours, weights) = self.row(i);
        if let Some(j) = neighbours.iter().find(|j| **j as usize >= n) {
            return Err(format!("neighbour {j} is not one of {n} points"));
        }
        if neighbours.contains(&(i as u32)) {
            return Err("a point is not joined to itself".into());
        }
        if let Some(t) = (1..neighbours.len()).find(|t| neighbours[t - 1] >= neighbours[*t]) {
            return Err(format!("neighbours rise, found {} before {}", neighbours[t - 1], neighbours[t]));
        }
        match weights.iter().find(|w| !(**w > 0.0 && w.is_finite())) {
            Some(w) => Err(format!("weights are positive and finite, found {w}")),
            None => Ok(()),
        }
    }

    /// Rows are visited in order, so that the ends of edges are met in order too.
    fn check_symmetry(&self) -> Result<()> {
        let mut next = self.starts.clone();
        for i in 0..self.n() {
            let (neighbours, weights) = self.row(i);
            for (j, w) in neighbours.iter().zip(weights) {
                let at = &mut next[*j as usize];
                let there = *at < self.starts[*j as usize + 1];
                if !there || self.neighbours[*at] as usize != i || self.weights[*at].to_bits() != w.to_bits() {
                    let message = format!("the edge from point {i} to {j} of weight {w} has no equal from {j} to {i}");
                    return Err(Fault::bad_input(message).hint("add the transpose of the matrix to it, halved"));
                }
                *at += 1;
            }
        }
        Ok(())
    }

    /// How many points there are.
    pub fn n(&self) -> usize {
        self.starts.len() - 1
    }

    /// How many ends of edges are stored: twice the number of edges.
    pub fn n_stored(&self) -> usize {
        self.neighbours.len()
    }

    /// Where the neighbours of each point begin, and the end of all.
    pub fn starts(&self) -> &[usize] {
        &self.starts
    }

    /// The neighbours of all points, point after point.
    pub fn neighbours(&self) -> &[u32] {
        &self.neighbours
    }

    /// The weights of all edges, point after point.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// The neighbours of one point and the weights of its edges.
    #[inline]
    pub fn row(&self, i: usize) -> (&[u32], &[f32]) {
        let range = self.starts[i]..self.starts[i + 1];
        (&self.neighbours[range.clone()], &self.weights[range])
    }

    /// The sum of the weights of the edges of each point.
    pub fn degrees(&self) -> Vec<f64> {
        (0..self.n()).map(|i| self.row(i).1.iter().map(|w| f64::from(*w)).sum()).collect()
    }

    /// The graph of some points (rising) and the edges between them; point `t` is `points[t]` of this graph.
    ///
    /// # Errors
    ///
    /// Points that do not rise or are not in the graph.
    pub fn induced(&self, points: &[u32]) -> Result<Self> {
        if points.windows(2).any(|pair| pair[0] >= pair[1]) || points.last().is_some_and(|i| *i as usize >= self.n()) {
            return Err(Fault::bad_input(format!("rising points below {} were expected", self.n())));
        }
        let mut place = vec![u32::MAX; self.n()];
        points.iter().enumerate().for_each(|(t, i)| place[*i as usize] = t as u32);
        let mut graph = Self { starts: vec![0], neighbours: Vec::new(), weights: Vec::new() };
        for i in points {
            let (neighbours, weights) = self.row(*i as usize);
            for (j, w) in neighbours.iter().zip(weights).filter(|(j, _)| place[**j as usize] != u32::MAX) {
                graph.neighbours.push(place[*j as usize]);
                graph.weights.push(*w);
            }
            graph.starts.push(graph.neighbours.len());
        }
        Ok(graph)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_is_checked() {
        let triangle = Graph::new(vec![0, 2, 4, 6], vec![1, 2, 0, 2, 0, 1], vec![1.0, 2.0, 1.0, 3.0, 2.0, 3.0]);
        assert!(triangle.as_ref().is_ok_and(|g| g.degrees() == [3.0, 4.0, 5.0] && g.n_stored() == 6));
        let part = triangle.and_then(|g| g.induced(&[1, 2]));
        assert!(part.is_ok_and(|g| g.row(0) == (&[1][..], &[3.0][..]) && g.n() == 2));
        let bad = |starts: [usize; 4], neighbours: [u32; 6], weights: &[f32], word: &str| {
            let fault = Graph::new(starts.to_vec(), neighbours.to_vec(), weights.to_vec()).map(|_| ());
            assert!(fault.as_ref().is_err_and(|f| f.to_string().contains(word)), "{word}: {fault:?}");
        };
        let (starts, neighbours, weights) = ([0, 2, 4, 6], [1, 2, 0, 2, 0, 1], [1.0, 2.0, 1.0, 3.0, 2.0, 3.0]);
        bad([0, 2, 4, 5], neighbours, &weights, "starts that rise");
        bad(starts, neighbours, &weights[..5], "a weight for each");
        bad(starts, [1, 3, 0, 2, 0, 1], &weights, "not one of 3 points");
        bad(starts, [0, 2, 0, 2, 0, 1], &weights, "itself");
        bad(starts, [2, 1, 0, 2, 0, 1], &weights, "neighbours rise");
        bad(starts, neighbours, &[1.0, 2.0, 1.0, f32::NAN, 2.0, 3.0], "positive and finite");
        bad(starts, neighbours, &[1.5, 2.0, 1.0, 3.0, 2.0, 3.0], "has no equal");
    }
}
