//! [`Console`]: how work speaks on stderr: messages, and bars if someone is watching.

use std::collections::HashSet;
use std::io::IsTerminal;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ferrocyte_base::{Level, Monitor};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use crate::faults::stderr;
use crate::interrupt;

/// The monitor of the program. Every message is said once.
pub(crate) struct Console {
    json: bool,
    bars: bool,
    /// The least level that is said; `None` says nothing.
    least: Option<Level>,
    bar: Mutex<Option<ProgressBar>>,
    said: Mutex<HashSet<String>>,
    /// What was warned of, in its order, whether it was said or not.
    warned: Mutex<Vec<String>>,
}

impl Console {
    /// Speaks JSON or plain text; `quiet` leaves errors only, `verbose` adds what is decided on the way.
    pub(crate) fn new(json: bool, quiet: bool, verbose: bool) -> Self {
        let bars = !json && !quiet && std::io::stderr().is_terminal();
        let least = match (quiet, verbose) {
            (true, _) => None,
            (false, true) => Some(Level::Info),
            (false, false) => Some(Level::Warning),
        };
        Self { json, bars, least, bar: Mutex::new(None), said: Mutex::default(), warned: Mutex::default() }
    }

    /// What was warned of, each once.
    pub(crate) fn warnings(&self) -> Vec<String> {
        lock(&self.warned).clone()
    }

    /// Whether messages and the summary are JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Text for people, where people are addressed.
    pub(crate) fn tell(&self, text: &str) {
        if self.least.is_some() && !self.json {
            self.line(text);
        }
    }

    fn line(&self, text: &str) {
        match &*lock(&self.bar) {
            Some(bar) => bar.suspend(|| stderr(text)),
            None => stderr(text),
        }
    }
}

impl Monitor for Console {
    fn begin(&self, task: &str, total: u64) {
        if !self.bars {
            return;
        }
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
        // The template is constant: if it were wrong, the default style would do.
        if let Ok(style) = ProgressStyle::with_template("{msg:10} {bar:40} {human_pos}/{human_len} {eta}") {
            bar.set_style(style);
        }
        bar.set_message(task.to_owned());
        *lock(&self.bar) = Some(bar);
    }

    fn tick(&self, done: u64) {
        if let Some(bar) = &*lock(&self.bar) {
            // Threads report in any order.
            if done > bar.position() {
                bar.set_position(done);
            }
        }
    }

    fn end(&self) {
        if let Some(bar) = lock(&self.bar).take() {
            bar.finish_and_clear();
        }
    }

    fn say(&self, level: Level, message: &str) {
        if !lock(&self.said).insert(message.to_owned()) {
            return;
        }
        if level == Level::Warning {
            lock(&self.warned).push(message.to_owned());
        }
        if self.least.is_none_or(|least| level < least) {
            return;
        }
        let word = match level {
            Level::Info => "info",
            Level::Warning => "warning",
        };
        if self.json {
            self.line(&json!({"level": word, "message": message}).to_string());
        } else {
            self.line(&format!("{word}: {message}"));
        }
    }

    fn cancelled(&self) -> bool {
        interrupt::asked_to_stop()
    }
}

/// The lock, also after another thread panicked while it held it: a bar cannot be left half-drawn.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
