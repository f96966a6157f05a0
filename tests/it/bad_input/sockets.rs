//! Wrong bytes below the requests: heads too large, too slow or half, bodies that trickle, break
//! off or never end, several requests at once, other versions and forms of HTTP.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::super::raw::read;
use super::super::support::scripted_box::Route;
use super::stage::{GOOD, Stage, answer_at_once, check};

const PROMPT: &str = r#"{"message":"hi"}"#;

#[tokio::test]
async fn a_head_too_large_is_refused_and_one_below_its_bound_is_not() {
    let stage = Stage::new().await;
    let long = "a".repeat(64 << 10);
    for head in [
        format!("GET /x HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"),
        format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"),
        format!("GET /x HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: a\r\n".repeat(200)),
    ] {
        let mut client = stage.connect().await;
        client.send_what_is_taken(head).await;
        // The server's own words: there is no request yet that could have an answer of ours.
        let answer = client.read_to_close().await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    let fields = format!("X-Long: {}\r\n", "a".repeat(60 << 10));
    assert_eq!(stage.get("/session/status", &fields).await.head.status(), 200);
    let turn = stage.post(&fields, PROMPT).await;
    assert_eq!(turn.last_data("done")["status"], "success", "{turn:?}");
    stage.holds(1).await;
}

/// The server's parser decides what a target is, before there is a request: what it refuses has
/// no code of ours, and a fragment, which no request has, it drops.
#[tokio::test]
async fn a_target_that_is_none_is_refused_and_any_other_reaches_the_box_as_it_is() {
    let stage = Stage::new().await;
    let status = async |target: &str| {
        let mut client = stage.connect().await;
        client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).await;
        let answer = client.read_to_close().await;
        (answer.split(' ').nth(1).unwrap_or_default().to_owned(), answer)
    };
    let none = [
        "/a<b",
        "/a>b",
        "/`",
        "/?<",
        "/?>",
        "/?\"",
        "/a b",
        "/a\u{7f}",
        "/a\u{1}",
        "a/b",
        "",
        "http:///x",
    ];
    for target in none {
        let (code, answer) = status(target).await;
        assert_eq!(code, "400", "{target:?}: {answer}");
    }
    assert!(stage.scripted.seen(Route::Other).is_empty(), "nothing was passed on");
    let odd = ["/a\"b", "/\\", "/^", "/{}", "/|", "/\u{e9}", "//", "/%", "/%zz"];
    for target in odd {
        let (code, answer) = status(target).await;
        assert_eq!(code, "404", "the box's own: {target:?}: {answer}");
    }
    let seen = stage.scripted.seen(Route::Other);
    assert_eq!(seen.iter().map(|seen| seen.path.as_str()).collect::<Vec<_>>(), odd);
    stage.holds(0).await;
}

