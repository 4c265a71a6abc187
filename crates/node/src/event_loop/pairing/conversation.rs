//! What both sides of a pairing conversation need.

use crosshome_core::{
    pairing::{Introduction, ProtocolRange},
    wire::PROTO,
};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::super::names::invalid;
use crate::{
    channel::LinkReader,
    defaults::{PAIRING_STEP_TIME, VERSION},
    node::NodeError,
};

/// Waits for the next message, for as long as a step may take.
pub(super) async fn next(reader: &mut LinkReader) -> Option<Vec<u8>> {
    let frames = timeout(PAIRING_STEP_TIME, reader.recv(1)).await.ok()?.ok()?;
    frames.first().map(|frame| frame.to_vec())
}

/// Returns what this home says of itself.
pub(super) fn introduction(name: &str) -> Result<Introduction, NodeError> {
    let protocols = ProtocolRange::new(PROTO.0, PROTO.1).map_err(invalid)?;
    Introduction::new(name, VERSION, protocols, &["sync", "encryption", "shared_entities"]).map_err(invalid)
}

/// Returns fresh random bytes.
pub(super) fn random<const N: usize>() -> Result<[u8; N], NodeError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|_| NodeError::Failed("the system gives no random numbers".into()))?;
    Ok(bytes)
}

/// Returns fresh random bytes for a conversation, wiped when it is over.
pub(super) fn secret_random() -> Result<Zeroizing<[u8; 64]>, NodeError> {
    random().map(Zeroizing::new)
}
