//! Pairing: the conversations of strangers, carried beside the loop.
//!
//! A conversation has the secret only as a counted attempt of [`Windows`], and ends either with both
//! homes stored and pinned or with nothing. What it leads to comes back to the loop as [`News`].

mod conversation;
mod stranger;
mod typist;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crosshome_core::{
    HomeId,
    defaults::PAIRING_WINDOW_MS,
    effect::{Durability, Effect},
    pairing::{Code, CodeError, Invitation, Method, Paired, PairingError, Secret, SharedKey, Windows},
    wire::{PROTO, Reason},
};
use tokio::sync::{Semaphore, mpsc, oneshot};
use zeroize::Zeroizing;

pub(super) use self::typist::Candidate;
use self::{conversation::random, stranger::Stranger, typist::Typist};
use super::{Event, Loop, Me, names::invalid, now_ms, peers::Peer};
use crate::{
    channel::{Endpoint, Pins, Secured},
    config::PeerAddress,
    defaults::{JOIN_AGAIN, JOIN_POLITELY, MISFIT_SHOWN, MISFITS_KEPT, PAIRING_CONVERSATIONS},
    discovery::Sighting,
    identity::PeerKey,
    node::{NodeError, Reply, Secret as Typed},
    store::PeerRow,
    views::{self, PairedView, ShownCode},
};

/// What became of a conversation.
pub(crate) enum News {
    /// Both sides have proven that they know the secret.
    Paired {
        paired: Box<Paired>,
        key: PeerKey,
        address: Option<String>,
        stored: oneshot::Sender<()>,
        reply: Option<Reply<PairedView>>,
    },
    /// Somebody tried here and failed.
    Failed { address: SocketAddr, error: PairingError },
    /// This home tried somewhere and failed.
    NotJoined { address: String, error: NodeError },
}

/// Where strangers are dealt with.
pub(super) struct Desk {
    me: HomeId,
    name: String,
    // Held for one message of one conversation; the loop opens and closes windows in it.
    windows: Arc<Mutex<Windows>>,
    shared_key: Option<SharedKey>,
    shown: bool,
    started: Instant,
    conversations: Arc<Semaphore>,
    /// When each home was last asked to join by the shared key.
    joined: BTreeMap<HomeId, Instant>,
    /// Where homes with another shared key are, and when that was last seen.
    misfits: BTreeMap<String, Instant>,
    post: mpsc::Sender<Event>,
    manual: Vec<String>,
}

impl Desk {
    pub(super) fn new(me: &Me, post: mpsc::Sender<Event>) -> Self {
        let key = me.config.sync.encryption.shared_key.as_ref();
        let shared_key = key.and_then(|key| SharedKey::parse(key.expose().as_bytes()).ok());
        let mut windows = Windows::default();
        if let Some(key) = &shared_key {
            windows.stand(key.secret(), 0);
        }
        Self {
            me: me.id,
            name: me.name.clone(),
            windows: Arc::new(Mutex::new(windows)),
            shared_key,
            shown: false,
            started: Instant::now(),
            conversations: Arc::new(Semaphore::new(PAIRING_CONVERSATIONS)),
            joined: BTreeMap::new(),
            misfits: BTreeMap::new(),
            post,
            manual: me.config.sync.peers.iter().map(ToString::to_string).collect(),
        }
    }

    pub(super) fn shared_key(&self) -> Option<&SharedKey> {
        self.shared_key.as_ref()
    }

    pub(super) fn become_home(&mut self, id: HomeId) {
        self.me = id;
    }

