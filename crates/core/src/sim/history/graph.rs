//! The versions of a history and which of them their authors had seen: really, by what their homes had had before,
//! and as they say it, by their contexts.
//!
//! *Behind* a version is what its author had seen: whatever its home had had of the entity when it first had the
//! version, but for what stands beside it; and what is behind that. A home that comes back from a backup has had
//! nothing but what it then holds. Where the author's home never shows a version, its context is believed.

use std::collections::HashMap;

use crate::defaults::MAX_SKEW_MS;

use super::{
    DotName, From, Held, History, What,
    dots::Dots,
    tidings::{Finding, home_of},
};

/// All versions of all entities.
#[derive(Debug, Default)]
pub(super) struct Graph<'a> {
    entities: HashMap<&'a str, Family<'a>>,
    /// Versions that a home had before their author's home is known to have had them, by line and entity.
    orphans: Vec<(usize, &'a str, &'a DotName)>,
}

/// The versions of one entity.
#[derive(Debug, Default)]
pub(super) struct Family<'a> {
    numbers: HashMap<&'a DotName, usize>,
    versions: Vec<Node<'a>>,
    by_content: HashMap<&'a str, Vec<usize>>,
    groups: HashMap<(&'a str, &'a DotName), &'a str>,
}

#[derive(Debug)]
struct Node<'a> {
    dot: &'a DotName,
    said: Option<&'a Held>,
    /// What its author had had.
    before: Option<Dots>,
    /// The line with which its author's home first had it, and when that was.
    made: (usize, u64),
}

impl<'a> Graph<'a> {
    /// Reads all versions of a history; what contradicts itself goes to the findings (I5).
    pub(super) fn of(history: &'a History, findings: &mut Vec<Finding>) -> Self {
        let (mut graph, shown) = (Self::default(), shown_to_authors(history));
        let mut had: HashMap<(&str, &str), Dots> = HashMap::new();
        let mut held: HashMap<(&str, &str), Dots> = HashMap::new();
        for (at, line) in history.lines().iter().enumerate() {
            let (home, moment) = (line.home.as_str(), (at, line.at_ms));
            match &line.what {
                What::Started { from: From::Backup, .. } => had.retain(|(of, _), _| *of != home),
                What::Holds { entity, versions, .. } => {
                    let family = graph.entities.entry(entity.as_str()).or_default();
                    let now: Dots = versions.iter().map(|version| family.number(&version.dot)).collect();
                    for version in versions {
                        findings.extend(family.says(at, entity, version));
                        if home_of(&version.dot.actor) != home && !family.is_authored(&version.dot) {
                            graph.orphans.push((at, entity, &version.dot));
                        }
                    }
                    let (past, prior) = (had.entry((home, entity)).or_default(), held.get(&(home, entity)));
                    family.authored(moment, home, &now, past, prior, &shown);
                    past.join(&now);
                    held.insert((home, entity), now);
                }
                What::Had { entity, dot, content } => {
                    let family = graph.entities.entry(entity.as_str()).or_default();
                    let number = family.number(dot);
                    family.reads(number, content);
                    let past = had.entry((home, entity)).or_default();
                    if !past.contains(number) {
                        let now = [number].into_iter().collect();
                        family.authored(moment, home, &now, past, None, &shown);
                        past.insert(number);
                    }
                }
                _ => {}
            }
        }
        graph
    }

    pub(super) fn of_entity(&self, entity: &str) -> Option<&Family<'a>> {
        self.entities.get(entity)
    }

    /// Returns versions that were held before their authors' homes had them (I5).
    pub(super) fn unwritten(&self) -> impl Iterator<Item = Finding> {
        let nobody = |dot| format!("nobody has written {}", name(dot));
        self.orphans
            .iter()
            .map(move |(at, entity, dot)| Finding::new(5, *at, format!("{} of {entity}", nobody(dot))))
    }

    pub(super) fn entities(&self) -> impl Iterator<Item = (&'a str, &Family<'a>)> {
        self.entities.iter().map(|(name, family)| (*name, family))
    }
}

/// Per version, what its author was shown, where that was not all.
fn shown_to_authors(history: &History) -> HashMap<&DotName, &[DotName]> {
    let shown = history.lines().iter().filter_map(|line| match &line.what {
        What::Wrote { dot: Some(dot), seen: Some(seen), .. } => Some((dot, &seen[..])),
        _ => None,
    });
    shown.collect()
}

impl<'a> Family<'a> {
    fn number(&mut self, dot: &'a DotName) -> usize {
        let next = self.versions.len();
        let number = *self.numbers.entry(dot).or_insert(next);
        if number == next {
            self.versions.push(Node { dot, said: None, before: None, made: (0, 0) });
        }
        number
    }

    fn reads(&mut self, number: usize, content: &'a str) {
        let named = self.by_content.entry(content).or_default();
        if !named.contains(&number) {
            named.push(number);
        }
    }

