//! Writes down what happens in a run, as a history that the checker reads.
//!
//! It tells what homes did, and judges nothing. A right is told when it matters: before something is encoded, before a
//! home takes in what a peer has written, and at the end.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    World,
    checks::Checked,
    history::{DotName, From, Held, HeldGroup, History, Line, What},
    law,
};
use crate::{
    EntityId, EntityKey, HomeId, Space,
    dot::Dot,
    intent::Status,
    siblings::Siblings,
    table::{Class, Entity, Number},
    version::Version,
    view::View,
};

/// The record of a run.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    pub(super) history: History,
    /// Whether the run's own checks are silent, so that the history alone tells what is wrong.
    pub(super) alone: bool,
    held: BTreeMap<(usize, EntityKey), BTreeSet<Dot>>,
    rights: BTreeMap<(usize, usize, EntityId), Option<&'static str>>,
}

impl Recorder {
    /// Returns the record of a run of which the history alone is to be judged.
    pub(super) fn alone() -> Self {
        Self { alone: true, ..Self::default() }
    }
}

impl World {
    /// Passes a verdict on, unless the history alone is to be judged.
    pub(super) fn judged(&self, verdict: Checked) -> Checked {
        let silent = self.recorder.as_ref().is_some_and(|recorder| recorder.alone);
        if silent { Ok(()) } else { verdict }
    }

    /// Takes down a home's start, and what it finds on its disk.
    pub(super) fn record_start(&mut self, at: usize, from: From) {
        if self.recorder.is_none() {
            return;
        }
        self.record(at, What::Started { from, joint: self.joint.contains(&at), copied_ms: None });
        let all = self.replica(at).map(|replica| replica.table().iter().map(|(number, _)| number).collect());
        let all: Vec<Number> = all.unwrap_or_default();
        let there: BTreeSet<_> = all
            .iter()
            .filter_map(|number| Some(self.replica(at)?.table().get(*number)?.key.clone()))
            .collect();
        all.into_iter().for_each(|number| self.record_holds(at, None, number, false));
        let held = self.recorder.iter().flat_map(|recorder| recorder.held.keys());
        let gone: Vec<_> = held.filter(|(of, key)| *of == at && !there.contains(key)).cloned().collect();
        gone.into_iter().for_each(|(_, key)| self.record_forgot(at, &key));
    }

    /// Takes down what a home holds of an entity now; `refused` where it has just told that it lost something.
    pub(super) fn record_holds(&mut self, at: usize, from: Option<usize>, number: Number, refused: bool) {
        let Some(entity) = self.replica(at).and_then(|replica| replica.table().get(number)) else { return };
        let (what, key) = (holds(entity), entity.key.clone());
        let now: BTreeSet<_> = entity.siblings.iter().map(|version| version.dot).collect();
        let Some(recorder) = &mut self.recorder else { return };
        let was = recorder.held.insert((at, key.clone()), now.clone()).unwrap_or_default();
        let theirs = from.is_some_and(|from| key.space == Space::Home(self.homes[from].id));
        if refused && theirs {
            for dot in was.difference(&now) {
                self.record(at, What::Lost { entity: name(&key), dot: dot_name(*dot) });
            }
        }
        if let Some(from) = from.filter(|_| key.space == Space::Home(self.homes[at].id)) {
            self.record_right(at, from, &key.id);
        }
        self.record(at, what);
    }

    pub(super) fn record_forgot(&mut self, at: usize, key: &EntityKey) {
        let Some(recorder) = &mut self.recorder else { return };
        recorder.held.remove(&(at, key.clone()));
        self.record(at, What::Forgot { entity: name(key) });
    }

    /// Takes down a write that was acknowledged: the home is still there.
    pub(super) fn record_write(&mut self, at: usize, entity: &Entity, dot: Dot, shown: Option<&Siblings>) {
        if self.recorder.is_none() || self.homes[at].running.is_none() {
            return;
        }
        let written = entity.siblings.iter().find(|version| version.dot == dot);
        let seen = shown.map(|shown| shown.iter().map(|version| dot_name(version.dot)).collect());
        let what = What::Wrote {
            entity: name(&entity.key),
            content: written.map(content).unwrap_or_default(),
            durable: entity.class == Class::Document && !self.homes[at].full,
            dot: Some(dot_name(dot)),
            seen,
        };
        self.record(at, what);
    }

    /// Takes down that something was encoded for a peer, and what the peer may do with it.
    pub(super) fn record_sent(&mut self, from: usize, to: usize, key: &EntityKey) {
        if self.recorder.is_none() {
            return;
        }
        if key.space == Space::Home(self.homes[from].id) {
            self.record_right(from, to, &key.id);
        }
        self.record(from, What::Sent { entity: name(key), peer: home_name(self.homes[to].id) });
    }

