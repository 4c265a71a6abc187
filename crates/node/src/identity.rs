//! Who this home is: its Ed25519 key, and the keys of others.
//!
//! The key file is made at the first start and then never again by itself: a home
//! that lost its key says so instead of becoming a stranger to its peers. Everything
//! about the file stands in `key_file.rs`, the passing on to a new key in `rotation.rs`.
//!
//! Always holds: a [`PeerKey`]'s id is the hash of its key, so nobody can claim an id;
//! the private key never leaves the [`Identity`], not even into its `Debug` form.
//!
//! ```
//! use crosshome_node::identity::Identity;
//! let villa = Identity::generate();
//! let signature = villa.sign(b"words");
//! assert!(villa.key().verify(b"words", &signature).is_ok());
//! assert!(Identity::generate().key().verify(b"words", &signature).is_err());
//! ```

mod key_file;
mod rotation;
mod strongbox;

use std::{fmt, path::Path, sync::Arc};

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use crosshome_core::HomeId;

pub use key_file::{Expect, IdentityError};
pub(crate) use key_file::{key_as_it_is, put_key};
pub use rotation::{Rotation, RotationError};

/// A public key as RFC 8410 writes it: twelve fixed bytes and the key.
pub type Spki = [u8; 44];

/// The twelve bytes every Ed25519 key in SPKI form begins with.
const SPKI_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// This home's key: proves to others who this home is.
///
/// Cloning is cheap and does not copy the private key.
#[derive(Clone)]
pub struct Identity {
    pair: Arc<Ed25519KeyPair>,
    key: PeerKey,
}

impl Identity {
    /// Makes a new identity in memory, for tests and for homes without a data directory.
    ///
    /// # Panics
    ///
    /// When the operating system has no randomness to give.
    pub fn generate() -> Self {
        Self::from_pair(Ed25519KeyPair::generate().expect("the system gives randomness"))
    }

    /// Opens the identity kept at `path`, or makes it there when it is missing and `expect` is [`Expect::First`].
    ///
    /// # Errors
    ///
    /// When the file is missing though peers know this home, damaged, a link, open to others, or unreadable.
    /// The message names the path and what to do; nothing is ever regenerated over a key that was there.
    pub fn open(path: &Path, expect: Expect) -> Result<Self, IdentityError> {
        key_file::open(path, expect)
    }

    /// Returns the id of this home.
    pub fn id(&self) -> HomeId {
        self.key.id
    }

    /// Returns the public key in SPKI form.
    pub fn spki(&self) -> Spki {
        self.key.spki
    }

    /// Returns the public side of this identity, as peers pin it.
    pub fn key(&self) -> PeerKey {
        self.key
    }

    /// Signs `message` with this home's key.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let signature = self.pair.sign(message);
        signature.as_ref().try_into().expect("an Ed25519 signature has 64 bytes")
    }

    fn from_pair(pair: Ed25519KeyPair) -> Self {
        let mut spki = [0; 44];
        spki[..12].copy_from_slice(&SPKI_HEAD);
        spki[12..].copy_from_slice(pair.public_key().as_ref());
        let key = PeerKey { id: HomeId::of_key(&spki), spki };
        Self { pair: Arc::new(pair), key }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({}, SecretKey(..))", self.id().short())
    }
}

/// The public key of a home together with the id that follows from it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PeerKey {
    id: HomeId,
    spki: Spki,
}

impl PeerKey {
    /// Reads a key in SPKI form.
    ///
    /// # Errors
    ///
    /// When the bytes are anything but one Ed25519 key.
    pub fn from_spki(bytes: &[u8]) -> Result<Self, KeyError> {
        let spki: Spki = bytes.try_into().map_err(|_| KeyError::Form)?;
        if spki[..12] != SPKI_HEAD {
            return Err(KeyError::Form);
        }
        Ok(Self { id: HomeId::of_key(&spki), spki })
    }

    /// Checks that the owner of this key signed `message`.
    ///
    /// # Errors
    ///
    /// When it did not.
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> Result<(), KeyError> {
        let key = UnparsedPublicKey::new(&ED25519, &self.spki[12..]);
        key.verify(message, signature).map_err(|_| KeyError::Signature)
    }

    /// Returns the id that follows from this key.
    pub fn id(&self) -> HomeId {
        self.id
    }

    /// Returns the key in SPKI form.
    pub fn spki(&self) -> Spki {
        self.spki
    }
}

impl fmt::Debug for PeerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerKey({})", self.id.short())
    }
}

/// Why a key or what it is said to have signed was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The bytes are no Ed25519 key in SPKI form.
    #[error("not an Ed25519 public key of 44 bytes")]
    Form,
    /// The key did not sign this message.
    #[error("the signature does not belong to this key and message")]
    Signature,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_private_key() {
        let villa = Identity::generate();
        let seed = villa.pair.seed().and_then(|seed| {
            use aws_lc_rs::encoding::AsBigEndian;
            seed.as_be_bytes()
        });
        let seed = seed.expect("the pair has a seed");
        let shown = format!("{villa:?} {villa:#?}");
        assert!(shown.contains("SecretKey(..)"));
        assert!(!shown.contains(&hex::encode(seed.as_ref())));
        assert!(!shown.contains(&format!("{:?}", seed.as_ref())));
    }

    #[test]
    fn signature_of_another_message_is_refused() {
        let villa = Identity::generate();
        let signature = villa.sign(b"one");
        assert_eq!(villa.key().verify(b"two", &signature), Err(KeyError::Signature));
    }

    #[test]
    fn key_of_another_kind_is_refused() {
        let mut spki = Identity::generate().spki();
        spki[8] = 0x6e; // X25519
        assert_eq!(PeerKey::from_spki(&spki), Err(KeyError::Form));
        assert_eq!(PeerKey::from_spki(&spki[..43]), Err(KeyError::Form));
    }

    #[test]
    fn id_follows_from_the_key_alone() {
        let villa = Identity::generate();
        let read = PeerKey::from_spki(&villa.spki()).expect("its own key reads");
        assert_eq!(read.id(), villa.id());
        assert_eq!(read.id(), HomeId::of_key(&villa.spki()));
    }
}
