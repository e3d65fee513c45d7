//! The arguments of `ferrocyte ctmm`, built from [`ferrocyte_mixed::ctmm::OPTIONS`].

use std::path::PathBuf;

use clap::{Arg, Command, value_parser};
use ferrocyte_mixed::ctmm::OPTIONS;

use crate::args::{input, option_arg, output};
use crate::door::arguments as opening;

/// The family.
pub(crate) fn command() -> Command {
    Command::new("ctmm")
        .about("Cell type-specific mixed models: which genes vary between people only in some cell types")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            verb("prepare", "Means of individuals and cell types, and the variance of each mean, in one pass")
                .arg(input(
                    "study",
                    "STUDY",
                    "counts of cells: .h5ad, 10x .h5 or folder, .mtx, or a table (cells x genes)",
                ))
                .args(opening())
                .arg(output("OUT.npz", "the pseudobulk, for `ferrocyte ctmm fit` and fe.ctmm.Pseudobulk.load")),
        )
        .subcommand(
            verb("fit", "Models of all genes")
                .arg(input("study", "STUDY|PSEUDOBULK.npz", "cells, or what `ferrocyte ctmm prepare` wrote"))
                .args(opening())
                .arg(
                    Arg::new("reference")
                        .long("covariates")
                        .value_name("TABLE.tsv")
                        .value_parser(value_parser!(PathBuf))
                        .help("individuals, then a column for each covariate; rows are found by name"),
                )
                .arg(output("TABLE", "one row for each gene (.tsv, .csv, .jsonl, with .gz; - is stdout)")),
        )
}

fn verb(name: &'static str, about: &'static str) -> Command {
    Command::new(name).about(about).args(OPTIONS.iter().filter(|option| option.verbs.contains(&name)).map(option_arg))
}
