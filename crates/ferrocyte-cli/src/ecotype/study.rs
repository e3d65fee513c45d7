//! From files and options to cells, labels and ways of training.

use std::path::Path;
use std::str::FromStr;

use ferrocyte_base::{Fault, Input, Provenance, Result};
use ferrocyte_data::ObsColumn;
use ferrocyte_ecotype::{
    Draws, Duplicates, Expression, Labels, Mode, Normalize, NotFinite, OPTIONS, Reading, RecoverOptions, Rng,
    SmallClasses, TrainOptions,
};
use ferrocyte_io::{AnnotatedSource, unique_names};

use crate::config::Settings;
use crate::door;
use crate::faults::Failure;
use crate::session::Session;

/// Cells, their columns, and where they come from.
pub(super) struct Loaded {
    pub(super) x: Expression,
    pub(super) cell_type: Vec<String>,
    pub(super) label: Vec<String>,
    pub(super) sample: Option<Vec<String>>,
    /// Coordinates; empty for verbs that do not need them.
    pub(super) places: (Vec<f64>, Vec<f64>),
    /// The part of the tissue, where it is asked for.
    pub(super) region: Option<Vec<String>>,
    /// Known clusters, where they are asked for; empty for cells without.
    pub(super) clusters: Option<Vec<String>>,
    pub(super) provenance: Provenance,
}

impl Loaded {
    /// The cells, which are handed over, and what is known of each.
    pub(super) fn parts(&mut self) -> (Expression, Labels<'_>) {
        (std::mem::take(&mut self.x), self.labels())
    }

    /// What is known of each cell.
    pub(super) fn labels(&self) -> Labels<'_> {
        Labels { cell_type: &self.cell_type, label: &self.label, sample: self.sample.as_deref() }
    }
}

/// Reads a study, and the columns that a verb needs.
pub(super) fn load(session: &Session, verb: &str, path: &Path) -> std::result::Result<Loaded, Failure> {
    let (run, settings) = (&session.run, &session.settings);
    let study = door::open(run, path, settings)?;
    let mut loaded = columns(session, verb, &*study)?;
    let (cells, genes) = names(settings, &*study)?;
    let mut x = Expression::collect(run, &mut *study.matrix(layer(settings))?, cells, genes, not_finite(settings)?)?;
    if Normalize::from_word(settings.word("normalize"))? == Normalize::Log1pCp10k {
        let empty = x.log_normalize()?;
        if empty > 0 {
            run.warn(&format!("{empty} cells have no counts and stay 0"));
        }
    }
    loaded.x = x;
    Ok(loaded)
}

/// The matrix that is asked for.
pub(super) fn layer(settings: &Settings) -> &str {
    settings.one("layer").unwrap_or("X")
}

/// Names of cells and genes; those of genes are made unique on request.
pub(super) fn names(settings: &Settings, study: &dyn AnnotatedSource) -> Result<(Vec<String>, Vec<String>)> {
    let genes = study.var_names(layer(settings))?;
    let genes = match Duplicates::from_word(settings.word("duplicates"))? {
        Duplicates::Error => genes,
        Duplicates::Unique => unique_names(&genes),
    };
    Ok((study.obs_names()?, genes))
}

fn not_finite(settings: &Settings) -> Result<NotFinite> {
    NotFinite::from_word(settings.word("nan"))
}

/// How values are read.
pub(super) fn reading(settings: &Settings) -> Result<Reading> {
    let normalize = Normalize::from_word(settings.word("normalize"))?;
    Ok(Reading { normalize, nan: not_finite(settings)?, auto_log: truth(settings, "auto_log") })
}

