//! After a wall clock was far ahead and is right again: what carries stamps from the future is stamped anew.
//!
//! A hybrid clock never runs backwards, so a home whose wall clock once stood a year
//! ahead would be refused by all others for a year. When a peer's clock agrees with the
//! wall clock of now, the home goes on as another incarnation, whose stamps begin now,
//! and says again under new dots what it had said under those from the future. A new
//! version has seen the one in whose place it stands, so nothing shows twice and nothing
//! is lost.

use super::Replica;
use crate::{
    Space,
    body::Body,
    defaults::MAX_SKEW_MS,
    dot::{Dot, VersionVector},
    effect::{Durability, Effect},
    hlc::{Clock, Hlc},
    policy::JointPolicy,
    table::Number,
    version::Version,
};

impl Replica {
    /// Takes note of a peer's clock, and stamps anew what lies in the future if this home's clock had leapt ahead.
    pub fn compare_clocks(&mut self, theirs: Hlc, now_ms: u64) -> Vec<Effect> {
        if self.leapt_ahead(theirs, now_ms) { self.restamp(now_ms) } else { Vec::new() }
    }

    /// Tells whether this home's stamps lie in the future of its own wall clock and of a peer's, which agree.
    pub fn leapt_ahead(&self, peer_clock: Hlc, now_ms: u64) -> bool {
        peer_clock.ms().abs_diff(now_ms) <= MAX_SKEW_MS && !self.clock.trusts(now_ms)
    }

    /// Goes on as another incarnation from the present, and says again what carries stamps from the future.
    pub fn restamp(&mut self, now_ms: u64) -> Vec<Effect> {
        self.births += 1;
        self.reincarnate();
        (self.clock, self.stored) = (Clock::after(Hlc::at(now_ms)), Hlc::at(now_ms));
        let limit = Hlc::at(now_ms.saturating_add(MAX_SKEW_MS));
        let mut effects = vec![Effect::Commit(Durability::Now), Effect::Restamped];
        if let Some(joint) = self.joint_policy.clone().filter(|joint| joint.dot.hlc > limit) {
            self.joint_policy = Some(JointPolicy { dot: self.stamp(now_ms), ..joint });
            effects.push(Effect::JointPolicy);
        }
        let numbers: Vec<_> = self.table.iter().map(|(number, _)| number).collect();
        for number in numbers {
            if self.restamp_entity(number, limit, now_ms) {
                self.table.touch(number);
                effects.push(Effect::Changed(number));
            }
        }
        effects
    }

    /// Says versions of an entity again where they carry stamps beyond a limit: own ones, and in this home's own
    /// space those of others too, whose authors may be gone.
    fn restamp_entity(&mut self, number: Number, limit: Hlc, now_ms: u64) -> bool {
        let me = self.me.home;
        let Some(entity) = self.table.get(number) else { return false };
        let ours = |version: &Version| version.dot.actor.home == me || entity.key.space == Space::Home(me);
        let late = |version: &&Version| {
            version.dot.hlc > limit || version.groups().any(|group| group.dot.hlc > limit)
        };
        let late: Vec<_> = entity.siblings.iter().filter(|v| ours(v)).filter(late).cloned().collect();
        for version in &late {
            let dot = self.stamp(now_ms);
            let known_to_all = |seen: &Dot| seen.actor.home == me || seen.hlc <= limit;
            let mut context: VersionVector = version.context.dots().filter(known_to_all).collect();
            if known_to_all(&version.dot) {
                context.insert(version.dot);
            }
            let moved = |was: Dot| if was.hlc > limit { dot } else { was };
            let groups = version.groups().map(|group| group.moved_to(moved(group.dot)));
            let body = Body::of(dot, groups);
            let again = Version { dot, context, body, timed: true, ..version.clone() };
            if let Some(entity) = self.table.get_mut(number) {
                entity.siblings.retain(|known| known.dot != version.dot);
                entity.siblings.insert(again);
            }
        }
        !late.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        EntityKey, HomeId,
        dot::Actor,
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
        let body = update.apply("light", &[], dot).unwrap().unwrap();
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
}
