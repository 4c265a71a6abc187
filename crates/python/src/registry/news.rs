//! Changes on their way to Python: noted under the lock, told without it.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use pyo3::prelude::*;

use crate::{
    kept::{Change, Listener},
    locks::locked,
};

/// What one registry object has not told its callbacks yet.
#[derive(Default)]
pub(super) struct News {
    waiting: Mutex<VecDeque<Change>>,
    /// A weak reference to whoever tells: from here nothing may keep it alive.
    wake: OnceLock<Py<PyAny>>,
    /// How many calls are on their way back to Python, which tells by itself then: there `KeyboardInterrupt` comes through.
    held: AtomicUsize,
}

/// Keeps news from being told as long as it lives.
pub(super) struct Held<'a>(&'a News);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::Relaxed);
    }
}

impl News {
    pub(super) fn wake_by(&self, wake: Py<PyAny>) {
        let _ = self.wake.set(wake); // a registry asks for it once
    }

    pub(super) fn hold(&self) -> Held<'_> {
        self.held.fetch_add(1, Ordering::Relaxed);
        Held(self)
    }

    pub(super) fn is_there(&self) -> bool {
        !locked(&self.waiting).is_empty()
    }

    pub(super) fn next(&self) -> Option<Change> {
        locked(&self.waiting).pop_front()
    }
}

impl Listener for News {
    fn changed(&self, change: &Change) {
        locked(&self.waiting).push_back(change.clone());
    }

    fn tell(&self) {
        if !self.is_there() || self.held.load(Ordering::Relaxed) > 0 {
            return;
        }
        Python::try_attach(|py| {
            let told = self.wake.get().map_or(Ok(None), |wake| {
                let tell = wake.bind(py).call0()?;
                if tell.is_none() { Ok(None) } else { tell.call0().map(Some) }
            });
            if let Err(error) = told {
                error.write_unraisable(py, None);
            }
        });
    }
}
