//! [`Monitor`]: how long work speaks to whoever waits for it.

/// How loud a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What was decided: defaults taken, columns derived.
    Info,
    /// What the user should know before believing the result.
    Warning,
}

/// Progress, messages and the wish to stop. The program draws bars, Python draws tqdm bars and checks for
/// Ctrl-C, tests stay [`Quiet`].
///
/// All methods may be called from any thread.
pub trait Monitor: Send + Sync {
    /// A task of `total` steps begins.
    fn begin(&self, _task: &str, _total: u64) {}
    /// `done` steps of the task are complete.
    fn tick(&self, _done: u64) {}
    /// The task is over.
    fn end(&self) {}
    /// A sentence for the user.
    fn say(&self, _level: Level, _message: &str) {}
    /// Whether the user asked to stop. Asked often: must be cheap.
    fn cancelled(&self) -> bool {
        false
    }
}

/// A monitor that ignores everything and never stops.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

impl Monitor for Quiet {}
