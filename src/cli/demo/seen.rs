//! What a client has seen of a turn: how many events, whether their ids follow each other, the
//! parts of the agent's work, and the answer.
//!
//! Nothing here knows how the events came.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::sse::parser::Frame;

/// The parts of an agent's work by their ids, each as it was last.
pub(super) type Parts = BTreeMap<String, Value>;

/// Counts of one client and one turn.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Events with an id that followed the last one.
    pub(super) events: u64,
    /// The parts that they showed.
    pub(super) parts: Parts,
    /// The id of the last event; 0 before the first.
    pub(super) last: u64,
    /// Events whose id had been seen already.
    pub(super) doubled: u64,
    /// Ids that were jumped over.
    pub(super) missing: u64,
    /// Events whose id is no number, or that have none.
    pub(super) unnumbered: u64,
    /// Events called `done`.
    pub(super) done: u64,
    /// The text of the last `result`.
    pub(super) answer: Option<String>,
    /// Streams that were opened.
    pub(super) streams: u64,
    /// Streams that ended before `done`.
    pub(super) cuts: u64,
    /// Connections that were refused or broke before an answer.
    pub(super) refused: u64,
    /// Answers in a row that were no stream.
    pub(super) strikes: u32,
}

/// What counts of a frame's JSON, in both forms in which boxes send it.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Told {
    final_text: Option<String>,
    part: Option<Value>,
    properties: Option<Box<Told>>,
}

impl Told {
    /// What `data` says; nothing if it is no JSON.
    fn by(data: &str) -> Self {
        let Self { final_text, part, properties } = serde_json::from_str(data).unwrap_or_default();
        let Self { final_text: inner_text, part: inner_part, properties: _ } =
            properties.map(|inner| *inner).unwrap_or_default();
        Self { final_text: final_text.or(inner_text), part: part.or(inner_part), properties: None }
    }
}

/// A part under its id; `None` if it has none.
pub(super) fn by_id(part: Value) -> Option<(String, Value)> {
    let id = part.get("id")?.as_str()?.to_owned();
    Some((id, part))
}

impl Seen {
    /// A stream was opened.
    pub(super) const fn stream_opened(&mut self) {
        self.streams += 1;
        self.strikes = 0;
    }

    /// An answer was no stream.
    pub(super) const fn turned_away(&mut self) {
        self.strikes += 1;
    }

    /// Counts one event.
    pub(super) fn take(&mut self, frame: &Frame) {
        let Some(id) = frame.id.as_deref().and_then(|id| id.parse::<u64>().ok()) else {
            self.unnumbered += 1;
            return;
        };
        if id <= self.last {
            self.doubled += 1;
            return;
        }
        self.missing += id - self.last - 1;
        self.last = id;
        self.events += 1;
        match frame.name.as_str() {
            "message.part.updated" => self.parts.extend(Told::by(&frame.data).part.and_then(by_id)),
            "result" => self.answer = Told::by(&frame.data).final_text,
            "done" => self.done += 1,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(frames: &[(&str, &str, &str)]) -> Seen {
        let mut seen = Seen::default();
        for (id, name, data) in frames {
            let id = (!id.is_empty()).then(|| (*id).to_owned());
            seen.take(&Frame { id, name: (*name).to_owned(), data: (*data).to_owned() });
        }
        seen
    }

    #[test]
    fn a_whole_turn_has_neither_holes_nor_doubles() {
        let seen = seen(&[
            ("1", "execution.started", "{}"),
            ("2", "message.part.updated", r#"{"part":{"id":"p","text":"g"}}"#),
            ("3", "message.part.updated", r#"{"part":{"id":"p","text":"good"},"delta":"ood"}"#),
            ("4", "result", r#"{"finalText":"good"}"#),
            ("5", "done", "{}"),
        ]);
        let part = serde_json::json!({ "id": "p", "text": "good" });
        let expected = Seen {
            events: 5,
            parts: Parts::from([("p".to_owned(), part)]),
            last: 5,
            done: 1,
            answer: Some("good".to_owned()),
            ..Seen::default()
        };
        assert_eq!(seen, expected);
    }

    #[test]
    fn doubles_holes_and_events_without_a_number_are_counted_apart() {
        let seen = seen(&[
            ("2", "a", ""),
            ("2", "a", ""),
            ("1", "a", ""),
            ("5", "a", ""),
            ("", "warning", ""),
            ("x", "a", ""),
        ]);
        let expected =
            Seen { events: 2, last: 5, doubled: 2, missing: 3, unnumbered: 2, ..Seen::default() };
        assert_eq!(seen, expected);
    }

    #[test]
    fn answers_and_parts_are_found_in_both_forms() {
        let told = r#"{"finalText":"x","part":{"id":"p"}}"#;
        for data in [told.to_owned(), format!(r#"{{"type":"any","properties":{told}}}"#)] {
            let seen = seen(&[("1", "result", &data), ("2", "message.part.updated", &data)]);
            assert_eq!(seen.answer.as_deref(), Some("x"), "{data}");
            assert_eq!(seen.parts.keys().collect::<Vec<_>>(), ["p"], "{data}");
        }
        let seen = seen(&[("1", "result", "{}"), ("2", "message.part.updated", "no JSON")]);
        assert_eq!((seen.answer, seen.parts.len(), seen.events), (None, 0, 2));
    }

    #[test]
    fn only_answers_in_a_row_that_are_no_stream_count() {
        let mut seen = Seen::default();
        seen.turned_away();
        seen.turned_away();
        seen.stream_opened();
        seen.turned_away();
        assert_eq!(seen.strikes, 1);
    }
}
