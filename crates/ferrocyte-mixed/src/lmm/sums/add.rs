//! Adding the values of a block to the accumulators of their genes.
//!
//! Work is divided by genes: a thread owns a tile of them. Within a tile the values of a batch of rows are first
//! brought into the order of genes, by a counting sort that keeps the rows of a gene in order; then they are added gene
//! by gene. So the accumulators of a gene stay in the first-level cache, and those to which nearly every cell adds
//! (y'y, covariates) in registers: a quarter of the time of adding row by row. Every accumulator receives its
//! additions in the order of rows, so that the bits depend on neither tiles, batches, blocks nor threads.

use ferrocyte_base::{Result, Run};
use ferrocyte_data::{RowBlock, Transform, Values};

/// Accumulators of a gene and group before its atoms: y'y, cells with a value.
pub(crate) const HEAD: usize = 2;

/// Values up to this one are transformed through a table.
const TABLE: usize = 1024;

/// The most genes of a tile: more would scatter values over more lines than the second-level cache holds.
const TILE: usize = 8192;

/// Tiles per thread, so that genes with many values do not keep the others waiting.
const TILES_PER_THREAD: usize = 4;

/// Values of a tile that are sorted at once: they stay in the second-level cache.
const BATCH: usize = 192 * 1024;

/// Atoms to which most rows add, kept in registers: at most so many.
const COMMON: usize = 2;

/// The rows of a block that belong to one group, and their design rows as atoms.
pub(crate) struct GroupRows {
    /// Where the accumulators of the group begin within those of a gene.
    offset: usize,
    n_atoms: usize,
    /// Rows of the block, in order.
    rows: Vec<u32>,
    /// The atoms to which most rows add.
    common: Vec<u32>,
    /// What they add: rows × common; 0 where a row does not.
    weights: Vec<f64>,
    /// How many other atoms a row has at most.
    width: usize,
    /// The others, rows × width; entries of weight 0 where a row has fewer.
    others: Vec<(u32, f64)>,
}

/// Gathers the design rows of a group, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pub(crate) rows: Vec<u32>,
    /// The atoms of all rows.
    pub(crate) atoms: Vec<(u32, f64)>,
    /// Where those of each row end.
    pub(crate) ends: Vec<usize>,
}

impl GroupRows {
    /// Lays out what was gathered for a group whose accumulators begin at `offset`.
    pub(crate) fn new(offset: usize, n_atoms: usize, gathered: Gathered) -> Self {
        let Gathered { rows, atoms, ends } = gathered;
        let mut uses = vec![0_usize; n_atoms];
        atoms.iter().for_each(|&(atom, _)| uses[atom as usize] += 1);
        let common: Vec<u32> =
            (0..n_atoms as u32).filter(|&atom| 2 * uses[atom as usize] > rows.len()).take(COMMON).collect();
        let starts = || std::iter::once(0).chain(ends.iter().copied()).zip(ends.iter().copied());
        let is_common = |atom: u32| common.iter().position(|&c| c == atom);
        let width = starts()
            .map(|(low, high)| atoms[low..high].iter().filter(|(atom, _)| is_common(*atom).is_none()).count())
            .max()
            .unwrap_or(0);
        let mut weights = vec![0.0; rows.len() * common.len()];
        // What has weight 0 adds 0, which changes no sum.
        let mut others = vec![(0, 0.0); rows.len() * width];
        for (i, (low, high)) in starts().enumerate() {
            let mut next = i * width;
            for &(atom, x) in &atoms[low..high] {
                match is_common(atom) {
                    Some(c) => weights[i * common.len() + c] = x,
                    None => {
                        others[next] = (atom, x);
                        next += 1;
                    }
                }
            }
        }
        Self { offset, n_atoms, rows, common, weights, width, others }
    }
}

/// A stored value on its way to its gene.
#[derive(Clone, Copy, Default)]
struct Entry<V> {
    /// Position of its row in its group.
    row: u32,
    value: V,
}

/// The values of a block and where they go.
struct Addition<'a> {
    block: &'a RowBlock<'a>,
    groups: &'a [GroupRows],
    /// Accumulators of a gene.
    stride: usize,
    /// Genes of a tile.
    tile: usize,
    /// The first gene of each tile, and the end of the last.
    bounds: &'a [u32],
    /// For each row, where its values of each tile begin: rows × bounds.
    splits: &'a [u32],
    /// Rows that are sorted at once.
    batch: usize,
}

