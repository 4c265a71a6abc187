//! Every number that was chosen, with the reason for its size.

use std::time::Duration;

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
