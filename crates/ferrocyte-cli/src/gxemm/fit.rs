//! `ferrocyte gxemm fit`: models of all traits, to a table.

use std::path::{Path, PathBuf};

use clap::ArgMatches;
use ferrocyte_base::Result as Outcome;
use ferrocyte_mixed::gxemm::{
    Errors, FitOptions, Genetic, Information, KinshipOptions, Method, Noise, Route, Standardize, Study, Variance, fit,
    fit_genotypes,
};

use super::tables;
use crate::config::Settings;
use crate::faults::Failure;
use crate::output::{Results, Target};
use crate::session::{Session, path};

/// Runs the verb.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let (run, settings) = (&session.run, &session.settings);
    let table = |name: &str| matches.get_one::<PathBuf>(name).map(PathBuf::as_path);
    let (traits, kinship) = (path(matches, "traits")?, path(matches, "kinship")?);
    let inputs: Vec<&Path> =
        [Some(traits), Some(kinship), table("environments"), table("covariates")].into_iter().flatten().collect();
    let out = Target::table("output", path(matches, "output")?, &inputs)?;
    let options = options(settings)?;
    let of_genotypes = KinshipOptions {
        standardize: Standardize::from_word(settings.word("standardize"))?,
        sex_linked: settings.word("sex_linked") == "true",
    };
    let (individuals, names, values) = tables::traits(traits, settings.all("trait"))?;
    let (covariate_names, covariates) = tables::columns(run, table("covariates"), "X", &individuals, false)?;
    let (environment_names, environments) = tables::columns(run, table("environments"), "Z", &individuals, true)?;
    let streamed = options.method == Method::Rhe;
    let study = Study {
        kinship: if streamed { None } else { Some(tables::kinship(run, kinship, &individuals, of_genotypes)?) },
        individuals,
        traits: names,
        values,
        covariate_names,
        covariates,
        environment_names,
        environments,
    };
    let found = if streamed {
        let mut genotypes = tables::Streamed::open(run, kinship, &study.individuals, of_genotypes)?;
        fit_genotypes(run, &study, &mut genotypes.borrowed(), options)?
    } else {
        fit(run, &study, options)?
    };
    let made = found.table();
    let counts = found.outcome_counts();
    let lines: Vec<String> =
        counts.iter().map(|(outcome, n)| format!("{:<18} {n:>8} traits", outcome.status().word)).collect();
    Results {
        parts: Vec::new(),
        tables: vec![(out, &made)],
        provenance: found.provenance.clone(),
        decided: Vec::new(),
        lines: lines.join("\n"),
        summary: vec![("traits", found.traits.len().into()), ("individuals", study.individuals.len().into())],
    }
    .write(session)
}

fn options(settings: &Settings) -> Result<FitOptions, Failure> {
    let prev = settings.one("prev").map(|word| {
        word.parse::<f64>()
            .map_err(|_| Failure::usage("prev", format!("expected a number, found `{word}`"), "it is a share, as 0.01"))
    });
    let count = |name: &'static str| {
        let word = settings.word(name);
        word.parse::<usize>()
            .map_err(|_| Failure::usage(name, format!("expected a whole number, found `{word}`"), "it is a count"))
    };
    let (probes, blocks) = (count("probes")?, count("blocks")?);
    let seed = count("seed")? as u64;
    let chosen = || -> Outcome<FitOptions> {
        Ok(FitOptions {
            gtype: Genetic::from_word(settings.word("gtype"))?,
            etype: Noise::from_word(settings.word("etype"))?,
            method: Method::from_word(settings.word("method"))?,
            variance: Variance::from_word(settings.word("variance"))?,
            information: Information::from_word(settings.word("information"))?,
            use_diag: settings.word("use_diag") == "true",
            weighted: settings.word("weighted") == "true",
            prev: None,
            last_noise: settings.word("last_noise") == "true",
            errors: Errors::from_word(settings.word("errors"))?,
            route: Route::from_word(settings.word("route"))?,
            probes,
            blocks,
            seed,
        })
    };
    Ok(FitOptions { prev: prev.transpose()?, ..chosen()? })
}
