//! `sharing._engine`: what the Python package `sharing` stands on.
//!
//! The Python files beside this crate are the typed faces that people import; the work is done here.
//! `error` has the one place where errors become exceptions, `json` the border that values cross, `executor`
//! the way in which an asyncio event loop awaits and hears the engine, `callbacks` what it calls then.

use pyo3::pymodule;

mod callbacks;
mod command;
mod conflict;
mod defaults;
mod discovery;
mod error;
mod executor;
mod files;
mod json;
mod kept;
mod locks;
mod registry;
mod sync;

/// The compiled part of `sharing`.
#[pymodule]
mod _engine {
    #[pymodule_export]
    use crate::command::run_command;

    #[pymodule_export]
    use crate::discovery::Discovery;

    #[pymodule_export]
    use crate::executor::Executor;

    #[pymodule_export]
    #[allow(non_upper_case_globals, reason = "Python spells it so")]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    #[pymodule_export]
    use crate::{
        conflict::{Conflicts, Versions, check_version},
        files::{after_fork, before_exit, before_fork},
        registry::Registry,
        sync::Sync,
    };
}
