//! `cargo xtask coverage`: which lines of the core its own tests reach.
//!
//! Builds with the compiler's instrumentation and reads the result with the LLVM tools of the same toolchain
//! (`rustup component add llvm-tools`), so that both speak one format.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{TaskError, command};

const FOLDER: &str = "target/coverage";

pub(crate) fn run(words: &[String]) -> Result<(), TaskError> {
    if let Some(word) = words.first() {
        return Err(TaskError::Usage(format!("coverage measures crates/core and takes no {word:?}")));
    }
    let tools = tools()?;
    let profiles = Path::new(FOLDER).join("profiles");
    _ = fs::remove_dir_all(&profiles); // where there is nothing, nothing is old
    command::run(&mut instrumented("test --quiet --locked --package crosshome-core --lib --tests"))?;
    let merged = Path::new(FOLDER).join("core.profdata");
    let mut merge = Command::new(tools.join("llvm-profdata"));
    command::run(merge.args(["merge", "-sparse", "-o"]).arg(&merged).args(files(&profiles)?))?;
    let mut report = Command::new(tools.join("llvm-cov"));
    report.args(["report", "--ignore-filename-regex", "(/registry/|/rustc/|/tests/|/tests\\.rs|/sim)"]);
    report.arg(format!("--instr-profile={}", merged.display()));
    for (at, binary) in binaries()?.into_iter().enumerate() {
        report.args((at > 0).then_some("--object")).arg(binary);
    }
    Ok(command::run(&mut report)?)
}

/// Returns the folder of the toolchain's LLVM tools.
fn tools() -> Result<PathBuf, TaskError> {
    let rustc = |words: &[&str]| command::read(Command::new("rustc").args(words));
    let (root, about) = (rustc(&["--print", "sysroot"])?, rustc(&["-vV"])?);
    let host =
        about.lines().find_map(|line| line.strip_prefix("host: ")).ok_or(TaskError::Output("rustc"))?;
    let tools = Path::new(root.trim()).join("lib/rustlib").join(host).join("bin");
    match tools.join("llvm-cov").exists() {
        true => Ok(tools),
        false => Err(TaskError::Usage("coverage needs LLVM's tools: rustup component add llvm-tools".into())),
    }
}

/// Returns the call of cargo that builds with instrumentation, in a folder of its own.
fn instrumented(words: &str) -> Command {
    let mut cargo = command::cargo(words);
    let profile = std::env::current_dir().unwrap_or_default().join(FOLDER).join("profiles/%m-%p.profraw");
    cargo.env("CARGO_TARGET_DIR", FOLDER).env("RUSTFLAGS", "-C instrument-coverage");
    cargo.env("LLVM_PROFILE_FILE", profile);
    cargo
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, TaskError> {
    let read = |error| TaskError::Read { path: folder.display().to_string(), error };
    let entries =
        fs::read_dir(folder).and_then(|files| files.collect::<Result<Vec<_>, _>>()).map_err(read)?;
    Ok(entries.into_iter().map(|entry| entry.path()).collect())
}

/// Returns the test binaries, as cargo names them.
fn binaries() -> Result<Vec<String>, TaskError> {
    let words = "test --quiet --locked --package crosshome-core --lib --tests --no-run --message-format=json";
    let built = command::read(&mut instrumented(words))?;
    let binary = |line: &str| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        message["profile"]["test"].as_bool().filter(|test| *test)?;
        message["executable"].as_str().map(str::to_owned)
    };
    Ok(built.lines().filter_map(binary).collect())
}
