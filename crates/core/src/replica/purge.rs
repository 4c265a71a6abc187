//! Deletions are forgotten once everybody has heard of them, and nothing comes back.
//!
//! Only the owner of a space creates in it, so an id that is absent there takes no edit from
//! anybody: whoever still holds the entity is refused and told that it is gone. An entity that
//! is created anew under the same id begins another life, at the stamp [`Entity::born`]; an edit
//! whose author has seen nothing of this life was made on an earlier one. So nothing has to be
//! remembered of what was forgotten, and forgetting early costs a repair, never a resurrection
//! (`docs/decisions/0007-deletions-are-forgotten.md`).
//!
//! ```
//! # use crosshome_core::{HomeId, replica::{Options, Replica}, update::Update, version::Cause, table::Class};
//! let mut villa = Replica::new(HomeId([1; 32]), Options::default());
//! let note = villa.own("input_text.note".parse().unwrap());
//! villa.update(&note, Class::Document, &Update::state("milk"), Cause::Person, 1_000).unwrap();
//! villa.delete(&note, Cause::Person, 2_000).unwrap();
//! villa.purge(&[], 3_000); // there is nobody who has to hear of it
//! assert!(villa.find(&note).is_none());
//! ```

use super::Replica;
use crate::{
    HomeId, Space,
    bug::{self, Bug},
    dot::{Actor, Dot},
    effect::{Durability, Effect},
    hlc::Hlc,
    siblings::Siblings,
    table::{Entity, Number},
    version::Version,
};

impl Replica {
    /// Takes note that a peer has all of this home's log up to a place, and that nothing which it wrote before it
    /// had that is still on its way.
    pub fn settle(&mut self, peer: HomeId, seq: u64) {
        self.settled.insert(peer, seq);
    }

    /// Takes note of where a peer stands that comes back: it may have lost what it had.
    pub fn unsettle(&mut self, peer: HomeId, seq: u64) {
        self.settled.entry(peer).and_modify(|settled| *settled = seq.min(*settled));
    }

    /// Forgets the deletions in this home's own space that all of these, the paired homes, have settled, and those
    /// that are too old to wait for anybody; and of each peer's entities those that this home has deleted, once
    /// the peer has heard of it.
    pub fn purge(&mut self, peers: &[HomeId], now_ms: u64) -> Vec<Effect> {
        let mut due = self.deletions(self.me.home, |entity| {
            peers.iter().all(|&peer| self.has_settled(peer, entity)) || self.is_old(entity, now_ms)
        });
        for (&peer, &seq) in &self.settled {
            due.extend(self.deletions(peer, |entity| entity.seq <= seq));
        }
        due.sort_unstable(); // as in every run
        let forgotten = due.into_iter().filter_map(|number| self.table.remove(number));
        let mut effects: Vec<_> =
            forgotten.map(|entity| Effect::Forgotten(entity.key, entity.birth)).collect();
        if !effects.is_empty() {
            effects.insert(0, Effect::Commit(Durability::Lazy)); // after a crash it is forgotten again
        }
        effects
    }

    /// Returns the deleted entities of a home that need not be kept.
    fn deletions(&self, home: HomeId, is_due: impl Fn(&Entity) -> bool) -> Vec<Number> {
        let space = Space::Home(home);
        if self.table.tally(space).deleted == 0 {
            return Vec::new();
        }
        let deleted = self.table.in_space(space).filter(|(_, entity)| entity.is_deleted() && is_due(entity));
        deleted.map(|(number, _)| number).collect()
    }

    /// Tells whether a deletion is older than deletions are kept, as far as this home can know the time.
    fn is_old(&self, entity: &Entity, now_ms: u64) -> bool {
        let since = now_ms.saturating_sub(self.options.deletions_kept_ms);
        self.clock.trusts(now_ms) && entity.siblings.iter().all(|version| version.dot.hlc.ms() < since)
    }

    /// Tells whether a peer has heard all of an entity that it may see.
    fn has_settled(&self, peer: HomeId, entity: &Entity) -> bool {
        let admission = self.admits(peer, entity).filter(|_| !bug::is(Bug::ForgottenEarly));
        let Some(admission) = admission else { return true };
        self.settled.get(&peer).is_some_and(|&seq| seq >= entity.seq.max(admission.seq))
    }

    /// Forgets an entity of a peer if all of it is deleted and the peer, by what it has said just now, knows this
    /// home's deletions too: only its owner could bring it back, and it offers the present.
    pub(crate) fn forget_deleted(&mut self, number: Number, said: &Siblings) -> Option<Effect> {
        let (entity, me) = (self.table.get(number)?, self.me.home);
        let heard = |version: &Version| {
            version.dot.actor.home != me || said.has_seen(version.dot) || bug::is(Bug::DeletionUnsaid)
        };
        if !(entity.is_deleted() && entity.siblings.iter().all(heard)) {
            return None;
        }
        self.table.remove(number).map(|entity| Effect::Removed(entity.key, entity.birth))
    }
}

/// Tells whether an edit was made on the present life of an entity, and on no earlier one under its id: its author has
/// seen a change of somebody else in it.
pub(super) fn is_of_life(version: &Version, entity: &Entity) -> bool {
    let (Space::Home(home), (incarnation, hlc)) = (entity.key.space, entity.born) else { return true };
    if bug::is(Bug::LifeIgnored) {
        return true;
    }
    let born = Dot { actor: Actor { home, incarnation }, hlc };
    let mut others = version.context.dots().filter(|seen| seen.actor.home != version.dot.actor.home);
    match incarnation {
        // all of an earlier life is earlier
        0 => hlc == Hlc::default() || others.any(|seen| seen.hlc >= hlc),
        // stamps may have fallen since an earlier life, so that only what has seen the beginning is sure; in a
        // context that began anew nobody can tell any more
        _ => version.context.contains(born) || !entity.siblings.has_seen(born),
    }
}
