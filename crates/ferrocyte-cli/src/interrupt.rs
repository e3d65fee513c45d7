//! Ctrl-C: the first one asks the work to stop, the second one ends the process.
//!
//! Signals belong to the process, so this is the one place with state of its own. Work in progress looks at
//! [`asked_to_stop`] often, leaves no half-written file and ends with exit code 130.

use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::faults::INTERRUPTED;

static HANDLER: Once = Once::new();
static ASKED: AtomicBool = AtomicBool::new(false);
static LISTENING: AtomicUsize = AtomicUsize::new(0);

/// Whether the user asked the work to stop.
pub(crate) fn asked_to_stop() -> bool {
    ASKED.load(Ordering::Relaxed)
}

/// Listens to Ctrl-C until the returned value is dropped; after that, a Ctrl-C ends the process as ever.
pub(crate) fn listen() -> Listening {
    HANDLER.call_once(|| {
        // A host program may hold the signal already; then it decides what Ctrl-C does.
        let _ = ctrlc::set_handler(|| {
            if LISTENING.load(Ordering::SeqCst) == 0 || ASKED.swap(true, Ordering::SeqCst) {
                std::process::exit(i32::from(INTERRUPTED));
            }
        });
    });
    if LISTENING.fetch_add(1, Ordering::SeqCst) == 0 {
        ASKED.store(false, Ordering::SeqCst);
    }
    Listening
}

/// While this lives, Ctrl-C asks the work to stop.
pub(crate) struct Listening;

impl Drop for Listening {
    fn drop(&mut self) {
        LISTENING.fetch_sub(1, Ordering::SeqCst);
    }
}
