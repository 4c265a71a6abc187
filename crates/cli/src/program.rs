//! How this command starts itself anew: the demo's homes and the workers of the bench are processes of it.
//!
//! It is a fact about the process, as its executable is, and so stands beside the values that are handed
//! around: [`remember`] notes it once, before anything is carried out.

use std::{env, ffi::OsString, io, path::PathBuf, process::Command, sync::OnceLock};

static ITSELF: OnceLock<Program> = OnceLock::new();

/// A program, with the words that make it this command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Absent for the executable of this process.
    executable: Option<PathBuf>,
    words: Vec<OsString>,
}

impl Program {
    /// Takes a program and what stands before the arguments of the command.
    pub fn new(executable: impl Into<PathBuf>, words: impl IntoIterator<Item = OsString>) -> Self {
        Self { executable: Some(executable.into()), words: words.into_iter().collect() }
    }

    /// Takes the executable of this process: right where that is the command.
    pub fn current() -> Self {
        Self { executable: None, words: Vec::new() }
    }
}

/// Notes how this command is started.
pub(crate) fn remember(program: Program) {
    ITSELF.get_or_init(|| program);
}

/// Prepares another process of this command.
///
/// # Errors
///
/// The system does not tell which executable this is.
pub(crate) fn anew() -> io::Result<Command> {
    let program = ITSELF.get().expect("run has noted it before any verb");
    let mut command = Command::new(program.executable.clone().map_or_else(env::current_exe, Ok)?);
    command.args(&program.words);
    Ok(command)
}
