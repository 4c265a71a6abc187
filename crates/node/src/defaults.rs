//! Every number of the running home, each with the reason for its size.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    num::NonZeroU16,
};

// ---- configuration ----

/// UDP port of multicast DNS (RFC 6762).
pub const MDNS_PORT: NonZeroU16 = NonZeroU16::new(5353).unwrap();
/// TCP port on which homes reach each other; what CoPilot users already have in their files.
pub const SYNC_PORT: u16 = 8765;
/// Both IPv6 and IPv4.
pub const SYNC_BIND: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
/// The next one, for people and programs on this machine.
pub const API_PORT: u16 = 8766;
/// This machine only: whoever reaches the API steers the home.
pub const API_BIND: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// A DNS label (RFC 1035), because the name is announced as one.
pub const HOME_NAME_BYTES: usize = 63;
/// An id in groups has 71 characters.
pub const HOME_REF_BYTES: usize = 80;
/// Linux's IFNAMSIZ without the final zero.
pub const INTERFACE_BYTES: usize = 15;
/// Home Assistant allows 255 characters in an entity id.
pub const PATTERN_BYTES: usize = 255;
/// Fewer characters can be guessed on line in a lifetime.
pub const SECRET_CHARS: usize = 8;
/// More than any token that exists.
pub const SECRET_BYTES: usize = 4096;
/// More than any expression somebody can still read.
pub const TEMPLATE_BYTES: usize = 16 * 1024;
/// Linux's PATH_MAX.
pub const PATH_BYTES: usize = 4096;
/// Ten times the largest configuration seen in the wild; 0.1 s to parse on a small board.
pub const CONFIG_BYTES: u64 = 1024 * 1024;
/// Home Assistant's own files stay below 20; recursion stays far from the stack's end.
pub const CONFIG_DEPTH: usize = 64;
/// A file that includes itself ends here.
pub const CONFIG_INCLUDE_DEPTH: usize = 8;
/// Bounds what a block of includes can make us read: 64 MiB.
pub const CONFIG_FILES: usize = 64;
/// Bounds a list, and what merges of merges can unfold into.
pub const CONFIG_KEYS: usize = 10_000;
/// More mistakes than these help nobody; the rest are counted.
pub const CONFIG_ERRORS: usize = 100;
