//! What homes say to each other: CBOR messages, and nothing else.
//!
//! A frame is one CBOR array `[kind, body]`. A body is a map with small integer keys, and in the hello, where
//! every byte counts, an array. Keys that this version does not know are skipped in messages and kept in
//! versions, so a newer home can say more and an older one passes it on. Bounds
//! are checked before anything is allocated. PROTOCOL.md describes every key.
//!
//! ```
//! # use crosshome_core::{hlc::Hlc, wire::{Message, Ping}};
//! let ping = Message::Ping(Ping { nonce: 7, clock: Hlc::at(1_000), digest: None, joint: None });
//! assert_eq!(Message::decode(&ping.encode()).unwrap(), ping);
//! ```

mod actors;
mod bodies;
mod hello;
mod intent;
mod message;
mod offer;
mod scalars;
mod version;

pub use actors::Actors;
pub(crate) use bodies::{Bodies, Known};
pub use hello::{Hello, PROTO};
pub use message::{Ack, Forked, FrameError, Gone, Message, Ping, Pong, Reason, Refused, Want, Why};
pub(crate) use message::{OFFER, open};
pub(crate) use offer::Heading;
pub use offer::{Item, Offer, OfferBuilder, Said};
pub(crate) use version::recall_version;
pub use version::{Draft, Rest, decode_version, encode_version, encode_version_without};
