//! What waits for a person: told once when it opens and once when it is gone.
//!
//! The box lists it as objects, as ids, or as a mere number; a waiting state without a list counts
//! as one. What has no name of its own is counted, so that the first is told apart from a second.

use std::fmt::Write as _;

use serde_json::value::RawValue;

use super::api::{object, word};
use super::assumed::{INTERACTION_IDS, INTERACTION_KINDS};
use crate::event::Event;
use crate::ids::SessionId;
use crate::limits;
use crate::upstream::snapshot::nesting::is_nested_deeper_than;
use crate::upstream::snapshot::pages::{Pages, unreadable};

/// Marks of what is open: `i/<id>`; the value is its kind.
const OPEN: &str = "i/";
/// What something without a name is called, before its number.
const NAMELESS: &str = "outstanding-";

/// One open request.
#[derive(Debug, PartialEq, Eq)]
struct Open {
    id: String,
    kind: String,
    /// The box's own JSON, if it has any.
    request: Option<String>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Outstanding {
    open: Vec<Open>,
    /// There are some that cannot be shown.
    has_unreadable: bool,
}

impl Outstanding {
    /// Reads the box's list; `waiting` is its state, if that says that it waits.
    pub(super) fn read(list: Option<&RawValue>, waiting: Option<&str>) -> Self {
        let mut read = Self::default();
        if let Some(list) = list {
            read.take_in(list);
        }
        if let Some(state) = waiting.filter(|_| !read.is_any()) {
            read.open.push(Open::nameless(1, state));
        }
        read
    }

    pub(super) const fn is_any(&self) -> bool {
        !self.open.is_empty() || self.has_unreadable
    }

    fn take_in(&mut self, list: &RawValue) {
        if let Ok(count) = list.get().parse::<usize>() {
            let shown = count.min(limits::MAX_SHOWN_INTERACTIONS);
            self.open.extend((1..=shown).map(|number| Open::nameless(number, "")));
            return;
        }
        let entries: Vec<&RawValue> = match serde_json::from_str(list.get()) {
            Ok(entries) => entries,
            // A single one, without a list around it.
            Err(_) if list.get().starts_with('{') && list.get() != "{}" => vec![list],
            Err(_) => return,
        };
        for raw in entries.into_iter().take(limits::MAX_SHOWN_INTERACTIONS) {
            match Open::read(raw) {
                Some(open) => self.open.push(open),
                None => self.has_unreadable = true,
            }
        }
    }
}

impl Open {
    fn nameless(number: usize, kind: &str) -> Self {
        Self { id: format!("{NAMELESS}{number}"), kind: kind.to_owned(), request: None }
    }

    fn read(raw: &RawValue) -> Option<Self> {
        let json = raw.get();
        if is_nested_deeper_than(limits::MAX_SHOWN_DEPTH, json.as_bytes()) {
            return None;
        }
        let is_number = json.bytes().all(|digit| digit.is_ascii_digit());
        if let Some(id) = word(Some(raw)).or_else(|| is_number.then(|| json.to_owned())) {
            return Some(Self { id: short(id), kind: String::new(), request: None });
        }
        let fields: std::collections::BTreeMap<String, &RawValue> = object(raw)?;
        let first = |names: &[&str]| names.iter().find_map(|name| word(fields.get(*name).copied()));
        // Without an id, its own words are its name.
        let id = first(&INTERACTION_IDS).unwrap_or_else(|| digest(json));
        let kind = first(&INTERACTION_KINDS).unwrap_or_default();
        let kind = if kind.len() > limits::MAX_CODE_BYTES { String::new() } else { kind };
        Some(Self { id: short(id), kind, request: Some(json.to_owned()) })
    }
}

/// An id that fits in a mark.
fn short(id: String) -> String {
    if id.len() > limits::MAX_ID_BYTES { digest(&id) } else { id }
}

fn digest(text: &str) -> String {
    blake3::hash(text.as_bytes()).as_bytes().iter().take(8).fold(String::new(), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Tells what opened and what is gone.
pub(super) fn tell(outstanding: &Outstanding, session: &SessionId, pages: &mut Pages<'_>) {
    for open in &outstanding.open {
        let mark = format!("{OPEN}{}", open.id);
        if pages.get(&mark).is_none() {
            pages.event(opened(open, session), &mark, &open.kind);
        }
    }
    for mark in pages.names(OPEN) {
        let Some(id) = mark.strip_prefix(OPEN) else { continue };
        if !outstanding.open.iter().any(|open| open.id == id) {
            let kind = pages.get(&mark).unwrap_or_default();
            pages.last_event(gone(id, kind), &mark);
        }
    }
    if outstanding.has_unreadable && pages.get("bad/request").is_none() {
        pages.event(unreadable("request to a person"), "bad/request", "1");
    }
}

fn opened(open: &Open, session: &SessionId) -> Event {
    #[derive(serde::Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Interaction<'a> {
        id: &'a str,
        #[serde(skip_serializing_if = "str::is_empty")]
        kind: &'a str,
        session_id: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        request: Option<&'a RawValue>,
    }
    let Open { id, kind, request } = open;
    let request: Option<&RawValue> =
        request.as_deref().and_then(|json| serde_json::from_str(json).ok());
    Event::ours("interaction", &Interaction { id, kind, session_id: session.as_str(), request })
}

fn gone(id: &str, kind: &str) -> Event {
    #[derive(serde::Serialize)]
    struct Cancel<'a> {
        id: &'a str,
        #[serde(skip_serializing_if = "str::is_empty")]
        kind: &'a str,
    }
    Event::ours("interaction.cancel", &Cancel { id, kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(list: &str, waiting: Option<&str>) -> Vec<String> {
        let raw = RawValue::from_string(list.to_owned()).expect("JSON");
        let read = Outstanding::read(Some(&raw), waiting);
        read.open.iter().map(|open| format!("{}:{}", open.id, open.kind)).collect()
    }

    #[test]
    fn a_list_may_be_objects_ids_or_a_number() {
        assert_eq!(
            ids(r#"[{"id":"a","kind":"question"},"b",7]"#, None),
            ["a:question", "b:", "7:"]
        );
        assert_eq!(ids(r#"[{"interactionId":"c","type":"plan"}]"#, None), ["c:plan"]);
        assert_eq!(ids("2", None), ["outstanding-1:", "outstanding-2:"]);
        for nothing in ["0", "[]", "null", "false", "{}", "\"\""] {
            assert_eq!(ids(nothing, None), [""; 0], "{nothing}");
        }
        assert_eq!(ids("1000000", None).len(), limits::MAX_SHOWN_INTERACTIONS);
    }

    #[test]
    fn a_waiting_state_without_a_list_counts_as_one() {
        assert_eq!(ids("[]", Some("awaiting_question")), ["outstanding-1:awaiting_question"]);
        assert_eq!(ids(r#"["a"]"#, Some("awaiting_question")), ["a:"]);
    }

    #[test]
    fn what_has_no_id_is_named_by_its_own_words() {
        let one = ids(r#"[{"question":"a?"},{"question":"b?"}]"#, None);
        assert_eq!(one.len(), 2);
        assert_ne!(one[0], one[1]);
        assert_eq!(one, ids(r#"[{"question":"a?"},{"question":"b?"}]"#, None));
    }
}
