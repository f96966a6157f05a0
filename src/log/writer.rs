//! The one writer: a thread that turns what is queued into groups, one write and one sync each.
//!
//! Order is the law here: sync, then show, then answer. A group is written only after the one
//! before it is synced; showing it is another thread's, in the same order. A write that fails is
//! taken back and refused; a sync that fails poisons: the kernel may have dropped the pages, so a
//! second try would prove nothing.

use std::io;
use std::sync::Arc;

use tokio::time::Instant;

use super::Health;
use super::disk::{Disk, write_all_at};
use super::error::{Error, Failure};
use super::group::{GROUP_HEADER_BYTES, GroupBuilder, Placed, SECTOR_BYTES};
use super::publisher::{Durable, News, Publisher};
use super::queue::{Intake, Pending};
use super::segment::{DATA_START, Draft, Origin, Segment};
use super::supply::Supply;
use super::tail::HealthPublisher;
use super::upkeep::Job;
use crate::{limits, metrics};

/// What a file system writes at once. A write that ends at a multiple of it needs nothing of what
/// the blocks of a used file held before.
const PAGE_BYTES: u64 = 4096;

/// Where the next group goes.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) segment: Arc<Segment>,
    /// Bytes from the segment's start; all before it is durable.
    pub(super) at: u64,
    /// How long the file was when the first group came: what it may be written without growing.
    pub(super) given: u64,
    /// The number of the segment's first group.
    pub(super) first: u64,
    /// The group's number.
    pub(super) number: u64,
    /// Whether the segment is the reserve, or what opening found in the place of a whole one: then
    /// there is no room, and it is for what must not be lost.
    pub(super) is_reserve: bool,
}

/// Owns the disk. Fields are dropped in order: whoever sees the health's channel closed may open
/// the folder again.
#[derive(Debug)]
pub(super) struct Writer {
    disk: Arc<dyn Disk>,
    active: Active,
    /// Writes of groups to the active segment, failed ones included.
    attempt: u32,
    /// Counts all writes of groups: tells what sessions staged for one from what for another.
    stage: u64,
    segment_bytes: u64,
    supply: Arc<Supply>,
    /// Used again from group to group.
    buffer: Vec<u8>,
    poisoned: bool,
    intake: Intake,
    metrics: metrics::log::Metrics,
    publisher: Publisher,
    health: HealthPublisher,
}

/// What a writer starts with.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) active: Active,
    pub(super) segment_bytes: u64,
    pub(super) supply: Arc<Supply>,
    pub(super) intake: Intake,
    pub(super) publisher: Publisher,
    pub(super) health: HealthPublisher,
    pub(super) metrics: metrics::log::Metrics,
}

impl Writer {
    /// Starts the thread; it ends when the store is closed or nobody can append any more.
    pub(super) fn start(with: Start) -> io::Result<()> {
        let Start { disk, active, segment_bytes, supply, intake, publisher, health, metrics } =
            with;
        let mut writer = Self {
            disk,
            active,
            // Recovery may have used 0 for the group it copied.
            attempt: 0,
            stage: 0,
            segment_bytes,
            supply,
            buffer: Vec::new(),
            poisoned: false,
            intake,
            metrics,
            publisher,
            health,
        };
        let thread = std::thread::Builder::new().name("afterbay-log".to_owned());
        thread.spawn(move || writer.run()).map(drop)
    }

    fn run(&mut self) {
        let _guard = self.health.poison_on_panic();
        while let Some(group) = self.intake.take_group() {
            if self.poisoned || self.health.get() == Health::Poisoned {
                self.refuse(group, Error::Poisoned);
                continue;
            }
            self.take(group);
        }
    }

    /// Makes a group durable, or refuses it; of one for which there is no room, what must not be
    /// lost goes to the reserve.
    fn take(&mut self, group: Vec<Pending>) {
        match self.commit(group) {
            Ok(()) => {}
            Err((group, Failure::Refused(source))) => {
                if self.health.get() != Health::Refusing {
                    tracing::warn!(error = %source, "the disk refused a write, batches are refused");
                }
                // Whoever is refused finds the store refusing.
                self.publisher.tell(News::Health(Health::Refusing));
                let refused = Error::Refused(Arc::new(source));
                let (urgent, rest): (Vec<_>, Vec<_>) =
                    group.into_iter().partition(|pending| pending.is_urgent);
                self.refuse(rest, refused.clone());
                if !urgent.is_empty() {
                    self.take_urgent(urgent, refused);
                }
            }
            Err((group, Failure::Broken(source))) => self.poison(group, &source),
        }
    }

    /// Goes to the reserve that is being written; where that is full, to another one.
    fn take_urgent(&mut self, mut group: Vec<Pending>, refused: Error) {
        let mut enters = !self.active.is_reserve;
        loop {
            if enters && !self.enter_reserve() {
                return self.refuse(group, refused);
            }
            match self.append(group) {
                Ok(()) => return,
                Err((back, Failure::Refused(_))) if enters => return self.refuse(back, refused),
                Err((back, Failure::Refused(_))) => group = back,
                Err((back, Failure::Broken(source))) => return self.poison(back, &source),
            }
            enters = true;
        }
    }

