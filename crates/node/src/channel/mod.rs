//! The secured channel: from a socket to frames of a peer whose key is proven.
//!
//! ```text
//! Link (frames) → TLS 1.3, both keys pinned → WebSocket (binary) → Metered → TCP
//! ```
//!
//! An [`Endpoint`] is this home as others reach it: it dials and accepts, and the
//! outcome is a [`Secured`] stream that knows its peer. A [`Listener`] accepts for it under the limits of
//! a door on the street. [`Secured::into_link`] makes frames of the stream.
//!
//! Always holds: who a peer is follows from the key TLS proved, never from a message; no
//! application byte is read from or written to a peer that is not admitted; whoever is
//! not admitted costs little time and memory and learns nothing about the reason.
//!
//! ```
//! use crosshome_node::{channel::{Door, Endpoint, Pins, Target}, identity::Identity};
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let (villa, cabin) = (Identity::generate(), Identity::generate());
//! let (villa_pins, cabin_pins) = (Pins::default(), Pins::default());
//! villa_pins.insert(cabin.key());
//! cabin_pins.insert(villa.key());
//! let at_villa = Endpoint::new(villa.clone(), villa_pins, Door::default());
//! let at_cabin = Endpoint::new(cabin.clone(), cabin_pins, Door::default());
//!
//! let (near, far) = tokio::io::duplex(64 * 1024);
//! let dial = at_cabin.dial_over(near, "villa:8765", Target::Sync(villa.id()));
//! let (dialed, accepted) = tokio::try_join!(dial, at_villa.accept(far)).unwrap();
//! assert_eq!(dialed.peer().id(), villa.id());
//! assert_eq!(accepted.peer().id(), cabin.id());
//! # });
//! ```

mod compression;
mod error;
mod frame;
#[cfg(feature = "fuzz")]
pub(crate) mod fuzz;
mod limits;
mod link;
mod listener;
mod metered;
mod pins;
mod secured;
mod tls;
mod websocket;

pub use compression::{Compressor, Decompressor, Dictionary};
pub use error::{ChannelError, Phase};
pub use frame::Frame;
pub use link::{LinkError, LinkReader, LinkWriter};
pub use listener::{Arrival, ListenError, Listener};
pub use metered::Traffic;
pub use pins::{Door, Pins};
pub use secured::{ByteStream, Endpoint, Purpose, Secured, Target};
pub use tls::warm_up;
