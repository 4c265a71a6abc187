//! What is wrong, and how names of homes, spaces and actors are read.

use std::fmt;

/// Something that a history shows to be broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which invariant: 1 to 14.
    pub invariant: u8,
    /// The number of the line that shows it, from one.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

impl Finding {
    /// Returns a finding at a place among the lines.
    pub(super) fn new(invariant: u8, at: usize, what: String) -> Self {
        Self { invariant, line: at + 1, what }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "I{}: line {}: {}", self.invariant, self.line, self.what)
    }
}

/// Returns the home of an actor `HOME#INCARNATION`.
pub(super) fn home_of(actor: &str) -> &str {
    actor.split('#').next().unwrap_or_default()
}

/// Returns the home that owns an entity `HOME/ID`; nothing for the joint space.
pub(super) fn owner_of(entity: &str) -> Option<&str> {
    entity.split('/').next().filter(|space| *space != "joint")
}
