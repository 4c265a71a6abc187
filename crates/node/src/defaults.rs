//! Every number of the running home, each with the reason for its size.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    num::{NonZeroU16, NonZeroU32},
    time::Duration,
};

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
/// Bytes of HTTP request read: our own is 250, proxies add some headers.
pub const UPGRADE_BYTES: u64 = 8 * 1024;
/// Bytes read until the peer has proven its key: the handshake takes 2 KiB, a proxy's framing some more.
pub const HANDSHAKE_BYTES: u64 = 4 * 1024;
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
pub const SOCKET_READ_BYTES: usize = 4 * 1024;
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
/// Shortest frame worth compressing with the shipped dictionary: a change of one number stays plain.
pub const COMPRESS_WITH_WORDS_FROM_BYTES: usize = 64;
/// zstd level of frames: higher ones cost three times the CPU for 3 % fewer bytes.
pub const COMPRESS_LEVEL: i32 = 3;
/// How much a compressed frame may grow (T25): our densest snapshots reach 40.
pub const DECOMPRESS_RATIO: usize = 100;
/// A write without any progress for this long means nobody reads (T19).
pub const STALL_TIME: Duration = Duration::from_secs(30);
/// Age at which a link is replaced by a fresh handshake, so that no session key lives for ever.
pub const REHANDSHAKE_AFTER: Duration = Duration::from_secs(24 * 3600);

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
// ---- configuration ----

/// UDP port of multicast DNS (RFC 6762).
pub const MDNS_PORT: NonZeroU16 = NonZeroU16::new(5353).unwrap();
/// TCP port on which homes reach each other; what CoPilot users already have in their files.
pub const SYNC_PORT: u16 = 8765;
/// Both IPv6 and IPv4.
pub const SYNC_BIND: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
/// The next one, for people and programs on this machine.
pub const API_PORT: u16 = 8766;
/// This machine only: whoever reaches the API steers the home.
pub const API_BIND: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Entities that one peer may place here (T17): five times the largest house seen, and little enough for a small board.
pub const ENTITIES_PER_PEER: NonZeroU32 =
    NonZeroU32::new(crosshome_core::defaults::MAX_ENTITIES_PER_PEER as u32).unwrap();
/// A DNS label (RFC 1035), because the name is announced as one.
pub const HOME_NAME_BYTES: usize = 63;
/// An id in groups has 71 characters.
pub const HOME_REF_BYTES: usize = 80;
/// Linux's IFNAMSIZ without the final zero.
pub const INTERFACE_BYTES: usize = 15;
/// Home Assistant allows 255 characters in an entity id.
pub const PATTERN_BYTES: usize = 255;
/// Fewer characters can be guessed on line in a lifetime.
pub const SECRET_CHARS: usize = 8;
/// More than any token that exists.
pub const SECRET_BYTES: usize = 4096;
/// Linux's PATH_MAX.
pub const PATH_BYTES: usize = 4096;
/// Ten times the largest configuration seen in the wild; 0.1 s to parse on a small board.
pub const CONFIG_BYTES: u64 = 1024 * 1024;
/// Home Assistant's own files stay below 20; recursion stays far from the stack's end.
pub const CONFIG_DEPTH: usize = 64;
/// A file that includes itself ends here.
pub const CONFIG_INCLUDE_DEPTH: usize = 8;
/// Bounds what a block of includes can make us read: 64 MiB.
pub const CONFIG_FILES: usize = 64;
/// Bounds a list, and what merges of merges can unfold into.
pub const CONFIG_KEYS: usize = 10_000;
/// More mistakes than these help nobody; the rest are counted.
pub const CONFIG_ERRORS: usize = 100;

// --- The local faces: node.rs, http/ ---

/// Requests that may wait for the loop; callers beyond them wait in line, so a burst costs callers time and the home no memory.
pub const REQUESTS_WAITING: usize = 1_024;

/// Notices an observer may be behind before it is told to read everything anew.
pub const NOTICES_KEPT: usize = 4_096;

/// Longest entity id with its home: Home Assistant's 255 and a home name of 63 bytes fit.
pub const ENTITY_ID_BYTES: usize = 320;

/// Largest request body: an entity of 64 KiB in JSON escapes, with room.
pub const BODY_BYTES: usize = 256 * 1024;

/// Longest wait for a request body; a local caller needs milliseconds.
pub const BODY_WAIT: Duration = Duration::from_secs(10);

/// Longest wait for a request's head, and so for the next request on an idle connection.
pub const HEAD_WAIT: Duration = Duration::from_secs(10);

/// Bytes of a request's head: tokens, paths and browsers' headers take 2 KiB.
pub const HEAD_BYTES: usize = 16 * 1024;

/// Connections to the API at one time, per door; browsers open six, so twenty people fit.
pub const API_CONNECTIONS: usize = 128;

/// How long open answers may go on after the home was told to stop.
pub const API_GRACE: Duration = Duration::from_secs(1);

