//! The log: the only durable state, shared by all sessions, one writer.
//!
//! ```text
//!   Log::append ─► forming ─► writer: one write, one sync a group
//!                               │          │
//!                        segment files     └─► publisher: index ─► tail ─► answer
//!                             ▲                              │       │
//!                          upkeep: makes, seals, retires     └───────┴─► Cursor::next
//! ```
//!
//! Promises: a batch is in the log whole or not at all; nothing is visible, to a cursor, a tail or
//! the fold of [`Store::open`], before it cannot be taken back; numbers are dense and never reused;
//! bytes are checked when they are read, and what is missing shows as [`Step::Gap`]. What was
//! trimmed never comes back. The bytes on disk are in FORMAT.md. Not here: when to trim, and what
//! the records mean.
//!
//! Reading order: `record`, `body`, `chain`, `group`, `segment` (the bytes); `queue`, `forming`, `writer`,
//! `publisher` (the way in); `index`, `view`, `place`, `ring`, `sync`, `reads`, `cursor` (the way
//! out); `contents`, `sealed`, `spots`, `upkeep`, `supply`, `blank`, `trim`, `compaction`, `usage`
//! (how it stays small); `folder`, `scan`, `accepted`, `state`, `recovery`, `losses` (opening);
//! `read_only`, `verify` (looking from outside).

mod accepted;
mod blank;
mod body;
mod chain;
mod compaction;
mod contents;
mod cursor;
mod dir;
mod disk;
mod error;
mod fields;
mod folder;
mod forming;
mod group;
mod index;
mod losses;
mod options;
mod place;
mod publisher;
mod queue;
mod read_only;
mod reads;
mod record;
mod recovery;
mod ring;
mod scan;
mod sealed;
mod segment;
mod spots;
mod state;
mod supply;
mod sync;
mod tail;
mod trim;
mod upkeep;
mod usage;
pub mod verify;
mod view;
#[cfg(test)]
mod wake_model;
mod writer;

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::event::{Control, Event, Lsn, Record, Seq};
use crate::ids::SessionKey;
use crate::{limits, metrics};

pub use self::cursor::{Cursor, Logged, Step};
pub use self::dir::{Holder, RealDisk};
pub use self::disk::{Disk, DiskFile};
pub use self::error::{Error, OpenError};
use self::index::{Index, Session};
pub use self::options::{Options, Role, Roles, UpkeepBy};
use self::publisher::Publisher;
use self::queue::Queue;
pub use self::read_only::ReadOnlyFolder;
use self::reads::Reads;
use self::record::Entry;
use self::recovery::Opened;
use self::sealed::Unsealed;
use self::supply::Supply;
use self::tail::HealthWatch;
use self::upkeep::{Keeper, Upkeep};
pub use self::usage::Usage;
use self::writer::{Start, Writer};

/// The open log folder. Clones share it. It stays open until [`Store::close`], or until all
/// clones and all its [`Log`]s are gone.
#[derive(Clone)]
pub struct Store {
    /// Weak, so that the folder is free once the store is closed, whoever still has a clone.
    disk: Weak<dyn Disk>,
    index: Arc<Index>,
    shared: Arc<Shared>,
}

/// One session's part of the store. Clones share it.
#[derive(Clone)]
pub struct Log {
    session: Arc<Session>,
    shared: Arc<Shared>,
}

/// What all sessions' logs have in common. The store is open while somebody has it.
struct Shared {
    queue: Queue,
    health: HealthWatch,
    reads: Reads,
}

/// Records that become durable together or not at all.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    entries: Vec<Entry>,
    is_urgent: bool,
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

/// A control record that opening the store found, in the order of its session. Passing ones that a
/// closing one followed may be left out ([`Role`]).
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
    /// A sync failed, or a thread of the log broke down.
    Poisoned,
    /// It was closed.
    Closed,
}

