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
    /// Earlier disks that may come back.
    pub(super) archive: Vec<Disk>,
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
    /// How the next commit ends.
    pub(super) fate: Option<Fate>,
    /// Whether the disk is full: nothing is durable, and nothing acknowledged.
    pub(super) full: bool,
    /// Whether something is still to be written since the disk was full.
    pub(super) owing: bool,
    /// Whether the home stopped while that was so.
    pub(super) lost: bool,
    /// Whether the home speaks the next version of the protocol.
    pub(super) newer: bool,
}

/// How a commit ends for a home that loses power at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing of it is there; what was written of it does not count.
    Before,
    /// It is durable, and nobody has heard of it.
    After,
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
            archive: Vec::new(),
            running: None,
            start_at: 0,
            offset_ms: 0,
            paired: BTreeSet::new(),
            crashes: 0,
            restores: 0,
            impatient: false,
            fate: None,
            full: false,
            owing: false,
            lost: false,
            newer: false,
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
        self.lost |= std::mem::take(&mut self.owing);
        self.full = false;
        self.restores += usize::from(self.lost);
        self.fate = None;
        self.crashes += 1;
    }

    /// Makes everything so far durable and acknowledges it.
    pub(super) fn flush(&mut self) {
        self.write_out();
        let Some(running) = self.running.as_mut().filter(|_| !self.full) else { return };
        running.sessions.values_mut().for_each(|session| session.committed(&running.replica));
    }

    /// Makes everything so far durable, and tells nobody.
    pub(super) fn write_out(&mut self) {
        let Some(running) = self.running.as_mut().filter(|_| !self.full) else { return };
        self.disk.flush(&running.replica, &mut running.removed);
        self.disk.taken.clone_from(&running.commands.taken);
        self.owing = false;
    }

    /// Stores the clock's mark, where there is room.
    pub(super) fn keep_clock(&mut self, now_ms: u64) {
        if let Some(running) = self.running.as_ref().filter(|_| !self.full) {
            self.disk.keep_clock(&running.replica, now_ms);
        }
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
