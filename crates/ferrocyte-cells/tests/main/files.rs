//! Reference files: arrays of `.npz`, tables of `.tsv.gz`, matrices of `.h5ad`; and assertions that name what differs.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use ferrocyte_base::Run;
use ferrocyte_data::{Csr, RowChunks};
use ferrocyte_io::H5ad;
use serde_json::Value as Json;

fn root(variable: &str, usual: &str) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(usual);
    std::env::var_os(variable).map_or(here, PathBuf::from)
}

/// A file of the data folder.
pub(crate) fn data(name: &str) -> PathBuf {
    root("FERROCYTE_DATA", "data").join(name)
}

/// A folder with reference files.
pub(crate) struct Case {
    pub(crate) folder: PathBuf,
}

impl Case {
    /// The folders in which `file` exists; fails if there is no folder with any case.
    pub(crate) fn with(file: &str) -> Vec<Self> {
        let root = root("FERROCYTE_GOLDEN", "tests/golden").join("cells");
        let mut folders: Vec<PathBuf> = std::fs::read_dir(&root)
            .unwrap_or_else(|e| panic!("{}: {e}", root.display()))
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_dir())
            .collect();
        assert!(!folders.is_empty(), "{} has no case", root.display());
        folders.sort();
        let found: Vec<Self> =
            folders.into_iter().filter(|f| f.join(file).exists()).map(|folder| Self { folder }).collect();
        if found.is_empty() {
            eprintln!("passed over: no case has {file}");
        }
        found
    }

    /// The cases of whole pipelines.
    pub(crate) fn pipelines() -> Vec<Self> {
        let is_one = |case: &Self| {
            let metrics = case.json("metrics.json");
            metrics.get("params").is_some() && metrics.get("input").is_some()
        };
        Self::with("metrics.json").into_iter().filter(is_one).collect()
    }

    pub(crate) fn has(&self, file: &str) -> bool {
        self.folder.join(file).exists()
    }

    pub(crate) fn json(&self, file: &str) -> Json {
        let path = self.folder.join(file);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        // Python writes numbers that JSON does not have.
        let bare = |line: &str| match line.trim().trim_end_matches(',') {
            "NaN" => line.replace("NaN", "null"),
            "Infinity" => line.replace("Infinity", "\"inf\""),
            "-Infinity" => line.replace("-Infinity", "\"-inf\""),
            _ => line.replace(": NaN", ": null"),
        };
        let text: String = text.lines().map(|line| bare(line) + "\n").collect();
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    pub(crate) fn npz(&self, file: &str) -> Npz {
        Npz::read(&self.folder.join(file))
    }

    /// A table: names of rows, and columns by name.
    pub(crate) fn table(&self, file: &str) -> Tsv {
        Tsv::read(&self.folder.join(file))
    }
}

/// A number of JSON; NaN for null, infinities for their words.
pub(crate) fn number(json: &Json) -> f64 {
    match json {
        Json::String(text) if text == "inf" => f64::INFINITY,
        Json::String(text) if text == "-inf" => f64::NEG_INFINITY,
        other => other.as_f64().unwrap_or(f64::NAN),
    }
}

pub(crate) fn numbers(json: &Json) -> Vec<f64> {
    json.as_array().expect("a list").iter().map(number).collect()
}

pub(crate) fn texts(json: &Json) -> Vec<String> {
    json.as_array().expect("a list").iter().map(|v| v.as_str().unwrap_or_default().to_owned()).collect()
}

/// A table of text.
pub(crate) struct Tsv {
    pub(crate) names: Vec<String>,
    columns: HashMap<String, Vec<String>>,
}

impl Tsv {
    fn read(path: &Path) -> Self {
        let mut text = String::new();
        let file = File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
        let mut lines = text.lines();
        let header: Vec<&str> = lines.next().unwrap().split('\t').collect();
        let mut names = Vec::new();
        let mut cells: Vec<Vec<String>> = vec![Vec::new(); header.len() - 1];
        for line in lines {
            let mut fields = line.split('\t');
            names.push(fields.next().unwrap().to_owned());
            fields.zip(&mut cells).for_each(|(field, column)| column.push(field.to_owned()));
        }
        let columns = header[1..].iter().map(|&n| n.to_owned()).zip(cells).collect();
        Self { names, columns }
    }

    pub(crate) fn has(&self, column: &str) -> bool {
        self.columns.contains_key(column)
    }

