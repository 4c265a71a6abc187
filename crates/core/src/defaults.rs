//! Every number that somebody might ask "why this much?" about, with the answer.

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
