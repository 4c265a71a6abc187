//! The hex dumps in PROTOCOL.md are the golden files: what the code sends is what the document says.
//!
//! A block of nothing but hexadecimal digits has to equal a golden file, and each golden file
//! that is short enough to be read has to stand in the document.

use std::{collections::BTreeMap, path::Path};

use super::{Finding, markdown::Page};
use crate::{TaskError, tree};

const GOLDEN: &str = "crates/core/tests/golden";

/// Longest golden file, in hexadecimal digits, that the document has to show.
const MAX_SHOWN: usize = 1024;

pub(super) fn check(root: &Path) -> Result<Vec<Finding>, TaskError> {
    let golden = golden(root)?;
    let mut dumps = Vec::new();
    for path in tree::files(root)?.iter().filter(|path| is_protocol(path)) {
        let fences = Page::read(&tree::text(path)?).fences.into_iter();
        let place = |line| format!("{}:{line}", tree::shown(root, path));
        dumps.extend(fences.filter_map(|fence| Some((place(fence.line), digits(&fence.body)?))));
    }
    Ok(compare(&golden, &dumps))
}

fn compare(golden: &BTreeMap<String, String>, dumps: &[(String, String)]) -> Vec<Finding> {
    let strange = dumps.iter().filter(|(_, dump)| golden.values().all(|known| known != dump));
    let hidden = golden
        .iter()
        .filter(|(_, known)| known.len() <= MAX_SHOWN && dumps.iter().all(|(_, dump)| dump != *known));
    let strange = strange.map(|(place, _)| Finding::new(place, "this dump equals no golden file"));
    let hidden = hidden.map(|(path, _)| Finding::new(path, "PROTOCOL.md does not show this golden file"));
    strange.chain(hidden).collect()
}

fn golden(root: &Path) -> Result<BTreeMap<String, String>, TaskError> {
    let directory = root.join(GOLDEN);
    if !directory.is_dir() {
        return Ok(BTreeMap::new());
    }
    let mut golden = BTreeMap::new();
    for path in tree::files(&directory)?.iter().filter(|path| tree::is(path, "hex")) {
        golden.extend(digits(&tree::text(path)?).map(|digits| (tree::shown(root, path), digits)));
    }
    Ok(golden)
}

fn is_protocol(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with("PROTOCOL") && tree::is(path, "md")
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

    #[test]
    fn only_hexadecimal_digits_make_a_dump() {
        assert_eq!(digits("# hello\n8204 A1\n00\n"), Some("8204a100".into()));
        assert_eq!(digits("crosshome run\n"), None);
        assert_eq!(digits("0317598642\n7092154863\n"), None);
        assert_eq!(digits("\n"), None);
    }

    #[test]
    fn dump_that_drifted_and_golden_file_nobody_shows_are_found() {
        let long = "ab".repeat(MAX_SHOWN);
        let golden = [("ping.hex", "8204a0"), ("ack.hex", "8203a0"), ("bulk.hex", &long)];
        let golden = golden.map(|(path, digits)| (path.to_owned(), digits.to_owned())).into();
        let dumps = [("a:1".to_owned(), "8204a0".to_owned()), ("a:9".to_owned(), "8203a1".to_owned())];
        let places: Vec<_> = compare(&golden, &dumps).into_iter().map(|finding| finding.place).collect();
        assert_eq!(places, ["a:9", "ack.hex"]);
    }
}
