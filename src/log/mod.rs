//! The log: the only durable state, shared by all sessions, one writer. (Contract first.)

use std::sync::Arc;

use crate::event::{Control, Event, Lsn, Record, Seq};
use crate::ids::SessionKey;

/// The open log folder. Clones share it.
#[derive(Debug, Clone)]
pub struct Store;

/// One session's part of the store. Clones share it.
#[derive(Debug, Clone)]
pub struct Log;

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

/// Why the log did not take a batch or give one.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The disk is full or refused a write: nothing of the batch is in the log; try again later.
    #[error("write to the log: {0}")]
    Refused(Arc<std::io::Error>),
    /// A sync failed: nothing more is taken until afterbay is restarted.
    #[error("the log is poisoned until restart")]
    Poisoned,
    /// The store is closed.
    #[error("the log is closed")]
    Closed,
    /// The batch is larger than `limits::MAX_BATCH_BYTES`.
    #[error("a batch of {0} bytes is too large for the log")]
    TooLarge(usize),
    /// Bytes that were durable cannot be read.
    #[error("read from the log: {0}")]
    Read(Arc<std::io::Error>),
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

/// The one way to read: from a number, then wait at the tail.
#[derive(Debug)]
pub struct Cursor;

/// What a cursor yields.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Records in order, at most about `limits::CURSOR_STEP_BYTES` unless one is larger.
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

impl Store {
    /// The log of one session; it begins empty if the store has nothing of it.
    #[must_use]
    pub fn log(&self, _key: SessionKey) -> Log {
        todo!()
    }

    /// Whether records are taken.
    #[must_use]
    pub fn health(&self) -> Health {
        todo!()
    }

    /// Takes nothing more, writes and syncs what is queued, ends all cursors at the tail.
    pub async fn close(&self) {
        todo!()
    }
}

impl Log {
    /// Appends `batch`; resolves when it is durable. Dropping the future does not take it back.
    ///
    /// # Errors
    /// [`Error`]: then nothing of the batch is or will be in the log.
    pub async fn append(&self, _batch: Batch) -> Result<Appended, Error> {
        todo!()
    }

    /// Reads what follows the event `after`, control records included.
    #[must_use]
    pub fn cursor(&self, _after: Seq) -> Cursor {
        todo!()
    }

    /// Whose log it is.
    #[must_use]
    pub fn key(&self) -> SessionKey {
        todo!()
    }

    /// The end of what is durable now.
    #[must_use]
    pub fn tail(&self) -> Tail {
        todo!()
    }
}

impl Cursor {
    /// The next records; waits at the tail.
    ///
    /// # Errors
    /// [`Error::Read`].
    // Cancel-safe: nothing is consumed before it resolves.
    pub async fn next(&mut self) -> Result<Step, Error> {
        todo!()
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
