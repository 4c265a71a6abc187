//! What a pairing is tied to: this TLS session, these two keys, these roles and offers.
//!
//! A man in the middle holds two TLS sessions with two exporters and at least one key of
//! his own. Everything here goes into the key confirmation, so his two halves never fit,
//! even when he forwards every message untouched.

use std::fmt;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::spake2::Agreement;
use crate::HomeId;

/// The side a home is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Dialled, and has the secret from the other home: the TLS client, RFC 9382's A.
    Typing,
    /// Was dialled, and has the secret from the start: the TLS server, RFC 9382's B.
    Showing,
}

impl Role {
    /// Returns the other side.
    pub fn other(self) -> Self {
        match self {
            Self::Typing => Self::Showing,
            Self::Showing => Self::Typing,
        }
    }

    /// Returns the word that stands for the side in every derivation.
    pub(super) fn label(self) -> &'static [u8] {
        match self {
            Self::Typing => b"typing",
            Self::Showing => b"showing",
        }
    }
}

/// The TLS session that a pairing runs in.
#[derive(Clone, PartialEq, Eq)]
pub struct Binding {
    /// The TLS exporter value with label `EXPORTER-crosshome-pairing-v1` and no context.
    pub exporter: [u8; 32],
    /// This home: the hash of the key it proved.
    pub me: HomeId,
    /// The other home: the hash of the key that TLS proved, never an id out of a message.
    pub peer: HomeId,
}

impl Binding {
    /// Returns the two homes, typing side first.
    pub(super) fn homes(&self, role: Role) -> [HomeId; 2] {
        match role {
            Role::Typing => [self.me, self.peer],
            Role::Showing => [self.peer, self.me],
        }
    }

    /// Returns RFC 9382's AAD. The first two messages are in it whole: method, versions and unknown
    /// fields too.
    pub(super) fn context(&self, start: &[u8], share: &[u8]) -> Vec<u8> {
        [b"crosshome pairing 1".as_slice(), &self.exporter, &Sha256::digest(start), &Sha256::digest(share)]
            .concat()
    }
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Binding({:?} with {:?})", self.me, self.peer)
    }
}

/// A secret that exactly the two paired homes have.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct PairSecret([u8; 32]);

impl PairSecret {
    /// Returns the bytes, to be stored where keys are stored.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for PairSecret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for PairSecret {}

impl From<[u8; 32]> for PairSecret {
    /// Takes back the bytes that were stored.
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for PairSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PairSecret(..)")
    }
}

/// What both homes derive once each has proven to know the secret.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct Keys {
    pair_secret: [u8; 32],
    typing: [u8; 32],
    showing: [u8; 32],
}

impl Keys {
    pub(super) fn new(agreement: &Agreement, binding: &Binding, role: Role) -> Self {
        let [typing, showing] = binding.homes(role);
        let source = Hkdf::<Sha256>::new(Some(&binding.exporter), agreement.key());
        let derive = |label: &[u8]| {
            let mut key = [0; 32];
            let info = [b"crosshome ".as_slice(), label, &typing.0, &showing.0];
            source.expand_multi_info(&info, &mut key).expect("HKDF gives up to 8,160 bytes");
            key
        };
        Self {
            pair_secret: derive(b"pair secret"),
            typing: derive(b"introduction typing"),
            showing: derive(b"introduction showing"),
        }
    }

    pub(super) fn pair_secret(&self) -> PairSecret {
        PairSecret(self.pair_secret)
    }

    /// Returns the seal that shows that this introduction is that side's.
    pub(super) fn seal(&self, role: Role, introduction: &[u8]) -> [u8; 32] {
        let key = match role {
            Role::Typing => &self.typing,
            Role::Showing => &self.showing,
        };
        mac(key, &[introduction])
    }

    /// Tells in constant time whether that side sealed this introduction.
    pub(super) fn is_sealed(&self, role: Role, introduction: &[u8], seal: &[u8; 32]) -> bool {
        self.seal(role, introduction).ct_eq(seal).into()
    }
}

/// Returns HMAC-SHA256 over the parts one after the other.
pub(super) fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}
