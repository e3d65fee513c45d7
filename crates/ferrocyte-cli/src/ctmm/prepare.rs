//! `ferrocyte ctmm prepare`: cells to pseudobulk with its noise.

use std::path::Path;
use std::str::FromStr;

use clap::ArgMatches;
use ferrocyte_base::Input;
use ferrocyte_mixed::ctmm::{Noise, Normalize, PrepareOptions, Prepared, prepare, standardize};

use crate::config::Settings;
use crate::door;
use crate::faults::Failure;
use crate::output::{Results, Target};
use crate::session::{Session, path};

/// Runs the verb.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let study = path(matches, "study")?;
    let out = Target::part("output", path(matches, "output")?, &[study])?;
    let made = of_study(session, study)?;
    let results = Results {
        parts: vec![(out, made.to_part())],
        tables: Vec::new(),
        provenance: made.provenance.clone(),
        decided: Vec::new(),
        lines: told(&made),
        summary: vec![
            ("genes", made.study.genes.len().into()),
            ("individuals", made.study.individuals.len().into()),
            ("cell_types", made.study.cell_types.len().into()),
            ("too_few", made.too_few.len().into()),
        ],
    };
    results.write(session)
}

/// Pseudobulk of a study, standardised where that is asked for.
pub(super) fn of_study(session: &Session, path: &Path) -> Result<Prepared, Failure> {
    let (run, settings) = (&session.run, &session.settings);
    let study = door::open(run, path, settings)?;
    let layer = settings.one("layer").unwrap_or("X");
    let (donor, cell_type) = (required(settings, "donor")?, required(settings, "cell_type")?);
    let options = PrepareOptions {
        normalize: Normalize::from_word(settings.word("normalize"))?,
        min_cells_individual: number(settings, "min_cells_individual")?,
        min_cells_pair: number(settings, "min_cells_pair")?,
        noise: Noise::from_word(settings.word("noise"))?,
        drop_empty: settings.word("drop_empty") == "true",
    };
    let mut matrix = study.matrix(layer)?;
    let genes = study.var_names(layer)?;
    let obs = study.obs(&[donor, cell_type])?;
    let mut made = prepare(run, &mut *matrix, &genes, &study.obs_names()?, &obs, donor, cell_type, &options)?;
    made.provenance.inputs.push(Input { name: layer.to_owned(), fingerprint: study.fingerprint(run, layer)? });
    if settings.word("standardize") == "true" {
        let scaled = standardize(&made.study)?;
        if !scaled.constant.is_empty() {
            run.warn(&format!("{} genes have constant overall expression and no values", scaled.constant.len()));
        }
        made.study = scaled.study;
        made.provenance = made.provenance.option("standardize", true);
    }
    Ok(made)
}

fn required<'a>(settings: &'a Settings, name: &str) -> Result<&'a str, Failure> {
    settings.one(name).ok_or_else(|| {
        Failure::usage(name, "a study needs it".to_owned(), "name a column of obs; `ferrocyte info STUDY` lists them")
    })
}

fn number<T: FromStr>(settings: &Settings, name: &str) -> Result<T, Failure> {
    let word = settings.word(name);
    word.parse().map_err(|_| Failure::usage(name, format!("expected a whole number, found `{word}`"), "see --help"))
}

/// A few lines for people.
pub(super) fn told(made: &Prepared) -> String {
    let study = &made.study;
    let (n, c) = (study.individuals.len(), study.cell_types.len());
    let observed = study.values.iter().take(n * c).filter(|y| !y.is_nan()).count();
    format!(
        "{} genes, {n} individuals, {c} cell types; {observed} of {} pairs observed, {} have too few cells",
        study.genes.len(),
        n * c,
        made.too_few.len()
    )
}
