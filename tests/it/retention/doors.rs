//! What clients are told of turns whose events are gone.

use afterbay::turn::control::wall_ms;
use afterbay::upstream::Ending;

use super::super::raw::read;
use super::super::support::play::{PROMPT, Play};
use super::super::support::rig::within;
use super::TOO_OLD;

const EVENTS: &str = "/agents/executions/e-1/events";

async fn trim(play: &Play) {
    // Ends when the turn is filed among those that are over.
    play.get("/agents/sessions/ses/events?until=idle", "").await;
    let later = wall_ms() + u64::try_from(TOO_OLD.as_millis()).expect("a time of ours");
    play.hall.retention.look(later).await;
}

/// A play whose turn `e-1` (1 to 5) is gone.
async fn trimmed() -> Play {
    let play = Play::new().await;
    play.run_turn("X-Execution-ID: e-1\r\n", PROMPT).await;
    trim(&play).await;
    play
}

fn expired(from: u64, to: u64) -> String {
    let data = format!(r#"{{"code":"EVENTS_EXPIRED","from":{from},"to":{to}}}"#);
    format!("id: {to}\nevent: warning\ndata: {data}\n\n")
}

#[tokio::test]
async fn a_turn_that_is_gone_is_a_warning_and_the_end_and_then_nothing() {
    let play = trimmed().await;
    for (fields, from) in [("", 1), ("Last-Event-ID: 0\r\n", 1), ("Last-Event-ID: 3\r\n", 4)] {
        let answer = play.get(EVENTS, fields).await;
        assert_eq!((answer.head.status(), answer.is_whole), (200, true));
        assert!(answer.body.ends_with(&expired(from, 5)), "{}", answer.body);
        assert_eq!(answer.frames(), [(Some(5), "warning")]);
    }
    let answer = play.get(EVENTS, "Last-Event-ID: 5\r\n").await;
    assert_eq!((answer.head.status(), answer.body.as_str()), (204, ""));
}

#[tokio::test]
async fn a_repeated_post_of_a_turn_that_is_gone_attaches_to_what_is_left_of_it() {
    let play = trimmed().await;
    let by_turn = r#"{"message":"hi","sessionId":"ses","turnId":"t-1"}"#;
    let answer = read(play.post("X-Execution-ID: e-1\r\n", PROMPT).await).await;
    assert_eq!((answer.head.status(), answer.frames()), (200, vec![(Some(5), "warning")]));
    assert_eq!(answer.head.one("x-execution-id"), Some("e-1"));
    play.hall.script.ends(Ending::Completed);
    let first = read(play.post("", by_turn).await).await;
    assert_eq!(first.ids(), [6, 7, 8]);
    trim(&play).await;
    let again = read(play.post("", by_turn).await).await;
    assert_eq!((again.frames(), again.is_whole), (vec![(Some(8), "warning")], true));
    assert!(again.body.ends_with(&expired(6, 8)), "{}", again.body);
    assert_eq!(play.hall.script.dispatches(), 2);
}

#[tokio::test]
async fn a_sessions_stream_tells_what_is_gone_and_goes_on() {
    let play = trimmed().await;
    let target = "/agents/sessions/ses/events";
    let idle = play.get(&format!("{target}?until=idle"), "").await;
    assert_eq!((idle.frames(), idle.is_whole), (vec![(Some(5), "warning")], true));
    let at_end = play.get(&format!("{target}?until=idle"), "Last-Event-ID: 5\r\n").await;
    assert_eq!(at_end.head.status(), 204);
    let mut page = play.ask(&format!("GET {target}"), "Last-Event-ID: 2\r\n", "").await;
    page.read_head().await;
    page.read_to(&expired(3, 5)).await;
    play.run_turn("X-Execution-ID: e-2\r\n", PROMPT).await;
    let told = within("the next turn is told", page.read_to("id: 10\nevent: done\n")).await;
    assert!(told.contains("id: 6\n") && !told.contains("EXPIRED"), "{told}");
}

#[tokio::test]
async fn a_stream_that_is_open_stays_so_when_its_session_has_nothing_left() {
    let play = Play::new().await;
    play.run_turn("X-Execution-ID: e-1\r\n", PROMPT).await;
    let mut page = play.ask("GET /agents/sessions/ses/events", "", "").await;
    page.read_head().await;
    page.read_to("id: 5\nevent: done\n").await;
    trim(&play).await;
    // Long after the tombstone, too: its reader keeps the session, and sees its next turn.
    for years in 1..3 {
        let day: u64 = 24 * 60 * 60 * 1000;
        play.hall.retention.look(wall_ms() + years * 365 * day).await;
    }
    play.run_turn("X-Execution-ID: e-2\r\n", PROMPT).await;
    within("the next turn is told", page.read_to("id: 10\nevent: done\n")).await;
}

#[tokio::test]
async fn of_a_turn_that_is_gone_the_log_still_tells_the_state_and_no_result() {
    let play = Play::telling_results("/agents/sessions/{id}/result").await;
    play.run_turn("X-Execution-ID: e-1\r\n", PROMPT).await;
    trim(&play).await;
    for (target, status, source) in
        [("/agents/sessions/ses", 200, Some("log")), ("/agents/sessions/ses/result", 404, None)]
    {
        let client = play.ask(&format!("GET {target}"), "", "").await;
        let mut at_box = play.raw_box.accept().await;
        at_box.read_head().await;
        at_box.send("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await;
        let answer = read(client).await;
        let told = (answer.head.status(), answer.head.one("x-afterbay-source"));
        assert_eq!(told, (status, source), "{target}");
    }
}
