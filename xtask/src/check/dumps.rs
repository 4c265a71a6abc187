//! The hex dumps in PROTOCOL.md are the golden files: what the code sends is what the document says.
//!
//! A block of nothing but hexadecimal digits has to equal a golden file, and each golden file
//! that is short enough to be read has to stand in a document. Those that no other block
//! shows are written between two marks of PROTOCOL.md by `cargo xtask dumps`.

use std::{collections::BTreeMap, path::Path};

use super::{Finding, markdown::Page};
use crate::{TaskError, tree};

const GOLDEN: &str = "crates/core/tests/golden";
const DOCUMENT: &str = "PROTOCOL.md";
const BEGIN: &str = "<!-- dumps -->\n";
const END: &str = "<!-- /dumps -->\n";

/// Longest golden file, in hexadecimal digits, that a document has to show.
const MAX_SHOWN: usize = 1024;

/// Digits in one line of a dump.
const LINE: usize = 64;

/// The golden files by their path below [`GOLDEN`].
type Golden = BTreeMap<String, Dump>;

/// A golden file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Dump {
    digits: String,
    remarks: Vec<String>,
}

pub(super) fn check(root: &Path) -> Result<Vec<Finding>, TaskError> {
    let (golden, mut blocks) = (golden(root)?, Vec::new());
    for path in tree::files(root)?.iter().filter(|path| is_protocol(path)) {
        blocks.extend(dumps(&tree::shown(root, path), &tree::text(path)?));
    }
    Ok(compare(&golden, &blocks))
}

/// Writes what no other block shows between the marks of the document.
pub(crate) fn write(_: &[String]) -> Result<(), TaskError> {
    let root = Path::new(".");
    let document = root.join(DOCUMENT);
    let text = tree::text(&document)?;
    let Some((before, after)) = around(&text) else { return Err(TaskError::Marks(DOCUMENT)) };
    let mut shown = dumps(DOCUMENT, &[before, after].concat());
    for path in tree::files(root)?.iter().filter(|path| is_protocol(path) && !path.ends_with(DOCUMENT)) {
        shown.extend(dumps(&tree::shown(root, path), &tree::text(path)?));
    }
    let text = [before, BEGIN, &section(&golden(root)?, &shown), END, after].concat();
    std::fs::write(&document, text).map_err(|error| TaskError::Write { path: DOCUMENT, error })
}

/// What stands before the first and after the second mark.
fn around(text: &str) -> Option<(&str, &str)> {
    let (before, rest) = text.split_once(BEGIN)?;
    Some((before, rest.split_once(END)?.1))
}

/// Shows each golden file that is short enough and shown nowhere else.
fn section(golden: &Golden, shown: &[(String, String)]) -> String {
    let is_due = |dump: &Dump| is_short(dump) && shown.iter().all(|(_, digits)| *digits != dump.digits);
    golden.iter().filter(|(_, dump)| is_due(dump)).map(|(name, dump)| block(name, dump)).collect()
}

fn block(name: &str, dump: &Dump) -> String {
    let remarks: String = dump.remarks.iter().map(|remark| format!("{remark}\n")).collect();
    let lines =
        dump.digits.as_bytes().chunks(LINE).map(String::from_utf8_lossy).collect::<Vec<_>>().join("\n");
    format!("\n`{name}`\n{remarks}\n```text\n{lines}\n```\n")
}

fn compare(golden: &Golden, blocks: &[(String, String)]) -> Vec<Finding> {
    let strange = blocks.iter().filter(|(_, digits)| golden.values().all(|known| known.digits != *digits));
    let hidden = golden
        .iter()
        .filter(|(_, known)| is_short(known) && blocks.iter().all(|(_, digits)| *digits != known.digits));
    let strange = strange.map(|(place, _)| Finding::new(place, "this dump equals no golden file"));
    let hidden =
        hidden.map(|(name, _)| Finding::new(name, "no document shows it; cargo xtask dumps writes it"));
    strange.chain(hidden).collect()
}

fn golden(root: &Path) -> Result<Golden, TaskError> {
    let directory = root.join(GOLDEN);
    if !directory.is_dir() {
        return Ok(Golden::new());
    }
    let mut golden = Golden::new();
    for path in tree::files(&directory)?.iter().filter(|path| tree::is(path, "hex")) {
        let text = tree::text(path)?;
        let remarks = text.lines().filter_map(|line| line.strip_prefix('#'));
        let remarks = remarks.map(|remark| remark.trim().to_owned()).collect();
        golden.extend(digits(&text).map(|digits| (tree::shown(&directory, path), Dump { digits, remarks })));
    }
    Ok(golden)
}

/// The dumps of a document with their places.
fn dumps(name: &str, text: &str) -> Vec<(String, String)> {
    let fences = Page::read(text).fences.into_iter();
    fences.filter_map(|fence| Some((format!("{name}:{}", fence.line), digits(&fence.body)?))).collect()
}

fn is_protocol(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with("PROTOCOL") && tree::is(path, "md")
}

fn is_short(dump: &Dump) -> bool {
    dump.digits.len() <= MAX_SHOWN
}

/// Returns the digits of a dump, or nothing when the text is no dump. Lines that begin with `#` are remarks.
///
/// Without a letter it is a table of numbers: every message opens a map, which begins with `a`.
fn digits(text: &str) -> Option<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let digits: String = lines.flat_map(str::chars).filter(|c| !c.is_whitespace()).collect();
    let dump = digits.contains(|c: char| c.is_alphabetic()) && digits.chars().all(|c| c.is_ascii_hexdigit());
    dump.then(|| digits.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn golden() -> Golden {
        let long = "ab".repeat(MAX_SHOWN);
        let dump = |digits: &str| Dump { digits: digits.to_owned(), remarks: vec!["asks".to_owned()] };
        [("ping.hex", "8204a0"), ("ack.hex", "8203a0"), ("bulk.hex", &long)]
            .map(|(name, digits)| (name.to_owned(), dump(digits)))
            .into()
    }

    #[test]
    fn only_hexadecimal_digits_make_a_dump() {
        assert_eq!(digits("# hello\n8204 A1\n00\n"), Some("8204a100".into()));
        assert_eq!(digits("crosshome run\n"), None);
        assert_eq!(digits("0317598642\n7092154863\n"), None);
        assert_eq!(digits("\n"), None);
    }

    #[test]
    fn dump_that_drifted_and_golden_file_nobody_shows_are_found() {
        let blocks = [("a:1".to_owned(), "8204a0".to_owned()), ("a:9".to_owned(), "8203a1".to_owned())];
        let places: Vec<_> = compare(&golden(), &blocks).into_iter().map(|finding| finding.place).collect();
        assert_eq!(places, ["a:9", "ack.hex"]);
    }

    #[test]
    fn what_is_written_between_the_marks_is_what_the_check_asks_for() {
        let elsewhere = dumps("a", "```text\n8204a0\n```\n");
        let section = section(&golden(), &elsewhere);
        assert_eq!(section, "\n`ack.hex`\nasks\n\n```text\n8203a0\n```\n");
        let blocks = [elsewhere, dumps("b", &section)].concat();
        assert_eq!(compare(&golden(), &blocks), []);
    }

    #[test]
    fn text_around_the_marks_stays() {
        assert_eq!(around("one\n<!-- dumps -->\nold\n<!-- /dumps -->\ntwo\n"), Some(("one\n", "two\n")));
        assert_eq!(around("one\n<!-- dumps -->\nold\n"), None);
    }
}
