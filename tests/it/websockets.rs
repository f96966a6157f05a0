//! WebSockets through the doors, byte for byte: the handshake, its answer, what follows, and how
//! it ends.

use std::time::Duration;

use afterbay::http::Settings;
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::raw::{Conn, DEADLINE, RawBox};
use super::support::open_doors::OpenDoors;

/// A client's handshake, with a place for further fields.
const ASK: &str = "GET /term//1?x=%2F& HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n\
    Upgrade: WebSocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: tty.v2, base64\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";

/// A box's consent.
const AGREE: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n\
    upgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
    Sec-WebSocket-Protocol: tty.v2\r\nX-Box: 1\r\nSet-Cookie: b\r\nSet-Cookie: a\r\n\r\n";

const OPENED: &str = "afterbay_http_websockets_opened_total";

fn ended(why: &str) -> String {
    format!("afterbay_http_websockets_ended_total{{reason=\"{why}\"}}")
}

/// A box, and the doors before it.
async fn doors_with(settings: Settings) -> (RawBox, OpenDoors) {
    let raw_box = RawBox::listen().await;
    let doors = OpenDoors::before(&format!("http://{}", raw_box.addr), settings).await;
    (raw_box, doors)
}

async fn doors() -> (RawBox, OpenDoors) {
    doors_with(Settings::default()).await
}

/// Opens a WebSocket: the client's end and the box's.
async fn open(raw_box: &RawBox, doors: &OpenDoors) -> (Conn, Conn) {
    let mut client = Conn::open(doors.addr).await;
    client.send(format!("{ASK}\r\n")).await;
    let mut at_box = raw_box.accept().await;
    at_box.read_head().await;
    at_box.send(AGREE).await;
    assert_eq!(client.read_head().await.status(), 101);
    (client, at_box)
}

/// Waits until no WebSocket is carried any more.
async fn all_ended(doors: &OpenDoors) {
    timeout(DEADLINE, doors.tasks.wait()).await.expect("an end in time");
}

#[tokio::test]
async fn the_handshake_reaches_the_box_and_its_consent_comes_back() {
    let (raw_box, doors) = doors().await;
    let mut client = Conn::open(doors.addr).await;
    client.send(format!("{ASK}Authorization: Bearer x\r\nCookie: c\r\n\r\n")).await;
    let mut at_box = raw_box.accept().await;
    let asked = at_box.read_head().await;
    assert_eq!(asked.first_line(), "GET /term//1?x=%2F& HTTP/1.1");
    for (name, value) in [
        ("connection", "Upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "tty.v2, base64"),
        ("sec-websocket-extensions", "permessage-deflate; client_max_window_bits"),
        ("authorization", "Bearer x"),
        ("cookie", "c"),
        ("host", &raw_box.addr.to_string()),
    ] {
        assert_eq!(asked.one(name), Some(value), "{name}");
    }
    assert!(asked.one("via").is_some());
    assert_eq!((asked.one("content-length"), asked.one("transfer-encoding")), (None, None));

    at_box.send(AGREE).await;
    let told = client.read_head().await;
    assert_eq!(told.first_line(), "HTTP/1.1 101 Switching Protocols");
    for (name, value) in [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ("sec-websocket-protocol", "tty.v2"),
        ("x-box", "1"),
    ] {
        assert_eq!(told.one(name), Some(value), "{name}");
    }
    assert_eq!(told.all("set-cookie"), ["b", "a"]);
    assert_eq!((told.one("content-length"), told.one("transfer-encoding")), (None, None));
}

#[tokio::test]
async fn bytes_travel_both_ways_those_behind_the_heads_included() {
    let (raw_box, doors) = doors().await;
    let mut client = Conn::open(doors.addr).await;
    // A frame in the same write as the handshake, and one in the same write as its answer.
    client.send([format!("{ASK}\r\n").as_bytes(), b"\x81\x80\xff\x00early"].concat()).await;
    let mut at_box = raw_box.accept().await;
    at_box.read_head().await;
    at_box.send([AGREE.as_bytes(), b"\x82\x01\xfe"].concat()).await;
    assert_eq!(client.read_head().await.status(), 101);
    assert_eq!(client.read_bytes(3).await, b"\x82\x01\xfe");
    assert_eq!(at_box.read_bytes(9).await, b"\x81\x80\xff\x00early");
    let all: Vec<u8> = (0..=255).collect();
    for _ in 0..3 {
        client.send(&all).await;
        assert_eq!(at_box.read_bytes(256).await, all);
        at_box.send(&all).await;
        assert_eq!(client.read_bytes(256).await, all);
    }
    assert_eq!(doors.tasks.names(), [("websocket", 1)]);
    assert_eq!(doors.metric(OPENED), Some(1));

    // The client says that it has ended; what the box still says arrives.
    client.shut().await;
    assert_eq!(at_box.read_to_close().await, "");
    at_box.send("last").await;
    at_box.shut().await;
    assert_eq!(client.read_to_close().await, "last");
    all_ended(&doors).await;
    assert_eq!(doors.metric(&ended("closed")), Some(1));
}

#[tokio::test]
async fn a_refusal_is_the_boxs_own_and_both_connections_go_on() {
    let (raw_box, doors) = doors().await;
    let mut client = Conn::open(doors.addr).await;
    let mut at_box = None;
    for (head, body) in [
        ("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer", "no"),
        ("HTTP/1.1 200 OK\r\nX: y", "not here"),
        ("HTTP/1.1 426 Upgrade Required\r\nConnection: Upgrade\r\nUpgrade: websocket", "13"),
        ("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7", ""),
    ] {
        client.send(format!("{ASK}\r\n")).await;
        let at_box = match &mut at_box {
            Some(at_box) => at_box,
            none => none.insert(raw_box.accept().await),
        };
        at_box.read_head().await;
        at_box.send(format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())).await;
        let told = client.read_head().await;
        let (first, field) = head.split_once("\r\n").expect("a field");
        assert_eq!(told.first_line(), first);
        for (name, value) in field.lines().filter_map(|line| line.split_once(": ")) {
            assert_eq!(told.one(name), Some(value), "{head}");
        }
        assert_eq!(client.read_exactly(body.len()).await, body);
        assert_eq!(told.one("x-afterbay-error"), None);
    }
    assert_eq!(doors.metric(OPENED), Some(0));
}

