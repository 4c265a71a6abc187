//! Every number of the running home, each with the reason for its size.

use std::time::Duration;

// ---- store ----

/// How long a commit waits for a person who has the file open and writes to it: longer than any query by hand.
pub const STORE_BUSY_TIME: Duration = Duration::from_secs(5);
/// Page cache of the database in KiB: the inner pages of 100,000 entities fit; the system's own cache has the rest.
pub const STORE_CACHE_KIB: i64 = 2048;
/// Prepared statements kept: the store has some twenty-five.
pub const STORE_STATEMENTS: usize = 32;
/// Pages in the write-ahead log (4 KiB each) at which it is copied into the database: 4 MiB, as SQLite itself does.
pub const WAL_PAGES: i64 = 1000;
/// Bytes the write-ahead log's file keeps after a burst: a usual log is written over, a large one is given back.
pub const WAL_KEPT_BYTES: i64 = 8 * 1024 * 1024;
/// Pause before a failed commit is tried again: well within the 5 s of T35, and no busy loop on a full disk.
pub const STORE_RETRY: Duration = Duration::from_secs(1);
/// Versions kept per entity in the history: a screenful.
pub const HISTORY_PER_ENTITY: i64 = 20;
/// Age at which a version leaves the history.
pub const HISTORY_AGE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Oldest rows of the history looked at per commit: keeps up with any rate of less than 64 new rows per commit.
pub const HISTORY_SWEEP: i64 = 64;
/// Versions for the history that may wait while nothing can be stored: then the oldest give way.
pub const HISTORY_WAITING: usize = 10_000;
/// Rows for one table that may wait beyond twice the different ones, before repeats are dropped.
pub const WAITING_SPARE: usize = 1024;
/// Characters of a state shown to people who open the file; the record holds it all.
pub const STATE_SHOWN: usize = 255;
