//! How this home is doing, and what it knows of others.

use std::{net::IpAddr, time::Duration};

use crosshome_core::Space;

use super::Loop;
use crate::{
    defaults::VERSION,
    discovery::Sighting,
    node::{NodeError, Reply},
    views::{EntityCounts, HomeSeen, HomeView, KeyView, LocalPeer, PeerView, Stamp, Status},
};

impl Loop {
    pub(super) fn status(&self) -> Status {
        Status {
            home: HomeView { id: self.me.id.to_string(), name: self.me.name.clone() },
            version: VERSION.into(),
            api: self.me.api.clone(),
            sync_port: self.me.sync_port,
            loopback_only: !self.me.config.sync.encryption.enabled,
            discovery: self.discovery.is_some(),
            peers: self.homes(),
            entities: self.counts(),
            conflicts_open: self.conflicts_open(),
            restored: self.restored,
            joint_strategy: self.joint_view(),
        }
    }

    pub(super) fn homes(&self) -> Vec<PeerView> {
        let mut homes: Vec<_> = self.peers.paired().map(|(id, peer)| peer.view(self.in_sync(id))).collect();
        homes.sort_by(|a, b| a.name.cmp(&b.name));
        homes
    }

    pub(super) fn counts(&self) -> EntityCounts {
        let mut counts = EntityCounts::default();
        for (_, entity) in self.replica.table().iter() {
            if entity.siblings.latest().is_none_or(|latest| latest.deleted) {
                continue;
            }
            match entity.key.space {
                Space::Home(home) if home == self.me.id => {
                    counts.own += 1;
                    let seen = self.peers.paired().any(|(id, _)| self.replica.admits(id, entity).is_some());
                    counts.shared += u64::from(seen);
                }
                _ => counts.received += 1,
            }
        }
        counts
    }

    pub(super) fn key_show(&self) -> KeyView {
        let identity = self.endpoint.identity();
        KeyView {
            id: self.me.id.to_string(),
            grouped: self.me.id.grouped(),
            short: self.me.id.short(),
            public_key: base64::Engine::encode(&base64::engine::general_purpose::STANDARD, identity.spki()),
            key_path: Some(self.me.config.sync.encryption.key_path.display().to_string()),
            replaces: None,
        }
    }

    pub(super) fn local_peer(&self) -> LocalPeer {
        let announced = self.discovery.as_ref().and_then(|discovery| discovery.announced());
        LocalPeer {
            peer_id: self.me.id.to_string(),
            home_id: self.me.name.clone(),
            instance_name: announced.unwrap_or_else(|| self.me.name.clone()),
            version: VERSION.into(),
            capabilities: ["sync", "encryption", "shared_entities"].map(Into::into).to_vec(),
            port: self.me.sync_port.unwrap_or(0),
            timestamp: Stamp::now(),
        }
    }

    /// Returns homes known or seen, after looking around for a while when asked to.
    pub(super) fn discovered(&self, wait: Duration, reply: Reply<Vec<HomeSeen>>) {
        let known: Vec<_> = self
            .peers
            .paired()
            .map(|(id, peer)| (id.to_string(), peer.name().to_owned(), peer.online(), peer.addresses()))
            .collect();
        let Some(discovery) = self.discovery.clone() else {
            let seen = known.iter().map(unseen).collect();
            return drop(reply.send(Ok(seen)));
        };
        tokio::spawn(async move {
            let sightings =
                if wait.is_zero() { discovery.sightings() } else { discovery.browse_for(wait).await };
            let mut homes: Vec<_> = sightings
                .iter()
                .map(|home| seen(home, known.iter().find(|known| known.0 == home.id)))
                .collect();
            let hidden = known.iter().filter(|known| sightings.iter().all(|home| home.id != known.0));
            homes.extend(hidden.map(unseen));
            homes.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
            let _ = reply.send(Ok(homes));
        });
    }

    /// Returns this machine's addresses with the sync port, for invitations.
    pub(super) fn own_addresses(&self) -> Vec<String> {
        let Some(port) = self.me.sync_port else { return Vec::new() };
        let bind = self.me.config.sync.bind;
        if !bind.is_unspecified() {
            return vec![std::net::SocketAddr::new(bind, port).to_string()];
        }
        let usable = |ip: &IpAddr| match ip {
            IpAddr::V4(ip) => !ip.is_link_local(),
            IpAddr::V6(ip) => !ip.is_unicast_link_local(),
        };
        let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
        let (local, mut outer): (Vec<_>, Vec<_>) =
            interfaces.iter().map(if_addrs::Interface::ip).filter(usable).partition(IpAddr::is_loopback);
        outer.sort_by_key(IpAddr::is_ipv6);
        let ips = if outer.is_empty() { local } else { outer };
        ips.into_iter().map(|ip| std::net::SocketAddr::new(ip, port).to_string()).collect()
    }

    pub(super) fn ready(&self) -> Result<(), NodeError> {
        self.store_takes_writes()
    }
}

type Known = (String, String, bool, Vec<String>);

fn seen(home: &Sighting, known: Option<&Known>) -> HomeSeen {
    let since = home.last_seen.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default();
    HomeSeen {
        id: home.id.clone(),
        name: known.map_or_else(|| home.home_name.clone(), |known| known.1.clone()),
        addresses: home.addresses.iter().map(ToString::to_string).collect(),
        port: home.port,
        version: Some(home.version.clone()).filter(|version| !version.is_empty()),
        paired: known.is_some(),
        online: known.is_some_and(|known| known.2),
        instance_name: home.instance_name.clone(),
        capabilities: home.caps.clone(),
        last_seen: Some(Stamp(since.as_millis() as i64)),
    }
}

fn unseen((id, name, online, addresses): &Known) -> HomeSeen {
    let parts = addresses.first().and_then(|address| address.rsplit_once(':'));
    let (host, port) = parts.unwrap_or_default();
    HomeSeen {
        id: id.clone(),
        name: name.clone(),
        addresses: if host.is_empty() { Vec::new() } else { vec![host.trim_matches(['[', ']']).to_owned()] },
        port: port.parse().unwrap_or(0),
        version: None,
        paired: true,
        online: *online,
        instance_name: String::new(),
        capabilities: Vec::new(),
        last_seen: None,
    }
}
