//! Dense tables of cells × genes (or genes × cells) in text files: names in the first line and the first column,
//! numbers elsewhere. Zeros are left out as they are read, so that a table takes the memory of its other values.

use std::borrow::Cow;
use std::path::Path;

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_data::{CsrBuilder, OwnedCsr, Values};

use crate::text::inflate::TextSource;
use crate::text::{broken, number, open};

/// Rows that are read between two looks at the monitor.
const ROWS: usize = 256;

/// How a table is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct TableForm {
    /// What stands between fields; told from the first line if absent.
    pub(crate) delimiter: Option<u8>,
    /// Whether it is genes × cells.
    pub(crate) transpose: bool,
}

/// A table that was read.
#[derive(Debug)]
pub(crate) struct DenseTable {
    pub(crate) cells: Vec<String>,
    pub(crate) genes: Vec<String>,
    /// Cells × genes.
    pub(crate) matrix: OwnedCsr,
}

/// Reads a table, plain or compressed. A header with one name less than the rows have fields has no name for the first
/// column. Missing values (`NA`, empty) are NaN.
pub(crate) fn read_dense(run: &Run, path: &Path, form: TableForm) -> Result<DenseTable> {
    let at = |fault: Fault| fault.at(path.display().to_string());
    let delimiter = match form.delimiter {
        Some(delimiter) => delimiter,
        None => told(path)?,
    };
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .buffer_capacity(1 << 18)
        .from_reader(open(path)?);
    let mut record = csv::StringRecord::new();
    if !reader.read_record(&mut record).map_err(|e| at(broken(e)))? {
        return Err(at(Fault::bad_input("the file is empty, expected a header line")));
    }
    let header: Vec<String> = record.iter().map(|name| name.trim_start_matches('\u{feff}').to_owned()).collect();
    let mut rows = Rows::default();
    let mut width = None;
    while reader.read_record(&mut record).map_err(|e| at(broken(e)))? {
        let line = record.position().map_or(0, csv::Position::line);
        let width =
            *width.get_or_insert_with(|| if header.len() + 1 == record.len() { record.len() } else { header.len() });
        if record.len() != width {
            return Err(at(Fault::bad_input(format!("{} fields, expected {width}", record.len()))
                .at(format!("line {line}"))
                .hint("say what stands between fields, if it is none of tab, comma, semicolon, blank")));
        }
        rows.add(&record).map_err(|column| {
            let name = header.get(column + header.len() + 1 - width).map_or("?", String::as_str);
            let place = format!("line {line}, row `{}`, column `{name}`", &record[0]);
            at(Fault::bad_input(format!("a number was expected, found `{}`", &record[column + 1])).at(place))
        })?;
        if rows.names.len() % ROWS == 0 {
            run.check()?;
            // Columns, value and their room to grow.
            run.reserve("the values of this table", 12 * rows.columns.len() as u64).map_err(at)?;
        }
    }
    if rows.names.is_empty() {
        return Err(at(Fault::bad_input("a header line, but no rows of numbers")
            .hint("a study is an .h5ad file, a 10x .h5 file or folder, a .mtx file, or a table of cells x genes")));
    }
    let skipped = usize::from(width.is_none_or(|width| width == header.len()));
    rows.finish(header.into_iter().skip(skipped).collect(), form.transpose).map_err(at)
}

/// What stands between the fields of the first line: the first of tab, comma, semicolon and blank that is there.
fn told(path: &Path) -> Result<u8> {
    let mut start = Vec::new();
    TextSource::open(path)?.fill(&mut start, 1 << 16)?;
    let line = start.split(|&b| b == b'\n').next().unwrap_or_default();
    Ok([b'\t', b',', b';', b' '].into_iter().find(|b| line.contains(b)).unwrap_or(b'\t'))
}

/// The rows of the file so far, without their zeros.
#[derive(Default)]
struct Rows {
    names: Vec<String>,
    ends: Vec<usize>,
    columns: Vec<u32>,
    values: Vec<f64>,
}

impl Rows {
    /// Adds a row; fails with the column that holds no number.
    fn add(&mut self, record: &csv::StringRecord) -> std::result::Result<(), usize> {
        for (column, field) in record.iter().skip(1).enumerate() {
            if field == "0" {
                continue;
            }
            let value = number(field).ok_or(column)?;
            if value != 0.0 {
                self.columns.push(column as u32);
                self.values.push(value);
            }
        }
        self.names.push(record[0].to_owned());
        self.ends.push(self.columns.len());
        Ok(())
    }

    fn finish(self, others: Vec<String>, transpose: bool) -> Result<DenseTable> {
        let Self { names, ends, columns, values } = self;
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let rows: Vec<u32> = starts
            .zip(&ends)
            .enumerate()
            .flat_map(|(row, (start, &end))| std::iter::repeat_n(row as u32, end - start))
            .collect();
        let (cells, genes, major, minor) =
            if transpose { (others, names, columns, rows) } else { (names, others, rows, columns) };
        let mut matrix = CsrBuilder::new(cells.len(), genes.len())?;
        matrix.extend(&major, &minor, &Values::F64(Cow::Owned(values)));
        Ok(DenseTable { cells, genes, matrix: matrix.finish() })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::text::inflate::tests::gzip;

    fn table(bytes: &[u8], form: TableForm) -> Result<DenseTable> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.txt");
        std::fs::write(&path, bytes).unwrap();
        read_dense(&Run::new(), &path, form)
    }

    #[test]
    fn tables_of_any_form() {
        let tabs = "id\tA\tB\tC\nc1\t0\t2\t0.5\nc2\t1\t0\tNA\n";
        let bare = tabs.replace("id\t", "");
        for text in [tabs.to_owned(), bare, tabs.replace('\t', ","), tabs.replace('\t', ";"), tabs.replace('\t', " ")] {
            for bytes in [text.clone().into_bytes(), gzip(text.as_bytes())] {
                let found = table(&bytes, TableForm::default()).unwrap();
                assert_eq!((found.cells.join(" "), found.genes.join(" ")), ("c1 c2".into(), "A B C".into()));
                assert_eq!((found.matrix.pointers(), found.matrix.indices()), (&[0, 2, 4][..], &[1, 2, 0, 2][..]));
                assert!(found.matrix.values().get(3).is_nan());
            }
        }
        let found = table(tabs.as_bytes(), TableForm { transpose: true, delimiter: Some(b'\t') }).unwrap();
        assert_eq!((found.cells.join(" "), found.genes.join(" ")), ("A B C".into(), "c1 c2".into()));
        assert_eq!((found.matrix.pointers(), found.matrix.indices()), (&[0, 1, 2, 4][..], &[1, 0, 0, 1][..]));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, words) in [
            ("", "the file is empty"),
            ("some words\n", "a header line, but no rows of numbers"),
            ("id\tA\tB\nc1\t1\tx\n", "line 2, row `c1`, column `B`: a number was expected, found `x`"),
            ("A\tB\nc1\t1\tx\n", "line 2, row `c1`, column `B`: a number was expected, found `x`"),
            ("id\tA\nc1\t1\nc2\t1\t2\n", "line 3: 3 fields, expected 2"),
        ] {
            let fault = table(text.as_bytes(), TableForm::default()).err().map(|f| f.to_string()).unwrap_or_default();
            assert!(fault.contains(words), "{fault}");
        }
    }
}
