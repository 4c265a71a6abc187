//! Reading and writing the CBOR maps of pairing, strictly and without growing.
//!
//! Every map has integer keys that rise (RFC 8949 section 4.2.1), so a key cannot come
//! twice and fields are read in one pass. Unknown keys are stepped over: a later version
//! may add some.

use std::convert::Infallible;

use minicbor::{Decoder, Encoder, encode};

type Written = Result<(), encode::Error<Infallible>>;

/// Why bytes are not the map that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

/// Writes one CBOR item.
pub(super) fn written(write: impl FnOnce(&mut Encoder<&mut Vec<u8>>) -> Written) -> Vec<u8> {
    // Room for the longest message: a secret leaves no copies behind by growing.
    let mut bytes = Vec::with_capacity(crate::defaults::PAIRING_MESSAGE_MAX);
    write(&mut Encoder::new(&mut bytes)).expect("a vector takes every byte");
    bytes
}

/// The fields of one map, read in the order of their keys.
pub(super) struct Fields<'b> {
    decoder: Decoder<'b>,
    left: u64,
    last: Option<u64>,
}

impl<'b> Fields<'b> {
    /// Opens the map that these bytes are.
    pub(super) fn new(bytes: &'b [u8]) -> Result<Self, Malformed> {
        let mut decoder = Decoder::new(bytes);
        let length = decoder.map().map_err(|_| Malformed("not a map"))?;
        Ok(Self { decoder, left: length.ok_or(Malformed("map of unknown length"))?, last: None })
    }

    /// Goes to the field with this key, stepping over unknown ones before it.
    pub(super) fn at(&mut self, wanted: u64) -> Result<&mut Decoder<'b>, Malformed> {
        while let Some(key) = self.key()? {
            match key {
                key if key == wanted => return Ok(&mut self.decoder),
                key if key > wanted => break,
                _ => self.step_over()?,
            }
        }
        Err(Malformed("a field is missing"))
    }

    /// Reads exactly `N` bytes at this key.
    pub(super) fn bytes<const N: usize>(&mut self, key: u64) -> Result<[u8; N], Malformed> {
        let bytes = self.at(key)?.bytes().map_err(|_| Malformed("not bytes"))?;
        bytes.try_into().map_err(|_| Malformed("bytes of another length"))
    }

    /// Reads bytes of any length at this key; the whole map is bounded already.
    pub(super) fn byte_vec(&mut self, key: u64) -> Result<Vec<u8>, Malformed> {
        Ok(self.at(key)?.bytes().map_err(|_| Malformed("not bytes"))?.to_vec())
    }

    /// Reads a small number at this key.
    pub(super) fn u16(&mut self, key: u64) -> Result<u16, Malformed> {
        self.at(key)?.u16().map_err(|_| Malformed("not a small number"))
    }

    /// Reads text at this key.
    pub(super) fn str(&mut self, key: u64) -> Result<&'b str, Malformed> {
        self.at(key)?.str().map_err(|_| Malformed("not text"))
    }

    /// Reads a list of texts at this key, at most `max` of them.
    pub(super) fn strs(&mut self, key: u64, max: usize) -> Result<Vec<&'b str>, Malformed> {
        let decoder = self.at(key)?;
        let length = decoder.array().ok().flatten().ok_or(Malformed("not a list"))?;
        if length > max as u64 {
            return Err(Malformed("a list is too long"));
        }
        (0..length).map(|_| decoder.str().map_err(|_| Malformed("not text"))).collect()
    }

    /// Steps over what is left and refuses bytes after the map.
    pub(super) fn end(mut self) -> Result<(), Malformed> {
        while self.key()?.is_some() {
            self.step_over()?;
        }
        match self.decoder.position() == self.decoder.input().len() {
            true => Ok(()),
            false => Err(Malformed("bytes after the end")),
        }
    }

    fn key(&mut self) -> Result<Option<u64>, Malformed> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let key = self.decoder.u64().map_err(|_| Malformed("a key is no number"))?;
        if self.last.is_some_and(|last| last >= key) {
            return Err(Malformed("keys do not rise"));
        }
        self.last = Some(key);
        Ok(Some(key))
    }

    fn step_over(&mut self) -> Result<(), Malformed> {
        self.decoder.skip().map_err(|_| Malformed("an unknown field is damaged"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number_at_2(bytes: &[u8]) -> Result<u16, Malformed> {
        let mut fields = Fields::new(bytes)?;
        let number = fields.u16(2)?;
        fields.end().map(|()| number)
    }

    #[test]
    fn unknown_fields_are_stepped_over() {
        let bytes =
            [0xa3, 0x01, 0x82, 0xf6, 0x9f, 0x01, 0xff, 0x02, 0x07, 0x18, 0x63, 0xa1, 0x61, 0x61, 0xf5];
        assert_eq!(number_at_2(&bytes), Ok(7));
    }

    #[test]
    fn map_that_is_not_strictly_ours_is_refused() {
        for (bytes, why) in [
            (&[][..], "not a map"),
            (&[0x80], "not a map"),
            (&[0xbf, 0x02, 0x07, 0xff], "map of unknown length"),
            (&[0xa1, 0x03, 0x07], "a field is missing"),
            (&[0xa0], "a field is missing"),
            (&[0xa2, 0x02, 0x07, 0x02, 0x07], "keys do not rise"),
            (&[0xa2, 0x02, 0x07, 0x01, 0x07], "keys do not rise"),
            (&[0xa1, 0x02, 0x07, 0x00], "bytes after the end"),
            (&[0xa1, 0x61, 0x61, 0x07], "a key is no number"),
            (&[0xa1, 0x02, 0x1a, 0, 1, 0, 0], "not a small number"),
            (&[0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x07], "a key is no number"),
            (
                &[0xa2, 0x01, 0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
                "an unknown field is damaged",
            ),
        ] {
            assert_eq!(number_at_2(bytes), Err(Malformed(why)), "{bytes:02x?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = number_at_2(&bytes);
        }
    }
}
