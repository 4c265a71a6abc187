//! The channel's own parsers, for the fuzzer.

use super::{Decompressor, frame::FrameReader, websocket};
use crate::defaults::FRAME_BYTES;

/// Takes all frames out of what a peer has sent, and returns how many bytes they have.
pub fn frames(bytes: &[u8]) -> usize {
    let mut reader = FrameReader::new(Some(Decompressor::new(None)));
    reader.set_limit(FRAME_BYTES);
    reader.buffer.extend_from_slice(bytes);
    let mut sum = 0;
    while let Ok(Some(frame)) = reader.take() {
        assert!(!frame.is_empty() && frame.len() <= FRAME_BYTES);
        sum += frame.len();
    }
    sum
}

/// Answers a stranger who says this, and tells whether it was let in as far as TLS.
pub async fn upgrade(bytes: &[u8]) -> bool {
    websocket::accept(tokio::io::join(bytes, tokio::io::sink())).await.is_ok()
}
