//! What Python is told of a home on the network.

use std::time::{SystemTime, UNIX_EPOCH};

use crosshome_node::{
    discovery::{Announcement, Sighting},
    views::Stamp,
};
use pyo3::IntoPyObject;

/// Another home, as it announces itself: nothing of it is proven.
#[derive(IntoPyObject)]
pub(super) struct PeerInfo {
    peer_id: String,
    home_id: String,
    instance_name: String,
    version: String,
    capabilities: Vec<String>,
    addresses: Vec<String>,
    port: u16,
    last_seen: String,
}

impl PeerInfo {
    pub(super) fn of(home: &Sighting) -> Self {
        Self {
            peer_id: home.id.clone(),
            home_id: home.home_name.clone(),
            instance_name: home.instance_name.clone(),
            version: home.version.clone(),
            capabilities: home.caps.clone(),
            addresses: home.addresses.iter().map(ToString::to_string).collect(),
            port: home.port,
            last_seen: stamp(home.last_seen).to_string(),
        }
    }
}

/// This home, as it announces itself.
#[derive(IntoPyObject)]
pub(super) struct LocalInfo {
    peer_id: String,
    home_id: String,
    instance_name: String,
    version: String,
    capabilities: Vec<String>,
    port: u16,
    timestamp: String,
}

impl LocalInfo {
    pub(super) fn of(said: &Announcement, instance_name: String) -> Self {
        let Announcement { id, home_name, port, version, caps, .. } = said.clone();
        Self {
            peer_id: id,
            home_id: home_name,
            instance_name,
            version,
            capabilities: caps,
            port,
            timestamp: Stamp::now().to_string(),
        }
    }
}

fn stamp(time: SystemTime) -> Stamp {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Stamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
