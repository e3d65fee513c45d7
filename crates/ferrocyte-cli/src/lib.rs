//! The program `ferrocyte`, as a library: arguments, progress, messages, exit codes. No numerics.
//!
//! ```text
//! ferrocyte lmm check STUDY.h5ad --formula F                what the design can tell, no count read
//! ferrocyte lmm plan STUDY.h5ad --shards N                 where a study is cut for N workers
//! ferrocyte lmm sums STUDY.h5ad --formula F -o sums.npz     cells to sums, in one pass
//! ferrocyte lmm fit  STUDY.h5ad|SUMS.npz ... -o OUT         sums to a fit (.npz) or a table of tests (.tsv, ...)
//! ferrocyte lmm test FIT.npz|SUMS.npz --contrast ... -o OUT tests of a saved fit
//! ferrocyte nbmm sums|fit|test ...                          the same for counts: negative-binomial mixed models
//! ferrocyte limma de COUNTS.tsv SAMPLES.tsv ... -o DIR      counts of samples, or of cells, to a ranked list of genes
//! ferrocyte limma pseudobulk STUDY.h5ad --by C -o OUT.h5ad   cells to samples
//! ferrocyte cnmf run -c COUNTS -k 5 6 7 --output-dir D     counts to programs; or step by step, on many machines
//! ferrocyte nmf fit STUDY -k 5,10 -o DIR                    a matrix as programs and their usages
//! ferrocyte cells import STUDY|SAMPLES.tsv -o OUT             a sample as .h5ad, or all samples of a table as a folder
//! ferrocyte cells qc|embed|cluster|markers|annotate STUDY -o OUT.h5ad   the steps from counts to named clusters
//! ferrocyte cells proportion STUDY -o TABLE.tsv              cells of each type in each sample
//! ferrocyte cells run SAMPLES.tsv -o DIR                     all of that in one command
//! ferrocyte ctmm prepare STUDY --donor D --cell-type C -o OUT.npz   means of individuals and cell types with their noise
//! ferrocyte ctmm fit STUDY|OUT.npz -o TABLE                 which genes vary between people only in some cell types
//! ferrocyte gxemm fit TRAITS --kinship K -o TABLE          heritability of traits by environment
//! ferrocyte ecotype train STUDY -o DIR                     models of ecotypes; ensemble, aggregate, recover, deconvolute, cv, discover
//! ferrocyte simulate study|cohort|programs|rnaseq|ecotype -o OUT.h5ad   studies of which the truth is known
//! ferrocyte simulate ctmm -o OUT.npz                                pseudobulk of which the truth is known
//! ferrocyte simulate gxemm -o PREFIX                                genotypes and a trait of which the truth is known
//! ferrocyte concat STUDY... -o OUT.h5ad                     several studies as one
//! ferrocyte merge PART... -o OUT                            parts made on several machines
//! ferrocyte convert IN OUT                                   any study as .h5ad or .h5mu, streaming
//! ferrocyte report STUDY -o PAGE.html                      a study and its results as one page to mail
//! ferrocyte info FILE                                       what a file holds
//! ferrocyte completions SHELL                               completions for a shell
//! ```
//!
//! [`run`] is the whole program: `main.rs` calls it, and so does the console script of the Python package.
//!
//! * Data go to stdout, talk goes to stderr; with `--json` both are machine-readable.
//! * Exit codes: 0 done (a closed pipe included), 1 failed, 2 not understood, 130 interrupted.
//! * Beside each output lie `OUT.config.toml`, the resolved options, and `OUT.run.json`, the only file whose bytes
//!   differ from run to run: times, host, threads, command line.
//!
//! ```
//! let code = ferrocyte_cli::run(["ferrocyte", "info", "/no/such/file.h5ad"].map(Into::into));
//! assert_eq!(code, 1);
//! ```

