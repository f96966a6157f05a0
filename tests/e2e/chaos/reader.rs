//! A client that is cut, gives up, and comes back in any form until it has the close-out.
//!
//! It keeps every numbered frame. Over all its connections ids must follow each other without a
//! hole, a repeat or a step back; where it asks for everything again, it must get the same bytes.
//! What it may meet on the way is listed in [`Reader::meet`]; anything else is a failure.

use std::net::SocketAddr;
use std::time::Duration;

use http::StatusCode;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::plan::{Guest, Turn};
use super::prompt::End;
use super::ways::{FIRST, Way};
use crate::e2e::frames::{Frame, Frames, Stop};
use crate::e2e::http::Response;
use crate::e2e::wait;

/// From the first request to the close-out: far above what any prompt here takes.
const TURN_LIMIT: Duration = Duration::from_secs(150);

/// How it went for a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It has the whole close-out.
    Done,
    /// The box refused the turn.
    Refused,
    /// The box has forgotten the turns before it.
    Forgotten,
    /// Another turn runs on the session.
    Busy,
    /// The turn was stopped before it left.
    Stopped,
    /// Its only request was broken, and it has no name to ask by.
    Orphaned,
}

/// Whether a session may be busy with somebody else's turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manners {
    /// It comes when its turn is due.
    Invited,
    /// It comes while another turn runs.
    Intruding,
}

/// What a client did.
#[derive(Debug, Clone, Default)]
pub(super) struct Figures {
    pub(super) streams: usize,
    /// Streams that broke.
    pub(super) broken: usize,
    /// Answers that were refusals for now, by status.
    pub(super) turned_away: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) turn: &'a Turn,
    address: SocketAddr,
    random: StdRng,
    hasty: u32,
    manners: Manners,
    /// Every numbered frame, in order.
    pub(super) seen: Vec<Frame>,
    pub(super) execution: Option<String>,
    /// Whether the daemon is known to know the execution.
    is_known: bool,
    pub(super) figures: Figures,
    /// How many frames it has seen.
    pub(super) count: watch::Sender<usize>,
}

/// What reading one stream came to.
enum Read {
    Whole,
    Broken,
    /// The turn was taken back, for this reason.
    TakenBack(String),
}

impl<'a> Reader<'a> {
    pub(super) fn new(turn: &'a Turn, guest: &Guest, address: SocketAddr) -> Self {
        Self {
            turn,
            address,
            random: StdRng::seed_from_u64(guest.seed),
            hasty: guest.hasty,
            manners: Manners::Invited,
            seen: Vec::new(),
            execution: turn.execution.clone(),
            is_known: false,
            figures: Figures::default(),
            count: watch::Sender::new(0),
        }
    }

    /// One that comes while another turn runs.
    pub(super) fn intruding(self) -> Self {
        Self { manners: Manners::Intruding, ..self }
    }

    fn label(&self) -> String {
        format!("{} `{}`", self.turn.label, self.turn.prompt.words)
    }

    fn has_all(&self) -> bool {
        self.seen.last().is_some_and(|frame| frame.event == "done")
    }

    /// Starts the turn, or attaches to it, and reads until it is over.
    pub(super) async fn run(&mut self) -> Outcome {
        let what = format!("{} is over", self.label());
        wait::within(TURN_LIMIT, &what, self.run_unbounded()).await
    }

