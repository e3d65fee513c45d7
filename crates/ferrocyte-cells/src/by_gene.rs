//! Adding the values of a block to accumulators of genes, on several threads, with the same bits as on one.

use ferrocyte_base::{Result, Run};
use ferrocyte_data::{RowBlock, Values};

/// Tiles per thread, so that genes with many values do not keep the others waiting.
const TILES_PER_THREAD: usize = 4;

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
///
/// A thread owns a tile, and each accumulator receives its additions in the order of rows: the bits depend on neither
/// tiles, blocks nor threads.
pub(crate) fn by_gene<A: Send>(
    run: &Run,
    block: &RowBlock<'_>,
    accumulators: &mut [A],
    stride: usize,
    add: impl Fn(&mut [A], &Piece<'_>) + Sync,
) -> Result<()> {
    let n_genes = block.n_cols();
    if n_genes == 0 || block.values().is_empty() {
        return Ok(());
    }
    let n_tiles = if run.n_threads() == 1 { 1 } else { TILES_PER_THREAD * run.n_threads() };
    let tile = n_genes.div_ceil(n_tiles).max(1);
    run.for_each_chunk(accumulators, tile * stride, |index, part| {
        let first = (index * tile) as u32;
        let end = first + (part.len() / stride) as u32;
        let (mut columns, mut values) = (Vec::new(), Vec::new());
        for (row, bounds) in block.pointers().windows(2).enumerate() {
            let stored = &block.indices()[bounds[0]..bounds[1]];
            let (low, high) = if tile >= n_genes {
                (0, stored.len())
            } else {
                (stored.partition_point(|&c| c < first), stored.partition_point(|&c| c < end))
            };
            columns.clear();
            columns.extend(stored[low..high].iter().map(|c| c - first));
            widen(block.values(), bounds[0] + low..bounds[0] + high, &mut values);
            add(part, &Piece { row, first: first as usize, columns: &columns, values: &values });
        }
    })
}

/// Some values of a block as 64-bit floats.
pub(crate) fn widen(values: &Values<'_>, range: std::ops::Range<usize>, out: &mut Vec<f64>) {
    out.clear();
    match values {
        Values::F32(v) => out.extend(v[range].iter().map(|&v| f64::from(v))),
        Values::F64(v) => out.extend_from_slice(&v[range]),
    }
}
