//! What opening finds lost: said in log lines and metrics, and kept out of the numbers that are given
//! from then on (FORMAT.md, "Damage").

use std::collections::HashMap;
use std::ops::Range;

use super::Tail;
use super::index::{Index, Link};
use super::record::{BatchHeader, RECORD_HEADER_BYTES};
use super::segment::Segment;
use crate::event::{Lsn, Seq};
use crate::ids::SessionKey;
use crate::metrics;

/// What was lost so far.
#[derive(Debug)]
pub(super) struct Losses<'a> {
    index: &'a Index,
    metrics: &'a metrics::log::Metrics,
    /// How many records may have been lost without saying whose they were.
    unknown: u64,
    /// What `unknown` was at the last batch of each session: what came later may have been theirs.
    before: HashMap<SessionKey, u64>,
}

impl<'a> Losses<'a> {
    pub(super) fn new(index: &'a Index, metrics: &'a metrics::log::Metrics) -> Self {
        Self { index, metrics, unknown: 0, before: HashMap::new() }
    }

    /// A batch of this session is there: of what was lost before, it shows exactly what was its own.
    pub(super) fn note_batch(&mut self, key: SessionKey) {
        // Nearly always nothing is lost, and nothing need be remembered.
        if self.unknown > 0 {
            self.before.insert(key, self.unknown);
        }
    }

    /// A damaged batch that still says whose it was: its numbers stay used.
    pub(super) fn lose(&mut self, segment: &Segment, header: &BatchHeader, bytes: &Range<u64>) {
        self.count(bytes);
        let (file, from, to) = (segment.name(), bytes.start, bytes.end);
        let (first, end) = (header.first.next_seq, header.end().next_seq);
        let session = self.index.session(header.key);
        tracing::error!(
            file, from, to, session = %header.key.session_id(), %first, %end,
            "lost a damaged batch of a session"
        );
        let (tail, end) = (session.tail(), header.end());
        if tail.next_lsn < end.next_lsn && tail.is_at_or_before(end) {
            session.continue_from(Link { tail: end, chain: header.chain });
            session.advance(end);
            self.note_batch(header.key);
        }
    }

    /// Damage that does not say whose it is. Sessions that have a later batch show exactly what
    /// they lost; the others may have lost as many records as there was `room` for, in bytes.
    pub(super) fn lose_unknown(&mut self, segment: &Segment, bytes: &Range<u64>, room: u64) {
        self.count(bytes);
        let (file, from, to) = (segment.name(), bytes.start, bytes.end);
        self.unknown += room / RECORD_HEADER_BYTES as u64 + 1;
        tracing::error!(
            file,
            from,
            to,
            "lost a damaged range, of any of the sessions without a record behind it"
        );
    }

    fn count(&self, bytes: &Range<u64>) {
        // At least one: of an end that is missing there are no bytes, and it must show all the same.
        self.metrics.damaged_bytes.inc_by((bytes.end - bytes.start).max(1));
    }

    /// Numbers that a lost record may have had are never given again: the sessions that may have
    /// lost some go on behind them, and show a gap.
    pub(super) fn skip_what_may_be_lost(&self) {
        if self.unknown == 0 {
            return;
        }
        for session in self.index.all() {
            let lost = self.unknown - self.before.get(&session.key()).copied().unwrap_or_default();
            if lost > 0 {
                let Link { tail: Tail { next_seq, next_lsn }, chain } = session.link();
                let tail = Tail {
                    next_seq: Seq::new(next_seq.get() + lost),
                    next_lsn: Lsn::new(next_lsn.get() + lost),
                };
                session.continue_from(Link { tail, chain });
                session.advance(tail);
            }
        }
    }
}
