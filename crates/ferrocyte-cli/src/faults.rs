//! What went wrong, for people and for programs: messages on stderr, and exit codes.

use std::io::{IsTerminal, Write};

use clap::error::ErrorKind;
use ferrocyte_base::{Fault, Kind};
use ferrocyte_io::is_closed_pipe;
use serde_json::{Value as Json, json};

/// Exit code of work that was done.
pub(crate) const DONE: u8 = 0;
/// Exit code of work that failed.
const FAILED: u8 = 1;
/// Exit code of arguments that were not understood.
const USAGE: u8 = 2;
/// Exit code of work that was interrupted.
pub(crate) const INTERRUPTED: u8 = 130;

/// Why a command did not do its work.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line does not follow its definition; also how help and version are asked for.
    Arguments(clap::Error),
    /// An option, on the command line or in the config file, makes no sense.
    Usage(Fault),
    /// The work failed.
    Work(Fault),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Work(fault)
    }
}

impl Failure {
    /// An option that makes no sense, and what would.
    pub(crate) fn usage(place: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage(Fault::bad_input(message).at(place).hint(hint))
    }
}

/// The exit code of work that failed.
fn exit_code(fault: &Fault) -> u8 {
    match fault.kind() {
        Kind::Cancelled => INTERRUPTED,
        // `ferrocyte ... | head` has all that it wanted.
        Kind::BadFile if is_closed_pipe(fault) => DONE,
        _ => FAILED,
    }
}

/// Tells the user, and gives the exit code.
pub(crate) fn report(failure: &Failure, as_json: bool) -> u8 {
    match failure {
        Failure::Arguments(error) => report_arguments(error, as_json),
        Failure::Usage(fault) => {
            tell(fault, "usage", USAGE, as_json);
            USAGE
        }
        Failure::Work(fault) => {
            let code = exit_code(fault);
            if code != DONE {
                tell(fault, fault.kind().word(), code, as_json);
            }
            code
        }
    }
}

fn report_arguments(error: &clap::Error, as_json: bool) -> u8 {
    let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if as_json && !asked {
        let text = error.to_string();
        let first = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
        let (hints, words): (Vec<&str>, Vec<&str>) =
            first.lines().map(str::trim).partition(|line| line.starts_with("[possible values"));
        let tip = text.lines().find_map(|line| line.trim().strip_prefix("tip: "));
        let (message, hint) = (words.join(" "), hints.first().copied().or(tip));
        stderr(&error_line("usage", None, &message, hint, USAGE).to_string());
    } else {
        // A reader that went away is no reason to fail.
        let _ = error.print();
    }
    if asked { DONE } else { USAGE }
}

fn tell(fault: &Fault, word: &str, code: u8, as_json: bool) {
    if as_json {
        stderr(&error_line(word, fault.place(), fault.message(), fault.way_out(), code).to_string());
        return;
    }
    let (error, hint) = if colours() { ("\x1b[1;31merror\x1b[0m", "\x1b[1;36mhint\x1b[0m") } else { ("error", "hint") };
    stderr(&format!("{error}: {fault}"));
    if let Some(way_out) = fault.way_out() {
        stderr(&format!("{hint}: {way_out}"));
    }
}

fn error_line(kind: &str, place: Option<&str>, message: &str, hint: Option<&str>, code: u8) -> Json {
    json!({"level": "error", "kind": kind, "place": place, "message": message, "hint": hint, "exit_code": code})
}

/// Whether stderr is a terminal that wants colours.
pub(crate) fn colours() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// A line on stderr. If nobody listens there, there is nobody to tell.
pub(crate) fn stderr(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_code() {
        for kind in Kind::ALL {
            let expected = if kind == Kind::Cancelled { INTERRUPTED } else { FAILED };
            assert_eq!(exit_code(&Fault::new(kind, "x")), expected, "{}", kind.word());
        }
        let closed = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert_eq!(exit_code(&Fault::bad_file("x").because(closed)), DONE);
    }
}
