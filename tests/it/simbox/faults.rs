//! Each fault does what it says.

use serde_json::json;

use super::*;

#[tokio::test]
async fn a_silent_stream_is_cut_and_the_run_goes_on() {
    let stage = Stage::with("").await;
    let answer = stage.run("e", "parts=2 idle-cut=100ms quiet=1s").await;
    assert!(!answer.is_whole, "cut, not ended");
    assert_eq!(answer.ids(), [1, 2, 3]);
    let account = stage.until_state("e", State::Succeeded).await;
    let turn = account.turn("e").expect("the turn");
    assert_eq!((turn.runs, turn.streams_open), (1, 0));
    let again = stage.run("e", "").await;
    assert_eq!(again.ids().len(), 7, "the buffer holds all of it");
    stage.end().await;
}

#[tokio::test]
async fn dropping_a_stream_cancels_only_if_told_so_and_not_detached() {
    let stage = Stage::with("cancel-on-drop").await;
    drop(stage.begin("detached", "wait=answer", "event: interaction\n").await);
    let body = json!({ "sessionId": "s", "message": "wait=answer" });
    let mut live = stage.dispatch("live", "", body).await;
    live.read_to("event: interaction\n").await;
    drop(live);
    let account = stage.until_state("live", State::Aborted).await;
    assert_eq!(account.turn("detached").map(|turn| turn.state), Some(State::Waiting));
    stage.end().await;
}

#[tokio::test]
async fn a_reaped_buffer_is_404_and_cuts_its_streams() {
    let stage = Stage::with("").await;
    let cut = stage.run("e", "parts=2 reap-buffer=100ms quiet=1s").await;
    assert!(!cut.is_whole);
    assert_eq!(stage.run("e", "").await.head.status(), 404);
    stage.until_state("e", State::Succeeded).await;
    assert_eq!(stage.run("e", "").await.head.status(), 404, "what came later is not kept either");
    assert_eq!(parsed(&stage.run("e", "again").await)["alreadyExisted"], true, "it is known");
    assert_eq!(stage.get("/agents/sessions/s-e").await.head.status(), 200);
    stage.end().await;
}

#[tokio::test]
async fn a_reaped_session_is_forgotten_with_its_ids() {
    let stage = Stage::with("").await;
    stage.run("e", "reap-session=0s").await;
    for path in ["", "/messages", "/result"] {
        assert_eq!(stage.get(&format!("/agents/sessions/s-e{path}")).await.head.status(), 404);
    }
    assert_eq!(stage.run("e", "").await.head.status(), 404);
    assert!(stage.run("e", "again").await.body.contains("e run 2 part 1"));
    assert_eq!(stage.simbox.account().turn("e").map(|turn| turn.runs), Some(2));
    stage.end().await;
}

#[tokio::test]
async fn an_assigned_session_is_the_only_one_that_can_be_polled() {
    let stage = Stage::with("assign").await;
    let started = stage.run("e", "hello").await.last_data("execution.started");
    let given = started["sessionId"].as_str().expect("an id").to_owned();
    assert_ne!(given, "s-e");
    assert_eq!(stage.get("/agents/sessions/s-e").await.head.status(), 404);
    assert_eq!(stage.get(&format!("/agents/sessions/{given}")).await.head.status(), 200);
    let account = stage.simbox.account();
    let turn = account.turn("e").expect("the turn");
    assert_eq!(turn.supplied_session.as_deref(), Some("s-e"));
    assert_eq!(turn.session.as_deref(), Some(given.as_str()));
    stage.end().await;
}

