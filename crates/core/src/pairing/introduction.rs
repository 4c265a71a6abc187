//! What two homes tell each other about themselves once the code fits.
//!
//! A name from a peer ends up on pages, in logs and in Home Assistant, so what makes text
//! lie (control characters, switched writing direction) is refused here, once. Everything
//! else is a matter of taste and is shown as text.

use std::fmt;

use super::{
    PairingError,
    fields::{Fields, Malformed, written},
};
use crate::defaults::{CAPABILITIES_MAX, CAPABILITY_MAX, NAME_MAX, VERSION_MAX};

/// The protocol versions that a home speaks, from lowest to highest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProtocolRange {
    low: u16,
    high: u16,
}

impl ProtocolRange {
    /// Makes the range from `low` to `high`, both included.
    ///
    /// # Errors
    ///
    /// Refuses version 0 and a range that ends before it begins.
    pub fn new(low: u16, high: u16) -> Result<Self, IntroductionError> {
        match 0 < low && low <= high {
            true => Ok(Self { low, high }),
            false => Err(IntroductionError::Protocols { low, high }),
        }
    }

    /// Returns the lowest version.
    pub fn low(&self) -> u16 {
        self.low
    }

    /// Returns the highest version.
    pub fn high(&self) -> u16 {
        self.high
    }

    /// Returns the highest version that both speak.
    pub fn common(&self, other: &Self) -> Option<u16> {
        let highest = self.high.min(other.high);
        (highest >= self.low.max(other.low)).then_some(highest)
    }
}

impl fmt::Display for ProtocolRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.low, self.high)
    }
}

/// A home's name, software and abilities. One that exists is valid, whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introduction {
    name: String,
    version: String,
    protocols: ProtocolRange,
    capabilities: Vec<String>,
}

impl Introduction {
    /// Makes an introduction.
    ///
    /// # Errors
    ///
    /// Refuses a name of no or more than 64 characters or with control or direction characters, a
    /// version that is not 1 to 32 visible ASCII characters, and more than 32 capabilities or one
    /// that is not 1 to 32 of `a-z0-9_`.
    pub fn new(
        name: &str,
        version: &str,
        protocols: ProtocolRange,
        capabilities: &[&str],
    ) -> Result<Self, IntroductionError> {
        check_name(name)?;
        if !is_between(version, VERSION_MAX, |byte| byte.is_ascii_graphic()) {
            return Err(IntroductionError::Version);
        }
        if capabilities.len() > CAPABILITIES_MAX {
            return Err(IntroductionError::TooManyCapabilities(capabilities.len()));
        }
        if !capabilities.iter().all(|capability| is_between(capability, CAPABILITY_MAX, is_of_identifier)) {
            return Err(IntroductionError::Capability);
        }
        let capabilities = capabilities.iter().map(ToString::to_string).collect();
        Ok(Self { name: name.to_owned(), version: version.to_owned(), protocols, capabilities })
    }

    /// Reads the introduction of a peer.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, PairingError> {
        let mut fields = Fields::new(bytes)?;
        let name = fields.str(1)?;
        let version = fields.str(2)?;
        let protocols = ProtocolRange::new(fields.u16(3)?, fields.u16(4)?)?;
        let capabilities = fields.strs(5, CAPABILITIES_MAX)?;
        fields.end()?;
        Ok(Self::new(name, version, protocols, &capabilities)?)
    }

    /// Returns the introduction as it is sent.
    pub(super) fn encode(&self) -> Vec<u8> {
        written(|e| {
            e.map(5)?.u8(1)?.str(&self.name)?.u8(2)?.str(&self.version)?;
            e.u8(3)?.u16(self.protocols.low)?.u8(4)?.u16(self.protocols.high)?;
            e.u8(5)?.array(self.capabilities.len() as u64)?;
            self.capabilities.iter().try_for_each(|capability| e.str(capability).map(|_| ()))
        })
    }

    /// Returns what the home calls itself; a local alias wins over it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the version of its software.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Returns the protocol versions it speaks.
    pub fn protocols(&self) -> ProtocolRange {
        self.protocols
    }

    /// Returns what it can do, such as `sync`.
    pub fn capabilities(&self) -> &[String] {
        &self.capabilities
    }
}

/// Why an introduction is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IntroductionError {
    /// The name is empty or blank, or longer than 64 characters.
    #[error("a name of {0} characters; it has 1 to 64, not all of them spaces")]
    NameLength(usize),
    /// The name has a character that makes text lie.
    #[error("the name has the hidden character U+{:04X}", u32::from(*.0))]
    NameCharacter(char),
    /// The software version is empty, too long or not visible ASCII.
    #[error("a version is 1 to 32 visible ASCII characters")]
    Version,
    /// The range of protocol versions is empty.
    #[error("no protocol version lies in {low}-{high}")]
    Protocols {
        /// Said to be the lowest.
        low: u16,
        /// Said to be the highest.
        high: u16,
    },
    /// There are more capabilities than 32.
    #[error("{0} capabilities are over the limit")]
    TooManyCapabilities(usize),
    /// A capability is empty, too long or not `a-z0-9_`.
    #[error("a capability is 1 to 32 characters of a-z, 0-9 and _")]
    Capability,
}

impl From<Malformed> for PairingError {
    fn from(Malformed(what): Malformed) -> Self {
        Self::Malformed(what)
    }
}

