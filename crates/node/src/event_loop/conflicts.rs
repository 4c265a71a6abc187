//! Conflicts: put on record in the transaction that makes them, shown, told, and settled by people.
//!
//! What came of a turn is looked through once before the commit ([`Loop::keep_record`]): a version that loses to a
//! strategy is on record by the time anybody hears of the one that won (I2). A report of a device costs one
//! comparison there.

use std::collections::{BTreeSet, HashSet};

use crosshome_core::{
    EntityKey, Space,
    conflict::Token,
    effect::Effect,
    table::{Class, Number},
    version::Version,
};

use super::{
    Loop,
    history::{Allowance, row},
    names::not_found,
    views::version_view,
};
use crate::{
    node::{EntityRef, News, NodeError, Reply},
    store::{Batch, HistoryRow},
    views::{ConflictStatus, ConflictView, Finding, Level, Stamp, VersionView},
};

mod log;
mod record;
mod resolve;

pub(crate) use log::ConflictLog;
pub(super) use record::Record;

/// Conflicts named by the doctor; more of them help nobody.
const NAMED: usize = 5;

/// What is put on record as the turns go by.
pub(super) struct Records {
    pub(super) log: ConflictLog,
    pub(super) allowance: Allowance,
    /// How many of the turn's effects have been looked through.
    seen: usize,
    /// Conflicts to tell of once the turn is committed.
    news: BTreeSet<u64>,
}

impl Records {
    pub(super) fn new(log: ConflictLog) -> Self {
        Self { log, allowance: Allowance::default(), seen: 0, news: BTreeSet::new() }
    }
}

/// A conflict as it is shown, still without what was before.
pub(super) struct Shown {
    pub(super) view: ConflictView,
    key: EntityKey,
    /// The versions without their bodies: what their authors had seen.
    seen: Vec<Version>,
}

impl Shown {
    /// Adds what both sides had seen, from the entity's history.
    fn after(mut self, past: &[HistoryRow], before: impl Fn(&HistoryRow) -> VersionView) -> ConflictView {
        let seen_by_all = |row: &&HistoryRow| self.seen.iter().all(|version| version.has_seen(row.dot));
        self.view.before = past.iter().find(seen_by_all).map(before);
        self.view
    }
}

impl Loop {
    /// Puts on record what the effects have brought since it was last looked: before the commit, so that it is stored
    /// with them.
    pub(super) fn keep_record(&mut self) {
        let effects = std::mem::take(&mut self.effects);
        let mut removed = HashSet::new();
        for effect in &effects[self.records.seen..] {
            match effect {
                Effect::Changed(number) => self.follow(*number),
                Effect::Conflict(conflict) => {
                    self.metrics.conflicts += 1;
                    let id = self.records.log.note((**conflict).clone(), Stamp::now());
                    self.records.news.insert(id);
                    self.remember_sides(id);
                }
                Effect::Removed(key, _) => drop(removed.insert(key)),
                _ => {}
            }
        }
        if !removed.is_empty() {
            self.records.log.forget(&removed);
        }
        self.records.seen = effects.len();
        self.effects = effects;
        self.note_records();
    }

    /// Takes out the turn's effects, of which a record is kept.
    pub(super) fn take_effects(&mut self) -> Vec<Effect> {
        self.records.seen = 0;
        std::mem::take(&mut self.effects)
    }

    /// Brings the log in line with the entities at the start.
    pub(super) fn reconcile_conflicts(&mut self) {
        self.records.log.reconcile(&self.replica, Stamp::now());
        self.note_records();
    }

    /// Lets go of old conflicts.
    pub(super) fn trim_conflicts(&mut self) {
        self.records.log.trim(Stamp::now());
        self.note_records();
    }

    fn note_records(&mut self) {
        let memos = self.records.log.take_memos();
        if !memos.is_empty() {
            self.keeper.note(Batch { memos, ..Batch::default() });
        }
    }

    /// Follows a document that has changed: its conflict may have ended, and its history goes on.
    fn follow(&mut self, number: Number) {
        let Some(entity) = self.replica.table().get(number) else { return };
        // What a device reports is no conflict, and its past is the business of the house.
        if entity.class == Class::Device {
            return;
        }
        if entity.siblings.len() > 1 && entity.conflict().is_some() {
            return; // an effect of its own says so
        }
        let ended =
            self.records.log.lasts(&entity.key).then(|| self.records.log.end(&entity.key, &entity.siblings));
        if let Some(id) = ended.flatten() {
            self.records.news.insert(id);
            self.remember_sides(id);
        }
        self.remember_present(number);
    }

    /// Puts the versions of a conflict into the history, with what became of each.
    fn remember_sides(&mut self, id: u64) {
        let Some(record) = self.records.log.get(id) else { return };
        let rows = record.versions.iter().map(|version| row(&record.key, version, record.fate(version)));
        let rows: Vec<_> = rows.collect();
        self.remember(rows);
    }

    /// Tells observers of conflicts that were found, grew, or are settled.
    pub(super) fn tell_conflicts(&mut self) {
        for id in std::mem::take(&mut self.records.news) {
            let Some(record) = self.records.log.get(id) else { continue };
            tracing::info!(
                conflict = id, entity = %record.key.id, strategy = %record.strategy, open = record.is_open(),
                "changed in several homes at once"
            );
            if self.inbox.notices.is_heard() {
                let view = self.shown_conflict(id, record).view;
                self.inbox.notices.tell(|| News::Conflict(Box::new(view)));
            } else {
                self.inbox.notices.skip();
            }
        }
    }

