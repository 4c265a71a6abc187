//! The side of the home that asks.
//!
//! A command waits until its owner is linked, is sent, and is sent again after a cut link: the owner knows
//! it by its id. It is never sent to another start of the owner, which cannot know for certain what the
//! earlier one did. Until the device shows what was wanted, or the command ends otherwise, [`Sender::on`]
//! lists it, so that people see what they asked for and not how it travels.

use std::collections::BTreeMap;

use super::{Elapsed, Intent, Outcome, Status, Timing};
use crate::{
    EntityKey, HomeId, Space,
    bug::{self, Bug},
    dot::Dot,
    replica::Replica,
};

/// The commands of this home that have not ended.
#[derive(Debug, Default)]
pub struct Sender {
    asked: Vec<Asked>,
    lines: BTreeMap<HomeId, Line>,
}

/// A command of this home.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The command.
    pub intent: Intent,
    /// The device.
    pub key: EntityKey,
    /// How far it came.
    pub status: Status,
    /// When its time is over.
    due_ms: u64,
    /// The start of the owner that it was sent to.
    start: Option<u64>,
    /// The version that shows what was wanted, once the owner has named it.
    shown_by: Option<Dot>,
}

/// A live link to an owner.
#[derive(Debug)]
struct Line {
    start: u64,
    mark: Option<u64>,
    heard_ms: u64,
}

/// What is to be done for a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Sends it.
    Send {
        /// The owner.
        peer: HomeId,
        /// The command, with the time that it has left.
        intent: Box<Intent>,
        /// When that is.
        timing: Timing,
    },
    /// Shows that it came further.
    Moved(EntityKey),
    /// Tells whoever waits how it ended, and shows the device as it is.
    Ended(EntityKey, Outcome),
}

impl Sender {
    /// Takes on a command to a device: sends it, or keeps it until its owner is linked.
    pub fn ask(&mut self, owner: HomeId, intent: Intent, now: Elapsed) -> Vec<Step> {
        let key = EntityKey { space: Space::Home(owner), id: intent.entity.clone() };
        let replaced = |asked: &mut Asked| {
            asked.status == Status::Queued && asked.key == key && intent.supersedes(&asked.intent)
        };
        let mut steps: Vec<_> =
            self.asked.extract_if(.., replaced).map(|asked| asked.ends(Status::Superseded)).collect();
        let due_ms = now.most_ms.saturating_add(intent.ttl_ms);
        self.asked.push(Asked { intent, key, status: Status::Queued, due_ms, start: None, shown_by: None });
        if let (Some(line), Some(asked)) = (self.lines.get(&owner), self.asked.last_mut()) {
            steps.push(asked.send(owner, line, now));
        }
        steps
    }

    /// Takes note of a link to an owner: sends what waits, and again what another link may have lost.
    pub fn linked(&mut self, owner: HomeId, start: u64, now: Elapsed) -> Vec<Step> {
        let line = Line { start, mark: None, heard_ms: now.least_ms };
        let orphaned = |asked: &mut Asked| {
            let other = asked.start.is_some_and(|first| first != start);
            asked.owner() == Some(owner) && other && !bug::is(Bug::RestartForgets)
        };
        let mut steps: Vec<_> = self.asked.extract_if(.., orphaned).map(|asked| asked.orphaned()).collect();
        let waiting = self.asked.iter_mut().filter(|asked| asked.owner() == Some(owner));
        steps.extend(
            waiting.filter(|asked| !asked.status.is_final()).map(|asked| asked.send(owner, &line, now)),
        );
        self.lines.insert(owner, line);
        steps
    }

    /// Takes note that the link to an owner is lost.
    pub fn unlinked(&mut self, owner: HomeId) {
        self.lines.remove(&owner);
    }

    /// Takes note of an owner's ping.
    pub fn pinged(&mut self, owner: HomeId, nonce: u64, now: Elapsed) {
        if let Some(line) = self.lines.get_mut(&owner) {
            (line.mark, line.heard_ms) = (Some(nonce), now.least_ms);
        }
    }

