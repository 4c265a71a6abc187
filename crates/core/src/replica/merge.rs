//! What peers offer, checked against what they may write and what they can have seen.

use super::{Replica, durability, purge::is_of_life};
use crate::{
    EntityId, EntityKey, HomeId, Space,
    bug::{self, Bug},
    defaults::{MAX_SIBLINGS_OF_ONE, MAX_SKEW_MS},
    dot::Dot,
    effect::{Durability, Effect, Incident},
    grant::Right,
    hlc::{Hlc, Skew},
    policy::Strategy,
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
    /// What settles its conflicts, where the sender owns it.
    pub strategy: Strategy,
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
        let theirs = offered.key.space == Space::Home(peer);
        if theirs && number.is_none() && offered.versions.iter().all(|version| version.deleted) {
            return Ok(Vec::new()); // it is not here, and shall not be
        }
        let said = theirs.then(|| offered.versions.clone());
        let (latest, lost) = self.check(peer, number, &offered)?;
        self.clock.observe(latest, now_ms)?;
        let number = number.unwrap_or_else(|| self.insert(offered.key.clone(), offered.class));
        let mut durability = durability(offered.class);
        let mut effects = Vec::with_capacity(2);
        if lost {
            let again = self.reincarnate(now_ms);
            effects.extend(again.into_iter().filter(|effect| !matches!(effect, Effect::Commit(_))));
            durability = Durability::Now;
            effects.push(Effect::Report { peer, incident: Incident::Fork });
        }
        let joint = offered.key.space == Space::Joint;
        let mut changed = self.take_in(peer, number, offered);
        if joint {
            // a member brings back what this home once said under a stamp that is refused everywhere
            let limit = Hlc::at(now_ms.saturating_add(MAX_SKEW_MS)).max(self.clock.last());
            let me = self.me.home;
            let ours = |_: &Entity, version: &Version| version.dot.actor.home == me;
            changed |= self.rename_versions(number, |dot| dot.hlc > limit, ours, now_ms);
        }
        let removed = said.and_then(|said| self.forget_deleted(number, &said));
        if let Some(removed) = removed {
            effects.insert(0, removed);
        } else if changed {
            if !bug::is(Bug::LogNotMoved) {
                self.table.touch(number);
            }
            effects.insert(0, Effect::Changed(number));
            effects.extend(self.conflict(number));
        }
        if !effects.is_empty() {
            effects.insert(0, Effect::Commit(durability));
        }
        Ok(effects)
    }

    /// Forgets an entity of a peer that the peer has withdrawn.
    pub fn withdraw(&mut self, peer: HomeId, id: &EntityId) -> Vec<Effect> {
        let number = self.table.find(Space::Home(peer), id).filter(|_| !bug::is(Bug::WithdrawnStays));
        let removed = number.and_then(|number| self.table.remove(number));
        removed.map_or(Vec::new(), |entity| {
            vec![Effect::Commit(Durability::Now), Effect::Removed(entity.key, entity.birth)]
        })
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
            let said = (offered.right, offered.class, offered.strategy);
            changed = (entity.right, entity.class, entity.strategy) != said;
            (entity.right, entity.class, entity.strategy) = said;
            entity.sent_at = offered.sent_at;
            if offered.replace && !bug::is(Bug::VoidStays) {
                // own edits stay until the owner has answered them; all others the owner knows, or they are void
                let stays = |version: &Version| version.dot.actor.home == me && !bug::is(Bug::OwnEditsVoid);
                let void = |version: &Version| !stays(version) && !offered.versions.contains(version);
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
        let joint = entity.key.space == Space::Joint;
        for version in offered.versions {
            changed |= joint && drop_replaced(&mut entity.siblings, &version, peer);
            changed |= entity.siblings.insert(version);
        }
        changed
    }

    /// Checks an offer, and returns its latest stamp and whether it shows changes that this home has made and lost.
    fn check(&self, peer: HomeId, number: Option<Number>, offered: &Offered) -> Result<(Hlc, bool), Refusal> {
        let entity = number.and_then(|number| self.table.get(number));
        match offered.key.space {
            Space::Home(home) if home == self.me.home => self.check_edit(peer, entity, offered)?,
            Space::Home(home) if home != peer => return Err(Refusal::Forbidden),
            _ => {}
        }
        if !matches!(offered.key.space, Space::Home(home) if home == self.me.home) {
            self.check_quota(entity, offered)?; // what others may edit here is this home's own affair
        }
        self.check_size(entity, offered)?;
        let (mut latest, mut lost) = (Hlc::default(), false);
        // what is covered here already covers nothing more
        let known = |dot: &Dot| entity.is_some_and(|entity| entity.siblings.has_seen(*dot));
        // what this home said of the joint space while its clock was wrong it alone can say again, whatever it names
        let own_past = |dot: Dot| {
            let ours = dot.actor.home == self.me.home && dot.actor != self.me;
            offered.key.space == Space::Joint && ours && !bug::is(Bug::PastAwaited)
        };
        // in its own space a peer hides what it likes, elsewhere not what is yet to come
        let owns = offered.key.space == Space::Home(peer);
        for version in offered.versions.iter() {
            let again = own_past(version.dot);
            for dot in said_by(version).filter(|dot| !known(dot)) {
                latest = if again || own_past(dot) { latest } else { latest.max(dot.hlc) };
                lost |= self.shows_loss(dot)?;
            }
            for dot in seen_by(version).filter(|dot| !known(dot)) {
                latest = if again || owns { latest } else { latest.max(dot.hlc) };
                lost |= self.shows_loss(dot)?;
            }
        }
        Ok((latest, lost))
    }

    /// Tells whether a change is one of this home's own that it does not have.
    ///
    /// Of the present incarnation it shows that the home was restored from a backup; of one that is random since
    /// this start it is made up.
    fn shows_loss(&self, dot: Dot) -> Result<bool, Refusal> {
        if dot.actor.home != self.me.home || dot.hlc <= self.clock.last() {
            return Ok(false);
        }
        match dot.actor == self.stranger() {
            true => Err(Refusal::Forbidden),
            false => Ok(dot.actor == self.me),
        }
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
        let may = right >= Some(Right::Edit) || bug::is(Bug::EditUnchecked);
        if entity.class == Class::Device || !may {
            return Err(Refusal::Forbidden);
        }
        let honest = |dot: Dot| {
            dot.actor.home == peer
                || entity.siblings.has_seen(dot)
                || (dot.actor.home == self.me.home && dot.hlc <= self.clock.last())
        };
        let theirs = |version: &Version| version.dot.actor.home == peer && is_of_life(version, entity);
        if !fresh.iter().all(theirs) || !named_by(&fresh).all(honest) || misquotes(&fresh, &entity.siblings) {
            return Err(Refusal::Forbidden);
        }
        let kept = entity.siblings.iter().filter(|known| !fresh.has_seen(known.dot));
        let of_peer = kept.filter(|known| known.dot.actor.home == peer).count() + fresh.len();
        if of_peer > MAX_SIBLINGS_OF_ONE { Err(Refusal::Quota) } else { Ok(()) }
    }
}

