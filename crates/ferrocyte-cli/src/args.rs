//! The arguments of the program, in one place.
//!
//! Options of a family are built from its table, which the Python package follows too: [`ferrocyte_mixed::lmm::OPTIONS`],
//! [`ferrocyte_limma::OPTIONS`], [`ferrocyte_cells::steps::OPTIONS`], [`ferrocyte_learn::nmf::OPTIONS`], [`ferrocyte_ecotype::OPTIONS`],
//! [`ferrocyte_mixed::ctmm::OPTIONS`], [`ferrocyte_mixed::nbmm::OPTIONS`] and [`ferrocyte_mixed::lmm::SIMULATE_OPTIONS`]; only what belongs to files and to the program itself is defined here. Values stay
//! text: they may come from the config file as well, and are read in one place ([`crate::config`]).

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command, value_parser};
use ferrocyte_base::{OptionInfo, VERSION};
use ferrocyte_mixed::lmm::{OPTIONS, SIMULATE_OPTIONS};

use crate::door::{OPENING, arguments as opening};

/// Ends the help of options without a default that a command cannot do without.
const REQUIRED: &str = "[required for a study]";

/// Options that may be given several times.
const REPEATED: [&str; 8] = ["random", "fixed", "contrast", "pairwise", "test", "joint", "by", "components"];

/// Options that never stand in a config file: they say where, not what.
const PLACES: [&str; 15] = [
    "config",
    "output",
    "table",
    "support",
    "reference",
    "mapping",
    "counts",
    "output_dir",
    "run_name",
    "neighbourhoods",
    "fine",
    "tests",
    "kinship",
    "environments",
    "covariates",
];

/// Options that change time and memory, never the answer.
pub(crate) const MEANS: [&str; 2] = ["threads", "max_memory"];

/// An option of a verb: verb, name (with underscores), default (`-`: must be given; empty: nothing), choices (empty:
/// free).
pub type Argument = (String, String, String, Vec<String>);

/// The options of `ferrocyte lmm`, as its command line has them, without those that say how files are opened. Other fronts compare theirs with these.
///
/// ```
/// let arguments = ferrocyte_cli::lmm_arguments();
/// assert!(arguments.iter().any(|(verb, name, default, _)| verb == "fit" && name == "method" && default == "REML"));
/// ```
pub fn lmm_arguments() -> Vec<Argument> {
    arguments_of(&lmm())
}

/// The options of `ferrocyte limma`, likewise.
pub fn limma_arguments() -> Vec<Argument> {
    arguments_of(&limma())
}

/// The options of `ferrocyte nmf`, likewise.
pub fn nmf_arguments() -> Vec<Argument> {
    arguments_of(&nmf())
}

/// The options of `ferrocyte cells`, likewise.
pub fn cells_arguments() -> Vec<Argument> {
    arguments_of(&cells())
}

/// The options of `ferrocyte ctmm`, likewise.
pub fn ctmm_arguments() -> Vec<Argument> {
    arguments_of(&crate::ctmm::arguments::command())
}

/// The options of `ferrocyte nbmm`, likewise.
pub fn nbmm_arguments() -> Vec<Argument> {
    arguments_of(&crate::nbmm::arguments::command())
}

/// The options of `ferrocyte gxemm`, likewise.
pub fn gxemm_arguments() -> Vec<Argument> {
    arguments_of(&crate::gxemm::arguments::command())
}

/// The options of `ferrocyte ecotype`, likewise.
pub fn ecotype_arguments() -> Vec<Argument> {
    arguments_of(&crate::ecotype::arguments::command())
}

/// The options of `ferrocyte simulate`, likewise.
pub fn simulate_arguments() -> Vec<Argument> {
    arguments_of(&simulate())
}

/// The options of `ferrocyte report`, likewise.
pub fn report_arguments() -> Vec<Argument> {
    arguments_of(&Command::new("").subcommand(crate::report::command()))
}

/// The options of `ferrocyte cnmf`, likewise.
pub fn cnmf_arguments() -> Vec<Argument> {
    arguments_of(&cnmf())
}