    /// Takes note of a home in sight, and joins it if both may have one shared key.
    pub(super) fn join_home(&mut self, id: HomeId, home: &Sighting, endpoint: &Endpoint, pins: &Pins) {
        let recent = self.joined.get(&id).is_some_and(|at| at.elapsed() < JOIN_AGAIN);
        let Some(key) = self.shared_key.as_ref().filter(|_| !recent && self.joined.len() < 256) else {
            return;
        };
        self.joined.insert(id, Instant::now());
        let polite = if self.me > id { JOIN_POLITELY } else { Duration::ZERO };
        let candidate = Candidate { id: Some(id), addresses: addresses_of(home) };
        let (typist, pins, known) = (self.typist(endpoint, key.secret()), pins.clone(), pins.knows(&id));
        tokio::spawn(async move {
            tokio::time::sleep(polite).await;
            if known || !pins.knows(&id) {
                typist.join(&candidate).await;
            }
        });
    }

    /// Joins homes at configured addresses by the shared key, however long it takes.
    pub(super) fn join_addresses(&self, endpoint: &Endpoint, known: &[String]) {
        let Some(key) = &self.shared_key else { return };
        for address in self.manual.iter().filter(|address| !known.contains(address)) {
            let typist = self.typist(endpoint, key.secret());
            let candidate = Candidate { id: None, addresses: vec![address.clone()] };
            tokio::spawn(async move {
                while !typist.join(&candidate).await {
                    tokio::time::sleep(JOIN_AGAIN).await;
                }
            });
        }
    }

    /// Forgets what is long past.
    pub(super) fn tidy(&mut self) {
        self.joined.retain(|_, at| at.elapsed() < JOIN_AGAIN);
        self.misfits.retain(|_, at| at.elapsed() < MISFIT_SHOWN);
    }

    /// Returns where homes with another shared key are.
    pub(super) fn misfits(&self) -> impl Iterator<Item = &str> {
        self.misfits.keys().map(String::as_str)
    }

    /// Takes note of a home that has another shared key; the log tells each only once in a while.
    fn meet_misfit(&mut self, address: String) {
        if self.misfits.len() >= MISFITS_KEPT && !self.misfits.contains_key(&address) {
            return;
        }
        if self.misfits.insert(address.clone(), Instant::now()).is_none() {
            tracing::warn!(%address, "a home there has another shared key: it does not join this one");
        }
    }

    fn typist(&self, endpoint: &Endpoint, secret: Secret) -> Typist {
        let (endpoint, name) = (endpoint.clone(), self.name.clone());
        Typist { endpoint, name, me: self.me, secret, post: self.post.clone() }
    }

    fn windows(&self) -> MutexGuard<'_, Windows> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }
}

/// A home, what it calls itself, and where it can be reached.
type Known = (HomeId, String, Vec<String>);

impl Loop {
    /// Opens the window and returns the code, and the same as a link.
    pub(super) fn pair_show(&mut self) -> Result<ShownCode, NodeError> {
        let (code, expires_in_s) = (Code::new(&random()?), PAIRING_WINDOW_MS / 1000);
        let invitation = self.invitation(expires_in_s)?;
        self.open_window(vec![code.secret(), invitation.offer()])?;
        Ok(ShownCode {
            code: code.shown().to_string(),
            expires_in_s,
            invitation: invitation.link().to_string(),
        })
    }

    pub(super) fn invite(&mut self) -> Result<views::Invitation, NodeError> {
        let expires_in_s = PAIRING_WINDOW_MS / 1000;
        let invitation = self.invitation(expires_in_s)?;
        self.open_window(vec![invitation.offer()])?;
        Ok(views::Invitation { link: invitation.link().to_string(), expires_in_s })
    }

    pub(super) fn pair_cancel(&mut self) {
        self.desk.windows().cancel();
        if self.desk.shown {
            self.end_window("it was cancelled");
        }
    }

    /// Closes a window whose time is over; called about once a second.
    pub(super) fn close_expired_window(&mut self) {
        if self.desk.shown && self.desk.windows().shown(self.desk.now_ms()).is_none() {
            self.end_window("nobody typed the code in time");
        }
    }

    fn end_window(&mut self, reason: &str) {
        self.close_window();
        self.tell_pairing(views::PairingNews::Ended { reason: reason.into() });
    }

