//! From the sandbox's form of a prompt to opencode's.
//!
//! `message` (a string) or `parts` become the parts of a `prompt_async`; `model` and `agent` are
//! passed on, `backend.model {provider, model}` is the sandbox's way to name a model. Their JSON
//! tokens are copied, not decoded. A model that is named in a form that opencode does not know is
//! an error here: left out, the turn would run on another model and nobody would see it.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::limits;
use crate::upstream::BadPrompt;
use crate::upstream::snapshot::nesting::is_nested_deeper_than;

/// The client's body, as far as it matters.
#[derive(Deserialize)]
struct Sent<'a> {
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    parts: Option<&'a RawValue>,
    #[serde(borrow, default)]
    model: Option<&'a RawValue>,
    #[serde(borrow, default)]
    agent: Option<&'a RawValue>,
    #[serde(borrow, default)]
    backend: Option<&'a RawValue>,
}

/// The sandbox's `backend`; its other keys are not opencode's business.
#[derive(Deserialize)]
struct Backend<'a> {
    #[serde(borrow, default)]
    model: Option<&'a RawValue>,
}

/// The sandbox's form of a model.
#[derive(Deserialize)]
struct BackendModel {
    provider: String,
    model: String,
}

/// The body of `prompt_async`.
#[derive(Serialize)]
struct PromptAsync<'a> {
    #[serde(rename = "messageID")]
    message_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<ChosenModel<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<&'a RawValue>,
    parts: Parts<'a>,
}

/// opencode's form of a model.
#[derive(Serialize, Deserialize)]
struct Model {
    #[serde(rename = "providerID")]
    provider: String,
    #[serde(rename = "modelID")]
    model: String,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ChosenModel<'a> {
    Given(&'a RawValue),
    Made(Model),
}

#[derive(Serialize)]
#[serde(untagged)]
enum Parts<'a> {
    Given(&'a RawValue),
    Text([TextPart<'a>; 1]),
}

#[derive(Serialize)]
struct TextPart<'a> {
    r#type: &'static str,
    text: &'a RawValue,
}

/// The body of `prompt_async` under `message_id` for the client's `body`.
pub(super) fn translate(body: &[u8], message_id: &str) -> Result<Bytes, BadPrompt> {
    if is_nested_deeper_than(limits::MAX_PROMPT_DEPTH, body) {
        return bad("the body is nested too deeply");
    }
    let text = std::str::from_utf8(body).map_err(|_| BadPrompt("the body is not UTF-8".into()))?;
    if !text.trim_ascii_start().starts_with('{') {
        return bad("the body is not a JSON object");
    }
    let sent: Sent<'_> = serde_json::from_str(text)
        .map_err(|_| BadPrompt("the body is not a JSON object, or names a key twice".into()))?;
    let prompt = PromptAsync {
        message_id,
        model: model(&sent)?,
        agent: agent(&sent)?,
        parts: parts(&sent)?,
    };
    let json = serde_json::to_vec(&prompt)
        .map_err(|_| BadPrompt("the prompt cannot be written as JSON".into()))?;
    Ok(json.into())
}

fn parts<'a>(sent: &Sent<'a>) -> Result<Parts<'a>, BadPrompt> {
    if let Some(raw) = sent.parts.filter(|raw| raw.get() != "[]") {
        let Ok(parts) = serde_json::from_str::<Vec<&RawValue>>(raw.get()) else {
            return bad("`parts` is not a list");
        };
        if !parts.iter().all(|part| part.get().starts_with('{')) {
            return bad("`parts` holds something that is not an object");
        }
        if !parts.is_empty() {
            return Ok(Parts::Given(raw));
        }
    }
    match sent.message {
        Some(text) if !text.get().starts_with('"') => bad("`message` is not a string"),
        Some(text) if text.get() != "\"\"" => Ok(Parts::Text([TextPart { r#type: "text", text }])),
        Some(_) | None => bad("the body has neither a `message` nor `parts`"),
    }
}

fn agent<'a>(sent: &Sent<'a>) -> Result<Option<&'a RawValue>, BadPrompt> {
    match sent.agent {
        Some(raw) if !raw.get().starts_with('"') => bad("`agent` is not a string"),
        agent => Ok(agent),
    }
}

fn model<'a>(sent: &Sent<'a>) -> Result<Option<ChosenModel<'a>>, BadPrompt> {
    if let Some(raw) = sent.model {
        return match serde_json::from_str::<Model>(raw.get()) {
            Ok(_) => Ok(Some(ChosenModel::Given(raw))),
            Err(_) => bad("`model` is not {\"providerID\":…,\"modelID\":…}"),
        };
    }
    // A backend in another form names no model; the sandbox takes a bare name there.
    let Some(backend) = sent.backend.filter(|raw| raw.get().starts_with('{')) else {
        return Ok(None);
    };
    let Ok(Backend { model }) = serde_json::from_str(backend.get()) else {
        return bad("`backend` names a key twice");
    };
    let Some(raw) = model else { return Ok(None) };
    match serde_json::from_str(raw.get()) {
        Ok(BackendModel { provider, model }) => {
            Ok(Some(ChosenModel::Made(Model { provider, model })))
        }
        Err(_) => bad("`backend.model` is not {\"provider\":…,\"model\":…}"),
    }
}

