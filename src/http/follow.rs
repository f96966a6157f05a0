//! From a turn or a session to the answer that shows it: where the stream begins, whether there
//! is one at all, and what a dispatch that is still open means for the head.
//!
//! The right to read was checked before anything here is called.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, HeaderValue};
use tokio::time::{Instant, timeout};

use super::cursor::{self, Shown, Start};
use super::delivery::Delivery;
use super::end_to_end;
use super::error::{Error, X_AFTERBAY_ERROR};
use super::head::Head;
use super::leave::Leave;
use super::place::Place;
use super::route;
use super::source::Source;
use super::stream::{self, Feed, Manner, Scope, Unanswered};
use super::{Audience, Door, Doors};
use crate::event::Seq;
use crate::limits;
use crate::session::reading::Came;
use crate::session::{Answered, Session, TurnRef};
use crate::sse::frame::DataLines;
use crate::sse::last_event_id::LastEventId;
use crate::trace::context::TraceContext;
use crate::turn::close_out::Names;
use crate::upstream::Refusal;

/// How the client came: it decides how the stream begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// May be a native EventSource: it comes back by itself.
    Get,
    /// By POST, to read: may not be able to come back.
    Replay,
    /// By POST, with a prompt whose turn is known: may be the same request once more, to which a
    /// refusal is the answer.
    Post,
    /// The same, and the turn is new: nothing of it can have been seen.
    Start,
}

/// What the client asks of its stream.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) cursor: LastEventId,
    pub(crate) lines: DataLines,
    /// The span that it reads within, if it names one and that is of use.
    pub(crate) reader: Option<TraceContext>,
}

impl Ask {
    fn came(&self) -> Came {
        if self.cursor.is_given() { Came::Back } else { Came::New }
    }
}

/// Shows a turn.
///
/// # Errors
/// [`Error::Withdrawn`], if that is known before the head goes out.
pub(crate) async fn turn(
    door: &Door,
    turn: TurnRef,
    ask: Ask,
    by: By,
    place: Place,
) -> Result<Response, Error> {
    let asked = Instant::now();
    turn.settled().await;
    // Where to begin is decided before the wait: what comes meanwhile has not been seen.
    let (first, next) = (turn.from, turn.session.tail().next_seq);
    let next = if by == By::Start { first } else { next.max(first) };
    let start = cursor::choose(ask.cursor, Shown { first, next, last: turn.last() });
    let wait = match by {
        By::Get | By::Replay => Duration::ZERO,
        By::Post | By::Start => door.doors.settings.head_wait,
    };
    let waiting = turn.clone();
    let mut answer: Unanswered = Box::pin(async move { waiting.answered().await });
    let unanswered = match timeout(wait, &mut answer).await {
        Ok(Answered::Running) => None,
        Ok(Answered::Refused(refusal)) => return Ok(refused(refusal)),
        Ok(Answered::Withdrawn(why)) => return Err(Error::Withdrawn(why)),
        Ok(Answered::Stopped) => return Err(Error::Draining),
        Err(_elapsed) => Some(answer),
    };
    let head = Head { session: turn.session.id(), execution: Some(turn.execution.clone()) };
    let after = match start {
        Start::After(seq) | Start::Reset(seq) => seq,
        Start::AtEnd => return Ok(at_end(&head, by)),
    };
    let words = Names { session: head.session.clone(), execution: turn.execution.clone() };
    let sessions = &door.doors.sessions;
    let reading = notes(door).then(|| sessions.reads_turn(&turn, asked, ask.came()));
    let delivery = Delivery::of_turn(sessions.tracer(), &turn, ask.reader.as_ref(), after);
    let delivery = delivery.noted_by(reading);
    let feed = Feed {
        source: Source::Log(turn.session.cursor(after)),
        after,
        next_at_open: next,
        scope: Scope::Turn(first),
        unanswered: unanswered.map(|answer| (answer, words)),
        last: Box::new(move || turn.last()),
        idle: None,
    };
    Ok(shown(&head, start, stream::body(feed, manner(door, by, ask.lines, place, delivery))))
}