    /// Types a code at the homes that may show it.
    pub(super) fn pair_accept(&mut self, code: &Typed, with: Option<&str>, reply: Reply<PairedView>) {
        let secret = match Code::parse(code.reveal()) {
            Ok(code) => code.secret(),
            Err(CodeError::CheckDigit) => return drop(reply.send(Err(NodeError::BadCode))),
            Err(error) => return drop(reply.send(Err(invalid(error)))),
        };
        match self.candidates(with) {
            Ok(candidates) => self.type_at(secret, candidates, reply),
            Err(error) => drop(reply.send(Err(error))),
        }
    }

    pub(super) fn accept_link(&mut self, link: &Typed, reply: Reply<PairedView>) {
        let read = Invitation::parse(link.reveal()).and_then(|invitation| {
            let secret = invitation.redeem(now_ms() / 1000)?;
            Ok((invitation, secret))
        });
        let (invitation, secret) = match read {
            Ok(read) => read,
            Err(error) => return drop(reply.send(Err(invalid(error)))),
        };
        let id = invitation.home();
        let seen = self.sightings().into_iter().find(|home| home.id == id.to_string());
        let mut addresses = seen.as_ref().map(addresses_of).unwrap_or_default();
        addresses.extend(invitation.addresses().iter().map(ToString::to_string));
        self.type_at(secret, vec![Candidate { id: Some(id), addresses }], reply);
    }

    /// Lets a stranger try.
    pub(super) fn show_pairing(&mut self, secured: Secured, address: SocketAddr) {
        let Ok(seat) = self.desk.conversations.clone().try_acquire_owned() else { return };
        let stranger = Stranger {
            me: self.me.id,
            name: self.me.name.clone(),
            windows: self.desk.windows.clone(),
            started: self.desk.started,
            post: self.post.clone(),
        };
        tokio::spawn(async move {
            stranger.admit(secured, address).await;
            drop(seat);
        });
    }

    pub(super) fn pairing_news(&mut self, news: News) {
        match news {
            News::Paired { paired, key, address, stored, reply } => {
                self.pin(*paired, key, address, stored, reply)
            }
            News::Failed { address, error: PairingError::WrongCode }
                if !self.desk.shown && self.desk.shared_key.is_some() =>
            {
                self.desk.meet_misfit(address.ip().to_canonical().to_string())
            }
            News::Failed { address, error } => {
                let tries_left = self
                    .desk
                    .windows()
                    .shown(self.desk.now_ms())
                    .map_or(0, |shown| shown.attempts_left as u8);
                tracing::warn!(%address, %error, tries_left, "somebody failed to pair");
                if self.desk.shown {
                    let reason = error.to_string();
                    self.tell_pairing(views::PairingNews::Failed { reason, tries_left });
                    if tries_left == 0 {
                        self.end_window("all tries were wrong");
                    }
                }
            }
            News::NotJoined { address, error: NodeError::WrongCode } => self.desk.meet_misfit(address),
            News::NotJoined { address, error } => {
                tracing::debug!(%address, %error, "not joined by the shared key")
            }
        }
    }

