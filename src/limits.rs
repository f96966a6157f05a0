//! Every bound of the program, each with its reason. A bound that an operator may want to move is
//! a default here and a key in `config.rs`; all others are laws of this build.

use std::num::NonZeroU32;
use std::time::Duration;

// ---- words ----

/// Longest id from outside. Long enough for two UUIDs with a prefix, short enough for a header.
pub const MAX_ID_BYTES: usize = 256;

/// What is carried on of a `tracestate`, in bytes: what the recommendation asks everybody to carry. It is
/// kept with the turn.
pub const MAX_TRACE_STATE_BYTES: usize = 512;

/// Members of a `tracestate`: the recommendation's own bound.
pub const MAX_TRACE_STATE_MEMBERS: usize = 32;

/// Ended spans that wait for the collector: 2 to 3 MB, 9 if clients choose their ids as long as they may.
/// A busy turn ends a few a second, so a hundred of them fill it in some ten seconds; beyond it spans are
/// dropped, which is counted.
pub const MAX_QUEUED_SPANS: usize = 4096;

// ---- roof: defaults of the configuration ----

/// Where clients connect. Loopback: a daemon that every machine of a network can reach is a choice
/// that its operator makes, not a default. The port is free in the usual registries.
pub const LISTEN: &str = "127.0.0.1:8788";

/// Where operators connect: the same choice, a thousand ports up so that the two are told apart.
pub const ADMIN: &str = "127.0.0.1:9788";

/// From the first signal to the exit. `docker stop` kills after 10 s.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(8);

/// The longest duration that the configuration takes: 365 days. Longer ones are typing errors,
/// and sums of times stay far from an overflow.
pub const MAX_CONFIGURED_DURATION: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The largest configuration or secret file: both are a few lines.
pub const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// The shortest own token: 20 characters of base64 are 120 bits, which nobody guesses. Shorter ones
/// are passwords.
pub const MIN_OWN_TOKEN_BYTES: usize = 20;

/// The longest own token: far beyond what is of use, and small beside a request's head.
pub const MAX_OWN_TOKEN_BYTES: usize = 512;

/// Own tokens at most: one for each client of a team, not for each request.
pub const MAX_OWN_TOKENS: usize = 1000;

/// The longest box credential. Servers refuse heads of more than 8 to 16 KiB.
pub const MAX_CREDENTIAL_BYTES: usize = 8 << 10;

// ---- roof: spans to a collector ----

/// Spans in one request to a collector of traces: some 200 KB, as OpenTelemetry's own exporters have it.
pub const MAX_SPANS_PER_REQUEST: usize = 512;

/// How long an ended span waits for others before it is sent: somebody who looks for it does not notice.
pub const SPAN_PATIENCE: Duration = Duration::from_secs(1);

/// One request to a collector, its connection included: OpenTelemetry's own default.
pub const COLLECTOR_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest answer of a collector that is read: it holds a number and a sentence.
pub const MAX_COLLECTOR_ANSWER_BYTES: usize = 64 << 10;

/// How often spans are sent to a collector that is away or overloaded; then they are given up. With the
/// pauses below that is half a minute, as long as one takes to be started anew; 91 s if it takes each and
/// says nothing, two and a half minutes if it asks for the longest pauses.
pub const SPAN_SENDINGS: u32 = 6;

/// Pause before the second sending; each further one is twice as long.
pub const FIRST_SPAN_PAUSE: Duration = Duration::from_secs(1);

/// The longest of these pauses that a collector may ask for.
pub const LONGEST_SPAN_PAUSE: Duration = Duration::from_secs(30);

/// How long the last spans have to reach the collector when the program stops: while the log closes, and
/// less than [`LOG_CLOSE_WAIT`], so that a collector that hangs makes no stop longer than a disk that does.
pub const SPAN_FLUSH_WAIT: Duration = Duration::from_millis(800);

// ---- roof: the demo ----

/// The whole demo, from its first line to its last. It takes half a minute; what has not ended
/// after three of these hangs.
pub const DEMO_WAIT: Duration = Duration::from_secs(90);

/// From the start of the demo's afterbay until it serves: a hundred times what it takes.
pub const DEMO_START_WAIT: Duration = Duration::from_secs(20);

