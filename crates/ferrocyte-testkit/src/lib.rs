//! What the tests of several crates share: seeded matrices and assertions that name what differs.
//!
//! Not published.

#![allow(clippy::panic, reason = "assertions panic")]

use ferrocyte_base::{Cells, Result, Run, Table};
use ferrocyte_data::{Csr, RowChunks};
use ferrocyte_math::random::Stream;

/// Compressed rows that own their arrays.
#[derive(Debug, Clone, PartialEq)]
pub struct Counts {
    /// Number of rows (cells).
    pub n_rows: usize,
    /// Number of columns (genes).
    pub n_cols: usize,
    /// Stored values.
    pub values: Vec<f32>,
    /// Their columns, rising within a row.
    pub indices: Vec<i32>,
    /// Where each row begins.
    pub pointers: Vec<i64>,
}

impl Counts {
    /// Poisson counts with the given mean; some rows and columns may be empty.
    pub fn random(seed: u64, n_rows: usize, n_cols: usize, mean: f64) -> Result<Self> {
        let mut stream = Stream::new(seed, 0);
        let (mut values, mut indices, mut pointers) = (Vec::new(), Vec::new(), vec![0]);
        for _ in 0..n_rows {
            for column in 0..n_cols {
                let count = stream.poisson(mean)?;
                if count > 0.0 {
                    values.push(count as f32);
                    indices.push(column as i32);
                }
            }
            pointers.push(values.len() as i64);
        }
        Ok(Self { n_rows, n_cols, values, indices, pointers })
    }

    /// As a stream of rows.
    pub fn source(&self) -> Result<Csr<'_, f32, i32>> {
        Csr::new(self.n_rows, self.n_cols, &self.values, &self.indices, &self.pointers)
    }
}

/// Runs `work` with 1, 2 and 4 threads and with little and much memory, and fails unless all give the same bits.
///
/// `bits` turns a result into numbers that are compared bit by bit.
pub fn assert_same_bits_over_runs<T>(work: impl Fn(&Run) -> Result<T>, bits: impl Fn(&T) -> Vec<f64>) -> Result<()> {
    let reference = bits(&work(&Run::new().threads(1))?);
    for threads in [1, 2, 4] {
        // The smaller budget makes blocks of 256 rows.
        for memory in [64 << 20, 2 << 30] {
            let found = bits(&work(&Run::new().threads(threads).memory(memory))?);
            assert_eq!(found.len(), reference.len(), "{threads} threads, {memory} bytes: another number of results");
            for (i, (a, b)) in found.iter().zip(&reference).enumerate() {
                assert!(
                    a.to_bits() == b.to_bits(),
                    "{threads} threads, {memory} bytes: number {i} is {a:e}, with one thread {b:e}"
                );
            }
        }
    }
    Ok(())
}

/// All values of a source, read in blocks of `step` rows.
pub fn all_values(source: &mut dyn RowChunks, step: usize) -> Result<Vec<Vec<(usize, f64)>>> {
    let run = Run::new().threads(1);
    let mut rows = Vec::new();
    let mut start = 0;
    while start < source.n_rows() {
        let end = (start + step).min(source.n_rows());
        let block = source.read(&run, start..end)?;
        rows.extend((0..block.n_rows()).map(|i| block.row(i).collect::<Vec<_>>()));
        start = end;
    }
    Ok(rows)
}

/// Fails unless two tables have the same columns and cells; says which gene and column differ. Numbers may differ by
/// `tolerance`, relative to the larger; NaN equals NaN.
pub fn assert_table_eq(found: &Table, expected: &Table, tolerance: f64) {
    let names = |t: &Table| t.columns().iter().map(|c| c.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(found), names(expected), "columns of `{}`", expected.name());
    assert_eq!(found.n_rows(), expected.n_rows(), "rows of `{}`", expected.name());
    let genes = expected.column("gene").ok().map(|c| c.cells.clone());
    let gene = |i: usize| match &genes {
        Some(Cells::Text(v)) => v[i].clone(),
        _ => i.to_string(),
    };
    for (a, b) in found.columns().iter().zip(expected.columns()) {
        match (&a.cells, &b.cells) {
            (Cells::Float(x), Cells::Float(y)) => {
                for (i, (x, y)) in x.iter().zip(y).enumerate() {
                    let same =
                        x == y || (x.is_nan() && y.is_nan()) || (x - y).abs() <= tolerance * x.abs().max(y.abs());
                    assert!(same, "column `{}`, gene `{}`: found {x:e}, expected {y:e}", a.name, gene(i));
                }
            }
            (x, y) => assert!(x == y, "column `{}` differs", a.name),
        }
    }
}