fn arguments_of(family: &Command) -> Vec<Argument> {
    let verbs = family.get_subcommands();
    verbs
        .flat_map(|verb| {
            let options = verb
                .get_arguments()
                .filter(|arg| arg.get_long().is_some() && !OPENING.contains(&arg.get_id().as_str()));
            options.map(|arg| {
                let choices = arg.get_possible_values().iter().map(|v| v.get_name().to_owned()).collect();
                (verb.get_name().to_owned(), arg.get_id().to_string(), default_word(arg), choices)
            })
        })
        .collect()
}

fn default_word(arg: &Arg) -> String {
    let named = arg.get_help().is_some_and(|help| help.to_string().ends_with(REQUIRED));
    match arg.get_default_values().first() {
        Some(value) => value.to_string_lossy().into_owned(),
        None if named || arg.is_required_set() => "-".to_owned(),
        None => String::new(),
    }
}

/// The whole command line.
pub(crate) fn command() -> Command {
    Command::new("ferrocyte")
        .version(VERSION)
        .about("Statistics of multi-sample gene-expression studies")
        .after_help("Exit codes: 0 done, 1 failed, 2 not understood, 130 interrupted")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .args(common())
        .subcommand(lmm())
        .subcommand(limma())
        .subcommand(cnmf())
        .subcommand(nmf())
        .subcommand(cells())
        .subcommand(crate::ctmm::arguments::command())
        .subcommand(crate::nbmm::arguments::command())
        .subcommand(crate::gxemm::arguments::command())
        .subcommand(crate::ecotype::arguments::command())
        .subcommand(simulate())
        .subcommand(concat())
        .subcommand(merge())
        .subcommand(convert())
        .subcommand(info())
        .subcommand(crate::report::command())
        .subcommand(completions())
}

/// The help of every command, `ferrocyte` first: its words and its text. The reference page is made of it.
pub fn help_pages() -> Vec<(String, String)> {
    fn walk(command: &mut Command, words: &str, pages: &mut Vec<(String, String)>) {
        pages.push((words.to_owned(), command.render_long_help().to_string()));
        for verb in command.get_subcommands_mut().filter(|c| c.get_name() != "help") {
            let words = format!("{words} {}", verb.get_name());
            walk(verb, &words, pages);
        }
    }
    let mut root = command().term_width(100);
    root.build();
    let mut pages = Vec::new();
    walk(&mut root, "ferrocyte", &mut pages);
    pages
}

/// Names of the options that a config file may set, each once.
pub(crate) fn config_keys(command: &Command) -> Vec<String> {
    let mut keys: Vec<String> = settable(command).map(|arg| arg.get_id().to_string()).collect();
    for key in command.get_subcommands().flat_map(config_keys) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

/// The options of a command that take a value and may stand in a config file.
pub(crate) fn settable(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| {
        let takes_value = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
        takes_value && arg.get_long().is_some() && !PLACES.contains(&arg.get_id().as_str())
    })
}

/// What every command takes.
fn common() -> Vec<Arg> {
    let flag = |name: &'static str| Arg::new(name).long(name).global(true).help_heading("Common options");
    vec![
        flag("config")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help("TOML file with options, dashes as underscores; those of the command line win"),
        flag("threads")
            .value_name("N")
            .default_value("0")
            .help("threads; 0 takes all processors; never changes the answer"),
        Arg::new("max_memory")
            .long("max-memory")
            .global(true)
            .help_heading("Common options")
            .value_name("SIZE")
            .default_value("2G")
            .help("memory for buffers and sums, such as 500M or 4G; never changes the answer"),
        flag("json")
            .action(ArgAction::SetTrue)
            .help("messages on stderr and the summary on stdout as JSON, one object a line"),
        flag("quiet").short('q').action(ArgAction::SetTrue).help("say nothing but errors"),
        flag("verbose").short('v').action(ArgAction::SetTrue).help("say what is decided on the way"),
    ]
}