/// How long the demo's box says nothing in the middle of a turn: the minutes of a build, for
/// people who watch. Long enough that the client has been turned away before it ends.
pub const DEMO_QUIET: Duration = Duration::from_secs(10);

/// The silence after which the demo's box cuts a stream: the 60 s of common hops, in proportion.
pub const DEMO_CUT: Duration = Duration::from_secs(3);

/// The silence on a stream by which the demo sees that the agent is quiet and not between two
/// polls, which are at most half a second apart while it works.
pub const DEMO_SILENCE: Duration = Duration::from_millis(1500);

/// How long the demo waits for its box to end a turn whose client has gone: the rest of the quiet
/// time and of the work, and as long again.
pub const DEMO_END_WAIT: Duration = Duration::from_secs(20);

/// Answers in a row that are no stream, after which the demo's client gives up, as SDKs do.
pub const DEMO_CLIENT_TRIES: u32 = 3;

/// Largest frame that the demo's client reads. Its box writes a few hundred bytes.
pub const MAX_DEMO_FRAME_BYTES: usize = 1 << 20;

// ---- roof: commands that ask a running program ----

/// An answer to a command: it looks at each of perhaps a hundred thousand sessions.
pub const COMMAND_CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// An answer to a health check: it needs nothing but a runtime that turns. Below the 3 s that the image
/// gives the check, so that the check says why it fails.
pub const HEALTH_CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// The part of an error's answer that a command reads: a message, and a little more.
pub const MAX_REFUSAL_SHOWN_BYTES: usize = 64 << 10;

/// Silence on a followed stream after which it is asked for again: six of the usual heartbeats.
pub const FOLLOWED_SILENCE: Duration = Duration::from_secs(60);

/// Pauses before a followed stream is asked for again: at first one that nobody notices, then one
/// that a program which is away for long does not.
pub const FOLLOW_PAUSES: (Duration, Duration) =
    (Duration::from_millis(100), Duration::from_secs(3));

/// Largest frame of a followed stream: a part is read from an answer of the box, and may be as large.
pub const MAX_FOLLOWED_FRAME_BYTES: usize = 128 << 20;

/// What a line of `tail` shows of an event's data, in characters.
pub const TAIL_LINE_CHARS: usize = 160;

/// Between two looks of a progress line at its clock.
pub const PROGRESS_EVERY: Duration = Duration::from_secs(1);

// ---- roof: the check of a transcript ----

/// Largest frame of a transcript. An event is part of a batch of the log, so it is not larger than
/// one; above that is room for its head, and for the lines that a client has asked it to be broken
/// into, some hundred bytes long or longer.
pub const MAX_TRANSCRIPT_FRAME_BYTES: usize = MAX_BATCH_BYTES + (32 << 20);

/// What is read of a transcript at once.
pub const TRANSCRIPT_CHUNK_BYTES: usize = 64 << 10;

/// Frames that are remembered, by a hash, to be compared when they come again: about 80 MB. More
/// than a turn of days has; of more, the oldest are forgotten.
pub const MAX_TRANSCRIPT_MARKS: usize = 1 << 20;

/// Findings of one turn that are told one by one. Whoever has read twenty will look at the file.
pub const MAX_TRANSCRIPT_FINDINGS: usize = 20;

// ---- roof: connections ----

/// Connections that the kernel keeps until they are accepted: a reconnect of all clients at once.
pub const LISTEN_BACKLOG: i32 = 4096;

/// Connections that are named when they outlast the grace: who hangs shows in a few lines, and thousands
/// would hold the end up that they tell of.
pub const MAX_NAMED_CONNECTIONS: usize = 20;

/// Clients' connections at once; further ones wait in the backlog. With at most 64 KiB of buffer
/// in each direction, all of them stuck hold about 1.3 GB, idle ones a sixth of it: 21 KiB each, 16 of
/// them the HTTP library's two buffers.
pub const MAX_CONNECTIONS: usize = 10_000;

/// Operators' connections at once: probes, scrapers, and people with a few open pages.
pub const MAX_ADMIN_CONNECTIONS: usize = 64;

/// Of these, the open event streams: what is left is for probes and scrapers, whatever people watch.
pub const MAX_ADMIN_STREAMS: usize = 32;

/// A request's body at the operators' door: a word or two of JSON.
pub const MAX_ADMIN_BODY_BYTES: usize = 4096;

