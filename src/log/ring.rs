//! The newest batches of a session, shared by all its readers at the tail: none of them has to ask
//! the disk for what has just been written. Bounded; a reader that falls behind reads the disk.

use std::collections::VecDeque;

use bytes::Bytes;

use super::Tail;
use super::record::{BatchHeader, Numbered, decode_body};
use super::view::Position;
use crate::limits;

/// A batch that has just become durable.
#[derive(Debug, Clone)]
pub(super) struct Recent {
    pub(super) header: BatchHeader,
    pub(super) body: Bytes,
}

/// The newest batches, oldest first, without a hole up to the tail.
#[derive(Debug, Default)]
pub(super) struct Ring {
    batches: VecDeque<Recent>,
    bytes: usize,
}

impl Recent {
    /// The batch's entries; the bytes are shared.
    pub(super) fn entries(&self) -> Vec<Numbered> {
        let BatchHeader { first, records, .. } = self.header;
        // Bytes that were just encoded are entries.
        decode_body(first, records, self.body.clone())
            .map(|(entries, _)| entries)
            .unwrap_or_default()
    }

    fn end(&self) -> Tail {
        self.header.end()
    }
}

impl Ring {
    /// Adds the batch behind the last one.
    pub(super) fn push(&mut self, recent: Recent) {
        self.bytes += recent.body.len();
        self.batches.push_back(recent);
        while self.bytes > limits::RING_BYTES || self.batches.len() > limits::RING_BATCHES {
            let Some(oldest) = self.batches.pop_front() else { break };
            self.bytes -= oldest.body.len();
        }
    }

    /// Drops what is before `begins`.
    pub(super) fn cut(&mut self, begins: Tail) {
        while let Some(oldest) = self.batches.front()
            && oldest.end().next_lsn <= begins.next_lsn
        {
            self.bytes -= oldest.body.len();
            self.batches.pop_front();
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// What follows `position`, within the bounds of a step; `None` if there may be more behind it
    /// than the ring holds.
    pub(super) fn following(&self, position: Position) -> Option<Vec<Recent>> {
        let start = self.batches.partition_point(|recent| !position.is_before(recent.end()));
        // Either the position lies among what the ring holds, or exactly in front of it.
        let is_next = |recent: &Recent| recent.header.first.next_lsn == position.lsn;
        if start == 0 && !self.batches.front().is_some_and(is_next) {
            return None;
        }
        Some(self.batches.iter().skip(start).take(limits::CURSOR_STEP_BATCHES).cloned().collect())
    }
}
