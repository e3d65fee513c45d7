//! Genotypes and kinships of people, in the files of statistical genetics.
//!
//! * [`Plink`]: genotypes as PLINK 1 keeps them (.bed, .bim, .fam), read in blocks of variants; [`write_plink`] writes them.
//! * [`read_kinship`]: a kinship of GCTA or LDAK (.grm.bin or .grm.gz with .grm.id), or a square table with names.
//!
//! People are named by their own id where those differ, else by `family:id`.

pub(crate) mod kinship;
pub(crate) mod plink;

use std::collections::HashSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use ferrocyte_base::{Fault, Result};

/// Fields between blanks, line by line, with the number of the line.
fn fields_of(path: &Path) -> Result<Vec<Vec<String>>> {
    let mut text = String::new();
    crate::text::open(path)?
        .read_to_string(&mut text)
        .map_err(|e| Fault::bad_file(format!("cannot be read to its end: {e}")).at(path.display().to_string()))?;
    Ok(text
        .lines()
        .filter(|l| !l.trim().is_empty())
        .map(|l| l.split_whitespace().map(str::to_owned).collect())
        .collect())
}

/// Names of people from pairs of family and id.
fn names_of(pairs: &[(String, String)]) -> Vec<String> {
    let mut seen = HashSet::new();
    if pairs.iter().all(|(_, id)| seen.insert(id.as_str())) {
        pairs.iter().map(|(_, id)| id.clone()).collect()
    } else {
        pairs.iter().map(|(family, id)| format!("{family}:{id}")).collect()
    }
}

/// The path with an ending put after all of it.
fn with_ending(prefix: &Path, ending: &str) -> PathBuf {
    let mut name = prefix.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// The path without an ending.
fn without_ending(path: &Path, endings: &[&str]) -> PathBuf {
    let name = path.to_string_lossy();
    endings.iter().find_map(|ending| name.strip_suffix(ending)).map_or_else(|| path.to_owned(), PathBuf::from)
}