    pub(crate) fn floats(&self, column: &str) -> Vec<f64> {
        self.columns[column].iter().map(|text| text.parse().unwrap_or(f64::NAN)).collect()
    }

    pub(crate) fn flags(&self, column: &str) -> Vec<bool> {
        self.columns[column].iter().map(|text| text == "True").collect()
    }

    pub(crate) fn texts(&self, column: &str) -> &[String] {
        &self.columns[column]
    }
}

/// An array of numbers, row-major.
#[derive(Clone)]
pub(crate) struct Array {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f64>,
}

impl Array {
    pub(crate) fn row(&self, i: usize) -> &[f64] {
        let width: usize = self.shape[1..].iter().product();
        &self.values[i * width..(i + 1) * width]
    }

    pub(crate) fn column(&self, j: usize) -> Vec<f64> {
        self.values.iter().skip(j).step_by(self.shape[1]).copied().collect()
    }

    pub(crate) fn indices(&self) -> Vec<usize> {
        self.values.iter().map(|&v| v as usize).collect()
    }
}

/// The arrays of a file of numpy's. Texts are not read.
pub(crate) struct Npz(HashMap<String, Array>);

impl Npz {
    fn read(path: &Path) -> Self {
        let file = File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let mut archive = zip::ZipArchive::new(file).unwrap();
        let mut arrays = HashMap::new();
        for i in 0..archive.len() {
            let mut member = archive.by_index_raw(i).unwrap();
            let name = member.name().unwrap().trim_end_matches(".npy").to_owned();
            let stored = member.compression() == zip::CompressionMethod::Stored;
            let (mut raw, mut bytes) = (Vec::new(), Vec::new());
            member.read_to_end(&mut raw).unwrap();
            if stored {
                bytes = raw;
            } else {
                flate2::read::DeflateDecoder::new(raw.as_slice()).read_to_end(&mut bytes).unwrap();
            }
            if let Some(array) = npy(&bytes) {
                arrays.insert(name, array);
            }
        }
        Self(arrays)
    }

    pub(crate) fn get(&self, name: &str) -> &Array {
        self.0.get(name).unwrap_or_else(|| panic!("no array `{name}`"))
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Array> {
        self.0.get(name)
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.0.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }
}

fn npy(bytes: &[u8]) -> Option<Array> {
    let wide = bytes[6] > 1;
    let (start, length) = if wide {
        (12, u32::from_le_bytes(bytes[8..12].try_into().unwrap()) as usize)
    } else {
        (10, usize::from(u16::from_le_bytes(bytes[8..10].try_into().unwrap())))
    };
    let header = std::str::from_utf8(&bytes[start..start + length]).unwrap();
    let after = |key: &str| header.split_once(&format!("'{key}':")).unwrap().1.trim_start();
    let descr: String = after("descr").trim_start_matches('\'').chars().take_while(|&c| c != '\'').collect();
    let shape: Vec<usize> = after("shape")[1..]
        .split(')')
        .next()
        .unwrap()
        .split(',')
        .filter_map(|extent| extent.trim().parse().ok())
        .collect();
    let body = &bytes[start + length..];
    macro_rules! decode {
        ($t:ty) => {
            body.chunks_exact(size_of::<$t>()).map(|c| <$t>::from_le_bytes(c.try_into().unwrap()) as f64).collect()
        };
    }
    let mut values: Vec<f64> = match descr.as_str() {
        "<f4" => decode!(f32),
        "<f8" => decode!(f64),
        "<i4" => decode!(i32),
        "<i8" => decode!(i64),
        "|u1" | "|b1" => decode!(u8),
        "<u2" => decode!(u16),
        _ => return None,
    };
    if after("fortran_order").starts_with("True") && shape.len() == 2 {
        let (n, p) = (shape[0], shape[1]);
        values = (0..n * p).map(|k| values[(k % p) * n + k / p]).collect();
    }
    Some(Array { shape, values })
}

/// A matrix in memory with its names.
#[derive(Clone)]
pub(crate) struct Matrix32 {
    pub(crate) cells: Vec<String>,
    pub(crate) genes: Vec<String>,
    values: Vec<f32>,
    indices: Vec<i32>,
    pointers: Vec<i64>,
}

impl Matrix32 {
    pub(crate) fn read(path: &Path) -> Self {
        let file = H5ad::open(path).unwrap();
        let (cells, genes) = (file.obs_names().unwrap(), file.var_names("X").unwrap());
        Self::from_source(&mut file.matrix("X").unwrap(), cells, genes)
    }

