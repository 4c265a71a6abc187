//! `cargo xtask model [--small] [SCENARIO]`: every order of events in small worlds of homes.
//!
//! The tests search the small bounds; this searches the larger ones, built for speed.

use crate::{TaskError, command, passed_on};

pub(crate) fn run(words: &[String]) -> Result<(), TaskError> {
    let mut search = command::cargo("run --quiet --locked --release --package crosshome-model --");
    Err(command::become_program(search.args(passed_on(words))).into())
}
