//! The truth: who wrote what, and what its author had really seen, whatever versions claim.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use crosshome_core::{dot::Dot, siblings::Siblings, version::Version};

use crate::check::{Broken, Checked, Invariant};

/// A set of writes, by their places in the ledger.
pub(crate) type Writes = u32;

/// Everything ever written.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Ledger {
    writes: Vec<Written>,
    /// What each dot, and each group's dot, was first seen to say.
    contents: BTreeMap<(usize, String, Dot), u64>,
}

/// One write.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Written {
    pub(crate) home: usize,
    pub(crate) entity: usize,
    dot: Dot,
    /// All that its author had really seen, in any number of steps.
    seen: Writes,
    /// Whether it settled a conflict.
    settles: bool,
    /// Whether its loss was told: refused, withdrawn, or gone with a crash or a restored backup.
    excused: bool,
    /// Whether its author has taken it back: whatever it writes next has seen it.
    taken_back: bool,
}

impl Ledger {
    /// Returns how much was written.
    pub(crate) fn len(&self) -> usize {
        self.writes.len()
    }

    /// Takes note of a write by a home that knows `known`.
    pub(crate) fn wrote(
        &mut self,
        (home, entity): (usize, usize),
        now: &Siblings,
        known: Writes,
        settles: bool,
    ) -> Checked {
        let fresh = now.iter().find(|version| self.find(entity, version.dot).is_none());
        let Some(version) = fresh else {
            return Err(Broken::new(Invariant::I5, "an own write is not there, or its dot was given before"));
        };
        let mine = |write: &Written| write.taken_back && write.home == home && write.entity == entity;
        let seen = known | self.behind(self.select(mine));
        self.add(home, entity, version.dot, seen, settles);
        Ok(())
    }

    /// Takes note of versions that a home has given new dots, in the place of those that went.
    pub(crate) fn said_again(&mut self, (home, entity): (usize, usize), fresh: &[Dot], gone: Writes) {
        let seen = self.behind(gone);
        fresh.iter().for_each(|dot| self.add(home, entity, *dot, seen, false));
    }

    /// Returns all that these versions are, and all that their authors had really seen.
    pub(crate) fn covered(&self, entity: usize, siblings: &Siblings) -> Writes {
        let own = siblings.iter().filter_map(|version| self.find(entity, version.dot));
        self.behind(own.fold(0, |all, at| all | 1 << at))
    }

    /// Returns these writes and all that their authors had seen.
    pub(crate) fn behind(&self, writes: Writes) -> Writes {
        (0..self.writes.len())
            .filter(|at| writes >> at & 1 == 1)
            .fold(writes, |all, at| all | self.writes[at].seen)
    }

    /// Finds a version that another of these had really seen.
    pub(crate) fn replaced(&self, entity: usize, siblings: &Siblings) -> Option<Dot> {
        let find = |version: &Version| self.find(entity, version.dot);
        let seen = siblings.iter().filter_map(find).fold(0, |all, at| all | self.writes[at].seen);
        siblings
            .iter()
            .filter(|version| find(version).is_some_and(|at| seen >> at & 1 == 1))
            .map(|v| v.dot)
            .next()
    }

    /// Checks that a dot, and the dot of every group, says what it always said.
    pub(crate) fn knows(&mut self, entity: usize, version: &Version) -> Checked {
        if self.find(entity, version.dot).is_none() {
            return Err(Broken::new(Invariant::I5, format!("{:?} was never written", version.dot)));
        }
        let whole = hash(&(version.body.as_bytes(), version.deleted, version.timed, &version.context));
        self.says(entity, String::new(), version.dot, whole)?;
        version.groups().try_for_each(|group| {
            self.says(entity, group.key().to_owned(), group.dot, hash(&group.fields().collect::<Vec<_>>()))
        })
    }

    fn says(&mut self, entity: usize, group: String, dot: Dot, content: u64) -> Checked {
        match *self.contents.entry((entity, group, dot)).or_insert(content) == content {
            true => Ok(()),
            false => Err(Broken::new(Invariant::I5, format!("{dot:?} says two things"))),
        }
    }

    /// Excuses the loss of some writes; of `taken_back` ones their author knows.
    pub(crate) fn excuse(&mut self, taken_back: bool, lost: impl Fn(usize, &Written) -> bool) {
        for (at, write) in self.writes.iter_mut().enumerate() {
            if lost(at, write) {
                write.excused = true;
                write.taken_back |= taken_back;
            }
        }
    }

    /// Returns the writes to an entity that must be visible, or behind one that had seen them.
    pub(crate) fn owed(&self, entity: usize) -> Writes {
        self.select(|write| write.entity == entity && !write.excused)
    }

    /// Tells how many of these versions have settled a conflict.
    pub(crate) fn settling(&self, entity: usize, siblings: &Siblings) -> usize {
        let settles =
            |version: &&Version| self.find(entity, version.dot).is_some_and(|at| self.writes[at].settles);
        siblings.iter().filter(settles).count()
    }

    pub(crate) fn find(&self, entity: usize, dot: Dot) -> Option<usize> {
        self.writes.iter().position(|write| write.entity == entity && write.dot == dot)
    }

    fn add(&mut self, home: usize, entity: usize, dot: Dot, seen: Writes, settles: bool) {
        self.writes.push(Written { home, entity, dot, seen, settles, excused: false, taken_back: false });
        assert!(self.writes.len() <= Writes::BITS as usize, "the bounds are small");
    }

    fn select(&self, wanted: impl Fn(&Written) -> bool) -> Writes {
        let wanted = self.writes.iter().enumerate().filter(|(_, write)| wanted(write));
        wanted.fold(0, |all, (at, _)| all | 1 << at)
    }
}

fn hash<T: Hash>(value: &T) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
