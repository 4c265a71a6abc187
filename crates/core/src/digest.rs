//! Whether two homes hold the same, in sixteen bytes.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher24};

use crate::{
    EntityId,
    bug::{self, Bug},
    grant::Right,
    policy::Strategy,
    siblings::Siblings,
};

/// A sum over a set of entities that both sides of a session compute alike.
///
/// Each entity counts with a 128-bit hash of its name, of what its owner lets the
/// other do and how its conflicts are settled, and of its versions' dots; a
/// dot names its change for ever, so equal sums mean equal content. Sums do not
/// depend on order, and one entity is exchanged by subtraction and addition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest(pub u128);

impl Digest {
    /// Returns the digest of one entity.
    pub fn of(id: &EntityId, terms: Option<(Right, Strategy)>, siblings: &Siblings) -> Self {
        let mut hasher = SipHasher24::new_with_key(b"crosshome digest");
        hasher.write(id.as_str().as_bytes());
        hasher.write_u8(0xff);
        if let Some((right, strategy)) = terms {
            hasher.write(&[right as u8, strategy as u8]);
        }
        for version in siblings.iter().filter(|_| !bug::is(Bug::DigestOfNames)) {
            hasher.write(&version.dot.actor.home.0);
            hasher.write(&version.dot.actor.incarnation.to_le_bytes());
            hasher.write(&version.dot.hlc.0.to_le_bytes());
        }
        Self(hasher.finish128().as_u128())
    }
}

impl std::iter::Sum for Digest {
    fn sum<I: Iterator<Item = Self>>(digests: I) -> Self {
        digests.fold(Self::default(), |sum, digest| Self(sum.0.wrapping_add(digest.0)))
    }
}
