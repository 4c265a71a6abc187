//! `cargo xtask fuzz [TARGET] [--minutes N]`: looks for bytes that crash a target, longer than the tests do.
//!
//! Needs a nightly toolchain and cargo-fuzz, and says so where they are missing. What it finds in passing is
//! kept in `target/fuzz/`; bytes that crash belong into `fuzz/corpus/TARGET/`, where every test run tries them.

use std::{fs, path::Path, process::Command};

use crate::{TaskError, command, passed_on};

/// Targets of the running home, with the feature that builds it.
const NODE: [&str; 5] = ["announcement", "frames", "upgrade", "body_json", "config"];

pub(crate) fn run(words: &[String]) -> Result<(), TaskError> {
    let (names, minutes) = asked(passed_on(words))?;
    let all = targets()?;
    if let Some(name) = names.iter().find(|name| !all.contains(name)) {
        return Err(TaskError::Usage(format!("no target is called {name:?}; there are {}", all.join(", "))));
    }
    available()?;
    let chosen = if names.is_empty() { &all } else { &names };
    let mut crashed = Vec::new();
    for name in chosen {
        eprintln!("{name}: {minutes} minutes");
        if !fuzz(name, minutes)? {
            crashed.push(name.as_str());
        }
    }
    if crashed.is_empty() {
        return Ok(());
    }
    eprintln!("error: {} crashed: move fuzz/artifacts/TARGET/* to fuzz/corpus/TARGET/", crashed.join(", "));
    Err(TaskError::Told)
}

/// Returns the targets that were named, and the minutes for each.
fn asked(words: &[String]) -> Result<(Vec<String>, u64), TaskError> {
    let (mut names, mut minutes, mut words) = (Vec::new(), 1, words.iter());
    while let Some(word) = words.next() {
        match word.as_str() {
            "--minutes" => {
                let number = words.next().and_then(|number| number.parse().ok());
                minutes = number.ok_or_else(|| TaskError::Usage("--minutes takes a number".into()))?;
            }
            name => names.push(name.to_owned()),
        }
    }
    Ok((names, minutes))
}

/// Returns the names of all targets.
fn targets() -> Result<Vec<String>, TaskError> {
    let folder = "fuzz/fuzz_targets";
    let read = |error| TaskError::Read { path: folder.into(), error };
    let files = fs::read_dir(folder).and_then(|files| files.collect::<Result<Vec<_>, _>>()).map_err(read)?;
    let names = files.iter().filter_map(|file| Some(file.path().file_stem()?.to_str()?.to_owned()));
    let mut names: Vec<_> = names.collect();
    names.sort();
    Ok(names)
}

/// Checks that the fuzzer is there.
fn available() -> Result<(), TaskError> {
    let answers = |words: &[&str]| {
        let asked = Command::new("cargo").args(words).output();
        asked.is_ok_and(|output| output.status.success())
    };
    if !answers(&["+nightly", "--version"]) {
        return Err(TaskError::Usage(
            "fuzzing needs a nightly toolchain: rustup toolchain install nightly".into(),
        ));
    }
    if !answers(&["fuzz", "--version"]) {
        return Err(TaskError::Usage("fuzzing needs cargo-fuzz: cargo install cargo-fuzz".into()));
    }
    Ok(())
}

/// Fuzzes one target and tells whether it went on to the end.
fn fuzz(name: &str, minutes: u64) -> Result<bool, TaskError> {
    let found = Path::new("target/fuzz").join(name);
    fs::create_dir_all(&found).map_err(|error| TaskError::Write { path: "target/fuzz", error })?;
    let mut fuzzer = Command::new("cargo");
    fuzzer.args(["+nightly", "fuzz", "run", name, "--target-dir", "target/fuzz/build"]);
    if NODE.contains(&name) {
        fuzzer.args(["--features", "node"]);
    }
    fuzzer.arg(&found).arg(format!("fuzz/corpus/{name}")).arg("--");
    fuzzer.arg(format!("-max_total_time={}", 60 * minutes)).args(["-max_len=4096", "-timeout=10"]);
    let ran = fuzzer.status().map_err(|error| command::CommandError::Start("cargo fuzz".into(), error))?;
    Ok(ran.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn names_and_minutes_come_in_any_order() {
        assert_eq!(asked(&words("--minutes 5 offer")).unwrap(), (words("offer"), 5));
        assert_eq!(asked(&words("offer peer")).unwrap(), (words("offer peer"), 1));
        assert!(asked(&words("offer --minutes")).is_err());
    }
}
