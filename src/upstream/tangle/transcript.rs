//! Reading a session's newest messages back to a known one, and telling which belong to a turn.
//!
//! `limit=N` gives the newest N; N is doubled until the turn's prompt, or the last settled message
//! of the turn, is among them. A prompt is known by its turn id, else by the hash of its text among
//! the messages after the last one that was there before it. Once the box is known to have it, the
//! first message of a person after that one will do: the box may have changed the text.
//!
//! A turn's messages are the agent's after the prompt, up to the next prompt of somebody else. A
//! message that is listed twice counts as it stands there last.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::api::{json_of, object};
use super::assumed::NEWEST_FIRST;
use super::message::Message;
use super::prompt;
use crate::credential::Credential;
use crate::ids::{SessionId, TurnId};
use crate::limits;
use crate::metrics::upstream::Call;
use crate::upstream::client::BoxClient;
use crate::upstream::reply::Reply;
use crate::upstream::snapshot::parts;
use crate::upstream::{Error, PollCursor, TextHash};

/// What may count as the turn's prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Proof {
    /// Its turn id alone.
    TurnId,
    /// Its text, too.
    Text,
    /// The box has the prompt: whatever a person said first after it was sent.
    Position,
}

/// What is known of the turn's place in the session.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    /// The last message of the turn that is never read again.
    pub(super) settled: Option<&'a str>,
    /// What was told so far: where to go on if the settled message was taken back.
    pub(super) told: Option<&'a PollCursor>,
    /// The turn's prompt, once it was seen.
    pub(super) prompt: Option<&'a str>,
    pub(super) turn: Option<&'a TurnId>,
    pub(super) text: Option<TextHash>,
    /// The newest message before the prompt was sent; `None` if there was none.
    pub(super) before: Option<&'a str>,
    /// Whether the session was looked at before the prompt was sent: then `before` can be relied
    /// on.
    pub(super) knows_before: bool,
    pub(super) proof: Proof,
}

/// The turn's part of a session.
#[derive(Debug, Default)]
pub(super) struct OfTurn<'m, 'a> {
    /// Whether the record shows the turn.
    pub(super) is_found: bool,
    /// There are messages before the turn's, seen when its place was found.
    pub(super) has_past: bool,
    /// The prompt's message id, unless it is not among what was read.
    pub(super) prompt: Option<&'m str>,
    /// The agent's messages.
    pub(super) messages: Vec<&'m Message<'a>>,
    /// Somebody else's prompt follows.
    pub(super) is_taken_over: bool,
    /// The box gave too few messages to tell that none is missing.
    pub(super) is_cut: bool,
    /// Messages that were read have another shape than messages have.
    pub(super) has_unreadable: bool,
}

/// The path of a session's messages.
pub(super) fn path(session: &SessionId) -> String {
    format!("/agents/sessions/{session}/messages")
}

/// A session's messages, oldest first.
pub(super) fn list(reply: &Reply) -> Result<Vec<&RawValue>, Error> {
    #[derive(serde::Deserialize)]
    struct Listed<'a> {
        #[serde(borrow)]
        messages: Vec<&'a RawValue>,
    }
    let inner = json_of(reply)?;
    let list = match object::<Listed<'_>>(inner) {
        Some(listed) => Ok(listed.messages),
        None => serde_json::from_str(inner.get()),
    };
    let mut list =
        list.map_err(|_| Error::Nonsense("the session's messages have another shape".into()))?;
    if NEWEST_FIRST {
        list.reverse();
    }
    Ok(list)
}

