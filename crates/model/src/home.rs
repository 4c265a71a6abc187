//! One home of a world: a real replica, its sessions, and its disk.

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
    hash::{DefaultHasher, Hasher},
};

use crosshome_core::{
    EntityKey, HomeId,
    effect::{Durability, Effect},
    replica::{Options, Replica},
    session::{Introduction, Session},
    sim::Disk,
};

use crate::{Scenario, ledger::Writes};

/// One home.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    pub(crate) replica: Replica,
    pub(crate) sessions: BTreeMap<usize, Session>,
    /// What it has really seen of each entity.
    pub(crate) known: Vec<Writes>,
    /// Whether everything is on the disk.
    pub(crate) durable: bool,
    pub(crate) backup: Option<Disk>,
    removed: Vec<EntityKey>,
    disk: Disk,
    starts: u64,
    pub(crate) restored: bool,
}

impl Home {
    pub(crate) fn new(at: usize, entities: usize) -> Self {
        let id = Scenario::id(at);
        let mut home = Self {
            replica: Replica::new(id, Options::default()),
            sessions: BTreeMap::new(),
            known: vec![0; entities],
            durable: true,
            backup: None,
            removed: Vec::new(),
            disk: Disk::new(id),
            starts: 0,
            restored: false,
        };
        home.start();
        home
    }

    /// Starts from the disk, in a new epoch that is durable before anybody hears of it.
    pub(crate) fn start(&mut self) {
        self.starts += 1;
        self.replica = self.disk.start(Options::default());
        let head = self.replica.table().head();
        // a number that no other start of any home has, as random ones have not
        self.replica.epochs.open(u64::from(self.replica.actor().home.0[0]) << 8 | self.starts, head);
        self.sessions.clear();
        self.removed.clear();
        self.flush();
    }

    pub(crate) fn open(&mut self, peer: usize, joint: bool, now_ms: u64) {
        let me = Introduction { name: "", proto_low: 1 };
        self.sessions.insert(peer, Session::open(Scenario::id(peer), joint, &me, &self.replica, now_ms));
    }

    /// Makes everything so far durable, and acknowledges it.
    pub(crate) fn flush(&mut self) {
        self.disk.flush(&self.replica, &mut self.removed);
        self.sessions.values_mut().for_each(|session| session.committed(&self.replica));
        self.durable = true;
    }

    /// Stores the clock's mark, and what these effects ask for.
    pub(crate) fn commit(&mut self, effects: &[Effect], lazy: bool, now_ms: u64) {
        if effects.contains(&Effect::Restamped) {
            self.disk.forget_clock();
        }
        self.disk.keep_clock(&self.replica, now_ms);
        for effect in effects {
            match effect {
                Effect::Removed(key, _) => self.removed.push(key.clone()),
                Effect::Commit(_) => self.durable = false,
                _ => {}
            }
        }
        if !self.durable && (!lazy || effects.contains(&Effect::Commit(Durability::Now))) {
            self.flush();
        }
    }

    /// Returns the next frame for a peer.
    pub(crate) fn offer(&mut self, peer: usize, now_ms: u64) -> Option<Vec<u8>> {
        self.disk.keep_clock(&self.replica, now_ms);
        self.sessions.get_mut(&peer)?.offer(&self.replica)
    }

    pub(crate) fn take_backup(&mut self) {
        self.flush();
        self.backup = Some(self.disk.clone());
    }

    /// Comes back from the backup and tells whether there was one.
    pub(crate) fn restore(&mut self) -> bool {
        let Some(backup) = self.backup.take() else { return false };
        self.disk = backup;
        self.restored = true;
        self.start();
        true
    }

    pub(crate) fn id(&self) -> HomeId {
        self.replica.actor().home
    }

    /// Returns a number that differs for homes that can behave differently.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut ink = Ink(DefaultHasher::new());
        write!(ink, "{self:?}").expect("hashing does not fail");
        ink.0.finish()
    }
}

/// Hashes what is written to it.
struct Ink(DefaultHasher);

impl Write for Ink {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}
