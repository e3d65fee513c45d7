//! `ferrocyte lmm components` and `ferrocyte lmm shares`: the variances of a saved fit, tested and shared out.

use clap::ArgMatches;
use ferrocyte_base::{Run, Table};
use ferrocyte_mixed::lmm::{Adjust, Fit};

use super::{saved_fit, summary};
use crate::faults::Failure;
use crate::output::{Results, Target};
use crate::session::{Session, path};

/// Tests of variance components.
pub(crate) fn components(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let adjust = Adjust::from_word(session.settings.word("adjust"))?;
    table_of(session, matches, |run, fit| fit.test_components(run, adjust))
}

/// Shares of variance.
pub(crate) fn shares(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    table_of(session, matches, |run, fit| fit.variance_shares(run))
}

/// Writes a table that is made of a fit and nothing else.
fn table_of(
    session: &Session,
    matches: &ArgMatches,
    make: impl FnOnce(&Run, &Fit) -> ferrocyte_base::Result<Table>,
) -> Result<(), Failure> {
    let input = path(matches, "input")?;
    let target = Target::table("output", path(matches, "output")?, &[input])?;
    let fit = saved_fit(&session.run, input)?;
    let table = make(&session.run, &fit)?;
    let results = Results {
        parts: Vec::new(),
        tables: vec![(target, &table)],
        provenance: fit.provenance(),
        decided: Vec::new(),
        lines: summary::of_fit(&fit, &[]),
        summary: summary::of_fit_as_data(&fit, &[]),
    };
    results.write(session)
}
