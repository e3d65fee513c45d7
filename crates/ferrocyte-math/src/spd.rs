//! One large symmetric positive definite matrix: its factor and its inverse, in place, on all threads of a run.
//!
//! The matrix is row-major and only its lower triangle is read. It is cut into square tiles of a fixed size; threads take
//! tiles, and the sums within a tile run in an order of their own, so that the bits do not depend on the number of threads.

use ferrocyte_base::{Result, Run};

use crate::linalg::{Block, Matrix, add_block_product, cholesky_in_place, divide_rows, solve_triangular};

/// Rows and columns of a tile.
const TILE: usize = 128;

/// The lower Cholesky factor of an `n × n` matrix, in place; what stands above the diagonal is lost.
///
/// Gives false where the matrix is not positive definite: then nothing in it can be used. Costs n³ / 3 operations.
pub fn factor(run: &Run, a: &mut [f64], n: usize) -> Result<bool> {
    let mut panel = Vec::new();
    for first in (0..n).step_by(TILE) {
        run.check()?;
        let last = (first + TILE).min(n);
        let width = last - first;
        let mut corner = tile(a, n, first, first, width, width);
        if cholesky_in_place(&mut corner).is_err() {
            return Ok(false);
        }
        for i in 0..width {
            corner.row_mut(i)[i + 1..].fill(0.0);
            a[(first + i) * n + first..(first + i) * n + last].copy_from_slice(corner.row(i));
        }
        let below = &mut a[last * n..];
        let corner = Block::new(corner.entries(), width, width, width);
        run.for_each_chunk(below, TILE * n, |_, rows| {
            let n_rows = rows.len() / n;
            divide_rows(corner, &mut rows[first..], n_rows, n);
        })?;
        panel.clear();
        below.chunks_exact(n).for_each(|row| panel.extend_from_slice(&row[first..last]));
        run.for_each_chunk(below, TILE * n, |k, rows| {
            let (n_rows, at) = (rows.len() / n, k * TILE);
            let own = Block::new(&panel[at * width..], n_rows, width, width);
            let others = Block::new(&panel, at + n_rows, width, width);
            add_block_product(&mut rows[last..], n, -1.0, own, others.transpose());
        })?;
    }
    Ok(true)
}

/// ln |A| from the factor of A.
pub fn ln_determinant(factor: &[f64], n: usize) -> f64 {
    2.0 * (0..n).map(|i| factor[i * n + i].ln()).sum::<f64>()
}

/// Solves `A X = B` in place from the factor of A; `rows` is row-major with `width` columns.
pub fn solve(factor: &[f64], n: usize, rows: &mut [f64], width: usize) {
    let block = Block::new(factor, n, n, n);
    solve_triangular(block, false, rows, width);
    solve_triangular(block, true, rows, width);
}

/// The lower triangle of the inverse of A, in the place of its factor. Costs 2 n³ / 3 operations.
pub fn invert_factor(run: &Run, a: &mut [f64], n: usize) -> Result<()> {
    invert_triangle(run, a, n)?;
    for first in (0..n).step_by(TILE) {
        run.check()?;
        let height = TILE.min(n - first);
        // Row block i of the inverse needs the rows from i on of L⁻¹, which are still there.
        let made = run.map_quietly(first + height, TILE, |columns| {
            let width = columns.len();
            let mut out = vec![0.0; height * width];
            let left = Block::new(&a[first * n + first..], n - first, height, n);
            let right = Block::new(&a[first * n + columns.start..], n - first, width, n);
            add_block_product(&mut out, width, 1.0, left.transpose(), right);
            Ok(out)
        })?;
        put(a, n, first, height, &made);
    }
    Ok(())
}