/// Drops what a member of the joint space says to have replaced of its own: its later version may be replaced here
/// already, by one whose author could not name the stamp of the earlier.
fn drop_replaced(siblings: &mut Siblings, by: &Version, peer: HomeId) -> bool {
    let own = |dot: Dot| dot.actor.home == peer && dot != by.dot;
    let replaced = |known: &Version| own(known.dot) && by.context.contains(known.dot);
    let before = siblings.len();
    if by.dot.actor.home == peer {
        siblings.retain(|known| !replaced(known));
    }
    siblings.len() < before
}

/// Tells whether versions give other values to a change that is known here: whoever has that change would complete
/// them with the true ones, and homes would show different things under one name.
fn misquotes(versions: &Siblings, known: &Siblings) -> bool {
    let known = || known.iter().flat_map(|version| version.groups());
    let mut said = versions.iter().flat_map(|version| version.groups());
    said.any(|said| {
        known().any(|known| (known.key, known.dot) == (said.key, said.dot) && !known.same_values(&said))
    })
}

/// Returns the dots of what a version says: its own and those of its groups.
fn said_by(version: &Version) -> impl Iterator<Item = Dot> {
    let groups = version.groups().map(|group| group.dot).filter(|dot| *dot != version.dot);
    std::iter::once(version.dot).chain(groups)
}

/// Returns what an author has seen of other homes; what it says of itself hides nobody else's future.
fn seen_by(version: &Version) -> impl Iterator<Item = Dot> {
    version.context.dots().filter(|dot| dot.actor.home != version.dot.actor.home)
}

