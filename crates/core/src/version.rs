//! One version of an entity: the whole document as its author left it.

use crate::{
    body::{Body, Group},
    bug::{self, Bug},
    dot::{Dot, VersionVector},
    hlc::Hlc,
};

/// What led to a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Cause {
    /// A device or its integration reported it.
    #[default]
    Device,
    /// A person asked for it.
    Person,
    /// An automation or a program asked for it.
    Automation,
    /// The strategy of a conflict decided it.
    Strategy,
}

/// The whole document as one author left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The change that made it.
    pub dot: Dot,
    /// What its author had seen of other actors; earlier dots of its own actor are seen by being earlier.
    pub context: VersionVector,
    /// The field groups; none when the entity was deleted.
    pub body: Body,
    /// What led to it.
    pub cause: Cause,
    /// Whether the entity was deleted.
    pub deleted: bool,
    /// Whether the author's clock could be right; if not, the version loses ties.
    pub timed: bool,
    /// Keys of a newer protocol, kept as they came.
    pub unknown: Box<[u8]>,
}

impl Version {
    /// Tells whether the author had seen the change, or made it.
    pub fn has_seen(&self, dot: Dot) -> bool {
        let same_home = bug::is(Bug::IncarnationIgnored) && dot.actor.home == self.dot.actor.home;
        if same_home || dot.actor == self.dot.actor {
            dot.hlc <= self.dot.hlc
        } else {
            self.context.contains(dot)
        }
    }

    /// Returns the field groups, sorted by key.
    pub fn groups(&self) -> impl Iterator<Item = Group<'_>> + Clone {
        self.body.groups(self.dot)
    }

    /// Returns all fields and their canonical JSON, group by group.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.groups().flat_map(|group| group.fields())
    }

    /// Returns the group of this key.
    pub fn group(&self, key: &str) -> Option<Group<'_>> {
        self.groups().find(|group| group.key == key.as_bytes())
    }

    /// Returns what ranks this version among concurrent ones; the greatest is the latest.
    pub fn rank(&self) -> impl Ord + use<> {
        (self.timed || bug::is(Bug::UntimedWins), self.dot.rank())
    }

    /// Returns about how many bytes the store keeps of it.
    pub fn weight(&self) -> usize {
        32 + self.body.as_bytes().len() + self.unknown.len() + 16 * self.context.len()
    }

    /// Returns when the state last changed.
    pub fn state_changed(&self) -> Hlc {
        self.group("state").map_or(self.dot.hlc, |group| group.dot.hlc)
    }
}