    /// Takes note of what an owner says of a command.
    pub fn heard(&mut self, owner: HomeId, outcome: Outcome, replica: &Replica) -> Vec<Step> {
        let ours = |asked: &Asked| asked.intent.id == outcome.id && asked.owner() == Some(owner);
        let Some(at) = self.asked.iter().position(ours) else { return Vec::new() };
        let asked = &mut self.asked[at];
        if asked.status >= outcome.status {
            return Vec::new(); // said again after a cut link
        }
        asked.status = outcome.status;
        asked.shown_by = outcome.shown_by;
        match outcome.status.is_final() && !asked.awaits_report(replica) {
            true => vec![Step::Ended(self.asked.remove(at).key, outcome)],
            false => vec![Step::Moved(asked.key.clone())],
        }
    }

    /// Takes note that a device shows something new: a settled command ends when it is seen to be.
    pub fn reported(&mut self, key: &EntityKey, replica: &Replica) -> Vec<Step> {
        let seen = |asked: &mut Asked| {
            asked.key == *key && asked.status == Status::Settled && !asked.awaits_report(replica)
        };
        self.asked.extract_if(.., seen).map(|asked| asked.ends(Status::Settled)).collect()
    }

    /// Ends the commands whose time is over.
    pub fn expire(&mut self, now: Elapsed) -> Vec<Step> {
        let over = |asked: &mut Asked| asked.due_ms <= now.most_ms;
        self.asked.extract_if(.., over).map(|asked| asked.expired()).collect()
    }

    /// Ends the commands to a home that is forgotten.
    pub fn forget(&mut self, owner: HomeId) -> Vec<Step> {
        self.lines.remove(&owner);
        let gone = |asked: &mut Asked| asked.owner() == Some(owner);
        let reason = "its home is no longer paired";
        let ended = |asked: Asked| {
            Step::Ended(asked.key, Outcome::because(asked.intent.id, Status::Rejected, reason))
        };
        self.asked.extract_if(.., gone).map(ended).collect()
    }

    /// Returns the commands on their way to a device, in the order in which they were given.
    pub fn on(&self, key: &EntityKey) -> impl DoubleEndedIterator<Item = &Asked> {
        self.asked.iter().filter(move |asked| asked.key == *key)
    }

    /// Returns how many commands have not ended.
    pub fn len(&self) -> usize {
        self.asked.len()
    }

    /// Tells whether every command has ended.
    pub fn is_empty(&self) -> bool {
        self.asked.is_empty()
    }
}

impl Asked {
    /// Returns how long it may still take.
    pub fn left_ms(&self, now: Elapsed) -> u64 {
        self.due_ms.saturating_sub(now.most_ms)
    }

    fn owner(&self) -> Option<HomeId> {
        match self.key.space {
            Space::Home(home) => Some(home),
            Space::Joint => None,
        }
    }

    fn send(&mut self, peer: HomeId, line: &Line, now: Elapsed) -> Step {
        self.start = Some(line.start);
        self.status = self.status.max(Status::Sent);
        let intent = Box::new(Intent { ttl_ms: self.left_ms(now), ..self.intent.clone() });
        let timing = Timing { mark: line.mark, since_ms: now.least_ms.saturating_sub(line.heard_ms) };
        Step::Send { peer, intent, timing }
    }

    /// Tells whether the device does it, but this home has not seen so yet.
    fn awaits_report(&self, replica: &Replica) -> bool {
        let settled = self.shown_by.filter(|_| self.status == Status::Settled);
        let entity = replica.find(&self.key);
        settled.zip(entity).is_some_and(|(dot, entity)| !entity.context().contains(dot))
    }

    fn ends(self, status: Status) -> Step {
        Step::Ended(self.key, Outcome { shown_by: self.shown_by, ..Outcome::plain(self.intent.id, status) })
    }

    fn orphaned(self) -> Step {
        if self.status == Status::Settled {
            return self.ends(Status::Settled);
        }
        let reason = "its home was restarted, and it is not known whether it was carried out";
        Step::Ended(self.key, Outcome::because(self.intent.id, Status::Rejected, reason))
    }

    fn expired(self) -> Step {
        let reason = match self.status {
            Status::Settled => return self.ends(Status::Settled),
            Status::Queued => "its home could not be reached in time",
            Status::Sent => "its home did not answer in time, and it is not known whether it was carried out",
            _ => "the device did not do it in time",
        };
        Step::Ended(self.key, Outcome::because(self.intent.id, Status::Expired, reason))
    }
}
