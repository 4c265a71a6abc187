//! What a home knows and how two homes agree.
//!
//! Everything here is plain data and pure functions: time and randomness come
//! in as arguments, bytes and effects go out. The same code runs in the daemon, the
//! simulator, the model checker and the fuzzer.

pub mod body;
#[cfg(feature = "bugs")]
pub mod bug;
#[cfg(not(feature = "bugs"))]
#[allow(unreachable_pub, reason = "public where the feature makes the module so")]
mod bug;
pub mod conflict;
pub mod defaults;
pub mod digest;
pub mod dot;
pub mod effect;
pub mod entity_id;
pub mod epoch;
pub mod grant;
pub mod groups;
pub mod hlc;
mod id;
pub mod intent;
pub mod json;
pub mod pairing;
pub mod policy;
pub mod record;
pub mod replica;
pub mod risk;
pub mod seed;
pub mod session;
pub mod siblings;
#[cfg(feature = "sim")]
pub mod sim;
pub mod table;
pub mod update;
pub mod version;
pub mod view;
pub mod wire;

pub use entity_id::{EntityId, EntityKey, Space};
pub use id::{HomeId, HomeIdError};