/// The columns that a verb needs, without the cells themselves.
pub(super) fn columns(
    session: &Session,
    verb: &str,
    study: &dyn AnnotatedSource,
) -> std::result::Result<Loaded, Failure> {
    let settings = &session.settings;
    let takes = |name: &str| OPTIONS.iter().any(|option| option.name == name && option.verbs.contains(&verb));
    let column = |name: &str, missing: Option<&str>| texts(study, settings.word(name), missing);
    let cell_type = if takes("cell_type") { column("cell_type", None)? } else { Vec::new() };
    let label = if takes("label") { column("label", Some(settings.word("non_se_label")))? } else { Vec::new() };
    let asked = |name: &str, missing: Option<&str>| -> Result<Option<Vec<String>>> {
        settings.one(name).filter(|_| takes(name)).map(|_| column(name, missing)).transpose()
    };
    let (sample, region, clusters) = (asked("sample", None)?, asked("region", None)?, asked("clusters", Some(""))?);
    let places = if takes("x") && clusters.is_none() {
        (numbers(study, settings.word("x"))?, numbers(study, settings.word("y"))?)
    } else {
        (Vec::new(), Vec::new())
    };
    let mut provenance = Provenance::new(format!("ecotype.{verb}"));
    for option in OPTIONS.iter().filter(|option| option.verbs.contains(&verb)) {
        provenance = provenance.option(option.name, settings.one(option.name).unwrap_or_default());
    }
    let layer = layer(settings);
    provenance.inputs.push(Input { name: layer.to_owned(), fingerprint: study.fingerprint(&session.run, layer)? });
    let x = Expression::default();
    Ok(Loaded { x, cell_type, label, sample, places, region, clusters, provenance })
}

/// A column of obs as texts; whole numbers without a decimal point.
fn texts(study: &dyn AnnotatedSource, name: &str, missing: Option<&str>) -> Result<Vec<String>> {
    let frame = study.obs(&[name])?;
    let column = frame.column(name)?;
    let n = column.n_missing();
    let missing = match missing {
        Some(word) => word,
        None if n == 0 => "",
        None => {
            return Err(Fault::bad_input(format!("{n} cells have no value"))
                .at(format!("obs column `{name}`"))
                .hint("give each cell a value"));
        }
    };
    Ok(match column {
        ObsColumn::Factor(factor) => {
            (0..column.len()).map(|cell| factor.level(cell).unwrap_or(missing).to_owned()).collect()
        }
        ObsColumn::Number(numbers) => {
            numbers.iter().map(|x| if x.is_nan() { missing.to_owned() } else { x.to_string() }).collect()
        }
    })
}

/// A column of obs as numbers.
fn numbers(study: &dyn AnnotatedSource, name: &str) -> Result<Vec<f64>> {
    match study.obs(&[name])?.column(name)? {
        ObsColumn::Number(numbers) => Ok(numbers.clone()),
        ObsColumn::Factor(_) => {
            Err(Fault::bad_input("expected numbers, found words").at(format!("obs column `{name}`")))
        }
    }
}

/// A number among the options.
pub(super) fn number<T: FromStr>(settings: &Settings, name: &str) -> std::result::Result<T, Failure> {
    let word = settings.word(name);
    word.parse().map_err(|_| Failure::usage(name, format!("expected a number, found `{word}`"), "see --help"))
}

/// Whether an option is set.
pub(super) fn truth(settings: &Settings, name: &str) -> bool {
    settings.word(name) == "true"
}

/// How models are trained.
pub(super) fn training(settings: &Settings) -> std::result::Result<TrainOptions, Failure> {
    Ok(TrainOptions {
        mode: Mode::from_word(settings.word("mode"))?,
        scale: truth(settings, "scale"),
        balance_sample: truth(settings, "balance_sample"),
        nfeature: number(settings, "nfeature")?,
        nfeature_per_se: match settings.word("nfeature_per_se") {
            "inf" | "Inf" => None,
            _ => Some(number(settings, "nfeature_per_se")?),
        },
        min_cells: number(settings, "min_cells")?,
        downsample: number(settings, "downsample")?,
        seed: number(settings, "seed")?,
        rng: settings.one("rng").map(Rng::from_word).transpose()?,
        small_classes: settings.one("small_classes").map(SmallClasses::from_word).transpose()?,
    })
}

/// How cells are labelled.
pub(super) fn recovery(settings: &Settings) -> std::result::Result<RecoverOptions, Failure> {
    Ok(RecoverOptions {
        mode: Mode::from_word(settings.word("mode"))?,
        scale: truth(settings, "scale"),
        cells_per_run: number(settings, "cells_per_run")?,
        min_score: number(settings, "min_score")?,
        min_cells: number(settings, "min_cells")?,
        non_se_label: settings.word("non_se_label").to_owned(),
    })
}

/// The stream of seeds of repeats.
pub(super) fn draws(options: &TrainOptions) -> Draws {
    let usual = if options.mode == Mode::Compat { Rng::R } else { Rng::Native };
    Draws::new(options.rng.unwrap_or(usual), options.seed, "cross-validation")
}
