//! [`Session`]: what one call of the program works with: its options, its means, its monitor, its clock.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use clap::{ArgMatches, Command};
use ferrocyte_base::{Fault, Run};

use crate::args;
use crate::config::{Settings, bytes};
use crate::faults::Failure;
use crate::monitor::Console;

/// One call of the program.
pub(crate) struct Session {
    /// The command, such as `lmm fit`.
    pub(crate) command: String,
    /// The arguments as they were given.
    pub(crate) line: Vec<String>,
    /// The resolved options.
    pub(crate) settings: Settings,
    /// Threads, memory, monitor.
    pub(crate) run: Run,
    /// The monitor, where it is needed as the console that it is.
    pub(crate) console: Arc<Console>,
    /// When it began.
    pub(crate) began: SystemTime,
    clock: Instant,
}

impl Session {
    /// Resolves the options of the command at `path` below the root.
    pub(crate) fn new(line: &[OsString], path: &[&str], matches: &ArgMatches) -> Result<Self, Failure> {
        let root = args::command();
        let verb = path.iter().try_fold(&root, |command: &Command, name| command.find_subcommand(name));
        let verb = verb.ok_or_else(|| Fault::internal("no such command"))?;
        let settings =
            Settings::resolve(&root, verb, matches, matches.get_one::<PathBuf>("config").map(PathBuf::as_path))?;
        let flag = |name: &str| matches.get_flag(name);
        let console = Arc::new(Console::new(flag("json"), flag("quiet"), flag("verbose")));
        let threads = settings.word("threads");
        let threads: usize = threads.parse().map_err(|_| {
            Failure::usage("threads", format!("expected a whole number, found `{threads}`"), "0 takes all processors")
        })?;
        let size = settings.word("max_memory");
        let memory = bytes(size).ok_or_else(|| {
            Failure::usage(
                "max_memory",
                format!("expected a size, found `{size}`"),
                "write 500M, 4G or a number of bytes",
            )
        })?;
        Ok(Self {
            command: path.join(" "),
            line: line.iter().map(|a| a.to_string_lossy().into_owned()).collect(),
            settings,
            run: Run::new().threads(threads).memory(memory).monitor(Arc::clone(&console) as _),
            console,
            began: SystemTime::now(),
            clock: Instant::now(),
        })
    }

    /// Seconds since it began.
    pub(crate) fn seconds(&self) -> f64 {
        self.clock.elapsed().as_secs_f64()
    }
}

/// A path among the arguments that the definition requires.
pub(crate) fn path<'a>(matches: &'a ArgMatches, name: &str) -> Result<&'a Path, Failure> {
    let path =
        matches.get_one::<PathBuf>(name).ok_or_else(|| Fault::internal(format!("argument `{name}` is absent")))?;
    Ok(path)
}

/// The paths of an argument that takes several.
pub(crate) fn paths<'a>(matches: &'a ArgMatches, name: &str) -> Vec<&'a Path> {
    matches.get_many::<PathBuf>(name).into_iter().flatten().map(PathBuf::as_path).collect()
}
