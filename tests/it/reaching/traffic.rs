//! What boxes behind TLS are sent and send: turns, requests with streamed bodies, WebSockets.

use serde_json::Value;

use super::super::raw::{Conn, RawBox, read};
use super::super::support::certificates::Authority;
use super::super::support::scripted_box::{Route, ScriptedBox};
use super::super::support::tls_hop::TlsHop;
use super::{Ways, trusting};

/// A raw box behind TLS, and the doors before it.
async fn stage() -> (RawBox, TlsHop, Ways) {
    let (authority, raw_box) = (Authority::new(), RawBox::listen().await);
    let hop = TlsHop::before(raw_box.addr, &authority.vouches_for(&["localhost"])).await;
    let ways = Ways::to(&hop.url("localhost"), &trusting(&authority)).await;
    (raw_box, hop, ways)
}

#[tokio::test]
async fn a_turn_is_dispatched_and_polled_over_tls() {
    let (authority, scripted) = (Authority::new(), ScriptedBox::start().await);
    scripted.on_prompt(|state, session, prompt| {
        let message = state.begin(session, prompt);
        state.text(session, &message, "p-1", "said over TLS", true);
        state.complete(session, &message, Some("stop"));
        state.idle(session);
    });
    let hop = TlsHop::before(scripted.address(), &authority.vouches_for(&["localhost"])).await;
    let ways = Ways::to(&hop.url("localhost"), &trusting(&authority)).await;
    let mut client = Conn::open(ways.doors.addr).await;
    let body = r#"{"message":"hi","sessionId":"s"}"#;
    client
        .send(format!(
            "POST /agents/run/stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await;
    let answer = read(client).await;
    assert_eq!((answer.head.status(), answer.is_whole), (200, true));
    let result: Value = answer.last_data("result");
    assert!(result.to_string().contains("said over TLS"), "{result}");
    assert_eq!(scripted.seen(Route::Prompt).len(), 1);
    assert!(hop.shaken() >= 2 && hop.shaken() == hop.came());
}

#[tokio::test]
async fn bodies_are_streamed_both_ways_over_tls() {
    let (raw_box, _hop, ways) = stage().await;
    let mut client = Conn::open(ways.doors.addr).await;
    client.send("POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    client.send("3\r\none\r\n").await;
    let mut at_box = raw_box.accept().await;
    assert_eq!(at_box.read_head().await.first_line(), "POST /up HTTP/1.1");
    // Each piece arrives before the next one is sent.
    at_box.read_to("one\r\n").await;
    at_box.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nfor\r\n").await;
    assert_eq!(client.read_head().await.status(), 200);
    client.read_to("for\r\n").await;
    client.send("3\r\ntwo\r\n0\r\n\r\n").await;
    at_box.read_to("two\r\n0\r\n\r\n").await;
    at_box.send("3\r\nyou\r\n0\r\n\r\n").await;
    client.read_to("you\r\n0\r\n\r\n").await;
}

#[tokio::test]
async fn a_websocket_is_carried_over_tls() {
    let (raw_box, hop, ways) = stage().await;
    let mut client = Conn::open(ways.doors.addr).await;
    client
        .send(
            "GET /socket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .await;
    let mut at_box = raw_box.accept().await;
    at_box.read_head().await;
    at_box
        .send("HTTP/1.1 101 S\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n\x02\x01x")
        .await;
    assert_eq!(client.read_head().await.status(), 101);
    assert_eq!(client.read_bytes(3).await, b"\x02\x01x");
    let all: Vec<u8> = (0..=255).collect();
    client.send(&all).await;
    assert_eq!(at_box.read_bytes(256).await, all);
    client.shut().await;
    assert_eq!(at_box.read_to_close().await, "");
    assert_eq!(hop.names(), [Some("localhost".to_owned())]);
}

#[tokio::test]
async fn an_answer_that_breaks_off_over_tls_breaks_off_here() {
    let (raw_box, _hop, ways) = stage().await;
    let mut client = Conn::open(ways.doors.addr).await;
    client.send("GET /down HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut at_box = raw_box.accept().await;
    at_box.read_head().await;
    at_box.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await;
    drop(at_box);
    assert_eq!(client.read_head().await.status(), 200);
    assert_eq!(client.read_to_close().await, "half");
}
