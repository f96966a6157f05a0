//! The messages of a session and how a poll reads them.
//!
//! Parts are JSON already when they get here, and are copied as they are: a long part is built
//! once, however often it is polled.

use std::sync::Arc;

use serde::Serialize;
use serde_json::json;

use super::faults::{Faults, Shape};

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

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    status: &'a str,
    completed: bool,
    interrupted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    turn_id: Option<&'a str>,
}

impl Message {
    fn write(&self, out: &mut String, plan: &Faults) {
        let metadata = Metadata {
            status: self.status,
            completed: self.status != "running",
            interrupted: self.interrupted,
            turn_id: self.turn_id.as_deref().filter(|_| !plan.no_turn_id),
        };
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
    use serde_json::Value;

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
