//! The versions of one entity that did not know of each other.
//!
//! [`Siblings`] are the maximal versions under *has seen*. Merging takes the
//! maximal ones of both sides, so it is commutative, associative and idempotent
//! whatever the order, repetition or batching of what arrives, and a version
//! disappears only behind one whose author had seen it.

use smallvec::SmallVec;

use crate::{
    HomeId,
    bug::{self, Bug},
    dot::{Actor, Dot, VersionVector},
    version::Version,
};

/// The maximal versions of one entity, sorted by dot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Siblings(SmallVec<[Version; 1]>);

impl Siblings {
    /// Replaces all versions by one whose author has seen them.
    pub fn replace(&mut self, version: Version) {
        self.0.clear();
        self.0.push(version);
    }

    /// Returns the versions of one home alone.
    pub fn of(&self, home: HomeId) -> Self {
        Self(self.0.iter().filter(|version| version.dot.actor.home == home).cloned().collect())
    }

    /// Takes a version in and tells whether anything changed.
    pub fn insert(&mut self, version: Version) -> bool {
        let returns = || bug::is(Bug::SeenReturns) && self.0.iter().all(|known| known.dot != version.dot);
        if self.has_seen(version.dot) && !returns() {
            return false;
        }
        if bug::is(Bug::DeletionUnmerged) && version.deleted && !self.0.is_empty() {
            return false;
        }
        let later = |known: &Version| bug::is(Bug::ClockDecides) && known.dot.hlc < version.dot.hlc;
        self.0.retain(|known| !version.has_seen(known.dot) && !later(known));
        let at = self.0.partition_point(|known| known.dot < version.dot);
        self.0.insert(at, version);
        true
    }

    /// Tells whether the change is one of these, or behind one of them.
    pub fn has_seen(&self, dot: Dot) -> bool {
        self.0.iter().any(|version| version.has_seen(dot))
    }

    /// Returns all that these versions and their authors have seen.
    pub fn context(&self) -> VersionVector {
        let mut context = VersionVector::default();
        let latest = self.latest().map(|version| version.dot).filter(|_| bug::is(Bug::ContextOfLatest));
        for version in self.0.iter().filter(|version| latest.is_none_or(|latest| version.dot == latest)) {
            context.join(&version.context);
            context.insert(version.dot);
        }
        context
    }

    /// Returns what the next version of `actor` will have seen of others.
    pub fn context_for(&self, actor: Actor) -> VersionVector {
        match &self.0[..] {
            [] => VersionVector::default(),
            [only] if only.dot.actor == actor => only.context.clone(),
            _ => {
                let mut context = self.context();
                context.remove(actor);
                context
            }
        }
    }

    /// Drops the versions for which `keep` is false.
    pub fn retain(&mut self, keep: impl Fn(&Version) -> bool) {
        self.0.retain(|version| keep(version));
    }

    /// Returns the latest version, which `latest-wins` shows.
    pub fn latest(&self) -> Option<&Version> {
        match bug::is(Bug::ViewByDot) {
            true => self.0.last(),
            false => self.0.iter().max_by_key(|version| version.rank()),
        }
    }
}

impl std::ops::Deref for Siblings {
    type Target = [Version];

    fn deref(&self) -> &[Version] {
        &self.0
    }
}

impl IntoIterator for Siblings {
    type Item = Version;
    type IntoIter = smallvec::IntoIter<[Version; 1]>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl FromIterator<Version> for Siblings {
    fn from_iter<I: IntoIterator<Item = Version>>(versions: I) -> Self {
        let mut siblings = Self::default();
        versions.into_iter().for_each(|version| {
            siblings.insert(version);
        });
        siblings
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{HomeId, body::Body, hlc::Hlc, version::Cause};

    /// Plays writes of three homes that see each other's versions as told, and returns every version ever made.
    fn history(script: &[(u8, u8)]) -> Vec<Version> {
        let mut homes: [Siblings; 3] = Default::default();
        let mut all = Vec::new();
        for (step, &(writer, source)) in script.iter().enumerate() {
            let (writer, source) = (usize::from(writer % 3), usize::from(source % 3));
            let seen: Vec<_> = homes[source].to_vec();
            seen.into_iter().for_each(|version| {
                homes[writer].insert(version);
            });
            let actor = Actor::first(HomeId([writer as u8; 32]));
            let dot = Dot { actor, hlc: Hlc(step as u64 + 1) };
            let context = homes[writer].context_for(actor);
            let version = Version {
                dot,
                context,
                body: Body::default(),
                cause: Cause::Person,
                deleted: false,
                timed: true,
                unknown: Box::default(),
            };
            homes[writer].replace(version.clone());
            all.push(version);
        }
        all
    }

    proptest! {
        #[test]
        fn merge_ignores_order_repetition_and_grouping(
            script in prop::collection::vec((0u8..3, 0u8..3), 1..24),
            order in prop::collection::vec(any::<prop::sample::Index>(), 0..48),
        ) {
            let all = history(&script);
            let expected: Siblings = all.iter().cloned().collect();
            let mut shuffled: Vec<_> = order.iter().map(|at| at.get(&all).clone()).collect();
            shuffled.extend(all.iter().rev().cloned());
            prop_assert_eq!(shuffled.into_iter().collect::<Siblings>(), expected);
        }

        #[test]
        fn nothing_disappears_that_no_survivor_has_seen(script in prop::collection::vec((0u8..3, 0u8..3), 1..24)) {
            let all = history(&script);
            let siblings: Siblings = all.iter().cloned().collect();
            for version in &all {
                prop_assert!(siblings.has_seen(version.dot));
            }
            for a in siblings.iter() {
                prop_assert!(siblings.iter().all(|b| a.dot == b.dot || !a.has_seen(b.dot)));
            }
        }
    }
}
