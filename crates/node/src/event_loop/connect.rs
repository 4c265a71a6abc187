//! Reaching peers: one task per peer that is not linked, awake when there is news of its addresses.

use std::time::{Duration, Instant};

use crosshome_core::{HomeId, pairing::Method};
use tokio::sync::{mpsc, watch};

use super::{
    Event, Loop,
    pairing::addresses_of,
    peers::{Connector, Peer},
};
use crate::{
    channel::{Arrival, ChannelError, Dictionary, Endpoint, Purpose, Target},
    defaults::{BACKOFF, DIAL_POLITELY, EAGER_TIME, HELLO_TIME},
    discovery::{DiscoveryEvent, Sighting},
};

impl Loop {
    /// Starts what runs from the beginning: reaching peers, and hearing the network.
    pub(super) fn begin(&mut self) {
        self.resume_rotation();
        self.begin_policies();
        self.begin_audiences();
        self.apply_standing_rules();
        if !self.joining.aloof {
            self.peers.ids().into_iter().for_each(|id| self.reach(id));
        }
        self.keep_paired_in_sight();
        if let Some(discovery) = self.discovery.clone() {
            let mut seen = discovery.subscribe();
            let post = self.post.clone();
            tokio::spawn(async move {
                while let Some(event) = seen.recv().await {
                    if post.send(Event::Sighted(event)).await.is_err() {
                        return;
                    }
                }
            });
        }
        if !self.joining.aloof {
            self.join_configured();
        }
    }

    pub(super) fn join_configured(&self) {
        let known: Vec<_> = self.peers.paired().flat_map(|(_, peer)| peer.row.addresses.clone()).collect();
        self.desk.join_addresses(&self.endpoint, &known);
    }

    /// Tries to reach a peer until it is linked.
    pub(super) fn reach(&mut self, id: HomeId) {
        let failures = self.peers.get(id).map_or(0, |peer| peer.failures);
        self.reach_after(id, first_pause(failures, self.me.id > id));
    }

    /// As [`Loop::reach`], after a pause.
    pub(super) fn reach_after(&mut self, id: HomeId, pause: Duration) {
        if !self.me.config.sync.enabled {
            return;
        }
        let next = self.as_it_will_be(id);
        let manual = self.me.config.sync.peers.iter().map(ToString::to_string).collect::<Vec<_>>();
        let Some(peer) =
            self.peers.get_mut(id).filter(|peer| peer.link.is_none() && peer.cloned.is_none() && !peer.apart)
        else {
            return;
        };
        let (addresses, watched) = watch::channel(peer.addresses());
        let dial = Dial {
            endpoint: self.endpoint.clone(),
            next,
            peer: id,
            addresses: watched,
            manual,
            pause,
            post: self.post.clone(),
        };
        let task = tokio::spawn(dial.until_reached()).abort_handle();
        peer.connector = Some(Connector { addresses, task });
    }

    /// Admits who came in by the listener: a peer to a link, a stranger to the pairing.
    pub(super) fn arrive(&mut self, arrival: Arrival) {
        let Arrival { secured, address } = arrival;
        let id = secured.peer().id();
        match secured.purpose() {
            Purpose::Pair => self.show_pairing(secured, address),
            Purpose::Sync => {
                self.link_up(id, secured, None);
                let taken = |peer: &&mut Peer| peer.link.as_ref().is_some_and(|link| !link.dialed);
                // Else the link this home has dialled stays, and its address is the one to remember.
                if let Some(peer) = self.peers.get_mut(id).filter(taken) {
                    peer.address = Some(address.to_string());
                }
            }
        }
    }

    pub(super) fn not_reached(
        &mut self,
        id: HomeId,
        address: String,
        reason: String,
        imposter: Option<HomeId>,
    ) {
        let Some(peer) = self.peers.get_mut(id).filter(|peer| peer.link.is_none()) else { return };
        if let Some(found) = imposter.filter(|_| peer.imposter != imposter) {
            tracing::warn!(
                event = "peer_key_changed", peer = %id.short(), found = %found.short(), %address,
                "another key answers in the peer's place"
            );
        }
        peer.imposter = imposter;
        let news = peer.reason.as_deref() != Some(&reason);
        self.joining.not_reached(id, peer.name(), &reason, imposter);
        peer.address = (!address.is_empty()).then_some(address);
        peer.reason = Some(reason);
        if news {
            tracing::info!(peer = %id.short(), reason = peer.reason.as_deref(), "peer not reached");
            self.tell_peer(id);
        }
    }

    /// Takes note of what the network shows: it suggests addresses and nothing else.
    pub(super) fn sighted(&mut self, event: DiscoveryEvent) {
        match event {
            DiscoveryEvent::Found(home) | DiscoveryEvent::Updated(home) => self.in_sight(&home),
            DiscoveryEvent::Lost { id } => tracing::debug!(%id, "no longer announced"),
        }
    }

