//! A named matrix as an `.npz` of `data`, `index` and `columns`: how programs around cnmf keep data frames.
//!
//! Names are written as text of fixed width, which every numpy reads without objects; read are those and pickled ones.

use std::io::{BufReader, BufWriter, Cursor, Read, Write};
use std::path::Path;

use ferrocyte_base::{Fault, Result};
use ferrocyte_data::Data;
use flate2::Compression;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use super::pickle::{self, Object};
use super::{archive_fault, npy};
use crate::NamedMatrix;
use crate::atomic::{not_written, write_atomically};

/// How entries and names of rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NamedForm {
    /// Names of rows are whole numbers, and written as such.
    pub numbered_rows: bool,
    /// Entries are whole numbers, and written as such.
    pub whole_numbers: bool,
}

/// One array of the file.
enum Member {
    Numbers(Vec<usize>, Vec<f64>),
    Texts(Vec<String>),
}

/// Writes a matrix with its names, in one piece. The same matrix gives the same bytes.
pub fn write_named_npz(path: &Path, matrix: &NamedMatrix, form: NamedForm) -> Result<()> {
    let shape = [matrix.row_names.len(), matrix.column_names.len()];
    let mut members = vec![("data", numbers(&shape, &matrix.values, form.whole_numbers))];
    let index = if form.numbered_rows {
        let parse = |name: &String| name.parse::<i64>().map(|n| n as f64);
        let rows: std::result::Result<Vec<f64>, _> = matrix.row_names.iter().map(parse).collect();
        let rows = rows.map_err(|e| Fault::internal("a name of a row is no number").because(e))?;
        numbers(&shape[..1], &rows, true)
    } else {
        texts(&matrix.row_names)
    };
    members.push(("index", index));
    members.push(("columns", texts(&matrix.column_names)));
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .compression_level(Some(i64::from(Compression::default().level())))
            .last_modified_time(DateTime::default())
            .unix_permissions(0o644)
            .large_file(bytes.len() > u32::MAX as usize);
        archive.start_file(format!("{name}.npy"), options).map_err(archive_fault)?;
        archive.write_all(&bytes).map_err(not_written)?;
    }
    let whole = archive.finish().map_err(archive_fault)?.into_inner();
    write_atomically(path, |file| {
        let mut out = BufWriter::new(file);
        out.write_all(&whole).and_then(|()| out.flush()).map_err(not_written)
    })
}

fn numbers(shape: &[usize], values: &[f64], whole: bool) -> Vec<u8> {
    let data = if whole { Data::I64(values.iter().map(|x| *x as i64).collect()) } else { Data::F64(values.to_vec()) };
    let array = ferrocyte_data::Array { name: String::new(), shape: shape.to_vec(), data };
    let mut bytes = npy::header(&array);
    npy::pieces(&array.data).for_each(|piece| bytes.extend(piece));
    bytes
}

/// Text of the width of the longest, four bytes a letter.
fn texts(names: &[String]) -> Vec<u8> {
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(1);
    let mut bytes = npy::header_of(&format!("<U{width}"), &[names.len()]);
    for name in names {
        let letters = name.chars().map(u32::from);
        let padded = letters.chain(std::iter::repeat(0)).take(width);
        padded.for_each(|letter| bytes.extend(letter.to_le_bytes()));
    }
    bytes
}

/// Reads a matrix with its names.
///
/// # Errors
/// No such file, an array that is missing or of a type that does not belong there, names that do not fit the entries.
pub fn read_named_npz(path: &Path) -> Result<NamedMatrix> {
    let at = |fault: Fault| fault.at(path.display().to_string());
    let file = std::fs::File::open(path).map_err(|e| {
        let message = match e.kind() {
            std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
            _ => format!("cannot be read: {e}"),
        };
        at(Fault::bad_file(message).because(e))
    })?;
    read(BufReader::new(file)).map_err(at)
}

fn read(file: impl Read + std::io::Seek) -> Result<NamedMatrix> {
    let mut archive = ZipArchive::new(file).map_err(archive_fault)?;
    let mut member = |name: &str| -> Result<Member> {
        let mut member = archive.by_name(&format!("{name}.npy")).map_err(|e| {
            Fault::bad_file(format!("there is no array `{name}`"))
                .hint("a data frame of cnmf has data, index and columns")
                .because(e)
        })?;
        let mut bytes = Vec::new();
        member.read_to_end(&mut bytes).map_err(|e| Fault::bad_file(format!("cannot be read: {e}")).because(e))?;
        decode(name, &bytes).map_err(|fault| fault.at(format!("array `{name}`")))
    };
    let (row_names, column_names) = (names(member("index")?), names(member("columns")?));
    let (shape, values) = match member("data")? {
        Member::Numbers(shape, values) => (shape, values),
        Member::Texts(_) => return Err(Fault::bad_file("the entries are texts, expected numbers")),
    };
    if shape != [row_names.len(), column_names.len()] {
        let (rows, columns) = (row_names.len(), column_names.len());
        return Err(Fault::bad_file(format!("{rows} and {columns} names for entries of shape {shape:?}")));
    }
    Ok(NamedMatrix { row_names, column_names, values })
}

