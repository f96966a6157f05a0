//! Bad input at the built program's doors: each gets a clear error with a code or a verdict in the
//! stream; nothing panics, nothing is lost, nothing runs twice, no credential shows.
//!
//! What clients send wrongly is here, wrong boxes and wrong sockets in files of their own.

mod boxes;
mod guesses;
mod promises;
mod routes;
mod sockets;
mod stage;

use futures_util::future::join_all;
use serde_json::json;

use super::raw::Answer;
use super::support::scripted_box::Route;
use stage::{GOOD, Stage, check};

const PROMPT: &str = r#"{"message":"hi","sessionId":"ses"}"#;

/// Posts each body and checks that it is refused with this code.
async fn check_bodies(bodies: &[&[u8]], code: &str) {
    let stage = Stage::new().await;
    for body in bodies {
        check(&stage.post("", body).await, 400, code);
    }
    stage.holds(0).await;
}

#[tokio::test]
async fn a_body_that_is_no_json_is_told_so_and_starts_nothing() {
    let nul: &[u8] = b"{\"message\":\"\x00\"}";
    let bad: [&[u8]; 8] = [
        b"",
        b"{",
        b"{\"message\":\"hi\"",
        b"{'message':1}",
        b"{}{}",
        b"NaN",
        nul,
        b"\xef\xbb\xbf{}",
    ];
    check_bodies(&bad, "INVALID_JSON").await;
}

#[tokio::test]
async fn a_body_that_is_not_utf_8_is_told_so_and_starts_nothing() {
    let bad: [&[u8]; 3] =
        [b"{\"message\":\"\xff\"}", b"{\"sessionId\":\"\xc3\x28\"}", b"\xff\xfe{\x00}\x00"];
    check_bodies(&bad, "INVALID_JSON").await;
}

#[tokio::test]
async fn a_body_that_is_no_object_is_told_so_and_starts_nothing() {
    let bad: [&[u8]; 5] = [b"[{\"message\":\"hi\"}]", b"\"hi\"", b"7", b"null", b"true"];
    check_bodies(&bad, "INVALID_BODY").await;
}

#[tokio::test]
async fn a_body_nested_deep_is_told_so_and_starts_nothing() {
    let open = "[".repeat(1 << 20);
    let closed = format!("{{\"message\":{}1{}}}", "[".repeat(101), "]".repeat(101));
    let objects = format!("{}1{}", "{\"message\":".repeat(5000), "}".repeat(5000));
    check_bodies(&[open.as_bytes(), closed.as_bytes(), objects.as_bytes()], "BODY_TOO_DEEP").await;
}

#[tokio::test]
async fn a_prompt_of_another_shape_is_told_so_and_starts_nothing() {
    let bad: [&[u8]; 8] = [
        b"{}",
        b"{\"message\":\"\"}",
        b"{\"message\":null,\"parts\":null}",
        b"{\"message\":7}",
        b"{\"message\":{}}",
        b"{\"parts\":{}}",
        b"{\"parts\":[]}",
        b"{\"parts\":[7]}",
    ];
    check_bodies(&bad, "INVALID_PROMPT").await;
}

#[tokio::test]
async fn an_id_too_long_or_with_control_or_path_characters_is_refused_wherever_it_stands() {
    let stage = Stage::new().await;
    let long = "x".repeat(257);
    for id in [long.as_str(), "a/b", "..", ".", "a\\u0000b", "a\\r\\nb", "a b", "\\u00e9", "a%2fb"]
    {
        for key in ["sessionId", "executionId", "turnId"] {
            let body = format!("{{\"message\":\"hi\",\"{key}\":\"{id}\"}}");
            check(&stage.post("", body).await, 400, "INVALID_ID");
        }
    }
    for id in [long.as_str(), "a/b", "..", "a b", "a%2fb", "a\tb"] {
        check(&stage.post(&format!("X-Execution-ID: {id}\r\n"), PROMPT).await, 400, "INVALID_ID");
    }
    for id in [long.as_str(), "a%2fb", "%2e%2e", "a%00b", "a%0d%0ab", "%ff", "a%20b"] {
        for (line, body) in [
            (format!("GET /agents/executions/{id}/events"), ""),
            (format!("GET /agents/run/stream?executionId={id}"), ""),
            (format!("GET /agents/sessions/{id}/events"), ""),
            (format!("GET /agents/events?sessionId={id}"), ""),
            (format!("POST /agents/sessions/{id}/abort"), "{}"),
        ] {
            check(&stage.ask(&line, "", body).await, 400, "INVALID_ID");
        }
    }
    assert!(stage.scripted.seen(Route::Other).is_empty(), "nothing was passed on");
    stage.holds(0).await;
}

