//! The homes in sight, within limits that no flood moves.
//!
//! Keyed by the `id=` of TXT: an instance that renames itself updates its home, two instances of one id are two ways to it. What always holds
//! (SECURITY T1): at most 256 unpaired homes, 8 per address, 64 KiB in all; an entry that nobody confirms ends after 120 s; the newcomer is refused,
//! so that what people are looking at stays. A *kept* home (paired) is outside these limits, and records about it only ever add
//! an address at the end: its name, port and order of addresses stay as first seen.
//!
//! mdns-sd does not tell which host sent a packet, so "per address" goes by the A and AAAA records. A liar may name a stranger's
//! address and use up its eight places; pairing with an address typed by hand does not need the table.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    time::{Instant, SystemTime},
};

use super::{
    announcement::Announcement,
    sighting::{DiscoveryEvent, Sighting},
};
use crate::defaults::discovery as limits;

/// Candidates of a kept home that nothing on the network removes.
const FIRST_SEEN: usize = limits::MAX_CANDIDATES / 2;

/// One resolved instance, parsed.
#[derive(Debug, Clone)]
pub(super) struct Record {
    /// The full DNS name, by which mdns-sd asks for it and reports its end.
    pub(super) fullname: String,
    pub(super) instance_name: String,
    pub(super) announcement: Announcement,
    /// Usable addresses, best first.
    pub(super) candidates: Vec<SocketAddr>,
}

/// Why a record changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("{} unpaired homes are in sight already", limits::MAX_UNPAIRED)]
    Homes,
    #[error("{} homes name this address already", limits::MAX_PER_ADDRESS)]
    Address,
    #[error("all sightings together would take over {} bytes", limits::MAX_TABLE_BYTES)]
    Bytes,
    #[error("{} instances have this id already", limits::MAX_INSTANCES)]
    Instances,
}

/// What observers have been told: the revision of each home in sight.
pub(super) type Told = BTreeMap<String, u64>;

#[derive(Debug, Default)]
pub(super) struct Table {
    entries: BTreeMap<String, Entry>,
    kept: BTreeSet<String>,
    revision: u64,
}

#[derive(Debug, Clone)]
struct Entry {
    sighting: Sighting,
    /// Empty only for a kept home that is out of sight.
    instances: Vec<Instance>,
    revision: u64,
}

#[derive(Debug, Clone)]
struct Instance {
    fullname: String,
    candidates: Vec<SocketAddr>,
    confirmed: Instant,
    standing: Standing,
}

/// How mdns-sd stands to an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Resolved by the present mdns-sd daemon, which will report its end.
    Heard,
    /// Asked for again at this time; no report of its end by the deadline is a yes.
    Asked(Instant),
    /// Known from an earlier daemon; counts down until heard again.
    Unheard,
    /// Said goodbye at this time.
    Leaving(Instant),
}

impl Table {
    /// Names the paired homes.
    pub(super) fn keep(&mut self, ids: BTreeSet<String>) {
        self.kept = ids;
        self.entries.retain(|id, entry| !entry.instances.is_empty() || self.kept.contains(id));
    }

    /// Takes in a record; returns whether observers see a difference.
    pub(super) fn record(&mut self, record: Record, now: Instant, seen: SystemTime) -> Result<bool, Refused> {
        let id = record.announcement.id.clone();
        let kept = self.kept.contains(&id);
        let before = self.entries.get(&id);
        let mut entry = match before {
            Some(entry) => entry.clone(),
            None => Entry::new(&record, seen),
        };
        entry.take(&record, now, seen, kept)?;
        if !kept {
            self.check_limits(&id, &entry)?;
        }
        let changed = before.is_none_or(|before| before.differs(&entry));
        self.leave_other_ids(&record.fullname, &id);
        if changed {
            self.revision += 1;
            entry.revision = self.revision;
        }
        self.entries.insert(id, entry);
        Ok(changed)
    }

    /// Notes that an instance said goodbye or ran out; it stays for the time of grace.
    pub(super) fn leaving(&mut self, fullname: &str, now: Instant) {
        let instances = self.entries.values_mut().flat_map(|entry| &mut entry.instances);
        for instance in instances.filter(|instance| instance.fullname == fullname) {
            if !matches!(instance.standing, Standing::Leaving(_)) {
                instance.standing = Standing::Leaving(now);
            }
        }
    }

