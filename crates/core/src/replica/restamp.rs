//! What was said under dots that cannot stay is said again under new ones.
//!
//! A home that finds that it has lost a part of its past, as after a restored backup, goes on
//! as another incarnation; what it has said since its start would pass for older than what it
//! has lost, so it says that again.
//!
//! A hybrid clock never runs backwards, so a home whose wall clock once stood a year
//! ahead would be refused by all others for a year. When a peer's clock agrees with the
//! wall clock of now, the home goes on as another incarnation, whose stamps begin now,
//! and says again under new dots what it had said under those from the future. A new
//! version has seen the one in whose place it stands, so nothing shows twice and nothing
//! is lost.

use super::Replica;
use crate::{
    HomeId, Space,
    body::Body,
    bug::{self, Bug},
    defaults::MAX_SKEW_MS,
    dot::Dot,
    effect::{Durability, Effect},
    hlc::{Clock, Hlc},
    policy::JointPolicy,
    table::{Entity, Number},
    version::Version,
};

impl Replica {
    /// Takes note of a peer's clock, and stamps anew what lies in the future if this home's clock had leapt ahead.
    pub fn compare_clocks(&mut self, theirs: Hlc, now_ms: u64) -> Vec<Effect> {
        if self.leapt_ahead(theirs, now_ms) && !bug::is(Bug::NeverRestamped) {
            self.restamp(now_ms)
        } else {
            Vec::new()
        }
    }

    /// Tells whether this home's stamps lie in the future of its own wall clock and of a peer's, which agree.
    pub fn leapt_ahead(&self, peer_clock: Hlc, now_ms: u64) -> bool {
        peer_clock.ms().abs_diff(now_ms) <= MAX_SKEW_MS && !self.clock.trusts(now_ms)
    }

    /// Goes on as another incarnation from the present, and says again what carries stamps from the future: own
    /// versions, and in this home's own space those of others too, whose authors may be gone.
    pub fn restamp(&mut self, now_ms: u64) -> Vec<Effect> {
        self.births += 1;
        self.me = self.stranger();
        (self.clock, self.stored) = (Clock::after(Hlc::at(now_ms)), Hlc::at(now_ms));
        let limit = Hlc::at(now_ms.saturating_add(MAX_SKEW_MS));
        let mut effects = vec![Effect::Commit(Durability::Now), Effect::Restamped];
        if let Some(joint) = self.joint_policy.clone().filter(|joint| joint.dot.hlc > limit) {
            self.joint_policy = Some(JointPolicy { dot: self.stamp(now_ms), ..joint });
            effects.push(Effect::JointPolicy);
        }
        let me = self.me.home;
        let ours = |entity: &Entity, version: &Version| {
            version.dot.actor.home == me || entity.key.space == Space::Home(me)
        };
        effects.extend(self.say_again(|dot| dot.hlc > limit, ours, now_ms));
        effects
    }

    /// Goes on as another incarnation, because dots of the present one may name changes that this home has lost,
    /// and says again what it has said since it started: others would take it for older than what was lost.
    pub fn reincarnate(&mut self, now_ms: u64) -> Vec<Effect> {
        let (old, since, new) = (self.me, self.stored, self.stranger());
        if new == old || bug::is(Bug::IncarnationKept) {
            return Vec::new();
        }
        self.me = new;
        let mut effects = vec![Effect::Commit(Durability::Now)];
        let ours = |_: &Entity, version: &Version| version.dot.actor.home == old.home;
        effects.extend(self.say_again(|dot| dot.actor == old && dot.hlc > since, ours, now_ms));
        effects
    }

    /// Says in this home's new name what it wrote under the old one to documents of others that have not
    /// acknowledged it: under the old name nobody takes it any more.
    pub(super) fn carry_edits_over(&mut self, old: HomeId) -> Vec<Effect> {
        let (me, proven) = (self.me.home, self.proven.clone());
        let ours = |entity: &Entity, version: &Version| match entity.key.space {
            Space::Home(owner) if owner != me => {
                version.dot.actor.home == old && proven.get(&owner).is_none_or(|&seq| entity.seq > seq)
            }
            _ => false,
        };
        self.say_again(|dot| dot.actor.home == old, ours, self.clock.last().ms())
    }

    /// Gives new names to versions of ours that carry dots which are not to be named any more.
    fn say_again(
        &mut self,
        stale: impl Fn(Dot) -> bool,
        ours: impl Fn(&Entity, &Version) -> bool,
        now_ms: u64,
    ) -> Vec<Effect> {
        let numbers: Vec<_> = self.table.iter().map(|(number, _)| number).collect();
        let again = numbers.into_iter().filter(|&number| self.rename_versions(number, &stale, &ours, now_ms));
        let again: Vec<_> = again.collect();
        again.iter().for_each(|&number| self.table.touch(number));
        again.into_iter().map(Effect::Changed).collect()
    }

