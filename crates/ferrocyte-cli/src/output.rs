//! Where results go, and what lies beside them.
//!
//! `OUT.config.toml` holds the resolved options and has the same bytes whenever `OUT` has. `OUT.run.json` holds what
//! differs from run to run (times, host, threads, command line), with the provenance.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use ferrocyte_base::{Fault, Provenance, Result, Table, VERSION, Value};
use ferrocyte_data::Part;
use ferrocyte_io::{write_atomically, write_json, write_json_lines, write_part, write_table, write_tsv};
use serde_json::Value as Json;

use crate::faults::{self, Failure};
use crate::session::Session;

/// Endings of tables, each also with `.gz`.
const TABLES: [&str; 5] = [".tsv", ".txt", ".csv", ".jsonl", ".ndjson"];

/// Where a result goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// A part file.
    Part(PathBuf),
    /// A table, in the form that its name asks for.
    Table(PathBuf),
    /// A table, on stdout.
    Stdout,
}

impl Target {
    /// What a name asks for. Fails before any work where it cannot be written, or would overwrite an input.
    pub(crate) fn of(option: &str, path: &Path, inputs: &[&Path]) -> std::result::Result<Self, Failure> {
        if path == Path::new("-") {
            return Ok(Self::Stdout);
        }
        let shown = path.display();
        let name = path.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
        check_place(option, path, inputs)?;
        let plain = name.strip_suffix(".gz").unwrap_or(&name);
        if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npz")) {
            Ok(Self::Part(path.to_owned()))
        } else if TABLES.iter().any(|ending| plain.ends_with(ending)) {
            Ok(Self::Table(path.to_owned()))
        } else {
            let message = format!("the ending of `{shown}` does not tell what to write");
            Err(Failure::usage(option, message, "end it in .npz, .tsv, .csv or .jsonl, tables also with .gz"))
        }
    }

    /// As [`Target::of`], for results that are stored as parts only.
    pub(crate) fn part(option: &str, path: &Path, inputs: &[&Path]) -> std::result::Result<PathBuf, Failure> {
        match Self::of(option, path, inputs)? {
            Self::Part(path) => Ok(path),
            _ => Err(Failure::usage(
                option,
                format!("`{}` does not end in .npz", path.display()),
                "sums are stored as .npz",
            )),
        }
    }

    /// As [`Target::of`], for studies.
    pub(crate) fn h5ad(option: &str, path: &Path, inputs: &[&Path]) -> std::result::Result<PathBuf, Failure> {
        Self::study(option, path, inputs, &["h5ad"])
    }

    /// As [`Target::of`], for studies in one of several formats, told by the endings of names.
    pub(crate) fn study(
        option: &str,
        path: &Path,
        inputs: &[&Path],
        endings: &[&str],
    ) -> std::result::Result<PathBuf, Failure> {
        check_place(option, path, inputs)?;
        if path.extension().is_some_and(|ending| endings.iter().any(|known| ending.eq_ignore_ascii_case(known))) {
            return Ok(path.to_owned());
        }
        let endings = endings.join(" or .");
        let message = format!("`{}` does not end in .{endings}", path.display());
        Err(Failure::usage(option, message, format!("studies are written as .{endings}")))
    }

    /// As [`Target::of`], for tables only.
    pub(crate) fn table(option: &str, path: &Path, inputs: &[&Path]) -> std::result::Result<Self, Failure> {
        match Self::of(option, path, inputs)? {
            Self::Part(path) => {
                let message = format!("`{}` is no name of a table", path.display());
                Err(Failure::usage(option, message, "end it in .tsv, .csv or .jsonl, with .gz to compress"))
            }
            target => Ok(target),
        }
    }

    /// The file, if it is one.
    fn file(&self) -> Option<&Path> {
        match self {
            Self::Part(path) | Self::Table(path) => Some(path),
            Self::Stdout => None,
        }
    }
}

