//! The arrays of a `.npz`: a zip of `.npy`.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// One array as 64-bit numbers, row after row.
pub(crate) struct Array {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f64>,
}

impl Array {
    pub(crate) fn integers(&self) -> Vec<u32> {
        self.values.iter().map(|x| *x as u32).collect()
    }

    /// The first `columns` of a matrix.
    pub(crate) fn columns(&self, columns: usize) -> Vec<f64> {
        self.values.chunks_exact(self.shape[1]).flat_map(|row| &row[..columns]).copied().collect()
    }
}

/// The reference cases: under `FERROCYTE_GOLDEN`, by default `tests/golden` of the repository.
pub(crate) fn golden() -> PathBuf {
    let root = std::env::var_os("FERROCYTE_GOLDEN")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden"), PathBuf::from);
    root.join("cells")
}

/// A JSON file, in which numbers that are not finite may stand as Python writes them.
pub(crate) fn json(path: &Path) -> serde_json::Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let plain = text.replace("-Infinity", "null").replace("Infinity", "null").replace("NaN", "null");
    serde_json::from_str(&plain).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The folders of pipeline cases: those whose `metrics.json` has `params` and `input`.
pub(crate) fn pipelines() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(golden()).unwrap().map(|e| e.unwrap().path()).collect();
    found.retain(|folder| {
        let metrics = folder.join("metrics.json");
        metrics.exists() && ["params", "input"].iter().all(|word| json(&metrics).get(word).is_some())
    });
    found.sort();
    assert!(!found.is_empty(), "no pipeline case under {}", golden().display());
    found
}

/// All arrays of a file, by name.
pub(crate) fn arrays(path: &Path) -> BTreeMap<String, Array> {
    let file = std::fs::File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut archive = zip::ZipArchive::new(file).unwrap();
    let mut found = BTreeMap::new();
    for i in 0..archive.len() {
        let mut entry = archive.by_index_raw(i).unwrap();
        let deflated = entry.compressed_size() != entry.size();
        let name = entry.name().unwrap().trim_end_matches(".npy").to_owned();
        let mut bytes = Vec::new();
        if deflated {
            flate2::read::DeflateDecoder::new(&mut entry).read_to_end(&mut bytes).unwrap();
        } else {
            entry.read_to_end(&mut bytes).unwrap();
        }
        found.insert(name, array(&bytes));
    }
    found
}

/// One `.npy`.
pub(crate) fn array(bytes: &[u8]) -> Array {
    let length = u16::from_le_bytes([bytes[8], bytes[9]]) as usize;
    let (header, data) = (std::str::from_utf8(&bytes[10..10 + length]).unwrap(), &bytes[10 + length..]);
    let after = |key: &str| header.split(key).nth(1).unwrap();
    let by_columns = after("'fortran_order': ").starts_with("True");
    let shape: Vec<usize> = after("'shape': (")
        .split(')')
        .next()
        .unwrap()
        .split(',')
        .filter(|x| !x.trim().is_empty())
        .map(|x| x.trim().parse().unwrap())
        .collect();
    let kind = after("'descr': '").split('\'').next().unwrap();
    let values: Vec<f64> = match kind {
        "|u1" => data.iter().map(|x| f64::from(*x)).collect(),
        "<u2" => data.as_chunks().0.iter().map(|x| f64::from(u16::from_le_bytes(*x))).collect(),
        "<u4" => data.as_chunks().0.iter().map(|x| f64::from(u32::from_le_bytes(*x))).collect(),
        "<i4" => data.as_chunks().0.iter().map(|x| f64::from(i32::from_le_bytes(*x))).collect(),
        "<i8" => data.as_chunks().0.iter().map(|x| i64::from_le_bytes(*x) as f64).collect(),
        "<f4" => data.as_chunks().0.iter().map(|x| f64::from(f32::from_le_bytes(*x))).collect(),
        "<f8" => data.as_chunks().0.iter().map(|x| f64::from_le_bytes(*x)).collect(),
        other => panic!("arrays of {other} are not read here"),
    };
    if by_columns && shape.len() == 2 {
        let (rows, columns) = (shape[0], shape[1]);
        let turned = (0..rows * columns).map(|t| values[t % columns * rows + t / columns]).collect();
        return Array { shape, values: turned };
    }
    Array { shape, values }
}
