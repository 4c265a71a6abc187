//! The key that homes of one household have in their configuration.
//!
//! Two homes with the same key trust each other unattended: on first contact the key is the
//! password of the exchange, so that even a short passphrase cannot be guessed offline;
//! afterwards both keys are pinned and each connection proves the shared one anew.
//!
//! ```
//! # use crosshome_core::pairing::{Role, SharedKey, SharedKeyError};
//! let key = SharedKey::parse(b"correct horse battery staple")?;
//! let proof = key.prove(&[7; 32], Role::Typing);
//! assert!(key.verify(&[7; 32], Role::Typing, &proof));
//! assert!(!key.verify(&[7; 32], Role::Showing, &proof));
//! # Ok::<(), SharedKeyError>(())
//! ```

use std::fmt;

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use hkdf::Hkdf;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{Method, Role, Secret, binding::mac};
use crate::defaults::{SHARED_KEY_MAX, SHARED_KEY_MIN};

const KEY: usize = 32;

/// Accepts base64 with and without its `=` signs, as people paste it.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// A secret that every home of a household has.
pub struct SharedKey(Zeroizing<Vec<u8>>);

impl SharedKey {
    /// Reads a key: 32 bytes as hexadecimal or base64 (either alphabet), or else a passphrase of at
    /// least 8 characters.
    ///
    /// White space around it does not count, so a key from a file with a line end is the same key.
    /// Bytes that are no text are taken as they are. A passphrase with accents must be written with
    /// the same Unicode characters everywhere.
    ///
    /// # Errors
    ///
    /// Refuses fewer than 8 characters and more than 1,024 bytes.
    pub fn parse(given: &[u8]) -> Result<Self, SharedKeyError> {
        if given.len() > SHARED_KEY_MAX {
            return Err(SharedKeyError::TooLong(given.len()));
        }
        let bytes = str::from_utf8(given).map_or(given, |text| text.trim().as_bytes());
        let length = str::from_utf8(bytes).map_or(bytes.len(), |text| text.chars().count());
        match from_hex(bytes).or_else(|| from_base64(bytes)) {
            Some(key) => Ok(Self(key)),
            None if length < SHARED_KEY_MIN => Err(SharedKeyError::TooShort(length)),
            None => Ok(Self(Zeroizing::new(bytes.to_vec()))),
        }
    }

    /// Returns what the exchange of the first contact is made with.
    pub fn secret(&self) -> Secret {
        Secret::new(Method::SharedKey, &self.0, None)
    }

    /// Proves to a pinned home, in this TLS session, that this home has the key.
    ///
    /// The typing side (the one that dialled) proves first and the other answers only when that
    /// proof fits, because a proof lets its reader test guesses at a weak passphrase. Send it only
    /// to a home that was paired by a shared key.
    pub fn prove(&self, exporter: &[u8; 32], role: Role) -> [u8; 32] {
        let mut key = Zeroizing::new([0; KEY]);
        Hkdf::<Sha256>::new(Some(b"crosshome shared key 1"), &self.0)
            .expand(b"proof", key.as_mut_slice())
            .expect("HKDF gives up to 8,160 bytes");
        mac(key.as_slice(), &[exporter, role.label()])
    }

    /// Tells in constant time whether the home in that role has proven to have the key.
    pub fn verify(&self, exporter: &[u8; 32], role: Role, proof: &[u8; 32]) -> bool {
        self.prove(exporter, role).ct_eq(proof).into()
    }
}

impl fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedKey(..)")
    }
}

/// Why a text is no shared key. The text itself is never part of the error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SharedKeyError {
    /// A passphrase this short can be guessed.
    #[error("a shared key of {0} characters is too short; take at least 8")]
    TooShort(usize),
    /// No key is this long.
    #[error("a shared key of {0} bytes is over the limit")]
    TooLong(usize),
}

fn from_hex(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    if text.len() != 2 * KEY {
        return None;
    }
    let mut key = Zeroizing::new(Vec::with_capacity(KEY));
    for pair in text.chunks_exact(2) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16);
        key.push((digit(0)? * 16 + digit(1)?) as u8);
    }
    Some(key)
}

fn from_base64(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    if !(43..=44).contains(&text.len()) {
        return None;
    }
    let decoded = STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok().map(Zeroizing::new)?;
    (decoded.len() == KEY).then_some(decoded)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(text: &str) -> Vec<u8> {
        SharedKey::parse(text.as_bytes()).expect("a key").0.to_vec()
    }

    #[test]
    fn one_key_in_every_spelling_is_one_key() {
        let bytes: [u8; 32] = std::array::from_fn(|i| (i * 8 + 7) as u8 ^ 0xf8);
        let standard = STANDARD.encode(bytes);
        let spellings = [
            hex::encode(bytes),
            hex::encode_upper(bytes),
            standard.clone(),
            standard.trim_end_matches('=').to_owned(),
            URL_SAFE.encode(bytes),
            format!("  {standard}\n"),
        ];
        assert!(standard.contains(['+', '/']), "the alphabets differ in this one");
        for spelling in spellings {
            assert_eq!(key(&spelling), bytes, "{spelling}");
        }
    }

    #[test]
    fn anything_else_of_eight_characters_is_a_passphrase() {
        assert_eq!(key("passwort"), b"passwort");
        assert_eq!(key("ключключ\n"), "ключключ".as_bytes());
        assert_eq!(key(&"f".repeat(63)), "f".repeat(63).as_bytes());
        assert_eq!(SharedKey::parse(&[0xff; 32]).expect("raw bytes").0.as_slice(), &[0xff; 32]);
    }

    #[test]
    fn short_and_endless_keys_are_refused_without_being_shown() {
        for (given, error) in [
            (&b""[..], SharedKeyError::TooShort(0)),
            (b"  secret  ", SharedKeyError::TooShort(6)),
            ("ключ".as_bytes(), SharedKeyError::TooShort(4)),
            (&[0xff; 7], SharedKeyError::TooShort(7)),
            (&[b'x'; 1025], SharedKeyError::TooLong(1025)),
        ] {
            assert_eq!(SharedKey::parse(given).err(), Some(error));
        }
        assert_eq!(format!("{:?}", SharedKey::parse(b"passwort").expect("a key")), "SharedKey(..)");
    }

    #[test]
    fn proof_is_for_one_key_one_session_and_one_role() {
        let (ours, other) =
            (SharedKey::parse(b"passwort").expect("a key"), SharedKey::parse(b"Passwort").expect("a key"));
        let proof = ours.prove(&[1; 32], Role::Showing);
        assert!(ours.verify(&[1; 32], Role::Showing, &proof));
        assert!(!ours.verify(&[1; 32], Role::Typing, &proof));
        assert!(!ours.verify(&[2; 32], Role::Showing, &proof));
        assert!(!other.verify(&[1; 32], Role::Showing, &proof));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_key_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..1100)) {
            let _ = SharedKey::parse(&bytes);
        }
    }
}
