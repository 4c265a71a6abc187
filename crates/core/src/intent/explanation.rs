//! What a home's house says to another home's people.

use std::fmt;

use crate::{defaults, pairing::is_hidden};

/// A few words from one home's house to another home's people: short, on one line, and shown as they are.
///
/// ```
/// use crosshome_core::intent::Explanation;
/// assert_eq!(Explanation::new("the bolt\nis stuck").to_string(), "the bolt is stuck");
/// assert!(Explanation::parse("the bolt\nis stuck").is_none(), "no home of ours says it so");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Explanation(Box<str>);

impl Explanation {
    /// Makes an explanation of what the house says, shortened and with blanks for what cannot be shown.
    pub fn new(text: &str) -> Self {
        let end = text.floor_char_boundary(defaults::EXPLANATION_BYTES);
        Self(text[..end].chars().map(|c| if is_hidden(c) { ' ' } else { c }).collect())
    }

    /// Takes an explanation from a peer, unless it is too long, empty, or has hidden characters.
    pub fn parse(text: &str) -> Option<Self> {
        let fine = text.len() <= defaults::EXPLANATION_BYTES && !text.trim().is_empty();
        (fine && !text.contains(is_hidden)).then(|| Self(text.into()))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explanation_is_cut_between_characters_and_can_be_read_back() {
        let long = Explanation::new(&"ä".repeat(150));
        assert_eq!(long.as_str().len(), defaults::EXPLANATION_BYTES);
        assert_eq!(Explanation::parse(long.as_str()), Some(long));
    }

    #[test]
    fn peer_cannot_steer_a_terminal_by_an_explanation() {
        for hostile in ["", "  ", "a\u{1b}[2J", "two\nlines", "\u{202e}desrever", &"a".repeat(201)] {
            assert_eq!(Explanation::parse(hostile), None, "{hostile:?}");
        }
    }
}