fn lmm() -> Command {
    Command::new("lmm")
        .about("Linear mixed models of many genes, from sums over cells")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("check")
                .about("What a design can tell, before any count is read: terms, units, degrees of freedom")
                .arg(input("study", "STUDY", "the study: .h5ad, 10x .h5 or folder, .mtx, a table"))
                .args(options("check"))
                .args(opening())
                .arg(output("TABLE", "the table of terms (.tsv, .csv, .jsonl, with .gz; - is stdout)").required(false))
                .arg(
                    Arg::new("support")
                        .long("support")
                        .value_name("TABLE")
                        .value_parser(value_parser!(PathBuf))
                        .help("where the cells and units behind each coefficient go"),
                ),
        )
        .subcommand(
            Command::new("plan")
                .about("Where a study is cut for several workers: a range of cells A:B for each, one a line")
                .arg(input("study", "STUDY", "the study"))
                .args(opening())
                .arg(Arg::new("shards").long("shards").value_name("N").required(true).help(
                    "how many workers; shards are whole blocks of 65,536 cells, so that any N gives the same bits",
                )),
        )
        .subcommand(
            Command::new("sums")
                .about("Cells to sums, in one pass; sums of disjoint cells add (`ferrocyte merge`)")
                .arg(input("study", "STUDY", "the study: .h5ad, 10x .h5 or folder, .mtx, a table"))
                .args(options("sums"))
                .args(opening())
                .arg(Arg::new("rows").long("rows").value_name("A:B").help("cells A to B - 1 only, counted from 0"))
                .arg(
                    Arg::new("shard")
                        .long("shard")
                        .value_name("I/N")
                        .help("the cells of shard I of N only, counted from 1, as `ferrocyte lmm plan` cuts them"),
                )
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
        .subcommand(
            Command::new("components")
                .about("Tests of the variance components: z, and likelihood ratio against the model without each")
                .arg(input("input", "FIT.npz|SUMS.npz", "the fit, or sums"))
                .args(options("components"))
                .arg(output("TABLE", "the table (.tsv, .csv, .jsonl, with .gz; - is stdout)")),
        )
        .subcommand(
            Command::new("shares")
                .about("Shares of fixed effects, random terms and residual in the variance of each gene")
                .arg(input("input", "FIT.npz|SUMS.npz", "the fit, or sums"))
                .arg(output("TABLE", "the table (.tsv, .csv, .jsonl, with .gz; - is stdout)")),
        )
        .subcommand(
            Command::new("compare")
                .about("Two models of the same genes and cells: likelihoods, AIC, BIC, likelihood-ratio test")
                .arg(input("input", "FIT.npz", "the first fit"))
                .arg(input("other", "FIT.npz", "the second fit"))
                .args(options("compare"))
                .arg(output("TABLE", "the table (.tsv, .csv, .jsonl, with .gz; - is stdout)")),
        )
}

fn limma() -> Command {
    let options = |verb: &'static str| {
        ferrocyte_limma::OPTIONS.iter().filter(move |option| option.verbs.contains(&verb)).map(|option| {
            let arg = option_arg(option).allow_hyphen_values(option.name == "contrast");
            if option.name == "by" { arg.visible_alias("pseudobulk") } else { arg }
        })
    };
    Command::new("limma")
        .about("Linear models of samples with moderated statistics, from counts to a ranked list of genes")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("de")
                .about("Filter, normalise, voom, fit, contrasts, moderated tests: the whole way in one command")
                .arg(input(
                    "input",
                    "COUNTS.tsv|STUDY",
                    "counts (genes x samples, with .gz), or a study (.h5ad, 10x .h5 or folder, .mtx)",
                ))
                .arg(
                    Arg::new("samples")
                        .value_name("SAMPLES.tsv")
                        .value_parser(value_parser!(PathBuf))
                        .help("the samples, named in the first column as in the header of the counts"),
                )
                .args(options("de"))
                .args(opening())
                .arg(output("DIR", "a folder for all tables, or the table of tests (.tsv, .csv, .jsonl, with .gz; -)")),
        )
        .subcommand(
            Command::new("pseudobulk")
                .about("The cells of each sample as one observation, in one pass")
                .arg(input("study", "STUDY", "the study of cells: .h5ad, 10x .h5 or folder, .mtx"))
                .args(options("pseudobulk"))
                .args(opening())
                .arg(output("OUT.h5ad", "where the samples go")),
        )
}