    pub(super) fn conflicts_open(&self) -> u64 {
        self.records.log.open()
    }

    pub(super) fn conflicts(&self, all: bool, reply: Reply<Vec<ConflictView>>) {
        let wanted = self.records.log.iter().filter(|(_, record)| all || record.is_open());
        let shown = wanted.map(|(id, record)| self.shown_conflict(id, record)).collect();
        self.with_past(shown, move |views| drop(reply.send(Ok(views))));
    }

    pub(super) fn conflict(&self, id: &str, reply: Reply<ConflictView>) {
        match self.conflict_named(id) {
            Ok((id, record)) => {
                let shown = vec![self.shown_conflict(id, record)];
                self.with_past(shown, move |views| {
                    drop(reply.send(views.into_iter().next().ok_or(NodeError::Stopped)))
                });
            }
            Err(error) => drop(reply.send(Err(error))),
        }
    }

    /// Finds a conflict by its id, or by its entity; of one entity's the newest.
    pub(super) fn conflict_named(&self, name: &str) -> Result<(u64, &Record), NodeError> {
        let unknown = || not_found("conflict", name);
        if let Ok(id) = name.parse() {
            return self.records.log.get(id).map(|record| (id, record)).ok_or_else(unknown);
        }
        let entity: EntityRef = name.parse().map_err(|_| unknown())?;
        let key = self.entity_named(&entity)?;
        let of_key = self.records.log.iter().find(|(_, record)| record.key == key);
        let unnamed =
            || entity.home().is_none().then(|| self.records.log.iter().find(|(_, r)| r.key.id == key.id));
        of_key.or_else(|| unnamed().flatten()).ok_or_else(unknown)
    }

    /// Returns what is shown of a conflict.
    pub(super) fn shown_conflict(&self, id: u64, record: &Record) -> Shown {
        let entity = self.replica.find(&record.key);
        let present = entity.and_then(|entity| {
            let (view, latest) = (entity.view()?, entity.siblings.latest()?);
            let (state, attributes) = super::views::fields(&view);
            Some(VersionView { state, attributes, ..self.shown_version(latest, None) })
        });
        let mut versions: Vec<_> = record.versions.iter().collect();
        versions.sort_by_key(|version| std::cmp::Reverse(version.rank()));
        let view = ConflictView {
            id: id.to_string(),
            status: if record.is_open() { ConflictStatus::Open } else { ConflictStatus::Settled },
            entity_id: self.entity_label(&record.key),
            home: self.space_name(record.key.space),
            detected_at: record.detected_at,
            strategy: record.strategy.to_string(),
            token: entity.map(|entity| Token::of(&entity.siblings).to_string()).unwrap_or_default(),
            before: None,
            versions: versions.iter().map(|v| self.shown_version(v, Some(record.fate(v)))).collect(),
            present,
            fields: record.fields(),
            outcome: record.outcome(|home| self.home_name(home)),
        };
        let seen =
            record.versions.iter().map(|version| Version { body: Default::default(), ..version.clone() });
        Shown { view, key: record.key.clone(), seen: seen.collect() }
    }

    fn shown_version(&self, version: &Version, outcome: Option<String>) -> VersionView {
        version_view(version, self.home_name(version.dot.actor.home), outcome)
    }

    /// Returns the shortest name that finds the entity.
    pub(super) fn entity_label(&self, key: &EntityKey) -> String {
        let own = |id| self.replica.find(&self.replica.own(id)).is_some();
        match key.space {
            Space::Home(home) if home == self.me.id => key.id.to_string(),
            Space::Joint if !own(key.id.clone()) => key.id.to_string(),
            space => format!("{}/{}", self.space_name(space), key.id),
        }
    }

    /// Adds what was before each conflict, beside the loop.
    fn with_past(&self, shown: Vec<Shown>, done: impl FnOnce(Vec<ConflictView>) + Send + 'static) {
        let names = self.names();
        let asked: Vec<_> = shown.iter().map(|shown| self.keeper.past(shown.key.clone())).collect();
        tokio::spawn(async move {
            let mut views = Vec::with_capacity(shown.len());
            for (shown, past) in shown.into_iter().zip(asked) {
                let past = past.await.unwrap_or_default();
                views
                    .push(shown.after(&past, |row| VersionView { outcome: None, ..names.past_version(row) }));
            }
            done(views);
        });
    }

    /// Tells the doctor of conflicts that await a choice.
    pub(super) fn conflict_findings(&self) -> impl Iterator<Item = Finding> {
        let open: Vec<_> = self.records.log.iter().filter(|(_, record)| record.is_open()).collect();
        let named = open.iter().take(NAMED).map(|(_, record)| self.entity_label(&record.key));
        let (count, mut named): (_, Vec<_>) = (open.len(), named.collect());
        if count > NAMED {
            named.push("…".into());
        }
        let waiting = (count > 0).then(|| Finding {
            level: Level::Warning,
            what: format!("{count} of the conflicts await a choice: {}", named.join(", ")),
            remedy: Some(
                "see them with crosshome conflicts list, and settle them with crosshome conflicts resolve"
                    .into(),
            ),
        });
        let crowded_out = self.records.log.crowded_out();
        let unlisted = (crowded_out > 0).then(|| Finding {
            level: Level::Warning,
            what: format!("{crowded_out} open conflicts were too many to be listed"),
            remedy: Some(
                "settle those that are listed, then restart this home: it finds the others again".into(),
            ),
        });
        waiting.into_iter().chain(unlisted)
    }
}
