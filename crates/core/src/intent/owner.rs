//! The side of the home whose device it is.
//!
//! An intent is judged once: its sender's right, its age, whether it was seen before, whether the device
//! has moved on. What is taken is remembered for longer than anybody can repeat it, and is to be durable
//! before it is given to the house; after a crash it is remembered as *not known*, and not done again.

use std::collections::{BTreeMap, VecDeque};

use super::{Elapsed, Intent, Kind, Outcome, Status, Timing, ttl_ms};
use crate::{
    EntityKey, HomeId, Space,
    bug::{self, Bug},
    defaults::{INTENT_TTL_MS, INTENTS_KEPT, MARKS_KEPT},
    dot::Dot,
    grant::Right,
    groups::group_of,
    replica::Replica,
    table::{Class, Entity},
    view::Shown,
};

/// What peers have asked of this home's devices.
#[derive(Debug, Default)]
pub struct Owner {
    tasks: BTreeMap<Dot, Task>,
    marks: BTreeMap<HomeId, Marks>,
}

/// An intent that was taken.
#[derive(Debug)]
struct Task {
    peer: HomeId,
    /// Nothing, when an earlier start has taken it.
    intent: Option<Intent>,
    /// When its time is over, as the most that may have passed.
    due_ms: u64,
    /// When it was taken, as the least that has passed.
    taken_ms: u64,
    outcome: Outcome,
}

/// When a peer was told something that it may count from.
#[derive(Debug)]
struct Marks {
    hello_ms: u64,
    pings: VecDeque<(u64, u64)>,
}

/// What is said to the sender of an intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The sender.
    pub peer: HomeId,
    /// What became of it.
    pub outcome: Outcome,
}

/// What was found of an intent that has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judged {
    /// It is to be made durable, then given to the house; these others end by it.
    Taken(Vec<Answer>),
    /// Nothing is to be done but to say so.
    Answered(Answer),
    /// The same; and people may want to know that it was tried.
    Forbidden(Answer),
}

impl Owner {
    /// Takes note that a peer is told hello.
    pub fn opened(&mut self, peer: HomeId, now: Elapsed) {
        self.marks.insert(peer, Marks { hello_ms: now.most_ms, pings: VecDeque::new() });
    }

    /// Takes note that a peer is sent a ping.
    pub fn pings(&mut self, peer: HomeId, nonce: u64, now: Elapsed) {
        let Some(marks) = self.marks.get_mut(&peer) else { return };
        marks.pings.push_back((nonce, now.most_ms));
        if marks.pings.len() > MARKS_KEPT {
            marks.pings.pop_front();
        }
    }

    /// Remembers an intent that an earlier start has taken; what it did with it is not known.
    pub fn recall(&mut self, id: Dot, peer: HomeId) {
        if bug::is(Bug::RestartForgets) {
            return;
        }
        let outcome = Outcome::because(
            id,
            Status::Rejected,
            "this home was restarted, and it is not known whether it was carried out",
        );
        self.tasks.insert(id, Task { peer, intent: None, due_ms: 0, taken_ms: 0, outcome });
    }

