//! The one turn that runs on a session, or none, and the news of either.
//!
//! Whoever waits for a session to become idle is told by a state, not asked to look again.

use tokio::sync::watch;

use crate::event::Seq;
use crate::turn::control::{Accepted, Dispatched};
use crate::turn::handle::Handle;

/// The turn that runs.
#[derive(Debug)]
pub(super) struct RunningTurn {
    /// Its ids, starter and body digest.
    pub(super) accepted: Accepted,
    /// What the box assigned, once it did.
    pub(super) dispatched: Option<Dispatched>,
    pub(super) from: Seq,
    pub(super) handle: Handle,
}

/// The place of the turn that runs.
#[derive(Debug)]
pub(super) struct Running {
    turn: Option<RunningTurn>,
    /// Whether the place is free; follows `turn` in each change.
    is_idle: watch::Sender<bool>,
}

impl Default for Running {
    fn default() -> Self {
        Self { turn: None, is_idle: watch::Sender::new(true) }
    }
}

impl Running {
    /// The turn that runs.
    pub(super) const fn turn(&self) -> Option<&RunningTurn> {
        self.turn.as_ref()
    }

    /// The same, to change it.
    pub(super) const fn turn_mut(&mut self) -> Option<&mut RunningTurn> {
        self.turn.as_mut()
    }

    /// Puts a turn into the place, which is free.
    pub(super) fn begin(&mut self, turn: RunningTurn) {
        self.turn = Some(turn);
        self.is_idle.send_replace(false);
    }

    /// Frees the place and gives the turn that held it.
    pub(super) fn end(&mut self) -> Option<RunningTurn> {
        let ended = self.turn.take();
        self.is_idle.send_replace(true);
        ended
    }

    /// Resolves when the place is free; never if it is given up with a turn in it.
    // Cancel-safe: it only waits.
    pub(super) fn idle(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut is_idle = self.is_idle.subscribe();
        async move {
            if is_idle.wait_for(|idle| *idle).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}
