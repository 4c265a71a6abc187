//! One conflict on record: the versions that differed, which strategy met them, and how it ended.
//!
//! A record keeps the versions whole, with what their authors had seen. So what differs, who lost to which
//! strategy and what a merge makes of them is worked out when somebody asks, and never has to agree with a
//! copy. Stored it is one JSON text: what people read stands beside the versions, which are the CBOR of
//! [`record`] in base64.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use crosshome_core::{
    EntityKey, HomeId, Space,
    conflict::Conflict,
    groups::STATE,
    policy::Strategy,
    record::{self, Place},
    siblings::Siblings,
    table::{Class, Entity},
    version::Version,
    view,
};
use serde::{Deserialize, Serialize};

use crate::{event_loop::entities::by, views::Stamp};

/// A conflict on record.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    pub(crate) key: EntityKey,
    /// When this home first saw it.
    pub(crate) detected_at: Stamp,
    /// The strategy in force while it lasted.
    pub(crate) strategy: Strategy,
    /// The versions that differed.
    pub(crate) versions: Siblings,
    /// What put an end to it; none while the versions stand side by side.
    pub(crate) end: Option<End>,
}

/// A version whose author had seen all of the conflict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct End {
    pub(crate) at: Stamp,
    /// Whose version it is.
    #[serde(with = "as_text")]
    pub(crate) home: HomeId,
    /// Who caused it, as people read it.
    pub(crate) by: String,
    /// What it says.
    pub(crate) with: With,
}

/// What the version that ended a conflict says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum With {
    /// The same as the version of this home.
    Version(#[serde(with = "as_text")] HomeId),
    /// What `merge` makes of the versions.
    Merged,
    /// Something else.
    Value,
    /// That the entity is deleted.
    Deletion,
}

/// What is stored.
#[derive(Serialize, Deserialize)]
struct Text {
    space: String,
    entity_id: String,
    detected_at: Stamp,
    strategy: String,
    fields: Vec<String>,
    versions: String,
    end: Option<End>,
}

impl Record {
    pub(crate) fn of(conflict: Conflict, detected_at: Stamp) -> Self {
        let Conflict { key, strategy, versions } = conflict;
        Self { key, detected_at, strategy, versions, end: None }
    }

    /// Tells whether it awaits a decision.
    pub(crate) fn is_open(&self) -> bool {
        self.end.is_none() && view::is_open(&self.versions, self.strategy)
    }

