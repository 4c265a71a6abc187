//! What peers offer, checked against what they may write and what they can have seen.

use super::{Replica, durability};
use crate::{
    EntityId, EntityKey, HomeId, Space,
    defaults::{MAX_ACTORS, MAX_SIBLING_BYTES, MAX_SIBLINGS},
    dot::Dot,
    effect::{Durability, Effect, Incident},
    grant::Right,
    hlc::{Hlc, Skew},
    siblings::Siblings,
    table::{Class, Entity, Number},
    version::Version,
};

/// What a peer offers of one entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// Its name.
    pub key: EntityKey,
    /// Who may write it.
    pub class: Class,
    /// The sender's versions.
    pub versions: Siblings,
    /// The sender's place in its log.
    pub sent_at: u64,
    /// What this home may do with it.
    pub right: Option<Right>,
    /// Whether versions that the owner's offer lacks are void: the owner does not know them (any more).
    pub replace: bool,
}

impl Replica {
    /// Takes in what a peer offers of an entity.
    ///
    /// # Errors
    ///
    /// Refuses what the peer may not write, stamps from the future, and more than the peer's quota. What is
    /// refused changes nothing.
    pub fn merge(&mut self, peer: HomeId, mut offered: Offered, now_ms: u64) -> Result<Vec<Effect>, Refusal> {
        if offered.key.space == Space::Joint {
            offered.class = Class::Document;
        }
        let number = self.table.find(offered.key.space, &offered.key.id);
        let lost = self.check(peer, number, &offered, now_ms)?;
        for dot in dots(&offered.versions) {
            self.clock.observe(dot.hlc, now_ms)?;
        }
        let number =
            number.unwrap_or_else(|| self.table.insert(Entity::new(offered.key.clone(), offered.class)));
        let mut durability = durability(offered.class);
        let mut effects = Vec::with_capacity(2);
        if lost {
            self.reincarnate();
            durability = Durability::Now;
            effects.push(Effect::Report { peer, incident: Incident::Fork });
        }
        if self.take_in(peer, number, offered) {
            self.table.touch(number);
            effects.insert(0, Effect::Changed(number));
        }
        if !effects.is_empty() {
            effects.insert(0, Effect::Commit(durability));
        }
        Ok(effects)
    }

    /// Forgets an entity of a peer that the peer has withdrawn.
    pub fn withdraw(&mut self, peer: HomeId, id: &EntityId) -> Vec<Effect> {
        let number = self.table.find(Space::Home(peer), id);
        let removed = number.and_then(|number| self.table.remove(number));
        removed
            .map_or(Vec::new(), |entity| vec![Effect::Commit(Durability::Now), Effect::Removed(entity.key)])
    }

    /// Forgets own writes, up to a stamp, to a peer's entity that the peer has refused, and tells whether there
    /// were any.
    pub fn take_back(&mut self, number: Number, up_to: Hlc) -> bool {
        let me = self.me.home;
        let Some(entity) = self.table.get_mut(number) else { return false };
        let before = entity.siblings.len();
        entity.siblings.retain(|version| version.dot.actor.home != me || version.dot.hlc > up_to);
        let taken = before > entity.siblings.len();
        if taken {
            self.table.touch(number);
        }
        taken
    }

    /// Merges what has been checked, and tells whether anything changed.
    fn take_in(&mut self, peer: HomeId, number: Number, offered: Offered) -> bool {
        let me = self.me.home;
        let Some(entity) = self.table.get_mut(number) else { return false };
        let mut changed = false;
        if entity.key.space == Space::Home(peer) {
            changed = (entity.right, entity.class) != (offered.right, offered.class);
            (entity.right, entity.class, entity.sent_at) = (offered.right, offered.class, offered.sent_at);
            if offered.replace {
                // own edits stay until the owner has answered them; all others the owner knows, or they are void
                let void =
                    |version: &Version| version.dot.actor.home != me && !offered.versions.contains(version);
                changed |= entity.siblings.iter().any(void);
                entity.siblings.retain(|version| !void(version));
            }
        }
        let unheard = |known: &Siblings| {
            // an edit that the owner does not know is offered again: its refusal may have been lost on the way
            offered.replace
                && known.iter().any(|v| v.dot.actor.home == me && !offered.versions.has_seen(v.dot))
        };
        changed |= unheard(&entity.siblings);
        for version in offered.versions {
            changed |= entity.siblings.insert(version);
        }
        changed
    }

