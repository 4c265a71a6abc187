//! What the measuring process asks of its workers, one line of JSON each, and what they answer.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::usage::Usage;

/// One thing for a worker to do; it does one after the other.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Order {
    /// Starts a home in a directory of its own; [`Opened`].
    Open { dir: PathBuf, name: String, peer: Option<SocketAddr> },
    /// Shows a pairing code; a `String`.
    Show,
    /// Pairs with the home that shows the code, and waits for the link.
    Join { code: String, address: SocketAddr },
    /// Waits until the home is linked with another, or no longer is.
    AwaitLink { up: bool },
    /// Shares everything with the other home.
    Share { with: String },
    /// Makes updates ready, so that making them costs nothing later.
    Prepare(Load),
    /// Reports or sends what was prepared, and flushes; [`Sent`].
    Send,
    /// Starts to note when so many updates arrive.
    Listen { updates: u32 },
    /// Waits until they have; [`Heard`].
    Heard,
    /// Waits until an entity of the other home shows what it shows in a round, and flushes; [`Held`].
    AwaitValue { home: String, entity: u32, round: u32 },
    /// Waits until the home has told so many changes since it was opened, and flushes; [`Held`].
    AwaitChanges { changes: u64 },
    /// Compares all entities of the other home with what they must show; the number of wrong ones.
    Check { home: String, load: Load },
    /// Tells what the process has used; [`Seen`].
    Look,
    /// Stops the home properly; a new one may be opened.
    Close,
    /// Listens as the bare channel does; the address.
    BareAccept,
    /// Connects to one that listens.
    BareDial { address: SocketAddr },
}

/// Updates over entities, in turn.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Load {
    /// How many entities.
    pub(super) entities: u32,
    /// How many updates.
    pub(super) updates: u32,
    /// The round of the first one.
    pub(super) round: u32,
    /// At what pace; as fast as it goes when absent.
    pub(super) pace: Option<Pace>,
}

/// How often updates come, and how many at once.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Pace {
    /// Updates a second.
    pub(super) per_second: u32,
    /// Updates that come together.
    pub(super) burst: u32,
    /// Whether they say when they were sent.
    pub(super) stamped: bool,
}

impl Pace {
    /// Returns the time from one burst to the next.
    pub(super) fn period(self) -> Duration {
        Duration::from_secs(1) * self.burst / self.per_second
    }
}

impl Load {
    /// Returns updates that go as fast as they can.
    pub(super) fn bulk(entities: u32, updates: u32, round: u32) -> Self {
        Self { entities, updates, round, pace: None }
    }

    /// Returns as many updates a second, one by one.
    pub(super) fn paced(entities: u32, updates: u32, round: u32, per_second: u32) -> Self {
        Self { entities, updates, round, pace: Some(Pace { per_second, burst: 1, stamped: true }) }
    }

    /// Returns the same without the time of sending in each.
    pub(super) fn unstamped(mut self) -> Self {
        self.pace = self.pace.map(|pace| Pace { stamped: false, ..pace });
        self
    }

    /// Returns entity and round of each update.
    pub(super) fn updates(self) -> impl Iterator<Item = (u32, u32)> {
        (0..self.updates).map(move |i| (i % self.entities, self.round + i / self.entities))
    }

    /// Returns entity and round of the last update.
    pub(super) fn last(self) -> (u32, u32) {
        let last = self.updates.saturating_sub(1);
        (last % self.entities, self.round + last / self.entities)
    }

    /// Returns the round in which an entity ends; those without an update stay in the round before.
    pub(super) fn end_of(self, entity: u32) -> u32 {
        let (last, round) = self.last();
        if entity <= last { round } else { round.saturating_sub(1) }
    }
}

/// A home that was opened.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Opened {
    /// Where peers connect.
    pub(super) address: SocketAddr,
    /// When it was ready.
    pub(super) ready_ns: u64,
}

/// Updates that were sent.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Sent {
    /// When the first was given to the home.
    pub(super) begun_ns: u64,
    /// When all of them were durable here.
    pub(super) durable_ns: u64,
}

/// What was waited for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Held {
    /// When it was there.
    pub(super) held_ns: u64,
    /// When it was durable.
    pub(super) durable_ns: u64,
}

/// How long updates took from one process to the other.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Heard {
    /// How many came.
    pub(super) updates: u32,
    /// When the last came.
    pub(super) last_ns: u64,
    /// Half of them took at most this.
    pub(super) p50_ns: u64,
    /// All but one in a hundred took at most this.
    pub(super) p99_ns: u64,
    /// The slowest one.
    pub(super) max_ns: u64,
}

/// How a process stands.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Seen {
    /// What it has used.
    pub(super) usage: Usage,
    /// Changes its home has told since it was opened.
    pub(super) changes: u64,
}

impl Heard {
    /// Sums up what was noted.
    pub(super) fn of(mut took_ns: Vec<u64>, last_ns: u64) -> Self {
        took_ns.sort_unstable();
        let at =
            |share: f64| took_ns.get((took_ns.len() as f64 * share) as usize).copied().unwrap_or_default();
        Self {
            updates: took_ns.len() as u32,
            last_ns,
            p50_ns: at(0.5),
            p99_ns: at(0.99),
            max_ns: took_ns.last().copied().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entity_ends_in_the_round_of_its_last_update() {
        for (entities, updates) in [(10, 25), (10, 30), (10, 3), (1, 7)] {
            let load = Load::bulk(entities, updates, 5);
            let mut ends = vec![4; entities as usize];
            load.updates().for_each(|(entity, round)| ends[entity as usize] = round);
            let told: Vec<_> = (0..entities).map(|entity| load.end_of(entity)).collect();
            assert_eq!(told, ends);
        }
    }
}
