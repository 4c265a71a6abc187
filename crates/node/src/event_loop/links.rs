//! Links: sessions on secured channels, one per peer.
//!
//! Each link has two tasks. The reader posts frames to the loop; the writer takes one burst at a
//! time, so that what waits stays in the change log and a slow peer costs no memory. When both homes
//! dial each other at once, both keep the link that the lesser id dialled.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use crosshome_core::{
    HomeId,
    effect::Incident,
    epoch::Cursor,
    pairing::{Method, Role, SharedKey},
    replica::Replica,
    session::{Introduction, Session, SessionError},
    wire::Reason,
};
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    task::AbortHandle,
};

use super::{Event, Loop, now_ms, peers::millis};
use crate::{
    channel::{Frame, LinkReader, LinkWriter, Purpose, Secured},
    defaults::{
        BURST, BURST_BYTES, EXPORTER_SYNC, FAREWELL_TIME, FRAME_BYTES, HELLO_TIME, MADE_AT_ONCE, SILENCE,
        STEADY,
    },
    views::Stamp,
};

/// A live connection to a peer.
pub(super) struct Link {
    pub(super) number: u64,
    pub(super) session: Session,
    dialed: bool,
    writer: mpsc::Sender<Vec<Vec<u8>>>,
    starved: Arc<AtomicBool>,
    tasks: [AbortHandle; 2],
    opened: Instant,
    heard: Instant,
    pings: (u64, Option<Instant>),
}

impl Drop for Link {
    fn drop(&mut self) {
        // The writer ends by itself when its channel closes, after what it has is written.
        self.tasks[0].abort();
    }
}

impl Link {
    /// Returns the round trip of the ping with this nonce.
    pub(super) fn echo(&mut self, nonce: u64) -> Option<f64> {
        if self.pings.0 != nonce {
            return None;
        }
        self.pings.1.take().map(millis)
    }

    /// Tells whether the peer has been silent for too long.
    fn is_dead(&self) -> bool {
        let patience = if self.session.greeting().is_some() { SILENCE } else { HELLO_TIME };
        self.heard.elapsed() > patience
    }
}

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
        if let Some(old) = &peer.link {
            // Of two links made at once the lesser id's stays; whoever comes later has lost the earlier one.
            let kept = if me < id { old.dialed } else { !old.dialed };
            let at_once = old.dialed != dialed.is_some() && old.opened.elapsed() < MADE_AT_ONCE;
            if kept && at_once {
                return;
            }
        }
        let introduction =
            Introduction { boot: self.me.boot, name: &self.me.name, proto_low: peer.row.proto_low };
        let mut session = Session::open(id, false, &introduction, &self.replica, now_ms());
        if let Some((ours, theirs)) = proof {
            session.prove(ours, theirs);
        }
        peer.address = dialed.clone().or(peer.address.take());
        let (reader, writer) = secured.into_link(None);
        let (sender, bursts) = mpsc::channel(1);
        let starved = Arc::new(AtomicBool::new(false));
        let read = tokio::spawn(read(reader, id, number, self.post.clone()));
        let write = tokio::spawn(write(writer, bursts, starved.clone(), id, number, self.post.clone()));
        peer.link = Some(Link {
            number,
            session,
            dialed: dialed.is_some(),
            writer: sender,
            starved,
            tasks: [read.abort_handle(), write.abort_handle()],
            opened: Instant::now(),
            heard: Instant::now(),
            pings: (0, None),
        });
        tracing::debug!(peer = %id.short(), dialed = dialed.is_some(), "link up");
    }

    /// Takes in what came over a link.
    pub(super) fn receive(&mut self, id: HomeId, number: u64, frames: &[Frame]) {
        let now = now_ms();
        let Some(link) = self.peers.get_mut(id).and_then(|peer| peer.link.as_mut()) else { return };
        if link.number != number {
            return;
        }
        link.heard = Instant::now();
        let was_online = link.session.greeting().is_some();
        let mut failed = None;
        for frame in frames {
            match link.session.receive(&mut self.replica, frame, now) {
                Ok(effects) => self.effects.extend(effects),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        if !was_online && link.session.greeting().is_some() {
            self.came_online(id);
        }
        if let Some(error) = failed {
            self.end_link(id, number, &error);
        }
    }

    /// Takes note that a link has ended, and starts to reach the peer again.
    pub(super) fn link_down(&mut self, id: HomeId, number: u64, reason: String) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        if peer.link.as_ref().is_none_or(|link| link.number != number) {
            return;
        }
        let was_online = peer.online();
        let steady = peer.link.take().is_some_and(|link| was_online && link.opened.elapsed() >= STEADY);
        peer.failures = if steady { 0 } else { peer.failures + 1 };
        peer.reason = Some(reason);
        if was_online {
            tracing::info!(peer = %id.short(), reason = peer.reason.as_deref(), "peer offline");
        }
        self.commands.peer_lost(id);
        self.tell_peer(id);
        self.reach(id);
    }

    /// Asks every peer for a sign of life and drops links that gave none.
    pub(super) fn beat(&mut self) {
        let now = now_ms();
        let mut dead = Vec::new();
        for (id, peer) in self.peers.paired_mut() {
            let Some(link) = &mut peer.link else { continue };
            if link.is_dead() {
                dead.push((id, link.number));
                continue;
            }
            link.pings = (link.pings.0 + 1, Some(Instant::now()));
            link.session.beat(&self.replica, link.pings.0, now);
        }
        for (id, number) in dead {
            self.link_down(id, number, "no sign of life".into());
        }
        self.commands.expire(now);
        self.desk.tidy();
        self.mark_synced();
    }

    /// Fills every link that has room with what its session has to say.
    pub(super) fn pump(&mut self) {
        let mut lost = Vec::new();
        for (id, peer) in self.peers.paired_mut() {
            let Some(link) = &mut peer.link else { continue };
            while let Err(full) = fill(link, &self.replica) {
                match full {
                    Full::Waits => break,
                    Full::Gone => {
                        lost.push((id, link.number));
                        break;
                    }
                    Full::Again => {}
                }
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
        let tasks: Vec<_> = self
            .peers
            .paired_mut()
            .filter_map(|(_, peer)| peer.link.take())
            .map(|link| link.tasks[1].clone())
            .collect();
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
            last_words(&mut link, &self.replica);
        }
    }

    fn came_online(&mut self, id: HomeId) {
        self.follow_name(id);
        let Some(peer) = self.peers.get_mut(id) else { return };
        let Some(link) = &mut peer.link else { return };
        let Some(greeting) = link.session.greeting() else { return };
        tracing::info!(
            peer = %id.short(), name = peer.row.alias.as_deref().unwrap_or(&peer.row.name),
            took_ms = link.opened.elapsed().as_millis() as u64, "peer online"
        );
        (peer.reason, peer.imposter) = (None, None);
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
        link.pings = (link.pings.0 + 1, Some(Instant::now()));
        link.session.beat(&self.replica, link.pings.0, now_ms());
        self.tell_peer(id);
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
            last_words(link, &self.replica);
        }
        self.link_down(id, number, error.to_string());
    }

    fn said_goodbye(&mut self, id: HomeId, number: u64, reason: Reason) {
        let text = match reason {
            Reason::Stopping => "it was stopped",
            Reason::Unpaired => "it has unpaired this home: pair again, or unpair it here",
            Reason::Version => "it speaks another version of the protocol: update the older of the two",
            Reason::Protocol => "it did not understand this home: update the older of the two",
            Reason::Cloned => "it has seen two homes with this home's key",
            Reason::Superseded => "it uses another link",
        };
        self.link_down(id, number, text.into());
        if reason == Reason::Unpaired {
            tracing::warn!(peer = %id.short(), "the peer has unpaired this home");
            if let Some(peer) = self.peers.get_mut(id) {
                peer.connector = None; // it would only be turned away
            }
        }
    }

    /// Takes note of when each peer was last in sync.
    fn mark_synced(&mut self) {
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
            Incident::Diverged => tracing::warn!(%peer, "both homes held different things; repairing"),
            other => tracing::warn!(%peer, ?other, "incident"),
        }
    }
}

