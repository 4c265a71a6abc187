//! Pairing: the conversations of strangers, carried beside the loop.
//!
//! A conversation has the secret only as a counted attempt of [`Windows`], and ends either with both
//! homes stored and pinned or with nothing. What it leads to comes back to the loop as [`News`].

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crosshome_core::{
    HomeId,
    defaults::{PAIRING_MESSAGE_MAX, PAIRING_WINDOW_MS},
    effect::{Durability, Effect},
    pairing::{
        self, Binding, Code, Invitation, Paired, PairingError, ProtocolRange, REFUSAL, Secret, SharedKey,
        Showing, Step, Typing,
    },
    wire::PROTO,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use zeroize::Zeroizing;

use super::{Event, Loop, Me, names::invalid, now_ms};
use crate::{
    channel::{ChannelError, Endpoint, LinkReader, LinkWriter, Secured, Target},
    defaults::{
        EXPORTER_PAIRING, JOIN_AGAIN, JOIN_POLITELY, MISFIT_SHOWN, MISFITS_KEPT, PAIRING_CONVERSATIONS,
        PAIRING_STEP_TIME, VERSION,
    },
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
    conversations: Arc<tokio::sync::Semaphore>,
    /// When each home was last asked to join by the shared key.
    joined: BTreeMap<HomeId, Instant>,
    /// Where homes with another shared key are, and when that was last seen.
    misfits: BTreeMap<String, Instant>,
    post: mpsc::Sender<Event>,
    manual: Vec<String>,
}

type Windows = pairing::Windows;

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
            conversations: Arc::new(tokio::sync::Semaphore::new(PAIRING_CONVERSATIONS)),
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
    pub(super) fn join_home(&mut self, id: HomeId, home: &Sighting, endpoint: &Endpoint) {
        let recent = self.joined.get(&id).is_some_and(|at| at.elapsed() < JOIN_AGAIN);
        let Some(key) = self.shared_key.as_ref().filter(|_| !recent && self.joined.len() < 256) else {
            return;
        };
        self.joined.insert(id, Instant::now());
        let polite = if self.me > id { JOIN_POLITELY } else { Duration::ZERO };
        let addresses = home.candidates.iter().map(ToString::to_string).collect();
        let typist = self.typist(endpoint, key.secret(), addresses, Some(id));
        tokio::spawn(async move {
            tokio::time::sleep(polite).await;
            typist.join().await;
        });
    }

    /// Joins homes at configured addresses by the shared key, however long it takes.
    pub(super) fn join_addresses(&self, endpoint: &Endpoint) {
        let Some(key) = &self.shared_key else { return };
        for address in &self.manual {
            let typist = self.typist(endpoint, key.secret(), vec![address.clone()], None);
            tokio::spawn(async move {
                while !typist.join().await {
                    tokio::time::sleep(JOIN_AGAIN).await;
                }
            });
        }
    }

    /// Forgets what is long past.
    pub(super) fn tidy(&mut self) {
        self.joined.retain(|_, at| at.elapsed() < JOIN_AGAIN);
        self.misfits.retain(|_, at| at.elapsed() < MISFIT_SHOWN);
        if self.shown && self.windows().shown(self.now_ms()).is_none() {
            self.shown = false;
        }
    }

    /// Returns where homes with another shared key are.
    pub(super) fn misfits(&self) -> impl Iterator<Item = &str> {
        self.misfits.keys().map(String::as_str)
    }

    /// Takes note of a home that has another shared key; the log tells each only once in a while.
    fn meet_misfit(&mut self, address: String) {
        if self.misfits.len() < MISFITS_KEPT || self.misfits.contains_key(&address) {
            if self.misfits.insert(address.clone(), Instant::now()).is_none() {
                tracing::warn!(%address, "a home there has another shared key: it does not join this one");
            }
        }
    }

    fn typist(
        &self,
        endpoint: &Endpoint,
        secret: Secret,
        addresses: Vec<String>,
        expected: Option<HomeId>,
    ) -> Typist {
        Typist {
            endpoint: endpoint.clone(),
            name: self.name.clone(),
            me: self.me,
            secret,
            addresses,
            expected,
            post: self.post.clone(),
        }
    }

    fn windows(&self) -> MutexGuard<'_, Windows> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }
}

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
        self.close_window();
    }

    /// Types a code at the homes that may show it.
    pub(super) fn pair_accept(&mut self, code: &Typed, with: Option<&str>, reply: Reply<PairedView>) {
        let secret = match Code::parse(code.reveal()) {
            Ok(code) => code.secret(),
            Err(pairing::CodeError::CheckDigit) => return drop(reply.send(Err(NodeError::BadCode))),
            Err(error) => return drop(reply.send(Err(invalid(error)))),
        };
        match self.candidates(with) {
            Ok(homes) => self.type_at(secret, homes, reply),
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
        let mut addresses: Vec<_> = self
            .sightings()
            .into_iter()
            .filter(|home| home.id == id.to_string())
            .flat_map(|home| home.candidates)
            .map(|a| a.to_string())
            .collect();
        addresses.extend(invitation.addresses().iter().map(ToString::to_string));
        self.type_at(secret, vec![(Some(id), addresses)], reply);
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
                        self.close_window();
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
        self.keep_paired_in_sight();
        self.see_again(id);
        self.reach(id);
        self.tell_peer(id);
    }

    /// Forgets a home: its key goes on the deny list, its links close, its entities leave.
    pub(super) fn unpair(&mut self, name: &str) -> Result<views::HomeView, NodeError> {
        let id = self.peer_named(name)?;
        let view = views::HomeView { id: id.to_string(), name: self.home_name(id) };
        self.drop_link(id, crosshome_core::wire::Reason::Unpaired);
        self.pins.deny(id);
        let effects = self.replica.forget(id);
        self.effects.extend(effects);
        if let Some(peer) = self.peers.get_mut(id) {
            peer.row.denied = true;
            peer.row.pair_secret = Zeroizing::default();
        }
        self.keeper.peers_changed();
        self.keeper.grants_changed();
        self.keeper.forget_cursor(id);
        self.commands.peer_lost(id);
        self.keep_paired_in_sight();
        self.tell_unpaired(&view);
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
                "a code is already on show: cancel it or wait until its time is over".into(),
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
        if paired.method != pairing::Method::SharedKey && self.desk.shown {
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
    fn candidates(&self, with: Option<&str>) -> Result<Vec<(Option<HomeId>, Vec<String>)>, NodeError> {
        let sightings = self.sightings();
        let homes: Vec<_> = sightings
            .iter()
            .filter_map(|home| {
                let addresses = home.candidates.iter().map(ToString::to_string).collect::<Vec<_>>();
                Some((home.id.parse::<HomeId>().ok()?, home.home_name.clone(), addresses))
            })
            .collect();
        let Some(with) = with else {
            let manual = self.me.config.sync.peers.iter().map(|address| (None, vec![address.to_string()]));
            let strangers = homes.into_iter().filter(|(id, ..)| self.peers.get(*id).is_none());
            let all: Vec<_> =
                strangers.map(|(id, _, addresses)| (Some(id), addresses)).chain(manual).collect();
            return if all.is_empty() { Err(NodeError::PairingClosed) } else { Ok(all) };
        };
        let named: Vec<_> = homes.iter().map(|(id, name, _)| (*id, name.clone())).collect();
        match super::names::find(with, &named) {
            Ok(id) => Ok(homes
                .into_iter()
                .filter(|home| home.0 == id)
                .map(|(id, _, addresses)| (Some(id), addresses))
                .collect()),
            Err(NodeError::NotFound { .. }) if with.contains([':', '.']) => {
                let address: crate::config::PeerAddress = with.parse().map_err(invalid)?;
                Ok(vec![(None, vec![address.to_string()])])
            }
            Err(error) => Err(error),
        }
    }

    fn type_at(&self, secret: Secret, homes: Vec<(Option<HomeId>, Vec<String>)>, reply: Reply<PairedView>) {
        let mut typist = self.desk.typist(&self.endpoint, secret, Vec::new(), None);
        tokio::spawn(async move {
            let mut failure = NodeError::PairingClosed;
            for (id, addresses) in homes {
                (typist.expected, typist.addresses) = (id, addresses);
                match typist.pair().await {
                    Ok((paired, key, address, open)) => {
                        let (stored, waits) = oneshot::channel();
                        let paired = Box::new(paired);
                        let news =
                            News::Paired { paired, key, address: Some(address), stored, reply: Some(reply) };
                        let _ = typist.post.send(Event::Pairing(news)).await;
                        let _ = waits.await;
                        open.1.close().await;
                        return;
                    }
                    Err(error) => failure = error.worse_than(failure),
                }
            }
            let _ = reply.send(Err(failure));
        });
    }

    fn sightings(&self) -> Vec<Sighting> {
        self.discovery.as_ref().map(|discovery| discovery.sightings()).unwrap_or_default()
    }

    /// Takes the addresses of a home that was in sight before it was paired.
    fn see_again(&mut self, id: HomeId) {
        let seen = self.sightings().into_iter().find(|home| home.id == id.to_string());
        if let (Some(home), Some(peer)) = (seen, self.peers.get_mut(id)) {
            peer.seen = home.candidates.iter().map(ToString::to_string).collect();
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

/// The side that was dialled.
struct Stranger {
    me: HomeId,
    name: String,
    windows: Arc<Mutex<Windows>>,
    started: Instant,
    post: mpsc::Sender<Event>,
}

impl Stranger {
    async fn admit(self, secured: Secured, address: SocketAddr) {
        let key = secured.peer();
        let Ok(exporter) = secured.exporter(EXPORTER_PAIRING) else { return };
        let binding = Binding { exporter, me: self.me, peer: key.id() };
        let (mut reader, mut writer) = secured.into_link(None);
        reader.set_limit(PAIRING_MESSAGE_MAX);
        let Ok(mut showing) = introduction(&self.name)
            .and_then(|me| Ok(Showing::new(binding, me, &*secret_random()?).map_err(invalid)?))
        else {
            return;
        };
        tracing::debug!(%address, "a stranger tries to pair");
        loop {
            let Some(message) = next(&mut reader).await else { return };
            let step = {
                let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
                showing.receive(&message, &mut windows, self.started.elapsed().as_millis() as u64)
            };
            match step {
                Ok(Step::Send(answer)) => {
                    if writer.send(&[answer]).await.is_err() {
                        return;
                    }
                }
                Ok(Step::Paired { paired, send }) => {
                    let (stored, waits) = oneshot::channel();
                    let news = News::Paired { paired, key, address: None, stored, reply: None };
                    let _ = self.post.send(Event::Pairing(news)).await;
                    if waits.await.is_ok() {
                        let _ = writer.send(send.as_slice()).await;
                    }
                    return writer.close().await;
                }
                Err(error) => {
                    if !matches!(error, PairingError::Refused) {
                        let _ = writer.send(&[REFUSAL]).await;
                    }
                    writer.close().await;
                    return drop(self.post.send(Event::Pairing(News::Failed { address, error })).await);
                }
            }
        }
    }
}

/// The side that dials and has the secret.
struct Typist {
    endpoint: Endpoint,
    name: String,
    me: HomeId,
    secret: Secret,
    addresses: Vec<String>,
    expected: Option<HomeId>,
    post: mpsc::Sender<Event>,
}

type Open = (LinkReader, LinkWriter);

impl Typist {
    /// Joins a home unattended and tells whether that is done.
    async fn join(&self) -> bool {
        match self.pair().await {
            Ok((paired, key, address, mut open)) => {
                let (stored, waits) = oneshot::channel();
                let paired = Box::new(paired);
                let news = News::Paired { paired, key, address: Some(address), stored, reply: None };
                let _ = self.post.send(Event::Pairing(news)).await;
                let _ = waits.await;
                let _ = open.0.recv(1).await;
                true
            }
            Err(error) => {
                let news = News::NotJoined { address: self.addresses.join(", "), error: error.0 };
                let _ = self.post.send(Event::Pairing(news)).await;
                false
            }
        }
    }

    async fn pair(&self) -> Result<(Paired, PeerKey, String, Open), Failure> {
        let mut failure = Failure(NodeError::PairingClosed);
        for address in &self.addresses {
            let target = Target::Pair(self.expected);
            match self.endpoint.dial(address, target).await {
                Ok(secured) => {
                    let key = secured.peer();
                    let (paired, open) = self.converse(secured).await?;
                    return Ok((paired, key, address.clone(), open));
                }
                Err(error) => failure = Failure::dialing(address, &error),
            }
        }
        Err(failure)
    }

    async fn converse(&self, secured: Secured) -> Result<(Paired, Open), Failure> {
        let key = secured.peer();
        let exporter = secured.exporter(EXPORTER_PAIRING).map_err(|error| Failure(invalid(error)))?;
        let binding = Binding { exporter, me: self.me, peer: key.id() };
        let me = introduction(&self.name).map_err(Failure)?;
        let (mut typing, first) =
            Typing::start(&self.secret, binding, me, &*secret_random().map_err(Failure)?)?;
        let (mut reader, mut writer) = secured.into_link(None);
        reader.set_limit(PAIRING_MESSAGE_MAX);
        let mut message = first;
        loop {
            if writer.send(&[message]).await.is_err() {
                return Err(Failure(NodeError::PairingClosed));
            }
            let Some(answer) = next(&mut reader).await else { return Err(Failure(NodeError::PairingClosed)) };
            match typing.receive(&answer)? {
                Step::Send(next) => message = next,
                Step::Paired { paired, .. } => return Ok((*paired, (reader, writer))),
            }
        }
    }
}

/// Why a home was not paired, for the one who typed.
struct Failure(NodeError);

impl From<PairingError> for Failure {
    fn from(error: PairingError) -> Self {
        Self(match error {
            PairingError::WrongCode => NodeError::WrongCode,
            PairingError::Refused => NodeError::PairingClosed,
            other => invalid(other),
        })
    }
}

impl Failure {
    fn dialing(address: &str, error: &ChannelError) -> Self {
        Self(match error {
            ChannelError::NotAdmitted | ChannelError::PairingClosed => NodeError::PairingClosed,
            other => NodeError::Unreachable { home: address.into(), reason: other.to_string() },
        })
    }

    /// Returns the failure that tells more: a wrong code over a closed window over an unreachable home.
    fn worse_than(self, other: NodeError) -> NodeError {
        match (&self.0, &other) {
            (_, NodeError::WrongCode) => other,
            (NodeError::PairingClosed, NodeError::Unreachable { .. }) => other,
            _ => self.0,
        }
    }
}

async fn next(reader: &mut LinkReader) -> Option<Vec<u8>> {
    let frames = timeout(PAIRING_STEP_TIME, reader.recv(1)).await.ok()?.ok()?;
    frames.first().map(|frame| frame.to_vec())
}

pub(super) fn introduction(name: &str) -> Result<pairing::Introduction, NodeError> {
    let protocols = ProtocolRange::new(PROTO.0, PROTO.1).map_err(invalid)?;
    pairing::Introduction::new(name, VERSION, protocols, &["sync", "encryption", "shared_entities"])
        .map_err(invalid)
}

fn random<const N: usize>() -> Result<[u8; N], NodeError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|_| NodeError::Failed("the system gives no random numbers".into()))?;
    Ok(bytes)
}

fn secret_random() -> Result<Zeroizing<[u8; 64]>, NodeError> {
    random().map(Zeroizing::new)
}
