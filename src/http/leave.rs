//! When a stream leaves a server that stops: not all in the same moment, and GET before POST.
//!
//! GET clients come back by themselves with their last id, so they go first, spread out; some
//! POST clients cannot come back and keep their stream as long as the grace allows.

use std::ops::Range;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// The moment at which one stream leaves.
#[derive(Debug)]
pub(crate) struct Leave {
    drain: CancellationToken,
    window: Range<Duration>,
    at: Option<Instant>,
}

impl Leave {
    /// For a client that comes back: within the first 40 % of `grace`.
    pub(crate) fn early(drain: CancellationToken, grace: Duration) -> Self {
        Self { drain, window: Duration::ZERO..grace.mul_f64(0.4), at: None }
    }

    /// For a client that may not be able to: between 50 and 70 % of `grace`.
    pub(crate) fn late(drain: CancellationToken, grace: Duration) -> Self {
        Self { drain, window: grace.mul_f64(0.5)..grace.mul_f64(0.7), at: None }
    }

    /// Whether afterbay stops.
    pub(crate) fn is_asked(&self) -> bool {
        self.drain.is_cancelled()
    }

    /// Whether the moment has come.
    pub(crate) fn is_due(&mut self) -> bool {
        self.is_asked() && self.moment() <= Instant::now()
    }

    /// Resolves when the moment has come.
    // Cancel-safe: the moment, once chosen, stays.
    pub(crate) async fn due(&mut self) {
        self.drain.cancelled().await;
        sleep_until(self.moment()).await;
    }

    fn moment(&mut self) -> Instant {
        let Range { start, end } = self.window;
        *self.at.get_or_insert_with(|| {
            Instant::now() + start + (end - start).mul_f64(rand::random_range(0.0..1.0))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn nobody_leaves_before_being_asked() {
        let drain = CancellationToken::new();
        let mut leave = Leave::early(drain.clone(), Duration::from_secs(10));
        assert!(!leave.is_due());
        let waited = tokio::time::timeout(Duration::from_secs(100), leave.due()).await;
        assert!(waited.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn readers_leave_before_starters_and_all_within_the_grace() {
        let grace = Duration::from_secs(10);
        for _ in 0..100 {
            let drain = CancellationToken::new();
            let mut early = Leave::early(drain.clone(), grace);
            let mut late = Leave::late(drain.clone(), grace);
            drain.cancel();
            let asked = Instant::now();
            early.due().await;
            let early_took = asked.elapsed();
            late.due().await;
            let late_took = asked.elapsed();
            assert!(early_took <= Duration::from_secs(4), "{early_took:?}");
            // The timer counts in whole milliseconds.
            let latest = Duration::from_millis(11_001);
            assert!(late_took >= Duration::from_secs(5) && late_took <= latest, "{late_took:?}");
            assert!(early.is_due() && late.is_due());
        }
    }
}
