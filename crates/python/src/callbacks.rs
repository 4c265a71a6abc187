//! Functions that Python wants called: plain or `async`, and none can harm another.

use std::sync::Mutex;

use pyo3::{
    exceptions::{PyException, PyTypeError},
    gc::{PyTraverseError, PyVisit},
    prelude::*,
    sync::PyOnceLock,
    types::PyTuple,
};

use crate::{json::kind, locks::locked};

/// The functions to call when one kind of thing happens, in the order in which they were given.
#[derive(Default)]
pub(crate) struct Callbacks {
    // Held for a moment to add or copy; never while a function runs.
    all: Mutex<Vec<Py<PyAny>>>,
}

impl Callbacks {
    /// Adds a function.
    ///
    /// # Errors
    ///
    /// `TypeError` for what cannot be called.
    pub(crate) fn add(&self, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        if !callback.is_callable() {
            return Err(PyTypeError::new_err(format!("a callback must be callable, not {}", kind(callback))));
        }
        locked(&self.all).push(callback.clone().unbind());
        Ok(())
    }

    /// Takes over all functions of another.
    pub(crate) fn take_over(&self, other: &Self) {
        let others = std::mem::take(&mut *locked(&other.all));
        locked(&self.all).extend(others);
    }

    /// Tells whether there is nobody to call.
    pub(crate) fn is_empty(&self) -> bool {
        locked(&self.all).is_empty()
    }

    /// Calls every function with arguments of its own; what one raises is logged.
    ///
    /// What a function returns that can be awaited is run as a task of the running event loop.
    ///
    /// # Errors
    ///
    /// Only what must end the program, such as `KeyboardInterrupt`.
    pub(crate) fn call<'py>(
        &self,
        py: Python<'py>,
        arguments: impl Fn() -> PyResult<Bound<'py, PyTuple>>,
    ) -> PyResult<()> {
        let all: Vec<_> = locked(&self.all).iter().map(|callback| callback.clone_ref(py)).collect();
        for callback in all {
            let callback = callback.bind(py);
            match callback.call1(arguments()?) {
                Ok(answer) if answer.is_none() => {}
                Ok(answer) => follow(callback, &answer)?,
                Err(error) if error.is_instance_of::<PyException>(py) => failed(callback, &error)?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Shows Python's garbage collector what is held.
    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.all.try_lock() {
            Ok(all) => all.iter().try_for_each(|callback| visit.call(callback)),
            Err(_) => Ok(()), // in use, so no garbage
        }
    }

    /// Forgets every function.
    pub(crate) fn clear(&self) {
        let all = std::mem::take(&mut *locked(&self.all));
        drop(all); // after the lock: the last reference to a function may run code
    }
}

fn follow(callback: &Bound<'_, PyAny>, answer: &Bound<'_, PyAny>) -> PyResult<()> {
    static FOLLOW: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    FOLLOW.import(answer.py(), "sharing._loops", "follow")?.call1((callback, answer)).map(drop)
}

fn failed(callback: &Bound<'_, PyAny>, error: &PyErr) -> PyResult<()> {
    static FAILED: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let error = error.value(callback.py());
    FAILED.import(callback.py(), "sharing._loops", "failed")?.call1((callback, error)).map(drop)
}
