//! [`GroupedSums`]: the values of the cells of each group, added up in one pass.

use ferrocyte_base::{Fault, Result, Run};

use super::{Aggregate, Samples};
use crate::transform::GuardFinding;
use crate::{Codes, Factor, RowBlock, RowChunks, Summary, Values, fold};

/// Genes that one thread adds at a time.
const TILE: usize = 512;

/// Sums of rows by group, genes × groups.
///
/// Work is divided by genes, and the values of a gene are added in the order of rows: the bits depend on neither
/// threads nor blocks.
#[derive(Debug)]
pub struct GroupedSums<'a> {
    codes: &'a Codes,
    n_groups: usize,
    n_genes: usize,
    only_counts: bool,
    /// Tile by tile, and in a tile group by group: the values of a row are added to neighbours.
    sums: Vec<f64>,
}

impl<'a> GroupedSums<'a> {
    /// Nothing added yet. `codes` has the group of each row of the source, [`Factor::MISSING`] for none. With
    /// `only_counts` a value that is negative or not whole is a fault.
    pub fn new(run: &Run, codes: &'a Codes, n_groups: usize, n_genes: usize, only_counts: bool) -> Result<Self> {
        run.reserve(&format!("sums of {n_genes} genes in {n_groups} samples"), 8 * (n_genes * n_groups) as u64)?;
        Ok(Self { codes, n_groups, n_genes, only_counts, sums: vec![0.0; n_genes * n_groups] })
    }

    /// The sums, genes × groups.
    pub fn into_sums(self) -> Vec<f64> {
        let mut sums = vec![0.0; self.sums.len()];
        let out = sums.chunks_mut(TILE * self.n_groups.max(1));
        for (tile, out) in self.sums.chunks(TILE * self.n_groups.max(1)).zip(out) {
            let width = tile.len() / self.n_groups;
            for (group, row) in tile.chunks_exact(width).enumerate() {
                row.iter().enumerate().for_each(|(gene, &sum)| out[gene * self.n_groups + group] = sum);
            }
        }
        sums
    }
}

/// Adds what stands of a row in the columns `first..first + sums.len()`.
fn add_row<T: Copy + Into<f64>>(sums: &mut [f64], first: u32, columns: &[u32], values: &[T]) {
    let from = columns.partition_point(|&c| c < first);
    let to = from + columns[from..].partition_point(|&c| c < first + sums.len() as u32);
    for (&column, &value) in columns[from..to].iter().zip(&values[from..to]) {
        sums[(column - first) as usize] += value.into();
    }
}

impl Summary for GroupedSums<'_> {
    fn observe(&mut self, run: &Run, block: &RowBlock<'_>) -> Result<()> {
        if let Some(finding) = GuardFinding::in_block(block).filter(|_| self.only_counts) {
            return Err(Fault::bad_input(format!(
                "row {}, gene {} is {}: cells of a sample can be added only as counts",
                finding.row + 1,
                finding.column + 1,
                finding.value
            ))
            .hint("give the layer that holds counts, or mode=\"mean\""));
        }
        let (n_groups, start) = (self.n_groups, block.start());
        let codes: Vec<u32> = (0..block.n_rows()).map(|i| self.codes.get(start + i)).collect();
        let (pointers, indices, values) = (block.pointers(), block.indices(), block.values());
        run.for_each_chunk(&mut self.sums, TILE * n_groups.max(1), |tile, sums| {
            let (first, width) = ((tile * TILE) as u32, sums.len() / n_groups);
            for (i, &code) in codes.iter().enumerate().filter(|&(_, &code)| code != Factor::MISSING) {
                let row = pointers[i]..pointers[i + 1];
                let sums = &mut sums[code as usize * width..][..width];
                match values {
                    Values::F32(values) => add_row(sums, first, &indices[row.clone()], &values[row]),
                    Values::F64(values) => add_row(sums, first, &indices[row.clone()], &values[row]),
                }
            }
        })
    }

    fn finish(&mut self, _run: &Run) -> Result<()> {
        let tile = TILE * self.n_groups.max(1);
        let gene_at = |place: usize| {
            let first = place / tile * TILE;
            first + place % tile % TILE.min(self.n_genes - first)
        };
        let not_finite = self.sums.iter().enumerate().filter(|(_, sum)| !sum.is_finite());
        let Some(gene) = not_finite.map(|(place, _)| gene_at(place)).min() else { return Ok(()) };
        Err(Fault::bad_input(format!("the values of gene {} are not all finite", gene + 1))
            .hint("NaN and infinite values cannot be added up"))
    }
}