    /// Judges an intent that has come.
    pub fn judge(
        &mut self,
        replica: &Replica,
        peer: HomeId,
        intent: &Intent,
        timing: Timing,
        now: Elapsed,
    ) -> Judged {
        let answered = |outcome| Judged::Answered(Answer { peer, outcome });
        let refused = |status, reason| answered(Outcome::because(intent.id, status, reason));
        let known = self.tasks.get(&intent.id).filter(|_| !bug::is(Bug::CommandRepeated));
        if let Some(task) = known.filter(|task| task.peer == peer) {
            return answered(task.outcome.clone());
        }
        let me = replica.actor().home;
        let entity = replica.find(&target(me, intent));
        let right = match entity {
            Some(_) if peer == me => Some(Right::Edit),
            Some(entity) => replica.admits(peer, entity).map(|admission| admission.right),
            None => None,
        };
        let named = intent.id.actor.home == peer;
        let may = right >= Some(Right::Control) || bug::is(Bug::ControlUnchecked);
        let Some(entity) = entity.filter(|_| may && named) else {
            let reason = "it is not shared with the right to control";
            let outcome = Outcome::because(intent.id, Status::Rejected, reason);
            return Judged::Forbidden(Answer { peer, outcome });
        };
        if entity.class == Class::Document {
            return refused(Status::Rejected, "it is written, not commanded");
        }
        let due_ms = self.due_ms(peer, intent, timing);
        let due_ms = if bug::is(Bug::TravelUncounted) { now.most_ms + intent.ttl_ms } else { due_ms };
        if due_ms <= now.most_ms {
            return answered(Outcome::plain(intent.id, Status::Expired));
        }
        if self.tasks.values().filter(|task| task.peer == peer).count() >= INTENTS_KEPT {
            return refused(Status::Rejected, "too many commands come there at once");
        }
        if self.tasks.iter().any(|(id, task)| *id > intent.id && task.replaces(peer, intent)) {
            return answered(Outcome::plain(intent.id, Status::Superseded));
        }
        if is_stale(intent, entity) && !bug::is(Bug::StaleObeyed) {
            return refused(Status::Stale, "the device has changed since");
        }
        let ended = self.supersede(intent);
        let outcome = Outcome::plain(intent.id, Status::Accepted);
        let task = Task { peer, intent: Some(intent.clone()), due_ms, taken_ms: now.least_ms, outcome };
        self.tasks.insert(intent.id, task);
        Judged::Taken(ended)
    }

    /// Tells how long the house may still take to carry out an intent, which is durable now; nothing when it must not.
    pub fn give(&self, id: Dot, now: Elapsed) -> Option<u64> {
        let task = self.tasks.get(&id).filter(|task| task.outcome.status == Status::Accepted)?;
        task.due_ms.checked_sub(now.most_ms).filter(|left| *left > 0)
    }

    /// Takes note that the house has taken an intent on; a pulse is settled by that.
    pub fn applied(&mut self, id: Dot, replica: &Replica) -> Vec<Answer> {
        let Some(task) = self.tasks.get_mut(&id).filter(|task| task.is_open()) else { return Vec::new() };
        task.outcome.status = match &task.intent {
            Some(intent) if intent.kind == Kind::Set => Status::Applied,
            _ => Status::Settled,
        };
        let said = task.answer();
        let entity =
            task.intent.as_ref().and_then(|intent| replica.find(&target(replica.actor().home, intent)));
        let settled =
            entity.filter(|_| !said.outcome.status.is_final()).and_then(|entity| task.settle(entity));
        [Some(said), settled].into_iter().flatten().collect()
    }

    /// Ends an intent that the house will not carry out.
    pub fn refused(&mut self, id: Dot, reason: &str) -> Option<Answer> {
        let task = self.tasks.get_mut(&id).filter(|task| task.is_open())?;
        task.outcome = Outcome::because(id, Status::Rejected, reason);
        Some(task.answer())
    }

    /// Settles what a device shows to be done.
    pub fn reported(&mut self, entity: &Entity) -> Vec<Answer> {
        let open = self.tasks.values_mut().filter(|task| task.is_open());
        open.filter_map(|task| task.settle(entity)).collect()
    }

    /// Ends what was not done in time.
    pub fn expire(&mut self, now: Elapsed) -> Vec<Answer> {
        let over = |task: &&mut Task| task.is_open() && task.due_ms <= now.most_ms;
        let ended = |task: &mut Task| {
            task.outcome =
                Outcome::because(task.outcome.id, Status::Expired, "the device did not do it in time");
            task.answer()
        };
        self.tasks.values_mut().filter(over).map(ended).collect()
    }

