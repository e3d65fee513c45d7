//! The arguments of `ferrocyte gxemm`, built from [`ferrocyte_mixed::gxemm::OPTIONS`].

use std::path::PathBuf;

use clap::{Arg, ArgAction, Command, value_parser};
use ferrocyte_mixed::gxemm::OPTIONS;

use crate::args::{input, option_arg, output};

/// The family.
pub(crate) fn command() -> Command {
    Command::new("gxemm")
        .about("Heritability of traits by environment, from the kinship of individuals")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("fit")
                .about("Genetic and noise variances of every trait, with heritabilities, shares and tests")
                .arg(input("traits", "TRAITS", "individuals, then a column for each trait (.tsv, .csv, with .gz)"))
                .arg(table("kinship", "KINSHIP", "PLINK genotypes (.bed, or its prefix), GCTA or LDAK (.grm.bin, .grm.gz, or the prefix), or a square table with names").required(true))
                .arg(table("environments", "TABLE", "individuals, then a column for each environment; labels are a partition"))
                .arg(table("covariates", "TABLE", "individuals, then a column for each covariate, without intercept"))
                .arg(
                    Arg::new("trait")
                        .long("trait")
                        .value_name("NAME")
                        .action(ArgAction::Append)
                        .help("the traits to fit; all columns where none is named"),
                )
                .args(OPTIONS.iter().filter(|option| option.verbs.contains(&"fit")).map(option_arg))
                .arg(output("TABLE", "one row for each trait (.tsv, .csv, .jsonl, with .gz; - is stdout)")),
        )
}

fn table(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).value_parser(value_parser!(PathBuf)).help(help)
}