fn cells() -> Command {
    let options = |verb: &'static str| {
        let options = ferrocyte_cells::steps::OPTIONS.iter().map(|option| &option.info);
        options
            .filter(move |option| option.verbs.contains(&verb))
            .map(|option| option_arg(option).allow_negative_numbers(true))
    };
    // Columns of cells are those of the study.
    let opening = || opening().into_iter().filter(|arg| arg.get_id() != "obs");
    let study = || input("study", "STUDY", "the study: .h5ad, .h5mu, .zarr, 10x .h5 or folder, .mtx, a table");
    let written = || output("OUT.h5ad", "where the study goes, .h5ad or .h5mu");
    let table = |help: &'static str| {
        Arg::new("table").long("table").value_name("TABLE").value_parser(value_parser!(PathBuf)).help(help)
    };
    let verb = |name: &'static str, about: &'static str| {
        Command::new(name).about(about).arg(study()).args(options(name)).args(opening())
    };
    Command::new("cells")
        .about("Single cells: from counts of several samples to named types, markers and composition")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("import")
                .about("A sample of any kind as .h5ad, or all samples of a table as the folder of a study")
                .arg(input(
                    "input",
                    "STUDY|SAMPLES.tsv",
                    "counts of any kind; or a table with the columns location and sample, and batch, group, modality, taxa",
                ))
                .args(options("import"))
                .args(opening())
                .arg(output("OUT.h5ad|DIR", "where the sample goes; for a table of samples a folder")),
        )
        .subcommand(
            verb("qc", "Measures of cells and genes of a sample, doublets, and which are kept")
                .arg(table("where a summary goes (.tsv, .csv, .jsonl, with .gz)"))
                .arg(written()),
        )
        .subcommand(
            verb("embed", "Counts to logarithms, variable genes, components, batches brought together, neighbours, UMAP")
                .arg(written()),
        )
        .subcommand(verb("cluster", "Clusters of the graph of neighbours, or a consensus of k-means").arg(written()))
        .subcommand(
            verb("markers", "Genes that tell groups of cells apart")
                .arg(table("where the table of markers goes too (.tsv, .csv, .jsonl, with .gz)"))
                .arg(output("OUT.h5ad|TABLE", "where the study goes, or the table of markers (.tsv, ...; - is stdout)")),
        )
        .subcommand(
            verb("annotate", "Clusters get names")
                .arg(
                    Arg::new("name")
                        .long("name")
                        .value_name("NAME=CLUSTER,...")
                        .action(ArgAction::Append)
                        .help("a name, and the clusters that get it [repeatable]"),
                )
                .arg(
                    Arg::new("mapping")
                        .long("mapping")
                        .value_name("NAMES.tsv")
                        .value_parser(value_parser!(PathBuf))
                        .help("a table of clusters (first column) and their names (second column)"),
                )
                .arg(written()),
        )
        .subcommand(
            verb("proportion", "Cells of each type in each sample, as shares or counts")
                .arg(output("TABLE", "the table (.tsv, .csv, .jsonl, with .gz; - is stdout)")),
        )
        .subcommand(
            Command::new("run")
                .about("All of it: a table of samples to an integrated, clustered study with markers and composition")
                .arg(input(
                    "samples",
                    "SAMPLES.tsv",
                    "a table with the columns location and sample, and batch, group, modality, taxa, or more",
                ))
                .args(options("run"))
                .args(opening())
                .arg(output("DIR", "the folder of the study: samples, integrated.h5mu, tables, log")),
        )
}