/// Tells whether a home may be called so: a name that can be shown as it is, and that no other looks like by hidden
/// characters.
pub fn is_name(name: &str) -> bool {
    check_name(name).is_ok()
}

fn check_name(name: &str) -> Result<(), IntroductionError> {
    // Counting stops early: a peer's name may be as long as a message.
    let length = name.chars().take(NAME_MAX + 1).count();
    if length > NAME_MAX || name.trim().is_empty() {
        return Err(IntroductionError::NameLength(length));
    }
    match name.chars().find(|c| is_hidden(*c)) {
        Some(hidden) => Err(IntroductionError::NameCharacter(hidden)),
        None => Ok(()),
    }
}

/// Tells characters that no one sees but that change how the others are shown: controls, line ends,
/// directions.
pub(crate) fn is_hidden(c: char) -> bool {
    let turns =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

fn is_between(text: &str, max: usize, allowed: impl Fn(u8) -> bool) -> bool {
    (1..=max).contains(&text.len()) && text.bytes().all(allowed)
}

fn is_of_identifier(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::defaults::PAIRING_MESSAGE_MAX;

    fn range(low: u16, high: u16) -> ProtocolRange {
        ProtocolRange::new(low, high).expect("rises")
    }

    fn named(name: &str) -> Result<Introduction, IntroductionError> {
        Introduction::new(name, "0.1.0", range(1, 1), &["sync"])
    }

    #[test]
    fn name_that_lies_is_refused() {
        for hidden in ['\0', '\n', '\u{7f}', '\u{9b}', '\u{202e}', '\u{2066}', '\u{200f}', '\u{2028}'] {
            let name = format!("Villa{hidden}");
            assert_eq!(named(&name), Err(IntroductionError::NameCharacter(hidden)));
        }
    }

    #[test]
    fn name_has_one_to_sixty_four_characters() {
        assert_eq!(named(""), Err(IntroductionError::NameLength(0)));
        assert_eq!(named(" \u{a0} "), Err(IntroductionError::NameLength(3)));
        assert_eq!(named(&"é".repeat(65)), Err(IntroductionError::NameLength(65)));
        for name in ["Villa", "Дача", "בית", "👨‍👩‍👧 <b>{{ home }}</b>", &"é".repeat(64)]
        {
            assert_eq!(named(name).expect("a name").name(), name);
        }
    }

    #[test]
    fn odd_versions_and_capabilities_are_refused() {
        let make = |version, capabilities| Introduction::new("Villa", version, range(1, 1), capabilities);
        assert_eq!(make("", &[]), Err(IntroductionError::Version));
        assert_eq!(make("0.1 beta", &[]), Err(IntroductionError::Version));
        assert_eq!(make("0.1.0", &["Sync"]), Err(IntroductionError::Capability));
        assert_eq!(make("0.1.0", &[""]), Err(IntroductionError::Capability));
        assert_eq!(make("0.1.0", &["sync"; 33]), Err(IntroductionError::TooManyCapabilities(33)));
        assert_eq!(ProtocolRange::new(2, 1), Err(IntroductionError::Protocols { low: 2, high: 1 }));
        assert_eq!(ProtocolRange::new(0, 1), Err(IntroductionError::Protocols { low: 0, high: 1 }));
    }

    #[test]
    fn longest_introduction_fits_a_message() {
        let (version, capability) = ("v".repeat(VERSION_MAX), "c".repeat(CAPABILITY_MAX));
        let capabilities = vec![capability.as_str(); CAPABILITIES_MAX];
        let longest = Introduction::new(&"👑".repeat(NAME_MAX), &version, range(1, u16::MAX), &capabilities)
            .expect("at the limits");
        assert!(longest.encode().len() + 64 < PAIRING_MESSAGE_MAX);
        assert_eq!(Introduction::decode(&longest.encode()), Ok(longest));
    }

    #[test]
    fn common_version_is_the_highest_of_both() {
        assert_eq!(range(1, 3).common(&range(2, 5)), Some(3));
        assert_eq!(range(1, 2).common(&range(2, 2)), Some(2));
        assert_eq!(range(1, 2).common(&range(3, 4)), None);
    }

    #[test]
    fn introduction_of_a_peer_is_checked_like_our_own() {
        let bytes =
            [&[0xa5, 0x01, 0x63][..], "\u{202e}".as_bytes(), &[0x02, 0x61, b'1', 3, 1, 4, 1, 5, 0x80]]
                .concat();
        let refused = PairingError::Introduction(IntroductionError::NameCharacter('\u{202e}'));
        assert_eq!(Introduction::decode(&bytes), Err(refused));
    }

    proptest! {
        #[test]
        fn encoded_introduction_is_read_back(
            name in "[^\\p{C}\\p{Z}]{1,64}", version in "[!-~]{1,32}", low in 1..9_u16, more in 0..9_u16,
            capabilities in proptest::collection::vec("[a-z0-9_]{1,32}", 0..32),
        ) {
            let capabilities: Vec<_> = capabilities.iter().map(String::as_str).collect();
            let protocols = range(low, low + more);
            let introduction = Introduction::new(&name, &version, protocols, &capabilities).expect("valid");
            prop_assert_eq!(Introduction::decode(&introduction.encode()), Ok(introduction));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = Introduction::decode(&bytes);
        }
    }
}
