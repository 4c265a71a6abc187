//! zstd for frames, each by itself, with a shipped dictionary where there is one.
//!
//! A frame never refers to another one, so a lost link loses no state and one frame
//! cannot probe what another contains. What every frame would say alike (the magic number, the dictionary's
//! id) is left out: a single change is sixty bytes, and these were eight of them. What comes in is measured by what its header
//! promises, before a byte of room is made for it.
//!
//! ```
//! use crosshome_node::channel::{Compressor, Decompressor};
//! let frame = "light.hall is on, ".repeat(100);
//! let packed = Compressor::new(None).pack(frame.as_bytes()).unwrap().to_vec();
//! assert!(packed.len() < frame.len() / 10);
//! assert_eq!(Decompressor::new(None).unpack(&packed, 4096).unwrap(), frame.as_bytes());
//! ```

use std::{fmt, sync::LazyLock};

use zstd::{
    bulk,
    dict::{DecoderDictionary, EncoderDictionary},
    zstd_safe,
};

use super::LinkError;
use crate::defaults::{
    COMPRESS_FROM_BYTES, COMPRESS_LEVEL, COMPRESS_WITH_WORDS_FROM_BYTES, DECOMPRESS_RATIO,
};

/// With these bytes every zstd frame begins; they are not sent.
const MAGIC: [u8; 4] = zstd_safe::MAGICNUMBER.to_le_bytes();

/// What `examples/dictionary.rs` has made of the house that `dictionary/house.tsv` describes.
static SHIPPED: LazyLock<Dictionary> =
    LazyLock::new(|| Dictionary::new(1, include_bytes!("../../dictionary/v1.zdict")));

/// Words both sides have before the first byte is sent; made once and shared by all links.
pub struct Dictionary {
    version: u32,
    encoder: EncoderDictionary<'static>,
    decoder: DecoderDictionary<'static>,
}

impl Dictionary {
    /// Prepares the dictionary with this version number; both sides must use the same.
    pub fn new(version: u32, words: &[u8]) -> Self {
        let encoder = EncoderDictionary::copy(words, COMPRESS_LEVEL);
        Self { version, encoder, decoder: DecoderDictionary::copy(words) }
    }

    /// Returns the dictionary of this protocol version.
    pub fn shipped() -> &'static Self {
        &SHIPPED
    }

    /// Returns the version, as the two sides name it to each other.
    pub fn version(&self) -> u32 {
        self.version
    }
}

impl fmt::Debug for Dictionary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dictionary({})", self.version)
    }
}

/// Makes frames smaller where that pays.
pub struct Compressor {
    zstd: bulk::Compressor<'static>,
    /// The shortest frame worth a try.
    from: usize,
    packed: Vec<u8>,
}

impl Compressor {
    /// Makes a compressor with or without a dictionary.
    pub fn new(dictionary: Option<&'static Dictionary>) -> Self {
        let zstd = match dictionary {
            Some(dictionary) => bulk::Compressor::with_prepared_dictionary(&dictionary.encoder),
            None => bulk::Compressor::new(COMPRESS_LEVEL),
        };
        let zstd = zstd.and_then(|mut zstd| {
            zstd.set_parameter(zstd_safe::CParameter::DictIdFlag(false))?;
            Ok(zstd)
        });
        let from = if dictionary.is_some() { COMPRESS_WITH_WORDS_FROM_BYTES } else { COMPRESS_FROM_BYTES };
        Self {
            zstd: zstd.expect("level and dictionary were accepted when built in"),
            from,
            packed: Vec::new(),
        }
    }

    /// Returns `frame` compressed, or `None` when it is better sent as it is.
    ///
    /// A frame that would grow more than [`DECOMPRESS_RATIO`] times on the other side is sent as it is, because
    /// the other side would take it for a bomb.
    pub fn pack(&mut self, frame: &[u8]) -> Option<&[u8]> {
        if frame.len() < self.from {
            return None;
        }
        // Room for no more than the frame itself: what does not fit is not worth it.
        self.packed.clear();
        self.packed.reserve(MAGIC.len() + frame.len());
        self.zstd.compress_to_buffer(frame, &mut self.packed).ok()?;
        let packed = self.packed.strip_prefix(&MAGIC)?;
        let pays = packed.len() < frame.len() && frame.len() <= packed.len() * DECOMPRESS_RATIO;
        pays.then_some(packed)
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Compressor")
    }
}

/// Restores frames that a peer made smaller.
pub struct Decompressor {
    zstd: bulk::Decompressor<'static>,
}

impl Decompressor {
    /// Makes a decompressor with or without a dictionary.
    pub fn new(dictionary: Option<&'static Dictionary>) -> Self {
        let zstd = match dictionary {
            Some(dictionary) => bulk::Decompressor::with_prepared_dictionary(&dictionary.decoder),
            None => bulk::Decompressor::new(),
        };
        Self { zstd: zstd.expect("the dictionary was accepted when built in") }
    }

    /// Returns the frame that `packed` stands for.
    ///
    /// # Errors
    ///
    /// When it would be longer than `limit` or grow too much, or is not, with its magic number before it, exactly
    /// one sound zstd frame that tells its size.
    pub fn unpack(&mut self, packed: &[u8], limit: usize) -> Result<Vec<u8>, LinkError> {
        let whole = [&MAGIC[..], packed].concat();
        let size = promised_size(&whole)?;
        if size > limit {
            return Err(LinkError::TooLong { size, limit });
        }
        if size > packed.len().saturating_mul(DECOMPRESS_RATIO) {
            return Err(LinkError::Bomb { packed: packed.len(), size });
        }
        let mut frame = Vec::with_capacity(size);
        let unpacked = self.zstd.decompress_to_buffer(&whole[..], &mut frame);
        if !unpacked.is_ok_and(|unpacked| unpacked == size) {
            return Err(LinkError::Damaged);
        }
        Ok(frame)
    }
}