/// Reads the messages and hands the turn's to `see`.
pub(super) async fn read<R>(
    client: &BoxClient,
    who: Option<&Credential>,
    session: &SessionId,
    known: Known<'_>,
    see: impl FnOnce(&OfTurn<'_, '_>) -> R,
) -> Result<R, Error> {
    let path = path(session);
    let mut limit = limits::FIRST_MESSAGE_WINDOW;
    loop {
        let reply = client.read(Call::Messages, who, &format!("{path}?limit={limit}")).await?;
        let list = list(&reply)?;
        let mut messages: Vec<_> = list.iter().filter_map(|raw| Message::read(raw)).collect();
        let has_unreadable = messages.len() < list.len();
        keep_last_of_each(&mut messages);
        // Fewer than were asked for are all there are; more come from a box that knows no limit.
        let is_whole = list.len() != limit;
        if let Some(from) = known.find_in(&messages, is_whole) {
            let mut turn = of_turn(&messages, from, known.turn);
            turn.has_past = known.is_first_look() && (turn.has_past || !is_whole);
            turn.has_unreadable = has_unreadable;
            return Ok(see(&turn));
        }
        if is_whole {
            let has_past = known.is_first_look() && !list.is_empty();
            return Ok(see(&OfTurn { has_past, ..OfTurn::default() }));
        }
        if limit >= limits::MAX_MESSAGE_WINDOW {
            return Err(Error::Nonsense(format!("the turn is not in the newest {limit} messages")));
        }
        limit *= 2;
    }
}

fn keep_last_of_each(messages: &mut Vec<Message<'_>>) {
    let mut left: BTreeMap<String, usize> = BTreeMap::new();
    for message in &*messages {
        *left.entry(message.id.clone()).or_default() += 1;
    }
    messages.retain(|message| {
        left.get_mut(&message.id).is_none_or(|left| {
            *left -= 1;
            *left == 0
        })
    });
}

/// Where a turn begins in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begin {
    /// Behind the message at this place, which is not the prompt or was told before.
    Behind(usize),
    /// The prompt stands here.
    Prompt(usize),
    /// The agent's message here is the first of the turn.
    First(usize),
    /// Everything is newer than what was read before, and something may lie between.
    Cut,
}

