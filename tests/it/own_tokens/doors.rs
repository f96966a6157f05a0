//! Every door asks for a token before it does or tells anything, and lets nothing of it through.

use super::stage::{A, B, BOXS, Stage, TURN, beside, shows};
use crate::it::raw::{Answer, Conn, RawBox, read};
use crate::it::support::open_doors::OpenDoors;
use afterbay::credential::{HashKey, OwnToken};
use afterbay::http::Settings;
use afterbay::http::own_tokens::OwnTokens;

const PROMPT: &str = r#"{"message":"hi","sessionId":"s"}"#;

/// One request for each kind of route, right and wrong ones.
const LINES: [(&str, &str); 24] = [
    (TURN, PROMPT),
    (TURN, "{"),
    ("GET /agents/run/stream?executionId=e-1", ""),
    ("HEAD /agents/executions/e-1/events", ""),
    ("GET /agents/executions/e-1/events", ""),
    ("GET /agents/executions/no/events", ""),
    ("GET /agents/sessions/s/events", ""),
    ("GET /agents/events?sessionId=s", ""),
    ("GET /agents/sessions/s", ""),
    ("POST /agents/sessions/s/abort", "{}"),
    ("DELETE /agents/run/stream", ""),
    ("OPTIONS /agents/run/stream", ""),
    ("GET /afterbay/v1/openapi.json", ""),
    ("GET /afterbay/v1/sessions", ""),
    ("GET /afterbay/v1/boxes/default/sessions/s", ""),
    ("GET /afterbay/v1/boxes/default/sessions/s/events", ""),
    ("POST /afterbay/v1/boxes/default/sessions/s/turns", PROMPT),
    ("GET /afterbay/v1/boxes/default/turns/e-1", ""),
    ("POST /afterbay/v1/boxes/default/turns/e-1/cancel", ""),
    ("GET /afterbay/v1/boxes/other/turns/e-1", ""),
    ("GET /afterbay/nothing", ""),
    ("GET /box/nobody/session", ""),
    ("GET /box/default/session/status", ""),
    ("PUT /anything?at=all", "x"),
];

#[track_caller]
fn check_turned_away(answer: &Answer, what: &str) {
    let head = &answer.head;
    assert_eq!(
        (head.status(), head.one("x-afterbay-error")),
        (401, Some("TOKEN_REQUIRED")),
        "{what}"
    );
    assert_eq!(head.one("www-authenticate"), Some("Bearer"), "{what}");
    assert_eq!((head.one("x-session-id"), head.one("x-execution-id")), (None, None), "{what}");
}

#[tokio::test]
async fn without_a_token_or_with_a_wrong_one_every_route_says_the_same() {
    let stage = Stage::open().await;
    stage.turn_of(&shows(A)).await;
    let before = stage.sent().iter().filter(|(path, _)| is_no_poll(path)).count();
    let wrong = "wrong-token-0123456789012";
    for (line, body) in LINES {
        for fields in
            [String::new(), shows(wrong), beside(wrong), format!("Authorization: {BOXS}\r\n")]
        {
            for mode in ["", "X-Afterbay-Streaming: sse\r\n", "X-Afterbay-Streaming: nonsense\r\n"]
            {
                let answer = stage.ask(line, &format!("{fields}{mode}"), body).await;
                check_turned_away(&answer, &format!("{line} {fields}{mode}"));
            }
        }
        // The turn stays A's, so that nothing here is started or stopped.
        for fields in [shows(B), beside(B)] {
            let answer = stage.ask(line, &fields, body).await;
            assert_ne!(answer.head.status(), 401, "{line} {answer:?}");
        }
    }
    let after = stage.sent();
    let after = after.iter().filter(|(path, _)| is_no_poll(path)).count();
    let passed = ["/agents/sessions/s", "/session/status", "/anything"].len();
    assert!(after - before <= 2 * passed, "{before} before, {after} after");
}

/// Whether a request is none of the driver's.
fn is_no_poll(path: &str) -> bool {
    !path.ends_with("/message") && !["/session/status", "/permission", "/question"].contains(&path)
}

