//! One message of a session, whatever form the box gives it: its fields flat or under `info`, what
//! is known about it under `metadata` or beside it.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::api::{Failure, flag, number, object, word};
use super::assumed::{FAILED, MESSAGE_COMPLETE, STOPPED};
use crate::upstream::snapshot::part::Part;

/// How far a message says that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Completion {
    /// It does not say.
    Unsaid,
    /// More is to come, in it or in another.
    Open,
    /// It has its end, but another may follow in the same turn.
    Closed,
    /// It is the complete answer.
    Complete,
}

/// A message.
#[derive(Debug)]
pub(super) struct Message<'a> {
    pub(super) id: String,
    role: String,
    pub(super) parts: Vec<&'a RawValue>,
    /// The turn that it says it belongs to.
    pub(super) turn: Option<String>,
    pub(super) completion: Completion,
    /// The box has written its end into it; after tool calls others follow all the same.
    has_end: bool,
    pub(super) is_interrupted: bool,
    pub(super) failure: Option<Failure>,
    pub(super) tokens: Option<&'a RawValue>,
    /// US dollars.
    pub(super) cost: Option<f64>,
}

/// The message itself, as far as its form matters.
#[derive(Deserialize)]
struct Outer<'a> {
    #[serde(borrow, default)]
    info: Option<&'a RawValue>,
    #[serde(borrow, default)]
    parts: Option<&'a RawValue>,
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
}

/// What stands in the message or in its `info`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    role: Option<&'a RawValue>,
    #[serde(borrow, default)]
    parts: Option<&'a RawValue>,
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
    #[serde(borrow, default)]
    time: Option<&'a RawValue>,
    #[serde(borrow, default)]
    finish: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    cost: Option<&'a RawValue>,
    #[serde(borrow, default)]
    cost_usd: Option<&'a RawValue>,
}

/// `metadata`, or the same names beside it.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(borrow, default)]
    status: Option<&'a RawValue>,
    #[serde(borrow, default)]
    completed: Option<&'a RawValue>,
    #[serde(borrow, default)]
    interrupted: Option<&'a RawValue>,
    #[serde(borrow, default)]
    turn_id: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Time<'a> {
    #[serde(borrow, default)]
    completed: Option<&'a RawValue>,
}

impl<'a> Message<'a> {
    /// `None` if it has another shape than messages have.
    pub(super) fn read(raw: &'a RawValue) -> Option<Self> {
        let outer: Outer<'a> = object(raw)?;
        let inner = outer.info.unwrap_or(raw);
        let head: Head<'a> = object(inner)?;
        let parts = outer.parts.or(head.parts);
        let parts = match parts {
            Some(parts) => serde_json::from_str(parts.get()).ok()?,
            None => Vec::new(),
        };
        let under = head.metadata.or(outer.metadata).and_then(object::<Metadata<'a>>);
        let under = under.unwrap_or_default();
        let beside: Metadata<'a> = object(inner)?;
        let status = word(under.status.or(beside.status)).map(|word| word.to_ascii_lowercase());
        let is = |words: &[&str]| status.as_deref().is_some_and(|status| words.contains(&status));
        let failed = is(&FAILED).then_some(Failure { name: None, message: None });
        let error = Failure::read(head.error);
        let aborted = |error: &Failure| error.name.as_deref() == Some(ABORTED);
        let is_aborted = error.as_ref().is_some_and(aborted) || is(&STOPPED);
        let interrupted = flag(under.interrupted).or_else(|| flag(beside.interrupted));
        let complete = flag(under.completed).or_else(|| flag(beside.completed));
        Some(Self {
            id: word(head.id)?,
            role: word(head.role)?,
            parts,
            turn: word(under.turn_id.or(beside.turn_id)),
            completion: completion(complete, status.as_deref(), &head),
            has_end: has_end(&head) == Some(true),
            is_interrupted: is_aborted || interrupted == Some(true),
            failure: error.or(failed).filter(|_| !is_aborted),
            tokens: head.tokens.or(head.usage),
            cost: number(head.cost.or(head.cost_usd)),
        })
    }

    pub(super) fn is_assistant(&self) -> bool {
        self.role == "assistant"
    }

    pub(super) fn is_user(&self) -> bool {
        self.role == "user"
    }

    /// Whether the box will not write to it any more, if another follows.
    pub(super) const fn is_closed(&self) -> bool {
        match self.completion {
            Completion::Open => self.has_end,
            Completion::Unsaid | Completion::Closed | Completion::Complete => true,
        }
    }

    /// Whether a tool has not come to its end.
    pub(super) fn has_open_tool(&self) -> bool {
        let mut statuses = self.readable_parts().filter_map(|part| part.tool_status());
        statuses.any(|status| matches!(status.as_str(), "pending" | "running"))
    }

    /// Its parts, without those that have another shape than parts have.
    pub(super) fn readable_parts(&self) -> impl Iterator<Item = Part<'_>> {
        self.parts.iter().filter_map(|raw| Part::read(raw).ok())
    }
}

