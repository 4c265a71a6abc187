//! Passing a home's name on to a new key.
//!
//! A [`Rotation`] is a statement that both keys signed, so neither a thief of the old
//! key can adopt a foreign new one nor anybody claim an old home. It carries full keys,
//! never ids. Peers that see two different successors of one key freeze that home;
//! that is the session's business, this file only tells whether a statement is true.
//!
//! ```
//! use crosshome_node::identity::{Identity, Rotation};
//! let (old, new) = (Identity::generate(), Identity::generate());
//! let bytes = Rotation::new(&old, &new).to_bytes();
//! assert_eq!(Rotation::verify(&bytes).unwrap().new_key().id(), new.id());
//! ```

use super::{Identity, KeyError, PeerKey, Spki};

const TITLE: &[u8] = b"crosshome key rotation v1";

/// A statement, signed by both keys, that one key follows another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    old: PeerKey,
    new: PeerKey,
    by_old: [u8; 64],
    by_new: [u8; 64],
}

impl Rotation {
    /// Length of [`Rotation::to_bytes`]: two keys and two signatures.
    pub const BYTES: usize = 2 * 44 + 2 * 64;

    /// States that `new` follows `old`.
    pub fn new(old: &Identity, new: &Identity) -> Self {
        let words = words(old.spki(), new.spki());
        Self { old: old.key(), new: new.key(), by_old: old.sign(&words), by_new: new.sign(&words) }
    }

    /// Reads a statement and checks both signatures: there is no unchecked `Rotation`.
    ///
    /// # Errors
    ///
    /// When the bytes are no statement, name one key twice, or a signature is wrong.
    pub fn verify(bytes: &[u8]) -> Result<Self, RotationError> {
        let bytes: &[u8; Self::BYTES] = bytes.try_into().map_err(|_| RotationError::Length(bytes.len()))?;
        let old = PeerKey::from_spki(&bytes[..44])?;
        let new = PeerKey::from_spki(&bytes[44..88])?;
        let by_old: [u8; 64] = std::array::from_fn(|i| bytes[88 + i]);
        let by_new: [u8; 64] = std::array::from_fn(|i| bytes[152 + i]);
        if old == new {
            return Err(RotationError::Same);
        }
        let words = words(old.spki(), new.spki());
        old.verify(&words, &by_old)?;
        new.verify(&words, &by_new)?;
        Ok(Self { old, new, by_old, by_new })
    }

    /// Returns the statement as it is sent and stored.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let parts = [&self.old.spki()[..], &self.new.spki(), &self.by_old, &self.by_new].concat();
        parts.try_into().expect("two keys and two signatures have this length")
    }

    /// Returns the key that is given up.
    pub fn old_key(&self) -> PeerKey {
        self.old
    }

    /// Returns the key that follows it.
    pub fn new_key(&self) -> PeerKey {
        self.new
    }
}

/// Why a statement was not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RotationError {
    /// Not the length of a statement.
    #[error("a key rotation has 216 bytes, this has {0}")]
    Length(usize),
    /// The new key is the old one.
    #[error("a key cannot follow itself")]
    Same,
    /// A key or signature in it is wrong.
    #[error(transparent)]
    Key(#[from] KeyError),
}

fn words(old: Spki, new: Spki) -> Vec<u8> {
    [TITLE, &old, &new].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statement_with_any_bit_changed_is_refused() {
        let bytes = Rotation::new(&Identity::generate(), &Identity::generate()).to_bytes();
        for place in 0..bytes.len() {
            let mut wrong = bytes;
            wrong[place] ^= 1;
            assert!(Rotation::verify(&wrong).is_err(), "bit in byte {place} went unnoticed");
        }
        assert!(Rotation::verify(&bytes).is_ok());
    }

    #[test]
    fn statement_signed_by_one_key_only_is_refused() {
        let (old, new) = (Identity::generate(), Identity::generate());
        let honest = Rotation::new(&old, &new);
        let forged = Rotation { by_new: honest.by_old, ..honest };
        assert_eq!(Rotation::verify(&forged.to_bytes()), Err(RotationError::Key(KeyError::Signature)));
        let forged = Rotation { by_old: honest.by_new, ..honest };
        assert_eq!(Rotation::verify(&forged.to_bytes()), Err(RotationError::Key(KeyError::Signature)));
    }

    #[test]
    fn key_cannot_follow_itself() {
        let villa = Identity::generate();
        assert_eq!(Rotation::verify(&Rotation::new(&villa, &villa).to_bytes()), Err(RotationError::Same));
    }

    #[test]
    fn statement_cut_short_is_refused() {
        let bytes = Rotation::new(&Identity::generate(), &Identity::generate()).to_bytes();
        assert_eq!(Rotation::verify(&bytes[..215]), Err(RotationError::Length(215)));
    }
}
