//! What the box tells about itself: the oracle of whoever tests against it.
//!
//! Plain data. A crash forgets nothing here: a turn that ran again because the box had forgotten
//! its first run is one turn with two runs.

use serde::Serialize;

use crate::limits;

/// Everything that happened since the box was made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// Sums over all turns, and what belongs to none.
    pub totals: Totals,
    /// The turns in the order of their first dispatch.
    pub turns: Vec<Turn>,
}

impl Account {
    /// The turn that ever had this execution id.
    #[must_use]
    pub fn turn(&self, execution: &str) -> Option<&Turn> {
        self.turns.iter().find(|turn| turn.execution_ids.iter().any(|id| id == execution))
    }
}

/// Sums.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// Turns that at least one dispatch arrived for.
    pub turns: u64,
    /// POSTs with a message.
    pub dispatches: u64,
    /// POSTs without one, that ask for a replay.
    pub replays: u64,
    /// Times an agent began to run.
    pub runs: u64,
    /// Polls, also those that found nothing.
    pub polls: Polls,
    /// Streams ever opened.
    pub streams_opened: u64,
    /// Streams open now.
    pub streams_open: u64,
    /// The longest silence of any stream, in milliseconds.
    pub longest_silence_ms: u64,
    /// Requests refused for their token.
    pub unauthorized: u64,
    /// Answers that were made bad on purpose, drops included.
    pub mishaps: u64,
    /// Simulated crashes.
    pub crashes: u64,
}

/// Polls by route.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Polls {
    /// `GET /agents/sessions/{id}`
    pub status: u64,
    /// `GET /agents/sessions/{id}/messages`
    pub messages: u64,
    /// `GET /agents/sessions/{id}/result`
    pub result: u64,
}

impl Polls {
    /// All of them.
    #[must_use]
    pub const fn sum(&self) -> u64 {
        self.status + self.messages + self.result
    }
}

/// One turn, as its client means it: the same ids again are the same turn.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Turn {
    /// Its execution ids, the first one first; more than one if it came again under another.
    pub execution_ids: Vec<String>,
    /// The session id that came with it.
    pub supplied_session: Option<String>,
    /// The session id that the box gave it; `None` if it was never taken.
    pub session: Option<String>,
    /// Its turn id.
    pub turn_id: Option<String>,
    /// POSTs with a message that arrived, whatever became of them.
    pub dispatches: u32,
    /// POSTs without one, that asked for a replay.
    pub replays: u32,
    /// Times its agent began to run.
    pub runs: u32,
    /// Polls of its session while it was the session's newest turn.
    pub polls: Polls,
    /// Streams ever opened.
    pub streams_opened: u32,
    /// Streams open now.
    pub streams_open: u32,
    /// The longest time without bytes that one of its streams was held open, in milliseconds;
    /// for a peer that does not read, the time until it does counts too.
    pub longest_silence_ms: u64,
    /// How far it is.
    pub state: State,
    /// The text of its last run; empty until that is over.
    pub final_text: Text,
    /// Every version of every part that was ever visible, in order.
    pub versions: Vec<Version>,
    /// The ids of the interactions that it waited for.
    pub asked: Vec<String>,
}

/// How far a turn is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// Dispatched, but never taken.
    #[default]
    NotTaken,
    /// Taken; the agent has not begun.
    Queued,
    /// The agent runs.
    Running,
    /// The agent waits for a person.
    Waiting,
    /// Over, as it should be.
    Succeeded,
    /// Over: the agent failed.
    Failed,
    /// Over: it was aborted.
    Aborted,
    /// A crash ended it.
    Lost,
    /// Taken, and the agent never begins.
    Never,
}

/// A version of a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// The run that it is of, from 1.
    pub run: u32,
    /// The part's id.
    pub part: String,
    /// The part as JSON.
    pub json: Text,
}

/// A text, or of a long one what identifies it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Text {
    /// The text; `None` if it is too long to be kept.
    pub text: Option<String>,
    /// Its bytes.
    pub len: usize,
    /// Its BLAKE3 hash, in hex.
    pub hash: String,
}

impl Text {
    /// What is kept of `text`.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let kept = text.len() <= limits::SIMBOX_ACCOUNT_TEXT_BYTES;
        Self {
            text: kept.then(|| text.to_owned()),
            len: text.len(),
            hash: blake3::hash(text.as_bytes()).to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_known_by_its_length_and_hash() {
        assert_eq!(Text::of("abc").text.as_deref(), Some("abc"));
        let long = "x".repeat(limits::SIMBOX_ACCOUNT_TEXT_BYTES + 1);
        let kept = Text::of(&long);
        assert_eq!((kept.text.as_ref(), kept.len), (None, long.len()));
        assert_eq!(kept.hash, blake3::hash(long.as_bytes()).to_string());
    }
}
