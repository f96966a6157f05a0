//! Turns started without a stream.

use std::time::Duration;

use afterbay::http::Settings;
use afterbay::upstream::Ending;
use serde_json::json as value;

use super::super::raw::read;
use super::super::support::hall::Verdict;
use super::super::support::play::{PROMPT, Play};
use super::{MESSAGE, SESSION, TURNS, ask, ask_as, check_error, json, run, start};

#[tokio::test]
async fn a_turn_is_accepted_with_its_ids_and_where_to_look() {
    let play = Play::new().await;
    let answer = start(&play, "", r#"{"message":"hi","turnId":"t-1","executionId":"e-1"}"#).await;
    assert_eq!(answer.head.status(), 202, "{answer:?}");
    let turn = "/afterbay/v1/boxes/default/turns/e-1";
    assert_eq!(answer.head.one("location"), Some(turn));
    assert_eq!(answer.head.one("cache-control"), Some("no-store"));
    let expected = value!({
        "executionId": "e-1", "sessionId": "box-1", "turnId": "t-1", "cursor": 0, "state": "running"
    });
    assert_eq!(json(&answer), expected);
    let told = ask(&play, &format!("GET {turn}"), "", "").await;
    assert_eq!(json(&told)["state"], "running");
    play.hall.script.ends(Ending::Completed);
    play.get(&format!("{SESSION}/events?until=idle"), "").await;
    // The next turn's events follow those of this one.
    let next = start(&play, "", MESSAGE).await;
    let (told, next) = (json(&ask(&play, &format!("GET {turn}"), "", "").await), json(&next));
    assert_eq!(next["cursor"], told["lastEventId"]);
    assert!(next["executionId"].as_str().expect("minted").starts_with("exec_"));
    assert!(next.get("turnId").is_none());
}

#[tokio::test]
async fn a_repeat_starts_nothing_and_gets_the_same_ids() {
    for (fields, body) in [
        ("", r#"{"message":"hi","turnId":"t-1"}"#),
        ("Idempotency-Key: t-1\r\n", MESSAGE),
        ("Idempotency-Key: \"t-1\"\r\n", MESSAGE),
        ("Idempotency-Key: t-1\r\n", r#"{"message":"hi","turnId":"t-1"}"#),
        ("X-Execution-ID: e-1\r\n", MESSAGE),
    ] {
        let play = Play::new().await;
        let first = start(&play, fields, body).await;
        let again = start(&play, fields, body).await;
        assert_eq!((first.head.status(), again.head.status()), (202, 202), "{fields}{body}");
        assert_eq!(json(&first), json(&again));
        // By another name of the same session, too.
        let line = "POST /afterbay/v1/boxes/default/sessions/box-1/turns";
        let fields = format!("Content-Type: application/json\r\n{fields}");
        let again = ask(&play, line, &fields, body).await;
        assert_eq!((again.head.status(), json(&again)), (202, json(&first)), "{fields}{body}");
        play.hall.script.ends(Ending::Completed);
        play.get(&format!("{SESSION}/events?until=idle"), "").await;
        let over = ask(&play, &format!("POST {TURNS}"), &fields, body).await;
        assert_eq!((over.head.status(), json(&over)["state"].as_str()), (200, Some("finished")));
        assert_eq!(json(&over)["executionId"], json(&first)["executionId"]);
        assert_eq!(over.head.one("location"), first.head.one("location"));
        assert_eq!(play.hall.script.dispatches(), 1, "{fields}{body}");
    }
}

#[tokio::test]
async fn the_ids_of_one_message_are_refused_to_another() {
    let key = "Idempotency-Key: t-1\r\n";
    for (fields, body) in [
        (key, r#"{"message":"other"}"#),
        (key, r#"{"message":"hi","more":1}"#),
        ("", r#"{"message":"other","turnId":"t-1"}"#),
        ("", r#"{"message":"other","executionId":"e-1"}"#),
        ("Idempotency-Key: t-2\r\nX-Execution-ID: e-1\r\n", MESSAGE),
    ] {
        let play = Play::new().await;
        start(&play, &format!("{key}X-Execution-ID: e-1\r\n"), MESSAGE).await;
        check_error(&start(&play, fields, body).await, 409, "IDEMPOTENCY_CONFLICT");
        play.hall.script.ends(Ending::Completed);
        play.get(&format!("{SESSION}/events?until=idle"), "").await;
        check_error(&start(&play, fields, body).await, 409, "IDEMPOTENCY_CONFLICT");
        assert_eq!(play.hall.script.dispatches(), 1, "{fields}{body}");
    }
}

#[tokio::test]
async fn an_execution_of_another_session_is_not_this_sessions() {
    let play = Play::new().await;
    run(&play, "X-Execution-ID: e-1\r\n", MESSAGE).await;
    let line = "POST /afterbay/v1/boxes/default/sessions/other/turns";
    let fields = "Content-Type: application/json\r\nX-Execution-ID: e-1\r\n";
    check_error(&ask(&play, line, fields, MESSAGE).await, 409, "IDEMPOTENCY_CONFLICT");
}

#[tokio::test]
async fn another_turn_on_a_busy_session_is_told_where_the_first_one_is() {
    let play = Play::new().await;
    start(&play, "", MESSAGE).await;
    let second = start(&play, "", MESSAGE).await;
    check_error(&second, 409, "TURN_RUNNING");
    assert_eq!(
        (second.json("/currentState").as_str(), json(&second)["requiredState"].as_str()),
        ("running", Some("idle"))
    );
    assert_eq!(play.hall.script.dispatches(), 1);
}

#[tokio::test]
async fn a_refusal_in_time_is_the_boxs_answer_and_leaves_the_ids_free() {
    let play = Play::new().await;
    play.hall.script.answers(Verdict::Refuses);
    let key = "Idempotency-Key: t-1\r\nX-Execution-ID: e-1\r\n";
    let refused = start(&play, key, MESSAGE).await;
    assert_eq!((refused.head.status(), refused.body.as_str()), (409, "{\"no\":1}"));
    assert_eq!(refused.head.one("x-afterbay-error"), None);
    let gone = ask(&play, "GET /afterbay/v1/boxes/default/turns/e-1", "", "").await;
    check_error(&gone, 404, "EXECUTION_NOT_FOUND");
    play.hall.script.answers(Verdict::Takes);
    let taken = start(&play, key, r#"{"message":"other"}"#).await;
    assert_eq!(taken.head.status(), 202);
}

#[tokio::test]
async fn a_silent_box_is_not_waited_for_and_its_late_refusal_ends_the_turn() {
    let play = Play::impatient().await;
    play.hall.script.answers(Verdict::Silent);
    let answer = start(&play, "X-Execution-ID: e-1\r\n", MESSAGE).await;
    let told = json(&answer);
    assert_eq!((answer.head.status(), told["state"].as_str()), (202, Some("dispatching")));
    assert_eq!(told["sessionId"], "ses");
    let mut waiting = play.ask("GET /agents/executions/e-1/events", "", "").await;
    waiting.read_head().await;
    play.hall.script.answers(Verdict::Refuses);
    waiting.read_to_close().await;
    let gone = ask(&play, "GET /afterbay/v1/boxes/default/turns/e-1", "", "").await;
    check_error(&gone, 404, "EXECUTION_NOT_FOUND");
}

#[tokio::test]
async fn what_makes_no_turn_is_refused_with_a_code() {
    let json_type = "Content-Type: application/json\r\n";
    for (fields, body, status, code) in [
        ("", MESSAGE, 415, "CONTENT_TYPE"),
        ("Content-Type: text/plain\r\n", MESSAGE, 415, "CONTENT_TYPE"),
        ("Content-Type: application/jsonl\r\n", MESSAGE, 415, "CONTENT_TYPE"),
        ("Content-Encoding: gzip\r\n", MESSAGE, 415, "CONTENT_ENCODING"),
        ("", "{", 400, "INVALID_JSON"),
        ("", "", 400, "INVALID_JSON"),
        ("", "[]", 400, "INVALID_BODY"),
        ("", r#"{"message":"a","message":"b"}"#, 400, "DUPLICATE_KEY"),
        ("", "{}", 400, "MESSAGE_REQUIRED"),
        ("X-Execution-ID: e\r\nLast-Event-ID: 0\r\n", "", 400, "MESSAGE_REQUIRED"),
        ("", r#"{"message":"hi","turnId":"a b"}"#, 400, "INVALID_ID"),
        ("", r#"{"message":"hi","sessionId":"other"}"#, 400, "ID_CONFLICT"),
        ("X-Execution-ID: e\r\n", r#"{"message":"hi","executionId":"f"}"#, 400, "ID_CONFLICT"),
        ("Idempotency-Key: a\r\n", r#"{"message":"hi","turnId":"b"}"#, 400, "ID_CONFLICT"),
        ("Idempotency-Key: a\r\nIdempotency-Key: b\r\n", MESSAGE, 400, "ID_CONFLICT"),
        ("Idempotency-Key: a b\r\n", MESSAGE, 400, "INVALID_ID"),
        ("", r#"{"parts":[{"type":"text","text":"x"}]}"#, 400, "INVALID_PROMPT"),
    ] {
        let play = Play::new().await;
        let line = format!("POST {TURNS}");
        let all =
            if code == "CONTENT_TYPE" { fields.to_owned() } else { format!("{json_type}{fields}") };
        check_error(&ask(&play, &line, &all, body).await, status, code);
        assert_eq!(play.hall.script.dispatches(), 0, "{fields}{body}");
        assert!(play.raw_box.is_untouched().await, "{fields}{body}");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let play = Play::with(Settings { max_turn_body: 10, ..Settings::default() }).await;
    check_error(&start(&play, "", MESSAGE).await, 413, "BODY_TOO_LARGE");
}

#[tokio::test]
async fn a_wrong_credential_starts_nothing_and_learns_nothing() {
    let play = Play::new().await;
    start(&play, "Idempotency-Key: t-1\r\nX-Execution-ID: e-1\r\n", MESSAGE).await;
    let line = format!("POST {TURNS}");
    for fields in ["", "Idempotency-Key: t-1\r\n", "X-Execution-ID: e-1\r\n"] {
        let fields = format!("Content-Type: application/json\r\n{fields}");
        for (who, status, code) in [("Bearer bad", 403, "FORBIDDEN"), ("", 401, "UNAUTHORIZED")] {
            for body in [MESSAGE, r#"{"message":"other"}"#] {
                let refused = ask_as(&play, who, &line, &fields, body).await;
                check_error(&refused, status, code);
                assert!(!refused.body.contains("running") && !refused.body.contains("e-1"));
            }
        }
    }
    assert_eq!(play.hall.script.dispatches(), 1);
}

#[tokio::test]
async fn a_server_that_stops_takes_no_turns() {
    let play = Play::new().await;
    play.hall.drain.cancel();
    let refused = start(&play, "", MESSAGE).await;
    check_error(&refused, 503, "DRAINING");
    assert_eq!(refused.head.one("retry-after"), Some("2"));
}

#[tokio::test]
async fn a_turn_of_the_sandboxs_route_is_the_same_turn() {
    let play =
        Play::with(Settings { head_wait: Duration::from_secs(20), ..Settings::default() }).await;
    play.hall.script.ends(Ending::Completed);
    let body = r#"{"message":"hi","sessionId":"ses","turnId":"t-1"}"#;
    read(play.post("X-Execution-ID: e-1\r\n", body).await).await;
    let again = start(&play, "", body).await;
    assert_eq!((again.head.status(), again.json("/executionId").as_str()), (200, "e-1"));
    let other = start(&play, "", r#"{"message":"other","turnId":"t-1"}"#).await;
    check_error(&other, 409, "IDEMPOTENCY_CONFLICT");
    // And the other way round.
    run(&play, "X-Execution-ID: e-2\r\n", MESSAGE).await;
    let replay = read(play.post("X-Execution-ID: e-2\r\n", PROMPT).await).await;
    assert_eq!(replay.ids().len(), 5);
    assert_eq!(play.hall.script.dispatches(), 2);
}
