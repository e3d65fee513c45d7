//! `ferrocyte ctmm fit`: models of all genes, to a table.

use std::path::PathBuf;

use clap::ArgMatches;
use ferrocyte_base::Input;
use ferrocyte_io::read_part;
use ferrocyte_mixed::ctmm::{
    FitOptions, Jackknife, Level, MeanTest, Method, Model, Prepared, Variance, fit, standardize,
};

use super::{covariates, prepare};
use crate::faults::Failure;
use crate::output::{Results, Target};
use crate::session::{Session, path};

/// Runs the verb.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let (run, settings) = (&session.run, &session.settings);
    let input = path(matches, "study")?;
    let out = Target::table("output", path(matches, "output")?, &[input])?;
    let options = FitOptions {
        model: Model::from_word(settings.word("model"))?,
        method: Method::from_word(settings.word("method"))?,
        variance: Variance::from_word(settings.word("variance"))?,
        jackknife: Jackknife::from_word(settings.word("jackknife"))?,
        mean_test: MeanTest::from_word(settings.word("mean_test"))?,
    };
    let made = if input.extension().is_none_or(|ending| ending != "npz") {
        prepare::of_study(session, input)?
    } else {
        let mut made = Prepared::from_part(&read_part(input)?)?;
        if settings.word("standardize") == "true" {
            made.study = standardize(&made.study)?.study;
        }
        made
    };
    let mut study = made.study;
    let table = matches.get_one::<PathBuf>("reference").map(PathBuf::as_path);
    let (fixed, random) = (named(settings.all("fixed")), named(settings.all("random")));
    (study.fixed, study.random) = covariates::read(table, &study.individuals, &fixed, &random)?;
    if Level::from_word(settings.word("level"))? == Level::Op {
        study = study.overall()?;
    }
    let found = fit(run, study, options)?;
    let table = found.table();
    let mut provenance = found.provenance.clone();
    provenance.inputs.extend(made.provenance.inputs);
    provenance.inputs.push(Input { name: "pseudobulk".to_owned(), fingerprint: options_of(&made.provenance.options) });
    let counts = found.outcome_counts();
    let lines: Vec<String> =
        counts.iter().map(|(outcome, n)| format!("{:<18} {n:>8} genes", outcome.status().word)).collect();
    Results {
        parts: Vec::new(),
        tables: vec![(out, &table)],
        provenance,
        decided: Vec::new(),
        lines: lines.join("\n"),
        summary: vec![("genes", found.genes.len().into()), ("dropped", found.dropped.len().into())],
    }
    .write(session)
}

/// Names that stand alone or between commas.
fn named(words: &[String]) -> Vec<String> {
    words.iter().flat_map(|word| word.split(',')).map(|name| name.trim().to_owned()).filter(|n| !n.is_empty()).collect()
}

/// How pseudobulk was made, in one line.
fn options_of(options: &[(String, ferrocyte_base::Value)]) -> String {
    let told = options
        .iter()
        .map(|(name, value)| format!("{name}={}", value.as_str().map_or_else(|| format!("{value:?}"), str::to_owned)));
    told.collect::<Vec<_>>().join(" ")
}
