//! Each route of the box, in each of its shapes.

use serde_json::json;

use super::*;

const NAMES: [&str; 6] =
    ["start", "execution.started", "message.part.updated", "session.idle", "result", "done"];

#[tokio::test]
async fn a_live_stream_has_contiguous_numbers_from_one_and_the_events_in_order() {
    let stage = Stage::with("").await;
    let answer = stage.run("e1", "Say hello").await;
    assert_eq!(answer.head.status(), 200);
    assert_eq!(answer.head.one("content-type"), Some("text/event-stream"));
    assert!(answer.is_whole);
    let names: Vec<_> = answer.frames().into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, NAMES);
    assert_eq!(answer.ids(), [1, 2, 3, 4, 5, 6]);
    let started = answer.last_data("execution.started");
    assert_eq!(started, json!({ "executionId": "e1", "sessionId": "s-e1" }));
    assert_eq!(answer.last_data("result")["finalText"], "e1 run 1 part 1: word1");
    let enveloped = stage.run("e2", "enveloped").await.last_data("result");
    assert_eq!(enveloped["type"], "result");
    assert_eq!(enveloped["properties"]["success"], true);
    stage.end().await;
}

#[tokio::test]
async fn a_replay_goes_on_after_its_cursor_and_an_unknown_cursor_means_everything() {
    let stage = Stage::with("").await;
    stage.run("e", "").await;
    stage.run("e", "parts=2").await;
    for (cursor, ids) in
        [("5", vec![6, 7]), ("0", (1..=7).collect()), ("99", (1..=7).collect()), ("7", vec![])]
    {
        let headers = format!("last-event-id: {cursor}\r\n");
        let body = json!({ "message": "" });
        let answer = read(stage.dispatch("e", &headers, body).await).await;
        assert_eq!(answer.ids(), ids, "after {cursor}");
    }
    let unknown = read(stage.dispatch("other", "", json!({ "message": "" })).await).await;
    assert_eq!((unknown.head.status(), unknown.json("/error/code")), (404, "NOT_FOUND".to_owned()));
    let account = stage.simbox.account();
    assert_eq!((account.totals.dispatches, account.totals.replays), (1, 6));
    stage.end().await;
}

#[tokio::test]
async fn a_receipt_says_whether_the_turn_was_there() {
    let stage = Stage::with("").await;
    let body = json!({ "sessionId": "s", "turnId": "t", "message": "wait=answer", "detach": true });
    let accept = "accept: application/json\r\n";
    let first = read(stage.dispatch("e1", accept, body.clone()).await).await;
    assert_eq!(first.head.status(), 202);
    let receipt = json!({
        "sessionId": "s", "executionId": "e1", "status": "running",
        "dispatched": true, "alreadyExisted": false,
    });
    assert_eq!(parsed(&first), receipt);
    // The same execution, or the same turn under another one, is the same turn.
    for execution in ["e1", "e2"] {
        let again = read(stage.dispatch(execution, accept, body.clone()).await).await;
        let receipt = json!({
            "sessionId": "s", "executionId": "e1", "status": "running",
            "dispatched": false, "alreadyExisted": true,
        });
        assert_eq!((again.head.status(), parsed(&again)), (200, receipt), "{execution}");
    }
    let other = json!({ "sessionId": "s", "turnId": "t2", "message": "x", "detach": true });
    let other = read(stage.dispatch("e3", accept, other).await).await;
    assert_eq!(other.head.status(), 409);
    let account = stage.until_state("e1", State::Waiting).await;
    let turn = account.turn("e2").expect("the same turn");
    assert_eq!((turn.dispatches, turn.runs), (3, 1));
    assert_eq!(account.turn("e3").map(|turn| turn.state), Some(State::NotTaken));
    stage.end().await;
}

#[tokio::test]
async fn a_repeated_dispatch_replays_the_stream_of_the_one_run() {
    let stage = Stage::with("").await;
    let first = stage.run("e", "parts=3").await;
    let again = stage.run("e", "parts=3").await;
    assert_eq!(first.body, again.body);
    assert_eq!(stage.simbox.account().totals.runs, 1);
    stage.end().await;
}

#[tokio::test]
async fn the_status_follows_the_turn() {
    let stage = Stage::with("").await;
    assert_eq!(stage.get("/agents/sessions/s-e").await.head.status(), 404);
    let _held = stage.begin("e", "wait=answer wait-for=approval", "event: interaction\n").await;
    let status = stage.status("s-e").await;
    assert_eq!(status["session"]["state"], "blocked_on_approval");
    assert_eq!(status["session"]["activeExecutionId"], "e");
    assert_eq!(status["session"]["outstandingInteractions"][0]["id"], "int_e");
    assert_eq!(status["activeExecution"], json!({ "id": "e", "status": "blocked_on_approval" }));
    assert_eq!(stage.get("/agents/sessions/s-e/result").await.head.status(), 404);
    assert_eq!(stage.post("/_simbox/answer", &json!({})).await.head.status(), 200);
    let account = stage.until_state("e", State::Succeeded).await;
    assert_eq!(
        account.turn("e").map(|turn| turn.asked.as_slice()),
        Some(&["int_e".to_owned()][..])
    );
    let status = stage.status("s-e").await;
    assert_eq!(
        (&status["session"]["state"], status.get("activeExecution")),
        (&json!("idle"), None)
    );
    stage.run("f", "fail=MODEL_DOWN bare-status").await;
    let status = parsed(&stage.get("/agents/sessions/s-f").await);
    assert_eq!(status["session"]["state"], "failed");
    assert_eq!(status["session"]["terminalReason"], "MODEL_DOWN");
    stage.end().await;
}

