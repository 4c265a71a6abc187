//! Carries the change log into the store: a follower like any session.
//!
//! A commit takes everything since the last one, so what is durable is always a prefix of the log.
//! Lazy changes wait for the next flush; whatever must be durable now takes them along. A flush begins
//! when the one before has ended, so what waits outside of the log is bounded even on a slow disk. Cursors
//! go with the data that they acknowledge, and peers are told only when both are written.

use crosshome_core::{
    EntityId, EntityKey, HomeId,
    dot::{Actor, Dot},
    effect::{Durability, Effect},
    epoch::Cursor,
    grant::Grants,
    hlc::Hlc,
    replica::Replica,
};
use tokio::sync::mpsc;

use super::{ConflictLog, Event, Loop, now_ms, registry::Registry};
use crate::{
    defaults::NEW_ENTITIES,
    node::NodeError,
    policies::Policies,
    store::{Batch, Committer, EntityRow, HistoryRow, PeerRow, StoreError},
    views::{Restored, Stamp},
};

/// What the store gave back at the start.
pub(crate) struct Stores {
    pub(crate) replica: Replica,
    pub(crate) peers: Vec<PeerRow>,
    /// The peers that were shut out because they run twice.
    pub(crate) shut_out: Vec<(HomeId, Stamp)>,
    /// Intents that earlier starts have taken.
    pub(crate) taken: Vec<Dot>,
    pub(crate) registry: Registry,
    pub(crate) policies: Policies,
    pub(crate) conflicts: ConflictLog,
    /// The place in the log up to which everything is stored.
    pub(crate) stored: u64,
    /// When this home was last restored from a backup.
    pub(crate) restored: Option<Restored>,
}

/// What came of writing a batch beside the loop.
pub(crate) struct Written {
    head: u64,
    cursors: Vec<(HomeId, Cursor)>,
    result: Result<(), StoreError>,
}

/// Collects what the store lacks.
pub(super) struct Keeper {
    committer: Committer,
    /// Everything up to this place of the log was handed to the store.
    handed: u64,
    /// The latest birth among what was handed.
    births: u64,
    /// Whether a lazy batch is being written.
    writing: bool,
    /// The stored clock's high-water mark.
    clock: Hlc,
    given: Given,
    dirty: Dirty,
    /// What waits for the next batch beside the log.
    waiting: Batch,
    flush: bool,
    /// Why the store takes nothing at present.
    failure: Option<StoreError>,
    /// Whether what is stored is gone with the program anyway, so that nothing is worth waiting for.
    in_memory: bool,
    post: mpsc::Sender<Event>,
}

/// What changed beside the log.
#[derive(Default)]
struct Dirty {
    lazily: bool,
    cursors: bool,
    peers: bool,
}

/// What the store was last given of things that rarely change.
#[derive(Default)]
struct Given {
    actor: Option<Actor>,
    grants: Grants,
    gone: Vec<(HomeId, EntityId, u64)>,
}

impl Given {
    fn of(replica: &Replica) -> Self {
        let gone = |peer| replica.gone(peer).map(move |(id, seq)| (peer, id.clone(), seq));
        Self {
            actor: Some(replica.actor()),
            grants: replica.grants.clone(),
            gone: replica.gone_peers().flat_map(gone).collect(),
        }
    }
}

impl Keeper {
    pub(super) fn new(
        committer: Committer,
        stored: u64,
        replica: &Replica,
        in_memory: bool,
        post: mpsc::Sender<Event>,
    ) -> Self {
        Self {
            in_memory,
            committer,
            handed: stored,
            births: replica.table().births(),
            writing: false,
            clock: Hlc::default(),
            given: Given::of(replica),
            dirty: Dirty::default(),
            waiting: Batch::default(),
            flush: false,
            failure: None,
            post,
        }
    }

    pub(super) fn flush_soon(&mut self) {
        self.flush = true;
    }

    pub(super) fn peers_changed(&mut self) {
        (self.dirty.peers, self.dirty.lazily) = (true, true);
    }

    /// Lets the stored clock fall to the present one: the clock had leapt ahead.
    pub(super) fn clock_reset(&mut self) {
        self.clock = Hlc::default();
        tracing::warn!("this home's clock had leapt ahead; its changes have stamps of the present now");
    }

