//! Sending a prompt: the client's own bytes, once, and a clear word on what became of it.

use std::time::Duration;

use afterbay::limits;
use afterbay::upstream::tangle::{Lane, Settings};
use afterbay::upstream::{Accepted, Dispatch, Ending, Upstream};
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use serde_json::json;
use tokio::time::Instant;

use super::super::support::scripted_sidecar::{Canned, Route, Sidecar};
use super::{
    ASSIGNED, SECRET, adapter, adapter_with, new_turn, prepared, prompt, said, session_id, status,
    who,
};

const STARTED: &str = r#"{"executionId":"exec_box","sessionId":"sess_assigned", "extra":1.0}"#;

/// Dispatches on the client's session `mine`, which the box does not know, after `answer`.
async fn dispatched(answer: Canned) -> (Dispatch, Sidecar) {
    let sidecar = Sidecar::start().await;
    let adapter = adapter(&sidecar);
    let ids = new_turn();
    let prepared = prepared(&adapter, &ids).await;
    sidecar.says(Route::Run, [answer]);
    let body = prompt(r#"{"message":"build it"}"#);
    (adapter.dispatch(Some(&who()), &ids, &prepared, &body).await, sidecar)
}

async fn accepted(answer: Canned) -> Accepted {
    let (sent, sidecar) = dispatched(answer).await;
    let Dispatch::Accepted(accepted) = sent else { panic!("not accepted: {sent:?}") };
    assert_eq!(sidecar.seen(Route::Run).len(), 1);
    sidecar.drops_all().await;
    accepted
}

/// What a dispatch came to, in a few words.
fn word(sent: &Dispatch) -> String {
    match sent {
        Dispatch::Accepted(accepted) => format!("accepted {}", accepted.session),
        Dispatch::NotSent(error) => format!("not sent {}", error.class()),
        Dispatch::Later(refusal, wait) => {
            format!("later {} {}", refusal.status.as_u16(), wait.map_or(-1, |w| w.as_secs() as i64))
        }
        Dispatch::Refused(refusal) => format!("refused {}", refusal.status.as_u16()),
        Dispatch::Unanswered(error) => format!("unanswered {}", error.class()),
        Dispatch::Unnamed(error) => format!("unnamed {}", error.class()),
    }
}

#[tokio::test]
async fn the_body_goes_out_byte_for_byte_but_for_detach() {
    let sidecar = Sidecar::start().await;
    let adapter = adapter(&sidecar);
    let ids = new_turn();
    let prepared = prepared(&adapter, &ids).await;
    sidecar.says(Route::Run, [Canned::stream(&[("execution.started", STARTED)])]);
    for (body, sent) in [
        (
            " {\"message\" : \"a\\u00e9\", \"n\":1.0e2}\n",
            " {\"detach\":true,\"message\" : \"a\\u00e9\", \"n\":1.0e2}\n",
        ),
        (
            r#"{"message":"x","detach":true , "k":[ ]}"#,
            r#"{"message":"x","detach":true , "k":[ ]}"#,
        ),
        (r#"{"message":"x","detach": false}"#, r#"{"message":"x","detach": true}"#),
    ] {
        let sent_out = adapter.dispatch(Some(&who()), &ids, &prepared, &prompt(body)).await;
        assert!(matches!(sent_out, Dispatch::Accepted(_)), "{sent_out:?}");
        let seen = sidecar.seen(Route::Run).pop().expect("arrived");
        assert_eq!(std::str::from_utf8(&seen.body), Ok(sent));
    }
}

#[tokio::test]
async fn the_clients_end_to_end_headers_go_out_and_digests_only_of_an_unchanged_body() {
    let sidecar = Sidecar::start().await;
    let adapter = adapter(&sidecar);
    let ids = new_turn();
    let prepared = prepared(&adapter, &ids).await;
    sidecar.says(Route::Run, [Canned::stream(&[("execution.started", STARTED)])]);
    for (bytes, keeps_digest) in
        [(&br#"{"message":"x","detach":true}"#[..], true), (br#"{"message":"x"}"#, false)]
    {
        let mut body = prompt("");
        for (name, value) in [
            ("content-length", "9999"),
            ("accept-encoding", "br"),
            ("host", "evil"),
            ("authorization", "Bearer stale"),
            ("connection", "x-hop"),
            ("x-hop", "1"),
            ("last-event-id", "7"),
            ("content-digest", "sha-256=:x:"),
            ("x-trace", "t-1"),
            ("x-execution-id", "another"),
        ] {
            body.headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        body.bytes = Bytes::from_static(bytes);
        let sent = adapter.dispatch(Some(&who()), &ids, &prepared, &body).await;
        assert!(matches!(sent, Dispatch::Accepted(_)), "{sent:?}");
        let seen = sidecar.seen(Route::Run).pop().expect("arrived");
        assert_eq!(seen.header("authorization"), Some(SECRET));
        assert_eq!(seen.header("x-execution-id"), Some("exec_1"));
        assert_eq!(seen.header("x-trace"), Some("t-1"));
        assert_eq!(seen.header("content-type"), Some("application/json"));
        assert_eq!(seen.header("accept"), Some("text/event-stream"));
        assert_eq!(seen.header("content-digest").is_some(), keeps_digest);
        for gone in ["x-hop", "accept-encoding", "last-event-id"] {
            assert_eq!(seen.header(gone), None, "{gone}");
        }
    }
}

#[tokio::test]
async fn the_stream_is_dropped_once_it_has_named_the_turn() {
    for stream in [
        Canned::stream(&[
            ("start", "{}"),
            ("status", r#"{"sessionId":"other"}"#),
            ("execution.started", STARTED),
        ]),
        Canned::stream(&[(
            "message",
            r#"{"type":"execution.started","properties":{"executionId":"exec_box","sessionId":"sess_assigned"}}"#,
        )]),
        Canned::stream(&[(
            "execution.started",
            r#"{"type":"execution.started","data":{"executionId":"exec_box","sessionId":"sess_assigned"}}"#,
        )]),
    ] {
        let start = Instant::now();
        let accepted = accepted(stream.hangs()).await;
        assert!(start.elapsed() < limits::DISPATCH_SILENCE, "nobody waits for more");
        assert_eq!(accepted.session, session_id(ASSIGNED));
        assert_eq!(accepted.execution.as_ref().map(|id| id.as_str()), Some("exec_box"));
        assert_eq!((accepted.frames.len(), &accepted.ended), (1, &None));
        assert!(accepted.frames[0].name == *"execution.started");
    }
    let accepted = accepted(Canned::stream(&[("execution.started", STARTED)])).await;
    let data = accepted.frames[0].data.as_bytes();
    assert_eq!(data, &STARTED.replace(", ", ",").into_bytes(), "its own data");
}

#[tokio::test]
async fn a_receipt_names_the_session_bare_or_wrapped() {
    for (status, receipt) in [
        (
            200,
            json!({"sessionId": ASSIGNED, "executionId": "exec_box", "status": "running", "dispatched": true}),
        ),
        (
            202,
            json!({"data": {"sessionId": ASSIGNED, "executionId": "exec_box", "dispatched": false, "alreadyExisted": true}}),
        ),
    ] {
        let accepted = accepted(Canned::json(status, &receipt)).await;
        assert_eq!(accepted.session, session_id(ASSIGNED), "not the supplied one");
        assert_eq!(accepted.execution.map(|id| id.to_string()).as_deref(), Some("exec_box"));
        assert!(accepted.frames.is_empty() && accepted.ended.is_none());
    }
}

#[tokio::test]
async fn a_very_short_turn_is_told_by_its_closing_frames() {
    let result = r#"{"finalText":"hi","success":true,"status":"success","usage":{"n":1},"metadata":{"sessionId":"sess_assigned"}}"#;
    let done = r#"{"status":"success","executionId":"exec_box","totalCostUsd":0.5}"#;
    let told = accepted(Canned::stream(&[("result", result), ("done", done)]).hangs()).await;
    let ended = told.ended.expect("over");
    assert_eq!((told.session, ended.ending), (session_id(ASSIGNED), Ending::Completed));
    assert_eq!(ended.answer.final_text, "hi");
    assert_eq!((ended.answer.total_cost_usd, ended.frames.len()), (Some(0.5), 2));

    let error = r#"{"message":"no","code":"X","sessionId":"sess_assigned"}"#;
    let told = accepted(Canned::stream(&[("error", error), ("done", done)])).await;
    let failed = Ending::Failed { code: "X".into(), message: "no".into() };
    assert_eq!(told.ended.expect("over").ending, failed, "an error before a done is a failure");

    // The stream ends, or falls silent, before `done`. No session is named: the client's name does.
    for stream in [
        Canned::stream(&[("result", r#"{"success":true}"#)]),
        Canned::stream(&[("session.run.completed", "{}")]).hangs(),
    ] {
        let told = accepted(stream).await;
        assert_eq!(told.session, session_id("mine"));
        assert_eq!(told.ended.expect("over").ending, Ending::Completed);
    }
}

#[tokio::test]
async fn a_box_that_has_it_and_does_not_say_where_is_unnamed_after_a_second() {
    for (stream, waits) in [
        (Canned::stream(&[]).hangs(), true),
        (Canned::stream(&[("start", "{}"), ("status", r#"{"sessionId":"other"}"#)]).hangs(), true),
        (Canned::stream(&[("execution.started", "{}")]), false),
        (Canned::stream(&[("execution.started", r#"{"sessionId":"no id/.."}"#)]), false),
        (Canned::stream(&[("status", "{}")]), false),
        (Canned::stream(&[("status", "half"), ("x", &"x".repeat(2 << 20))]), false),
        (Canned::json(200, &json!({"executionId": "exec_box", "dispatched": true})), false),
    ] {
        let start = Instant::now();
        let (sent, sidecar) = dispatched(stream).await;
        assert_eq!(word(&sent), "unnamed no_answer");
        let took = start.elapsed();
        sidecar.drops_all().await;
        assert_eq!(took >= limits::DISPATCH_SILENCE, waits, "{took:?}");
        assert!(took < 2 * limits::DISPATCH_SILENCE, "{took:?}");
    }
}

#[tokio::test]
async fn the_only_session_that_the_box_knew_is_certain() {
    let sidecar = Sidecar::start().await;
    let adapter = adapter(&sidecar);
    let ids = new_turn();
    sidecar.holds(&json!([said("a0", "old", &json!({}))]));
    let prepared = prepared(&adapter, &ids).await;
    sidecar.says(Route::Run, [Canned::stream(&[])]);
    let sent = adapter.dispatch(None, &ids, &prepared, &prompt(r#"{"message":"x"}"#)).await;
    assert_eq!(word(&sent), "accepted mine");
}

#[tokio::test]
async fn what_became_of_a_prompt_is_told_by_what_can_be_known() {
    let json_type = "application/json";
    for (answer, expected) in [
        (Canned::error(400, "BAD"), "refused 400"),
        (Canned::error(401, "UNAUTHORIZED"), "refused 401"),
        (Canned::error(403, "FORBIDDEN"), "refused 403"),
        (Canned::error(404, "NOT_FOUND"), "refused 404"),
        (Canned::error(409, "CONFLICT"), "refused 409"),
        (Canned::html(413), "refused 413"),
        (Canned::html(404), "unanswered status"),
        (Canned::error(408, "TIMEOUT"), "unanswered status"),
        (Canned::error(429, "RATE").with("retry-after", "7"), "later 429 7"),
        (Canned::error(429, "RATE"), "later 429 -1"),
        (Canned::html(503), "later 503 -1"),
        (Canned::error(503, "AGENT_WARMING_UP").with("retry-after", "3"), "later 503 3"),
        (Canned::error(500, "INTERNAL"), "unanswered status"),
        (Canned::html(502), "unanswered status"),
        (Canned::html(504), "unanswered status"),
        (Canned::html(522), "unanswered status"),
        (Canned::html(524), "unanswered status"),
        (Canned::text(302, "text/plain", "").with("location", "/"), "unanswered status"),
        (Canned::html(200), "unanswered nonsense"),
        (Canned::text(200, json_type, ""), "unanswered nonsense"),
        (Canned::text(200, json_type, r#"{"sessionId":"s"#), "unanswered nonsense"),
        (Canned::text(200, json_type, "[]"), "unanswered nonsense"),
        (Canned::text(200, json_type, "{}"), "unanswered nonsense"),
        (Canned::text(204, json_type, ""), "unanswered nonsense"),
        (Canned::error(200, "X"), "unanswered nonsense"),
        (Canned::nothing(), "unanswered no_answer"),
    ] {
        let shown = format!("{answer:?}");
        let (sent, sidecar) = dispatched(answer).await;
        assert_eq!(word(&sent), expected, "{shown}");
        assert_eq!(sidecar.seen(Route::Run).len(), 1, "once: {shown}");
        if let Dispatch::Unanswered(error) = sent {
            assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_box_that_warms_up_is_asked_again_soon() {
    let (sent, _sidecar) = dispatched(Canned::error(503, "AGENT_WARMING_UP")).await;
    let Dispatch::Later(_, Some(wait)) = sent else { panic!("{sent:?}") };
    assert!((Duration::from_millis(250)..=Duration::from_secs(4)).contains(&wait), "{wait:?}");
}

#[tokio::test]
async fn a_conflict_with_ourselves_is_no_refusal() {
    let sidecar = Sidecar::start().await;
    let adapter = adapter(&sidecar);
    let ids = new_turn();
    let prepared = prepared(&adapter, &ids).await;
    sidecar.says(Route::Run, [Canned::error(409, "CONFLICT")]);
    let body = prompt(r#"{"message":"build it"}"#);
    let who = who();
    let send = || adapter.dispatch(Some(&who), &ids, &prepared, &body);

    // A concurrent turn, even with the same words.
    sidecar.says(Route::Status, [status(&json!({"state": "running", "activeExecutionId": "x"}))]);
    sidecar.holds(&json!([{"id": "u", "role": "user", "parts": [{"id": "p", "type": "text", "text": "build it"}]}]));
    assert_eq!(word(&send().await), "refused 409");
    // The box runs ours in the session.
    sidecar
        .says(Route::Status, [status(&json!({"state": "running", "activeExecutionId": "exec_1"}))]);
    assert_eq!(word(&send().await), "accepted mine");
    // It replays ours, under a session of its own.
    sidecar.says(Route::Replay, [Canned::stream(&[("execution.started", STARTED)]).hangs()]);
    assert_eq!(word(&send().await), format!("accepted {ASSIGNED}"));
    // It cannot be asked.
    sidecar.says(Route::Replay, [Canned::html(502)]);
    assert_eq!(word(&send().await), "unanswered status");
}

#[tokio::test]
async fn a_box_that_nobody_reaches_was_sent_nothing() {
    let sidecar = Sidecar::start().await;
    let adapter = adapter(&sidecar);
    let ids = new_turn();
    let prepared = prepared(&adapter, &ids).await;
    sidecar.stop().await;
    let sent = adapter.dispatch(None, &ids, &prepared, &prompt(r#"{"message":"x"}"#)).await;
    assert_eq!(word(&sent), "not sent connect");
}

#[tokio::test]
async fn a_prompt_may_go_out_as_a_message_of_a_session() {
    let sidecar = Sidecar::start().await;
    let settings = Settings { lane: Lane::Messages, ..Settings::default() };
    let adapter = adapter_with(&sidecar, settings);
    let ids = new_turn();
    let prepared = prepared(&adapter, &ids).await;
    let body = prompt(r#"{"message":"build it","backend":{}}"#);
    for (answer, expected) in [
        (Canned::json(200, &json!({"data": {"messageId": "m"}})), "accepted mine".to_owned()),
        (Canned::json(202, &json!({"sessionId": ASSIGNED})), format!("accepted {ASSIGNED}")),
        (Canned::text(202, "application/json", ""), "accepted mine".to_owned()),
        (Canned::html(200), "unanswered nonsense".to_owned()),
        (Canned::error(404, "NOT_FOUND"), "refused 404".to_owned()),
    ] {
        sidecar.says(Route::Say, [answer]);
        assert_eq!(word(&adapter.dispatch(None, &ids, &prepared, &body).await), expected);
    }
    let seen = sidecar.seen(Route::Say).pop().expect("arrived");
    assert_eq!(seen.path, "/agents/sessions/mine/messages");
    let sent = r#"{"parts":[{"type":"text","text":"build it"}],"turnId":"turn_1"}"#;
    assert_eq!(std::str::from_utf8(&seen.body), Ok(sent));
}
