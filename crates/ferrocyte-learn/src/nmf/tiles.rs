//! [`Tiles`]: the matrix in [pieces](Piece), once along its rows and once along its columns.
//!
//! It is kept as numbers in units of their columns: where the values of a column are whole multiples of one number, as
//! those of counts over standard deviations are, the multiples are small counts of one byte. Rows come in any portions
//! and are put into blocks, so that a matrix that is read from a file is never in memory in another form.

use ferrocyte_base::Result;
use ferrocyte_math::fused::Real;
use ferrocyte_math::wide;

use super::divergence::FLOOR;
use super::input::{Input, Values};
use super::pieces::{Entry, Piece, WIDTH};

/// Rows of a block.
pub(super) const BLOCK: usize = 256;

/// Columns whose sums stay in the second cache while a block is added to them.
const SPAN: usize = 512;

/// Blocks of a share. Sums over rows are taken share by share and then added, so that shares can go to any thread.
const SHARE: usize = 32;

/// One block of rows.
#[derive(Debug)]
pub(super) struct Block<T> {
    /// The first row.
    pub(super) from: usize,
    /// How many rows.
    pub(super) rows: usize,
    /// From columns to the rows of the block.
    pub(super) to_rows: Vec<Piece<T>>,
    /// From the rows of the block to columns; empty where the matrix is for refits of its rows.
    pub(super) to_columns: Vec<Piece<T>>,
}

/// A whole matrix.
#[derive(Debug)]
pub(super) struct Tiles<T> {
    pub(super) n: usize,
    pub(super) g: usize,
    /// Whether only usages of fixed spectra are wanted, so that the direction to columns is not kept.
    pub(super) rows_only: bool,
    pub(super) blocks: Vec<Block<T>>,
    /// What a unit of each column is.
    pub(super) units: Vec<T>,
    /// How many values are not 0.
    pub(super) n_values: usize,
    /// Their sum.
    pub(super) total: f64,
    /// The sum of their squares.
    pub(super) squares: f64,
    /// The sum of `x ln x - x` over those that count in the Kullback-Leibler divergence.
    pub(super) logs: f64,
}

impl<T: Real> Tiles<T> {
    pub(super) fn new(input: &Input) -> Self {
        let mut builder = Builder::new(input.g(), false);
        input.each_row(|columns, values| builder.row(columns, values));
        builder.finish()
    }

    /// The blocks, share by share.
    pub(super) fn shares(&self) -> std::slice::Chunks<'_, Block<T>> {
        self.blocks.chunks(SHARE)
    }

    /// The mean of all entries, zeros too.
    pub(super) fn mean(&self) -> f64 {
        self.total / self.n as f64 / self.g as f64
    }

    /// Calls `f` with every row, its columns rising, and its values.
    pub(super) fn each_row(&self, mut f: impl FnMut(usize, &[(usize, f64)])) {
        let mut rows = Vec::new();
        for block in &self.blocks {
            block.rows(&self.units, &mut rows);
            rows.iter().take(block.rows).enumerate().for_each(|(i, row)| f(block.from + i, row));
        }
    }
}

impl<T: Real> Block<T> {
    /// Of rows, columns and values each, the first of which is row `from` of a matrix of `g` columns.
    fn new(from: usize, g: usize, rows: &[(&[u32], &[f64])], rows_only: bool) -> Self {
        let to_rows = (0..g).step_by(WIDTH).filter_map(|column| Self::to_rows(rows, column, g)).collect();
        let to_columns = if rows_only { Vec::new() } else { Self::to_columns(rows, g) };
        Self { from, rows: rows.len(), to_rows, to_columns }
    }

    /// The columns from `from` on.
    fn to_rows(rows: &[(&[u32], &[f64])], from: usize, g: usize) -> Option<Piece<T>> {
        let sources = WIDTH.min(g - from);
        let mut entries = Vec::new();
        for (i, (columns, values)) in rows.iter().enumerate() {
            let first = columns.partition_point(|&j| (j as usize) < from);
            let last = columns.partition_point(|&j| (j as usize) < from + sources);
            let entry =
                |at: usize| Entry { target: i as u16, source: (columns[at] as usize - from) as u8, value: values[at] };
            entries.extend((first..last).map(entry));
        }
        Piece::new(from, sources, 0, &entries)
    }

    /// All rows, for one span of columns after the other.
    fn to_columns(rows: &[(&[u32], &[f64])], g: usize) -> Vec<Piece<T>> {
        let (spans, parts) = (g.div_ceil(SPAN), rows.len().div_ceil(WIDTH));
        let mut entries: Vec<Vec<Entry>> = vec![Vec::new(); spans * parts];
        for (i, (columns, values)) in rows.iter().enumerate() {
            for (&j, &value) in columns.iter().zip(*values) {
                let j = j as usize;
                let (target, source) = ((j % SPAN) as u16, (i % WIDTH) as u8);
                entries[j / SPAN * parts + i / WIDTH].push(Entry { target, source, value });
            }
        }
        let piece = |(at, entries): (usize, &mut Vec<Entry>)| {
            // Stable: within a column the rows keep their order.
            entries.sort_by_key(|e| e.target);
            let from = at % parts * WIDTH;
            Piece::new(from, WIDTH.min(rows.len() - from), at / parts * SPAN, entries)
        };
        entries.iter_mut().enumerate().filter_map(piece).collect()
    }

