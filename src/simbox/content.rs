//! What the agent writes: every change of every part, from the plan and the execution's id alone.
//!
//! Each text names its execution, its run and its part, so that two runs of a turn can be told
//! apart, and the same run of the same plan always writes the same bytes.

use std::fmt::Write as _;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use super::faults::Faults;

/// One visible change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// A tool call is `pending`, `running`, `completed`.
    Tool(u32, &'static str),
    /// A text part has so many of its steps.
    Text(u32, u32),
    /// A whole text part is another text now.
    Rewritten(u32),
    /// A whole text part is half of what it was.
    Shrunk(u32),
    /// The large part is there.
    Big(usize),
}

/// All changes of a turn, in order: tool calls before the text of the same number.
pub(super) fn changes(plan: &Faults) -> Vec<Change> {
    let (parts, tools) = (plan.parts.unwrap_or(1), plan.tool.unwrap_or(0));
    let mut changes = Vec::new();
    for i in 1..=parts.max(tools) {
        if i <= tools {
            changes.extend(["pending", "running", "completed"].map(|phase| Change::Tool(i, phase)));
        }
        if i <= parts {
            changes.extend((1..=plan.grow.unwrap_or(1).max(1)).map(|step| Change::Text(i, step)));
            changes.extend(plan.rewrite.then_some(Change::Rewritten(i)));
            changes.extend(plan.shrink.then_some(Change::Shrunk(i)));
        }
    }
    changes.extend(plan.big.map(Change::Big));
    changes
}

/// A part as it is after a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    /// The part's id.
    pub(super) id: String,
    /// The part.
    pub(super) json: Arc<str>,
    /// Its text, if it is a text part.
    pub(super) text: Option<Arc<str>>,
    /// What was added at its end, if that is all that changed.
    pub(super) delta: Option<String>,
}

/// Who writes: one run of one execution.
#[derive(Debug, Clone)]
pub(super) struct Author {
    pub(super) session: String,
    pub(super) execution: String,
    /// From 1.
    pub(super) run: u32,
    /// What its plan says of these decides what a shrunk part was.
    pub(super) grow: u32,
    pub(super) rewrite: bool,
}

impl Author {
    /// The id of the message that it writes.
    pub(super) fn message(&self) -> String {
        format!("msg_{}_{}", self.execution, self.run)
    }

    /// The part that `change` is about, after it.
    pub(super) fn show(&self, change: Change) -> Shown {
        match change {
            Change::Tool(i, phase) => self.tool(i, phase),
            Change::Text(i, step) => {
                let delta = (step > 1).then(|| word(step));
                self.text(i, self.grown(i, "", step), delta)
            }
            Change::Rewritten(i) => self.text(i, self.whole(i, true), None),
            Change::Shrunk(i) => {
                let mut text = self.whole(i, self.rewrite);
                let half = text.floor_char_boundary(text.len() / 2);
                text.truncate(half);
                self.text(i, text, None)
            }
            Change::Big(bytes) => self.text(0, self.big(bytes), None),
        }
    }

    fn grown(&self, part: u32, how: &str, steps: u32) -> String {
        let mut text = format!("{} run {} part {part}{how}:", self.execution, self.run);
        (1..=steps).for_each(|step| text.push_str(&word(step)));
        text
    }

    fn whole(&self, part: u32, rewritten: bool) -> String {
        self.grown(part, if rewritten { " rewritten" } else { "" }, self.grow)
    }

    fn big(&self, bytes: usize) -> String {
        let mut text = format!("{} run {} big: ", self.execution, self.run);
        let room = bytes.saturating_sub(text.len());
        text.extend(std::iter::repeat_n("0123456789abcde ", room / 16));
        text.extend(std::iter::repeat_n('.', room % 16));
        text
    }

    /// Part 0 is the large one.
    fn text(&self, part: u32, text: String, delta: Option<String>) -> Shown {
        let id = format!("prt_{}_{}_{part}", self.execution, self.run);
        let json = self.part(&id, json!({ "type": "text", "text": text }));
        Shown { id, json, text: Some(text.into()), delta }
    }

