//! Each door against what is wrong with a request as a whole: its method, its target, its `Host`, the
//! page that sends it, the type and the size of its body.

use afterbay::http::Settings;

use super::super::raw::{Answer, read};
use super::super::support::hall::GOOD as OF_THE_HALL;
use super::super::support::play::Play;
use super::super::support::scripted_box::Route;
use super::stage::{GOOD, Stage, check};

const PROMPT: &str = r#"{"message":"hi"}"#;

#[tokio::test]
async fn a_route_of_ours_with_another_method_says_which_it_has_and_reaches_no_box() {
    let stage = Stage::new().await;
    let native = "/afterbay/v1/boxes/default";
    let (reads, acts) = ("GET, HEAD, OPTIONS", "POST, OPTIONS");
    for (target, allow) in [
        ("/agents/run/stream".to_owned(), "GET, HEAD, POST, OPTIONS"),
        ("/agents/executions/e/events".to_owned(), reads),
        ("/box/default/agents/executions/e/events".to_owned(), reads),
        ("/afterbay/v1/openapi.json".to_owned(), reads),
        ("/afterbay/v1/sessions".to_owned(), reads),
        (format!("{native}/sessions/s"), reads),
        (format!("{native}/sessions/s/events"), reads),
        (format!("{native}/turns/e"), reads),
        (format!("{native}/sessions/s/turns"), acts),
        (format!("{native}/turns/e/cancel"), acts),
        ("*".to_owned(), "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
    ] {
        for method in ["PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "get"] {
            let answer = stage.ask(&format!("{method} {target}"), "", "").await;
            check(&answer, 405, "METHOD_NOT_ALLOWED");
            assert_eq!(answer.head.one("allow"), Some(allow), "{method} {target}");
        }
        let options = stage.ask(&format!("OPTIONS {target}"), "", "").await;
        assert_eq!((options.head.status(), options.body.as_str()), (204, ""), "{target}");
    }
    assert!(stage.scripted.all_seen().is_empty(), "no box was asked");
    stage.holds(0).await;
}

#[tokio::test]
async fn the_operators_door_answers_in_the_same_shape() {
    let stage = Stage::new().await;
    for line in ["GET /page", "GET /metrics/", "POST /nothing", "GET /agents/run/stream"] {
        check(&stage.ask_operators(line).await, 401, "TOKEN_REQUIRED");
    }
    for line in ["POST /", "POST /metrics", "DELETE /readyz", "TRACE /livez"] {
        let answer = stage.ask_operators(line).await;
        check(&answer, 405, "METHOD_NOT_ALLOWED");
        assert_eq!(answer.head.one("allow"), Some("GET, HEAD"), "{line}");
    }
    assert_eq!(stage.ask_operators("HEAD /livez").await.head.status(), 200);
    stage.holds(0).await;
}

/// The head and the body as they are, without a `Host` of the test's own.
async fn raw(stage: &Stage, head: &str, body: &str) -> Answer {
    let mut client = stage.connect().await;
    let length = body.len();
    client.send(format!("{head}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}")).await;
    read(client).await
}

#[tokio::test]
async fn a_host_is_ours_by_its_form_and_no_other_name_is() {
    let stage = Stage::with(&["--hosts", "box.example"]).await;
    for host in [
        "127.0.0.1",
        "127.0.0.1:1",
        "[::1]:8788",
        "[::ffff:127.0.0.1]",
        "LocalHost.:80",
        "a",
        "a.:80",
        "Box.Example",
        "box.example.:443",
    ] {
        let line = format!("GET /session/status HTTP/1.1\r\nHost: {host}\r\n");
        assert_eq!(raw(&stage, &line, "").await.head.status(), 200, "{host}");
        let line = format!("GET http://{host}/session/status HTTP/1.1\r\nHost: a\r\n");
        assert_eq!(raw(&stage, &line, "").await.head.status(), 200, "{host}");
    }
    let asked = stage.scripted.all_seen().len();
    for (hosts, status, code) in [
        ("Host: rebound.example", 421, "HOST_NOT_ALLOWED"),
        ("Host: REBOUND.example.:8788", 421, "HOST_NOT_ALLOWED"),
        ("Host: 127.0.0.1.rebound.example", 421, "HOST_NOT_ALLOWED"),
        ("Host: x.box.example", 421, "HOST_NOT_ALLOWED"),
        ("Host: localhost.example", 421, "HOST_NOT_ALLOWED"),
        ("Host: 127.1", 421, "HOST_NOT_ALLOWED"),
        ("Host: user@localhost", 400, "INVALID_HOST"),
        ("Host: user:canary@box.example", 400, "INVALID_HOST"),
        ("Host: a/b", 400, "INVALID_HOST"),
        ("Host: a b", 400, "INVALID_HOST"),
        ("Host: a,a", 400, "INVALID_HOST"),
        ("Host: a%2eb", 400, "INVALID_HOST"),
        ("Host: [fe80::1%25eth0]", 400, "INVALID_HOST"),
        ("Host: [::1", 400, "INVALID_HOST"),
        ("Host: a:80:80", 400, "INVALID_HOST"),
        ("Host: \u{e9}.example", 400, "INVALID_HOST"),
        ("Host:", 400, "INVALID_HOST"),
        ("Host: a\r\nHost: a", 400, "INVALID_HOST"),
        ("Host: a\r\nHost: rebound.example", 400, "INVALID_HOST"),
        ("X-No: host", 400, "INVALID_HOST"),
    ] {
        for line in [
            "GET /session/status",
            "POST /agents/run/stream",
            "OPTIONS /agents/run/stream",
            "GET /afterbay/v1/sessions",
            "GET /box/default/session/status",
            "GET /box/nobody/x",
            "GET http://a/session/status",
            "GET http://box.example/session/status",
        ] {
            let answer = raw(&stage, &format!("{line} HTTP/1.1\r\n{hosts}\r\n"), "").await;
            check(&answer, status, code);
        }
    }
    // Before HTTP/1.1 nobody had to name a host; who does is held to it.
    let old = raw(&stage, "GET /session/status HTTP/1.0\r\n", "").await;
    assert_eq!(old.head.status(), 200, "{old:?}");
    let old = raw(&stage, "GET /session/status HTTP/1.0\r\nHost: rebound.example\r\n", "").await;
    check(&old, 421, "HOST_NOT_ALLOWED");
    assert_eq!(stage.scripted.all_seen().len(), asked + 1);
    stage.holds(0).await;
}

#[tokio::test]
async fn a_foreign_page_does_nothing_by_any_request_that_it_can_send_unasked() {
    let stage = Stage::new().await;
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    for page in [
        "Origin: https://evil.example\r\n",
        "Origin: null\r\n",
        "Origin: http://127.0.0.1:1\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
        "Origin: https://evil.example\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n",
        "Origin: https://evil.example\r\nCookie: a=b\r\n",
        "Origin: https://evil.example\r\nAuthorization:\r\n",
    ] {
        for (line, fields, body) in [
            ("POST /agents/run/stream", "Content-Type: text/plain\r\n", PROMPT),
            ("POST /agents/run/stream", form, PROMPT),
            ("POST /agents/sessions/s/abort", "Content-Type: text/plain\r\n", "{}"),
            (
                "POST /afterbay/v1/boxes/default/sessions/s/turns",
                "Content-Type: text/plain\r\n",
                PROMPT,
            ),
            ("POST /afterbay/v1/boxes/default/turns/e/cancel", "", ""),
            ("POST /session", "Content-Type: text/plain\r\n", "{}"),
            ("GET /agents/executions/e/events", "Accept: text/event-stream\r\n", ""),
            ("GET /box/default/session/status", "", ""),
            ("GET /session/status", "", ""),
            ("GET /socket", upgrade, ""),
            ("GET /agents/run/stream", upgrade, ""),
            ("OPTIONS /session", "Access-Control-Request-Method: POST\r\n", ""),
        ] {
            let answer = stage.ask(line, &format!("{page}{fields}"), body).await;
            check(&answer, 403, "ORIGIN_NOT_ALLOWED");
        }
    }
    // A header that only a preflight could have let through, but not on a WebSocket, which has none.
    let trusted = format!("Origin: https://evil.example\r\nAuthorization: {GOOD}\r\n");
    let answer = stage.ask("GET /session/status", &trusted, "").await;
    assert_eq!((answer.head.status(), answer.head.one("access-control-allow-origin")), (200, None));
    let answer = stage.ask("GET /socket", &format!("{trusted}{upgrade}"), "").await;
    check(&answer, 403, "ORIGIN_NOT_ALLOWED");
    assert_eq!(stage.scripted.all_seen().len(), 1, "one request went through");
    assert!(!stage.scripted.seen(Route::Status).is_empty());
    stage.holds(0).await;
}

const MOST: usize = 1000;

/// A prompt of so many bytes.
fn prompt_of(bytes: usize) -> String {
    let frame = r#"{"message":""}"#.len();
    format!(r#"{{"message":"{}"}}"#, "a".repeat(bytes - frame))
}

#[tokio::test]
async fn a_body_may_be_as_large_as_its_bound_and_not_a_byte_larger_stated_or_not() {
    let play = Play::with(Settings { max_turn_body: MOST, ..Settings::default() }).await;
    let started = |answer: &Answer| answer.head.status() < 300;
    for (target, kind) in [
        ("/agents/run/stream", ""),
        ("/afterbay/v1/boxes/default/sessions/ses/turns", "Content-Type: application/json\r\n"),
    ] {
        for (bytes, is_chunked) in
            [(MOST, false), (MOST + 1, false), (MOST, true), (MOST + 1, true), (100 * MOST, true)]
        {
            play.hall.script.ends(afterbay::upstream::Ending::Completed);
            let body = prompt_of(bytes);
            let mut client = super::super::raw::Conn::open(play.hall.addr).await;
            let head = format!(
                "POST {target} HTTP/1.1\r\nHost: a\r\nAuthorization: {OF_THE_HALL}\r\n{kind}"
            );
            if is_chunked {
                let (first, second) = body.split_at(bytes / 2);
                let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
                let chunks = format!("{}{}0\r\n\r\n", chunk(first), chunk(second));
                let head = format!("{head}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n");
                client.send_what_is_taken(format!("{head}{chunks}")).await;
            } else {
                let head = format!("{head}Connection: close\r\nContent-Length: {bytes}\r\n\r\n");
                client.send_what_is_taken(format!("{head}{body}")).await;
            }
            let answer = read(client).await;
            assert_eq!(started(&answer), bytes == MOST, "{target} {bytes}: {answer:?}");
            if bytes > MOST {
                check(&answer, 413, "BODY_TOO_LARGE");
                assert_eq!(answer.head.one("connection"), Some("close"));
            }
        }
    }
    assert_eq!(play.hall.script.dispatches(), 4);
}

#[tokio::test]
async fn a_native_turn_comes_as_json_and_as_nothing_else() {
    let stage = Stage::new().await;
    let line = "POST /afterbay/v1/boxes/default/sessions/s/turns";
    for (kind, code) in [
        ("", "CONTENT_TYPE"),
        ("Content-Type: text/plain\r\n", "CONTENT_TYPE"),
        ("Content-Type: application/x-www-form-urlencoded\r\n", "CONTENT_TYPE"),
        ("Content-Type: multipart/form-data; boundary=x\r\n", "CONTENT_TYPE"),
        ("Content-Type: application/jsonp\r\n", "CONTENT_TYPE"),
        ("Content-Type: application/json\r\nContent-Encoding: gzip\r\n", "CONTENT_ENCODING"),
    ] {
        let answer = stage.ask(line, &format!("Authorization: {GOOD}\r\n{kind}"), PROMPT).await;
        check(&answer, 415, code);
    }
    stage.holds(0).await;
}
