//! Every number of the running home, each with the reason for its size.

use std::time::Duration;

// ---- channel: before anybody is known ----

/// Time for the HTTP upgrade (T20): a slow radio link needs one second, an attacker gets no more than this.
pub const UPGRADE_TIME: Duration = Duration::from_secs(5);
/// Time for the TLS handshake after it (T20): 90 ms of work at worst, the rest is for slow networks.
pub const HANDSHAKE_TIME: Duration = Duration::from_secs(5);
/// Time for a TCP connection to one address: three tries of SYN (1 s, then 2 s later).
pub const CONNECT_TIME: Duration = Duration::from_secs(4);
/// Time to say why and to wait for the other side's end: long enough for a reply over a slow link.
pub const FAREWELL_TIME: Duration = Duration::from_secs(1);
/// Connections that may be in their handshake at one time (T20): 64 times 32 KiB is 2 MiB.
pub const HALF_OPEN: usize = 64;
/// Of these from one IPv4 address or one IPv6 /64 (T20): several homes may sit behind one address.
pub const HALF_OPEN_PER_NETWORK: usize = 8;
/// Bytes of HTTP request accepted: our own is 250, proxies add some headers.
pub const UPGRADE_BYTES: u64 = 8 * 1024;
/// Bytes accepted until the peer has proven its key: the handshake takes 1.6 KiB, a hello that rides along 4 KiB.
pub const HANDSHAKE_BYTES: u64 = 16 * 1024;
/// Admitted peers that wait for the loop: it takes them in microseconds, so this fills only when it is stuck.
pub const ARRIVALS: usize = 16;
/// Pause after the system could not accept (no file descriptors left): long enough not to spin, short enough to recover.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections the kernel keeps for us: a burst of 1,000 a second is taken in well under a second.
pub const BACKLOG: i32 = 512;

// ---- channel: carrying frames ----

/// Bytes of TLS packed into one WebSocket message at most: four records, so that a receiver can start early.
pub const MESSAGE_BYTES: usize = 64 * 1024 + 1024;
/// What one read from the socket asks for: a full TLS record; larger costs memory on every half-open connection.
pub const SOCKET_READ_BYTES: usize = 8 * 1024;
/// Bytes a reader decrypts before it gives the loop its turn.
pub const READ_AHEAD_BYTES: usize = 64 * 1024;
/// Spare room kept in a writer between two sends: a full burst; more is given back.
pub const WRITE_SPARE_BYTES: usize = 128 * 1024;
/// Longest frame until the hello is through (T22).
pub const HELLO_BYTES: usize = 4 * 1024;
/// Longest frame afterwards, before and after decompression (T22).
pub const FRAME_BYTES: usize = 1024 * 1024;
/// Shortest frame worth compressing without a dictionary: below it the zstd header eats the gain.
pub const COMPRESS_FROM_BYTES: usize = 512;
/// zstd level of frames: higher ones cost three times the CPU for 3 % fewer bytes.
pub const COMPRESS_LEVEL: i32 = 3;
/// How much a compressed frame may grow (T25): our densest snapshots reach 40.
pub const DECOMPRESS_RATIO: usize = 100;
/// A write without any progress for this long means nobody reads (T19).
pub const STALL_TIME: Duration = Duration::from_secs(30);
/// Age at which a link is replaced by a fresh handshake, so that no session key lives for ever.
pub const REHANDSHAKE_AFTER: Duration = Duration::from_secs(24 * 3600);
//! Every number of the running home, with the reason for its size.

/// Discovery on the local network: SECURITY T1 names the limits, RFC 6762 the times.
pub mod discovery {
    use std::time::Duration;

    /// The port of multicast DNS (RFC 6762 section 3).
    pub const MDNS_PORT: u16 = 5353;

    /// Unpaired homes remembered at once: more than any street has, and little to search.
    pub const MAX_UNPAIRED: usize = 256;

    /// Unpaired homes that may give one address: a test rack fits, a flood does not.
    pub const MAX_PER_ADDRESS: usize = 8;

    /// Bytes that all unpaired sightings together may hold.
    pub const MAX_TABLE_BYTES: usize = 64 * 1024;

    /// Instances that may announce one id: a home on two interfaces, or a clone in need of an alarm.
    pub const MAX_INSTANCES: usize = 4;

    /// Addresses worth trying for one home; a host with more announces its best ones anyway.
    pub const MAX_CANDIDATES: usize = 8;

    /// A sighting that nobody confirms ends after this, whatever its records claim.
    pub const LIFETIME: Duration = Duration::from_secs(120);

    /// Age at which a sighting is asked for once more, early enough for two tries before [`LIFETIME`].
    pub const CONFIRM_AFTER: Duration = Duration::from_secs(90);

    /// Time to answer that question (RFC 6762 section 10.4).
    pub const CONFIRM_WITHIN: Duration = Duration::from_secs(10);

    /// Time between a goodbye and the loss, so that a home that renames itself is not lost in between.
    pub const GOODBYE_GRACE: Duration = Duration::from_secs(2);

    /// Between two announcements (RFC 6762 section 8.3 says one second, the sender's rate limit a little more).
    pub const ANNOUNCE_AGAIN: Duration = Duration::from_millis(1200);

    /// Beat of everything that is due: confirmations, expiry, announcing again, opening again.
    pub const TICK: Duration = Duration::from_millis(500);

    /// First and longest wait before mDNS is opened again after it failed or was flooded.
    pub const REOPEN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

    /// Quiet time after which the next failure counts as the first one.
    pub const REOPEN_FORGIVEN: Duration = Duration::from_secs(120);

    /// New instances within one tick that are taken for a flood: no network has so many real ones.
    pub const FLOOD_FOUND: usize = 300;

    /// Records in the cache of mdns-sd, which has no limit itself, at which it is thrown away (about 2 MiB).
    pub const FLOOD_CACHED: i64 = 4096;

    /// Least time between two changes of our own instance name when somebody claims it again and again.
    pub const RENAME_PAUSE: Duration = Duration::from_secs(5);

    /// Time that mdns-sd gets to say goodbye; it repeats the packet after 120 ms.
    pub const GOODBYE_REPEAT: Duration = Duration::from_millis(150);

    /// Longest wait for mdns-sd to end.
    pub const CLOSE_WITHIN: Duration = Duration::from_secs(2);

    /// Discovery events a slow observer may leave unread before they coalesce.
    pub const EVENT_CAPACITY: usize = 64;
}
