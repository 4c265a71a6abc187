//! `cargo xtask check [NAME...]`: everything but the tests that has to hold before a change lands.
//!
//! [`CHECKS`] lists them, one file each where cargo does not do the work. A check returns
//! its [`Finding`]s, each with the place to mend, and all are shown at once.

mod commands;
mod dumps;
mod licences;
mod links;
mod markdown;
mod sources;
mod spdx;

use std::{fmt, path::Path};

pub(crate) use dumps::write as write_dumps;

use crate::{TaskError, command, python::Environment};

/// Something that has to hold.
struct Check {
    name: &'static str,
    run: fn(&Path) -> Result<Vec<Finding>, TaskError>,
}

const CHECKS: [Check; 9] = [
    Check { name: "format", run: format },
    Check { name: "lints", run: lints },
    Check { name: "rustdoc", run: rustdoc },
    Check { name: "python", run: python },
    Check { name: "links", run: links::check },
    Check { name: "commands", run: commands::check },
    Check { name: "dumps", run: dumps::check },
    Check { name: "sources", run: sources::check },
    Check { name: "licences", run: licences::check },
];

/// Something to mend.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    place: String,
    text: String,
}

impl Finding {
    fn new(place: impl Into<String>, text: impl Into<String>) -> Self {
        Self { place: place.into(), text: text.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

pub(crate) fn run(words: &[String]) -> Result<(), TaskError> {
    if let Some(word) = words.iter().find(|word| CHECKS.iter().all(|check| check.name != **word)) {
        let names = CHECKS.map(|check| check.name).join(", ");
        return Err(TaskError::Usage(format!("no check is called {word:?}; there are {names}")));
    }
    let wanted = |check: &&Check| words.is_empty() || words.iter().any(|word| word == check.name);
    let mut failed = false;
    for check in CHECKS.iter().filter(wanted) {
        failed |= !passes(check);
    }
    if failed { Err(TaskError::Told) } else { Ok(()) }
}

/// Runs one check and says what came of it.
fn passes(check: &Check) -> bool {
    match (check.run)(Path::new(".")) {
        Ok(findings) if findings.is_empty() => {
            eprintln!("{}: ok", check.name);
            true
        }
        Ok(findings) => {
            findings.iter().for_each(|finding| eprintln!("{}: {finding}", check.name));
            false
        }
        Err(error) => {
            eprintln!("{}: {error}", check.name);
            false
        }
    }
}

fn format(_: &Path) -> Result<Vec<Finding>, TaskError> {
    command::run(&mut command::cargo("fmt --all --check"))?;
    Ok(Vec::new())
}

fn lints(_: &Path) -> Result<Vec<Finding>, TaskError> {
    command::run(&mut command::cargo("clippy --quiet --workspace --all-targets --locked -- -D warnings"))?;
    Ok(Vec::new())
}

fn rustdoc(_: &Path) -> Result<Vec<Finding>, TaskError> {
    let mut doc = command::cargo("doc --quiet --workspace --no-deps --locked");
    command::run(doc.env("RUSTDOCFLAGS", "-D warnings"))?;
    Ok(Vec::new())
}

fn python(_: &Path) -> Result<Vec<Finding>, TaskError> {
    let environment = Environment::provide()?;
    command::run(environment.tool("ruff").args(["format", "--quiet", "--check"]))?;
    command::run(environment.tool("ruff").args(["check", "--quiet"]))?;
    command::run(&mut environment.tool("mypy"))?;
    Ok(Vec::new())
}
