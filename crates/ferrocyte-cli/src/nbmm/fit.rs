//! `ferrocyte nbmm fit`: a study, or its sums, to a fit and to tests.

use std::path::PathBuf;

use clap::ArgMatches;
use ferrocyte_data::Additive;
use ferrocyte_mixed::nbmm::{Fit, OPTIONS, Sums};

use super::{SUMS, contrasts, findings, fit_options, lines, study, summary, test_options};
use crate::faults::Failure;
use crate::lmm::{is_part, read_kind};
use crate::output::{Results, Target};
use crate::session::{Session, path};

/// Runs the verb.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let (run, settings) = (&session.run, &session.settings);
    let input = path(matches, "input")?;
    let (part_file, table_target) = targets(session, matches)?;
    let (options, how) = (fit_options(settings)?, test_options(settings)?);
    let decided: Vec<&str> = OPTIONS.iter().filter(|o| o.verbs.contains(&"sums")).map(|o| o.name).collect();
    let (sums, decided) = if is_part(input) {
        if let Some(option) = settings.given(decided.iter().copied()).first() {
            let message = format!("this was decided when `{}` was made", input.display());
            return Err(Failure::usage(option, message, "leave it out, or start from the study"));
        }
        let part = read_kind(input, &[SUMS], "a saved fit is tested by `ferrocyte nbmm test`")?;
        (Sums::from_part(&part).map_err(|f| f.at(input.display().to_string()))?, decided)
    } else {
        (study::collect(run, input, settings)?, Vec::new())
    };
    let fit = Fit::new(run, sums, options)?;
    let table = match &table_target {
        Some(_) => Some(fit.test(run, &contrasts(settings, &fit)?, &how)?),
        None => None,
    };
    let found = table.as_ref().map(findings).transpose()?.unwrap_or_default();
    let results = Results {
        parts: part_file.map(|path| (path, fit.to_part())).into_iter().collect(),
        tables: table_target.zip(table.as_ref()).into_iter().collect(),
        provenance: fit.provenance(),
        decided,
        lines: lines(&fit, &found),
        summary: summary(&fit, &found),
    };
    results.write(session)
}

/// Where the fit and the table go; either may be absent.
fn targets(session: &Session, matches: &ArgMatches) -> Result<(Option<PathBuf>, Option<Target>), Failure> {
    let input = path(matches, "input")?;
    let second = match matches.get_one::<PathBuf>("table") {
        Some(path) => Some(Target::table("table", path, &[input])?),
        None => None,
    };
    match (Target::of("output", path(matches, "output")?, &[input])?, second) {
        (Target::Part(path), None) => {
            let tests = OPTIONS.iter().filter(|o| o.verbs.contains(&"test")).map(|o| o.name);
            match session.settings.given(["contrast", "test"].into_iter().chain(tests)).first() {
                Some(option) => Err(Failure::usage(
                    option,
                    "tests are asked for, but no table",
                    "add --table, or test the fit with `ferrocyte nbmm test`",
                )),
                None => Ok((Some(path), None)),
            }
        }
        (Target::Part(path), second) => Ok((Some(path), second)),
        (_, Some(_)) => {
            Err(Failure::usage("table", "--output is a table already", "end --output in .npz to store the fit as well"))
        }
        (table, None) => Ok((None, Some(table))),
    }
}