/// Bytes of such bodies in memory at once.
pub const MAX_ADMIN_BODIES_BYTES: usize = 64 * MAX_ADMIN_BODY_BYTES;

/// What is read of the operators' token: its 64 digits and a line end, and enough to see that there
/// is more.
pub const MAX_ADMIN_TOKEN_FILE_BYTES: u64 = 128;

/// How long a page may read a session's events with the ticket that it was given: a working day, after
/// which it asks for another one.
pub const ADMIN_TICKET_AGE: Duration = Duration::from_secs(12 * 60 * 60);

/// A text that sessions are searched for: as long as an id may be.
pub const MAX_SEARCH_BYTES: usize = 256;

/// Connect to the first request, and each later request's head, keep-alive pauses included. Above
/// the pause that browsers and probes make between requests, below what a slow attacker needs.
pub const HEAD_READ_TIMEOUT: Duration = Duration::from_secs(30);

/// From a connect to the end of its TLS handshake, where there is one: two round trips and a
/// signature, a hundred times over on the worst of links. A peer that sends none, or half of one,
/// holds its place that long.
pub const TLS_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// For each of both, of a connection that comes while the program stops, and for the first request
/// of one that came just before: it is there to be told so, and must not hold up the end. A request
/// that is meant comes at once.
pub const NEWCOMER_PATIENCE: Duration = Duration::from_secs(1);

/// Read buffer of one HTTP/1 connection, and with it the largest request head.
pub const CONNECTION_BUFFER_BYTES: usize = 64 << 10;

/// Requests at once on one HTTP/2 connection: the specification's own advice.
pub const MAX_HTTP2_STREAMS: u32 = 100;

/// A connection that brings no further request for this long is asked to end: HTTP/1 has its time for
/// heads, an HTTP/2 peer that answers every ping would otherwise hold a place for ever. What it is being
/// answered goes on to its end. Far above the pauses between the requests of one client.
pub const IDLE_CONNECTION: Duration = Duration::from_secs(5 * 60);

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

/// Largest batch. Above the largest event that a box can cause, so that no page is refused for its
/// size alone: an answer of [`MAX_BOX_BODY_BYTES`] may hold one text, which an event carries twice
/// (the part, and all of it as `delta`), and whose line separators double when they are escaped.
pub const MAX_BATCH_BYTES: usize = 4 * MAX_BOX_BODY_BYTES + (1 << 20);

/// Where a segment is full: the next group opens another one. Small enough to be dropped as a whole
/// and to be read in an instant, large enough that making and sealing one is rare. Two more files of
/// this size at most are kept ready.
pub const LOG_SEGMENT_BYTES: u64 = 32 << 20;

/// Batches of the segment that is being written whose places are noted for its index, in their
/// number: five times what 32 MiB of ordinary events are, and 5 MiB of memory. Beyond it the full
/// segment is read back.
pub const LOG_CONTENTS_BATCHES: usize = 1 << 17;

/// What is kept for verdicts and trims while the disk is full: some thousand of them.
pub const LOG_RESERVE_BYTES: u64 = 4 << 20;

/// A sealed segment of which less than one part in so many counts is rewritten. A quarter: one byte
/// is written for each three that become free.
pub const LOG_COMPACTED_FRACTION: u64 = 4;

/// Jobs that wait for the log's upkeep: a segment is sealed in the time that the next one takes to
/// fill.
pub const LOG_JOBS: usize = 64;

/// Between the rewriting of two segments: at most 8 MiB a second are read and written, a small part
/// of what a disk does.
pub const LOG_COMPACTION_PAUSE: Duration = Duration::from_secs(1);

/// Retired segments that are kept to be used again; others are removed.
pub const LOG_BLANKS: usize = 2;

/// Groups that are durable and not shown yet. Showing is faster than syncing: more than one is rare.
pub const LOG_GROUPS_AHEAD: usize = 4;

/// How often what the disk refused to upkeep is tried again.
pub const LOG_UPKEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Batches up to this size are hashed where they are appended: a fraction of a millisecond.
pub const HASHED_IN_PLACE_BYTES: usize = 256 << 10;

/// What is kept in memory of a session's newest bytes while somebody reads it: several polls of one
/// turn. A thousand sessions at work hold a hundred megabytes at most, and hardly ever do.
pub const RING_BYTES: usize = 128 << 10;