    /// Remembers a home and its key for ever; nothing is shared by it yet.
    fn pin(
        &mut self,
        paired: Paired,
        key: PeerKey,
        address: Option<String>,
        stored: oneshot::Sender<()>,
        reply: Option<Reply<PairedView>>,
    ) {
        let id = paired.peer;
        self.forget_namesake(id, paired.introduction.name());
        let known = self.peers.rows().find(|row| row.id == id);
        let mut addresses = known.map(|row| row.addresses.clone()).unwrap_or_default();
        addresses.extend(address.filter(|address| !addresses.contains(address)));
        let alias = known.and_then(|row| row.alias.clone());
        let row = PeerRow {
            id,
            spki: key.spki(),
            name: self.distinct_name(id, paired.introduction.name()),
            alias,
            pair_secret: Zeroizing::new(*paired.pair_secret.as_bytes()),
            proto_low: PROTO.0,
            paired_at_ms: now_ms(),
            method: paired.method,
            addresses,
            denied: false,
        };
        let view = PairedView { id: id.to_string(), name: row.name.clone(), words: paired.words.to_string() };
        tracing::info!(peer = %id.short(), name = %row.name, method = paired.method.name(), "paired");
        self.pins.insert(key);
        self.peers.insert(row);
        self.forgive(id);
        self.keeper.peers_changed();
        self.effects.push(Effect::Commit(Durability::Now));
        self.close_window_used(&paired, &view);
        self.answers.push(Box::new(move |committed| {
            if committed.is_ok() {
                let _ = stored.send(());
            }
            if let Some(reply) = reply {
                let _ = reply.send(committed.map(|()| view));
            }
        }));
        self.apply_standing_rules();
        self.admit_to_audiences();
        self.keep_paired_in_sight();
        self.see_again(id);
        self.reach(id);
        self.tell_peer(id);
    }

    /// Forgets a home: its key goes on the deny list, its links close, its entities leave.
    pub(super) fn unpair(&mut self, name: &str) -> Result<views::HomeView, NodeError> {
        let id = self.peer_named(name)?;
        let view = views::HomeView { id: id.to_string(), name: self.home_name(id) };
        self.drop_link(id, Reason::Unpaired);
        self.forgive(id);
        self.pins.deny(id);
        let effects = self.replica.forget(id);
        self.effects.extend(effects);
        if let Some(peer) = self.peers.get_mut(id) {
            peer.row.denied = true;
            peer.row.pair_secret = Zeroizing::default();
        }
        self.keeper.peers_changed();
        self.keeper.forget_cursor(id);
        self.forget_commands(id);
        self.keep_paired_in_sight();
        self.tell_unpaired(&view);
        self.switch_when_told();
        tracing::info!(peer = %id.short(), name = %view.name, "unpaired");
        Ok(view)
    }

    fn open_window(&mut self, secrets: Vec<Secret>) -> Result<(), NodeError> {
        if self.me.sync_port.is_none() {
            return Err(NodeError::Invalid(
                "sync is off in the configuration, so no home can pair with this one".into(),
            ));
        }
        let now = self.desk.now_ms();
        if self.desk.windows().shown(now).is_some_and(|shown| shown.attempts_left > 0) {
            return Err(NodeError::Busy(
                "a code or link is already out there: cancel it with crosshome pair --cancel, or wait until its time is over".into(),
            ));
        }
        self.desk.windows().open(secrets, now, PAIRING_WINDOW_MS);
        self.desk.shown = true;
        self.door.open();
        Ok(())
    }

    /// Lets no stranger in any more, unless a shared key stands.
    fn close_window(&mut self) {
        self.desk.shown = false;
        if self.desk.shared_key.is_none() {
            self.door.close();
        }
    }

    fn close_window_used(&mut self, paired: &Paired, view: &PairedView) {
        if paired.method != Method::SharedKey && self.desk.shown {
            self.close_window();
        }
        self.tell_pairing(views::PairingNews::Paired(view.clone()));
    }

    fn invitation(&self, lasts_s: u64) -> Result<Invitation, NodeError> {
        let addresses: Vec<_> =
            self.own_addresses().iter().filter_map(|address| address.parse().ok()).take(3).collect();
        Invitation::new(self.me.id, random()?, now_ms() / 1000 + lasts_s, &addresses).map_err(invalid)
    }