    /// Notes that mdns-sd starts anew and knows none of the instances.
    pub(super) fn unhear(&mut self) {
        for instance in self.entries.values_mut().flat_map(|entry| &mut entry.instances) {
            if !matches!(instance.standing, Standing::Leaving(_)) {
                instance.standing = Standing::Unheard;
            }
        }
    }

    /// Confirms what answered in time and drops what did not; returns whether observers see a difference.
    pub(super) fn expire(&mut self, now: Instant, seen: SystemTime) -> bool {
        let mut changed = false;
        for (id, entry) in &mut self.entries {
            entry.confirm(now, seen);
            changed |= entry.expire(now, self.kept.contains(id));
        }
        self.entries.retain(|id, entry| !entry.instances.is_empty() || self.kept.contains(id));
        self.revision += u64::from(changed);
        changed
    }

    /// Returns the instances to ask for once more, and notes that they are asked.
    pub(super) fn due(&mut self, now: Instant) -> Vec<String> {
        let mut due = Vec::new();
        for instance in self.entries.values_mut().flat_map(|entry| &mut entry.instances) {
            let old = now.duration_since(instance.confirmed) >= limits::CONFIRM_AFTER;
            if old && instance.standing == Standing::Heard {
                instance.standing = Standing::Asked(now);
                due.push(instance.fullname.clone());
            }
        }
        due
    }

    /// Returns the homes in sight.
    pub(super) fn sightings(&self) -> Vec<Sighting> {
        self.in_sight().map(|entry| entry.sighting.clone()).collect()
    }

    /// Returns one thing that `told` lacks, and notes it there.
    pub(super) fn news(&self, told: &mut Told) -> Option<DiscoveryEvent> {
        let gone = |id: &&String| self.entries.get(*id).is_none_or(|entry| entry.instances.is_empty());
        if let Some(id) = told.keys().find(gone).cloned() {
            told.remove(&id);
            return Some(DiscoveryEvent::Lost { id });
        }
        let entry = self.in_sight().find(|entry| told.get(&entry.sighting.id) != Some(&entry.revision))?;
        let sighting = entry.sighting.clone();
        match told.insert(sighting.id.clone(), entry.revision) {
            None => Some(DiscoveryEvent::Found(sighting)),
            Some(_) => Some(DiscoveryEvent::Updated(sighting)),
        }
    }

    fn in_sight(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values().filter(|entry| !entry.instances.is_empty())
    }

    /// Tells whether `entry` may stand in the table under `id`.
    fn check_limits(&self, id: &str, entry: &Entry) -> Result<(), Refused> {
        let others =
            || self.entries.iter().filter(|(other, _)| other.as_str() != id && !self.kept.contains(*other));
        if others().count() >= limits::MAX_UNPAIRED {
            return Err(Refused::Homes);
        }
        for candidate in &entry.sighting.candidates {
            let namesakes = others().filter(|(_, other)| other.names(candidate)).count();
            if namesakes >= limits::MAX_PER_ADDRESS {
                return Err(Refused::Address);
            }
        }
        let bytes = others().map(|(_, other)| other.bytes()).sum::<usize>() + entry.bytes();
        if bytes > limits::MAX_TABLE_BYTES { Err(Refused::Bytes) } else { Ok(()) }
    }

    /// An instance that changed its id leaves its former home, unless that one is kept: it may be a lie.
    fn leave_other_ids(&mut self, fullname: &str, id: &str) {
        for (other, entry) in &mut self.entries {
            if other != id && !self.kept.contains(other) {
                entry.instances.retain(|instance| instance.fullname != fullname);
            }
        }
        self.entries.retain(|other, entry| !entry.instances.is_empty() || self.kept.contains(other));
    }
}

impl Entry {
    fn new(record: &Record, seen: SystemTime) -> Self {
        let said = record.announcement.clone();
        let sighting = Sighting {
            id: said.id,
            home_name: said.home_name,
            instance_name: record.instance_name.clone(),
            version: said.version,
            proto: said.proto,
            caps: said.caps,
            addresses: Vec::new(),
            port: said.port,
            candidates: Vec::new(),
            last_seen: seen,
        };
        Self { sighting, instances: Vec::new(), revision: 0 }
    }

