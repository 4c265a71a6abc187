//! What must be shown of a set of versions (I1).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{DotName, Held, HeldGroup, dots::Dots, graph::Family, house, tidings::Finding};

/// What was shown of each set of versions.
#[derive(Debug, Default)]
pub(super) struct Views<'a>(HashMap<(&'a str, Vec<usize>, &'a str), Option<&'a str>>);

impl<'a> Views<'a> {
    /// Checks that a set shows what it showed before, and what its strategy has to show.
    pub(super) fn shows(
        &mut self,
        at: usize,
        entity: &'a str,
        family: &Family<'a>,
        now: &house::Held<'a>,
    ) -> Option<Finding> {
        let key = (entity, now.dots.iter().collect(), now.strategy);
        let before = *self.0.entry(key).or_insert(now.shown);
        let (names, shown) = (family.names(&now.dots), now.shown);
        if before != shown {
            let what = format!("{names} of {entity} show {shown:?}, and showed {before:?} before");
            return Some(Finding::new(1, at, what));
        }
        let must = must_show(family, &now.dots, now.strategy);
        let right = must.is_none_or(|must| must.contains(&shown.map(str::to_owned)));
        (!right)
            .then(|| Finding::new(1, at, format!("{names} of {entity} show {shown:?} by {}", now.strategy)))
    }
}

/// Returns what may be shown; nothing where the history does not tell.
fn must_show(family: &Family<'_>, dots: &Dots, strategy: &str) -> Option<BTreeSet<Option<String>>> {
    let versions: Vec<&Held> = dots.iter().map(|number| family.said(number)).collect::<Option<_>>()?;
    let latest = versions.iter().map(|version| (!version.untimed, version.dot.stamp)).max()?;
    if strategy == "merge" && versions.len() > 1 {
        let all = versions.iter().all(|version| version.deleted || !version.groups.is_empty());
        return all.then(|| [merged(&versions)].into());
    }
    // of stamps that are equal the greater actor decides, which names do not tell
    let tops = versions.iter().filter(|version| (!version.untimed, version.dot.stamp) == latest);
    Some(tops.map(|version| (!version.deleted).then(|| version.content.clone())).collect())
}

/// Per group: of what no other author had seen and left otherwise, the latest.
fn merged(versions: &[&Held]) -> Option<String> {
    let keys: BTreeSet<&String> = versions.iter().flat_map(|version| version.groups.keys()).collect();
    let mut shown: BTreeMap<&String, &HeldGroup> = BTreeMap::new();
    for key in keys {
        let stands = |group: &&HeldGroup| {
            let left_otherwise = |other: &&Held| {
                let kept = other.groups.get(key).is_some_and(|theirs| theirs.dot == group.dot);
                had_seen(other, &group.dot) && !kept
            };
            !versions.iter().any(left_otherwise)
        };
        let groups = versions.iter().filter_map(|version| version.groups.get(key)).filter(stands);
        if let Some(latest) = groups.max_by_key(|group| (group.dot.stamp, &group.dot.actor)) {
            shown.insert(key, latest);
        }
    }
    let deleted = shown.is_empty() && versions.iter().any(|version| version.deleted);
    (!deleted).then(|| text(shown.into_iter().map(|(key, group)| (key.as_str(), group.values.as_str()))))
}

/// Tells whether a version's author says to have seen a change.
fn had_seen(version: &Held, dot: &DotName) -> bool {
    let own = version.dot.actor == dot.actor && dot.stamp <= version.dot.stamp;
    own || version.context.get(&dot.actor).is_some_and(|stamp| dot.stamp <= *stamp)
}

/// Returns the text of groups, as `content` and `shown` have it.
pub(super) fn text<'t>(groups: impl Iterator<Item = (&'t str, &'t str)>) -> String {
    groups.map(|(key, values)| format!("{key}={values};")).collect()
}
