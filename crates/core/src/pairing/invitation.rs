//! A link or QR code that invites another home: where we are, who we are, and a secret.
//!
//! The link names the full id of the inviting home, so the typing side knows the right key
//! before it says a word; the secret has 128 bits and works once. The text is bech32m like
//! a [`HomeId`], because links get cut and QR codes smudged: in capitals it packs densely
//! into a QR code, and a damaged one is noticed before anything is sent.
//!
//! ```
//! # use crosshome_core::{HomeId, pairing::{Invitation, InvitationError}};
//! let addresses = ["villa.example:8765".parse()?];
//! let invitation = Invitation::new(HomeId([1; 32]), [2; 16], 1_800_000_000, &addresses)?;
//! let link = invitation.link();
//! assert!(link.starts_with("crosshome://pair/xhi1"));
//! assert_eq!(Invitation::parse(&link.to_uppercase())?.home(), HomeId([1; 32]));
//! # Ok::<(), InvitationError>(())
//! ```

use std::{fmt, net::Ipv6Addr, str::FromStr};

use bech32::{Bech32m, Hrp, primitives::decode::CheckedHrpstring};
use zeroize::Zeroizing;

use super::{
    Method, Secret,
    fields::{Fields, Malformed, written},
};
use crate::{
    HomeId,
    defaults::{INVITATION_ADDRESS_MAX, INVITATION_ADDRESSES_MAX},
};

const BEGINNING: &str = "crosshome://pair/";
const PREFIX: Hrp = Hrp::parse_unchecked("xhi");
const VERSION: u16 = 1;
/// The most that bech32m checks.
const BECH32_MAX: usize = 1023;

/// An invitation: home, one-time secret, time of expiry, addresses.
pub struct Invitation {
    home: HomeId,
    secret: Zeroizing<[u8; 16]>,
    expires_s: u64,
    addresses: Vec<Address>,
}

impl Invitation {
    /// Makes an invitation of `home` out of 16 random bytes, good until `expires_s` (Unix time in
    /// seconds).
    ///
    /// # Errors
    ///
    /// Refuses more than three addresses.
    pub fn new(
        home: HomeId,
        random: [u8; 16],
        expires_s: u64,
        addresses: &[Address],
    ) -> Result<Self, InvitationError> {
        if addresses.len() > INVITATION_ADDRESSES_MAX {
            return Err(InvitationError::TooManyAddresses(addresses.len()));
        }
        Ok(Self { home, secret: Zeroizing::new(random), expires_s, addresses: addresses.to_vec() })
    }

    /// Reads a link; case and white space around it do not matter.
    ///
    /// # Errors
    ///
    /// Tells a damaged link from one of another kind or of a later version.
    pub fn parse(link: &str) -> Result<Self, InvitationError> {
        let link = link.trim();
        if link.len() > BEGINNING.len() + BECH32_MAX {
            return Err(InvitationError::TooLong(link.len()));
        }
        let (beginning, text) = link.split_at_checked(BEGINNING.len()).ok_or(InvitationError::NoLink)?;
        if !beginning.eq_ignore_ascii_case(BEGINNING) {
            return Err(InvitationError::NoLink);
        }
        let checked = CheckedHrpstring::new::<Bech32m>(text).map_err(|_| InvitationError::Damaged)?;
        if checked.hrp() != PREFIX {
            return Err(InvitationError::NoLink);
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(BECH32_MAX));
        bytes.extend(checked.byte_iter());
        Self::decode(&bytes)
    }

    /// Returns the link. Whoever reads it can pair until it has expired or been used: it is a
    /// secret.
    pub fn link(&self) -> Zeroizing<String> {
        let mut link = Zeroizing::new(String::with_capacity(BEGINNING.len() + BECH32_MAX));
        link.push_str(BEGINNING);
        bech32::encode_lower_to_fmt::<Bech32m, _>(&mut *link, PREFIX, &self.encode())
            .expect("three addresses at their limit fit bech32m");
        link
    }

    /// Returns the secret for the home that invites; [`Windows::open`](super::Windows::open) takes
    /// it.
    pub fn offer(&self) -> Secret {
        Secret::new(Method::Invitation, self.secret.as_slice(), None)
    }

