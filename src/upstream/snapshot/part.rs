//! The fields of a part that the machine needs; everything else of it passes through undecoded.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

/// A part of a message.
#[derive(Debug, Deserialize)]
pub(in crate::upstream) struct Part<'a> {
    #[serde(borrow)]
    pub(in crate::upstream) id: Cow<'a, str>,
    #[serde(rename = "type", borrow)]
    pub(in crate::upstream) kind: Cow<'a, str>,
    /// Raw, so that growth is seen and passed on in the box's own bytes.
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
    /// Where some versions keep the text.
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    pub(super) time: Option<PartTime>,
    #[serde(borrow, default)]
    state: Option<&'a RawValue>,
}

/// When a text part ended; absent while it is written.
#[derive(Debug, Deserialize)]
pub(super) struct PartTime {
    pub(super) end: Option<IgnoredAny>,
}

/// The state of a tool part.
#[derive(Debug, Deserialize)]
struct ToolState {
    status: String,
}

impl<'a> Part<'a> {
    pub(in crate::upstream) fn read(raw: &'a RawValue) -> Result<Self, serde_json::Error> {
        serde_json::from_str(raw.get())
    }

    pub(in crate::upstream) fn is_tool(&self) -> bool {
        self.kind == "tool"
    }

    /// A tool's status; `None` for other parts.
    pub(in crate::upstream) fn tool_status(&self) -> Option<String> {
        let state = self.state.filter(|_| self.is_tool())?;
        serde_json::from_str::<ToolState>(state.get()).ok().map(|state| state.status)
    }

    /// The text of a part that people read, as its JSON token without the quotes.
    pub(in crate::upstream) fn raw_text(&self) -> Option<&'a str> {
        if !matches!(&*self.kind, "text" | "reasoning") {
            return None;
        }
        let string = |raw: &'a RawValue| raw.get().strip_prefix('"')?.strip_suffix('"');
        self.text.and_then(string).or_else(|| self.content.and_then(string))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stands_under_text_or_content() {
        for (json, text) in [
            (r#"{"id":"p","type":"text","text":"a\n"}"#, Some(r"a\n")),
            (r#"{"id":"p","type":"text","content":"b"}"#, Some("b")),
            (r#"{"id":"p","type":"reasoning","text":null,"content":"c"}"#, Some("c")),
            (r#"{"id":"p","type":"text","text":"","content":"d"}"#, Some("")),
            (r#"{"id":"p","type":"file","text":"e"}"#, None),
            (r#"{"id":"p","type":"text","text":7}"#, None),
        ] {
            let raw = RawValue::from_string(json.to_owned()).expect("JSON");
            assert_eq!(Part::read(&raw).expect("a part").raw_text(), text, "{json}");
        }
    }
}
