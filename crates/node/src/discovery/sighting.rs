//! A home as the network shows it, and what changes about that.
//!
//! A sighting is a rumour: anybody on the network can utter it. It suggests where to look for a home; what a paired home
//! is called and which key it has stands in the store alone (SECURITY T1).

use std::{
    net::{IpAddr, SocketAddr},
    time::SystemTime,
};

/// A home that announces itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// What everything is keyed by: the `id=` of its TXT record.
    pub id: String,
    /// What it says it is called.
    pub home_name: String,
    /// Its DNS-SD name, which a collision may have given a number.
    pub instance_name: String,
    /// Version of its software; empty when it does not say.
    pub version: String,
    /// Lowest and highest protocol version it speaks.
    pub proto: (u16, u16),
    /// What it can do.
    pub caps: Vec<String>,
    /// Its addresses, best first; link-local IPv6 ones, useless without a scope, stand in `candidates` only.
    pub addresses: Vec<IpAddr>,
    /// Where its sync listens.
    pub port: u16,
    /// Every address and port worth a try, in the order of trying; link-local IPv6 ones with their scope.
    ///
    /// Of a paired home the order never changes and a new one comes last. A second instance of the
    /// same id adds its own.
    pub candidates: Vec<SocketAddr>,
    /// When its records were last heard or confirmed.
    pub last_seen: SystemTime,
}

/// What changed on the network, told to those who [`subscribe`](super::Discovery::subscribe).
///
/// Several changes of one home between two reads are told as one, with the newest sighting.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiscoveryEvent {
    /// A home came into sight.
    Found(Sighting),
    /// Something about a home in sight is another.
    Updated(Sighting),
    /// A home said goodbye or was not heard of any more.
    Lost {
        /// The id of the sighting.
        id: String,
    },
}