    /// Columns and values of each row, into the first places of `rows`.
    pub(super) fn rows(&self, units: &[T], rows: &mut Vec<Vec<(usize, f64)>>) {
        rows.resize(rows.len().max(self.rows), Vec::new());
        rows.iter_mut().for_each(Vec::clear);
        for piece in &self.to_rows {
            for (row, entries) in piece.each() {
                rows[row].extend(entries.map(|at| {
                    let (column, x) = piece.entry(at);
                    (column, x.to_f64() * units[column].to_f64())
                }));
            }
        }
    }
}

/// Rows from which the units of columns are guessed.
const SAMPLE: usize = 4096;

/// Values that are as good a sample as those rows; they are held until units are guessed.
const SAMPLE_VALUES: usize = 4 << 20;

/// Multiples that the smallest value of a column is tried as.
const FIRST: usize = 3;

/// What a unit of each column is: the number of which all values of these rows are whole multiples, to rounding; 1 where
/// there is none, and for all where they are few.
fn units(g: usize, columns: &[u32], values: &[f64], rounding: f64) -> Vec<f64> {
    let mut smallest = vec![f64::INFINITY; g];
    let each = || columns.iter().map(|&j| j as usize).zip(values);
    each().for_each(|(j, &x)| smallest[j] = smallest[j].min(x));
    let mut fits = vec![[true; FIRST]; g];
    for (j, &x) in each() {
        for (m, fits) in fits[j].iter_mut().enumerate() {
            *fits &= multiple(x, smallest[j] / (m + 1) as f64, rounding).is_some();
        }
    }
    let seen: Vec<usize> = (0..g).filter(|&j| smallest[j].is_finite()).collect();
    let mut units = vec![1.0; g];
    let mut found = 0;
    for &j in &seen {
        if let Some(m) = fits[j].iter().position(|fits| *fits) {
            units[j] = smallest[j] / (m + 1) as f64;
            found += 1;
        }
    }
    if 2 * found < seen.len() { vec![1.0; g] } else { units }
}

/// How many units a value is, if a whole number, to rounding.
fn multiple(x: f64, unit: f64, rounding: f64) -> Option<f64> {
    let whole = (x / unit).round();
    ((whole * unit - x).abs() <= rounding * x).then_some(whole)
}

/// Takes rows one by one.
#[derive(Debug)]
pub(super) struct Builder<T> {
    tiles: Tiles<T>,
    /// The units, once they were guessed.
    exact: Option<Vec<f64>>,
    /// Rows that are in no block yet.
    starts: Vec<usize>,
    columns: Vec<u32>,
    values: Vec<f64>,
}

impl<T: Real> Builder<T> {
    /// Of a matrix of `g` columns, for refits of its rows only or for all.
    pub(super) fn new(g: usize, rows_only: bool) -> Self {
        let (blocks, units) = (Vec::new(), Vec::new());
        let tiles = Tiles { n: 0, g, rows_only, blocks, units, n_values: 0, total: 0.0, squares: 0.0, logs: 0.0 };
        Self { tiles, exact: None, starts: vec![0], columns: Vec::new(), values: Vec::new() }
    }

    /// The next row: columns, rising, and values. Zeros are left out.
    pub(super) fn row(&mut self, columns: &[u32], values: &[f64]) {
        let (mut total, mut squares, mut logs) = (0.0, 0.0, 0.0);
        for (&j, &x) in columns.iter().zip(values) {
            let x = T::from_f64(x).to_f64();
            if x != 0.0 {
                total += x;
                squares += x * x;
                logs += if x > FLOOR { x * wide::ln(x) - x } else { 0.0 };
                self.columns.push(j);
                self.values.push(x);
            }
        }
        self.tiles.total += total;
        self.tiles.squares += squares;
        self.tiles.logs += logs;
        self.starts.push(self.columns.len());
        let rows = self.starts.len() - 1;
        let sampled = rows >= SAMPLE || (self.columns.len() >= SAMPLE_VALUES && rows.is_multiple_of(BLOCK));
        let full = if self.exact.is_some() { rows >= BLOCK } else { sampled };
        if full {
            self.close();
        }
    }

    /// Checked compressed rows.
    pub(super) fn rows(&mut self, starts: &[usize], columns: &[u32], values: Values) -> Result<()> {
        let n = starts.len().saturating_sub(1);
        let input = Input::rows_from(self.n(), starts, columns, values, n, self.tiles.g)?;
        input.each_row(|columns, values| self.row(columns, values));
        Ok(())
    }

    /// How many rows there are.
    pub(super) fn n(&self) -> usize {
        self.tiles.n + self.starts.len() - 1
    }

