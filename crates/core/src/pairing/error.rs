//! Why pairing failed: precise for this home, one answer for the peer.

use super::IntroductionError;
use crate::HomeId;

/// What the peer is told, whatever went wrong (the CBOR map `{0: 5}`).
///
/// A wrong code, a closed window, an unknown method and a message out of turn all look alike from
/// outside.
pub const REFUSAL: &[u8] = &[0xa1, 0x00, 0x05];

/// Why two homes did not pair. Only [`REFUSAL`] of it leaves this home.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PairingError {
    /// The two homes used different codes or keys, or somebody stands between them.
    #[error("the code or key is wrong, or somebody stands between the two homes")]
    WrongCode,
    /// The peer refused before any code was compared.
    #[error("the other home refused: its code is closed, expired or used up")]
    Refused,
    /// Nobody opened a window for this way of pairing, or it was closed meanwhile.
    #[error("no pairing window is open for this")]
    Closed,
    /// The window was open for its whole time.
    #[error("the code has expired")]
    Expired,
    /// The code was tried too often.
    #[error("the code was tried too often and is dead")]
    NoAttemptsLeft,
    /// The invitation comes from another home than the one that answers.
    #[error("the invitation is from {expected:?} but {found:?} answered")]
    OtherHome {
        /// The home that the invitation names.
        expected: HomeId,
        /// The home whose key TLS proved.
        found: HomeId,
    },
    /// The peer is this home.
    #[error("a home cannot pair with itself")]
    Myself,
    /// A message is longer than any real one.
    #[error("pairing message of {0} bytes is over the limit")]
    TooLong(usize),
    /// A message is not of the documented form; says which part.
    #[error("pairing message is malformed: {0}")]
    Malformed(&'static str),
    /// A message that has its time came at another.
    #[error("{0} came out of turn")]
    OutOfTurn(&'static str),
    /// The introduction was changed on its way or is not the peer's.
    #[error("the introduction is not the other home's")]
    Forged,
    /// The introduction says what no introduction may say.
    #[error("the other home's introduction is refused: {0}")]
    Introduction(#[from] IntroductionError),
    /// The two homes speak no common protocol version.
    #[error("no common protocol version: {ours} here, {theirs} there")]
    NoCommonProtocol {
        /// The range of this home.
        ours: super::ProtocolRange,
        /// The range of the peer.
        theirs: super::ProtocolRange,
    },
    /// The conversation is over; it takes a new one.
    #[error("this pairing is over")]
    Over,
}