#[tokio::test]
async fn a_body_that_trickles_is_read_and_one_that_breaks_off_starts_nothing() {
    let stage = Stage::new().await;
    let head = |length: usize| {
        format!(
            "POST /agents/run/stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
             Authorization: {GOOD}\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    let mut broken = stage.connect().await;
    broken.send(head(PROMPT.len())).await;
    broken.send(&PROMPT[..5]).await;
    drop(broken);
    let mut half = stage.connect().await;
    half.send(head(PROMPT.len())).await;
    half.send(&PROMPT[..5]).await;
    half.shut().await;
    assert!(half.read_to_close().await.contains("BODY_BROKEN"));
    let mut client = stage.connect().await;
    for byte in head(PROMPT.len()).bytes().chain(PROMPT.bytes()) {
        client.send([byte]).await;
    }
    assert_eq!(read(client).await.last_data("done")["status"], "success");
    stage.holds(1).await;
}

#[tokio::test]
async fn a_chunked_body_with_wrong_chunks_starts_nothing() {
    let stage = Stage::new().await;
    for chunks in ["zz\r\n", "5\r\n{\"mes\r\nX", "-1\r\n", "ffffffffffffffffff\r\n", "1;a\n{\r\n"] {
        let mut client = stage.connect().await;
        client
            .send(format!(
                "POST /agents/run/stream HTTP/1.1\r\nHost: a\r\nAuthorization: {GOOD}\r\n\
                 Transfer-Encoding: chunked\r\n\r\n{chunks}"
            ))
            .await;
        client.shut().await;
        let answer = client.read_to_close().await;
        assert!(answer.contains("x-afterbay-error: BODY_BROKEN"), "{chunks:?}: {answer}");
    }
    stage.holds(0).await;
}

#[tokio::test]
async fn a_body_without_an_end_is_refused_at_its_bound() {
    let stage = Stage::new().await;
    let mut client = stage.connect().await;
    client
        .send(format!(
            "POST /agents/run/stream HTTP/1.1\r\nHost: a\r\nAuthorization: {GOOD}\r\n\
             Transfer-Encoding: chunked\r\n\r\n"
        ))
        .await;
    let chunk = format!("100000\r\n{}\r\n", " ".repeat(1 << 20));
    for _ in 0..17 {
        client.send_what_is_taken(&chunk).await;
    }
    check(&read(client).await, 413, "BODY_TOO_LARGE");
    let huge = "Content-Length: 99999999999999999999\r\n";
    let mut client = stage.connect().await;
    client.send(format!("POST /agents/run/stream HTTP/1.1\r\nHost: a\r\n{huge}\r\n")).await;
    let answer = client.read_to_close().await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    stage.holds(0).await;
}

/// One that shuts its half is taken for one that has gone: an event stream has no other sign.
#[tokio::test]
async fn a_client_that_shuts_its_half_takes_nothing_of_its_turn_along() {
    let stage = Stage::new().await;
    stage.scripted.on_prompt(|state, session, prompt| drop(state.begin(session, prompt)));
    let fields = format!("X-Execution-ID: e\r\nAuthorization: {GOOD}\r\n");
    let mut client = stage.send("POST /agents/run/stream", &fields, PROMPT).await;
    client.read_to("event: execution.started").await;
    client.shut().await;
    client.read_to_close().await;
    stage.scripted.with(|state| {
        let (id, session) = state.sessions.iter().next().expect("a session");
        let (id, last) = (id.clone(), session.messages.last().expect("a message"));
        let message = last["info"]["id"].as_str().expect("an id").to_owned();
        state.complete(&id, &message, Some("stop"));
        state.idle(&id);
    });
    let replay = stage.get("/agents/executions/e/events", "").await;
    assert_eq!(replay.last_data("done")["status"], "success", "{replay:?}");
    stage.scripted.on_prompt(answer_at_once);
    stage.holds(1).await;
}

#[tokio::test]
async fn requests_sent_at_once_are_answered_one_after_the_other() {
    let stage = Stage::new().await;
    let mut client = stage.connect().await;
    let post = format!(
        "POST /agents/run/stream HTTP/1.1\r\nHost: a\r\nX-Execution-ID: e\r\n\
         Authorization: {GOOD}\r\nContent-Length: {}\r\n\r\n{PROMPT}",
        PROMPT.len()
    );
    let get = format!(
        "GET /agents/executions/e/events HTTP/1.1\r\nHost: a\r\nAuthorization: {GOOD}\r\n\
         Last-Event-ID: 1\r\nConnection: close\r\n\r\n"
    );
    client.send(format!("{post}{post}{get}")).await;
    let told = client.read_to_close().await;
    assert_eq!(told.matches("HTTP/1.1 200 OK").count(), 3, "{told}");
    assert_eq!(told.matches("event: done").count(), 3, "{told}");
    assert_eq!(told.matches("event: execution.started").count(), 2, "{told}");
    stage.holds(1).await;
}

#[tokio::test]
async fn http_1_0_gets_its_turn_unchunked() {
    let stage = Stage::new().await;
    let mut client = stage.connect().await;
    let length = PROMPT.len();
    client
        .send(format!(
            "POST /agents/run/stream HTTP/1.0\r\nContent-Length: {length}\r\n\r\n{PROMPT}"
        ))
        .await;
    let answer = read(client).await;
    assert_eq!(answer.head.one("transfer-encoding"), None, "{answer:?}");
    assert_eq!(answer.last_data("done")["status"], "success", "{answer:?}");
    stage.holds(1).await;
}

#[tokio::test]
async fn an_absolute_target_is_ours_if_its_host_is() {
    let stage = Stage::new().await;
    let here = stage.clients;
    let turn = stage.ask(&format!("POST http://{here}/agents/run/stream"), "", PROMPT).await;
    assert_eq!(turn.last_data("done")["status"], "success", "{turn:?}");
    let passed = stage.ask(&format!("GET http://{here}/session/status"), "", "").await;
    assert_eq!((passed.head.status(), passed.body.as_str()), (200, "{}"), "{passed:?}");
    let elsewhere = stage.ask("GET http://evil.example/session/status", "", "").await;
    check(&elsewhere, 421, "HOST_NOT_ALLOWED");
    let tunnel = stage.ask("CONNECT evil.example:443", "", "").await;
    check(&tunnel, 421, "HOST_NOT_ALLOWED");
    let tunnel = stage.ask("CONNECT a:443", "", "").await;
    check(&tunnel, 405, "METHOD_NOT_ALLOWED");
    stage.holds(1).await;
}

#[tokio::test]
async fn http_2_without_a_handshake_gets_its_turn() {
    let stage = Stage::new().await;
    let stream = TokioIo::new(TcpStream::connect(stage.clients).await.unwrap());
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream);
    let (mut sender, connection) = handshake.await.unwrap();
    let tasks = afterbay::tasks::Tasks::new();
    tasks.spawn("client", connection);
    let target = format!("http://{}/agents/run/stream", stage.clients);
    let request = || {
        let request = http::Request::post(&target).header("authorization", GOOD);
        let request = request.header("x-execution-id", "e");
        request.body(Full::new(Bytes::from(PROMPT))).unwrap()
    };
    for _ in 0..2 {
        let answer = sender.send_request(request()).await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["x-execution-id"]),
            (200, &http::HeaderValue::from_static("e"))
        );
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let body = std::str::from_utf8(&body).unwrap();
        assert!(body.contains("event: done") && body.contains("\"success\""), "{body}");
    }
    let evil = http::Request::get("http://evil.example/x").body(Full::new(Bytes::new())).unwrap();
    assert_eq!(sender.send_request(evil).await.unwrap().status(), 421);
    drop(sender);
    stage.holds(1).await;
}

#[tokio::test]
async fn bytes_that_are_no_http_are_refused() {
    let stage = Stage::new().await;
    let hello: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    for bytes in [
        hello,
        b"\x00\x00\x00\x00\r\n\r\n",
        b"GET\r\n\r\n",
        b"\r\n\r\n\r\n\xff\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n",
    ] {
        let mut client = stage.connect().await;
        client.send(bytes).await;
        client.shut().await;
        let answer = client.read_to_close().await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{}: {answer}", bytes.escape_ascii());
    }
    assert!(stage.scripted.seen(Route::Other).is_empty());
    stage.holds(0).await;
}
