//! The one writer: a thread that turns what is queued into groups, one write and one sync each.
//!
//! Order is the law here: sync, then index, then tail, then answer. A group is written only after
//! the one before it is synced. A write that fails is taken back and refused; a sync that fails
//! poisons: the kernel may have dropped the pages, so a second try would prove nothing.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::sync::Arc;

use tokio::time::Instant;

use super::disk::{Disk, write_all_at};
use super::error::{Error, Failure};
use super::group::{GroupBuilder, Placed, SECTOR_BYTES};
use super::queue::{Intake, Pending};
use super::segment::{Draft, Segment};
use super::tail::HealthPublisher;
use super::{Appended, Health, Tail};
use crate::ids::SessionKey;
use crate::{limits, metrics};

/// Where the next group goes.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) segment: Arc<Segment>,
    /// Bytes from the segment's start; all before it is durable.
    pub(super) at: u64,
    /// The group's number.
    pub(super) number: u64,
}

/// Owns the disk. Fields are dropped in order: whoever sees the health's channel closed may open
/// the folder again.
#[derive(Debug)]
pub(super) struct Writer {
    disk: Arc<dyn Disk>,
    active: Active,
    /// Writes of groups to the active segment, failed ones included.
    attempt: u32,
    segment_bytes: u64,
    /// Used again from group to group.
    buffer: Vec<u8>,
    poisoned: bool,
    intake: Intake,
    metrics: metrics::log::Metrics,
    health: HealthPublisher,
}

/// A group that is durable.
#[derive(Debug)]
struct Committed {
    placed: Vec<Placed>,
    /// What it takes on disk.
    bytes: u64,
}

impl Writer {
    /// Starts the thread; it ends when the store is closed or nobody can append any more.
    pub(super) fn start(
        disk: Arc<dyn Disk>,
        active: Active,
        segment_bytes: u64,
        intake: Intake,
        health: HealthPublisher,
        metrics: metrics::log::Metrics,
    ) -> io::Result<()> {
        let mut writer = Self {
            disk,
            active,
            // Recovery may have used 0 for the group it copied.
            attempt: 0,
            segment_bytes,
            buffer: Vec::new(),
            poisoned: false,
            intake,
            metrics,
            health,
        };
        let thread = std::thread::Builder::new().name("afterbay-log".to_owned());
        thread.spawn(move || writer.run()).map(drop)
    }

    fn run(&mut self) {
        while let Some(group) = self.intake.take_group() {
            if self.poisoned {
                self.refuse(group, &Error::Poisoned);
                continue;
            }
            match self.commit(&group) {
                Ok(committed) => self.publish(group, &committed),
                Err(Failure::Refused(source)) => {
                    tracing::warn!(error = %source, "the disk refused a write, batches are refused");
                    self.health.set(Health::Refusing);
                    self.refuse(group, &Error::Refused(Arc::new(source)));
                }
                Err(Failure::Broken(source)) => {
                    tracing::error!(error = %source, "the log is poisoned until restart");
                    self.poisoned = true;
                    self.metrics.poisoned.set(1);
                    self.health.set(Health::Poisoned);
                    self.refuse(group, &Error::Poisoned);
                }
            }
        }
    }

    /// Makes one group durable and says where its batches stand.
    // Durable: when this returns Ok, the group is; when Refused, nothing of it will be found.
    fn commit(&mut self, group: &[Pending]) -> Result<Committed, Failure> {
        if self.active.at >= self.segment_bytes {
            self.rotate()?;
        }
        self.attempt = self.attempt.wrapping_add(1);
        let (bytes, placed) = self.encode(group);
        let written = self.write(&bytes).and_then(|()| self.sync());
        let committed = Committed { placed, bytes: bytes.len() as u64 };
        self.buffer = bytes;
        self.buffer.shrink_to(2 * limits::LOG_GROUP_BYTES);
        written?;
        self.metrics.groups.inc();
        self.metrics.group_batches.observe(group.len() as f64);
        self.metrics.written_bytes.inc_by(committed.bytes);
        Ok(committed)
    }

    /// Opens the next segment. The active one is synced: each of its groups was.
    fn rotate(&mut self) -> Result<(), Failure> {
        let draft = Draft::new(self.active.segment.id.epoch + 1, self.active.number);
        let segment = draft.create(&*self.disk, &[])?;
        self.active.segment = Arc::new(segment);
        self.active.at = super::segment::DATA_START;
        self.attempt = 0;
        self.metrics.segments.inc();
        Ok(())
    }

    /// Numbers the batches behind their sessions' tails. Nothing moves yet.
    fn encode(&mut self, group: &[Pending]) -> (Vec<u8>, Vec<Placed>) {
        let buffer = std::mem::take(&mut self.buffer);
        let Active { segment, number, at: _ } = &self.active;
        let mut builder = GroupBuilder::new(buffer, segment.id, *number, self.attempt);
        let mut tails: HashMap<SessionKey, Tail> = HashMap::with_capacity(group.len());
        let mut placed = Vec::with_capacity(group.len());
        for pending in group {
            let key = pending.session.key();
            let tail = match tails.entry(key) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(pending.session.tail()),
            };
            let batch = builder.push(key, *tail, &pending.records);
            *tail = batch.header.end();
            placed.push(batch);
        }
        (builder.finish(), placed)
    }

    fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        let Err(short) = write_all_at(&*self.active.segment.file, bytes, self.active.at) else {
            return Ok(());
        };
        if short.landed > 0 {
            self.take_back(short.landed).map_err(Failure::Broken)?;
        }
        Err(Failure::Refused(short.source))
    }

    /// Makes what landed of a group unreadable, durably: otherwise its first batches might be found
    /// whole after a restart, although they were refused. Only bytes that landed are overwritten,
    /// so this works on a full disk.
    fn take_back(&self, landed: usize) -> io::Result<()> {
        let file = &*self.active.segment.file;
        let nothing = vec![0; landed.min(SECTOR_BYTES as usize)];
        write_all_at(file, &nothing, self.active.at).map_err(|short| short.source)?;
        file.sync_data()
    }

    fn sync(&self) -> Result<(), Failure> {
        let started = Instant::now();
        self.active.segment.file.sync_data().map_err(Failure::Broken)?;
        self.metrics.sync_seconds.observe(started.elapsed().as_secs_f64());
        Ok(())
    }

    /// Shows a durable group: index, then tails, then answers.
    fn publish(&mut self, group: Vec<Pending>, committed: &Committed) {
        let Committed { placed, bytes } = committed;
        let Active { segment, at, number } = &mut self.active;
        for (pending, batch) in group.iter().zip(placed) {
            pending.session.add(batch.in_segment(segment, *at));
            self.metrics.batch_bytes.observe(pending.bytes as f64);
        }
        for (pending, batch) in group.iter().zip(placed) {
            pending.session.advance(batch.header.end());
        }
        *at += bytes;
        *number += 1;
        self.health.set(Health::Open);
        for (pending, batch) in group.into_iter().zip(placed) {
            self.metrics.appends.inc();
            pending.answer(Ok(Appended {
                first_lsn: batch.header.first.next_lsn,
                first_seq: batch.header.first.next_seq,
                tail: batch.header.end(),
            }));
        }
    }

    fn refuse(&self, group: Vec<Pending>, error: &Error) {
        for pending in group {
            self.metrics.refused.inc();
            pending.answer(Err(error.clone()));
        }
    }
}

impl Drop for Writer {
    /// The last word: also when the thread panics, readers end and nobody waits for a dead writer.
    fn drop(&mut self) {
        self.health.set(if std::thread::panicking() { Health::Poisoned } else { Health::Closed });
    }
}