/// The same in batches: bounds what a step copies.
pub const RING_BATCHES: usize = 64;

/// Batches that share one write and one sync, unless a single one is larger. Above this a longer
/// write costs more time than a saved sync.
pub const LOG_GROUP_BYTES: usize = 4 << 20;

/// What a batch that waits for the writer takes in memory besides its bytes, at the most: its
/// numbers, its hashes and who waits for it.
pub const LOG_QUEUED_BATCH_BYTES: usize = 1 << 10;

/// Batches up to this size are copied into their group by whoever appends; larger ones by the writer,
/// so that nobody waits for it with the group locked.
pub const COPIED_IN_PLACE_BYTES: usize = 64 << 10;

/// Bytes that wait for the writer or are being written; above it, appending waits. Holds the
/// largest batch with its frame, so that none waits for ever.
pub const LOG_QUEUE_BYTES: usize = MAX_BATCH_BYTES + (32 << 20);

/// What one step of a cursor reads at most, unless one batch is larger: longer steps are no faster.
pub const CURSOR_STEP_BYTES: usize = 128 << 10;

/// What is read and checked where it is asked for, if the system has it in memory: a fraction of
/// a millisecond.
pub const LOG_READ_IN_PLACE_BYTES: usize = 256 << 10;

/// Reads of the disk at once, by all cursors: enough for the queue of any device. Each has a thread
/// and a step's bytes.
pub const LOG_READS: usize = 16;

/// What lies between two batches that are still read at once: the end of a sector and the header of a
/// group do. Above this another read costs less than the bytes that nobody wants.
pub const READ_ACROSS_BYTES: u64 = 1 << 10;

/// Batches that one step of a cursor reads: bounds the reads behind one step when batches are tiny.
pub const CURSOR_STEP_BATCHES: usize = 256;

/// Largest body that a write group's header may claim: a batch of the largest size with its
/// frame, and the batches that may come before it. More can only be damage.
pub const MAX_GROUP_BODY_BYTES: usize = 2 * MAX_BATCH_BYTES;

/// Largest number of a record, an event, a group or a segment. A million a second come to it after a
/// hundred thousand years: a larger one can only be damage, and nothing that is added overflows.
pub const MAX_LOG_NUMBER: u64 = 1 << 62;

/// What is read of a lock file: more than any of ours holds.
pub const MAX_LOCK_BYTES: u64 = 256;

/// What a check of the log tells one by one; more is counted. Whoever has read a hundred will look at
/// the disk.
pub const MAX_VERIFY_FINDINGS: usize = 100;

/// Places in which one session may lack records that are not known to be cut off, while a log is
/// checked. A session that lived through more segments that are gone has some of them told as one.
pub const MAX_VERIFY_GAPS: usize = 32;

/// How often a check of the log looks at the folder anew. Each time something has to have gone or come
/// that a check meets twice or thrice in a folder at work.
pub const MAX_VERIFY_LOOKS: usize = 1000;

// ---- upstream ----

/// Longest code made from the name of a box's error. Names are words, not texts.
pub const MAX_CODE_BYTES: usize = 64;

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

/// Deepest nesting of what a box sent and clients are shown. Their decoders stop at 128 or fall
/// over at a thousand, and would do so again at each replay; real parts have fewer than ten.
pub const MAX_SHOWN_DEPTH: usize = 100;

/// Largest cursor delta of one page step: keeps every control record short.
pub const MAX_CURSOR_STEP_BYTES: usize = 64 << 10;

/// A part up to this size is sent again whenever it changed.
pub const SMALL_PART_BYTES: usize = 4 << 10;

/// A larger one, in the same state, only when it grew by this fraction of what was last sent:
/// a part that grows to N bytes costs at most 9 N on its way and N once it is whole.
pub const PART_GROWTH_DIVISOR: usize = 8;

/// How often a larger part that changed by less is sent because the box says that it is done: idle
/// for a moment between two steps is seen, and whatever follows must not be lost for it; a box that
/// changes what it has closed at each poll must not be followed for ever.
pub const MAX_LAST_LOOKS: u8 = 16;

/// How many of a session's newest messages are asked for first. A step of an agent is one message,
/// and only unfinished ones are read again.
pub const FIRST_MESSAGE_WINDOW: usize = 8;

