//! The paired homes: what is stored of each, and how its link stands.

use std::{collections::BTreeMap, time::Duration};

use crosshome_core::HomeId;
use tokio::{sync::watch, task::AbortHandle};

use super::{
    clones::{Rival, Starts},
    link::Link,
};
use crate::{
    store::PeerRow,
    views::{LinkState, PeerView, Stamp, Via},
};

/// Why a peer is not linked that was shut out.
pub(super) const CLONED_REASON: &str =
    "two running homes have its key: unpair it, or stop one and pair it anew";

/// All paired homes.
#[derive(Default)]
pub(super) struct Peers {
    all: BTreeMap<HomeId, Peer>,
    links: u64,
}

/// One paired home.
pub(super) struct Peer {
    pub(super) row: PeerRow,
    pub(super) link: Option<Link>,
    /// A link whose place another start of the peer has taken.
    pub(super) rival: Option<Rival>,
    pub(super) starts: Starts,
    /// Since when it is shut out, because two running homes have its key.
    pub(super) cloned: Option<Stamp>,
    /// When it has said that it sees two homes with this home's key.
    pub(super) accuses: Option<Stamp>,
    /// When it came back from an earlier state.
    pub(super) went_back: Option<Stamp>,
    pub(super) connector: Option<Connector>,
    /// Somebody wants the two homes apart, until this one is asked to connect.
    pub(super) apart: bool,
    /// Addresses seen on the network, best first.
    pub(super) seen: Vec<String>,
    pub(super) address: Option<String>,
    pub(super) reason: Option<String>,
    /// Who answers in the peer's place, with a key of its own.
    pub(super) imposter: Option<HomeId>,
    /// Links in a row that did not last.
    pub(super) failures: u32,
    pub(super) last_sync: Option<Stamp>,
    pub(super) rtt_ms: Option<f64>,
}

/// A task that tries to reach a peer, woken by every change of its addresses.
pub(super) struct Connector {
    pub(super) addresses: watch::Sender<Vec<String>>,
    pub(super) task: AbortHandle,
}

impl Drop for Connector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Peers {
    /// Returns the stored peers, some of which were shut out.
    pub(super) fn new(rows: Vec<PeerRow>, shut_out: Vec<(HomeId, Stamp)>) -> Self {
        let mut all: BTreeMap<_, _> = rows.into_iter().map(|row| (row.id, Peer::new(row))).collect();
        for (id, since) in shut_out {
            if let Some(peer) = all.get_mut(&id) {
                (peer.cloned, peer.reason) = (Some(since), Some(CLONED_REASON.into()));
            }
        }
        Self { all, links: 0 }
    }

    /// Returns the number of the next link.
    pub(super) fn next_link(&mut self) -> u64 {
        self.links += 1;
        self.links
    }

    /// Adds a peer, or gives a known one its new row.
    pub(super) fn insert(&mut self, row: PeerRow) {
        match self.all.get_mut(&row.id) {
            Some(peer) => peer.row = row,
            None => drop(self.all.insert(row.id, Peer::new(row))),
        }
    }

    pub(super) fn remove(&mut self, id: HomeId) -> Option<Peer> {
        self.all.remove(&id)
    }

    pub(super) fn get(&self, id: HomeId) -> Option<&Peer> {
        self.all.get(&id).filter(|peer| !peer.row.denied)
    }

    pub(super) fn get_mut(&mut self, id: HomeId) -> Option<&mut Peer> {
        self.all.get_mut(&id).filter(|peer| !peer.row.denied)
    }

    /// Returns the paired homes, without those on the deny list.
    pub(super) fn paired(&self) -> impl Iterator<Item = (HomeId, &Peer)> {
        self.all.iter().filter(|(_, peer)| !peer.row.denied).map(|(id, peer)| (*id, peer))
    }

    pub(super) fn paired_mut(&mut self) -> impl Iterator<Item = (HomeId, &mut Peer)> {
        self.all.iter_mut().filter(|(_, peer)| !peer.row.denied).map(|(id, peer)| (*id, peer))
    }

    pub(super) fn ids(&self) -> Vec<HomeId> {
        self.paired().map(|(id, _)| id).collect()
    }

    /// Returns every row, those on the deny list too.
    pub(super) fn rows(&self) -> impl Iterator<Item = &PeerRow> {
        self.all.values().map(|peer| &peer.row)
    }
}

impl Peer {
    fn new(row: PeerRow) -> Self {
        Self {
            row,
            link: None,
            rival: None,
            starts: Starts::default(),
            cloned: None,
            accuses: None,
            went_back: None,
            connector: None,
            apart: false,
            seen: Vec::new(),
            address: None,
            reason: None,
            imposter: None,
            failures: 0,
            last_sync: None,
            rtt_ms: None,
        }
    }

    /// Returns what this home calls the peer.
    pub(super) fn name(&self) -> &str {
        self.row.alias.as_deref().unwrap_or(&self.row.name)
    }

    /// Tells whether the peer has answered on its link.
    pub(super) fn online(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.session.greeting().is_some())
    }

    pub(super) fn view(&self, in_sync: bool) -> PeerView {
        let online = self.online();
        let state = match (online, &self.link, &self.connector) {
            (true, ..) => LinkState::Online,
            (false, None, None) => LinkState::Offline,
            _ => LinkState::Connecting,
        };
        PeerView {
            id: self.row.id.to_string(),
            name: self.name().to_owned(),
            state,
            address: self.address.clone(),
            via: online.then_some(Via::Direct),
            rtt_ms: self.rtt_ms.filter(|_| online),
            in_sync,
            last_sync: self.last_sync,
            reason: self.reason.clone().filter(|_| !online),
            cloned: self.cloned,
            went_back: self.went_back,
        }
    }

    /// Returns every address worth a try: seen ones first, then remembered ones.
    pub(super) fn addresses(&self) -> Vec<String> {
        let mut addresses = self.seen.clone();
        addresses.extend(self.row.addresses.iter().filter(|address| !self.seen.contains(address)).cloned());
        addresses
    }

    /// Wakes whoever tries to reach the peer.
    pub(super) fn announce_addresses(&self) {
        if let Some(connector) = &self.connector {
            connector.addresses.send_replace(self.addresses());
        }
    }
}

/// Milliseconds of a duration, with fractions.
pub(super) fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
