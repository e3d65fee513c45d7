//! [`Neighbours`]: the nearest neighbours of every point.

use ferrocyte_base::{Fault, Result};

use super::settled::Row;

/// For each of `n` points its `k` nearest: indices and distances, point after point.
///
/// The point itself comes first, the others by rising distance.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbours {
    k: usize,
    indices: Vec<u32>,
    distances: Vec<f64>,
    recall: Option<f64>,
}

impl Neighbours {
    /// Neighbours that were found elsewhere: `indices` and `distances` are `n` rows of `k`, the point itself first.
    ///
    /// # Errors
    ///
    /// Lengths that disagree, an index beyond the points, a point that is not its own first neighbour or another's
    /// twice, distances that are negative, not finite, or fall along a row.
    pub fn new(indices: Vec<u32>, distances: Vec<f64>, k: usize) -> Result<Self> {
        if k == 0 || !indices.len().is_multiple_of(k) || indices.len() != distances.len() {
            return Err(Fault::bad_input(format!(
                "rows of {k} neighbours were expected, found {} indices and {} distances",
                indices.len(),
                distances.len()
            )));
        }
        let n = indices.len() / k;
        let mut seen = vec![u32::MAX; n];
        for (i, (row, far)) in indices.chunks_exact(k).zip(distances.chunks_exact(k)).enumerate() {
            let fault = |what: String| Err(Fault::bad_input(what).at(format!("neighbours of point {i}")));
            if row[0] as usize != i {
                return fault(format!("the first neighbour of a point is itself, found {}", row[0]));
            }
            for &j in row {
                match seen.get_mut(j as usize) {
                    None => return fault(format!("neighbour {j} is not one of {n} points")),
                    Some(last) if *last == i as u32 => return fault(format!("neighbour {j} is there twice")),
                    Some(last) => *last = i as u32,
                }
            }
            if !far.iter().all(|x| *x >= 0.0 && x.is_finite()) || !far.is_sorted() {
                return fault("distances are finite, not negative and rise along a row; these are not".into());
            }
        }
        Ok(Self { k, indices, distances, recall: None })
    }

    /// Rows of `n` points that are known to be right. Each part is given back as soon as its rows stand in their places.
    pub(super) fn from_parts(n: usize, k: usize, parts: Vec<Part>, recall: Option<f64>) -> Self {
        let (mut indices, mut distances) = (vec![0; n * k], vec![0.0; n * k]);
        for part in parts {
            for (row, far) in part.indices.chunks_exact(k).zip(part.distances.chunks_exact(k)) {
                let at = row[0] as usize * k;
                indices[at..at + k].copy_from_slice(row);
                distances[at..at + k].copy_from_slice(far);
            }
        }
        Self { k, indices, distances, recall }
    }

    /// How many points there are.
    pub fn n(&self) -> usize {
        self.indices.len() / self.k
    }

    /// Neighbours of each point, itself included.
    pub fn k(&self) -> usize {
        self.k
    }

    /// All indices, point after point.
    pub fn indices(&self) -> &[u32] {
        &self.indices
    }

    /// All distances, point after point.
    pub fn distances(&self) -> &[f64] {
        &self.distances
    }

    /// The neighbours of one point, itself first.
    pub fn row(&self, i: usize) -> &[u32] {
        &self.indices[i * self.k..(i + 1) * self.k]
    }

    /// The distances to the neighbours of one point.
    pub fn row_distances(&self, i: usize) -> &[f64] {
        &self.distances[i * self.k..(i + 1) * self.k]
    }

    /// The share of the true neighbours that was found on a sample of points; nothing after an exact search.
    pub fn recall(&self) -> Option<f64> {
        self.recall
    }

    /// The `k` nearest of these only; all, where there are not more.
    #[must_use]
    pub fn nearest(&self, k: usize) -> Self {
        let k = k.clamp(1, self.k);
        let cut = |i: usize| i * self.k..i * self.k + k;
        Self {
            k,
            indices: (0..self.n()).flat_map(|i| self.indices[cut(i)].iter().copied()).collect(),
            distances: (0..self.n()).flat_map(|i| self.distances[cut(i)].iter().copied()).collect(),
            recall: self.recall,
        }
    }
}

/// The rows of some points, one after the other.
pub(super) struct Part {
    indices: Vec<u32>,
    distances: Vec<f64>,
}

impl Part {
    /// Without the room that rows have to grow.
    pub(super) fn new(rows: &[Row]) -> Self {
        let length = rows.iter().map(Vec::len).sum();
        let (mut indices, mut distances) = (Vec::with_capacity(length), Vec::with_capacity(length));
        for (distance, index) in rows.iter().flatten() {
            indices.push(*index);
            distances.push(*distance);
        }
        Self { indices, distances }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_is_checked() {
        let good = Neighbours::new(vec![0, 1, 1, 0], vec![0.0, 2.0, 0.0, 2.0], 2);
        assert!(good.is_ok_and(|n| n.n() == 2 && n.row(1) == [1, 0] && n.nearest(1).indices() == [0, 1]));
        let bad = |indices: &[u32], distances: &[f64], word: &str| {
            let found = Neighbours::new(indices.to_vec(), distances.to_vec(), 2).map(|_| ());
            assert!(found.is_err_and(|f| f.to_string().contains(word)), "{word}");
        };
        bad(&[0, 1, 1], &[0.0; 3], "rows of 2");
        bad(&[0, 1, 0, 1], &[0.0; 4], "itself");
        bad(&[0, 2, 1, 0], &[0.0; 4], "not one of");
        bad(&[0, 0, 1, 0], &[0.0; 4], "twice");
        bad(&[0, 1, 1, 0], &[0.0, 1.0, 2.0, 1.0], "rise");
        bad(&[0, 1, 1, 0], &[0.0, f64::NAN, 0.0, 1.0], "rise");
    }
}
