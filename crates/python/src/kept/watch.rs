//! Looks at the open files now and then, so that listeners hear of what other processes write.
//!
//! One thread for all files, as long as anybody listens. Nobody who only asks needs it: each question looks first.

use std::{
    process,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::SeqCst},
    },
    thread::{self, JoinHandle},
};

use crate::{defaults::WATCH_PAUSE, locks::locked};

static LISTENERS: AtomicUsize = AtomicUsize::new(0);
/// The process in which the thread runs: after a fork it is another one than this, and the thread is not there.
static RUNS_IN: AtomicU32 = AtomicU32::new(0);
static STOPPED: AtomicBool = AtomicBool::new(false);
static THREAD: Mutex<Option<JoinHandle<()>>> = Mutex::new(None);

/// Somebody who wants to hear of what others write, until this is dropped.
pub(super) struct Wanted;

impl Drop for Wanted {
    fn drop(&mut self) {
        LISTENERS.fetch_sub(1, SeqCst);
    }
}

/// Begins to watch.
pub(super) fn begin() -> Wanted {
    LISTENERS.fetch_add(1, SeqCst);
    run();
    Wanted
}

/// Ends the watching for good: the interpreter is about to go.
pub(crate) fn stop() {
    STOPPED.store(true, SeqCst);
    let thread = locked(&THREAD).take();
    if let Some(thread) = thread.filter(|_| RUNS_IN.load(SeqCst) == process::id()) {
        thread.thread().unpark();
        let _ = thread.join();
    }
}

/// Starts the thread unless it runs.
pub(super) fn run() {
    let (here, there) = (process::id(), RUNS_IN.load(SeqCst));
    if here == there || STOPPED.load(SeqCst) || RUNS_IN.compare_exchange(there, here, SeqCst, SeqCst).is_err()
    {
        return;
    }
    match thread::Builder::new().name("kept".into()).spawn(watch) {
        Ok(thread) => *locked(&THREAD) = Some(thread),
        Err(error) => {
            tracing::warn!(%error, "changes by other processes will be noticed late");
            RUNS_IN.store(0, SeqCst);
        }
    }
}

fn watch() {
    loop {
        thread::park_timeout(WATCH_PAUSE);
        if STOPPED.load(SeqCst) {
            return;
        }
        if LISTENERS.load(SeqCst) == 0 {
            RUNS_IN.store(0, SeqCst);
            // Somebody may have begun between these two lines and found the thread still running.
            if LISTENERS.load(SeqCst) == 0 || RUNS_IN.swap(process::id(), SeqCst) != 0 {
                return;
            }
        }
        look();
    }
}

fn look() {
    let files = {
        let _gate = super::fork::gate();
        super::open_files()
    };
    for kept in files {
        if let Err(error) = kept.look() {
            tracing::debug!(%error, "what other processes have written cannot be read");
        }
        kept.tell();
    }
}
