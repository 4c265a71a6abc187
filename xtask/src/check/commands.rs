//! What the documents tell people to type can be typed.
//!
//! Each line that calls `crosshome` in a block of README.md, or of a guide in `docs/`, is given to
//! the real command with `--help` behind it, which reads the line and does nothing. Lines
//! that call `cargo xtask` have to name a task.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use super::{Finding, markdown::Page};
use crate::{TASKS, TaskError, command, tree};

/// What stands behind the opening fence of a block that people type.
const TYPED: [&str; 4] = ["sh", "bash", "shell", "console"];

/// A line to type, with its place.
struct Line {
    place: String,
    words: Vec<String>,
}

pub(super) fn check(root: &Path) -> Result<Vec<Finding>, TaskError> {
    let mut lines = Vec::new();
    for path in tree::files(root)?.iter().filter(|path| tree::is(path, "md")) {
        let place = |line| format!("{}:{line}", tree::shown(root, path));
        lines.extend(
            typed(&tree::text(path)?).into_iter().map(|(at, words)| Line { place: place(at), words }),
        );
    }
    let crosshome = command::crosshome()?;
    Ok(lines.into_iter().filter_map(|line| fault(&crosshome, &line)).collect())
}

fn fault(crosshome: &Path, line: &Line) -> Option<Finding> {
    let is_variable = |word: &&str| word.contains('=');
    let words: Vec<&str> = line.words.iter().map(String::as_str).skip_while(is_variable).collect();
    let fault = match &words[..] {
        ["cargo", "xtask", task, ..] if TASKS.iter().all(|known| known.name != *task) => {
            Some(format!("no task is called {task}"))
        }
        ["crosshome", rest @ ..] if !understands(crosshome, rest) => {
            Some(format!("crosshome does not understand: {}", words.join(" ")))
        }
        _ => None,
    };
    fault.map(|text| Finding::new(&*line.place, text))
}

/// Tells whether the command takes these words; it prints its usage and does nothing.
fn understands(crosshome: &Path, words: &[&str]) -> bool {
    let help = Command::new(crosshome).args(words).arg("--help").stdin(Stdio::null()).output();
    help.is_ok_and(|help| help.status.success() && String::from_utf8_lossy(&help.stdout).contains("Usage:"))
}

/// Returns the lines to type of a document, in words, with their line numbers.
fn typed(text: &str) -> Vec<(usize, Vec<String>)> {
    let fences = Page::read(text).fences.into_iter();
    let typed = fences.filter(|fence| TYPED.iter().any(|kind| fence.info.split(' ').next() == Some(kind)));
    typed
        .flat_map(|fence| {
            let lines: Vec<_> = fence.body.lines().map(words).collect();
            lines.into_iter().zip(fence.line + 1..).map(|(words, line)| (line, words))
        })
        .filter(|(_, words)| !words.is_empty())
        .collect()
}

/// Splits a line as a shell does, up to a comment, pipe or redirection; a prompt in front is dropped.
fn words(line: &str) -> Vec<String> {
    let line = line.trim().strip_prefix("$ ").unwrap_or(line.trim());
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (c, quote) {
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (_, Some(open)) if c == open => quote = None,
            ('#', None) if word.is_none() => break,
            ('|' | '>' | ';' | '&', None) => break,
            (' ', None) => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_is_split_as_a_shell_does() {
        let line = r#"$ crosshome share "light.*" 'climate.hall' --with Flat # shows it | there"#;
        assert_eq!(words(line), ["crosshome", "share", "light.*", "climate.hall", "--with", "Flat"]);
        assert_eq!(words("crosshome status --json | jq .peers"), ["crosshome", "status", "--json"]);
        assert_eq!(words("# a remark"), [""; 0]);
    }

    #[test]
    fn only_blocks_for_a_shell_are_typed() {
        let page = "```sh\n\ncargo xtask demo\n```\n```text\ncrosshome fly\n```\n";
        assert_eq!(typed(page), [(3, vec!["cargo".to_owned(), "xtask".into(), "demo".into()])]);
    }

    #[test]
    fn task_that_is_not_there_is_found() {
        let line = |text: &str| Line { place: "README.md:1".into(), words: words(text) };
        let fault = |text: &str| fault(Path::new("/nowhere"), &line(text)).map(|finding| finding.text);
        assert_eq!(fault("cargo xtask test"), None);
        assert_eq!(fault("CI=true cargo xtask fly"), Some("no task is called fly".into()));
    }

    #[test]
    fn command_that_says_nothing_of_its_usage_does_not_count_as_understanding() {
        assert!(!understands(Path::new("echo"), &["pair"]));
        assert!(!understands(Path::new("/nowhere/crosshome"), &["run"]));
    }
}
