//! What outside bytes meet first, for the fuzzer (feature `fuzz`): parts that are nobody else's business.

pub use crate::{
    channel::fuzz::{frames, upgrade},
    defaults::{JSON_DEPTH, JSON_NODES},
};

/// Tells whether a text has as few levels and values as a body of the API may have.
pub fn json_is_bounded(text: &[u8]) -> bool {
    crate::http::json_bounds::check(text).is_ok()
}
