//! How a turn went, in numbers for a picture.
//!
//! Times are wall-clock milliseconds since 1970.

use axum::response::Response;
use http::StatusCode;
use http::request::Parts;
use serde::Serialize;

use super::super::error::{Error, Resource};
use super::wrong::Wrong;
use super::{Inside, answer, sessions};
use crate::ids::{ExecutionId, SessionId};
use crate::mode::Phase;
use crate::turn::timeline::Picture;
use crate::turn::timeline::slots::{Happening, Slots};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Timeline {
    execution_id: String,
    /// When the first slot begins.
    since_ms: u64,
    /// Now, or when the turn ended: within the last slot.
    until_ms: u64,
    /// How wide a slot is.
    slot_ms: u64,
    /// False if the turn began in an earlier life of the program; what was before is not known.
    whole: bool,
    /// Oldest first.
    states: Vec<State>,
    /// How many of the middle are missing there.
    #[serde(skip_serializing_if = "is_none")]
    states_left_out: u64,
    /// When the first of those began.
    #[serde(skip_serializing_if = "Option::is_none")]
    states_left_out_from_ms: Option<u64>,
    slots: Columns,
    /// Streams of clients that are open on the session now.
    readers: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct State {
    state: &'static str,
    at_ms: u64,
}

/// One number for each slot.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Columns {
    /// All of them.
    polls: Vec<u32>,
    /// Those of `polls` that failed.
    polls_failed: Vec<u32>,
    events: Vec<u32>,
    /// Streams of clients that began without a cursor.
    opened: Vec<u32>,
    /// Those that began with one.
    resumed: Vec<u32>,
    /// Those that ended because the client or a hop on the way was gone, or the log.
    cut: Vec<u32>,
    /// Those that ended in order.
    ended: Vec<u32>,
}

/// The timeline of a turn.
///
/// # Errors
/// As [`sessions::found`]; [`Error::ExecutionNotFound`], [`Wrong::TimelineNotKept`].
pub(super) async fn get(
    inside: &Inside,
    parts: &Parts,
    id: SessionId,
    execution: ExecutionId,
) -> Result<Response, Error> {
    let session = sessions::found(inside, parts, id).await?;
    let Some(turn) = session.turn(&execution) else {
        return Err(Error::ExecutionNotFound(Resource::Execution(execution)));
    };
    let picture = inside.admin.doors.sessions.timeline(&turn).await;
    let picture = picture.ok_or(Wrong::TimelineNotKept)?;
    Ok(answer(StatusCode::OK, &Timeline::of(execution, picture, session.readers())))
}

impl Timeline {
    fn of(execution: ExecutionId, picture: Picture, readers: usize) -> Self {
        let Picture { since_ms, until_ms, is_whole, states, slots, .. } = picture;
        let Picture { states_left_out, states_left_out_from_ms, .. } = picture;
        let state = |(phase, at_ms): (Phase, u64)| State { state: phase.as_str(), at_ms };
        Self {
            execution_id: execution.to_string(),
            since_ms,
            until_ms,
            slot_ms: slots.width_ms(),
            whole: is_whole,
            states: states.into_iter().map(state).collect(),
            states_left_out,
            states_left_out_from_ms,
            slots: Columns::of(&slots),
            readers,
        }
    }
}

impl Columns {
    fn of(slots: &Slots) -> Self {
        Self {
            polls: slots.column(Happening::Poll),
            polls_failed: slots.column(Happening::PollFailed),
            events: slots.column(Happening::Event),
            opened: slots.column(Happening::Opened),
            resumed: slots.column(Happening::Resumed),
            cut: slots.column(Happening::Cut),
            ended: slots.column(Happening::Ended),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
const fn is_none(count: &u64) -> bool {
    *count == 0
}
