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

/// Where a segment is full: the next group opens another one. Small enough to be copied or dropped
/// as a whole, large enough that creating one (two syncs) is rare.
pub const LOG_SEGMENT_BYTES: u64 = 64 << 20;

/// Batches that share one write and one sync, unless a single one is larger. Above this a longer
/// write costs more time than a saved sync.
pub const LOG_GROUP_BYTES: usize = 4 << 20;

/// Batches that wait for the writer. More than any number of turns at once; above it, appending
/// waits.
pub const LOG_QUEUE_BATCHES: usize = 4096;

/// Bytes that wait for the writer or are being written; above it, appending waits. Holds the
/// largest batch with its frame, so that none waits for ever.
pub const LOG_QUEUE_BYTES: usize = MAX_BATCH_BYTES + (32 << 20);

/// What one step of a cursor reads, unless one batch is larger: what a slow reader pins.
pub const CURSOR_STEP_BYTES: usize = 256 << 10;

/// Batches that one step of a cursor reads: bounds the reads behind one step when batches are tiny.
pub const CURSOR_STEP_BATCHES: usize = 256;

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
