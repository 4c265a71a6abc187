//! Commands to other homes' devices, and theirs to this home's.
//!
//! A command lives for seconds and is carried out at most once. The sender waits for the outcome;
//! the owner gives it to the house, and tells *settled* when the device reports what was wanted.

use std::collections::HashSet;

use crosshome_core::{
    EntityId, EntityKey, HomeId, Space,
    dot::Dot,
    grant::Right,
    groups::STATE,
    intent::{Explanation, Intent, Outcome, Status, Wish, ttl_ms},
    json::{self, Json, Members},
    session::target,
    table::Number,
    update::{Attributes, Update},
};
use tokio::sync::{mpsc, oneshot};

use super::{Event, Loop, now_ms, views::intent_id};
use crate::{
    defaults::COMMANDS_WAITING,
    node::{Call, Command, NodeError, Reply},
    views::{CallView, EntityView, Pending, Stamp},
};

/// Commands that have no outcome yet, both ways.
#[derive(Default)]
pub(super) struct Commands {
    sent: Vec<Sent>,
    received: Vec<Received>,
    house: Option<mpsc::Sender<Command>>,
    /// What a bridge has reported: setting one of these means to command it, not to claim that it is so.
    devices: HashSet<EntityId>,
}

/// A command of this home.
struct Sent {
    id: Dot,
    key: EntityKey,
    expires_ms: u64,
    waiter: Option<Waiter>,
}

/// Who waits for the outcome.
enum Waiter {
    Update(Reply<EntityView>),
    Call(Reply<CallView>),
}

/// A peer's command to a device of this home.
struct Received {
    peer: HomeId,
    intent: Intent,
}

/// What the house made of a command.
pub(crate) struct Performed {
    peer: HomeId,
    id: Dot,
    result: Result<(), String>,
}

impl Commands {
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

    /// Returns the command on its way to an entity.
    pub(super) fn pending(&self, key: &EntityKey) -> Option<Pending> {
        let sent = self.sent.iter().rev().find(|sent| sent.key == *key)?;
        Some(Pending { intent: intent_id(sent.id), expires: Stamp(sent.expires_ms as i64) })
    }

    /// Ends the commands that a lost peer would have answered.
    pub(super) fn peer_lost(&mut self, peer: HomeId) {
        for sent in self.sent.extract_if(.., |sent| sent.key.space == Space::Home(peer)) {
            let reason = "the link was lost before the outcome came".into();
            fail(sent.waiter, NodeError::Unreachable { home: peer.short(), reason });
        }
        self.received.retain(|received| received.peer != peer);
    }

