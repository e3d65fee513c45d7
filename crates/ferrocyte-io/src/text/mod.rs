//! Tables in text files: samples or cells with their columns, and small dense matrices.
//!
//! Tab-separated, or comma-separated where the name ends in `.csv`; plain or compressed with gzip (told from the
//! bytes, not the name). The first column holds the names of the rows.

pub(crate) mod dense;
pub(crate) mod inflate;
pub(crate) mod matrix_market;
pub(crate) mod tables;
pub(crate) mod value_table;

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::Path;

use ferrocyte_base::{Fault, Result, listing};
use ferrocyte_data::{Factor, Frame, ObsColumn};
use flate2::read::MultiGzDecoder;

/// What stands for no value.
const MISSING: [&str; 4] = ["", "NA", "NaN", "nan"];

/// A dense matrix with names.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedMatrix {
    /// The names of the rows.
    pub row_names: Vec<String>,
    /// The names of the columns.
    pub column_names: Vec<String>,
    /// The numbers, rows × columns, row-major; NaN where there is no value.
    pub values: Vec<f64>,
}

impl NamedMatrix {
    /// A row.
    pub fn row(&self, i: usize) -> &[f64] {
        let n = self.column_names.len();
        &self.values[i * n..(i + 1) * n]
    }
}

/// Reads a table of samples or cells: the names of its rows, and its columns.
///
/// A column of numbers becomes [`ObsColumn::Number`], one of `TRUE` and `FALSE` (or `True`, `False`) a factor of
/// those two levels, any other a factor of its sorted texts. `NA`, `NaN` and empty fields are missing; a column
/// without any value is a column of missing numbers.
pub fn read_frame(path: &Path) -> Result<(Vec<String>, Frame)> {
    let raw = read_raw(path)?;
    let mut frame = Frame::new(raw.row_names.len());
    for (j, name) in raw.column_names.iter().enumerate() {
        let fields: Vec<&str> = raw.rows.iter().map(|row| row[j].as_str()).collect();
        frame.insert(name.as_str(), column(&fields)).map_err(|f| f.at(path.display().to_string()))?;
    }
    Ok((raw.row_names, frame))
}

/// Reads a matrix of numbers with a name for each row and column. A header with one name less than the rows have
/// fields, as R writes it, has no name for the first column.
pub fn read_matrix_tsv(path: &Path) -> Result<NamedMatrix> {
    let raw = read_raw(path)?;
    let mut values = Vec::with_capacity(raw.row_names.len() * raw.column_names.len());
    for (i, row) in raw.rows.iter().enumerate() {
        for (j, field) in row.iter().enumerate() {
            values.push(number(field).ok_or_else(|| {
                Fault::bad_input(format!("a number was expected, found `{field}`"))
                    .at(format!("row `{}`, column `{}`", raw.row_names[i], raw.column_names[j]))
                    .at(path.display().to_string())
            })?);
        }
    }
    Ok(NamedMatrix { row_names: raw.row_names, column_names: raw.column_names, values })
}

struct Raw {
    row_names: Vec<String>,
    column_names: Vec<String>,
    rows: Vec<Vec<String>>,
}

fn read_raw(path: &Path) -> Result<Raw> {
    parse(open(path)?, delimiter(path)).map_err(|f| f.at(path.display().to_string()))
}

/// A comma for files that end in `.csv`, plain or compressed, else a tab.
pub(crate) fn delimiter(path: &Path) -> u8 {
    let name = path.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
    let stem = name.strip_suffix(".gz").unwrap_or(&name);
    if stem.rsplit_once('.').is_some_and(|(_, ending)| ending == "csv") { b',' } else { b'\t' }
}

