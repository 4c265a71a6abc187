//! What Python has to say before it forks and before it ends: see `kept/fork.rs` and `kept/watch.rs`.

use pyo3::prelude::*;

use crate::kept::{fork, watch};

/// Closes every file and keeps everybody out. Keeps the interpreter, too: see `kept/fork.rs`.
#[pyfunction]
pub(crate) fn before_fork() {
    fork::before();
}

/// Lets everybody in again, in the parent and in the child.
#[pyfunction]
pub(crate) fn after_fork() {
    fork::after();
}

/// Ends the thread that looks for what other processes write, and closes every file, so that each is one file again.
#[pyfunction]
pub(crate) fn before_exit(py: Python<'_>) {
    py.detach(|| {
        watch::stop();
        fork::close_all();
    });
}