impl Store {
    /// Opens the log on `disk`, which nobody else writes to, and starts its threads. `fold` sees the
    /// control records, in the order of each session; what it made of them may be used only if this
    /// returns a store. Blocks: it reads what no sealed segment has an index of.
    ///
    /// # Errors
    /// [`OpenError`]; the log is as it was, and opening may be tried again.
    pub fn open(
        disk: Arc<dyn Disk>,
        options: Options,
        metrics: metrics::log::Metrics,
        fold: &mut dyn FnMut(Recovered),
    ) -> Result<Self, OpenError> {
        let Options { segment_bytes, group_bytes, roles, upkeep } = options;
        let index = Arc::new(Index::new(metrics.clone()));
        let opened = recovery::recover(&disk, &index, segment_bytes, &metrics, fold)?;
        let Opened { active, older, damaged, blanks } = opened;
        metrics.segments.set(older.len() as i64 + 1);
        let (health, watch) = tail::health(metrics.clone());
        if active.is_reserve {
            health.set(Health::Refusing);
        }
        let supply = Arc::new(Supply::behind(active.segment.id.epoch));
        let mut keeper = Keeper {
            disk: Arc::clone(&disk),
            index: Arc::clone(&index),
            supply: Arc::clone(&supply),
            blanks,
            roles,
            segment_bytes,
            between_compactions: match upkeep {
                UpkeepBy::Thread => limits::LOG_COMPACTION_PAUSE,
                UpkeepBy::Writer => Duration::ZERO,
            },
            compacted_at: None,
            unsealed: older.iter().filter_map(Unsealed::found).collect(),
            has_new_names: true,
            segments: older.into_iter().map(|(segment, _)| segment).collect(),
            damaged,
            metrics: metrics.clone(),
            health: health.clone(),
        };
        let threads = |source| OpenError::Io { doing: "start the log's threads", source };
        let upkeep = match upkeep {
            UpkeepBy::Thread => Upkeep::thread(keeper).map_err(threads)?,
            UpkeepBy::Writer => {
                keeper.begin();
                Upkeep::inline(keeper)
            }
        };
        let publisher =
            Publisher::start(upkeep, roles, health.clone(), metrics.clone()).map_err(threads)?;
        let (queue, intake) = queue::queue(group_bytes);
        let (own, weak) = (metrics.clone(), Arc::downgrade(&disk));
        let start =
            Start { disk, active, segment_bytes, supply, intake, publisher, health, metrics: own };
        Writer::start(start).map_err(threads)?;
        let shared = Arc::new(Shared { queue, health: watch, reads: Reads::new(metrics) });
        Ok(Self { disk: weak, index, shared })
    }

    /// The log of one session; it begins empty if the store has nothing of it.
    #[must_use]
    pub fn log(&self, key: SessionKey) -> Log {
        Log { session: self.index.session(key), shared: Arc::clone(&self.shared) }
    }

    /// Whether records are taken.
    #[must_use]
    pub fn health(&self) -> Health {
        self.shared.health.get()
    }

    /// Takes nothing more, writes and syncs what is queued, ends all cursors at the tail, and
    /// lets go of the folder. Harmless when repeated.
    // Cancel-safe: once asked, the writer closes whether anybody waits or not.
    pub async fn close(&self) {
        self.shared.queue.close();
        self.shared.health.clone().until_gone().await;
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
        let Batch { entries, is_urgent } = batch;
        if entries.is_empty() {
            let tail = self.tail();
            return Ok(Appended { first_lsn: tail.next_lsn, first_seq: tail.next_seq, tail });
        }
        self.queue(entries, is_urgent).await
    }

    async fn queue(&self, entries: Vec<Entry>, is_urgent: bool) -> Result<Appended, Error> {
        let session = Arc::clone(&self.session);
        match self.shared.queue.append(session, entries, is_urgent).await {
            // The queue alone does not know why nobody takes anything.
            Err(Error::Closed) if self.shared.health.get() == Health::Poisoned => {
                Err(Error::Poisoned)
            }
            answer => answer,
        }
    }

    /// Cuts off everything up to and with the event `through`, which must be the last one of its
    /// batch, and appends `batch`, in which the caller keeps what must be remembered of it. `None`
    /// if `through` is not such an event, or is cut off already; then nothing is appended.
    ///
    /// # Errors
    /// As [`Log::append`], and [`Error::Read`].
    pub async fn trim(&self, through: Seq, batch: Batch) -> Result<Option<Appended>, Error> {
        let session = Arc::clone(&self.session);
        let finding = tokio::task::spawn_blocking(move || trim::cut_behind(&session, through));
        let found = finding.await.unwrap_or_else(|e| Err(std::io::Error::other(e)));
        let Some(cut) = found.map_err(|e| Error::Read(Arc::new(e)))? else { return Ok(None) };
        let mut entries = batch.entries;
        entries.insert(0, Entry::Cut(cut));
        self.queue(entries, true).await.map(Some)
    }

    /// Bytes on disk that no trim has cut off; an estimate where one cut a full segment in two.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.session.bytes()
    }

    /// Reads what follows the event `after`, control records included.
    #[must_use]
    pub fn cursor(&self, after: Seq) -> Cursor {
        let Shared { health, reads, queue: _ } = &*self.shared;
        Cursor::new(Arc::clone(&self.session), health.clone(), reads.clone(), after)
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
        self.entries.push(Entry::Record(Record::Event(event)));
        self
    }

    /// Adds a control record at the end.
    #[must_use]
    pub fn control(mut self, control: Control) -> Self {
        self.entries.push(Entry::Record(Record::Control(control)));
        self
    }

    /// It must not be lost because the disk is full: it may take the reserve.
    #[must_use]
    pub fn urgent(mut self) -> Self {
        self.is_urgent = true;
        self
    }
}

impl Default for Tail {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl Tail {
    /// The tail of a session without records.
    const EMPTY: Self = Self { next_seq: Seq::new(1), next_lsn: Lsn::new(1) };

    /// The tail behind so many records more, some of them events.
    fn behind(self, records: u32, events: u32) -> Self {
        Self {
            next_seq: Seq::new(self.next_seq.get().saturating_add(events.into())),
            next_lsn: Lsn::new(self.next_lsn.get().saturating_add(records.into())),
        }
    }
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
