//! Pairing: codes shown, invitations made, homes pinned.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A code on show; its window is open.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct ShownCode {
    /// Eight digits and a check digit, as `123-456-789`.
    pub code: String,
    /// Seconds until the window closes.
    pub expires_in_s: u64,
    /// Link with the same effect, for a QR code.
    pub invitation: String,
}

impl fmt::Debug for ShownCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ShownCode(.., {} s)", self.expires_in_s)
    }
}

/// A link that pairs whoever has it, once.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct Invitation {
    /// Link to hand over in private.
    pub link: String,
    /// Seconds until it ends.
    pub expires_in_s: u64,
}

impl fmt::Debug for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Invitation(.., {} s)", self.expires_in_s)
    }
}

/// A home just paired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PairedView {
    /// Full id.
    pub id: String,
    /// Name it gave.
    pub name: String,
    /// Four emoji that must be the same on both screens.
    pub words: String,
}

/// Answer to a code or link that was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PairedReply {
    /// The home whose key is pinned now.
    pub paired: PairedView,
}

/// What becomes of a code on show: one JSON object with one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PairingNews {
    /// Somebody typed it rightly.
    Paired(PairedView),
    /// Somebody typed it wrongly.
    Failed {
        /// What happened, in words.
        reason: String,
        /// Tries left; at 0 the code is dead.
        tries_left: u8,
    },
    /// The window closed without a pairing.
    Ended {
        /// Whether time ran out, tries ran out or a person cancelled.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_on_show_does_not_reach_a_log() {
        let shown = ShownCode {
            code: "123-456-789".into(),
            expires_in_s: 300,
            invitation: "crosshome:secret".into(),
        };
        assert_eq!(format!("{shown:?}"), "ShownCode(.., 300 s)");
    }

    #[test]
    fn pairing_news_read_as_the_command_line_prints_them() {
        let paired = PairedView { id: "xh1".into(), name: "villa".into(), words: "🐝".into() };
        let text = serde_json::to_string(&PairingNews::Paired(paired.clone())).expect("plain data");
        assert_eq!(text, r#"{"paired":{"id":"xh1","name":"villa","words":"🐝"}}"#);
        assert_eq!(serde_json::from_str::<PairedReply>(&text).expect("same shape"), PairedReply { paired });
    }
}
