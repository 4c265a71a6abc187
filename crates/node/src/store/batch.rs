//! What is given to the store: rows, as plain data.
//!
//! A [`Batch`] holds what has changed since the last one and is committed as a
//! whole or not at all, so that a cursor is never ahead of the data it
//! acknowledges. Rows stand in lists: the last one for a key counts, and nothing
//! in place of a row, or a removal, ends it. Hence two batches merge by joining
//! their lists, and what waits is never more than what is known.
//!
//! ```
//! # use crosshome_node::store::Batch;
//! let mut waiting = Batch { head: 7, ..Batch::default() };
//! waiting.absorb(Batch { durable: true, head: 9, ..Batch::default() });
//! assert!(waiting.durable && waiting.head == 9);
//! ```

use std::{
    collections::{HashMap, HashSet},
    fmt,
    hash::Hash,
};

use crosshome_core::{
    EntityId, EntityKey, HomeId,
    dot::{Actor, Dot},
    epoch::{Cursor, Epochs},
    grant::{Grant, Traits},
    hlc::Hlc,
    pairing::Method,
    record::{self, Place},
    table::Entity,
};
use zeroize::Zeroizing;

use crate::defaults::{HISTORY_WAITING, STATE_SHOWN, WAITING_SPARE};

/// Everything to store in one transaction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Whether it must survive a power cut once it is committed.
    pub durable: bool,
    /// The latest place in the change log.
    pub head: u64,
    /// Who this home is, when that has changed: at the first start, with a new incarnation or key.
    pub actor: Option<Actor>,
    /// The clock's new high-water mark.
    pub clock: Option<Hlc>,
    /// The epochs of the change log, when one began.
    pub epochs: Option<Epochs>,
    /// Entities that have changed.
    pub entities: Vec<EntityRow>,
    /// Entities that are no longer known; with these goes their history.
    pub removed: Vec<(u64, EntityKey)>,
    /// How far peers have been followed, with just the entities that got this home there.
    pub cursors: Vec<(HomeId, Option<Cursor>)>,
    /// All rules, when one has changed.
    pub grants: Option<Vec<Grant>>,
    /// All withdrawals not acknowledged yet, when one has changed.
    pub gone: Option<Vec<(HomeId, EntityId, u64)>>,
    /// All peers, when one has changed.
    pub peers: Option<Vec<PeerRow>>,
    /// Own entities that were registered, changed or unregistered.
    pub registry: Vec<(EntityId, Option<RegistryRow>)>,
    /// Small documents that were written or dropped.
    pub memos: Vec<(MemoKey, Option<String>)>,
    /// Versions for the history; one that is there already gets the new outcome.
    pub history: Vec<HistoryRow>,
}

/// An entity as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityRow {
    /// Its name, its birth, and its place in this home's change log.
    pub place: Place,
    /// Its state, for people who open the file.
    pub state: String,
    /// All that is known of it, by [`record::encode`].
    pub record: Vec<u8>,
}

/// A paired home, or one that was denied.
#[derive(Clone, PartialEq, Eq)]
pub struct PeerRow {
    /// Who it is.
    pub id: HomeId,
    /// Its pinned public key.
    pub spki: [u8; 44],
    /// What it calls itself.
    pub name: String,
    /// What it is called here.
    pub alias: Option<String>,
    /// The secret that exactly these two homes have.
    pub pair_secret: Zeroizing<[u8; 32]>,
    /// The lowest protocol version it may speak.
    pub proto_low: u16,
    /// When the homes were paired, in milliseconds since 1970.
    pub paired_at_ms: u64,
    /// How they came to trust each other.
    pub method: Method,
    /// Where it was reached, the latest first.
    pub addresses: Vec<String>,
    /// Whether it is no longer trusted.
    pub denied: bool,
}

/// What is known of an own entity beside its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryRow {
    /// What people call it.
    pub name: String,
    /// A JSON object.
    pub metadata: String,
    /// Where it stands in the house.
    pub traits: Traits,
}

/// The name of a small document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemoKey {
    /// What it is about, such as `conflict`.
    pub kind: String,
    /// Its name among those of its kind.
    pub name: String,
}

