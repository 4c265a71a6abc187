//! Frames to and from one peer.
//!
//! A [`LinkWriter`] packs all frames of one call into one burst: one record and one
//! message when they are short, full records when they are long. A [`LinkReader`] gives
//! all whole frames that have arrived, so that bulk costs one wake-up for many. The
//! first frames must be as short as a hello; [`LinkReader::set_limit`] ends that.
//!
//! Always holds: a stream that ends without TLS's close is [`LinkError::Truncated`],
//! however cleanly TCP ended; frames that arrived whole before are given out first.

use std::{
    fmt,
    future::poll_fn,
    io,
    pin::{Pin, pin},
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
use rustls::{AlertDescription, Error as TlsError};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf},
    time::{Instant, sleep, timeout},
};
use tokio_rustls::TlsStream;
use tokio_util::io::poll_read_buf;

use super::{
    ByteStream, Compressor, Decompressor, Dictionary, Frame, Purpose, Secured, Traffic,
    error::inner,
    frame::{self, FrameReader},
};
use crate::defaults::{FAREWELL_TIME, READ_AHEAD_BYTES, STALL_TIME, WRITE_SPARE_BYTES};

type Io = TlsStream<Box<dyn ByteStream>>;

impl Secured {
    /// Makes frames of the stream; compressed ones only between paired homes.
    pub fn into_link(self, dictionary: Option<&'static Dictionary>) -> (LinkReader, LinkWriter) {
        let paired = self.purpose() == Purpose::Sync;
        let frames = FrameReader::new(paired.then(|| Decompressor::new(dictionary)));
        let compressor = paired.then(|| Compressor::new(dictionary));
        let (from, to) = tokio::io::split(self.io);
        let traffic = self.traffic;
        let reader = LinkReader { io: from, frames, end: None, traffic: traffic.clone() };
        (reader, LinkWriter { io: to, out: BytesMut::new(), compressor, traffic })
    }
}

/// The receiving side of a link.
pub struct LinkReader {
    io: ReadHalf<Io>,
    frames: FrameReader,
    /// What ended the stream while frames before it were still to be given out.
    end: Option<LinkError>,
    traffic: Arc<Traffic>,
}

impl LinkReader {
    /// Waits for frames and returns those that have arrived whole, at least one and at most `max`.
    ///
    /// # Errors
    ///
    /// [`LinkError::Closed`] when the peer ended the link as it should; see the other variants for everything else.
    /// After an error the link is of no use.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn recv(&mut self, max: usize) -> Result<Vec<Frame>, LinkError> {
        loop {
            let frames = self.take(max.max(1))?;
            if !frames.is_empty() {
                return Ok(frames);
            }
            match self.end.take() {
                // An end within a frame was not meant, whatever TLS says.
                Some(LinkError::Closed) if !self.frames.is_between_frames() => {
                    return Err(LinkError::Truncated);
                }
                Some(end) => return Err(end),
                None => poll_fn(|cx| self.poll_fill(cx)).await,
            }
        }
    }

    /// Accepts frames of up to `bytes` from the next one on, never more than the protocol's limit.
    pub fn set_limit(&mut self, bytes: usize) {
        self.frames.set_limit(bytes);
    }

    /// Returns the counters of this link.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Takes whole frames from the buffer; what is wrong with a later one shows when the earlier ones are gone.
    fn take(&mut self, max: usize) -> Result<Vec<Frame>, LinkError> {
        let mut taken = Vec::new();
        while taken.len() < max {
            match self.frames.take() {
                Ok(Some(frame)) => taken.push(frame),
                Err(err) if taken.is_empty() => return Err(err),
                Ok(None) | Err(_) => break,
            }
        }
        let bytes: usize = taken.iter().map(Frame::len).sum();
        self.traffic.frames_in.fetch_add(taken.len() as u64, Relaxed);
        self.traffic.plain_in.fetch_add(bytes as u64, Relaxed);
        Ok(taken)
    }

    /// Reads what is there, once woken, up to [`READ_AHEAD_BYTES`].
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut filled = 0;
        while filled < READ_AHEAD_BYTES {
            self.frames.make_room();
            match poll_read_buf(Pin::new(&mut self.io), cx, &mut self.frames.buffer) {
                Poll::Ready(Ok(0)) => self.end = Some(LinkError::Closed),
                Poll::Ready(Ok(read)) => {
                    filled += read;
                    continue;
                }
                Poll::Ready(Err(err)) => self.end = Some(LinkError::of_io(err)),
                Poll::Pending if filled == 0 => return Poll::Pending,
                Poll::Pending => {}
            }
            break;
        }
        Poll::Ready(())
    }
}

/// The sending side of a link.
pub struct LinkWriter {
    io: WriteHalf<Io>,
    /// What waits to be written.
    out: BytesMut,
    compressor: Option<Compressor>,
    traffic: Arc<Traffic>,
}

