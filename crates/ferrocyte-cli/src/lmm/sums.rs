//! `ferrocyte lmm sums`: cells to sums, in one pass.

use clap::ArgMatches;
use ferrocyte_base::{Input, Provenance};
use ferrocyte_data::Summary;
use ferrocyte_mixed::lmm::Sums;
use serde_json::json;

use super::{study, summary};
use crate::faults::Failure;
use crate::output::{Results, Target};
use crate::session::{Session, path};

/// Runs the verb.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let input = path(matches, "study")?;
    let out = Target::part("output", path(matches, "output")?, &[input])?;
    let sums = study::collect(&session.run, input, &session.settings, session.settings.one("rows"))?;
    let results = Results {
        parts: vec![(out, sums.to_part())],
        tables: Vec::new(),
        provenance: provenance(&sums, "lmm.sums"),
        decided: Vec::new(),
        lines: summary::of_sums(&sums),
        summary: vec![
            ("formula", sums.formula.clone().into()),
            ("genes", sums.n_genes().into()),
            ("cells", sums.n_cells().into()),
            (
                "groups",
                sums.groups
                    .iter()
                    .map(|g| json!({"group": g.label, "cells": g.n_cells, "refused": g.refused}))
                    .collect(),
            ),
        ],
    };
    results.write(session)
}

/// What was done to what.
pub(crate) fn provenance(sums: &Sums, method: &str) -> Provenance {
    let mut provenance = Provenance::new(method)
        .option("formula", sums.formula.as_str())
        .option("groups", sums.groups_by.as_str())
        .option("transform", sums.transform.word())
        .option("libsize", sums.libsize.as_str());
    let inputs = sums.inputs.iter().map(|i| Input { name: i.describe(), fingerprint: i.fingerprint.clone() });
    provenance.inputs = inputs.collect();
    provenance.warnings.clone_from(&sums.warnings);
    provenance
}
