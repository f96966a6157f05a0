//! What a turn's answer promises in time: its head, its heartbeats, its one write a frame, its end
//! when the program stops, and that a client's departure changes nothing.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use tokio::time::Instant;

use super::super::raw::read;
use super::super::support::box_state::BoxState;
use super::super::support::scripted_box::{Fault, Route};
use super::stage::{GOOD, Stage, answer_at_once, check};

const PROMPT: &str = r#"{"message":"hi","sessionId":"ses"}"#;
const TURN: &str = "POST /agents/run/stream";

fn named(execution: &str) -> String {
    format!("Authorization: {GOOD}\r\nX-Execution-ID: {execution}\r\n")
}

/// The agent is at work and shows nothing.
fn work_in_silence(state: &mut BoxState, session: &str, prompt: &str) {
    state.begin(session, prompt);
}

/// Ends the silence on the only session that the box has, and lets it answer the next prompt.
fn answer(stage: &Stage) {
    stage.scripted.with(|state| {
        let (id, session) = state.sessions.iter().next().expect("a session");
        let (id, last) = (id.clone(), session.messages.last().expect("a message"));
        let message = last["info"]["id"].as_str().expect("an id").to_owned();
        finish(state, &id, &message);
    });
    stage.scripted.on_prompt(answer_at_once);
}

fn finish(state: &mut BoxState, session: &str, message: &str) {
    state.text(session, message, "prt_1", "word", true);
    state.complete(session, message, Some("stop"));
    state.idle(session);
}

#[tokio::test]
async fn a_client_that_leaves_in_mid_start_leaves_exactly_one_turn() {
    let stage = Stage::with(&["--head-wait", "10s"]).await;
    stage.scripted.hold(Route::Open);
    let client = stage.send(TURN, &named("e"), PROMPT).await;
    stage.scripted.reached(Route::Open, 1).await;
    drop(client);
    // The same request again meets the first one's turn, in whatever state it is.
    let again = stage.send(TURN, &named("e"), PROMPT).await;
    stage.scripted.release(Route::Open);
    let turn = read(again).await;
    assert_eq!(turn.last_data("done")["status"], "success", "{turn:?}");
    assert_eq!(stage.scripted.seen(Route::Open).len(), 1);
    stage.holds(1).await;
}

#[tokio::test]
async fn a_client_that_leaves_while_its_right_is_asked_for_still_has_its_turn() {
    let stage = Stage::new().await;
    stage.post("X-Execution-ID: e\r\n", PROMPT).await;
    let asked = stage.scripted.seen(Route::Session).len();
    stage.scripted.hold(Route::Session);
    let other = "Authorization: Bearer other-canary\r\nX-Execution-ID: f\r\n";
    let client = stage.send(TURN, other, PROMPT).await;
    stage.scripted.reached(Route::Session, asked + 1).await;
    drop(client);
    // Answers to whoever comes next, once the connection's end has been seen.
    stage.get("/agents/executions/e/events", "").await;
    stage.scripted.release(Route::Session);
    stage.scripted.reached(Route::Prompt, 2).await;
    let turn = stage.get("/agents/executions/f/events", "").await;
    assert_eq!(turn.last_data("done")["status"], "success", "{turn:?}");
    stage.holds(2).await;
}

#[tokio::test]
async fn the_head_of_a_turn_waits_two_seconds_for_a_silent_box_and_no_longer() {
    let stage = Stage::new().await;
    stage.scripted.hold(Route::Prompt);
    let begun = Instant::now();
    let mut client = stage.send(TURN, &named("e"), PROMPT).await;
    let head = client.read_head().await;
    let waited = begun.elapsed();
    assert!((Duration::from_millis(1900)..Duration::from_secs(6)).contains(&waited), "{waited:?}");
    assert_eq!((head.status(), head.one("x-execution-id")), (200, Some("e")));
    assert_eq!(
        head.one("x-session-id"),
        Some("ses"),
        "the client's, until the box has said its own"
    );
    client.read_to(": connected\n\n").await;
    // A reader's head waits for nothing.
    let begun = Instant::now();
    let mut reader = stage.send("GET /agents/executions/e/events", &named("e"), "").await;
    reader.read_to(": connected\n\n").await;
    let cursor = format!("{}Last-Event-ID: 0\r\n", named("e"));
    let mut replay = stage.send(TURN, &cursor, "").await;
    replay.read_to(": connected\n\n").await;
    assert!(begun.elapsed() < Duration::from_millis(1900), "{:?}", begun.elapsed());
    stage.scripted.release(Route::Prompt);
    assert!(client.read_to_close().await.contains("event: done"));
    assert!(reader.read_to_close().await.contains("event: done"));
    assert!(replay.read_to_close().await.contains("event: done"));
    stage.holds(1).await;
}

