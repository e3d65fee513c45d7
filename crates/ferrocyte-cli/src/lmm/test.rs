//! `ferrocyte lmm test`: tests of a saved fit, or of sums fitted with the defaults.

use clap::ArgMatches;

use super::{contrasts, saved_fit, summary};
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

    let fit = saved_fit(run, input)?;
    let table = asked_for.table(run, &fit, &options)?;
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
