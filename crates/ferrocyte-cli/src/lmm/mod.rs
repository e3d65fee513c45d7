//! `ferrocyte lmm`: linear mixed models. One file per verb; what they share beside them.

pub(crate) mod check;
pub(crate) mod compare;
mod contrasts;
pub(crate) mod fit;
pub(crate) mod plan;
mod study;
pub(crate) mod summary;
pub(crate) mod sums;
pub(crate) mod test;
pub(crate) mod variances;

use std::path::Path;

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_data::{Additive, Part};
use ferrocyte_design::Model;
use ferrocyte_io::{Kind, read_part};
use ferrocyte_mixed::lmm::{AliasedChoice, Fit, FitOptions, Method, Negative, OPTIONS, Sums};

use crate::Verb;
use crate::config::Settings;
use crate::faults::Failure;
use crate::session::Session;

pub(crate) use contrasts::{difference, expression};
pub(crate) use study::row_range;

/// What does the work of each verb.
pub(crate) const VERBS: &[(&str, Verb)] = &[
    ("check", check::run),
    ("plan", plan::run),
    ("sums", sums::run),
    ("fit", fit::run),
    ("test", test::run),
    ("components", variances::components),
    ("shares", variances::shares),
    ("compare", compare::run),
];

/// The kind of a part that holds sums.
pub(crate) const SUMS: &str = "lmm.sums";
/// The kind of a part that holds a fit.
pub(crate) const FIT: &str = "lmm.fit";

/// How a model is fitted, from the settings.
fn fit_options(settings: &Settings) -> std::result::Result<FitOptions, Failure> {
    let min_cells = settings.word("min_cells");
    let min_cells = min_cells.parse().map_err(|_| {
        Failure::usage("min_cells", format!("expected a whole number, found `{min_cells}`"), "0 fits all genes")
    })?;
    Ok(FitOptions {
        method: Method::from_word(settings.word("method"))?,
        negative: Negative::from_word(settings.word("negative"))?,
        moderate: settings.word("moderate") == "true",
        min_cells,
    })
}

/// Whether a file is a part rather than a study: parts are zip archives, and so are some Zarr stores.
pub(crate) fn is_part(path: &Path) -> bool {
    use std::io::Read;
    let mut start = [0; 4];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == *b"PK\x03\x04" && !matches!(Kind::of(path), Ok(Kind::ZarrZip))
}

/// The options that are decided when sums are made.
fn options_of_sums() -> impl Iterator<Item = &'static str> {
    OPTIONS.iter().filter(|o| o.verbs.contains(&"sums")).map(|o| o.name)
}

/// The options by which saved sums can be asked for another model of the same cells.
const QUESTION: [&str; 3] = ["formula", "random", "aliased"];

/// Saved sums, or those of a sub-model where another formula is asked for, and the options that were decided when they
/// were made. These are refused on the command line; those of a config file, which may serve several commands, must
/// agree with the sums.
fn saved_sums(session: &Session, path: &Path, part: &Part) -> std::result::Result<(Sums, Vec<&'static str>), Failure> {
    let settings = &session.settings;
    let place = path.display().to_string();
    let asks = !settings.given(["formula"]).is_empty();
    if let Some(option) = settings.given(options_of_sums().filter(|name| !asks || !QUESTION.contains(name))).first() {
        let message = format!("this was decided when `{place}` was made");
        return Err(Failure::usage(option, message, "leave it out, or start from the study"));
    }
    let sums = Sums::from_part(part).map_err(|f| f.at(place.as_str()))?;
    for (option, wanted, found) in [
        ("groups", settings.configured("groups"), sums.groups_by.as_str()),
        ("transform", settings.configured("transform"), sums.transform.word()),
    ] {
        if let Some(wanted) = wanted.filter(|wanted| *wanted != found) {
            let message = format!("the config file asks for `{wanted}`, but `{place}` was made with `{found}`");
            return Err(Failure::usage(option, message, "make the sums anew, or mend the config file"));
        }
    }
    let model = match settings.one("formula") {
        Some(formula) => Some(Model::parse(formula, settings.all("random"))?),
        None => None,
    };
    let Some(model) = model.filter(|model| model.display() != sums.formula) else {
        return Ok((sums, options_of_sums().collect()));
    };
    let aliased = AliasedChoice::from_word(settings.word("aliased"))?;
    let asked = sums.submodel(&session.run, &model, aliased).map_err(|f| f.at(place))?;
    Ok((asked, options_of_sums().filter(|name| !QUESTION.contains(name)).collect()))
}

/// Reads a fit, or sums that are fitted with the defaults.
fn saved_fit(run: &Run, path: &Path) -> Result<Fit> {
    let part = read_kind(path, &[FIT, SUMS], "make one with `ferrocyte lmm fit`")?;
    let fit = if part.kind == FIT {
        Fit::from_part(run, &part)
    } else {
        Sums::from_part(&part).and_then(|sums| Fit::new(run, sums, FitOptions::default()))
    };
    fit.map_err(|f| f.at(path.display().to_string()))
}

/// Reads a part of one of the given kinds.
pub(crate) fn read_kind(path: &Path, kinds: &[&str], hint: &str) -> Result<Part> {
    // A study is no damaged part.
    if path.extension().is_some_and(|ending| ending == "h5ad") && !is_part(path) {
        return Err(Fault::bad_input("sums or a fit were expected, this is a study")
            .at(path.display().to_string())
            .hint(hint));
    }
    let part = read_part(path)?;
    if kinds.contains(&part.kind.as_str()) {
        return Ok(part);
    }
    let kinds: Vec<String> = kinds.iter().map(|k| format!("`{k}`")).collect();
    Err(Fault::bad_input(format!("a part of kind {} was expected, found `{}`", kinds.join(" or "), part.kind))
        .at(path.display().to_string())
        .hint(hint))
}
