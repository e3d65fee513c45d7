//! `ferrocyte limma de`: from counts of samples, or of cells, to a ranked list of genes.

use std::path::{Path, PathBuf};

use clap::ArgMatches;
use ferrocyte_base::Table;
use ferrocyte_limma::{Adjust, De, DeMethod, DeOptions, NormMethod, de};

use super::study::{by, load};
use crate::config::Settings;
use crate::faults::Failure;
use crate::output::{Results, Target};
use crate::session::{Session, path};

/// Runs the verb.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let settings = &session.settings;
    let input = path(matches, "input")?;
    let samples = matches.get_one::<PathBuf>("samples").map(PathBuf::as_path);
    let mut inputs = vec![input];
    inputs.extend(samples);
    let targets = targets(path(matches, "output")?, &inputs)?;
    let Some(formula) = settings.one("formula") else {
        let hint = "give one, as in --formula \"~ 0 + group\"";
        return Err(Failure::usage("formula", "a study needs a model, none was given", hint));
    };
    let options = options(settings)?;
    if settings.word("mode") == "mean" && options.method != DeMethod::Trend {
        let message = format!("means over cells are no counts, which `{}` needs", options.method.word());
        return Err(Failure::usage("method", message, "use --method trend, or --mode sum"));
    }
    let contrasts: Vec<(String, String)> = settings.all("contrast").iter().map(|text| named(text)).collect();
    let loaded = load(session, input, samples)?;
    let mut found = de(&session.run, &loaded.study()?, formula, &contrasts, &options)?;
    for option in ["groups", "layer", "mode", "min_cells"] {
        found.provenance = found.provenance.option(option, settings.word(option));
    }
    found.provenance = found.provenance.option("by", by(settings).join(","));
    let groups = found.groups_table();
    let samples = found.samples_table();
    let tables: Vec<(Target, &Table)> = match targets {
        Places::Table(target) => vec![(target, &found.table)],
        Places::Folder(folder) => {
            if !folder.is_dir() {
                std::fs::create_dir(&folder).map_err(|error| {
                    Failure::usage("output", format!("cannot make `{}`: {error}", folder.display()), "choose another")
                })?;
            }
            let at = |name: &str| Target::Table(folder.join(name));
            vec![(at("de.tsv"), &found.table), (at("groups.tsv"), &groups), (at("samples.tsv"), &samples)]
        }
    };
    let (lines, summary) = told(&found);
    Results { parts: vec![], tables, provenance: found.provenance.clone(), decided: vec![], lines, summary }
        .write(session)
}

/// Where the tables go.
enum Places {
    /// The table of tests alone.
    Table(Target),
    /// All tables, in a folder.
    Folder(PathBuf),
}

fn targets(output: &Path, inputs: &[&Path]) -> Result<Places, Failure> {
    if output != Path::new("-") && output.extension().is_none() {
        let parent = output.parent().filter(|folder| !folder.as_os_str().is_empty());
        return match parent.filter(|folder| !folder.is_dir()) {
            Some(folder) => {
                Err(Failure::usage("output", format!("there is no folder `{}`", folder.display()), "make it first"))
            }
            None if output.is_file() => {
                Err(Failure::usage("output", format!("`{}` is a file", output.display()), "name a folder, or a .tsv"))
            }
            None => Ok(Places::Folder(output.to_owned())),
        };
    }
    Ok(Places::Table(Target::table("output", output, inputs)?))
}

fn options(settings: &Settings) -> Result<DeOptions, Failure> {
    Ok(DeOptions {
        method: DeMethod::from_word(settings.word("method"))?,
        block: settings.one("block").map(str::to_owned),
        robust: settings.word("robust") == "true",
        sample_weights: settings.word("sample_weights") == "true",
        lfc: number(settings, "lfc")?,
        normalize: NormMethod::from_word(settings.word("normalize"))?,
        min_count: number(settings, "min_count")?,
        min_total_count: number(settings, "min_total_count")?,
        adjust: Adjust::from_word(settings.word("adjust"))?,
    })
}

fn number(settings: &Settings, name: &str) -> Result<f64, Failure> {
    let word = settings.word(name);
    let bad = || Failure::usage(name, format!("expected a number from 0 on, found `{word}`"), "see --help");
    word.parse::<f64>().ok().filter(|x| *x >= 0.0 && x.is_finite()).ok_or_else(bad)
}

/// `[NAME=]EXPRESSION`.
fn named(text: &str) -> (String, String) {
    match text.split_once('=') {
        Some((name, expression)) => (name.trim().to_owned(), expression.trim().to_owned()),
        None => (text.trim().to_owned(), text.trim().to_owned()),
    }
}

/// What was found, in a few lines and as data.
fn told(found: &De) -> (String, Vec<(&'static str, serde_json::Value)>) {
    let mut lines = vec![format!("limma de  {}  {}", found.method.word(), found.formula)];
    let mut calls = Vec::new();
    for call in found.calls(FDR) {
        lines.push(format!(
            "{:<24} {:<24} {:>6} up {:>6} down of {:>6} genes, {} samples{}",
            call.group,
            call.contrast,
            call.up,
            call.down,
            call.genes,
            call.samples,
            if call.reason.is_empty() { String::new() } else { format!(": {}", call.reason) },
        ));
        calls.push(serde_json::json!({
            "group": call.group, "contrast": call.contrast, "up": call.up, "down": call.down, "genes": call.genes,
            "samples": call.samples, "reason": call.reason,
        }));
    }
    lines.push(format!("(false discovery rate below {FDR})"));
    (lines.join("\n"), vec![("calls", calls.into())])
}

/// The false discovery rate at which the summary counts.
const FDR: f64 = 0.05;
