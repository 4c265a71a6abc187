//! Links: sessions on secured channels, one per peer.
//!
//! Each [`Link`] has two tasks. The reader posts frames to the loop; the writer takes one burst at a
//! time, so that what waits stays in the change log and a slow peer costs no memory. When both homes
//! dial each other at once, both keep the link that the lesser id dialled.

use std::time::Instant;

use crosshome_core::{
    HomeId,
    effect::{Effect, Incident},
    epoch::Cursor,
    pairing::Method,
    session::{Introduction, Round, Session, SessionError},
    wire::Reason,
};

use super::{
    Loop,
    link::{Echo, Link, proofs},
    now_ms,
    peers::millis,
};
use crate::{
    channel::{Frame, Purpose, Secured},
    defaults::{FAREWELL_TIME, MADE_AT_ONCE, STEADY},
    views::Stamp,
};

impl Loop {
    /// Makes a link of a secured channel to a paired home.
    pub(super) fn link_up(&mut self, id: HomeId, secured: Secured, dialed: Option<String>) {
        debug_assert_eq!(secured.purpose(), Purpose::Sync);
        let (number, me) = (self.peers.next_link(), self.me.id);
        let by_key = self.peers.get(id).is_some_and(|peer| peer.row.method == Method::SharedKey);
        // A proof lets its reader guess a weak key at leisure, so only those who have shown that they know it get one.
        let proof =
            self.desk.shared_key().filter(|_| by_key).and_then(|key| proofs(key, &secured, dialed.is_some()));
        let Some(peer) = self.peers.get_mut(id) else { return };
        peer.connector = None;
        if peer.cloned.is_some() || peer.apart {
            let reason = if peer.apart { Reason::Apart } else { Reason::Cloned };
            return self.turn_away(id, secured, dialed.is_some(), reason);
        }
        if let Some(old) = &peer.link {
            // Of two links made at once the lesser id's stays; whoever comes later has lost the earlier one.
            let kept = if me < id { old.dialed } else { !old.dialed };
            let at_once = old.dialed != dialed.is_some() && old.opened.elapsed() < MADE_AT_ONCE;
            if kept && at_once {
                return;
            }
        }
        let introduction = Introduction { name: &self.me.name, proto_low: peer.row.proto_low };
        let mut session = Session::open(id, false, &introduction, &self.replica, now_ms());
        if let Some((ours, theirs)) = proof {
            session.prove(ours, theirs);
        }
        peer.address = dialed.clone().or(peer.address.take());
        let per_s = self.me.config.sync.max_updates_per_s;
        let link = Link::new(number, (id, session), secured, dialed.is_some(), per_s, &self.post);
        if let Some(old) = peer.link.replace(link) {
            peer.keep_as_rival(old);
        }
        self.commands.link_opened(id);
        tracing::debug!(peer = %id.short(), dialed = dialed.is_some(), "link up");
    }

