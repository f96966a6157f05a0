//! The words: names and values of faults, as a prompt, a flag or JSON gives them.
//!
//! A prompt is split at white space. `name=value` with a known name sets that fault for the turn;
//! a switch may stand alone (`assign`) or with `on` or `off`. A known name with a bad value is a
//! mistake, and the turn is refused; everything else is prose. `off` clears what a flag had set.
//! The words of the whole box (seeds, chances, tokens) are prose in a prompt.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, Serializer};
use serde_json::Value;

use super::faults::Faults;
use super::setting::Setting;

/// One word: its name, what its value looks like (empty for a switch), and what it does.
#[derive(Clone, Copy)]
pub struct Word {
    /// The name, in prompts, flags and JSON.
    pub name: &'static str,
    /// What its value looks like; empty for a switch.
    pub takes: &'static str,
    /// What it does, in one line.
    pub help: &'static str,
    /// Whether a prompt may hold it.
    pub of_turns: bool,
    field: fn(&mut Faults) -> &mut dyn Setting,
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

type Field = fn(&mut Faults) -> &mut dyn Setting;

const fn turn(name: &'static str, takes: &'static str, help: &'static str, field: Field) -> Word {
    Word { name, takes, help, of_turns: true, field }
}

const fn whole(name: &'static str, takes: &'static str, help: &'static str, field: Field) -> Word {
    Word { name, takes, help, of_turns: false, field }
}

/// All words.
#[rustfmt::skip]
pub const WORDS: [Word; 39] = [
    turn("parts", "N", "The agent writes N text parts (1)", |f| &mut f.parts),
    turn("step", "TIME", "Pause before each visible change (none)", |f| &mut f.step),
    turn("grow", "N", "Each text part grows in N steps (1: it appears whole)", |f| &mut f.grow),
    turn("tool", "N", "N tool calls: pending, running, completed", |f| &mut f.tool),
    turn("quiet", "TIME", "Silence in the middle of the turn", |f| &mut f.quiet),
    turn("rewrite", "", "Each whole text part is replaced by another text", |f| &mut f.rewrite),
    turn("shrink", "", "Each whole text part loses its second half", |f| &mut f.shrink),
    turn("big", "SIZE", "One more text part of that size: 64KB, 1MB", |f| &mut f.big),
    turn("fail", "CODE", "The turn fails at its end with this code", |f| &mut f.fail),
    turn("wait", "TIME|answer", "The turn waits in its middle: so long, or until it is answered", |f| &mut f.wait),
    turn("wait-for", "question|approval|plan", "What it waits for (question)", |f| &mut f.wait_for),
    turn("never", "", "The prompt is taken, the agent never starts", |f| &mut f.never),
    turn("start", "TIME", "The agent starts so late; queued until then", |f| &mut f.start),
    turn("idle", "TIME", "The session reads idle for so long after the prompt", |f| &mut f.idle),
    turn("linger", "TIME", "The session reads running for so long after the end", |f| &mut f.linger),
    turn("receipt", "", "A JSON receipt instead of a stream", |f| &mut f.receipt),
    turn("assign", "", "The session gets another id than the one supplied", |f| &mut f.assign),
    turn("lose", "answer|prompt[xN]", "Drop the first N dispatches: having taken the prompt (answer), or not", |f| &mut f.lose),
    turn("dispatch", "MISHAP[xN]", "The first N dispatches are not taken, and answered so", |f| &mut f.dispatch),
    turn("answer", "MISHAP[xN]", "The first N dispatches are taken, but answered so", |f| &mut f.answer),
    turn("hold", "TIME", "The answer to a dispatch comes so late", |f| &mut f.hold),
    turn("refuse", "STATUS", "Every dispatch is refused with this status", |f| &mut f.refuse),
    turn("shape", "bare|messages|data", "How the list of messages is wrapped (bare)", |f| &mut f.shape),
    turn("info", "", "Each message's own fields are under `info`", |f| &mut f.info),
    turn("bare-status", "", "The status has no `data` around it", |f| &mut f.bare_status),
    turn("no-turn-id", "", "Messages do not say which turn they belong to", |f| &mut f.no_turn_id),
    turn("enveloped", "", "A frame's JSON is {type, properties}", |f| &mut f.enveloped),
    turn("idle-cut", "TIME", "Cut a stream after so long without bytes", |f| &mut f.idle_cut),
    turn("reap-buffer", "TIME", "Forget a stream's buffer so long after its last event", |f| &mut f.reap_buffer),
    turn("reap-session", "TIME", "Forget a session so long after its turn's end", |f| &mut f.reap_session),
    turn("cancel-on-drop", "", "Dropping a stream without `detach` cancels the turn", |f| &mut f.cancel_on_drop),
    whole("seed", "N", "The seed of all chances", |f| &mut f.seed),
    whole("polls", "MISHAP:P,…", "Polls are answered so with probability P", |f| &mut f.polls),
    whole("dispatches", "MISHAP:P,…", "Dispatches are not taken, and answered so", |f| &mut f.dispatches),
    whole("answers", "MISHAP:P,…", "Dispatches are taken, but answered so", |f| &mut f.answers),
    whole("losses", "answer|prompt:P,…", "Dispatches are dropped, taken or not", |f| &mut f.losses),
    whole("retry-after", "TIME", "The Retry-After of a 429, in whole seconds (1s)", |f| &mut f.retry_after),
    whole("token-life", "TIME", "A token expires so long after it became known", |f| &mut f.token_life),
    whole("keep-sessions", "", "Sessions at rest outlive a crash, with their messages", |f| &mut f.keep_sessions),
];

/// A word whose value is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {why}")]
pub struct Mistake {
    /// The word's name.
    pub name: String,
    /// What is wrong with its value.
    pub why: String,
}

impl Faults {
    /// Sets the fault `name` from `text`, as a flag or JSON would.
    ///
    /// # Errors
    /// [`Mistake`] if there is no such fault, or it does not take such a value.
    pub fn set(&mut self, name: &str, text: &str) -> Result<(), Mistake> {
        let mistake = |why| Mistake { name: name.to_owned(), why };
        let word = WORDS.iter().find(|word| word.name == name);
        let word = word.ok_or_else(|| mistake("no such fault".to_owned()))?;
        (word.field)(self).set(text).map_err(mistake)
    }

