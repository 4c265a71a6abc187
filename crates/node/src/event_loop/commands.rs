//! Commands to other homes' devices, and theirs to this home's.
//!
//! The core decides ([`Sender`], [`Owner`]); here is what it takes to carry that out: callers who wait,
//! the house behind this home, and what people see meanwhile. A command to a device of this very home
//! takes the same way, without a link.

use std::{
    collections::{HashMap, HashSet},
    time::Instant,
};

use crosshome_core::{
    EntityId, EntityKey, HomeId, Space,
    dot::Dot,
    effect::{Durability, Effect},
    grant::Right,
    intent::{Elapsed, Intent, Outcome, Owner, Sender, Status, Step, Stopwatch, Timing, Wish, ttl_ms},
    json::{self, Json, Members},
    table::Entity,
    update::{Attributes, Update},
};
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use super::{Loop, now_ms, views::intent_id};
use crate::{
    defaults::COMMANDS_WAITING,
    node::{Call, Command, NodeError, Reply},
    store::HistoryRow,
    views::{CallView, EntityView, Pending, Stamp},
};

mod house;
mod record;

pub(super) use house::Performed;
pub(crate) use record::taken_before;

/// Commands that have not ended, both ways.
pub(super) struct Commands {
    sender: Sender,
    owner: Owner,
    watch: Stopwatch,
    started: Instant,
    waiters: HashMap<Dot, Waiter>,
    /// What stands in the history of commands that have not ended.
    rows: HashMap<Dot, HistoryRow>,
    /// Intents that were judged in this turn, to be given to the house once they are durable.
    taken: Vec<Intent>,
    house: Option<mpsc::Sender<Command>>,
    /// What a bridge has reported: setting one of these means to command it, not to claim that it is so.
    devices: HashSet<EntityId>,
    /// The mark that commands of this home to itself count from.
    mark: u64,
}

/// Who waits for the outcome.
enum Waiter {
    Update(Reply<EntityView>),
    Call(Reply<CallView>),
}

impl Commands {
    /// Begins with the intents that earlier starts had taken.
    pub(super) fn new(me: HomeId, taken: &[Dot]) -> Self {
        let started = Instant::now();
        let mut commands = Self {
            sender: Sender::default(),
            owner: Owner::default(),
            watch: Stopwatch::start(0, now_ms()),
            started,
            waiters: HashMap::new(),
            rows: HashMap::new(),
            taken: Vec::new(),
            house: None,
            devices: HashSet::new(),
            mark: 0,
        };
        taken.iter().for_each(|id| commands.owner.recall(*id, id.actor.home));
        commands.owner.opened(me, Elapsed::default());
        commands.sender.linked(me, 0, Elapsed::default());
        commands
    }

    /// Lets a bridge carry out what peers want; the one before is dropped.
    pub(super) fn attach(&mut self) -> mpsc::Receiver<Command> {
        let (sender, receiver) = mpsc::channel(COMMANDS_WAITING);
        self.house = Some(sender);
        receiver
    }

    /// Takes note that a bridge knows a device.
    pub(super) fn reported(&mut self, device: &EntityId) {
        if !self.devices.contains(device) {
            self.devices.insert(device.clone());
        }
    }

    /// Tells whether a bridge stands ready to carry out commands to a device of this home.
    pub(super) fn carries_out(&self, device: &EntityId) -> bool {
        self.house.as_ref().is_some_and(|house| !house.is_closed()) && self.devices.contains(device)
    }

    /// Takes note that a new link to a peer says hello; what the one before had lost is said again later.
    pub(super) fn link_opened(&mut self, peer: HomeId) {
        let now = self.elapsed();
        self.sender.unlinked(peer);
        self.owner.opened(peer, now);
    }

    /// Takes note that a peer is sent a ping on its link.
    pub(super) fn pings(&mut self, peer: HomeId, nonce: u64) {
        let now = self.elapsed();
        self.owner.pings(peer, nonce, now);
    }

    /// Takes note that a peer has sent a ping.
    pub(super) fn pinged(&mut self, peer: HomeId, nonce: u64) {
        let now = self.elapsed();
        self.sender.pinged(peer, nonce, now);
    }

    /// Takes note that the link to a peer is lost: what waits for it goes on waiting.
    pub(super) fn peer_lost(&mut self, peer: HomeId) {
        self.sender.unlinked(peer);
    }