    pub(super) fn in_sight(&mut self, home: &Sighting) {
        let Ok(id) = home.id.parse::<HomeId>() else { return };
        if id == self.me.id {
            return;
        }
        if let Some(peer) = self.peers.get_mut(id) {
            peer.seen = addresses_of(home);
            peer.announce_addresses();
        }
        if self.joining.aloof {
            return;
        }
        let joined = self.peers.get(id).is_some_and(|peer| peer.row.method == Method::SharedKey);
        if !joined && !self.pins.is_denied(&id) {
            self.desk.join_home(id, home, &self.endpoint, &self.pins);
        }
    }

    /// Lets no flood of strangers push paired homes out of sight.
    pub(super) fn keep_paired_in_sight(&self) {
        if let Some(discovery) = &self.discovery {
            discovery.keep(self.peers.ids().iter().map(ToString::to_string));
        }
    }
}

/// The task that reaches one peer.
struct Dial {
    endpoint: Endpoint,
    /// This home under its next key, where the peer may expect that.
    next: Option<Endpoint>,
    peer: HomeId,
    addresses: watch::Receiver<Vec<String>>,
    /// Addresses from the configuration, which may be anybody's.
    manual: Vec<String>,
    /// How long to wait before the first try.
    pause: Duration,
    post: mpsc::Sender<Event>,
}

impl Dial {
    async fn until_reached(mut self) {
        self.rest(self.pause).await;
        let (mut pause, start) = (BACKOFF.0, Instant::now());
        loop {
            let begun = Instant::now();
            let addresses = self.addresses.borrow_and_update().clone();
            if self.try_all(&addresses).await {
                return;
            }
            let eager = self.rest(jittered(pause)).await || start.elapsed() < EAGER_TIME;
            pause = if eager { BACKOFF.0 } else { (pause * 2).min(BACKOFF.1) };
            // However much is announced, a home is not tried more than once a second.
            tokio::time::sleep(BACKOFF.0.saturating_sub(begun.elapsed())).await;
        }
    }

    /// Waits, and tells whether news of the peer's addresses cut it short.
    async fn rest(&mut self, pause: Duration) -> bool {
        matches!(tokio::time::timeout(pause, self.addresses.changed()).await, Ok(Ok(())))
    }

    async fn try_all(&self, addresses: &[String]) -> bool {
        let mut failure: Option<(String, String, Option<HomeId>)> = None;
        for address in addresses {
            match self.dial(address).await {
                Ok(()) => return true,
                // Who answers in the peer's place tells more than addresses at which nobody does.
                Err(error) if failure.as_ref().is_none_or(|(.., imposter)| imposter.is_none()) => {
                    failure = Some((address.clone(), error.to_string(), imposter(&error)))
                }
                Err(_) => {}
            }
        }
        for address in self.manual.iter().filter(|address| !addresses.contains(address)) {
            match self.dial(address).await {
                Ok(()) => return true,
                // It may well be another home's address.
                Err(error) => failure = failure.or(Some((address.clone(), error.to_string(), None))),
            }
        }
        let unknown = || {
            (
                String::new(),
                "no address is known: it has to be announced, or to connect to this home".into(),
                None,
            )
        };
        let (address, reason, imposter) = failure.unwrap_or_else(unknown);
        let _ = self.post.send(Event::Unreachable { peer: self.peer, address, reason, imposter }).await;
        false
    }

    async fn dial(&self, address: &str) -> Result<(), ChannelError> {
        if self.has_followed(address).await {
            let _ = self.post.send(Event::Followed { peer: self.peer }).await;
            return Ok(());
        }
        let secured = self.endpoint.dial(address, Target::Sync(self.peer)).await?;
        let event = Event::Dialed { peer: self.peer, address: address.into(), secured: Box::new(secured) };
        let _ = self.post.send(event).await;
        Ok(())
    }

    /// Tells whether the peer admits this home under its next key: whoever does says something at once.
    async fn has_followed(&self, address: &str) -> bool {
        let Some(next) = &self.next else { return false };
        let Ok(secured) = next.dial(address, Target::Sync(self.peer)).await else { return false };
        let (mut reader, _writer) = secured.into_link(Some(Dictionary::shipped()));
        matches!(tokio::time::timeout(HELLO_TIME, reader.recv(1)).await, Ok(Ok(_)))
    }
}

/// Returns who answered in the place of the home called.
fn imposter(error: &ChannelError) -> Option<HomeId> {
    match error {
        ChannelError::PeerKeyChanged { found, .. } => Some(*found),
        _ => None,
    }
}

/// Returns how long to wait before the first try: not at all after a link that lasted, a second after one that was
/// cut soon, longer and longer after faults, and a moment in any case if the other home dials first.
fn first_pause(failures: u32, polite: bool) -> Duration {
    let pause = match failures {
        0 => Duration::ZERO,
        1 => BACKOFF.0,
        more => BACKOFF.1.min(BACKOFF.0 * 2_u32.saturating_pow(more - 1)),
    };
    pause.max(if polite { DIAL_POLITELY } else { Duration::ZERO })
}

/// Returns between half and one and a half of a pause, so that homes do not knock in step.
fn jittered(pause: Duration) -> Duration {
    let random = f64::from(getrandom::u32().unwrap_or(u32::MAX / 2)) / f64::from(u32::MAX);
    pause.mul_f64(0.5 + random)
}