/// Depth of a JSON body: Home Assistant's deepest attributes have 7 levels, serde_json stops at 128.
pub const JSON_DEPTH: usize = 32;

/// Values in a JSON body: more than any entity has, few enough to cost 4 MiB at worst.
pub const JSON_NODES: usize = 4_096;

/// Events an API client may miss while away and still resume: half a minute of a lively house.
pub const EVENTS_KEPT: usize = 4_096;

/// Bytes of events kept for that, however large they are.
pub const EVENTS_BYTES: usize = 4 * 1024 * 1024;

/// How long events are kept after the last client left; browsers come back within seconds.
pub const EVENTS_GRACE: Duration = Duration::from_secs(60);

/// Silence on an event stream before a comment is sent, below the 30 s after which proxies hang up.
pub const EVENTS_ALIVE: Duration = Duration::from_secs(15);

/// Longest wait before a home counts as not ready: supervisors ask every 10 s or more.
pub const READY_WAIT: Duration = Duration::from_secs(5);

/// Longest time a caller may have the network watched for it.
pub const DISCOVER_WAIT_MAX: Duration = Duration::from_secs(60);

// --- The loop and its links ---

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Events or requests taken in one turn: enough to commit and send in groups, few enough to stay in the cache.
pub const BURST: usize = 256;

/// Bytes handed to a link's writer at once: four full TLS records.
pub const BURST_BYTES: usize = 64 * 1024;

/// Events that may wait for the loop; whoever has more to say waits, so a flood costs the flooder.
pub const EVENTS_WAITING: usize = 256;

/// Pause in reading a peer that does not read its answers: these have time to leave, and a flood costs the flooder.
pub const CONGESTED_PAUSE: Duration = Duration::from_millis(100);

/// Time between signs of life on a quiet link.
pub const HEARTBEAT: Duration = Duration::from_secs(15);

/// Silence after which a link counts as dead: three heartbeats.
pub const SILENCE: Duration = Duration::from_secs(45);

/// Time for the first message of a peer after TLS.
pub const HELLO_TIME: Duration = Duration::from_secs(15);

/// Longest time that a reported state waits for the disk: an SD card takes a write a second for years.
pub const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// New entities that go to the store before that time is over: few enough to hold twice, and enough that a transaction
/// costs little for each.
pub const NEW_ENTITIES: u64 = 1024;

/// Shortest and longest pause between attempts to reach a peer; an announcement cuts it short.
pub const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// How long after the loss of a link the shortest pause stays: a cable, a reboot or an update takes less, and whoever waits
/// for that sees the homes meet within a second. Two packets a second cost nobody anything.
pub const EAGER_TIME: Duration = Duration::from_secs(120);

/// Silence after which a peer that owes an answer is doubted: confirmations take a second when the disk is let rest.
pub const ANSWER_TIME: Duration = Duration::from_millis(2500);

/// How long a caller waits until both sides hold the same: a first sync of the most entities takes seconds; what a
/// wrong clock keeps back may take for ever.
pub const SAME_TIME: Duration = Duration::from_secs(60);

/// Pause between two knocks at a silent peer's door: a healed network is noticed within it.
pub const KNOCK_EVERY: Duration = Duration::from_secs(1);

/// Time in which a door is reached when no packet is lost: the system repeats the first one after a second.
pub const PROMPT: Duration = Duration::from_millis(900);

/// Age from which a link is an earlier one when the peer comes again, and not made at once with the new one: ten handshakes.
pub const MADE_AT_ONCE: Duration = Duration::from_secs(3);
/// How long a link must last for its end to be an accident and not a fault that would only come back.
pub const STEADY: Duration = Duration::from_secs(10);

/// How long the greater of two ids lets the other dial, so that one link is made and not two.
pub const DIAL_POLITELY: Duration = Duration::from_millis(700);

/// Addresses remembered of a peer.
pub const ADDRESSES_KEPT: usize = 8;

/// Kind of the memo that names an intent which was taken, so that it is not carried out twice.
pub const TAKEN: &str = "intent";

/// Commands that may wait for their outcome: more is a loop somewhere.
pub const COMMANDS_WAITING: usize = 256;

/// Pairing conversations at one time; each is a stranger with a few KiB.
pub const PAIRING_CONVERSATIONS: usize = 16;

/// Time for each message of a pairing.
pub const PAIRING_STEP_TIME: Duration = Duration::from_secs(10);

/// Time after which a home in sight is asked again to join by the shared key.
pub const JOIN_AGAIN: Duration = Duration::from_secs(60);

/// How long the doctor tells of a home with another shared key after it was last met.
pub const MISFIT_SHOWN: Duration = Duration::from_secs(600);

/// Homes with another shared key remembered: more of them help nobody.
pub const MISFITS_KEPT: usize = 16;

/// How long the greater of two ids lets the other join.
pub const JOIN_POLITELY: Duration = Duration::from_secs(2);

