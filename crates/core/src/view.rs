//! What a home shows of an entity whose siblings may differ.
//!
//! `latest-wins` shows the latest version as a whole. `merge` goes by field group:
//! a group counts unless another version's author had seen it and left it
//! otherwise; if both sides changed it, the later one is shown and the group is
//! contested. `user-choice` and `custom` show the latest version for the time being,
//! and the view stays open until somebody or something has decided. All are functions
//! of the whole set, so homes with equal siblings show the same, in whatever order
//! they learned of them, and write nothing.

use std::borrow::Cow;

use crate::{
    body::{Body, Group},
    bug::{self, Bug},
    dot::Dot,
    policy::Strategy,
    siblings::Siblings,
    version::{Cause, Version},
};

/// What is shown of an entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The latest version's dot: when and by whom the entity was last updated.
    pub dot: Dot,
    /// The shown groups, as those of a version named `dot`.
    pub body: Body,
    /// Whether the entity is shown as deleted.
    pub deleted: bool,
    /// The keys of groups that several homes changed without knowing of each other.
    pub contested: Vec<Box<str>>,
    /// Whether a decision is awaited: what is shown is provisional.
    pub open: bool,
}

impl View {
    /// Returns the view of the siblings, or nothing when there are none.
    pub fn of(siblings: &Siblings, strategy: Strategy) -> Option<Self> {
        let latest = siblings.latest()?;
        let mut view = Self {
            dot: latest.dot,
            body: latest.body.clone(),
            deleted: latest.deleted,
            contested: Vec::new(),
            open: is_open(siblings, strategy),
        };
        if siblings.len() > 1 {
            let (groups, contested) = merged(siblings);
            view.contested = contested;
            if strategy == Strategy::Merge {
                view.deleted = groups.is_empty() && siblings.iter().any(|version| version.deleted);
                view.body = Body::of(view.dot, groups);
            }
        }
        Some(view)
    }

    /// Returns the shown groups, sorted by key.
    pub fn groups(&self) -> impl Iterator<Item = Group<'_>> {
        self.body.groups(self.dot)
    }

    /// Returns the shown fields and their canonical JSON, group by group.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.groups().flat_map(|group| group.fields())
    }
}

/// What is shown of an entity, to be read or to start an update from, without building a view.
#[derive(Clone, Debug)]
pub struct Shown<'a> {
    dot: Dot,
    body: Cow<'a, Body>,
}

impl<'a> Shown<'a> {
    /// Returns what is shown of the siblings, if there are any.
    pub fn of(siblings: &'a Siblings, strategy: Strategy) -> Option<Self> {
        let latest = siblings.latest()?;
        Some(match strategy {
            Strategy::Merge if siblings.len() > 1 => {
                Self { dot: latest.dot, body: Cow::Owned(Body::of(latest.dot, merged(siblings).0)) }
            }
            _ => Self::version(latest),
        })
    }

    /// Returns what one version shows.
    pub fn version(version: &'a Version) -> Self {
        Self { dot: version.dot, body: Cow::Borrowed(&version.body) }
    }

    /// Returns what is shown of an entity that nobody has written yet.
    pub fn nothing(dot: Dot) -> Self {
        Self { dot, body: Cow::Owned(Body::default()) }
    }

    /// Returns the groups, sorted by key.
    pub fn groups(&self) -> impl Iterator<Item = Group<'_>> + Clone {
        self.body.groups(self.dot)
    }

    /// Returns the latest change that it shows.
    pub fn dot(&self) -> Dot {
        self.dot
    }
}

/// Tells whether the siblings await a decision.
///
/// Decisions of a strategy that were taken apart do not await another one: the latest of them holds.
pub fn is_open(siblings: &Siblings, strategy: Strategy) -> bool {
    match strategy {
        Strategy::LatestWins | Strategy::Merge => false,
        Strategy::UserChoice => differ(siblings),
        Strategy::Custom => {
            siblings.iter().any(|version| version.cause != Cause::Strategy) && differ(siblings)
        }
    }
}

/// Tells whether versions say different things.
pub fn differ(siblings: &[Version]) -> bool {
    siblings.windows(2).any(|pair| !same(&pair[0], &pair[1]))
}

/// Tells whether two versions say the same.
fn same(a: &Version, b: &Version) -> bool {
    let (mut left, mut right) = (a.groups(), b.groups());
    loop {
        match (left.next(), right.next()) {
            (Some(x), Some(y)) if x.key == y.key && x.same_values(&y) => {}
            (None, None) => return a.deleted == b.deleted,
            _ => return false,
        }
    }
}

