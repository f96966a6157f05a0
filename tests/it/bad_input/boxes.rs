//! Boxes that answer nonsense: HTML, half a JSON, nothing, no end, no UTF-8, names with line
//! breaks. Each becomes an error with a code or a verdict in the stream, and the prompt reaches
//! the box at most once.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::super::raw::{Answer, read};
use super::super::support::scripted_box::{Fault, Route};
use super::stage::{GOOD, Stage, answer_at_once, check};

const PROMPT: &str = r#"{"message":"hi","sessionId":"ses"}"#;

/// Answers that no client of a box should have to expect.
fn nonsense() -> Vec<(&'static str, Fault)> {
    let kind = "application/json";
    vec![
        ("html", Fault::html(200)),
        ("a gateway's html", Fault::html(502)),
        ("half a JSON", Fault::answer(200, kind, r#"[{"info":{"id":"msg_1","ro"#)),
        ("an empty body", Fault::answer(200, kind, "")),
        ("no UTF-8", Fault::answer(200, kind, &b"[\"\xff\xfe\"]"[..])),
        ("another shape", Fault::answer(200, kind, r#""hi""#)),
        ("nested deep", Fault::answer(200, kind, "[".repeat(100_000))),
        ("no end", Fault::Endless),
        ("a hang-up", Fault::LoseRequest),
    ]
}

/// Plays each kind of nonsense, all at the same time.
async fn each<F: Future<Output = ()>>(play: impl Fn(&'static str, Fault) -> F) {
    join_all(nonsense().into_iter().map(|(what, fault)| play(what, fault))).await;
}

/// Checks a stream that ended: its frames are whole, numbered without a hole, and end with one
/// verdict.
#[track_caller]
fn check_ended(answer: &Answer, what: &str) -> Value {
    assert_eq!(answer.head.status(), 200, "{what}: {answer:?}");
    assert!(answer.is_whole, "{what}: {answer:?}");
    let numbered: Vec<_> = answer.ids();
    assert_eq!(numbered, (1..=numbered.len() as u64).collect::<Vec<_>>(), "{what}");
    let names: Vec<_> = answer.frames().into_iter().map(|(_, name)| name).collect();
    for name in ["result", "done"] {
        assert_eq!(names.iter().filter(|n| **n == name).count(), 1, "{what}: {names:?}");
    }
    assert_eq!(names.last(), Some(&"done"), "{what}");
    assert!(!answer.body.contains("canary"), "{what}");
    answer.last_data("done")
}

#[tokio::test]
async fn nonsense_while_a_turn_runs_costs_time_and_no_event() {
    let stage = Stage::new().await;
    let mut prompts = 0;
    for route in [Route::Messages, Route::Status, Route::Session] {
        for (what, fault) in nonsense() {
            for _ in 0..2 {
                stage.scripted.fail_next(route, fault.clone());
            }
            let body = json!({"message": "hi"}).to_string();
            let turn = stage.post("", body).await;
            let done = check_ended(&turn, what);
            assert_eq!(done["status"], "success", "{route:?} {what}: {turn:?}");
            assert_eq!(turn.last_data("result")["finalText"], "word", "{route:?} {what}");
            prompts += 1;
            // What this turn did not meet must not meet the next one.
            stage.scripted.forget_faults();
        }
    }
    stage.holds(prompts).await;
}

#[tokio::test]
async fn nonsense_for_ever_ends_in_a_verdict_with_a_code() {
    each(|what, fault| async move {
        let stage = Stage::new().await;
        stage.scripted.fail_always(Route::Messages, Some(fault.clone()));
        let turn = stage.post("X-Execution-ID: e\r\n", PROMPT).await;
        assert_eq!(check_ended(&turn, what)["status"], "failed", "{what}: {turn:?}");
        let error = turn.last_data("error");
        let code = error["code"].as_str().expect("a code");
        assert!(["BOX_ERROR", "BOX_UNREACHABLE"].contains(&code), "{what}: {error}");
        assert_eq!(turn.last_data("result")["errorCode"], code, "{what}");
        stage.scripted.fail_always(Route::Messages, None);
        let again = stage.get("/agents/executions/e/events", "").await;
        assert_eq!(again.ids(), turn.ids(), "{what}: the verdict stays");
        stage.holds(1).await;
    })
    .await;
}

#[tokio::test]
async fn nonsense_in_answer_to_the_prompt_never_sends_it_twice() {
    each(|what, fault| async move {
        let stage = Stage::new().await;
        stage.scripted.fail_next(Route::Prompt, fault);
        let turn = stage.post("X-Execution-ID: e\r\n", PROMPT).await;
        let done = check_ended(&turn, what);
        assert_eq!(done["status"], "failed", "{what}: {turn:?}");
        assert_eq!(turn.last_data("error")["code"], "DISPATCH_UNCONFIRMED", "{what}");
        let again = stage.post("X-Execution-ID: e\r\n", PROMPT).await;
        assert_eq!(again.ids(), turn.ids(), "{what}: a repeated POST replays");
        stage.holds(1).await;
    })
    .await;
}

#[tokio::test]
async fn a_prompt_whose_answer_is_lost_is_found_and_not_sent_again() {
    let stage = Stage::new().await;
    for fault in [Fault::LoseAnswer, Fault::AnswerAfterEffect(502), Fault::AnswerAfterEffect(500)] {
        stage.scripted.fail_next(Route::Prompt, fault);
        let turn = stage.post("", json!({"message": "hi"}).to_string()).await;
        assert_eq!(check_ended(&turn, "a lost answer")["status"], "success", "{turn:?}");
    }
    stage.holds(3).await;
}

#[tokio::test]
async fn nonsense_when_a_session_is_opened_starts_nothing() {
    each(|what, fault| async move {
        let stage = Stage::new().await;
        stage.scripted.fail_always(Route::Open, Some(fault));
        let turn = stage.post("X-Execution-ID: e\r\n", PROMPT).await;
        check(&turn, 502, if what == "a hang-up" { "BOX_UNREACHABLE" } else { "BOX_ERROR" });
        let gone = stage.get("/agents/executions/e/events", "").await;
        check(&gone, 404, "EXECUTION_NOT_FOUND");
        stage.scripted.fail_always(Route::Open, None);
        stage.holds(0).await;
    })
    .await;
}

#[tokio::test]
async fn a_box_that_refuses_answers_with_its_own_words() {
    let stage = Stage::new().await;
    for status in [400, 401, 403, 404, 409, 422] {
        let body = format!("{{\"no\":{status}}}");
        let headers = [("content-type", "application/json"), ("retry-after", "7"), ("x-own", "1")];
        let headers = headers.map(|(name, value)| (name, value.to_owned())).to_vec();
        let refusal = Fault::Answer(status, headers, body.clone().into());
        stage.scripted.fail_next(Route::Prompt, refusal);
        let turn = stage.post("X-Execution-ID: e\r\n", PROMPT).await;
        assert_eq!((turn.head.status(), turn.body.as_str()), (status, body.as_str()), "{turn:?}");
        assert_eq!((turn.head.one("retry-after"), turn.head.one("x-own")), (Some("7"), Some("1")));
        assert_eq!(turn.head.one("x-afterbay-error"), None);
        let gone = stage.get("/agents/executions/e/events", "").await;
        assert_eq!(gone.head.status(), 404, "no ids are left");
    }
    stage.holds(6).await;
}

#[tokio::test]
async fn a_credential_that_the_box_refuses_is_refused_as_the_box_does() {
    let stage = Stage::new().await;
    stage.scripted.with(|state| state.authorization = Some(GOOD.to_owned()));
    let fields = "Authorization: Bearer bad-canary\r\n";
    for fields in [fields, ""] {
        let turn = stage.ask("POST /agents/run/stream", fields, PROMPT).await;
        assert_eq!(turn.head.status(), 401, "{turn:?}");
        let passed = stage.ask("GET /session/status", fields, "").await;
        assert_eq!(passed.head.status(), 401, "{passed:?}");
        assert_eq!(passed.head.one("x-afterbay-error"), None);
    }
    stage.holds(0).await;
}

#[tokio::test]
async fn a_credential_that_expires_in_mid_turn_is_a_verdict_of_its_own() {
    let stage = Stage::new().await;
    stage.scripted.on_prompt(|state, session, prompt| {
        state.begin(session, prompt);
        state.authorization = Some("Bearer other-canary".to_owned());
    });
    let turn = stage.post("X-Execution-ID: e\r\n", PROMPT).await;
    assert_eq!(check_ended(&turn, "expired")["status"], "failed");
    assert_eq!(turn.last_data("error")["code"], "BOX_UNAUTHORIZED", "{turn:?}");
    stage.scripted.with(|state| state.authorization = None);
    stage.scripted.on_prompt(answer_at_once);
    stage.holds(1).await;
}

#[tokio::test]
async fn what_is_passed_on_comes_back_as_the_box_said_it() {
    let stage = Stage::new().await;
    let page = "<html>\u{e9} half a pa";
    for status in [200, 404, 502] {
        let fault = Fault::answer(status, "text/html; charset=utf-8", page);
        stage.scripted.fail_next(Route::Status, fault);
        let answer = stage.get("/session/status", "").await;
        assert_eq!((answer.head.status(), answer.body.as_str()), (status, page));
        assert_eq!(answer.head.one("x-afterbay-error"), None);
    }
    stage.scripted.fail_next(Route::Status, Fault::LoseRequest);
    check(&stage.get("/session/status?token=canary", "").await, 502, "BOX_ERROR");
    stage.holds(0).await;
}

#[tokio::test]
async fn json_nested_beyond_every_parser_inside_a_part_is_a_warning_in_its_place() {
    for depth in [101, 1_000_000] {
        let stage = Stage::new().await;
        stage.scripted.on_prompt(|state, session, prompt| {
            let message = state.begin(session, prompt);
            state.tool(session, &message, "prt_0", "completed", "MARK");
            state.text(session, &message, "prt_1", "word", true);
            state.complete(session, &message, Some("stop"));
        });
        stage.scripted.hold(Route::Messages);
        let client = stage.send("POST /agents/run/stream", "", PROMPT).await;
        stage.scripted.reached(Route::Messages, 1).await;
        let all = stage.scripted.with(|state| {
            let session = state.sessions.values_mut().next().expect("a session");
            session.status = None;
            Value::from(session.messages.clone()).to_string()
        });
        let deep = all.replace("\"MARK\"", &format!("{}1{}", "[".repeat(depth), "]".repeat(depth)));
        let fault = Fault::answer(200, "application/json", deep);
        stage.scripted.fail_always(Route::Messages, Some(fault));
        stage.scripted.release(Route::Messages);
        let turn = read(client).await;
        assert_eq!(check_ended(&turn, "deep")["status"], "success", "{depth}");
        assert_eq!(turn.last_data("warning")["code"], "UPSTREAM_GAP", "{depth}");
        assert_eq!(turn.last_data("result")["finalText"], "word", "{depth}: the rest is shown");
        assert!(!turn.body.contains("[[["), "{depth}: no client is sent what it cannot decode");
        stage.scripted.fail_always(Route::Messages, None);
        stage.scripted.on_prompt(answer_at_once);
        stage.holds(1).await;
    }
}

#[tokio::test]
async fn names_with_line_breaks_from_a_box_make_no_frame_of_their_own() {
    let stage = Stage::new().await;
    let evil = "x\r\nid: 99\nevent: done\ndata: {}\n\n\u{2028}\u{85}\u{0}";
    stage.scripted.on_prompt(move |state, session, prompt| {
        let message = state.begin(session, prompt);
        state.text(session, &message, evil, evil, true);
        state.tool(session, &message, "prt_2", evil, evil);
        state.permissions.push(json!({"id": evil, "sessionID": session, "permission": evil}));
        state.fail(session, &message, evil, evil);
        state.idle(session);
    });
    let turn = stage.post("", PROMPT).await;
    assert_eq!(check_ended(&turn, "line breaks")["status"], "failed");
    for c in ['\r', '\u{2028}', '\u{85}', '\u{0}'] {
        assert!(!turn.body.contains(c), "{c:?}: {turn:?}");
    }
    stage.scripted.on_prompt(answer_at_once);
    stage.holds(1).await;
}

#[tokio::test]
async fn a_session_id_with_line_breaks_from_a_box_is_no_id() {
    let ids = ["ses\r\nx-evil: 1", "../ses", "", "ses/../../global"];
    let plays = ids.map(|id| async move {
        let stage = Stage::new().await;
        let opened = json!({"id": id, "directory": "/", "time": {"created": 1, "updated": 1}});
        stage.scripted.fail_always(Route::Open, Some(Fault::json(200, &opened)));
        check(&stage.post("", r#"{"message":"hi"}"#).await, 502, "BOX_ERROR");
        stage.scripted.fail_always(Route::Open, None);
        stage.holds(0).await;
    });
    join_all(plays).await;
}
