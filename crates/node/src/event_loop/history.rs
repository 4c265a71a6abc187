//! What documents were: kept in the store, and read from it beside the loop.
//!
//! Every version of a document that this home has shown, or that has lost a conflict, enters the history with the
//! commit that brought it. Devices do not: a sensor reports as often as it likes, nothing of it can be lost to another
//! home, and the house records it already (decision 13). A bulk transfer enters up to the [`Allowance`], so it costs
//! no more than a busy household.

use std::{collections::HashMap, time::Instant};

use crosshome_core::{
    EntityKey, HomeId,
    table::Number,
    version::{Cause, Version},
};
use serde_json::value::RawValue;

use super::{
    Loop,
    entities::by,
    names::not_found,
    now_ms,
    views::{raw_fields, text, version_view},
};
use crate::{
    defaults::HISTORY_RATE,
    node::{EntityRef, NodeError, Reply},
    store::{Batch, HistoryRow},
    views::{HistoryView, Stamp, VersionView},
};

/// How many versions may still enter the history; grows with time.
pub(super) struct Allowance {
    left: f64,
    at: Instant,
}

impl Default for Allowance {
    fn default() -> Self {
        Self { left: f64::from(HISTORY_RATE.1), at: Instant::now() }
    }
}

impl Allowance {
    /// Takes room for one version, if there is any.
    fn take(&mut self, now: Instant) -> bool {
        let (per_second, at_once) = HISTORY_RATE;
        let earned = now.saturating_duration_since(self.at).as_secs_f64() * f64::from(per_second);
        (self.left, self.at) = ((self.left + earned).min(f64::from(at_once)), now);
        let granted = self.left >= 1.0;
        self.left -= f64::from(u8::from(granted));
        granted
    }
}

/// What homes are called, for use beside the loop.
pub(super) struct Names(HashMap<HomeId, String>);

impl Names {
    fn of(&self, home: HomeId) -> String {
        self.0.get(&home).cloned().unwrap_or_else(|| home.short())
    }

    /// Returns what is shown of a version in the history.
    pub(super) fn past_version(&self, row: &HistoryRow) -> VersionView {
        let attributes = RawValue::from_string(row.attributes.clone());
        VersionView {
            home: self.of(row.author),
            state: (!row.state.is_empty()).then(|| text(&row.state)),
            attributes: attributes.unwrap_or_default(),
            at: Stamp(row.at_ms as i64),
            by: row.cause.clone(),
            deleted: row.state.is_empty() && row.attributes == "{}", // nothing else says nothing
            outcome: Some(row.outcome.clone()),
        }
    }
}

impl Loop {
    /// Puts the version that a document has now into the history.
    pub(super) fn remember_present(&mut self, number: Number) {
        let entity = self.replica.table().get(number);
        let Some((entity, version)) = entity.and_then(|entity| Some((entity, entity.siblings.latest()?)))
        else {
            return;
        };
        // People of this home are heard out even while a program floods the house.
        let by_hand = version.cause == Cause::Person && version.dot.actor.home == self.me.id;
        if by_hand || self.records.allowance.take(Instant::now()) {
            let history = vec![row(&entity.key, version, "replaced".into())];
            self.keeper.note(Batch { history, ..Batch::default() });
        }
    }

    /// Puts versions into the history, as far as there is room.
    pub(super) fn remember(&mut self, mut history: Vec<HistoryRow>) {
        let now = Instant::now();
        history.retain(|_| self.records.allowance.take(now));
        self.keeper.note(Batch { history, ..Batch::default() });
    }

    /// Returns what an entity was, once the store has looked it up.
    pub(super) fn history(&self, entity: &EntityRef, reply: Reply<HistoryView>) {
        let found = self.entity_named(entity).and_then(|key| {
            let present =
                self.present_versions(&key).ok_or_else(|| not_found("entity", &entity.to_string()))?;
            Ok((key, present))
        });
        let (key, present) = match found {
            Ok(found) => found,
            Err(error) => return drop(reply.send(Err(error))),
        };
        let (names, past) = (self.names(), self.keeper.past(key.clone()));
        tokio::spawn(async move {
            let view = past.await.map(|past| merged(&key, present, &past, &names));
            let _ = reply.send(view.map_err(|error| NodeError::Failed(error.to_string())));
        });
    }

    pub(super) fn names(&self) -> Names {
        let peers = self.peers.rows().map(|row| (row.id, self.home_name(row.id)));
        Names(peers.chain([(self.me.id, self.me.name.clone())]).collect())
    }

    /// Returns the versions that an entity has now, with what becomes of each.
    fn present_versions(&self, key: &EntityKey) -> Option<Vec<(Version, String)>> {
        let entity = self.replica.find(key)?;
        let (shown, conflict) = (entity.siblings.latest()?.dot, entity.conflict());
        let record = conflict.map(|conflict| super::conflicts::Record::of(conflict, Stamp(0)));
        let outcome = |version: &Version| match &record {
            None if version.dot == shown && version.deleted => "deleted".into(),
            None => "current".into(),
            Some(record) if version.dot == shown && !record.is_open() && record.fate(version) == "shown" => {
                "current".into()
            }
            Some(record) => record.fate(version),
        };
        Some(entity.siblings.iter().map(|version| (version.clone(), outcome(version))).collect())
    }
}

/// Puts what is there now in the place of what the history has of it, and before the rest.
fn merged(
    key: &EntityKey,
    present: Vec<(Version, String)>,
    past: &[HistoryRow],
    names: &Names,
) -> HistoryView {
    let is_present = |row: &&HistoryRow| present.iter().any(|(version, _)| version.dot == row.dot);
    let shown = |(version, outcome): &(Version, String)| {
        version_view(version, names.of(version.dot.actor.home), Some(outcome.clone()))
    };
    let mut versions: Vec<_> = present.iter().map(shown).collect();
    versions.sort_by_key(|version| std::cmp::Reverse(version.at));
    versions.extend(past.iter().filter(|row| !is_present(row)).map(|row| names.past_version(row)));
    HistoryView { entity_id: key.id.to_string(), versions }
}

/// Returns what the history keeps of a version.
pub(super) fn row(key: &EntityKey, version: &Version, outcome: String) -> HistoryRow {
    let (state, attributes) = raw_fields(version.fields());
    HistoryRow {
        key: key.clone(),
        dot: version.dot,
        at_ms: version.dot.hlc.ms(),
        recorded_ms: now_ms(),
        author: version.dot.actor.home,
        cause: by(version.cause).into(),
        state: state.map(str::to_owned).unwrap_or_default(),
        attributes,
        outcome,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn flood_enters_up_to_the_rate_and_quiet_time_is_credited() {
        let (mut allowance, start) = (Allowance::default(), Instant::now());
        let taken = |allowance: &mut Allowance, at| (0..10_000).filter(|_| allowance.take(at)).count();
        assert_eq!(taken(&mut allowance, start), HISTORY_RATE.1 as usize);
        assert_eq!(taken(&mut allowance, start + Duration::from_secs(1)), HISTORY_RATE.0 as usize);
        assert_eq!(taken(&mut allowance, start + Duration::from_secs(3600)), HISTORY_RATE.1 as usize);
    }
}
