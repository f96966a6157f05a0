//! Every bound of the program, each with its reason. A bound that an operator may want to move is
//! a default here and a key in `config.rs`; all others are laws of this build.

use std::num::NonZeroU32;
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

/// Longest wait for a connection to a box. A box that is up answers a SYN within a round trip.
pub const BOX_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest silence while an answer is due. The calls of a poll are answered from a box's memory;
/// a busy two-core box was seen to take a second.
pub const BOX_READ_TIMEOUT: Duration = Duration::from_secs(15);

/// Longest call that asks what a turn is doing. A box that is just starting was seen to accept such
/// a call and never to answer it; the next one is answered within half a second.
pub const BOX_STATUS_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest call in all: [`MAX_BOX_BODY_BYTES`] at about 1 MB/s, and the end of a body that drips.
pub const BOX_CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// How long an idle connection to a box is kept. Common servers close theirs after 5 s; being
/// the first to close means that hardly a request meets a closing connection.
pub const BOX_IDLE_CONNECTION: Duration = Duration::from_secs(4);

/// Polls per second of one box, of all its turns together: at the fastest interval 25 turns, and
/// one core of a box that needs 20 ms for a poll.
pub const POLLS_PER_SECOND_PER_BOX: NonZeroU32 = NonZeroU32::new(50).expect("not zero");

/// Polls per second of the whole proxy: keeps a thousand turns off the core that readers need.
pub const POLLS_PER_SECOND: NonZeroU32 = NonZeroU32::new(500).expect("not zero");

/// Time between two polls of a turn that moves: a person does not see half a second.
pub const POLL_FASTEST: Duration = Duration::from_millis(500);

/// Time between two polls of a turn that is quiet.
pub const POLL_SLOWEST: Duration = Duration::from_secs(3);

/// Time between two polls of a turn that waits for a person, and of a box that keeps failing.
pub const POLL_WAITING: Duration = Duration::from_secs(10);

/// A turn's messages are read at most once in this many times what the last read took, so that
/// reading costs a box at most one twentieth of one core for each turn.
pub const MESSAGES_READ_FACTOR: u32 = 20;

/// Deepest nesting of a prompt's JSON. Real prompts have fewer than ten levels; a box that parses
/// recursively may fall over a few thousand.
pub const MAX_PROMPT_DEPTH: usize = 128;

/// Largest cursor delta of one page step: keeps every control record short.
pub const MAX_CURSOR_STEP_BYTES: usize = 64 << 10;

/// A part up to this size is sent again whenever it changed.
pub const SMALL_PART_BYTES: usize = 4 << 10;

/// A larger one, in the same state, only when it grew by this fraction of what was last sent:
/// a part that grows to N bytes costs at most 9 N.
pub const PART_GROWTH_DIVISOR: usize = 8;

/// How many of a session's newest messages are asked for first. A step of an agent is one message,
/// and only unfinished ones are read again.
pub const FIRST_MESSAGE_WINDOW: usize = 8;

/// How many messages are asked for at most, doubling from [`FIRST_MESSAGE_WINDOW`]. A turn of more
/// steps between two polls is not credible.
pub const MAX_MESSAGE_WINDOW: usize = 8 << 10;

/// Longest text of a box's error that is handed on. Some quote whole answers of a model's server.
pub const MAX_BOX_MESSAGE_BYTES: usize = 16 << 10;

/// How many generations of sub-sessions are followed to see whose request is open.
pub const MAX_SUBSESSION_DEPTH: usize = 4;

/// Of how many other sessions with open requests one poll asks whose they are: a shared box may
/// have many, and each costs up to [`MAX_SUBSESSION_DEPTH`] calls once.
pub const MAX_KIN_SESSIONS: usize = 16;

// ---- turn ----

// ---- session ----

// ---- http ----
