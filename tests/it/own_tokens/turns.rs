//! Turns that an own token starts: driven by the box's configured credential, read by that token
//! alone, and stopped by it.

use serde_json::Value;

use super::stage::{A, B, BOXS, Stage, TURN, beside, is_denied, shows};
use crate::it::support::scripted_box::Route;

#[tokio::test]
async fn a_turn_of_a_token_is_driven_by_the_configured_credential_also_after_a_kill() {
    let mut stage = Stage::locked().await;
    stage.turn_of(&shows(A)).await;
    stage.kill_and_start().await;
    let status = stage.scripted.seen(Route::Status).len();
    // Nobody comes back, and it is polled all the same.
    stage.scripted.reached(Route::Status, status + 2).await;
    stage.agent_ends();
    let told = stage.events(&shows(A)).await;
    assert!(told.body.contains("event: done") && !told.body.contains("event: error"), "{told:?}");
    let sent = stage.sent();
    assert!(sent.iter().all(|(_, who)| who.as_deref() == Some(BOXS)), "{sent:?}");
    assert_eq!(stage.scripted.seen(Route::Prompt).len(), 1);
}

#[tokio::test]
async fn at_a_box_without_a_credential_the_turn_goes_on_by_itself_too() {
    let mut stage = Stage::open().await;
    stage.turn_of(&beside(A)).await;
    stage.kill_and_start().await;
    let status = stage.scripted.seen(Route::Status).len();
    stage.scripted.reached(Route::Status, status + 2).await;
    stage.agent_ends();
    // It is the same token, however it is shown.
    let told = stage.events(&shows(A)).await;
    assert!(told.body.contains("event: done") && !told.body.contains("event: error"), "{told:?}");
    let sent = stage.sent();
    assert!(sent.iter().all(|(_, who)| who.is_none()), "{sent:?}");
}

#[tokio::test]
async fn a_box_that_nobody_configured_a_credential_for_refuses_the_turn_itself() {
    let stage = Stage::with(Some(BOXS), None).await;
    let prompt = r#"{"message":"hi","sessionId":"s"}"#;
    let answer = stage.ask(TURN, &shows(A), prompt).await;
    assert_eq!((answer.head.status(), answer.head.one("x-afterbay-error")), (401, None));
    assert!(stage.sent().iter().all(|(_, who)| who.is_none()));
    // Whoever has the box's credential brings it beside the token.
    let both = format!("{}Authorization: {BOXS}\r\n", beside(A));
    stage.turn_of(&both).await;
}

#[tokio::test]
async fn what_a_token_started_no_other_reads_or_stops_and_no_box_is_asked_about_it() {
    let stage = Stage::locked().await;
    stage.turn_of(&shows(A)).await;
    let boxs = format!("{}Authorization: {BOXS}\r\n", beside(B));
    for round in ["running", "over"] {
        for (line, body) in [
            (TURN, r#"{"message":"hi","sessionId":"s"}"#),
            (TURN, r#"{"message":"hi","executionId":"e-1"}"#),
            ("GET /agents/run/stream?executionId=e-1", ""),
            ("GET /agents/executions/e-1/events", ""),
            ("GET /agents/sessions/s/events", ""),
            ("POST /agents/sessions/s/abort", "{}"),
            ("GET /afterbay/v1/boxes/default/sessions/s", ""),
            ("GET /afterbay/v1/boxes/default/sessions/s/events", ""),
            ("GET /afterbay/v1/boxes/default/turns/e-1", ""),
            ("POST /afterbay/v1/boxes/default/turns/e-1/cancel", ""),
        ] {
            for fields in [shows(B), beside(B)] {
                let answer = stage.ask(line, &fields, body).await;
                assert!(is_denied(&answer), "{round}: {line} {answer:?}");
            }
        }
        let listed = |fields: String| {
            let stage = &stage;
            async move {
                let listed = stage.ask("GET /afterbay/v1/sessions", &fields, "").await;
                let listed: Value = serde_json::from_str(&listed.body).expect("JSON");
                listed["sessions"].as_array().expect("a list").len()
            }
        };
        assert_eq!((listed(shows(A)).await, listed(shows(B)).await), (1, 0), "{round}");
        assert!(stage.scripted.seen(Route::Session).is_empty(), "the box was asked about a token");
        if round == "running" {
            stage.agent_ends();
            let told = stage.events(&shows(A)).await;
            assert!(told.body.contains("event: done"), "{told:?}");
        }
    }
    // A credential that the box accepts for the session makes a reader, as everywhere.
    let state = stage.ask("GET /afterbay/v1/boxes/default/turns/e-1", &boxs, "").await;
    assert_eq!(state.json("/outcome"), "completed", "{state:?}");
    stage.sent();
}

#[tokio::test]
async fn a_token_stops_its_turn_with_the_configured_credential() {
    for line in
        ["POST /agents/sessions/s/abort", "POST /afterbay/v1/boxes/default/turns/e-1/cancel"]
    {
        let stage = Stage::locked().await;
        stage.turn_of(&shows(A)).await;
        let answer = stage.ask(line, &shows(A), "").await;
        assert!(answer.head.status() < 300, "{line} {answer:?}");
        assert_eq!(stage.scripted.seen(Route::Abort).len(), 1, "{line}");
        let told = stage.events(&shows(A)).await;
        assert!(told.body.contains("CANCELLED"), "{told:?}");
        assert!(stage.sent().iter().all(|(_, who)| who.as_deref() == Some(BOXS)));
    }
}