    /// Ends the commands whose time is over.
    pub(super) fn expire(&mut self, now_ms: u64) {
        for sent in self.sent.extract_if(.., |sent| sent.expires_ms <= now_ms) {
            let seconds = ttl_ms(&sent.key.id) / 1000;
            fail(sent.waiter, NodeError::TimedOut { what: sent.key.id.to_string(), seconds });
        }
        self.received.retain(|received| received.intent.alive(now_ms));
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
            Ok(home) if wait => drop(self.start_command(home, key, wish, Some(Waiter::Update(reply)))),
            Ok(home) => {
                self.start_command(home, key.clone(), wish, None);
                drop(reply.send(self.view_of(&key)));
            }
        }
    }

    /// Calls a service on the device of another home, or of this one.
    pub(super) fn call(&mut self, key: EntityKey, call: &Call, reply: Reply<CallView>) {
        let data: Result<Vec<_>, _> = call
            .data
            .iter()
            .map(|(name, raw)| raw.get().parse::<Json>().map(|value| (name.as_str(), value)))
            .collect();
        let data = match data {
            Ok(data) => data,
            Err(error) => return drop(reply.send(Err(super::names::invalid(error)))),
        };
        let mut object = String::new();
        json::write_object(data.iter().map(|(name, value)| (*name, value.as_str())), &mut object);
        let service = if call.service.contains('.') {
            call.service.clone()
        } else {
            format!("{}.{}", key.id.domain(), call.service)
        };
        let wish = Wish::Call {
            service: service.into(),
            data: object.parse().expect("an object of canonical values is JSON"),
        };
        match self.commandable(&key) {
            Err(error) => drop(reply.send(Err(error))),
            Ok(home) if call.wait => drop(self.start_command(home, key, wish, Some(Waiter::Call(reply)))),
            Ok(home) => {
                let intent = intent_id(self.start_command(home, key, wish, None));
                drop(reply.send(Ok(CallView { ok: true, intent, outcome: None })));
            }
        }
    }

    /// Returns the home that would carry out a command to an entity, if it can be asked now.
    fn commandable(&self, key: &EntityKey) -> Result<HomeId, NodeError> {
        let Space::Home(home) = key.space else {
            return Err(NodeError::Invalid("an entity of the joint space has no device behind it".into()));
        };
        if self.commands.sent.len() >= COMMANDS_WAITING {
            return Err(NodeError::Busy("too many commands wait for their outcome".into()));
        }
        let right = self.replica.find(key).and_then(|entity| entity.right);
        if home != self.me.id && right < Some(Right::Control) {
            return Err(self.not_allowed(key, "control"));
        }
        match self.peers.get(home) {
            Some(peer) if !peer.online() => {
                let reason = peer.reason.clone().unwrap_or_else(|| "it is offline".into());
                Err(NodeError::Unreachable { home: peer.name().to_owned(), reason })
            }
            _ => Ok(home),
        }
    }

    /// Sends a command, or gives it to this home's own house.
    fn start_command(&mut self, home: HomeId, key: EntityKey, wish: Wish, waiter: Option<Waiter>) -> Dot {
        let (now, ttl_ms) = (now_ms(), ttl_ms(&key.id));
        let id = self.replica.stamp(now);
        let intent = Intent { id, entity: key.id.clone(), wish, ttl_ms };
        self.commands.sent.push(Sent { id, key, expires_ms: now + ttl_ms, waiter });
        if home == self.me.id {
            self.perform(home, intent);
        } else if let Some(link) = self.peers.get_mut(home).and_then(|peer| peer.link.as_mut()) {
            link.session.command(intent);
        }
        id
    }

    /// Gives a peer's command to the house, if it has the right and the command is still alive.
    pub(super) fn perform(&mut self, peer: HomeId, intent: Intent) {
        let key = target(self.me.id, &intent);
        let right = match self.replica.find(&key) {
            Some(_) if peer == self.me.id => Some(Right::Edit),
            Some(entity) => self.replica.admits(peer, entity).map(|admission| admission.right),
            None => None,
        };
        let id = intent.id;
        if right < Some(Right::Control) || id.actor.home != peer {
            self.report(peer, crosshome_core::effect::Incident::Forbidden);
            return self.refuse(peer, id, "it is not shared with the right to control");
        }
        if !intent.alive(now_ms()) {
            return self.tell_outcome(peer, id, Status::Expired);
        }
        if self.commands.received.iter().any(|received| received.intent.id == id) {
            return; // it is being carried out
        }
        if self.commands.received.len() >= COMMANDS_WAITING {
            return self.refuse(peer, id, "too many commands wait for their outcome there");
        }
        let (done, waits) = oneshot::channel();
        let command = Command { entity_id: intent.entity.clone(), wish: intent.wish.clone(), done };
        let taken = self.commands.house.as_ref().is_some_and(|house| house.try_send(command).is_ok());
        if !taken {
            tracing::warn!(entity = %intent.entity, "no bridge carries out commands to this device");
            return self.refuse(peer, id, "no device behind it takes commands at present");
        }
        self.commands.received.push(Received { peer, intent });
        self.tell_outcome(peer, id, Status::Accepted);
        let post = self.post.clone();
        tokio::spawn(async move {
            let result = waits.await.unwrap_or_else(|_| Err("the bridge has ended".into()));
            let _ = post.send(Event::Performed(Performed { peer, id, result })).await;
        });
    }

    /// Takes note of what the house made of a command.
    pub(super) fn performed(&mut self, performed: Performed) {
        let Performed { peer, id, result } = performed;
        if let Err(reason) = result {
            tracing::warn!(peer = %peer.short(), %reason, "the house refused a command");
            self.commands.received.retain(|received| received.intent.id != id);
            return self.refuse(peer, id, &reason);
        }
        let calls = self.commands.received.extract_if(.., |received| {
            received.intent.id == id && matches!(received.intent.wish, Wish::Call { .. })
        });
        let done: Vec<_> = calls.map(|received| received.intent.id).collect();
        done.into_iter().for_each(|id| self.tell_outcome(peer, id, Status::Settled));
        if let Some(number) =
            self.commands.received.iter().find(|received| received.intent.id == id).and_then(|received| {
                let key = target(self.me.id, &received.intent);
                self.replica.table().find(key.space, &key.id)
            })
        {
            self.check_settled(number);
        }
    }

    /// Tells senders when a device reports what they wanted.
    pub(super) fn check_settled(&mut self, number: Number) {
        if self.commands.received.is_empty() {
            return;
        }
        let Some(entity) = self.replica.table().get(number) else { return };
        let (Some(view), key) = (entity.view(), &entity.key) else { return };
        let fields: Vec<_> = view.groups().flat_map(|group| group.fields()).collect();
        let has = |name: &str, value: &str| fields.contains(&(name, value));
        let fulfilled = |received: &mut Received| match &received.intent.wish {
            Wish::Set { state, attributes } if target(self.me.id, &received.intent) == *key => {
                state.as_ref().is_none_or(|state| has(STATE, state.as_str()))
                    && attributes.iter().all(|(name, value)| has(name, value))
            }
            _ => false,
        };
        let settled: Vec<_> = self
            .commands
            .received
            .extract_if(.., fulfilled)
            .map(|received| (received.peer, received.intent.id))
            .collect();
        settled.into_iter().for_each(|(peer, id)| self.tell_outcome(peer, id, Status::Settled));
    }

    /// Takes note of what became of this home's command.
    pub(super) fn settled(&mut self, peer: HomeId, outcome: &Outcome) {
        if outcome.status == Status::Accepted {
            return;
        }
        let ours = |sent: &mut Sent| sent.id == outcome.id && sent.key.space == Space::Home(peer);
        let Some(sent) = self.commands.sent.extract_if(.., ours).next() else { return };
        let home = self.home_name(peer);
        let result = match outcome.status {
            Status::Settled | Status::Accepted => Ok(()),
            Status::Rejected => {
                let told = outcome.explanation.as_ref().map(ToString::to_string);
                let reason = told.unwrap_or_else(|| format!("{} did not take the command", sent.key.id));
                Err(NodeError::Refused { home, reason })
            }
            Status::Expired => Err(NodeError::TimedOut {
                what: sent.key.id.to_string(),
                seconds: ttl_ms(&sent.key.id) / 1000,
            }),
        };
        match sent.waiter {
            Some(Waiter::Update(reply)) => drop(reply.send(result.and_then(|()| self.view_of(&sent.key)))),
            Some(Waiter::Call(reply)) => {
                let view = CallView { ok: true, intent: intent_id(sent.id), outcome: Some("settled".into()) };
                drop(reply.send(result.map(|()| view)));
            }
            None => {}
        }
    }

    fn tell_outcome(&mut self, peer: HomeId, id: Dot, status: Status) {
        self.answer_command(peer, Outcome { id, status, explanation: None });
    }

    /// Tells a sender that nothing comes of its command, and why.
    fn refuse(&mut self, peer: HomeId, id: Dot, reason: &str) {
        let explanation = Some(Explanation::new(reason));
        self.answer_command(peer, Outcome { id, status: Status::Rejected, explanation });
    }

    fn answer_command(&mut self, peer: HomeId, outcome: Outcome) {
        if peer == self.me.id {
            return self.settled(peer, &outcome);
        }
        if let Some(link) = self.peers.get_mut(peer).and_then(|peer| peer.link.as_mut()) {
            link.session.answer(outcome);
        }
    }
}

fn fail(waiter: Option<Waiter>, error: NodeError) {
    match waiter {
        Some(Waiter::Update(reply)) => drop(reply.send(Err(error))),
        Some(Waiter::Call(reply)) => drop(reply.send(Err(error))),
        None => {}
    }
}
