//! The program `ferrocyte`, as a library: arguments, progress, messages, exit codes. No numerics.
//!
//! ```text
//! ferrocyte lmm check STUDY.h5ad --formula F                what the design can tell, no count read
//! ferrocyte lmm plan STUDY.h5ad --shards N                 where a study is cut for N workers
//! ferrocyte lmm sums STUDY.h5ad --formula F -o sums.npz     cells to sums, in one pass
//! ferrocyte lmm fit  STUDY.h5ad|SUMS.npz ... -o OUT         sums to a fit (.npz) or a table of tests (.tsv, ...)
//! ferrocyte lmm test FIT.npz|SUMS.npz --contrast ... -o OUT tests of a saved fit
//! ferrocyte limma de COUNTS.tsv SAMPLES.tsv ... -o DIR      counts of samples, or of cells, to a ranked list of genes
//! ferrocyte limma pseudobulk STUDY.h5ad --by C -o OUT.h5ad   cells to samples
//! ferrocyte ecotype train STUDY -o DIR                     models of ecotypes; ensemble, aggregate, recover, deconvolute, cv
//! ferrocyte simulate study|cohort|rnaseq -o OUT.h5ad        studies of which the truth is known
//! ferrocyte concat STUDY... -o OUT.h5ad                     several studies as one
//! ferrocyte merge PART... -o OUT                            parts made on several machines
//! ferrocyte convert IN OUT                                   any study as .h5ad or .h5mu, streaming
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
mod concat;
mod config;
mod convert;
mod door;
mod ecotype;
mod faults;
mod info;
mod interrupt;
mod limma;
mod lmm;
mod merge;
mod monitor;
mod output;
mod session;
mod simulate;

use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};

use clap::ArgMatches;
use ferrocyte_base::Fault;

pub use args::{Argument, ecotype_arguments, help_pages, limma_arguments, lmm_arguments, simulate_arguments};

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

fn dispatch(args: &[OsString]) -> Result<(), Failure> {
    let matches = args::command().try_get_matches_from(args).map_err(Failure::Arguments)?;
    match matches.subcommand() {
        Some(("lmm", family)) => match family.subcommand() {
            Some(("check", verb)) => lmm::check::run(&Session::new(args, &["lmm", "check"], verb)?, verb),
            Some(("plan", verb)) => lmm::plan::run(&Session::new(args, &["lmm", "plan"], verb)?, verb),
            Some(("sums", verb)) => lmm::sums::run(&Session::new(args, &["lmm", "sums"], verb)?, verb),
            Some(("fit", verb)) => lmm::fit::run(&Session::new(args, &["lmm", "fit"], verb)?, verb),
            Some(("test", verb)) => lmm::test::run(&Session::new(args, &["lmm", "test"], verb)?, verb),
            Some(("components", verb)) => {
                lmm::variances::components(&Session::new(args, &["lmm", "components"], verb)?, verb)
            }
            Some(("shares", verb)) => lmm::variances::shares(&Session::new(args, &["lmm", "shares"], verb)?, verb),
            Some(("compare", verb)) => lmm::compare::run(&Session::new(args, &["lmm", "compare"], verb)?, verb),
            _ => Err(unknown()),
        },
        Some(("limma", family)) => match family.subcommand() {
            Some(("de", verb)) => limma::de::run(&Session::new(args, &["limma", "de"], verb)?, verb),
            Some(("pseudobulk", verb)) => {
                limma::pseudobulk::run(&Session::new(args, &["limma", "pseudobulk"], verb)?, verb)
            }
            _ => Err(unknown()),
        },
        Some(("ecotype", family)) => match family.subcommand() {
            Some(("train", verb)) => ecotype::train::run(&Session::new(args, &["ecotype", "train"], verb)?, verb),
            Some(("ensemble", verb)) => {
                ecotype::ensemble::run(&Session::new(args, &["ecotype", "ensemble"], verb)?, verb)
            }
            Some(("aggregate", verb)) => {
                ecotype::ensemble::aggregated(&Session::new(args, &["ecotype", "aggregate"], verb)?, verb)
            }
            Some(("recover", verb)) => ecotype::recover::run(&Session::new(args, &["ecotype", "recover"], verb)?, verb),
            Some(("deconvolute", verb)) => {
                ecotype::recover::deconvoluted(&Session::new(args, &["ecotype", "deconvolute"], verb)?, verb)
            }
            Some(("cv", verb)) => ecotype::cv::run(&Session::new(args, &["ecotype", "cv"], verb)?, verb),
            _ => Err(unknown()),
        },
        Some(("simulate", family)) => match family.subcommand() {
            Some(("study", verb)) => simulate::study::run(&Session::new(args, &["simulate", "study"], verb)?, verb),
            Some(("cohort", verb)) => simulate::cohort::run(&Session::new(args, &["simulate", "cohort"], verb)?, verb),
            Some(("rnaseq", verb)) => simulate::rnaseq::run(&Session::new(args, &["simulate", "rnaseq"], verb)?, verb),
            _ => Err(unknown()),
        },
        Some(("concat", verb)) => concat::run(&Session::new(args, &["concat"], verb)?, verb),
        Some(("merge", verb)) => merge::run(&Session::new(args, &["merge"], verb)?, verb),
        Some(("convert", verb)) => convert::run(&Session::new(args, &["convert"], verb)?, verb),
        Some(("info", verb)) => info::run(&Session::new(args, &["info"], verb)?, verb),
        Some(("completions", verb)) => completions(verb),
        _ => Err(unknown()),
    }
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
