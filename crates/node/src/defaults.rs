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

    /// First wait before mDNS is opened again after it failed.
    pub const REOPEN: Duration = Duration::from_secs(1);

    /// First wait after a flood: it is rarely over in a second, and each opening costs memory until it is noticed.
    pub const FLOOD_PAUSE: Duration = Duration::from_secs(10);

    /// Longest of these waits.
    pub const REOPEN_LONGEST: Duration = Duration::from_secs(60);

    /// Quiet time after which the next failure counts as the first one.
    pub const REOPEN_FORGIVEN: Duration = Duration::from_secs(120);

    /// New instances within one tick that are taken for a flood: no network has so many real ones.
    pub const FLOOD_FOUND: usize = 300;

    /// Multicast packets within a time that are a flood: a hundred devices answering at once stay below, and mdns-sd,
    /// which gets slower with each record, still keeps up with so many.
    pub const FLOOD_PACKETS: (u32, Duration) = (150, Duration::from_millis(100));

    /// Pause in counting during a flood.
    pub const FLOOD_REST: Duration = Duration::from_secs(1);

    /// Records in the cache of mdns-sd, which has no limit itself, at which it is thrown away (about 1 MiB).
    pub const FLOOD_CACHED: i64 = 2048;

    /// Beats without an answer after which the thread of mdns-sd is given up: it reads packets before commands.
    pub const SILENT_BEATS: u32 = 20;

    /// Least time between two changes of our own instance name when somebody claims it again and again.
    pub const RENAME_PAUSE: Duration = Duration::from_secs(5);

    /// Time that mdns-sd gets to say goodbye; it repeats the packet after 120 ms.
    pub const GOODBYE_REPEAT: Duration = Duration::from_millis(150);

    /// Longest wait for mdns-sd to end.
    pub const CLOSE_WITHIN: Duration = Duration::from_secs(2);

    /// Discovery events a slow observer may leave unread before they coalesce.
    pub const EVENT_CAPACITY: usize = 64;
}
