//! Running other programs, with their output where the person sees it.

use std::{
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Command, ExitStatus, Stdio},
};

/// Returns a call of the same cargo that runs this task.
pub(crate) fn cargo(words: &str) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(words.split_whitespace());
    command
}

/// Runs a program to its end.
///
/// # Errors
///
/// Tells that it could not start, or ended with anything but success.
pub(crate) fn run(command: &mut Command) -> Result<(), CommandError> {
    let status = command.status().map_err(|error| CommandError::Start(name(command), error))?;
    verdict(command, status)
}

/// Runs a program to its end and hands each line of its output to `hear`.
///
/// # Errors
///
/// Tells that it could not start, or ended with anything but success.
pub(crate) fn listen(command: &mut Command, mut hear: impl FnMut(&str)) -> Result<(), CommandError> {
    let child = command.stdout(Stdio::piped()).spawn();
    let mut child = child.map_err(|error| CommandError::Start(name(command), error))?;
    let mut output = BufReader::new(child.stdout.take().expect("stdout was asked for as a pipe"));
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        hear(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']));
        line.clear();
    }
    let status = child.wait().map_err(|error| CommandError::Start(name(command), error))?;
    verdict(command, status)
}

/// Runs a program to its end and returns what it wrote to stdout.
///
/// # Errors
///
/// Tells that it could not start, or ended with anything but success.
pub(crate) fn read(command: &mut Command) -> Result<String, CommandError> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| CommandError::Start(name(command), error))?;
    verdict(command, output.status)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Becomes the program, so that signals and the exit code are its own; returns only when it cannot start.
pub(crate) fn become_program(command: &mut Command) -> CommandError {
    let error = command.exec();
    CommandError::Start(name(command), error)
}

/// Builds the `crosshome` command and returns where it is.
///
/// # Errors
///
/// Tells that it does not build.
pub(crate) fn crosshome() -> Result<PathBuf, CommandError> {
    let mut build =
        cargo("build --quiet --locked --package crosshome --message-format json-render-diagnostics");
    let messages = read(&mut build)?;
    let message = |line: &str| serde_json::from_str::<serde_json::Value>(line).ok();
    let executable = messages.lines().filter_map(message).find_map(|message| {
        let named = message["target"]["name"] == "crosshome";
        message["executable"].as_str().filter(|_| named).map(PathBuf::from)
    });
    executable.ok_or_else(|| CommandError::Nothing(name(&build)))
}

fn verdict(command: &Command, status: ExitStatus) -> Result<(), CommandError> {
    if status.success() { Ok(()) } else { Err(CommandError::Failed(name(command), status)) }
}

/// The program with its first words, enough to recognise it.
fn name(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let program = program.file_name().unwrap_or(command.get_program()).to_string_lossy().into_owned();
    let words = command.get_args().take(3).map(|word| word.to_string_lossy().into_owned());
    std::iter::once(program).chain(words).collect::<Vec<_>>().join(" ")
}

/// Why a program did not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// It could not be started.
    #[error("cannot run {0}: {1}")]
    Start(String, std::io::Error),
    /// It ended with a failure.
    #[error("{0} failed: {1}")]
    Failed(String, ExitStatus),
    /// It ended well and does not say what it has made.
    #[error("cannot understand the output of {0}")]
    Nothing(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_heard_and_the_failure_told() {
        let mut heard = Vec::new();
        let outcome = listen(Command::new("sh").args(["-c", "echo one; printf two; exit 3"]), |line| {
            heard.push(line.to_owned());
        });
        assert_eq!(heard, ["one", "two"]);
        assert!(matches!(outcome, Err(CommandError::Failed(_, status)) if status.code() == Some(3)));
    }

    #[test]
    fn program_that_is_not_there_is_named() {
        let error = run(&mut Command::new("/nowhere/crosshome-absent")).unwrap_err();
        assert!(error.to_string().starts_with("cannot run crosshome-absent: "), "{error}");
    }
}