fn cnmf() -> Command {
    let verb = |name: &'static str, about: &'static str| {
        let key = name.replace('-', "_");
        let mine = ferrocyte_programs::OPTIONS.iter().filter(move |option| option.verbs.contains(&key.as_str()));
        Command::new(name).about(about).args(mine.map(program_arg))
    };
    let place = || {
        [
            Arg::new("output_dir")
                .long("output-dir")
                .value_name("DIR")
                .value_parser(value_parser!(PathBuf))
                .default_value(".")
                .help("where the folder of the run is"),
            Arg::new("run_name")
                .long("name")
                .value_name("NAME")
                .default_value("cNMF")
                .help("the name of the run, and of its folder"),
        ]
    };
    let counts = || {
        Arg::new("counts")
            .short('c')
            .long("counts")
            .value_name("STUDY")
            .required(true)
            .value_parser(value_parser!(PathBuf))
            .help("the counts: .h5ad, 10x .h5 or folder, .mtx, a table")
    };
    Command::new("cnmf")
        .about("Programs of gene expression: the consensus of many non-negative factorisations")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            verb("run", "All steps in one process, where they were left off")
                .arg(counts())
                .args(place())
                .args(opening()),
        )
        .subcommand(
            verb("prepare", "Counts to the matrix that is factorised, and the table of replicates")
                .arg(counts())
                .args(place())
                .args(opening()),
        )
        .subcommand(verb("factorize", "Makes the replicates, or the share of one worker").args(place()))
        .subcommand(verb("combine", "Stacks the spectra of the replicates; gaps and strangers are named").args(place()))
        .subcommand(
            verb("k-selection", "How well replicates agree for each number of programs")
                .visible_alias("k_selection_plot")
                .args(place()),
        )
        .subcommand(verb("consensus", "Programs, usages and spectra over all genes").args(place()))
        .subcommand(
            verb("project", "How much new cells use known programs")
                .arg(counts())
                .arg(
                    Arg::new("reference")
                        .long("reference")
                        .value_name("TABLE")
                        .required(true)
                        .value_parser(value_parser!(PathBuf))
                        .help("spectra of programs x genes, such as starcat_spectra of a consensus"),
                )
                .args(opening())
                .arg(output("USAGES.tsv", "where the shares go (.tsv, .csv, .jsonl, with .gz; -)")),
        )
}

/// An option of `ferrocyte cnmf`: with the short names of the peer, and truths that need no value.
fn program_arg(info: &'static OptionInfo) -> Arg {
    let arg = option_arg(info);
    let arg = if info.choices == ["true", "false"] {
        arg.num_args(0..=1).require_equals(true).default_missing_value("true")
    } else {
        arg
    };
    match info.name {
        "components" => arg.short('k').num_args(1..),
        "n_iter" => arg.short('n'),
        _ => arg,
    }
}

/// The options of the family that a verb takes.
fn options(verb: &str) -> impl Iterator<Item = Arg> {
    OPTIONS.iter().filter(move |option| option.verbs.contains(&verb)).map(option_arg)
}

/// What is tested, and how.
fn tests() -> Vec<Arg> {
    let mut args = vec![
        Arg::new("contrast")
            .long("contrast")
            .value_name("VARIABLE:LEVEL:REFERENCE")
            .action(ArgAction::Append)
            .help(
                "test the difference of two levels; @FACTOR=LEVEL fixes a factor that interacts, @FACTOR=all takes each \
                 of its levels [repeatable]",
            ),
        Arg::new("pairwise")
            .long("pairwise")
            .value_name("VARIABLE")
            .action(ArgAction::Append)
            .help("test all differences of two levels of a factor; @FACTOR=LEVEL and @FACTOR=all as above [repeatable]"),
        Arg::new("test")
            .long("test")
            .value_name("[NAME=]EXPRESSION")
            .action(ArgAction::Append)
            .allow_hyphen_values(true)
            .help("test a sum of coefficients, such as `A - (B + C)/2` [default: every coefficient but the intercept] [repeatable]"),
        Arg::new("joint")
            .long("joint")
            .value_name("[NAME=]TERM")
            .action(ArgAction::Append)
            .allow_hyphen_values(true)
            .help(
                "test all coefficients of a term jointly (F test), such as `cell_type:condition`; several terms or \
                 sums of coefficients stand between `;`; `all` tests every term of the model [repeatable]",
            ),
    ];
    args.extend(options("test"));
    args
}

