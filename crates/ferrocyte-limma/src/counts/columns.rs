//! Counts sample by sample: the columns of a matrix that is stored by genes.

use ferrocyte_base::{Result, Run};
use ferrocyte_math::linalg::MatrixRef;

/// Samples that are brought together at once: one row of the matrix gives some cache lines, and the columns fit a cache.
const TILE: usize = 32;

/// Genes that are moved at once: what they give to a column is one cache line.
const ROWS: usize = 8;

/// `f(sample, its counts, room)` for each of `samples`, in order; `room()` makes what a thread works with.
pub(crate) fn by_sample<T: Send, S>(
    run: &Run,
    task: &str,
    counts: MatrixRef<'_>,
    samples: &[usize],
    room: impl Fn() -> S + Sync,
    f: impl Fn(usize, &[f64], &mut S) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let n_genes = counts.n_rows();
    let parts = run.map_ranges(task, samples.len(), TILE, |range| {
        let samples = &samples[range];
        let mut columns = vec![0.0; samples.len() * n_genes];
        transpose(counts, samples, &mut columns);
        let mut room = room();
        samples.iter().enumerate().map(|(k, &j)| f(j, &columns[k * n_genes..(k + 1) * n_genes], &mut room)).collect()
    })?;
    Ok(parts.into_iter().flat_map(|part: Vec<T>| part).collect())
}

/// Copies some columns of the matrix, one after the other.
fn transpose(counts: MatrixRef<'_>, samples: &[usize], columns: &mut [f64]) {
    let n_genes = counts.n_rows();
    let Some(&first) = samples.first() else { return };
    // Samples that are left out break the row; mostly none are.
    let unbroken = samples.iter().enumerate().all(|(k, &j)| j == first + k);
    for start in (0..n_genes).step_by(ROWS) {
        if unbroken && start + ROWS <= n_genes {
            let rows: [&[f64]; ROWS] = std::array::from_fn(|i| &counts.row(start + i)[first..first + samples.len()]);
            for (k, column) in columns.chunks_exact_mut(n_genes).enumerate() {
                for (to, row) in column[start..start + ROWS].iter_mut().zip(&rows) {
                    *to = row[k];
                }
            }
            continue;
        }
        for (k, &j) in samples.iter().enumerate() {
            for g in start..(start + ROWS).min(n_genes) {
                columns[k * n_genes + g] = counts.row(g)[j];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_those_of_the_matrix() -> Result<()> {
        let entries: Vec<f64> = (0..13 * 40).map(f64::from).collect();
        let matrix = MatrixRef::from_rows(13, 40, &entries);
        let samples: Vec<usize> = (0..40).filter(|j| j % 7 != 3).collect();
        for threads in [1, 3] {
            let run = Run::new().threads(threads);
            let columns = by_sample(&run, "t", matrix, &samples, || (), |j, column, ()| Ok((j, column.to_vec())))?;
            assert_eq!(columns.len(), samples.len());
            for ((j, column), &sample) in columns.iter().zip(&samples) {
                assert_eq!(*j, sample);
                assert!((0..13).all(|g| column[g] == entries[g * 40 + j]));
            }
        }
        Ok(())
    }
}
