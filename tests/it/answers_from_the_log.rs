//! What the log tells in the place of a box that has forgotten a session, or is not there; and what
//! is told of a turn when only its result is wanted.

use afterbay::http::Settings;
use afterbay::mode::Fidelity;
use afterbay::upstream::Ending;

use super::raw::{Answer, read};
use super::support::hall::{GOOD, Verdict};
use super::support::play::{PROMPT, Play};

const STATE: &str = "/agents/sessions/ses";
const RESULT: &str = "/agents/sessions/ses/result";

/// Asks for `target` while the box answers `status`.
async fn asked(play: &Play, who: &str, target: &str, status: &str) -> Answer {
    let client = play.ask_as(who, &format!("GET {target}"), "", "").await;
    let mut at_box = play.raw_box.accept().await;
    assert_eq!(at_box.read_head().await.first_line(), format!("GET {target} HTTP/1.1"));
    at_box.send(format!("HTTP/1.1 {status}\r\nContent-Length: 3\r\n\r\nbox")).await;
    read(client).await
}

async fn with_result_path() -> Play {
    Play::telling_results("/agents/sessions/{id}/result").await
}

#[tokio::test]
async fn a_state_that_the_box_has_forgotten_is_told_from_the_verdict() {
    for (ending, state) in [
        (Ending::Completed, "completed"),
        (Ending::Failed { code: "X".into(), message: "m".into() }, "failed"),
        (Ending::Cancelled, "aborted"),
    ] {
        let play = Play::new().await;
        play.hall.script.ends(ending);
        read(play.post("", PROMPT).await).await;
        for status in ["404 Not Found", "502 Bad Gateway", "522 Gone Away"] {
            let answer = asked(&play, GOOD, STATE, status).await;
            assert_eq!(answer.head.status(), 200, "{status}");
            assert_eq!(answer.head.one("x-afterbay-source"), Some("log"));
            assert_eq!(answer.head.one("content-type"), Some("application/json"));
            let told = format!(
                r#"{{"success":true,"data":{{"session":{{"id":"box-1","state":"{state}","reconnectable":false}}}}}}"#
            );
            assert_eq!(answer.body, told);
        }
    }
}

#[tokio::test]
async fn what_the_box_says_stands() {
    let play = Play::new().await;
    play.run_turn("", PROMPT).await;
    for status in ["200 OK", "401 Unauthorized", "500 Oops"] {
        let answer = asked(&play, GOOD, STATE, status).await;
        assert_eq!(answer.body, "box", "{status}");
        assert_eq!(answer.head.one("x-afterbay-source"), None);
    }
}

#[tokio::test]
async fn without_a_verdict_or_a_right_a_forgotten_session_is_forgotten() {
    let play = with_result_path().await;
    let missing = "404 Not Found";
    assert_eq!(asked(&play, GOOD, STATE, missing).await.head.status(), 404);
    let mut turn = play.post("", PROMPT).await;
    turn.read_to("execution.started").await;
    for target in [STATE, RESULT] {
        assert_eq!(asked(&play, GOOD, target, missing).await.head.status(), 404, "it runs");
    }
    play.hall.script.ends(Ending::Completed);
    turn.read_to_close().await;
    for target in [STATE, RESULT] {
        assert_eq!(asked(&play, "Bearer bad", target, missing).await.head.status(), 404);
        assert_eq!(asked(&play, GOOD, target, missing).await.head.status(), 200);
    }
}

#[tokio::test]
async fn the_result_of_a_turn_is_told_from_the_log_where_the_box_has_a_route_for_it() {
    let play = with_result_path().await;
    for execution in ["e-1", "e-2"] {
        play.run_turn(&format!("X-Execution-ID: {execution}\r\n"), PROMPT).await;
    }
    let missing = "404 Not Found";
    for target in [RESULT, &format!("{RESULT}?executionId=e-1")] {
        let answer = asked(&play, GOOD, target, missing).await;
        assert_eq!(answer.head.status(), 200);
        assert_eq!(answer.json("/finalText"), "hello");
        assert_eq!(answer.json("/metadata/sessionId"), "box-1");
    }
    let unknown = format!("{RESULT}?executionId=e-9");
    assert_eq!(asked(&play, GOOD, &unknown, missing).await.head.status(), 404);
}

#[tokio::test]
async fn a_box_that_is_not_there_is_no_reason_to_forget() {
    let play = Play::new().await;
    play.run_turn("", PROMPT).await;
    let Play { hall, raw_box } = play;
    drop(raw_box);
    let mut client = super::raw::Conn::open(hall.addr).await;
    let line = format!(
        "GET {STATE} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: {GOOD}\r\n\r\n"
    );
    client.send(line).await;
    let answer = read(client).await;
    assert_eq!((answer.head.status(), answer.head.one("x-afterbay-source")), (200, Some("log")));
}

fn result_only() -> Settings {
    Settings { fidelity: Fidelity::Result, ..Settings::default() }
}

#[tokio::test]
async fn a_turn_told_by_its_result_is_one_event() {
    let play = Play::with(result_only()).await;
    let answer = play.run_turn("X-Execution-ID: e-1\r\n", PROMPT).await;
    assert_eq!(answer.frames(), [(Some(1), "result")]);
    assert!(answer.is_whole && answer.body.contains(r#""finalText":"hello""#), "{}", answer.body);
    let again = play.get("/agents/executions/e-1/events", "").await;
    assert_eq!(again.frames(), [(Some(1), "result")]);
    let at_end = play.get("/agents/executions/e-1/events", "Last-Event-ID: 1\r\n").await;
    assert_eq!(at_end.head.status(), 204);
}

#[tokio::test]
async fn a_failed_turn_told_by_its_result_has_its_error_before_it() {
    let play = Play::with(result_only()).await;
    play.hall.script.ends(Ending::Failed { code: "X".into(), message: "m".into() });
    let answer = read(play.post("", PROMPT).await).await;
    assert_eq!(answer.frames(), [(Some(1), "error"), (Some(2), "result")]);

    let head_wait = std::time::Duration::from_millis(1);
    let play = Play::with(Settings { head_wait, ..result_only() }).await;
    play.hall.script.answers(Verdict::Silent);
    let mut turn = play.post("", PROMPT).await;
    turn.read_head().await;
    play.hall.script.answers(Verdict::Refuses);
    let told = turn.read_to_close().await;
    let names: Vec<_> = told.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(names, ["error", "result"], "{told}");
}
