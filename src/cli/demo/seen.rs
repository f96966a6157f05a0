//! What a client has seen of a turn: how many events, whether their ids follow each other, and
//! the answer.
//!
//! Nothing here knows how the events came.

use serde::Deserialize;

use crate::sse::parser::Frame;

/// Counts of one client and one turn.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Events with an id that followed the last one.
    pub(super) events: u64,
    /// Those of them that showed a part of the agent's work.
    pub(super) parts: u64,
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

/// The result's text, in both forms in which boxes send it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TurnResult {
    final_text: Option<String>,
    properties: Option<Box<TurnResult>>,
}

impl TurnResult {
    fn text(self) -> Option<String> {
        let Self { final_text, properties } = self;
        final_text.or_else(|| properties?.text())
    }
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
            "message.part.updated" => self.parts += 1,
            "result" => {
                let result = serde_json::from_str::<TurnResult>(&frame.data);
                self.answer = result.ok().and_then(TurnResult::text);
            }
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
            ("2", "message.part.updated", "{}"),
            ("3", "result", r#"{"finalText":"good"}"#),
            ("4", "done", "{}"),
        ]);
        let expected = Seen {
            events: 4,
            parts: 1,
            last: 4,
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
    fn the_answer_is_found_in_both_forms() {
        for data in [r#"{"finalText":"x"}"#, r#"{"type":"result","properties":{"finalText":"x"}}"#]
        {
            assert_eq!(seen(&[("1", "result", data)]).answer.as_deref(), Some("x"), "{data}");
        }
        assert_eq!(seen(&[("1", "result", "{}")]).answer, None);
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
