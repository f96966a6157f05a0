//! One client's event stream: the log's steps in, bytes out.
//!
//! Promises: a first comment at once; whole frames only, those that are ready joined into one
//! piece; a comment after a silence; a gap in the log is a `warning` with exact bounds; the
//! stream ends when everything of what was asked for was sent, and never says that a turn is over
//! before the log does. If the log cannot be read the stream is cut in mid-air, so that no client
//! takes it for an end. When afterbay stops, the stream ends between two frames at a moment of
//! its own. A turn that is refused or withdrawn after the head is told here, unnumbered, because
//! nothing of it is in the log.
//!
//! It holds at most one step of the log, and while a piece is on its way, nothing: a client that does
//! not read holds that piece.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, stream};
use serde::Serialize;
use tokio::time::{Instant, sleep_until};

use super::delivery::Delivery;
use super::last_words;
use super::leave::Leave;
use super::outgoing::Lane;
use super::place::Place;
use super::source::Source;
use crate::event::{Event, Seq};
use crate::limits;
use crate::log::{self, Logged, Step};
use crate::metrics::streams::{Ended, Metrics, OpenStream};
use crate::mode::Fidelity;
use crate::session::Answered;
use crate::sse::frame::{self, DataLines};
use crate::turn::close_out::Names;

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// One turn, from this id to its end.
    Turn(Seq),
    /// A session's log, for as long as the client stays.
    Session,
    /// A session's log, until it is idle: the log tells when a turn is over, only the session
    /// knows that no other has begun.
    SessionUntilIdle,
}

/// The last event of what is shown, once it is known that nothing follows it.
pub(crate) type Last = Box<dyn Fn() -> Option<Seq> + Send + Sync>;

/// Waits until a session is idle.
pub(crate) type Idle = Box<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// The answer to a dispatch that is still open.
pub(crate) type Unanswered = Pin<Box<dyn Future<Output = Answered> + Send>>;

/// Everything that one stream shows.
pub(crate) struct Feed {
    pub(crate) source: Source,
    /// The client has this event and everything before it.
    pub(crate) after: Seq,
    /// Events below were in the log when the client came.
    pub(crate) next_at_open: Seq,
    pub(crate) scope: Scope,
    pub(crate) last: Last,
    /// For [`Scope::SessionUntilIdle`].
    pub(crate) idle: Option<Idle>,
    /// Set while the turn's dispatch may still be refused, with what is then said.
    pub(crate) unanswered: Option<(Unanswered, Names)>,
}

/// How one stream behaves.
pub(crate) struct Manner {
    pub(crate) heartbeat: Duration,
    /// `retry:` in milliseconds; POST clients have no use for it.
    pub(crate) retry: Option<u64>,
    pub(crate) lines: DataLines,
    pub(crate) fidelity: Fidelity,
    pub(crate) leave: Leave,
    pub(crate) lane: Lane,
    /// Held for as long as the stream is open.
    pub(crate) _place: Place,
    pub(crate) metrics: Metrics,
    pub(crate) delivery: Delivery,
}

/// The log ended under the stream: the connection is cut.
#[derive(Debug, thiserror::Error)]
#[error("the log ended under the stream")]
pub(crate) struct Cut;

/// The body of an answer that shows `feed`.
pub(crate) fn body(feed: Feed, manner: Manner) -> Body {
    let stream = EventStream::new(feed, manner);
    Body::from_stream(stream::unfold(stream, |mut stream| async move {
        let chunk = stream.next().await?;
        Some((chunk, stream))
    }))
}

/// The body of an answer that has nothing to show: a comment, perhaps `retry:`, and the end.
pub(crate) fn nothing(retry: Option<u64>) -> Body {
    let opening = Ok::<_, Infallible>(opening(retry));
    // A stream and not a whole body: its head is that of every other stream.
    Body::from_stream(stream::iter([opening]))
}

fn opening(retry: Option<u64>) -> Bytes {
    let mut out = BytesMut::from(frame::FIRST_COMMENT);
    if let Some(millis) = retry {
        frame::write_retry(&mut out, millis);
    }
    out.freeze()
}

/// What the stream will do when asked for the next piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Say hello.
    Opening,
    /// Send what comes.
    Open,
    /// End, for this reason.
    Over(Ended),
}