impl Known<'_> {
    /// Whether the turn's place was not found before: what lies before it is looked at once, since
    /// later looks begin behind what was told.
    const fn is_first_look(&self) -> bool {
        self.settled.is_none() && self.prompt.is_none()
    }

    fn find_in(&self, messages: &[Message<'_>], is_whole: bool) -> Option<Begin> {
        let place = |id: &str| messages.iter().position(|message| message.id == id);
        if let Some(at) = self.settled.and_then(place) {
            return Some(Begin::Behind(at));
        }
        let prompt = self.prompt.and_then(place);
        // All that the box gives is there, and where reading would go on is not: it was taken back,
        // or the box gives no more. What was told before tells where.
        let is_known = self.settled.is_some() || self.prompt.is_some();
        let may_go_on = (prompt.is_some() && self.settled.is_some()) || (is_whole && is_known);
        let told = || messages.iter().position(|message| self.has_told(&message.id));
        if let Some(at) = may_go_on.then(told).flatten() {
            return Some(Begin::First(at));
        }
        if let Some(at) = prompt {
            return Some(Begin::Prompt(at));
        }
        if let Some(from) = self.by_turn_id(messages) {
            return Some(from);
        }
        if is_whole && self.prompt.is_some() && !messages.is_empty() {
            return Some(Begin::Cut);
        }
        let before = self.before.and_then(place);
        if self.proof == Proof::TurnId || !(is_whole || before.is_some()) {
            return None;
        }
        let start = before.map_or(0, |at| at + 1);
        let mut later = messages.iter().enumerate().skip(start).filter(|(_, message)| {
            message.is_user() && !prompt::is_synthetic(&message.parts) && !self.is_anothers(message)
        });
        // A list that has lost the last known message says nothing about what came after it, and
        // one that was never looked at may begin long before the turn: what stands there last is
        // the likeliest.
        let knows_order = self.before.is_none() || before.is_some();
        let is_ours = |(_, message): &(usize, &Message<'_>)| {
            self.text.is_some_and(|hash| prompt::holds(&message.parts, hash))
        };
        let (by_text, by_position) = if knows_order && self.knows_before {
            (later.clone().find(is_ours), later.next())
        } else {
            (later.clone().rfind(is_ours), later.next_back())
        };
        let by_position = by_position.filter(|_| self.proof == Proof::Position && knows_order);
        by_text.or(by_position).map(|(at, _)| Begin::Prompt(at))
    }

    fn by_turn_id(&self, messages: &[Message<'_>]) -> Option<Begin> {
        let turn = self.turn?;
        let is_ours = |message: &Message<'_>| message.turn.as_deref() == Some(turn.as_str());
        let at = messages.iter().position(is_ours)?;
        let is_user = messages.get(at).is_some_and(Message::is_user);
        Some(if is_user { Begin::Prompt(at) } else { Begin::First(at) })
    }

    /// Whether parts of a message were told and may be told again.
    fn has_told(&self, message: &str) -> bool {
        let marks = parts::marks_of(message);
        self.told.is_some_and(|told| told.with_prefix(&marks).next().is_some())
    }

    /// Whether a message names another turn than ours.
    fn is_anothers(&self, message: &Message<'_>) -> bool {
        matches!((self.turn, &message.turn), (Some(ours), Some(named)) if ours.as_str() != named)
    }
}

fn of_turn<'m, 'a>(
    messages: &'m [Message<'a>],
    from: Begin,
    turn: Option<&TurnId>,
) -> OfTurn<'m, 'a> {
    let (start, prompt) = match from {
        Begin::Behind(at) => (at + 1, None),
        Begin::Prompt(at) => (at + 1, messages.get(at).map(|message| message.id.as_str())),
        Begin::First(at) => (at, None),
        Begin::Cut => (0, None),
    };
    let has_past = match from {
        Begin::Behind(_) | Begin::Cut => true,
        Begin::Prompt(at) | Begin::First(at) => at > 0,
    };
    let is_cut = from == Begin::Cut;
    let mut ours = OfTurn { is_found: true, has_past, is_cut, prompt, ..OfTurn::default() };
    for message in messages.iter().skip(start) {
        let named = match (turn, &message.turn) {
            (Some(turn), Some(named)) => Some(turn.as_str() == named),
            (Some(_), None) | (None, Some(_) | None) => None,
        };
        if message.is_assistant() {
            if named.unwrap_or(!ours.is_taken_over) {
                ours.messages.push(message);
            }
        } else if message.is_user() {
            let goes_on = named.unwrap_or_else(|| prompt::is_synthetic(&message.parts));
            ours.is_taken_over |= !goes_on;
        }
    }
    ours
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A session in few words: `u1:hi` is a person's message, `a1` the agent's, `s1` one that the
    /// box wrote; `@t` names a turn.
    fn json_of(session: &str) -> String {
        let message = |word: &str| {
            let (word, turn) = word.split_once('@').unwrap_or((word, ""));
            let (id, text) = word.split_once(':').unwrap_or((word, ""));
            let role = if id.starts_with('a') { "assistant" } else { "user" };
            let synthetic = id.starts_with('s');
            format!(
                r#"{{"id":"{id}","role":"{role}","metadata":{{"turnId":"{turn}"}},"parts":[
                {{"id":"p","type":"text","text":"{text}","synthetic":{synthetic}}}]}}"#
            )
        };
        let messages: Vec<String> = session.split_whitespace().map(message).collect();
        format!("[{}]", messages.join(","))
    }

    /// The turn's prompt and messages, and `+` if somebody else's prompt follows; `-` if unfound.
    fn told(session: &str, known: Known<'_>, is_whole: bool) -> String {
        let json = json_of(session);
        let list: Vec<&RawValue> = serde_json::from_str(&json).expect("a list");
        let messages: Vec<_> = list.iter().filter_map(|raw| Message::read(raw)).collect();
        let Some(from) = known.find_in(&messages, is_whole) else { return "-".into() };
        let turn = of_turn(&messages, from, known.turn);
        let ids = turn.prompt.into_iter().chain(turn.messages.iter().map(|m| m.id.as_str()));
        let ids: Vec<&str> = ids.chain(turn.is_taken_over.then_some("+")).collect();
        ids.join(" ")
    }

    fn known<'a>(before: Option<&'a str>, proof: Proof) -> Known<'a> {
        let text = Some(TextHash::of("hi"));
        Known {
            settled: None,
            told: None,
            prompt: None,
            turn: None,
            text,
            before,
            knows_before: true,
            proof,
        }
    }

    #[test]
    fn a_prompt_is_known_by_text_after_the_last_known_message() {
        let after_a1 = known(Some("a1"), Proof::Text);
        for (session, is_whole, turn) in [
            ("u1:hi a1 u2:hi a2 a3", false, "u2 a2 a3"),
            ("u1:hi a1", true, "-"),
            ("u1:hi a1 u2:other a2", true, "-"),
            ("u1:hi a1 u2:other a2 u3:hi a3 u4:x a4", true, "u3 a3 +"),
            ("u1:hi a1 u2:hi a2 s3 a4", true, "u2 a2 a4"),
            // Not far enough back to say.
            ("u2:hi a2", false, "-"),
            // All there is; the last known message was dropped.
            ("u2:hi a2", true, "u2 a2"),
            ("u1:hi u2:hi a2", true, "u2 a2"),
        ] {
            assert_eq!(told(session, after_a1, is_whole), turn, "{session}");
        }
    }

    #[test]
    fn a_turn_id_counts_before_text_and_position() {
        let turn = TurnId::parse("t").expect("an id");
        let known = Known { turn: Some(&turn), ..known(None, Proof::Position) };
        for (session, said) in [
            ("u1:hi@s a1@s u2:x@t a2@t u3:hi@r", "u2 a2 +"),
            // Only the agent's messages are marked.
            ("u1:x a1@s u2:x a2@t a3@t u4:y a4@r", "a2 a3 +"),
            // Nobody else's prompt is ours, whatever it says.
            ("u1:hi@s a1@s", "-"),
            ("u1:hi@s a1@s u2:hi a2", "u2 a2"),
            ("u1:y@s a1@s u2:changed a2", "u2 a2"),
        ] {
            assert_eq!(told(session, known, true), said, "{session}");
        }
        let id_alone = Known { proof: Proof::TurnId, ..known };
        assert_eq!(told("u1:hi a1", id_alone, true), "-");
        assert_eq!(told("u1:x@t a1", id_alone, false), "u1 a1");
    }

    #[test]
    fn the_first_prompt_after_the_known_one_is_ours_once_the_box_has_it() {
        for (session, before, said) in [
            ("u1:changed a1", None, "u1 a1"),
            ("u1:hi a1 u2:changed a2", Some("a1"), "u2 a2"),
            ("u1:changed a1 u2:hi a2", None, "u2 a2"),
            ("u1:changed a1", Some("gone"), "-"),
        ] {
            assert_eq!(told(session, known(before, Proof::Position), true), said, "{session}");
        }
    }

    #[test]
    fn in_a_session_that_was_never_looked_at_the_last_prompt_is_the_likeliest() {
        for (session, said) in
            [("u1:hi a1 u2:hi a2", "u2 a2"), ("u1:hi a1 u2:x a2", "u1 a1 +"), ("u1:x u2:y", "u2")]
        {
            let unknown = Known { knows_before: false, ..known(None, Proof::Position) };
            assert_eq!(told(session, unknown, true), said, "{session}");
        }
    }

    #[test]
    fn a_turn_that_was_read_before_goes_on_behind_what_is_settled() {
        let settled = Known { settled: Some("a2"), prompt: Some("u2"), ..known(None, Proof::Text) };
        assert_eq!(told("u2:hi a1 a2 a3 u4:x a4", settled, false), "a3 +");
        // The settled message is gone from the record: from the prompt on again.
        assert_eq!(told("u2:hi a1 a3", settled, true), "u2 a1 a3");
    }
}
