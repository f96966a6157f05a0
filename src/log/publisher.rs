//! Shows what the writer made durable, while that already syncs the next group: index, then tails,
//! then answers, group by group in the order of their writing.
//!
//! A thread of its own, so that waking a few hundred who appended costs the disk no idle time. What
//! must come behind the showing of a group (sealing its segment) passes through here, too.

use std::convert::Infallible;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::contents::Contents;
use super::error::Error;
use super::forming::Staged;
use super::queue::Pending;
use super::sealed::Unsealed;
use super::segment::Segment;
use super::tail::HealthPublisher;
use super::upkeep::{Job, Upkeep};
use super::{Appended, Health, Roles};
use crate::limits;
use crate::metrics;

/// What the writer has to tell.
#[derive(Debug)]
pub(super) enum News {
    /// A group is durable.
    Durable(Durable),
    /// Batches were not taken.
    Refused(Vec<Pending>, Error),
    /// The store's health as the writer sees it.
    Health(Health),
    /// A segment is full: these are its groups. `done` as below.
    Full(Arc<Segment>, Range<u64>, SyncSender<Infallible>),
    /// Something to do once all before it is shown; `done` hears when it is, if upkeep is inline.
    Work(Job, SyncSender<Infallible>),
}

/// A group that is durable.
#[derive(Debug)]
pub(super) struct Durable {
    pub(super) segment: Arc<Segment>,
    /// The group's number.
    pub(super) number: u64,
    /// What the checksums of its batches continue from.
    pub(super) seed: u32,
    /// Bytes from the segment's start.
    pub(super) at: u64,
    /// What the group takes, whole sectors.
    pub(super) bytes: u64,
    /// Whether there is room for more.
    pub(super) health: Health,
    pub(super) batches: Vec<Staged>,
}

/// The writer's end.
#[derive(Debug, Clone)]
pub(super) struct Publisher(SyncSender<News>);

impl Publisher {
    /// Starts the thread; it ends when the writer's end is gone.
    pub(super) fn start(
        upkeep: Upkeep,
        roles: Roles,
        health: HealthPublisher,
        metrics: metrics::log::Metrics,
    ) -> io::Result<Self> {
        let (news, incoming) = sync_channel(limits::LOG_GROUPS_AHEAD);
        let shower = Shower::new(incoming, Some(upkeep), roles, health, metrics);
        let thread = std::thread::Builder::new().name("afterbay-log-show".to_owned());
        thread.spawn(move || shower.run())?;
        Ok(Self(news))
    }

    /// Passes something on. Blocks while too much is on its way.
    pub(super) fn tell(&self, news: News) {
        // If the thread broke down, nobody is shown anything, and everyone who waits is told so.
        drop(self.0.send(news));
    }

    /// Has `job` done behind all that was told before, and waits until it is.
    pub(super) fn have_done(&self, job: Job) {
        self.wait_for(|done| News::Work(job, done));
    }

    /// Has a full segment sealed, as above.
    pub(super) fn seal(&self, segment: Arc<Segment>, groups: Range<u64>) {
        self.wait_for(|done| News::Full(segment, groups, done));
    }

    fn wait_for(&self, news: impl FnOnce(SyncSender<Infallible>) -> News) {
        let (done, heard) = sync_channel(1);
        self.tell(news(done));
        // Nothing is sent: it is done, or nobody does it, once the other end is dropped.
        let Err(_dropped) = heard.recv();
    }
}

/// What the thread does. Fields are dropped in order: whoever sees the health's channel closed may
/// open the folder again.
#[derive(Debug)]
pub(super) struct Shower {
    incoming: Receiver<News>,
    /// There until the thread ends.
    upkeep: Option<Upkeep>,
    contents: Contents,
    metrics: metrics::log::Metrics,
    health: HealthPublisher,
}

impl Shower {
    pub(super) fn new(
        incoming: Receiver<News>,
        upkeep: Option<Upkeep>,
        roles: Roles,
        health: HealthPublisher,
        metrics: metrics::log::Metrics,
    ) -> Self {
        Self { incoming, upkeep, contents: Contents::new(roles), metrics, health }
    }

    fn run(mut self) {
        let _guard = self.health.poison_on_panic();
        while let Ok(news) = self.incoming.recv() {
            self.hear(news);
        }
    }

    pub(super) fn hear(&mut self, news: News) {
        match news {
            News::Durable(group) => self.show(group),
            News::Refused(group, error) => self.refuse(group, &error),
            News::Health(health) => self.health.set(health),
            News::Full(segment, groups, done) => {
                let contents = self.contents.take(&segment, &groups);
                self.give(Job::Seal(Unsealed { segment, groups, contents }), done);
            }
            News::Work(job, done) => self.give(job, done),
        }
    }

    fn give(&mut self, job: Job, done: SyncSender<Infallible>) {
        if let Some(upkeep) = &mut self.upkeep {
            upkeep.give(job, done);
        }
    }

    /// Shows a durable group.
    fn show(&mut self, mut group: Durable) {
        let mut trimmed = false;
        for Staged { pending, placed, .. } in &group.batches {
            let spot = placed.spot_at(group.at, group.seed);
            pending.session.add_recent(&group.segment, spot, placed.header, &pending.body);
        }
        for Staged { pending, placed, .. } in &group.batches {
            if let Some(cut) = pending.body.cut() {
                pending.session.cut(cut.first);
                trimmed = true;
            }
            pending.session.advance(placed.header.end());
        }
        if trimmed && let Some(upkeep) = &mut self.upkeep {
            upkeep.note_trim();
        }
        self.health.set(group.health);
        self.metrics.appends.inc_by(group.batches.len() as u64);
        for Staged { pending, placed, .. } in &mut group.batches {
            let (first, tail) = (placed.header.first, placed.header.end());
            pending.answer(Ok(Appended {
                first_lsn: first.next_lsn,
                first_seq: first.next_seq,
                tail,
            }));
        }
        // From here on nobody waits for it.
        self.contents.note(&group);
        let batch_bytes = self.metrics.batch_bytes.local();
        for Staged { pending, .. } in &group.batches {
            batch_bytes.observe(pending.body.disk_bytes() as f64);
        }
    }

    fn refuse(&self, group: Vec<Pending>, error: &Error) {
        for mut pending in group {
            self.metrics.refused.inc();
            pending.answer(Err(error.clone()));
        }
    }
}

impl Drop for Shower {
    /// The last word: readers end, and nobody waits for a dead writer.
    fn drop(&mut self) {
        if let Some(upkeep) = self.upkeep.take() {
            upkeep.end();
        }
        self.health.set(Health::Closed);
    }
}
