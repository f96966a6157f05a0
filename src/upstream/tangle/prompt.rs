//! Reading the prompt in a client's body, which goes out as it is: whether there is one, and the
//! hash by which it is known again among the box's messages.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::ids::TurnId;
use crate::limits;
use crate::upstream::snapshot::nesting::is_nested_deeper_than;
use crate::upstream::snapshot::text::decoded;
use crate::upstream::{BadPrompt, TextHash};

/// The client's body, as far as it matters.
#[derive(Deserialize)]
struct Sent<'a> {
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    parts: Option<&'a RawValue>,
}

/// A part of a prompt, or of a user's message.
#[derive(Deserialize)]
struct Said<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    synthetic: Option<&'a RawValue>,
}

/// The body for the route that puts a message into a session.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    parts: Parts<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    turn_id: Option<&'a str>,
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

/// The hash of the prompt's text: of `message`, or of the texts in `parts`, joined. None for a
/// prompt of files alone.
pub(super) fn text_hash(body: &[u8]) -> Result<Option<TextHash>, BadPrompt> {
    let sent = read(body)?;
    if let Some(text) = message(&sent)? {
        return Ok(Some(TextHash::of(&text)));
    }
    let parts = parts(&sent)?;
    if parts.is_empty() {
        return bad("the body has neither a `message` nor `parts`");
    }
    let text = texts(&parts).concat();
    Ok((!text.is_empty()).then(|| TextHash::of(&text)))
}

/// The body that puts the prompt into a session as a message.
pub(super) fn as_message(body: &[u8], turn: Option<&TurnId>) -> Result<Bytes, BadPrompt> {
    let sent = read(body)?;
    let parts = match (sent.parts, sent.message) {
        (Some(given), _) if !parts(&sent)?.is_empty() => Parts::Given(given),
        (_, Some(text)) if message(&sent)?.is_some() => {
            Parts::Text([TextPart { r#type: "text", text }])
        }
        (_, _) => return bad("the body has neither a `message` nor `parts`"),
    };
    let message = Message { parts, turn_id: turn.map(TurnId::as_str) };
    let json = serde_json::to_vec(&message)
        .map_err(|_| BadPrompt("the prompt cannot be written as JSON".into()))?;
    Ok(json.into())
}

/// Whether a user's message of the box holds the text that `hash` was made of. A box may keep it
/// whole or in parts, and may add parts of its own.
pub(super) fn holds(parts: &[&RawValue], hash: TextHash) -> bool {
    let texts = texts(parts);
    TextHash::of(&texts.concat()) == hash || texts.iter().any(|text| TextHash::of(text) == hash)
}

/// Whether a user's message was written by the box itself.
pub(super) fn is_synthetic(parts: &[&RawValue]) -> bool {
    let by_the_box = |raw: &&RawValue| {
        serde_json::from_str::<Said<'_>>(raw.get())
            .is_ok_and(|said| said.synthetic.is_some_and(|flag| flag.get() == "true"))
    };
    !parts.is_empty() && parts.iter().all(by_the_box)
}

fn read(body: &[u8]) -> Result<Sent<'_>, BadPrompt> {
    if is_nested_deeper_than(limits::MAX_PROMPT_DEPTH, body) {
        return bad("the body is nested too deeply");
    }
    let text = std::str::from_utf8(body).map_err(|_| BadPrompt("the body is not UTF-8".into()))?;
    if !text.trim_ascii_start().starts_with('{') {
        return bad("the body is not a JSON object");
    }
    serde_json::from_str(text)
        .map_err(|_| BadPrompt("the body is not a JSON object, or names a key twice".into()))
}

fn message(sent: &Sent<'_>) -> Result<Option<String>, BadPrompt> {
    let Some(raw) = sent.message else { return Ok(None) };
    let Some(token) = raw.get().strip_prefix('"').and_then(|text| text.strip_suffix('"')) else {
        return bad("`message` is not a string");
    };
    Ok(Some(decoded(token)).filter(|text| !text.is_empty()))
}

fn parts<'a>(sent: &Sent<'a>) -> Result<Vec<&'a RawValue>, BadPrompt> {
    let Some(raw) = sent.parts else { return Ok(Vec::new()) };
    serde_json::from_str(raw.get()).map_err(|_| BadPrompt("`parts` is not a list".into()))
}

