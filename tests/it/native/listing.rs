//! Which sessions are listed, for whom, and in what order.

use afterbay::upstream::Ending;
use serde_json::Value;

use super::super::raw::read;
use super::super::support::play::Play;
use super::{ask, ask_as, check_error, json};

const LIST: &str = "GET /afterbay/v1/sessions";

/// Runs a turn to its end on a session of this name, as `who`. The hall's box calls all sessions
/// the same, so only the first of them has that name; the others keep their own.
async fn session(play: &Play, who: &str, name: &str) {
    play.hall.script.ends(Ending::Completed);
    let line = "POST /agents/run/stream";
    let body = format!(r#"{{"message":"hi","sessionId":"{name}","executionId":"e-{name}"}}"#);
    let answer = read(play.ask_as(who, line, "", &body).await).await;
    assert_eq!(answer.head.status(), 200, "{answer:?}");
}

/// Where the turns began, newest session first: each session here has one turn.
async fn listed(play: &Play, who: &str, query: &str) -> (usize, Value) {
    let answer = ask_as(play, who, &format!("{LIST}?{query}"), "", "").await;
    assert_eq!(answer.head.status(), 200, "{answer:?}");
    let told = json(&answer);
    (told["sessions"].as_array().expect("sessions").len(), told["nextPage"].clone())
}

#[tokio::test]
async fn a_session_is_listed_for_its_owner_its_known_readers_and_nobody_else() {
    let play = Play::new().await;
    session(&play, "Bearer good", "a").await;
    session(&play, "", "b").await;
    let first = ask(&play, LIST, "", "").await;
    let expected = serde_json::json!({
        "box": "default", "sessionId": "box-1", "state": "idle", "turnCount": 1, "lastEventId": 3
    });
    assert_eq!(json(&first)["sessions"], serde_json::json!([expected, expected]));
    // One that was started without a credential is everybody's.
    for who in ["", "Bearer other"] {
        assert_eq!(listed(&play, who, "").await, (1, Value::Null), "{who:?}");
    }
}

#[tokio::test]
async fn a_reader_that_the_box_accepted_once_is_shown_the_session_without_asking_again() {
    let play = Play::new().await;
    session(&play, "Bearer good", "a").await;
    let reader = "Bearer good too";
    assert_eq!(listed(&play, reader, "").await.0, 0);
    let line = "GET /afterbay/v1/boxes/default/sessions/a";
    check_error(&ask_as(&play, reader, line, "", "").await, 403, "FORBIDDEN");
    assert_eq!(listed(&play, reader, "").await.0, 0);
    play.hall.script.accepts(reader);
    // The refusal is remembered for a moment, for this session.
    session(&play, "Bearer good", "b").await;
    let line = "GET /afterbay/v1/boxes/default/sessions/b";
    assert_eq!(listed(&play, reader, "").await.0, 0);
    assert_eq!(ask_as(&play, reader, line, "", "").await.head.status(), 200);
    assert_eq!(listed(&play, reader, "").await.0, 1);
}

#[tokio::test]
async fn pages_have_a_stable_order_whatever_begins_meanwhile() {
    let play = Play::new().await;
    for name in ["a", "b", "c", "d", "e"] {
        session(&play, "", name).await;
    }
    let mut query = "limit=2".to_owned();
    let mut sizes = Vec::new();
    for name in ["f", "g", "h"] {
        let (size, next) = listed(&play, "", &query).await;
        sizes.push(size);
        session(&play, "", name).await;
        match next.as_str() {
            Some(next) => query = format!("limit=2&page={next}"),
            None => break,
        }
    }
    assert_eq!(sizes, [2, 2, 1]);
    assert_eq!(listed(&play, "", "limit=8").await, (8, Value::Null));
    assert_eq!(listed(&play, "", "").await.0, 8);
}

#[tokio::test]
async fn filters_pick_by_box_and_state() {
    let play = Play::new().await;
    session(&play, "", "a").await;
    play.hall.script.says("on");
    let body = r#"{"message":"hi","sessionId":"b"}"#;
    let mut turn = play.ask_as("", "POST /agents/run/stream", "", body).await;
    turn.read_to("execution.started").await;
    for (query, count) in [
        ("", 2),
        ("state=busy", 1),
        ("state=idle", 1),
        ("box=default", 2),
        ("box=default&state=idle", 1),
        ("box=away", 0),
    ] {
        assert_eq!(listed(&play, "", query).await.0, count, "{query}");
    }
    for (query, code) in [
        ("state=running", "INVALID_QUERY"),
        ("page=x", "INVALID_QUERY"),
        ("limit=0", "INVALID_QUERY"),
        ("limit=501", "INVALID_QUERY"),
        ("box=a%2Fb", "INVALID_ID"),
    ] {
        check_error(&ask(&play, &format!("{LIST}?{query}"), "", "").await, 400, code);
    }
}