    /// The same for one entity; tells whether there was such a version.
    pub(super) fn rename_versions(
        &mut self,
        number: Number,
        stale: impl Fn(Dot) -> bool,
        ours: impl Fn(&Entity, &Version) -> bool,
        now_ms: u64,
    ) -> bool {
        let me = self.me.home;
        let Some(entity) = self.table.get(number) else { return false };
        let ours = |version: &&Version| ours(entity, version);
        let is_stale =
            |version: &&Version| stale(version.dot) || version.groups().any(|group| stale(group.dot));
        let old: Vec<_> = entity.siblings.iter().filter(ours).filter(is_stale).cloned().collect();
        for (at, version) in old.iter().enumerate() {
            let mut dot = self.stamp(now_ms);
            if at > 0 {
                // of two under one name the later would stand for the earlier
                self.births += 1;
                dot.actor = self.stranger();
            }
            // of others it names nothing that they would refuse; that it follows its own old dot it must say
            let named = |seen: &Dot| seen.actor != dot.actor && (seen.actor.home == me || !stale(*seen));
            let context = version.context.dots().chain([version.dot]).filter(named).collect();
            let moved = |was: Dot| if stale(was) { dot } else { was };
            let groups = version.groups().map(|group| group.moved_to(moved(group.dot)));
            let (body, timed) = (Body::of(dot, groups), self.clock.trusts(now_ms));
            let again = Version { dot, context, body, timed, ..version.clone() };
            if let Some(entity) = self.table.get_mut(number) {
                entity.siblings.retain(|known| known.dot != version.dot);
                entity.siblings.insert(again);
                if entity.born.1.ms() > now_ms.saturating_add(MAX_SKEW_MS) {
                    entity.born = (dot.actor.incarnation, dot.hlc); // edits of the present name nothing so late
                }
            }
        }
        !old.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        EntityKey,
        dot::{Actor, VersionVector},
        record,
        replica::{Offered, Options},
        siblings::Siblings,
        table::Class,
        update::{Attributes, Update},
        version::Cause,
    };

    const HOUR: u64 = 3_600_000;
    const NOW: u64 = 1_800_000_000_000;

    #[test]
    fn update_of_what_came_from_the_future_says_all_of_it_under_its_own_stamp() {
        // the clocks of both stand hours behind, and the flat's had stood hours ahead before
        let mut villa = Replica::restore(Actor::first(HomeId([1; 32])), Hlc::at(NOW), 0, Options::default());
        let flat = HomeId([2; 32]);
        let dot = Dot { actor: Actor::first(flat), hlc: Hlc::at(NOW + 2 * HOUR) };
        let update = Update::replace("on", r#"{"brightness":1}"#).unwrap();
        let body = update.apply("light", [], dot).unwrap().unwrap();
        let version = Version {
            dot,
            context: VersionVector::default(),
            body,
            cause: Cause::Person,
            deleted: false,
            timed: true,
            unknown: Box::default(),
        };
        let key = EntityKey { space: Space::Joint, id: "light.hall".parse().unwrap() };
        let versions: Siblings = [version].into_iter().collect();
        let (class, right) = (Class::Document, None);
        let offered = Offered {
            key: key.clone(),
            class,
            versions,
            sent_at: 0,
            right,
            strategy: Default::default(),
            replace: false,
        };
        villa.merge(flat, offered, NOW - 3 * HOUR).unwrap();

        villa.restamp(NOW - 3 * HOUR);
        let brighter = Attributes::Patch(vec![("effect".into(), Some(crate::json::Json::string("rain")))]);
        let update = Update { state: None, attributes: brighter };
        villa.update(&key, Class::Document, &update, Cause::Person, NOW - 3 * HOUR).unwrap();
        let siblings = &villa.find(&key).unwrap().siblings;
        assert_eq!(siblings.len(), 1);
        assert!(siblings[0].groups().all(|group| group.dot == siblings[0].dot), "{siblings:?}");
    }

    #[test]
    fn home_that_becomes_the_stranger_it_wrote_as_leaves_nothing_that_no_one_can_read() {
        let mut villa = Replica::restore(Actor::first(HomeId([1; 32])), Hlc::at(NOW), 0, Options::default());
        villa.epochs.open(99, 0);
        let key = EntityKey { space: Space::Joint, id: "light.hall".parse().unwrap() };
        let write = |villa: &mut Replica, state| {
            villa.update(&key, Class::Document, &Update::state(state), Cause::Person, NOW).unwrap();
        };
        write(&mut villa, "by a stranger");
        villa.proven.insert(HomeId([2; 32]), 0);
        write(&mut villa, "by itself");
        villa.reincarnate(NOW);
        let entity = villa.find(&key).unwrap();
        assert_eq!((entity.siblings.len(), entity.siblings[0].dot.actor.incarnation), (1, 99));
        let (place, record) = (record::Place::of(entity), record::encode(entity));
        assert_eq!(record::decode(place, &record).as_ref().unwrap(), entity);
    }
}
