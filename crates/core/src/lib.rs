//! What a home knows and how two homes agree.
//!
//! Everything here is plain data and pure functions: time and randomness come
//! in as arguments, bytes and effects go out. The same code runs in the daemon, the
//! simulator, the model checker and the fuzzer.

pub mod defaults;
mod id;
pub mod pairing;

pub use id::{HomeId, HomeIdError};