pub(crate) fn option_arg(info: &OptionInfo) -> Arg {
    let mut arg = Arg::new(info.name)
        .long(info.name.replace('_', "-"))
        .value_name(info.name.to_uppercase())
        .action(if REPEATED.contains(&info.name) { ArgAction::Append } else { ArgAction::Set });
    if !info.choices.is_empty() {
        arg = arg.value_parser(PossibleValuesParser::new(info.choices));
    }
    match info.default {
        "-" => arg.help(format!("{} {REQUIRED}", info.meaning)),
        "" => arg.help(info.meaning),
        word => arg.help(info.meaning).default_value(word),
    }
}

pub(crate) fn input(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).value_name(value).required(true).value_parser(value_parser!(PathBuf)).help(help)
}

pub(crate) fn output(value: &'static str, help: &'static str) -> Arg {
    Arg::new("output")
        .short('o')
        .long("output")
        .value_name(value)
        .required(true)
        .value_parser(value_parser!(PathBuf))
        .help(help)
}

fn nmf() -> Command {
    let options = ferrocyte_learn::nmf::OPTIONS.iter().map(|option| {
        let arg = option_arg(option);
        if option.name == "k" { arg.short('k') } else { arg }
    });
    Command::new("nmf")
        .about("Non-negative matrix factorisation: cells as sums of programs")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("fit")
                .about("Factorise a matrix of cells x genes at one or more ranks, from one or more starts each")
                .arg(input("study", "STUDY", "the matrix: .h5ad, .h5mu, 10x .h5 or folder, .mtx, a table"))
                .args(options)
                .args(opening())
                .arg(output("DIR", "a folder for usages, spectra and the table of replicas")),
        )
}

fn simulate() -> Command {
    let verb = |name: &'static str, about: &'static str| {
        let options = SIMULATE_OPTIONS.iter().filter(move |option| option.verbs.contains(&name)).map(simulator_arg);
        Command::new(name).about(about).args(options)
    };
    let written = || {
        [
            output("OUT.h5ad", "where the study goes; its planted effects go to OUT.h5ad.truth.tsv"),
            Arg::new("values")
                .long("values")
                .value_name("TYPE")
                .value_parser(PossibleValuesParser::new(["float32", "int32"]))
                .default_value("float32")
                .help("type of the counts in the file"),
            Arg::new("gzip")
                .long("gzip")
                .value_name("LEVEL")
                .default_value("1")
                .help("compression of the file, 1 (fast) to 9 (small); 0 is none"),
        ]
    };
    Command::new("simulate")
        .about("Studies of which the truth is known")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            verb("study", "Cells of samples in two treatments, with cluster and sample effects").args(written()),
        )
        .subcommand(
            verb(
                "cohort",
                "Donors in arms, samples, batches, cell types, covariates, planted effects; any number of cells",
            )
            .args(written()),
        )
        .subcommand(
            Command::new("programs")
                .about(
                    "Cells of planted programs of expression: identities, and activities that some have beside theirs",
                )
                .args(ferrocyte_programs::SIMULATE_OPTIONS.iter().map(simulator_arg))
                .args(written()),
        )
        .subcommand(
            Command::new("ecotype")
                .about("Spatial samples with planted ecotypes")
                .args(ferrocyte_ecotype::SIMULATE_OPTIONS.iter().map(option_arg))
                .args(written()),
        )
        .subcommand(
            Command::new("ctmm")
                .about("Pseudobulk of individuals and cell types with known variances (the design of CTMM's paper)")
                .args(ferrocyte_mixed::ctmm::SIMULATE_OPTIONS.iter().map(option_arg))
                .arg(output(
                    "OUT.npz",
                    "the pseudobulk, for `ferrocyte ctmm fit`; the truth goes to OUT.npz.truth.tsv",
                )),
        )
        .subcommand(
            Command::new("gxemm")
                .about("Genotypes of individuals in environments, and a trait with heritability by environment")
                .args(ferrocyte_mixed::gxemm::SIMULATE_OPTIONS.iter().map(option_arg))
                .arg(output(
                    "PREFIX",
                    "genotypes go to PREFIX.bed, .bim and .fam, the trait to PREFIX.traits.tsv, the rest to \
                     PREFIX.environments.tsv and PREFIX.covariates.tsv",
                )),
        )
        .subcommand(
            verb("rnaseq", "Counts like those of a reference (the distributions of FLASHMM's simuRNAseq)")
                .arg(
                    Arg::new("reference")
                        .long("reference")
                        .value_name("REFERENCE.h5ad")
                        .value_parser(value_parser!(PathBuf))
                        .help("counts to learn from; without it negative binomial ones are drawn"),
                )
                .arg(Arg::new("layer").long("layer").value_name("LAYER").help("its matrix: X, a layer, or raw/X"))
                .args(written()),
        )
}