fn parse(input: impl Read, delimiter: u8) -> Result<Raw> {
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(input);
    let mut records = reader.records().map(|r| r.map_err(broken));
    let header = records.next().ok_or_else(|| Fault::bad_input("the file is empty, expected a header line"))??;
    let mut header: Vec<String> = header.iter().map(str::to_owned).collect();
    if let Some(first) = header.first_mut() {
        // Spreadsheets put a byte-order mark before the first name.
        *first = first.trim_start_matches('\u{feff}').to_owned();
    }
    let mut raw = Raw { row_names: Vec::new(), column_names: Vec::new(), rows: Vec::new() };
    let mut width = None;
    for record in records {
        let record = record?;
        let line = record.position().map_or(0, csv::Position::line);
        let width =
            *width.get_or_insert_with(|| if header.len() + 1 == record.len() { record.len() } else { header.len() });
        if record.len() != width {
            return Err(Fault::bad_input(format!("{} fields, expected {width}", record.len()))
                .at(format!("line {line}"))
                .hint("fields are separated by tabs, or by commas in files that end in .csv"));
        }
        let mut fields = record.iter().map(str::to_owned);
        raw.row_names.extend(fields.next());
        raw.rows.push(fields.collect());
    }
    let named_rows = width.is_none_or(|w| w == header.len());
    raw.column_names = header.into_iter().skip(usize::from(named_rows)).collect();
    refuse_repeats(&raw.column_names, "column")?;
    refuse_repeats(&raw.row_names, "row")?;
    Ok(raw)
}

pub(crate) fn refuse_repeats(names: &[String], what: &str) -> Result<()> {
    let mut seen = std::collections::HashSet::new();
    let repeated: Vec<&String> = names.iter().filter(|n| !seen.insert(n.as_str())).collect();
    if repeated.is_empty() {
        return Ok(());
    }
    Err(Fault::bad_input(format!("{what} names appear more than once: {}", listing(&repeated, 5))))
}

pub(crate) fn open(path: &Path) -> Result<Box<dyn Read>> {
    let at = |e: std::io::Error| {
        let message = match e.kind() {
            ErrorKind::NotFound => "there is no such file".to_owned(),
            ErrorKind::IsADirectory => "a folder, expected a text file".to_owned(),
            _ => format!("cannot be read: {e}"),
        };
        Fault::bad_file(message).at(path.display().to_string()).because(e)
    };
    let mut file = File::open(path).map_err(at)?;
    let mut start = Vec::new();
    file.by_ref().take(2).read_to_end(&mut start).map_err(at)?;
    let compressed = start == [0x1f, 0x8b];
    let whole = BufReader::with_capacity(1 << 16, std::io::Cursor::new(start).chain(file));
    Ok(if compressed { Box::new(MultiGzDecoder::new(whole)) } else { Box::new(whole) })
}

pub(crate) fn broken(error: csv::Error) -> Fault {
    let line = error.position().map(|p| format!("line {}", p.line()));
    let fault = match error.kind() {
        csv::ErrorKind::Utf8 { .. } => Fault::bad_file("not UTF-8 text"),
        csv::ErrorKind::Io(e) => Fault::bad_file(format!("cannot be read to its end: {e}")),
        _ => Fault::bad_file(error.to_string()),
    };
    let fault = fault.because(error);
    match line {
        Some(line) => fault.at(line),
        None => fault,
    }
}

fn column(fields: &[&str]) -> ObsColumn {
    if let Some(numbers) = fields.iter().map(|f| number(f)).collect::<Option<Vec<f64>>>() {
        return ObsColumn::Number(numbers);
    }
    let present = |f: &&str| !MISSING.contains(f);
    let truth = |f: &str| match f {
        "TRUE" | "True" | "true" => Some(1),
        "FALSE" | "False" | "false" => Some(0),
        _ => None,
    };
    if fields.iter().copied().filter(present).all(|f| truth(f).is_some()) {
        let codes = fields.iter().map(|f| truth(f).unwrap_or(Factor::MISSING)).collect();
        return ObsColumn::Factor(Factor { levels: vec!["FALSE".into(), "TRUE".into()], codes });
    }
    ObsColumn::Factor(Factor::from_texts(fields.iter().copied().map(|f| Some(f).filter(present))))
}

