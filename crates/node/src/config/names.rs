//! Names in the configuration: of homes and of network interfaces.

use std::{fmt, str::FromStr};

use serde_json::{Value as Json, json};

use super::setting::Scalar;
use crate::defaults::{HOME_NAME_BYTES, HOME_REF_BYTES, INTERFACE_BYTES};

/// What people call a home: 1 to 63 bytes, because it is announced as one DNS-SD label.
///
/// Control characters, blanks at the ends and the word `joint` (the space that homes with one
/// shared key have together) are refused; anything else is shown as text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HomeName(String);

impl HomeName {
    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns a name made of a host's name: what comes before the first dot, `home` if that is no name.
    pub fn of_host(host: &str) -> Self {
        let label = host.split('.').next().unwrap_or_default();
        label.parse().unwrap_or_else(|_| Self("home".to_owned()))
    }
}

impl fmt::Display for HomeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for HomeName {
    type Err = HomeNameError;

    fn from_str(text: &str) -> Result<Self, HomeNameError> {
        if text.len() > HOME_NAME_BYTES {
            Err(HomeNameError::TooLong(text.len()))
        } else if !is_clean(text) {
            Err(HomeNameError::Characters)
        } else if text.eq_ignore_ascii_case("joint") {
            Err(HomeNameError::Reserved)
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

/// Why a text is no name of a home.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HomeNameError {
    /// Longer than a DNS label.
    #[error("a home name has at most {HOME_NAME_BYTES} bytes, this one has {0}")]
    TooLong(usize),
    /// Empty, with characters that are not seen (controls, changes of direction), or with blanks at its ends.
    #[error("a home name has no hidden characters and no blanks at its ends, and is not empty")]
    Characters,
    /// The name of the joint space.
    #[error("`joint` names the space that homes have together")]
    Reserved,
}

fn is_clean(text: &str) -> bool {
    text.trim() == text && crosshome_core::pairing::is_name(text)
}

impl Scalar for HomeName {
    fn expected() -> String {
        format!("a name of 1 to {HOME_NAME_BYTES} bytes without control characters, other than `joint`")
    }

    fn schema() -> Json {
        json!({"type": "string", "minLength": 1, "maxLength": HOME_NAME_BYTES})
    }

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn show(&self) -> Json {
        json!(self.0)
    }
}

/// Another home as people refer to it: its name, its id or a unique prefix of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HomeRef(String);

impl HomeRef {
    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Scalar for HomeRef {
    fn expected() -> String {
        "the name or the id of a home".into()
    }

    fn schema() -> Json {
        json!({"type": "string", "minLength": 1, "maxLength": HOME_REF_BYTES})
    }

    fn parse(text: &str) -> Option<Self> {
        (is_clean(text) && text.len() <= HOME_REF_BYTES).then(|| Self(text.to_owned()))
    }

    fn show(&self) -> Json {
        json!(self.0)
    }
}

/// The name of a network interface, such as `eth0`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InterfaceName(String);

impl InterfaceName {
    /// Takes a text if an interface can have that name.
    pub fn of(text: &str) -> Option<Self> {
        let fits = is_clean(text) && text.len() <= INTERFACE_BYTES && !text.contains([' ', '/']);
        fits.then(|| Self(text.to_owned()))
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Scalar for InterfaceName {
    fn expected() -> String {
        format!("the name of a network interface of at most {INTERFACE_BYTES} bytes, such as eth0")
    }

    fn schema() -> Json {
        json!({"type": "string", "minLength": 1, "maxLength": INTERFACE_BYTES})
    }

    fn parse(text: &str) -> Option<Self> {
        Self::of(text)
    }

    fn show(&self) -> Json {
        json!(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_fits_into_a_dns_label_whatever_its_letters() {
        assert!("a".repeat(63).parse::<HomeName>().is_ok());
        assert_eq!("ä".repeat(32).parse::<HomeName>(), Err(HomeNameError::TooLong(64)));
        assert_eq!("Villa\u{7}".parse::<HomeName>(), Err(HomeNameError::Characters));
        assert_eq!("\u{202e}alliV".parse::<HomeName>(), Err(HomeNameError::Characters));
        assert_eq!("Joint".parse::<HomeName>(), Err(HomeNameError::Reserved));
    }

    #[test]
    fn host_gives_its_first_label_or_home() {
        assert_eq!(HomeName::of_host("alps.example.org").as_str(), "alps");
        assert_eq!(HomeName::of_host("").as_str(), "home");
    }
}