impl LinkWriter {
    /// Sends `frames` as one burst and returns when the system has taken all of it.
    ///
    /// # Errors
    ///
    /// [`LinkError::TooLong`] and [`LinkError::Empty`] when a frame is none, and then nothing is sent;
    /// [`LinkError::Stalled`] when the peer does not read; otherwise as [`LinkReader::recv`].
    ///
    /// # Cancel safety
    ///
    /// Frames are taken over with the first poll; after a dropped future they leave with the next call.
    pub async fn send<F: AsRef<[u8]>>(&mut self, frames: &[F]) -> Result<(), LinkError> {
        self.pack(frames)?;
        self.write_out().await
    }

    /// Ends the link so that the peer knows it was meant.
    pub async fn close(mut self) {
        // What waits belongs before the end; a peer that is gone does not need the end.
        let farewell = async {
            let _ = self.write_out().await;
            let _ = self.io.shutdown().await;
        };
        let _ = timeout(FAREWELL_TIME, farewell).await;
    }

    /// Returns the counters of this link.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    fn pack<F: AsRef<[u8]>>(&mut self, frames: &[F]) -> Result<(), LinkError> {
        let before = self.out.len();
        for frame in frames {
            if let Err(err) = frame::put(&mut self.out, frame.as_ref(), self.compressor.as_mut()) {
                self.out.truncate(before);
                return Err(err);
            }
        }
        let bytes: usize = frames.iter().map(|frame| frame.as_ref().len()).sum();
        self.traffic.frames_out.fetch_add(frames.len() as u64, Relaxed);
        self.traffic.plain_out.fetch_add(bytes as u64, Relaxed);
        Ok(())
    }

    async fn write_out(&mut self) -> Result<(), LinkError> {
        let mut patience = pin!(sleep(STALL_TIME));
        poll_fn(|cx| {
            let before = self.traffic.wire_out();
            if let Poll::Ready(written) = self.poll_write_out(cx) {
                return Poll::Ready(written.map_err(LinkError::of_io));
            }
            if self.traffic.wire_out() != before {
                patience.as_mut().reset(Instant::now() + STALL_TIME);
            }
            patience.as_mut().poll(cx).map(|()| Err(LinkError::Stalled))
        })
        .await
    }

    fn poll_write_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.out.has_remaining() {
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, &self.out))?;
            self.out.advance(written);
        }
        if self.out.capacity() > WRITE_SPARE_BYTES {
            self.out = BytesMut::new();
        }
        Pin::new(&mut self.io).poll_flush(cx)
    }
}

impl fmt::Debug for LinkReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkReader").field("traffic", &self.traffic).finish_non_exhaustive()
    }
}

impl fmt::Debug for LinkWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkWriter").field("traffic", &self.traffic).finish_non_exhaustive()
    }
}

/// Why a link gave or took no more frames.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The peer ended the link as it should.
    #[error("the peer closed the link")]
    Closed,
    /// The stream ended in the middle: the network, or somebody on it.
    #[error("the link was cut")]
    Truncated,
    /// The peer does not admit this home: not paired there, or revoked, or pairing is closed.
    #[error("the peer does not admit this home")]
    NotAdmitted,
    /// A frame is longer than is accepted now.
    #[error("frame of {size} bytes is over the limit of {limit}")]
    TooLong {
        /// Its length.
        size: usize,
        /// What is accepted.
        limit: usize,
    },
    /// A frame has no content.
    #[error("frame without content")]
    Empty,
    /// A frame is compressed where only plain ones are accepted.
    #[error("compressed frame before pairing")]
    Compressed,
    /// A compressed frame would grow more than honest ones do.
    #[error("compressed frame of {packed} bytes would grow to {size}")]
    Bomb {
        /// Its length as sent.
        packed: usize,
        /// The length it promises.
        size: usize,
    },
    /// A compressed frame is not sound.
    #[error("compressed frame is damaged")]
    Damaged,
    /// Somebody changed, repeated or made up what came in.
    #[error("what came in is not what the peer sent: {0}")]
    Forged(TlsError),
    /// The peer reads nothing.
    #[error("the peer read nothing for {} s", STALL_TIME.as_secs())]
    Stalled,
    /// The connection broke.
    #[error("the link was lost: {0}")]
    Lost(io::Error),
}

impl LinkError {
    fn of_io(err: io::Error) -> Self {
        match inner::<TlsError>(&err) {
            Some(TlsError::AlertReceived(AlertDescription::CertificateUnknown)) => Self::NotAdmitted,
            Some(tls) => Self::Forged(tls.clone()),
            None if err.kind() == io::ErrorKind::UnexpectedEof => Self::Truncated,
            None => Self::Lost(err),
        }
    }
}