    /// Returns the version that has seen all of this conflict, if these siblings have one.
    pub(super) fn ended_by<'a>(&self, siblings: &'a [Version]) -> Option<&'a Version> {
        let fresh = |version: &&Version| !self.versions.contains(version);
        let seen_all = |version: &&Version| self.versions.iter().all(|known| version.has_seen(known.dot));
        siblings.iter().filter(fresh).filter(seen_all).max_by_key(|version| version.rank())
    }

    /// Returns how the conflict ends by a version.
    pub(super) fn end_by(&self, version: &Version) -> End {
        let at = Stamp(version.dot.hlc.ms() as i64);
        End { at, home: version.dot.actor.home, by: by(version.cause).into(), with: self.with(version) }
    }

    fn with(&self, version: &Version) -> With {
        if version.deleted {
            return With::Deletion;
        }
        let said = fields(version);
        let alike = self.versions.iter().filter(|known| !known.deleted && fields(known) == said);
        if let Some(known) = alike.max_by_key(|known| known.rank()) {
            return With::Version(known.dot.actor.home);
        }
        let (merged, _) = view::merged(&self.versions);
        let merged: BTreeMap<_, _> = merged.iter().flat_map(|group| group.fields()).collect();
        if merged == said { With::Merged } else { With::Value }
    }

    /// Returns the names of the fields that differ.
    pub(crate) fn fields(&self) -> Vec<String> {
        let all: Vec<_> = self.versions.iter().map(fields).collect();
        let names: BTreeSet<_> = all.iter().flat_map(|fields| fields.keys().copied()).collect();
        let differs = |name: &&str| all.iter().any(|fields| fields.get(name) != all[0].get(name));
        let shown = |name: &str| if name == STATE { "state".to_owned() } else { name.to_owned() };
        names.into_iter().filter(differs).map(shown).collect()
    }

    /// Returns what became of one of the versions.
    pub(crate) fn fate(&self, version: &Version) -> String {
        match (self.strategy, &self.end) {
            (Strategy::LatestWins, _) => match self.is_shown(version) {
                true => "shown".into(),
                false => "lost to latest-wins".into(),
            },
            (Strategy::Merge, _) => match self.outvoted(version) {
                lost if lost.is_empty() => "merged".into(),
                lost => format!("lost to merge in {}", lost.join(", ")),
            },
            (_, None) if self.is_open() => "awaits a choice".into(),
            (strategy, None) => match self.is_shown(version) {
                true => "shown".into(),
                false => format!("lost to {strategy}"),
            },
            (_, Some(End { with: With::Merged, .. })) => "merged".into(),
            (_, Some(End { with: With::Version(home), .. })) if *home == version.dot.actor.home => {
                "chosen".into()
            }
            _ => "not chosen".into(),
        }
    }

    /// Tells whether `latest-wins` shows what this version says.
    fn is_shown(&self, version: &Version) -> bool {
        self.versions.latest().is_some_and(|latest| {
            latest.dot == version.dot || !view::differ(&[latest.clone(), version.clone()])
        })
    }

    /// Returns the groups in which a change of this version was outvoted by a later one.
    fn outvoted(&self, version: &Version) -> Vec<Box<str>> {
        let (merged, contested) = view::merged(&self.versions);
        let outvoted = |key: &str| {
            let shown = merged.iter().find(|group| group.key() == key);
            let (Some(shown), Some(own)) = (shown, version.group(key)) else { return false };
            // what another author had seen and left otherwise was replaced, not outvoted
            !view::outdated(&own, &self.versions) && !own.same_values(shown)
        };
        contested.into_iter().filter(|key| outvoted(key)).collect()
    }

    /// Returns how it was settled, in words; nothing while it is open.
    pub(crate) fn outcome(&self, name: impl Fn(HomeId) -> String) -> Option<String> {
        if self.is_open() {
            return None;
        }
        let latest = self.versions.latest().map(|version| name(version.dot.actor.home)).unwrap_or_default();
        let end = self.end.as_ref().map(|End { home, by, with, .. }| {
            let what = match with {
                With::Version(of) => format!("the version of {}", name(*of)),
                With::Merged => "the versions merged".into(),
                With::Value => "another value".into(),
                With::Deletion => "a deletion".into(),
            };
            format!("{} ({by}) with {what}", name(*home))
        });
        let strategy = match self.strategy {
            Strategy::Merge => "merge took each side where it had changed".to_owned(),
            Strategy::LatestWins => format!("latest-wins took the version of {latest}"),
            other => match end {
                Some(end) => return Some(format!("settled by {end}")),
                None => format!("{other} took the version of {latest}"),
            },
        };
        Some(end.map_or(strategy.clone(), |end| format!("{strategy}, then written over by {end}")))
    }

    /// Follows a home to its new id, as far as the record names its space.
    pub(super) fn rename(&mut self, old: HomeId, new: HomeId) -> bool {
        let ours = self.key.space == Space::Home(old);
        if ours {
            self.key.space = Space::Home(new);
        }
        ours
    }

    pub(super) fn to_text(&self) -> String {
        let entity = Entity {
            siblings: self.versions.clone(),
            strategy: self.strategy,
            ..Entity::new(self.key.clone(), Class::Document)
        };
        let text = Text {
            space: match self.key.space {
                Space::Home(home) => home.to_string(),
                Space::Joint => "joint".into(),
            },
            entity_id: self.key.id.to_string(),
            detected_at: self.detected_at,
            strategy: self.strategy.to_string(),
            fields: self.fields(),
            versions: STANDARD.encode(record::encode(&entity)),
            end: self.end.clone(),
        };
        serde_json::to_string(&text).expect("texts and times have a JSON form")
    }

    /// Reads what was stored; nothing if it is damaged.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        let Text { space, entity_id, detected_at, versions, end, .. } = serde_json::from_str(text).ok()?;
        let space = match &*space {
            "joint" => Space::Joint,
            home => Space::Home(home.parse().ok()?),
        };
        let key = EntityKey { space, id: entity_id.parse().ok()? };
        let place = Place { key, birth: 0, seq: 0 };
        let entity = record::decode(place, &STANDARD.decode(versions).ok()?).ok()?;
        let Entity { key, strategy, siblings, .. } = entity;
        Some(Self { key, detected_at, strategy, versions: siblings, end })
    }
}

/// Returns the fields of a version by name.
fn fields(version: &Version) -> BTreeMap<&str, &str> {
    version.fields().collect()
}

