//! `ferrocyte lmm test`: tests of a saved fit, or of sums fitted with the defaults.

use clap::ArgMatches;
use ferrocyte_data::Additive;
use ferrocyte_mixed::lmm::{Fit, FitOptions, Sums};

use super::{FIT, SUMS, contrasts, read_kind, summary};
use crate::faults::Failure;
use crate::output::{Results, Target};
use crate::session::{Session, path};

/// Runs the verb.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let (run, settings) = (&session.run, &session.settings);
    let input = path(matches, "input")?;
    let target = Target::table("output", path(matches, "output")?, &[input])?;
    let options = contrasts::test_options(settings)?;
    let asked_for = contrasts::asked_for(settings)?;

    let part = read_kind(input, &[FIT, SUMS], "make one with `ferrocyte lmm fit`")?;
    let fit = if part.kind == FIT {
        Fit::from_part(run, &part)
    } else {
        Sums::from_part(&part).and_then(|sums| Fit::new(run, sums, FitOptions::default()))
    };
    let fit = fit.map_err(|f| f.at(input.display().to_string()))?;
    let contrasts = contrasts::or_all_coefficients(asked_for, &fit)?;
    let table = fit.test(run, &contrasts, &options)?;
    let found = summary::findings(&table)?;
    let results = Results {
        parts: Vec::new(),
        tables: vec![(target, &table)],
        provenance: fit.provenance(),
        decided: Vec::new(),
        lines: summary::of_fit(&fit, &found),
        summary: summary::of_fit_as_data(&fit, &found),
    };
    results.write(session)
}