#[tokio::test]
async fn what_is_no_handshake_of_a_websocket_goes_on_without_its_upgrade() {
    for (line, fields) in [
        ("GET /x", "Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: x"),
        ("GET /x", "Upgrade: websocket"),
        ("POST /x", "Connection: Upgrade\r\nUpgrade: websocket"),
    ] {
        let (raw_box, doors) = doors().await;
        let mut client = Conn::open(doors.addr).await;
        client.send(format!("{line} HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n")).await;
        let mut at_box = raw_box.accept().await;
        let head = at_box.read_head().await;
        assert_eq!((head.one("upgrade"), head.one("connection")), (None, None), "{fields}");
        at_box.send("HTTP/1.1 204 No Content\r\n\r\n").await;
        assert_eq!(client.read_head().await.status(), 204);
    }
}

/// Sends a request that we refuse and compares the code.
async fn check_refused(doors: &OpenDoors, request: String, status: u16, code: &str) {
    let mut client = Conn::open(doors.addr).await;
    client.send(&request).await;
    let head = client.read_head().await;
    assert_eq!((head.status(), head.one("x-afterbay-error")), (status, Some(code)), "{request}");
}

#[tokio::test]
async fn pages_of_other_origins_get_no_websocket_whatever_they_bring() {
    for fields in [
        "Origin: https://evil.example\r\n",
        "Origin: https://evil.example\r\nAuthorization: Bearer x\r\n",
        "Origin: null\r\n",
        "Sec-Fetch-Site: cross-site\r\nAuthorization: Bearer x\r\n",
    ] {
        let (raw_box, doors) = doors().await;
        check_refused(&doors, format!("{ASK}{fields}\r\n"), 403, "ORIGIN_NOT_ALLOWED").await;
        assert!(raw_box.is_untouched().await, "{fields}");
    }
}