/// Adds a block to the accumulators (genes × `stride`) of the genes that begin with `first`; values of other genes are
/// passed over. `totals` has the total of each row, for the transform that needs it.
pub(crate) fn add_block(
    run: &Run,
    accumulators: &mut [f64],
    (stride, first): (usize, usize),
    block: &RowBlock<'_>,
    groups: &[GroupRows],
    (transform, totals): (Transform, &[f64]),
) -> Result<()> {
    let n_genes = accumulators.len() / stride.max(1);
    if n_genes == 0 || block.values().is_empty() {
        return Ok(());
    }
    let most = if run.n_threads() == 1 { n_genes } else { n_genes.div_ceil(TILES_PER_THREAD * run.n_threads()) };
    let tile = most.clamp(64, TILE);
    let bounds: Vec<u32> = (0..n_genes).step_by(tile).chain([n_genes]).map(|gene| (first + gene) as u32).collect();
    let splits = split_rows(run, block, &bounds)?;
    let per_row = block.values().len() / block.n_rows() / (bounds.len() - 1) + 1;
    let batch = (BATCH / per_row).max(64);
    let addition = Addition { block, groups, stride, tile, bounds: &bounds, splits: &splits, batch };
    match transform {
        Transform::None => match block.values() {
            Values::F32(v) => addition.add(run, accumulators, v, &f64::from),
            Values::F64(v) => addition.add(run, accumulators, v, &|t| t),
        },
        Transform::Log1p | Transform::Log2p1 => {
            let table: Vec<f64> = (0..TABLE).map(|v| transform.apply(v as f64, 1.0)).collect();
            let look_up = |v: f64| small_whole(v, TABLE).map_or_else(|| transform.apply(v, 1.0), |v| table[v]);
            match block.values() {
                Values::F32(v) => addition.add(run, accumulators, v, &|v: f32| look_up(v.into())),
                Values::F64(v) => addition.add(run, accumulators, v, &look_up),
            }
        }
        Transform::LogNorm { .. } => {
            let scaled = scaled_values(run, block, transform, totals)?;
            addition.add(run, accumulators, &scaled, &|t| t)
        }
    }
}

/// `v` as an index, if it is a whole number below `limit` (and `limit` below 2^52).
#[inline]
fn small_whole(v: f64, limit: usize) -> Option<usize> {
    // Added to 2^52, a whole number stands in the last bits; anything else is rounded or lands elsewhere.
    const SHIFT: f64 = 4_503_599_627_370_496.0;
    let shifted = v + SHIFT;
    let index = shifted.to_bits().wrapping_sub(SHIFT.to_bits());
    (index < limit as u64 && shifted - SHIFT == v).then_some(index as usize)
}

/// All values of a block under a transform that depends on the total of the row.
fn scaled_values(run: &Run, block: &RowBlock<'_>, transform: Transform, totals: &[f64]) -> Result<Vec<f64>> {
    const ROWS: usize = 256;
    // Most values of a row are small counts, and repeat.
    const SEEN: usize = 32;
    let parts = run.map_quietly(block.n_rows(), ROWS, |rows| {
        let mut scaled = Vec::with_capacity(block.pointers()[rows.end] - block.pointers()[rows.start]);
        for i in rows {
            let mut seen = [f64::NAN; SEEN];
            scaled.extend(block.row(i).map(|(_, v)| match small_whole(v, SEEN) {
                Some(small) => {
                    if seen[small].is_nan() {
                        seen[small] = transform.apply(v, totals[i]);
                    }
                    seen[small]
                }
                None => transform.apply(v, totals[i]),
            }));
        }
        Ok(scaled)
    })?;
    Ok(parts.concat())
}

/// For each row, how many of its values stand before each of the bounds: rows × bounds.
fn split_rows(run: &Run, block: &RowBlock<'_>, bounds: &[u32]) -> Result<Vec<u32>> {
    const ROWS: usize = 256;
    // One look per cache line of columns.
    const STEP: usize = 16;
    let mut splits = vec![0_u32; block.n_rows() * bounds.len()];
    run.for_each_chunk(&mut splits, ROWS * bounds.len(), |part_index, part| {
        for (i, splits) in part.chunks_exact_mut(bounds.len()).enumerate() {
            let row = part_index * ROWS + i;
            let columns = &block.indices()[block.pointers()[row]..block.pointers()[row + 1]];
            let mut k = 0;
            for (split, &bound) in splits.iter_mut().zip(bounds) {
                while columns.get(k + STEP).is_some_and(|&c| c < bound) {
                    k += STEP;
                }
                while columns.get(k).is_some_and(|&c| c < bound) {
                    k += 1;
                }
                *split = k as u32;
            }
        }
    })?;
    Ok(splits)
}