    fn poison(&mut self, group: Vec<Pending>, source: &io::Error) {
        tracing::error!(error = %source, "the log is poisoned until restart");
        self.poisoned = true;
        self.publisher.tell(News::Health(Health::Poisoned));
        self.refuse(group, Error::Poisoned);
    }

    fn refuse(&self, group: Vec<Pending>, error: Error) {
        self.publisher.tell(News::Refused(group, error));
    }

    /// Appends to a segment that has room for it.
    fn commit(&mut self, group: Vec<Pending>) -> Result<(), (Vec<Pending>, Failure)> {
        if (self.active.is_reserve || !self.has_room(&group))
            && let Err(failure) = self.rotate()
        {
            return Err((group, failure));
        }
        self.append(group)
    }

    /// Whether the group fits into what is left of the segment; only one that is larger than a whole
    /// segment makes its file grow.
    fn has_room(&self, group: &[Pending]) -> bool {
        let Active { at, given, .. } = self.active;
        let batches: usize = group.iter().map(|pending| pending.body.disk_bytes()).sum();
        let end = at + (GROUP_HEADER_BYTES + batches) as u64;
        at == DATA_START || end <= given.max(self.segment_bytes)
    }

    /// Makes one group durable and passes it on.
    // Durable: when this returns Ok, the group is; when Refused, nothing of it will be found.
    fn append(&mut self, group: Vec<Pending>) -> Result<(), (Vec<Pending>, Failure)> {
        self.attempt = self.attempt.wrapping_add(1);
        self.stage += 1;
        let (bytes, placed, sectors) = self.encode(&group);
        let written = self.write(&bytes).and_then(|()| self.sync());
        self.buffer = bytes;
        self.buffer.shrink_to(2 * limits::LOG_GROUP_BYTES);
        if let Err(failure) = written {
            return Err((group, failure));
        }
        for pending in &group {
            pending.session.settle();
        }
        self.metrics.groups.inc();
        self.metrics.group_batches.observe(group.len() as f64);
        self.metrics.written_bytes.inc_by(sectors);
        let Active { segment, at, number, is_reserve, .. } = &mut self.active;
        let durable = Durable {
            segment: Arc::clone(segment),
            number: *number,
            at: *at,
            bytes: sectors,
            health: if *is_reserve { Health::Refusing } else { Health::Open },
            batches: group.into_iter().zip(placed).collect(),
        };
        *at += sectors;
        *number += 1;
        self.publisher.tell(News::Durable(durable));
        Ok(())
    }

    /// Goes on in the next segment. The active one is synced: each of its groups was.
    fn rotate(&mut self) -> Result<(), Failure> {
        let active = self.active.segment.id.epoch;
        for _ in 0..2 {
            if !self.supply.has_next() {
                self.publisher.have_done(Job::Supply);
            }
            match self.supply.take_next() {
                Some(next) if next.id.epoch > active => {
                    return self.enter(next, false).map_err(Failure::Refused);
                }
                // The reserve was begun after this was made: what is written to it would be read first.
                Some(stale) => self.publisher.have_done(Job::GiveBack(stale)),
                None => break,
            }
        }
        Err(Failure::Refused(io::ErrorKind::StorageFull.into()))
    }

    /// Goes on in the reserve, if it is there.
    fn enter_reserve(&mut self) -> bool {
        let Some(blank) = self.supply.take_reserve() else { return false };
        let draft = Draft::new(self.supply.new_epoch(), Origin::Rotation);
        let made = draft.make(&*self.disk, blank, &[]).map_err(Failure::into_io);
        match made.and_then(|segment| self.enter(Arc::new(segment), true)) {
            Ok(()) => {
                tracing::warn!("the log goes on in its reserve, with verdicts and trims alone");
                true
            }
            Err(error) => {
                tracing::warn!(%error, "the reserve of the log cannot be used");
                false
            }
        }
    }

    fn enter(&mut self, segment: Arc<Segment>, is_reserve: bool) -> io::Result<()> {
        let given = segment.file.bytes()?;
        let number = self.active.number;
        let first = number;
        let next = Active { segment, at: DATA_START, given, first, number, is_reserve };
        let full = std::mem::replace(&mut self.active, next);
        self.attempt = 0;
        self.metrics.segments.inc();
        self.publisher.seal(full.segment, full.first..full.number);
        Ok(())
    }

    /// Numbers the batches behind what their sessions have. Nothing moves yet.
    fn encode(&mut self, group: &[Pending]) -> (Vec<u8>, Vec<Placed>, u64) {
        let buffer = std::mem::take(&mut self.buffer);
        let Active { segment, number, at, given, .. } = &self.active;
        let mut builder = GroupBuilder::new(buffer, segment.id, *number, self.attempt);
        let placed = group
            .iter()
            .map(|Pending { session, body, .. }| {
                builder.push(session.stage(self.stage, body), &body.bytes)
            })
            .collect();
        let mut bytes = builder.finish();
        let sectors = bytes.len() as u64;
        // Up to the end of a page, but not beyond what the file has been given.
        let end = at + sectors;
        let padded = end.next_multiple_of(PAGE_BYTES).min(*given).max(end);
        bytes.resize((padded - at) as usize, 0);
        (bytes, placed, sectors)
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
}
