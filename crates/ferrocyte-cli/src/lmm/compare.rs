//! `ferrocyte lmm compare`: two saved fits of the same genes and cells.

use clap::ArgMatches;
use ferrocyte_mixed::lmm::Adjust;

use super::{saved_fit, summary};
use crate::faults::Failure;
use crate::output::{Results, Target};
use crate::session::{Session, path};

/// Runs the verb.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let (first, second) = (path(matches, "input")?, path(matches, "other")?);
    let target = Target::table("output", path(matches, "output")?, &[first, second])?;
    let adjust = Adjust::from_word(session.settings.word("adjust"))?;
    let (fit, other) = (saved_fit(&session.run, first)?, saved_fit(&session.run, second)?);
    let table = fit.compare(&session.run, &other, adjust)?;
    let results = Results {
        parts: Vec::new(),
        tables: vec![(target, &table)],
        provenance: fit.provenance(),
        decided: Vec::new(),
        lines: format!("{}\n{}", summary::of_fit(&fit, &[]), summary::of_fit(&other, &[])),
        summary: summary::of_fit_as_data(&fit, &[]),
    };
    results.write(session)
}