/// L⁻¹ in the place of L.
fn invert_triangle(run: &Run, a: &mut [f64], n: usize) -> Result<()> {
    for first in (0..n).step_by(TILE) {
        run.check()?;
        let height = TILE.min(n - first);
        let corner = tile(a, n, first, first, height, height);
        let block = Block::new(corner.entries(), height, height, height);
        let made = run.map_quietly(first, TILE, |columns| {
            let width = columns.len();
            let mut out = vec![0.0; height * width];
            let left = Block::new(&a[first * n + columns.start..], height, first - columns.start, n);
            let right = Block::new(&a[columns.start * n + columns.start..], first - columns.start, width, n);
            add_block_product(&mut out, width, -1.0, left, right);
            solve_triangular(block, false, &mut out, width);
            Ok(out)
        })?;
        put(a, n, first, height, &made);
        let mut inverse = vec![0.0; height * height];
        (0..height).for_each(|i| inverse[i * height + i] = 1.0);
        solve_triangular(block, false, &mut inverse, height);
        for i in 0..height {
            let at = (first + i) * n + first;
            a[at..at + height].copy_from_slice(&inverse[i * height..(i + 1) * height]);
        }
    }
    Ok(())
}

/// Copies the lower triangle above the diagonal.
pub fn mirror(a: &mut [f64], n: usize) {
    for first in (0..n).step_by(TILE) {
        for second in (0..=first).step_by(TILE) {
            for i in first..(first + TILE).min(n) {
                for j in second..(second + TILE).min(i) {
                    a[j * n + i] = a[i * n + j];
                }
            }
        }
    }
}

fn tile(a: &[f64], n: usize, row: usize, column: usize, n_rows: usize, n_cols: usize) -> Matrix {
    let rows = (row..row + n_rows).flat_map(|i| &a[i * n + column..i * n + column + n_cols]);
    Matrix::from_rows(n_rows, n_cols, rows.copied().collect())
}

/// Writes tiles side by side into rows `first..first + height`, from column 0 on.
fn put(a: &mut [f64], n: usize, first: usize, height: usize, tiles: &[Vec<f64>]) {
    for (k, tile) in tiles.iter().enumerate() {
        let width = tile.len() / height;
        for i in 0..height {
            let at = (first + i) * n + k * TILE;
            a[at..at + width].copy_from_slice(&tile[i * width..(i + 1) * width]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Well conditioned, of a size that is not a number of tiles.
    fn example(n: usize) -> Vec<f64> {
        let entry = |i: usize, j: usize| {
            let near = 1.0 / (1.0 + i.abs_diff(j) as f64);
            near * (0.3 * (i + j) as f64).cos() + if i == j { 9.0 } else { 0.0 }
        };
        (0..n * n).map(|k| entry(k / n, k % n)).collect()
    }

    #[test]
    fn the_inverse_undoes_the_matrix() -> Result<()> {
        for n in [1, 5, 128, 129, 301] {
            let (given, run) = (example(n), Run::new().threads(2));
            let mut a = given.clone();
            assert!(factor(&run, &mut a, n)?);
            let mut plain = Matrix::from_rows(n, n, given.clone());
            assert!(cholesky_in_place(&mut plain).is_ok());
            let expected = 2.0 * plain.diagonal().iter().map(|x| x.ln()).sum::<f64>();
            assert!((ln_determinant(&a, n) - expected).abs() < 1e-11 * n as f64);
            let mut x = vec![1.0; 2 * n];
            solve(&a, n, &mut x, 2);
            invert_factor(&run, &mut a, n)?;
            mirror(&mut a, n);
            let inverse = Matrix::from_rows(n, n, a);
            let unit = inverse.times(&Matrix::from_rows(n, n, given));
            for i in 0..n {
                assert!((inverse.row(i).iter().sum::<f64>() - x[2 * i]).abs() < 1e-12);
                for j in 0..n {
                    assert!((unit[(i, j)] - f64::from(u8::from(i == j))).abs() < 1e-12);
                }
            }
        }
        Ok(())
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() -> Result<()> {
        let of = |threads| -> Result<Vec<f64>> {
            let (mut a, run) = (example(300), Run::new().threads(threads));
            factor(&run, &mut a, 300)?;
            invert_factor(&run, &mut a, 300)?;
            mirror(&mut a, 300);
            Ok(a)
        };
        assert_eq!(of(1)?, of(3)?);
        Ok(())
    }

    #[test]
    fn an_indefinite_matrix_is_told() -> Result<()> {
        let mut a = example(200);
        a[150 * 200 + 150] = -1.0;
        assert!(!factor(&Run::new(), &mut a, 200)?);
        Ok(())
    }
}
