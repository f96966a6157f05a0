//! How often boxes may be polled: one budget for each box, and one for the whole proxy.
//!
//! A poll waits for its place in both, behind those who came before it. It counts by tokio's clock,
//! so tests may stop it.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::sync::Semaphore;
use tokio::time::Instant;

type Limiter = RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Duration>>;

/// The proxy's budget. Clones share it.
#[derive(Debug, Clone)]
pub struct ProxyBudget {
    all: Arc<Rate>,
}

/// One box's budget, within the proxy's. Clones share both.
#[derive(Debug, Clone)]
pub struct BoxBudget {
    own: Arc<Rate>,
    all: Arc<Rate>,
    questions: Arc<Rate>,
}

impl ProxyBudget {
    /// A budget of `per_second` polls, [`crate::limits::POLLS_PER_SECOND`] by default.
    #[must_use]
    pub fn new(per_second: NonZeroU32) -> Self {
        Self { all: Arc::new(Rate::new(per_second)) }
    }

    /// A budget of `per_second` polls for one box within this one,
    /// [`crate::limits::POLLS_PER_SECOND_PER_BOX`] by default.
    #[must_use]
    pub fn for_box(&self, per_second: NonZeroU32) -> BoxBudget {
        let rate = || Arc::new(Rate::new(per_second));
        BoxBudget { own: rate(), all: Arc::clone(&self.all), questions: rate() }
    }
}

impl BoxBudget {
    /// Resolves when one more poll of this box is due.
    // Cancel-safe: at worst one place of the box's budget goes unused.
    pub async fn turn(&self) {
        // The box first: whoever waits for a busy box must not hold a place that others could use.
        self.own.place().await;
        self.all.place().await;
    }

    /// Resolves when the box may be asked something for which somebody waits: about a credential,
    /// or about a prompt that went unanswered. These are few, and must not stand behind the polls
    /// of a thousand turns; they have a rate of their own, as high as the box's for polls.
    // Cancel-safe, as above.
    pub async fn question(&self) {
        self.questions.place().await;
    }
}

/// A rate, and the queue before it.
#[derive(Debug)]
struct Rate {
    limiter: Limiter,
    /// One of those who wait looks at the clock, the others wait for it: were all of them to look,
    /// each place would wake a thousand turns, and the last to come might be served first.
    head: Semaphore,
}

impl Rate {
    fn new(per_second: NonZeroU32) -> Self {
        let quota = Quota::per_second(per_second);
        let limiter = RateLimiter::direct_with_clock(quota, TokioClock(Instant::now()));
        Self { limiter, head: Semaphore::new(1) }
    }

    // Cancel-safe: whoever leaves the queue makes room for the next.
    async fn place(&self) {
        // Never closed; if it were, the order would be lost and nothing else.
        let _head = self.head.acquire().await;
        while let Err(full) = self.limiter.check() {
            tokio::time::sleep(full.wait_time_from(self.limiter.clock().now())).await;
        }
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
    use std::future::poll_fn;
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::task::JoinSet;

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

    #[tokio::test(start_paused = true)]
    async fn a_question_does_not_stand_behind_the_polls() {
        let budget = ProxyBudget::new(n(1000)).for_box(n(10));
        let mut polls = JoinSet::new();
        for _ in 0..200 {
            let budget = budget.clone();
            polls.spawn(async move { budget.turn().await });
        }
        tokio::task::yield_now().await;
        let start = Instant::now();
        budget.question().await;
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_are_served_in_order_and_a_place_wakes_one_of_them() {
        let budget = ProxyBudget::new(n(1000)).for_box(n(10));
        let looks = Arc::new(AtomicUsize::new(0));
        let mut waiting = JoinSet::new();
        for number in 0..200 {
            let (budget, looks) = (budget.clone(), Arc::clone(&looks));
            waiting.spawn(async move {
                let mut turn = pin!(budget.turn());
                let counted = poll_fn(|context| {
                    looks.fetch_add(1, Ordering::Relaxed);
                    turn.as_mut().poll(context)
                });
                counted.await;
                number
            });
        }
        let mut served = Vec::new();
        while let Some(number) = waiting.join_next().await {
            served.push(number.expect("a place"));
        }
        assert_eq!(served, (0..200).collect::<Vec<_>>());
        let looks = looks.load(Ordering::Relaxed);
        assert!(looks < 4 * 200, "{looks} looks for 200 places");
    }
}
