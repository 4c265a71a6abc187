//! Commands to a device in another home, and what became of them.
//!
//! Only the owner's home reports a device's state, so whoever wants it otherwise
//! sends an [`Intent`] and hears an [`Outcome`]. An intent names the call or the
//! wanted values, and lives for seconds: late is worse than never.

use std::fmt;

use crate::{
    EntityId, defaults,
    dot::Dot,
    json::{Json, Members},
    pairing::is_hidden,
};

/// A command to the owner of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// Its name for ever.
    pub id: Dot,
    /// The device, in the receiver's own space.
    pub entity: EntityId,
    /// What is wanted.
    pub wish: Wish,
    /// How long it may still be carried out, in milliseconds from its stamp.
    pub ttl_ms: u64,
}

/// What a command wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// These values: the state, and single attributes.
    Set {
        /// The wanted state.
        state: Option<Json>,
        /// The wanted attributes.
        attributes: Members,
    },
    /// This service of Home Assistant, with its data as a JSON object.
    Call {
        /// `domain.service`
        service: Box<str>,
        /// A JSON object.
        data: Json,
    },
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The command.
    pub id: Dot,
    /// How far it came.
    pub status: Status,
    /// Why it came no further, for the person who waits.
    pub explanation: Option<Explanation>,
}

/// How far a command came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// The owner's house has taken it on.
    Accepted,
    /// The device does what was wanted.
    Settled,
    /// The sender has no right, or the house cannot do it.
    Rejected,
    /// Its time was over before the device did it.
    Expired,
}

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

impl Intent {
    /// Tells whether the command may still be carried out.
    pub fn alive(&self, now_ms: u64) -> bool {
        now_ms < self.id.hlc.ms().saturating_add(self.ttl_ms)
    }
}

/// Returns how long a command to this entity may wait.
pub fn ttl_ms(entity: &EntityId) -> u64 {
    match entity.domain() {
        "lock" | "alarm_control_panel" | "cover" => defaults::RISKY_INTENT_TTL_MS,
        _ => defaults::INTENT_TTL_MS,
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
