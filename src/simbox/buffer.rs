//! The frames of one execution, kept for a while so that a stream can be replayed.
//!
//! Numbers are contiguous decimals from 1. The newest frames stay, the oldest go first; a cursor
//! that is not among them means everything again. A buffer that is reaped stays so: its streams
//! are cut and nothing more is kept.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::event::{Event, Seq};
use crate::limits;
use crate::sse::frame::{self, DataLines};

#[derive(Debug)]
pub(super) struct Buffer {
    state: Mutex<State>,
    news: watch::Sender<()>,
    reap: Option<Duration>,
}

#[derive(Debug, Default)]
struct State {
    frames: VecDeque<(u64, Bytes)>,
    last: u64,
    last_at: Option<Instant>,
    closed: bool,
    reaped: bool,
}

/// What there is after a cursor.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// These bytes, up to this number.
    Frames(Bytes, u64),
    /// Nothing yet; reaped at that time unless something comes.
    Nothing(Option<Instant>),
    /// Nothing, and nothing will come.
    Over,
    /// The buffer is gone.
    Reaped,
}

impl Buffer {
    /// An empty one, gone `reap` after its last event.
    pub(super) fn new(reap: Option<Duration>) -> Self {
        Self { state: Mutex::default(), news: watch::Sender::new(()), reap }
    }

    /// The state as of now: what is due to be reaped is.
    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if self.due(&state).is_some_and(|due| due <= Instant::now()) {
            state.reaped = true;
            state.frames = VecDeque::new();
        }
        state
    }

    fn due(&self, state: &State) -> Option<Instant> {
        state.last_at?.checked_add(self.reap?)
    }

    /// Adds an event.
    pub(super) fn push(&self, event: &Event) {
        {
            let mut state = self.state();
            if state.reaped || state.closed {
                return;
            }
            state.last += 1;
            let last = state.last;
            let mut bytes = BytesMut::new();
            frame::write(&mut bytes, Seq::new(last), event, DataLines::One);
            state.frames.push_back((last, bytes.freeze()));
            state.last_at = Some(Instant::now());
            if state.frames.len() > limits::SIMBOX_BUFFER_EVENTS {
                state.frames.pop_front();
            }
        }
        self.news.send_replace(());
    }

    /// Says that nothing more will come.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.news.send_replace(());
    }

    /// Whether it can no longer be replayed.
    pub(super) fn is_reaped(&self) -> bool {
        self.state().reaped
    }

    /// The number after which a reader with `cursor` goes on: zero if it is unknown.
    pub(super) fn place(&self, cursor: &str) -> u64 {
        let state = self.state();
        let first = state.frames.front().map_or(0, |(number, _)| *number);
        let known = |number: &u64| *number + 1 >= first && *number <= state.last;
        cursor.parse().ok().filter(known).unwrap_or(0)
    }

    /// What follows `after`.
    pub(super) fn read(&self, after: u64) -> Found {
        let state = self.state();
        if state.reaped {
            return Found::Reaped;
        }
        let kept = u64::try_from(state.frames.len()).unwrap_or(u64::MAX);
        let skip = after.saturating_sub(state.last - kept);
        let news = state.frames.iter().skip(usize::try_from(skip).unwrap_or(usize::MAX));
        let mut news = news.map(|(_, bytes)| bytes);
        let Some(first) = news.next() else {
            return if state.closed { Found::Over } else { Found::Nothing(self.due(&state)) };
        };
        let mut bytes = BytesMut::from(first.as_ref());
        news.for_each(|more| bytes.extend_from_slice(more));
        Found::Frames(bytes.freeze(), state.last)
    }

    /// Changes whenever there is something new to read.
    pub(super) fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(n: u32) -> Event {
        Event::ours("raw", &serde_json::json!({ "n": n }))
    }

    fn text(buffer: &Buffer, after: u64) -> String {
        match buffer.read(after) {
            Found::Frames(bytes, _) => String::from_utf8(bytes.to_vec()).expect("UTF-8"),
            none @ (Found::Nothing(_) | Found::Over | Found::Reaped) => panic!("{none:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn numbers_are_contiguous_from_one_and_cursors_exclusive() {
        let buffer = Buffer::new(None);
        assert_eq!(buffer.read(0), Found::Nothing(None));
        (1..=3).for_each(|n| buffer.push(&event(n)));
        assert!(text(&buffer, 0).starts_with("id: 1\nevent: raw\ndata: {\"n\":1}\n\nid: 2\n"));
        assert!(text(&buffer, 2).starts_with("id: 3\n"));
        assert_eq!(buffer.read(3), Found::Nothing(None));
        buffer.close();
        assert_eq!(buffer.read(3), Found::Over);
        assert_eq!(text(&buffer, 1).matches("id: ").count(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn an_unknown_cursor_means_everything_that_is_kept() {
        let buffer = Buffer::new(None);
        let all = u32::try_from(limits::SIMBOX_BUFFER_EVENTS).expect("small") + 5;
        (1..=all).for_each(|n| buffer.push(&event(n)));
        assert!(text(&buffer, 0).starts_with("id: 6\n"));
        for (cursor, place) in [("5", 5), ("4", 0), ("x", 0), ("", 0), ("1005", 1005), ("1006", 0)]
        {
            assert_eq!(buffer.place(cursor), place, "{cursor}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_reaped_buffer_stays_reaped() {
        let buffer = Buffer::new(Some(Duration::from_secs(10)));
        tokio::time::advance(Duration::from_secs(60)).await;
        buffer.push(&event(1));
        tokio::time::advance(Duration::from_secs(9)).await;
        buffer.push(&event(2));
        assert!(text(&buffer, 0).starts_with("id: 1\n"));
        tokio::time::advance(Duration::from_secs(10)).await;
        buffer.push(&event(3));
        assert!(buffer.is_reaped());
        assert_eq!(buffer.read(0), Found::Reaped);
    }
}
