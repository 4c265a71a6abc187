//! Coming together and going apart: what callers ask of single peers, and who waits for it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crosshome_core::{HomeId, pairing::Method, wire::Reason};
use tokio::sync::oneshot;

use super::{
    Loop,
    names::{invalid, not_found},
    pairing::{Candidate, at_address, called},
    peers::CLONED_REASON,
};
use crate::{
    config::PeerAddress,
    defaults::SAME_TIME,
    node::{NodeError, Reply},
    views::{HomeView, PeerView},
};

/// Who waits for peers.
#[derive(Default)]
pub(super) struct Joining {
    /// Whether nobody is reached or joined yet: only those who come by themselves are let in.
    pub(super) aloof: bool,
    reaching: Vec<(HomeId, Reply<PeerView>)>,
    same: Vec<Same>,
}

/// A caller who waits until both sides hold the same.
struct Same {
    /// Per peer, the mark that has to be reached.
    marks: BTreeMap<HomeId, u64>,
    since: Instant,
    reply: Reply<()>,
}

impl Joining {
    pub(super) fn new(aloof: bool) -> Self {
        Self { aloof, ..Self::default() }
    }

    /// Tells callers that a peer was not reached, or that another home answers in its place.
    pub(super) fn not_reached(&mut self, id: HomeId, name: &str, reason: &str, imposter: Option<HomeId>) {
        let error = match imposter {
            Some(_) => NodeError::NotPaired { home: format!("who answers in the place of {name}") },
            None => NodeError::Unreachable { home: name.into(), reason: reason.into() },
        };
        for (_, reply) in self.reaching.extract_if(.., |(wanted, _)| *wanted == id) {
            let _ = reply.send(Err(error.clone()));
        }
    }

    /// Tells callers that a peer's link is gone.
    pub(super) fn link_ended(&mut self, id: HomeId, name: &str, reason: &str) {
        self.not_reached(id, name, reason, None);
        let reason = format!("its link ended before both sides held the same: {reason}");
        for same in self.same.extract_if(.., |same| same.marks.contains_key(&id)) {
            let _ =
                same.reply.send(Err(NodeError::Unreachable { home: name.into(), reason: reason.clone() }));
        }
    }
}

impl Loop {
    /// Returns the home of this name, which is paired by the shared key first if it is a stranger.
    ///
    /// A stranger is looked for at the address, or else in sight; with `anew` an address is asked even if a
    /// home of this name is known.
    pub(super) fn meet(&self, home: &str, address: Option<&str>, anew: bool, reply: Reply<HomeView>) {
        let known = if anew { Err(not_found("home", home)) } else { self.peer_named(home) };
        let stranger = match known {
            Ok(id) => Ok(Err(HomeView { id: id.to_string(), name: self.home_name(id) })),
            Err(NodeError::NotFound { .. }) => self.stranger(home, address).map(Ok),
            Err(error) => Err(error),
        };
        match stranger {
            Ok(Ok(candidate)) => self.join(home, candidate, reply),
            Ok(Err(known)) => drop(reply.send(Ok(known))),
            Err(error) => drop(reply.send(Err(error))),
        }
    }

    fn stranger(&self, home: &str, address: Option<&str>) -> Result<Candidate, NodeError> {
        if let Some(address) = address {
            let address: PeerAddress = address.parse().map_err(invalid)?;
            return Ok(at_address(&address.to_string()));
        }
        called(home, self.homes_in_sight())
    }

    fn join(&self, home: &str, candidate: Candidate, reply: Reply<HomeView>) {
        let Some(key) = self.desk.shared_key() else {
            return drop(reply.send(Err(NodeError::NotPaired { home: home.into() })));
        };
        let (paired, joined) = oneshot::channel();
        self.type_at(key.secret(), vec![candidate], paired);
        tokio::spawn(async move {
            let joined = joined.await.unwrap_or(Err(NodeError::Stopped));
            let _ = reply.send(joined.map(|paired| HomeView { id: paired.id, name: paired.name }));
        });
    }