impl Addition<'_> {
    /// Adds `values`, one per stored value of the block, as `t_of` gives them.
    fn add<V: Copy + Default + PartialEq + Sync>(
        &self,
        run: &Run,
        accumulators: &mut [f64],
        values: &[V],
        t_of: &(impl Fn(V) -> f64 + Sync),
    ) -> Result<()> {
        run.for_each_chunk(accumulators, self.tile * self.stride, |tile, part| {
            let mut sorted = Vec::new();
            let mut ends = vec![0_u32; part.len() / self.stride];
            for group in self.groups {
                for from in (0..group.rows.len()).step_by(self.batch) {
                    let rows = from..(from + self.batch).min(group.rows.len());
                    self.sort(tile, group, rows, values, &mut sorted, &mut ends);
                    let mut genes =
                        Genes { part: &mut *part, stride: self.stride, group, sorted: &sorted, ends: &ends, t_of };
                    // The layouts that are met; 0 others means any number.
                    match (group.common.len(), group.width) {
                        (0, 1) => genes.add::<0, 1>(),
                        (0, 2) => genes.add::<0, 2>(),
                        (0, _) => genes.add::<0, 0>(),
                        (1, 1) => genes.add::<1, 1>(),
                        (1, 2) => genes.add::<1, 2>(),
                        (1, _) => genes.add::<1, 0>(),
                        (_, 1) => genes.add::<COMMON, 1>(),
                        (_, 2) => genes.add::<COMMON, 2>(),
                        (_, _) => genes.add::<COMMON, 0>(),
                    }
                }
            }
        })
    }

    /// Brings the values of some rows of a group into the order of the genes of a tile, rows in order within a gene.
    fn sort<V: Copy + Default>(
        &self,
        tile: usize,
        group: &GroupRows,
        rows: std::ops::Range<usize>,
        values: &[V],
        sorted: &mut Vec<Entry<V>>,
        ends: &mut [u32],
    ) {
        let first = self.bounds[tile] as usize;
        let stored = |position: usize| {
            let row = group.rows[position] as usize;
            let splits = &self.splits[row * self.bounds.len() + tile..][..2];
            let start = self.block.pointers()[row];
            start + splits[0] as usize..start + splits[1] as usize
        };
        ends.fill(0);
        let mut n = 0;
        for position in rows.clone() {
            let range = stored(position);
            n += range.len();
            for &column in &self.block.indices()[range] {
                ends[column as usize - first] += 1;
            }
        }
        // Now the beginning of each gene; filling moves it to the end.
        let mut next = 0;
        for end in &mut *ends {
            let count = *end;
            *end = next;
            next += count;
        }
        if sorted.len() < n {
            sorted.resize(n, Entry::default());
        }
        for position in rows {
            let range = stored(position);
            for (&column, &value) in self.block.indices()[range.clone()].iter().zip(&values[range]) {
                let slot = &mut ends[column as usize - first];
                sorted[*slot as usize] = Entry { row: position as u32, value };
                *slot += 1;
            }
        }
    }
}

/// Sorted values of a group and the tile to which they are added.
struct Genes<'a, V, T> {
    part: &'a mut [f64],
    stride: usize,
    group: &'a GroupRows,
    sorted: &'a [Entry<V>],
    /// Where the values of each gene end.
    ends: &'a [u32],
    t_of: &'a T,
}

