//! A [`Part`] as a file: summaries and results, to be stored, sent and merged.
//!
//! The file is an `.npz`: a zip archive, not compressed, of `header.json` (kind, version and header) and one
//! `NAME.npy` an array, so that `numpy.load` opens it. Times are fixed at the zip epoch: the same part gives the
//! same bytes. Members above 4 GiB use the 64-bit form of the format.

pub(crate) mod named;
mod npy;
mod pickle;

use std::io::{BufWriter, Cursor, Read, Seek, Write};
use std::path::Path;

use ferrocyte_base::{Fault, Result, Value};
use ferrocyte_data::{Array, Data, Part};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use crate::atomic::{not_written, write_atomically};
use crate::json::{from_json, json_pretty};

const HEADER: &str = "header.json";

/// Writes a part, in one piece.
pub fn write_part(path: &Path, part: &Part) -> Result<()> {
    write_atomically(path, |file| {
        let mut out = BufWriter::with_capacity(1 << 20, file);
        write_into(part, &mut out)?;
        out.flush().map_err(not_written)
    })
}

/// Reads a part, or says what is wrong with the file.
pub fn read_part(path: &Path) -> Result<Part> {
    let at = |fault: Fault| fault.at(path.display().to_string());
    let file = std::fs::File::open(path).map_err(|e| {
        at(if e.kind() == std::io::ErrorKind::NotFound {
            Fault::bad_file("there is no such file").because(e)
        } else {
            Fault::bad_file(format!("cannot be read: {e}")).because(e)
        })
    })?;
    read_from(std::io::BufReader::with_capacity(1 << 20, file)).map_err(at)
}

/// A part as the bytes of its file.
pub fn part_to_bytes(part: &Part) -> Result<Vec<u8>> {
    let mut out = Cursor::new(Vec::new());
    write_into(part, &mut out)?;
    Ok(out.into_inner())
}

/// A part from the bytes of its file.
pub fn part_from_bytes(bytes: &[u8]) -> Result<Part> {
    read_from(Cursor::new(bytes))
}

fn write_into(part: &Part, out: impl Write + Seek) -> Result<()> {
    let mut archive = ZipWriter::new(out);
    let header = Value::map([
        ("kind", Value::from(part.kind.as_str())),
        ("version", Value::from(part.version)),
        ("header", part.header.clone()),
    ]);
    let text = json_pretty(&header);
    archive.start_file(HEADER, member(text.len())).map_err(archive_fault)?;
    archive.write_all(text.as_bytes()).map_err(not_written)?;
    for array in &part.arrays {
        let n = match &array.data {
            Data::F64(v) => v.len(),
            Data::I64(v) => v.len(),
        };
        archive.start_file(format!("{}.npy", array.name), member(8 * n + (1 << 16))).map_err(archive_fault)?;
        archive.write_all(&npy::header(array)).map_err(not_written)?;
        for piece in npy::pieces(&array.data) {
            archive.write_all(&piece).map_err(not_written)?;
        }
    }
    archive.finish().map_err(archive_fault)?.flush().map_err(not_written)
}

/// Stored, at a fixed time, with fixed permissions.
fn member(bytes: usize) -> SimpleFileOptions {
    SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644)
        .large_file(bytes > u32::MAX as usize)
}

fn read_from(file: impl Read + Seek) -> Result<Part> {
    let mut archive = ZipArchive::new(file).map_err(archive_fault)?;
    let mut header = None;
    let mut arrays: Vec<Array> = Vec::new();
    for i in 0..archive.len() {
        let mut member = archive.by_index(i).map_err(archive_fault)?;
        let name = member.name().map_err(archive_fault)?.into_owned();
        let mut bytes = Vec::new();
        member
            .read_to_end(&mut bytes)
            .map_err(|e| damaged(format!("cannot be read: {e}")).at(name.clone()).because(e))?;
        if name == HEADER {
            header = Some(parse_header(&bytes).map_err(|f| f.at(HEADER))?);
        } else if let Some(array) = name.strip_suffix(".npy") {
            arrays.push(npy::decode(array, &bytes)?);
        } else {
            return Err(damaged(format!("unexpected member `{name}`")));
        }
    }
    let (kind, version, header) = header.ok_or_else(|| damaged(format!("it has no `{HEADER}`")))?;
    Ok(Part { kind, version, header, arrays })
}

fn parse_header(bytes: &[u8]) -> Result<(String, i64, Value)> {
    let json = serde_json::from_slice(bytes).map_err(|e| damaged(format!("not JSON: {e}")).because(e))?;
    let value = from_json(&json);
    let kind = value.get("kind").and_then(Value::as_str);
    let version = value.get("version").and_then(Value::as_i64);
    match (kind, version, value.get("header")) {
        (Some(kind), Some(version), Some(header)) => Ok((kind.to_owned(), version, header.clone())),
        _ => Err(damaged("it lacks kind, version or header".to_owned())),
    }
}

fn damaged(message: String) -> Fault {
    Fault::bad_file(message).hint("the file is damaged or is no part file of ferrocyte")
}

fn archive_fault(error: zip::result::ZipError) -> Fault {
    match error {
        zip::result::ZipError::Io(e) => damaged(format!("cannot be read or written: {e}")).because(e),
        other => damaged(format!("not a part file ({other})")).because(other),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn part() -> Part {
        let header = Value::map([
            ("genes", Value::list(["ISG15", "é"])),
            ("rows", Value::list([0_i64, 65536])),
            ("target", Value::Float(1e4)),
        ]);
        let mut part = Part::new("lmm.sums", 1, header);
        part.push_f64("xx", &[2, 3], vec![0.1, -0.0, f64::NAN, f64::INFINITY, 5e-324, 1e300]);
        part.push_i64("n", &[1], vec![i64::MIN]);
        part.push_f64("empty", &[0, 7], vec![]);
        part
    }

    #[test]
    fn a_part_survives_and_its_bytes_are_stable() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sums.npz");
        write_part(&path, &part()).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes, part_to_bytes(&part()).unwrap());
        // NaN differs from itself: compare the bytes of what was read.
        assert_eq!(part_to_bytes(&read_part(&path).unwrap()).unwrap(), bytes);
        let back = part_from_bytes(&bytes).unwrap();
        assert_eq!((back.kind.as_str(), back.version, &back.header), ("lmm.sums", 1, &part().header));
        assert_eq!(back.arrays[1..], part().arrays[1..]);
        let year = &bytes[12..14];
        assert_eq!(year, 0x0021_u16.to_le_bytes(), "1980-01-01");
    }

    #[test]
    fn every_truncation_is_a_fault() {
        let bytes = part_to_bytes(&part()).unwrap();
        for end in 0..bytes.len() {
            assert!(part_from_bytes(&bytes[..end]).is_err(), "{end} of {}", bytes.len());
        }
    }

    #[test]
    fn flipped_bytes_are_found() {
        let bytes = part_to_bytes(&part()).unwrap();
        let at = bytes.windows(5).position(|w| w == b"ISG15").unwrap();
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        assert!(part_from_bytes(&flipped).is_err_and(|f| f.to_string().contains("header.json")));
    }

    #[test]
    fn a_file_of_another_kind_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        std::fs::write(&path, b"gene\tp\n").unwrap();
        let fault = read_part(&path).err().unwrap();
        assert!(fault.to_string().contains("a.npz: not a part file"), "{fault}");
        let fault = read_part(&folder.path().join("b.npz")).err().unwrap();
        assert!(fault.to_string().ends_with("b.npz: there is no such file"), "{fault}");
    }
}