    /// Returns the homes that may show a code: the one named, or all that are in sight and not paired.
    fn candidates(&self, with: Option<&str>) -> Result<Vec<Candidate>, NodeError> {
        let known = self.known_homes();
        let Some(with) = with else {
            let manual = self.me.config.sync.peers.iter().map(|address| at_address(&address.to_string()));
            // one that has unpaired this home is paired here still
            let online = |id| self.peers.get(id).is_some_and(Peer::online);
            let away = known.into_iter().filter(|(id, _, addresses)| !online(*id) && !addresses.is_empty());
            let away = away.map(|(id, _, addresses)| Candidate { id: Some(id), addresses });
            let all: Vec<_> = away.chain(manual).collect();
            return if all.is_empty() { Err(NodeError::PairingClosed) } else { Ok(all) };
        };
        let candidate = match called(with, known) {
            Err(NodeError::NotFound { .. }) if with.contains([':', '.']) => {
                let address: PeerAddress = with.parse().map_err(invalid)?;
                return Ok(vec![at_address(&address.to_string())]);
            }
            found => found?,
        };
        if candidate.addresses.is_empty() {
            return Err(NodeError::Unreachable {
                home: with.to_owned(),
                reason:
                    "it has always come here, so its address is not known; name the address, or show a code \
                         here and type it there"
                        .into(),
            });
        }
        Ok(vec![candidate])
    }

    /// Returns the homes in sight and the paired ones.
    fn known_homes(&self) -> Vec<Known> {
        let paired: Vec<_> =
            self.peers.paired().map(|(id, peer)| (id, peer.name().to_owned(), peer.addresses())).collect();
        let mut known = self.homes_in_sight();
        known.retain(|(id, ..)| paired.iter().all(|(other, ..)| other != id));
        known.extend(paired);
        known
    }

    /// Returns the homes in sight, paired ones too.
    pub(super) fn homes_in_sight(&self) -> Vec<Known> {
        let known =
            |home: &Sighting| Some((home.id.parse().ok()?, home.home_name.clone(), addresses_of(home)));
        self.sightings().iter().filter_map(known).collect()
    }

    pub(super) fn type_at(&self, secret: Secret, candidates: Vec<Candidate>, reply: Reply<PairedView>) {
        tokio::spawn(self.desk.typist(&self.endpoint, secret).type_at(candidates, reply));
    }

    pub(super) fn sightings(&self) -> Vec<Sighting> {
        self.discovery.as_ref().map(|discovery| discovery.sightings()).unwrap_or_default()
    }

    /// Takes the addresses of a home that was in sight before it was paired.
    fn see_again(&mut self, id: HomeId) {
        let seen = self.sightings().into_iter().find(|home| home.id == id.to_string());
        if let (Some(home), Some(peer)) = (seen, self.peers.get_mut(id)) {
            peer.seen = addresses_of(&home);
        }
    }

    /// Returns a name that no other peer has: two homes may well both be called Home.
    pub(super) fn distinct_name(&self, id: HomeId, name: &str) -> String {
        let taken = |name: &str| {
            let other = self
                .peers
                .paired()
                .any(|(other, peer)| other != id && peer.name().eq_ignore_ascii_case(name));
            other || name.eq_ignore_ascii_case(&self.me.name) || name == super::names::JOINT
        };
        let numbered = (2..).map(|n| format!("{name} {n}"));
        std::iter::once(name.to_owned()).chain(numbered).find(|name| !taken(name)).unwrap_or_default()
    }
}

/// Returns where a home in sight may be reached, best first.
pub(super) fn addresses_of(home: &Sighting) -> Vec<String> {
    home.candidates.iter().map(ToString::to_string).collect()
}

/// Returns the home of this name, id or unique prefix among these, with where it can be reached.
pub(super) fn called(name: &str, homes: Vec<Known>) -> Result<Candidate, NodeError> {
    let named: Vec<_> = homes.iter().map(|(id, name, _)| (*id, name.clone())).collect();
    let wanted = super::names::find(name, &named)?;
    let addresses = homes.into_iter().filter(|(id, ..)| *id == wanted).flat_map(|(.., addresses)| addresses);
    Ok(Candidate { id: Some(wanted), addresses: addresses.collect() })
}

pub(super) fn at_address(address: &str) -> Candidate {
    Candidate { id: None, addresses: vec![address.to_owned()] }
}
