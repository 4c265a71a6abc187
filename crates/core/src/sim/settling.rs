//! Strategies in a run: their authorities change them, people choose, functions decide, and the house reports on.

use super::{World, checks::Checked, faults::parsed, home::Running};
use crate::{
    EntityKey, HomeId, Space,
    conflict::Token,
    dot::Dot,
    effect::Effect,
    groups::STATE,
    json::Json,
    policy::{Policy, Rule, Strategy},
    replica::Choice,
    siblings::Siblings,
    table::{Class, Entity},
    update::{Attributes, Update},
    version::{Cause, Version},
    view,
};

impl World {
    /// Lets one thing happen that has to do with strategies.
    pub(super) fn settle_something(&mut self) -> Checked {
        let at = self.dice.below(self.homes.len());
        match self.dice.below(10) {
            0..2 => self.policy_changes(at),
            2..4 => self.joint_policy_changes(at),
            4..8 => self.person_chooses(at),
            _ => self.house_reports(at),
        }
    }

    /// Lets every home decide what its function has to; a running home does so whenever something has changed.
    pub(super) fn decide(&mut self) -> Checked {
        for at in 0..self.homes.len() {
            for key in self.undecided(at) {
                self.function_decides(at, &key)?;
            }
        }
        Ok(())
    }

    /// Checks that what a function decides was decided, and that both homes settle alike.
    pub(super) fn same_strategy(&self, here: &Entity, there: &Entity) -> Checked {
        if here.strategy != there.strategy || here.view() != there.view() {
            return Err(format!("I1: {here:?}\nis settled otherwise than\n{there:?}"));
        }
        match here.strategy == Strategy::Custom && here.is_open() {
            true => Err(format!("I10: nobody decides {here:?}")),
            false => Ok(()),
        }
    }

    fn policy_changes(&mut self, at: usize) -> Checked {
        let policy = self.any_policy();
        self.note(|_| format!("{at} sets {policy:?}"));
        let Some(Running { replica, .. }) = &mut self.homes[at].running else { return Ok(()) };
        let effects = replica.set_policy(policy);
        self.carry_out(at, None, &effects)
    }

    fn joint_policy_changes(&mut self, at: usize) -> Checked {
        let (policy, deliberate) = (self.any_policy(), self.dice.chance(50));
        let now = self.homes[at].now(self.time);
        let member = self.joint.contains(&at);
        let Some(Running { replica, .. }) = self.homes[at].running.as_mut().filter(|_| member) else {
            return Ok(());
        };
        let effects = replica.set_joint_policy(policy.clone(), deliberate, now);
        self.note(|_| format!("{at} sets for all {policy:?}, deliberate: {deliberate}"));
        self.carry_out(at, None, &effects)
    }

    fn any_policy(&mut self) -> Policy {
        let pattern = self.dice.pick(&["input_text.*", "*", "input_text.note", "input_text.j", "light.*"]);
        let mut rule = |pattern: &str| Rule {
            pattern: pattern.into(),
            strategy: self.dice.pick(&Strategy::ALL),
            template: None,
        };
        Policy::new([rule(pattern), rule("*")]).expect("two rules")
    }

    fn person_chooses(&mut self, at: usize) -> Checked {
        let differing = |entity: &Entity| view::differ(&entity.siblings);
        let keys = self.keys(at, differing);
        if keys.is_empty() {
            return Ok(());
        }
        let key = self.dice.pick(&keys);
        let Some(entity) = self.replica(at).and_then(|replica| replica.find(&key)) else { return Ok(()) };
        let shown = entity.siblings.clone();
        let choice = match self.dice.below(3) {
            0 => Choice::Take(shown[self.dice.below(shown.len())].dot),
            1 => Choice::Merge,
            _ => Choice::Value(Update::state("chosen")),
        };
        self.resolve(at, &key, &shown, &choice, Cause::Person)
    }

    fn house_reports(&mut self, at: usize) -> Checked {
        let id = self.dice.pick(&["input_text.note", "input_text.list", "input_text.plan"]);
        let key = EntityKey { space: Space::Home(self.homes[at].id), id: parsed(id) };
        self.write(at, &key, Class::Document, Cause::Device)
    }

    /// Returns what this home has to decide by its function.
    fn undecided(&self, at: usize) -> Vec<EntityKey> {
        let Some(replica) = self.replica(at) else { return Vec::new() };
        let reachable = self.reachable(at);
        self.keys(at, |entity| {
            entity.strategy == Strategy::Custom
                && entity.is_open()
                && replica.decides(&entity.key, reachable.iter().copied())
        })
    }