    /// How many columns there are.
    pub(super) fn g(&self) -> usize {
        self.tiles.g
    }

    pub(super) fn finish(mut self) -> Tiles<T> {
        self.close();
        self.tiles
    }

    /// Makes blocks of the rows that are there.
    fn close(&mut self) {
        // The rounding of whatever divided counts, in the precision of the iterations.
        let rounding = if T::from_f64(0.1).to_f64() == 0.1 { f64::EPSILON } else { f64::from(f32::EPSILON) } * 4.0;
        let Self { tiles, exact, starts, columns, values } = self;
        let units = exact.get_or_insert_with(|| units(tiles.g, columns, values, rounding));
        tiles.units = units.iter().map(|&u| T::from_f64(u)).collect();
        for (&j, x) in columns.iter().zip(values.iter_mut()) {
            let unit = units[j as usize];
            *x = multiple(*x, unit, rounding).unwrap_or(*x / unit);
        }
        for ends in starts.windows(2).collect::<Vec<_>>().chunks(BLOCK) {
            let rows: Vec<(&[u32], &[f64])> =
                ends.iter().map(|e| (&columns[e[0]..e[1]], &values[e[0]..e[1]])).collect();
            tiles.blocks.push(Block::new(tiles.n, tiles.g, &rows, tiles.rows_only));
            tiles.n += rows.len();
        }
        tiles.n_values += values.len();
        starts.truncate(1);
        columns.clear();
        values.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::pieces::Numbers;
    use super::*;

    /// Both directions as dense matrices.
    fn both(tiles: &Tiles<f64>) -> (Vec<f64>, Vec<f64>) {
        let (n, g) = (tiles.n, tiles.g);
        let (mut by_rows, mut by_columns) = (vec![0.0; n * g], vec![0.0; n * g]);
        tiles.each_row(|i, row| row.iter().for_each(|&(j, x)| by_rows[i * g + j] = x));
        for block in &tiles.blocks {
            for piece in &block.to_columns {
                for (j, entries) in piece.each() {
                    for (i, x) in entries.map(|at| piece.entry(at)) {
                        by_columns[(block.from + i) * g + j] = x * tiles.units[j];
                    }
                }
            }
        }
        (by_rows, by_columns)
    }

    #[test]
    fn both_directions_hold_every_value() -> Result<()> {
        let (n, g) = (300, 700);
        let dense: Vec<f64> = (0..n * g).map(|t| if t % 7 == 3 { (t as f64).sqrt() } else { 0.0 }).collect();
        let tiles = Tiles::<f64>::new(&Input::dense(Values::Double(&dense), n, g)?);
        assert_eq!(both(&tiles), (dense.clone(), dense.clone()));
        assert!((tiles.total / dense.iter().sum::<f64>() - 1.0).abs() < 1e-14);
        assert_eq!((tiles.blocks.len(), tiles.n_values), (2, n * g / 7));
        Ok(())
    }

    #[test]
    fn counts_over_deviations_become_counts_again() -> Result<()> {
        let (n, g) = (70, 5);
        // Column 3 is empty; column 4 has no single count.
        let count = |i: usize, j: usize| match j {
            3 => 0,
            4 => [0, 2, 5][i % 3],
            _ => (i * 7 + j) % 4,
        };
        let sd = |j: usize| (2.0 + j as f64).sqrt();
        let dense: Vec<f64> = (0..n * g).map(|at| count(at / g, at % g) as f64 / sd(at % g)).collect();
        let tiles = Tiles::<f64>::new(&Input::dense(Values::Double(&dense), n, g)?);
        let counted = |p: &Piece<f64>| matches!(p.numbers, Numbers::Counts(_));
        assert!(tiles.blocks.iter().all(|b| b.to_rows.iter().chain(&b.to_columns).all(counted)));
        let (by_rows, by_columns) = both(&tiles);
        let near = |found: &[f64]| found.iter().zip(&dense).all(|(a, b)| (a - b).abs() <= 4.0 * f64::EPSILON * b);
        assert!(near(&by_rows) && near(&by_columns));
        assert!((tiles.units[4] * sd(4) - 1.0).abs() < 1e-15);
        Ok(())
    }

    #[test]
    fn rows_in_portions_are_the_matrix() -> Result<()> {
        let (n, g) = (600, 3);
        let dense: Vec<f64> = (0..n * g).map(|t| (t % 5) as f64 + 1.0).collect();
        let whole = Tiles::<f64>::new(&Input::dense(Values::Double(&dense), n, g)?);
        let mut builder = Builder::<f64>::new(g, false);
        for portion in dense.chunks(100 * g) {
            let rows = portion.len() / g;
            let starts: Vec<usize> = (0..=rows).map(|i| i * g).collect();
            let columns: Vec<u32> = (0..rows * g).map(|at| (at % g) as u32).collect();
            builder.rows(&starts, &columns, Values::Double(portion))?;
        }
        assert_eq!(builder.n(), n);
        assert_eq!(both(&builder.finish()), both(&whole));
        Ok(())
    }
}
