//! One session: its messages, its newest turn, and how each of its turns ended.
//!
//! It is what is so; what a poll reads of it may differ for a while.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use tokio::time::Instant;

use super::content::Shown;
use super::memory::Execution;
use super::messages::{Message, Part};

#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: String,
    pub(super) messages: Vec<Message>,
    pub(super) newest: Option<Newest>,
    /// How each execution ended.
    pub(super) outcomes: BTreeMap<String, Outcome>,
    /// Milliseconds since 1970.
    pub(super) last_event_at: u64,
}

/// The newest turn of a session.
#[derive(Debug)]
pub(super) struct Newest {
    pub(super) execution: Arc<Execution>,
    pub(super) phase: Phase,
    pub(super) taken_at: Instant,
}

/// How far the newest turn is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Phase {
    Queued,
    Running,
    Waiting {
        interaction: String,
    },
    Ended {
        outcome: Outcome,
        at: Instant,
    },
    /// Taken, and it never begins.
    Never,
}

impl Phase {
    /// Whether another turn has to wait.
    pub(super) const fn is_busy(&self) -> bool {
        match self {
            Self::Queued | Self::Running | Self::Waiting { .. } => true,
            Self::Ended { .. } | Self::Never => false,
        }
    }
}

/// How an execution ended, and what it had written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) ending: Ending,
    pub(super) text: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    Success,
    /// With its code.
    Failure(String),
    Aborted,
}

impl Ending {
    /// The status of the turn, as results and `done` say it.
    pub(super) const fn status(&self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure(_) => "failed",
            Self::Aborted => "cancelled",
        }
    }

    /// The code of its error.
    pub(super) fn code(&self) -> Option<&str> {
        match self {
            Self::Success => None,
            Self::Failure(code) => Some(code),
            Self::Aborted => Some("CANCELLED"),
        }
    }

    /// What its error says.
    pub(super) fn message(&self) -> Option<String> {
        self.code().map(|code| format!("the agent ended with {code}"))
    }
}

impl Session {
    pub(super) fn new(id: String) -> Self {
        let (messages, outcomes) = (Vec::new(), BTreeMap::new());
        Self { id, messages, newest: None, outcomes, last_event_at: super::memory::now_ms() }
    }

    /// Puts a part into the last message, over the one with the same id.
    pub(super) fn put(&mut self, shown: &Shown) {
        let Shown { id, json, text, delta: _ } = shown;
        let part = Part { id: id.clone(), json: Arc::clone(json), text: text.clone() };
        let Some(message) = self.messages.last_mut() else {
            return;
        };
        match message.parts.iter_mut().find(|part| part.id == *id) {
            Some(there) => *there = part,
            None => message.parts.push(part),
        }
    }

    /// The text parts of the last message, with nothing between.
    pub(super) fn text(&self) -> String {
        let parts = self.messages.last().into_iter().flat_map(|message| &message.parts);
        parts.filter_map(|part| part.text.as_deref()).collect()
    }

    /// When the newest turn ended.
    pub(super) fn ended_at(&self) -> Option<Instant> {
        match &self.newest.as_ref()?.phase {
            Phase::Ended { at, .. } => Some(*at),
            Phase::Queued | Phase::Running | Phase::Waiting { .. } | Phase::Never => None,
        }
    }
}

impl Outcome {
    /// The body of the result route.
    pub(super) fn result(&self) -> Finish<'_> {
        let Self { ending, text } = self;
        Finish {
            success: *ending == Ending::Success,
            status: ending.status(),
            final_text: text,
            error: ending.message(),
            error_code: ending.code(),
        }
    }
}

/// The result of a turn.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Finish<'a> {
    success: bool,
    status: &'a str,
    final_text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<&'a str>,
}