/// Label under which TLS exports what a pairing is bound to.
pub const EXPORTER_PAIRING: &str = "EXPORTER-crosshome-pairing-v1";

/// Label under which TLS exports what a proof of the shared key is bound to.
pub const EXPORTER_SYNC: &str = "EXPORTER-crosshome-sync-v1";

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
/// Versions kept in the history of all entities: a household's month of edits several times over; 8 MB of usual ones,
/// 1.3 GB if somebody fills it with the largest.
pub const HISTORY_ROWS: i64 = 20_000;
/// Age at which a version leaves the history.
pub const HISTORY_AGE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Oldest rows of the history looked at per commit: keeps up with any rate of less than 64 new rows per commit.
pub const HISTORY_SWEEP: i64 = 64;
/// Versions for the history that may wait while nothing can be stored: then the oldest give way.
pub const HISTORY_WAITING: usize = 10_000;
/// Rows for one table that may wait beyond twice the different ones, before repeats are dropped.
pub const WAITING_SPARE: usize = 1024;
/// Bytes of a state shown to people who open the file; the record holds it all.
pub const STATE_SHOWN: usize = 255;

// ---- conflicts and the past ----

/// Kind of the memos that are conflicts on record.
pub const CONFLICT: &str = "conflict";
/// Conflicts on record: a household has a few a week, so these are years.
pub const CONFLICTS_KEPT: usize = 1_000;
/// Bytes of all conflicts on record, as they are stored: twice what they usually take, and ten of the largest.
pub const CONFLICT_BYTES: usize = 8 * 1024 * 1024;
/// Age at which a settled conflict leaves the record: that of the history, from which it shows what was before.
pub const CONFLICT_AGE: Duration = HISTORY_AGE;
/// Versions that may enter the history per second, and at once after a quiet time, other than those of this home's own
/// people: people never write so fast, and a bulk transfer costs the store 1 % more and not twice as much.
pub const HISTORY_RATE: (u32, u32) = (100, 500);

// ---- bridges ----

/// How long the simulated house leaves a command to its dead device unanswered: longer than any command lives.
pub const SILENT_DEVICE: Duration = Duration::from_secs(60);

// ---- strategies ----

/// What one rendering of a template may use up: an instruction costs one, and so do 64 bytes that are made. It stays below
/// 13 MB and 0.1 s, and the largest pair of versions is read, compared and written many times for it.
pub const TEMPLATE_FUEL: u64 = 200_000;
/// Characters shown of what is wrong with a template.
pub const TEMPLATE_WORDS: usize = 120;
/// How long a home's own function may take for one conflict: it may ask a service on the network, and nobody waits for it
/// but the conflict.
pub const FUNCTION_TIME: Duration = Duration::from_secs(10);
/// Kind of the memos that hold policies.
pub const POLICY: &str = "policy";

// ---- backups ----

/// The form of a backup that this program writes.
pub const BACKUP_FORMAT: u32 = 1;
/// Characters of a passphrase at least: what is stolen can be tried at leisure, each try costing 64 MiB and 0.1 s.
pub const PASSPHRASE_CHARS: usize = 8;
/// Work of scrypt, as a power of two: 64 MiB for a moment, which a small board still has.
pub const BACKUP_WORK: u8 = 16;
/// Most work that a backup may ask for: what the age program takes when somebody packs a backup anew, 256 MiB.
pub const BACKUP_WORK_MAX: u8 = 18;
/// What a backup says of itself: a few names and times.
pub const BACKUP_ABOUT_BYTES: u64 = 4 * 1024;
/// A key or token file takes 119 bytes.
pub const BACKUP_KEY_BYTES: u64 = 4 * 1024;
/// A store of 100,000 entities with a month's history takes about 1 GB at worst.
pub const BACKUP_STORE_BYTES: u64 = 4 * 1024 * 1024 * 1024;
/// Window of zstd, as a power of two, that a backup may ask for: 8 MiB, that of all levels below the ultra ones.
pub const BACKUP_WINDOW: u32 = 23;
/// Chunks of 64 KiB that may wait for whoever takes a backup.
pub const BACKUP_CHUNKS: usize = 4;
/// Kind and name of the memo by which a home knows that it was restored: first to be acted upon, then to be told.
pub const RESTORED: (&str, &str) = ("restored", "pending");
/// As [`RESTORED`], once the home has taken a new incarnation.
pub const RESTORED_LAST: (&str, &str) = ("restored", "last");

// ---- two homes with one key ----

/// Kind of the memo that says which peers are shut out because they run twice.
pub const CLONED: &str = "cloned";
/// How long a link that has lost its place to another start of its peer may live: two round trips are enough for it to
/// answer, and a busy home or a slow network takes its time. It ends with the next heartbeat.
pub const RIVAL_TIME: Duration = Duration::from_secs(20);
/// Starts remembered of a peer: two that take turns come back within seconds, also beside one that restarts in a loop.
pub const STARTS_KEPT: usize = 64;
