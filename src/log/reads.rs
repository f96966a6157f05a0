//! What all cursors share to read the disk: so many of them at once. However many readers find nothing
//! in memory, they keep no more threads and no more bytes busy than that.

use std::io;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{limits, metrics};

/// The turns that cursors take at the disk, and what they count there. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Reads {
    turns: Arc<Semaphore>,
    pub(super) metrics: metrics::log::Metrics,
}

/// Must be held while the disk is read.
#[derive(Debug)]
pub(super) struct Turn(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl Reads {
    pub(super) fn new(metrics: metrics::log::Metrics) -> Self {
        Self { turns: Arc::new(Semaphore::new(limits::LOG_READS)), metrics }
    }

    /// Waits for a turn.
    // Cancel-safe: nothing is taken before it resolves.
    pub(super) async fn turn(&self) -> io::Result<Turn> {
        Arc::clone(&self.turns).acquire_owned().await.map(Turn).map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn so_many_have_a_turn_at_once_and_the_next_one_waits_for_one_of_them() {
        let reads = Reads::new(Metrics::new().expect("metrics").log);
        let take = || reads.clone().turn().now_or_never().map(|turn| turn.expect("open"));
        let mut held: Vec<_> = (0..limits::LOG_READS).filter_map(|_| take()).collect();
        assert_eq!(held.len(), limits::LOG_READS);
        assert!(take().is_none());
        drop(held.pop());
        assert!(take().is_some());
    }
}