    /// Notes something that goes with the next batch.
    pub(super) fn note(&mut self, batch: Batch) {
        self.waiting.absorb(batch);
        self.dirty.lazily = true;
    }

    pub(super) fn removed(&mut self, key: EntityKey, birth: u64) {
        // Absorbed, so that what waits of its history goes with it.
        self.note(Batch { removed: vec![(birth, key)], ..Batch::default() });
    }

    pub(super) fn forget_cursor(&mut self, peer: HomeId) {
        self.waiting.cursors.push((peer, None));
    }

    /// Returns the versions that the history has of an entity, the newest first.
    pub(super) fn past(
        &self,
        key: EntityKey,
    ) -> impl Future<Output = Result<Vec<HistoryRow>, StoreError>> + use<> {
        self.committer.history(key)
    }

    /// Returns why the store takes nothing at present.
    pub(super) fn failure(&self) -> Option<&StoreError> {
        self.failure.as_ref()
    }

    /// Tells whether lazy changes go to the store now: each second, and when many entities are new.
    ///
    /// A new entity is written once in any case; a known one may change again before the second is over.
    fn may_flush(&mut self, births: u64) -> bool {
        let due = std::mem::take(&mut self.flush) || births - self.births >= NEW_ENTITIES;
        due && self.dirty.lazily && !self.writing
    }

    /// Takes out all that the store lacks.
    fn collect(&mut self, replica: &Replica, peers: Vec<PeerRow>) -> (Batch, Vec<(HomeId, Cursor)>) {
        let mut batch = std::mem::take(&mut self.waiting);
        let table = replica.table();
        let changed = table.since(self.handed);
        batch.entities.extend(changed.map(|(_, entity)| EntityRow::of(entity)));
        (self.handed, batch.head, self.births) = (table.head(), table.head(), table.births());
        let dirty = std::mem::take(&mut self.dirty);
        if replica.clock().last() >= self.clock {
            self.clock = replica.clock().ahead(now_ms());
            batch.clock = Some(self.clock);
        }
        let cursors = replica.cursors.iter().filter(|_| dirty.cursors);
        batch.cursors.extend(cursors.map(|(&peer, cursor)| (peer, Some(cursor.clone()))));
        let reached =
            batch.cursors.iter().filter_map(|(peer, cursor)| Some((*peer, cursor.clone()?))).collect();
        batch.peers = dirty.peers.then_some(peers);
        let given = std::mem::replace(&mut self.given, Given::of(replica));
        batch.actor = self.given.actor.filter(|_| self.given.actor != given.actor);
        batch.grants =
            (self.given.grants != given.grants).then(|| self.given.grants.iter().cloned().collect());
        batch.gone = (self.given.gone != given.gone).then(|| self.given.gone.clone());
        (batch, reached)
    }
}

impl Loop {
    /// Makes durable what the effects ask for; the rest waits for the next flush.
    pub(super) async fn commit(&mut self, effects: &[Effect]) -> Result<(), NodeError> {
        let mut now = false;
        for effect in effects {
            match effect {
                Effect::Commit(durability) => {
                    now |= *durability == Durability::Now;
                    (self.keeper.dirty.lazily, self.keeper.dirty.cursors) = (true, true);
                }
                Effect::Removed(key, birth) | Effect::Forgotten(key, birth) => {
                    self.keeper.removed(key.clone(), *birth);
                }
                Effect::Restamped => self.keeper.clock_reset(),
                Effect::JointPolicy => self.note_joint_policy(),
                _ => {}
            }
        }
        // The stored clock must stay ahead of every stamp that leaves the house.
        now |= self.replica.clock().last() >= self.keeper.clock && self.keeper.dirty.lazily;
        now &= !self.keeper.in_memory;
        if !now && !self.keeper.may_flush(self.replica.table().births()) {
            return Ok(());
        }
        let peers = if self.keeper.dirty.peers { self.peers.rows().cloned().collect() } else { Vec::new() };
        let (mut batch, cursors) = self.keeper.collect(&self.replica, peers);
        batch.durable = now;
        let head = batch.head;
        let written = self.keeper.committer.commit(batch);
        if now {
            let result = written.await;
            let answer = result.as_ref().map(|_| ()).map_err(failed);
            self.stored(Written { head, cursors, result });
            return answer;
        }
        self.keeper.writing = true;
        let post = self.keeper.post.clone();
        tokio::spawn(async move {
            let result = written.await;
            let _ = post.send(Event::Stored(Written { head, cursors, result })).await;
        });
        Ok(())
    }

