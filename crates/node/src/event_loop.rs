//! The one task that owns the replica: events in, effects out, commit before anyone hears of it.
//!
//! A turn takes all that waits, lets the core decide, commits, and then carries out: answers to
//! callers, notices to observers, frames to peers. Whatever takes time (dialling, pairing, writing to
//! sockets and disk) runs beside the loop and comes back as an [`Event`].
//!
//! ```text
//! requests ─┐                       ┌─▶ answers, notices
//! frames   ─┼─▶ step ─▶ commit ─▶ carry out
//! sightings ┘     (core)   (store)  └─▶ frames, commands to the house
//! ```

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use crosshome_core::{EntityId, HomeId, effect::Effect, replica::Replica};
use tokio::{sync::mpsc, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::{
    channel::{Arrival, Door, Endpoint, Frame, Listener, Pins, Secured},
    config::Config,
    custom::judge::Judge,
    defaults::{BURST, FLUSH_EVERY, HEARTBEAT},
    discovery::{Discovery, DiscoveryEvent},
    identity::PeerKey,
    node::{Audience, Inbox, NodeError, Request},
    policies::Policies,
    store::Committer,
    views::Restored,
};

mod audience;
mod backup;
mod clones;
mod commands;
mod conflicts;
mod connect;
mod deciding;
mod doctor;
mod doubt;
mod entities;
mod history;
mod joining;
mod keeper;
mod link;
mod links;
mod metrics;
mod names;
mod pairing;
mod peers;
mod registry;
mod requests;
mod rotation;
mod sharing;
mod status;
mod strategy;
mod views;

use audience::Audiences;
pub(crate) use clones::shut_out;
pub(crate) use commands::taken_before;
use commands::{Commands, Performed};
pub(crate) use conflicts::ConflictLog;
use conflicts::Records;
use deciding::{Decided, Deciding};
use joining::Joining;
use keeper::Keeper;
pub(crate) use keeper::Stores;
use metrics::Metrics;
use pairing::{Desk, News as PairingNews};
use peers::Peers;
pub(crate) use registry::Registry;
use rotation::Rotating;
pub(crate) use rotation::rename_stored;

/// What happens to a home, other than requests of its callers.
pub(crate) enum Event {
    /// Somebody with a proven key has come in by the listener.
    Arrived(Box<Arrival>),
    /// A peer was reached.
    Dialed { peer: HomeId, address: String, secured: Box<Secured> },
    /// A peer was not reached; an imposter may have answered in its place.
    Unreachable { peer: HomeId, address: String, reason: String, imposter: Option<HomeId> },
    /// The way to a peer whose link is silent was interrupted and is open again.
    NetworkBack { peer: HomeId, link: u64 },
    /// Frames came over a link.
    Received { peer: HomeId, link: u64, frames: Vec<Frame> },
    /// A link can take more.
    Room,
    /// A link has ended.
    Lost { peer: HomeId, link: u64, reason: String },
    /// What became of a pairing.
    Pairing(PairingNews),
    /// The network shows something.
    Sighted(DiscoveryEvent),
    /// The house has tried what a peer wanted.
    Performed(Performed),
    /// A custom strategy has been asked.
    Decided(Box<Decided>),
    /// A peer admits the key that this home is about to have.
    Followed { peer: HomeId },
    /// A batch has been written, or not.
    Stored(keeper::Written),
}

/// Who this home is.
pub(crate) struct Me {
    pub(crate) id: HomeId,
    pub(crate) name: String,
    pub(crate) config: Config,
    pub(crate) sync_port: Option<u16>,
    pub(crate) api: Option<String>,
    /// Whether nothing of it outlives the program.
    pub(crate) in_memory: bool,
    pub(crate) started: Instant,
}

/// The task that owns the replica.
pub(crate) struct Loop {
    me: Me,
    replica: Replica,
    endpoint: Endpoint,
    pins: Pins,
    door: Door,
    peers: Peers,
    keeper: Keeper,
    desk: Desk,
    commands: Commands,
    deciding: Deciding,
    joining: Joining,
    audiences: Audiences,
    policies: Policies,
    records: Records,
    registry: Registry,
    metrics: Metrics,
    discovery: Option<Arc<Discovery>>,
    listener: Option<Arc<Listener>>,
    rotating: Option<Rotating>,
    /// When this home was last restored from a backup.
    restored: Option<Restored>,
    inbox: Inbox,
    events: mpsc::Receiver<Event>,
    post: mpsc::Sender<Event>,
    effects: Vec<Effect>,
    /// Answers that wait for the commit.
    answers: Vec<Answer>,
}

/// An answer that is given when the commit has succeeded or failed.
type Answer = Box<dyn FnOnce(Result<(), NodeError>) + Send>;

/// What a loop is made of.
pub(crate) struct Parts {
    pub(crate) me: Me,
    pub(crate) endpoint: Endpoint,
    pub(crate) pins: Pins,
    pub(crate) door: Door,
    pub(crate) stores: Stores,
    pub(crate) committer: Committer,
    pub(crate) judge: Judge,
    /// Whether the home reaches for nobody until it is asked to.
    pub(crate) aloof: bool,
    /// Who may see what, if the program decides.
    pub(crate) audiences: Option<BTreeMap<EntityId, Audience>>,
    pub(crate) discovery: Option<Arc<Discovery>>,
    pub(crate) listener: Option<Arc<Listener>>,
    pub(crate) inbox: Inbox,
    pub(crate) events: mpsc::Receiver<Event>,
    pub(crate) post: mpsc::Sender<Event>,
}

impl Loop {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { me, endpoint, pins, door, stores, committer, .. } = parts;
        let Parts { judge, aloof, audiences, discovery, listener, inbox, events, post, .. } = parts;
        let Stores { replica, peers, shut_out, taken, registry, policies, conflicts, stored, restored } =
            stores;
        let keeper = Keeper::new(committer, stored, &replica, me.in_memory, post.clone());
        let desk = Desk::new(&me, post.clone());
        let peers = Peers::new(peers, shut_out);
        for row in peers.rows() {
            match PeerKey::from_spki(&row.spki) {
                _ if row.denied => pins.deny(row.id),
                Ok(key) => pins.insert(key),
                Err(error) => {
                    tracing::error!(peer = %row.id.short(), %error, "stored key is damaged, pair again")
                }
            }
        }
        let commands = Commands::new(me.id, &taken);
        Self {
            me,
            replica,
            endpoint,
            pins,
            door,
            peers,
            keeper,
            desk,
            commands,
            deciding: Deciding::new(judge),
            joining: Joining::new(aloof),
            audiences,
            policies,
            records: Records::new(conflicts),
            registry,
            metrics: Metrics::default(),
            discovery,
            listener,
            rotating: None,
            restored,
            inbox,
            events,
            post,
            effects: Vec::new(),
            answers: Vec::new(),
        }
    }

    /// Runs until told to stop, then says goodbye and commits what is left.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        self.reconcile_conflicts();
        self.begin();
        let mut beat = every(HEARTBEAT);
        let mut flush = every(FLUSH_EVERY);
        let (mut events, mut requests) = (Vec::with_capacity(BURST), Vec::with_capacity(BURST));
        loop {
            // Not biased: a peer that floods must not keep this home's own callers waiting.
            tokio::select! {
                () = stop.cancelled() => break,
                _ = beat.tick() => {
                    self.beat();
                    self.trim_conflicts();
                }
                _ = flush.tick() => {
                    self.keeper.flush_soon();
                    self.close_expired_window();
                    self.expire_commands();
                    self.mark_synced();
                    self.doubt_silent_links();
                    self.give_up_joining();
                }
                _ = self.events.recv_many(&mut events, BURST) => events.drain(..).for_each(|event| self.step(event)),
                count = self.inbox.requests.recv_many(&mut requests, BURST) => {
                    if count == 0 {
                        break; // the last caller is gone
                    }
                    requests.drain(..).for_each(|request| self.answer(request));
                }
            }
            self.turn().await;
        }
        self.farewell().await;
    }

    /// Lets the core decide what an event means.
    fn step(&mut self, event: Event) {
        match event {
            Event::Arrived(arrival) => self.arrive(*arrival),
            Event::Dialed { peer, address, secured } => self.link_up(peer, *secured, Some(address)),
            Event::Unreachable { peer, address, reason, imposter } => {
                self.not_reached(peer, address, reason, imposter)
            }
            Event::NetworkBack { peer, link } => self.network_is_back(peer, link),
            Event::Received { peer, link, frames } => self.receive(peer, link, &frames),
            Event::Room => {} // pumped in the turn
            Event::Lost { peer, link, reason } => self.link_down(peer, link, reason),
            Event::Pairing(news) => self.pairing_news(news),
            Event::Sighted(event) => self.sighted(event),
            Event::Performed(performed) => self.performed(performed),
            Event::Decided(decided) => self.decided(*decided),
            Event::Followed { peer } => self.has_followed(peer),
            Event::Stored(written) => self.stored(written),
        }
    }

    /// Commits what the effects ask for, then carries them out.
    async fn turn(&mut self) {
        self.follow_rotations();
        self.keep_record();
        let mut effects = self.take_effects();
        self.judge_intents(&mut effects);
        let committed = self.commit(&effects).await;
        self.carry_out(effects);
        self.give_taken(&committed);
        self.tell_conflicts();
        self.pump(); // before the answers: a caller can wait longer than a peer
        for answer in std::mem::take(&mut self.answers) {
            answer(committed.clone());
        }
        self.decide_next();
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                // intents are judged, and rotations followed, before the commit
                Effect::Commit(_)
                | Effect::Restamped
                | Effect::Forgotten(..)
                | Effect::Conflict(_)
                | Effect::Rotated { .. }
                | Effect::Perform { .. } => {}
                Effect::JointPolicy => self.joint_policy_changed(),
                Effect::Changed(number) => {
                    self.consider(number);
                    self.tell_changed(number);
                }
                Effect::Removed(key, _) => self.tell_removed(&key),
                Effect::Settled { peer, outcome } => self.hear_outcome(peer, outcome),
                Effect::Pinged { peer, nonce } => self.commands.pinged(peer, nonce),
                Effect::Echo { peer, nonce } => self.hear_echo(peer, nonce),
                Effect::Marked { peer, number } => self.marked(peer, number),
                Effect::Report { peer, incident } => self.report(peer, incident),
            }
        }
    }

    /// Answers a caller once what was done so far is committed.
    fn answer_after<T: Send + 'static>(&mut self, reply: crate::node::Reply<T>, value: Result<T, NodeError>) {
        match value {
            Err(error) => drop(reply.send(Err(error))),
            Ok(value) => {
                self.answers.push(Box::new(move |committed| drop(reply.send(committed.map(|()| value)))))
            }
        }
    }

    fn answer(&mut self, request: Request) {
        self.metrics.requests += 1;
        self.dispatch(request);
    }
}

/// A timer that skips what it missed.
fn every(period: Duration) -> tokio::time::Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
    interval
}

/// Returns the wall clock in milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