    pub(crate) fn from_source(source: &mut dyn RowChunks, cells: Vec<String>, genes: Vec<String>) -> Self {
        let n = source.n_rows();
        let block = source.read(&Run::new().threads(1), 0..n).unwrap();
        let values = (0..block.values().len()).map(|k| block.values().get(k) as f32).collect();
        let indices = block.indices().iter().map(|&c| c as i32).collect();
        let pointers = block.pointers().iter().map(|&p| p as i64).collect();
        Self { cells, genes, values, indices, pointers }
    }

    pub(crate) fn from_arrays(
        cells: Vec<String>,
        genes: Vec<String>,
        values: Vec<f32>,
        indices: Vec<i32>,
        pointers: Vec<i64>,
    ) -> Self {
        Self { cells, genes, values, indices, pointers }
    }

    /// Rows of numbers, in memory.
    pub(crate) fn from_rows(rows: &[Vec<f64>], genes: Vec<String>) -> Self {
        let flat: Vec<f32> = rows.iter().flatten().map(|&v| v as f32).collect();
        let mut dense = ferrocyte_data::Dense::row_major(rows.len(), genes.len(), &flat).unwrap();
        let cells = (0..rows.len()).map(|i| format!("c{i}")).collect();
        Self::from_source(&mut dense, cells, genes)
    }

    pub(crate) fn source(&self) -> Csr<'_, f32, i32> {
        Csr::new(self.cells.len(), self.genes.len(), &self.values, &self.indices, &self.pointers).unwrap()
    }

    /// Some cells and genes, in their order.
    pub(crate) fn take(&self, cells: &[usize], genes: &[usize]) -> Self {
        let rows = ferrocyte_data::SelectRows::list(self.source(), cells.to_vec()).unwrap();
        let mut both = ferrocyte_data::SelectGenes::new(rows, genes).unwrap();
        let pick = |names: &[String], of: &[usize]| of.iter().map(|&i| names[i].clone()).collect();
        Self::from_source(&mut both, pick(&self.cells, cells), pick(&self.genes, genes))
    }

    pub(crate) fn names(&self) -> ferrocyte_cells::Names<'_> {
        ferrocyte_cells::Names { cells: &self.cells, genes: &self.genes }
    }

    /// The cells and genes that a pipeline case keeps.
    pub(crate) fn filtered(case: &Case) -> Self {
        let all = Self::read(&data(case.json("metrics.json")["input"].as_str().unwrap()));
        let kept = case.npz("filter.npz");
        all.take(&kept.get("cells").indices(), &kept.get("genes").indices())
    }

    /// log1p(count · target / total), rounded once; `target` `None` is the median.
    pub(crate) fn lognorm(&self, target: ferrocyte_cells::normalize::Target) -> Self {
        use ferrocyte_cells::normalize::{NormalizeOptions, Normalized, Then, size_factors};
        let options = NormalizeOptions { target, exclude_highly_expressed: None };
        let run = Run::new().threads(1);
        let factors = size_factors(&run, &mut self.source(), &self.names(), &options).unwrap().factors;
        let mut logged = Normalized::new(self.source(), Some(factors), Then::Log1p { base: None }).unwrap();
        Self::from_source(&mut logged, self.cells.clone(), self.genes.clone())
    }
}

/// Fails unless all numbers are within `absolute + relative |expected|`; NaN equals NaN.
pub(crate) fn assert_near(what: &str, found: &[f64], expected: &[f64], relative: f64, absolute: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        let same = f == e || (f.is_nan() && e.is_nan()) || (f - e).abs() <= absolute + relative * e.abs();
        assert!(same, "{what}, number {i}: found {f:e}, expected {e:e}");
    }
}

/// How much two sets have in common: the size of their intersection over that of their union.
pub(crate) fn jaccard(a: &[bool], b: &[bool]) -> f64 {
    let both = a.iter().zip(b).filter(|(a, b)| **a && **b).count();
    let either = a.iter().zip(b).filter(|(a, b)| **a || **b).count();
    both as f64 / either.max(1) as f64
}

#[test]
fn arrays_and_tables_are_read() {
    for case in Case::with("filter.npz") {
        let kept = case.npz("filter.npz");
        assert_eq!(kept.names(), ["cells", "genes"]);
        assert_eq!(kept.get("cells").shape.len(), 1);
        assert!(kept.find("others").is_none());
    }
}
