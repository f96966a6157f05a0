//! How a turn ended, from the box's own words: the closing frames of a stream, or a result.
//!
//! One word of failure outweighs any of success: an `error` may be followed by a `done`.

use super::api::Failure;
use super::assumed::{FAILED, STOPPED, SUCCEEDED};
use super::frame::{Said, Told};
use crate::event::{Event, WireJson};
use crate::limits;
use crate::upstream::snapshot::failure::{NO_NAME, code, cut};
use crate::upstream::snapshot::nesting::is_nested_deeper_than;
use crate::upstream::snapshot::text::decoded;
use crate::upstream::{Answer, Ended, Ending};

/// Names that a close-out has.
const SHOWN: [&str; 3] = ["error", "result", "done"];

/// The end that closing frames tell; `frames` is not empty.
pub(super) fn ended(frames: &[Told]) -> Ended {
    let said: Vec<Said<'_>> = frames.iter().map(Told::said).collect();
    let mut shown: Vec<Event> = Vec::new();
    for told in frames {
        let is_new = shown.iter().all(|event| event.name != told.event.name);
        if is_new && SHOWN.iter().any(|name| told.event.name == **name) {
            shown.push(told.event.clone());
        }
    }
    let by_name = frames.iter().any(Told::is_failure);
    Ended { ending: ending(&said, by_name), answer: answer(&said), frames: shown }
}

fn ending(said: &[Said<'_>], failed_by_name: bool) -> Ending {
    let is = |words: &[&str]| {
        said.iter().any(|said| said.status.as_deref().is_some_and(|word| words.contains(&word)))
    };
    if is(&STOPPED) {
        return Ending::Cancelled;
    }
    let denied = said.iter().any(|said| said.success == Some(false));
    if failed_by_name || denied || is(&FAILED) {
        return failed(said.iter().find_map(|said| said.failure.as_ref()), None);
    }
    Ending::Completed
}

/// A failure in the box's words, or in `otherwise`.
pub(super) fn failed(failure: Option<&Failure>, otherwise: Option<&str>) -> Ending {
    let name = failure.and_then(|failure| failure.name.as_deref());
    let message = failure.and_then(|failure| failure.message.as_deref());
    let message = message.or(otherwise).or(name).unwrap_or("the box tells no reason");
    Ending::Failed {
        code: name.map_or_else(|| NO_NAME.to_owned(), code),
        message: cut(message).to_owned(),
    }
}

/// What was said of the answer, the first word of each kind.
pub(super) fn answer(said: &[Said<'_>]) -> Answer {
    let text = said.iter().find_map(|said| said.text);
    let text = text.and_then(|text| text.get().strip_prefix('"')?.strip_suffix('"'));
    let usage = said.iter().find_map(|said| said.usage).map(|usage| usage.get().as_bytes());
    let usage = usage.filter(|raw| !is_nested_deeper_than(limits::MAX_SHOWN_DEPTH, raw));
    Answer {
        final_text: text.map(decoded).unwrap_or_default(),
        token_usage: usage.and_then(|raw| WireJson::from_json(raw).ok()),
        total_cost_usd: said.iter().find_map(|said| said.cost),
    }
}

/// The end that a result tells, if it tells one: what it says twice must agree.
pub(super) fn of_result(said: &Said<'_>) -> Option<Ending> {
    let status = said.status.as_deref()?;
    if said.success != Some(status == "success") {
        return None;
    }
    if SUCCEEDED.contains(&status) {
        return Some(Ending::Completed);
    }
    if STOPPED.contains(&status) {
        return Some(Ending::Cancelled);
    }
    FAILED.contains(&status).then(|| failed(said.failure.as_ref(), None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sse::parser::Frame;

    fn told(frames: &[(&str, &str)]) -> Vec<Told> {
        let read = |(name, data): &(&str, &str)| {
            let frame = Frame { id: None, name: (*name).to_owned(), data: (*data).to_owned() };
            Told::read(frame).expect("a frame")
        };
        frames.iter().map(read).collect()
    }

    fn failure(code: &str, message: &str) -> Ending {
        Ending::Failed { code: code.into(), message: message.into() }
    }

    #[test]
    fn one_word_of_failure_outweighs_any_of_success() {
        let good = r#"{"success":true,"status":"success","finalText":"hi"}"#;
        let done = r#"{"status":"success"}"#;
        for (frames, ending) in [
            (vec![("result", good), ("done", done)], Ending::Completed),
            (vec![("done", "{}")], Ending::Completed),
            (vec![("session.run.completed", "{}")], Ending::Completed),
            (vec![("session.run.failed", r#"{"error":"m"}"#)], failure("AGENT_FAILED", "m")),
            (vec![("error", r#"{"message":"m","code":"X"}"#), ("done", done)], failure("X", "m")),
            (
                vec![("error", r#"{"type":"error","data":{"error":{"code":"X","message":"m"}}}"#)],
                failure("X", "m"),
            ),
            (
                vec![(
                    "result",
                    r#"{"success":false,"status":"failed","error":"m","errorCode":"X"}"#,
                )],
                failure("X", "m"),
            ),
            (
                vec![("result", r#"{"success":false}"#)],
                failure("AGENT_FAILED", "the box tells no reason"),
            ),
            (
                vec![
                    ("error", r#"{"code":"CANCELLED","message":"m"}"#),
                    ("done", r#"{"status":"cancelled"}"#),
                ],
                Ending::Cancelled,
            ),
        ] {
            assert_eq!(ended(&told(&frames)).ending, ending, "{frames:?}");
        }
    }

    #[test]
    fn each_name_is_shown_once_with_its_own_data() {
        let frames = [
            ("result", r#"{"finalText":"a","usage":{"n":1.0}}"#),
            ("session.run.completed", "{}"),
            ("result", r#"{"finalText":"b"}"#),
            ("done", r#"{"totalCostUsd":0.5}"#),
        ];
        let Ended { answer, frames, .. } = ended(&told(&frames));
        assert_eq!((answer.final_text.as_str(), answer.total_cost_usd), ("a", Some(0.5)));
        assert_eq!(answer.token_usage.expect("told").as_bytes(), r#"{"n":1.0}"#.as_bytes());
        assert_eq!(frames.len(), 2);
        assert!(frames[0].name == *"result" && frames[1].name == *"done");
    }
}
