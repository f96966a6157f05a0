//! What has to be done beside writing: the next segment is made ahead of need, full ones are sealed,
//! dead ones retired. On a thread of its own, so that no append waits for it; tests have it done in
//! place, so that a seed gives the same run again.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::time::Instant;

use super::Health;
use super::Roles;
use super::blank::Blanks;
use super::compaction::{self, Compaction};
use super::disk::{Disk, DiskFile, write_all_at};
use super::error::Failure;
use super::index::Index;
use super::scan::{Piece, Scanned, Walk};
use super::sealed::{Builder, IndexFile, Part, Unsealed};
use super::segment::{Draft, Origin, Segment, index_name, unfinished_name};
use super::supply::Supply;
use super::tail::HealthPublisher;
use crate::{limits, metrics};

/// What there is to do.
#[derive(Debug)]
pub(super) enum Job {
    /// A segment is full, and its groups are shown.
    Seal(Unsealed),
    /// The writer needs a segment and found none.
    Supply,
    /// It was made for the writer, who cannot use it: nothing stands in it.
    GiveBack(Arc<Segment>),
    /// Something was cut off.
    Retire,
}

/// Who does it.
#[derive(Debug)]
pub(super) enum Upkeep {
    /// A thread.
    Thread { jobs: SyncSender<(Job, Option<SyncSender<Infallible>>)>, thread: JoinHandle<()> },
    /// Whoever gives the job.
    Inline(Box<Keeper>),
}

/// Does it. Owns all segments but the one that is written.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) index: Arc<Index>,
    pub(super) supply: Arc<Supply>,
    pub(super) blanks: Blanks,
    pub(super) roles: Roles,
    pub(super) segment_bytes: u64,
    /// Oldest first.
    pub(super) segments: Vec<Arc<Segment>>,
    /// Those of them that opening found damaged: they stay.
    pub(super) damaged: Vec<Arc<Segment>>,
    /// Those that have no index yet.
    pub(super) unsealed: VecDeque<Unsealed>,
    /// Whether a name may not be durable: that an index got, or that a dead segment lost.
    pub(super) has_new_names: bool,
    /// What lies between the rewriting of one segment and of the next, at least.
    pub(super) between_compactions: Duration,
    pub(super) compacted_at: Option<Instant>,
    pub(super) metrics: metrics::log::Metrics,
    pub(super) health: HealthPublisher,
}

impl Upkeep {
    /// Has `keeper` work on a thread.
    pub(super) fn thread(mut keeper: Keeper) -> io::Result<Self> {
        let (jobs, incoming) = sync_channel(limits::LOG_JOBS);
        let builder = std::thread::Builder::new().name("afterbay-log-keep".to_owned());
        let thread = builder.spawn(move || keeper.run(&incoming))?;
        Ok(Self::Thread { jobs, thread })
    }

    /// Has `keeper` work in place.
    pub(super) fn inline(keeper: Keeper) -> Self {
        Self::Inline(Box::new(keeper))
    }

    /// Gives a job; `done` hears when it is done. A thread's sealing is not waited for.
    pub(super) fn give(&mut self, job: Job, done: SyncSender<Infallible>) {
        match self {
            Self::Thread { jobs, .. } => {
                let waits = matches!(job, Job::Supply);
                // An error means that the thread broke down; then nobody waits for it.
                drop(jobs.send((job, waits.then_some(done))));
            }
            Self::Inline(keeper) => {
                keeper.work(job);
                drop(done);
            }
        }
    }

    /// Something was cut off: what is dead may go.
    pub(super) fn note_trim(&mut self) {
        match self {
            // Where so many jobs wait, each of them looks for what is dead when it is done.
            Self::Thread { jobs, .. } => drop(jobs.try_send((Job::Retire, None))),
            Self::Inline(keeper) => keeper.work(Job::Retire),
        }
    }

    /// Waits until what was given is done.
    pub(super) fn end(self) {
        match self {
            Self::Thread { jobs, thread } => {
                drop(jobs);
                // A panic there was told by its own message.
                drop(thread.join());
            }
            Self::Inline(keeper) => drop(keeper),
        }
    }
}

