//! `ferrocyte lmm fit`: a study, or its sums, to a fit and to tests.

use std::path::PathBuf;

use clap::ArgMatches;
use ferrocyte_mixed::lmm::{Fit, OPTIONS};

use super::{SUMS, contrasts, fit_options, is_part, options_of_sums, read_kind, saved_sums, study, summary};
use crate::faults::Failure;
use crate::output::{Results, Target};
use crate::session::{Session, path};

/// Runs the verb.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let (run, settings) = (&session.run, &session.settings);
    let input = path(matches, "input")?;
    let (part_file, table_target) = targets(session, matches)?;
    let options = fit_options(settings)?;
    let test_options = contrasts::test_options(settings)?;
    let asked_for = contrasts::asked_for(settings)?;

    let from_sums = is_part(input);
    let sums = if from_sums {
        let part = read_kind(input, &[SUMS], "a saved fit is tested by `ferrocyte lmm test`")?;
        saved_sums(input, &part, settings)?
    } else {
        study::collect(run, input, settings, None)?
    };
    let fit = Fit::new(run, sums, options)?;
    let table = match &table_target {
        Some(_) => Some(asked_for.table(run, &fit, &test_options)?),
        None => None,
    };
    let found = table.as_ref().map(summary::findings).transpose()?.unwrap_or_default();
    let results = Results {
        parts: part_file.map(|path| (path, fit.to_part())).into_iter().collect(),
        tables: table_target.zip(table.as_ref()).into_iter().collect(),
        provenance: fit.provenance(),
        decided: if from_sums { options_of_sums().collect() } else { Vec::new() },
        lines: summary::of_fit(&fit, &found),
        summary: summary::of_fit_as_data(&fit, &found),
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
        (Target::Part(path), second) => {
            let tests = OPTIONS.iter().filter(|o| o.verbs.contains(&"test")).map(|o| o.name);
            let idle = session.settings.given(["contrast", "pairwise", "test", "joint"].into_iter().chain(tests));
            match (idle.first(), &second) {
                (Some(option), None) => Err(Failure::usage(
                    option,
                    "tests are asked for, but no table",
                    "add --table, or test the fit with `ferrocyte lmm test`",
                )),
                _ => Ok((Some(path), second)),
            }
        }
        (_, Some(_)) => {
            Err(Failure::usage("table", "--output is a table already", "end --output in .npz to store the fit as well"))
        }
        (table, None) => Ok((None, Some(table))),
    }
}