/// The texts that a person wrote.
fn texts(parts: &[&RawValue]) -> Vec<String> {
    let text = |raw: &&RawValue| {
        let said: Said<'_> = serde_json::from_str(raw.get()).ok()?;
        let is_text = said.kind.is_some_and(|kind| kind.get() == "\"text\"");
        let by_the_box = said.synthetic.is_some_and(|flag| flag.get() == "true");
        let string =
            |raw: &RawValue| Some(decoded(raw.get().strip_prefix('"')?.strip_suffix('"')?));
        let text = said.text.and_then(string).or_else(|| said.content.and_then(string))?;
        (is_text && !by_the_box).then_some(text)
    };
    parts.iter().filter_map(text).collect()
}

fn bad<T>(what: &str) -> Result<T, BadPrompt> {
    Err(BadPrompt(what.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_known_by_its_text_however_it_is_written() {
        for body in [
            r#"{"message":"a b"}"#,
            r#" {"sessionId":"s","message":"\u0061 b","parts":null}"#,
            r#"{"parts":[{"type":"text","text":"a"},{"type":"file"},{"type":"text","text":" b"}]}"#,
            r#"{"message":"","parts":[{"type":"text","content":"a b"}]}"#,
        ] {
            assert_eq!(text_hash(body.as_bytes()), Ok(Some(TextHash::of("a b"))), "{body}");
        }
    }

    #[test]
    fn a_prompt_of_files_alone_is_one_without_a_text_to_know_it_by() {
        for body in
            [r#"{"parts":[{"type":"file","url":"x"}]}"#, r#"{"parts":[{"type":"text","text":""}]}"#]
        {
            assert_eq!(text_hash(body.as_bytes()), Ok(None), "{body}");
        }
    }

    #[test]
    fn a_body_without_a_prompt_is_refused() {
        for body in [
            "",
            "null",
            "[]",
            "{",
            "{}",
            r#"{"message":""}"#,
            r#"{"message":7}"#,
            r#"{"parts":{}}"#,
            r#"{"parts":[]}"#,
            r#"{"message":"x","message":"y"}"#,
            r#"{"message":"x"} x"#,
        ] {
            assert!(text_hash(body.as_bytes()).is_err(), "{body}");
        }
        let deep = format!(r#"{{"message":"x","a":{}"#, "[".repeat(1 << 20));
        assert!(text_hash(deep.as_bytes()).is_err());
    }

    #[test]
    fn a_message_for_a_session_keeps_the_clients_tokens() {
        let turn = TurnId::parse("t-1").expect("an id");
        for (body, turn, sent) in [
            (
                r#"{"message":"a\u00e9","x":1}"#,
                None,
                r#"{"parts":[{"type":"text","text":"a\u00e9"}]}"#,
            ),
            (
                r#"{"parts":[ {"type":"text","text":"x","n":1.0} ],"message":"y"}"#,
                Some(&turn),
                r#"{"parts":[ {"type":"text","text":"x","n":1.0} ],"turnId":"t-1"}"#,
            ),
        ] {
            let got = as_message(body.as_bytes(), turn).expect("a prompt");
            assert_eq!(std::str::from_utf8(&got), Ok(sent));
        }
    }

    #[test]
    fn a_text_is_found_whole_or_among_parts_of_the_boxs_own() {
        let holds = |json: &str, text| {
            let parts: Vec<&RawValue> = serde_json::from_str(json).expect("a list");
            holds(&parts, TextHash::of(text))
        };
        assert!(holds(r#"[{"type":"text","text":"a"},{"type":"text","text":"b"}]"#, "ab"));
        assert!(holds(r#"[{"type":"text","text":"a"},{"type":"text","text":"context"}]"#, "a"));
        assert!(holds(
            r#"[{"type":"text","text":"ctx","synthetic":true},{"type":"text","content":"a"}]"#,
            "a"
        ));
        assert!(!holds(r#"[{"type":"reasoning","text":"a"},{"type":"text","text":"A"}]"#, "a"));
    }
}
