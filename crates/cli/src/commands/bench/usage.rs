//! What a process has used, and the clock that all processes of this machine share.

use std::{fs, time::Duration};

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// What a process has used so far.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Usage {
    /// CPU time of all its threads.
    pub(super) cpu_ns: u64,
    /// Memory that it occupies.
    pub(super) resident_bytes: u64,
}

impl Usage {
    /// Looks at this process.
    pub(super) fn now() -> Self {
        Self { cpu_ns: read(ClockId::ProcessCPUTime), resident_bytes: resident_bytes() }
    }

    /// Returns the CPU time since an earlier look.
    pub(super) fn cpu_since(&self, before: &Self) -> Duration {
        Duration::from_nanos(self.cpu_ns.saturating_sub(before.cpu_ns))
    }
}

/// Returns the time since the machine was started.
pub(super) fn now_ns() -> u64 {
    read(ClockId::Monotonic)
}

fn read(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

/// Reads the resident pages; a system without this file shows none.
fn resident_bytes() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok());
    pages.unwrap_or_default() * rustix::param::page_size() as u64
}
