//! What the segment that is being written holds, noted as it is shown: so sealing it reads nothing
//! back. Bounded; where more batches come than are noted here, or some came before, a full segment
//! is read instead, which tells the same.

use std::ops::Range;
use std::sync::Arc;

use super::body::Body;
use super::forming::Staged;
use super::publisher::Durable;
use super::record::Numbered;
use super::sealed::Builder;
use super::segment::Segment;
use super::{Roles, Tail};
use crate::limits;

/// The groups of one segment that were shown, and what is in them.
#[derive(Debug)]
pub(super) struct Contents {
    roles: Roles,
    noted: Option<Noted>,
}

#[derive(Debug)]
struct Noted {
    segment: Arc<Segment>,
    groups: Range<u64>,
    /// Behind the last group, in bytes from the segment's start.
    end: u64,
    batches: usize,
    /// `None` once it would be too large, or what came has no index.
    builder: Option<Builder>,
}

impl Contents {
    pub(super) fn new(roles: Roles) -> Self {
        Self { roles, noted: None }
    }

    /// Takes in the next group.
    pub(super) fn note(&mut self, group: &Durable) {
        let Durable { segment, number, seed, at, bytes, batches, health: _ } = group;
        let noted = match &mut self.noted {
            Some(noted) if Arc::ptr_eq(&noted.segment, segment) => noted,
            other => other.insert(Noted {
                segment: Arc::clone(segment),
                groups: *number..*number,
                end: *at,
                batches: 0,
                builder: Some(Builder::new(self.roles)),
            }),
        };
        let follows = (noted.groups.end, noted.end) == (*number, *at);
        noted.groups.end = number + 1;
        noted.end = at + bytes;
        noted.batches += batches.len();
        let Some(builder) = &mut noted.builder else { return };
        let has_room = noted.batches <= limits::LOG_CONTENTS_BATCHES;
        let is_noted = follows
            && has_room
            && batches.iter().all(|Staged { pending, placed, .. }| {
                let others = others(placed.header.first, &pending.body);
                builder.add(&placed.header, placed.spot_at(*at, *seed), others)
            });
        if !is_noted {
            noted.builder = None;
        }
    }

    /// All that `segment`, full now, holds in these groups, and where it ends; `None` if that was
    /// not noted.
    pub(super) fn take(
        &mut self,
        segment: &Arc<Segment>,
        groups: &Range<u64>,
    ) -> Option<(Builder, u64)> {
        let Noted { segment: of, groups: noted, end, batches: _, builder } = self.noted.take()?;
        let is_all = Arc::ptr_eq(&of, segment) && noted == *groups;
        builder.filter(|_| is_all).map(|builder| (builder, end))
    }
}

/// The entries of a batch, unless all of them are events.
fn others(first: Tail, body: &Body) -> Vec<Numbered> {
    if body.is_events() { Vec::new() } else { body.numbered(first).collect() }
}
