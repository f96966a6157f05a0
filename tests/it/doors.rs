//! The doors on real sockets, byte for byte: what reaches the box, what comes back, and what is
//! stopped before either.

use std::net::SocketAddr;

use afterbay::http::Settings;
use afterbay::mode::Mode;
use serde_json::Value;
use tokio::net::TcpListener;

use super::raw::{Conn, Head, RawBox};
use super::support::open_doors::OpenDoors;

/// Opens the doors before `base` and says where.
async fn open_before(base: &str, settings: Settings) -> SocketAddr {
    OpenDoors::before(base, settings).await.addr
}

/// A box, and a client at the doors before it.
async fn doors() -> (RawBox, Conn) {
    doors_with(Settings::default()).await
}

pub(super) async fn doors_with(settings: Settings) -> (RawBox, Conn) {
    let raw_box = RawBox::listen().await;
    let addr = open_before(&format!("http://{}", raw_box.addr), settings).await;
    (raw_box, Conn::open(addr).await)
}

/// Reads an answer whose length is stated.
async fn read_answer(client: &mut Conn) -> (Head, String) {
    let head = client.read_head().await;
    let length: usize = head.one("content-length").expect("a length").parse().expect("a number");
    let mut body = String::new();
    while body.len() < length {
        let last = client.read_to("}").await;
        body.push_str(&last);
    }
    (head, body)
}

/// Reads an error of ours and gives its status and code.
pub(super) async fn read_error(client: &mut Conn) -> (u16, String) {
    let (head, body) = read_answer(client).await;
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(body.pointer("/success"), Some(&Value::Bool(false)));
    let text = |path| body.pointer(path).and_then(Value::as_str).expect("text").to_owned();
    let code = text("/error/code");
    assert_eq!(head.one("x-afterbay-error"), Some(code.as_str()));
    assert!(!text("/error/message").is_empty());
    (head.status(), code)
}

#[track_caller]
fn check(error: &(u16, String), status: u16, code: &str) {
    assert_eq!((error.0, error.1.as_str()), (status, code));
}

#[tokio::test]
async fn a_request_reaches_the_box_with_every_byte_that_is_its_own() {
    let raw_box = RawBox::listen().await;
    let base = format!("http://{}/pre/fix/", raw_box.addr);
    let addr = open_before(&base, Settings::default()).await;
    let mut client = Conn::open(addr).await;
    let target = "//agents//run/%2F%2e%2E/../a;b=c@d!$'()*,~{}|?x=%20+&&y==%ff[]^`/?&";
    client
        .send(format!(
            "DELETE {target} HTTP/1.1\r\nX-Zed: 1\r\nhOsT: localhost:1\r\nX-Alpha:  b \r\n\
             Connection: X-Hop , keep-alive\r\nX-Hop: gone\r\nx-ZED: 0\r\nTE: trailers\r\n\
             Keep-Alive: timeout=1\r\nProxy-Authorization: Basic x\r\nAccept-Encoding: br, gzip\r\n\
             Last-Event-ID: 7\r\nAuthorization: Bearer x==\r\nCookie: a=b; c=\"d\"\r\n\
             X-Empty:\r\nContent-Length: 5\r\nX-Zed: 1\r\n\r\nhello"
        ))
        .await;
    let mut at_box = raw_box.accept().await;
    let head = at_box.read_head().await;
    assert_eq!(head.first_line(), format!("DELETE /pre/fix{target} HTTP/1.1"));
    assert_eq!(at_box.read_to("hello").await, "hello");
    assert_eq!(head.one("host"), Some(raw_box.addr.to_string().as_str()));
    assert_eq!(head.all("x-zed"), ["1", "0", "1"]);
    assert_eq!(head.one("x-alpha"), Some("b"));
    assert_eq!(head.one("content-length"), Some("5"));
    assert_eq!(head.one("last-event-id"), Some("7"));
    assert_eq!(head.one("authorization"), Some("Bearer x=="));
    assert_eq!(head.one("cookie"), Some("a=b; c=\"d\""));
    assert!(head.one("via").expect("a via").starts_with("1.1 afterbay-"));
    let names = [
        "accept-encoding",
        "authorization",
        "content-length",
        "cookie",
        "host",
        "last-event-id",
        "via",
        "x-alpha",
        "x-empty",
        "x-zed",
    ];
    assert_eq!(head.names(), names);
}

