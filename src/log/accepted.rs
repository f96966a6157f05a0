//! What opening accepts of the log's last group, which nothing proves (FORMAT.md, "Opening", 4).

use std::collections::HashMap;

use super::Tail;
use super::group::{GroupBuilder, Placed};
use super::index::Index;
use super::record::{BatchHeader, Numbered};
use super::scan::{Group, Piece, Scanned};

/// A batch that will count once it is copied.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) header: BatchHeader,
    pub(super) entries: Vec<Numbered>,
    pub(super) placed: Placed,
}

/// What is accepted of the last group: all before the first batch that is not whole. Batches behind
/// it may look whole, since sectors land in any order, but the group was perhaps never synced.
pub(super) fn accept(last: &Group, index: &Index, builder: &mut GroupBuilder) -> Vec<Accepted> {
    let mut accepted = Vec::new();
    let mut tails = HashMap::new();
    for piece in last.pieces() {
        match piece {
            Piece::Batch(Scanned { header, spot: _, body, entries }) => {
                let known = || index.known(header.key).map_or(Tail::EMPTY, |known| known.tail());
                let tail = tails.entry(header.key).or_insert_with(known);
                if !tail.is_at_or_before(header.first) {
                    let session = header.key.session_id();
                    tracing::error!(%session, "a repeated batch is not copied");
                    continue;
                }
                *tail = header.end();
                let placed = builder.push(header, &body);
                accepted.push(Accepted { header, entries, placed });
            }
            Piece::Damaged { bytes, .. } | Piece::Unreadable { bytes } => {
                let (file, from) = (last.segment.name(), bytes.start);
                tracing::info!(file, from, "cut off what a crash left unfinished");
                break;
            }
        }
    }
    accepted
}
