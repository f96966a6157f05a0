//! Turns as clients see them: the doors on real sockets, over the real session, turn and log, with
//! a box that does what the test says.

use std::time::Duration;

use afterbay::http::Settings;
use afterbay::upstream::Ending;

use super::raw::{Answer, read};
use super::support::hall::Verdict;
use super::support::play::{PROMPT, Play};

const TURN: [(Option<u64>, &str); 5] = [
    (Some(1), "execution.started"),
    (Some(2), "message.part.updated"),
    (Some(3), "message.part.updated"),
    (Some(4), "result"),
    (Some(5), "done"),
];

#[tokio::test]
async fn a_turn_is_streamed_from_its_first_event_to_its_done() {
    let play = Play::new().await;
    let answer = play.run_turn("X-Execution-ID: e-1\r\n", PROMPT).await;
    assert_eq!(answer.head.status(), 200);
    for (name, value) in [
        ("content-type", "text/event-stream"),
        ("cache-control", "no-store, no-transform"),
        ("x-accel-buffering", "no"),
        ("x-execution-id", "e-1"),
        ("x-session-id", "box-1"),
    ] {
        assert_eq!(answer.head.one(name), Some(value), "{name}");
    }
    assert!(answer.body.starts_with(": connected\n\nid: 1\n"), "{}", answer.body);
    assert_eq!(answer.frames(), TURN);
    assert!(answer.is_whole && !answer.body.contains("retry:"));
}

