//! `cargo xtask bench [-- ARGS]`: the project's own measurements, over real processes.
//!
//! Builds with the release profile, link-time optimisation included: what is measured is
//! what people install.

use crate::{TaskError, command, passed_on};

pub(crate) fn run(words: &[String]) -> Result<(), TaskError> {
    eprintln!("building crosshome for speed; this takes several minutes the first time");
    let mut bench = command::cargo("run --quiet --locked --release --package crosshome -- bench");
    Err(command::become_program(bench.args(passed_on(words))).into())
}
