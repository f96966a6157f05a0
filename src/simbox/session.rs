//! One session: its messages, its newest turn, and how both are told.
//!
//! What a poll reads may differ from what is so: a session may read idle for a while after a
//! prompt, and running for a while after the end. That is decided when it is read; nothing is
//! timed.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::content::Shown;
use super::faults::{Faults, Shape, WaitFor};
use super::memory::Execution;

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

#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) id: String,
    pub(super) role: &'static str,
    pub(super) status: &'static str,
    pub(super) interrupted: bool,
    pub(super) turn_id: Option<String>,
    pub(super) parts: Vec<Part>,
}

#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) id: String,
    pub(super) json: Arc<str>,
    pub(super) text: Option<Arc<str>>,
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

    /// The status as a poll reads it.
    pub(super) fn status(&self, now: Instant) -> Value {
        let mut session =
            json!({ "id": self.id, "state": "idle", "lastEventAt": self.last_event_at });
        let Some(Newest { execution, phase, taken_at }) = &self.newest else {
            return json!({ "session": session });
        };
        let plan = &execution.plan;
        let past = |since: Instant, span| since.checked_add(span).is_none_or(|end| end <= now);
        let hidden = plan.idle.is_some_and(|span| !past(*taken_at, span));
        let state = match phase {
            Phase::Never => None,
            Phase::Queued | Phase::Running | Phase::Waiting { .. } | Phase::Ended { .. }
                if hidden =>
            {
                None
            }
            Phase::Queued => Some("queued"),
            Phase::Running => Some("running"),
            Phase::Waiting { interaction } => {
                let what = plan.wait_for.unwrap_or(WaitFor::Question);
                let asked =
                    json!({ "id": interaction, "type": what.name(), "question": "May I go on?" });
                session["outstandingInteractions"] = json!([asked]);
                Some(what.state())
            }
            Phase::Ended { at, .. } if plan.linger.is_some_and(|span| !past(*at, span)) => {
                Some("running")
            }
            Phase::Ended { outcome, .. } => {
                session["reconnectable"] = false.into();
                if let Some(code) = outcome.ending.code() {
                    session["terminalReason"] = code.into();
                }
                session["state"] = outcome.ending.state().into();
                None
            }
        };
        let Some(state) = state else {
            return json!({ "session": session });
        };
        session["state"] = state.into();
        session["activeExecutionId"] = execution.id.as_str().into();
        session["reconnectable"] = true.into();
        json!({ "session": session, "activeExecution": { "id": execution.id, "status": state } })
    }
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

impl Outcome {
    /// The body of the result route.
    pub(super) fn result(&self) -> Value {
        let Self { ending, text } = self;
        let success = *ending == Ending::Success;
        let mut result =
            json!({ "success": success, "status": ending.status(), "finalText": &**text });
        if let Some((code, message)) = ending.code().zip(ending.message()) {
            result["errorCode"] = code.into();
            result["error"] = message.into();
        }
        result
    }
}

impl Message {
    fn write(&self, out: &mut String, plan: &Faults) {
        let completed = self.status != "running";
        let mut metadata = json!({
            "status": self.status, "completed": completed, "interrupted": self.interrupted,
        });
        if let Some(turn) = self.turn_id.as_deref().filter(|_| !plan.no_turn_id) {
            metadata["turnId"] = turn.into();
        }
        let fields = json!({ "id": self.id, "role": self.role, "metadata": metadata });
        let fields = fields.to_string();
        if plan.info {
            out.push_str("{\"info\":");
            out.push_str(&fields);
        } else {
            // The parts are the last field: they go before the closing brace.
            out.push_str(fields.strip_suffix('}').unwrap_or_default());
        }
        out.push_str(",\"parts\":[");
        for (i, part) in self.parts.iter().enumerate() {
            out.push_str(if i > 0 { "," } else { "" });
            out.push_str(&part.json);
        }
        out.push_str("]}");
    }
}

/// The list of messages as a poll reads it; parts are copied as they were written.
pub(super) fn list(messages: &[Message], plan: &Faults) -> String {
    let (open, close) = match plan.shape.unwrap_or(Shape::Bare) {
        Shape::Bare => ("[", "]"),
        Shape::Messages => ("{\"messages\":[", "]}"),
        Shape::Data => ("{\"data\":{\"messages\":[", "]}}"),
    };
    let parts = messages.iter().flat_map(|message| &message.parts);
    let room: usize = parts.map(|part| part.json.len() + 1).sum();
    let mut out = String::with_capacity(room + 512 * (messages.len() + 1));
    out.push_str(open);
    for (i, message) in messages.iter().enumerate() {
        out.push_str(if i > 0 { "," } else { "" });
        message.write(&mut out, plan);
    }
    out.push_str(close);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages() -> Vec<Message> {
        let part = |id: &str| Part {
            id: id.to_owned(),
            json: json!({ "id": id, "type": "text", "text": "x" }).to_string().into(),
            text: Some("x".into()),
        };
        let message = |id: &str, role, parts| Message {
            id: id.to_owned(),
            role,
            status: "completed",
            interrupted: false,
            turn_id: Some("t".to_owned()),
            parts,
        };
        vec![
            message("u", "user", vec![part("p1")]),
            message("a", "assistant", vec![part("p2"), part("p3")]),
        ]
    }

    #[track_caller]
    fn check(words: &str, pointer: &str) -> Value {
        let plan = Faults::default().with_words_of(words).expect("good words");
        let json: Value = serde_json::from_str(&list(&messages(), &plan)).expect("JSON");
        let list = json.pointer(pointer).expect("the list").clone();
        assert_eq!(list.as_array().map(Vec::len), Some(2), "{words}");
        assert_eq!(list[1]["parts"][1]["id"], "p3", "{words}");
        list
    }

    #[test]
    fn a_list_of_messages_has_three_shapes_and_two_kinds_of_messages() {
        assert_eq!(check("", "")[0]["metadata"]["turnId"], "t");
        assert_eq!(check("shape=messages", "/messages")[1]["role"], "assistant");
        assert_eq!(check("shape=data", "/data/messages")[1]["id"], "a");
        let info = check("info no-turn-id", "");
        assert_eq!(info[0]["info"]["role"], "user");
        assert_eq!(info[0]["info"]["metadata"].get("turnId"), None);
    }
}
