//! Named tasks on a tracker with a token: each task has a name, an owner and a way to be told to
//! stop, and shutdown can say which ones hang.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Spawns tasks and waits for them. Clones share the tracker and the token.
#[derive(Clone)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
    running: Arc<Mutex<BTreeMap<&'static str, usize>>>,
}

impl Tasks {
    /// A tracker with a token of its own.
    #[must_use]
    pub fn new() -> Self {
        Self {
            tracker: TaskTracker::new(),
            stop: CancellationToken::new(),
            running: Arc::default(),
        }
    }

    /// Runs `task` on the current runtime under `name`. Dropping the handle does not stop it.
    #[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
    pub fn spawn<F>(&self, name: &'static str, task: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let counted = Counted::new(name, Arc::clone(&self.running));
        tokio::spawn(self.tracker.track_future(counted.with(task)))
    }

    /// Fires when the tasks should stop. Tasks that must stop early watch it.
    #[must_use]
    pub fn stop_token(&self) -> &CancellationToken {
        &self.stop
    }

    /// Tells every task to stop.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Resolves when every task has ended; new ones may still be spawned meanwhile.
    // Cancel-safe: it only waits.
    pub async fn wait(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// The names of the tasks that still run, with how many of each.
    #[must_use]
    pub fn names(&self) -> Vec<(&'static str, usize)> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.iter().map(|(name, count)| (*name, *count)).collect()
    }
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks").field("running", &self.names()).finish_non_exhaustive()
    }
}

/// Counts one task under its name for as long as it lives.
struct Counted {
    name: &'static str,
    running: Arc<Mutex<BTreeMap<&'static str, usize>>>,
}

impl Counted {
    fn new(name: &'static str, running: Arc<Mutex<BTreeMap<&'static str, usize>>>) -> Self {
        *running.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_insert(0) += 1;
        Self { name, running }
    }
}

impl Counted {
    /// Runs `task` and lives as long. An `async` block would hold room for `task` twice, once as it came
    /// and once where it is awaited: kilobytes for each connection and each turn.
    fn with<F: Future>(self, task: F) -> impl Future<Output = F::Output> {
        task.map(move |output| {
            drop(self);
            output
        })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = running.get_mut(self.name) {
            *count -= 1;
            if *count == 0 {
                running.remove(self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_is_aborted_is_counted_no_more() {
        let tasks = Tasks::new();
        let handle = tasks.spawn("hangs", std::future::pending::<()>());
        assert_eq!(tasks.names(), [("hangs", 1)]);
        handle.abort();
        tasks.wait().await;
        assert_eq!(tasks.names(), []);
    }

    #[test]
    fn a_task_takes_the_room_that_it_needs_once() {
        let task = async {
            let room = [1_u8; 4096];
            std::future::pending::<()>().await;
            assert_eq!(room.last(), Some(&1));
        };
        let needs = size_of_val(&task);
        let takes = size_of_val(&Counted::new("large", Arc::default()).with(task));
        assert!(needs >= 4096 && takes < needs + 128, "{takes} for {needs}");
    }

    #[tokio::test]
    async fn a_hanging_task_is_named_until_it_stops() {
        let tasks = Tasks::new();
        let token = tasks.stop_token().clone();
        tasks.spawn("hangs", async move { token.cancelled().await });
        assert_eq!(tasks.names(), [("hangs", 1)]);
        tasks.stop();
        tasks.wait().await;
        assert_eq!(tasks.names(), []);
    }
}
