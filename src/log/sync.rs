//! Where the writer's side and the readers meet: what they wait for, lock, and hand work to.
//!
//! Named in one place, so that `wake_model` can put its own there.

pub(super) use std::sync::{Condvar, Mutex, MutexGuard};

pub(super) use tokio::sync::watch;
pub(super) use tokio::task::spawn_blocking;
