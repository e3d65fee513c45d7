//! Reference cases: their parameters and their tables.

use std::io::Read;
use std::path::{Path, PathBuf};

use ferrocyte_data::{Frame, ObsColumn};
use ferrocyte_ecotype::{Expression, Feature, Model};
use ferrocyte_io::{NamedMatrix, read_frame, read_matrix_tsv};
use ferrocyte_math::linalg::Matrix;
use serde_json::Value;

/// One case.
pub(crate) struct Case {
    pub(crate) folder: PathBuf,
    pub(crate) json: Value,
}

impl Case {
    /// The cases of a function.
    pub(crate) fn of(function: &str) -> Vec<Self> {
        let root = std::env::var_os("FERROCYTE_GOLDEN")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden"), PathBuf::from);
        let mut folders: Vec<PathBuf> = std::fs::read_dir(root.join("ecotype"))
            .expect("the folder of cases")
            .map(|entry| entry.unwrap().path())
            .filter(|folder| folder.join("case.json").is_file())
            .collect();
        folders.sort();
        assert!(!folders.is_empty(), "there is no case at all");
        let cases = folders.into_iter().map(|folder| {
            let text = std::fs::read_to_string(folder.join("case.json")).unwrap();
            Self { json: serde_json::from_str(&text).unwrap(), folder }
        });
        cases.filter(|case| case.json["function"] == function).collect()
    }

    /// The path that an entry of the case names; what follows a blank is a remark.
    pub(crate) fn path(&self, entry: &Value) -> PathBuf {
        self.folder.join(entry.as_str().unwrap().split(' ').next().unwrap())
    }

    pub(crate) fn matrix(&self, entry: &Value) -> NamedMatrix {
        read_matrix_tsv(&self.path(entry)).unwrap()
    }

    pub(crate) fn model(&self, cell_type: &str, entry: &Value) -> Model {
        let table = self.matrix(entry);
        let features = table.row_names.iter().map(|name| Feature::parse(name)).collect();
        let weights = Matrix::from_rows(table.row_names.len(), table.column_names.len(), table.values.clone());
        Model::new(cell_type, table.column_names, features, weights).unwrap().0
    }

    /// A whole number among the parameters.
    pub(crate) fn whole(&self, name: &str) -> Option<usize> {
        self.json["params"][name].as_u64().map(|n| n as usize)
    }

    /// The expression and the table of cells of a case, normalised as it says, of the samples it names.
    pub(crate) fn cells(&self) -> (Expression, Meta) {
        let inputs = &self.json["inputs"];
        let counts = if inputs["counts"].is_null() { &inputs["x"] } else { &inputs["counts"] };
        let mut x = expression(&self.matrix(counts));
        let mut meta = Meta::read(&self.path(&inputs["meta"]));
        let normalise = inputs["normalise"].as_str().unwrap_or("");
        let wanted: Option<Vec<String>> = match &inputs["use_samples"] {
            Value::String(one) => Some(vec![one.clone()]),
            Value::Array(many) => Some(many.iter().map(|s| s.as_str().unwrap().to_owned()).collect()),
            _ => None,
        };
        if let Some(samples) = wanted {
            let of = meta.column("Sample");
            let kept: Vec<usize> = (0..of.len()).filter(|&i| samples.contains(&of[i])).collect();
            meta = meta.take(&kept);
        }
        x = x.take_cells(&places(x.cells(), &meta.ids));
        if normalise.starts_with("log1p") {
            x.log_normalize().unwrap();
        } else if let Some(factor) = normalise.strip_prefix("counts * ") {
            let factor: f64 = factor.split(',').next().unwrap().parse().unwrap();
            let rows: Vec<Vec<f64>> =
                (0..x.n_cells()).map(|c| dense(&x, c).iter().map(|v| v * factor).collect()).collect();
            x = Expression::from_rows(x.cells().to_vec(), x.genes().to_vec(), &rows).unwrap();
        }
        (x, meta)
    }
}

/// A table of cells.
pub(crate) struct Meta {
    pub(crate) ids: Vec<String>,
    frame: Frame,
}

impl Meta {
    pub(crate) fn read(path: &Path) -> Self {
        let (ids, frame) = read_frame(path).unwrap();
        Self { ids, frame }
    }

    /// A table of row, column and value, in which rows repeat.
    pub(crate) fn read_rows(path: &Path) -> Vec<(String, String, f64)> {
        let mut text = String::new();
        flate2::read::MultiGzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
        let fields = text.lines().skip(1).map(|line| line.split('\t').collect::<Vec<_>>());
        fields.map(|f| (f[0].to_owned(), f[1].to_owned(), f[2].parse().unwrap())).collect()
    }

    pub(crate) fn column(&self, name: &str) -> Vec<String> {
        match self.frame.column(name).unwrap() {
            ObsColumn::Factor(factor) => (0..self.ids.len()).map(|i| factor.level(i).unwrap().to_owned()).collect(),
            ObsColumn::Number(numbers) => numbers.iter().map(ToString::to_string).collect(),
        }
    }

    pub(crate) fn take(&self, rows: &[usize]) -> Self {
        Self { ids: rows.iter().map(|&i| self.ids[i].clone()).collect(), frame: self.frame.take(rows) }
    }
}

pub(crate) fn places(all: &[String], wanted: &[String]) -> Vec<usize> {
    wanted.iter().map(|name| all.iter().position(|n| n == name).unwrap()).collect()
}

pub(crate) fn dense(x: &Expression, cell: usize) -> Vec<f64> {
    let mut row = vec![0.0; x.n_genes()];
    let (genes, values) = x.cell(cell);
    genes.iter().zip(values).for_each(|(&g, &v)| row[g as usize] = v);
    row
}

/// A table of genes × cells as expression.
pub(crate) fn expression(table: &NamedMatrix) -> Expression {
    let rows: Vec<Vec<f64>> = (0..table.column_names.len())
        .map(|cell| (0..table.row_names.len()).map(|gene| table.row(gene)[cell]).collect())
        .collect();
    Expression::from_rows(table.column_names.clone(), table.row_names.clone(), &rows).unwrap()
}

pub(crate) fn assert_near(what: &str, found: &[f64], expected: &[f64], relative: f64, absolute: f64) {
    assert_eq!(found.len(), expected.len(), "{what}: lengths");
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        let fine = (a.is_nan() && b.is_nan()) || (a - b).abs() <= absolute + relative * b.abs();
        assert!(fine, "{what}, entry {i}: {a} is not {b}");
    }
}

pub(crate) fn assert_matrix(what: &str, found: &Matrix, expected: &NamedMatrix, relative: f64, absolute: f64) {
    assert_near(what, found.entries(), &expected.values, relative, absolute);
}