/// The name of the error that an abort leaves.
const ABORTED: &str = "MessageAbortedError";

fn completion(complete: Option<bool>, status: Option<&str>, head: &Head<'_>) -> Completion {
    let ended = |words: &[&str]| status.is_some_and(|status| words.contains(&status));
    let finish = word(head.finish);
    if matches!(finish.as_deref(), Some("tool-calls" | "unknown")) {
        // The agent has called tools, and goes on with what they say.
        return Completion::Open;
    }
    match complete {
        Some(true) => return Completion::Complete,
        Some(false) => return Completion::Open,
        None => {}
    }
    if ended(&MESSAGE_COMPLETE) || finish.as_deref() == Some("stop") {
        return Completion::Complete;
    }
    if ended(&FAILED) || ended(&STOPPED) {
        return Completion::Closed;
    }
    match has_end(head) {
        Some(true) => Completion::Closed,
        Some(false) => Completion::Open,
        None if status.is_some() => Completion::Open,
        None => Completion::Unsaid,
    }
}

/// Whether its times tell an end, if it has times.
fn has_end(head: &Head<'_>) -> Option<bool> {
    let time: Time<'_> = head.time.and_then(object)?;
    Some(flag(time.completed) == Some(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<R>(json: &str, see: impl FnOnce(Option<Message<'_>>) -> R) -> R {
        see(Message::read(&RawValue::from_string(json.to_owned()).expect("JSON")))
    }

    #[test]
    fn fields_are_read_flat_and_under_info() {
        for json in [
            r#"{"id":"m","role":"assistant","parts":[{}],"metadata":{"turnId":"t","completed":true}}"#,
            r#"{"info":{"id":"m","role":"assistant","metadata":{"turnId":"t","completed":true}},"parts":[{}]}"#,
            r#"{"info":{"id":"m","role":"assistant"},"parts":[{}],"metadata":{"turnId":"t","status":"completed"}}"#,
            r#"{"info":{"id":"m","role":"assistant","turnId":"t","completed":true,"parts":[{}]}}"#,
        ] {
            with(json, |message| {
                let message = message.expect("a message");
                assert!(message.is_assistant() && !message.is_user());
                assert_eq!((message.id.as_str(), message.parts.len()), ("m", 1), "{json}");
                assert_eq!(message.turn.as_deref(), Some("t"), "{json}");
                assert_eq!(message.completion, Completion::Complete, "{json}");
            });
        }
        for json in ["null", "[]", "{}", r#"{"id":"m"}"#, r#"{"id":7,"role":"user"}"#] {
            assert!(with(json, |message| message.is_none()), "{json}");
        }
    }

    #[test]
    fn how_far_a_message_is_follows_what_it_says() {
        for (fields, completion) in [
            ("", Completion::Unsaid),
            (r#","metadata":{"completed":false}"#, Completion::Open),
            (r#","metadata":{"completed":true,"status":"running"}"#, Completion::Complete),
            (r#","metadata":{"status":"running"}"#, Completion::Open),
            (r#","metadata":{"status":"failed"}"#, Completion::Closed),
            (r#","time":{"created":1}"#, Completion::Open),
            (r#","time":{"created":1,"completed":2}"#, Completion::Closed),
            (r#","time":{"created":1,"completed":2},"finish":"stop""#, Completion::Complete),
            (r#","time":{"created":1,"completed":2},"finish":"tool-calls""#, Completion::Open),
        ] {
            let json = format!(r#"{{"id":"m","role":"assistant"{fields}}}"#);
            let got = with(&json, |message| message.expect("a message").completion);
            assert_eq!(got, completion, "{json}");
        }
    }

    #[test]
    fn an_abort_is_an_interruption_and_no_failure() {
        for (fields, interrupted, failed) in [
            (r#""metadata":{"interrupted":true}"#, true, false),
            (r#""metadata":{"status":"cancelled"}"#, true, false),
            (r#""error":{"name":"MessageAbortedError"}"#, true, false),
            (r#""error":{"name":"APIError","data":{"message":"m"}}"#, false, true),
            (r#""metadata":{"status":"error"}"#, false, true),
        ] {
            let json = format!(r#"{{"id":"m","role":"assistant",{fields}}}"#);
            with(&json, |message| {
                let message = message.expect("a message");
                let got = (message.is_interrupted, message.failure.is_some());
                assert_eq!(got, (interrupted, failed), "{json}");
            });
        }
    }
}