    /// Returns the members of the joint space that a home has a session with.
    fn reachable(&self, at: usize) -> Vec<HomeId> {
        let others = self.joint.iter().copied().filter(|other| *other != at);
        let linked = others.filter(|other| self.links[&(at.min(*other), at.max(*other))].up);
        linked.map(|other| self.homes[other].id).collect()
    }

    /// The function: the greatest of all states; as a function of the set it is the same in every home.
    fn function_decides(&mut self, at: usize, key: &EntityKey) -> Checked {
        let Some(entity) = self.replica(at).and_then(|replica| replica.find(key)) else { return Ok(()) };
        let greatest = entity.siblings.iter().filter_map(state).max().map(str::parse::<Json>);
        let state = greatest.and_then(Result::ok);
        let shown = entity.siblings.clone();
        if !self.is_authority(at, key.space) {
            self.judged(Err(format!("I10: home {at} decides {key:?} by its function")))?;
        }
        let choice = Choice::Value(Update { state, attributes: Attributes::Keep });
        self.resolve(at, key, &shown, &choice, Cause::Strategy)
    }

    /// Tells whether a home decides over a space: the owner, or the lowest member of those that can reach each other.
    fn is_authority(&self, at: usize, space: Space) -> bool {
        match space {
            Space::Home(home) => self.homes[at].id == home,
            Space::Joint => {
                self.reachable(at).into_iter().min().is_none_or(|least| self.homes[at].id < least)
            }
        }
    }

    pub(super) fn resolve(
        &mut self,
        at: usize,
        key: &EntityKey,
        shown: &Siblings,
        choice: &Choice,
        cause: Cause,
    ) -> Checked {
        let now = self.homes[at].now(self.time);
        let Some(Running { replica, .. }) = &mut self.homes[at].running else { return Ok(()) };
        let before = replica.find(key).map(|entity| entity.siblings.clone()).unwrap_or_default();
        let Ok(effects) = replica.resolve(key, Token::of(shown), choice, cause, now) else { return Ok(()) };
        let entity = replica.find(key).ok_or("an entity that was settled is not there")?.clone();
        if before != *shown {
            self.judged(Err(format!("I10: a choice between {shown:?} covers {before:?}")))?;
        }
        if effects.iter().any(|effect| matches!(effect, Effect::Conflict(_))) {
            return Err(format!("I10: settling {key:?} made a conflict"));
        }
        self.report.writes += 1;
        let dot = self.ledger.wrote(at, &entity)?;
        self.note(|_| format!("{at} settles {key:?} as {cause:?}"));
        self.carry_out(at, None, &effects)?;
        self.record_write(at, &entity, dot, Some(shown));
        Ok(())
    }

    pub(super) fn keys(&self, at: usize, wanted: impl Fn(&Entity) -> bool) -> Vec<EntityKey> {
        let all = self.replica(at).into_iter().flat_map(|replica| replica.table().iter());
        all.filter(|(_, entity)| wanted(entity)).map(|(_, entity)| entity.key.clone()).collect()
    }
}

/// I10: checks that a write leaves to people what they have to choose from: the house reports beside what others wrote,
/// and nobody else writes.
pub(super) fn leaves_open(before: Option<&Entity>, now: &Entity, cause: Cause) -> Checked {
    let Some(before) = before.filter(|entity| entity.is_open()) else { return Ok(()) };
    if cause != Cause::Device {
        let choice = before.strategy == Strategy::UserChoice;
        return if choice { Err(format!("I10: somebody wrote over {before:?}")) } else { Ok(()) };
    }
    let own = |version: &Version| now.key.space == Space::Home(version.dot.actor.home);
    match before.siblings.iter().find(|version| !own(version) && !now.siblings.contains(version)) {
        Some(version) => Err(format!("I10: the house reported over {version:?}")),
        None => Ok(()),
    }
}

/// I2: checks that what somebody's change has come to differ from is put on record.
pub(super) fn is_on_record(entity: &Entity, fresh: &[Dot], effects: &[Effect]) -> Checked {
    let record = |effect: &Effect| matches!(effect, Effect::Conflict(conflict) if conflict.key == entity.key);
    let differs = entity.class == Class::Document && view::differ(&entity.siblings);
    match differs && !fresh.is_empty() && !effects.iter().any(record) {
        true => Err(format!("I2: nobody puts on record that {entity:?} differs")),
        false => Ok(()),
    }
}

/// Returns the canonical text of a version's state.
fn state(version: &Version) -> Option<&str> {
    version.fields().find(|(name, _)| *name == STATE).map(|(_, value)| value)
}
