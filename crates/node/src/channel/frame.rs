//! Frames in a stream of bytes: a head of one to four bytes, then the payload.
//!
//! The head is twice the payload's length, and one more if it is zstd: seven bits to a byte, lowest
//! first, the top bit of all but the last set. A length is judged before room is made for it, and a
//! frame is taken out of the buffer only when it is whole and sound, so that nothing is lost when
//! reading stops in between.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use std::ops::Range;

use super::{Compressor, Decompressor, LinkError};
use crate::defaults::{FRAME_BYTES, HELLO_BYTES};

/// The bytes of one frame.
pub type Frame = Bytes;

/// The longest head: 28 bits are room for 64 times the longest frame.
const HEAD: usize = 4;
/// The longest TLS record: what one read can give.
const RECORD: usize = 16 * 1024;

/// Appends `frame` to `out`, compressed when that pays and `compressor` is there.
pub(super) fn put(
    out: &mut BytesMut,
    frame: &[u8],
    compressor: Option<&mut Compressor>,
) -> Result<(), LinkError> {
    if frame.len() > FRAME_BYTES {
        return Err(LinkError::TooLong { size: frame.len(), limit: FRAME_BYTES });
    }
    if frame.is_empty() {
        return Err(LinkError::Empty);
    }
    let (packed, payload) = match compressor.and_then(|compressor| compressor.pack(frame)) {
        Some(packed) => (true, packed),
        None => (false, frame),
    };
    out.reserve(HEAD + payload.len());
    put_head(out, packed, payload.len());
    out.extend_from_slice(payload);
    Ok(())
}

