//! Who has seen what: dots and version vectors.
//!
//! A [`Dot`] names one change for ever: the actor that made it and the stamp it
//! took. An [`Actor`] is a home in one incarnation: a home that cannot prove its
//! own continuity (a restored backup, a cloned disk) takes a new incarnation, so
//! that no dot is ever given twice. A [`VersionVector`] holds, per actor, the
//! latest stamp seen of one entity, and so tells *after* from *at the same time*
//! (Preguiça et al., "Dotted Version Vectors", 2010).
//!
//! ```
//! # use crosshome_core::{HomeId, dot::{Actor, Dot, VersionVector}, hlc::Hlc};
//! let villa = Actor::first(HomeId([1; 32]));
//! let dot = Dot { actor: villa, hlc: Hlc::at(7) };
//! let mut seen = VersionVector::default();
//! seen.insert(dot);
//! assert!(seen.contains(dot));
//! assert!(!seen.contains(Dot { hlc: Hlc::at(8), ..dot }));
//! ```

use std::fmt;

use crate::{HomeId, hlc::Hlc};

/// A home in one of its incarnations.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Actor {
    /// The home.
    pub home: HomeId,
    /// Another random number each time the home cannot prove that it goes on where it stopped.
    pub incarnation: u32,
}

impl Actor {
    /// Returns the home in its first incarnation.
    pub const fn first(home: HomeId) -> Self {
        Self { home, incarnation: 0 }
    }
}

impl fmt::Debug for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.home.short(), self.incarnation)
    }
}

/// The name of one change.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dot {
    /// Who made it.
    pub actor: Actor,
    /// Its stamp, strictly rising per actor.
    pub hlc: Hlc,
}

impl Dot {
    /// Returns what ranks concurrent changes: the later stamp, then the greater actor.
    pub fn rank(self) -> (Hlc, Actor) {
        (self.hlc, self.actor)
    }
}

impl fmt::Debug for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}@{:?}", self.actor, self.hlc)
    }
}

/// Per actor, the latest stamp seen of one entity.
///
/// A sorted vector: nearly every entity has one writer, some have two or three.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct VersionVector(Vec<(Actor, Hlc)>);

impl VersionVector {
    /// Takes note of a dot, and with it of all earlier ones of the same actor.
    pub fn insert(&mut self, dot: Dot) {
        match self.position(dot.actor) {
            Ok(at) => self.0[at].1 = self.0[at].1.max(dot.hlc),
            Err(at) => self.0.insert(at, (dot.actor, dot.hlc)),
        }
    }

    /// Takes note of all that another vector has seen.
    pub fn join(&mut self, other: &Self) {
        other.dots().for_each(|dot| self.insert(dot));
    }

    /// Forgets an actor.
    pub fn remove(&mut self, actor: Actor) {
        self.0.retain(|(known, _)| *known != actor);
    }

    /// Forgets the actors whose latest dot is not to be kept.
    pub fn retain(&mut self, keep: impl Fn(Dot) -> bool) {
        self.0.retain(|&(actor, hlc)| keep(Dot { actor, hlc }));
    }

    /// Tells whether the dot has been seen.
    pub fn contains(&self, dot: Dot) -> bool {
        self.position(dot.actor).is_ok_and(|at| dot.hlc <= self.0[at].1)
    }

    /// Returns the latest dot seen of each actor, in the order of the actors.
    pub fn dots(&self) -> impl ExactSizeIterator<Item = Dot> {
        self.0.iter().map(|&(actor, hlc)| Dot { actor, hlc })
    }

    /// Returns how many actors have been seen.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether nothing has been seen.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn position(&self, actor: Actor) -> Result<usize, usize> {
        self.0.binary_search_by_key(&actor, |&(known, _)| known)
    }
}

impl FromIterator<Dot> for VersionVector {
    fn from_iter<I: IntoIterator<Item = Dot>>(dots: I) -> Self {
        let mut seen = Self::default();
        dots.into_iter().for_each(|dot| seen.insert(dot));
        seen
    }
}

impl fmt::Debug for VersionVector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.dots()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dot(home: u8, incarnation: u32, ms: u64) -> Dot {
        Dot { actor: Actor { home: HomeId([home; 32]), incarnation }, hlc: Hlc::at(ms) }
    }

    #[test]
    fn earlier_dots_of_an_actor_are_seen_with_the_later() {
        let seen: VersionVector = [dot(1, 0, 9), dot(1, 0, 3)].into_iter().collect();
        assert!(seen.contains(dot(1, 0, 4)));
        assert_eq!(seen.len(), 1);
    }

    #[test]
    fn new_incarnation_is_another_actor() {
        let seen: VersionVector = [dot(1, 0, 9)].into_iter().collect();
        assert!(!seen.contains(dot(1, 1, 3)));
    }
}
