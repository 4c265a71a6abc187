//! Hashing that a peer cannot aim at: SipHash with keys that come in as an argument.

use std::hash::BuildHasher;

use siphasher::sip::SipHasher13;

/// The keys of this home's hash tables: random in a running home, fixed in a simulation.
#[derive(Clone, Copy)]
pub struct Seed([u8; 16]);

impl Seed {
    /// Returns hashing by these keys.
    pub const fn new(keys: [u8; 16]) -> Self {
        Self(keys)
    }
}

impl BuildHasher for Seed {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_key(&self.0)
    }
}

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed(..)")
    }
}