fn put_head(out: &mut BytesMut, packed: bool, size: usize) {
    let mut rest = size << 1 | usize::from(packed);
    while rest >= 0x80 {
        out.put_u8(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.put_u8(rest as u8);
}

/// What stands before a payload.
struct Head {
    packed: bool,
    size: usize,
    /// How long the head itself is.
    len: usize,
}

impl Head {
    /// Reads a head; nothing is returned where it goes on beyond the buffer.
    fn read(buffer: &[u8]) -> Result<Option<Self>, Unending> {
        let Some(last) = buffer.iter().take(HEAD).position(|byte| byte & 0x80 == 0) else {
            return if buffer.len() < HEAD { Ok(None) } else { Err(Unending) };
        };
        let value = buffer[..=last].iter().rev().fold(0, |value, byte| value << 7 | usize::from(byte & 0x7f));
        Ok(Some(Self { packed: value & 1 == 1, size: value >> 1, len: last + 1 }))
    }
}

/// A head says that it goes on after its last possible byte.
struct Unending;

/// Takes frames out of what was read.
#[derive(Debug)]
pub(super) struct FrameReader {
    /// What was read and not yet taken.
    pub(super) buffer: BytesMut,
    limit: usize,
    decompressor: Option<Decompressor>,
}

impl FrameReader {
    /// Makes a reader that accepts frames as long as a hello; without a decompressor, plain ones only.
    pub(super) fn new(decompressor: Option<Decompressor>) -> Self {
        Self { buffer: BytesMut::new(), limit: HELLO_BYTES, decompressor }
    }

    pub(super) fn set_limit(&mut self, bytes: usize) {
        self.limit = bytes.min(FRAME_BYTES);
    }

    /// Takes the next whole frame, or tells that more has to be read.
    pub(super) fn take(&mut self) -> Result<Option<Frame>, LinkError> {
        let limit = self.limit;
        let head =
            Head::read(&self.buffer).map_err(|Unending| LinkError::TooLong { size: usize::MAX, limit })?;
        let Some(Head { packed, size, len }) = head else { return Ok(None) };
        if size > limit {
            return Err(LinkError::TooLong { size, limit });
        }
        if size == 0 {
            return Err(LinkError::Empty);
        }
        if self.buffer.len() < len + size {
            return Ok(None);
        }
        if packed {
            return self.take_packed(len..len + size).map(Some);
        }
        self.buffer.advance(len);
        Ok(Some(self.buffer.split_to(size).freeze()))
    }

    /// Makes room for a record, when little is left; a buffer whose frames are gone is used again.
    pub(super) fn make_room(&mut self) {
        if self.buffer.capacity() - self.buffer.len() < RECORD / 4 {
            self.buffer.reserve(RECORD);
        }
    }

    /// Tells whether no begun frame waits for its rest.
    pub(super) fn is_between_frames(&self) -> bool {
        self.buffer.is_empty()
    }

    fn take_packed(&mut self, payload: Range<usize>) -> Result<Frame, LinkError> {
        let decompressor = self.decompressor.as_mut().ok_or(LinkError::Compressed)?;
        let frame = decompressor.unpack(&self.buffer[payload.clone()], self.limit)?;
        if frame.is_empty() {
            return Err(LinkError::Empty);
        }
        self.buffer.advance(payload.end);
        Ok(frame.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reader() -> FrameReader {
        let mut reader = FrameReader::new(Some(Decompressor::new(None)));
        reader.set_limit(FRAME_BYTES);
        reader
    }

    fn take_all(reader: &mut FrameReader) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| reader.take().expect("sound frames")).map(|frame| frame.to_vec()).collect()
    }

    proptest! {
        #[test]
        fn frames_come_out_as_they_went_in_however_they_are_cut(
            frames in prop::collection::vec(
                (1_usize..3000, any::<u8>()).prop_map(|(size, seed)| (0..size).map(|i| (i / 7) as u8 ^ seed).collect::<Vec<_>>()),
                0..12,
            ),
            cut in 1_usize..2000,
        ) {
            let (mut out, mut compressor) = (BytesMut::new(), Compressor::new(None));
            for frame in &frames {
                put(&mut out, frame, Some(&mut compressor)).unwrap();
            }
            let (mut reader, mut taken) = (reader(), Vec::new());
            for part in out.chunks(cut) {
                reader.buffer.extend_from_slice(part);
                taken.extend(take_all(&mut reader));
            }
            prop_assert_eq!(taken, frames);
            prop_assert!(reader.buffer.is_empty());
        }

        #[test]
        fn arbitrary_bytes_never_panic_nor_grow(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut reader = reader();
            reader.buffer.extend_from_slice(&bytes);
            while let Ok(Some(frame)) = reader.take() {
                prop_assert!(frame.len() <= bytes.len() * 100);
            }
        }
    }

    #[test]
    fn length_over_the_limit_is_refused_from_its_head_alone() {
        let mut reader = FrameReader::new(None);
        put_head(&mut reader.buffer, false, HELLO_BYTES + 1);
        assert!(matches!(reader.take(), Err(LinkError::TooLong { limit: HELLO_BYTES, .. })));
        reader.set_limit(usize::MAX);
        assert!(matches!(reader.take(), Ok(None)));
        reader.buffer.clear();
        put_head(&mut reader.buffer, false, FRAME_BYTES + 1);
        assert!(matches!(reader.take(), Err(LinkError::TooLong { limit: FRAME_BYTES, .. })));
    }

    #[test]
    fn head_without_an_end_is_refused_and_one_that_has_not_come_whole_is_awaited() {
        let mut reader = FrameReader::new(None);
        for _ in 1..HEAD {
            reader.buffer.put_u8(0xff);
            assert!(matches!(reader.take(), Ok(None)));
        }
        reader.buffer.put_u8(0xff);
        assert!(matches!(reader.take(), Err(LinkError::TooLong { .. })));
    }

    #[test]
    fn compressed_frame_of_a_stranger_is_refused() {
        let mut out = BytesMut::new();
        put(&mut out, &[7; 600], Some(&mut Compressor::new(None))).unwrap();
        let mut reader = FrameReader::new(None);
        reader.buffer = out;
        assert!(matches!(reader.take(), Err(LinkError::Compressed)));
    }

    #[test]
    fn empty_frame_is_neither_sent_nor_taken() {
        assert!(matches!(put(&mut BytesMut::new(), b"", None), Err(LinkError::Empty)));
        let mut reader = reader();
        reader.buffer.put_u8(0);
        assert!(matches!(reader.take(), Err(LinkError::Empty)));
    }

    #[test]
    fn golden_bytes_of_a_plain_and_a_compressed_frame() {
        let mut out = BytesMut::new();
        put(&mut out, b"hello", None).unwrap();
        assert_eq!(hex::encode(&out), "0a68656c6c6f");
        // Other versions of zstd may pack differently, but all must read this.
        let mut reader = reader();
        reader.buffer.extend_from_slice(&hex::decode("1f6058014d00001061610100532a8005").unwrap());
        assert_eq!(take_all(&mut reader), [[b'a'; 600]]);
    }
}
