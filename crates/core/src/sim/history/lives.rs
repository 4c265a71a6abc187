//! What was deleted, and what began anew (I13).

use std::collections::HashMap;

use super::{
    From,
    dots::Dots,
    graph::Family,
    house::House,
    tidings::{Finding, home_of, owner_of},
};

/// Of each entity, its ended lives.
#[derive(Debug, Default)]
pub(super) struct Lives<'a> {
    /// What is behind the deletions that an owner has forgotten, and with what it began anew.
    buried: HashMap<&'a str, (Dots, Option<usize>)>,
    /// What was there when an owner acknowledged a deletion.
    doomed: HashMap<&'a str, Dots>,
}

impl<'a> Lives<'a> {
    /// Takes note that an owner has acknowledged the deletion of what is there.
    pub(super) fn deleted(&mut self, entity: &'a str, there: Dots) {
        self.doomed.entry(entity).or_default().join(&there);
    }

    /// Takes note that a home has forgotten an entity: an owner does so with the deletions of its own.
    pub(super) fn forgot(&mut self, home: &str, entity: &'a str, family: &Family<'_>, was: &Dots) {
        let deleted = |number| family.said(number).is_some_and(|said| said.deleted);
        if owner_of(entity) == Some(home) && was.iter().all(deleted) {
            let (buried, first) = self.buried.entry(entity).or_default();
            buried.join(&family.behind(was));
            *first = None;
        }
    }

    /// A start may undo what was not durable: a deletion of a device, or a beginning.
    pub(super) fn starts(&mut self, home: &str, from: From, house: &House<'_>) {
        let own = |entity: &str| owner_of(entity) == Some(home);
        if from == From::Backup {
            self.buried.retain(|entity, _| !own(entity));
            self.doomed.retain(|entity, _| !own(entity));
        }
        for (_, (_, first)) in self.buried.iter_mut().filter(|(entity, _)| {
            let device = house.held.get(**entity).is_none_or(|held| held.device);
            own(entity) && from == From::Crash && device
        }) {
            *first = None;
        }
    }

    /// Checks that an owner holds nothing of a life that it has forgotten, nor what was made by who knew that alone.
    pub(super) fn holds(
        &mut self,
        at: usize,
        home: &str,
        entity: &str,
        family: &Family<'_>,
        now: &Dots,
        findings: &mut Vec<Finding>,
    ) {
        if owner_of(entity) != Some(home) {
            return;
        }
        let live: Vec<_> =
            now.iter().filter(|number| family.said(*number).is_some_and(|said| !said.deleted)).collect();
        if live.is_empty() {
            // deleted, or back as it was before its end became durable
            self.buried.remove(entity);
        }
        let Some((buried, first)) = self.buried.get_mut(entity) else { return };
        let own = |number: &&usize| home_of(&family.dot(**number).actor) == home;
        if first.is_none() {
            *first = live.iter().find(own).copied();
        }
        for number in live {
            let anew =
                first.is_none_or(|first| family.behind(&[number].into_iter().collect()).contains(first));
            if buried.contains(number) || !anew {
                let back = family.names(&[number].into_iter().collect());
                findings.push(Finding::new(13, at, format!("{back} of {entity} came back at {home}")));
            }
        }
    }

    /// Returns what must not be there at the end.
    pub(super) fn dead(&self, entity: &str) -> Dots {
        let mut dead = self.doomed.get(entity).cloned().unwrap_or_default();
        if let Some((buried, _)) = self.buried.get(entity) {
            dead.join(buried);
        }
        dead
    }

    /// Tells whether a version is of a life that its owner has forgotten.
    pub(super) fn is_buried(&self, entity: &str, dots: &Dots) -> bool {
        let buried = self.buried.get(entity);
        buried.is_some_and(|(buried, _)| dots.iter().any(|number| buried.contains(number)))
    }
}
