//! A [`Table`] as text: tab-separated values and JSON lines, plain or compressed.
//!
//! The same table gives the same bytes. Numbers have their shortest form that reads back to the same bits; NaN is
//! `NaN` (`null` in JSON), a missing level `NA` (`null` in JSON), infinities `inf` and `-inf`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use ferrocyte_base::{Cells, Column, Fault, Result, Table};
use flate2::{Compression, GzBuilder};
use serde_json::{Map, Value as Json};

use crate::NamedMatrix;
use crate::atomic::{not_written, write_atomically};
use crate::json::to_json;

/// Writes a table in the form that the name of the file asks for, in one piece: `.tsv`, `.txt` (tab-separated),
/// `.csv`, `.jsonl` (a JSON object a line), each also with `.gz`.
pub fn write_table(path: &Path, table: &Table) -> Result<()> {
    let form = Form::of(path)?;
    write_atomically(path, |file| {
        if form.compressed {
            compressed(file, |out| form.write(table, out))
        } else {
            let mut out = BufWriter::with_capacity(1 << 16, file);
            form.write(table, &mut out)?;
            out.flush().map_err(not_written)
        }
    })
}

/// Writes a matrix as tab-separated values, in one piece: a header line that begins with an empty field, then a line for
/// each row that begins with its name. Numbers have their shortest form that reads back to the same bits.
pub fn write_matrix_tsv(path: &Path, matrix: &NamedMatrix) -> Result<()> {
    write_atomically(path, |file| {
        let mut out = BufWriter::with_capacity(1 << 16, file);
        let mut write = |text: &str| out.write_all(text.as_bytes()).map_err(not_written);
        for name in &matrix.column_names {
            write(&format!("\t{name}"))?;
        }
        for (i, name) in matrix.row_names.iter().enumerate() {
            write(&format!("\n{name}"))?;
            for x in matrix.row(i) {
                write(&format!("\t{}", number_text(*x)))?;
            }
        }
        write("\n")?;
        out.flush().map_err(not_written)
    })
}

/// Writes a table as tab-separated values, with a header line.
pub fn write_tsv(table: &Table, out: impl Write) -> Result<()> {
    write_delimited(table, b'\t', out)
}

/// Writes a table as JSON lines: one object a row, its keys the names of the columns.
pub fn write_json_lines(table: &Table, mut out: impl Write) -> Result<()> {
    for row in 0..table.n_rows() {
        let object: Map<String, Json> =
            table.columns().iter().map(|c| (c.name.clone(), json_cell(&c.cells, row))).collect();
        writeln!(out, "{}", Json::Object(object)).map_err(not_written)?;
    }
    out.flush().map_err(not_written)
}

/// The shortest text that reads back to the same number; with an exponent below 1e-5 and from 1e15 on.
///
/// ```
/// use ferrocyte_io::number_text;
/// assert_eq!(number_text(0.1), "0.1");
/// assert_eq!(number_text(3.0), "3");
/// assert_eq!(number_text(2.5e-300), "2.5e-300");
/// assert_eq!(number_text(f64::NAN), "NaN");
/// ```
pub fn number_text(x: f64) -> String {
    let size = x.abs();
    if x.is_nan() {
        "NaN".to_owned()
    } else if x == 0.0 || size.is_infinite() || (1e-5..1e15).contains(&size) {
        format!("{x}")
    } else {
        format!("{x:e}")
    }
}

/// The same of a 32-bit float: the shortest text that reads back to the same 32 bits.
pub(crate) fn single_text(x: f32) -> String {
    let plain = x == 0.0 || (1e-5..1e15).contains(&x.abs());
    if x.is_finite() { if plain { format!("{x}") } else { format!("{x:e}") } } else { number_text(f64::from(x)) }
}

/// What the name of a file says about its form.
struct Form {
    delimiter: Option<u8>,
    compressed: bool,
}

impl Form {
    fn of(path: &Path) -> Result<Self> {
        let name = path.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
        let (stem, compressed) = match name.strip_suffix(".gz") {
            Some(stem) => (stem, true),
            None => (name.as_str(), false),
        };
        let delimiter = match stem.rsplit_once('.').map(|(_, extension)| extension) {
            Some("tsv" | "txt") => Some(b'\t'),
            Some("csv") => Some(b','),
            Some("jsonl" | "ndjson") => None,
            _ => {
                return Err(Fault::unsupported("the ending of the name does not tell the form of the table")
                    .at(path.display().to_string())
                    .hint("end it in .tsv, .csv or .jsonl, with .gz to compress"));
            }
        };
        Ok(Self { delimiter, compressed })
    }

    fn write(&self, table: &Table, out: &mut dyn Write) -> Result<()> {
        match self.delimiter {
            Some(delimiter) => write_delimited(table, delimiter, out),
            None => write_json_lines(table, out),
        }
    }
}