#[tokio::test]
async fn a_web_page_and_a_foreign_host_are_refused_before_anybody_is_asked() {
    let stage = Stage::open().await;
    let foreign = "Origin: https://evil.example\r\n";
    for (line, body) in [LINES[1], LINES[13], LINES[21], LINES[23]] {
        let answer = stage.ask(line, foreign, body).await;
        assert_eq!(answer.head.one("x-afterbay-error"), Some("ORIGIN_NOT_ALLOWED"), "{line}");
        let mut client = Conn::open(stage.clients).await;
        let right = shows(A);
        client.send(format!("{line} HTTP/1.1\r\nHost: evil.example\r\n{right}\r\n")).await;
        assert_eq!(client.read_head().await.one("x-afterbay-error"), Some("HOST_NOT_ALLOWED"));
        // What a page cannot add by itself lets it in, as a credential does.
        for right in [shows(A), beside(A)] {
            let answer = stage.ask(line, &format!("{foreign}{right}"), body).await;
            assert_ne!(answer.head.one("x-afterbay-error"), Some("ORIGIN_NOT_ALLOWED"), "{line}");
        }
    }
}

#[tokio::test]
async fn a_named_page_may_ask_first_and_then_must_show_a_token() {
    let stage = Stage::open().await;
    let page = "Origin: https://named.example\r\n";
    let asks = format!("{page}Access-Control-Request-Method: POST\r\n");
    for target in ["/agents/run/stream", "/session/status", "/box/default/x"] {
        let answer = stage.ask(&format!("OPTIONS {target}"), &asks, "").await;
        assert_eq!(answer.head.status(), 204, "{target}");
        let allowed = answer.head.one("access-control-allow-headers").expect("headers");
        assert!(allowed.split(", ").any(|name| name == "x-afterbay-token"), "{allowed}");
        let answer = stage.ask(&format!("GET {target}"), page, "").await;
        check_turned_away(&answer, target);
        assert_eq!(answer.head.one("access-control-allow-origin"), Some("https://named.example"));
    }
    // Pages that were not named are told nothing, and no box is asked for them.
    let unnamed = "Access-Control-Request-Method: POST\r\n";
    let answer = stage.ask("OPTIONS /agents/run/stream", unnamed, "").await;
    assert_eq!((answer.head.status(), answer.head.one("allow")), (204, None));
    check_turned_away(&stage.ask("OPTIONS /session/status", unnamed, "").await, "passed");
    assert!(stage.sent().is_empty());
}

#[tokio::test]
async fn a_passed_request_leaves_its_token_here_and_keeps_the_boxs_credential() {
    let stage = Stage::open().await;
    let boxs = format!("Authorization: {BOXS}\r\n");
    for (fields, left) in [
        (shows(A), None),
        (beside(A), None),
        (format!("{}{}", shows(A), beside(B)), None),
        (format!("{}{boxs}", beside(A)), Some(BOXS)),
        (format!("{}{}", beside(A), shows(B)), None),
    ] {
        let before = stage.sent().len();
        for line in ["GET /session/status?a=b", "POST /session", "GET /agents/sessions/no"] {
            stage.ask(line, &fields, "").await;
        }
        let sent = stage.sent();
        let who: Vec<_> = sent[before..].iter().map(|(_, who)| who.as_deref()).collect();
        assert_eq!(who, [left; 3], "{fields}");
    }
}

#[tokio::test]
async fn a_websocket_needs_a_token_and_leaves_it_here() {
    let raw_box = RawBox::listen().await;
    let tokens = OwnTokens::required(HashKey::from_bytes([1; 32]), &[OwnToken::new(A)]);
    let settings = Settings { tokens, ..Settings::default() };
    let doors = OpenDoors::before(&format!("http://{}", raw_box.addr), settings).await;
    let shake = "GET /term HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
    let mut client = Conn::open(doors.addr).await;
    client.send(format!("{shake}Connection: close\r\n\r\n")).await;
    check_turned_away(&read(client).await, "no token");
    for (fields, left) in
        [(shows(A), None), (format!("{}Authorization: {BOXS}\r\n", beside(A)), Some(BOXS))]
    {
        let mut client = Conn::open(doors.addr).await;
        client.send(format!("{shake}{fields}\r\n")).await;
        let mut at_box = raw_box.accept().await;
        let head = at_box.read_head().await;
        assert_eq!((head.one("authorization"), head.one("x-afterbay-token")), (left, None));
        assert_eq!(head.one("upgrade"), Some("websocket"));
        at_box.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await;
        assert_eq!(client.read_head().await.status(), 403);
    }
}
