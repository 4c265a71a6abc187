//! `cargo xtask sim [--seeds N] [--homes M]` and `cargo xtask mutants [NAME...]`: homes on a virtual network.
//!
//! The first plays any number of simulated runs; the second plants one bug after the other in the core and lets the
//! simulator look for it. Both are examples of the core, built once with what products do not have.

use std::process::Command;

use crate::{
    TaskError,
    command::{self, CommandError},
    passed_on,
    tally::Tally,
};

/// Runs of five homes and five hundred happenings that every change has to pass.
const RUNS: &str = "--seeds 2000 --homes 5 --steps 500";

pub(crate) fn run(words: &[String]) -> Result<(), TaskError> {
    Ok(command::run(example("sim").args(passed_on(words)))?)
}

pub(crate) fn hunt(words: &[String]) -> Result<(), TaskError> {
    eprintln!("planting bugs in the core, one after the other");
    Ok(command::run(example("mutants").args(passed_on(words)))?)
}

/// Plays what every change has to pass: many large runs, and all bugs on purpose.
pub(crate) fn suite(tally: &mut Tally) -> Result<(), CommandError> {
    let runs = command::run(example("sim").args(RUNS.split_whitespace()));
    let bugs = command::run(&mut example("mutants"));
    for outcome in [&runs, &bugs] {
        tally.add(outcome.is_ok());
    }
    runs.and(bugs)
}

/// An example of the core, with the development profile: optimised there, assertions included.
fn example(name: &str) -> Command {
    let mut cargo = command::cargo("run --quiet --locked --package crosshome-core --features bugs --example");
    cargo.args([name, "--"]);
    cargo
}