/// The values of each sample, genes × samples: sums of counts or means of values over its cells.
pub fn pseudobulk(run: &Run, source: &mut dyn RowChunks, samples: &Samples, mode: Aggregate) -> Result<Vec<f64>> {
    if samples.codes.len() != source.n_rows() {
        return Err(Fault::internal(format!("{} codes for {} rows", samples.codes.len(), source.n_rows())));
    }
    let name = source.name();
    let mut sums = GroupedSums::new(run, &samples.codes, samples.len(), source.n_cols(), mode == Aggregate::Sum)?;
    fold(run, source, &mut [&mut sums]).map_err(|fault| fault.at(name))?;
    let mut values = sums.into_sums();
    if mode == Aggregate::Mean {
        for row in values.chunks_exact_mut(samples.len()) {
            row.iter_mut().zip(&samples.n_cells).for_each(|(sum, &n)| *sum /= n as f64);
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Csr, Frame, ObsColumn};

    #[test]
    fn sums_and_means_by_hand_with_any_threads_and_blocks() -> Result<()> {
        let (n, genes) = (1000, 1200);
        let dense: Vec<f64> = (0..n * genes).map(|k| f64::from(u8::from(k % 7 == 0)) * (k % 13) as f64).collect();
        let mut obs = Frame::new(n);
        obs.insert("sample", ObsColumn::Number((0..n).map(|i| (i % 3) as f64).collect()))?;
        let samples = Samples::of(&obs, &["sample".to_owned()], None, 1)?;
        let mut expected = vec![0.0; genes * 3];
        for (i, row) in dense.chunks_exact(genes).enumerate() {
            row.iter().enumerate().for_each(|(g, v)| expected[g * 3 + i % 3] += v);
        }
        for (threads, memory) in [(1, 1 << 30), (2, 1 << 16), (4, 1 << 30)] {
            let run = Run::new().threads(threads).memory(memory);
            let mut source = crate::Dense::row_major(n, genes, &dense)?;
            assert_eq!(pseudobulk(&run, &mut source, &samples, Aggregate::Sum)?, expected);
        }
        let mut source = crate::Dense::row_major(n, genes, &dense)?;
        let means = pseudobulk(&Run::new(), &mut source, &samples, Aggregate::Mean)?;
        assert_eq!(means[0], expected[0] / samples.n_cells[0] as f64);
        Ok(())
    }

    #[test]
    fn what_is_no_count_cannot_be_added() -> Result<()> {
        let (values, indices, pointers) = ([1.0, 0.5], [0_i32, 1], [0_i64, 1, 2]);
        let mut obs = Frame::new(2);
        obs.insert("sample", ObsColumn::Number(vec![1.0, 1.0]))?;
        let samples = Samples::of(&obs, &["sample".to_owned()], None, 1)?;
        let mut source = Csr::new(2, 2, &values, &indices, &pointers)?;
        let fault = pseudobulk(&Run::new(), &mut source, &samples, Aggregate::Sum).err();
        assert!(fault.is_some_and(|f| f.to_string().contains("row 2, gene 2 is 0.5")));
        assert_eq!(pseudobulk(&Run::new(), &mut source, &samples, Aggregate::Mean)?, [0.5, 0.25]);
        Ok(())
    }

    #[test]
    fn the_first_gene_that_is_not_finite_is_named() -> Result<()> {
        let values = [f64::INFINITY, f64::NAN, 1.0];
        let (indices, pointers) = ([700_i32, 650, 3], [0_i64, 1, 3]);
        let mut obs = Frame::new(2);
        obs.insert("sample", ObsColumn::Number(vec![1.0, 2.0]))?;
        let samples = Samples::of(&obs, &["sample".to_owned()], None, 1)?;
        let mut source = Csr::new(2, 800, &values, &indices, &pointers)?;
        let fault = pseudobulk(&Run::new(), &mut source, &samples, Aggregate::Mean).err();
        assert!(fault.is_some_and(|f| f.to_string().contains("gene 651")));
        Ok(())
    }
}
