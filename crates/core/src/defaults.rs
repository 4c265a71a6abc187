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

/// How many stamps the stored mark is ahead of a clock that itself is ahead of the wall clock.
///
/// One millisecond: 65,536 stamps, and little enough for a home that starts over and over.
pub const CLOCK_ROOM: u64 = 1 << 16;

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

/// Most of them that one peer may have on an entity of this home: an honest one has two at worst, from before and
/// after a restored backup, and a hostile one must leave room for the changes of others.
pub const MAX_SIBLINGS_OF_ONE: usize = 8;

/// Most bytes that the siblings of one entity may take together: with all else, they still fit a frame.
pub const MAX_SIBLING_BYTES: usize = 8 * MAX_ENTITY;

/// Most actors one version vector may name: restores make new ones, homes are few.
pub const MAX_ACTORS: usize = 256;

/// When a context names more actors than this it begins anew with what its version replaces: what somebody may still
/// hold from before shows as a sibling then, and nothing is lost.
pub const CONTEXT_KEPT: usize = 64;

/// Longest frame accepted from a peer, in bytes.
pub const MAX_FRAME: usize = 1024 * 1024;

/// Longest hello accepted from a peer, in bytes.
pub const MAX_HELLO: usize = 4 * 1024;

/// Longest chunk of an offer, in bytes, so that a command never waits behind a bulk sync.
pub const CHUNK: usize = 32 * 1024;

/// Most entities one peer may place in this home's store.
pub const MAX_ENTITIES_PER_PEER: usize = 10_000;

/// Most bytes of store that these may take: 6 KiB each, many times what real ones do.
pub const MAX_BYTES_PER_PEER: usize = 64 * 1024 * 1024;

/// How long a deletion waits for homes that have not heard of it, in milliseconds: a month, the longest holiday.
///
/// A home that is away for longer learns by its digest what is gone.
pub const DELETIONS_KEPT_MS: u64 = 30 * 24 * 3_600_000;

/// How many starts back a cursor can still be understood: a home that is restarted every hour, or caught in a loop of
/// crashes, is understood by a peer that was away for days. Four KiB in the store.
pub const EPOCHS_KEPT: usize = 256;

/// How many starts of another home a cursor names; it is sent in every hello.
pub const TRAIL_KEPT: usize = 16;

/// Shortest time between two complete resynchronisations of a peer, in milliseconds.
///
/// A peer that lies about its cursor costs at most one full transfer a minute.
pub const RESYNC_PAUSE_MS: u64 = 60_000;

/// How long a command waits for its outcome, in milliseconds.
pub const INTENT_TTL_MS: u64 = 30_000;

/// The same for locks, alarms and garage doors: late is worse than never.
pub const RISKY_INTENT_TTL_MS: u64 = 10_000;

/// How many of the last pings to a peer its commands may count from: it names the latest it has heard, and one or two
/// may have crossed it.
pub const MARKS_KEPT: usize = 8;

/// Most commands of one peer that are remembered at a time, in some 30 seconds: an impatient thumb makes ten a second.
pub const INTENTS_KEPT: usize = 512;

/// Bytes in which a home tells why it refused a command: two sentences.
pub const EXPLANATION_BYTES: usize = 200;

/// How many answers may wait for a slow peer before its link is left unread; at eight times as many the session ends.
///
/// A chunk of refused entities makes a few thousand answers at most.
pub const MAX_ANSWERS: usize = 1_000;

/// Most entities asked for in one message: with the longest ids it still fits a frame.
pub const WANTED_AT_ONCE: usize = 1_000;

/// Furthest a peer's log may move ahead in one message; more is a broken or lying peer.
pub const MAX_JUMP: u64 = 1 << 32;

/// Last place and last birth that a store may name: a million changes a second reach it in a hundred thousand years, and
/// from there a start can still count.
pub const LAST_PLACE: u64 = 1 << 62;

// Settling conflicts

/// Most rules of one policy: a house has a handful, and all of them travel in one message.
pub const MAX_RULES: usize = 64;

/// Longest pattern of a rule in bytes: as long as an entity id.
pub const MAX_PATTERN: usize = MAX_ENTITY_ID;

/// Longest template of a rule in bytes: a screen full of Jinja.
pub const MAX_TEMPLATE: usize = 4096;

// Pairing

/// How long a shown code is good for: enough to walk to the other house's tablet, too short to be
/// forgotten overnight.
pub const PAIRING_WINDOW_MS: u64 = 5 * 60 * 1000;

/// Tries at one code by anybody at all: two typing mistakes are human, and three guesses at 10^8
/// codes hit with 3e-8.
pub const PAIRING_ATTEMPTS: u32 = 3;

/// Tries at the shared key that may come in a burst: a street of homes switched on together finds
/// each other at once.
pub const SHARED_KEY_ATTEMPTS: u32 = 8;

/// Time after which one failed try at the shared key is forgiven: half a million guesses a year,
/// whoever guesses.
pub const SHARED_KEY_FORGIVE_MS: u64 = 60 * 1000;

/// Longest pairing message in bytes: an introduction with every field at its limit fits, and a
/// stranger costs no more than this.
pub const PAIRING_MESSAGE_MAX: usize = 4096;

/// Longest name of a home in characters: fits a line on a phone.
pub const NAME_MAX: usize = 64;

/// Longest software version in an introduction, in bytes: `1.2.3-beta.4+build` with room to spare.
pub const VERSION_MAX: usize = 32;

/// Most capabilities in an introduction; at their longest they fit one message together.
pub const CAPABILITIES_MAX: usize = 32;

/// Longest capability in bytes: one word.
pub const CAPABILITY_MAX: usize = 32;

/// Addresses in an invitation: one in the house, one outside, one to spare; more would make the QR
/// code hard to scan.
pub const INVITATION_ADDRESSES_MAX: usize = 3;

/// Longest address in an invitation: three of them still fit bech32m's 1,023 characters.
pub const INVITATION_ADDRESS_MAX: usize = 128;

/// Shortest shared key that is a passphrase, in characters: SPAKE2 leaves no offline guessing, and
/// online there are few tries.
pub const SHARED_KEY_MIN: usize = 8;

/// Longest shared key in bytes: whoever needs more has pasted the wrong file.
pub const SHARED_KEY_MAX: usize = 1024;
