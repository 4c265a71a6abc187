//! What versions say without what peers have, put together once for all peers that lack the same.

use std::{collections::HashMap, ops::Range};

use super::version::strip;
use crate::{HomeId, body::Group, dot::Actor, hlc::Hlc, seed::Seed, table::Number, version::Version};

/// What a receiver has of an entity.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    /// Who sends.
    pub(crate) me: Actor,
    /// It has every change of the sender's up to this stamp; nothing counts as known when absent.
    pub(crate) mark: Option<Hlc>,
    /// It has its own changes.
    pub(crate) peer: HomeId,
}

impl Known {
    fn has(&self, group: &Group<'_>) -> bool {
        let Some(mark) = self.mark else { return false };
        (group.dot.actor == self.me && group.dot.hlc <= mark) || group.dot.actor.home == self.peer
    }
}

/// Where a body stands, and the check of what was left out.
type Made = (Range<usize>, Option<u32>);

/// Bodies that were put together while nothing changed.
#[derive(Debug)]
pub(crate) struct Bodies {
    bytes: Vec<u8>,
    /// What was made, by entity, version and mark.
    places: HashMap<(Number, Hlc, Hlc), Made, Seed>,
    kept: bool,
}

impl Bodies {
    /// Returns an empty collection; bodies for a single peer are not `kept`.
    pub(crate) fn new(seed: Seed, kept: bool) -> Self {
        Self { bytes: Vec::new(), places: HashMap::with_hasher(seed), kept }
    }

    /// Returns the groups of a version that the receiver lacks, and the check of the others.
    pub(super) fn lacked(
        &mut self,
        number: Number,
        version: &Version,
        known: &Known,
    ) -> (&[u8], Option<u32>) {
        let key = known.mark.map(|mark| (number, version.dot.hlc, mark));
        let found = key.and_then(|key| self.places.get(&key).cloned());
        let mine = |actor: Actor| actor == known.me;
        let (place, rest) = match found.filter(|_| mine(version.dot.actor)) {
            Some(found) => found,
            None => {
                if !self.kept {
                    self.bytes.clear();
                }
                let start = self.bytes.len();
                let rest = strip(version, |group| known.has(group), &mut self.bytes);
                let made = (start..self.bytes.len(), rest);
                // where all is the sender's, no peer has made a group itself, and the mark alone decides
                let alike = || mine(version.dot.actor) && version.groups().all(|group| mine(group.dot.actor));
                if let Some(key) = key.filter(|_| self.kept && alike()) {
                    self.places.insert(key, made.clone());
                }
                made
            }
        };
        (&self.bytes[place], rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        body::Body,
        dot::{Dot, VersionVector},
        update::Update,
        version::Cause,
    };

    fn version(dot: Dot, base: &[Group<'_>], update: &Update) -> Version {
        let body = update.apply("light", base.iter().copied(), dot).unwrap().expect("a change");
        let (context, unknown) = (VersionVector::default(), Box::default());
        Version { dot, context, body, cause: Cause::Person, deleted: false, timed: true, unknown }
    }

    #[test]
    fn each_peer_gets_what_it_would_get_alone() {
        let actor = |home| Actor::first(HomeId([home; 32]));
        let at = |home, ms| Dot { actor: actor(home), hlc: Hlc::at(ms) };
        let full =
            |state: &str, value: u8| Update::replace(state, &format!(r#"{{"a":{value},"b":1}}"#)).unwrap();
        let mine = version(at(1, 1), &[], &full("on", 1));
        let later = version(at(1, 3), &mine.groups().collect::<Vec<_>>(), &full("on", 2));
        let edited = version(at(2, 3), &mine.groups().collect::<Vec<_>>(), &full("off", 1));
        let mixed = version(at(1, 5), &edited.groups().collect::<Vec<_>>(), &full("off", 7));
        let gone = Version { body: Body::default(), deleted: true, ..edited.clone() };
        let mut shared = Bodies::new(Seed::new([0; 16]), true);
        for mark in [None, Some(Hlc::at(0)), Some(Hlc::at(1)), Some(Hlc::at(3))] {
            for peer in [2, 3, 2, 3] {
                let known = Known { me: actor(1), mark, peer: HomeId([peer; 32]) };
                for (number, version) in [(0, &mine), (1, &later), (2, &gone), (1, &edited), (3, &mixed)] {
                    let mut alone = Bodies::new(Seed::new([0; 16]), false);
                    let expected = alone.lacked(number, version, &known);
                    assert_eq!(shared.lacked(number, version, &known), expected, "{number} {known:?}");
                }
            }
        }
        assert_eq!(shared.places.len(), 6, "of what only this home has made, one body each for three marks");
    }
}