/// An option of a simulator. Numbers of things go by their bare names too: `--cells` for `--n-cells`.
fn simulator_arg(info: &'static OptionInfo) -> Arg {
    let arg = option_arg(info).allow_negative_numbers(true);
    match info.name.strip_prefix("n_") {
        Some(bare) => arg.visible_alias(bare.replace('_', "-")),
        None => arg,
    }
}

fn concat() -> Command {
    let option = |name: &'static str, value: &'static str| {
        Arg::new(name).long(name.replace('_', "-")).value_name(value).action(ArgAction::Set)
    };
    Command::new("concat")
        .about("Several studies as one: cells one after the other, genes matched by name, streamed")
        .arg(input("studies", "STUDY", "studies of any kind: .h5ad, 10x .h5 or folder, .mtx, a table").num_args(1..))
        .arg(
            option("join", "JOIN")
                .value_parser(PossibleValuesParser::new(ferrocyte_data::Join::WORDS))
                .default_value("outer")
                .help("genes and columns of cells: those of all studies (sorted; what is missing is 0), or common ones"),
        )
        .arg(
            option("key", "COLUMN")
                .default_value("sample")
                .help("the column of obs that says of which study a cell is; empty for none"),
        )
        .arg(
            option("label", "LABEL")
                .action(ArgAction::Append)
                .help("what a study is called there, one for each; by default its file [repeatable]"),
        )
        .arg(
            option("index_unique", "TEXT")
                .allow_hyphen_values(true)
                .help("put this and the label behind the names of cells, so that they differ"),
        )
        .arg(option("layer", "LAYER").help("the matrix: X or a layer that every study has"))
        .arg(option("var", "COLUMN[=RULE]").action(ArgAction::Append).help(
            "keep a column of var; what several studies say of a gene becomes one value by or, and, mean, var, sd, max, \
             min, median, unique_concat or concat [repeatable]",
        ))
        .arg(
            option("values", "TYPE")
                .value_parser(PossibleValuesParser::new(["float32", "float64"]))
                .default_value("float32")
                .help("type of the values in the file"),
        )
        .args(opening())
        .arg(output("OUT.h5ad", "where the whole goes"))
}

fn merge() -> Command {
    Command::new("merge")
        .about("Adds parts that were made from disjoint cells, in the order of their rows")
        .arg(input("parts", "PART", "part files of one kind").num_args(1..))
        .arg(output("OUT.npz", "where the whole goes"))
}

