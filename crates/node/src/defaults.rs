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
/// zstd level of frames: higher ones cost three times the CPU for 3 % fewer bytes.
pub const COMPRESS_LEVEL: i32 = 3;
/// How much a compressed frame may grow (T25): our densest snapshots reach 40.
pub const DECOMPRESS_RATIO: usize = 100;
/// A write without any progress for this long means nobody reads (T19).
pub const STALL_TIME: Duration = Duration::from_secs(30);
/// Age at which a link is replaced by a fresh handshake, so that no session key lives for ever.
pub const REHANDSHAKE_AFTER: Duration = Duration::from_secs(24 * 3600);
