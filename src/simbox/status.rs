//! The status of a session as a poll reads it.
//!
//! It may differ from what is so: a session may read idle for a while after a prompt, and running
//! for a while after the end. That is decided when it is read; nothing is timed.

use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::faults::WaitFor;
use super::session::{Ending, Newest, Phase, Session};

impl Session {
    /// The status as a poll reads it.
    pub(super) fn status(&self, now: Instant) -> Status<'_> {
        let session = Told { id: &self.id, last_event_at: self.last_event_at, ..Told::default() };
        let Some(newest) = &self.newest else {
            return Status { session: Told { state: "idle", ..session }, active_execution: None };
        };
        let active = newest.active(now);
        let (waiting, ended) = match &newest.phase {
            Phase::Waiting { interaction } => (Some(interaction), None),
            Phase::Ended { outcome, .. } => (None, Some(outcome)),
            Phase::Queued | Phase::Running | Phase::Never => (None, None),
        };
        let Some(state) = active else {
            // A turn that nobody may see yet has not ended either.
            let ended = ended.filter(|_| !newest.is_hidden(now));
            let session = Told {
                state: ended.map_or("idle", |outcome| outcome.ending.state()),
                reconnectable: ended.map(|_| false),
                terminal_reason: ended.and_then(|outcome| outcome.ending.code()),
                ..session
            };
            return Status { session, active_execution: None };
        };
        let id = newest.execution.id.as_str();
        let what = newest.execution.plan.wait_for.unwrap_or(WaitFor::Question).name();
        let asked = waiting.map(|id| Asked { id, r#type: what, question: "May I go on?" });
        let session = Told {
            state,
            active_execution_id: Some(id),
            reconnectable: Some(true),
            outstanding_interactions: asked.map(|asked| vec![asked]),
            ..session
        };
        Status { session, active_execution: Some(Active { id, status: state }) }
    }
}

impl Newest {
    /// Whether the session reads as if the turn had not come yet.
    fn is_hidden(&self, now: Instant) -> bool {
        lasts(self.taken_at, self.execution.plan.idle, now)
    }

    /// The state of the session while the turn reads as active.
    fn active(&self, now: Instant) -> Option<&'static str> {
        let plan = &self.execution.plan;
        let state = match &self.phase {
            Phase::Never => return None,
            Phase::Queued => "queued",
            Phase::Running => "running",
            Phase::Waiting { .. } => plan.wait_for.unwrap_or(WaitFor::Question).state(),
            Phase::Ended { at, .. } if lasts(*at, plan.linger, now) => "running",
            Phase::Ended { .. } => return None,
        };
        (!self.is_hidden(now)).then_some(state)
    }
}

/// Whether `span` from `since` is not over.
fn lasts(since: Instant, span: Option<Duration>, now: Instant) -> bool {
    let end = span.and_then(|span| since.checked_add(span));
    end.is_some_and(|end| now < end)
}

/// A status.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Status<'a> {
    session: Told<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    active_execution: Option<Active<'a>>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    id: &'a str,
    state: &'a str,
    last_event_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    active_execution_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reconnectable: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    terminal_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outstanding_interactions: Option<Vec<Asked<'a>>>,
}

#[derive(Debug, Serialize)]
struct Active<'a> {
    id: &'a str,
    status: &'a str,
}

#[derive(Debug, Serialize)]
struct Asked<'a> {
    id: &'a str,
    r#type: &'a str,
    question: &'a str,
}

impl WaitFor {
    const fn state(self) -> &'static str {
        match self {
            Self::Question => "awaiting_question",
            Self::Approval => "blocked_on_approval",
            Self::Plan => "awaiting_plan_decision",
        }
    }
}

impl Ending {
    const fn state(&self) -> &'static str {
        match self {
            Self::Success => "idle",
            Self::Failure(_) => "failed",
            Self::Aborted => "aborted",
        }
    }
}
