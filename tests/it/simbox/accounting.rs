//! The account: what was lost, what ran twice, what was held open; and crashes.

use serde_json::json;

use super::*;

#[tokio::test]
async fn a_lost_answer_ran_once_and_a_lost_prompt_did_not() {
    let stage = Stage::with("").await;
    for (words, first, second) in [("lose=answer", 1, 1), ("lose=prompt", 0, 1)] {
        let body = json!({ "sessionId": words, "turnId": "t", "message": words, "detach": true });
        let execution = words.replace('=', "-");
        let mut conn = stage.dispatch(&execution, "", body.clone()).await;
        assert_eq!(conn.read_to_close().await, "", "dropped without a word");
        let turn = |account: &Account| account.turn(&execution).expect("the turn").clone();
        let account = stage.until("the run", |all| turn(all).runs == first).await;
        assert_eq!(turn(&account).dispatches, 1);
        let again = read(stage.dispatch(&execution, "", body).await).await;
        assert_eq!(again.last_data("done")["status"], "success");
        let account = stage.simbox.account();
        assert_eq!((turn(&account).dispatches, turn(&account).runs), (2, second), "{words}");
    }
    stage.end().await;
}

#[tokio::test]
async fn a_crash_forgets_what_ran_and_the_account_does_not() {
    let stage = Stage::with("").await;
    stage.run("rested", "hello").await;
    let mut held = stage.begin("e", "wait=answer", "event: interaction\n").await;
    let boot = stage.boot().await;
    let answer = stage.post("/_simbox/crash", &json!({ "down": "1s" })).await;
    assert_eq!(answer.head.status(), 200, "whoever asked for it is told");
    assert!(!held.read_to_close().await.contains("event: done"));
    assert!(TcpStream::connect(stage.addr).await.is_err(), "refused while it is down");
    let account = stage.until_state("e", State::Lost).await;
    assert_eq!(account.totals.crashes, 1);
    let begun = Instant::now();
    stage.back().await;
    assert!(begun.elapsed() > Duration::from_millis(100), "it was down for a while");
    assert_ne!(stage.boot().await, boot);
    for session in ["s-e", "s-rested"] {
        assert_eq!(stage.get(&format!("/agents/sessions/{session}")).await.head.status(), 404);
    }
    assert_eq!(stage.run("e", "").await.head.status(), 404);
    // The same ids again are a second run of the same turn, and can be told apart from the first.
    let body = json!({ "sessionId": "s-e", "turnId": "t", "message": "hello", "detach": true });
    let again = read(stage.dispatch("e", "", body).await).await;
    assert_eq!(again.last_data("result")["finalText"], "e run 2 part 1: word1");
    let account = stage.simbox.account();
    let turn = account.turn("e").expect("the turn");
    assert_eq!((turn.dispatches, turn.runs, turn.state), (2, 2, State::Succeeded));
    assert_eq!(turn.versions.iter().map(|version| version.run).collect::<Vec<_>>(), [2]);
    stage.end().await;
}

#[tokio::test]
async fn a_crash_may_keep_sessions_at_rest() {
    let stage = Stage::with("").await;
    let mut faults = Faults::default();
    faults.set("keep-sessions", "on").expect("good");
    stage.simbox.set_faults(faults);
    stage.run("rested", "hello").await;
    let _held = stage.begin("running", "wait=answer", "event: interaction\n").await;
    stage.simbox.crash_and_wait(Duration::ZERO).await;
    stage.back().await;
    let messages = stage.get("/agents/sessions/s-rested/messages").await;
    assert_eq!(parsed(&messages).as_array().map(Vec::len), Some(2));
    assert_eq!(stage.run("rested", "").await.head.status(), 404, "its buffer is gone");
    assert_eq!(stage.get("/agents/sessions/s-running").await.head.status(), 404);
    stage.end().await;
}

#[tokio::test]
async fn the_silence_of_a_held_stream_is_measured_and_a_dropped_one_is_not_held() {
    let stage = Stage::with("").await;
    let held = stage.begin("held", "wait=answer", "event: interaction\n").await;
    let silent = |all: &Account| all.turn("held").expect("the turn").longest_silence_ms;
    let account = stage.until("a silence", |all| silent(all) >= 1000).await;
    assert_eq!(account.totals.streams_open, 1);
    drop(held);
    let account = stage.until("the drop", |all| all.totals.streams_open == 0).await;
    let measured = silent(&account);
    drop(stage.begin("dropped", "wait=answer", "event: interaction\n").await);
    let account = stage.until("the drop", |all| all.totals.streams_open == 0).await;
    assert!(account.turn("dropped").expect("the turn").longest_silence_ms < 1000);
    // Time goes by; what is not held is not silent.
    let _ = timeout(SHORT, std::future::pending::<()>()).await;
    assert_eq!(silent(&stage.simbox.account()), measured);
    stage.end().await;
}

#[tokio::test]
async fn every_version_of_every_part_and_every_poll_is_in_the_account() {
    let stage = Stage::with("").await;
    let answer = stage.run("e", "parts=2 grow=3 tool=1 rewrite shrink big=100KB").await;
    let data = answer.body.lines().filter_map(|line| line.strip_prefix("data: "));
    let told = data.filter_map(|data| {
        let data: Value = serde_json::from_str(data).expect("JSON");
        data.get("part").map(|part| part["id"].as_str().expect("an id").to_owned())
    });
    let told: Vec<_> = told.collect();
    for path in ["", "", "/messages", "/result"] {
        stage.get(&format!("/agents/sessions/s-e{path}")).await;
    }
    let account = parsed(&stage.get("/_simbox/account").await);
    let turn = &account["turns"][0];
    let versions = turn["versions"].as_array().expect("versions");
    let kept: Vec<_> = versions.iter().map(|v| v["part"].as_str().expect("an id")).collect();
    assert_eq!(kept, told);
    assert_eq!(kept.len(), 3 + 2 * 5 + 1);
    let big = versions.last().expect("the big part");
    assert_eq!(big["json"]["text"], Value::Null);
    assert!(big["json"]["len"].as_u64().expect("a length") > 100 << 10);
    assert_eq!(turn["polls"], json!({ "status": 2, "messages": 1, "result": 1 }));
    let text = answer.last_data("result")["finalText"].as_str().expect("text").to_owned();
    let hash = blake3::hash(text.as_bytes()).to_string();
    assert_eq!(turn["finalText"]["hash"], hash.as_str());
    stage.end().await;
}
