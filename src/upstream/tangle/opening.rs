//! The first words of a run's stream: the ids of the turn, or all of a very short one.
//!
//! The stream is dropped as soon as it has named the turn, after a silence, or at a bound; a
//! detached run goes on without it.

use futures_util::StreamExt;

use super::closing;
use super::frame::{Kind, Told};
use super::prepare::Notes;
use crate::event::Event;
use crate::ids::{ExecutionId, SessionId};
use crate::limits;
use crate::sse::parser::{ReadFrame, frames};
use crate::upstream::stream::{Chunks, Patience};
use crate::upstream::{Accepted, Ended, Ending, Error};

/// What a stream, or a receipt in its place, told of the turn.
#[derive(Debug, Default)]
pub(super) struct Opening {
    pub(super) session: Option<SessionId>,
    pub(super) execution: Option<ExecutionId>,
    pub(super) frames: Vec<Event>,
    pub(super) ended: Option<Ended>,
}

const PATIENCE: Patience = Patience {
    silence: limits::DISPATCH_SILENCE,
    in_all: limits::DISPATCH_STREAM_TIME,
    bytes: limits::MAX_DISPATCH_STREAM_BYTES,
};

impl Opening {
    /// Notes the ids of a frame; text that cannot be an id is none.
    pub(super) fn name(&mut self, session: Option<&str>, execution: Option<&str>) {
        let session = session.and_then(|id| SessionId::parse(id).ok());
        let execution = execution.and_then(|id| ExecutionId::parse(id).ok());
        self.session = self.session.take().or(session);
        self.execution = self.execution.take().or(execution);
    }

    /// Whether it tells a failure and nothing about whose: a route that always answers with a
    /// stream says so that it knows nothing of the execution.
    pub(super) fn is_mere_failure(&self) -> bool {
        let Self { session, execution, frames, ended } = self;
        let has_failed =
            ended.as_ref().is_some_and(|ended| matches!(ended.ending, Ending::Failed { .. }));
        has_failed && session.is_none() && execution.is_none() && frames.is_empty()
    }

    /// What the box has accepted, and where; the error says that it does not tell where.
    pub(super) fn accepted(
        self,
        notes: &Notes,
        only: Option<SessionId>,
    ) -> Result<Accepted, Error> {
        let Self { session, execution, frames, ended } = self;
        // A turn that is over is not polled for its words, so its client's name for the session
        // does as well as the box's.
        let by_name = only.or_else(|| ended.as_ref().and_then(|_| notes.candidates().next()));
        let session = session.or_else(|| notes.certain()).or(by_name);
        let unnamed = || Error::NoAnswer("the box does not name the session".into());
        Ok(Accepted { session: session.ok_or_else(unnamed)?, execution, frames, ended })
    }
}

/// Reads what opens the turn.
pub(super) async fn read(chunks: Chunks) -> Opening {
    let mut stream =
        std::pin::pin!(frames(chunks.within(PATIENCE), limits::MAX_DISPATCH_FRAME_BYTES));
    let mut opening = Opening::default();
    let mut closing: Vec<Told> = Vec::new();
    loop {
        let frame = match stream.next().await {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                tells_why(&error);
                break;
            }
            None => break,
        };
        let Some(told) = Told::read(frame) else { continue };
        match told.kind {
            Kind::Other => continue,
            Kind::Started | Kind::Closing | Kind::Done => {}
        }
        let said = told.said();
        opening.name(said.session.as_deref(), said.execution.as_deref());
        match told.kind {
            Kind::Started => {
                opening.frames.push(told.event);
                // Its own stream is not needed for the rest.
                return opening;
            }
            Kind::Closing => closing.push(told),
            Kind::Done => {
                closing.push(told);
                break;
            }
            Kind::Other => {}
        }
    }
    if !closing.is_empty() {
        opening.ended = Some(closing::ended(&closing));
    }
    opening
}

fn tells_why(error: &ReadFrame<Error>) {
    tracing::debug!(%error, "a dispatch's stream is dropped");
}
