//! Every number of the Python package, each with the reason for its size.

use std::time::Duration;

// ---- kept: files by id ----

/// How long a call waits for its turn at a file: a hundred processes that each write for a few milliseconds are through by then.
pub(crate) const BUSY_TIME: Duration = Duration::from_secs(10);
/// Between two attempts to open a file that somebody else is making.
pub(crate) const BUSY_PAUSE: Duration = Duration::from_millis(5);
/// Between two looks at what other processes have written: nobody notices a quarter of a second, and a look costs microseconds.
pub(crate) const WATCH_PAUSE: Duration = Duration::from_millis(250);
/// "chrg" and "chco": what SQLite's application id says of a registry, and of a resolver's conflicts.
pub(crate) const REGISTRY_MARK: u32 = 0x6368_7267;
/// See [`REGISTRY_MARK`].
pub(crate) const CONFLICTS_MARK: u32 = 0x6368_636f;
/// Characters that an error shows of what was given: any name fits, and nobody fills a log with one.
pub(crate) const SHOWN_CHARACTERS: usize = 80;
/// Most homes that one entity names: a rule for more than that is "everyone".
pub(crate) const HOMES_NAMED: usize = 256;