#[tokio::test]
async fn heads_name_the_execution_and_the_session_by_the_best_known_names() {
    let stage = Stage::new().await;
    let minted = stage.post("", r#"{"message":"hi"}"#).await;
    let execution = minted.head.one("x-execution-id").expect("a minted id").to_owned();
    let session = minted.head.one("x-session-id").expect("the box's id").to_owned();
    assert!(session.starts_with("ses_"), "{session}");
    let at_box = stage.scripted.seen(Route::Prompt).remove(0);
    assert_eq!(at_box.headers["x-execution-id"], execution.as_str(), "the box hears it too");
    let started = minted.last_data("execution.started");
    assert_eq!(started, json!({"executionId": execution, "sessionId": session}));
    let aliased = stage.post("X-Execution-ID: e\r\n", PROMPT).await;
    let assigned = aliased.head.one("x-session-id").expect("the box's id");
    for (target, session, execution) in [
        (
            format!("/agents/executions/{execution}/events"),
            session.as_str(),
            Some(execution.as_str()),
        ),
        (format!("/agents/sessions/{session}/events?until=idle"), session.as_str(), None),
        ("/agents/sessions/ses/events?until=idle".to_owned(), assigned, None),
        (format!("/agents/sessions/{assigned}/events?until=idle"), assigned, None),
    ] {
        let answer = stage.get(&target, "").await;
        assert_eq!(answer.head.one("x-session-id"), Some(session), "{target}");
        assert_eq!(answer.head.one("x-execution-id"), execution, "{target}");
    }
    stage.holds(2).await;
}

#[tokio::test]
async fn a_head_alone_has_no_body_and_leaves_no_reader() {
    let stage = Stage::new().await;
    stage.post("X-Execution-ID: e\r\n", PROMPT).await;
    for (target, status) in [
        ("/agents/executions/e/events?lastEventId=x", 200),
        ("/agents/run/stream?executionId=e&lastEventId=4", 200),
        ("/agents/sessions/ses/events", 200),
        ("/agents/events?sessionId=ses", 200),
        ("/agents/executions/nope/events", 404),
        ("/agents/run/stream", 400),
        ("/agents/executions/a%2fb/events", 400),
    ] {
        let fields = format!("Authorization: {GOOD}\r\n");
        let answer = stage.ask(&format!("HEAD {target}"), &fields, "").await;
        assert_eq!((answer.head.status(), answer.body.as_str()), (status, ""), "{target}");
        assert_eq!(answer.head.one("x-afterbay-cursor"), None, "{target}");
        let events = answer.head.one("content-type") == Some("text/event-stream");
        assert_eq!(events, status == 200, "{target}: {answer:?}");
    }
    let metrics = stage.metrics().await;
    let opened =
        metrics.lines().find(|line| line.starts_with("afterbay_http_streams_opened_total"));
    assert_eq!(opened.and_then(|line| line.rsplit(' ').next()), Some("1"), "the POST's alone");
    stage.holds(1).await;
}

#[tokio::test]
async fn heartbeats_stand_between_frames_and_come_after_silence_alone() {
    let stage = Stage::with(&["--heartbeat", "1s"]).await;
    stage.scripted.on_prompt(work_in_silence);
    let mut client = stage.send(TURN, &named("e"), PROMPT).await;
    client.read_to("event: execution.started").await;
    client.read_to("\n\n").await;
    let begun = Instant::now();
    for _ in 0..2 {
        let beat = client.read_to(": keepalive\n\n").await;
        assert!(!beat.contains("data:"), "{beat}");
    }
    let took = begun.elapsed();
    assert!((Duration::from_millis(1900)..Duration::from_secs(6)).contains(&took), "{took:?}");
    answer(&stage);
    let rest = client.read_to_close().await;
    assert!(rest.contains("event: done") && !rest.contains("keepalive"), "{rest}");
    stage.holds(1).await;
}

/// The chunks of a chunked body.
fn chunks(body: &str) -> Vec<&str> {
    let (mut rest, mut all) = (body, Vec::new());
    while let Some((size, after)) = rest.split_once("\r\n") {
        let (chunk, after) = after.split_at(usize::from_str_radix(size, 16).expect("a size"));
        all.push(chunk);
        rest = after.strip_prefix("\r\n").expect("the chunk's end");
    }
    all
}

#[tokio::test]
async fn no_frame_is_split_over_two_chunks_whatever_its_size() {
    let stage = Stage::new().await;
    let sizes = [10, 4 << 10, (16 << 10) - 200, 16 << 10, 100 << 10, 10, 70 << 10];
    stage.scripted.on_prompt(move |state, session, prompt| {
        let message = state.begin(session, prompt);
        for (n, size) in sizes.into_iter().enumerate() {
            state.text(session, &message, &format!("prt_{n}"), &"x".repeat(size), true);
        }
        finish(state, session, &message);
    });
    let mut live = stage.send(TURN, &named("e"), PROMPT).await;
    live.read_head().await;
    let mut replay = stage.send("GET /agents/executions/e/events", &named("e"), "").await;
    replay.read_head().await;
    for mut client in [live, replay] {
        let body = client.read_to_close().await;
        let (mut chunks, frames) = (chunks(&body), body.matches("\nevent: ").count());
        assert!(frames >= sizes.len() + 3, "{frames} frames");
        assert_eq!(chunks.pop(), Some(""), "the end is told");
        for chunk in chunks {
            let begins = chunk.starts_with("id: ")
                || chunk.starts_with(": ")
                || chunk.starts_with("retry: ");
            assert!(begins && chunk.ends_with("\n\n"), "a chunk of {} bytes", chunk.len());
        }
    }
    stage.scripted.on_prompt(answer_at_once);
    stage.holds(1).await;
}

#[tokio::test]
async fn a_program_that_stops_ends_readers_first_and_starters_last_and_the_turn_goes_on() {
    let stage = Stage::new().await;
    stage.scripted.on_prompt(work_in_silence);
    let mut starter = stage.send(TURN, &named("e"), PROMPT).await;
    starter.read_to("event: execution.started").await;
    let mut reader = stage.send("GET /agents/executions/e/events", &named("e"), "").await;
    reader.read_to("event: execution.started").await;
    let mut bus = stage.send("GET /agents/sessions/ses/events", &named("e"), "").await;
    bus.read_to("event: execution.started").await;
    stage.daemon.signal(Signal::TERM);
    let ended = async |mut client: super::super::raw::Conn| {
        let rest = client.read_to_close().await;
        assert!(rest.ends_with("\r\n0\r\n\r\n") && !rest.contains("event: "), "{rest:?}");
        Instant::now()
    };
    let (reader, bus, starter) = tokio::join!(ended(reader), ended(bus), ended(starter));
    assert!(reader < starter && bus < starter);
    let stage = stage.again().await;
    answer(&stage);
    let replay = stage.get("/agents/executions/e/events", "").await;
    assert_eq!(replay.last_data("done")["status"], "success", "{replay:?}");
    stage.holds(1).await;
}

#[tokio::test]
async fn a_late_refusal_is_told_in_the_stream_and_leaves_no_ids() {
    let stage = Stage::with(&["--head-wait", "50ms"]).await;
    stage.scripted.hold(Route::Prompt);
    stage.scripted.fail_next(Route::Prompt, Fault::json(409, &json!({"no": 1})));
    let mut client = stage.send(TURN, &named("e"), PROMPT).await;
    client.read_to(": connected\n\n").await;
    let mut bus = stage.send("GET /agents/sessions/ses/events?until=idle", &named("e"), "").await;
    bus.read_to(": connected\n\n").await;
    stage.scripted.release(Route::Prompt);
    let told = client.read_to_close().await;
    assert!(told.contains("DISPATCH_REFUSED") && told.contains("event: done"), "{told}");
    assert!(!told.contains("id: "), "{told}");
    assert!(bus.read_to_close().await.ends_with("\r\n0\r\n\r\n"), "an idle session ends");
    check(&stage.get("/agents/executions/e/events", "").await, 404, "EXECUTION_NOT_FOUND");
    stage.holds(1).await;
}

#[tokio::test]
async fn a_sessions_events_are_the_boxs_where_the_configuration_says_so() {
    let stage = Stage::with(&["--session-bus", "pass"]).await;
    stage.post("X-Execution-ID: e\r\n", PROMPT).await;
    for target in ["/agents/sessions/ses/events", "/agents/events?sessionId=ses"] {
        let answer = stage.get(target, "").await;
        assert_eq!(answer.head.status(), 404, "{answer:?}");
        assert!(answer.body.contains("no such route"), "the box's own: {answer:?}");
    }
    assert_eq!(stage.scripted.seen(Route::Other).len(), 2);
    let replay = stage.get("/agents/executions/e/events", "").await;
    assert_eq!(replay.last_data("done")["status"], "success", "turns are ours all the same");
    stage.holds(1).await;
}