/// Returns all dots that versions name.
fn named_by(versions: &Siblings) -> impl Iterator<Item = Dot> {
    versions.iter().flat_map(|version| said_by(version).chain(seen_by(version)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        body::Body,
        defaults::{MAX_ACTORS, MAX_ENTITY, MAX_SIBLINGS},
        dot::{Actor, VersionVector},
        grant::Selector,
        replica::Options,
        update::Update,
        version::Cause,
    };

    const NOW: u64 = 1_800_000_000_000;
    const VILLA: HomeId = HomeId([1; 32]);
    const FLAT: HomeId = HomeId([2; 32]);

    fn villa() -> Replica {
        let mut villa = Replica::restore(Actor::first(VILLA), Hlc::at(NOW), 0, Options::default());
        villa.epochs.open(99, 0);
        villa
    }

    fn dot(home: HomeId, incarnation: u32, ms: u64) -> Dot {
        Dot { actor: Actor { home, incarnation }, hlc: Hlc::at(ms) }
    }

    fn version(dot: Dot, context: &[Dot], state: &str) -> Version {
        let body = Update::state(state).apply("light", [], dot).unwrap().unwrap();
        let (context, cause): (VersionVector, _) = (context.iter().copied().collect(), Cause::Person);
        Version { dot, context, body, cause, deleted: false, timed: true, unknown: Box::default() }
    }

    fn offered(space: Space, versions: impl IntoIterator<Item = Version>) -> Offered {
        let key = EntityKey { space, id: "light.hall".parse().unwrap() };
        let versions = versions.into_iter().collect();
        Offered {
            key,
            class: Class::Document,
            versions,
            sent_at: 0,
            strategy: Strategy::default(),
            right: Some(Right::Edit),
            replace: false,
        }
    }

    fn merge(villa: &mut Replica, space: Space, version: Version) -> Result<Vec<Effect>, Refusal> {
        villa.merge(FLAT, offered(space, [version]), NOW)
    }

    #[test]
    fn context_cannot_cover_the_future() {
        let future = dot(HomeId([3; 32]), 0, NOW + MAX_SKEW_MS + 1);
        let refused = merge(&mut villa(), Space::Joint, version(dot(FLAT, 0, NOW), &[future], "x"));
        assert!(matches!(refused, Err(Refusal::Skew(_))));
    }

    #[test]
    fn editor_cannot_have_seen_what_the_owner_has_not() {
        let mut villa = villa();
        let key = villa.own("light.hall".parse().unwrap());
        villa.update(&key, Class::Document, &Update::state("a"), Cause::Person, NOW).unwrap();
        villa.grant(Some(FLAT), Selector::parse("light.hall").unwrap(), Some(Right::Edit), &[FLAT]);
        let unseen = dot(HomeId([3; 32]), 0, NOW);
        let own = Space::Home(VILLA);
        let claimed = merge(&mut villa, own, version(dot(FLAT, 0, NOW), &[unseen], "x"));
        assert_eq!(claimed, Err(Refusal::Forbidden));
        let of_another = merge(&mut villa, own, version(unseen, &[], "x"));
        assert_eq!(of_another, Err(Refusal::Forbidden));
        let of_an_earlier_life = merge(&mut villa, own, version(dot(FLAT, 0, NOW), &[], "x"));
        assert_eq!(of_an_earlier_life, Err(Refusal::Forbidden));
        let mine = villa.find(&key).unwrap().siblings[0].dot;
        assert!(merge(&mut villa, own, version(dot(FLAT, 0, NOW), &[mine], "x")).is_ok());
    }

    #[test]
    fn change_of_this_start_that_this_home_did_not_make_is_made_up() {
        let mut villa = villa();
        let mine = dot(VILLA, 99, NOW + 5_000);
        let refused = merge(&mut villa, Space::Joint, version(dot(FLAT, 0, NOW), &[mine], "x"));
        assert_eq!(refused, Err(Refusal::Forbidden));
        assert!(villa.clock().last().ms() <= NOW);
    }

    #[test]
    fn change_that_this_home_has_lost_makes_it_another_incarnation() {
        let mut villa = villa();
        let lost = dot(VILLA, 0, NOW + 5_000);
        let effects = merge(&mut villa, Space::Joint, version(dot(FLAT, 0, NOW), &[lost], "x")).unwrap();
        assert_eq!(effects[0], Effect::Commit(Durability::Now));
        assert!(effects.contains(&Effect::Report { peer: FLAT, incident: Incident::Fork }));
        assert_eq!(villa.actor().incarnation, 99);
        let next = villa.stamp(NOW);
        assert!(next.hlc > lost.hlc && next.actor != lost.actor);
    }

    #[test]
    fn space_of_a_third_home_is_closed() {
        let third = Space::Home(HomeId([3; 32]));
        assert_eq!(merge(&mut villa(), third, version(dot(FLAT, 0, NOW), &[], "x")), Err(Refusal::Forbidden));
    }

    #[test]
    fn entity_stays_small_enough_to_be_passed_on() {
        let mut villa = villa();
        let long = "x".repeat(MAX_ENTITY - 100);
        let refused = (0..64u32).find(|n| {
            let version = version(dot(HomeId([*n as u8; 32]), 7, NOW), &[], &long);
            merge(&mut villa, Space::Joint, version).is_err()
        });
        assert_eq!(refused, Some(8));
        let crowd: Vec<_> = (0..MAX_ACTORS as u32).map(|n| dot(FLAT, n, 1)).collect();
        let crowded = version(dot(FLAT, 9_999, NOW), &crowd, "x");
        assert_eq!(merge(&mut villa, Space::Home(FLAT), crowded), Err(Refusal::Quota));
    }

    #[test]
    fn editor_cannot_put_words_into_the_mouth_of_another() {
        let mut villa = villa();
        let key = villa.own("light.hall".parse().unwrap());
        villa.update(&key, Class::Document, &Update::state("a"), Cause::Person, NOW).unwrap();
        villa.grant(None, Selector::parse("light.hall").unwrap(), Some(Right::Edit), &[FLAT]);
        let mine = villa.find(&key).unwrap().siblings[0].dot;
        let edit = |state: &str| {
            let edit = version(dot(FLAT, 0, NOW + 1), &[mine], state);
            let quoted = edit.groups().map(|group| group.moved_to(mine));
            Version { body: Body::of(edit.dot, quoted), ..edit.clone() }
        };
        assert_eq!(merge(&mut villa, key.space, edit("forged")), Err(Refusal::Forbidden));
        assert!(merge(&mut villa, key.space, edit("a")).is_ok());
    }

    #[test]
    fn editor_leaves_room_for_the_siblings_of_others() {
        let mut villa = villa();
        let key = villa.own("light.hall".parse().unwrap());
        villa.update(&key, Class::Document, &Update::state("a"), Cause::Person, NOW).unwrap();
        villa.grant(None, Selector::parse("light.hall").unwrap(), Some(Right::Edit), &[FLAT]);
        let mine = villa.find(&key).unwrap().siblings[0].dot;
        let crowd = (0..MAX_SIBLINGS as u32).map(|n| version(dot(FLAT, n, NOW), &[mine], "x"));
        let refused = crowd.filter(|crowd| merge(&mut villa, key.space, crowd.clone()).is_err()).count();
        assert_eq!(refused, MAX_SIBLINGS - MAX_SIBLINGS_OF_ONE);
        let third = HomeId([3; 32]);
        let of_third = offered(key.space, [version(dot(third, 0, NOW), &[mine], "of a third home")]);
        assert!(villa.merge(third, of_third, NOW).is_ok());
    }

    #[test]
    fn entity_takes_changes_however_often_its_writer_has_started_anew() {
        let mut villa = villa();
        let key = offered(Space::Joint, []).key;
        let mut known: Option<Entity> = None;
        for start in 1..2 * MAX_ACTORS as u64 {
            let mut flat = Replica::restore(Actor::first(FLAT), Hlc::at(NOW + start), 0, Options::default());
            flat.epochs.open(start, 0);
            flat.put_back(known);
            let update = Update::state(&start.to_string());
            flat.update(&key, Class::Document, &update, Cause::Person, NOW).unwrap();
            known = flat.find(&key).cloned();
            let versions = known.clone().unwrap().siblings;
            villa.merge(FLAT, offered(Space::Joint, versions), NOW).expect("there is room for it");
            assert_eq!(villa.find(&key).unwrap().siblings.len(), 1);
        }
    }

    #[test]
    fn what_is_known_already_costs_no_quota() {
        let mut villa = villa();
        let all: Vec<_> = (0..40).map(|n| version(dot(HomeId([n; 32]), 7, NOW), &[], "x")).collect();
        for _ in 0..3 {
            assert!(villa.merge(FLAT, offered(Space::Joint, all.clone()), NOW).is_ok());
        }
        assert_eq!(villa.find(&offered(Space::Joint, []).key).unwrap().siblings.len(), 40);
    }

    #[test]
    fn full_offer_of_the_owner_voids_all_that_it_lacks_but_own_edits() {
        let mut villa = villa();
        let note = Space::Home(FLAT);
        let theirs = version(dot(FLAT, 0, NOW), &[], "old");
        let third = version(dot(HomeId([3; 32]), 0, NOW), &[], "of a third home");
        let mine = version(dot(VILLA, 0, NOW - 1), &[], "mine");
        villa.merge(FLAT, offered(note, [theirs, third, mine.clone()]), NOW).unwrap();
        let new = version(dot(FLAT, 1, NOW), &[], "new");
        let full = Offered { replace: true, ..offered(note, [new.clone()]) };
        villa.merge(FLAT, full.clone(), NOW).unwrap();
        let siblings = &villa.find(&full.key).unwrap().siblings;
        assert_eq!(siblings.iter().collect::<Vec<_>>(), [&mine, &new]);
    }

    #[test]
    fn refused_offer_changes_nothing() {
        let mut villa = villa();
        let before = villa.clock().last();
        let bad = Version { body: Body::default(), ..version(dot(FLAT, 0, NOW + 2 * MAX_SKEW_MS), &[], "x") };
        let good = version(dot(HomeId([3; 32]), 0, NOW + 9), &[], "x");
        assert!(villa.merge(FLAT, offered(Space::Home(FLAT), [good, bad]), NOW).is_err());
        assert_eq!((villa.clock().last(), villa.table().iter().count()), (before, 0));
    }
}
