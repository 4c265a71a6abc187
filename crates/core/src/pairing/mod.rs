//! How two homes that never met come to trust each other's keys.
//!
//! One home shows a code (or sends an invitation, or both have a shared key in their
//! configuration), the other one types it and dials. TLS has already proven each side's
//! key, but nobody trusts it yet; this conversation runs inside that session:
//!
//! ```text
//! Typing (dialled)                             Showing (was dialled)
//!   start: method, versions, share   ───────▶  counts the attempt, then
//!                                    ◀───────  share: versions, share
//!   proof                            ───────▶  wrong: "no", attempt lost
//!   wrong: "no"                      ◀───────  proof
//!   introduction                     ───────▶  stores the pairing, then
//!   stores the pairing               ◀───────  introduction
//! ```
//!
//! The shares are SPAKE2's: a wrong guess teaches nothing but that it was wrong. Both
//! proofs cover the TLS exporter, both keys, the roles and the first two messages byte by
//! byte, so a man in the middle who forwards everything still does not fit ([`Binding`]).
//!
//! What always holds: a secret comes out of [`Windows`] only as a counted attempt; no bytes
//! beyond 4 KiB are looked at; a machine that has seen an error is over; the peer is who
//! TLS says it is, never who a message says; every error looks the same from outside
//! ([`REFUSAL`]). There is no clock, no randomness and no I/O here: all three are
//! arguments.
//!
//! ```
//! use crosshome_core::{HomeId, pairing::*};
//!
//! let introduce = |name| Introduction::new(name, "0.1.0", ProtocolRange::new(1, 1)?, &["sync"]);
//! let (alps, city) = (HomeId([1; 32]), HomeId([2; 32]));
//! let exporter = [3; 32]; // both ends of one TLS session export the same
//!
//! let code = Code::new(&[4; 16]);
//! let mut windows = Windows::default();
//! windows.open(vec![code.secret()], 0, 300_000);
//! let binding = Binding { exporter, me: alps, peer: city };
//! let mut showing = Showing::new(binding, introduce("Alps")?, &[5; 64])?;
//!
//! let typed = Code::parse(&code.shown())?;
//! let binding = Binding { exporter, me: city, peer: alps };
//! let (mut typing, mut message) = Typing::start(&typed.secret(), binding, introduce("City")?, &[6; 64])?;
//! let paired = loop {
//!     message = match showing.receive(&message, &mut windows, 1_000)? {
//!         Step::Send(answer) | Step::Paired { send: Some(answer), .. } => answer,
//!         Step::Paired { send: None, .. } => unreachable!("the showing side has the last word"),
//!     };
//!     message = match typing.receive(&message)? {
//!         Step::Send(answer) => answer,
//!         Step::Paired { paired, .. } => break paired,
//!     };
//! };
//! assert_eq!((paired.peer, paired.introduction.name()), (alps, "Alps"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod binding;
mod code;
mod error;
mod fields;
mod introduction;
mod invitation;
mod machine;
mod message;
mod secret;
mod shared_key;
mod spake2;
mod window;
mod words;

pub use binding::{Binding, PairSecret, Role};
pub use code::{Code, CodeError};
pub use error::{PairingError, REFUSAL};
pub(crate) use introduction::is_hidden;
pub use introduction::{Introduction, IntroductionError, ProtocolRange, is_name};
pub use invitation::{Address, Invitation, InvitationError};
pub use machine::{Paired, Showing, Step, Typing};
pub use secret::{Method, Secret};
pub use shared_key::{SharedKey, SharedKeyError};
pub use window::{Shown, Windows};
pub use words::{Word, Words};