    fn elapsed(&mut self) -> Elapsed {
        self.watch.read(self.started.elapsed().as_millis() as u64, now_ms())
    }
}

impl Loop {
    /// Sends the wanted values to the home whose device it is.
    pub(super) fn command_update(
        &mut self,
        key: EntityKey,
        update: &Update,
        wait: bool,
        reply: Reply<EntityView>,
    ) {
        let attributes = match &update.attributes {
            Attributes::Keep => Members::default(),
            Attributes::Replace(all) => all.clone(),
            Attributes::Patch(some) => some.iter().filter_map(|(n, v)| Some((n, v.clone()?))).collect(),
        };
        let wish = Wish::Set { state: update.state.clone(), attributes };
        match self.commandable(&key) {
            Err(error) => drop(reply.send(Err(error))),
            Ok(home) if wait => {
                self.start_command(home, &key, wish, Some(Waiter::Update(reply)));
            }
            Ok(home) => {
                self.start_command(home, &key, wish, None);
                let view = self.view_of(&key);
                self.answer_after(reply, view);
            }
        }
    }

    /// Calls a service on the device of another home, or of this one.
    pub(super) fn call(&mut self, key: EntityKey, call: &Call, reply: Reply<CallView>) {
        let wish = match called(&key, call) {
            Ok(wish) => wish,
            Err(error) => return drop(reply.send(Err(error))),
        };
        match self.commandable(&key) {
            Err(error) => drop(reply.send(Err(error))),
            Ok(home) if call.wait => {
                self.start_command(home, &key, wish, Some(Waiter::Call(reply)));
            }
            Ok(home) => {
                let intent = intent_id(self.start_command(home, &key, wish, None));
                self.answer_after(reply, Ok(CallView { ok: true, intent, outcome: None }));
            }
        }
    }

    /// Returns the home that would carry out a command to an entity, if it may be asked.
    fn commandable(&self, key: &EntityKey) -> Result<HomeId, NodeError> {
        let Space::Home(home) = key.space else {
            return Err(NodeError::Invalid("an entity of the joint space has no device behind it".into()));
        };
        if self.commands.sender.len() >= COMMANDS_WAITING {
            return Err(NodeError::Busy("too many commands wait for their outcome".into()));
        }
        let right = self.replica.find(key).and_then(|entity| entity.right);
        match home != self.me.id && right < Some(Right::Control) {
            true => Err(self.not_allowed(key, "control")),
            false => Ok(home),
        }
    }

    fn start_command(&mut self, home: HomeId, key: &EntityKey, wish: Wish, waiter: Option<Waiter>) -> Dot {
        let id = self.replica.stamp(now_ms());
        let seen = self.replica.find(key).map(Entity::context).unwrap_or_default();
        let (kind, ttl_ms) = (wish.kind(&key.id), ttl_ms(&key.id));
        let intent = Intent { id, entity: key.id.clone(), wish, kind, seen, ttl_ms };
        let now = self.commands.elapsed();
        if home == self.me.id {
            self.commands.mark += 1;
            self.commands.owner.pings(home, self.commands.mark, now);
            self.commands.sender.pinged(home, self.commands.mark, now);
        }
        self.record(key, &intent, "command: outcome not known");
        // the clock's mark has to be ahead of every stamp that leaves
        self.effects.push(Effect::Commit(Durability::Lazy));
        self.commands.waiters.extend(waiter.map(|waiter| (id, waiter)));
        let steps = self.commands.sender.ask(home, intent, now);
        self.take_steps(steps);
        self.tell_entity(key);
        id
    }

    /// Sends what waits for a peer that is online now, and what its last link may have lost.
    pub(super) fn command_again(&mut self, peer: HomeId, start: u64) {
        let now = self.commands.elapsed();
        let steps = self.commands.sender.linked(peer, start, now);
        self.take_steps(steps);
    }

    /// Ends the commands whose time is over, and forgets intents that nobody can repeat.
    pub(super) fn expire_commands(&mut self) {
        let now = self.commands.elapsed();
        let answers = self.commands.owner.expire(now);
        self.answer_all(answers);
        let steps = self.commands.sender.expire(now);
        self.take_steps(steps);
        let forgotten = self.commands.owner.tidy(now);
        self.forget_taken(&forgotten);
    }

    /// Ends the commands to a home that is forgotten.
    pub(super) fn forget_commands(&mut self, peer: HomeId) {
        let steps = self.commands.sender.forget(peer);
        self.take_steps(steps);
    }