/// How many of a turn's messages before its last one stay unsettled, complete or not: fewer than
/// the first window holds, so that reading them again costs no read of its own.
pub const UNSETTLED_MESSAGES: usize = 3;

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

/// Silence after which a dispatch's stream is dropped: a box names its ids within a round trip or
/// two, and no stream is held across a quiet time. A fifth below the second that a silent stream
/// may be held at most, since a timer on a busy machine fires late.
pub const DISPATCH_SILENCE: Duration = Duration::from_millis(800);

/// How long a dispatch's stream is read at most: a box that talks, and never of its ids.
pub const DISPATCH_STREAM_TIME: Duration = Duration::from_secs(10);

/// Longest frame that is read on a dispatch's stream. A very short turn's answer fits.
pub const MAX_DISPATCH_FRAME_BYTES: usize = 1 << 20;

/// Bytes that are read on a dispatch's stream: a short turn's answer stands in several frames.
pub const MAX_DISPATCH_STREAM_BYTES: usize = 4 << 20;

/// How long a box that warms up without naming a time is left alone, in milliseconds: what such
/// boxes want, and spread, so that many turns do not come back at once.
pub const WARMING_UP_MILLIS: std::ops::RangeInclusive<u64> = 250..=4000;

/// Longest mark of a box's process that is kept: an id or a time.
pub const MAX_BOOT_MARK_BYTES: usize = 256;

/// Of how many open requests to a person one turn is told: nobody answers more.
pub const MAX_SHOWN_INTERACTIONS: usize = 64;

// ---- turn ----

/// Default for a turn that was accepted and not dispatched, or dispatched and never seen at work.
/// A cold box takes seconds; a minute forgives a slow disk and still tells the client in time.
pub const START_DEADLINE: Duration = Duration::from_secs(60);

/// Default for a box that gives no sensible answer. Restarts and moves of a box take a few
/// minutes; a turn's hours of work are worth that wait.
pub const UNREACHABLE_DEADLINE: Duration = Duration::from_secs(5 * 60);

/// Default for a turn whose credential is gone or refused. The owner of an overnight run looks
/// again within the hour, or the box has gone by then.
pub const UNAUTHORIZED_DEADLINE: Duration = Duration::from_secs(60 * 60);

/// Default for the whole turn, waiting for people included: the longest benchmark cell is a day.
pub const TURN_DEADLINE: Duration = Duration::from_secs(24 * 60 * 60);

/// How long an unanswered prompt is looked for before it is sent again to a box that tells
/// repeats: the first one may still be on its way through the hops in between.
pub const REDISPATCH_GRACE: Duration = Duration::from_secs(2);

/// Default for a box that is idle with an unfinished answer, before the turn counts as lost. A
/// box that restarts reads idle at once; its last write may follow seconds later.
pub const LOST_GRACE: Duration = Duration::from_secs(15);

/// How long a box must stay idle after a stop was asked for, before a turn without a verdict of
/// the box's own counts as cancelled. A cold box was seen idle for a second before it began.
pub const CANCEL_GRACE: Duration = Duration::from_secs(5);

/// How often a box that is still at work is asked again to stop.
pub const STOP_REPEAT: Duration = Duration::from_secs(5);

/// How long a complete answer waits for a box that still says busy. The last parts of an answer
/// were seen to trail it by less than a second; a box that forgets to go idle must not hold a
/// verdict for ever.
pub const LINGER_GRACE: Duration = Duration::from_secs(10);

/// How long a close-out that the log refused waits at most before it is tried again. Somebody may
/// be waiting for exactly this verdict, and a full disk costs little to ask.
pub const CLOSE_OUT_RETRY: Duration = Duration::from_secs(5);

/// Slots of a turn's timeline: about one for each four pixels of a wide picture. A turn whose every slot
/// has polls, events and readers holds 7 KB of them, an ordinary one 2 KB.
pub const TIMELINE_SLOTS: usize = 240;

/// How wide the slots of a timeline are at first: below the shortest pause between polls, so that a turn of
/// seconds is seen poll by poll. One of a day has slots of 8.5 minutes.
pub const TIMELINE_FIRST_SLOT: Duration = Duration::from_millis(250);

/// States of a turn that its timeline keeps: 1.5 KB. A turn without questions has six; beyond this, some
/// of the middle are left out.
pub const TIMELINE_STATES: usize = 64;

