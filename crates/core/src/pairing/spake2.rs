//! SPAKE2 after RFC 9382, suite P256-SHA256-HKDF-HMAC, with key confirmation.
//!
//! Two homes that know the same password agree on a key; who does not know it can test one
//! guess per exchange and learns nothing to guess with later. The typing side is the RFC's
//! A, the showing side its B. The arithmetic is the constant-time one of `p256`; the RFC's
//! vectors stand in the tests, and so does a second implementation.
//!
//! The RFC asks for a memory-hard hash of the password because of what a server *stores*.
//! Nothing made from a code is stored here and a code is dead after three tries, so the
//! scalar comes from HKDF and pairing stays quick on a small board.

use hkdf::Hkdf;
use p256::{
    AffinePoint, ProjectivePoint, Scalar,
    elliptic_curve::{
        Group,
        ff::{FromUniformBytes, PrimeField},
        point::AffineCoordinates,
        sec1::FromSec1Point,
    },
};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{Method, Role, binding::mac};

/// A point as it is sent: 0x04, x, y.
pub(super) type Share = [u8; 65];

/// The RFC's point M, which blinds the share of A.
const M: [u8; 33] = [
    0x02, 0x88, 0x6e, 0x2f, 0x97, 0xac, 0xe4, 0x6e, 0x55, 0xba, 0x9d, 0xd7, 0x24, 0x25, 0x79, 0xf2, 0x99,
    0x3b, 0x64, 0xe1, 0x6e, 0xf3, 0xdc, 0xab, 0x95, 0xaf, 0xd4, 0x97, 0x33, 0x3d, 0x8f, 0xa1, 0x2f,
];

/// The RFC's point N, which blinds the share of B.
const N: [u8; 33] = [
    0x03, 0xd8, 0xbb, 0xd6, 0xc6, 0x39, 0xc6, 0x29, 0x37, 0xb0, 0x4d, 0x99, 0x7f, 0x38, 0xc3, 0x77, 0x07,
    0x19, 0xc6, 0x29, 0xd7, 0x01, 0x4d, 0x49, 0xa2, 0x4b, 0x4f, 0x98, 0xba, 0xa1, 0x29, 0x2b, 0x49,
];

const UNCOMPRESSED: u8 = 0x04;

/// The password as a number, the RFC's w.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct Password(Scalar);

impl Password {
    /// Derives the number; the method goes in, so that no code is ever good as a shared key.
    pub(super) fn new(method: Method, bytes: &[u8]) -> Self {
        let mut wide = Zeroizing::new([0; 64]);
        Hkdf::<Sha256>::new(Some(b"crosshome pairing password 1"), bytes)
            .expand(&[method.number()], wide.as_mut_slice())
            .expect("HKDF gives up to 8,160 bytes");
        Self(Scalar::from_uniform_bytes(&wide))
    }
}

/// The peer's share is no point of the curve, or one that gives the key away.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadShare;

/// One side of an exchange that waits for the other's share.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct Exchange {
    #[zeroize(skip)]
    role: Role,
    password: Scalar,
    secret: Scalar,
    share: Share,
}

impl Exchange {
    /// Starts an exchange with 64 fresh random bytes, which are never used again.
    pub(super) fn new(role: Role, password: &Password, random: &[u8; 64]) -> Self {
        Self::with_scalar(role, password.0, Scalar::from_uniform_bytes(random))
    }

    fn with_scalar(role: Role, password: Scalar, secret: Scalar) -> Self {
        let share = encode(&(ProjectivePoint::mul_by_generator(&secret) + blind(role) * password));
        Self { role, password, secret, share }
    }

    /// Returns what to send.
    pub(super) fn share(&self) -> &Share {
        &self.share
    }

    /// Calculates the key out of the other side's share.
    ///
    /// `identities` are A's and B's; `context` is the RFC's AAD.
    pub(super) fn finish(
        self,
        share: &Share,
        identities: [&[u8]; 2],
        context: &[u8],
    ) -> Result<Agreement, BadShare> {
        let blinded = decode(share).ok_or(BadShare)?;
        let common = Zeroizing::new((blinded - blind(self.role.other()) * self.password) * self.secret);
        if bool::from(common.is_identity()) {
            return Err(BadShare);
        }
        let key = Zeroizing::new(encode(&common));
        let password = Zeroizing::new(<[u8; 32]>::from(self.password.to_repr()));
        let [a, b] = match self.role {
            Role::Typing => [&self.share, share],
            Role::Showing => [share, &self.share],
        };
        let [home_a, home_b] = identities;
        let transcript = transcript([home_a, home_b, a, b, key.as_slice(), password.as_slice()]);
        Ok(Agreement::new(self.role, &transcript, context))
    }
}

/// The key of an exchange, good for nothing until the other side's proof fits.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct Agreement {
    key: [u8; 16],
    ours: [u8; 32],
    theirs: [u8; 32],
}

impl Agreement {
    /// The RFC's key schedule (section 4): half the hash is the key, the other half makes the
    /// proofs.
    fn new(role: Role, transcript: &[u8], context: &[u8]) -> Self {
        let hash = Zeroizing::new(<[u8; 32]>::from(Sha256::digest(transcript)));
        let (key, confirming) = hash.split_at(16);
        let mut keys = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(None, confirming)
            .expand_multi_info(&[b"ConfirmationKeys", context], keys.as_mut_slice())
            .expect("HKDF gives up to 8,160 bytes");
        let (for_a, for_b) = keys.split_at(16);
        let (a, b) = (mac(for_a, &[transcript]), mac(for_b, &[transcript]));
        let (ours, theirs) = match role {
            Role::Typing => (a, b),
            Role::Showing => (b, a),
        };
        Self { key: key.try_into().expect("split at 16"), ours, theirs }
    }

    /// Returns the proof that this side knows the password.
    pub(super) fn proof(&self) -> &[u8; 32] {
        &self.ours
    }

    /// Tells in constant time whether the other side has proven to know it.
    pub(super) fn is_proven_by(&self, proof: &[u8; 32]) -> bool {
        self.theirs.ct_eq(proof).into()
    }

    /// Returns the common key. Use it only after [`Agreement::is_proven_by`].
    pub(super) fn key(&self) -> &[u8; 16] {
        &self.key
    }
}

fn blind(role: Role) -> ProjectivePoint {
    let point = match role {
        Role::Typing => M,
        Role::Showing => N,
    };
    AffinePoint::from_sec1_bytes(&point).expect("the RFC's points are on the curve").into()
}

fn encode(point: &ProjectivePoint) -> Share {
    let affine = Zeroizing::new(point.to_affine());
    let mut share = [UNCOMPRESSED; 65];
    share[1..33].copy_from_slice(&affine.x());
    share[33..].copy_from_slice(&affine.y());
    share
}

/// Decodes a point of the curve other than the identity. SEC 1 has one form of 65 bytes, so
/// compressed, compact and identity encodings do not come this far.
fn decode(share: &Share) -> Option<ProjectivePoint> {
    let point = ProjectivePoint::from(AffinePoint::from_sec1_bytes(share).ok()?);
    (!bool::from(point.is_identity())).then_some(point)
}

/// The RFC's TT: every part after its length as eight bytes, lowest first.
fn transcript(parts: [&[u8]; 6]) -> Zeroizing<Vec<u8>> {
    let mut all = Zeroizing::new(Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum()));
    for part in parts {
        all.extend_from_slice(&(part.len() as u64).to_le_bytes());
        all.extend_from_slice(part);
    }
    all
}

#[cfg(test)]
mod tests;