/// Refuses to overwrite an input, and folders that do not exist.
fn check_place(option: &str, path: &Path, inputs: &[&Path]) -> std::result::Result<(), Failure> {
    if inputs.iter().any(|input| same_file(input, path)) {
        return Err(Failure::usage(
            option,
            format!("`{}` is an input", path.display()),
            "give the output another name",
        ));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    match folder.filter(|folder| !folder.is_dir()) {
        Some(folder) => {
            Err(Failure::usage(option, format!("there is no folder `{}`", folder.display()), "make it first"))
        }
        None => Ok(()),
    }
}

fn same_file(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

/// What a command has made. Nothing is written before all of it is there.
pub(crate) struct Results<'a> {
    /// Part files.
    pub(crate) parts: Vec<(PathBuf, Part)>,
    /// Tables.
    pub(crate) tables: Vec<(Target, &'a Table)>,
    /// What was done to what.
    pub(crate) provenance: Provenance,
    /// Options that were decided when the input was made; the config file beside the output leaves them out.
    pub(crate) decided: Vec<&'static str>,
    /// A few lines for people.
    pub(crate) lines: String,
    /// The same as data.
    pub(crate) summary: Vec<(&'static str, Json)>,
}

impl Results<'_> {
    /// Writes the results, what lies beside the first, and the summary.
    pub(crate) fn write(self, session: &Session) -> std::result::Result<(), Failure> {
        self.write_after(session, None)
    }

    /// As [`Results::write`], after a file that was too large to be kept until all was there; it counts as the first.
    pub(crate) fn write_after(self, session: &Session, written: Option<&Path>) -> std::result::Result<(), Failure> {
        session.run.check()?;
        let targets = || {
            let parts = self.parts.iter().map(|(path, _)| path.as_path());
            written.into_iter().chain(parts).chain(self.tables.iter().filter_map(|(t, _)| t.file()))
        };
        let outputs: Vec<String> = targets().map(|path| path.display().to_string()).collect();
        for (path, part) in &self.parts {
            write_part(path, part)?;
        }
        for (target, table) in &self.tables {
            match target {
                Target::Table(path) | Target::Part(path) => write_table(path, table)?,
                Target::Stdout => {}
            }
        }
        if let Some(main) = targets().next() {
            let config = session.settings.to_toml(&session.command, &self.decided);
            write_atomically(&beside(main, "config.toml"), |file| {
                file.write_all(config.as_bytes()).map_err(not_printed)
            })?;
            write_json(&beside(main, "run.json"), &record(session, &self.provenance, &outputs))?;
        }
        let printed = self.tables.iter().find(|(target, _)| *target == Target::Stdout).map(|(_, table)| *table);
        if session.console.is_json() {
            let mut summary = serde_json::Map::new();
            summary.insert("command".into(), session.command.clone().into());
            summary.extend(self.summary.into_iter().map(|(key, value)| (key.to_owned(), value)));
            summary.insert("outputs".into(), outputs.into());
            let line = Json::Object(summary).to_string();
            // Where the table takes stdout, the summary joins the messages.
            match printed {
                Some(_) => faults::stderr(&line),
                None => to_stdout(|out| writeln!(out, "{line}").map_err(not_printed))?,
            }
        } else {
            let wrote = outputs.iter().map(|path| format!("wrote {path}"));
            let lines: Vec<String> = std::iter::once(self.lines).chain(wrote).collect();
            session.console.tell(&lines.join(
                "
",
            ));
        }
        match printed {
            Some(table) if session.console.is_json() => to_stdout(|out| write_json_lines(table, out)),
            Some(table) => to_stdout(|out| write_tsv(table, out)),
            None => Ok(()),
        }
    }
}

/// `OUT.ending`.
pub(crate) fn beside(out: &Path, ending: &str) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

/// What differs from run to run, with what does not.
fn record(session: &Session, provenance: &Provenance, outputs: &[String]) -> Value {
    let mut provenance = provenance.clone();
    for warning in session.console.warnings() {
        if !provenance.warnings.contains(&warning) {
            provenance.warnings.push(warning);
        }
    }
    let folder = std::env::current_dir().map(|folder| folder.display().to_string()).unwrap_or_default();
    Value::map([
        ("command", Value::list(session.line.iter().map(String::as_str))),
        ("folder", Value::Text(folder)),
        ("version", Value::from(VERSION)),
        ("host", Value::Text(host())),
        ("began", Value::Text(utc(session.began))),
        ("seconds", Value::Float((session.seconds() * 1e3).round() / 1e3)),
        ("threads", Value::from(session.run.n_threads())),
        ("max_memory", Value::Int(session.run.memory_bytes() as i64)),
        ("outputs", Value::list(outputs.iter().map(String::as_str))),
        ("provenance", provenance.to_value()),
    ])
}

/// The name of this machine, as far as it tells.
fn host() -> String {
    let told = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let told = told.or_else(|| std::env::var("HOSTNAME").ok()).or_else(|| std::env::var("COMPUTERNAME").ok());
    told.map_or_else(|| "unknown".to_owned(), |name| name.trim().to_owned())
}

/// A time as `2026-11-21T10:49:24Z`. The date follows from the days since 1970 in eras of 400 years that begin in
/// March, so that the leap day is the last of its year.
fn utc(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let (day, month) =
        (day_of_year - (153 * shifted + 2) / 5 + 1, if shifted < 10 { shifted + 3 } else { shifted - 9 });
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

/// Lets `fill` write to stdout, all of it.
pub(crate) fn to_stdout(fill: impl FnOnce(&mut dyn Write) -> Result<()>) -> std::result::Result<(), Failure> {
    let mut out = std::io::BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    fill(&mut out)?;
    out.flush().map_err(not_printed)?;
    Ok(())
}

/// The fault of output that was not taken; keeps the [`std::io::Error`], by which a closed pipe is told.
pub(crate) fn not_printed(error: std::io::Error) -> Fault {
    Fault::bad_file(format!("the output cannot be written: {error}")).because(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn times_are_civil() {
        let at = |seconds| utc(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(at(1_795_258_164), "2026-11-21T10:49:24Z");
        assert_eq!(at(4_107_542_399), "2100-02-28T23:59:59Z");
        assert_eq!(at(4_107_542_400), "2100-03-01T00:00:00Z");
    }

    #[test]
    fn names_tell_what_to_write() {
        let target = |name: &str| Target::of("output", Path::new(name), &[]).ok();
        assert_eq!(target("-"), Some(Target::Stdout));
        assert_eq!(target("fit.NPZ"), Some(Target::Part("fit.NPZ".into())));
        assert_eq!(target("t.jsonl.gz"), Some(Target::Table("t.jsonl.gz".into())));
        assert_eq!((target("t.parquet"), target("fit.npz.gz"), target("/no/such/t.tsv")), (None, None, None));
        assert_eq!(beside(Path::new("a/fit.npz"), "run.json"), Path::new("a/fit.npz.run.json"));
    }
}
