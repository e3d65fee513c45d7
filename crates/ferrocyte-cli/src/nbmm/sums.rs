//! `ferrocyte nbmm sums`: cells to sums.

use clap::ArgMatches;
use ferrocyte_data::Additive;
use serde_json::json;

use super::study;
use crate::faults::Failure;
use crate::output::{Results, Target};
use crate::session::{Session, path};

/// Runs the verb.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let input = path(matches, "study")?;
    let out = Target::part("output", path(matches, "output")?, &[input])?;
    let sums = study::collect(&session.run, input, &session.settings)?;
    let groups = sums.groups.iter().map(|g| {
        json!({"group": g.label, "cells": g.n_cells, "strata": g.n_strata(), "path": g.path(), "refused": g.refused})
    });
    let results = Results {
        parts: vec![(out, sums.to_part())],
        tables: Vec::new(),
        provenance: sums.provenance("nbmm.sums"),
        decided: Vec::new(),
        lines: sums.describe(),
        summary: vec![
            ("formula", sums.formula.clone().into()),
            ("genes", sums.n_genes().into()),
            ("cells", sums.n_cells().into()),
            ("groups", groups.collect()),
        ],
    };
    results.write(session)
}
