//! A client of a session's log: all its turns, cut and resumed, until the conversation is over.

use std::net::SocketAddr;
use std::time::Duration;

use http::StatusCode;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::plan::{Guest, Turn};
use crate::e2e::frames::{Frame, Frames, Stop};
use crate::e2e::http::Request;

/// Several turns of a conversation.
const LOG_LIMIT: Duration = Duration::from_secs(120);

#[derive(Debug)]
pub(super) struct LogReader<'a> {
    session: &'a str,
    /// Whose credential it shows.
    turn: &'a Turn,
    address: SocketAddr,
    random: StdRng,
    over: CancellationToken,
    /// What it asked last, and what came of it.
    last: String,
    pub(super) seen: Vec<Frame>,
}

impl<'a> LogReader<'a> {
    pub(super) fn new(
        session: &'a str,
        turn: &'a Turn,
        guest: &Guest,
        address: SocketAddr,
    ) -> Self {
        let random = StdRng::seed_from_u64(guest.seed);
        let over = CancellationToken::new();
        Self { session, turn, address, random, over, last: String::new(), seen: Vec::new() }
    }

    /// Cancelled, it reads what is left and is done.
    pub(super) fn over(&self) -> CancellationToken {
        self.over.clone()
    }

    pub(super) async fn run(&mut self) {
        let in_time = timeout(LOG_LIMIT, self.run_unbounded()).await.is_ok();
        let Self { session, last, over, .. } = self;
        let over = over.is_cancelled();
        let seen = self.seen.last().map(|frame| (frame.id, &frame.event));
        assert!(in_time, "the log of {session} is not read (over: {over}): {last}, {seen:?}");
    }

    async fn run_unbounded(&mut self) {
        let mut tries = interval(Duration::from_millis(60));
        tries.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tries.tick().await;
            let last_time = self.over.is_cancelled();
            let until_idle = last_time || self.random.random_bool(0.3);
            let request = self.request(until_idle);
            self.last = format!("{request:?}");
            let Ok(answer) = request.send(self.address).await else { continue };
            self.last.push_str(&format!(" was answered {}", answer.status));
            match answer.status {
                StatusCode::OK => {
                    assert!(answer.header("x-session-id").is_some(), "a stream of ours");
                    let whole = self.read(&mut Frames::of(answer), last_time).await;
                    assert!(!whole || until_idle, "the log of {} ended", self.session);
                    if whole && last_time {
                        return;
                    }
                }
                StatusCode::NO_CONTENT if until_idle => {
                    if last_time {
                        return;
                    }
                }
                // Nobody has such a session: its first turn has not come, or was refused.
                StatusCode::NOT_FOUND if self.seen.is_empty() => {
                    if last_time {
                        return;
                    }
                }
                status if status.is_server_error() => {}
                status => panic!("the log of {}: {status}", self.session),
            }
        }
    }

    fn request(&mut self, until_idle: bool) -> Request {
        let last = self.seen.last().map(|frame| frame.id);
        let mut query = if until_idle { "until=idle".to_owned() } else { "x".to_owned() };
        let mut header = None;
        if let Some(last) = last {
            match self.random.random_range(0..3) {
                0 => query.push_str(&format!("&lastEventId={last}")),
                // This one alone counts what it names.
                1 => query.push_str(&format!("&since={}", last + 1)),
                _ => header = Some(last.to_string()),
            }
        }
        let session = self.session;
        let path = if self.random.random_bool(0.5) {
            format!("/agents/sessions/{session}/events?{query}")
        } else {
            format!("/agents/events?sessionId={session}&{query}")
        };
        self.turn.dressed(Request::get(path)).maybe("last-event-id", header.as_deref())
    }

    /// Reads until the stream ends (true), breaks, or, if it is not the last one, the conversation
    /// is over.
    async fn read(&mut self, frames: &mut Frames, last_time: bool) -> bool {
        loop {
            let next = tokio::select! {
                next = frames.next() => next,
                // Dropping the read is leaving the stream.
                () = self.over.cancelled(), if !last_time => return false,
            };
            match next {
                Ok(frame) => {
                    let expected = self.seen.last().map_or(1, |last| last.id + 1);
                    assert_eq!(frame.id, expected, "ids of the log of {}", self.session);
                    self.seen.push(frame);
                }
                Err(Stop::Ended) => return true,
                Err(Stop::Cut) => return false,
            }
        }
    }
}