/// Of these, the first ones: from its acceptance until the box is at work, with some tries.
pub const TIMELINE_FIRST_STATES: usize = 16;

// ---- session ----

/// Default for how long a turn's events are kept after its end: whoever left on a Friday can still
/// read on the Thursday after.
pub const RETENTION_AGE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Default for what the log keeps of all sessions: a thousand long turns.
pub const RETENTION_TOTAL_BYTES: u64 = 10 << 30;

/// Default for what the log keeps of one session: so that one alone cannot push out all others.
pub const RETENTION_SESSION_BYTES: u64 = 1 << 30;

/// Default for what is left free on the log's file system: what a log that is written at 100 MB/s
/// takes between two looks.
pub const RETENTION_FREE_BYTES: u64 = 1 << 30;

/// Default for how long a turn's ids stay taken once its events are gone: longer than any queue of
/// jobs repeats a request.
pub const IDEMPOTENCY_AGE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Between two looks at what has to go.
pub const RETENTION_INTERVAL: Duration = Duration::from_secs(10);

/// What is too old goes once the oldest of it is too old by this part of its age more. Each trim
/// writes all that is remembered of its session, so one trim must be worth many turns.
pub const RETENTION_AGE_SLACK: u32 = 32;

/// What is too much goes until this part of what is allowed is free, for the same reason.
pub const RETENTION_BYTES_SLACK: u64 = 8;

/// Tombstones of one session: a turn each 13 minutes, day and night, until the ids of the first
/// are free again. They are written with each trim, 2 MB when there are so many. Beyond it the oldest
/// are forgotten before their time, which is logged: a repeat of such a turn would run again.
pub const MAX_TOMBSTONES: usize = 4096;

/// Readers of one session that outlive a trim of it; others are shown to the box once more.
pub const MAX_TRIMMED_READERS: usize = 4096;

/// Turns that run at once. Each costs a poll loop, a task of 9 KiB and its timeline; beyond this a
/// proxy of one box class is the bottleneck of its boxes, not their help.
pub const MAX_RUNNING_TURNS: usize = 10_000;

/// Timelines of turns that are over, in all sessions together, the newest: those of the last hours of a bench
/// of a few workers. 2 MB if each is as large as it can be.
pub const MAX_KEPT_TIMELINES: usize = 256;

/// The largest sealed file: the largest body of a turn, with a head and a seal, twice over. Nothing
/// larger was written by us.
pub const MAX_SEALED_FILE_BYTES: usize = 2 * MAX_TURN_BODY_BYTES;

/// Bytes of bodies that wait to be dispatched, in all turns together: they live in memory, and
/// where they are sealed on disk, too.
pub const MAX_UNSENT_BODY_BYTES: usize = 256 << 20;

/// How often a request that lost a race for a name looks again; the winner is there by then.
pub const START_TRIES: usize = 4;

/// How long a request waits for a close-out that is being written to be filed: it is in the log
/// already, or about to be.
pub const CLOSING_WAIT: Duration = Duration::from_secs(2);

/// Boxes that are known from answers of the Sandbox API: what one account runs at once, many times
/// over. A few KiB each in memory and on disk. Beyond it those that were not seen for longest go.
pub const MAX_LEARNED_BOXES: usize = 10_000;

/// How long a box is known that no answer has shown again: sandboxes that live longer are asked for
/// more often.
pub const LEARNED_BOX_AGE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How often it is written down that a box was seen: the age above need not be known better.
pub const LEARNED_SEEN_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// Between two looks for boxes that were not seen for too long.
pub const LEARNED_SWEEP_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// Credentials handed out for one box that are known again: the newest ones. Each lives for some
/// minutes, and an API may hand out one to each caller.
pub const MAX_HANDED_OUT: usize = 16;

/// Longest URL of a box that is learned. Such URLs hold a host and an id or two.
pub const MAX_BOX_URL_BYTES: usize = 2 << 10;

/// Lines of the file of learned boxes that may be old before it is written anew, beyond as many as
/// count: writing some hundred lines anew for each few changes is what appending avoids.
pub const LEARNED_FILE_SLACK_LINES: usize = 1024;