/// A version that was shown, or lost a conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryRow {
    /// The entity.
    pub key: EntityKey,
    /// The change.
    pub dot: Dot,
    /// When it came to be by its author's clock, in milliseconds since 1970.
    pub at_ms: u64,
    /// When this home put it on record, by its own clock: what it is kept by.
    pub recorded_ms: u64,
    /// Whose change it was.
    pub author: HomeId,
    /// What led to it: a person, an automation, the device, a strategy.
    pub cause: String,
    /// The state as JSON.
    pub state: String,
    /// The attributes as a JSON object.
    pub attributes: String,
    /// What became of it.
    pub outcome: String,
}

impl Batch {
    /// Takes over what a later batch holds, as if both had been committed one after the other.
    pub fn absorb(&mut self, later: Self) {
        self.durable |= later.durable;
        self.head = self.head.max(later.head);
        self.actor = later.actor.or(self.actor);
        self.clock = later.clock.or(self.clock);
        replace(&mut self.epochs, later.epochs);
        replace(&mut self.grants, later.grants);
        replace(&mut self.gone, later.gone);
        replace(&mut self.peers, later.peers);
        self.forget_history(&later.removed);
        self.entities.extend(later.entities);
        self.removed.extend(later.removed);
        self.cursors.extend(later.cursors);
        self.registry.extend(later.registry);
        self.memos.extend(later.memos);
        self.history.extend(later.history);
    }

    /// Drops rows that a later one for the same key has replaced, and history beyond what may wait.
    pub fn compact(&mut self) {
        let removed: HashSet<_> = self.removed.iter().map(|&(birth, _)| birth).collect();
        self.entities.retain(|row| !removed.contains(&row.place.birth));
        keep_last(&mut self.entities, |row| row.place.birth);
        keep_last(&mut self.cursors, |&(peer, _)| peer);
        keep_last(&mut self.registry, |(id, _)| id.clone());
        keep_last(&mut self.memos, |(key, _)| key.clone());
        keep_last(&mut self.history, |row| (row.key.clone(), row.dot));
        let surplus = self.history.len().saturating_sub(HISTORY_WAITING);
        self.history.drain(..surplus);
    }

    /// Returns how many rows the lists hold, repeats counted.
    pub fn len(&self) -> usize {
        let entities = self.entities.len() + self.removed.len();
        let lists = [self.cursors.len(), self.registry.len(), self.memos.len(), self.history.len()];
        entities + lists.iter().sum::<usize>()
    }

    /// Tells whether the lists are empty; the batch may still carry whole tables or the clock.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how long the lists may grow before they are worth compacting.
    pub(super) fn room(&self) -> usize {
        2 * self.len() + WAITING_SPARE
    }

    fn forget_history(&mut self, removed: &[(u64, EntityKey)]) {
        let removed: HashSet<_> = removed.iter().map(|(_, key)| key).collect();
        if !removed.is_empty() {
            self.history.retain(|row| !removed.contains(&row.key));
        }
    }
}

impl EntityRow {
    /// Returns what is stored of an entity.
    pub fn of(entity: &Entity) -> Self {
        Self { place: Place::of(entity), state: shown(entity), record: record::encode(entity) }
    }
}

impl fmt::Debug for PeerRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerRow")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("alias", &self.alias)
            .field("pair_secret", &format_args!("PairSecret(..)"))
            .field("method", &self.method)
            .field("addresses", &self.addresses)
            .field("denied", &self.denied)
            .finish_non_exhaustive()
    }
}

fn replace<T>(old: &mut Option<T>, new: Option<T>) {
    if new.is_some() {
        *old = new;
    }
}

/// Keeps the last row of each key, in the order in which these came.
fn keep_last<T, K: Eq + Hash>(rows: &mut Vec<T>, key: impl Fn(&T) -> K) {
    let last: HashMap<K, usize> = rows.iter().enumerate().map(|(at, row)| (key(row), at)).collect();
    if last.len() < rows.len() {
        let mut at = 0..;
        rows.retain(|row| at.next() == last.get(&key(row)).copied());
    }
}

/// Returns the state of the latest version as people read it.
fn shown(entity: &Entity) -> String {
    let Some(latest) = entity.siblings.latest() else { return String::new() };
    if latest.deleted {
        return "(deleted)".into();
    }
    let group = latest.group("state");
    let state = group.into_iter().flat_map(|group| group.fields()).find(|(name, _)| name.is_empty());
    let (_, json) = state.unwrap_or_default();
    let mut text = serde_json::from_str(json).unwrap_or_else(|_| json.to_owned());
    text.truncate(text.floor_char_boundary(STATE_SHOWN));
    text
}
