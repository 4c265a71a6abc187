//! Every number of the core, with the reason for its size.

/// How far ahead of this home's clock a stamp may be, in milliseconds.
///
/// NTP keeps homes within a second; a minute forgives a sloppy clock and still
/// stops a stamp from 2099 from winning for decades.
pub const MAX_SKEW_MS: u64 = 60_000;

/// How far ahead the clock's high-water mark is stored, in milliseconds.
///
/// One write per ten seconds of activity keeps an SD card alive, and a crash
/// costs at most this much of a jump forward.
pub const CLOCK_AHEAD_MS: u64 = 10_000;

/// Longest entity id in bytes: Home Assistant's own limit.
pub const MAX_ENTITY_ID: usize = 255;

/// Most bytes that the fields of one entity may take together.
pub const MAX_ENTITY: usize = 64 * 1024;

/// Longest name of an attribute in bytes.
pub const MAX_FIELD_NAME: usize = 256;

/// Most attributes of one entity.
pub const MAX_FIELDS: usize = 512;

/// Deepest nesting of a value: real attributes need four or five.
pub const MAX_DEPTH: usize = 32;

/// Most values, counted through all levels, in one entity.
pub const MAX_NODES: usize = 4096;

/// Most siblings an entity keeps: one per home that may write it, with room to spare.
pub const MAX_SIBLINGS: usize = 64;

/// Most actors one version vector may name: restores make new ones, homes are few.
pub const MAX_ACTORS: usize = 256;

/// Longest frame accepted from a peer, in bytes.
pub const MAX_FRAME: usize = 1024 * 1024;

/// Longest hello accepted from a peer, in bytes.
pub const MAX_HELLO: usize = 4 * 1024;

/// Longest chunk of an offer, in bytes, so that a command never waits behind a bulk sync.
pub const CHUNK: usize = 32 * 1024;

/// Most entities one peer may place in this home's store.
pub const MAX_ENTITIES_PER_PEER: usize = 10_000;

/// How many boots back a cursor can still be understood.
pub const EPOCHS_KEPT: usize = 16;

/// Shortest time between two complete resynchronisations of a peer, in milliseconds.
///
/// A peer that lies about its cursor costs at most one full transfer a minute.
pub const RESYNC_PAUSE_MS: u64 = 60_000;

/// How long a command waits for its outcome, in milliseconds.
pub const INTENT_TTL_MS: u64 = 30_000;

/// The same for locks, alarms and garage doors: late is worse than never.
pub const RISKY_INTENT_TTL_MS: u64 = 10_000;

/// Most entities asked for in one message: with the longest ids it still fits a frame.
pub const WANTED_AT_ONCE: usize = 1_000;

/// Furthest a peer's log may move ahead in one message; more is a broken or lying peer.
pub const MAX_JUMP: u64 = 1 << 32;
