//! The frames that open and close a turn: `execution.started`, and the close-out `error`,
//! `result`, `done`.
//!
//! A client that only knows `error` sees failures, and so does one that only reads `result`.
//! `finalText` stands in `result` of failures too: what the agent had said by then. A `done` of ours
//! tells how many frames of the turn come before it and their digest; one that the box has told
//! passes as it is, and so tells neither.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::event::{Event, WireJson};
use crate::ids::{ExecutionId, SessionId};
use crate::mode::{Fidelity, Outcome};
use crate::upstream::Answer;

use super::transcript::Sum;
use super::verdict::{Verdict, Withdrawal};

/// The last frame of a turn.
const DONE: &str = "done";

/// Whose turn it is, as the frames name it.
#[derive(Debug, Clone)]
pub struct Names {
    /// The session that the box assigned, or the best name there is.
    pub session: SessionId,
    /// The execution.
    pub execution: ExecutionId,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExecutionStarted<'a> {
    execution_id: &'a str,
    session_id: &'a str,
}

#[derive(Serialize)]
struct ErrorFrame<'a> {
    message: &'a str,
    code: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResultFrame<'a> {
    final_text: &'a str,
    success: bool,
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_usage: Option<&'a RawValue>,
    metadata: Metadata<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    session_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DoneFrame<'a> {
    status: &'a str,
    session_id: &'a str,
    execution_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_usage: Option<&'a RawValue>,
    #[serde(rename = "totalCostUsd", skip_serializing_if = "Option::is_none")]
    total_cost_usd: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'a str>,
}

/// The first event of a turn whose box sent none of its own.
#[must_use]
pub fn execution_started(names: &Names) -> Event {
    let Names { session, execution } = names;
    Event::ours(
        "execution.started",
        &ExecutionStarted { execution_id: execution.as_str(), session_id: session.as_str() },
    )
}

/// The close-out of a dispatched turn: two frames for a success, three for anything else. What the
/// box itself has `told` of a turn that ended as it said stands in the place of ours. A `done` of
/// ours tells the `sum` of the turn's frames, of which those that it is given are the last.
#[must_use]
pub fn frames(
    names: &Names,
    verdict: &Verdict,
    answer: &Answer,
    told: Vec<Event>,
    sum: impl FnOnce(&[Event]) -> Option<Sum>,
) -> Vec<Event> {
    let status = public_status(verdict.outcome());
    let mut frames = match verdict {
        Verdict::Completed => before_done(names, status, None, answer),
        Verdict::Failed { code, message } => {
            let error = ErrorFrame { message, code: code.as_str() };
            before_done(names, status, Some(&error), answer)
        }
        Verdict::Cancelled => {
            let code = super::verdict::Code::Cancelled;
            let error = ErrorFrame { message: code.explanation(), code: code.as_str() };
            before_done(names, status, Some(&error), answer)
        }
    };
    let mut told_done = None;
    for told in told {
        if told.name == *DONE {
            told_done = Some(told);
        } else if let Some(ours) = frames.iter_mut().find(|ours| ours.name == told.name) {
            *ours = told;
        }
    }
    let done = told_done.unwrap_or_else(|| done(names, status, answer, sum(&frames)));
    frames.push(done);
    frames
}

/// Whether clients of this fidelity are told of `event`.
#[must_use]
pub fn is_told(event: &Event, fidelity: Fidelity) -> bool {
    match fidelity {
        Fidelity::Full => true,
        Fidelity::Result => event.name == *"error" || event.name == *"result",
    }
}

/// What a client is told whose turn the box never took, once the head of its stream has left.
/// These frames are in no log and have no id.
#[must_use]
pub fn withdrawn_frames(names: &Names, why: Withdrawal, message: &str) -> Vec<Event> {
    let error = ErrorFrame { message, code: why.code() };
    let outcome = match why {
        Withdrawal::Cancelled => Outcome::Cancelled,
        Withdrawal::Refused
        | Withdrawal::SessionLost
        | Withdrawal::BoxUnreachable
        | Withdrawal::BoxError
        | Withdrawal::NeverSent
        | Withdrawal::LogUnavailable
        | Withdrawal::NotKept => Outcome::Failed,
    };
    let (status, answer) = (public_status(outcome), Answer::default());
    let mut frames = before_done(names, status, Some(&error), &answer);
    // A digest is taken over numbers, too, and these frames have none.
    frames.push(done(names, status, &answer, None));
    frames
}

const fn public_status(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Completed => "success",
        Outcome::Failed => "failed",
        Outcome::Cancelled => "cancelled",
    }
}

fn before_done(
    names: &Names,
    status: &'static str,
    error: Option<&ErrorFrame<'_>>,
    answer: &Answer,
) -> Vec<Event> {
    let Answer { final_text, token_usage, total_cost_usd: _ } = answer;
    let token_usage = token_usage.as_ref().and_then(raw);
    let result = ResultFrame {
        final_text,
        success: error.is_none(),
        status,
        error: error.map(|e| e.message),
        error_code: error.map(|e| e.code),
        token_usage: token_usage.as_deref(),
        metadata: Metadata { session_id: names.session.as_str() },
    };
    let result = Event::ours("result", &result);
    error.map(|error| Event::ours("error", error)).into_iter().chain([result]).collect()
}