fn convert() -> Command {
    let option = |name: &'static str, value: &'static str| {
        Arg::new(name).long(name.replace('_', "-")).value_name(value).action(ArgAction::Set)
    };
    Command::new("convert")
        .about("Any study that is read here (.h5ad of any age, .h5mu, Zarr, 10x, MatrixMarket, text) as .h5ad, .h5mu or .zarr")
        .arg(input("input", "IN", "the study"))
        .arg(input("output", "OUT", "where it goes: OUT.h5ad, OUT.zarr, or OUT.h5mu of an .h5mu file"))
        .arg(
            option("compression", "FILTER")
                .value_parser(PossibleValuesParser::new(["usual", "gzip", "lzf", "zstd", "none"]))
                .default_value("usual")
                .help(
                    "what compresses arrays: gzip (known to every reader), lzf (HDF5 only: faster, larger), zstd (.zarr \
                     only), none; usual is gzip in HDF5 and zstd in .zarr",
                ),
        )
        .arg(option("compression_level", "LEVEL").default_value("4").help("level of gzip or zstd, 1 (fast) to 9 (small)"))
        .arg(
            option("values", "TYPE")
                .value_parser(PossibleValuesParser::new(["float32", "float64", "int32"]))
                .default_value("float32")
                .help("type of the values of 10x, MatrixMarket and text; annotated files keep theirs"),
        )
        .args(opening().into_iter().filter(|arg| arg.get_id() != "obs"))
}

fn info() -> Command {
    Command::new("info")
        .about("What a file holds: matrices, columns, parts")
        .arg(input(
            "file",
            "FILE",
            "a study of any kind (.h5ad, .h5mu, .zarr, 10x .h5 or folder, .mtx, a table), sums or a fit",
        ))
        .args(opening())
}

fn completions() -> Command {
    Command::new("completions").about("Completions for a shell, on stdout").arg(
        Arg::new("shell")
            .value_name("SHELL")
            .required(true)
            .value_parser(value_parser!(clap_complete::Shell))
            .help("which shell"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        command().debug_assert();
    }

    /// Whether a family's command line has the options of its tables, verbs spelt as the program does.
    fn has(arguments: &[Argument], tables: &[&[OptionInfo]]) {
        for option in tables.concat() {
            // Kinships are made by a function of the package; in the program they are an input.
            for verb in option.verbs.iter().filter(|verb| **verb != "kinship") {
                let verb = verb.replace('_', "-");
                let found = arguments.iter().find(|(v, name, ..)| *v == verb && name == option.name);
                let expected: Vec<String> = option.choices.iter().map(|&c| c.to_owned()).collect();
                let found = found.map(|(_, _, default, choices)| (default.as_str(), choices));
                assert_eq!(found, Some((option.default, &expected)), "{verb} {}", option.name);
            }
        }
    }

    #[test]
    fn every_option_of_a_family_is_there_with_its_default_and_choices() {
        has(&lmm_arguments(), &[OPTIONS]);
        has(&nbmm_arguments(), &[ferrocyte_mixed::nbmm::OPTIONS]);
        has(&ctmm_arguments(), &[ferrocyte_mixed::ctmm::OPTIONS]);
        has(&gxemm_arguments(), &[ferrocyte_mixed::gxemm::OPTIONS]);
        has(&cnmf_arguments(), &[ferrocyte_programs::OPTIONS]);
        has(&ecotype_arguments(), &[ferrocyte_ecotype::OPTIONS, ferrocyte_ecotype::STATS_OPTIONS]);
        has(&report_arguments(), &[ferrocyte_report::OPTIONS]);
    }

    #[test]
    fn every_option_of_a_simulator_is_there_with_its_default_and_choices() {
        let tables = [
            SIMULATE_OPTIONS,
            ferrocyte_ecotype::SIMULATE_OPTIONS,
            ferrocyte_programs::SIMULATE_OPTIONS,
            ferrocyte_mixed::ctmm::SIMULATE_OPTIONS,
            ferrocyte_mixed::gxemm::SIMULATE_OPTIONS,
        ];
        has(&simulate_arguments(), &tables);
    }

    #[test]
    fn config_keys_are_the_options_with_values() {
        let keys = config_keys(&command());
        for key in ["formula", "random", "rows", "max_memory", "contrast", "moderate", "adjust"] {
            assert!(keys.iter().any(|k| k == key), "{key}");
        }
        for key in ["config", "output", "table", "json", "study", "parts"] {
            assert!(!keys.iter().any(|k| k == key), "{key}");
        }
    }
}
