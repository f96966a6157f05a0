//! Every bound of the program, each with its reason. A bound that an operator may want to move is
//! a default here and a key in `config.rs`; all others are laws of this build.

use std::time::Duration;

// ---- words ----

/// Longest id from outside. Long enough for two UUIDs with a prefix, short enough for a header.
pub const MAX_ID_BYTES: usize = 256;

// ---- roof: defaults of the configuration ----

/// Where clients connect. Loopback: a daemon that every machine of a network can reach is a choice
/// that its operator makes, not a default. The port is free in the usual registries.
pub const LISTEN: &str = "127.0.0.1:8788";

/// Where operators connect: the same choice, a thousand ports up so that the two are told apart.
pub const ADMIN: &str = "127.0.0.1:9788";

/// Dispatched but never seen at work. A cold box with an agent to load took a few seconds in
/// practice; a minute is well above that and well below a person's patience.
pub const START_DEADLINE: Duration = Duration::from_secs(60);

/// No answer from the box. A restart or a move of a box takes a minute or two; after five it is
/// rather gone.
pub const UNREACHABLE_DEADLINE: Duration = Duration::from_secs(5 * 60);

/// No credential that the box takes. Tokens often live for 15 minutes and their owners come back
/// late; an hour lets a lunch break pass.
pub const UNAUTHORIZED_DEADLINE: Duration = Duration::from_secs(60 * 60);

/// The whole turn, waiting for people included. Nothing that is still wanted runs for longer than
/// a day, and a forgotten turn must not be polled for ever.
pub const TURN_DEADLINE: Duration = Duration::from_secs(24 * 60 * 60);

/// A box that says idle while the turn's record is not complete is given this long to complete
/// it. Idle and done arrive in either order within a second; 15 s forgives a slow disk.
pub const IDLE_GRACE: Duration = Duration::from_secs(15);

/// Between two polls right after something changed: what people take for "at once".
pub const POLL_FAST: Duration = Duration::from_millis(500);

/// Between two polls when nothing has changed for a while.
pub const POLL_SLOW: Duration = Duration::from_secs(3);

/// Between two polls while the box waits for a person, who takes longer than that to answer.
pub const POLL_WAITING: Duration = Duration::from_secs(10);

/// How long the head of a turn's answer waits for the box's word, so that a refusal can be the
/// HTTP status. Far below the time after which clients give up on a head.
pub const HEAD_WAIT: Duration = Duration::from_secs(2);

/// Between two bytes of a quiet stream. Idle timers of proxies begin at about 30 s.
pub const HEARTBEAT: Duration = Duration::from_secs(10);

/// The shortest heartbeat: below it ten thousand quiet streams are a load of their own.
pub const MIN_HEARTBEAT: Duration = Duration::from_secs(1);

/// From the first signal to the exit. `docker stop` kills after 10 s.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(8);

/// The longest duration that the configuration takes: 365 days. Longer ones are typing errors,
/// and sums of times stay far from an overflow.
pub const MAX_CONFIGURED_DURATION: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The largest configuration or secret file: both are a few lines.
pub const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// The longest box credential. Servers refuse heads of more than 8 to 16 KiB.
pub const MAX_CREDENTIAL_BYTES: usize = 8 << 10;

// ---- roof: connections ----

/// Connections that the kernel keeps until they are accepted: a reconnect of all clients at once.
pub const LISTEN_BACKLOG: i32 = 4096;

/// Clients' connections at once; further ones wait in the backlog. With at most 64 KiB of buffer
/// in each direction, all of them stuck hold about 1.3 GB, idle ones a hundredth of it.
pub const MAX_CONNECTIONS: usize = 10_000;

/// Operators' connections at once: probes and one scraper.
pub const MAX_ADMIN_CONNECTIONS: usize = 64;

/// Connect to the first request, and each later request's head, keep-alive pauses included. Above
/// the pause that browsers and probes make between requests, below what a slow attacker needs.
pub const HEAD_READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Read buffer of one HTTP/1 connection, and with it the largest request head.
pub const CONNECTION_BUFFER_BYTES: usize = 64 << 10;

/// Requests at once on one HTTP/2 connection: the specification's own advice.
pub const MAX_HTTP2_STREAMS: u32 = 100;

/// A silent HTTP/2 peer is asked for a sign of life after this, and given as long to answer.
pub const HTTP2_KEEP_ALIVE: Duration = Duration::from_secs(20);

/// A silent TCP peer is probed after this: a machine that vanished without a word frees its place.
pub const TCP_KEEP_ALIVE: Duration = Duration::from_secs(60);

/// Pause after an accept that failed for want of descriptors or memory: it would fail again at
/// once, and connections that end meanwhile free what is missing.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long the log may take to write and sync what is queued when all else has stopped. With the
/// grace it stays below the 10 s of `docker stop`; whatever was answered is durable without it.
pub const LOG_CLOSE_WAIT: Duration = Duration::from_secs(1);

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