/// Shows a session's log, by GET.
pub(crate) fn session(
    door: &Door,
    session: &Arc<Session>,
    ask: Ask,
    until_idle: UntilIdle,
    place: Place,
) -> Response {
    let watched = Arc::clone(session);
    let (scope, last, idle): (Scope, stream::Last, Option<stream::Idle>) = match until_idle {
        UntilIdle::Yes => {
            let (scope, idle) = (Scope::SessionUntilIdle, until_idle_of(session));
            (scope, Box::new(move || idle_at(&watched)), Some(idle))
        }
        UntilIdle::No => {
            // Held, since a session that nobody reads may be forgotten.
            let last = move || Some(&watched).and(None);
            (Scope::Session, Box::new(last), None)
        }
    };
    let next = session.tail().next_seq;
    let first = Seq::START.next();
    let start = cursor::choose(ask.cursor, Shown { first, next, last: last() });
    let head = Head { session: session.id(), execution: None };
    let after = match start {
        Start::After(seq) | Start::Reset(seq) => seq,
        Start::AtEnd => return head.no_content(),
    };
    let sessions = &door.doors.sessions;
    let reading = notes(door).then(|| sessions.reads_session(session, ask.came()));
    let delivery = Delivery::of_session(sessions.tracer(), session, ask.reader.as_ref(), after);
    let delivery = delivery.noted_by(reading);
    let source = Source::Log(session.cursor(after));
    let feed = Feed { source, after, next_at_open: next, scope, last, idle, unanswered: None };
    shown(&head, start, stream::body(feed, manner(door, By::Get, ask.lines, place, delivery)))
}

/// Whether a session's stream ends when no turn runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UntilIdle {
    /// It does.
    Yes,
    /// It waits for the turns to come.
    No,
}

/// The answer to a GET that finds no place: a native EventSource would take any other status for
/// good, so it is told to come back, and why stands in the head alone; everyone else is told why.
///
/// # Errors
/// `error` itself, if the client did not ask for events.
pub(crate) fn turned_away(
    headers: &HeaderMap,
    head: &Head,
    error: Error,
) -> Result<Response, Error> {
    if route::wants_events(headers) {
        let mut response = head.stream(stream::nothing(Some(retry_millis())));
        response.headers_mut().insert(X_AFTERBAY_ERROR, HeaderValue::from_static(error.code()));
        Ok(response)
    } else {
        Err(error)
    }
}

/// The last event of a session in which nothing runs. Asked in this order: a turn's last event is
/// in the log before the session is idle. A session whose only turn was refused has none.
fn idle_at(session: &Session) -> Option<Seq> {
    (!session.is_busy()).then(|| session.tail().next_seq.previous())
}

fn until_idle_of(session: &Arc<Session>) -> stream::Idle {
    let session = Arc::clone(session);
    Box::new(move || {
        let session = Arc::clone(&session);
        Box::pin(async move { session.idle().await })
    })
}

fn at_end(head: &Head, by: By) -> Response {
    match by {
        By::Get => head.no_content(),
        By::Replay | By::Post | By::Start => head.stream(stream::nothing(None)),
    }
}

fn shown(head: &Head, start: Start, body: Body) -> Response {
    match start {
        Start::Reset(_) => head.reset_stream(body),
        Start::After(_) | Start::AtEnd => head.stream(body),
    }
}

fn manner(door: &Door, by: By, lines: DataLines, place: Place, delivery: Delivery) -> Manner {
    let Doors { settings, metrics, drain, .. } = door.doors.as_ref();
    let (retry, leave) = match by {
        By::Get => (Some(retry_millis()), Leave::early(drain.clone(), settings.grace)),
        By::Replay | By::Post | By::Start => (None, Leave::late(drain.clone(), settings.grace)),
    };
    let (heartbeat, metrics) = (settings.heartbeat, metrics.streams.clone());
    let fidelity = settings.fidelity;
    let lane = door.outgoing.lane();
    Manner { heartbeat, retry, lines, fidelity, leave, lane, _place: place, metrics, delivery }
}

/// Whether streams through this door are noted.
fn notes(door: &Door) -> bool {
    door.audience == Audience::Clients
}

fn retry_millis() -> u64 {
    rand::random_range(limits::RETRY_MILLIS)
}

/// The box's own answer to a turn that it refused.
pub(crate) fn refused(refusal: Refusal) -> Response {
    let Refusal { status, headers, body } = refusal;
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    *response.headers_mut() = end_to_end::of_refusal(&headers);
    response
}