/// The largest file of learned boxes that is read: three times what [`MAX_LEARNED_BOXES`] of the
/// longest lines and as many old ones come to.
pub const MAX_LEARNED_FILE_BYTES: u64 = 256 << 20;

/// How long a box's refusal of a credential is remembered: long enough that a guesser cannot use
/// us to hammer the box, short enough that a token that becomes valid soon works.
pub const DENIAL_MEMORY: Duration = Duration::from_secs(5);

/// Refusals remembered at once. About 1 MiB; beyond it they are simply not remembered.
pub const MAX_REMEMBERED_DENIALS: usize = 10_000;

// ---- http ----

/// Longest wait for the dispatch's answer before a turn's head goes out: a refusal within it is
/// the HTTP status. Long enough for a box that is near, short enough for a person. (Default.)
pub const HEAD_WAIT: Duration = Duration::from_secs(2);

/// How long a turn at work shows nothing new before the operators' gauge counts it as quiet. Builds and
/// test runs of several minutes are usual; beyond ten somebody may want to look.
pub const QUIET_SHOWN: Duration = Duration::from_secs(10 * 60);

/// Silence on a stream after which a comment is sent. Idle timers of hops are often 60 s, rarely
/// below 15 s. (Default.)
pub const HEARTBEAT: Duration = Duration::from_secs(10);

/// Shortest heartbeat that is obeyed: below it, comments would cost more than events.
pub const MIN_HEARTBEAT: Duration = Duration::from_secs(1);

/// What is taken at once of a body that is read whole.
pub const STREAM_CHUNK_BYTES: usize = 64 << 10;

/// Records that are shown in one piece, unless one event is larger: what each client that stands still
/// may hold, in frames that take a little more. In pieces of half of it a replay would take one and a
/// half times as long.
pub const SMALL_PIECE_BYTES: usize = 32 << 10;

/// The same in one of the places for large pieces. Still longer ones are hardly faster.
pub const LARGE_PIECE_BYTES: usize = CURSOR_STEP_BYTES;

/// Places for large pieces: 2 MiB, whoever holds them. A few clients that read are always served from
/// them.
pub const LARGE_PIECES: usize = 16;

/// The same for operators, who are few.
pub const LARGE_ADMIN_PIECES: usize = 2;

/// Pieces up to this size are left to the server to count. It queues sixteen of one client, which are
/// no more than a small piece.
pub const TINY_PIECE_BYTES: usize = SMALL_PIECE_BYTES / 16;

/// What `retry:` tells native EventSource clients, in milliseconds, jittered so that a restart
/// does not bring all of them back in the same moment.
pub const RETRY_MILLIS: std::ops::RangeInclusive<u64> = 1000..=3000;

/// How long a browser may remember what a page may send, in seconds: below what browsers allow, short
/// enough that a restart with other origins is soon heard of.
pub const PREFLIGHT_SECONDS: u32 = 600;

/// Open event streams at once; each costs a socket and, on a connection of its own, 21 KiB. (Default.)
pub const MAX_STREAMS: usize = 20_000;

/// Open event streams at once that read one session: far more than people and tools watch one, and a
/// twentieth of all. (Default.)
pub const MAX_SESSION_STREAMS: usize = 1000;

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

/// Events of one long poll, unless the client names another number. A screen of them.
pub const POLL_EVENTS: u64 = 100;

/// The most events that a client may ask for with one long poll: with ordinary ones about as much
/// as [`MAX_POLL_BYTES`].
pub const MAX_POLL_EVENTS: u64 = 1000;

/// Bytes of data in the answer to one long poll, unless a single event is larger: it is built in
/// memory.
pub const MAX_POLL_BYTES: usize = 1 << 20;

/// The longest wait that a client may ask of a long poll, in seconds: below the 60 s after which
/// common hops cut a silent request.
pub const MAX_POLL_WAIT_SECONDS: u64 = 50;

/// Sessions on one page of the listing, unless the client names another number.
pub const PAGE_SESSIONS: u64 = 50;

/// The most sessions that a client may ask for on one page: 200 bytes each.
pub const MAX_PAGE_SESSIONS: u64 = 500;

/// Turns of a session that are told, the newest ones: 300 bytes each.
pub const MAX_SHOWN_TURNS: usize = 1000;

/// Largest answer of the Sandbox API that is read: a list of ten thousand sandboxes.
pub const MAX_API_ANSWER_BYTES: usize = 16 << 20;

