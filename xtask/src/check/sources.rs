//! Files are on one subject: none grows without end, and none has a name that says nothing.

use std::path::Path;

use super::Finding;
use crate::{TaskError, tree};

/// Most lines of one source file: what a reader takes in at one sitting.
const MAX_LINES: usize = 500;

/// Words that say that a thing does something, but not what it is.
const EMPTY_WORDS: [&str; 6] = ["manager", "managers", "helper", "helpers", "util", "utils"];

pub(super) fn check(root: &Path) -> Result<Vec<Finding>, TaskError> {
    let mut findings = Vec::new();
    for path in tree::files(root)? {
        let place = tree::shown(root, &path);
        if let Some(word) = empty_word(&path) {
            findings.push(Finding::new(
                &*place,
                format!("a file called {word} can hold anything; say what it is"),
            ));
        }
        if tree::is(&path, "rs") || tree::is(&path, "py") {
            findings.extend(length_fault(&tree::text(&path)?).map(|text| Finding::new(place, text)));
        }
    }
    Ok(findings)
}

fn empty_word(path: &Path) -> Option<&'static str> {
    let stem = path.file_stem()?.to_string_lossy().to_lowercase();
    EMPTY_WORDS.into_iter().find(|word| stem.split(['_', '-', '.']).any(|part| part == *word))
}

fn length_fault(text: &str) -> Option<String> {
    let lines = text.lines().count();
    (lines > MAX_LINES).then(|| format!("{lines} lines are over the limit of {MAX_LINES}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_that_says_nothing_is_found_as_a_word_only() {
        assert_eq!(empty_word(Path::new("crates/node/src/peer_manager.rs")), Some("manager"));
        assert_eq!(empty_word(Path::new("web/utils.ts")), Some("utils"));
        assert_eq!(empty_word(Path::new("crates/node/src/futile.rs")), None);
    }

    #[test]
    fn file_at_the_limit_is_short_enough() {
        assert_eq!(length_fault(&"x\n".repeat(MAX_LINES)), None);
        assert!(length_fault(&"x\n".repeat(MAX_LINES + 1)).is_some());
    }
}
