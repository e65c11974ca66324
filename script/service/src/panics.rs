//! A panic is a bug: it is logged with its place, and the process stops in order instead of limping on without one of
//! its tasks. What restarts it finds everything in the journal or the store.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::sync::CancellationToken;

static HAPPENED: AtomicBool = AtomicBool::new(false);

/// Whether anything has panicked: such a process ends in order, but not well.
#[must_use]
pub fn happened() -> bool {
    HAPPENED.load(Ordering::SeqCst)
}

/// From now on a panic anywhere is logged as an error and cancels `stop`.
pub fn install(stop: CancellationToken) {
    std::panic::set_hook(Box::new(move |panic| {
        let message = panic.payload_as_str().unwrap_or("no message");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("unnamed");
        tracing::error!(message, place, thread, "panic: stopping");
        HAPPENED.store(true, Ordering::SeqCst);
        stop.cancel();
    }));
}
