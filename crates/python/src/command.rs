//! The `crosshome` command inside a Python process.

use std::ffi::OsString;

use crosshome_cli::Program;
use pyo3::{exceptions::PyValueError, prelude::*};

/// Does what was typed and returns the exit code; `itself` starts the command anew.
#[pyfunction]
pub(crate) fn run_command(py: Python<'_>, words: Vec<OsString>, itself: Vec<OsString>) -> PyResult<u8> {
    let mut itself = itself.into_iter();
    let executable = itself.next().ok_or_else(|| PyValueError::new_err("itself names no program"))?;
    let itself = Program::new(executable, itself);
    Ok(py.detach(|| crosshome_cli::run(words, itself)))
}