struct EventStream {
    feed: Feed,
    manner: Manner,
    state: State,
    /// What is left of the last step.
    held: VecDeque<Logged>,
    /// The last event that was sent or told as lost.
    position: Seq,
    last_sent: Instant,
    /// The session is idle and its log holds more: what ends the stream is in the log.
    reads_the_rest: bool,
    open: OpenStream,
}

impl EventStream {
    fn new(feed: Feed, manner: Manner) -> Self {
        let open = manner.metrics.open();
        let (position, last_sent) = (feed.after, Instant::now());
        let (state, held) = (State::Opening, VecDeque::new());
        let reads_the_rest = false;
        Self { feed, manner, state, held, position, last_sent, reads_the_rest, open }
    }

    /// The next piece; `None` is a clean end.
    async fn next(&mut self) -> Option<Result<Bytes, Cut>> {
        let piece = loop {
            match self.state {
                State::Opening => {
                    self.state = State::Open;
                    break opening(self.manner.retry);
                }
                State::Over(why) => {
                    self.open.ends(why);
                    self.manner.delivery.ends(why);
                    return (why == Ended::Cut).then_some(Err(Cut));
                }
                State::Open => self.manner.lane.clear().await,
            }
            // Between two frames is the place to leave, also when more is ready.
            if self.manner.leave.is_due() {
                self.state = State::Over(Ended::Drained);
                continue;
            }
            let piece = self.join_held();
            if !piece.is_empty() {
                break self.manner.lane.send(piece);
            }
            if self.state == State::Open
                && let Some(piece) = self.wait().await
            {
                break piece;
            }
        };
        self.last_sent = Instant::now();
        self.manner.metrics.bytes_sent(piece.len());
        self.manner.delivery.bytes_sent(piece.len());
        Some(Ok(piece))
    }

    /// Joins the frames that are ready, up to the bound; always at least one if one is ready.
    fn join_held(&mut self) -> Bytes {
        let mut room = self.ready_bytes();
        let mut out = BytesMut::with_capacity(room);
        let (mut replayed, mut live) = (0, 0);
        while let Some(logged) = self.held.front() {
            if let Logged::Event { event, .. } = logged {
                let more = frame::len_bound(event, self.manner.lines);
                let Some(rest) = room.checked_sub(more) else { break };
                room = rest;
            }
            match self.held.pop_front() {
                Some(Logged::Event { seq, event }) => {
                    frame::write(&mut out, seq, &event, self.manner.lines);
                    self.position = seq;
                    let is_old = seq < self.feed.next_at_open;
                    replayed += u64::from(is_old);
                    live += u64::from(!is_old);
                }
                Some(Logged::Control(record)) if self.feed.source.is_finish(&record) => {
                    if self.is_complete_at_finish() {
                        self.complete();
                    }
                }
                Some(Logged::Control(_)) | None => {}
            }
        }
        self.manner.metrics.events_sent(replayed, live);
        self.manner.delivery.events_sent(replayed, live);
        if let Some(behind) = self.feed.source.behind(self.position).filter(|_| !out.is_empty()) {
            self.manner.metrics.lags(behind);
        }
        if self.held.is_empty() {
            self.held = VecDeque::new();
        }
        out.freeze()
    }

    /// What the next piece takes.
    fn ready_bytes(&self) -> usize {
        // Frames take a little more than records: nothing of a step is left over.
        let most = self.manner.lane.width() * 5 / 4;
        let frames = self.held.iter().filter_map(|logged| match logged {
            Logged::Event { event, .. } => Some(frame::len_bound(event, self.manner.lines)),
            Logged::Control(_) => None,
        });
        let mut all = 0;
        for more in frames {
            if all > 0 && all + more > most {
                break;
            }
            all += more;
        }
        all
    }

    /// Whether a turn's end in the log is the end of the stream.
    fn is_complete_at_finish(&self) -> bool {
        match self.feed.scope {
            // The end of the turn before stands after the event that this stream follows.
            Scope::Turn(from) => self.position >= from,
            Scope::Session => false,
            Scope::SessionUntilIdle => self.is_at_last(),
        }
    }

    /// Whether nothing will follow what was sent.
    fn is_at_last(&self) -> bool {
        let last = (self.feed.last)();
        last.is_some_and(|last| self.position >= last)
    }

    fn complete(&mut self) {
        self.held.clear();
        self.state = State::Over(Ended::Complete);
    }

