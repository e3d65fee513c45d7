//! `ferrocyte nbmm test`: tests of a saved fit, or of sums fitted with the defaults.

use clap::ArgMatches;

use super::{contrasts, findings, lines, saved_fit, summary, test_options};
use crate::faults::Failure;
use crate::output::{Results, Target};
use crate::session::{Session, path};

/// Runs the verb.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let (run, settings) = (&session.run, &session.settings);
    let input = path(matches, "input")?;
    let target = Target::table("output", path(matches, "output")?, &[input])?;
    let how = test_options(settings)?;
    let fit = saved_fit(run, input)?;
    let table = fit.test(run, &contrasts(settings, &fit)?, &how)?;
    let found = findings(&table)?;
    let results = Results {
        parts: Vec::new(),
        tables: vec![(target, &table)],
        provenance: fit.provenance(),
        decided: Vec::new(),
        lines: lines(&fit, &found),
        summary: summary(&fit, &found),
    };
    results.write(session)
}