    /// Takes note of what became of this home's command.
    pub(super) fn hear_outcome(&mut self, peer: HomeId, outcome: Outcome) {
        let steps = self.commands.sender.heard(peer, outcome, &self.replica);
        self.take_steps(steps);
    }

    /// Ends the commands whose outcome is seen now.
    pub(super) fn end_seen_commands(&mut self, key: &EntityKey) {
        if !self.commands.sender.is_empty() {
            let steps = self.commands.sender.reported(key, &self.replica);
            self.take_steps(steps);
        }
    }

    fn take_steps(&mut self, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Send { peer, intent, timing } => self.send_intent(peer, intent, timing),
                Step::Moved(key) => self.tell_entity(&key),
                Step::Ended(key, outcome) => self.end_command(&key, &outcome),
            }
        }
    }

    fn send_intent(&mut self, peer: HomeId, intent: Box<Intent>, timing: Timing) {
        if peer == self.me.id {
            return self.effects.push(Effect::Perform { peer, intent, timing });
        }
        if let Some(link) = self.peers.get_mut(peer).and_then(|peer| peer.link.as_mut()) {
            link.session.command(intent, timing);
        }
    }

    fn end_command(&mut self, key: &EntityKey, outcome: &Outcome) {
        let intent = intent_id(outcome.id);
        tracing::debug!(intent, entity = %key.id, status = outcome.status.as_str(), "a command has ended");
        self.record_outcome(outcome);
        self.tell_entity(key);
        let Space::Home(home) = key.space else { return };
        let said = outcome.explanation.as_ref().map(ToString::to_string);
        let refused = |reason| Err(NodeError::Refused { home: self.home_name(home), reason });
        let result = match outcome.status {
            Status::Settled => Ok(()),
            Status::Expired => {
                Err(NodeError::TimedOut { what: key.id.to_string(), seconds: ttl_ms(&key.id) / 1000 })
            }
            Status::Superseded => refused("a later command wants something else".to_owned()),
            _ => refused(said.unwrap_or_else(|| format!("{} did not take the command", key.id))),
        };
        match self.commands.waiters.remove(&outcome.id) {
            Some(Waiter::Update(reply)) => drop(reply.send(result.and_then(|()| self.view_of(key)))),
            Some(Waiter::Call(reply)) => {
                let word = Some(outcome.status.as_str().into());
                let view = CallView { ok: true, intent: intent_id(outcome.id), outcome: word };
                drop(reply.send(result.map(|()| view)));
            }
            None => {}
        }
    }

    /// Returns what this home's people want of an entity and do not see yet, the latest wish last.
    pub(super) fn wishes<'a>(&'a self, key: &EntityKey) -> Vec<&'a Wish> {
        self.commands.sender.on(key).map(|asked| &asked.intent.wish).collect()
    }

    /// Returns the latest command on its way to an entity.
    pub(super) fn pending(&self, key: &EntityKey) -> Option<Pending> {
        let asked = self.commands.sender.on(key).next_back()?;
        // Shown by the wall clock, so not what decides.
        let expires = Stamp((asked.intent.id.hlc.ms() + asked.intent.ttl_ms) as i64);
        let (state, attributes) = record::wanted(&asked.intent.wish);
        Some(Pending {
            intent: intent_id(asked.intent.id),
            status: asked.status.as_str().into(),
            wanted: RawValue::from_string(format!(r#"{{"state":{state},"attributes":{attributes}}}"#))
                .expect("canonical values make an object"),
            expires,
        })
    }

    fn tell_entity(&mut self, key: &EntityKey) {
        if let Some(number) = self.replica.table().find(key.space, &key.id) {
            self.tell_shown(number);
        }
    }
}

/// Reads a service call from outside.
fn called(key: &EntityKey, call: &Call) -> Result<Wish, NodeError> {
    let values = call.data.iter().map(|(name, raw)| Ok((name, raw.get().parse::<Json>()?)));
    let data: Result<Vec<_>, json::JsonError> = values.collect();
    let data = data.map_err(super::names::invalid)?;
    let mut object = String::new();
    json::write_object(data.iter().map(|(name, value)| (name.as_str(), value.as_str())), &mut object);
    let service = match call.service.contains('.') {
        true => call.service.clone(),
        false => format!("{}.{}", key.id.domain(), call.service),
    };
    let data = object.parse().expect("an object of canonical values is JSON");
    Ok(Wish::Call { service: service.into(), data })
}
