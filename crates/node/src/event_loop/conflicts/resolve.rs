//! A person settles a conflict, or overrules the strategy that has settled it.
//!
//! Whoever decides carries the token of what they were shown, so a decision never covers a version that came since.
//! While the versions stand side by side the decision is the core's; afterwards it is an update on top of what
//! is there now, which the token names too.

use crosshome_core::{
    EntityKey, HomeId,
    conflict::Token,
    groups::STATE,
    json::{Json, Members},
    replica::{Choice, ResolveError},
    table::Class,
    update::{Attributes, Update},
    version::{Cause, Version},
    view,
};

use super::{
    super::{
        Loop,
        entities::{parsed, refused},
        names::{find, invalid, not_found},
        now_ms,
    },
    record::{End, Record, With},
};
use crate::{
    node::{NodeError, Resolution, Settle},
    views::{ConflictView, Stamp},
};

impl Loop {
    /// Settles a conflict as somebody has chosen who was shown what the token names.
    pub(in crate::event_loop) fn resolve(
        &mut self,
        resolution: &Resolution,
    ) -> Result<ConflictView, NodeError> {
        self.store_takes_writes()?;
        let Resolution { id, token, settle } = resolution;
        let (id, record) = self.conflict_named(id)?;
        let record = record.clone();
        let entity =
            self.replica.find(&record.key).ok_or_else(|| not_found("entity", record.key.id.as_str()))?;
        let shown: Token = token.parse().map_err(invalid)?;
        if shown != Token::of(&entity.siblings) {
            return Err(self.stale(id, &record));
        }
        match record.end {
            None => self.decide(id, &record, shown, settle)?,
            Some(_) => self.overrule(id, &record, settle)?,
        }
        self.keep_record();
        let record = self.records.log.get(id).unwrap_or(&record);
        Ok(self.shown_conflict(id, record).view)
    }

    /// Settles what stands side by side.
    fn decide(&mut self, id: u64, record: &Record, shown: Token, settle: &Settle) -> Result<(), NodeError> {
        let choice = match settle {
            Settle::Take(home) => Choice::Take(self.side_of(record, home)?.dot),
            Settle::Merge => Choice::Merge,
            Settle::Value(value) => Choice::Value(parsed(value)?),
        };
        let effects = self.replica.resolve(&record.key, shown, &choice, Cause::Person, now_ms());
        match effects {
            Ok(effects) => self.effects.extend(effects),
            Err(ResolveError::Write(error)) => return Err(self.refused_resolution(&record.key, &error)),
            Err(ResolveError::Unknown) => return Err(invalid(ResolveError::Unknown)),
            Err(_) => return Err(self.stale(id, record)),
        }
        Ok(())
    }

    /// Writes what somebody wants on top of what came after the conflict.
    fn overrule(&mut self, id: u64, record: &Record, settle: &Settle) -> Result<(), NodeError> {
        let (update, with) = match settle {
            Settle::Take(home) => {
                let side = self.side_of(record, home)?;
                let with = if side.deleted { With::Deletion } else { With::Version(side.dot.actor.home) };
                (whole(side.fields()), with)
            }
            Settle::Merge => {
                let (merged, _) = view::merged(&record.versions);
                (whole(merged.iter().flat_map(|group| group.fields())), With::Merged)
            }
            Settle::Value(value) => (parsed(value)?, With::Value),
        };
        let (key, now) = (&record.key, now_ms());
        let effects = match with {
            With::Deletion => self.replica.delete(key, Cause::Person, now),
            _ => self.replica.update(key, Class::Document, &update, Cause::Person, now),
        };
        self.effects.extend(effects.map_err(|error| self.refused_resolution(key, &error))?);
        let end = End { at: Stamp(now as i64), home: self.me.id, by: "person".into(), with };
        self.records.log.overrule(id, end);
        self.records.news.insert(id);
        Ok(())
    }

    /// Finds the latest version of a home in a conflict.
    fn side_of<'a>(&self, record: &'a Record, home: &str) -> Result<&'a Version, NodeError> {
        let homes = record.versions.iter().map(|version| version.dot.actor.home);
        let mut homes: Vec<(HomeId, String)> = homes.map(|home| (home, self.home_name(home))).collect();
        homes.sort();
        homes.dedup();
        let home = find(home, &homes).map_err(|error| match error {
            NodeError::NotFound { name, .. } => {
                let names: Vec<_> = homes.iter().map(|(_, name)| name.as_str()).collect();
                invalid(format!(
                    "{name} has no version in this conflict; there are those of {}",
                    names.join(" and ")
                ))
            }
            other => other,
        })?;
        let of_home = record.versions.iter().filter(|version| version.dot.actor.home == home);
        of_home.max_by_key(|version| version.rank()).ok_or_else(|| not_found("home", &home.short()))
    }

    fn stale(&self, id: u64, record: &Record) -> NodeError {
        let view = self.shown_conflict(id, record).view;
        let present = serde_json::to_value(&view).expect("views have string keys and no failing parts");
        NodeError::Stale { entity_id: view.entity_id, present: Box::new(present) }
    }

    fn refused_resolution(&self, key: &EntityKey, error: &crosshome_core::replica::WriteError) -> NodeError {
        match error {
            crosshome_core::replica::WriteError::NotAllowed => self.not_allowed(key, "edit"),
            error => refused(key, error),
        }
    }
}

/// Returns the update that leaves an entity with just these fields.
fn whole<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>) -> Update {
    let (mut state, mut attributes) = (None, Vec::new());
    for (name, value) in fields {
        let Ok(value) = value.parse::<Json>() else { continue }; // no home has written that
        match name {
            STATE => state = Some(value),
            name => attributes.push((name, value)),
        }
    }
    Update { state, attributes: Attributes::Replace(attributes.into_iter().collect::<Members>()) }
}