    pub(super) fn record_asked(&mut self, at: usize, owner: HomeId, key: &EntityKey, id: Dot, due: u64) {
        let (peer, entity, until_ms) = (home_name(owner), name(key), due);
        self.record(at, What::Asked { id: format!("{id:?}"), peer, entity, until_ms });
    }

    pub(super) fn record_performed(&mut self, at: usize, id: Dot) {
        let clock_ms = self.time;
        self.record(at, What::Performed { id: format!("{id:?}"), clock_ms });
    }

    pub(super) fn record_answered(&mut self, at: usize, id: Dot, status: Status) {
        let outcome = format!("{status:?}").to_lowercase();
        self.record(at, What::Answered { id: format!("{id:?}"), outcome });
    }

    /// Takes down all rights, and that all is quiet.
    pub(super) fn record_rest(&mut self) {
        for at in 0..self.homes.len() {
            let own = Space::Home(self.homes[at].id);
            let ids: Vec<_> = self.keys(at, |entity| entity.key.space == own);
            for peer in (0..self.homes.len()).filter(|peer| *peer != at) {
                ids.iter().for_each(|key| self.record_right(at, peer, &key.id));
            }
        }
        (0..self.homes.len()).for_each(|at| self.record(at, What::Rests));
    }

    /// Takes down what the rules give a peer, if it is not what they gave before.
    fn record_right(&mut self, at: usize, peer: usize, id: &EntityId) {
        if self.recorder.is_none() {
            return;
        }
        let paired = self.homes[at].paired.contains(&peer);
        let rules = self.replica(at).filter(|_| paired).map(|replica| &replica.grants);
        let right = rules.and_then(|rules| law::right_of(rules, self.homes[peer].id, id));
        let right = right.map(|right| match right {
            crate::grant::Right::Read => "read",
            crate::grant::Right::Control => "control",
            crate::grant::Right::Edit => "edit",
        });
        let Some(recorder) = &mut self.recorder else { return };
        if recorder.rights.insert((at, peer, id.clone()), right) != Some(right) {
            let entity = name(&EntityKey { space: Space::Home(self.homes[at].id), id: id.clone() });
            let peer = home_name(self.homes[peer].id);
            self.record(at, What::Granted { peer, entity, right: right.map(str::to_owned) });
        }
    }

    fn record(&mut self, at: usize, what: What) {
        let (at_ms, home) = (self.time, home_name(self.homes[at].id));
        if let Some(recorder) = &mut self.recorder {
            recorder.history.push(Line { at_ms, home, what });
        }
    }
}

/// Names that sort as the ids do.
fn home_name(id: HomeId) -> String {
    format!("home{:02}", id.0[0])
}

fn name(key: &EntityKey) -> String {
    match key.space {
        Space::Joint => format!("joint/{}", key.id),
        Space::Home(home) => format!("{}/{}", home_name(home), key.id),
    }
}

fn dot_name(dot: Dot) -> DotName {
    DotName {
        actor: format!("{}#{:010}", home_name(dot.actor.home), dot.actor.incarnation),
        stamp: dot.hlc.0,
    }
}

fn holds(entity: &Entity) -> What {
    let view = View::of(&entity.siblings, entity.strategy).filter(|view| !view.deleted);
    What::Holds {
        entity: name(&entity.key),
        versions: entity.siblings.iter().map(held).collect(),
        strategy: entity.strategy.to_string(),
        shown: view.map(|view| text(view.groups())),
        device: entity.class == Class::Device,
    }
}

fn held(version: &Version) -> Held {
    let group = |group: crate::body::Group<'_>| {
        let said = HeldGroup { dot: dot_name(group.dot), values: values(&group) };
        (group.key().to_owned(), said)
    };
    let seen = version.context.dots().map(dot_name);
    Held {
        dot: dot_name(version.dot),
        context: seen.map(|dot| (dot.actor, dot.stamp)).collect(),
        content: content(version),
        deleted: version.deleted,
        untimed: !version.timed,
        groups: version.groups().map(group).collect(),
    }
}

fn content(version: &Version) -> String {
    text(version.groups())
}

/// Returns the text of groups, as histories have it.
fn text<'a>(groups: impl Iterator<Item = crate::body::Group<'a>>) -> String {
    let mut all: Vec<_> = groups.map(|group| (group.key().to_owned(), values(&group))).collect();
    all.sort();
    all.into_iter().map(|(key, values)| format!("{key}={values};")).collect()
}

fn values(group: &crate::body::Group<'_>) -> String {
    let fields: Vec<_> = group.fields().map(|(name, value)| format!("{name}:{value}")).collect();
    fields.join(",")
}