#[tokio::test]
async fn a_handshake_with_a_body_is_refused_since_its_end_is_unclear() {
    for framing in ["Content-Length: 3", "Transfer-Encoding: chunked"] {
        let (raw_box, doors) = doors().await;
        let request = format!("{ASK}{framing}\r\n\r\n3\r\n");
        check_refused(&doors, request, 400, "AMBIGUOUS_FRAMING").await;
        assert!(raw_box.is_untouched().await, "{framing}");
    }
}

#[tokio::test]
async fn a_box_that_switches_to_something_else_has_failed() {
    for (request, answer) in [
        (format!("{ASK}\r\n"), AGREE.replace("upgrade: websocket", "upgrade: h2c")),
        (format!("{ASK}\r\n"), AGREE.replace("upgrade: websocket\r\n", "")),
        ("GET /x HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), AGREE.to_owned()),
    ] {
        let (raw_box, doors) = doors().await;
        let mut client = Conn::open(doors.addr).await;
        client.send(&request).await;
        let mut at_box = raw_box.accept().await;
        at_box.read_head().await;
        at_box.send(&answer).await;
        let head = client.read_head().await;
        assert_eq!((head.status(), head.one("x-afterbay-error")), (502, Some("BOX_ERROR")));
        assert_eq!(at_box.read_to_close().await, "", "the box's connection is given up");
    }
}

#[tokio::test]
async fn a_handshake_that_comes_back_to_us_is_stopped() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let own = format!("http://{}", listener.local_addr().expect("an address"));
    let doors = OpenDoors::on(listener, &own, Settings::default());
    check_refused(&doors, format!("{ASK}\r\n"), 508, "LOOP_DETECTED").await;
}

#[tokio::test]
async fn a_side_that_breaks_off_takes_the_other_along() {
    let (raw_box, doors) = doors().await;
    let (client, mut at_box) = open(&raw_box, &doors).await;
    drop(client);
    assert_eq!(at_box.read_to_close().await, "");
    drop(at_box);
    let (mut client, at_box) = open(&raw_box, &doors).await;
    drop(at_box);
    assert_eq!(client.read_to_close().await, "");
    drop(client);
    all_ended(&doors).await;
}

#[tokio::test]
async fn a_client_that_goes_before_the_box_has_answered_takes_its_handshake_along() {
    let (raw_box, doors) = doors().await;
    let mut client = Conn::open(doors.addr).await;
    client.send(format!("{ASK}\r\n")).await;
    let mut at_box = raw_box.accept().await;
    at_box.read_head().await;
    drop(client);
    assert_eq!(at_box.read_to_close().await, "");
    assert_eq!(doors.tasks.names(), []);
}

#[tokio::test]
async fn only_so_many_are_carried_at_once() {
    let (raw_box, doors) = doors_with(Settings { max_sockets: 1, ..Settings::default() }).await;
    let (client, at_box) = open(&raw_box, &doors).await;
    check_refused(&doors, format!("{ASK}\r\n"), 429, "TOO_MANY_WEBSOCKETS").await;
    drop((client, at_box));
    all_ended(&doors).await;
    open(&raw_box, &doors).await;
}

#[tokio::test]
async fn they_end_when_afterbay_stops_and_new_ones_are_turned_away() {
    let grace = Duration::from_millis(100);
    let (raw_box, doors) = doors_with(Settings { grace, ..Settings::default() }).await;
    let (mut client, mut at_box) = open(&raw_box, &doors).await;
    // As long as somebody waits for an answer, newcomers are answered, too.
    let mut waiting = Conn::open(doors.addr).await;
    waiting.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    raw_box.accept().await.read_head().await;
    doors.ends.drain.cancel();
    check_refused(&doors, format!("{ASK}\r\n"), 503, "DRAINING").await;
    assert_eq!(client.read_to_close().await, "");
    assert_eq!(at_box.read_to_close().await, "");
    all_ended(&doors).await;
    assert_eq!(doors.metric(&ended("drained")), Some(1));
}

#[tokio::test]
async fn they_end_at_once_when_the_tasks_are_stopped() {
    let (raw_box, doors) = doors().await;
    let (mut client, mut at_box) = open(&raw_box, &doors).await;
    doors.tasks.stop();
    assert_eq!(client.read_to_close().await, "");
    assert_eq!(at_box.read_to_close().await, "");
    all_ended(&doors).await;
}
