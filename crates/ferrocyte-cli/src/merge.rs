//! `ferrocyte merge`: parts of disjoint cells to the whole.
//!
//! Parts are added in the order of the rows that they were made from, whatever the order in which they are named, so
//! that the bits depend on where the rows were cut, and on nothing else.

use std::path::Path;

use clap::ArgMatches;
use ferrocyte_base::{Fault, Result};
use ferrocyte_data::Additive;
use ferrocyte_io::read_part;
use ferrocyte_mixed::lmm::{Sums, SumsInput};
use serde_json::json;

use crate::faults::Failure;
use crate::lmm;
use crate::output::{Results, Target};
use crate::session::{Session, path, paths};

/// Runs the command.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> std::result::Result<(), Failure> {
    let files = paths(matches, "parts");
    let out = Target::part("output", path(matches, "output")?, &files)?;
    // Parts are read twice, so that two are in memory at a time, however many there are.
    let mut parts: Vec<(Vec<SumsInput>, &Path)> = Vec::new();
    for &file in &files {
        session.run.check()?;
        parts.push((read_sums(file)?.inputs, file));
    }
    parts.sort_by(|(a, _), (b, _)| keys(a).cmp(keys(b)));
    refuse_strangers(&parts)?;
    let mut whole: Option<Sums> = None;
    for (_, file) in &parts {
        session.run.check()?;
        let next = read_sums(file)?;
        match &mut whole {
            None => whole = Some(next),
            Some(whole) => whole.merge(&next).map_err(|f| f.at(file.display().to_string()))?,
        }
    }
    let whole = whole.ok_or_else(|| Fault::internal("there is no part to merge"))?;
    refuse_gaps(&whole.inputs)?;
    for missing in whole.missing_rows() {
        session.run.warn(&format!("{missing} are in no part yet"));
    }
    let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let results = Results {
        parts: vec![(out, whole.to_part())],
        tables: Vec::new(),
        provenance: whole.provenance("merge"),
        decided: Vec::new(),
        lines: whole.describe(),
        summary: vec![("parts", json!(names)), ("genes", whole.n_genes().into()), ("cells", whole.n_cells().into())],
    };
    results.write(session)
}

fn read_sums(file: &Path) -> Result<Sums> {
    let part = read_part(file)?;
    let at = |fault: Fault| fault.at(file.display().to_string());
    if part.kind != lmm::SUMS {
        return Err(at(Fault::unsupported(format!("parts of kind `{}` cannot be added", part.kind))
            .hint("sums can: they are made by `ferrocyte lmm sums`")));
    }
    Sums::from_part(&part).map_err(at)
}

/// What parts are put in order by.
fn keys(inputs: &[SumsInput]) -> impl Iterator<Item = (&str, &str, (usize, usize))> {
    inputs.iter().map(|input| (input.name.as_str(), input.fingerprint.as_str(), input.rows))
}

/// Whole matrices of one name are different studies; pieces of one name with different content are a mistake.
fn refuse_strangers(parts: &[(Vec<SumsInput>, &Path)]) -> Result<()> {
    let is_piece = |input: &SumsInput| input.rows != (0, input.n_rows);
    let all: Vec<(&SumsInput, &Path)> =
        parts.iter().flat_map(|(inputs, file)| inputs.iter().map(|i| (i, *file))).collect();
    for (i, (mine, file)) in all.iter().enumerate() {
        let of_same_name = all[..i].iter().filter(|(other, _)| other.name == mine.name);
        for (other, first) in of_same_name {
            let differ = (&mine.fingerprint, mine.n_rows) != (&other.fingerprint, other.n_rows);
            if differ && (is_piece(mine) || is_piece(other)) {
                let (name, here, there) = (&mine.name, &mine.fingerprint, &other.fingerprint);
                let message = format!("made from another {name} than {}: {here} here, {there} there", first.display());
                return Err(Fault::bad_input(message)
                    .at(file.display().to_string())
                    .hint("merge parts of one study only"));
            }
        }
    }
    Ok(())
}

/// Refuses rows missing between parts. Those missing at the ends may come with another merge.
fn refuse_gaps(inputs: &[SumsInput]) -> Result<()> {
    for pair in inputs.windows(2) {
        let [left, right] = pair else { continue };
        if left.name == right.name && left.fingerprint == right.fingerprint && left.rows.1 < right.rows.0 {
            let message = format!("rows {}:{} of {} are in no part", left.rows.1, right.rows.0, left.name);
            return Err(Fault::bad_input(message).at("merge").hint("give the parts that have them too"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(fingerprint: &str, from: usize, to: usize) -> SumsInput {
        SumsInput { name: "X of a.h5ad".into(), fingerprint: fingerprint.into(), rows: (from, to), n_rows: 90 }
    }

    #[test]
    fn gaps_are_named() {
        let text = |inputs: &[SumsInput]| refuse_gaps(inputs).err().map(|f| f.to_string());
        assert_eq!(text(&[piece("f", 10, 50)]), None);
        let gap = text(&[piece("f", 0, 40), piece("f", 50, 60)]);
        assert_eq!(gap.as_deref(), Some("merge: rows 40:50 of X of a.h5ad are in no part"));
    }

    #[test]
    fn pieces_of_different_matrices_are_strangers() {
        let text = |a: SumsInput, b: SumsInput| {
            let fault = refuse_strangers(&[(vec![a], Path::new("1.npz")), (vec![b], Path::new("2.npz"))]).err();
            fault.map(|f| f.to_string())
        };
        assert_eq!(text(piece("f", 0, 40), piece("f", 40, 90)), None);
        assert_eq!(text(piece("f", 0, 90), piece("g", 0, 90)), None, "two studies, both whole");
        let stranger = text(piece("f", 0, 40), piece("g", 40, 90));
        assert_eq!(stranger.as_deref(), Some("2.npz: made from another X of a.h5ad than 1.npz: g here, f there"));
    }
}
