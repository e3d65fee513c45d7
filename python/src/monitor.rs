//! Long work beside a Python that stays responsive.
//!
//! The work runs in a thread of its own, without the interpreter. The calling thread looks up a few times a second:
//! it shows progress, and lets Python handle its signals. Ctrl-C sets the flag that the work asks for between blocks;
//! the exception is raised once the work has stopped. What the work had to say comes after it: warnings through
//! `warnings.warn`, the rest through `logging`.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use ferrocyte_base::{Fault, Level, Monitor, Result, Run};
use pyo3::prelude::*;

use crate::faults::{original, to_exception};

/// How often the calling thread looks up.
const GLANCE: Duration = Duration::from_millis(50);

/// Threads, memory and progress of a call: the words `n_threads`, `max_memory` and `progress` of every function.
#[derive(FromPyObject)]
pub(crate) struct Means {
    /// Threads; 0 means all processors.
    n_threads: usize,
    /// Bytes for buffers and sums.
    max_memory: u64,
    /// Called as `progress(task, done, total)`, or `None`.
    progress: Option<Py<PyAny>>,
}

/// What the work tells, kept for the calling thread.
#[derive(Default)]
struct Watch {
    stop: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    task: String,
    done: u64,
    total: u64,
    said: Vec<(Level, String)>,
}

impl Watch {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Monitor for Watch {
    fn begin(&self, task: &str, total: u64) {
        let mut state = self.state();
        task.clone_into(&mut state.task);
        (state.done, state.total) = (0, total);
    }
    fn tick(&self, done: u64) {
        let mut state = self.state();
        state.done = state.done.max(done);
    }
    fn say(&self, level: Level, message: &str) {
        let mut state = self.state();
        if !state.said.iter().any(|(_, said)| said == message) {
            state.said.push((level, message.to_owned()));
        }
    }
    fn cancelled(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Does `work` with the given means and gives what it gives.
///
/// The interpreter is free while it runs. Nothing that `work` does can unwind into Python: a panic is an
/// `InternalError`.
pub(crate) fn attended<T: Send>(
    py: Python<'_>,
    means: &Means,
    work: impl FnOnce(&Run) -> Result<T> + Send,
) -> PyResult<T> {
    let watch = Arc::new(Watch::default());
    let run =
        Run::new().threads(means.n_threads).memory(means.max_memory).monitor(Arc::clone(&watch) as Arc<dyn Monitor>);
    let (finished, mut finish) = mpsc::channel();
    let mut interruption = None;
    let outcome = std::thread::scope(|scope| {
        let worker = std::thread::Builder::new().name("ferrocyte".to_owned()).spawn_scoped(scope, || {
            let outcome = catch_unwind(AssertUnwindSafe(|| work(&run)));
            // The receiver outlives the scope; a failure to send would only mean that nobody waits.
            let _ = finished.send(());
            outcome.unwrap_or_else(|panic| Err(Fault::internal(format!("a computation failed: {}", describe(&*panic)))))
        });
        let worker = match worker {
            Ok(worker) => worker,
            Err(error) => return Err(Fault::internal("cannot start a thread").because(error)),
        };
        loop {
            let seen = py.detach(|| wait(&mut finish));
            if interruption.is_none()
                && let Err(exception) = glance(py, means, &watch)
            {
                watch.stop.store(true, Ordering::Relaxed);
                interruption = Some(exception);
            }
            if seen {
                break;
            }
        }
        py.detach(|| worker.join()).unwrap_or_else(|_| Err(Fault::internal("a computation was lost")))
    });
    if let Some(exception) = interruption {
        return Err(exception);
    }
    match outcome {
        Ok(value) => {
            speak(py, &watch)?;
            Ok(value)
        }
        Err(fault) => Err(original(py, &fault).unwrap_or_else(|| to_exception(py, &fault))),
    }
}

/// Whether the work is over.
fn wait(finish: &mut mpsc::Receiver<()>) -> bool {
    !matches!(finish.recv_timeout(GLANCE), Err(mpsc::RecvTimeoutError::Timeout))
}

/// Signals and progress.
fn glance(py: Python<'_>, means: &Means, watch: &Watch) -> PyResult<()> {
    py.check_signals()?;
    if let Some(progress) = &means.progress {
        let (task, done, total) = {
            let state = watch.state();
            (state.task.clone(), state.done, state.total)
        };
        progress.call1(py, (task, done, total))?;
    }
    Ok(())
}

/// Hands on what was said while the work ran.
fn speak(py: Python<'_>, watch: &Watch) -> PyResult<()> {
    let said = std::mem::take(&mut watch.state().said);
    if said.is_empty() {
        return Ok(());
    }
    let messages = py.import("ferrocyte._messages")?;
    for (level, message) in said {
        let speaker = match level {
            Level::Info => "info",
            Level::Warning => "warn",
        };
        messages.call_method1(speaker, (message,))?;
    }
    Ok(())
}

/// The words of a panic.
fn describe(panic: &(dyn Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        return (*text).to_owned();
    }
    panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "without a message".to_owned())
}