    /// These faults, changed by the words in `prompt`: the plan of its turn.
    ///
    /// # Errors
    /// [`Mistake`] for the first word whose value is bad.
    pub fn with_words_of(&self, prompt: &str) -> Result<Self, Mistake> {
        let mut plan = self.clone();
        for token in prompt.split_whitespace() {
            let (name, value) = token.split_once('=').map_or((token, None), |(n, v)| (n, Some(v)));
            let Some(word) = WORDS.iter().find(|word| word.of_turns && word.name == name) else {
                continue;
            };
            match value {
                Some(value) => plan.set(name, value)?,
                None if word.takes.is_empty() => plan.set(name, "on")?,
                // A name alone, where a value belongs, is a word of the language.
                None => {}
            }
        }
        Ok(plan)
    }

    fn texts(&self) -> BTreeMap<&'static str, String> {
        let mut copy = self.clone();
        let texts =
            WORDS.iter().filter_map(|word| Some((word.name, (word.field)(&mut copy).get()?)));
        texts.collect()
    }
}

impl Serialize for Faults {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.texts().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Faults {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let values = BTreeMap::<String, Value>::deserialize(deserializer)?;
        let mut faults = Self::default();
        for (name, value) in values {
            let text = match value {
                Value::String(text) => text,
                Value::Null => "off".to_owned(),
                Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                    value.to_string()
                }
            };
            faults.set(&name, &text).map_err(D::Error::custom)?;
        }
        Ok(faults)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::simbox::{Lose, Mishap, Repeated, Shape};

    #[test]
    fn a_prompt_is_words_and_prose() {
        let prompt =
            "Please parts=3 step=200ms, or never mind: lose=answer\ndispatch=503x2 shape=data";
        let plan = Faults::default().with_words_of(prompt);
        // The comma is part of the value, so it is a mistake, not a guess.
        assert!(plan.is_err());
        let plan = Faults::default().with_words_of(&prompt.replace(',', " ")).expect("good words");
        let expected = Faults {
            parts: Some(3),
            step: Some(Duration::from_millis(200)),
            never: true,
            lose: Some(Repeated { what: Lose::Answer, times: 1 }),
            dispatch: Some(Repeated { what: Mishap::Status(503), times: 2 }),
            shape: Some(Shape::Data),
            ..Faults::default()
        };
        assert_eq!(plan, expected);
    }

    #[test]
    fn words_of_the_box_and_lone_names_are_prose() {
        let plan = Faults::default().with_words_of("seed=1 polls=oops start wait big x=1 a=b=c");
        assert_eq!(plan, Ok(Faults::default()));
    }

    #[test]
    fn a_prompt_clears_what_a_flag_set() {
        let flags = Faults { assign: true, fail: None, parts: Some(9), ..Faults::default() };
        let plan = flags.with_words_of("assign=off parts=off");
        assert_eq!(plan, Ok(Faults::default()));
    }

    #[test]
    fn every_word_has_its_own_field_and_survives_json() {
        for word in WORDS {
            let sample = match word.takes {
                "" => "on",
                "N" => "7",
                "TIME" | "TIME|answer" => "3s",
                "SIZE" => "2KB",
                "CODE" => "A_B",
                "STATUS" => "400",
                "MISHAP[xN]" => "htmlx2",
                "MISHAP:P,…" => "429:0.5,half:0.25",
                "answer|prompt[xN]" => "promptx2",
                "answer|prompt:P,…" => "answer:1",
                "bare|messages|data" => "data",
                "question|approval|plan" => "plan",
                other => panic!("no sample for {other}"),
            };
            let mut faults = Faults::default();
            faults.set(word.name, sample).expect("a good sample");
            assert_eq!(faults.texts().len(), 1, "{word:?}");
            let json = serde_json::to_string(&faults).expect("JSON");
            assert!(json.contains(word.name), "{json}");
            assert_eq!(serde_json::from_str::<Faults>(&json).expect("read back"), faults);
        }
    }

    #[test]
    fn json_takes_plain_values_and_no_unknown_names() {
        let faults: Faults =
            serde_json::from_str(r#"{"parts":3,"assign":true,"wait":null}"#).expect("good JSON");
        assert_eq!(faults, Faults { parts: Some(3), assign: true, ..Faults::default() });
        assert!(serde_json::from_str::<Faults>(r#"{"prats":3}"#).is_err());
    }
}
