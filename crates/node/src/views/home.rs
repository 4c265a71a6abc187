//! Homes: this one, its peers, and those seen on the network.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{JointView, Stamp};

/// How this home is doing.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// This home.
    pub home: HomeView,
    /// Version of the running program.
    pub version: String,
    /// Where the HTTP API listens; absent while it only has its unix socket.
    pub api: Option<String>,
    /// Port on which peers connect; absent while sync is off.
    pub sync_port: Option<u16>,
    /// Whether this home keeps to this machine, because encryption was turned off in its configuration.
    pub loopback_only: bool,
    /// Whether this home announces itself and looks for others.
    pub discovery: bool,
    /// Paired homes.
    pub peers: Vec<PeerView>,
    /// How many entities there are.
    pub entities: EntityCounts,
    /// Conflicts that await a person.
    pub conflicts_open: u64,
    /// When this home was last restored from a backup.
    #[serde(default)]
    pub restored: Option<Restored>,
    /// What settles conflicts in the joint space, and why; null without a shared key.
    #[serde(default)]
    pub joint_strategy: Option<JointView>,
}

/// That a home was restored from a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Restored {
    /// When.
    pub at: Stamp,
    /// When the backup had been made.
    pub backup_at: Stamp,
}

/// A home by id and name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HomeView {
    /// Full id in its text form.
    pub id: String,
    /// Name as this home calls it.
    pub name: String,
}

/// How many entities a home has, gives and gets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EntityCounts {
    /// Entities of this home.
    pub own: u64,
    /// Those of them that at least one peer may see.
    pub shared: u64,
    /// Entities of other homes that this home sees.
    pub received: u64,
}

/// A paired home and the link to it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PeerView {
    /// Full id.
    pub id: String,
    /// Name as this home calls it.
    pub name: String,
    /// How the link stands.
    pub state: LinkState,
    /// Address in use, or the one tried last.
    pub address: Option<String>,
    /// What carries the link; absent while there is none.
    pub via: Option<Via>,
    /// Round trip in milliseconds, as last measured.
    pub rtt_ms: Option<f64>,
    /// Whether both sides hold the same.
    pub in_sync: bool,
    /// When both sides last held the same.
    pub last_sync: Option<Stamp>,
    /// Why the peer is not online, in words for people.
    pub reason: Option<String>,
    /// Since when it is shut out, because two running homes have its key.
    #[serde(default)]
    pub cloned: Option<Stamp>,
    /// When it came back from an earlier state, such as a restored backup, since this home has started.
    #[serde(default)]
    pub went_back: Option<Stamp>,
}

/// How a link stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LinkState {
    /// The peer has answered on an authenticated link.
    Online,
    /// A connection is being made.
    Connecting,
    /// Waiting to try again, or told not to.
    Offline,
}

/// What carries a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// A connection from home to home.
    Direct,
    /// A relay that sees ciphertext only.
    Relay,
}

/// A home on the network or in the list of known ones: an unproven suggestion unless `paired`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HomeSeen {
    /// Full id as announced.
    pub id: String,
    /// Name as announced, or this home's own name for it when paired.
    pub name: String,
    /// Addresses without port.
    pub addresses: Vec<String>,
    /// Port on which it takes peers.
    pub port: u16,
    /// Version of its program; absent when it has never been seen.
    pub version: Option<String>,
    /// Whether its key is pinned here.
    pub paired: bool,
    /// Whether there is a live link to it.
    pub online: bool,
    /// DNS-SD instance name; differs from `name` after a collision.
    #[serde(default)]
    pub instance_name: String,
    /// What it announces that it can do.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// When it was last heard of.
    #[serde(default)]
    pub last_seen: Option<Stamp>,
}

/// Homes with their links.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct HomeList {
    /// How many there are.
    pub count: usize,
    /// Paired homes.
    pub homes: Vec<PeerView>,
}

/// What this home announces about itself.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LocalPeer {
    /// Full id of this home.
    pub peer_id: String,
    /// Name of this home.
    pub home_id: String,
    /// DNS-SD instance name.
    pub instance_name: String,
    /// Version of the program.
    pub version: String,
    /// What this home can do.
    pub capabilities: Vec<String>,
    /// Port on which peers connect.
    pub port: u16,
    /// When this was asked.
    pub timestamp: Stamp,
}

/// This home's key, as far as others may know it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct KeyView {
    /// Full id.
    pub id: String,
    /// Full id in groups, as people compare it.
    pub grouped: String,
    /// First ten characters: for lists, never as proof.
    pub short: String,
    /// Public key in SPKI form, base64.
    pub public_key: String,
    /// Where the private key is kept.
    pub key_path: Option<String>,
    /// Id before the last rotation.
    pub replaces: Option<String>,
}

/// Something the doctor looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What was found.
    pub what: String,
    /// What to do about it; absent when nothing needs doing.
    pub remedy: Option<String>,
}

/// How bad a [`Finding`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Works, but not as well as it could.
    Warning,
    /// Does not work.
    Error,
}