mod as_text {
    use crosshome_core::HomeId;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(home: &HomeId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(home)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HomeId, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use crosshome_core::{
        body::Body,
        dot::{Actor, Dot, VersionVector},
        hlc::Hlc,
        update::Update,
        version::Cause,
    };

    use super::*;

    pub(crate) const VILLA: HomeId = HomeId([1; 32]);
    pub(crate) const FLAT: HomeId = HomeId([2; 32]);

    /// Returns a version of a note that follows the given ones.
    pub(crate) fn version(
        home: HomeId,
        ms: u64,
        after: &[&Version],
        state: &str,
        attributes: &str,
    ) -> Version {
        let dot = Dot { actor: Actor::first(home), hlc: Hlc::at(ms) };
        let mut context: VersionVector =
            after.iter().flat_map(|seen| seen.context.dots().chain([seen.dot])).collect();
        context.remove(dot.actor);
        let base: Vec<_> = after.first().map(|first| first.groups().collect()).unwrap_or_default();
        let update = Update::replace(state, attributes).expect("an object");
        let body = update.apply("note", base.iter().copied(), dot).expect("it is small");
        let body = body.unwrap_or_else(|| Body::of(dot, base));
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

    pub(crate) fn conflict(id: &str, strategy: Strategy, versions: &[&Version]) -> Conflict {
        Conflict {
            key: EntityKey { space: Space::Home(VILLA), id: id.parse().expect("an id") },
            strategy,
            versions: versions.iter().map(|&version| version.clone()).collect(),
        }
    }

    /// Returns the versions of both homes that have changed a note apart.
    pub(crate) fn apart() -> (Version, Version) {
        let base = version(VILLA, 1, &[], "milk", r#"{"place":"shop","urgent":false}"#);
        let here = version(VILLA, 5, &[&base], "bread", r#"{"place":"shop","urgent":true}"#);
        let there = version(FLAT, 9, &[&base], "cake", r#"{"place":"market","urgent":false}"#);
        (here, there)
    }

    fn record(strategy: Strategy) -> (Record, Version, Version) {
        let (here, there) = apart();
        let conflict = conflict("note.milk", strategy, &[&here, &there]);
        (Record::of(conflict, Stamp(10)), here, there)
    }

    fn name(home: HomeId) -> String {
        if home == VILLA { "villa" } else { "flat" }.into()
    }

    #[test]
    fn record_comes_back_from_its_text_and_says_what_differs() {
        let (mut record, here, there) = record(Strategy::Merge);
        record.end = Some(record.end_by(&version(FLAT, 20, &[&here, &there], "eggs", "{}")));
        assert_eq!(Record::from_text(&record.to_text()), Some(record.clone()));
        assert_eq!(record.fields(), ["state", "place", "urgent"]);
        for damaged in ["", "{}", r#"{"space":"joint"}"#, &record.to_text().replace("note.milk", "")] {
            assert_eq!(Record::from_text(damaged), None);
        }
    }

    #[test]
    fn stored_form_is_the_agreed_one() {
        let (record, ..) = record(Strategy::UserChoice);
        insta::assert_snapshot!(record.to_text());
    }

    #[test]
    fn loser_is_named_with_the_strategy_it_lost_to() {
        let (latest, here, there) = record(Strategy::LatestWins);
        assert_eq!((&*latest.fate(&here), &*latest.fate(&there)), ("lost to latest-wins", "shown"));
        let (merge, ..) = record(Strategy::Merge);
        assert_eq!((&*merge.fate(&here), &*merge.fate(&there)), ("lost to merge in state", "merged"));
        let (choice, ..) = record(Strategy::UserChoice);
        assert_eq!(choice.fate(&here), "awaits a choice");
        assert!(choice.is_open() && !merge.is_open() && !latest.is_open());
    }

    #[test]
    fn end_says_whose_version_was_taken() {
        let (mut record, here, there) = record(Strategy::UserChoice);
        let taken = version(FLAT, 20, &[&here, &there], "bread", r#"{"place":"shop","urgent":true}"#);
        let merged = version(FLAT, 20, &[&here, &there], "cake", r#"{"place":"market","urgent":true}"#);
        let other = version(FLAT, 20, &[&here, &there], "eggs", "{}");
        assert_eq!(record.end_by(&taken).with, With::Version(VILLA));
        assert_eq!(record.end_by(&merged).with, With::Merged);
        assert_eq!(record.end_by(&other).with, With::Value);
        record.end = Some(record.end_by(&taken));
        assert_eq!((&*record.fate(&here), &*record.fate(&there)), ("chosen", "not chosen"));
        assert_eq!(
            record.outcome(name).as_deref(),
            Some("settled by flat (person) with the version of villa")
        );
    }
}