    /// Returns the secret for the home that is invited; it works with the inviting home only.
    ///
    /// # Errors
    ///
    /// Refuses when it has expired by this home's clock (Unix time in seconds); the inviting home
    /// counts for itself.
    pub fn redeem(&self, now_s: u64) -> Result<Secret, InvitationError> {
        match now_s < self.expires_s {
            true => Ok(Secret::new(Method::Invitation, self.secret.as_slice(), Some(self.home))),
            false => Err(InvitationError::Expired),
        }
    }

    /// Returns who invites.
    pub fn home(&self) -> HomeId {
        self.home
    }

    /// Returns when it expires, in seconds of Unix time.
    pub fn expires_s(&self) -> u64 {
        self.expires_s
    }

    /// Returns where the inviting home may be found.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    fn encode(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(written(|e| {
            e.map(5)?.u8(0)?.u16(VERSION)?.u8(1)?.bytes(&self.home.0)?;
            e.u8(2)?.bytes(self.secret.as_slice())?.u8(3)?.u64(self.expires_s)?;
            e.u8(4)?.array(self.addresses.len() as u64)?;
            self.addresses.iter().try_for_each(|address| e.str(&address.0).map(|_| ()))
        }))
    }

    fn decode(bytes: &[u8]) -> Result<Self, InvitationError> {
        let mut fields = Fields::new(bytes)?;
        match fields.u16(0)? {
            VERSION => {}
            later => return Err(InvitationError::Version(later)),
        }
        let home = HomeId(fields.bytes(1)?);
        let secret = Zeroizing::new(fields.bytes(2)?);
        let expires_s = fields.at(3)?.u64().map_err(|_| InvitationError::Damaged)?;
        let addresses = fields.strs(4, INVITATION_ADDRESSES_MAX)?;
        fields.end()?;
        let addresses = addresses.into_iter().map(str::parse).collect::<Result<_, _>>()?;
        Ok(Self { home, secret, expires_s, addresses })
    }
}

impl fmt::Debug for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Invitation(from {:?}, ..)", self.home)
    }
}

/// Where a home may be found: `host:port`, with brackets around an IPv6 address.
///
/// It says where to dial and nothing about who answers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address(String);

impl Address {
    /// Returns `host:port`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Address {
    type Err = InvitationError;