impl<V: Copy + Default + PartialEq, T: Fn(V) -> f64> Genes<'_, V, T> {
    /// Adds gene after gene. `C` is the number of common atoms, `W` that of others (0: as many as there are).
    fn add<const C: usize, const W: usize>(&mut self) {
        let group = self.group;
        let width = if W == 0 { group.width } else { W };
        let mut from = 0;
        for (accumulators, &end) in self.part.chunks_exact_mut(self.stride).zip(self.ends) {
            let entries = &self.sorted[from..end as usize];
            from = end as usize;
            let (head, atoms) = accumulators[group.offset..group.offset + HEAD + group.n_atoms].split_at_mut(HEAD);
            let mut y_norm = head[0];
            let mut expressing = 0_usize;
            let mut common: [f64; C] = std::array::from_fn(|c| atoms[group.common[c] as usize]);
            for entry in entries {
                let (row, t) = (entry.row as usize, (self.t_of)(entry.value));
                y_norm += t * t;
                expressing += usize::from(entry.value != V::default());
                for (sum, x) in common.iter_mut().zip(&group.weights[row * C..][..C]) {
                    *sum += t * x;
                }
                for &(atom, x) in &group.others[row * width..][..width] {
                    atoms[atom as usize] += t * x;
                }
            }
            head[0] = y_norm;
            head[1] += expressing as f64;
            for (c, sum) in common.into_iter().enumerate() {
                atoms[group.common[c] as usize] = sum;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use ferrocyte_base::Fault;

    use super::*;

    const GENES: usize = 700;

    /// A block of `n` rows in which cell i has a value for every gene that (i + gene) mod 3 allows; zeros among them.
    fn block(n: usize, value: impl Fn(usize, usize) -> f32) -> Result<RowBlock<'static>> {
        let (mut pointers, mut indices, mut values) = (vec![0], Vec::new(), Vec::new());
        for i in 0..n {
            for gene in (0..GENES).filter(|gene| (i + gene) % 3 == 0 && i % 7 != 0) {
                indices.push(gene as u32);
                values.push(value(i, gene));
            }
            pointers.push(indices.len());
        }
        RowBlock::new(0, GENES, pointers, Cow::Owned(indices), Values::F32(Cow::Owned(values)))
    }

    /// Two groups; atoms that all rows have, that most have, that few have.
    fn design(n: usize) -> Vec<(usize, usize, Gathered)> {
        let mut groups = vec![(0, 5, Gathered::default()), (HEAD + 5, 4, Gathered::default())];
        for i in 0..n {
            let (_, n_atoms, gathered) = &mut groups[i % 2];
            gathered.rows.push(i as u32);
            gathered.atoms.push((i as u32 % *n_atoms as u32 % 3, 1.0));
            if i % 5 != 0 {
                gathered.atoms.push((3, 0.5 + i as f64));
            }
            if *n_atoms == 5 && i % 11 == 0 {
                gathered.atoms.push((4, -2.0));
            }
            gathered.ends.push(gathered.atoms.len());
        }
        groups
    }

    /// Row after row, as the definition says.
    fn by_definition(block: &RowBlock<'_>, stride: usize, transform: Transform, totals: &[f64]) -> Vec<f64> {
        let mut sums = vec![0.0; GENES * stride];
        for (offset, _, gathered) in design(block.n_rows()) {
            let mut from = 0;
            for (&row, &end) in gathered.rows.iter().zip(&gathered.ends) {
                for (gene, v) in block.row(row as usize).filter(|(_, v)| *v != 0.0) {
                    let t = transform.apply(v, totals[row as usize]);
                    let slots = &mut sums[gene * stride + offset..];
                    slots[0] += t * t;
                    slots[1] += 1.0;
                    gathered.atoms[from..end].iter().for_each(|&(atom, x)| slots[HEAD + atom as usize] += t * x);
                }
                from = end;
            }
        }
        sums
    }

    #[test]
    fn sorting_by_genes_changes_no_bit() -> Result<()> {
        let n = 500;
        // Beyond the table, not whole, zero.
        let counts = block(n, |i, gene| ((i * gene) % 5) as f32 + if gene % 90 == 0 { 3000.0 } else { 0.0 })?;
        let others = block(n, |i, gene| (i as f32).mul_add(0.37, gene as f32) - 100.0)?;
        let totals: Vec<f64> = (0..n).map(|i| 900.0 + i as f64).collect();
        let stride = 2 * HEAD + 9;
        for (transform, block) in [
            (Transform::Log1p, &counts),
            (Transform::Log2p1, &counts),
            (Transform::LogNorm { target: 1e4 }, &counts),
            (Transform::None, &others),
        ] {
            let expected = by_definition(block, stride, transform, &totals);
            for threads in [1, 3] {
                let run = Run::new().threads(threads);
                for (first, end) in [(0, GENES), (0, 1), (100, 333), (699, 700)] {
                    let groups: Vec<GroupRows> = design(n)
                        .into_iter()
                        .map(|(offset, atoms, rows)| GroupRows::new(offset, atoms, rows))
                        .collect();
                    let mut sums = vec![0.0; (end - first) * stride];
                    add_block(&run, &mut sums, (stride, first), block, &groups, (transform, &totals))?;
                    let same = sums
                        .iter()
                        .zip(&expected[first * stride..end * stride])
                        .all(|(a, b)| a.to_bits() == b.to_bits());
                    assert!(same, "{transform:?}, {threads} threads, genes {first}..{end}");
                }
            }
        }
        Ok(())
    }

    #[test]
    fn small_whole_numbers_are_told_from_others() -> Result<()> {
        for v in 0..20 {
            assert_eq!(small_whole(v as f64, 16), (v < 16).then_some(v));
        }
        for v in [0.5, -1.0, -0.25, 1e-300, 1e16, 1e300, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 15.999999999999998]
        {
            assert_eq!(small_whole(v, 16), None, "{v}");
        }
        // A negative zero is a zero.
        small_whole(-0.0, 16).filter(|&v| v == 0).map(|_| ()).ok_or_else(|| Fault::internal("-0 is not 0"))
    }
}