    /// Checks an offer, and tells whether it shows changes of this home that this home has lost.
    fn check(
        &self,
        peer: HomeId,
        number: Option<Number>,
        offered: &Offered,
        now_ms: u64,
    ) -> Result<bool, Refusal> {
        let entity = number.and_then(|number| self.table.get(number));
        match offered.key.space {
            Space::Home(home) if home == self.me.home => self.check_edit(peer, entity, offered)?,
            Space::Home(home) if home != peer => return Err(Refusal::Forbidden),
            _ => {}
        }
        self.check_size(entity, offered)?;
        dots(&offered.versions).try_for_each(|dot| self.clock.admits(dot.hlc, now_ms))?;
        self.check_own(offered)
    }

    /// Checks that the entity stays within bounds: here, and on its way to others.
    fn check_size(&self, entity: Option<&Entity>, offered: &Offered) -> Result<(), Refusal> {
        if entity.is_none() && self.table.len(offered.key.space) >= self.options.quota {
            return Err(Refusal::Quota);
        }
        let known = entity.map(|entity| &entity.siblings[..]).unwrap_or_default();
        let kept = known.iter().filter(|version| !offered.versions.has_seen(version.dot));
        let (mut count, mut bytes, mut actors) = (0, 0, 0);
        for version in kept.clone().chain(offered.versions.iter()) {
            count += 1;
            bytes += version.body.as_bytes().len() + version.unknown.len();
            actors += 1 + version.context.len();
        }
        // the sum counts some twice: only a large one is worth a closer look
        if actors >= MAX_ACTORS {
            let mut context = offered.versions.context();
            kept.for_each(|version| {
                context.join(&version.context);
                context.insert(version.dot);
            });
            actors = context.len();
        }
        match count > MAX_SIBLINGS || bytes > MAX_SIBLING_BYTES || actors >= MAX_ACTORS {
            true => Err(Refusal::Quota),
            false => Ok(()),
        }
    }

    /// Checks what is said of this home's own changes, and tells whether some are lost here.
    ///
    /// A change of the present incarnation that this home has not made shows that it was restored from a backup;
    /// of an incarnation that is random since this start it is made up.
    fn check_own(&self, offered: &Offered) -> Result<bool, Refusal> {
        let unmade = |dot: &Dot| dot.actor.home == self.me.home && dot.hlc > self.clock.last();
        let mut lost = false;
        for dot in dots(&offered.versions).filter(unmade) {
            if dot.actor == self.stranger() {
                return Err(Refusal::Forbidden);
            }
            lost |= dot.actor == self.me;
        }
        Ok(lost)
    }

    /// Checks that a peer may write this, and claims to have seen only what it can have seen.
    fn check_edit(&self, peer: HomeId, entity: Option<&Entity>, offered: &Offered) -> Result<(), Refusal> {
        let entity = entity.ok_or(Refusal::Forbidden)?;
        let fresh: Siblings = offered
            .versions
            .iter()
            .filter(|version| !entity.siblings.has_seen(version.dot))
            .cloned()
            .collect();
        // what this home has seen is an echo, whatever the peer may do by now
        if fresh.is_empty() {
            return Ok(());
        }
        let right = self.admits(peer, entity).map(|admission| admission.right);
        if entity.class == Class::Device || right < Some(Right::Edit) {
            return Err(Refusal::Forbidden);
        }
        let honest = |dot: Dot| {
            dot.actor.home == peer
                || entity.siblings.has_seen(dot)
                || (dot.actor.home == self.me.home && dot.hlc <= self.clock.last())
        };
        let theirs = fresh.iter().all(|version| version.dot.actor.home == peer);
        match theirs && dots(&fresh).all(honest) {
            true => Ok(()),
            false => Err(Refusal::Forbidden),
        }
    }
}

/// Returns every dot that versions speak of: their own, those of their groups, and what they have seen.
fn dots(versions: &Siblings) -> impl Iterator<Item = Dot> {
    versions.iter().flat_map(|version| {
        let groups = version.groups().map(|group| group.dot).filter(|dot| *dot != version.dot);
        std::iter::once(version.dot).chain(groups).chain(version.context.dots())
    })
}

/// Why an offer of a peer is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The peer may not write this.
    #[error("forbidden")]
    Forbidden,
    /// The peer has placed as much here as it may.
    #[error("quota")]
    Quota,
    /// A stamp lies in this home's future.
    #[error(transparent)]
    Skew(#[from] Skew),
}
