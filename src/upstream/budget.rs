//! How often boxes may be polled: one budget for each box, and one for the whole proxy.
//!
//! A poll waits for its place in both. It counts by tokio's clock, so tests may stop it. Nothing
//! is promised about the order among those who wait.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::time::Instant;

type Limiter = RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Duration>>;

/// The proxy's budget. Clones share it.
#[derive(Debug, Clone)]
pub struct ProxyBudget {
    all: Arc<Limiter>,
}

/// One box's budget, within the proxy's. Clones share both.
#[derive(Debug, Clone)]
pub struct BoxBudget {
    own: Arc<Limiter>,
    all: Arc<Limiter>,
}

impl ProxyBudget {
    /// A budget of `per_second` polls, [`crate::limits::POLLS_PER_SECOND`] by default.
    #[must_use]
    pub fn new(per_second: NonZeroU32) -> Self {
        Self { all: Arc::new(limiter(per_second)) }
    }

    /// A budget of `per_second` polls for one box within this one,
    /// [`crate::limits::POLLS_PER_SECOND_PER_BOX`] by default.
    #[must_use]
    pub fn for_box(&self, per_second: NonZeroU32) -> BoxBudget {
        BoxBudget { own: Arc::new(limiter(per_second)), all: Arc::clone(&self.all) }
    }
}

impl BoxBudget {
    /// Resolves when one more poll of this box is due.
    // Cancel-safe: at worst one place of the box's budget goes unused.
    pub async fn turn(&self) {
        // The box first: whoever waits for a busy box must not hold a place that others could use.
        place_in(&self.own).await;
        place_in(&self.all).await;
    }
}

fn limiter(per_second: NonZeroU32) -> Limiter {
    RateLimiter::direct_with_clock(Quota::per_second(per_second), TokioClock(Instant::now()))
}

async fn place_in(limiter: &Limiter) {
    while let Err(full) = limiter.check() {
        tokio::time::sleep(full.wait_time_from(limiter.clock().now())).await;
    }
}

/// Tokio's clock as time since the budget was made.
#[derive(Debug, Clone)]
struct TokioClock(Instant);

impl Clock for TokioClock {
    type Instant = Duration;
    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn n(n: u32) -> NonZeroU32 {
        NonZeroU32::new(n).expect("not zero")
    }

    async fn time_for(polls: u32, boxes: &[BoxBudget]) -> Duration {
        let start = Instant::now();
        for budget in boxes {
            for _ in 0..polls {
                budget.turn().await;
            }
        }
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_box_is_polled_at_its_rate_once_the_first_burst_is_used() {
        let proxy = ProxyBudget::new(n(1000));
        let took = time_for(30, &[proxy.for_box(n(10))]).await;
        assert!((1900..2200).contains(&took.as_millis()), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn all_boxes_together_stay_within_the_proxys_rate() {
        let proxy = ProxyBudget::new(n(10));
        let boxes = [proxy.for_box(n(1000)), proxy.for_box(n(1000))];
        let took = time_for(15, &boxes).await;
        assert!((1900..2200).contains(&took.as_millis()), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_wait_does_not_block_the_next_one() {
        let budget = ProxyBudget::new(n(1000)).for_box(n(1));
        budget.turn().await;
        assert!(tokio::time::timeout(Duration::from_millis(10), budget.turn()).await.is_err());
        let took = time_for(1, &[budget]).await;
        assert!(took <= Duration::from_secs(1), "{took:?}");
    }
}
