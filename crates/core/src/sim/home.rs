//! One home of a run: its disk, and while it is up its replica and sessions.

use std::collections::{BTreeMap, BTreeSet};

use super::{commands::Commands, disk::Disk};
use crate::{
    EntityKey, HomeId,
    replica::{Options, Replica},
    session::{Introduction, Session},
};

/// One home of a run.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) id: HomeId,
    pub(super) disk: Disk,
    pub(super) backup: Option<Disk>,
    pub(super) running: Option<Running>,
    pub(super) start_at: u64,
    /// How far the wall clock is off.
    pub(super) offset_ms: i64,
    pub(super) paired: BTreeSet<usize>,
    /// How often the home has come back without what it had not flushed.
    pub(super) crashes: usize,
    /// How often the home has come back from a backup.
    pub(super) restores: usize,
    /// Whether it forgets deletions after seconds, whoever has not heard of them.
    pub(super) impatient: bool,
}

/// A home that is up.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) replica: Replica,
    pub(super) sessions: BTreeMap<usize, Session>,
    pub(super) removed: Vec<EntityKey>,
    pub(super) commands: Commands,
}

impl Home {
    pub(super) fn new(id: HomeId) -> Self {
        Self {
            id,
            disk: Disk::new(id),
            backup: None,
            running: None,
            start_at: 0,
            offset_ms: 0,
            paired: BTreeSet::new(),
            crashes: 0,
            restores: 0,
            impatient: false,
        }
    }

    /// Starts from the disk, in a new epoch that is durable before anybody hears of it.
    ///
    /// Chunks are short, so that a transfer of few entities can be cut in its middle.
    pub(super) fn start(&mut self, epoch: u64, time: u64) {
        let mut options = Options { chunk: 1 + epoch as usize % 400, ..Options::default() };
        if self.impatient {
            options.deletions_kept_ms = epoch % 3_000;
        }
        let mut replica = self.disk.start(options);
        let head = replica.table().head();
        replica.epochs.open(epoch, head);
        let commands = Commands::new(&self.disk.taken, time, self.now(time));
        let mut running = Running { replica, sessions: BTreeMap::new(), removed: Vec::new(), commands };
        self.disk.flush(&running.replica, &mut running.removed);
        self.running = Some(running);
    }

    /// Stops between two steps, as by a power cut.
    pub(super) fn crash(&mut self, start_at: u64) {
        (self.running, self.start_at) = (None, start_at);
        self.crashes += 1;
    }

    /// Makes everything so far durable and acknowledges it.
    pub(super) fn flush(&mut self) {
        let Some(running) = &mut self.running else { return };
        self.disk.flush(&running.replica, &mut running.removed);
        self.disk.taken.clone_from(&running.commands.taken);
        running.sessions.values_mut().for_each(|session| session.committed(&running.replica));
    }

    pub(super) fn now(&self, time: u64) -> u64 {
        time.saturating_add_signed(self.offset_ms)
    }
}

impl Running {
    /// Opens the conversation with a peer.
    pub(super) fn open(&mut self, at: usize, peer: HomeId, joint: bool, (time, now_ms): (u64, u64)) {
        let me = Introduction { name: "home", proto_low: 1 };
        self.commands.opened(peer, time, now_ms);
        self.sessions.insert(at, Session::open(peer, joint, &me, &self.replica, now_ms));
    }
}
