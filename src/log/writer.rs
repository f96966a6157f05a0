//! The one writer: a thread that stamps the groups that have formed and writes them, one write and
//! one sync each.
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
use super::forming::{Group, Intake};
use super::group::{GROUP_HEADER_BYTES, SECTOR_BYTES, Stamp};
use super::publisher::{Durable, News, Publisher};
use super::queue::Pending;
use super::segment::{DATA_START, Draft, Origin, Segment};
use super::supply::Supply;
use super::tail::HealthPublisher;
use super::upkeep::Job;
use crate::metrics;

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
    segment_bytes: u64,
    supply: Arc<Supply>,
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
            segment_bytes,
            supply,
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
                self.refuse(Intake::give_up(group), Error::Poisoned);
                continue;
            }
            self.take(group);
        }
    }

    /// Makes a group durable, or refuses it and what follows it; of one for which there is no room,
    /// what must not be lost is to go to the reserve.
    fn take(&mut self, group: Group) {
        let taken = if group.is_urgent() { self.commit_urgent(group) } else { self.commit(group) };
        match taken {
            Ok(()) => {}
            Err((group, Failure::Refused(source))) => {
                if self.health.get() != Health::Refusing {
                    tracing::warn!(error = %source, "the disk refused a write, batches are refused");
                }
                // Whoever is refused finds the store refusing.
                self.publisher.tell(News::Health(Health::Refusing));
                let refused = self.intake.take_back(group);
                self.refuse(refused, Error::Refused(Arc::new(source)));
            }
            Err((group, Failure::Broken(source))) => {
                tracing::error!(error = %source, "the log is poisoned until restart");
                self.poisoned = true;
                self.publisher.tell(News::Health(Health::Poisoned));
                self.refuse(Intake::give_up(group), Error::Poisoned);
            }
        }
    }

    fn refuse(&self, batches: Vec<Pending>, error: Error) {
        self.publisher.tell(News::Refused(batches, error));
    }

    /// Appends to a segment that has room for it.
    fn commit(&mut self, mut group: Group) -> Result<(), (Group, Failure)> {
        if (self.active.is_reserve || !self.has_room(&mut group))
            && let Err(failure) = self.rotate()
        {
            return Err((group, failure));
        }
        self.append(group)
    }

    /// Appends to the reserve that is being written; where that is full, to another one.
    fn commit_urgent(&mut self, mut group: Group) -> Result<(), (Group, Failure)> {
        let mut enters = !self.active.is_reserve;
        loop {
            if enters && !self.enter_reserve() {
                return Err((group, Failure::Refused(io::ErrorKind::StorageFull.into())));
            }
            match self.append(group) {
                Err((back, Failure::Refused(_))) if !enters => group = back,
                answer => return answer,
            }
            enters = true;
        }
    }

    /// Whether the group fits into what is left of the segment; only one that is larger than a whole
    /// segment makes its file grow.
    fn has_room(&self, group: &mut Group) -> bool {
        let Active { at, given, .. } = self.active;
        let end = at + (GROUP_HEADER_BYTES + group.builder().batch_bytes()) as u64;
        at == DATA_START || end <= given.max(self.segment_bytes)
    }

    /// Makes one group durable and passes it on.
    // Durable: when this returns Ok, the group is; when Refused, nothing of it will be found.
    fn append(&mut self, mut group: Group) -> Result<(), (Group, Failure)> {
        self.attempt = self.attempt.wrapping_add(1);
        let Active { segment, at, given, number, is_reserve, .. } = &self.active;
        let (at, number) = (*at, *number);
        let stamp = Stamp { segment: segment.id, number, attempt: self.attempt };
        let bytes = group.builder().stamped(stamp);
        let sectors = bytes.len() as u64;
        // Up to the end of a page, but not beyond what the file has been given.
        let end = at + sectors;
        let padded = end.next_multiple_of(PAGE_BYTES).min(*given).max(end);
        bytes.resize((padded - at) as usize, 0);
        if let Err(failure) = self.write(bytes).and_then(|()| self.sync()) {
            return Err((group, failure));
        }
        self.metrics.groups.inc();
        self.metrics.group_batches.observe(group.batches() as f64);
        self.metrics.written_bytes.inc_by(sectors);
        let durable = Durable {
            segment: Arc::clone(segment),
            number,
            seed: stamp.seed(),
            at,
            bytes: sectors,
            health: if *is_reserve { Health::Refusing } else { Health::Open },
            batches: self.intake.written(group),
        };
        self.active.at += sectors;
        self.active.number += 1;
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