fn done(names: &Names, status: &'static str, answer: &Answer, sum: Option<Sum>) -> Event {
    let Names { session, execution } = names;
    let Answer { final_text: _, token_usage, total_cost_usd } = answer;
    let token_usage = token_usage.as_ref().and_then(raw);
    let digest = sum.map(|sum| sum.digest.to_hex());
    let done = DoneFrame {
        status,
        session_id: session.as_str(),
        execution_id: execution.as_str(),
        token_usage: token_usage.as_deref(),
        total_cost_usd: *total_cost_usd,
        events: sum.map(|sum| sum.events),
        digest: digest.as_deref(),
    };
    Event::ours(DONE, &done)
}

/// The box's JSON inside a frame of ours, token for token.
fn raw(json: &WireJson) -> Option<Box<RawValue>> {
    serde_json::from_slice(json.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::turn::verdict::Code;

    fn names() -> Names {
        Names {
            session: SessionId::parse("ses_1").expect("an id"),
            execution: ExecutionId::parse("e1").expect("an id"),
        }
    }

    fn close_out(verdict: &Verdict, answer: &Answer, told: Vec<Event>) -> Vec<Event> {
        let digest = blake3::Hash::from_bytes([0xab; 32]);
        frames(&names(), verdict, answer, told, |before| {
            assert!(before.last().is_some_and(|last| last.name == *"result"), "{before:?}");
            Some(Sum { events: 7, digest })
        })
    }

    fn lines(events: &[Event]) -> Vec<String> {
        let text = |b: &bytes::Bytes| String::from_utf8_lossy(b).into_owned();
        let line = |e: &Event| text(e.name.as_bytes()) + " " + &text(e.data.as_bytes());
        events.iter().map(line).collect()
    }

    #[test]
    fn a_success_closes_with_result_and_done_and_keeps_the_boxs_tokens() {
        let answer = Answer {
            final_text: "hi".into(),
            token_usage: Some(WireJson::from_json(b"{\"input\": 1.0}").expect("json")),
            total_cost_usd: Some(0.5),
        };
        assert_eq!(
            lines(&close_out(&Verdict::Completed, &answer, Vec::new())),
            [
                r#"result {"finalText":"hi","success":true,"status":"success","tokenUsage":{"input":1.0},"metadata":{"sessionId":"ses_1"}}"#,
                concat!(
                    r#"done {"status":"success","sessionId":"ses_1","executionId":"e1","tokenUsage":{"input":1.0},"totalCostUsd":0.5,"events":7,"#,
                    r#""digest":"abababababababababababababababababababababababababababababababab"}"#,
                ),
            ]
        );
    }

    #[test]
    fn a_done_without_a_sum_tells_neither_events_nor_digest() {
        let (verdict, answer) = (Verdict::Completed, Answer::default());
        let got = lines(&frames(&names(), &verdict, &answer, Vec::new(), |_| None));
        let done = r#"done {"status":"success","sessionId":"ses_1","executionId":"e1"}"#;
        assert_eq!(got.last().map(String::as_str), Some(done));
        let withdrawn = lines(&withdrawn_frames(&names(), Withdrawal::Refused, "no"));
        let done = r#"done {"status":"failed","sessionId":"ses_1","executionId":"e1"}"#;
        assert_eq!(withdrawn.last().map(String::as_str), Some(done));
    }

    #[test]
    fn what_the_box_told_stands_as_it_is_and_is_summed_up_where_it_stands() {
        let told = |name, json: &[u8]| Event {
            name: crate::event::EventName::from_static(name),
            data: WireJson::from_json(json).expect("json"),
        };
        let (result, done) = (told("result", b"{\"x\": 1.0}"), told("done", b"{\"y\": 2.0}"));
        let got = close_out(&Verdict::Completed, &Answer::default(), vec![result.clone(), done]);
        assert_eq!(lines(&got), [r#"result {"x":1.0}"#, r#"done {"y":2.0}"#]);
        let mut seen = Vec::new();
        let ours =
            frames(&names(), &Verdict::Completed, &Answer::default(), vec![result], |before| {
                seen = lines(before);
                None
            });
        assert_eq!((seen, ours.len()), (vec![r#"result {"x":1.0}"#.to_owned()], 2));
    }

    #[test]
    fn a_failure_is_visible_in_error_and_in_result() {
        let verdict = Verdict::ours(Code::BoxLost);
        let got = lines(&close_out(&verdict, &Answer::default(), Vec::new()));
        let [error, result, done] = got.as_slice() else { panic!("three frames, not {got:?}") };
        assert!(error.starts_with("error {\"message\":") && error.contains("BOX_LOST"), "{error}");
        assert!(result.contains(r#""success":false,"status":"failed","error":"#), "{result}");
        assert!(result.contains(r#""errorCode":"BOX_LOST""#), "{result}");
        assert!(done.starts_with(r#"done {"status":"failed""#), "{done}");
    }

    #[test]
    fn a_cancelled_turn_says_so_three_times() {
        let got = lines(&close_out(&Verdict::Cancelled, &Answer::default(), Vec::new()));
        assert_eq!(got.len(), 3);
        assert!(got.iter().all(|line| line.to_lowercase().contains("cancelled")), "{got:?}");
    }
}
