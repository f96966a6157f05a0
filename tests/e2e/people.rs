//! Turns in which a person acts: a permission is asked and answered, a turn is stopped.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Turn, Way};
use super::http::Request;
use super::oracle::Verdict;
use super::stage::Stage;
use super::{daemon, opencode, wait};

#[tokio::test]
async fn a_permission_is_shown_answered_through_the_daemon_and_the_turn_goes_on() {
    let asking = opencode::Settings { ask_before_bash: true, ..opencode::Settings::default() };
    let told =
        daemon::Settings { flags: vec!["--poll-waiting", "200ms"], ..daemon::Settings::default() };
    let stage = Stage::with(asking, told).await;
    let mut client = stage.client(Turn::new("turn-1", "[tool=bash:echo hi] [words=3]"));
    let mut frames = client.open(Way::SamePost).await.expect("the turn starts").stream();
    client.read_until(&mut frames, "interaction").await;

    let daemon = stage.daemon.address();
    let asked = Request::get("/permission").send(daemon).await.expect("the daemon answers");
    let asked = asked.json().await.expect("the open permissions");
    let id = asked[0]["id"].as_str().expect("an open permission");
    let shown = client.seen.last().expect("the interaction").data.to_string();
    assert!(shown.contains(id), "the interaction names what is asked: {shown}");
    let reply = Request::post(format!("/permission/{id}/reply"), &json!({"reply": "once"}));
    let replied = reply.send(daemon).await.expect("the daemon answers");
    assert!(replied.status.is_success(), "{}", replied.status);

    client.read(&mut frames).await;
    stage.check_completed(&client).await;
    let count = |name: &str| client.seen.iter().filter(|frame| frame.event == name).count();
    assert_eq!((count("interaction"), count("interaction.cancel")), (1, 1));
}

#[tokio::test]
async fn an_aborted_turn_is_cancelled_once_and_its_partial_text_is_kept() {
    let stage = Stage::start().await;
    let script = "[tool=bash:echo hi] [words=400 pace=50ms]";
    let mut client = stage.client(Turn::new("turn-1", script));
    let path = format!("/agents/sessions/{}/abort", client.turn.session);
    let daemon = stage.daemon.address();
    let aborting = async {
        stage.model.called("turn-1", 2).await;
        let abort = Request::post(path.as_str(), &json!({}));
        let answer = abort.send(daemon).await.expect("the daemon answers");
        assert!(answer.status.is_success(), "{}", answer.status);
        // Repeated, it does no harm.
        let again = abort.send(daemon).await.expect("the daemon answers");
        assert!(again.status.is_success(), "{}", again.status);
    };
    tokio::join!(client.run(), aborting);
    stage.check_ended(&client, Verdict::Cancelled).await;
    wait::until(Duration::from_secs(10), "the box is idle", || async {
        let status = stage.opencode.ask(Request::get("/session/status")).await;
        status.as_object().is_some_and(serde_json::Map::is_empty).then_some(())
    })
    .await;
    let session = client.seen[0].data["sessionId"].as_str().expect("the assigned session");
    let after = Turn { session: session.to_owned(), ..Turn::new("turn-2", "[words=2]") };
    let mut after = stage.client(after);
    after.run().await;
    stage.check_completed(&after).await;
    let done: &Value = &client.seen.last().expect("done").data;
    assert_eq!(done["status"], "cancelled");
}
