//! The shapes of opencode's v1 API that this adapter reads, and nothing more of them: everything
//! else of the box's JSON passes through undecoded.
//!
//! Fields that only some versions or kinds have are optional, and are kept raw where their type
//! differs from place to place.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::upstream::snapshot::part::Part;

/// `GET /session/{id}`, and the answer to `POST /session`.
#[derive(Debug, Deserialize)]
pub(super) struct Session<'a> {
    #[serde(borrow)]
    pub(super) id: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) directory: Cow<'a, str>,
    /// Set in the sessions of sub-agents.
    #[serde(rename = "parentID")]
    pub(super) parent: Option<String>,
    pub(super) time: SessionTime,
}

/// When a session was last touched, in milliseconds since 1970 by the box's clock.
#[derive(Debug, Deserialize)]
pub(super) struct SessionTime {
    pub(super) updated: u64,
}

/// One value of `GET /session/status`. A session that is not in the map is idle.
#[derive(Debug, Deserialize)]
pub(super) struct Status {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) attempt: Option<u64>,
    pub(super) message: Option<String>,
    /// When the box tries again, in milliseconds since 1970.
    pub(super) next: Option<u64>,
}

/// One entry of `GET /session/{id}/message`.
#[derive(Debug, Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    pub(super) info: Info<'a>,
    #[serde(borrow)]
    pub(super) parts: Vec<&'a RawValue>,
}

/// What is known of a message besides its parts.
#[derive(Debug, Deserialize)]
pub(super) struct Info<'a> {
    #[serde(borrow)]
    pub(super) id: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) role: Cow<'a, str>,
    /// The user message that an assistant's message answers.
    #[serde(rename = "parentID")]
    pub(super) parent: Option<String>,
    pub(super) time: MessageTime,
    pub(super) finish: Option<String>,
    pub(super) error: Option<Failure>,
    /// `true` on the summary of a compaction; an object on user messages.
    #[serde(borrow, default)]
    pub(super) summary: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) cost: Option<&'a RawValue>,
}

/// A message's times, in milliseconds since 1970 by the box's clock.
#[derive(Debug, Deserialize)]
pub(super) struct MessageTime {
    pub(super) created: u64,
    pub(super) completed: Option<u64>,
}

/// `info.error`.
#[derive(Debug, Deserialize)]
pub(super) struct Failure {
    pub(super) name: String,
    #[serde(default)]
    pub(super) data: Option<FailureData>,
}

/// The part of an error's data that is for people.
#[derive(Debug, Deserialize)]
pub(super) struct FailureData {
    pub(super) message: Option<String>,
}

/// What tells a continuation that the box wrote itself from a person's prompt.
#[derive(Debug, Deserialize)]
pub(super) struct PromptPart {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) synthetic: Option<bool>,
    pub(super) auto: Option<bool>,
}

/// One entry of `GET /permission` and `GET /question`.
#[derive(Debug, Deserialize)]
pub(super) struct Request {
    pub(super) id: String,
    #[serde(rename = "sessionID")]
    pub(super) session: String,
}

impl Message<'_> {
    pub(super) fn is_assistant(&self) -> bool {
        self.info.role == "assistant"
    }

    /// The summary that a compaction leaves: said by the agent, but not its answer.
    pub(super) fn is_summary(&self) -> bool {
        self.info.summary.is_some_and(|summary| summary.get() == "true")
    }

    pub(super) fn is_completed(&self) -> bool {
        self.info.time.completed.is_some()
    }

    /// Its parts, without those that have another shape than parts have.
    pub(super) fn readable_parts(&self) -> impl Iterator<Item = Part<'_>> {
        self.parts.iter().filter_map(|raw| Part::read(raw).ok())
    }

    /// US dollars, 0 if the box does not tell.
    pub(super) fn cost(&self) -> f64 {
        let cost = self.info.cost.and_then(|raw| raw.get().parse().ok());
        cost.filter(|cost: &f64| cost.is_finite()).unwrap_or_default()
    }
}