#[tokio::test]
async fn a_status_may_be_early_late_or_never() {
    let stage = Stage::with("").await;
    let _held = stage.begin("early", "idle=1h wait=answer", "event: interaction\n").await;
    let status = stage.status("s-early").await;
    assert_eq!(
        (&status["session"]["state"], status.get("activeExecution")),
        (&json!("idle"), None)
    );
    stage.run("late", "linger=1h").await;
    let status = stage.status("s-late").await;
    assert_eq!(status["session"]["state"], "running");
    assert_eq!(status["activeExecution"]["id"], "late");
    let body = json!({ "sessionId": "slow", "message": "start=1h receipt" });
    assert_eq!(read(stage.dispatch("slow", "", body).await).await.head.status(), 202);
    assert_eq!(stage.status("slow").await["session"]["state"], "queued");
    let body = json!({ "sessionId": "never", "message": "never receipt" });
    assert_eq!(read(stage.dispatch("never", "", body).await).await.head.status(), 202);
    assert_eq!(stage.status("never").await["session"]["state"], "idle");
    let messages = parsed(&stage.get("/agents/sessions/never/messages").await);
    assert_eq!(messages.as_array().map(Vec::len), Some(1), "the prompt and no answer");
    let account = stage.simbox.account();
    for (execution, state) in [("slow", State::Queued), ("never", State::Never)] {
        let turn = account.turn(execution).expect("the turn");
        assert_eq!((turn.runs, turn.state), (0, state));
    }
    stage.end().await;
}

/// Status, content type and body of the answer to a first dispatch with these words.
#[track_caller]
fn check_bad(answer: &Answer, status: u16, content: &str, body: &str) {
    assert_eq!(answer.head.status(), status);
    assert_eq!(answer.head.one("content-type"), Some(content));
    assert!(answer.body.contains(body), "{answer:?}");
}

#[tokio::test]
async fn a_dispatch_that_is_not_taken_is_taken_the_next_time() {
    let stage = Stage::with("").await;
    let (json, html) = ("application/json", "text/html; charset=UTF-8");
    for (mishap, status, content, body) in [
        ("429", 429, json, "RATE_LIMITED"),
        ("503", 503, json, "AGENT_WARMING_UP"),
        ("500", 500, json, "INTERNAL_ERROR"),
        ("522", 522, html, "<html>"),
        ("html", 200, html, "<html>"),
        ("empty", 200, json, ""),
        ("half", 200, json, "{\"data\""),
    ] {
        let words = format!("dispatch={mishap}x2");
        for _ in 0..2 {
            check_bad(&stage.run(mishap, &words).await, status, content, body);
        }
        assert_eq!(stage.run(mishap, &words).await.last_data("done")["status"], "success");
        let account = stage.simbox.account();
        let turn = account.turn(mishap).expect("the turn");
        assert_eq!((turn.dispatches, turn.runs), (3, 1), "{mishap}");
    }
    assert_eq!(stage.run("late", "dispatch=429").await.head.one("retry-after"), Some("1"));
    for _ in 0..3 {
        assert_eq!(stage.run("refused", "refuse=422").await.head.status(), 422);
    }
    assert_eq!(stage.simbox.account().turn("refused").map(|turn| turn.runs), Some(0));
    stage.end().await;
}

#[tokio::test]
async fn a_bad_answer_to_a_taken_dispatch_leaves_one_run() {
    let stage = Stage::with("").await;
    assert_eq!(stage.run("e", "answer=504").await.head.status(), 504);
    assert_eq!(stage.run("e", "answer=504").await.ids().len(), 6);
    let account = stage.simbox.account();
    assert_eq!(account.turn("e").map(|turn| (turn.dispatches, turn.runs)), Some((2, 1)));
    stage.end().await;
}

#[tokio::test]
async fn chances_fall_on_polls_and_dispatches_apart_and_the_same_for_a_seed() {
    let mut rows = Vec::new();
    for _ in 0..2 {
        let stage = Stage::with("").await;
        stage.run("e", "hello").await;
        let mut faults = Faults::default();
        for (name, text) in [("seed", "7"), ("polls", "500:0.3,html:0.3")] {
            faults.set(name, text).expect("good");
        }
        stage.simbox.set_faults(faults);
        let mut row = Vec::new();
        for _ in 0..40 {
            let answer = stage.get("/agents/sessions/s-e").await;
            row.push((answer.head.status(), answer.body.starts_with('<')));
        }
        assert_eq!(stage.run("other", "hello").await.head.status(), 200, "no poll");
        rows.push(row);
        stage.end().await;
    }
    assert_eq!(rows[0], rows[1]);
    for kind in [(200, false), (200, true), (500, false)] {
        assert!(rows[0].iter().filter(|answer| **answer == kind).count() > 4, "{kind:?}: {rows:?}");
    }
}