/// Merges the groups of all siblings and names those that are contested.
pub fn merged(siblings: &[Version]) -> (Vec<Group<'_>>, Vec<Box<str>>) {
    let mut all: Vec<_> =
        siblings.iter().flat_map(|version| version.groups().map(move |group| (group, version))).collect();
    all.sort_by(|(a, _), (b, _)| a.key.cmp(b.key));
    let (mut shown, mut contested) = (Vec::new(), Vec::new());
    for same_key in all.chunk_by(|(a, _), (b, _)| a.key == b.key) {
        let live: Vec<_> =
            same_key.iter().map(|&(group, _)| group).filter(|group| !outdated(group, siblings)).collect();
        let latest = match bug::is(Bug::OlderMerged) {
            true => live.iter().min_by_key(|group| group.dot.rank()),
            false => live.iter().max_by_key(|group| group.dot.rank()),
        };
        let Some(latest) = latest else { continue };
        let apart = |group: &Group<'_>| !group.same_values(latest) || bug::is(Bug::EqualContested);
        if live.iter().any(apart) {
            contested.push(latest.key().into());
        }
        shown.push(*latest);
    }
    (shown, contested)
}

/// Tells whether some author had seen the group and left it changed or removed.
pub fn outdated(group: &Group<'_>, siblings: &[Version]) -> bool {
    siblings.iter().any(|version| {
        let left = match version.group(group.key()) {
            Some(kept) => kept.dot != group.dot && !bug::is(Bug::OutdatedShown),
            None => !bug::is(Bug::RemovedReturns),
        };
        version.has_seen(group.dot) && left
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        HomeId,
        dot::{Actor, VersionVector},
        hlc::Hlc,
        update::Update,
        version::Cause,
    };

    fn version(home: u8, ms: u64, base: Option<&Version>, update: &Update) -> Version {
        let dot = Dot { actor: Actor::first(HomeId([home; 32])), hlc: Hlc::at(ms) };
        let groups: Vec<_> = base.iter().flat_map(|version| version.groups()).collect();
        let mut context: VersionVector = base.iter().map(|version| version.dot).collect();
        context.remove(dot.actor);
        let body = update.apply("light", groups, dot).unwrap().expect("the update changes something");
        Version {
            dot,
            context,
            body,
            cause: Cause::Person,
            deleted: false,
            timed: true,
            unknown: Box::default(),
        }
    }

    fn shown(siblings: &Siblings, strategy: Strategy) -> Vec<String> {
        let view = View::of(siblings, strategy).unwrap();
        view.groups()
            .flat_map(|group| group.fields())
            .map(|(name, value)| format!("{name}={value}"))
            .collect()
    }

    fn conflict(left: &str, right: &str) -> Siblings {
        let base =
            version(1, 1, None, &Update::replace("on", r#"{"brightness":1,"effect":"none"}"#).unwrap());
        let left = version(1, 5, Some(&base), &Update::replace("on", left).unwrap());
        let right = version(2, 9, Some(&base), &Update::replace("on", right).unwrap());
        [left, right].into_iter().collect()
    }

    #[test]
    fn merge_takes_each_side_where_it_changed() {
        let siblings = conflict(r#"{"brightness":2,"effect":"none"}"#, r#"{"brightness":1,"effect":"rain"}"#);
        assert_eq!(shown(&siblings, Strategy::Merge), ["brightness=2", r#"effect="rain""#, r#"="on""#]);
        assert_eq!(shown(&siblings, Strategy::LatestWins)[0], "brightness=1");
        assert!(View::of(&siblings, Strategy::Merge).unwrap().contested.is_empty());
    }

    #[test]
    fn group_changed_on_both_sides_shows_the_later_and_is_contested() {
        let siblings = conflict(r#"{"brightness":2,"effect":"none"}"#, r#"{"brightness":3,"effect":"none"}"#);
        let view = View::of(&siblings, Strategy::Merge).unwrap();
        assert_eq!(shown(&siblings, Strategy::Merge)[0], "brightness=3");
        assert_eq!(view.contested, ["brightness".into()]);
    }

    #[test]
    fn change_beats_a_removal_made_at_the_same_time() {
        let siblings = conflict(r#"{"brightness":2,"effect":"none"}"#, r#"{"effect":"none"}"#);
        assert_eq!(shown(&siblings, Strategy::Merge)[0], "brightness=2");
        let removed = conflict(r#"{"brightness":1,"effect":"rain"}"#, r#"{"effect":"none"}"#);
        assert_eq!(shown(&removed, Strategy::Merge), [r#"effect="rain""#, r#"="on""#]);
    }
}
