//! The arguments of `ferrocyte nbmm`, built from [`ferrocyte_mixed::nbmm::OPTIONS`].

use std::path::PathBuf;

use clap::{Arg, ArgAction, Command, value_parser};
use ferrocyte_mixed::nbmm::OPTIONS;

use crate::args::{input, option_arg, output};
use crate::door::arguments as opening;

/// The family.
pub(crate) fn command() -> Command {
    Command::new("nbmm")
        .about("Negative-binomial mixed models of counts of many genes, from sums over cells")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("sums")
                .about("Cells to sums; sums of disjoint cells add (`ferrocyte merge`)")
                .arg(input("study", "STUDY", "the study: .h5ad, 10x .h5 or folder, .mtx, a table"))
                .args(options("sums"))
                .args(opening())
                .arg(Arg::new("rows").long("rows").value_name("A:B").help("cells A to B - 1 only, counted from 0"))
                .arg(output("sums.npz", "where the sums go, a name that ends in .npz")),
        )
        .subcommand(
            Command::new("fit")
                .about("A study, or its sums, to a fit and to tests")
                .arg(input(
                    "input",
                    "STUDY|SUMS.npz",
                    "the study (.h5ad, 10x .h5 or folder, .mtx, a table), or sums of it",
                ))
                .args(options("fit"))
                .args(opening())
                .args(tests())
                .arg(output("OUT", "a fit (.npz), or the table of tests (.tsv, .csv, .jsonl, with .gz; - is stdout)"))
                .arg(
                    Arg::new("table")
                        .long("table")
                        .value_name("TABLE")
                        .value_parser(value_parser!(PathBuf))
                        .help("where the table of tests goes besides a fit; - is stdout"),
                ),
        )
        .subcommand(
            Command::new("test")
                .about("Tests of a saved fit, or of sums fitted with the defaults")
                .arg(input("input", "FIT.npz|SUMS.npz", "the fit, or sums"))
                .args(tests())
                .arg(output("TABLE", "the table of tests (.tsv, .csv, .jsonl, with .gz; - is stdout)")),
        )
}

fn options(verb: &'static str) -> impl Iterator<Item = Arg> {
    OPTIONS.iter().filter(move |option| option.verbs.contains(&verb)).map(option_arg)
}

/// What is tested, and how.
fn tests() -> Vec<Arg> {
    let mut args = vec![
        Arg::new("contrast")
            .long("contrast")
            .value_name("VARIABLE:LEVEL:REFERENCE")
            .action(ArgAction::Append)
            .help("test the difference of two levels; @FACTOR=LEVEL fixes a factor that interacts [repeatable]"),
        Arg::new("test")
            .long("test")
            .value_name("[NAME=]EXPRESSION")
            .action(ArgAction::Append)
            .allow_hyphen_values(true)
            .help("test a linear expression of coefficients [repeatable; by default every coefficient]"),
    ];
    args.extend(options("test"));
    args
}