/// Why a link takes no more at present.
enum Full {
    /// Its session has said all, or the writer is busy and will ask.
    Waits,
    /// The writer has ended.
    Gone,
    /// The writer took its burst in between.
    Again,
}

/// Hands one burst to the writer.
fn fill(link: &mut Link, replica: &Replica) -> Result<(), Full> {
    let permit = match link.writer.try_reserve() {
        Ok(permit) => permit,
        Err(TrySendError::Closed(())) => return Err(Full::Gone),
        Err(TrySendError::Full(())) if link.starved.swap(true, Ordering::SeqCst) => return Err(Full::Waits),
        Err(TrySendError::Full(())) => return Err(Full::Again),
    };
    let burst = burst(&mut link.session, replica);
    if burst.is_empty() {
        return Err(Full::Waits);
    }
    permit.send(burst);
    Ok(())
}

/// Takes from a session what it has to say, up to a burst.
fn burst(session: &mut Session, replica: &Replica) -> Vec<Vec<u8>> {
    let (mut burst, mut bytes) = (Vec::new(), 0);
    while bytes < BURST_BYTES {
        let Some(frame) = session.offer(replica) else { break };
        bytes += frame.len();
        burst.push(frame);
    }
    burst
}

/// Hands the last words of a link to its writer, which closes the link when it has written them.
pub(super) fn last_words(link: &mut Link, replica: &Replica) {
    let (words, writer) = (burst(&mut link.session, replica), link.writer.clone());
    tokio::spawn(async move {
        let _ = tokio::time::timeout(FAREWELL_TIME, writer.send(words)).await;
    });
}

/// Returns what this home says and what the peer would say to prove the shared key.
fn proofs(key: &SharedKey, secured: &Secured, dialed: bool) -> Option<([u8; 32], [u8; 32])> {
    let exporter = secured.exporter(EXPORTER_SYNC).ok()?;
    let ours = if dialed { Role::Typing } else { Role::Showing };
    Some((key.prove(&exporter, ours), key.prove(&exporter, ours.other())))
}

async fn read(mut reader: LinkReader, peer: HomeId, link: u64, post: mpsc::Sender<Event>) {
    let mut most = 1; // the hello, or the proof ahead of it, is short; what follows need not be
    loop {
        let event = match reader.recv(most).await {
            Ok(frames) => Event::Received { peer, link, frames },
            Err(error) => Event::Lost { peer, link, reason: error.to_string() },
        };
        let last = matches!(event, Event::Lost { .. });
        if post.send(event).await.is_err() || last {
            return;
        }
        reader.set_limit(FRAME_BYTES);
        most = BURST;
    }
}

async fn write(
    mut writer: LinkWriter,
    mut bursts: mpsc::Receiver<Vec<Vec<u8>>>,
    starved: Arc<AtomicBool>,
    peer: HomeId,
    link: u64,
    post: mpsc::Sender<Event>,
) {
    while let Some(burst) = bursts.recv().await {
        if starved.swap(false, Ordering::SeqCst) {
            let _ = post.send(Event::Room).await;
        }
        if let Err(error) = writer.send(&burst).await {
            let _ = post.send(Event::Lost { peer, link, reason: error.to_string() }).await;
            return;
        }
    }
    writer.close().await;
}
