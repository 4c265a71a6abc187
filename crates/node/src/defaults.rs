//! Every number that was chosen, with the reason for its size.

// --- The local faces: node.rs, http/ ---

/// Requests that may wait for the loop; callers beyond them wait in line, so a burst costs callers time and the home no memory.
pub const REQUESTS_WAITING: usize = 1_024;

/// Notices an observer may be behind before it is told to read everything anew.
pub const NOTICES_KEPT: usize = 4_096;

/// Longest entity id with its home: Home Assistant's 255 and a home name of 63 bytes fit.
pub const ENTITY_ID_BYTES: usize = 320;