impl Keeper {
    fn run(&mut self, incoming: &Receiver<(Job, Option<SyncSender<Infallible>>)>) {
        self.begin();
        loop {
            match incoming.recv_timeout(limits::LOG_UPKEEP_INTERVAL) {
                Ok((job, done)) => {
                    self.work(job);
                    drop(done);
                }
                Err(RecvTimeoutError::Timeout) => self.look_after(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// What there is to do before the first job.
    pub(super) fn begin(&mut self) {
        let _guard = self.health.poison_on_panic();
        let done = self.keep_up();
        self.note(done);
    }

    /// Does one job.
    pub(super) fn work(&mut self, job: Job) {
        // Before whoever waits for the job hears of its end.
        let _guard = self.health.poison_on_panic();
        match job {
            Job::Seal(full) => {
                self.segments.push(Arc::clone(&full.segment));
                self.unsealed.push_back(full);
            }
            Job::GiveBack(segment) => {
                // If it stays, the next opening finds it empty.
                self.blanks.retire(&segment);
            }
            Job::Supply | Job::Retire => {}
        }
        let done = self.keep_up();
        self.note(done);
    }

    /// Nothing was given for a while: what the disk refused is tried again.
    fn look_after(&mut self) {
        let _guard = self.health.poison_on_panic();
        let done = self.keep_up();
        if done.is_ok() && self.health.get() == Health::Refusing {
            match self.blanks.probe() {
                Ok(()) => self.health.set(Health::Open),
                Err(failure) => return self.note(Err(failure)),
            }
        }
        self.note(done);
    }

    /// Does all that there is to do.
    fn keep_up(&mut self) -> Result<(), Failure> {
        // First what the writer waits for; where there is no room for it, what is dead makes some.
        let filled = match self.fill() {
            Err(broken @ Failure::Broken(_)) => return Err(broken),
            Err(Failure::Refused(_)) => self.retire().and_then(|()| self.fill()),
            Ok(()) => self.retire(),
        };
        // An index takes little, and what is dead behind a segment without one cannot go.
        let done = self.seal_all().and_then(|()| self.retire()).and(filled);
        match done {
            Err(broken @ Failure::Broken(_)) => Err(broken),
            // That makes room, too.
            Ok(()) | Err(Failure::Refused(_)) => self.compact_one().and(done),
        }
    }

    fn note(&self, done: Result<(), Failure>) {
        match done {
            Ok(()) => {}
            Err(Failure::Refused(error)) => {
                tracing::warn!(%error, "the disk refuses upkeep of the log; it is tried again");
            }
            Err(Failure::Broken(error)) => {
                tracing::error!(%error, "the log is poisoned until restart");
                self.health.set(Health::Poisoned);
            }
        }
    }

    /// Makes what the writer will take next. First the reserve: without it, verdicts and trims might
    /// find no room, and so nothing would ever be given back.
    pub(super) fn fill(&mut self) -> Result<(), Failure> {
        if !self.supply.has_reserve() {
            let bytes = limits::LOG_RESERVE_BYTES.min(self.segment_bytes / 2);
            self.supply.put_reserve(self.blanks.take_small(bytes)?);
        }
        if !self.supply.has_next() {
            let blank = self.blanks.take(self.segment_bytes)?;
            let draft = Draft::new(self.supply.new_epoch(), Origin::Rotation);
            let next = draft.make(&*self.disk, blank, &[])?;
            self.supply.put_next(Arc::new(next));
        }
        Ok(())
    }

    fn seal_all(&mut self) -> Result<(), Failure> {
        while let Some(full) = self.unsealed.front_mut() {
            let (segment, groups) = (Arc::clone(&full.segment), full.groups.clone());
            let contents = full.contents.take();
            self.seal(&segment, groups, contents)?;
            self.unsealed.pop_front();
        }
        Ok(())
    }

    /// Writes the segment's index, and has the sessions forget what it knows. One that must be
    /// read for it and is damaged gets none: each opening looks at it anew.
    fn seal(
        &mut self,
        segment: &Arc<Segment>,
        groups: Range<u64>,
        noted: Option<(Builder, u64)>,
    ) -> Result<(), Failure> {
        let contents = match noted {
            Some(noted) => Some(noted),
            None => self.read_back(segment, &groups).map_err(Failure::Refused)?,
        };
        let Some((builder, end)) = contents else { return Ok(()) };
        let (bytes, parts) = builder.finish(segment.id, &groups, end);
        let file = write_index(&*self.disk, segment.id.epoch, &bytes)?;
        self.has_new_names = true;
        segment.seal(IndexFile::new(file, groups, &parts));
        for Part { key, extent, bytes, .. } in parts {
            if let Some(session) = self.index.known(key) {
                session.seal(segment, extent, bytes);
            }
        }
        self.metrics.sealed.inc();
        Ok(())
    }

    /// Everything in a full segment, as it reads now, and where it ends; `None` if that is not what
    /// was written.
    fn read_back(
        &self,
        segment: &Arc<Segment>,
        groups: &Range<u64>,
    ) -> io::Result<Option<(Builder, u64)>> {
        let mut walk = Walk::over(segment, groups.clone())?;
        let mut builder = Builder::new(self.roles);
        let damaged = |bytes: &Range<u64>| {
            let (file, from, to) = (segment.name(), bytes.start, bytes.end);
            tracing::error!(file, from, to, "a full segment does not read as it was written");
            self.metrics.damaged_bytes.inc_by((bytes.end - bytes.start).max(1));
        };
        while let Some(group) = walk.next()? {
            if !group.unreadable.is_empty() {
                damaged(&group.unreadable);
                return Ok(None);
            }
            for piece in group.pieces() {
                match piece {
                    Piece::Batch(Scanned { header, spot, body: _, entries }) => {
                        let bytes = u64::from(spot.at)..u64::from(spot.at) + u64::from(spot.bytes);
                        if !builder.add(&header, spot, entries) {
                            damaged(&bytes);
                            return Ok(None);
                        }
                    }
                    Piece::Damaged { bytes, .. } | Piece::Unreadable { bytes } => {
                        damaged(&bytes);
                        return Ok(None);
                    }
                }
            }
        }
        if !walk.is_complete() {
            damaged(&walk.rest());
            return Ok(None);
        }
        Ok(Some((builder, walk.rest().start)))
    }

    /// Gives back the segments that nobody needs any more.
    fn retire(&mut self) -> Result<(), Failure> {
        let mut is_open = false;
        for segment in std::mem::take(&mut self.segments) {
            let queued = self.unsealed.iter().position(|full| Arc::ptr_eq(&full.segment, &segment));
            // Behind one that stays and has no index, its groups would be missed when that is read.
            let stays = is_open || !self.is_dead(&segment, 1 + usize::from(queued.is_some()));
            if stays {
                is_open = segment.index().is_none();
                self.segments.push(segment);
                continue;
            }
            if std::mem::take(&mut self.has_new_names) {
                // Durable: the index in front of it is there before it goes, and those in front of it
                // that went do not come back, perhaps without an index.
                self.disk.sync_dir().map_err(Failure::Broken)?;
            }
            if !self.blanks.retire(&segment) {
                is_open = segment.index().is_none();
                self.segments.push(segment);
                continue;
            }
            // A dead one needs no index, and on a full disk there may be no room for it.
            queued.and_then(|at| self.unsealed.remove(at));
            self.has_new_names = true;
            self.metrics.segments.dec();
        }
        self.blanks.settle()
    }

    /// Rewrites the oldest segment of which little counts any more: one a time, so that it is never
    /// in the way of appends.
    fn compact_one(&mut self) -> Result<(), Failure> {
        if self.compacted_at.is_some_and(|at| at.elapsed() < self.between_compactions) {
            return Ok(());
        }
        let victim = self.segments.iter().position(|segment| compaction::pays(segment));
        let Some(at) = victim else { return Ok(()) };
        let Some(segment) = self.segments.get(at).cloned() else { return Ok(()) };
        self.compacted_at = Some(Instant::now());
        let blank = self.blanks.take(0)?;
        let compacting = Compaction { disk: &*self.disk, index: &self.index, roles: self.roles };
        if let Some(compacted) = compacting.run(&segment, blank)? {
            self.metrics.compacted.inc();
            self.segments.splice(at..=at, [compacted]);
        }
        Ok(())
    }

    /// Whether no session has a batch in it and no reader has it open: all that know it are `ours`.
    /// What opening found damaged is never dead: it says which numbers stay used.
    fn is_dead(&self, segment: &Arc<Segment>, ours: usize) -> bool {
        let is_damaged = self.damaged.iter().any(|damaged| Arc::ptr_eq(damaged, segment));
        !is_damaged && Arc::strong_count(segment) <= ours
    }
}

/// Writes the index of the segment of `epoch`, in the place of an older one.
pub(super) fn write_index(
    disk: &dyn Disk,
    epoch: u64,
    bytes: &[u8],
) -> Result<Arc<dyn DiskFile>, Failure> {
    let (unfinished, name) = (unfinished_name(epoch), index_name(epoch));
    let file = disk.create(&unfinished).map_err(Failure::Refused)?;
    let written = write_all_at(&*file, bytes, 0).map_err(|short| short.source);
    // The name need not be durable: without it, opening reads the segment.
    let made =
        written.and_then(|()| file.sync_data()).and_then(|()| disk.rename(&unfinished, &name));
    match made {
        Ok(()) => Ok(file),
        Err(source) => {
            // No part of the log: if it stays, the next opening removes it.
            drop(disk.remove(&unfinished));
            Err(Failure::Refused(source))
        }
    }
}
