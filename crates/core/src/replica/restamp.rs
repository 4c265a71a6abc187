//! What becomes of stamps from a future that does not come.
//!
//! A home whose clock leapt ahead and was put right has given stamps that nobody accepts for hours or
//! years. It gives its own changes new stamps, as a new actor whose clock starts from the present: strictly
//! rising per actor still holds, and no dot is given twice.

use super::Replica;
use crate::{
    body::Body,
    defaults::MAX_SKEW_MS,
    dot::{Actor, Dot},
    effect::{Durability, Effect},
    hlc::{Clock, Hlc},
    table::Number,
    version::Version,
};

impl Replica {
    /// Tells whether this home's stamps lie in the future of its own wall clock and of a peer's, which agree.
    pub fn leapt_ahead(&self, peer_clock: Hlc, now_ms: u64) -> bool {
        let agree = peer_clock.ms().abs_diff(now_ms) <= MAX_SKEW_MS;
        agree && self.clock.last().ms() > now_ms.saturating_add(MAX_SKEW_MS)
    }

    /// Gives this home's own changes from the future stamps of the present, as a new actor.
    pub fn restamp(&mut self, now_ms: u64) -> Vec<Effect> {
        let horizon = Hlc::at(now_ms.saturating_add(MAX_SKEW_MS));
        let home = self.me.home;
        let future = |dot: Dot| dot.actor.home == home && dot.hlc > horizon;
        // a version of another home is that home's to stamp, whatever it has taken over from this one
        let from_future = |version: &Version| {
            let parts = version.groups().map(|group| group.dot).chain([version.dot]);
            version.dot.actor.home == home && parts.into_iter().any(future)
        };
        let leapt: Vec<Number> = self
            .table
            .iter()
            .filter(|(_, entity)| entity.siblings.iter().any(from_future))
            .map(|(number, _)| number)
            .collect();
        self.me = Actor { incarnation: self.me.incarnation.wrapping_add(1), ..self.me };
        self.clock = Clock::after(Hlc::at(now_ms));
        self.stored = Hlc::at(now_ms);
        let mut effects = vec![Effect::Commit(Durability::Now), Effect::Restamped];
        for number in leapt {
            self.restamp_entity(number, now_ms, &future, &from_future);
            self.table.touch(number);
            effects.push(Effect::Changed(number));
        }
        effects
    }

    fn restamp_entity(
        &mut self,
        number: Number,
        now_ms: u64,
        future: &impl Fn(Dot) -> bool,
        from_future: &impl Fn(&Version) -> bool,
    ) {
        let dot = self.stamp(now_ms);
        let Some(entity) = self.table.get_mut(number) else { return };
        let leapt: Vec<Version> =
            entity.siblings.iter().filter(|version| from_future(version)).cloned().collect();
        entity.siblings.retain(|version| !from_future(version));
        for version in leapt {
            let moved = |was: Dot| if future(was) { dot } else { was };
            let groups: Vec<_> = version.groups().map(|group| group.moved_to(moved(group.dot))).collect();
            let context = version.context.dots().filter(|seen| !future(*seen)).collect();
            let body = Body::of(dot, groups);
            entity.siblings.insert(Version { dot, context, body, ..version.clone() });
        }
    }
}
