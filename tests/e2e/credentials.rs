//! A box that asks for a credential: a restart with nobody connected, with a credential in the
//! configuration and without one, and readers who have no right.

use std::path::PathBuf;
use std::time::Duration;

use super::client::{Client, Turn, Way};
use super::http::Request;
use super::oracle;
use super::stage::Stage;
use super::{daemon, opencode, wait};

/// Stands in no log line.
const PASSWORD: &str = "canary-4f1d8c";

/// A stage whose box has a password; the daemon knows it if `configured`.
async fn locked_stage(configured: bool) -> (Stage, String) {
    let password = Some(PASSWORD.to_owned());
    let opencode = opencode::Settings { password, ..opencode::Settings::default() };
    let owner = opencode.authorization().expect("the box has a password");
    let configured = configured.then(|| ("AFTERBAY_BOX_CREDENTIAL", PathBuf::from(&owner)));
    let encoded = owner.trim_start_matches("Basic ").to_owned();
    let daemon = daemon::Settings {
        flags: vec!["--log-level", "debug"],
        environment: configured.into_iter().collect(),
        canaries: vec![PASSWORD.to_owned(), encoded],
        ..daemon::Settings::default()
    };
    (Stage::with(opencode, daemon).await, owner)
}

/// Starts a turn, goes away in the middle of it, and has the daemon killed and started again.
async fn left_alone(stage: &mut Stage, owner: &str) -> Client {
    let authorization = Some(owner.to_owned());
    let script = "[tool=bash:echo hi] [gate=later] [words=5]";
    let turn = Turn { authorization, ..Turn::new("turn-1", script) };
    let mut client = stage.client(turn);
    let mut frames = client.open(Way::SamePost).await.expect("the turn starts").stream();
    client.read_until(&mut frames, "message.part.updated").await;
    stage.model.called("turn-1", 2).await;
    drop(frames);
    stage.daemon.kill();
    stage.daemon.restart().await;
    tokio::time::sleep(away()).await;
    stage.model.open("later");
    wait::until(Duration::from_secs(30), "the box has finished the turn", || async {
        (stage.opencode.final_text("turn-1").await? == "w1.0 w1.1 w1.2 w1.3 w1.4 ").then_some(())
    })
    .await;
    client
}

/// How long nobody is connected: `AFTERBAY_AWAY` in seconds for a long look, else not at all,
/// since what matters is that nobody is.
#[expect(clippy::disallowed_methods, reason = "a switch of this test alone")]
fn away() -> Duration {
    let seconds = std::env::var("AFTERBAY_AWAY").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(0))
}

#[tokio::test]
async fn with_a_configured_credential_a_turn_ends_while_nobody_is_connected() {
    let (mut stage, owner) = locked_stage(true).await;
    let mut client = left_alone(&mut stage, &owner).await;
    wait::until(Duration::from_secs(30), "the daemon has the verdict", || async {
        (stage.daemon.metric("afterbay_turns_finished_total").await >= 1.0).then_some(())
    })
    .await;
    // What the client reads now can only come from the log.
    let said = stage.opencode.final_text("turn-1").await;
    stage.opencode.kill();
    client.run().await;
    oracle::check_frames("turn-1", &client.seen, oracle::Verdict::Completed);
    assert_eq!(said.as_deref(), Some(oracle::final_text(&client)));
    stage.check_sent_once(&client);
}

#[tokio::test]
async fn without_a_credential_a_turn_waits_and_goes_on_when_its_owner_returns() {
    let (mut stage, owner) = locked_stage(false).await;
    let mut client = left_alone(&mut stage, &owner).await;
    assert!(stage.hop.authorized() > 0, "the first life had the credential");

    // Strangers learn nothing and wake nothing.
    let execution = client.execution.clone().expect("an execution id");
    let path = format!("/agents/executions/{execution}/events");
    let daemon = stage.daemon.address();
    let nobody = Request::get(path.as_str()).send(daemon).await.expect("the daemon answers");
    assert_eq!(nobody.status, 401, "no credential");
    let wrong = Request::get(path.as_str()).header("authorization", "Basic d3Jvbmc6d3Jvbmc=");
    let wrong = wrong.send(daemon).await.expect("the daemon answers").status;
    assert!(wrong == 401 || wrong == 403, "a wrong credential: {wrong}");
    assert_eq!(stage.daemon.metric("afterbay_turns_finished_total").await, 0.0);

    let before = stage.hop.authorized();
    client.run().await;
    assert!(stage.hop.authorized() > before, "the owner's credential polls again");
    stage.check_completed(&client).await;
}
