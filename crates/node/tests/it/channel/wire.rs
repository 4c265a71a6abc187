//! The wire between two homes in somebody else's hands: kept, changed or cut.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split};

use super::PIPE;

/// What went over a wire in one direction.
pub(super) type Record = Arc<Mutex<Vec<u8>>>;

/// A pipe between a dialer and a listener with somebody in the middle.
pub(super) struct Wire {
    pub(super) dialer: DuplexStream,
    pub(super) listener: DuplexStream,
    /// Everything the dialer sent.
    pub(super) upstream: Record,
    /// Everything the listener sent.
    pub(super) downstream: Record,
}

impl Wire {
    /// Lays a wire that passes on everything, but flips a bit in the dialer's byte number `flip`.
    pub(super) fn new(flip: Option<usize>) -> Self {
        let ((dialer, dialer_end), (listener, listener_end)) = (duplex(PIPE), duplex(PIPE));
        let (upstream, downstream) = (Record::default(), Record::default());
        let ((from_dialer, to_dialer), (from_listener, to_listener)) =
            (split(dialer_end), split(listener_end));
        tokio::spawn(pass(from_dialer, to_listener, upstream.clone(), flip));
        tokio::spawn(pass(from_listener, to_dialer, downstream.clone(), None));
        Self { dialer, listener, upstream, downstream }
    }
}

async fn pass(
    mut from: ReadHalf<DuplexStream>,
    mut to: WriteHalf<DuplexStream>,
    record: Record,
    flip: Option<usize>,
) {
    let mut buffer = vec![0; PIPE];
    let mut passed = 0;
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let bytes = &mut buffer[..read];
        if let Some(place) = flip.and_then(|at| at.checked_sub(passed)).filter(|place| *place < read) {
            bytes[place] ^= 0x10;
        }
        passed += read;
        record.lock().unwrap().extend_from_slice(bytes);
        if to.write_all(bytes).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}