#[tokio::test]
async fn an_answer_comes_back_with_every_byte_that_is_its_own() {
    let (raw_box, mut client) = doors().await;
    client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut at_box = raw_box.accept().await;
    at_box.read_head().await;
    let html = "<html>\u{2028} 522 }";
    at_box
        .send(format!(
            "HTTP/1.1 522 The Box, Timed Out\r\nContent-Type: text/html; charset=UTF-8\r\n\
             Set-Cookie: b\r\nSet-Cookie: a\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\
             Location: /elsewhere\r\nContent-Encoding: weird\r\nContent-Length: {}\r\n\r\n{html}",
            html.len()
        ))
        .await;
    let (head, body) = read_answer(&mut client).await;
    assert_eq!(head.first_line(), "HTTP/1.1 522 The Box, Timed Out");
    assert_eq!(body, html);
    assert_eq!(head.all("set-cookie"), ["b", "a"]);
    assert_eq!(head.one("content-encoding"), Some("weird"));
    assert_eq!((head.one("x-hop"), head.one("x-afterbay-error")), (None, None));
}

#[tokio::test]
async fn a_redirect_is_the_clients_to_follow() {
    let (raw_box, mut client) = doors().await;
    client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut at_box = raw_box.accept().await;
    at_box.read_head().await;
    at_box
        .send("HTTP/1.1 307 T\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
        .await;
    let head = client.read_head().await;
    assert_eq!((head.status(), head.one("location")), (307, Some("http://127.0.0.1:1/")));
    assert!(raw_box.is_untouched().await);
}

#[tokio::test]
async fn an_answer_is_streamed_piece_by_piece_without_waiting() {
    let (raw_box, mut client) = doors().await;
    client.send("GET /event HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut at_box = raw_box.accept().await;
    at_box.read_head().await;
    at_box
        .send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    assert_eq!(client.read_head().await.status(), 200);
    // Each piece is sent only when the one before it has arrived.
    for piece in ["data: one\n\n", ": x\n\n", "data: \u{e9}\n\n"] {
        at_box.send(format!("{:x}\r\n{piece}\r\n", piece.len())).await;
        assert!(client.read_to(piece).await.ends_with(piece));
    }
    at_box.send("0\r\n\r\n").await;
    assert!(client.read_to("0\r\n\r\n").await.ends_with("0\r\n\r\n"));
}

#[tokio::test]
async fn a_body_is_streamed_to_the_box_before_it_is_complete() {
    let (raw_box, mut client) = doors().await;
    client
        .send("PUT /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        .await;
    let mut at_box = raw_box.accept().await;
    let head = at_box.read_head().await;
    assert_eq!(head.one("transfer-encoding"), Some("chunked"));
    assert_eq!(head.one("content-length"), None);
    assert!(at_box.read_to("one").await.ends_with("one"));
    client.send("3\r\ntwo\r\n").await;
    assert!(at_box.read_to("two").await.ends_with("two"));
    client.send("0\r\n\r\n").await;
    assert!(at_box.read_to("0\r\n\r\n").await.ends_with("0\r\n\r\n"));
}

#[tokio::test]
async fn a_get_may_have_a_body_of_unknown_length() {
    let (raw_box, mut client) = doors().await;
    client
        .send(
            "GET /q HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n",
        )
        .await;
    let mut at_box = raw_box.accept().await;
    assert_eq!(at_box.read_head().await.one("transfer-encoding"), Some("chunked"));
    assert_eq!(at_box.read_to("0\r\n\r\n").await, "3\r\none\r\n0\r\n\r\n");
}

#[tokio::test]
async fn exactly_one_request_reaches_the_box_when_framing_contradicts_itself() {
    let (raw_box, mut client) = doors().await;
    client
        .send(
            "POST /one HTTP/1.1\r\nHost: a\r\nContent-Length: 60\r\nTransfer-Encoding: chunked\r\n\
             \r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        )
        .await;
    let mut at_box = raw_box.accept().await;
    let head = at_box.read_head().await;
    assert_eq!(head.first_line(), "POST /one HTTP/1.1");
    assert_eq!(head.one("content-length"), None);
    assert_eq!(head.one("transfer-encoding"), Some("chunked"));
    assert_eq!(at_box.read_to("0\r\n\r\n").await, "0\r\n\r\n");
    at_box.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    // The connection is closed behind it, so what followed is never read as a request.
    let answer = client.read_to_close().await;
    assert!(answer.starts_with("HTTP/1.1 204 ") && answer.matches("HTTP/1.1").count() == 1);
    assert!(raw_box.is_untouched().await);
}

#[tokio::test]
async fn framing_that_cannot_be_told_is_refused() {
    for (fields, ours) in [
        ("Content-Length: 3\r\nContent-Length: 4", false),
        ("Content-Length: 3, 4", false),
        ("Transfer-Encoding: identity", false),
        ("Transfer-Encoding: gzip, chunked", true),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", true),
    ] {
        let (raw_box, mut client) = doors().await;
        client.send(format!("POST /x HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\nabc")).await;
        let answer = client.read_to_close().await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{fields}: {answer}");
        assert_eq!(answer.contains("AMBIGUOUS_FRAMING"), ours, "{fields}: {answer}");
        assert!(raw_box.is_untouched().await, "{fields}");
    }
}

#[tokio::test]
async fn the_head_of_a_head_is_the_boxs_alone() {
    for (stated, expected) in [("Content-Length: 1234\r\n", Some("1234")), ("", None)] {
        let (raw_box, mut client) = doors().await;
        client.send("HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let mut at_box = raw_box.accept().await;
        at_box.read_head().await;
        at_box.send(format!("HTTP/1.1 200 OK\r\nETag: \"e\"\r\n{stated}\r\n")).await;
        let head = client.read_head().await;
        assert_eq!((head.status(), head.one("content-length")), (200, expected));
        assert_eq!(head.one("transfer-encoding"), None);
    }
}

#[tokio::test]
async fn a_304_gets_no_length_on_the_way() {
    let (raw_box, mut client) = doors().await;
    client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut at_box = raw_box.accept().await;
    at_box.read_head().await;
    at_box.send("HTTP/1.1 304 Not Modified\r\nETag: \"e\"\r\n\r\n").await;
    let head = client.read_head().await;
    assert_eq!((head.status(), head.one("content-length")), (304, None));
    assert_eq!(head.one("etag"), Some("\"e\""));
}

#[tokio::test]
async fn a_client_that_goes_away_takes_its_request_at_the_box_along() {
    let (raw_box, mut client) = doors().await;
    client.send("GET /event HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut at_box = raw_box.accept().await;
    at_box.read_head().await;
    at_box.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n").await;
    client.read_to("x\r\n").await;
    drop(client);
    assert_eq!(at_box.read_to_close().await, "");
}

#[tokio::test]
async fn a_box_that_cuts_its_answer_is_not_completed_by_us() {
    let (raw_box, mut client) = doors().await;
    client.send("GET /event HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut at_box = raw_box.accept().await;
    at_box.read_head().await;
    at_box.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n").await;
    client.read_to("x\r\n").await;
    drop(at_box);
    assert_eq!(client.read_to_close().await, "");
}

#[tokio::test]
async fn a_box_that_is_not_there_is_an_error_of_ours() {
    let gone = RawBox::listen().await.addr;
    let mut client =
        Conn::open(open_before(&format!("http://{gone}"), Settings::default()).await).await;
    client.send("GET /x?token=canary HTTP/1.1\r\nHost: a\r\n\r\n").await;
    check(&read_error(&mut client).await, 502, "BOX_UNREACHABLE");
}

#[tokio::test]
async fn a_box_that_hangs_up_is_an_error_of_ours() {
    let (raw_box, mut client) = doors().await;
    client.send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi").await;
    let mut at_box = raw_box.accept().await;
    at_box.read_to("hi").await;
    drop(at_box);
    check(&read_error(&mut client).await, 502, "BOX_ERROR");
    // It was sent once, so it is not sent again.
    assert!(raw_box.is_untouched().await);
}

#[tokio::test]
async fn a_request_that_comes_back_to_us_is_stopped() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let own = format!("http://{}", listener.local_addr().expect("an address"));
    let addr = OpenDoors::on(listener, &own, Settings::default()).addr;
    let mut client = Conn::open(addr).await;
    client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    check(&read_error(&mut client).await, 508, "LOOP_DETECTED");
}

#[tokio::test]
async fn web_pages_are_stopped_before_anything_is_done() {
    for (target, fields, status, code) in [
        ("GET /x", "Host: evil.example", 421, "HOST_NOT_ALLOWED"),
        ("GET http://evil.example/x", "Host: a", 421, "HOST_NOT_ALLOWED"),
        ("GET /x", "X: y", 400, "INVALID_HOST"),
        ("GET /x", "Host: a\r\nHost: a", 400, "INVALID_HOST"),
        ("GET /x", "Host: a\r\nOrigin: https://evil.example", 403, "ORIGIN_NOT_ALLOWED"),
        ("GET /x", "Host: a\r\nSec-Fetch-Site: cross-site", 403, "ORIGIN_NOT_ALLOWED"),
        ("OPTIONS /x", "Host: a\r\nOrigin: https://evil.example", 403, "ORIGIN_NOT_ALLOWED"),
        ("POST /agents/run/stream", "Host: a\r\nOrigin: null", 403, "ORIGIN_NOT_ALLOWED"),
        ("POST /agents/sessions/s/abort", "Host: evil.example", 421, "HOST_NOT_ALLOWED"),
    ] {
        let (raw_box, mut client) = doors().await;
        client.send(format!("{target} HTTP/1.1\r\n{fields}\r\n\r\n")).await;
        check(&read_error(&mut client).await, status, code);
        assert!(raw_box.is_untouched().await, "{target} {fields}");
    }
}

#[tokio::test]
async fn a_page_that_asks_what_it_may_do_is_told_nothing() {
    let (raw_box, mut client) = doors().await;
    client
        .send(
            "OPTIONS /agents/run/stream HTTP/1.1\r\nHost: a\r\nOrigin: https://evil.example\r\n\
             Access-Control-Request-Method: POST\r\n\r\n",
        )
        .await;
    let head = client.read_head().await;
    assert_eq!(head.status(), 204);
    assert!(!head.0.to_ascii_lowercase().contains("allow"), "{head:?}");
    assert!(raw_box.is_untouched().await);
}

#[tokio::test]
async fn a_turn_with_a_wrong_method_or_a_bad_body_has_a_code_for_each_fault() {
    let deep = "[".repeat(200);
    for (head, body, status, code) in [
        ("PUT /agents/run/stream", "{}", 405, "METHOD_NOT_ALLOWED"),
        ("POST /agents/executions/e/events", "", 405, "METHOD_NOT_ALLOWED"),
        ("POST /agents/run/stream", "", 400, "INVALID_JSON"),
        ("POST /agents/run/stream", "{\"message\":", 400, "INVALID_JSON"),
        ("POST /agents/run/stream", "[{}]", 400, "INVALID_BODY"),
        ("POST /agents/run/stream", deep.as_str(), 400, "BODY_TOO_DEEP"),
        ("POST /agents/run/stream", "{\"turnId\":\"a\",\"turnId\":\"b\"}", 400, "DUPLICATE_KEY"),
        ("POST /agents/run/stream", "{\"sessionId\":\"a/b\"}", 400, "INVALID_ID"),
        ("POST /agents/run/stream", "{\"sessionId\":7}", 400, "INVALID_ID"),
        ("POST /agents/sessions/a%2Fb/abort", "", 400, "INVALID_ID"),
        ("GET /agents/run/stream", "", 400, "EXECUTION_ID_REQUIRED"),
        ("GET /agents/run/stream?executionId=a%2Fb", "", 400, "INVALID_ID"),
    ] {
        let (raw_box, mut client) = doors().await;
        let length = body.len();
        client
            .send(format!("{head} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}"))
            .await;
        check(&read_error(&mut client).await, status, code);
        assert!(raw_box.is_untouched().await, "{head} {body}");
    }
}

#[tokio::test]
async fn a_turns_headers_are_checked_too() {
    for (fields, status, code) in [
        ("Content-Encoding: gzip", 415, "CONTENT_ENCODING"),
        ("X-Execution-ID: e", 400, "ID_CONFLICT"),
        ("X-Execution-ID: a/b", 400, "INVALID_ID"),
        ("Authorization: Bearer a\r\nAuthorization: Bearer b", 400, "INVALID_CREDENTIAL"),
    ] {
        let (_box, mut client) = doors().await;
        let body = "{\"executionId\":\"f\"}";
        let length = body.len();
        let head = "POST /agents/run/stream HTTP/1.1\r\nHost: a";
        client.send(format!("{head}\r\n{fields}\r\nContent-Length: {length}\r\n\r\n{body}")).await;
        check(&read_error(&mut client).await, status, code);
    }
}

#[tokio::test]
async fn a_body_that_is_announced_too_large_is_refused_before_it_is_sent() {
    let settings = Settings { max_turn_body: 10, ..Settings::default() };
    let (_box, mut client) = doors_with(settings.clone()).await;
    client
        .send(
            "POST /agents/run/stream HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\
             Content-Length: 11\r\n\r\n",
        )
        .await;
    check(&read_error(&mut client).await, 413, "BODY_TOO_LARGE");

    let (_box, mut client) = doors_with(settings).await;
    client
        .send(
            "POST /agents/run/stream HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
             b\r\n{\"a\":\"bcde\"\r\n",
        )
        .await;
    check(&read_error(&mut client).await, 413, "BODY_TOO_LARGE");
}

#[tokio::test]
async fn in_mode_sse_a_turn_is_the_boxs_byte_for_byte() {
    let settings = Settings { mode: Mode::Sse, ..Settings::default() };
    let (raw_box, mut client) = doors_with(settings).await;
    let body = "{ \"message\" : \"hi\",\n\"message\":1}";
    let length = body.len();
    client
        .send(format!(
            "POST /agents/run/stream HTTP/1.1\r\nHost: a\r\nLast-Event-ID: 3\r\n\
             Accept-Encoding: gzip\r\nContent-Length: {length}\r\n\r\n{body}"
        ))
        .await;
    let mut at_box = raw_box.accept().await;
    let head = at_box.read_head().await;
    assert_eq!(head.first_line(), "POST /agents/run/stream HTTP/1.1");
    assert_eq!(head.one("last-event-id"), Some("3"));
    assert_eq!(head.one("accept-encoding"), Some("gzip"));
    assert_eq!(at_box.read_to(body).await, body);
    let frames = "id: 1\r\nevent: result\r\ndata: {}\r\n\r\n";
    at_box
        .send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{frames}", frames.len()))
        .await;
    client.read_head().await;
    assert_eq!(client.read_to(frames).await, frames);
}

#[tokio::test]
async fn a_connection_is_used_again_after_an_answer_and_after_an_error() {
    let (raw_box, mut client) = doors().await;
    for _ in 0..2 {
        client.send("GET /agents/run/stream HTTP/1.1\r\nHost: a\r\n\r\n").await;
        check(&read_error(&mut client).await, 400, "EXECUTION_ID_REQUIRED");
    }
    client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut at_box = raw_box.accept().await;
    for _ in 0..2 {
        at_box.read_head().await;
        at_box.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await;
        assert_eq!(read_answer(&mut client).await.1, "{}");
        client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    }
    at_box.read_head().await;
}
