//! Where to find another home: host and port as people type them.
//!
//! ```
//! use crosshome_node::config::PeerAddress;
//! let peer: PeerAddress = "[fe80::1%eth0]:9000".parse()?;
//! assert_eq!((peer.host(), peer.port()), ("fe80::1%eth0", 9000));
//! assert_eq!("holiday.example".parse::<PeerAddress>()?.to_string(), "holiday.example:8765");
//! # Ok::<(), crosshome_node::config::PeerAddressError>(())
//! ```

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

use serde_json::{Value as Json, json};

use super::setting::Scalar;
use crate::defaults::SYNC_PORT;

/// Longest host name of the DNS, in its text form.
const HOST_BYTES: usize = 253;
/// Longest label of one.
const LABEL_BYTES: usize = 63;

/// A host name or IP address with a port; without one it is 8765.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PeerAddress {
    host: String,
    port: u16,
}

impl PeerAddress {
    /// Returns the host name or the address, IPv6 without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for PeerAddress {
    type Err = PeerAddressError;

    fn from_str(text: &str) -> Result<Self, PeerAddressError> {
        let (host, port) = split(text.trim())?;
        let port = port.map_or(Ok(SYNC_PORT), read_port)?;
        if is_host(host) { Ok(Self { host: host.to_owned(), port }) } else { Err(PeerAddressError::Host) }
    }
}

/// Why a text is no address of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerAddressError {
    /// Neither a host name nor an IP address.
    #[error("an address begins with a host name, an IPv4 address or an IPv6 address in brackets")]
    Host,
    /// Not a port that something can be reached on.
    #[error("a port is a number from 1 to 65535")]
    Port,
}

/// Splits into host and port; a bare IPv6 address has no port.
fn split(text: &str) -> Result<(&str, Option<&str>), PeerAddressError> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or(PeerAddressError::Host)?;
        let port =
            if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or(PeerAddressError::Port)?) };
        return if is_v6(host) { Ok((host, port)) } else { Err(PeerAddressError::Host) };
    }
    match text.split_once(':') {
        Some((_, rest)) if rest.contains(':') => {
            if is_v6(text) {
                Ok((text, None))
            } else {
                Err(PeerAddressError::Host)
            }
        }
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((text, None)),
    }
}

fn read_port(text: &str) -> Result<u16, PeerAddressError> {
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(PeerAddressError::Port);
    }
    text.parse().ok().filter(|port| *port != 0).ok_or(PeerAddressError::Port)
}

fn is_host(host: &str) -> bool {
    let numeric = host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    is_v6(host) || if numeric { host.parse::<IpAddr>().is_ok() } else { is_host_name(host) }
}

/// Returns whether this is an IPv6 address, which may name its interface: `fe80::1%eth0`.
fn is_v6(host: &str) -> bool {
    let (address, zone) = host.split_once('%').unwrap_or((host, "0"));
    let zone_fits = !zone.is_empty() && zone.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    zone_fits && address.parse::<Ipv6Addr>().is_ok()
}

fn is_host_name(host: &str) -> bool {
    let label = |label: &str| {
        (1..=LABEL_BYTES).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.len() <= HOST_BYTES && host.strip_suffix('.').unwrap_or(host).split('.').all(label)
}

impl Scalar for PeerAddress {
    fn expected() -> String {
        "an address such as holiday.example:8765 or \"[fe80::1]:8765\"".into()
    }

    fn schema() -> Json {
        json!({"type": "string", "minLength": 1})
    }

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn show(&self) -> Json {
        json!(self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_usual_form_is_read() {
        for (typed, means) in [
            ("holiday.example:9000", "holiday.example:9000"),
            ("holiday.local.", "holiday.local.:8765"),
            ("192.0.2.7", "192.0.2.7:8765"),
            ("2001:db8::7", "[2001:db8::7]:8765"),
            ("[2001:db8::7]", "[2001:db8::7]:8765"),
            ("[::1]:1", "[::1]:1"),
        ] {
            assert_eq!(typed.parse::<PeerAddress>().map(|a| a.to_string()), Ok(means.to_owned()), "{typed}");
        }
    }

    #[test]
    fn what_cannot_be_an_address_is_refused() {
        for (typed, why) in [
            ("", PeerAddressError::Host),
            ("300.1.1.1", PeerAddressError::Host),
            ("ws://holiday", PeerAddressError::Port),
            ("a b", PeerAddressError::Host),
            ("host:0", PeerAddressError::Port),
            ("host:+80", PeerAddressError::Port),
            ("host:", PeerAddressError::Port),
            ("[holiday]:80", PeerAddressError::Host),
            ("[::1]80", PeerAddressError::Port),
            ("-a.example", PeerAddressError::Host),
        ] {
            assert_eq!(typed.parse::<PeerAddress>(), Err(why), "{typed}");
        }
    }
}
