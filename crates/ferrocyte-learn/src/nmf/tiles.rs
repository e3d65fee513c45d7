//! [`Tiles`]: the matrix in pieces that stay in a cache, once along its rows and once along its columns.
//!
//! A sparse product adds, to what belongs to a row, multiples of what belongs to its columns, or the other way round.
//! Both are one operation, from sources to targets. Blocks of rows meet tiles of columns, so that the sources of a piece
//! fit a cache; within a target, entries stand in rising order of their sources whatever the tiles, so that tiles change
//! no bits.

use ferrocyte_math::fused::Real;

use super::input::Input;

/// Rows of a block.
pub(super) const BLOCK: usize = 256;

/// Columns of a tile.
const TILE: usize = 512;

/// Blocks of a share. Sums over rows are taken share by share and then added, so that shares can go to any thread.
const SHARE: usize = 32;

/// Entries by target: those of target `t` stand at `starts[t]..starts[t + 1]`.
#[derive(Debug, Default)]
pub(super) struct Piece<T> {
    pub(super) starts: Vec<u32>,
    /// The source of an entry, from the first source of the piece.
    pub(super) sources: Vec<u16>,
    pub(super) values: Vec<T>,
    /// The first source.
    pub(super) origin: usize,
}

/// One block of rows.
#[derive(Debug)]
pub(super) struct Block<T> {
    /// The first row.
    pub(super) from: usize,
    /// How many rows.
    pub(super) rows: usize,
    /// From columns to rows, one piece for each tile.
    pub(super) to_rows: Vec<Piece<T>>,
    /// From rows to columns; sources count from the first row of the block.
    pub(super) to_columns: Piece<T>,
}

/// A whole matrix.
#[derive(Debug)]
pub(super) struct Tiles<T> {
    pub(super) n: usize,
    pub(super) g: usize,
    pub(super) blocks: Vec<Block<T>>,
    /// Their sum.
    pub(super) total: f64,
    /// The sum of their squares.
    pub(super) squares: f64,
}

impl<T: Real> Tiles<T> {
    pub(super) fn new(input: &Input) -> Self {
        let (n, g) = (input.n(), input.g());
        let mut counts = vec![0_usize; n];
        input.for_each(|i, _, _| counts[i] += 1);
        let n_values = counts.iter().sum();
        // Rows in order, columns rising, whatever the layout was.
        let mut starts = Vec::with_capacity(n + 1);
        let mut at = 0;
        for count in &counts {
            starts.push(at);
            at += count;
        }
        starts.push(at);
        let mut next = starts.clone();
        let mut columns = vec![0_u32; n_values];
        let mut values = vec![T::ZERO; n_values];
        input.for_each(|i, j, x| {
            columns[next[i]] = j as u32;
            values[next[i]] = T::from_f64(x);
            next[i] += 1;
        });
        let sum_rows = |f: &dyn Fn(f64) -> f64| -> f64 {
            let row = |w: &[usize]| values[w[0]..w[1]].iter().map(|x| f(x.to_f64())).sum::<f64>();
            starts.windows(2).map(row).sum()
        };
        let (total, squares) = (sum_rows(&|x| x), sum_rows(&|x| x * x));
        let rows = Rows { starts: &starts, columns: &columns, values: &values, g };
        let blocks = (0..n).step_by(BLOCK).map(|from| rows.block(from, BLOCK.min(n - from))).collect();
        Self { n, g, blocks, total, squares }
    }

    /// The blocks, share by share.
    pub(super) fn shares(&self) -> std::slice::Chunks<'_, Block<T>> {
        self.blocks.chunks(SHARE)
    }

    /// The mean of all entries, zeros too.
    pub(super) fn mean(&self) -> f64 {
        self.total / self.n as f64 / self.g as f64
    }
}

struct Rows<'a, T> {
    starts: &'a [usize],
    columns: &'a [u32],
    values: &'a [T],
    g: usize,
}

impl<T: Real> Rows<'_, T> {
    fn block(&self, from: usize, rows: usize) -> Block<T> {
        let to_rows = (0..self.g).step_by(TILE).map(|origin| self.tile(from, rows, origin)).collect();
        Block { from, rows, to_rows, to_columns: self.turned(from, rows) }
    }

    fn tile(&self, from: usize, rows: usize, origin: usize) -> Piece<T> {
        let mut piece = Piece { starts: vec![0], origin, ..Piece::default() };
        for i in from..from + rows {
            let (begin, end) = (self.starts[i], self.starts[i + 1]);
            let mine = &self.columns[begin..end];
            let first = begin + mine.partition_point(|&j| (j as usize) < origin);
            let last = begin + mine.partition_point(|&j| (j as usize) < origin + TILE);
            piece.sources.extend(self.columns[first..last].iter().map(|&j| (j as usize - origin) as u16));
            piece.values.extend_from_slice(&self.values[first..last]);
            piece.starts.push(piece.values.len() as u32);
        }
        piece
    }

    fn turned(&self, from: usize, rows: usize) -> Piece<T> {
        let (begin, end) = (self.starts[from], self.starts[from + rows]);
        let mut starts = vec![0_u32; self.g + 1];
        self.columns[begin..end].iter().for_each(|&j| starts[j as usize + 1] += 1);
        (0..self.g).for_each(|j| starts[j + 1] += starts[j]);
        let mut next = starts.clone();
        let mut sources = vec![0; end - begin];
        let mut values = vec![T::ZERO; end - begin];
        for i in from..from + rows {
            for at in self.starts[i]..self.starts[i + 1] {
                let place = &mut next[self.columns[at] as usize];
                sources[*place as usize] = (i - from) as u16;
                values[*place as usize] = self.values[at];
                *place += 1;
            }
        }
        Piece { starts, sources, values, origin: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nmf::Values;
    use ferrocyte_base::Result;

    #[test]
    fn both_directions_hold_every_value_in_order() -> Result<()> {
        let (n, g) = (300, 700);
        let dense: Vec<f64> = (0..n * g).map(|t| if t % 7 == 3 { t as f64 } else { 0.0 }).collect();
        let tiles = Tiles::<f64>::new(&Input::dense(Values::Double(&dense), n, g)?);
        let (mut by_rows, mut by_columns) = (vec![0.0; n * g], vec![0.0; n * g]);
        for block in &tiles.blocks {
            for piece in &block.to_rows {
                assert!(piece.starts.len() == block.rows + 1);
                for t in 0..block.rows {
                    for at in piece.starts[t] as usize..piece.starts[t + 1] as usize {
                        by_rows[(block.from + t) * g + piece.origin + piece.sources[at] as usize] = piece.values[at];
                    }
                }
            }
            let piece = &block.to_columns;
            for j in 0..g {
                for at in piece.starts[j] as usize..piece.starts[j + 1] as usize {
                    by_columns[(block.from + piece.sources[at] as usize) * g + j] = piece.values[at];
                }
            }
        }
        assert_eq!(by_rows, dense);
        assert_eq!(by_columns, dense);
        assert_eq!(tiles.total, dense.iter().sum::<f64>());
        assert_eq!(tiles.blocks.len(), 2);
        Ok(())
    }
}
