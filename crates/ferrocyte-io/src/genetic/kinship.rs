//! Kinships on disk.
//!
//! GCTA and LDAK write the lower triangle with its diagonal, row after row: `PREFIX.grm.bin` in single precision, or
//! `PREFIX.grm.gz` as lines of `i j markers value` that count from 1; `PREFIX.grm.id` has family and id of each person.
//! Anything else is a square table with names in both directions.

use std::io::Read;
use std::path::Path;

use ferrocyte_base::{Fault, Result};

use super::{fields_of, names_of, with_ending, without_ending};
use crate::text::read_matrix_tsv;

/// A kinship with the names of its people.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedKinship {
    /// The people.
    pub individuals: Vec<String>,
    /// People × people, row-major, both triangles.
    pub values: Vec<f64>,
}

/// Reads a kinship: `PREFIX.grm.bin`, `PREFIX.grm.gz`, their prefix, or a table.
pub fn read_kinship(path: &Path) -> Result<NamedKinship> {
    let prefix = without_ending(path, &[".grm.bin", ".grm.gz", ".grm.id", ".grm"]);
    let (binary, text) = (with_ending(&prefix, ".grm.bin"), with_ending(&prefix, ".grm.gz"));
    let wanted = path.to_string_lossy();
    if binary.exists() && !wanted.ends_with(".grm.gz") && !path.is_file() || wanted.ends_with(".grm.bin") {
        return read_binary(&binary, people(&with_ending(&prefix, ".grm.id"))?);
    }
    if text.exists() && !path.is_file() || wanted.ends_with(".grm.gz") {
        return read_text(&text, people(&with_ending(&prefix, ".grm.id"))?);
    }
    let read = read_matrix_tsv(path)?;
    if read.row_names != read.column_names {
        return Err(Fault::bad_input(format!(
            "the names of rows and columns of a kinship must be the same, found {} and {}",
            read.row_names.len(),
            read.column_names.len()
        ))
        .at(path.display().to_string()));
    }
    Ok(NamedKinship { individuals: read.row_names, values: read.values })
}

fn people(path: &Path) -> Result<Vec<String>> {
    let pair = |(line, fields): (usize, Vec<String>)| match fields.as_slice() {
        [family, id, ..] => Ok((family.clone(), id.clone())),
        _ => Err(Fault::bad_file(format!("expected family and id, found {} fields", fields.len()))
            .at(format!("line {}", line + 1))
            .at(path.display().to_string())),
    };
    Ok(names_of(&fields_of(path)?.into_iter().enumerate().map(pair).collect::<Result<Vec<_>>>()?))
}

fn read_binary(path: &Path, individuals: Vec<String>) -> Result<NamedKinship> {
    let n = individuals.len();
    let at = |fault: Fault| fault.at(path.display().to_string());
    let bytes = std::fs::read(path).map_err(|e| at(Fault::bad_file(format!("cannot be read: {e}"))))?;
    if bytes.len() != 4 * (n * (n + 1) / 2) {
        return Err(at(Fault::bad_file(format!(
            "has {} bytes; the {n} people of .grm.id need {}",
            bytes.len(),
            4 * (n * (n + 1) / 2)
        ))));
    }
    let mut values = vec![0.0; n * n];
    let mut four = bytes.chunks_exact(4);
    for i in 0..n {
        for j in 0..=i {
            let value = four.next().map_or(0.0, |b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]])));
            (values[i * n + j], values[j * n + i]) = (value, value);
        }
    }
    Ok(NamedKinship { individuals, values })
}

fn read_text(path: &Path, individuals: Vec<String>) -> Result<NamedKinship> {
    let n = individuals.len();
    let at = |fault: Fault| fault.at(path.display().to_string());
    let mut text = String::new();
    crate::text::open(path)?
        .read_to_string(&mut text)
        .map_err(|e| at(Fault::bad_file(format!("cannot be read to its end: {e}"))))?;
    let mut values = vec![f64::NAN; n * n];
    for (k, line) in text.lines().enumerate() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let parsed = match fields.as_slice() {
            [i, j, _, value] => i.parse().ok().zip(j.parse().ok()).zip(value.parse::<f64>().ok()),
            _ => None,
        };
        match parsed {
            Some(((i, j), value)) if (1..=n).contains(&i) && (1..=n).contains(&j) => {
                let (i, j): (usize, usize) = (i - 1, j - 1);
                (values[i * n + j], values[j * n + i]) = (value, value);
            }
            _ => {
                return Err(at(Fault::bad_file(format!(
                    "expected two of {n} people, markers and a value, found `{line}`"
                ))
                .at(format!("line {}", k + 1))));
            }
        }
    }
    if let Some(k) = values.iter().position(|x| x.is_nan()) {
        return Err(at(Fault::bad_file(format!("has no value for people {} and {}", k / n + 1, k % n + 1))));
    }
    Ok(NamedKinship { individuals, values })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::text::inflate::tests::gzip;

    #[test]
    fn all_forms_give_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("a.grm.id"), "f1 i1\nf1 i2\n").unwrap();
        let bytes: Vec<u8> = [1.0_f32, 0.25, 1.5].iter().flat_map(|x| x.to_le_bytes()).collect();
        std::fs::write(at("a.grm.bin"), bytes).unwrap();
        std::fs::write(at("b.grm.id"), "f1 i1\nf1 i2\n").unwrap();
        std::fs::write(at("b.grm.gz"), gzip(b"1 1 10 1.0\n2 1 10 0.25\n2 2 10 1.5\n")).unwrap();
        std::fs::write(at("c.tsv"), "\ti1\ti2\ni1\t1\t0.25\ni2\t0.25\t1.5\n").unwrap();
        let expected = NamedKinship { individuals: vec!["i1".into(), "i2".into()], values: vec![1.0, 0.25, 0.25, 1.5] };
        for name in ["a", "a.grm.bin", "a.grm", "b", "b.grm.gz", "c.tsv"] {
            assert_eq!(read_kinship(&at(name)).unwrap(), expected, "{name}");
        }
    }

    #[test]
    fn ids_that_repeat_are_told_apart_by_family() {
        let pairs = [("f1", "1"), ("f2", "1")].map(|(f, i)| (f.to_owned(), i.to_owned()));
        assert_eq!(names_of(&pairs), ["f1:1", "f2:1"]);
    }

    #[test]
    fn damage_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("a.grm.id"), "f1 i1\nf1 i2\n").unwrap();
        std::fs::write(at("a.grm.bin"), [0; 11]).unwrap();
        assert!(read_kinship(&at("a.grm.bin")).unwrap_err().to_string().contains("11 bytes"));
        std::fs::write(at("a.grm.gz"), "1 1 10 1.0\n3 1 10 0.25\n").unwrap();
        assert!(read_kinship(&at("a.grm.gz")).unwrap_err().to_string().contains("line 2"));
        std::fs::write(at("a.grm.gz"), "1 1 10 1.0\n2 2 10 0.25\n").unwrap();
        assert!(read_kinship(&at("a.grm.gz")).unwrap_err().to_string().contains("people 1 and 2"));
    }
}
