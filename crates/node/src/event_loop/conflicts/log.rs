//! The conflict log: every conflict of this home's entities, automatic or not, for a while.
//!
//! There is one record per entity as long as its versions stand side by side; what comes to be after
//! somebody has seen them all is another conflict. The log is bounded in number, bytes and age, and the
//! oldest settled record goes first. One that awaits a choice goes only when there is nothing else, and is
//! told; as its versions stay with the entity, the next start finds it again.

use std::collections::{BTreeMap, HashMap, HashSet};

use crosshome_core::{EntityKey, HomeId, conflict::Conflict, replica::Replica, siblings::Siblings};

use super::record::{End, Record};
use crate::{
    defaults::{CONFLICT, CONFLICT_AGE, CONFLICT_BYTES, CONFLICTS_KEPT},
    store::MemoKey,
    views::Stamp,
};

/// The conflicts on record, by number.
#[derive(Debug, Default)]
pub(crate) struct ConflictLog {
    kept: BTreeMap<u64, Kept>,
    /// The records whose versions stand side by side.
    lasting: HashMap<EntityKey, u64>,
    bytes: usize,
    /// The number of the next record.
    next: u64,
    /// What the store lacks.
    memos: Vec<(MemoKey, Option<String>)>,
    /// Open ones that there was no room for.
    crowded_out: u64,
}

#[derive(Debug)]
struct Kept {
    record: Record,
    bytes: usize,
}

impl ConflictLog {
    /// Returns the log as it was stored.
    pub(crate) fn recall(memos: &[(MemoKey, String)]) -> Self {
        let mut log = Self::default();
        for (key, text) in memos.iter().filter(|(key, _)| key.kind == CONFLICT) {
            let (Ok(id), Some(record)) = (key.name.parse(), Record::from_text(text)) else {
                tracing::error!(conflict = key.name, "a stored conflict is damaged and left out");
                continue;
            };
            log.insert(id, record, text.len());
        }
        log.next = log.kept.last_key_value().map_or(0, |(id, _)| *id) + 1;
        log
    }

    /// Brings the log in line with the entities: those in conflict are on record, and no others last.
    pub(super) fn reconcile(&mut self, replica: &Replica, now: Stamp) {
        let ended = |(key, _): &(&EntityKey, &u64)| replica.find(key).is_none_or(|e| e.conflict().is_none());
        let ended: Vec<_> = self.lasting.iter().filter(ended).map(|(key, _)| key.clone()).collect();
        for key in ended {
            let siblings = replica.find(&key).map(|entity| entity.siblings.clone());
            self.end(&key, &siblings.unwrap_or_default());
        }
        let several = replica.table().iter().filter(|(_, entity)| entity.siblings.len() > 1);
        for conflict in several.filter_map(|(_, entity)| entity.conflict()) {
            self.note(conflict, now);
        }
    }

    /// Puts a conflict on record, or lets the record of its entity grow; returns its number.
    pub(super) fn note(&mut self, conflict: Conflict, now: Stamp) -> u64 {
        let lasting = self.lasting.get(&conflict.key).copied();
        let known = lasting.and_then(|id| self.kept.get(&id)).map(|kept| &kept.record);
        let id = match (lasting, known) {
            (Some(id), Some(record)) if record.ended_by(&conflict.versions).is_none() => {
                if (record.strategy, &record.versions) != (conflict.strategy, &conflict.versions) {
                    let Conflict { strategy, versions, .. } = conflict;
                    self.replace(id, Record { strategy, versions, ..record.clone() });
                }
                id
            }
            _ => {
                self.end(&conflict.key, &conflict.versions);
                let id = self.next.max(1);
                self.next = id + 1;
                self.replace(id, Record::of(conflict, now));
                id
            }
        };
        self.trim(now);
        id
    }

    /// Takes note that the versions of an entity no longer differ, or that one has seen all of them; returns
    /// the number of the record that has ended.
    pub(super) fn end(&mut self, key: &EntityKey, siblings: &Siblings) -> Option<u64> {
        let id = self.lasting.remove(key)?;
        let record = &self.kept.get(&id)?.record;
        let version = record.ended_by(siblings).or(siblings.latest());
        let end = version.map(|version| record.end_by(version))?;
        self.replace(id, Record { end: Some(end), ..record.clone() });
        Some(id)
    }

    /// Takes note that somebody has settled it otherwise afterwards.
    pub(super) fn overrule(&mut self, id: u64, end: End) {
        if let Some(kept) = self.kept.get(&id) {
            self.replace(id, Record { end: Some(end), ..kept.record.clone() });
        }
    }

    /// Forgets all of entities that are no longer known here.
    pub(super) fn forget(&mut self, keys: &HashSet<&EntityKey>) {
        let gone = self.kept.iter().filter(|(_, kept)| keys.contains(&kept.record.key));
        let gone: Vec<_> = gone.map(|(id, _)| *id).collect();
        gone.into_iter().for_each(|id| self.remove(id));
    }

