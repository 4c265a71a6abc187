//! The project's own tasks: `cargo xtask TASK`.
//!
//! One file per task; a new one is a line in [`TASKS`] and a file. Tasks run from the root of
//! the workspace, wherever they were called, and say on stderr what they do and why.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "tasks talk to a person at a terminal")]

mod bench;
mod bench_python;
mod chaos;
mod check;
mod command;
mod coverage;
mod demo;
mod fuzz;
mod model;
mod packages;
mod python;
mod sim;
mod tally;
mod test;
mod tree;

use std::process::ExitCode;

use command::CommandError;

/// Something that can be asked for by name.
struct Task {
    name: &'static str,
    does: &'static str,
    run: fn(&[String]) -> Result<(), TaskError>,
}

const TASKS: [Task; 12] = [
    Task { name: "test", does: "install what the tests need and run them all", run: test::run },
    Task { name: "demo", does: "build crosshome and play two homes [-- ARGS]", run: demo::run },
    Task { name: "bench", does: "build for speed and measure this machine [-- ARGS]", run: bench::run },
    Task {
        name: "bench-python",
        does: "build the wheel for speed and measure it [-- ARGS]",
        run: bench_python::run,
    },
    Task {
        name: "model",
        does: "try every order of events in small worlds [--small] [SCENARIO]",
        run: model::run,
    },
    Task {
        name: "fuzz",
        does: "look for bytes that crash a decoder [TARGET...] [--minutes N]",
        run: fuzz::run,
    },
    Task { name: "coverage", does: "which lines of the core its tests reach", run: coverage::run },
    Task { name: "chaos", does: "three real homes in trouble: --minutes N [--seed S]", run: chaos::run },
    Task { name: "check", does: "format, lints and documents, or the named ones [NAME...]", run: check::run },
    Task { name: "sim", does: "play simulated homes [--seeds N] [--homes M]", run: sim::run },
    Task { name: "mutants", does: "let the simulator find bugs on purpose [NAME...]", run: sim::hunt },
    Task { name: "dumps", does: "write the golden files into PROTOCOL.md", run: check::write_dumps },
];

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let name = words.next().unwrap_or_default();
    let Some(task) = TASKS.iter().find(|task| task.name == name) else {
        return explain(&name);
    };
    let rest: Vec<_> = words.collect();
    match std::env::set_current_dir(tree::root()).map_err(TaskError::Root).and_then(|()| (task.run)(&rest)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(TaskError::Usage(text)) => {
            eprintln!("error: {text}");
            ExitCode::from(2)
        }
        Err(TaskError::Told) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Lists the tasks; asking for an unknown one is a mistake, asking for help is none.
fn explain(name: &str) -> ExitCode {
    let width = TASKS.iter().map(|task| task.name.len()).max().unwrap_or(0);
    println!("usage: cargo xtask TASK\n");
    TASKS.iter().for_each(|task| println!("  {:width$}  {}", task.name, task.does));
    match name {
        "" | "help" | "--help" | "-h" => ExitCode::SUCCESS,
        _ => {
            eprintln!("\nerror: no task is called {name:?}");
            ExitCode::from(2)
        }
    }
}

/// Returns the arguments after a `--` that people type out of habit.
fn passed_on(words: &[String]) -> &[String] {
    words.strip_prefix(&["--".to_owned()]).unwrap_or(words)
}

/// Why a task did not come to a good end.
#[derive(Debug, thiserror::Error)]
enum TaskError {
    /// The workspace is not where the task was built.
    #[error("cannot enter the workspace: {0}")]
    Root(std::io::Error),
    /// The task was called wrongly.
    #[error("{0}")]
    Usage(String),
    /// A program failed.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// A file cannot be read.
    #[error("cannot read {path}: {error}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {path}: {error}")]
    Write {
        /// The file.
        path: &'static str,
        /// Why.
        error: std::io::Error,
    },
    /// The marks between which something is written are not there.
    #[error("{0} has lost the marks <!-- dumps --> and <!-- /dumps -->")]
    Marks(&'static str),
    /// Something else than expected came out of a program.
    #[error("cannot understand the output of {0}")]
    Output(&'static str),
    /// Tests failed or checks found something, and each has been named.
    #[error("see above")]
    Told,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn two_hyphens_before_the_arguments_do_not_matter() {
        assert_eq!(passed_on(&words("-- --once")), words("--once"));
        assert_eq!(passed_on(&words("--once")), words("--once"));
        assert_eq!(passed_on(&words("")), words(""));
    }
}