#[tokio::test]
async fn a_finished_turn_is_replayed_by_every_way_to_ask_for_it() {
    let play = Play::new().await;
    play.run_turn("X-Execution-ID: e-1\r\n", PROMPT).await;
    let events = "Accept: text/event-stream\r\n";
    for (target, fields) in [
        ("/agents/run/stream?executionId=e-1&lastEventId=2", ""),
        ("/agents/run/stream?after=2", "X-Execution-ID: e-1\r\n"),
        ("/agents/executions/e-1/events", "Last-Event-ID: 2\r\n"),
        ("/agents/executions/e-1/events?lastEventId=4", "Last-Event-ID: 002\r\n"),
        ("/agents/some/e-1/replay?starting_after=2", events),
        ("/agents/sessions/ses/events?until=idle&after=2", ""),
        ("/agents/sessions/box-1/events?until=idle&since=3", ""),
        ("/agents/events?sessionId=ses&until=idle&last_event_id=2", ""),
    ] {
        let answer = play.get(target, fields).await;
        assert_eq!((answer.head.status(), answer.ids()), (200, vec![3, 4, 5]), "{target}");
        assert!(answer.is_whole && answer.body.starts_with(": connected\n\nretry: "), "{target}");
        assert_eq!(answer.head.one("x-afterbay-cursor"), None, "{target}");
    }
    for (fields, body) in [
        ("X-Execution-ID: e-1\r\nLast-Event-ID: 2\r\n", ""),
        ("X-Execution-ID: e-1\r\nLast-Event-ID: 2\r\n", r#"{"message":""}"#),
        ("X-Execution-ID: e-1\r\nLast-Event-ID: 2\r\n", PROMPT),
        ("", r#"{"executionId":"e-1","message":"","lastEventId":"2"}"#),
        ("", r#"{"executionId":"e-1","message":"other","lastEventId":2}"#),
    ] {
        let answer = read(play.post(fields, body).await).await;
        assert_eq!((answer.head.status(), answer.ids()), (200, vec![3, 4, 5]), "{body}");
    }
    assert_eq!(play.hall.script.dispatches(), 1);
}

#[tokio::test]
async fn at_the_end_a_get_is_told_so_and_a_post_gets_a_comment() {
    let play = Play::new().await;
    play.run_turn("X-Execution-ID: e-1\r\n", PROMPT).await;
    for target in ["/agents/executions/e-1/events", "/agents/sessions/ses/events?until=idle"] {
        let answer = play.get(target, "Last-Event-ID: 5\r\n").await;
        assert_eq!((answer.head.status(), answer.body.as_str()), (204, ""), "{target}");
    }
    let fields = "X-Execution-ID: e-1\r\nLast-Event-ID: 5\r\n";
    let answer = read(play.post(fields, "").await).await;
    assert_eq!((answer.head.status(), answer.body.as_str()), (200, ": connected\n\n"));
    assert!(answer.is_whole);
}

#[tokio::test]
async fn a_cursor_without_sense_brings_everything_again_and_the_head_says_so() {
    let play = Play::new().await;
    play.run_turn("X-Execution-ID: e-1\r\n", PROMPT).await;
    for cursor in ["6", "18446744073709551616", "x", "-0"] {
        let fields = format!("Last-Event-ID: {cursor}\r\n");
        let answer = play.get("/agents/executions/e-1/events", &fields).await;
        assert_eq!(answer.head.one("x-afterbay-cursor"), Some("reset"), "{cursor}");
        assert_eq!(answer.ids(), [1, 2, 3, 4, 5], "{cursor}");
    }
}

#[tokio::test]
async fn a_second_turn_has_its_own_part_of_the_sessions_numbers() {
    let play = Play::new().await;
    play.run_turn("X-Execution-ID: e-1\r\n", PROMPT).await;
    // The cursor of the turn before is below this one's first id: it means its start.
    let second = play.run_turn("X-Execution-ID: e-2\r\nLast-Event-ID: 5\r\n", PROMPT).await;
    assert_eq!(second.ids(), [6, 7, 8, 9, 10]);
    assert_eq!(play.get("/agents/executions/e-1/events", "").await.ids(), [1, 2, 3, 4, 5]);
    let again = play.get("/agents/executions/e-2/events", "Last-Event-ID: 3\r\n").await;
    assert_eq!(again.ids(), [6, 7, 8, 9, 10]);
    let whole = play.get("/agents/sessions/ses/events?until=idle", "").await;
    assert_eq!(whole.ids(), (1..=10).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_head_of_a_stream_is_given_alone() {
    let play = Play::new().await;
    play.run_turn("X-Execution-ID: e-1\r\n", PROMPT).await;
    let line = "HEAD /agents/executions/e-1/events?lastEventId=5";
    let answer = read(play.ask(line, "", "").await).await;
    assert_eq!((answer.head.status(), answer.body.as_str()), (200, ""));
    assert_eq!(answer.head.one("content-type"), Some("text/event-stream"));
    assert_eq!(answer.head.one("content-length"), None);
}

#[tokio::test]
async fn lines_are_broken_between_tokens_where_a_client_asks() {
    let play = Play::new().await;
    play.run_turn("X-Execution-ID: e-1\r\n", PROMPT).await;
    let short = play.get("/agents/executions/e-1/events?max_line=20", "").await;
    let whole = play.get("/agents/executions/e-1/events", "").await;
    let lines = |answer: &Answer| answer.body.lines().filter(|l| l.starts_with("data: ")).count();
    assert!(lines(&short) > lines(&whole));
    let joined = short.body.replace("\ndata: ", "");
    assert_eq!(frames_text(&joined), frames_text(&whole.body.replace("\ndata: ", "")));
    let refused = play.get("/agents/executions/e-1/events?max_line=0", "").await;
    assert_eq!(
        (refused.head.status(), refused.json("/error/code").as_str()),
        (400, "INVALID_MAX_LINE")
    );
}

/// The frames without what differs from stream to stream.
fn frames_text(body: &str) -> &str {
    body.find("id: 1\n").map_or("", |at| body.get(at..).unwrap_or(""))
}

#[tokio::test]
async fn a_refusal_in_time_is_the_boxs_answer_and_leaves_the_ids_free() {
    let play = Play::new().await;
    play.hall.script.answers(Verdict::Refuses);
    let answer = read(play.post("X-Execution-ID: e-1\r\n", PROMPT).await).await;
    assert_eq!((answer.head.status(), answer.body.as_str()), (409, "{\"no\":1}"));
    assert_eq!(answer.head.one("retry-after"), Some("7"));
    assert_eq!(answer.head.one("content-length"), Some("8"));
    assert_eq!(answer.head.one("x-afterbay-error"), None);
    let gone = play.get("/agents/executions/e-1/events", "").await;
    assert_eq!((gone.head.status(), gone.json("/resourceId").as_str()), (404, "e-1"));
    play.hall.script.answers(Verdict::Takes);
    let answer = play.run_turn("X-Execution-ID: e-1\r\n", PROMPT).await;
    assert_eq!(answer.frames(), TURN);
}

#[tokio::test]
async fn a_late_refusal_is_told_in_the_stream_to_everyone_who_waits() {
    let play = Play::impatient().await;
    play.hall.script.answers(Verdict::Silent);
    let mut starter = play.post("X-Execution-ID: e-1\r\n", PROMPT).await;
    let head = starter.read_head().await;
    assert_eq!((head.status(), head.one("x-session-id")), (200, Some("ses")));
    let mut reader = play.ask("GET /agents/executions/e-1/events", "", "").await;
    reader.read_head().await;
    reader.read_to(": connected\n\n").await;
    play.hall.script.answers(Verdict::Refuses);
    for mut client in [starter, reader] {
        let told = client.read_to_close().await;
        let names: Vec<_> = told.lines().filter_map(|l| l.strip_prefix("event: ")).collect();
        assert_eq!(names, ["error", "result", "done"], "{told}");
        assert!(told.contains("DISPATCH_REFUSED") && !told.contains("id: "), "{told}");
        assert!(told.ends_with("\r\n0\r\n\r\n"), "{told}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_takes_nothing_of_its_turn_along() {
    let play = Play::impatient().await;
    play.hall.script.answers(Verdict::Silent);
    let mut starter = play.post("X-Execution-ID: e-1\r\n", PROMPT).await;
    starter.read_head().await;
    drop(starter);
    play.hall.script.answers(Verdict::Takes);
    play.hall.script.says("one");
    play.hall.script.says("two");
    play.hall.script.ends(Ending::Completed);
    let answer = play.get("/agents/executions/e-1/events", "").await;
    assert_eq!(answer.frames(), TURN);
    assert_eq!(play.hall.script.dispatches(), 1);
}

#[tokio::test]
async fn another_turn_on_a_busy_session_is_told_where_the_first_one_is() {
    let play = Play::new().await;
    let mut first = play.post("X-Execution-ID: e-1\r\n", PROMPT).await;
    first.read_to("execution.started").await;
    let second = read(play.post("X-Execution-ID: e-2\r\n", PROMPT).await).await;
    assert_eq!(second.head.status(), 409);
    assert_eq!(second.json("/error/code"), "TURN_RUNNING");
    assert_eq!(second.json("/currentState"), "running");
    assert_eq!(second.json("/requiredState"), "idle");
    assert_eq!(play.hall.script.dispatches(), 1);
}

#[tokio::test]
async fn a_wrong_credential_learns_nothing() {
    let play = Play::new().await;
    let mut first = play.post("X-Execution-ID: e-1\r\n", PROMPT).await;
    first.read_to("execution.started").await;
    let replay = "X-Execution-ID: e-1\r\nLast-Event-ID: 0\r\n";
    for (line, fields, body) in [
        ("GET /agents/executions/e-1/events", "", ""),
        ("GET /agents/run/stream?executionId=e-1&lastEventId=x", "", ""),
        ("GET /agents/sessions/ses/events", "", ""),
        ("POST /agents/run/stream", replay, ""),
        ("POST /agents/run/stream", "X-Execution-ID: e-1\r\n", PROMPT),
        ("POST /agents/run/stream", "X-Execution-ID: e-2\r\n", PROMPT),
        ("POST /agents/sessions/ses/abort", "", ""),
    ] {
        let answer = read(play.ask_as("Bearer bad-canary", line, fields, body).await).await;
        assert_eq!(answer.head.status(), 403, "{line} {fields}: {answer:?}");
        assert_eq!(answer.json("/error/code"), "FORBIDDEN", "{line} {fields}");
        assert!(!answer.body.contains("canary") && !answer.body.contains("running"));
    }
    let line = "HEAD /agents/executions/e-1/events";
    let answer = read(play.ask_as("Bearer bad-canary", line, "", "").await).await;
    assert_eq!((answer.head.status(), answer.head.one("x-session-id")), (403, None));
}

#[tokio::test]
async fn an_abort_ends_the_turn_as_cancelled_and_without_one_it_is_the_boxs() {
    let play = Play::new().await;
    let mut turn = play.post("X-Execution-ID: e-1\r\n", PROMPT).await;
    turn.read_to("execution.started").await;
    let abort = "POST /agents/sessions/ses/abort";
    let answer = read(play.ask(abort, "", "{}").await).await;
    assert_eq!(answer.body, r#"{"success":true,"data":{"cancelled":true}}"#);
    let rest = turn.read_to_close().await;
    assert!(rest.contains("event: error\n") && rest.contains("CANCELLED"), "{rest}");
    assert!(rest.contains("event: done\n") && rest.ends_with("\r\n0\r\n\r\n"), "{rest}");

    let mut again = play.ask(abort, "", "{}").await;
    let mut at_box = play.raw_box.accept().await;
    assert_eq!(at_box.read_head().await.first_line(), format!("{abort} HTTP/1.1"));
    at_box.send("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(again.read_head().await.status(), 404);
}

#[tokio::test]
async fn a_replay_of_what_we_do_not_know_is_passed_as_it_came() {
    let play = Play::new().await;
    let body = "{ \"message\" : \"\" }";
    let mut client = play.post("X-Execution-ID: nope\r\nLast-Event-ID: 3\r\n", body).await;
    let mut at_box = play.raw_box.accept().await;
    let head = at_box.read_head().await;
    assert_eq!(head.first_line(), "POST /agents/run/stream HTTP/1.1");
    assert_eq!(head.one("last-event-id"), Some("3"));
    assert_eq!(head.one("x-execution-id"), Some("nope"));
    assert_eq!(at_box.read_to(body).await, body);
    at_box.send("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(client.read_head().await.status(), 404);
    for line in ["GET /agents/sessions/nope/events", "GET /agents/events?sessionId=nope"] {
        let mut client = play.ask(line, "", "").await;
        assert_eq!(at_box.read_head().await.first_line(), format!("{line} HTTP/1.1"));
        at_box.send("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await;
        assert_eq!(client.read_head().await.status(), 404);
    }
    assert_eq!(play.hall.script.dispatches(), 0);
}

#[tokio::test]
async fn a_server_that_stops_ends_readers_before_starters_and_turns_new_ones_away() {
    let grace = Duration::from_millis(500);
    let play = Play::with(Settings { grace, ..Settings::default() }).await;
    let mut starter = play.post("X-Execution-ID: e-1\r\n", PROMPT).await;
    starter.read_to("execution.started").await;
    let mut reader = play.ask("GET /agents/executions/e-1/events", "", "").await;
    reader.read_to("execution.started").await;
    play.hall.drain.cancel();
    assert!(reader.read_to_close().await.ends_with("\r\n0\r\n\r\n"));
    assert!(starter.read_to_close().await.ends_with("\r\n0\r\n\r\n"));

    let target = "/agents/executions/e-1/events";
    let native = play.get(target, "Accept: text/event-stream\r\n").await;
    assert_eq!((native.head.status(), native.frames()), (200, Vec::new()));
    assert!(native.is_whole && native.body.contains("retry: "));
    assert_eq!(native.head.one("x-afterbay-error"), Some("DRAINING"));
    let other = play.get(target, "").await;
    assert_eq!((other.head.status(), other.head.one("retry-after")), (503, Some("2")));
    let posted = read(play.post("", PROMPT).await).await;
    assert_eq!((posted.head.status(), posted.json("/error/code").as_str()), (503, "DRAINING"));
}

#[tokio::test]
async fn streams_beyond_the_places_are_turned_away() {
    let play = Play::with(Settings { max_streams: 1, ..Settings::default() }).await;
    let mut first = play.post("X-Execution-ID: e-1\r\n", PROMPT).await;
    first.read_to("execution.started").await;
    let target = "/agents/executions/e-1/events";
    let native = play.get(target, "Accept: text/event-stream\r\n").await;
    assert_eq!((native.head.status(), native.frames()), (200, Vec::new()));
    assert_eq!(native.head.one("x-afterbay-error"), Some("TOO_MANY_STREAMS"));
    let other = play.get(target, "").await;
    assert_eq!((other.head.status(), other.json("/quotaType").as_str()), (429, "streams"));
    assert_eq!(other.head.one("retry-after"), Some("2"));
    let second = read(play.post("X-Execution-ID: e-2\r\n", r#"{"message":"hi"}"#).await).await;
    assert_eq!((second.head.status(), second.head.one("retry-after")), (429, Some("2")));
    assert_eq!(second.head.one("x-afterbay-error"), Some("TOO_MANY_STREAMS"));
    assert_eq!(play.hall.script.dispatches(), 1, "it was not started");
    // A client that goes away gives its place back.
    drop(first);
    play.hall.script.ends(Ending::Completed);
    loop {
        let next = play.get(target, "").await;
        if next.head.status() == 200 {
            assert_eq!(next.ids(), [1, 2, 3]);
            break;
        }
    }
}

#[tokio::test]
async fn one_session_does_not_take_the_places_of_others_nor_of_its_own_turns() {
    let play = Play::with(Settings { max_session_streams: 1, ..Settings::default() }).await;
    // Who starts a turn needs none of them.
    let mut starter = play.post("X-Execution-ID: e-1\r\n", PROMPT).await;
    starter.read_to("execution.started").await;
    let target = "/agents/executions/e-1/events";
    let mut reader = play.ask(&format!("GET {target}"), "", "").await;
    reader.read_to("execution.started").await;
    let native = play.get(target, "Accept: text/event-stream\r\n").await;
    assert_eq!((native.head.status(), native.frames()), (200, Vec::new()));
    let other = play.get(target, "").await;
    assert_eq!((other.head.status(), other.json("/quotaType").as_str()), (429, "streams"));
    let mut elsewhere = play.post("X-Execution-ID: e-2\r\n", &PROMPT.replace("ses", "other")).await;
    elsewhere.read_to("execution.started").await;
    let mut its_reader = play.ask("GET /agents/executions/e-2/events", "", "").await;
    its_reader.read_to("execution.started").await;
}
