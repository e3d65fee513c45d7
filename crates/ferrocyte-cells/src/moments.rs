//! [`Moments`]: sums, sums of squares and cells with a value, of every gene in every group of cells, in one pass.

#![allow(clippy::inline_always, reason = "kernels are compiled where they run")]

use ferrocyte_base::{Result, Run};
use ferrocyte_data::{Codes, Factor, RowBlock, Summary, Values};
use ferrocyte_math::wide::{self, Kernel};

use crate::by_gene::{Tiles, widen};

/// What is summed up: the values, or something of them that maps 0 to 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Of {
    /// The values.
    Values,
    /// exp(x ln base) - 1, which undoes a logarithm; base e is `ln_base` 1.
    Expm1 {
        /// The logarithm of the base.
        ln_base: f64,
    },
}

impl Of {
    /// The base of a logarithm that is undone; `None` is e.
    pub(crate) fn undoing(base: Option<f64>) -> Self {
        Self::Expm1 { ln_base: base.map_or(1.0, f64::ln) }
    }
}

/// The sums of one gene in one group.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Sums {
    pub(crate) sum: f64,
    pub(crate) squares: f64,
    /// Cells whose value is not 0.
    pub(crate) detected: f64,
}

/// Sums of all genes in all groups. A cell without group counts in none.
pub(crate) struct Moments {
    of: Of,
    /// The group of each cell; `None` puts all cells into group 0.
    groups: Option<Codes>,
    n_genes: usize,
    /// Cells of each group.
    pub(crate) n: Vec<f64>,
    /// Groups × genes: the sums of a group stand together, so that its cells, which are taken together, find them in the
    /// cache.
    sums: Vec<Sums>,
    /// Cells seen that belong to no group.
    pub(crate) n_outside: usize,
}

impl Moments {
    pub(crate) fn new(of: Of, n_genes: usize, groups: Option<&Factor>) -> Self {
        let n_groups = groups.map_or(1, |factor| factor.levels.len());
        Self {
            of,
            groups: groups.map(|factor| factor.codes.clone()),
            n_genes,
            n: vec![0.0; n_groups],
            sums: vec![Sums::default(); n_groups * n_genes],
            n_outside: 0,
        }
    }

    /// The sums of the genes in a group.
    pub(crate) fn group(&self, group: usize) -> &[Sums] {
        &self.sums[group * self.n_genes..][..self.n_genes]
    }

    /// Mean and variance of a gene in a group; `ddof` is taken from the cells for the variance.
    pub(crate) fn mean_var(&self, group: usize, gene: usize, ddof: f64) -> (f64, f64) {
        mean_var(self.n[group], &self.group(group)[gene], ddof)
    }

    /// All groups together: cells, and the sums of all genes.
    pub(crate) fn total(&self) -> (f64, Vec<Sums>) {
        let mut total = vec![Sums::default(); self.n_genes];
        for group in 0..self.n.len() {
            for (t, s) in total.iter_mut().zip(self.group(group)) {
                t.sum += s.sum;
                t.squares += s.squares;
                t.detected += s.detected;
            }
        }
        (self.n.iter().sum(), total)
    }
}

/// Mean and variance from sums over `n` cells. A variance that is less than rounding leaves of it is 0.
pub(crate) fn mean_var(n: f64, sums: &Sums, ddof: f64) -> (f64, f64) {
    if n == 0.0 {
        return (0.0, 0.0);
    }
    let mean = sums.sum / n;
    let left = sums.squares - mean * sums.sum;
    // What adding up n equal numbers may be off by.
    let rounding = 0.5 * n.max(8.0) * f64::EPSILON * sums.squares;
    let var = if left <= rounding || n <= ddof { 0.0 } else { left / (n - ddof) };
    (mean, var)
}

