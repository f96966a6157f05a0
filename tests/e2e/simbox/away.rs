//! A turn whose owner is gone: afterbay is killed and started again, nobody is connected, the
//! turn ends, the token expires and the box forgets the session. The owner comes back with a
//! refreshed token and reads everything; a stranger reads nothing.

use std::path::PathBuf;
use std::time::Duration;

use afterbay::simbox::{Faults, State};
use tokio::time::Instant;

use super::super::client::{Client, Turn, Way};
use super::super::daemon;
use super::super::http::{Request, Response};
use super::super::oracle::Verdict;
use super::super::wait;
use super::measure::asked_for;
use super::set::{Set, Settings};
use super::shown::{self, Seen};

/// None of these may stand in a log line.
const FIRST: &str = "canary-first-31c2";
const REFRESHED: &str = "canary-refreshed-9ab1";
const CONFIGURED: &str = "canary-configured-77d0";
const STRANGER: &str = "canary-stranger-52e8";

/// Parts that never change, so that each frame is one version; a gate in the middle; forgotten by
/// the box soon after the end.
const SCRIPT: &str = "parts=8 step=100ms wait=answer assign reap-session=3s";

/// For facts that need no more than a few polls.
const SOON: Duration = Duration::from_secs(60);

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

async fn set() -> Set {
    let credential = ("AFTERBAY_BOX_CREDENTIAL", PathBuf::from(bearer(CONFIGURED)));
    let daemon = daemon::Settings {
        flags: vec!["--readers", "box", "--log-level", "debug", "--poll-waiting", "200ms"],
        environment: vec![credential],
        canaries: [FIRST, REFRESHED, CONFIGURED, STRANGER].map(str::to_owned).to_vec(),
        ..daemon::Settings::default()
    };
    let tokens = vec![FIRST.to_owned(), CONFIGURED.to_owned()];
    Set::with(Settings { tokens, daemon, ..Settings::default() }).await
}

async fn ask(address: std::net::SocketAddr, path: &str, token: Option<&str>) -> Response {
    let authorization = token.map(bearer);
    let request = Request::get(path).maybe("authorization", authorization.as_deref());
    request.send(address).await.expect("an answer")
}

/// From the gate in mid-turn to a box that has forgotten the session, with nobody connected.
async fn ends_alone(set: &Set, client: &Client) {
    set.simbox.answer_waiting();
    wait::until(SOON, "afterbay has the verdict", || async {
        (set.daemon.metric("afterbay_turns_finished_total").await >= 1.0).then_some(())
    })
    .await;
    assert_eq!(set.told(client).state, State::Succeeded);
    let path = session_path(client);
    wait::until(SOON, "the box has forgotten the session", || async {
        (ask(set.box_address, &path, Some(CONFIGURED)).await.status == 404).then_some(())
    })
    .await;
}

/// Makes every token that the box knows expire now, and gives the owner a new one.
fn refresh(set: &Set, accepted_at: Instant) {
    set.simbox
        .set_faults(Faults { token_life: Some(accepted_at.elapsed()), ..set.simbox.faults() });
    set.simbox.accept_tokens([FIRST, CONFIGURED, REFRESHED].map(str::to_owned).to_vec());
}

fn session_path(client: &Client) -> String {
    let assigned = client.seen[0].data["sessionId"].as_str().expect("the assigned session");
    assert_ne!(assigned, client.turn.session, "the box gave it another id");
    format!("/agents/sessions/{assigned}")
}

#[tokio::test]
async fn nobody_is_connected_over_a_restart_and_the_owner_comes_back_to_everything() {
    let mut set = set().await;
    let accepted_at = Instant::now();
    let turn = Turn { authorization: Some(bearer(FIRST)), ..Turn::new("turn-1", SCRIPT) };
    let mut client = set.client(turn);
    let mut frames = client.open(Way::SamePost).await.expect("the turn starts").stream();
    client.read_until(&mut frames, "interaction").await;
    drop(frames);
    let before = client.seen.len();
    set.daemon.kill();
    set.daemon.restart().await;

    ends_alone(&set, &client).await;
    let away = asked_for("AFTERBAY_AWAY", Duration::ZERO);
    tokio::time::sleep(away).await;
    refresh(&set, accepted_at);
    let path = session_path(&client);
    assert_eq!(ask(set.box_address, &path, Some(FIRST)).await.status, 401, "it has expired");

    strangers_get_nothing(&set, &client).await;
    client.turn.authorization = Some(bearer(REFRESHED));
    client.run().await;
    shown::check(&set, &client, Verdict::Completed, Seen::All).await;
    let count = |name: &str| client.seen.iter().filter(|frame| frame.event == name).count();
    assert_eq!((count("interaction"), count("interaction.cancel")), (1, 1));
    told_from_the_log(&set, &client).await;
    println!(
        "away {away:?}: {before} frames before the kill, {} after, ids 1 to {}; polls {:?}",
        client.seen.len() - before,
        client.last_id(),
        set.told(&client).polls,
    );
}

async fn strangers_get_nothing(set: &Set, client: &Client) {
    let execution = client.execution.as_deref().expect("an execution id");
    let daemon = set.daemon.address();
    let events = format!("/agents/executions/{execution}/events");
    let log = format!("{}/events?until=idle", session_path(client));
    for path in [events.as_str(), &log, &session_path(client)] {
        assert_eq!(ask(daemon, path, None).await.status, 401, "{path} without a token");
        let wrong = ask(daemon, path, Some(STRANGER)).await;
        assert!(wrong.status == 401 || wrong.status == 403, "{path}: {}", wrong.status);
        let said = wrong.bytes().await.expect("a body");
        assert!(!String::from_utf8_lossy(&said).contains("part"), "a stranger is told: {said:?}");
    }
}

async fn told_from_the_log(set: &Set, client: &Client) {
    for path in [session_path(client), format!("/agents/sessions/{}", client.turn.session)] {
        assert_eq!(ask(set.box_address, &path, Some(REFRESHED)).await.status, 404);
        let told = ask(set.daemon.address(), &path, Some(REFRESHED)).await;
        assert_eq!(told.status, 200, "{path}");
        assert_eq!(told.header("x-afterbay-source"), Some("log"), "{path}");
        let told = told.json().await.expect("a state");
        println!("{path}: {told}");
        assert!(told.to_string().contains("completed"), "{told}");
    }
}
