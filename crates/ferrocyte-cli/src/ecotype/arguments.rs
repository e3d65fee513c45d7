//! The arguments of `ferrocyte ecotype`, built from [`ferrocyte_ecotype::OPTIONS`].

use std::path::PathBuf;

use clap::{Arg, ArgAction, Command, value_parser};
use ferrocyte_ecotype::{OPTIONS, STATS_OPTIONS};

use crate::args::{input, option_arg, output};
use crate::door::arguments as opening;

const STUDY: &str = "cells: .h5ad, 10x .h5 or folder, .mtx, or a table (cells x genes; --transpose for genes x cells)";

/// The family.
pub(crate) fn command() -> Command {
    Command::new("ecotype")
        .about("Spatial ecotypes: models from labelled cells, and labels of other cells by them")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            verb("train", "One model for each cell type, from cells with labels")
                .arg(input("study", "STUDY", STUDY))
                .args(opening())
                .arg(output("DIR", "a folder for the models")),
        )
        .subcommand(
            verb("ensemble", "Models of many draws of the same cells, and what they agree on")
                .arg(input("study", "STUDY", STUDY))
                .args(opening())
                .arg(
                    count("run", "I").requires("of").help(
                        "make the share I of N only, counted from 1, for array jobs; `aggregate` takes all shares",
                    ),
                )
                .arg(count("of", "N").requires("run").help("how many shares there are"))
                .arg(output("DIR", "a folder for the models; with --run a file for the share, OUT.npz")),
        )
        .subcommand(
            verb("aggregate", "What the models of several folders agree on, or an ensemble from all of its shares")
                .arg(
                    input("models", "MODELS", "folders of models, or the shares (.npz) of one ensemble")
                        .num_args(1..)
                        .action(ArgAction::Append),
                )
                .arg(output("DIR", "a folder for the models")),
        )
        .subcommand(
            verb("recover", "Labels of cells, by the models of their types")
                .arg(input("study", "STUDY", STUDY))
                .arg(models())
                .args(opening())
                .arg(output("TABLE", "one row for each cell (.tsv, .csv, .jsonl, with .gz; - is stdout)"))
                .arg(
                    Arg::new("table")
                        .long("scores")
                        .value_name("TABLE")
                        .value_parser(value_parser!(PathBuf))
                        .help("also the scores of each cell in every ecotype"),
                ),
        )
        .subcommand(
            verb("deconvolute", "Scores of mixtures, as bulk samples and spots are")
                .arg(input("study", "STUDY", STUDY))
                .arg(
                    Arg::new("reference")
                        .long("weights")
                        .value_name("W.tsv")
                        .required(true)
                        .value_parser(value_parser!(PathBuf))
                        .help("weights: features, then one column an ecotype"),
                )
                .args(opening())
                .arg(output("TABLE", "one row for each sample (.tsv, .csv, .jsonl, with .gz; - is stdout)")),
        )
        .subcommand(
            verb("cv", "Labels of cells by models that have not seen their sample, and how good they are")
                .arg(input("study", "STUDY", STUDY))
                .args(opening())
                .arg(output("TABLE", "one row for each cell (.tsv, .csv, .jsonl, with .gz; - is stdout)")),
        )
        .subcommand(
            verb("discover", "Ecotypes of a tissue, or those that several samples have in common")
                .arg(input("study", "STUDY", STUDY))
                .args(opening())
                .arg(output(
                    "OUT",
                    "one row for each cell (.tsv, .csv, .jsonl, with .gz; - is stdout), or an .h5ad: the study again, \
                     ecotypes in obs",
                ))
                .arg(also("neighbourhoods", "also one row for each neighbourhood"))
                .arg(also("fine", "with several samples: also one row for each fine cluster")),
        )
        .subcommand(
            Command::new("stats")
                .about("Where labelled cells are: which states occur together, how ecotypes spread, parts of a tissue")
                .args(STATS_OPTIONS.iter().map(option_arg))
                .arg(input("cells", "CELLS", "one row for each cell or spot: a table, or an .h5ad with columns of obs"))
                .arg(output("TABLE", "what was measured (.tsv, .csv, .jsonl, with .gz; - is stdout)"))
                .arg(also("tests", "also whether the states of each ecotype belong together")),
        )
}

fn count(name: &'static str, value: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value)
}

fn also(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name("TABLE").value_parser(value_parser!(PathBuf)).help(help)
}

fn verb(name: &'static str, about: &'static str) -> Command {
    Command::new(name).about(about).args(OPTIONS.iter().filter(|option| option.verbs.contains(&name)).map(option_arg))
}

fn models() -> Arg {
    Arg::new("reference")
        .long("models")
        .value_name("DIR")
        .required(true)
        .value_parser(value_parser!(PathBuf))
        .help("the folder of models")
}