    /// Takes in what came over a link.
    pub(super) fn receive(&mut self, id: HomeId, number: u64, frames: &[Frame]) {
        let now = now_ms();
        let Some(link) = self.peers.get_mut(id).and_then(|peer| peer.link.as_mut()) else { return };
        if link.number != number {
            return self.hear_rival(id, number, frames);
        }
        link.heard = Instant::now();
        let was_online = link.session.greeting().is_some();
        let (mut failed, before) = (None, self.effects.len());
        for frame in frames {
            match link.session.receive(&mut self.replica, frame, now) {
                Ok(effects) => self.effects.extend(effects),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        let answered = self.effects[before..].iter().any(|effect| link.is_answer(effect));
        let changed = self.effects[before..].iter().filter(|effect| matches!(effect, Effect::Changed(_)));
        link.count(changed.count() as u32);
        link.wait_if_congested();
        if !was_online && link.session.greeting().is_some() {
            self.came_online(id);
            self.meet_start(id);
        }
        if answered {
            self.start_answered(id);
        }
        if let Some(error) = failed {
            self.end_link(id, number, &error);
        }
    }

    /// Takes note that a link was lost, and starts to reach the peer again: within about a second if both homes had
    /// spoken on it, for then the network is to blame.
    pub(super) fn link_down(&mut self, id: HomeId, number: u64, reason: String) {
        self.end_of_link(id, number, reason, false);
    }

    /// The same; with a fault that would only come back, the peer is reached later and later.
    fn end_of_link(&mut self, id: HomeId, number: u64, reason: String, fault: bool) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        if peer.link.as_ref().is_none_or(|link| link.number != number) {
            return self.rival_lost(id, number);
        }
        let was_online = peer.online();
        let steady = peer.link.take().is_some_and(|link| was_online && link.opened.elapsed() >= STEADY);
        peer.failures = match steady {
            true => 0,
            false if was_online && !fault => 1,
            false => peer.failures + 1,
        };
        self.joining.link_ended(id, peer.name(), &reason);
        peer.reason = Some(reason);
        if was_online {
            tracing::info!(peer = %id.short(), reason = peer.reason.as_deref(), "peer offline");
        }
        self.commands.peer_lost(id);
        self.deciding.review_soon();
        self.tell_peer(id);
        self.reach(id);
    }

    /// Asks every peer for a sign of life, drops links that gave none, and forgets deletions that all have heard of.
    pub(super) fn beat(&mut self) {
        let now = now_ms();
        self.effects.extend(self.replica.purge(&self.peers.ids(), now));
        let (mut dead, mut stale) = (Vec::new(), Vec::new());
        for (id, peer) in self.peers.paired_mut() {
            let Some(link) = &mut peer.link else { continue };
            if link.is_dead() {
                dead.push((id, link.number));
                continue;
            }
            if link.is_stale() {
                stale.push((id, link.number));
                continue;
            }
            self.commands.pings(id, link.ping(&self.replica, now));
        }
        for (id, number) in dead {
            self.link_down(id, number, "no sign of life".into());
        }
        for (id, number) in stale {
            self.renew_link(id, number);
        }
        self.drop_dead_rivals();
        self.desk.tidy();
    }

    /// Takes note of an answered ping. One that waited through a silence says nothing of the way, and is asked again.
    pub(super) fn hear_echo(&mut self, id: HomeId, nonce: u64) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        let Some(link) = &mut peer.link else { return };
        match link.echo(nonce) {
            Some(Echo::After(round_trip)) => peer.rtt_ms = Some(millis(round_trip)),
            Some(Echo::Late) => self.commands.pings(id, link.measure(&self.replica, now_ms())),
            None => {}
        }
    }

    /// Fills every link that has room with what its session has to say.
    pub(super) fn pump(&mut self) {
        let links = self.peers.paired().filter(|(_, peer)| peer.link.is_some()).count();
        let mut round = if links > 1 { Round::shared(&self.replica) } else { Round::alone(&self.replica) };
        let mut lost = Vec::new();
        for (id, peer) in self.peers.paired_mut() {
            let Some(link) = &mut peer.link else { continue };
            if link.pump(&mut round).is_err() {
                lost.push((id, link.number));
            }
        }
        for (id, number) in lost {
            self.link_down(id, number, "the link broke".into());
        }
    }

    /// Tells peers how much of what they sent is durable here.
    pub(super) fn acknowledge(&mut self, cursors: &[(HomeId, Cursor)]) {
        for (id, cursor) in cursors {
            if let Some(link) = self.peers.get_mut(*id).and_then(|peer| peer.link.as_mut()) {
                link.session.stored(cursor);
            }
        }
    }

    /// Says goodbye to every peer and lets the goodbyes leave.
    pub(super) async fn close_links(&mut self) {
        for (_, peer) in self.peers.paired_mut() {
            if let Some(link) = &mut peer.link {
                link.session.close(Reason::Stopping);
            }
            peer.connector = None;
        }
        self.pump();
        let links = self.peers.paired_mut().filter_map(|(_, peer)| peer.link.take());
        let tasks: Vec<_> = links.map(|link| link.writing()).collect();
        let written = async {
            while tasks.iter().any(|task| !task.is_finished()) {
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        };
        let _ = tokio::time::timeout(FAREWELL_TIME, written).await;
    }

    /// Closes a peer's link because it is forgotten.
    pub(super) fn drop_link(&mut self, id: HomeId, reason: Reason) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        peer.connector = None;
        if let Some(mut link) = peer.link.take() {
            link.session.close(reason);
            link.last_words(&self.replica);
        }
        self.deciding.review_soon();
    }

    /// Makes a link anew, so that its keys are fresh.
    fn renew_link(&mut self, id: HomeId, number: u64) {
        if let Some(link) = self.peers.get_mut(id).and_then(|peer| peer.link.as_mut()) {
            link.session.close(Reason::Superseded);
            link.last_words(&self.replica);
        }
        self.link_down(id, number, "the link is made anew".into());
    }