    fn is_authored(&self, dot: &DotName) -> bool {
        self.numbers.get(dot).is_some_and(|number| self.versions[*number].before.is_some())
    }

    /// Takes note of what a version says, and tells whether it said something else before.
    fn says(&mut self, at: usize, entity: &str, version: &'a Held) -> Option<Finding> {
        let number = self.number(&version.dot);
        self.reads(number, &version.content);
        let known = *self.versions[number].said.get_or_insert(version);
        if known != version {
            let (dot, was, is) = (name(&version.dot), &known.content, &version.content);
            return Some(Finding::new(
                5,
                at,
                format!("{dot} of {entity} says {is:?}, and said {was:?} before"),
            ));
        }
        version.groups.iter().find_map(|(key, group)| {
            let known = *self.groups.entry((key, &group.dot)).or_insert(&group.values);
            (known != group.values).then(|| {
                let (dot, values) = (name(&group.dot), &group.values);
                Finding::new(5, at, format!("{key} of {entity} under {dot} says {values:?}, and {known:?}"))
            })
        })
    }

    /// Takes note of what a home had had when it first had versions of its own.
    fn authored(
        &mut self,
        moment: (usize, u64),
        home: &str,
        now: &Dots,
        past: &Dots,
        prior: Option<&Dots>,
        shown: &HashMap<&DotName, &[DotName]>,
    ) {
        for number in now.iter() {
            let node = &self.versions[number];
            if node.before.is_some() || home_of(&node.dot.actor) != home {
                continue;
            }
            let seen = shown.get(node.dot).map(|shown| {
                // whoever chooses has seen what was shown, and what the home had seen the end of
                let shown = shown.iter().filter_map(|dot| self.numbers.get(dot).copied());
                let mut seen = prior.map_or_else(Dots::default, |prior| past.without(prior));
                seen.join(&shown.collect());
                seen
            });
            self.versions[number].made = moment;
            self.versions[number].before = Some(seen.unwrap_or_else(|| past.clone()).without(now));
        }
    }

    /// Returns these versions and what is behind them.
    pub(super) fn behind(&self, versions: &Dots) -> Dots {
        let (mut behind, mut open) = (Dots::default(), versions.iter().collect::<Vec<_>>());
        while let Some(number) = open.pop() {
            if !behind.insert(number) {
                continue;
            }
            match &self.versions[number].before {
                Some(before) => open.extend(before.without(&behind).iter()),
                None => open.extend((0..self.versions.len()).filter(|other| self.claims(number, *other))),
            }
        }
        behind
    }

    /// Tells whether a version says that its author had seen another.
    pub(super) fn claims(&self, number: usize, other: usize) -> bool {
        let (node, other) = (&self.versions[number], self.versions[other].dot);
        if node.dot.actor == other.actor {
            return other.stamp < node.dot.stamp;
        }
        let context = node.said.and_then(|said| said.context.get(&other.actor));
        context.is_some_and(|stamp| other.stamp <= *stamp)
    }

    pub(super) fn numbered(&self, dot: &DotName) -> Option<usize> {
        self.numbers.get(dot).copied()
    }

    pub(super) fn dots(&self, versions: &[Held]) -> Dots {
        versions.iter().filter_map(|version| self.numbered(&version.dot)).collect()
    }

    /// Returns the versions that say this.
    pub(super) fn saying(&self, content: &str) -> Dots {
        self.by_content.get(content).into_iter().flatten().copied().collect()
    }

    pub(super) fn dot(&self, number: usize) -> &'a DotName {
        self.versions[number].dot
    }

    pub(super) fn said(&self, number: usize) -> Option<&'a Held> {
        self.versions[number].said
    }

    /// Returns the line with which its author's home first had a version, and the time of it.
    pub(super) fn made(&self, number: usize) -> (usize, u64) {
        self.versions[number].made
    }

    /// Tells whether an actor's stamps reach into the future of any of these others, whose authors' clocks stood
    /// behind: a home that says its own again leaves such an actor out of contexts, so it may come back beside them.
    pub(super) fn is_ahead(&self, number: usize, others: &Dots) -> bool {
        let actor = &self.versions[number].dot.actor;
        let of_actor = self.versions.iter().filter(|node| node.dot.actor == *actor);
        let latest = of_actor.map(|node| node.dot.stamp >> 16).max().unwrap_or_default();
        others.iter().any(|other| latest > (self.versions[other].dot.stamp >> 16) + MAX_SKEW_MS)
    }

    pub(super) fn is_proven(&self, number: usize) -> bool {
        self.versions[number].before.is_some()
    }

    pub(super) fn len(&self) -> usize {
        self.versions.len()
    }

    /// Returns the names of versions, for people.
    pub(super) fn names(&self, dots: &Dots) -> String {
        let names: Vec<_> = dots.iter().map(|number| name(self.versions[number].dot)).collect();
        names.join(", ")
    }
}

fn name(dot: &DotName) -> String {
    format!("{}@{}", dot.actor, dot.stamp)
}
