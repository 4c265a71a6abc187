//! What two homes that pair both know, and how they came to know it.

use std::fmt;

use super::{PairingError, spake2::Password};
use crate::HomeId;

/// How the secret came from one home to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// A person read a code and typed it.
    Code,
    /// A link or QR code carried it.
    Invitation,
    /// Both homes have the same key in their configuration.
    SharedKey,
}

impl Method {
    /// Returns the word for the method, as it is stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Invitation => "invitation",
            Self::SharedKey => "shared_key",
        }
    }

    /// Returns the number that stands for the method in a message.
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Code => 1,
            Self::Invitation => 2,
            Self::SharedKey => 3,
        }
    }

    pub(super) fn from_number(number: u8) -> Option<Self> {
        [Self::Code, Self::Invitation, Self::SharedKey].into_iter().find(|method| method.number() == number)
    }
}

/// A code, an invitation's secret or a shared key, ready for the exchange.
///
/// Made by [`Code::secret`](super::Code::secret),
/// [`Invitation::redeem`](super::Invitation::redeem),
/// [`Invitation::offer`](super::Invitation::offer) and
/// [`SharedKey::secret`](super::SharedKey::secret). It keeps what SPAKE2 calculates with, not the
/// text.
pub struct Secret {
    method: Method,
    home: Option<HomeId>,
    password: Password,
}

impl Secret {
    /// Makes the secret of a method; `home` is the only home it may be used with.
    pub(super) fn new(method: Method, bytes: &[u8], home: Option<HomeId>) -> Self {
        Self { method, home, password: Password::new(method, bytes) }
    }

    /// Returns how the secret came here.
    pub fn method(&self) -> Method {
        self.method
    }

    pub(super) fn password(&self) -> &Password {
        &self.password
    }

    /// Refuses a peer that the secret does not come from.
    pub(super) fn check_peer(&self, found: HomeId) -> Result<(), PairingError> {
        match self.home {
            Some(expected) if expected != found => Err(PairingError::OtherHome { expected, found }),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