    /// Forgets the intents that nobody can repeat any more, and returns their ids.
    pub fn tidy(&mut self, now: Elapsed) -> Vec<Dot> {
        // The least, so that no jump of a clock lets a repetition in.
        let old = |_: &Dot, task: &mut Task| {
            !task.is_open() && now.least_ms.saturating_sub(task.taken_ms) > INTENT_TTL_MS
        };
        self.tasks.extract_if(.., old).map(|(id, _)| id).collect()
    }

    /// Returns how many intents are remembered.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Tells whether no intent is remembered.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Tells when an intent's time is over: see [`elapsed`](super::elapsed).
    fn due_ms(&self, peer: HomeId, intent: &Intent, timing: Timing) -> u64 {
        let Some(marks) = self.marks.get(&peer) else { return 0 };
        let mark = match timing.mark {
            None => marks.hello_ms,
            Some(nonce) => match marks.pings.iter().find(|(known, _)| *known == nonce) {
                Some((_, at)) => *at,
                None => return 0, // too long ago to tell
            },
        };
        let left = intent.ttl_ms.min(ttl_ms(&intent.entity));
        match bug::is(Bug::TimeIgnored) {
            true => u64::MAX,
            false => mark.saturating_add(timing.since_ms).saturating_add(left),
        }
    }

    fn supersede(&mut self, intent: &Intent) -> Vec<Answer> {
        let replaced = |task: &&mut Task| {
            !bug::is(Bug::SupersededObeyed)
                && task.is_open()
                && task.intent.as_ref().is_some_and(|earlier| intent.supersedes(earlier))
        };
        let ended = |task: &mut Task| {
            task.outcome = Outcome::plain(task.outcome.id, Status::Superseded);
            task.answer()
        };
        self.tasks.values_mut().filter(replaced).map(ended).collect()
    }
}

impl Task {
    fn is_open(&self) -> bool {
        !self.outcome.status.is_final()
    }

    fn answer(&self) -> Answer {
        Answer { peer: self.peer, outcome: self.outcome.clone() }
    }

    /// Tells whether this one, which its sender gave later, leaves nothing of an intent to be done.
    fn replaces(&self, peer: HomeId, earlier: &Intent) -> bool {
        let later = self.intent.as_ref().filter(|_| self.peer == peer);
        later.is_some_and(|intent| intent.supersedes(earlier))
    }

    fn settle(&mut self, entity: &Entity) -> Option<Answer> {
        let intent = self.intent.as_ref().filter(|intent| intent.kind == Kind::Set)?;
        let shown = entity.shown().filter(|_| entity.key.id == intent.entity)?;
        self.outcome = is_so(intent, &shown)
            .then(|| Outcome { shown_by: Some(shown.dot()), ..Outcome::plain(intent.id, Status::Settled) })?;
        Some(self.answer())
    }
}

/// Returns the key of a command's entity in the space of the home that carries it out.
fn target(home: HomeId, intent: &Intent) -> EntityKey {
    EntityKey { space: Space::Home(home), id: intent.entity.clone() }
}

/// Tells whether a device shows all that is wanted.
fn is_so(intent: &Intent, shown: &Shown<'_>) -> bool {
    let has = |wanted| {
        bug::is(Bug::SettledUntrue)
            || shown.groups().flat_map(|group| group.fields()).any(|known| known == wanted)
    };
    intent.wish.fields().all(has)
}

/// Tells whether a device changed what is wanted otherwise, after the sender made up its mind and without its knowledge.
fn is_stale(intent: &Intent, entity: &Entity) -> bool {
    let Some(shown) = entity.shown().filter(|_| intent.kind == Kind::Set) else { return false };
    let domain = intent.entity.domain();
    let wanted = |key: &str| intent.wish.fields().any(|(name, _)| group_of(domain, name) == key);
    let newer = |dot: Dot| !intent.seen.contains(dot) && dot.hlc > intent.id.hlc;
    !is_so(intent, &shown) && shown.groups().any(|group| wanted(group.key()) && newer(group.dot))
}