mod args;
mod cells;
pub mod cnmf;
mod concat;
mod config;
mod convert;
mod ctmm;
mod door;
mod ecotype;
mod faults;
mod gxemm;
mod info;
mod interrupt;
mod limma;
mod lmm;
mod merge;
mod monitor;
mod nbmm;
mod nmf;
mod output;
mod report;
mod session;
mod simulate;

use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};

use clap::ArgMatches;
use ferrocyte_base::Fault;

pub use args::{
    Argument, cells_arguments, cnmf_arguments, ctmm_arguments, ecotype_arguments, gxemm_arguments, help_pages,
    limma_arguments, lmm_arguments, nbmm_arguments, nmf_arguments, report_arguments, simulate_arguments,
};

use crate::faults::Failure;
use crate::session::Session;

/// Runs the program with its arguments, the name of the program first, and gives its exit code.
///
/// Prints to stdout and stderr of the process, and listens to Ctrl-C while it works: the first one stops the work,
/// a second one ends the process.
pub fn run(args: impl IntoIterator<Item = OsString>) -> u8 {
    let args: Vec<OsString> = args.into_iter().collect();
    let _listening = interrupt::listen();
    // A panic is a mistake of ours; it must not tear a Python session down with it.
    let outcome = catch_unwind(AssertUnwindSafe(|| dispatch(&args)))
        .unwrap_or_else(|_| Err(Fault::internal("the program stopped where it should not").into()));
    match outcome {
        Ok(()) => faults::DONE,
        // Arguments may be what is wrong, so they are looked at rather than parsed.
        Err(failure) => faults::report(&failure, args.iter().any(|a| a == "--json")),
    }
}

/// What does the work of a verb.
type Verb = fn(&Session, &ArgMatches) -> Result<(), Failure>;

/// The verbs of each family.
const FAMILIES: &[(&str, &[(&str, Verb)])] = &[
    ("lmm", lmm::VERBS),
    ("nbmm", nbmm::VERBS),
    ("limma", limma::VERBS),
    ("cells", cells::VERBS),
    ("nmf", nmf::VERBS),
    ("cnmf", cnmf::VERBS),
    ("ctmm", ctmm::VERBS),
    ("gxemm", gxemm::VERBS),
    ("ecotype", ecotype::VERBS),
    ("simulate", simulate::VERBS),
];

/// The verbs of no family.
const ALONE: &[(&str, Verb)] = &[
    ("concat", concat::run),
    ("merge", merge::run),
    ("convert", convert::run),
    ("info", info::run),
    ("report", report::run),
];

/// Reads the arguments and does what they ask for.
fn dispatch(args: &[OsString]) -> Result<(), Failure> {
    let matches = args::command().try_get_matches_from(args).map_err(Failure::Arguments)?;
    let Some((first, matches)) = matches.subcommand() else { return Err(unknown()) };
    if first == "completions" {
        return completions(matches);
    }
    let named = |verbs: &[(&str, Verb)], name: &str| verbs.iter().find(|(verb, _)| *verb == name).map(|&(_, run)| run);
    let family = FAMILIES.iter().find(|(family, _)| *family == first).map(|&(_, verbs)| verbs);
    let (words, run, matches) = match (family, matches.subcommand()) {
        (Some(verbs), Some((second, matches))) => (vec![first, second], named(verbs, second), matches),
        _ => (vec![first], named(ALONE, first), matches),
    };
    run.ok_or_else(unknown)?(&Session::new(args, &words, matches)?, matches)
}

/// Arguments that the definition lets pass and nobody takes.
fn unknown() -> Failure {
    Fault::internal("no such command").into()
}

fn completions(matches: &ArgMatches) -> Result<(), Failure> {
    let shell = matches.get_one::<clap_complete::Shell>("shell").copied().ok_or_else(unknown)?;
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut args::command(), "ferrocyte", &mut script);
    output::to_stdout(|out| out.write_all(&script).map_err(output::not_printed))
}
