//! Every bound of the program, each with its reason. A bound that an operator may want to move is
//! a default here and a key in `config.rs`; all others are laws of this build.

use std::time::Duration;

// ---- words ----

/// Longest id from outside. Long enough for two UUIDs with a prefix, short enough for a header.
pub const MAX_ID_BYTES: usize = 256;

// ---- log ----

/// Largest batch. Above the largest event that a box can cause ([`MAX_BOX_BODY_BYTES`] bounds the
/// answer it comes from), so that no page is refused for its size alone.
pub const MAX_BATCH_BYTES: usize = 80 << 20;

// ---- upstream ----

/// Largest answer read from a box. A session of 10 MB tool outputs fits; an endless body does not.
pub const MAX_BOX_BODY_BYTES: usize = 64 << 20;

/// What an adapter may keep in the log before a dispatch. A few ids and a path; 16 KiB is plenty.
pub const MAX_PREPARED_BYTES: usize = 16 << 10;

/// How much of a box's refusal is handed on. The body is the box's; 64 KiB holds any error page.
pub const MAX_REFUSAL_BYTES: usize = 64 << 10;

/// Longest `Retry-After` that is obeyed. A box that asks for hours would stall a turn past every
/// other deadline; after this it is simply asked again.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);

/// Events of one page step, unless a single event is larger: one append stays a short write.
pub const MAX_STEP_BYTES: usize = 1 << 20;

// ---- turn ----

// ---- session ----

// ---- http ----

/// Longest wait for the dispatch's answer before a turn's head goes out: a refusal within it is
/// the HTTP status. Long enough for a box that is near, short enough for a person. (Default.)
pub const HEAD_WAIT: Duration = Duration::from_secs(2);

/// Silence on a stream after which a comment is sent. Idle timers of hops are often 60 s, rarely
/// below 15 s. (Default.)
pub const HEARTBEAT: Duration = Duration::from_secs(10);

/// Shortest heartbeat that is obeyed: below it, comments would cost more than events.
pub const MIN_HEARTBEAT: Duration = Duration::from_secs(1);

/// Ready frames are joined up to this size, unless one frame is larger: the live cost of a stream
/// is the system call, and this is what the server buffers for one client.
pub const STREAM_CHUNK_BYTES: usize = 64 << 10;

/// What `retry:` tells native EventSource clients, in milliseconds, jittered so that a restart
/// does not bring all of them back in the same moment.
pub const RETRY_MILLIS: std::ops::RangeInclusive<u64> = 1000..=3000;

/// Open event streams at once; each costs a socket and a few KiB. (Default.)
pub const MAX_STREAMS: usize = 20_000;

/// Largest body of a turn's POST. Prompts with inline images stay below it. (Default.)
pub const MAX_TURN_BODY_BYTES: usize = 16 << 20;

/// Bytes of turns' bodies that may be in memory while they are read and checked; beyond it new
/// turns are told to come back. (Default.)
pub const MAX_BODIES_BYTES: usize = 256 << 20;

/// Longest time for a turn's body to arrive: a client that trickles holds memory meanwhile.
pub const BODY_DEADLINE: Duration = Duration::from_secs(60);

/// Deepest nesting of a turn's body. Below serde_json's own 128, so that whoever decodes a part
/// of a body that was let in never meets that limit.
pub const MAX_JSON_DEPTH: usize = 100;

/// Path segments of a replay request that are tried as execution ids. Known paths have at most
/// eight; a longer one costs no more look-ups than this.
pub const MAX_REPLAY_SEGMENTS: usize = 16;

/// What an overloaded or draining afterbay asks clients to wait.
pub const COME_BACK_AFTER: Duration = Duration::from_secs(2);

/// How often a session's stream with `until=idle` looks whether the session became idle: the log
/// tells when a turn is over, only the session knows that no other has begun.
pub const IDLE_CHECK: Duration = Duration::from_millis(250);

/// The grace of a shutdown, as the doors share it out: GET streams end within its first 40 %,
/// POST streams between 50 and 70 %, the rest is for the socket to drain. (Default.)
pub const DRAIN_GRACE: Duration = Duration::from_secs(20);

/// Longest time for a connection of the pass-through to open: beyond it the box is not there.
pub const PASS_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an idle connection of the pass-through is kept. Below the 5 s after which a Node
/// server closes its own, so that a request is not written into a connection that is closing.
pub const PASS_IDLE_TIMEOUT: Duration = Duration::from_secs(4);
