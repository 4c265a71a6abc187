//! Forks: SQLite's locks and memory must not be inherited, so files are closed before one and opened again after it.
//!
//! Python calls [`before`] and [`after`] around its own forks (`os.fork`, `multiprocessing`). Whoever works on a
//! file holds the gate; the fork waits for them and then keeps it shut, so the child finds every lock
//! free. Nobody waits for the interpreter while holding the gate, and whoever forks has the interpreter all the time: so
//! nobody can have the one while he waits for the other.

use std::{
    cell::{Cell, RefCell},
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

static GATE: RwLock<()> = RwLock::new(());

thread_local! {
    /// How often this thread is inside: to wait at the gate once more could wait for ever.
    static INSIDE: Cell<u32> = const { Cell::new(0) };
    /// Held by the thread that forks, and in the child by what that thread has become.
    static FORKING: RefCell<Option<RwLockWriteGuard<'static, ()>>> = const { RefCell::new(None) };
}

/// Keeps forks away as long as it lives.
pub(super) struct Inside {
    _gate: Option<RwLockReadGuard<'static, ()>>,
}

/// Goes in.
pub(super) fn gate() -> Inside {
    let outside = INSIDE.get() == 0;
    let gate = outside.then(|| GATE.read().unwrap_or_else(PoisonError::into_inner));
    INSIDE.set(INSIDE.get() + 1);
    Inside { _gate: gate }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.set(INSIDE.get() - 1);
    }
}

/// Closes every file; whoever asks for one opens it again.
pub(crate) fn close_all() {
    let _gate = gate();
    super::open_files().iter().for_each(|kept| kept.close());
}

/// Closes every file and keeps everybody out until [`after`].
pub(crate) fn before() {
    let gate = GATE.write().unwrap_or_else(PoisonError::into_inner);
    INSIDE.set(INSIDE.get() + 1);
    super::open_files().iter().for_each(|kept| kept.close());
    FORKING.set(Some(gate));
}

/// Lets everybody in again, in the parent and in the child.
pub(crate) fn after() {
    if FORKING.take().is_some() {
        INSIDE.set(INSIDE.get() - 1);
    }
}