    fn take(&mut self, record: &Record, now: Instant, seen: SystemTime, kept: bool) -> Result<(), Refused> {
        let mut candidates = record.candidates.clone();
        candidates.truncate(limits::MAX_CANDIDATES);
        let instance = Instance {
            fullname: record.fullname.clone(),
            candidates,
            confirmed: now,
            standing: Standing::Heard,
        };
        match self.instances.iter().position(|known| known.fullname == instance.fullname) {
            Some(known) => self.instances[known] = instance,
            None if self.instances.len() < limits::MAX_INSTANCES => self.instances.push(instance),
            None => return Err(Refused::Instances),
        }
        self.sighting.last_seen = seen;
        if !kept {
            self.rewrite(record);
        }
        self.gather(kept);
        Ok(())
    }

    /// Lets an unpaired home say anything new about itself.
    fn rewrite(&mut self, record: &Record) {
        let said = record.announcement.clone();
        self.sighting.home_name = said.home_name;
        self.sighting.instance_name.clone_from(&record.instance_name);
        self.sighting.version = said.version;
        self.sighting.proto = said.proto;
        self.sighting.caps = said.caps;
        self.sighting.port = said.port;
    }

    /// Collects the candidates of all instances: for a kept home those known first, in their order.
    fn gather(&mut self, kept: bool) {
        let announced: Vec<SocketAddr> =
            self.instances.iter().flat_map(|instance| &instance.candidates).copied().collect();
        let mut candidates = if kept { std::mem::take(&mut self.sighting.candidates) } else { Vec::new() };
        for candidate in &announced {
            if candidates.contains(candidate) {
                continue;
            }
            if candidates.len() == limits::MAX_CANDIDATES {
                // One that nobody announces any more makes room, but never among the first seen: a spoofed
                // record silences the true one and would else push its addresses out.
                let late = &candidates[FIRST_SEEN..];
                let Some(stale) = late.iter().rposition(|known| !announced.contains(known)) else { break };
                candidates.remove(FIRST_SEEN + stale);
            }
            candidates.push(*candidate);
        }
        self.sighting.addresses = addresses(&candidates);
        self.sighting.candidates = candidates;
    }

    fn confirm(&mut self, now: Instant, seen: SystemTime) {
        for instance in &mut self.instances {
            let Standing::Asked(at) = instance.standing else { continue };
            // mdns-sd needs a moment more than the deadline to report.
            if now.duration_since(at) > limits::CONFIRM_WITHIN + 2 * limits::TICK {
                instance.standing = Standing::Heard;
                instance.confirmed = now;
                self.sighting.last_seen = seen;
            }
        }
    }

    /// Drops instances that are over; returns whether one was.
    fn expire(&mut self, now: Instant, kept: bool) -> bool {
        let before = self.instances.len();
        self.instances.retain(|instance| match instance.standing {
            Standing::Leaving(since) => now.duration_since(since) < limits::GOODBYE_GRACE,
            _ => now.duration_since(instance.confirmed) < limits::LIFETIME,
        });
        let changed = before != self.instances.len();
        if changed && !kept && !self.instances.is_empty() {
            self.gather(false);
            self.revision += 1;
        }
        changed
    }

    fn differs(&self, other: &Self) -> bool {
        let seen_at_once = Sighting { last_seen: other.sighting.last_seen, ..self.sighting.clone() };
        self.instances.is_empty() != other.instances.is_empty() || seen_at_once != other.sighting
    }

    fn names(&self, candidate: &SocketAddr) -> bool {
        self.sighting.candidates.iter().any(|own| own.ip() == candidate.ip())
    }

    /// Bytes this entry holds on the heap and in itself.
    fn bytes(&self) -> usize {
        let Sighting { id, home_name, instance_name, version, caps, .. } = &self.sighting;
        let texts = [id, home_name, instance_name, version].map(String::len).iter().sum::<usize>()
            + caps.iter().map(String::len).sum::<usize>();
        let addresses = self.sighting.candidates.len() * size_of::<SocketAddr>();
        let instances = self
            .instances
            .iter()
            .map(|instance| instance.fullname.len() + instance.candidates.len() * size_of::<SocketAddr>());
        texts + addresses + instances.sum::<usize>()
    }
}

fn addresses(candidates: &[SocketAddr]) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for candidate in candidates {
        let local = matches!(candidate, SocketAddr::V6(v6) if v6.ip().is_unicast_link_local());
        if !local && !addresses.contains(&candidate.ip()) {
            addresses.push(candidate.ip());
        }
    }
    addresses
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
