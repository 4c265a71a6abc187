//! Counting bytes at the socket, and letting few in from a stranger.
//!
//! [`Metered`] wraps the lowest stream. Until the peer is admitted its [`Allowance`]
//! bounds what is read in each phase, which bounds the memory above it: neither the HTTP parser
//! nor the WebSocket nor TLS can be made to hold more than what was let through. The rest
//! waits in the kernel: it may be the first burst of an honest peer that is ahead of
//! us; whoever needs it to get through the handshake runs out of time.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What went over one link, for metrics and measurements; the numbers only rise.
#[derive(Debug, Default)]
pub struct Traffic {
    pub(super) wire_in: AtomicU64,
    pub(super) wire_out: AtomicU64,
    pub(super) frames_in: AtomicU64,
    pub(super) frames_out: AtomicU64,
    pub(super) plain_in: AtomicU64,
    pub(super) plain_out: AtomicU64,
}

impl Traffic {
    /// Returns the bytes read from the socket.
    pub fn wire_in(&self) -> u64 {
        self.wire_in.load(Relaxed)
    }

    /// Returns the bytes written to the socket.
    pub fn wire_out(&self) -> u64 {
        self.wire_out.load(Relaxed)
    }

    /// Returns the frames received.
    pub fn frames_in(&self) -> u64 {
        self.frames_in.load(Relaxed)
    }

    /// Returns the frames sent.
    pub fn frames_out(&self) -> u64 {
        self.frames_out.load(Relaxed)
    }

    /// Returns the bytes of the frames received, decompressed.
    pub fn plain_in(&self) -> u64 {
        self.plain_in.load(Relaxed)
    }

    /// Returns the bytes of the frames sent, before compression.
    pub fn plain_out(&self) -> u64 {
        self.plain_out.load(Relaxed)
    }
}

/// How many more bytes may be read; shared with the code that moves from phase to phase.
#[derive(Debug, Clone)]
pub(super) struct Allowance(Arc<AtomicU64>);

impl Allowance {
    /// Allows `bytes` from now on.
    pub(super) fn set(&self, bytes: u64) {
        self.0.store(bytes, Relaxed);
    }

    /// Allows everything from now on.
    pub(super) fn lift(&self) {
        self.set(u64::MAX);
    }

    fn left(&self) -> u64 {
        self.0.load(Relaxed)
    }

    fn take(&self, bytes: usize) {
        // One task reads at a time, so reading and storing need not be one step.
        match self.left() {
            u64::MAX => {}
            left => self.set(left.saturating_sub(bytes as u64)),
        }
    }
}

/// A stream that counts, and that reads no more than is allowed.
#[derive(Debug)]
pub(super) struct Metered<S> {
    inner: S,
    traffic: Arc<Traffic>,
    allowance: Allowance,
}

impl<S> Metered<S> {
    pub(super) fn new(inner: S, bytes: u64) -> Self {
        Self { inner, traffic: Arc::default(), allowance: Allowance(Arc::new(AtomicU64::new(bytes))) }
    }

    pub(super) fn traffic(&self) -> Arc<Traffic> {
        self.traffic.clone()
    }

    pub(super) fn allowance(&self) -> Allowance {
        self.allowance.clone()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let room = usize::try_from(self.allowance.left()).unwrap_or(usize::MAX).min(buf.remaining());
        if room == 0 && buf.remaining() > 0 {
            // Nobody is woken when the allowance grows: who lets more in reads next.
            return Poll::Pending;
        }
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(room));
        ready!(Pin::new(&mut self.inner).poll_read(cx, &mut part))?;
        let read = part.filled().len();
        buf.advance(read);
        self.allowance.take(read);
        self.traffic.wire_in.fetch_add(read as u64, Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.inner).poll_write(cx, buf))?;
        self.traffic.wire_out.fetch_add(written as u64, Relaxed);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn what_is_not_allowed_waits() {
        let (mut near, far) = tokio::io::duplex(64);
        near.write_all(b"twelve bytes").await.unwrap();
        let mut metered = Metered::new(far, 5);
        let mut buffer = [0; 64];
        assert_eq!(metered.read(&mut buffer).await.unwrap(), 5);
        assert!(metered.read(&mut buffer).now_or_never().is_none());
        metered.allowance().lift();
        assert_eq!(metered.read(&mut buffer).await.unwrap(), 7);
        assert_eq!(metered.traffic().wire_in(), 12);
    }
}
