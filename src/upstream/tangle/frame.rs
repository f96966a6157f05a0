//! One frame of a run's stream: its name, and what its JSON says, which may stand flat or in an
//! envelope (`{"type", "properties"}` or `{"type", "data"}`).

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::api::{Failure, flag, number, object, word};
use crate::event::{Event, EventName, WireJson};
use crate::limits;
use crate::sse::parser::Frame;
use crate::upstream::snapshot::nesting::is_nested_deeper_than;

/// What frames without a name of their own are called by the parser.
const UNNAMED: &str = "message";

/// What a frame means to a dispatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It names the turn.
    Started,
    /// It tells an end; the stream may go on with others that do.
    Closing,
    /// Nothing follows it.
    Done,
    /// Anything else.
    Other,
}

/// A frame that can be shown.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) kind: Kind,
    /// The frame as clients see it, with the box's own data.
    pub(super) event: Event,
    json: Box<RawValue>,
}

/// The fields of a frame that matter, wherever they stand.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    properties: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    session_id: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "sessionID")]
    session_id_upper: Option<&'a RawValue>,
    #[serde(borrow, default)]
    execution_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
    #[serde(borrow, default)]
    success: Option<&'a RawValue>,
    #[serde(borrow, default)]
    status: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error_code: Option<&'a RawValue>,
    #[serde(borrow, default)]
    code: Option<&'a RawValue>,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    final_text: Option<&'a RawValue>,
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
    #[serde(borrow, default)]
    response: Option<&'a RawValue>,
    #[serde(borrow, default)]
    token_usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    total_cost_usd: Option<&'a RawValue>,
    #[serde(borrow, default)]
    cost_usd: Option<&'a RawValue>,
}

/// What a frame, or the result route, says of a turn.
#[derive(Debug, Default)]
pub(super) struct Said<'a> {
    pub(super) session: Option<String>,
    pub(super) execution: Option<String>,
    pub(super) success: Option<bool>,
    /// In lower case.
    pub(super) status: Option<String>,
    pub(super) failure: Option<Failure>,
    pub(super) text: Option<&'a RawValue>,
    pub(super) usage: Option<&'a RawValue>,
    /// US dollars.
    pub(super) cost: Option<f64>,
}

impl Told {
    /// `None` for a frame that holds no JSON object, or none that clients could decode.
    pub(super) fn read(frame: Frame) -> Option<Self> {
        let Frame { id: _, name, data } = frame;
        if is_nested_deeper_than(limits::MAX_SHOWN_DEPTH, data.as_bytes()) {
            return None;
        }
        let json = RawValue::from_string(data.trim_ascii().to_owned()).ok()?;
        let name = if name == UNNAMED { word(object::<Fields<'_>>(&json)?.kind)? } else { name };
        let data = WireJson::from_json(json.get().as_bytes()).ok()?;
        let kind = kind(&name);
        let event = Event { name: EventName::parse(Bytes::from(name)).ok()?, data };
        Some(Self { kind, event, json })
    }

    pub(super) fn said(&self) -> Said<'_> {
        said(&self.json)
    }

    /// Whether the frame tells a failure by its name alone.
    pub(super) fn is_failure(&self) -> bool {
        ["error", "session.run.failed"].iter().any(|name| self.event.name == **name)
    }
}

fn kind(name: &str) -> Kind {
    match name {
        "execution.started" => Kind::Started,
        "result" | "error" | "session.run.completed" | "session.run.failed" => Kind::Closing,
        "done" => Kind::Done,
        _ => Kind::Other,
    }
}

/// Reads `json` flat and in its envelope; the envelope's content counts first.
pub(super) fn said(json: &RawValue) -> Said<'_> {
    let outer: Fields<'_> = object(json).unwrap_or_default();
    let inner: Fields<'_> = outer.properties.or(outer.data).and_then(object).unwrap_or_default();
    let session = |fields: &Fields<'_>| {
        let under = fields.metadata.and_then(object::<Fields<'_>>);
        let under = under.and_then(|under| word(under.session_id));
        word(fields.session_id).or_else(|| word(fields.session_id_upper)).or(under)
    };
    let status = word(inner.status).or_else(|| word(outer.status));
    Said {
        session: session(&inner).or_else(|| session(&outer)),
        execution: word(inner.execution_id).or_else(|| word(outer.execution_id)),
        success: flag(inner.success.or(outer.success)),
        status: status.map(|status| status.to_ascii_lowercase()),
        failure: failure(&inner).or_else(|| failure(&outer)),
        text: [inner.final_text, inner.text, inner.response]
            .into_iter()
            .chain([outer.final_text, outer.text, outer.response])
            .flatten()
            .find(|text| text.get().starts_with('"')),
        usage: [inner.token_usage, inner.usage, outer.token_usage, outer.usage]
            .into_iter()
            .flatten()
            .find(|usage| usage.get().starts_with('{')),
        cost: [inner.total_cost_usd, inner.cost_usd, outer.total_cost_usd, outer.cost_usd]
            .into_iter()
            .find_map(number),
    }
}

/// `{error, errorCode}` of a result, or `{code, message}` of an error.
fn failure(fields: &Fields<'_>) -> Option<Failure> {
    let told = Failure::read(fields.error);
    let (name, message) = told.map_or((None, None), |told| (told.name, told.message));
    let name = word(fields.error_code).or(name).or_else(|| word(fields.code));
    let message = message.or_else(|| word(fields.message));
    (name.is_some() || message.is_some()).then_some(Failure { name, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(name: &str, data: &str) -> Option<Told> {
        Told::read(Frame { id: None, name: name.to_owned(), data: data.to_owned() })
    }

    #[test]
    fn ids_are_found_flat_and_in_both_envelopes() {
        for data in [
            r#"{"executionId":"e","sessionId":"s"}"#,
            r#"{"type":"execution.started","properties":{"executionId":"e","sessionId":"s"}}"#,
            r#"{"type":"execution.started","data":{"executionId":"e","sessionID":"s"}}"#,
            r#"{"executionId":"e","metadata":{"sessionId":"s"}}"#,
        ] {
            let told = frame("execution.started", data).expect("a frame");
            let said = told.said();
            assert_eq!(
                (said.session.as_deref(), said.execution.as_deref()),
                (Some("s"), Some("e"))
            );
            assert_eq!(told.kind, Kind::Started);
            assert_eq!(told.event.data.as_bytes(), data.as_bytes());
        }
    }

    #[test]
    fn a_frame_without_a_name_is_called_by_its_type() {
        let told = frame(UNNAMED, r#"{"type":"done","data":{"status":"success"}}"#).expect("one");
        assert_eq!((told.kind, told.said().status.as_deref()), (Kind::Done, Some("success")));
        assert!(frame(UNNAMED, "{}").is_none());
    }

    #[test]
    fn what_cannot_be_shown_is_left_out() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(200), "]".repeat(200));
        for data in ["", "null", "[1]", "{", "plain", deep.as_str()] {
            assert!(frame("result", data).is_none(), "{data}");
        }
        assert!(frame("a\0b", "{}").is_none());
    }
}
