//! The JSON of the native API: what its answers hold, as clients and the document see it.
//!
//! Numbers of events are plain numbers; as a cursor each means "what follows". A field that has
//! nothing to say is absent.

use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::super::error::json;
use crate::event::Seq;
use crate::ids::{BoxName, Id, IdKind, SessionId};
use crate::mode::{self, Phase};
use crate::session::overview::{Overview, TurnOverview};

/// The name of a box, a session, a turn, or an execution.
#[derive(Debug, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(
    value_type = String,
    max_length = 256,
    pattern = "^(?!\\.{1,2}$)[A-Za-z0-9._:@=+~-]+$",
)]
pub(super) struct Name(String);

impl Name {
    pub(super) fn of<K>(id: &Id<K>) -> Self
    where
        K: IdKind,
    {
        Self(id.as_str().to_owned())
    }
}

/// A turn that was accepted, now or before under the same ids.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Accepted {
    /// Names the turn on its box.
    pub(super) execution_id: Name,
    /// The session: the box's id if it is known by now, else the one in the path.
    pub(super) session_id: Name,
    /// The turn's own id, by which a repeat is known: from the body or `Idempotency-Key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) turn_id: Option<Name>,
    /// The events of this turn follow it.
    pub(super) cursor: u64,
    /// Where it is.
    pub(super) state: TurnState,
}

/// A turn.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Turn {
    /// Names the turn on its box.
    pub(super) execution_id: Name,
    /// The turn's own id, if it was given one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) turn_id: Option<Name>,
    /// Where it is.
    pub(super) state: TurnState,
    /// How it ended, once it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) outcome: Option<Outcome>,
    /// The code of its end, unless it completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<String>,
    /// The number of its first event, whether there is one yet or not.
    pub(super) first_event_id: u64,
    /// The number of its last event, once it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_event_id: Option<u64>,
    /// Whether its events are no longer kept.
    pub(super) expired: bool,
}

/// A turn with its session and what it came to.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TurnDetail {
    /// The box that it runs on.
    #[serde(rename = "box")]
    pub(super) box_name: Name,
    /// Its session.
    pub(super) session_id: Name,
    #[serde(flatten)]
    pub(super) turn: Turn,
    /// The data of its `result`, once it is over and as long as its events are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub(super) result: Option<Box<RawValue>>,
}

/// A session.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Session {
    /// The box that it is on.
    #[serde(rename = "box")]
    pub(super) box_name: Name,
    /// The session: the box's id if there is one, else the client's.
    pub(super) session_id: Name,
    /// Whether a turn runs.
    pub(super) state: SessionState,
    /// How many turns are known.
    pub(super) turn_count: u64,
    /// The number of its last event; as a cursor: what is to come.
    pub(super) last_event_id: u64,
}

/// A session with its turns.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SessionDetail {
    #[serde(flatten)]
    pub(super) session: Session,
    /// Its turns, oldest first; of very many, the newest.
    pub(super) turns: Vec<Turn>,
}

/// Some of the sessions, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sessions {
    pub(super) sessions: Vec<Session>,
    /// Asks for those that follow; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next_page: Option<String>,
}

/// Events of a session, oldest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Events {
    pub(super) events: Vec<Event>,
    /// The cursor for the next request.
    pub(super) next: u64,
    /// Events that are gone, before those above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) gap: Option<Gap>,
}

/// An event.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Event {
    /// Its number in the session.
    pub(super) id: u64,
    /// Its name.
    pub(super) event: String,
    /// Its data, as it stands in the log.
    #[schema(value_type = Object)]
    pub(super) data: Box<RawValue>,
}

/// An event of a stream, by its fields.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "it describes what `stream` writes")]
pub(super) struct StreamEvent {
    /// Its number in the session.
    id: Option<String>,
    /// Its name.
    event: Option<String>,
    /// Its data: a JSON object as text.
    data: Option<String>,
}

/// The numbers of events that are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Gap {
    /// The first of them.
    pub(super) from: u64,
    /// The last of them.
    pub(super) to: u64,
}

/// Where a turn is between its acceptance and its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum TurnState {
    Accepted,
    Prepared,
    Dispatching,
    Resolving,
    Running,
    Waiting,
    Draining,
    Finished,
}

/// Whether a turn runs on a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum SessionState {
    Idle,
    Busy,
}

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    Completed,
    Failed,
    Cancelled,
}

impl From<Phase> for TurnState {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Accepted => Self::Accepted,
            Phase::Prepared => Self::Prepared,
            Phase::Dispatching => Self::Dispatching,
            Phase::Resolving => Self::Resolving,
            Phase::Running => Self::Running,
            Phase::Waiting => Self::Waiting,
            Phase::Draining => Self::Draining,
            Phase::Finished => Self::Finished,
        }
    }
}

impl From<mode::Outcome> for Outcome {
    fn from(outcome: mode::Outcome) -> Self {
        match outcome {
            mode::Outcome::Completed => Self::Completed,
            mode::Outcome::Failed => Self::Failed,
            mode::Outcome::Cancelled => Self::Cancelled,
        }
    }
}

impl From<TurnOverview> for Turn {
    fn from(turn: TurnOverview) -> Self {
        let TurnOverview { execution, turn, phase, outcome, code, first, last, is_expired, .. } =
            turn;
        Self {
            execution_id: Name::of(&execution),
            turn_id: turn.as_ref().map(Name::of),
            state: phase.into(),
            outcome: outcome.map(Outcome::from),
            code,
            first_event_id: first.get(),
            // A turn may end without an event.
            last_event_id: last.filter(|last| *last >= first).map(Seq::get),
            expired: is_expired,
        }
    }
}

impl From<Overview> for Session {
    fn from(session: Overview) -> Self {
        let Overview { box_name, id, is_busy, turns, last } = session;
        Self {
            box_name: Name::of(&box_name),
            session_id: Name::of(&id),
            state: if is_busy { SessionState::Busy } else { SessionState::Idle },
            turn_count: turns as u64,
            last_event_id: last.get(),
        }
    }
}

impl TurnDetail {
    /// A turn of this session; `result` is valid JSON.
    pub(super) fn new(
        box_name: &BoxName,
        session: &SessionId,
        turn: TurnOverview,
        result: Option<Box<RawValue>>,
    ) -> Self {
        let (box_name, session_id) = (Name::of(box_name), Name::of(session));
        Self { box_name, session_id, turn: turn.into(), result }
    }
}

/// Stored JSON as a part of an answer.
pub(super) fn raw(json: &[u8]) -> Option<Box<RawValue>> {
    serde_json::from_slice(json).ok()
}

/// An answer with this status and body.
pub(super) fn answer<T: Serialize>(status: StatusCode, body: &T) -> Response {
    let mut response = Response::new(json(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