    /// Waits for whatever comes first; a piece that is no event is given back.
    async fn wait(&mut self) -> Option<Bytes> {
        let heartbeat = self.last_sent + self.manner.heartbeat.max(limits::MIN_HEARTBEAT);
        let idle = self.feed.idle.as_ref().filter(|_| !self.reads_the_rest).map(|idle| idle());
        let idle = async {
            match idle {
                Some(idle) => idle.await,
                None => std::future::pending().await,
            }
        };
        let answered = async {
            match &mut self.feed.unanswered {
                Some((answered, _)) => answered.await,
                None => std::future::pending().await,
            }
        };
        // One that waits at the tail keeps no place from those that are behind.
        let (lane, behind) = (&mut self.manner.lane, self.feed.source.is_behind());
        let most = if behind { lane.widen() } else { lane.width() };
        // Each arm only waits or reads a cancel-safe source, so dropping the others loses
        // nothing. The order: leaving comes first, or a busy stream never would; a refusal before
        // the step that would follow it; a heartbeat last, when nothing else is to be sent.
        tokio::select! {
            biased;
            () = self.manner.leave.due() => {
                self.state = State::Over(Ended::Drained);
                None
            }
            answer = answered => self.take_answer(answer),
            step = self.feed.source.next(most) => self.take_step(step),
            () = idle => {
                self.take_idle();
                None
            }
            () = sleep_until(heartbeat) => {
                self.manner.metrics.heartbeat();
                Some(Bytes::from_static(frame::KEEPALIVE))
            }
        }
    }

    /// The dispatch is answered: from now on the log alone speaks, or nothing ever will.
    fn take_answer(&mut self, answer: Answered) -> Option<Bytes> {
        let (_, names) = self.feed.unanswered.take()?;
        let said = last_words::say(&names, &answer, self.manner.lines, self.manner.fidelity)?;
        self.manner.metrics.refused_late();
        self.held.clear();
        self.state = State::Over(Ended::Refused);
        Some(said)
    }

    /// The session is idle, or was a moment ago.
    fn take_idle(&mut self) {
        match (self.feed.last)() {
            Some(last) if self.position >= last => self.complete(),
            Some(_) => self.reads_the_rest = true,
            // Another turn has begun meanwhile.
            None => {}
        }
    }

    fn take_step(&mut self, step: Result<Step, log::Error>) -> Option<Bytes> {
        self.reads_the_rest = false;
        // A refused turn leaves its numbers to the next one. That one's events are in the log
        // only after the refusal was told, so asking once more here keeps the two apart.
        if let Some((answered, _)) = &mut self.feed.unanswered
            && let Some(answer) = answered.now_or_never()
        {
            let last_words = self.take_answer(answer);
            if last_words.is_some() {
                return last_words;
            }
        }
        match step {
            Ok(Step::Records(records)) => {
                self.held = records.into();
                None
            }
            Ok(Step::Gap { from, to }) => self.take_gap(from, to),
            Ok(Step::End) => {
                // Closed because afterbay stops is an end; closed for any other reason is not.
                let stopping = self.manner.leave.is_asked();
                self.state = State::Over(if stopping { Ended::Drained } else { Ended::Cut });
                None
            }
            Err(error) => {
                tracing::warn!(%error, "cut a stream that cannot be read");
                self.state = State::Over(Ended::Cut);
                None
            }
        }
    }

    /// Events are gone: said with exact bounds, within what was asked for.
    fn take_gap(&mut self, from: Seq, to: Seq) -> Option<Bytes> {
        let from = from.max(self.position.next());
        // Retention may have dropped more than this turn; it never drops a running one.
        let last = (self.feed.last)().filter(|_| matches!(self.feed.scope, Scope::Turn(_)));
        let to = last.map_or(to, |last| to.min(last));
        if to >= from {
            self.position = to;
            self.manner.metrics.gap_shown(to.get() - from.get() + 1);
        }
        if last.is_some_and(|last| self.position >= last) {
            self.complete();
        }
        (to >= from).then(|| {
            let mut out = BytesMut::new();
            let lost = Lost { code: "EVENTS_EXPIRED", from: from.get(), to: to.get() };
            frame::write(&mut out, to, &Event::ours("warning", &lost), self.manner.lines);
            out.freeze()
        })
    }
}

/// The data of a gap's `warning`.
#[derive(Serialize)]
struct Lost {
    code: &'static str,
    from: u64,
    to: u64,
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
