//! What wakes readers: the tail of a session, and the health of the whole store.
//!
//! Each is the last value, for many: a reader that was away sees the newest, never a backlog. Both
//! are published by the writer alone, and only after what they say is durable.

use super::sync::watch;
use super::{Health, Tail};
use crate::metrics;

/// The writer's end of one session's tail.
#[derive(Debug)]
pub(super) struct TailPublisher(watch::Sender<Tail>);

/// A reader's end.
#[derive(Debug)]
pub(super) struct TailWatch(watch::Receiver<Tail>);

impl TailPublisher {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(Tail::EMPTY))
    }

    pub(super) fn get(&self) -> Tail {
        *self.0.borrow()
    }

    /// Publishes a tail and wakes who watches it.
    pub(super) fn advance(&self, tail: Tail) {
        self.0.send_if_modified(|now| {
            *now = tail;
            // Waking costs more than the rest, and most sessions have no reader. Who watches does so
            // before looking, and what the tail tells was added before: either it is seen by that
            // look, or the watcher is counted here. `wake_model` tries it.
            self.0.receiver_count() > 0
        });
    }

    pub(super) fn watch(&self) -> TailWatch {
        TailWatch(self.0.subscribe())
    }
}

impl TailWatch {
    /// From here on, [`TailWatch::moved`] tells of later moves only.
    pub(super) fn mark_seen(&mut self) {
        self.0.mark_unchanged();
    }

    /// Resolves when the tail moved since it was last marked as seen.
    // Cancel-safe: nothing is marked.
    pub(super) async fn moved(&mut self) {
        // The session that publishes is alive as long as its cursors are; if it were not, waking up
        // would do no harm.
        drop(self.0.changed().await);
    }
}

/// The writing side's end of the store's health. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct HealthPublisher {
    health: watch::Sender<Health>,
    metrics: metrics::log::Metrics,
}

/// Poisons when it is dropped by a panic, before anything that was there before it is dropped: a
/// panic is a broken law, so nobody may think that more will become durable.
#[derive(Debug)]
pub(super) struct PoisonOnPanic(HealthPublisher);

/// Everyone else's end.
#[derive(Debug, Clone)]
pub(super) struct HealthWatch(watch::Receiver<Health>);

pub(super) fn health(metrics: metrics::log::Metrics) -> (HealthPublisher, HealthWatch) {
    let (health, receiver) = watch::channel(Health::Open);
    (HealthPublisher { health, metrics }, HealthWatch(receiver))
}

impl HealthPublisher {
    pub(super) fn get(&self) -> Health {
        *self.health.borrow()
    }

    /// Publishes a health. Poisoned stays poisoned, closed stays closed.
    pub(super) fn set(&self, health: Health) {
        self.health.send_if_modified(|now| {
            let moves = *now != health && !ends(*now);
            if moves {
                *now = health;
                // Whoever is told finds it here, too.
                self.metrics.poisoned.set((health == Health::Poisoned).into());
                self.metrics.refusing.set((health == Health::Refusing).into());
            }
            moves
        });
    }

    pub(super) fn poison_on_panic(&self) -> PoisonOnPanic {
        PoisonOnPanic(self.clone())
    }
}

impl Drop for PoisonOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("a thread of the log broke down; the log is poisoned until restart");
            self.0.set(Health::Poisoned);
        }
    }
}

impl HealthWatch {
    pub(super) fn get(&self) -> Health {
        *self.0.borrow()
    }

    /// Whether nothing will become durable any more.
    pub(super) fn has_ended(&self) -> bool {
        ends(self.get())
    }

    /// Resolves when [`HealthWatch::has_ended`].
    // Cancel-safe: it only waits.
    pub(super) async fn ended(&mut self) {
        // An error means that the writer is gone; it published its last health before.
        drop(self.0.wait_for(|health| ends(*health)).await);
    }

    /// Resolves when the writer is gone and has let go of the disk.
    // Cancel-safe: it only waits.
    pub(super) async fn until_gone(&mut self) {
        while self.0.changed().await.is_ok() {}
    }
}

fn ends(health: Health) -> bool {
    match health {
        Health::Open | Health::Refusing => false,
        Health::Poisoned | Health::Closed => true,
    }
}