/// Compresses what `fill` writes. The header carries neither time nor name, so that the bytes are stable.
fn compressed(file: &mut File, fill: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let encoder = GzBuilder::new().mtime(0).operating_system(255).write(file, Compression::new(6));
    let mut out = BufWriter::with_capacity(1 << 16, encoder);
    fill(&mut out)?;
    let encoder = out.into_inner().map_err(|e| not_written(e.into_error()))?;
    encoder.finish().map_err(not_written)?;
    Ok(())
}

/// Bytes as a gzip stream that depends on nothing else: neither time nor name stands in it.
pub fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), Compression::new(6));
    encoder.write_all(bytes).and_then(|()| encoder.finish()).map_err(not_written)
}

fn write_delimited(table: &Table, delimiter: u8, out: impl Write) -> Result<()> {
    let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(out);
    let failed = |e: csv::Error| match e.into_kind() {
        csv::ErrorKind::Io(e) => not_written(e),
        other => Fault::internal(format!("a table cannot be written: {other:?}")),
    };
    writer.write_record(table.columns().iter().map(|c| c.name.as_str())).map_err(failed)?;
    for row in 0..table.n_rows() {
        for column in table.columns() {
            let field = match &column.cells {
                Cells::Text(v) => writer.write_field(&v[row]),
                Cells::Level { codes, levels } => writer.write_field(level(codes[row], levels).unwrap_or("NA")),
                Cells::Float(v) => writer.write_field(number_text(v[row])),
                Cells::Int(v) => writer.write_field(v[row].to_string()),
                Cells::Bool(v) => writer.write_field(if v[row] { "TRUE" } else { "FALSE" }),
            };
            field.map_err(failed)?;
        }
        writer.write_record(None::<&[u8]>).map_err(failed)?;
    }
    writer.flush().map_err(not_written)
}

fn json_cell(cells: &Cells, row: usize) -> Json {
    match cells {
        Cells::Text(v) => Json::String(v[row].clone()),
        Cells::Level { codes, levels } => level(codes[row], levels).map_or(Json::Null, |l| Json::String(l.to_owned())),
        Cells::Float(v) => to_json(&v[row].into()),
        Cells::Int(v) => Json::from(v[row]),
        Cells::Bool(v) => Json::Bool(v[row]),
    }
}

fn level(code: u32, levels: &[String]) -> Option<&str> {
    if code == Column::MISSING { None } else { levels.get(code as usize).map(String::as_str) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::io::Read;

    fn table() -> Table {
        Table::new("t")
            .with(Column::text("gene", "", vec!["ISG15".into(), "a\tb".into()]))
            .with(Column::level("group", "", vec![0, Column::MISSING], vec!["B cells".into()]))
            .with(Column::float("p_value", "", "", vec![1.5e-310, f64::NAN]))
            .with(Column::int("n", "", "", vec![3, -4]))
            .with(Column::new("kept", "", "", Cells::Bool(vec![true, false])))
    }

    #[test]
    fn rows_as_text() {
        let mut bytes = Vec::new();
        write_tsv(&table(), &mut bytes).unwrap();
        let expected =
            "gene\tgroup\tp_value\tn\tkept\nISG15\tB cells\t1.5e-310\t3\tTRUE\n\"a\tb\"\tNA\tNaN\t-4\tFALSE\n";
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
        let mut bytes = Vec::new();
        write_json_lines(&table(), &mut bytes).unwrap();
        let expected = concat!(
            r#"{"gene":"ISG15","group":"B cells","p_value":1.5e-310,"n":3,"kept":true}"#,
            "\n",
            r#"{"gene":"a\tb","group":null,"p_value":null,"n":-4,"kept":false}"#,
            "\n"
        );
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }

    #[test]
    fn numbers_read_back_to_the_same_bits() {
        for x in [0.1 + 0.2, 1e-5, 9.999e-6, 1e15, 999999999999999.9, -2.5e-300, 5e-324, f64::MAX, -0.0] {
            let text = number_text(x);
            assert_eq!(text.parse::<f64>().unwrap().to_bits(), x.to_bits(), "{text}");
            assert!(text.len() <= 24, "{text}");
        }
        assert_eq!(number_text(1e15), "1e15");
        assert_eq!(number_text(f64::NEG_INFINITY), "-inf");
    }

    #[test]
    fn compressed_files_are_byte_stable_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("a.tsv.gz"), folder.path().join("b.tsv.gz"));
        write_table(&first, &table()).unwrap();
        write_table(&second, &table()).unwrap();
        let bytes = std::fs::read(&first).unwrap();
        assert_eq!(bytes, std::fs::read(&second).unwrap());
        assert_eq!(bytes[3..8], [0; 5], "no name, no time");
        let mut text = String::new();
        flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
        assert!(text.starts_with("gene\tgroup"));
        assert!(write_table(&folder.path().join("a.parquet"), &table()).is_err());
    }

    #[test]
    fn a_closed_pipe_is_told_apart() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        assert!(write_tsv(&table(), Closed).is_err_and(|f| crate::is_closed_pipe(&f)));
        assert!(write_json_lines(&table(), Closed).is_err_and(|f| crate::is_closed_pipe(&f)));
    }
}
