//! Square tiles of large matrices, in memory or elsewhere, read and written by many threads.

use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ferrocyte_base::{Fault, Result};

/// Rows and columns of a tile.
pub(super) const SIDE: usize = 64;

/// Entries of a tile.
pub(super) const AREA: usize = SIDE * SIDE;

ferrocyte_base::choice! {
    /// In which precision large matrices are kept. Sums are always in 64 bits.
    Precision, "precision" {
        /// 64 bits.
        Double = "double",
        /// 32 bits: half the room; entries that would differ may tie.
        Single = "single",
    }
}

/// Bytes that are written and read at places.
pub trait Storage: Read + Write + Seek + Send {}

impl<T: Read + Write + Seek + Send> Storage for T {}

/// Gives room for so many bytes beside memory, or says why there is none. What it gave is gone once it is dropped.
pub type Room<'a> = &'a (dyn Fn(u64) -> Result<Box<dyn Storage>> + Sync);

/// Room beside memory that several matrices share.
pub(super) type Shared = Arc<Mutex<Box<dyn Storage>>>;

/// Tiles of one matrix.
pub(super) enum Tiles {
    Double(Vec<Mutex<Box<[f64]>>>),
    Single(Vec<Mutex<Box<[f32]>>>),
    Elsewhere { storage: Shared, offset: u64, precision: Precision },
}

/// Bytes of a number.
pub(super) fn width(precision: Precision) -> u64 {
    match precision {
        Precision::Double => 8,
        Precision::Single => 4,
    }
}

fn locked<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tiles {
    /// `n` tiles of zeros in memory.
    pub(super) fn in_memory(n: usize, precision: Precision) -> Self {
        match precision {
            Precision::Double => Self::Double((0..n).map(|_| Mutex::new(vec![0.0; AREA].into())).collect()),
            Precision::Single => Self::Single((0..n).map(|_| Mutex::new(vec![0.0; AREA].into())).collect()),
        }
    }

    /// Tiles elsewhere, from a place on; they have to be written before they are read.
    pub(super) fn elsewhere(storage: &Shared, offset: u64, precision: Precision) -> Self {
        Self::Elsewhere { storage: Arc::clone(storage), offset, precision }
    }

    /// Copies a tile to `out`.
    pub(super) fn read(&self, tile: usize, out: &mut [f64]) -> Result<()> {
        match self {
            Self::Double(tiles) => out.copy_from_slice(&locked(&tiles[tile])),
            Self::Single(tiles) => widen(&locked(&tiles[tile]), out),
            Self::Elsewhere { storage, offset, precision } => {
                let wide = width(*precision) as usize;
                let mut bytes = vec![0; AREA * wide];
                let mut storage = locked(storage);
                let from = SeekFrom::Start(offset + (tile * AREA * wide) as u64);
                storage.seek(from).and_then(|_| storage.read_exact(&mut bytes)).map_err(broken)?;
                drop(storage);
                decode(&bytes, *precision, out);
            }
        }
        Ok(())
    }

    /// Replaces a tile; where tiles are in single precision, `values` become what was kept of them.
    pub(super) fn write(&self, tile: usize, values: &mut [f64]) -> Result<()> {
        match self {
            Self::Double(tiles) => locked(&tiles[tile]).copy_from_slice(values),
            Self::Single(tiles) => {
                let mut kept = locked(&tiles[tile]);
                kept.iter_mut().zip(values.iter()).for_each(|(kept, &x)| *kept = x as f32);
                widen(&kept, values);
            }
            Self::Elsewhere { storage, offset, precision } => {
                let bytes = encode(values, *precision);
                decode(&bytes, *precision, values);
                let mut storage = locked(storage);
                let from = SeekFrom::Start(offset + (tile * bytes.len()) as u64);
                storage.seek(from).and_then(|_| storage.write_all(&bytes)).map_err(broken)?;
            }
        }
        Ok(())
    }
}

fn widen(values: &[f32], out: &mut [f64]) {
    out.iter_mut().zip(values).for_each(|(out, &x)| *out = f64::from(x));
}

fn encode(values: &[f64], precision: Precision) -> Vec<u8> {
    match precision {
        Precision::Double => values.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Precision::Single => values.iter().flat_map(|&x| (x as f32).to_le_bytes()).collect(),
    }
}

