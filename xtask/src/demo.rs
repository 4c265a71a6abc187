//! `cargo xtask demo [-- ARGS]`: two homes on this machine, in one command.
//!
//! Builds with the development profile: its dependencies and the core are optimised, it needs
//! no link-time optimisation, and it shares what `cargo xtask test` has built.

use crate::{TaskError, command, passed_on};

pub(crate) fn run(words: &[String]) -> Result<(), TaskError> {
    eprintln!("building crosshome; the first time takes a few minutes");
    let mut demo = command::cargo("run --quiet --locked --package crosshome -- demo");
    Err(command::become_program(demo.args(passed_on(words))).into())
}