/// Documents up to this size are searched where they are: a fraction of a millisecond.
pub const READ_IN_PLACE_BYTES: usize = 256 << 10;

/// Largest body of a create that is kept to be sent once more; a larger one is sent once. It holds
/// names, sizes and variables.
pub const MAX_CREATE_BODY_BYTES: usize = 1 << 20;

/// From the first sending of a failed create to the last one: clients give up after 30 s. (Default.)
pub const ACQUIRE_BUDGET: Duration = Duration::from_secs(25);

/// Pause before a failed create is sent a second time; each further one is twice as long.
pub const CREATE_FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest of these pauses, unless the API asks for more.
pub const CREATE_LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// What an overloaded or draining afterbay asks clients to wait.
pub const COME_BACK_AFTER: Duration = Duration::from_secs(2);

/// The grace of a shutdown, as the doors share it out: GET streams end within its first 40 %,
/// POST streams between 50 and 70 %, the rest is for the socket to drain. (Default.)
pub const DRAIN_GRACE: Duration = Duration::from_secs(20);

/// Longest time for a connection of the pass-through to open: beyond it the box is not there.
pub const PASS_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest wait at start for the name of a box that is looked up to see whether it is this program:
/// as long as a resolver takes that asks a second server. Beyond it the name leads nowhere.
pub const OWN_DOOR_LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an idle connection of the pass-through is kept. Below the 5 s after which a Node
/// server closes its own, so that a request is not written into a connection that is closing.
pub const PASS_IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// How long a body that its client holds back (`Expect: 100-continue`) waits for the box to ask for
/// it. What common clients wait by themselves: a box that never says 100 gets it when it would
/// without afterbay.
pub const PASS_CONTINUE_WAIT: Duration = Duration::from_secs(1);

/// The longest silence of a client whose passed body the box waits for, as long as the box has not
/// answered. An upload that moves may last for days. Servers in boxes give a whole request five minutes,
/// and hops on the way cut what is silent for one; a peer that vanished is found by TCP itself.
pub const PASS_BODY_SILENCE: Duration = Duration::from_secs(5 * 60);

/// WebSockets carried at once; each costs two sockets and [`WEBSOCKET_BUFFER_BYTES`] twice. Terminals
/// and previews of one box are tens, and a thousand hold 32 MB.
pub const MAX_WEBSOCKETS: usize = 1000;

/// What is read of one direction of a WebSocket before it is written on. A few of its frames; a
/// larger one saves few system calls.
pub const WEBSOCKET_BUFFER_BYTES: usize = 16 << 10;

/// How long a WebSocket of which one side has ended is kept while the other says nothing: closing
/// takes a round trip, and a box that forgets to close must not hold a place for ever.
pub const WEBSOCKET_HALF_CLOSED: Duration = Duration::from_secs(60);

// ---- the simulated box ----

/// Where the simulated box listens unless told otherwise: next to the port of the clients, so that
/// both can be tried side by side.
pub const SIMBOX_LISTEN: &str = "127.0.0.1:8789";

/// Connections at once of the simulated box: some thousands of turns with a poll and a stream each.
pub const SIMBOX_CONNECTIONS: usize = 8192;

/// Events that one stream's buffer keeps; the oldest is dropped first, as near-by boxes do.
pub const SIMBOX_BUFFER_EVENTS: usize = 1000;

/// Largest request body of the simulated box: a long prompt.
pub const SIMBOX_BODY_BYTES: usize = 16 << 20;

/// Largest number in a word of a prompt. A turn's changes are planned ahead as parts times steps.
pub const SIMBOX_COUNT: u32 = 1000;

/// Largest part that a prompt may ask for; beyond it memory, not the contract, is what is tested.
pub const SIMBOX_PART_BYTES: usize = 64 << 20;

/// Longest text that the account of the simulated box keeps as it is; of longer ones it keeps the
/// length and a hash.
pub const SIMBOX_ACCOUNT_TEXT_BYTES: usize = 64 << 10;

/// How long the simulated box tries to get its address back after a crash that it simulated.
pub const SIMBOX_REBIND_TIMEOUT: Duration = Duration::from_secs(10);

/// Pause between two such tries.
pub const SIMBOX_REBIND_PAUSE: Duration = Duration::from_millis(20);