    fn tool(&self, i: u32, phase: &str) -> Shown {
        let id = format!("prt_{}_{}_tool{i}", self.execution, self.run);
        let output = format!("{} run {} tool {i}", self.execution, self.run);
        let state = State {
            status: phase,
            input: json!({ "command": format!("step {i}") }),
            output: (phase == "completed").then_some(output),
        };
        let call = format!("call_{}_{}_{i}", self.execution, self.run);
        let json = json!({ "type": "tool", "tool": "bash", "callID": call, "state": state });
        Shown { json: self.part(&id, json), id, text: None, delta: None }
    }

    fn part(&self, id: &str, rest: Value) -> Arc<str> {
        let part = Part { id, session: &self.session, message: &self.message(), rest };
        // Strings and numbers always serialise.
        serde_json::to_string(&part).unwrap_or_default().into()
    }
}

/// The state of a tool's part.
#[derive(Serialize)]
struct State<'a> {
    status: &'a str,
    input: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
}

/// What all parts have.
#[derive(Serialize)]
struct Part<'a> {
    id: &'a str,
    #[serde(rename = "sessionID")]
    session: &'a str,
    #[serde(rename = "messageID")]
    message: &'a str,
    #[serde(flatten)]
    rest: Value,
}

fn word(step: u32) -> String {
    let mut word = String::new();
    // Writing to a string cannot fail.
    let _ = write!(word, " word{step}");
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    fn author() -> Author {
        let (session, execution) = ("ses".to_owned(), "exec".to_owned());
        Author { session, execution, run: 2, grow: 3, rewrite: true }
    }

    fn text(change: Change) -> String {
        author().show(change).text.expect("a text part").to_string()
    }

    #[test]
    fn the_changes_of_a_plan_are_in_order() {
        use Change::{Big, Rewritten, Shrunk, Text, Tool};
        let plan = Faults::default();
        assert_eq!(changes(&plan), [Text(1, 1)]);
        let plan = plan.with_words_of("parts=2 grow=2 tool=1 rewrite shrink big=100B");
        let expected = [
            Tool(1, "pending"),
            Tool(1, "running"),
            Tool(1, "completed"),
            Text(1, 1),
            Text(1, 2),
            Rewritten(1),
            Shrunk(1),
            Text(2, 1),
            Text(2, 2),
            Rewritten(2),
            Shrunk(2),
            Big(100),
        ];
        assert_eq!(changes(&plan.expect("good words")), expected);
    }

    #[test]
    fn a_text_grows_by_its_delta_and_names_its_run() {
        let (one, two) = (author().show(Change::Text(1, 1)), author().show(Change::Text(1, 2)));
        assert_eq!(one.text.as_deref(), Some("exec run 2 part 1: word1"));
        let grown = format!("{}{}", text(Change::Text(1, 1)), two.delta.expect("a delta"));
        assert_eq!(two.text.as_deref(), Some(grown.as_str()));
        assert_eq!((one.id, one.delta), (two.id, None));
    }

    #[test]
    fn a_rewritten_part_shares_no_text_and_a_shrunk_one_is_its_half() {
        let (whole, other) = (text(Change::Text(1, 3)), text(Change::Rewritten(1)));
        assert!(!other.starts_with(&whole) && !whole.starts_with(&other));
        let shrunk = text(Change::Shrunk(1));
        assert!(other.starts_with(&shrunk) && shrunk.len() < other.len());
    }

    #[test]
    fn a_big_part_has_exactly_its_size() {
        for size in [100, 101, 4096, 1 << 20] {
            assert_eq!(text(Change::Big(size)).len(), size);
        }
    }

    #[test]
    fn a_part_is_json_with_its_ids() {
        let shown = author().show(Change::Tool(1, "completed"));
        let json: Value = serde_json::from_str(&shown.json).expect("JSON");
        assert_eq!(json["messageID"], "msg_exec_2");
        assert_eq!(json["sessionID"], "ses");
        assert_eq!(json["id"], shown.id.as_str());
        assert_eq!(json["state"]["output"], "exec run 2 tool 1");
    }
}