    /// Connects to a paired home, at this address first, and answers when it is online or was not reached.
    pub(super) fn reach_now(&mut self, id: &str, address: Option<&str>, reply: Reply<PeerView>) {
        let known = id.parse().ok().filter(|id| self.peers.get(*id).is_some());
        let Some(id) = known else { return drop(reply.send(Err(not_found("home", id)))) };
        let (off, in_sync) = (!self.me.config.sync.enabled, self.in_sync(id));
        let Some(peer) = self.peers.get_mut(id) else { return };
        if peer.online() {
            return drop(reply.send(Ok(peer.view(in_sync))));
        }
        if off || peer.cloned.is_some() {
            let reason = if off { "sync is off in the configuration" } else { CLONED_REASON }.into();
            return drop(reply.send(Err(NodeError::Unreachable { home: peer.name().into(), reason })));
        }
        (peer.apart, peer.failures) = (false, 0);
        if let Some(address) = address {
            peer.seen.retain(|seen| seen != address);
            peer.seen.insert(0, address.into());
        }
        self.joining.reaching.push((id, reply));
        self.reach_after(id, Duration::ZERO);
    }

    /// Reaches for every peer, known or in sight, now and from now on.
    pub(super) fn reach_all(&mut self) {
        let aloof = std::mem::take(&mut self.joining.aloof);
        for id in self.peers.ids() {
            let Some(peer) = self.peers.get_mut(id) else { continue };
            peer.apart = false;
            if peer.connector.is_none() {
                self.reach(id);
            }
        }
        self.sightings().iter().for_each(|home| self.in_sight(home));
        if aloof {
            self.join_configured();
        }
    }

    /// Ends the link to a peer, and takes none from it until it is to be reached again.
    pub(super) fn part(&mut self, home: &str) -> Result<HomeView, NodeError> {
        let id = self.peer_named(home)?;
        let view = HomeView { id: id.to_string(), name: self.home_name(id) };
        let reason = "this home has disconnected from it".to_owned();
        self.drop_link(id, Reason::Apart);
        self.commands.peer_lost(id);
        self.joining.link_ended(id, &view.name, &reason);
        if let Some(peer) = self.peers.get_mut(id) {
            (peer.apart, peer.reason) = (true, Some(reason));
        }
        self.tell_peer(id);
        Ok(view)
    }

    /// Answers once every peer that is online holds what this home holds now, and the other way round.
    pub(super) fn same(&mut self, reply: Reply<()>) {
        let online = self.peers.paired_mut().filter(|(_, peer)| peer.online());
        let marks: BTreeMap<_, _> =
            online.filter_map(|(id, peer)| Some((id, peer.link.as_mut()?.session.mark()))).collect();
        match marks.is_empty() {
            true => drop(reply.send(Ok(()))),
            false => self.joining.same.push(Same { marks, since: Instant::now(), reply }),
        }
    }

    /// Takes note that a peer has reached a mark.
    pub(super) fn marked(&mut self, id: HomeId, number: u64) {
        for same in &mut self.joining.same {
            same.marks.retain(|peer, mark| *peer != id || *mark > number);
        }
        for same in self.joining.same.extract_if(.., |same| same.marks.is_empty()) {
            let _ = same.reply.send(Ok(()));
        }
    }

    /// Takes note that a peer is online: whoever waits for it hears so, and marks of an earlier link are set again.
    pub(super) fn joined(&mut self, id: HomeId) {
        let in_sync = self.in_sync(id);
        let Some(peer) = self.peers.get_mut(id) else { return };
        for (_, reply) in self.joining.reaching.extract_if(.., |(wanted, _)| *wanted == id) {
            let _ = reply.send(Ok(peer.view(in_sync)));
        }
        let Some(link) = &mut peer.link else { return };
        for mark in self.joining.same.iter_mut().filter_map(|same| same.marks.get_mut(&id)) {
            *mark = link.session.mark();
        }
    }

    /// Lets nobody wait for ever: what a wrong clock keeps back may never come.
    pub(super) fn give_up_joining(&mut self) {
        for same in self.joining.same.extract_if(.., |same| same.since.elapsed() > SAME_TIME) {
            let what = "being in sync".into();
            let _ = same.reply.send(Err(NodeError::TimedOut { what, seconds: SAME_TIME.as_secs() }));
        }
    }

    /// Forgets an earlier start of a home that keeps nothing: it has come again, with another key.
    ///
    /// Only where this home keeps nothing itself: elsewhere a name may carry rights.
    pub(super) fn forget_namesake(&mut self, id: HomeId, name: &str) {
        if !self.me.in_memory {
            return;
        }
        let namesake = self.peers.paired().find(|(other, peer)| {
            *other != id
                && peer.link.is_none()
                && peer.row.name == name
                && peer.row.method == Method::SharedKey
        });
        let Some((other, _)) = namesake else { return };
        tracing::info!(peer = %other.short(), %name, "forgotten: a home of this name has come with another key");
        self.peers.remove(other);
        let effects = self.replica.forget(other);
        self.effects.extend(effects);
        self.keeper.forget_cursor(other);
        self.forget_commands(other);
    }
}