fn decode(bytes: &[u8], precision: Precision, out: &mut [f64]) {
    match precision {
        Precision::Double => {
            for (out, bytes) in out.iter_mut().zip(bytes.as_chunks::<8>().0) {
                *out = f64::from_le_bytes(*bytes);
            }
        }
        Precision::Single => {
            for (out, bytes) in out.iter_mut().zip(bytes.as_chunks::<4>().0) {
                *out = f64::from(f32::from_le_bytes(*bytes));
            }
        }
    }
}

fn broken(error: std::io::Error) -> Fault {
    Fault::bad_file("the room beside memory cannot be written or read")
        .because(error)
        .hint("look at what is left of it")
}

/// A symmetric matrix: the tiles on and below its diagonal. Beyond its `n` rows tiles are filled up with zeros.
pub(super) struct Symmetric {
    pub(super) n: usize,
    pub(super) tiles: Tiles,
}

/// How many tiles a side of `n` rows has.
pub(super) fn sides(n: usize) -> usize {
    n.div_ceil(SIDE)
}

/// How many tiles a symmetric matrix of `n` rows has.
pub(super) fn n_symmetric(n: usize) -> usize {
    sides(n) * (sides(n) + 1) / 2
}

/// The place of tile (`row`, `column`), `column` at most `row`.
pub(super) fn place(row: usize, column: usize) -> usize {
    row * (row + 1) / 2 + column
}

impl Symmetric {
    /// Copies the columns of tile column `column`: all rows × [`SIDE`].
    pub(super) fn panel(&self, column: usize, out: &mut [f64]) -> Result<()> {
        let mut tile = vec![0.0; AREA];
        for (row, out) in out.chunks_exact_mut(AREA).enumerate() {
            if row >= column {
                self.tiles.read(place(row, column), out)?;
            } else {
                self.tiles.read(place(column, row), &mut tile)?;
                turn(&tile, out);
            }
        }
        Ok(())
    }
}

/// A tile, its columns as rows.
pub(super) fn turn(tile: &[f64], out: &mut [f64]) {
    for (i, row) in out.chunks_exact_mut(SIDE).enumerate() {
        for (j, x) in row.iter_mut().enumerate() {
            *x = tile[j * SIDE + i];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn tiles_are_the_same_wherever_they_are() -> Result<()> {
        for precision in [Precision::Double, Precision::Single] {
            let storage: Shared = Arc::new(Mutex::new(Box::new(Cursor::new(Vec::new()))));
            let tiles = [Tiles::in_memory(3, precision), Tiles::elsewhere(&storage, 640, precision)];
            let given: Vec<f64> = (0..AREA).map(|i| 1.0 / (i as f64 + 3.0)).collect();
            for tiles in &tiles {
                let (mut kept, mut found) = (given.clone(), vec![0.0; AREA]);
                tiles.write(2, &mut kept)?;
                tiles.read(2, &mut found)?;
                assert_eq!(found, kept);
                assert_eq!(kept == given, precision == Precision::Double);
            }
        }
        Ok(())
    }

    #[test]
    fn panels_are_columns() -> Result<()> {
        let n = 2 * SIDE + 5;
        let whole = Symmetric { n, tiles: Tiles::in_memory(n_symmetric(n), Precision::Double) };
        let value = |i: usize, j: usize| (i.min(j) * 1000 + i.max(j)) as f64;
        for row in 0..sides(n) {
            for column in 0..=row {
                let mut tile: Vec<f64> =
                    (0..AREA).map(|at| value(row * SIDE + at / SIDE, column * SIDE + at % SIDE)).collect();
                whole.tiles.write(place(row, column), &mut tile)?;
            }
        }
        let mut panel = vec![0.0; sides(n) * AREA];
        whole.panel(1, &mut panel)?;
        for (at, &x) in panel.iter().enumerate() {
            assert_eq!(x, value(at / SIDE, SIDE + at % SIDE));
        }
        Ok(())
    }

    #[test]
    fn what_is_not_there_cannot_be_read() {
        let storage: Shared = Arc::new(Mutex::new(Box::new(Cursor::new(vec![0; 16]))));
        let tiles = Tiles::elsewhere(&storage, 0, Precision::Double);
        assert!(tiles.read(0, &mut vec![0.0; AREA]).is_err());
    }
}