    fn came_online(&mut self, id: HomeId) {
        self.follow_name(id);
        let Some(peer) = self.peers.get_mut(id) else { return };
        let Some(link) = &mut peer.link else { return };
        let Some(greeting) = link.session.greeting() else { return };
        let start = greeting.epoch;
        tracing::info!(
            peer = %id.short(), name = peer.row.alias.as_deref().unwrap_or(&peer.row.name),
            took_ms = link.opened.elapsed().as_millis() as u64, "peer online"
        );
        (peer.reason, peer.imposter, peer.accuses) = (None, None, None);
        self.deciding.review_soon();
        let known = peer
            .address
            .as_ref()
            .filter(|_| link.dialed)
            .filter(|a| !peer.row.addresses.contains(a))
            .cloned();
        let risen = greeting.proto > peer.row.proto_low;
        peer.row.proto_low = peer.row.proto_low.max(greeting.proto);
        if let Some(address) = &known {
            peer.row.addresses.insert(0, address.clone());
            peer.row.addresses.truncate(crate::defaults::ADDRESSES_KEPT);
        }
        if known.is_some() || risen {
            self.keeper.peers_changed();
        }
        if peer.rtt_ms.is_none() {
            self.commands.pings(id, link.measure(&self.replica, now_ms())); // people ask how far it is; after that the heartbeat tells
        }
        self.say_successor(id);
        self.command_again(id, start);
        self.tell_peer(id);
        self.joined(id);
    }

    fn end_link(&mut self, id: HomeId, number: u64, error: &SessionError) {
        if let SessionError::Bye(reason) = error {
            return self.said_goodbye(id, number, *reason);
        }
        tracing::warn!(peer = %id.short(), %error, "link closed");
        let reason = match error {
            SessionError::Version(..) => Reason::Version,
            _ => Reason::Protocol,
        };
        if let Some(link) = self.peers.get_mut(id).and_then(|peer| peer.link.as_mut()) {
            link.session.close(reason);
            link.last_words(&self.replica);
        }
        self.end_of_link(id, number, error.to_string(), true);
    }

    fn said_goodbye(&mut self, id: HomeId, number: u64, reason: Reason) {
        let text = match reason {
            Reason::Stopping => "it was stopped",
            Reason::Unpaired => "it has unpaired this home: pair again, or unpair it here",
            Reason::Version => "it speaks another version of the protocol: update the older of the two",
            Reason::Protocol => "it did not understand this home: update the older of the two",
            Reason::Cloned => "it sees two running homes with this home's key, and shuts out both",
            Reason::Superseded => "it uses another link",
            Reason::Apart => "it has disconnected from this home, until it connects again",
        };
        self.end_of_link(id, number, text.into(), reason != Reason::Stopping);
        if reason == Reason::Cloned {
            self.accused(id);
        }
        if reason == Reason::Unpaired {
            tracing::warn!(peer = %id.short(), "the peer has unpaired this home");
            if let Some(peer) = self.peers.get_mut(id) {
                peer.connector = None; // it would only be turned away
            }
        }
    }

    /// Takes note of when each peer was last in sync.
    pub(super) fn mark_synced(&mut self) {
        let now = Stamp::now();
        for (_, peer) in self.peers.paired_mut() {
            if peer.link.as_ref().is_some_and(|link| link.session.in_sync(&self.replica)) {
                peer.last_sync = Some(now);
            }
        }
    }

    /// Puts into words for the log what a session has met.
    pub(super) fn report(&mut self, id: HomeId, incident: Incident) {
        let peer = id.short();
        self.metrics.incident(incident);
        match incident {
            Incident::Forbidden => tracing::warn!(%peer, "the peer tried what it may not"),
            Incident::ClockSkew => tracing::warn!(%peer, "the clocks differ by more than a minute"),
            Incident::Quota => tracing::warn!(%peer, "the peer offers more entities than this home takes"),
            Incident::Fork => {
                tracing::warn!(%peer, "the peer has seen changes of this home that are lost here; repairing")
            }
            Incident::WentBack => {
                tracing::warn!(%peer, "the peer came back from an earlier state; repairing what it has lost");
                if let Some(peer) = self.peers.get_mut(id) {
                    peer.went_back = Some(Stamp::now());
                }
            }
            Incident::Diverged => tracing::warn!(%peer, "both homes held different things; repairing"),
            other => tracing::warn!(%peer, ?other, "incident"),
        }
    }
}
