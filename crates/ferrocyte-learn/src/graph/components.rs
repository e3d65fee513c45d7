//! [`Components`]: which points can be reached from which.

use super::Graph;

/// The connected components of a graph, the largest first, equal ones by their first point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Components {
    /// The component of each point, from 0.
    pub labels: Vec<u32>,
    /// How many points each has.
    pub sizes: Vec<usize>,
}

impl Components {
    /// Finds them.
    pub fn of(graph: &Graph) -> Self {
        let mut labels = vec![u32::MAX; graph.n()];
        let mut sizes = Vec::new();
        let mut stack = Vec::new();
        for first in 0..graph.n() {
            if labels[first] != u32::MAX {
                continue;
            }
            let label = sizes.len() as u32;
            let mut size = 0;
            labels[first] = label;
            stack.push(first as u32);
            while let Some(i) = stack.pop() {
                size += 1;
                for &j in graph.row(i as usize).0 {
                    if labels[j as usize] == u32::MAX {
                        labels[j as usize] = label;
                        stack.push(j);
                    }
                }
            }
            sizes.push(size);
        }
        let n_components = sizes.len();
        let labels = by_size(&labels, n_components);
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        Self { labels, sizes }
    }

    /// How many there are.
    pub fn n(&self) -> usize {
        self.sizes.len()
    }

    /// The points of one component, rising.
    pub fn points(&self, component: usize) -> Vec<u32> {
        (0..self.labels.len() as u32).filter(|i| self.labels[*i as usize] as usize == component).collect()
    }
}

/// Labels (below `n_labels`) renumbered by decreasing size, equal sizes by their first point.
pub(crate) fn by_size(labels: &[u32], n_labels: usize) -> Vec<u32> {
    let mut sizes = vec![0_usize; n_labels];
    let mut firsts = vec![usize::MAX; n_labels];
    for (i, label) in labels.iter().enumerate() {
        sizes[*label as usize] += 1;
        firsts[*label as usize] = firsts[*label as usize].min(i);
    }
    let mut order: Vec<usize> = (0..n_labels).collect();
    order.sort_unstable_by_key(|c| (std::cmp::Reverse(sizes[*c]), firsts[*c]));
    let mut rank = vec![0; n_labels];
    order.iter().enumerate().for_each(|(r, c)| rank[*c] = r as u32);
    labels.iter().map(|label| rank[*label as usize]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_base::Result;

    #[test]
    fn components_come_by_size() -> Result<()> {
        // 0 - 4, 1 - 3 - 5, 2 alone.
        let graph = Graph::new(vec![0, 1, 2, 2, 4, 5, 6], vec![4, 3, 1, 5, 0, 3], vec![1.0; 6])?;
        let found = Components::of(&graph);
        assert_eq!((found.labels.as_slice(), found.sizes.as_slice()), (&[1, 0, 2, 0, 1, 0][..], &[3, 2, 1][..]));
        assert_eq!((found.n(), found.points(1)), (3, vec![0, 4]));
        Ok(())
    }
}
