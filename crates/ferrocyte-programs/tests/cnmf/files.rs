//! The reference cases, and how they are compared.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ferrocyte_base::Run;
use ferrocyte_data::OwnedCsr;
use ferrocyte_programs::{Names, SparseRows};

use crate::npz::{self, Array, arrays};

pub(crate) type Arrays = BTreeMap<String, Array>;

pub(crate) fn file(name: &str) -> PathBuf {
    npz::golden().with_file_name("cnmf").join(name)
}

pub(crate) fn npz(name: &str) -> Arrays {
    arrays(&file(name))
}

pub(crate) fn lines(name: &str) -> Vec<String> {
    std::fs::read_to_string(file(name)).unwrap().lines().map(str::to_owned).collect()
}

/// Names of cells and genes by their numbers.
pub(crate) fn numbered(n: usize, g: usize) -> Names {
    Names { cells: (0..n).map(|i| format!("c{i}")).collect(), genes: (0..g).map(|j| format!("g{j}")).collect() }
}

/// scipy's three arrays of a matrix that a file stores as `NAME_data` and so on.
pub(crate) fn sparse(arrays: &Arrays, name: &str, n_cols: usize) -> SparseRows {
    let part = |what: &str| &arrays[&format!("{name}_{what}")].values;
    let starts = part("indptr").iter().map(|x| *x as usize).collect();
    let columns = part("indices").iter().map(|x| *x as u32).collect();
    SparseRows::new(n_cols, starts, columns, part("data").clone()).unwrap()
}

/// A matrix in memory as a stream.
pub(crate) fn stream(x: &SparseRows) -> ferrocyte_data::Csr<'_, f64, u32> {
    let pointers: Vec<i64> = x.starts().iter().map(|p| *p as i64).collect();
    ferrocyte_data::Csr::new(x.n_rows(), x.n_cols(), x.values(), x.columns(), &pointers).unwrap()
}

/// The counts of the whole run.
pub(crate) fn run_counts() -> (OwnedCsr, Names) {
    let counts = ferrocyte_io::read_matrix_market(&Run::new(), &file("run_counts.mtx.gz"), false).unwrap();
    (counts, Names { cells: lines("run_cells.txt"), genes: lines("run_genes.txt") })
}

/// The largest difference as a share of the largest expected size; counts what it compared.
#[derive(Default)]
pub(crate) struct Comparison {
    pub(crate) values: usize,
}

impl Comparison {
    pub(crate) fn relative(&mut self, name: &str, found: &[f64], expected: &[f64], tolerance: f64) {
        let largest = expected.iter().filter(|x| x.is_finite()).fold(0.0_f64, |m, x| m.max(x.abs()));
        self.absolute(name, found, expected, tolerance * largest);
    }

    pub(crate) fn absolute(&mut self, name: &str, found: &[f64], expected: &[f64], tolerance: f64) {
        assert_eq!(found.len(), expected.len(), "{name}: number of values");
        for (at, (a, b)) in found.iter().zip(expected).enumerate() {
            let same = (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance;
            assert!(same, "{name}: entry {at} is {a:e}, expected {b:e} within {tolerance:e}");
        }
        self.values += found.len();
    }

    pub(crate) fn same<T: PartialEq + std::fmt::Debug>(&mut self, name: &str, found: &[T], expected: &[T]) {
        assert_eq!(found.len(), expected.len(), "{name}: number of values");
        if let Some(at) = (0..found.len()).find(|&at| found[at] != expected[at]) {
            panic!("{name}: entry {at} is {:?}, expected {:?}", found[at], expected[at]);
        }
        self.values += found.len();
    }
}