/// A number, NaN for a missing one, `None` for text. `inf` and the like are numbers.
pub(crate) fn number(field: &str) -> Option<f64> {
    if MISSING.contains(&field) { Some(f64::NAN) } else { field.trim().parse().ok() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::io::Write;

    const SAMPLES: &str =
        "sample\tage\ttreated\tdonor\tnone\ns1\t31.5\tTRUE\td2\t\ns2\tNA\tFALSE\tNA\tNA\ns3\t1e3\t\td1\tNaN\n";

    fn file(name: &str, bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    fn check(path: &Path) {
        let (ids, frame) = read_frame(path).unwrap();
        assert_eq!(ids, ["s1", "s2", "s3"]);
        assert_eq!(frame.names(), ["age", "treated", "donor", "none"]);
        let Some(ObsColumn::Number(age)) = frame.get("age") else { unreachable!("age is a number") };
        assert_eq!((age[0], age[1].is_nan(), age[2]), (31.5, true, 1000.0));
        let treated = frame.factor("treated").unwrap();
        assert_eq!(
            (treated.levels.join(" "), &treated.codes),
            ("FALSE TRUE".into(), &[1, 0, Factor::MISSING].into_iter().collect())
        );
        let donor = frame.factor("donor").unwrap();
        assert_eq!(
            (donor.levels.join(" "), &donor.codes),
            ("d1 d2".into(), &[1, Factor::MISSING, 0].into_iter().collect())
        );
        assert_eq!(frame.get("none").map(ObsColumn::n_missing), Some(3));
    }

    #[test]
    fn columns_find_their_kind() {
        check(&file("samples.tsv", SAMPLES.as_bytes()).1);
        let (_folder, path) = file("samples.csv", SAMPLES.replace('\t', ",").as_bytes());
        check(&path);
    }

    #[test]
    fn compressed_files_are_told_from_their_bytes() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(SAMPLES.as_bytes()).unwrap();
        let bytes = encoder.finish().unwrap();
        let (_folder, path) = file("samples.txt", &bytes);
        check(&path);
        let (_folder, path) = file("cut.tsv.gz", &bytes[..bytes.len() / 2]);
        assert!(read_frame(&path).is_err_and(|f| f.to_string().contains("cannot be read to its end")));
    }

    #[test]
    fn matrices_have_names_on_both_sides() {
        for text in ["gene\tc1\tc2\nA\t1\t2.5\nB\tNA\t-4\n", "c1\tc2\nA\t1\t2.5\nB\tNA\t-4\n"] {
            let (_folder, path) = file("m.tsv", text.as_bytes());
            let matrix = read_matrix_tsv(&path).unwrap();
            assert_eq!((matrix.row_names.join(""), matrix.column_names.join(" ")), ("AB".into(), "c1 c2".into()));
            assert_eq!(matrix.row(0), [1.0, 2.5]);
            assert!(matrix.row(1)[0].is_nan() && matrix.row(1)[1] == -4.0);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, words) in [
            ("", "the file is empty"),
            ("id\ta\nx\t1\t2\t3\n", "line 2: 4 fields, expected 2"),
            ("id\ta\ta\nx\t1\t2\n", "column names appear more than once: `a`"),
            ("id\ta\nx\t1\nx\t2\n", "row names appear more than once: `x`"),
        ] {
            let (_folder, path) = file("t.tsv", text.as_bytes());
            let fault = read_frame(&path).err().unwrap();
            assert!(fault.to_string().contains(words), "{fault}");
        }
        let (_folder, path) = file("t.tsv", b"g\tc1\nA\tx\n");
        let fault = read_matrix_tsv(&path).err().unwrap();
        assert!(fault.to_string().contains("row `A`, column `c1`: a number was expected, found `x`"), "{fault}");
    }
}
