//! Homes as people run them: the built command, several processes, real sockets, real disks.
//!
//! Each module is one part of the promise. [`support`] starts homes, talks to them and waits; a home looks through
//! all it has logged at `trace` when its test ends, for anything that must never be in a log (T37).

#[path = "../../../node/tests/support/netns.rs"]
mod netns;
mod support;

mod backups;
mod chaos;
mod clocks;
mod clones;
mod commands;
mod conflicts;
mod crashes;
mod disks;
mod houses;
mod loopback;
mod names;
mod rotation;
mod secrecy;
mod shapes;
mod shared_key;
mod starts;
mod strange_pairings;
mod strangers;

use std::time::Duration;

/// Longest wait for what takes a second or two on a quiet machine.
const PATIENCE: Duration = Duration::from_secs(40);
