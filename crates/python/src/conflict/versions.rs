//! Two versions of an entity side by side: which is the later, and what they make together.
//!
//! A version is what Python has of an entity: an object with `state`, `attributes`, `last_updated` and whatever else.
//! What is decided here does not depend on which of the two is called local, so both homes decide alike.

use std::cmp::Ordering;

use crosshome_core::{
    EntityId,
    groups::{STATE, group_of},
    json::{Json, Members},
    update::{Attributes, Update},
};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde_json::{Map, Value};

/// What says when and by whom a version was written; two versions that differ in nothing else say the same.
const WHEN_AND_WHO: [&str; 6] =
    ["last_updated", "last_changed", "last_reported", "last_updated_by", "updated_by", "home"];

/// One version.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    members: Map<String, Value>,
    /// When it was written, if it says so.
    at: Option<Timestamp>,
    /// The whole of it, canonical.
    text: Json,
}

/// One of two versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Local,
    Remote,
}

impl Version {
    /// Reads a canonical object.
    ///
    /// # Errors
    ///
    /// Refuses attributes that are no object, or beyond what an entity has, and a time that cannot be read.
    pub(crate) fn read(text: Json) -> Result<Self, VersionError> {
        let members: Map<String, Value> =
            serde_json::from_str(text.as_str()).map_err(|error| VersionError::Form(error.to_string()))?;
        check_names(&members)?;
        match members.get("attributes") {
            None | Some(Value::Null) => {}
            Some(Value::Object(attributes)) => check_names(attributes)?,
            Some(_) => return Err(VersionError::Attributes),
        }
        let at = members.get("last_updated").map_or(Ok(None), moment)?;
        Ok(Self { members, at, text })
    }

    /// Returns the canonical text.
    pub(crate) fn text(&self) -> &str {
        self.text.as_str()
    }

    fn state(&self) -> Option<&Value> {
        self.members.get("state").filter(|state| !state.is_null())
    }

    /// Returns state and attributes, the state under its own name ([`STATE`]).
    fn fields(&self) -> Map<String, Value> {
        let attributes = self.members.get("attributes").and_then(Value::as_object);
        let state = self.state().map(|state| (STATE.to_owned(), state.clone()));
        let attributes = attributes.into_iter().flatten().map(|(name, value)| (name.clone(), value.clone()));
        state.into_iter().chain(attributes).collect()
    }

    /// Returns all else.
    fn rest(&self) -> Map<String, Value> {
        let rest = self.members.iter().filter(|(name, _)| !matches!(name.as_str(), "state" | "attributes"));
        rest.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// Returns what it says of anything but state, attributes, time and author.
    fn said_beside(&self) -> Map<String, Value> {
        let mut rest = self.rest();
        rest.retain(|name, _| !WHEN_AND_WHO.contains(&name.as_str()));
        rest
    }

    fn has_attributes(&self) -> bool {
        self.members.get("attributes").is_some_and(Value::is_object)
    }

    /// Orders versions: the greater is the later, and only one that is the same in every letter is equal.
    fn rank(&self, other: &Self) -> Ordering {
        let of = |version: &Self| (version.state().is_some(), version.at);
        of(self).cmp(&of(other)).then_with(|| self.text.cmp(&other.text))
    }
}

/// Returns the side whose version is the later.
pub(crate) fn later(local: &Version, remote: &Version) -> Side {
    if local.rank(remote).is_ge() { Side::Local } else { Side::Remote }
}

/// Tells whether two versions say the same, whenever and by whom they were written.
pub(crate) fn same(local: &Version, remote: &Version) -> bool {
    local.fields() == remote.fields() && local.said_beside() == remote.said_beside()
}

/// Returns what two versions make together.
///
/// Every key of either stands in it, and every attribute. Where both have one and differ, the later counts, unless `before`
/// shows that only the earlier has changed it; fields that depend on each other count together (`groups`).
pub(crate) fn merged(id: &EntityId, local: &Version, remote: &Version, before: Option<&Version>) -> Value {
    let (earlier, later) = match later(local, remote) {
        Side::Local => (remote, local),
        Side::Remote => (local, remote),
    };
    let alone = |name: &str| name.to_owned();
    let together = |name: &str| group_of(id.domain(), name).to_owned();
    let (rests, fields) = ([earlier, later].map(Version::rest), [earlier, later].map(Version::fields));
    let mut merged = Merge { sides: &rests, before: before.map(Version::rest) }.merged(alone);
    let mut attributes = Merge { sides: &fields, before: before.map(Version::fields) }.merged(together);
    if let Some(state) = attributes.remove(STATE) {
        merged.insert("state".into(), state);
    }
    if !attributes.is_empty() || earlier.has_attributes() || later.has_attributes() {
        merged.insert("attributes".into(), attributes.into());
    }
    Value::Object(merged)
}

/// Two objects that become one.
struct Merge<'a> {
    /// The earlier and the later one.
    sides: &'a [Map<String, Value>; 2],
    before: Option<Map<String, Value>>,
}

impl Merge<'_> {
    /// Returns what they make together; `group` names what a key depends on.
    fn merged(&self, group: impl Fn(&str) -> String) -> Map<String, Value> {
        let [earlier, later] = self.sides;
        let names = later.keys().chain(earlier.keys().filter(|name| !later.contains_key(*name)));
        let value = |name: &String| {
            let together = |other: &&String| group(other) == group(name);
            let value = match &self.before {
                Some(before) if !changed(later, before, together) => earlier.get(name),
                Some(before) if !changed(earlier, before, together) => later.get(name),
                _ => later.get(name).or_else(|| earlier.get(name)),
            };
            Some((name.clone(), value?.clone()))
        };
        names.filter_map(value).collect()
    }
}

/// Tells whether a side has another value than before under any of some names.
fn changed(side: &Map<String, Value>, before: &Map<String, Value>, which: impl Fn(&&String) -> bool) -> bool {
    side.keys().chain(before.keys()).filter(which).any(|name| side.get(name) != before.get(name))
}

/// Reads when something was written: a time with an offset, one without (that is UTC), or seconds since 1970.
fn moment(value: &Value) -> Result<Option<Timestamp>, VersionError> {
    let wrong = || VersionError::Time(value.to_string());
    let moment = match value {
        Value::Null => return Ok(None),
        Value::String(text) if text.is_empty() => return Ok(None),
        Value::String(text) => text.parse::<Timestamp>().or_else(|_| {
            let naive: DateTime = text.parse()?;
            TimeZone::UTC.to_timestamp(naive)
        }),
        Value::Number(seconds) => {
            let micros = seconds.as_f64().ok_or_else(wrong)? * 1e6;
            Timestamp::from_microsecond(micros.round() as i64)
        }
        _ => return Err(wrong()),
    };
    moment.map(Some).map_err(|_| wrong())
}

/// Checks names and number as those of attributes.
fn check_names(members: &Map<String, Value>) -> Result<(), VersionError> {
    let names = members.keys().map(|name| (name, Json::string("")));
    let update = Update { state: None, attributes: Attributes::Replace(Members::from_iter(names)) };
    update.check().map_err(|error| VersionError::Form(error.to_string()))
}

/// Why something is no version of an entity.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VersionError {
    /// Not an object, or names beyond what is allowed.
    #[error("{0}")]
    Form(String),
    /// Attributes of another kind.
    #[error("attributes must be a dict")]
    Attributes,
    /// No time.
    #[error("last_updated is {0}, which is no time such as 2026-11-24T12:00:00Z")]
    Time(String),
}
