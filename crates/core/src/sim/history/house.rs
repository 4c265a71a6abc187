//! What is known of one home while its history is read.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{From, dots::Dots};

/// How long others go on from what a home has just lost with its disk: it is down for some of it, and links come up.
const NEWS_MS: u64 = 15_000;

/// One home.
#[derive(Debug, Default)]
pub(super) struct House<'a> {
    /// What it holds of each entity.
    pub(super) held: BTreeMap<&'a str, Held<'a>>,
    /// What it has told to be lost or taken back, and what it had to let go for a reason that people know.
    pub(super) told: HashMap<&'a str, Dots>,
    /// Of what it held before its last start: what it has not held since.
    pub(super) unread: BTreeSet<&'a str>,
    /// Where it went on from when it last started.
    pub(super) from: Option<From>,
    pub(super) joint: bool,
    pub(super) crashed: bool,
    /// Of each disk that came back: when it was copied and when it came.
    pub(super) restored: Vec<(u64, u64)>,
    pub(super) rests: bool,
    rights: HashMap<(&'a str, &'a str), Option<&'a str>>,
    /// Peers and entities that a right was ever given on.
    ever: BTreeSet<(&'a str, &'a str)>,
    /// The line at which a peer last could not edit an entity.
    lapses: HashMap<(&'a str, &'a str), usize>,
}

/// What a home holds of an entity.
#[derive(Clone, Debug, Default)]
pub(super) struct Held<'a> {
    pub(super) dots: Dots,
    pub(super) strategy: &'a str,
    pub(super) shown: Option<&'a str>,
    pub(super) device: bool,
}

impl<'a> House<'a> {
    pub(super) fn starts(&mut self, from: From, joint: bool, disk_ms: (u64, u64)) {
        (self.from, self.joint) = (Some(from), joint);
        self.crashed |= from == From::Crash;
        self.unread = self.held.keys().copied().collect();
        if from == From::Backup {
            self.restored.push(disk_ms);
            self.held.clear();
            self.unread.clear();
            self.rights.clear(); // it has the rules of its old disk
        }
    }

    pub(super) fn grants(&mut self, at: usize, peer: &'a str, entity: &'a str, right: Option<&'a str>) {
        let before = self.rights.insert((peer, entity), right);
        if right.is_some() {
            self.ever.insert((peer, entity));
        }
        if right != Some("edit") || before != Some(Some("edit")) {
            self.lapses.insert((peer, entity), at);
        }
    }

    /// Returns what a peer may do; nothing where this is not known.
    pub(super) fn right(&self, peer: &str, entity: &str) -> Option<Option<&'a str>> {
        match self.rights.get(&(peer, entity)) {
            Some(right) => Some(*right),
            None => self.restored.is_empty().then_some(None),
        }
    }

    pub(super) fn ever_granted(&self, peer: &str, entity: &str) -> bool {
        self.ever.contains(&(peer, entity))
    }

    /// Tells whether a peer could not edit an entity at some time since a line.
    pub(super) fn lapsed(&self, peer: &str, entity: &str, since: usize) -> bool {
        let now = self.rights.get(&(peer, entity)).is_some_and(|right| *right != Some("edit"));
        now || self.lapses.get(&(peer, entity)).is_some_and(|at| *at >= since)
    }

    /// Tells whether its disk went back behind what was made at this time, or just before.
    pub(super) fn went_back(&self, made_ms: u64) -> bool {
        self.restored.iter().any(|(copied, back)| (*copied..=back.saturating_add(NEWS_MS)).contains(&made_ms))
    }

    pub(super) fn tells(&mut self, entity: &'a str, lost: &Dots) {
        self.told.entry(entity).or_default().join(lost);
    }

    pub(super) fn was_told(&self, entity: &str, dots: &Dots) -> bool {
        self.told.get(entity).is_some_and(|told| dots.iter().any(|number| told.contains(number)))
    }

    pub(super) fn dots(&self, entity: &str) -> Dots {
        self.held.get(entity).map(|held| held.dots.clone()).unwrap_or_default()
    }
}
