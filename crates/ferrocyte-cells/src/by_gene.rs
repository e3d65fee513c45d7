//! Adding the values of a block to accumulators of genes, on several threads, with the same bits as on one.

use std::ops::Range;

use ferrocyte_base::{Result, Run};
use ferrocyte_data::{RowBlock, Values};

/// Tiles per thread. More would share out uneven genes better, but each reads a shorter stretch of every row, which takes
/// more time than is won.
const TILES_PER_THREAD: usize = 1;

/// The genes of a block in tiles, one after the other, and where these begin in each row.
///
/// A thread owns a tile, and each accumulator receives its additions in the order of rows: the bits depend on neither
/// tiles, blocks nor threads.
pub(crate) struct Tiles {
    /// Genes of a tile; the last may have fewer.
    width: usize,
    n: usize,
    /// Rows × (tiles - 1): how many values of the row lie before each tile but the first.
    bounds: Vec<u32>,
}

impl Tiles {
    /// As many tiles as the threads of `run` can work on.
    pub(crate) fn new(run: &Run, block: &RowBlock<'_>) -> Result<Self> {
        const ROWS: usize = 256;
        let wanted = if run.n_threads() == 1 { 1 } else { TILES_PER_THREAD * run.n_threads() };
        let width = block.n_cols().div_ceil(wanted).max(1);
        let n = block.n_cols().div_ceil(width).max(1);
        let mut bounds = vec![0; block.n_rows() * (n - 1)];
        if n > 1 {
            run.for_each_chunk(&mut bounds, ROWS * (n - 1), |part, bounds| {
                // Where the tiles began in the row before, as shares of its values: rows are much alike.
                let mut shares = vec![0.0; n - 1];
                for (i, bounds) in bounds.chunks_exact_mut(n - 1).enumerate() {
                    let row = part * ROWS + i;
                    let columns = &block.indices()[block.pointers()[row]..block.pointers()[row + 1]];
                    let mut end = 0;
                    for (bound, share) in bounds.iter_mut().zip(&mut shares) {
                        end += width;
                        let before = n_below(columns, end, (*share * columns.len() as f64) as usize);
                        *share = before as f64 / columns.len().max(1) as f64;
                        *bound = before as u32;
                    }
                }
            })?;
        }
        Ok(Self { width, n, bounds })
    }

    /// How many there are: at least one.
    pub(crate) fn n(&self) -> usize {
        self.n
    }

    /// Genes of every tile but the last.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// The values of a row that lie in a tile, numbered as in the block.
    pub(crate) fn values(&self, block: &RowBlock<'_>, row: usize, tile: usize) -> Range<usize> {
        let first = block.pointers()[row];
        let bounds = &self.bounds[row * (self.n - 1)..][..self.n - 1];
        let start = if tile == 0 { first } else { first + bounds[tile - 1] as usize };
        let end = bounds.get(tile).map_or(block.pointers()[row + 1], |&bound| first + bound as usize);
        start..end
    }
}

/// How many of some rising columns are below `end`; the nearer `guess`, the sooner this is known.
fn n_below(columns: &[u32], end: usize, guess: usize) -> usize {
    let is_below = |at: usize| (columns[at] as usize) < end;
    let mut n = guess.min(columns.len());
    while n < columns.len() && is_below(n) {
        n += 1;
    }
    while n > 0 && !is_below(n - 1) {
        n -= 1;
    }
    n
}

/// A stretch of the values of one row.
pub(crate) struct Piece<'a> {
    /// The row within the block.
    pub(crate) row: usize,
    /// The first gene of the tile.
    pub(crate) first: usize,
    /// Columns, numbered within the tile.
    pub(crate) columns: &'a [u32],
    /// Their values.
    pub(crate) values: &'a [f64],
}

/// Gives all values of a block to the accumulators (`stride` of them per gene): `add` gets those of a tile of genes, and
/// the pieces of the rows that fall into it, row after row.
pub(crate) fn by_gene<A: Send>(
    run: &Run,
    block: &RowBlock<'_>,
    accumulators: &mut [A],
    stride: usize,
    add: impl Fn(&mut [A], &Piece<'_>) + Sync,
) -> Result<()> {
    if block.n_cols() == 0 || block.values().is_empty() {
        return Ok(());
    }
    let tiles = Tiles::new(run, block)?;
    run.for_each_chunk(accumulators, tiles.width() * stride, |tile, part| {
        let first = tile * tiles.width();
        let (mut columns, mut values) = (Vec::new(), Vec::new());
        for row in 0..block.n_rows() {
            let stored = tiles.values(block, row, tile);
            columns.clear();
            columns.extend(block.indices()[stored.clone()].iter().map(|c| c - first as u32));
            widen(block.values(), stored, &mut values);
            add(part, &Piece { row, first, columns: &columns, values: &values });
        }
    })
}

/// Some values of a block as 64-bit floats.
pub(crate) fn widen(values: &Values<'_>, range: Range<usize>, out: &mut Vec<f64>) {
    out.clear();
    match values {
        Values::F32(v) => out.extend(v[range].iter().map(|&v| f64::from(v))),
        Values::F64(v) => out.extend_from_slice(&v[range]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_data::RowChunks;
    use ferrocyte_testkit::Counts;

    #[test]
    fn tiles_have_every_value_once() -> Result<()> {
        for (n_genes, n_threads, n_tiles) in [(50, 1, 1), (50, 6, 6), (3, 8, 3), (1, 2, 1)] {
            let counts = Counts::random(9, 40, n_genes, 0.4)?;
            let mut source = counts.source()?;
            let run = Run::new().threads(n_threads);
            let block = source.read(&run, 0..40)?;
            let tiles = Tiles::new(&run, &block)?;
            assert_eq!(tiles.n(), n_tiles);
            for row in 0..40 {
                let mut next = block.pointers()[row];
                for tile in 0..n_tiles {
                    let values = tiles.values(&block, row, tile);
                    assert_eq!(values.start, next);
                    let genes = tile * tiles.width()..(tile + 1) * tiles.width();
                    assert!(block.indices()[values.clone()].iter().all(|&c| genes.contains(&(c as usize))));
                    next = values.end;
                }
                assert_eq!(next, block.pointers()[row + 1]);
            }
        }
        Ok(())
    }
}
