//! `cargo xtask test`: everything that can fail, and one line at the end that says whether it did.
//!
//! [`SUITES`] lists what there is to run; one whose folder is not there is left out. Each
//! tells its lines to one [`Tally`], whose sum is the last line on stdout.

use std::{path::Path, time::Instant};

use crate::{
    TaskError,
    command::{self, CommandError},
    packages,
    python::Environment,
    sim,
    tally::Tally,
};

/// Tests of one language.
struct Suite {
    name: &'static str,
    folder: &'static str,
    run: fn(&Machine, &mut Tally) -> Result<(), CommandError>,
}

const SUITES: [Suite; 3] = [
    Suite { name: "Rust", folder: "crates", run: rust },
    Suite { name: "Simulator", folder: "crates/core", run: |_, tally| sim::suite(tally) },
    Suite { name: "Python", folder: "crates/python", run: python },
];

/// What the tests may count on.
struct Machine {
    /// Nothing is missing, so a test that lacks something fails.
    complete: bool,
}

pub(crate) fn run(words: &[String]) -> Result<(), TaskError> {
    if let Some(word) = words.first() {
        return Err(TaskError::Usage(format!(
            "test runs everything and takes no {word:?}; for a part, use cargo test"
        )));
    }
    let machine = Machine { complete: packages::provide() };
    let mut tally = Tally::default();
    for suite in SUITES.iter().filter(|suite| Path::new(suite.folder).is_dir()) {
        let start = Instant::now();
        if let Err(error) = (suite.run)(&machine, &mut tally) {
            eprintln!("error: {error}");
            tally.broke();
        }
        eprintln!("{} tests took {} s", suite.name, start.elapsed().as_secs());
    }
    println!("{tally}");
    if tally.failed() > 0 { Err(TaskError::Told) } else { Ok(()) }
}

/// All crates, documentation examples included. Where tests may skip, their output is shown to be counted.
fn rust(machine: &Machine, tally: &mut Tally) -> Result<(), CommandError> {
    let mut tests = command::cargo("test --workspace --locked --no-fail-fast");
    tests.env("PATH", packages::path());
    match machine.complete {
        true => tests.env("CROSSHOME_REQUIRE_NETNS", "1"),
        false => tests.args(["--", "--show-output"]),
    };
    command::listen(&mut tests, |line| {
        println!("{line}");
        tally.hear(line);
    })
}

/// The package as people install it: the wheel in an environment of its own, its stubs, and its tests.
fn python(machine: &Machine, tally: &mut Tally) -> Result<(), CommandError> {
    let environment = Environment::provide()?;
    environment.install_wheel("dev")?; // quick to build
    command::run(environment.tool("stubtest").args([
        "sharing._engine",
        "--mypy-config-file",
        "pyproject.toml",
        "--allowlist",
        "tests/stubtest.txt",
    ]))?;
    let mut tests = environment.tool("pytest");
    tests.arg("tests/core/sharing/").env("CROSSHOME_BIN", command::crosshome()?);
    if machine.complete {
        tests.env("CROSSHOME_REQUIRE_NETNS", "1");
    }
    command::listen(&mut tests, |line| {
        println!("{line}");
        tally.hear(line);
    })
}
