//! Reading a session's newest messages back to a known one, and telling which belong to a turn.
//!
//! `limit=N` gives the newest N, oldest first; N is doubled until the anchor is among them. The
//! anchor is the turn's prompt at first, and moves up as messages are settled, so that a long turn
//! is not read from its start again and again.
//!
//! A turn's messages are those of the agent that answer our prompt, and those that answer a
//! continuation: when the context runs full, the box compacts it in the middle of a turn, and goes
//! on under a user message that it wrote itself. A prompt by anyone else ends that.

use std::collections::BTreeSet;

use serde_json::value::RawValue;

use super::api::{Message, PromptPart};
use super::message_id::stamp;
use crate::credential::Credential;
use crate::ids::SessionId;
use crate::limits;
use crate::metrics::upstream::Call;
use crate::upstream::Error;
use crate::upstream::client::BoxClient;

/// Where a session lives.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) session: &'a SessionId,
    pub(super) directory: &'a str,
}

/// The message to read back to.
#[derive(Clone, Copy)]
pub(super) struct Anchor<'a> {
    /// The prompt, or the last settled message of the turn.
    pub(super) id: &'a str,
    /// The turn's prompt.
    pub(super) prompt: &'a str,
}

/// Reads the messages and hands those of the turn that come after the anchor to `see`, in order.
/// `None` if the anchor is not there.
pub(super) async fn read_from<R>(
    client: &BoxClient,
    who: Option<&Credential>,
    place: Place<'_>,
    anchor: Anchor<'_>,
    see: impl FnOnce(&[&Message<'_>]) -> R,
) -> Result<Option<R>, Error> {
    let path = super::in_directory(&format!("/session/{}/message", place.session), place.directory);
    let mut limit = limits::FIRST_MESSAGE_WINDOW;
    loop {
        let reply = client.read(Call::Messages, who, &format!("{path}&limit={limit}")).await?;
        let messages: Vec<Message<'_>> = reply.json()?;
        if let Some(at) = messages.iter().position(|message| message.info.id == anchor.id) {
            return Ok(Some(see(&of_the_turn(&messages, at, anchor))));
        }
        if messages.len() < limit || is_older(messages.first(), anchor) {
            return Ok(None);
        }
        if limit >= limits::MAX_MESSAGE_WINDOW {
            return Err(Error::Nonsense(format!("the turn is not in the newest {limit} messages")));
        }
        limit *= 2;
    }
}

/// Whether everything from the anchor on would stand behind this message. Ids that do not tell
/// their time prove nothing.
fn is_older(oldest: Option<&Message<'_>>, anchor: Anchor<'_>) -> bool {
    let oldest = oldest.and_then(|message| stamp(&message.info.id));
    matches!((oldest, stamp(anchor.prompt)), (Some(oldest), Some(prompt)) if oldest < prompt)
}

/// The agent's messages after the one at `at` that belong to the turn.
fn of_the_turn<'m, 'a>(
    messages: &'m [Message<'a>],
    at: usize,
    anchor: Anchor<'_>,
) -> Vec<&'m Message<'a>> {
    let mut prompts = BTreeSet::from([anchor.prompt]);
    let (mut compacted, mut taken_over) = (false, false);
    let mut ours = Vec::new();
    for (index, message) in messages.iter().enumerate().skip(at) {
        let parent = message.info.parent.as_deref();
        if index == at {
            // A settled message of the agent answers one of the turn's prompts.
            prompts.extend(parent);
            compacted = message.is_summary();
        } else if message.is_assistant() {
            if parent.is_some_and(|parent| prompts.contains(parent)) {
                ours.push(message);
                compacted = message.is_summary();
            }
        } else if taken_over || !(compacted || is_continuation(&message.parts)) {
            // Somebody else's prompt; what the box continues from here on is theirs.
            taken_over = true;
        } else {
            // After a compaction the box repeats the prompt or tells the agent to go on.
            prompts.insert(&message.info.id);
            compacted = false;
        }
    }
    ours
}

/// Whether a user message was written by the box itself.
fn is_continuation(parts: &[&RawValue]) -> bool {
    let by_the_box = |raw: &&RawValue| {
        serde_json::from_str::<PromptPart>(raw.get()).is_ok_and(|part| match part.kind.as_str() {
            "compaction" => part.auto == Some(true),
            _ => part.synthetic == Some(true),
        })
    };
    !parts.is_empty() && parts.iter().all(by_the_box)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A session in few words: `u1` is a prompt, `c1`/`s1` a compaction or synthetic user message,
    /// `a1>u1` an answer to it, `A1>c1` a summary.
    fn ours(session: &str, anchor: &str, prompt: &str) -> Vec<String> {
        let json: Vec<String> = session.split(' ').map(json_of).collect();
        let json = format!("[{}]", json.join(","));
        let messages: Vec<Message<'_>> = serde_json::from_str(&json).expect("messages");
        let at = messages.iter().position(|m| m.info.id == anchor).expect("the anchor");
        let turn = of_the_turn(&messages, at, Anchor { id: anchor, prompt });
        turn.iter().map(|message| message.info.id.to_string()).collect()
    }

    fn json_of(word: &str) -> String {
        let (id, parent) = word.split_once('>').unwrap_or((word, ""));
        let (role, parts) = match &id[..1] {
            "a" | "A" => ("assistant", ""),
            "c" => ("user", r#"{"type":"compaction","auto":true}"#),
            "m" => ("user", r#"{"type":"compaction","auto":false}"#),
            "s" => ("user", r#"{"type":"text","text":"","synthetic":true}"#),
            _ => ("user", r#"{"type":"text","text":"","synthetic":true},{"type":"text"}"#),
        };
        let summary = id.starts_with('A');
        format!(
            r#"{{"info":{{"id":"{id}","role":"{role}","parentID":"{parent}","summary":{summary},
            "time":{{"created":1}}}},"parts":[{parts}]}}"#
        )
    }

    #[test]
    fn a_turn_is_what_answers_its_prompt() {
        for (session, anchor, turn) in [
            ("u1", "u1", ""),
            ("u0 a0>u0 u1 a1>u1 a2>u1", "u1", "a1 a2"),
            ("u1 a1>u1 u2 a2>u2", "u1", "a1"),
            ("u1 a1>u1 a2>u1 a3>u1", "a1", "a2 a3"),
            ("u1 a0>u0 a1>u1", "u1", "a1"),
            ("u1 u2 a1>u1 a2>u2 c3 A3>c3 s4 a4>s4", "u1", "a1"),
        ] {
            assert_eq!(ours(session, anchor, "u1").join(" "), turn, "{session}");
        }
    }

    #[test]
    fn a_turn_goes_on_after_a_compaction_of_the_boxs_own() {
        for (session, anchor, turn) in [
            ("u1 a1>u1 c2 A2>c2 s3 a3>s3 a4>s3", "u1", "a1 A2 a3 a4"),
            // The box repeats the prompt itself when it did not fit.
            ("u1 c2 A2>c2 u3 a3>u3", "u1", "A2 a3"),
            ("u1 a1>u1 c2 A2>c2 s3 a3>s3 a4>s3", "a3", "a4"),
            ("u1 a1>u1 c2 A2>c2 s3 a3>s3", "A2", "a3"),
            // Asked for by a person, after the turn.
            ("u1 a1>u1 m2 A2>m2", "u1", "a1"),
        ] {
            assert_eq!(ours(session, anchor, "u1").join(" "), turn, "{session}");
        }
    }
}
