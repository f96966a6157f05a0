//! Waiting for facts: each wait names what it waits for and has a deadline.
//!
//! Nothing here waits for a time to pass; the pause between two looks is how often a fact is
//! asked for, not how long a test takes.

use std::future::Future;
use std::time::Duration;

/// Between two looks at a fact that nobody announces.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Resolves `future`, or panics with `what` when `limit` has passed.
pub(crate) async fn within<F: Future>(limit: Duration, what: &str, future: F) -> F::Output {
    match tokio::time::timeout(limit, future).await {
        Ok(output) => output,
        Err(_) => panic!("not within {limit:?}: {what}"),
    }
}

/// Looks until `look` finds something, or panics with `what` when `limit` has passed.
pub(crate) async fn until<T, F>(limit: Duration, what: &str, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    within(limit, what, async {
        let mut looks = tokio::time::interval(LOOK_AGAIN);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            if let Some(found) = look().await {
                return found;
            }
        }
    })
    .await
}
