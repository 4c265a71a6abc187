//! Versions that did not know of each other and say different things.
//!
//! A [`Conflict`] is what goes on record when it comes to be, whatever the strategy
//! makes of it. Whoever settles one by hand carries the [`Token`] of the versions that
//! were shown, so that nobody decides on what they have not seen.

use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256};

use crate::{EntityKey, policy::Strategy, siblings::Siblings};

/// What came to be when an entity had changed in several homes at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The entity.
    pub key: EntityKey,
    /// What settles it.
    pub strategy: Strategy,
    /// The versions that differ.
    pub versions: Siblings,
}

/// Names a set of versions of one entity; the same in every home that holds them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub [u8; 16]);

impl Token {
    /// Returns the token of these versions: SHA-256 over their dots in order, cut to 16 bytes.
    pub fn of(siblings: &Siblings) -> Self {
        let mut hash = Sha256::new();
        for version in siblings.iter() {
            hash.update(version.dot.actor.home.0);
            hash.update(version.dot.actor.incarnation.to_le_bytes());
            hash.update(version.dot.hlc.0.to_le_bytes());
        }
        let digest = hash.finalize();
        Self(*digest.first_chunk().expect("a SHA-256 digest has 32 bytes"))
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u128::from_str_radix(text, 16).ok().filter(|_| digits);
        number.map(|number| Self(number.to_be_bytes())).ok_or(TokenError)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({self})")
    }
}

/// A text is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token has 32 hexadecimal digits")]
pub struct TokenError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_comes_back_from_its_text() {
        let token = Token::of(&Siblings::default());
        assert_eq!(token.to_string().parse(), Ok(token));
        for wrong in ["", "+0000000000000000000000000000000", "x", &"0".repeat(33)] {
            assert_eq!(wrong.parse::<Token>(), Err(TokenError));
        }
    }
}