    /// Gives a home's entities their new names.
    pub(crate) fn rename(&mut self, old: HomeId, new: HomeId) {
        let ids: Vec<_> = self.kept.keys().copied().collect();
        for id in ids {
            let mut record = self.kept[&id].record.clone();
            if record.rename(old, new) {
                self.remove(id);
                self.replace(id, record);
            }
        }
    }

    /// Lets go of what is too old, too many or too large.
    pub(super) fn trim(&mut self, now: Stamp) {
        let limit = Stamp(now.0 - CONFLICT_AGE.as_millis() as i64);
        let newest = self.kept.last_key_value().map(|(id, _)| *id); // its number must not be given twice
        let old = |kept: &Kept| kept.record.detected_at < limit && !kept.record.is_open();
        let aged = self.kept.iter().filter(|(id, kept)| Some(**id) != newest && old(kept));
        let aged: Vec<_> = aged.map(|(id, _)| *id).collect();
        aged.into_iter().for_each(|id| self.remove(id));
        while self.kept.len() > CONFLICTS_KEPT || self.bytes > CONFLICT_BYTES && self.kept.len() > 1 {
            let settled = self.kept.iter().find(|(_, kept)| !kept.record.is_open());
            let (id, open) = match settled.filter(|(id, _)| Some(**id) != newest) {
                Some((id, _)) => (*id, false),
                None => (*self.kept.keys().next().expect("there are several"), true),
            };
            if open {
                self.crowded_out += 1;
                let entity = &self.kept[&id].record.key.id;
                tracing::warn!(%entity, "too many open conflicts to list this one, which awaits a choice all the same");
            }
            self.remove(id);
        }
    }

    /// Takes out what the store lacks.
    pub(crate) fn take_memos(&mut self) -> Vec<(MemoKey, Option<String>)> {
        std::mem::take(&mut self.memos)
    }

    /// Tells whether the versions of an entity stand side by side.
    pub(super) fn lasts(&self, key: &EntityKey) -> bool {
        !self.lasting.is_empty() && self.lasting.contains_key(key)
    }

    /// Returns the record of this number.
    pub(super) fn get(&self, id: u64) -> Option<&Record> {
        self.kept.get(&id).map(|kept| &kept.record)
    }

    /// Returns all records, the newest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Record)> {
        self.kept.iter().rev().map(|(id, kept)| (*id, &kept.record))
    }

    /// Returns how many await a decision.
    pub(super) fn open(&self) -> u64 {
        let lasting = self.lasting.values().filter_map(|id| self.get(*id));
        lasting.filter(|record| record.is_open()).count() as u64
    }

    /// Returns how many open ones there was no room for since the start.
    pub(super) fn crowded_out(&self) -> u64 {
        self.crowded_out
    }

    fn replace(&mut self, id: u64, record: Record) {
        let text = record.to_text();
        let bytes = text.len();
        self.memos.push((memo(id), Some(text)));
        self.insert(id, record, bytes);
    }

    fn insert(&mut self, id: u64, record: Record, bytes: usize) {
        if record.end.is_none() {
            self.lasting.insert(record.key.clone(), id);
        }
        self.bytes += bytes;
        if let Some(before) = self.kept.insert(id, Kept { record, bytes }) {
            self.bytes -= before.bytes;
        }
    }

    fn remove(&mut self, id: u64) {
        let Some(Kept { record, bytes }) = self.kept.remove(&id) else { return };
        self.bytes -= bytes;
        if self.lasting.get(&record.key) == Some(&id) {
            self.lasting.remove(&record.key);
        }
        self.memos.push((memo(id), None));
    }
}

fn memo(id: u64) -> MemoKey {
    MemoKey { kind: CONFLICT.into(), name: id.to_string() }
}

#[cfg(test)]
mod tests {
    use crosshome_core::{policy::Strategy, version::Version};

    use super::*;
    use crate::event_loop::conflicts::record::tests::{FLAT, VILLA, apart, conflict, version};

    const NOW: Stamp = Stamp(1_800_000_000_000);

    fn stored(log: &mut ConflictLog) -> Vec<(MemoKey, String)> {
        let mut all = BTreeMap::new();
        for (key, text) in log.take_memos() {
            match text {
                Some(text) => drop(all.insert(key, text)),
                None => drop(all.remove(&key)),
            }
        }
        all.into_iter().collect()
    }

    fn found(log: &mut ConflictLog, id: &str, strategy: Strategy, versions: &[&Version]) -> u64 {
        log.note(conflict(id, strategy, versions), NOW)
    }

