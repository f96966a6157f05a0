//! The newest batches of a session, shared by all its readers at the tail: none of them has to ask
//! the disk for what has just been written. Bounded; a reader that falls behind reads the disk.

use std::collections::VecDeque;

use bytes::Bytes;

use super::Tail;
use super::body::Body;
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
    /// Adds the newest batch. What is before a hole is forgotten: a reader would take it for lost.
    pub(super) fn push(&mut self, header: BatchHeader, body: &Body) {
        let is_too_large = body.bytes() > limits::RING_BYTES;
        if is_too_large || self.batches.back().is_some_and(|last| last.end() != header.first) {
            self.clear();
        }
        if is_too_large {
            return;
        }
        // A copy: what the batch was made of may be a small part of something large.
        let mut bytes = Vec::with_capacity(body.bytes());
        body.encode(&mut bytes);
        self.bytes += bytes.len();
        self.batches.push_back(Recent { header, body: bytes.into() });
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Control, Lsn, Record, Seq};
    use crate::ids::SessionKey;
    use crate::log::chain::Chain;
    use crate::log::record::Entry;

    /// Adds a batch of one control record, with this Lsn.
    fn push(ring: &mut Ring, lsn: u64, bytes: usize) {
        let control = Control { kind: 1, bytes: vec![b'x'; bytes].into() };
        let body = Body::new(vec![Entry::Record(Record::Control(control))]);
        let first = Tail { next_seq: Seq::new(1), next_lsn: Lsn::new(lsn) };
        let header = body.header(SessionKey::from_bytes([1; 16]), first, Chain::START);
        ring.push(header, &body);
    }

    fn following(ring: &Ring, lsn: u64) -> Option<Vec<u64>> {
        let found = ring.following(Position { after: Seq::START, lsn: Lsn::new(lsn) })?;
        Some(found.iter().map(|recent| recent.header.first.next_lsn.get()).collect())
    }

    #[test]
    fn a_ring_answers_for_what_it_holds_and_for_nothing_before() {
        let mut ring = Ring::default();
        assert_eq!(following(&ring, 3), None);
        (3..6).for_each(|lsn| push(&mut ring, lsn, 10));
        assert_eq!(following(&ring, 2), None, "there is one more behind it");
        assert_eq!(following(&ring, 3), Some(vec![3, 4, 5]));
        assert_eq!(following(&ring, 5), Some(vec![5]));
        assert_eq!(following(&ring, 6), Some(vec![]), "at the tail");
    }

    #[test]
    fn what_is_before_a_hole_is_forgotten() {
        let mut ring = Ring::default();
        push(&mut ring, 3, 10);
        push(&mut ring, 5, 10);
        assert_eq!(following(&ring, 4), None);
        assert_eq!(following(&ring, 5), Some(vec![5]));
    }

    #[test]
    fn a_ring_is_bounded_in_bytes_and_in_batches() {
        let mut ring = Ring::default();
        let third = limits::RING_BYTES / 3;
        (1..6).for_each(|lsn| push(&mut ring, lsn, third));
        assert_eq!(following(&ring, 4), Some(vec![4, 5]));
        push(&mut ring, 6, limits::RING_BYTES + 1);
        assert_eq!(following(&ring, 6), None);
        let many = limits::RING_BATCHES as u64 + 5;
        (7..7 + many).for_each(|lsn| push(&mut ring, lsn, 0));
        assert_eq!(following(&ring, 7 + 4), None);
        assert!(following(&ring, 7 + 5).is_some_and(|found| found.len() == limits::RING_BATCHES));
    }
}