/// Names, whole numbers as text.
fn names(member: Member) -> Vec<String> {
    match member {
        Member::Texts(texts) => texts,
        Member::Numbers(_, numbers) => numbers.iter().map(f64::to_string).collect(),
    }
}

fn decode(name: &str, bytes: &[u8]) -> Result<Member> {
    let npy::Raw { descr, shape, entries, by_columns } = npy::raw(bytes)?;
    let n = shape.iter().try_fold(1_usize, |n, &extent| n.checked_mul(extent));
    let n = n.ok_or_else(|| Fault::bad_file("its shape is too large"))?;
    let fits = |width: usize| {
        if n.checked_mul(width) == Some(entries.len()) {
            return Ok(());
        }
        Err(Fault::bad_file(format!("shape {shape:?} does not fit its {} bytes", entries.len())))
    };
    if descr == "|O" {
        return objects(pickle::entries(entries)?, shape, n);
    }
    if let Some(width) = descr.strip_prefix("<U").and_then(|width| width.parse::<usize>().ok()) {
        fits(4 * width)?;
        if width == 0 {
            return Ok(Member::Texts(vec![String::new(); n]));
        }
        let text = |letters: &[u8]| -> Option<String> {
            let codes = letters.as_chunks::<4>().0.iter().map(|c| u32::from_le_bytes(*c));
            codes.take_while(|code| *code != 0).map(char::from_u32).collect()
        };
        let texts: Option<Vec<String>> = entries.chunks_exact(4 * width).map(text).collect();
        return texts.map(Member::Texts).ok_or_else(|| Fault::bad_file("a letter is none"));
    }
    let values: Vec<f64> = match descr.as_str() {
        "<f8" => fits(8).map(|()| entries.as_chunks().0.iter().map(|x| f64::from_le_bytes(*x)).collect())?,
        "<f4" => fits(4).map(|()| entries.as_chunks().0.iter().map(|x| f64::from(f32::from_le_bytes(*x))).collect())?,
        "<i8" => fits(8).map(|()| entries.as_chunks().0.iter().map(|x| i64::from_le_bytes(*x) as f64).collect())?,
        "<i4" => fits(4).map(|()| entries.as_chunks().0.iter().map(|x| f64::from(i32::from_le_bytes(*x))).collect())?,
        "|b1" => fits(1).map(|()| entries.iter().map(|x| f64::from(*x)).collect())?,
        other => return Err(Fault::unsupported(format!("entries of type {other} are not read")).at(name.to_owned())),
    };
    Ok(Member::Numbers(shape.clone(), in_rows(values, &shape, by_columns)))
}

/// Entries of columns one after the other, row after row.
fn in_rows(values: Vec<f64>, shape: &[usize], by_columns: bool) -> Vec<f64> {
    match shape {
        [rows, columns] if by_columns => (0..values.len()).map(|t| values[t % columns * rows + t / columns]).collect(),
        _ => values,
    }
}

fn objects(found: Vec<Object>, shape: Vec<usize>, n: usize) -> Result<Member> {
    if found.len() != n {
        return Err(Fault::bad_file(format!("{} objects for shape {shape:?}", found.len())));
    }
    let numbers: Option<Vec<f64>> =
        found.iter().map(|o| if let Object::Number(x) = o { Some(*x) } else { None }).collect();
    if let Some(numbers) = numbers.filter(|_| n > 0) {
        return Ok(Member::Numbers(shape, numbers));
    }
    let text = |object: Object| match object {
        Object::Text(text) => Some(text),
        Object::Number(x) => Some(x.to_string()),
        _ => None,
    };
    let texts: Option<Vec<String>> = found.into_iter().map(text).collect();
    texts.map(Member::Texts).ok_or_else(|| Fault::bad_file("its objects are neither texts nor numbers"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix() -> NamedMatrix {
        NamedMatrix {
            row_names: vec!["1".into(), "22".into()],
            column_names: vec!["ISG15".into(), "é".into(), String::new()],
            values: vec![0.1, 2.0, -3.0, 4.0, 5e-324, 6.0],
        }
    }

    #[test]
    fn matrices_survive_with_their_names() -> Result<()> {
        let folder = tempfile::tempdir().map_err(not_written)?;
        let path = folder.path().join("m.df.npz");
        for numbered_rows in [false, true] {
            write_named_npz(&path, &matrix(), NamedForm { numbered_rows, whole_numbers: false })?;
            assert_eq!(read_named_npz(&path)?, matrix());
        }
        let whole = NamedMatrix { values: vec![1.0, 2.0, 3.0, 4.0, 5.0, 2e9], ..matrix() };
        write_named_npz(&path, &whole, NamedForm { numbered_rows: true, whole_numbers: true })?;
        assert_eq!(read_named_npz(&path)?, whole);
        let first = std::fs::read(&path).map_err(not_written)?;
        write_named_npz(&path, &whole, NamedForm { numbered_rows: true, whole_numbers: true })?;
        assert_eq!(std::fs::read(&path).map_err(not_written)?, first);
        assert!(read_named_npz(&folder.path().join("none.npz")).is_err());
        Ok(())
    }

    #[test]
    fn columns_one_after_the_other_become_rows() {
        assert_eq!(in_rows(vec![1.0, 4.0, 2.0, 5.0, 3.0, 6.0], &[2, 3], true), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    }
}