impl Summary for Moments {
    fn observe(&mut self, run: &Run, block: &RowBlock<'_>) -> Result<()> {
        let mut rows: Vec<Vec<u32>> = vec![Vec::new(); self.n.len()];
        for row in 0..block.n_rows() {
            let group = self.groups.as_ref().map_or(0, |codes| codes.get(block.start() + row));
            match rows.get_mut(group as usize) {
                Some(rows) => rows.push(row as u32),
                None => self.n_outside += 1,
            }
        }
        self.n.iter_mut().zip(&rows).for_each(|(n, rows)| *n += rows.len() as f64);
        let (tiles, of, n_genes) = (Tiles::new(run, block)?, self.of, self.n_genes.max(1));
        let mut parts: Vec<(&[u32], usize, &mut [Sums])> = Vec::with_capacity(rows.len() * tiles.n());
        for (rows, sums) in rows.iter().zip(self.sums.chunks_mut(n_genes)) {
            parts.extend(sums.chunks_mut(tiles.width()).enumerate().map(|(tile, sums)| (rows.as_slice(), tile, sums)));
        }
        run.for_each_chunk(&mut parts, 1, |_, part| {
            for (rows, tile, sums) in part {
                add_rows(of, block, rows, &tiles, *tile, sums);
            }
        })
    }
}

/// Adds the values of some rows that lie in a tile to the sums of its genes.
fn add_rows(of: Of, block: &RowBlock<'_>, rows: &[u32], tiles: &Tiles, tile: usize, sums: &mut [Sums]) {
    let first = tile * tiles.width();
    let mut undone = Vec::new();
    for &row in rows {
        let stored = tiles.values(block, row as usize, tile);
        let columns = &block.indices()[stored.clone()];
        match (of, block.values()) {
            (Of::Values, Values::F32(v)) => add(sums, first, columns, v[stored].iter().map(|&v| f64::from(v))),
            (Of::Values, Values::F64(v)) => add(sums, first, columns, v[stored].iter().copied()),
            (Of::Expm1 { ln_base }, values) => {
                widen(values, stored, &mut undone);
                wide::widest(Undo { logarithms: &mut undone, ln_base });
                add(sums, first, columns, undone.iter().copied());
            }
        }
    }
}

/// Turns logarithms into what was logged.
struct Undo<'a> {
    logarithms: &'a mut [f64],
    ln_base: f64,
}

impl Kernel for Undo<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for x in self.logarithms {
            *x = wide::exp_m1(*x * self.ln_base);
        }
    }
}

/// Adds the values of a row to the sums of its genes, which begin with `first`.
#[inline]
fn add(sums: &mut [Sums], first: usize, columns: &[u32], values: impl Iterator<Item = f64>) {
    for (&column, v) in columns.iter().zip(values) {
        let gene = &mut sums[column as usize - first];
        gene.sum += v;
        gene.squares += v * v;
        gene.detected += f64::from(u8::from(v != 0.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_data::fold;
    use ferrocyte_testkit::{Counts, all_values, assert_same_bits_over_runs};

    #[test]
    fn sums_by_group() -> Result<()> {
        let counts = Counts::random(8, 300, 1500, 0.3)?;
        let names = ["a", "b", "", "c"];
        let factor = Factor::from_texts((0..300).map(|i| Some(names[i % 4]).filter(|n| !n.is_empty())));
        let work = |run: &Run| {
            let mut moments = Moments::new(Of::Values, 1500, Some(&factor));
            fold(run, &mut counts.source()?, &mut [&mut moments])?;
            Ok(moments)
        };
        let moments = work(&Run::new())?;
        assert_eq!((moments.n.clone(), moments.n_outside), (vec![75.0; 3], 75));
        let rows = all_values(&mut counts.source()?, 100)?;
        for gene in [0, 700, 1499] {
            let values: Vec<f64> =
                (0..75).map(|i| rows[4 * i + 1].iter().find(|(c, _)| *c == gene).map_or(0.0, |e| e.1)).collect();
            let mean = values.iter().sum::<f64>() / 75.0;
            let var = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 74.0;
            let found = moments.mean_var(1, gene, 1.0);
            assert!(found.0 == mean && (found.1 - var).abs() < 1e-13);
            assert_eq!(moments.group(1)[gene].detected, values.iter().filter(|v| **v > 0.0).count() as f64);
        }
        let bits = |m: &Moments| (0..3).flat_map(|g| m.group(g).iter().flat_map(|s| [s.sum, s.squares])).collect();
        assert_same_bits_over_runs(work, bits)
    }

    #[test]
    fn constants_do_not_vary() {
        let n = 1000;
        let sums = (0..n).fold(Sums::default(), |s, _| Sums {
            sum: s.sum + 0.1,
            squares: s.squares + 0.1 * 0.1,
            detected: 0.0,
        });
        assert_eq!(mean_var(f64::from(n), &sums, 1.0).1, 0.0);
        assert_eq!(mean_var(0.0, &sums, 1.0), (0.0, 0.0));
    }
}