    async fn run_unbounded(&mut self) -> Outcome {
        let mut tries = interval(Duration::from_millis(60));
        tries.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tries.tick().await;
            let way = if self.is_known { Way::random(&mut self.random) } else { FIRST };
            let Some(answer) = self.ask(way).await else {
                if self.is_lost(way) {
                    return Outcome::Orphaned;
                }
                continue;
            };
            if let Some(outcome) = self.meet(way, answer).await {
                return outcome;
            }
        }
    }

    /// Whether a broken request leaves nothing to ask by.
    fn is_lost(&self, way: Way) -> bool {
        way.is_same_post() && !self.is_known && !self.turn.is_repeatable()
    }

    /// The answer's head, unless the connection breaks or patience ends before.
    async fn ask(&mut self, way: Way) -> Option<Response> {
        let last = self.seen.last().map_or(0, |frame| frame.id);
        let request = way.request(self.turn, self.execution.as_deref(), last);
        let sent = request.send(self.address);
        if self.hasty > 0 && self.random.random_bool(0.4) {
            self.hasty -= 1;
            let patience = Duration::from_millis(self.random.random_range(0..400));
            return timeout(patience, sent).await.ok()?.ok();
        }
        sent.await.ok()
    }

    /// What an answer means; `None`: it has to ask again.
    async fn meet(&mut self, way: Way, answer: Response) -> Option<Outcome> {
        let ours = answer.header("x-afterbay-error").map(str::to_owned);
        match (answer.status, ours.as_deref()) {
            (StatusCode::OK, _) => self.meet_stream(way, answer).await,
            (StatusCode::NO_CONTENT, _) if self.has_all() => Some(Outcome::Done),
            (status, None) if self.turn.prompt.end == End::Refused(status.as_u16()) => {
                Some(Outcome::Refused)
            }
            (StatusCode::CONFLICT, Some("TURN_RUNNING")) if self.manners == Manners::Intruding => {
                Some(Outcome::Busy)
            }
            (StatusCode::GONE, Some("SESSION_LOST")) => Some(Outcome::Forgotten),
            (_, Some("CANCELLED")) => Some(Outcome::Stopped),
            (StatusCode::NOT_FOUND, _) if self.seen.is_empty() => {
                self.forget(format!("404 {}", ours.unwrap_or_default()));
                None
            }
            (status, ours) if status.is_server_error() || status == 429 => {
                assert!(self.seen.is_empty(), "{way:?} of {}: {status} {ours:?}", self.label());
                self.forget(format!("{} {}", status.as_u16(), ours.unwrap_or_default()));
                None
            }
            (status, ours) => {
                let body = answer.bytes().await;
                panic!("{way:?} of {}: {status} {ours:?} {body:?}", self.label())
            }
        }
    }

    /// The turn may not be there: it has to be started again, perhaps under another name.
    fn forget(&mut self, why: String) {
        self.figures.turned_away.push(why);
        self.is_known = false;
        self.execution.clone_from(&self.turn.execution);
    }

    async fn meet_stream(&mut self, way: Way, answer: Response) -> Option<Outcome> {
        let Some(execution) = answer.header("x-execution-id").map(str::to_owned) else {
            // The box's own stream: the daemon does not know the execution, the box does.
            assert!(self.seen.is_empty() && !way.is_same_post(), "{way:?}: {}", self.label());
            self.forget("passed on to the box".to_owned());
            return None;
        };
        assert_eq!(answer.header("x-afterbay-cursor"), None, "{way:?} of {}", self.label());
        if !self.seen.is_empty() || self.turn.execution.is_some() {
            let known = self.execution.as_deref();
            assert_eq!(Some(execution.as_str()), known, "{}: another name", self.label());
        }
        self.execution = Some(execution);
        self.is_known = true;
        self.figures.streams += 1;
        let mut frames = Frames::of(answer).with_last_words();
        match self.read(way, &mut frames).await {
            Read::Whole => Some(Outcome::Done),
            Read::Broken => {
                self.figures.broken += 1;
                None
            }
            Read::TakenBack(code) => self.taken_back(code),
        }
    }

    fn taken_back(&mut self, code: String) -> Option<Outcome> {
        assert!(self.seen.is_empty(), "{}: {code} after numbered events", self.label());
        match (code.as_str(), &self.turn.prompt.end) {
            ("CANCELLED", _) => Some(Outcome::Stopped),
            ("SESSION_LOST", _) => Some(Outcome::Forgotten),
            ("DISPATCH_REFUSED", End::Refused(_)) => Some(Outcome::Refused),
            _ => {
                self.forget(format!("taken back {code}"));
                None
            }
        }
    }

    async fn read(&mut self, way: Way, frames: &mut Frames) -> Read {
        let last = self.seen.last().map_or(0, |frame| frame.id);
        // The place in `seen` of the next frame that comes.
        let mut at = if way.after(last) == 0 { 0 } else { self.seen.len() };
        let mut code = String::new();
        loop {
            match frames.next().await {
                Ok(frame) if frame.id == 0 => {
                    if let Some(said) = frame.data["code"].as_str() {
                        said.clone_into(&mut code);
                    }
                    if frame.event == "done" {
                        return Read::TakenBack(code);
                    }
                }
                Ok(frame) => {
                    self.take(at, frame);
                    at += 1;
                }
                Err(Stop::Cut) => return Read::Broken,
                Err(Stop::Ended) => {
                    assert!(self.has_all(), "{way:?}: a clean end amid {}", self.label());
                    assert_eq!(at, self.seen.len(), "{way:?}: a short replay of {}", self.label());
                    return Read::Whole;
                }
            }
        }
    }

    fn take(&mut self, at: usize, frame: Frame) {
        if let Some(known) = self.seen.get(at) {
            assert_eq!(*known, frame, "{}: other bytes than before", self.label());
            return;
        }
        assert!(!self.has_all(), "{}: a frame after `done`: {frame:?}", self.label());
        if let Some(last) = self.seen.last() {
            assert_eq!(frame.id, last.id + 1, "{}: ids must follow each other", self.label());
        }
        self.seen.push(frame);
        self.count.send_replace(self.seen.len());
    }
}
