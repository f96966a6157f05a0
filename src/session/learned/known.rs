//! One learned box in memory.

use tokio::sync::watch;

use super::Sighting;
use super::line::Kept;
use crate::credential::CredentialHash;
use crate::limits;
use crate::session::boxes::BoxEntry;
use crate::upstream::endpoint::Endpoint;

/// A box, with all who ask it.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) endpoint: watch::Sender<Endpoint>,
    pub(super) seen_ms: u64,
    /// The same, as it stands in the file.
    written_ms: u64,
    pub(super) handed_out: Vec<CredentialHash>,
    pub(super) is_deleted: bool,
    /// Made when a turn first needs it.
    pub(super) entry: Option<BoxEntry>,
}

impl Known {
    /// Whether the sighting tells nothing but that the box is there.
    pub(super) fn covers(&self, sighting: &Sighting) -> bool {
        let Sighting { name: _, endpoint, handed_out } = sighting;
        !self.is_deleted
            && *self.endpoint.borrow() == *endpoint
            && handed_out.is_none_or(|new| self.handed_out.contains(&new))
    }

    /// Whether it is long ago that it was written down when the box was seen.
    pub(super) fn is_worth_a_note(&self, now_ms: u64) -> bool {
        let interval = limits::LEARNED_SEEN_INTERVAL.as_millis();
        u128::from(now_ms.saturating_sub(self.written_ms)) >= interval
    }

    /// Follows what is kept of it now.
    pub(super) fn follow(&mut self, kept: Kept) {
        let Kept { endpoint, seen_ms, handed_out, is_deleted } = kept;
        self.endpoint.send_if_modified(|at| {
            let moved = *at != endpoint;
            *at = endpoint;
            moved
        });
        self.written_ms = seen_ms;
        self.seen_ms = self.seen_ms.max(seen_ms);
        (self.handed_out, self.is_deleted) = (handed_out, is_deleted);
    }
}

impl From<Kept> for Known {
    fn from(kept: Kept) -> Self {
        let Kept { endpoint, seen_ms, handed_out, is_deleted } = kept;
        let endpoint = watch::Sender::new(endpoint);
        Self { endpoint, seen_ms, written_ms: seen_ms, handed_out, is_deleted, entry: None }
    }
}

impl From<&Known> for Kept {
    fn from(known: &Known) -> Self {
        let Known { endpoint, seen_ms, written_ms: _, handed_out, is_deleted, entry: _ } = known;
        let (endpoint, handed_out) = (endpoint.borrow().clone(), handed_out.clone());
        Self { endpoint, seen_ms: *seen_ms, handed_out, is_deleted: *is_deleted }
    }
}
