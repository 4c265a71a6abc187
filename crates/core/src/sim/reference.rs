//! What a home must show of an entity, worked out a second time from plain sets: no bytes, no sorting, no shortcuts.

use std::collections::{BTreeMap, BTreeSet};

use super::checks::Checked;
use crate::{
    defaults::MAX_SKEW_MS,
    dot::Dot,
    policy::Strategy,
    siblings::Siblings,
    table::Entity,
    version::{Cause, Version},
    view::View,
};

/// The values of one group, and the change that last touched it.
type Group = (Vec<(String, String)>, Dot);

/// The groups of a version by their keys.
type Groups = BTreeMap<String, Group>;

/// What is shown, in plain sets.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    groups: Groups,
    deleted: bool,
    contested: BTreeSet<String>,
    open: bool,
}

/// Compares what an entity shows with what it must show.
pub(super) fn check_view(entity: &Entity) -> Checked {
    let Some(view) = View::of(&entity.siblings, entity.strategy) else { return Ok(()) };
    let must = shown(&entity.siblings, entity.strategy);
    let shows = Shown {
        groups: plain(view.groups()),
        deleted: view.deleted,
        contested: view.contested.iter().map(|key| key.to_string()).collect(),
        open: view.open,
    };
    match shows == must {
        true => Ok(()),
        false => Err(format!("I1: {entity:?} shows {shows:?} instead of {must:?}")),
    }
}

/// Checks that a new version gives its dot to the groups whose values it has changed, and to no others.
pub(super) fn check_write(before: Option<&Entity>, version: &Version) -> Checked {
    let before = before.filter(|entity| !entity.is_open() && !entity.siblings.is_empty());
    let base = before.map(|entity| shown(&entity.siblings, entity.strategy).groups).unwrap_or_default();
    for (key, (values, dot)) in plain(version.groups()) {
        let kept = base.get(&key).filter(|(known, _)| *known == values).map(|(_, dot)| *dot);
        // a stamp from the future is said anew
        let kept = kept.filter(|kept| kept.hlc.ms() <= version.dot.hlc.ms() + MAX_SKEW_MS);
        if before.is_some() && dot != kept.unwrap_or(version.dot) {
            return Err(format!("I5: {key} of {version:?} says {dot:?}, but was last changed by {kept:?}"));
        }
    }
    Ok(())
}

/// Returns the fields that an entity shows, each with its value and the change that last touched its group.
pub(super) fn fields(entity: &Entity) -> BTreeMap<String, (String, Dot)> {
    let groups = if entity.siblings.is_empty() {
        Groups::new()
    } else {
        shown(&entity.siblings, entity.strategy).groups
    };
    let each = groups
        .into_values()
        .flat_map(|(values, dot)| values.into_iter().map(move |(name, value)| (name, (value, dot))));
    each.collect()
}

fn shown(siblings: &Siblings, strategy: Strategy) -> Shown {
    let mut latest = &siblings[0];
    for version in siblings.iter() {
        let (a, b) = (version.dot, latest.dot);
        let later = (version.timed, a.hlc.0, a.actor.home.0, a.actor.incarnation)
            > (latest.timed, b.hlc.0, b.actor.home.0, b.actor.incarnation);
        latest = if later { version } else { latest };
    }
    let (merged, contested) = merged(siblings);
    let differ = siblings.iter().any(|version| {
        let values = |version: &Version| -> BTreeMap<_, _> {
            plain(version.groups()).into_iter().map(|(key, (values, _))| (key, values)).collect()
        };
        version.deleted != latest.deleted || values(version) != values(latest)
    });
    let undecided = siblings.iter().any(|version| version.cause != Cause::Strategy);
    let open = match strategy {
        Strategy::LatestWins | Strategy::Merge => false,
        Strategy::UserChoice => differ,
        Strategy::Custom => differ && undecided,
    };
    match strategy == Strategy::Merge && siblings.len() > 1 {
        true => {
            let deleted = merged.is_empty() && siblings.iter().any(|version| version.deleted);
            Shown { groups: merged, deleted, contested, open }
        }
        false => Shown { groups: plain(latest.groups()), deleted: latest.deleted, contested, open },
    }
}

/// Per key: of what nobody else has seen and left otherwise, the latest; contested where that differs.
fn merged(siblings: &Siblings) -> (Groups, BTreeSet<String>) {
    let all: Vec<(&Version, Groups)> =
        siblings.iter().map(|version| (version, plain(version.groups()))).collect();
    let keys: BTreeSet<&String> = all.iter().flat_map(|(_, groups)| groups.keys()).collect();
    let (mut shown, mut contested) = (Groups::new(), BTreeSet::new());
    for key in keys {
        let mut live: Vec<&Group> = Vec::new();
        for (_, groups) in &all {
            let Some(group) = groups.get(key) else { continue };
            let left_otherwise = all.iter().any(|(other, theirs)| {
                saw(other, group.1) && theirs.get(key).is_none_or(|kept| kept.1 != group.1)
            });
            if !left_otherwise {
                live.push(group);
            }
        }
        let Some(latest) = live.iter().max_by_key(|group| (group.1.hlc, group.1.actor)) else { continue };
        shown.insert(key.clone(), (*latest).clone());
        if siblings.len() > 1 && live.iter().any(|group| group.0 != latest.0) {
            contested.insert(key.clone());
        }
    }
    (shown, contested)
}

/// Tells whether a version says that its author had seen a change.
fn saw(version: &Version, dot: Dot) -> bool {
    let own = std::iter::once(version.dot);
    own.chain(version.context.dots()).any(|seen| seen.actor == dot.actor && dot.hlc <= seen.hlc)
}

fn plain<'a>(groups: impl Iterator<Item = crate::body::Group<'a>>) -> Groups {
    let values = |group: &crate::body::Group<'_>| {
        group.fields().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    groups.map(|group| (group.key().to_owned(), (values(&group), group.dot))).collect()
}
