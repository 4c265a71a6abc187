//! The first message of a session, sent by both sides at once.

use minicbor::{Decode, Encode};

use crate::{digest::Digest, epoch::Cursor, hlc::Hlc};

/// Who speaks, how far it has followed the other, where its own log stands, and what the other should hold of it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Hello {
    /// The lowest protocol version spoken.
    #[n(0)]
    pub proto_low: u16,
    /// The highest protocol version spoken.
    #[n(1)]
    pub proto_high: u16,
    /// The present epoch of the sender's log: random per start, so that two live homes with one key show themselves.
    #[n(2)]
    pub epoch: u64,
    /// The latest place in the sender's log.
    #[n(3)]
    pub head: u64,
    /// The sender's clock.
    #[n(4)]
    pub clock: Hlc,
    /// How far the sender has followed the receiver.
    #[n(5)]
    pub cursor: Cursor,
    /// The sender's name for itself.
    #[n(6)]
    pub name: String,
    /// What the receiver should hold of the sender's space once it has followed up to `head`.
    #[n(7)]
    pub digest: Option<Digest>,
}

/// The protocol versions this home speaks.
pub const PROTO: (u16, u16) = (1, 1);