fn bad<T>(what: &str) -> Result<T, BadPrompt> {
    Err(BadPrompt(what.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(body: &str) -> String {
        let bytes = translate(body.as_bytes(), "msg_1").expect("a good prompt");
        String::from_utf8(bytes.to_vec()).expect("JSON is UTF-8")
    }

    #[test]
    fn a_message_or_parts_become_parts_with_their_own_bytes() {
        for (body, parts) in [
            (r#"{"message":"a\u00e9\ud83d b"}"#, r#"[{"type":"text","text":"a\u00e9\ud83d b"}]"#),
            (
                r#"{"parts":[ {"type":"text","text":"x","n":1.0} ]}"#,
                r#"[ {"type":"text","text":"x","n":1.0} ]"#,
            ),
            (r#"{"message":"ignored","parts":[{"type":"file"}]}"#, r#"[{"type":"file"}]"#),
            (r#"{"message":"used","parts":[]}"#, r#"[{"type":"text","text":"used"}]"#),
            (r#"{"message":"used","parts":[ ]}"#, r#"[{"type":"text","text":"used"}]"#),
            (
                r#" {"message":"used","parts":null,"model":null,"agent":null,"backend":null}"#,
                r#"[{"type":"text","text":"used"}]"#,
            ),
        ] {
            assert_eq!(translated(body), format!(r#"{{"messageID":"msg_1","parts":{parts}}}"#));
        }
    }

    #[test]
    fn a_model_and_an_agent_are_passed_on_in_both_forms() {
        let named = r#""model":{"providerID":"p","modelID":"m"}"#;
        for body in [
            r#"{"message":"x","model":{"providerID":"p","modelID":"m"}}"#,
            r#"{"message":"x","backend":{"type":"opencode","model":{"provider":"p","model":"m"}}}"#,
        ] {
            assert!(translated(body).contains(named), "{body}");
        }
        assert!(translated(r#"{"message":"x","agent":"plan"}"#).contains(r#""agent":"plan""#));
        assert!(!translated(r#"{"message":"x","backend":"opencode"}"#).contains("model"));
    }

    #[test]
    fn a_body_without_a_usable_prompt_is_refused() {
        for body in [
            "",
            "null",
            "[]",
            "\"x\"",
            "{",
            "{}",
            r#"{"message":""}"#,
            r#"{"message":7}"#,
            r#"{"message":null}"#,
            r#"{"parts":{}}"#,
            r#"{"parts":["x"]}"#,
            r#"{"parts":"x"}"#,
            r#"{"message":"x","message":"y"}"#,
            r#"{"message":"x"} x"#,
            r#"{"message":"x","model":"p/m"}"#,
            r#"{"message":"x","model":{"modelID":"m"}}"#,
            r#"{"message":"x","agent":{}}"#,
            r#"{"message":"x","backend":{"model":"p/m"}}"#,
        ] {
            assert!(translate(body.as_bytes(), "msg_1").is_err(), "{body}");
        }
        assert!(translate(b"{\"message\":\"\xff\"}", "msg_1").is_err());
    }

    #[test]
    fn deep_nesting_is_an_error_and_no_stack_overflow() {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            let deep = format!("{}1{}", open.repeat(1_000_000), close.repeat(1_000_000));
            let body = format!(r#"{{"message":"x","metadata":{deep}}}"#);
            assert!(translate(body.as_bytes(), "msg_1").is_err());
        }
        let brackets_in_text = format!(r#"{{"message":"{}"}}"#, "[\\\"{".repeat(1000));
        assert!(translate(brackets_in_text.as_bytes(), "msg_1").is_ok());
    }
}