impl fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decompressor")
    }
}

/// Reads the size from the header; a second frame behind the first one would not be counted in it and is refused.
fn promised_size(packed: &[u8]) -> Result<usize, LinkError> {
    let whole = zstd_safe::find_frame_compressed_size(packed);
    let size = zstd_safe::get_frame_content_size(packed);
    match (whole, size) {
        (Ok(whole), Ok(Some(size))) if whole == packed.len() => {
            usize::try_from(size).map_err(|_| LinkError::Damaged)
        }
        _ => Err(LinkError::Damaged),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    fn text(size: usize) -> Vec<u8> {
        let words =
            (0_u64..).flat_map(|i| format!("sensor.room_{} = {};", i % 37, i * i % 1013).into_bytes());
        words.take(size).collect()
    }

    fn noise(size: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        };
        (0..size).map(|_| next()).collect()
    }

    #[test]
    fn what_does_not_get_smaller_is_left_alone() {
        let mut compressor = Compressor::new(None);
        assert!(compressor.pack(&text(COMPRESS_FROM_BYTES - 1)).is_none());
        assert!(compressor.pack(&noise(10_000)).is_none());
        assert!(compressor.pack(&text(COMPRESS_FROM_BYTES)).is_some());
    }

    #[test]
    fn honest_frame_is_never_taken_for_a_bomb() {
        let (mut compressor, mut decompressor) = (Compressor::new(None), Decompressor::new(None));
        for frame in [vec![0; 1 << 20], vec![b'x'; 5_000], text(1 << 20)] {
            if let Some(packed) = compressor.pack(&frame) {
                assert_eq!(decompressor.unpack(packed, 1 << 20).unwrap(), frame);
            }
        }
        assert!(compressor.pack(&vec![0; 1 << 20]).is_none(), "a million zeros shrink over the ratio");
    }

    #[test]
    fn shipped_dictionary_says_which_it_is_and_shortens_a_single_change() {
        let words = include_bytes!("../../dictionary/v1.zdict");
        assert_eq!(
            zstd_safe::get_dict_id_from_dict(words).map(u32::from),
            Some(Dictionary::shipped().version())
        );
        let frame = br#"[{"friendly_name":"Kitchen light","brightness":128,"color_mode":"hs","supported_color_modes":["color_temp","hs"]}]"#;
        let packed = Compressor::new(Some(Dictionary::shipped())).pack(frame).unwrap().to_vec();
        let without = bulk::compress(frame, COMPRESS_LEVEL).unwrap().len();
        assert!(packed.len() * 4 < without * 3, "{} against {without}", packed.len());
        assert_eq!(Decompressor::new(Some(Dictionary::shipped())).unpack(&packed, 4096).unwrap(), frame);
    }

    #[test]
    fn bomb_is_refused_before_room_is_made() {
        let bomb = zstd::bulk::compress(&vec![0; 1 << 20], 3).unwrap();
        let bomb = bomb.strip_prefix(&MAGIC).unwrap();
        let err = Decompressor::new(None).unpack(bomb, 1 << 20).unwrap_err();
        assert!(matches!(err, LinkError::Bomb { .. }), "{err}");
        let err = Decompressor::new(None).unpack(bomb, 4096).unwrap_err();
        assert!(matches!(err, LinkError::TooLong { limit: 4096, .. }), "{err}");
    }

    #[test]
    fn frame_that_hides_its_size_or_a_second_frame_is_refused() {
        let mut decompressor = Decompressor::new(None);
        let packed = zstd::bulk::compress(&text(2_000), 3).unwrap();
        let two = [&packed[MAGIC.len()..], &packed].concat();
        let packed = &packed[MAGIC.len()..];
        let mut sizeless = zstd::bulk::Compressor::new(3).unwrap();
        sizeless.set_parameter(zstd_safe::CParameter::ContentSizeFlag(false)).unwrap();
        let sizeless = sizeless.compress(&text(2_000)).unwrap();
        let (sizeless, repeated) = (&sizeless[MAGIC.len()..], [&MAGIC, packed].concat());
        for wrong in [&two[..], sizeless, &repeated, &packed[..packed.len() - 1], b"", b"nonsense"] {
            let err = decompressor.unpack(wrong, 1 << 20).unwrap_err();
            assert!(matches!(err, LinkError::Damaged), "{err}");
        }
        assert!(decompressor.unpack(packed, 2_000).is_ok(), "and the next sound one still opens");
    }

    #[test]
    fn dictionary_saves_most_of_a_short_frame() {
        static WORDS: LazyLock<Dictionary> = LazyLock::new(|| Dictionary::new(1, &text(8_000)));
        let frame = text(600);
        let packed = Compressor::new(Some(&WORDS)).pack(&frame).unwrap().to_vec();
        let without = Compressor::new(None).pack(&frame).unwrap().len();
        assert!(packed.len() * 2 < without, "{} against {without}", packed.len());
        assert_eq!(Decompressor::new(Some(&WORDS)).unpack(&packed, 600).unwrap(), frame);
        assert!(Decompressor::new(None).unpack(&packed, 600).is_err());
    }
}
