//! Who a home is: the hash of its public key, and how people write it.
//!
//! A [`HomeId`] is the SHA-256 of the home's Ed25519 public key in its 44-byte
//! SPKI form (RFC 8410), so an id proves nothing by itself and everything once
//! TLS has proven the key. Its text form is bech32m (BIP 350) with the prefix
//! `xh`, which finds any four wrong characters.
//!
//! ```
//! use crosshome_core::HomeId;
//! let id = HomeId([7; 32]);
//! assert_eq!(id.grouped().parse::<HomeId>(), Ok(id));
//! assert!(id.to_string().starts_with(&id.short()));
//! ```

use std::{fmt, str::FromStr};

use bech32::{Bech32m, Hrp, primitives::decode::CheckedHrpstring};
use sha2::{Digest, Sha256};

const PREFIX: Hrp = Hrp::parse_unchecked("xh");
const GROUP: usize = 6;
const SHORT: usize = 10;

/// The name of a home for ever: the hash of its public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HomeId(pub [u8; 32]);

impl HomeId {
    /// Returns the id of the home whose public key has this SPKI form.
    pub fn of_key(spki: &[u8]) -> Self {
        Self(Sha256::digest(spki).into())
    }

    /// Returns the first ten characters of the text form: for lists and logs, never as proof.
    pub fn short(&self) -> String {
        let mut text = self.to_string();
        text.truncate(SHORT);
        text
    }

    /// Returns the text form in groups of six, as people compare it.
    pub fn grouped(&self) -> String {
        let text = self.to_string();
        let groups: Vec<_> = text.as_bytes().chunks(GROUP).map(String::from_utf8_lossy).collect();
        groups.join("-")
    }
}

impl fmt::Display for HomeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        bech32::encode_lower_to_fmt::<Bech32m, _>(f, PREFIX, &self.0).map_err(|_| fmt::Error)
    }
}

impl fmt::Debug for HomeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

impl FromStr for HomeId {
    type Err = HomeIdError;

    /// Reads either text form; case, hyphens and spaces do not matter.
    fn from_str(text: &str) -> Result<Self, HomeIdError> {
        let bare: String = text.chars().filter(|c| !matches!(c, '-' | ' ')).collect();
        let bare = bare.to_lowercase();
        let checked = CheckedHrpstring::new::<Bech32m>(&bare).map_err(|_| HomeIdError::Damaged)?;
        if checked.hrp() != PREFIX {
            return Err(HomeIdError::Prefix);
        }
        let bytes: Vec<u8> = checked.byte_iter().collect();
        bytes.try_into().map(Self).map_err(|_| HomeIdError::Length)
    }
}

/// Why a text is no home id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HomeIdError {
    /// A character is wrong, missing or one too many.
    #[error("the home id has a typing mistake")]
    Damaged,
    /// The text is an id of another kind of thing.
    #[error("a home id begins with xh1")]
    Prefix,
    /// The checksum holds but the length is another.
    #[error("a home id stands for 32 bytes")]
    Length,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_mistake_is_found() {
        let text = HomeId([3; 32]).to_string();
        let wrong = text.replacen('q', "p", 1);
        assert_ne!(text, wrong);
        assert_eq!(wrong.parse::<HomeId>(), Err(HomeIdError::Damaged));
    }

    #[test]
    fn case_and_groups_do_not_matter() {
        let id = HomeId(std::array::from_fn(|i| i as u8));
        assert_eq!(id.grouped().to_uppercase().parse(), Ok(id));
    }

    #[test]
    fn id_of_another_kind_is_refused() {
        let text = bech32::encode::<Bech32m>(Hrp::parse_unchecked("bc"), &[1; 32]).expect("short enough");
        assert_eq!(text.parse::<HomeId>(), Err(HomeIdError::Prefix));
    }
}