    fn from_str(text: &str) -> Result<Self, InvitationError> {
        let (host, port) = text.rsplit_once(':').ok_or(InvitationError::Address)?;
        let is_port = !port.starts_with(['0', '+']) && port.parse::<u16>().is_ok();
        match text.len() <= INVITATION_ADDRESS_MAX && is_port && is_host(host) {
            true => Ok(Self(text.to_owned())),
            false => Err(InvitationError::Address),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why an invitation does not work. The link is never part of the error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvitationError {
    /// The text is something else.
    #[error("an invitation begins with crosshome://pair/xhi1")]
    NoLink,
    /// The link was cut or changed.
    #[error("the invitation is damaged; copy the whole link")]
    Damaged,
    /// The text is longer than any invitation.
    #[error("invitation of {0} bytes is over the limit")]
    TooLong(usize),
    /// A later crosshome made it.
    #[error("the invitation has version {0}; update this home to use it")]
    Version(u16),
    /// It was good once.
    #[error("the invitation has expired")]
    Expired,
    /// An address is not `host:port`.
    #[error("an address is host:port, at most 128 characters")]
    Address,
    /// There are more addresses than three.
    #[error("{0} addresses are over the limit of 3")]
    TooManyAddresses(usize),
}

impl From<Malformed> for InvitationError {
    fn from(_: Malformed) -> Self {
        Self::Damaged
    }
}

fn is_host(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pairing::PairingError;

    const EXPIRY: u64 = 1_800_000_000;

    fn invitation(addresses: &[&str]) -> Invitation {
        let addresses: Vec<_> = addresses.iter().map(|text| text.parse().expect("an address")).collect();
        Invitation::new(HomeId([1; 32]), [2; 16], EXPIRY, &addresses).expect("few addresses")
    }

    #[test]
    fn expired_invitation_is_not_redeemed() {
        assert!(invitation(&[]).redeem(EXPIRY - 1).is_ok());
        assert_eq!(invitation(&[]).redeem(EXPIRY).err(), Some(InvitationError::Expired));
    }

    #[test]
    fn redeemed_secret_works_with_the_inviting_home_only() {
        let secret = invitation(&[]).redeem(0).expect("in time");
        let (expected, found) = (HomeId([1; 32]), HomeId([9; 32]));
        assert_eq!(secret.check_peer(expected), Ok(()));
        assert_eq!(secret.check_peer(found), Err(PairingError::OtherHome { expected, found }));
    }

    #[test]
    fn every_wrong_character_is_noticed() {
        let link = invitation(&["villa.example:8765"]).link();
        for place in BEGINNING.len()..link.len() {
            let other = if link.as_bytes()[place] == b'q' { "p" } else { "q" };
            let mut wrong = link.clone();
            wrong.replace_range(place..=place, other);
            assert!(Invitation::parse(&wrong).is_err(), "{place}");
        }
    }

    #[test]
    fn link_that_is_none_says_why() {
        let link = invitation(&[]).link();
        for (text, error) in [
            ("", InvitationError::NoLink),
            ("https://example.com/", InvitationError::NoLink),
            ("crosshome://pair/", InvitationError::Damaged),
            (&HomeId([1; 32]).to_string().replace("xh1", "crosshome://pair/xh1"), InvitationError::NoLink),
            (&link[..link.len() - 1], InvitationError::Damaged),
            (&"crosshome://pair/".repeat(100), InvitationError::TooLong(1700)),
        ] {
            assert_eq!(Invitation::parse(text).err(), Some(error), "{text}");
        }
    }

    #[test]
    fn later_version_asks_for_an_update() {
        let mut bytes = invitation(&[]).encode();
        bytes[2] = 2;
        assert_eq!(Invitation::decode(&bytes).err(), Some(InvitationError::Version(2)));
    }

    #[test]
    fn address_is_a_host_and_a_port() {
        for good in ["villa.example:8765", "192.168.1.2:1", "[fe80::1]:65535", "my_pi:8765"] {
            assert_eq!(good.parse::<Address>().expect("an address").as_str(), good);
        }
        let long = format!("{}:1", "a".repeat(INVITATION_ADDRESS_MAX));
        for bad in [
            "",
            "villa",
            ":1",
            "villa:",
            "villa:0",
            "villa:+1",
            "villa:65536",
            "fe80::1:1",
            "[x]:1",
            "a b:1",
            "a/b:1",
            "u@b:1",
            &long,
        ] {
            assert_eq!(bad.parse::<Address>(), Err(InvitationError::Address), "{bad}");
        }
    }

    #[test]
    fn three_longest_addresses_fit_the_link_and_four_do_not() {
        let long = format!("{}:1", "a".repeat(INVITATION_ADDRESS_MAX - 2));
        let full =
            Invitation::new(HomeId([1; 32]), [2; 16], u64::MAX, &vec![long.parse().expect("an address"); 3]);
        let link = full.expect("three").link();
        assert_eq!(Invitation::parse(&link).expect("just made").addresses().len(), 3);
        let four = vec![long.parse().expect("an address"); 4];
        let refused = Invitation::new(HomeId([1; 32]), [2; 16], EXPIRY, &four).err();
        assert_eq!(refused, Some(InvitationError::TooManyAddresses(4)));
    }

    #[test]
    fn debug_keeps_the_secret() {
        assert_eq!(
            format!("{:?}", invitation(&[])),
            format!("Invitation(from {}, ..)", HomeId([1; 32]).short())
        );
    }

    proptest! {
        #[test]
        fn link_is_read_back(
            home: [u8; 32], secret: [u8; 16], expires_s: u64,
            addresses in proptest::collection::vec("[a-z][a-z0-9.-]{0,60}:[1-9][0-9]{0,3}", 0..=3),
        ) {
            let addresses: Vec<Address> =
                addresses.iter().map(|text| text.parse().expect("an address")).collect();
            let made = Invitation::new(HomeId(home), secret, expires_s, &addresses).expect("few addresses");
            let read = Invitation::parse(&format!(" {}\n", *made.link())).expect("just made");
            prop_assert_eq!((read.home(), *read.secret, read.expires_s(), read.addresses()),
                (HomeId(home), secret, expires_s, &addresses[..]));
        }

        #[test]
        fn any_text_is_read_or_refused(text: String, bytes: Vec<u8>) {
            let _ = Invitation::parse(&text);
            let _ = Invitation::parse(&format!("{BEGINNING}{text}"));
            let _ = Invitation::decode(&bytes);
        }
    }
}
