//! `ferrocyte merge`: parts of disjoint cells to the whole.
//!
//! Which parts belong together, and in which order they are added, is said in one place for all fronts:
//! [`ferrocyte_mixed::lmm::Sums::merge_all`].

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use ferrocyte_base::{Fault, Provenance, Result};
use ferrocyte_data::Additive;
use ferrocyte_io::read_part;
use ferrocyte_mixed::lmm::{PartRows, SumsInput};
use serde_json::json;

use crate::faults::Failure;
use crate::output::{Results, Target};
use crate::session::{Session, path, paths};
use crate::{lmm, nbmm};

/// Sums that add, of any family.
trait Mergeable: Additive + Clone {
    fn inputs(&self) -> &[SumsInput];
    fn merge_all<'a>(rows: &[PartRows], read: impl FnMut(usize) -> Result<Cow<'a, Self>>) -> Result<Self>
    where
        Self: 'a;
    fn missing_rows(&self) -> Vec<String>;
    fn provenance(&self) -> Provenance;
    fn describe(&self) -> String;
    /// Numbers of genes and cells.
    fn size(&self) -> (usize, u64);
}

macro_rules! mergeable {
    ($($sums:ty),*) => { $(
        impl Mergeable for $sums {
            fn inputs(&self) -> &[SumsInput] {
                &self.inputs
            }
            fn merge_all<'a>(rows: &[PartRows], read: impl FnMut(usize) -> Result<Cow<'a, Self>>) -> Result<Self> {
                <$sums>::merge_all(rows, read)
            }
            fn missing_rows(&self) -> Vec<String> {
                <$sums>::missing_rows(self)
            }
            fn provenance(&self) -> Provenance {
                <$sums>::provenance(self, "merge")
            }
            fn describe(&self) -> String {
                <$sums>::describe(self)
            }
            fn size(&self) -> (usize, u64) {
                (self.n_genes(), self.n_cells())
            }
        }
    )* };
}

mergeable!(ferrocyte_mixed::lmm::Sums, ferrocyte_mixed::nbmm::Sums);

/// Runs the command.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> std::result::Result<(), Failure> {
    let files = paths(matches, "parts");
    let out = Target::part("output", path(matches, "output")?, &files)?;
    let Some(first) = files.first() else { return Err(Fault::bad_input("there is no part to merge").into()) };
    // The kind of the first part is that of all.
    if read_part(first)?.kind == nbmm::SUMS {
        merge::<ferrocyte_mixed::nbmm::Sums>(session, &files, out, nbmm::SUMS)
    } else {
        merge::<ferrocyte_mixed::lmm::Sums>(session, &files, out, lmm::SUMS)
    }
}

fn merge<S: Mergeable>(
    session: &Session,
    files: &[&Path],
    out: PathBuf,
    kind: &str,
) -> std::result::Result<(), Failure> {
    // Parts are read twice, so that two are in memory at a time, however many there are.
    let mut rows = Vec::new();
    for &file in files {
        session.run.check()?;
        let inputs = read_sums::<S>(file, kind)?.inputs().to_vec();
        rows.push(PartRows { place: file.display().to_string(), inputs });
    }
    let whole = S::merge_all(&rows, |i| {
        session.run.check()?;
        read_sums::<S>(files[i], kind).map(Cow::Owned)
    })?;
    for missing in whole.missing_rows() {
        session.run.warn(&format!("{missing} are in no part yet"));
    }
    let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let (genes, cells) = whole.size();
    let results = Results {
        parts: vec![(out, whole.to_part())],
        tables: Vec::new(),
        provenance: whole.provenance(),
        decided: Vec::new(),
        lines: whole.describe(),
        summary: vec![("parts", json!(names)), ("genes", genes.into()), ("cells", cells.into())],
    };
    results.write(session)
}

fn read_sums<S: Mergeable>(file: &Path, kind: &str) -> Result<S> {
    let part = read_part(file)?;
    let at = |fault: Fault| fault.at(file.display().to_string());
    if part.kind != kind {
        return Err(at(Fault::unsupported(format!("parts of kind `{}` cannot be added", part.kind))
            .hint(format!("sums can: they are made by `ferrocyte {}`", kind.replace('.', " ")))));
    }
    S::from_part(&part).map_err(at)
}