    #[test]
    fn record_grows_while_it_lasts_and_ends_with_who_has_seen_all() {
        let (here, there) = apart();
        let mut log = ConflictLog::default();
        let first = found(&mut log, "note.milk", Strategy::UserChoice, &[&here, &there]);
        let third = version(HomeId([3; 32]), 12, &[], "tea", "{}");
        assert_eq!(found(&mut log, "note.milk", Strategy::UserChoice, &[&here, &there, &third]), first);
        assert_eq!((log.kept.len(), log.open()), (1, 1));
        // one has seen all of it while another has not: that is a conflict of its own
        let chosen = version(FLAT, 20, &[&here, &there, &third], "bread", "{}");
        let report = version(VILLA, 15, &[&here], "jam", "{}");
        let second = found(&mut log, "note.milk", Strategy::UserChoice, &[&chosen, &report]);
        assert_ne!(first, second);
        assert_eq!(log.get(first).and_then(|record| record.end.as_ref()).map(|end| end.home), Some(FLAT));
        assert_eq!(log.open(), 1);
    }

    #[test]
    fn log_comes_back_as_it_was_and_goes_on_counting() {
        let (here, there) = apart();
        let mut log = ConflictLog::default();
        let first = found(&mut log, "note.milk", Strategy::UserChoice, &[&here, &there]);
        found(&mut log, "note.bread", Strategy::LatestWins, &[&here, &there]);
        let mut memos = stored(&mut log);
        memos.push((memo(99), "damaged".into()));
        let mut again = ConflictLog::recall(&memos);
        assert!(again.iter().eq(log.iter()));
        assert_eq!((again.open(), again.bytes), (1, log.bytes));
        assert_eq!(found(&mut again, "note.eggs", Strategy::Merge, &[&here, &there]), first + 2);
    }

    #[test]
    fn oldest_settled_goes_first_and_an_open_one_last_of_all() {
        let (here, there) = apart();
        let mut log = ConflictLog::default();
        let open = found(&mut log, "note.open", Strategy::UserChoice, &[&here, &there]);
        for n in 0..2 * CONFLICTS_KEPT {
            found(&mut log, &format!("note.n{n}"), Strategy::LatestWins, &[&here, &there]);
        }
        assert_eq!((log.kept.len(), log.open(), log.crowded_out()), (CONFLICTS_KEPT, 1, 0));
        assert!(log.get(open).is_some() && log.get(open + 1).is_none());
        assert_eq!(stored(&mut log).len(), CONFLICTS_KEPT, "the store is told what went");
        for n in 0..CONFLICTS_KEPT {
            found(&mut log, &format!("note.o{n}"), Strategy::UserChoice, &[&here, &there]);
        }
        assert_eq!((log.open(), log.crowded_out()), (CONFLICTS_KEPT as u64, 1));
    }

    #[test]
    fn log_stays_within_its_bytes() {
        let mut log = ConflictLog::default();
        let long = format!(r#"{{"text":"{}"}}"#, "x".repeat(60_000));
        let (here, there) = (version(VILLA, 5, &[], "a", &long), version(FLAT, 9, &[], "b", &long));
        for n in 0..100 {
            found(&mut log, &format!("note.n{n}"), Strategy::Merge, &[&here, &there]);
        }
        assert!(log.bytes <= CONFLICT_BYTES && log.kept.len() > 10, "{} bytes", log.bytes);
    }

    #[test]
    fn settled_one_ages_out_and_an_open_one_does_not() {
        let (here, there) = apart();
        let mut log = ConflictLog::default();
        for (id, strategy) in
            [("note.a", Strategy::Merge), ("note.b", Strategy::UserChoice), ("note.c", Strategy::Merge)]
        {
            found(&mut log, id, strategy, &[&here, &there]);
        }
        log.trim(Stamp(NOW.0 + CONFLICT_AGE.as_millis() as i64 + 1));
        let left: Vec<_> = log.iter().map(|(_, record)| record.key.id.to_string()).collect();
        assert_eq!(left, ["note.c", "note.b"], "the newest stays, so that numbers go on");
    }

    #[test]
    fn what_is_withdrawn_is_forgotten_and_what_is_renamed_follows() {
        let (here, there) = apart();
        let mut log = ConflictLog::default();
        let milk = conflict("note.milk", Strategy::UserChoice, &[&here, &there]);
        let (id, bread) =
            (log.note(milk.clone(), NOW), conflict("note.bread", Strategy::Merge, &[&here, &there]));
        log.note(bread.clone(), NOW);
        log.forget(&HashSet::from([&bread.key]));
        assert_eq!(log.iter().count(), 1);
        log.rename(VILLA, HomeId([7; 32]));
        let key = log.get(id).map(|record| record.key.clone()).expect("on record");
        assert!(log.lasts(&key) && !log.lasts(&milk.key));
    }
}
