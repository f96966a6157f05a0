//! The log: the only durable state, shared by all sessions, one writer.
//!
//! ```text
//!   Log::append ─► queue ─► writer: one write, one sync a group ─► index ─► tail ─► answer
//!                             │                                      │       │
//!                           segment files                            └─► Cursor::next
//! ```
//!
//! Promises: a batch is in the log whole or not at all; nothing is visible, to a cursor, a tail or
//! the fold of [`Store::open`], before it cannot be taken back; numbers are dense and never reused;
//! bytes are checked when they are read, and what is missing shows as [`Step::Gap`]. The bytes on
//! disk are in FORMAT.md. Not here: retention, and what the records mean.

mod cursor;
mod dir;
mod disk;
mod error;
mod fields;
mod group;
mod index;
mod queue;
mod record;
mod recovery;
mod scan;
mod segment;
mod tail;
mod writer;

use std::fmt;
use std::sync::Arc;

use crate::event::{Control, Event, Lsn, Record, Seq};
use crate::ids::SessionKey;
use crate::limits;
use crate::metrics;

pub use self::cursor::Cursor;
pub use self::dir::{Holder, RealDisk};
pub use self::disk::{Disk, DiskFile};
pub use self::error::{Error, OpenError};
use self::index::{Index, Session};
use self::queue::Queue;
use self::tail::HealthWatch;
use self::writer::Writer;

/// The open log folder. Clones share it. It stays open until [`Store::close`], or until all
/// clones and all its [`Log`]s are gone.
#[derive(Clone)]
pub struct Store {
    index: Arc<Index>,
    queue: Queue,
    health: HealthWatch,
}

/// One session's part of the store. Clones share it.
#[derive(Clone)]
pub struct Log {
    session: Arc<Session>,
    queue: Queue,
    health: HealthWatch,
}

/// Records that become durable together or not at all.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    records: Vec<Record>,
}

/// Where a batch went, once it is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The first record's number.
    pub first_lsn: Lsn,
    /// The first number of the batch's events; equals the tail after it if it has none.
    pub first_seq: Seq,
    /// The tail after the batch.
    pub tail: Tail,
}

/// The end of what is durable in one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tail {
    /// The number that the next event will get.
    pub next_seq: Seq,
    /// The number that the next record will get.
    pub next_lsn: Lsn,
}

/// A control record that opening the store found, in the order of its session.
#[derive(Debug)]
pub struct Recovered {
    /// The session.
    pub key: SessionKey,
    /// The record's number.
    pub lsn: Lsn,
    /// The number of the first event after it.
    pub next_seq: Seq,
    /// The record.
    pub control: Control,
}

/// Whether the store takes records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It does.
    Open,
    /// The last write was refused (disk full, read-only); it is tried again with the next batch.
    Refusing,
    /// A sync failed.
    Poisoned,
    /// It was closed.
    Closed,
}

/// What a cursor yields.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Records in order, never none, at most about `limits::CURSOR_STEP_BYTES` unless one batch is
    /// larger.
    Records(Vec<Logged>),
    /// Events that are gone, both ends included. Comes before the first record after them.
    Gap {
        /// The first missing event.
        from: Seq,
        /// The last missing event.
        to: Seq,
    },
    /// The store is closed or poisoned and everything durable was read.
    End,
}

/// A record with its numbers.
#[derive(Debug, PartialEq, Eq)]
pub enum Logged {
    /// An event.
    Event {
        /// Its number.
        seq: Seq,
        /// Its wire bytes.
        event: Event,
    },
    /// A control record.
    Control(Control),
}

/// How large the store's parts grow. [`Sizes::default`] is the program's; tests that must see
/// many segments take less.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Where a segment is full, in bytes.
    pub segment_bytes: u64,
    /// Where a group is full, in bytes.
    pub group_bytes: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { segment_bytes: limits::LOG_SEGMENT_BYTES, group_bytes: limits::LOG_GROUP_BYTES }
    }
}

impl Store {
    /// Opens the log on `disk`, which nobody else writes to, and starts its writer thread.
    /// `fold` sees each control record, in the order of its session; what it made of them may be
    /// used only if this returns a store. Blocks: it reads the whole log.
    ///
    /// # Errors
    /// [`OpenError`]; the log is as it was, and opening may be tried again.
    pub fn open(
        disk: Arc<dyn Disk>,
        metrics: metrics::log::Metrics,
        fold: &mut dyn FnMut(Recovered),
    ) -> Result<Self, OpenError> {
        Self::open_sized(disk, Sizes::default(), metrics, fold)
    }

    /// As [`Store::open`], with other sizes.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_sized(
        disk: Arc<dyn Disk>,
        sizes: Sizes,
        metrics: metrics::log::Metrics,
        fold: &mut dyn FnMut(Recovered),
    ) -> Result<Self, OpenError> {
        let index = Arc::new(Index::new(metrics.clone()));
        let active = recovery::recover(&disk, &index, &metrics, fold)?;
        let (queue, intake) = queue::queue(sizes.group_bytes);
        let (publisher, health) = tail::health();
        Writer::start(disk, active, sizes.segment_bytes, intake, publisher, metrics)
            .map_err(|source| OpenError::Io { doing: "start the writer thread", source })?;
        Ok(Self { index, queue, health })
    }

    /// The log of one session; it begins empty if the store has nothing of it.
    #[must_use]
    pub fn log(&self, key: SessionKey) -> Log {
        Log {
            session: self.index.session(key),
            queue: self.queue.clone(),
            health: self.health.clone(),
        }
    }

    /// Whether records are taken.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health.get()
    }

    /// Takes nothing more, writes and syncs what is queued, ends all cursors at the tail, and
    /// lets go of the folder. Harmless when repeated.
    // Cancel-safe: once asked, the writer closes whether anybody waits or not.
    pub async fn close(&self) {
        self.queue.close().await;
        self.health.clone().until_gone().await;
    }
}

impl Log {
    /// Appends `batch`; resolves when it is durable. Dropping the future does not take it back.
    /// An empty batch changes nothing and resolves at once.
    ///
    /// # Errors
    /// [`Error`]: nothing of the batch is visible. After [`Error::Poisoned`] it may be in the log
    /// after a restart, as after a crash; after all others it never will.
    pub async fn append(&self, batch: Batch) -> Result<Appended, Error> {
        if batch.records.is_empty() {
            let tail = self.tail();
            return Ok(Appended { first_lsn: tail.next_lsn, first_seq: tail.next_seq, tail });
        }
        self.queue.append(Arc::clone(&self.session), batch.records).await
    }

    /// Reads what follows the event `after`, control records included.
    #[must_use]
    pub fn cursor(&self, after: Seq) -> Cursor {
        Cursor::new(Arc::clone(&self.session), self.health.clone(), after)
    }

    /// Whose log it is.
    #[must_use]
    pub fn key(&self) -> SessionKey {
        self.session.key()
    }

    /// The end of what is durable now.
    #[must_use]
    pub fn tail(&self) -> Tail {
        self.session.tail()
    }
}

impl Batch {
    /// Adds an event at the end.
    #[must_use]
    pub fn event(mut self, event: Event) -> Self {
        self.records.push(Record::Event(event));
        self
    }

    /// Adds a control record at the end.
    #[must_use]
    pub fn control(mut self, control: Control) -> Self {
        self.records.push(Record::Control(control));
        self
    }
}

impl Tail {
    /// The tail of a session without records.
    const EMPTY: Self = Self { next_seq: Seq::new(1), next_lsn: Lsn::new(1) };
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("health", &self.health()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("tail", &self.tail()).finish_non_exhaustive()
    }
}
