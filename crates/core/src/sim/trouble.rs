//! Further things that go wrong, beside those of `faults`: at commits, with disks, with clocks, between versions.
//!
//! They have dice of their own, so that a plan without them is the run that it was before they came to be.

use super::{
    START, World,
    checks::Checked,
    disk::Disk,
    faults::FURTHER,
    home::{Fate, Running},
};
use crate::{
    EntityKey,
    effect::{Durability, Effect},
    replica::Choice,
    siblings::Siblings,
    update::Update,
    version::Cause,
    view,
};

use super::Fault;

/// Most disks of one home that are kept to be restored.
const ARCHIVE: usize = 6;

/// A day in milliseconds.
const DAY: i64 = 86_400_000;

/// What somebody was shown, to choose from it later.
#[derive(Clone, Debug)]
pub(super) struct Doubt {
    at: usize,
    key: EntityKey,
    shown: Siblings,
}

impl World {
    /// Lets one further thing go wrong.
    pub(super) fn trouble(&mut self) -> Checked {
        let (at, fault) = (self.dice.below(self.homes.len()), self.dice.pick(&FURTHER));
        if !self.plan.faults.contains(&fault) || self.homes[at].running.is_none() {
            return Ok(());
        }
        match fault {
            Fault::Commits => {
                self.homes[at].fate = Some(self.dice.pick(&[Fate::Before, Fate::After]));
            }
            Fault::FullDisks => {
                let full = !self.homes[at].full && self.may_go_back(at);
                self.homes[at].full = full;
                self.homes[at].owing |= full;
            }
            Fault::Days => self.days(at),
            Fault::Archives => return self.archive(at),
            Fault::Doubts => return self.doubt(at),
            _ => self.upgrade(at),
        }
        Ok(())
    }

    /// Stops a home just before or just after it has made something durable, and before anybody has heard of it.
    pub(super) fn die_at_commit(&mut self, at: usize, fate: Fate, effects: &[Effect]) -> bool {
        let durable = effects.contains(&Effect::Commit(Durability::Now));
        if !durable || fate != Fate::Before {
            return false;
        }
        self.note(|_| format!("{at} loses power before a commit"));
        let Some(Running { replica, .. }) = &self.homes[at].running else { return false };
        for effect in effects {
            let Effect::Changed(number) = effect else { continue };
            if let Some(entity) = replica.table().get(*number) {
                self.ledger.unsaid(at, entity, replica.actor().home);
                self.past.retain(|past| !past.is_of(at, &entity.key));
            }
        }
        self.crash(at);
        true
    }

    fn days(&mut self, at: usize) {
        let offset = self.dice.pick(&[0, DAY, -DAY, -(START as i64) + 1_000]);
        self.homes[at].offset_ms = offset;
        self.note(|_| format!("the clock of {at} is off by {offset} ms"));
    }

    /// A disk is put aside, an earlier one comes back, or two of them take turns as clones do.
    fn archive(&mut self, at: usize) -> Checked {
        if !self.may_go_back(at) {
            return Ok(());
        }
        let (keeps, clone) = (self.dice.chance(60), self.dice.chance(40));
        let home = &mut self.homes[at];
        if keeps || home.archive.is_empty() {
            home.flush();
            let disk = home.disk.clone();
            let surplus = (home.archive.len() + 1).saturating_sub(ARCHIVE);
            home.archive.drain(..surplus);
            home.archive.push(disk);
            return Ok(());
        }
        let which = self.dice.below(home.archive.len());
        let disk: Disk = home.archive[which].clone();
        if clone {
            home.flush();
            home.archive[which] = home.disk.clone();
        }
        self.comes_back_from(at, disk)
    }

    /// Lets people choose from what they were shown some time ago, or shows them something.
    fn doubt(&mut self, at: usize) -> Checked {
        let due = self.doubts.iter().position(|doubt| doubt.at == at).filter(|_| self.dice.chance(60));
        if let Some(doubt) = due.map(|due| self.doubts.swap_remove(due)) {
            let choice = Choice::Value(Update::state("chosen late"));
            return self.resolve(at, &doubt.key, &doubt.shown, &choice, Cause::Person);
        }
        let open = self.keys(at, |entity| view::differ(&entity.siblings));
        if open.is_empty() {
            return Ok(());
        }
        let key = self.dice.pick(&open);
        let entity = self.replica(at).and_then(|replica| replica.find(&key));
        let shown = entity.map(|entity| entity.siblings.clone()).unwrap_or_default();
        self.doubts.push(Doubt { at, key, shown });
        Ok(())
    }

    /// Lets a home speak one protocol version later from now on, or the present one again.
    fn upgrade(&mut self, at: usize) {
        self.homes[at].newer = !self.homes[at].newer;
        self.note(|_| format!("{at} changes its version"));
        self.crash(at);
    }

    /// Tells whether a home's disk may become an older one in this run.
    pub(super) fn may_go_back(&self, at: usize) -> bool {
        !self.joint.contains(&at)
    }
}

/// Returns a frame as a home of the next protocol version would send it: with keys that nobody knows yet.
pub(super) fn as_newer(frame: Vec<u8>) -> Vec<u8> {
    let mut frame = frame;
    // an array of kind and body; kinds are small numbers
    match frame.get(2).copied() {
        Some(map @ 0xa0..0xb7) => {
            frame[2] = map + 1;
            frame.extend([0x18, 0x3f, 0x63, b'n', b'e', b'w']);
        }
        Some(array @ 0x88..0x90) if frame[1] == 0 => {
            frame[2] = array + 1;
            frame.push(0xf6);
        }
        _ => {}
    }
    frame
}