    /// Takes note that a batch is durable, or is not.
    pub(super) fn stored(&mut self, written: Written) {
        self.keeper.writing = false; // all that was given before is written with it, or is not
        match written.result {
            Ok(()) => {
                if self.keeper.failure.take().is_some() {
                    tracing::info!("the store takes changes again");
                }
                self.acknowledge(&written.cursors);
            }
            Err(error) => {
                if self.keeper.failure.is_none() {
                    tracing::error!(%error, head = written.head, "nothing is confirmed until the store works again");
                }
                // The committer keeps the batch and writes it with the next one.
                (self.keeper.dirty.lazily, self.keeper.dirty.cursors) = (true, true);
                self.keeper.failure = Some(error);
            }
        }
    }

    /// Says goodbye, commits what is left and closes the store.
    pub(super) async fn farewell(mut self) {
        tracing::info!("stopping");
        if let Some(listener) = &self.listener {
            listener.close(); // a peer that comes back now would find a home that is leaving
        }
        self.close_links().await;
        (self.keeper.dirty.lazily, self.keeper.in_memory) = (true, false);
        let _ = self.commit(&[Effect::Commit(Durability::Now)]).await;
        if let Err(error) = self.keeper.committer.close().await {
            tracing::error!(%error, "the store did not close cleanly");
        }
        if let Some(discovery) = self.discovery.take() {
            discovery.stop().await;
        }
    }
}

/// Translates what went wrong for those who asked.
pub(super) fn failed(error: &StoreError) -> NodeError {
    match error {
        StoreError::StorageFull(_) | StoreError::ReadOnly(_) => NodeError::StorageFull,
        other => NodeError::Failed(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use crosshome_core::{grant::Selector, replica::Options, table::Class, update::Update, version::Cause};

    use super::*;
    use crate::store::Store;

    fn keeper(replica: &Replica) -> Keeper {
        let (store, _) = Store::in_memory().expect("memory");
        Keeper::new(Committer::start(store), 0, replica, false, mpsc::channel(1).0)
    }

    #[test]
    fn first_sync_is_stored_while_it_comes_and_known_entities_wait_for_the_flush() {
        let mut replica = Replica::new(HomeId([1; 32]), Options::default());
        let mut keeper = keeper(&replica);
        keeper.dirty.lazily = true;
        for n in 0..NEW_ENTITIES {
            assert!(!keeper.may_flush(replica.table().births()));
            let key = replica.own(format!("sensor.n{n}").parse().expect("it is an id"));
            let update = Update::state("1");
            replica.update(&key, Class::Device, &update, Cause::Device, 1).expect("it is its own");
        }
        assert!(keeper.may_flush(replica.table().births()));
        assert_eq!(keeper.collect(&replica, Vec::new()).0.entities.len() as u64, NEW_ENTITIES);
        assert!(!keeper.may_flush(replica.table().births()), "all is handed");
        keeper.dirty.lazily = true;
        keeper.writing = true;
        keeper.flush_soon();
        assert!(!keeper.may_flush(replica.table().births()), "one batch is on its way");
    }

    #[test]
    fn new_incarnation_and_rule_are_stored_without_being_announced_and_only_once() {
        let home = HomeId([1; 32]);
        let mut replica = Replica::new(home, Options::default());
        replica.epochs.open(0x5eed, 0);
        let mut keeper = keeper(&replica);
        replica.reincarnate(1);
        replica.grants.set(None, Selector::Glob("light.*".into()), None, 1);
        let (batch, _) = keeper.collect(&replica, Vec::new());
        assert_eq!(batch.actor, Some(replica.actor()));
        assert_eq!(batch.grants.map(|grants| grants.len()), Some(1));
        let (again, _) = keeper.collect(&replica, Vec::new());
        assert_eq!((again.actor, again.grants, again.gone), (None, None, None));
    }
}