#[tokio::test]
async fn messages_are_the_newest_in_three_shapes() {
    let stage = Stage::with("").await;
    for (words, list) in [
        ("shape=bare parts=2", ""),
        ("shape=messages parts=2", "/messages"),
        ("shape=data parts=2", "/data/messages"),
    ] {
        let execution = words.split([' ', '=']).nth(1).expect("a name");
        stage.run(execution, words).await;
        let path = format!("/agents/sessions/s-{execution}/messages");
        let all = parsed(&stage.get(&path).await);
        let all = all.pointer(list).expect("a list").as_array().expect("a list").clone();
        assert_eq!(all.len(), 2, "{words}");
        assert_eq!((&all[0]["role"], &all[0]["parts"][0]["text"]), (&json!("user"), &json!(words)));
        assert_eq!(all[1]["metadata"]["completed"], true);
        assert_eq!(all[1]["parts"].as_array().map(Vec::len), Some(2));
        let newest = parsed(&stage.get(&format!("{path}?limit=1")).await);
        assert_eq!(newest.pointer(list).expect("a list"), &json!([all[1]]), "{words}");
    }
    assert_eq!(stage.get("/agents/sessions/s-bare/messages?limit=x").await.head.status(), 400);
    stage.end().await;
}

#[tokio::test]
async fn the_messages_lane_takes_a_prompt_and_the_result_can_be_read() {
    let stage = Stage::with("").await;
    let body = json!({ "parts": [{ "type": "text", "text": "fail=OOPS" }], "turnId": "t" });
    let answer = stage.post("/agents/sessions/s/messages", &body).await;
    assert_eq!(answer.head.status(), 202);
    let execution = answer.json("/executionId");
    stage.until_state(&execution, State::Failed).await;
    let path = format!("/agents/sessions/s/result?executionId={execution}");
    let result = parsed(&stage.get(&path).await);
    assert_eq!((&result["success"], &result["status"]), (&json!(false), &json!("failed")));
    assert_eq!(result["errorCode"], "OOPS");
    assert_eq!(result["finalText"], format!("{execution} run 1 part 1: word1"));
    stage.end().await;
}

#[tokio::test]
async fn an_abort_ends_what_runs_and_only_that() {
    let stage = Stage::with("").await;
    let conn = stage.begin("e", "parts=2 wait=answer", "event: interaction\n").await;
    let abort = stage.post("/agents/sessions/s-e/abort", &json!({})).await;
    assert_eq!(parsed(&abort), json!({ "data": { "cancelled": true } }));
    let account = stage.until_state("e", State::Aborted).await;
    let text = account.turn("e").and_then(|turn| turn.final_text.text.clone());
    assert_eq!(text.as_deref(), Some("e run 1 part 1: word1"), "what was written stays");
    drop(conn);
    let replay = stage.run("e", "").await;
    assert_eq!(replay.last_data("done")["status"], "cancelled");
    let messages = parsed(&stage.get("/agents/sessions/s-e/messages?limit=1").await);
    assert_eq!(messages[0]["metadata"]["interrupted"], true);
    assert_eq!(stage.post("/agents/sessions/s-e/abort", &json!({})).await.head.status(), 404);
    stage.end().await;
}

#[tokio::test]
async fn tokens_are_asked_for_everywhere_but_on_health() {
    let stage = Stage::with("").await;
    stage.post("/_simbox/tokens", &json!({ "accept": ["good"] })).await;
    let path = "GET /agents/sessions/s";
    for (header, status, code) in [
        ("", 401, "UNAUTHORIZED"),
        ("authorization: Bearer bad\r\n", 403, "FORBIDDEN"),
        ("authorization: Bearer good\r\n", 404, "NOT_FOUND"),
    ] {
        let answer = read(stage.send(path, header, "").await).await;
        assert_eq!((answer.head.status(), answer.json("/error/code")), (status, code.to_owned()));
        assert_eq!(parsed(&answer)["success"], false);
    }
    assert_eq!(stage.get("/health").await.head.status(), 200);
    assert_eq!(stage.simbox.account().totals.unauthorized, 2);
    stage.end().await;
}

#[tokio::test]
async fn bad_bodies_and_bad_words_are_told() {
    let stage = Stage::with("").await;
    let answer = read(stage.send("POST /agents/run/stream", "", "{").await).await;
    assert_eq!((answer.head.status(), answer.json("/error/code")), (400, "BAD_REQUEST".to_owned()));
    let answer = stage.run("e", "parts=many").await;
    assert_eq!((answer.head.status(), answer.json("/error/code")), (400, "BAD_SCRIPT".to_owned()));
    assert_eq!(stage.get("/nowhere").await.head.status(), 404);
    let faults = read(stage.send("PUT /_simbox/faults", "", r#"{"assing":true}"#).await).await;
    assert_eq!(faults.head.status(), 400);
    let faults = read(stage.send("PUT /_simbox/faults", "", r#"{"assign":true}"#).await).await;
    assert_eq!(parsed(&faults), json!({ "assign": "on" }));
    assert!(stage.simbox.faults().assign);
    stage.end().await;
}