#[tokio::test]
async fn ids_that_disagree_are_refused() {
    let stage = Stage::new().await;
    let body = r#"{"message":"hi","executionId":"f"}"#;
    check(&stage.post("X-Execution-ID: e\r\n", body).await, 400, "ID_CONFLICT");
    let two = "X-Execution-ID: e\r\nX-Execution-ID: f\r\n";
    check(&stage.post(two, PROMPT).await, 400, "ID_CONFLICT");
    let target = "/agents/run/stream?executionId=f";
    check(&stage.get(target, "X-Execution-ID: e\r\n").await, 400, "ID_CONFLICT");
    stage.holds(0).await;
}

#[tokio::test]
async fn the_same_request_many_times_at_once_runs_once() {
    let stage = Stage::new().await;
    for (fields, body) in [
        ("X-Execution-ID: e\r\n", PROMPT),
        ("", r#"{"message":"hi","executionId":"f"}"#),
        ("", r#"{"message":"hi","sessionId":"other","turnId":"t"}"#),
    ] {
        let turns = join_all((0..20).map(|_| stage.post(fields, body))).await;
        for turn in &turns {
            assert_eq!((turn.head.status(), turn.ids()), (200, turns[0].ids()), "{turn:?}");
            assert_eq!(turn.last_data("done")["status"], "success", "{turn:?}");
        }
    }
    assert_eq!(stage.prompts(), 3);
    stage.scripted.on_prompt(|state, session, prompt| drop(state.begin(session, prompt)));
    let many = (0..20)
        .map(|_| stage.send("POST /agents/run/stream", "", r#"{"message":"hi","sessionId":"s"}"#));
    let mut clients = join_all(many).await;
    let heads = join_all(clients.iter_mut().map(|client| client.read_head())).await;
    let of = |status| heads.iter().filter(|head| head.status() == status).count();
    assert_eq!((of(200), of(409)), (1, 19), "one runs, the others are told");
    drop(clients);
    stage.scripted.on_prompt(stage::answer_at_once);
    stage.holds(4).await;
}

#[tokio::test]
async fn an_unknown_execution_is_our_404_and_an_unknown_session_the_boxs() {
    let stage = Stage::new().await;
    for target in ["/agents/executions/nope/events", "/agents/run/stream?executionId=nope"] {
        let answer = stage.get(target, "Last-Event-ID: 3\r\n").await;
        check(&answer, 404, "EXECUTION_NOT_FOUND");
        assert_eq!(answer.json("/resourceType"), "execution");
        assert_eq!(answer.json("/resourceId"), "nope");
    }
    for (line, fields, body) in [
        ("GET /agents/sessions/nope/events", "", ""),
        ("GET /agents/events?sessionId=nope", "", ""),
        ("GET /agents/some/nope/replay", "Accept: text/event-stream\r\n", ""),
        ("POST /agents/sessions/nope/abort", "", "{}"),
        ("POST /agents/run/stream", "X-Execution-ID: nope\r\nLast-Event-ID: 1\r\n", ""),
    ] {
        let answer = stage.ask(line, fields, body).await;
        assert_eq!(answer.head.status(), 404, "{line}: {answer:?}");
        assert_eq!(answer.head.one("x-afterbay-error"), None, "{line}");
        assert!(answer.body.contains("no such route"), "{line}: the box's own: {answer:?}");
    }
    assert_eq!(stage.scripted.seen(Route::Other).len(), 5);
    stage.holds(0).await;
}

#[tokio::test]
async fn a_cursor_that_makes_no_sense_brings_all_again_and_never_a_second_run() {
    let stage = Stage::new().await;
    let first = stage.post("X-Execution-ID: e\r\n", PROMPT).await;
    let all = first.ids();
    assert_eq!(all, (1..=all.len() as u64).collect::<Vec<_>>());
    let beyond = (all.len() + 1).to_string();
    let cursors =
        ["x", "-1", "-0", "+1", "1.0", "1e3", "0x1", "\u{661}", "18446744073709551616", &beyond];
    for cursor in cursors {
        let field = format!("Last-Event-ID: {cursor}\r\n");
        let replays = [
            stage.get("/agents/executions/e/events", &field).await,
            stage.get("/agents/sessions/ses/events?until=idle", &field).await,
            stage.post(&format!("X-Execution-ID: e\r\n{field}"), "").await,
            stage.post(&format!("X-Execution-ID: e\r\n{field}"), PROMPT).await,
        ];
        for replay in replays {
            assert_eq!(replay.head.one("x-afterbay-cursor"), Some("reset"), "{cursor}: {replay:?}");
            assert_eq!((replay.head.status(), replay.ids()), (200, all.clone()), "{cursor}");
        }
    }
    for cursor in ["", "0", "000"] {
        let field = format!("Last-Event-ID: {cursor}\r\n");
        let replay = stage.get("/agents/executions/e/events", &field).await;
        assert_eq!((replay.head.one("x-afterbay-cursor"), replay.ids()), (None, all.clone()));
    }
    stage.holds(1).await;
}

#[tokio::test]
async fn a_missing_or_wrong_credential_learns_nothing_and_starts_nothing() {
    let stage = Stage::new().await;
    stage.scripted.with(|state| state.authorization = Some(GOOD.to_owned()));
    let first = stage.post("X-Execution-ID: e\r\n", PROMPT).await;
    assert_eq!(first.last_data("done")["status"], json!("success"), "{first:?}");
    let assigned = first.head.one("x-session-id").expect("an id").to_owned();
    for (who, status, code) in [
        ("", 401, "UNAUTHORIZED"),
        ("Authorization: Bearer bad-canary\r\n", 401, "UNAUTHORIZED"),
        ("Authorization: Bearer a\r\nAuthorization: Bearer b\r\n", 400, "INVALID_CREDENTIAL"),
    ] {
        for (line, fields, body) in [
            ("GET /agents/executions/e/events".to_owned(), "Last-Event-ID: 99\r\n", ""),
            (format!("GET /agents/sessions/{assigned}/events?until=idle"), "", ""),
            ("POST /agents/run/stream".to_owned(), "X-Execution-ID: e\r\n", PROMPT),
            ("POST /agents/run/stream".to_owned(), "X-Execution-ID: f\r\n", PROMPT),
            (format!("POST /agents/sessions/{assigned}/abort"), "", "{}"),
        ] {
            let answer = stage.ask(&line, &format!("{who}{fields}"), body).await;
            check(&answer, status, code);
            assert_eq!(answer.head.one("x-session-id"), None, "{line}");
        }
    }
    stage.holds(1).await;
}

#[tokio::test]
async fn a_foreign_host_or_origin_is_stopped_before_any_work() {
    let stage = Stage::new().await;
    for (line, fields, status, code) in [
        ("GET /x", "Host: evil.example\r\n", 421, "HOST_NOT_ALLOWED"),
        ("POST /agents/run/stream", "Host: evil.example\r\n", 421, "HOST_NOT_ALLOWED"),
        ("OPTIONS /agents/run/stream", "Host: evil.example\r\n", 421, "HOST_NOT_ALLOWED"),
        ("GET /x", "Host: a@b\r\n", 400, "INVALID_HOST"),
        ("GET /x", "", 400, "INVALID_HOST"),
        (
            "POST /agents/run/stream",
            "Host: a\r\nOrigin: https://evil.example\r\n",
            403,
            "ORIGIN_NOT_ALLOWED",
        ),
        ("POST /session/x/prompt_async", "Host: a\r\nOrigin: null\r\n", 403, "ORIGIN_NOT_ALLOWED"),
        ("GET /event", "Host: a\r\nSec-Fetch-Site: cross-site\r\n", 403, "ORIGIN_NOT_ALLOWED"),
        (
            "GET /agents/executions/e/events",
            "Host: a\r\nSec-Fetch-Site: same-site\r\n",
            403,
            "ORIGIN_NOT_ALLOWED",
        ),
    ] {
        let mut client = stage.connect().await;
        let body = if line.starts_with("POST") { PROMPT } else { "" };
        let length = body.len();
        client
            .send(format!(
                "{line} HTTP/1.1\r\n{fields}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
            ))
            .await;
        check(&super::raw::read(client).await, status, code);
    }
    assert!(stage.scripted.seen(Route::Other).is_empty() && stage.prompts() == 0);
    stage.holds(0).await;
}

#[tokio::test]
async fn what_a_client_may_not_know_stays_out_of_errors_and_logs() {
    let stage = Stage::new().await;
    let target = "/agents/executions/nope/events?token=query-canary&access_token=canary";
    let cookie = "Cookie: canary\r\nProxy-Authorization: Basic canary\r\n";
    check(&stage.get(target, cookie).await, 404, "EXECUTION_NOT_FOUND");
    let body = r#"{"message":"prompt-canary","message":"canary"}"#;
    check(&stage.post(cookie, body).await, 400, "DUPLICATE_KEY");
    let mut client = stage.connect().await;
    client
        .send("GET http://user:canary@a/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await;
    let answer: Answer = super::raw::read(client).await;
    assert_eq!(answer.head.status(), 400, "{answer:?}");
    assert!(!answer.body.contains("canary"));
    let passed = stage.get("/session/x?token=canary", cookie).await;
    assert_eq!(passed.head.status(), 500, "the box's own: {passed:?}");
    stage.holds(0).await;
}
