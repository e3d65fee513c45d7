//! Whatever the layout, compression, types and block sizes: the numbers are those that were written.
#![allow(clippy::unwrap_used)]

mod common;

use common::{DTYPES, STORAGES, Sparse, Storage, mark, new_file, representable, write_sparse};
use ferrocyte_base::Run;
use ferrocyte_data::RowChunks;
use ferrocyte_io::H5ad;
use proptest::prelude::*;

/// The rows of a range as dense numbers.
fn read(matrix: &mut dyn RowChunks, run: &Run, rows: std::ops::Range<usize>) -> Vec<Vec<f64>> {
    let n_cols = matrix.n_cols();
    let block = matrix.read(run, rows.clone()).unwrap();
    assert_eq!((block.start(), block.n_rows(), block.n_cols()), (rows.start, rows.len(), n_cols));
    (0..block.n_rows())
        .map(|i| {
            let mut row = vec![0.0; n_cols];
            block.row(i).for_each(|(j, v)| row[j] = v);
            row
        })
        .collect()
}

fn transposed(dense: &[Vec<f64>], n_minor: usize) -> Vec<Vec<f64>> {
    (0..n_minor).map(|j| dense.iter().map(|row| row[j]).collect()).collect()
}

/// A matrix of compressed rows or columns in any order, duplicates included.
fn sparse() -> impl Strategy<Value = Sparse> {
    (0_usize..40, 1_usize..30).prop_flat_map(|(n_major, n_minor)| {
        proptest::collection::vec(proptest::collection::vec((0..n_minor, -50_i32..3000), 0..12), n_major).prop_map(
            move |rows| {
                let mut matrix =
                    Sparse { n_major, n_minor, pointers: vec![0], indices: Vec::new(), values: Vec::new() };
                for row in rows {
                    for (index, value) in row {
                        matrix.indices.push(index);
                        matrix.values.push(value);
                    }
                    matrix.pointers.push(matrix.indices.len());
                }
                matrix
            },
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn any_range_of_any_sparse_matrix_is_what_was_written(
        matrix in sparse(),
        by_rows: bool,
        wide: (bool, bool),
        dtype in proptest::sample::select(&DTYPES[..]),
        storage in proptest::sample::select(&STORAGES[..]),
        cuts in proptest::collection::vec((0.0..1.0_f64, 0.0..1.0_f64), 1..8),
        // From memory for one value to memory for all.
        memory in proptest::sample::select(vec![1_u64, 2_000, 20_000, 1 << 30]),
    ) {
        let mut matrix = matrix;
        for value in &mut matrix.values {
            *value = representable(*value, dtype);
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("random.h5ad");
        let (n_rows, n_cols) =
            if by_rows { (matrix.n_major, matrix.n_minor) } else { (matrix.n_minor, matrix.n_major) };
        let file = new_file(&path, n_rows, n_cols);
        write_sparse(&file, "X", &matrix, by_rows, dtype, wide, storage);
        drop(file);

        let expected = if by_rows { matrix.dense() } else { transposed(&matrix.dense(), matrix.n_minor) };
        let run = Run::new().memory(memory);
        let mut x = H5ad::open(&path).unwrap().matrix("X").unwrap();
        prop_assert_eq!(x.n_stored(), Some(matrix.values.len() as u64));
        for (a, b) in cuts {
            let (a, b) = ((a * n_rows as f64) as usize, (b * (n_rows + 1) as f64) as usize);
            let rows = a.min(b)..a.max(b).min(n_rows);
            prop_assert_eq!(&read(&mut x, &run, rows.clone())[..], &expected[rows]);
        }
        // Rising ranges, the usual way of reading.
        let mut all = Vec::new();
        for start in (0..n_rows).step_by(7) {
            all.extend(read(&mut x, &run, start..(start + 7).min(n_rows)));
        }
        prop_assert_eq!(all, expected);
    }
}

/// 50 × 20, a value in every third place.
fn example() -> Sparse {
    let mut matrix = Sparse { n_major: 50, n_minor: 20, pointers: vec![0], indices: Vec::new(), values: Vec::new() };
    for i in 0..50 {
        for j in (0..20).filter(|j| (i + j) % 3 == 0) {
            matrix.indices.push(j);
            matrix.values.push((i * j % 90) as i32);
        }
        matrix.pointers.push(matrix.indices.len());
    }
    matrix
}

#[test]
fn every_combination_of_types_and_storage_reads_equal() {
    let folder = tempfile::tempdir().unwrap();
    let run = Run::new();
    for dtype in DTYPES {
        let mut matrix = example();
        matrix.values.iter_mut().for_each(|v| *v = representable(*v, dtype));
        let expected = matrix.dense();
        for storage in STORAGES {
            for wide in [(false, false), (true, false), (false, true), (true, true)] {
                let path = folder.path().join("x.h5ad");
                let file = new_file(&path, 50, 20);
                write_sparse(&file, "X", &matrix, true, dtype, wide, storage);
                drop(file);
                let study = H5ad::open(&path).unwrap();
                let place = format!("{dtype} {storage:?} {wide:?}");
                assert_eq!(read(&mut study.matrix("X").unwrap(), &run, 0..50), expected, "{place}");
            }
        }
    }
}

/// Counts how often the user is asked whether to stop: once a slab, and a small matrix is one slab.
struct Slabs(std::sync::atomic::AtomicUsize);

impl ferrocyte_base::Monitor for Slabs {
    fn cancelled(&self) -> bool {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        false
    }
}

/// How many passes it takes to read all rows of a CSC file, five at a time.
fn passes(path: &std::path::Path, memory: u64, expected: &[Vec<f64>]) -> usize {
    let slabs = std::sync::Arc::new(Slabs(0.into()));
    let run = Run::new().memory(memory).monitor(std::sync::Arc::clone(&slabs) as _);
    let mut x = H5ad::open(path).unwrap().matrix("X").unwrap();
    for start in (0..expected.len()).step_by(5) {
        let rows = start..(start + 5).min(expected.len());
        assert_eq!(read(&mut x, &run, rows.clone()), expected[rows]);
    }
    slabs.0.load(std::sync::atomic::Ordering::Relaxed)
}

#[test]
fn sparse_columns_take_one_pass_when_they_fit_and_more_when_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("columns.h5ad");
    // 100 rows, 20 columns; all values stand in the first 20 rows, so that these need more than their share.
    let mut matrix = Sparse { n_major: 20, n_minor: 100, pointers: vec![0], indices: vec![], values: vec![] };
    for j in 0..20 {
        for i in 0..20 {
            matrix.indices.push(i);
            matrix.values.push(i as i32 * 100 + j + 1);
        }
        matrix.pointers.push(matrix.indices.len());
    }
    let file = new_file(&path, 100, 20);
    // Not compressed: the library reads a slab at once, and nothing else asks whether to stop.
    write_sparse(&file, "X", &matrix, false, "f64", (false, false), Storage::Contiguous);
    drop(file);
    let expected = transposed(&matrix.dense(), 100);
    assert_eq!(passes(&path, 1 << 20, &expected), 1);
    // Room for half of the values, and for five rows of them.
    let (half, little) = (passes(&path, 200 * 28 * 4, &expected), passes(&path, 100 * 28 * 4, &expected));
    assert!(half > 1 && half < little && little <= 20, "{half} and {little} passes");
}

#[test]
fn dense_matrices_read_equal_in_every_storage() {
    let folder = tempfile::tempdir().unwrap();
    let expected: Vec<Vec<f64>> = example().dense();
    for storage in STORAGES {
        // Chunks that do not divide the rows, and are narrower than the matrix.
        for chunk in [(1, 20), (7, 20), (8, 3), (50, 20)] {
            let path = folder.path().join("x.h5ad");
            let file = new_file(&path, 50, 20);
            let flat: Vec<f32> = expected.iter().flatten().map(|&v| v as f32).collect();
            let mut builder = file.new_dataset::<f32>().shape((50, 20));
            if storage != Storage::Contiguous {
                builder = builder.chunk(chunk);
            }
            builder = match storage {
                Storage::Contiguous | Storage::Chunked => builder,
                Storage::Gzip => builder.deflate(4),
                Storage::GzipShuffle => builder.shuffle().deflate(1),
                Storage::Lzf => builder.lzf(),
            };
            let dataset = builder.create("X").unwrap();
            dataset.write_raw(&flat).unwrap();
            mark(&dataset, "array", "0.2.0");
            drop((dataset, file));
            let mut x = H5ad::open(&path).unwrap().matrix("X").unwrap();
            for length in [1, 3, 7, 11, 50] {
                let rows: Vec<Vec<f64>> = (0..50)
                    .step_by(length)
                    .flat_map(|start| read(&mut x, &Run::new(), start..(start + length).min(50)))
                    .collect();
                assert_eq!(rows, expected, "{storage:?} {chunk:?}, {length} rows at once");
            }
        }
    }
}

/// A dense matrix of one column, which is read back whole and by parts.
fn expect_column(path: &std::path::Path, expected: &[f64], what: &str) {
    for threads in [1, 3] {
        let run = Run::new().threads(threads);
        let mut x = H5ad::open(path).unwrap().matrix("X").unwrap();
        for rows in [0..expected.len(), 3..expected.len() / 2] {
            let found: Vec<f64> = read(&mut x, &run, rows.clone()).into_iter().flatten().collect();
            assert_eq!(found, expected[rows], "{what}");
        }
    }
}

#[test]
fn chunks_that_are_stored_in_rarer_ways_read_equal() {
    use hdf5_metno as hdf5;
    type Filters = fn(hdf5::DatasetBuilder) -> hdf5::DatasetBuilder;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.h5ad");
    // Digits without order: compression gains nothing, and the library leaves its filter out.
    let noise: Vec<f64> = (1..=100_u64).map(|i| f64::from_bits(i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 2)).collect();
    let even: Vec<f64> = (0..100).map(|i| (i % 3) as f64).collect();
    let filters: [(&str, Filters); 5] = [
        ("lzf", |b| b.lzf()),
        ("shuffle, lzf", |b| b.shuffle().lzf()),
        ("gzip", |b| b.deflate(1)),
        ("gzip, fletcher32", |b| b.deflate(1).fletcher32()),
        ("shuffle", |b| b.shuffle()),
    ];
    for (what, filters) in filters {
        for values in [&noise, &even] {
            let file = new_file(&path, 100, 1);
            let dataset =
                filters(file.new_dataset_builder()).empty::<f64>().shape((100, 1)).chunk((16, 1)).create("X").unwrap();
            dataset.write_raw(&values[..]).unwrap();
            mark(&dataset, "array", "0.2.0");
            drop((dataset, file));
            expect_column(&path, values, what);
        }
    }
    // Chunks that nobody wrote hold the fill value.
    let file = new_file(&path, 100, 1);
    let dataset =
        file.new_dataset::<f64>().shape((100, 1)).chunk((16, 1)).deflate(1).fill_value(2.5).create("X").unwrap();
    dataset.write_slice(&even[..40], (20..60, 0)).unwrap();
    mark(&dataset, "array", "0.2.0");
    drop((dataset, file));
    let filled: Vec<f64> = (0..100_usize).map(|i| if (20..60).contains(&i) { even[i - 20] } else { 2.5 }).collect();
    expect_column(&path, &filled, "fill value");
}

#[test]
fn a_file_behind_a_user_block_reads_equal() {
    use hdf5_metno as hdf5;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.h5ad");
    let file = hdf5::File::with_options().with_fcpl(|p| p.userblock(1024)).create(&path).unwrap();
    mark(&file, "anndata", "0.1.0");
    common::write_frame(&file, "obs", 50, "c");
    common::write_frame(&file, "var", 20, "g");
    write_sparse(&file, "X", &example(), true, "f32", (false, false), Storage::Gzip);
    drop(file);
    let mut x = H5ad::open(&path).unwrap().matrix("X").unwrap();
    assert_eq!(read(&mut x, &Run::new(), 0..50), example().dense());
}

#[test]
fn nan_in_a_dense_matrix_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.h5ad");
    let file = new_file(&path, 1, 3);
    let dataset = file.new_dataset::<f64>().shape((1, 3)).create("X").unwrap();
    dataset.write_raw(&[0.0, f64::NAN, 2.0]).unwrap();
    mark(&dataset, "array", "0.2.0");
    drop((dataset, file));
    let mut x = H5ad::open(&path).unwrap().matrix("X").unwrap();
    let run = Run::new();
    let block = x.read(&run, 0..1).unwrap();
    assert_eq!(block.indices(), [1, 2]);
    assert!(block.values().get(0).is_nan());
}
