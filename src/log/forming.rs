//! Groups on their way to the disk: whoever appends numbers and links the batch and puts it into
//! the group that is forming, so that the writer finds a whole group, ready but for its stamp,
//! whenever the disk is free.
//!
//! One lock is held for that, no longer than it takes to copy a small batch; so the batches of a
//! session stand in the order of their numbers. All that is here follows what is being written: if
//! that is refused, so is all that is here, and the sessions go on from what is durable.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};

use super::error::Error;
use super::group::{GroupBuilder, Placed};
use super::index::Link;
use super::queue::Pending;
use super::sync::{Condvar, Mutex, MutexGuard};
use crate::limits;

/// Groups that form. Shared by those who append and the writer.
#[derive(Debug)]
pub(super) struct Forming {
    groups: Mutex<Groups>,
    /// There is something for the writer.
    news: Condvar,
    /// Where a group is full.
    group_bytes: usize,
}

#[derive(Debug)]
struct Groups {
    /// The first to be written first.
    queued: VecDeque<Group>,
    /// Was written, and is used again.
    spare: Option<GroupBuilder>,
    is_closed: bool,
    /// Whether somebody must wake the writer.
    writer_waits: bool,
}

/// A group that is not written yet.
#[derive(Debug)]
pub(super) struct Group {
    builder: GroupBuilder,
    batches: Vec<Staged>,
    /// Whether it is what must not be lost of groups that were refused.
    is_urgent: bool,
    /// Whether the last body is so large that the writer copies it.
    lacks_body: bool,
}

/// A batch in its group.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) pending: Pending,
    pub(super) placed: Placed,
    /// Where its session goes on if it is refused.
    follows: Link,
}

/// The writer's end.
#[derive(Debug)]
pub(super) struct Intake(Arc<Forming>);

impl Forming {
    pub(super) fn new(group_bytes: usize) -> Arc<Self> {
        let groups =
            Groups { queued: VecDeque::new(), spare: None, is_closed: false, writer_waits: false };
        Arc::new(Self { groups: Mutex::new(groups), news: Condvar::new(), group_bytes })
    }

    /// The writer's end, of which there is one.
    pub(super) fn intake(self: &Arc<Self>) -> Intake {
        Intake(Arc::clone(self))
    }

    /// Puts a batch behind all others. Fails once this is closed.
    pub(super) fn add(&self, pending: Pending) -> Result<(), Error> {
        let mut groups = self.groups();
        if groups.is_closed {
            return Err(Error::Closed);
        }
        groups.add(pending, false, self.group_bytes);
        self.tell_writer(groups);
        Ok(())
    }

    /// Takes nothing more; what is here will be written.
    pub(super) fn close(&self) {
        let mut groups = self.groups();
        groups.is_closed = true;
        self.tell_writer(groups);
    }

    fn tell_writer(&self, mut groups: MutexGuard<'_, Groups>) {
        let waits = std::mem::take(&mut groups.writer_waits);
        drop(groups);
        if waits {
            self.news.notify_one();
        }
    }

    fn groups(&self) -> MutexGuard<'_, Groups> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Groups {
    fn add(&mut self, pending: Pending, is_urgent: bool, group_bytes: usize) {
        let has_room = |group: &Group| {
            let bytes = group.builder.batch_bytes() + pending.body.disk_bytes();
            group.is_urgent == is_urgent && !group.lacks_body && bytes <= group_bytes
        };
        if !self.queued.back().is_some_and(has_room) {
            let builder = self.spare.take().unwrap_or_else(GroupBuilder::new);
            let batches = Vec::new();
            self.queued.push_back(Group { builder, batches, is_urgent, lacks_body: false });
        }
        if let Some(group) = self.queued.back_mut() {
            group.add(pending);
        }
    }
}

impl Group {
    fn add(&mut self, pending: Pending) {
        let (header, follows) = pending.session.stage(&pending.body);
        self.lacks_body = pending.body.disk_bytes() > limits::COPIED_IN_PLACE_BYTES;
        let placed = self.builder.push_header(header);
        if !self.lacks_body {
            self.builder.push_body(&pending.body);
        }
        self.batches.push(Staged { pending, placed, follows });
    }

    /// All its batches; they lack their stamp.
    pub(super) fn builder(&mut self) -> &mut GroupBuilder {
        if std::mem::take(&mut self.lacks_body)
            && let Some(last) = self.batches.last()
        {
            self.builder.push_body(&last.pending.body);
        }
        &mut self.builder
    }

    pub(super) fn batches(&self) -> usize {
        self.batches.len()
    }

    pub(super) fn is_urgent(&self) -> bool {
        self.is_urgent
    }
}

impl Intake {
    /// All that is queued, up to a full group; waits for the first. `None` when nothing more is
    /// taken and nothing is left. Blocks.
    pub(super) fn take_group(&mut self) -> Option<Group> {
        let mut groups = self.0.groups();
        loop {
            if let Some(group) = groups.queued.pop_front() {
                return Some(group);
            }
            if groups.is_closed {
                return None;
            }
            groups.writer_waits = true;
            groups = self.0.news.wait(groups).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The batches of a group that is written; its memory is used again.
    pub(super) fn written(&mut self, group: Group) -> Vec<Staged> {
        let Group { builder, batches, .. } = group;
        let builder = builder.cleared();
        self.0.groups().spare = Some(builder);
        batches
    }

    /// Of a group that was refused and all that is queued behind it: takes those out that may be
    /// lost, and lets their sessions go on without them. Those that must not be lost come next; of
    /// a group of these that was refused, none is tried again, and none of those behind it.
    pub(super) fn take_back(&mut self, refused: Group) -> Vec<Pending> {
        let again = !refused.is_urgent;
        let mut groups = self.0.groups();
        let queued = std::mem::take(&mut groups.queued);
        let mut batches = refused.batches;
        batches.extend(queued.into_iter().flat_map(|group| group.batches));
        for Staged { pending, follows, .. } in batches.iter().rev() {
            pending.session.continue_from(*follows);
        }
        let all = batches.into_iter().map(|staged| staged.pending);
        let (urgent, rest): (Vec<_>, Vec<_>) = all.partition(|pending| again && pending.is_urgent);
        for pending in urgent {
            groups.add(pending, true, self.0.group_bytes);
        }
        rest
    }

    /// The batches of a group that will not be written.
    pub(super) fn give_up(group: Group) -> Vec<Pending> {
        group.batches.into_iter().map(|staged| staged.pending).collect()
    }
}

impl Drop for Intake {
    /// Whoever still waits learns that nobody writes any more.
    fn drop(&mut self) {
        let mut groups = self.0.groups();
        groups.is_closed = true;
        let queued = std::mem::take(&mut groups.queued);
        drop(groups);
        drop(queued);
    }
}
