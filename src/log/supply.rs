//! What the writer takes when its segment is full: the next one, made ahead of need; and for words
//! that must not be lost while the disk is full, a small reserve.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::segment::{Blank, Segment};

/// Shared by the writer, who takes, and upkeep, which fills.
#[derive(Debug, Default)]
pub(super) struct Supply(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    next: Option<Arc<Segment>>,
    reserve: Option<Blank>,
    /// The epoch of the newest segment that was begun.
    epoch: u64,
}

impl Supply {
    /// Behind the segment of this epoch.
    pub(super) fn behind(epoch: u64) -> Self {
        Self(Mutex::new(State { epoch, ..State::default() }))
    }

    /// The next segment, if there is one.
    pub(super) fn take_next(&self) -> Option<Arc<Segment>> {
        self.state().next.take()
    }

    /// The reserve, if it is there.
    pub(super) fn take_reserve(&self) -> Option<Blank> {
        self.state().reserve.take()
    }

    /// Whether there is a next segment.
    pub(super) fn has_next(&self) -> bool {
        self.state().next.is_some()
    }

    /// Whether the reserve is there.
    pub(super) fn has_reserve(&self) -> bool {
        self.state().reserve.is_some()
    }

    /// An epoch that no segment had.
    pub(super) fn new_epoch(&self) -> u64 {
        let mut state = self.state();
        state.epoch += 1;
        state.epoch
    }

    pub(super) fn put_next(&self, next: Arc<Segment>) {
        self.state().next = Some(next);
    }

    pub(super) fn put_reserve(&self, reserve: Blank) {
        self.state().reserve = Some(reserve);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
