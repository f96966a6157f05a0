//! Bodies through the doors: streamed both ways at once, byte for byte, with their trailers, and
//! never completed where they broke.

use std::time::Duration;

use afterbay::http::Settings;
use afterbay::limits;
use tokio::time::timeout;

use super::raw::{Conn, RawBox};
use super::support::open_doors::OpenDoors;

/// A box, and a client at the doors before it.
async fn doors() -> (RawBox, Conn) {
    let raw_box = RawBox::listen().await;
    let doors = OpenDoors::before(&format!("http://{}", raw_box.addr), Settings::default()).await;
    let client = Conn::open(doors.addr).await;
    (raw_box, client)
}

/// Sends `request` and gives the box's end, its head read.
async fn ask(raw_box: &RawBox, client: &mut Conn, request: impl AsRef<[u8]>) -> Conn {
    client.send(request).await;
    let mut at_box = raw_box.accept().await;
    at_box.read_head().await;
    at_box
}

const UPLOAD: &str = "POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
const STREAM: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

#[tokio::test]
async fn both_bodies_are_streamed_at_the_same_time() {
    let (raw_box, mut client) = doors().await;
    let mut at_box = ask(&raw_box, &mut client, UPLOAD).await;
    at_box.send(STREAM).await;
    assert_eq!(client.read_head().await.status(), 200);
    // A word each, one after the other: neither body has ended.
    for word in ["3\r\none\r\n", "3\r\ntwo\r\n", "5\r\nthree\r\n"] {
        client.send(word).await;
        assert_eq!(at_box.read_exactly(word.len()).await, word);
        at_box.send(word).await;
        assert_eq!(client.read_exactly(word.len()).await, word);
    }
    client.send("0\r\n\r\n").await;
    assert_eq!(at_box.read_exactly(5).await, "0\r\n\r\n");
    at_box.send("4\r\nlast\r\n0\r\n\r\n").await;
    assert_eq!(client.read_exactly(14).await, "4\r\nlast\r\n0\r\n\r\n");
}

#[tokio::test]
async fn trailers_that_were_announced_travel_both_ways() {
    let (raw_box, mut client) = doors().await;
    let trailers = "0\r\nx-sum: 1\r\nx-other: 2\r\n\r\n";
    client
        .send(format!(
            "POST /up HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTrailer: X-Sum, X-Other\r\n\
             Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n{trailers}"
        ))
        .await;
    let mut at_box = raw_box.accept().await;
    let head = at_box.read_head().await;
    assert_eq!(head.one("trailer"), Some("X-Sum, X-Other"));
    let sent = at_box.read_to("\r\n\r\n").await;
    check_trailers(&sent);
    at_box
        .send(format!(
            "HTTP/1.1 200 OK\r\nTrailer: X-Sum, X-Other\r\nTransfer-Encoding: chunked\r\n\r\n\
             3\r\none\r\n{trailers}"
        ))
        .await;
    assert_eq!(client.read_head().await.one("trailer"), Some("X-Sum, X-Other"));
    check_trailers(&client.read_to("\r\n\r\n").await);
}

#[tokio::test]
async fn trailers_that_were_not_announced_are_left_out_and_the_body_ends() {
    let (raw_box, mut client) = doors().await;
    let body = "3\r\none\r\n0\r\nx-sum: 1\r\n\r\n";
    let mut at_box = ask(&raw_box, &mut client, format!("{UPLOAD}{body}")).await;
    assert_eq!(at_box.read_to("\r\n\r\n").await, "3\r\none\r\n0\r\n\r\n");
    at_box.send(format!("{STREAM}{body}")).await;
    client.read_head().await;
    assert_eq!(client.read_to("\r\n\r\n").await, "3\r\none\r\n0\r\n\r\n");
}

#[track_caller]
fn check_trailers(body: &str) {
    let trailers = body.strip_prefix("3\r\none\r\n0\r\n").expect("a body before its trailers");
    let mut lines: Vec<_> = trailers.lines().filter(|line| !line.is_empty()).collect();
    lines.sort_unstable();
    assert_eq!(lines, ["x-other: 2", "x-sum: 1"]);
}

#[tokio::test]
async fn a_multipart_body_arrives_byte_for_byte() {
    let (raw_box, mut client) = doors().await;
    let any: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let mut body = b"--b\r\ncontent-disposition: form-data; name=\"f\"; filename=\"\xc3\xa9\"\r\n\
        content-type: application/octet-stream\r\n\r\n"
        .to_vec();
    body.extend_from_slice(&any);
    body.extend_from_slice(b"\r\n--b--\r\n");
    let head = format!(
        "POST /files HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=b\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    client.send([head.as_bytes(), &body].concat()).await;
    let mut at_box = raw_box.accept().await;
    let head = at_box.read_head().await;
    assert_eq!(head.one("content-type"), Some("multipart/form-data; boundary=b"));
    assert_eq!(head.one("content-length"), Some(body.len().to_string().as_str()));
    assert!(at_box.read_bytes(body.len()).await == body, "another body");
}

#[tokio::test]
async fn a_part_of_a_file_comes_as_the_box_cuts_it() {
    let (raw_box, mut client) = doors().await;
    client.send("GET /f HTTP/1.1\r\nHost: a\r\nRange: bytes=2-4\r\nIf-Range: \"e\"\r\n\r\n").await;
    let mut at_box = raw_box.accept().await;
    let head = at_box.read_head().await;
    assert_eq!((head.one("range"), head.one("if-range")), (Some("bytes=2-4"), Some("\"e\"")));
    at_box
        .send(
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 2-4/9\r\nAccept-Ranges: bytes\r\n\
             ETag: \"e\"\r\nContent-Length: 3\r\n\r\ncde",
        )
        .await;
    let head = client.read_head().await;
    assert_eq!(head.first_line(), "HTTP/1.1 206 Partial Content");
    assert_eq!(head.one("content-range"), Some("bytes 2-4/9"));
    assert_eq!(head.one("accept-ranges"), Some("bytes"));
    assert_eq!((head.one("etag"), head.one("content-length")), (Some("\"e\""), Some("3")));
    assert_eq!(client.read_exactly(3).await, "cde");
}

#[tokio::test]
async fn an_empty_query_and_doubled_and_encoded_slashes_stay() {
    for target in ["/a?", "/a//b", "//", "/%2F/%2f", "/a/?", "/a??", "/a?/", "/.", "/a/../b", "/%"]
    {
        let (raw_box, mut client) = doors().await;
        client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        let head = raw_box.accept().await.read_head().await;
        assert_eq!(head.first_line(), format!("GET {target} HTTP/1.1"));
    }
}

#[tokio::test]
async fn frames_of_other_streams_come_one_by_one() {
    let (raw_box, mut client) = doors().await;
    let ask_for = "GET /global/event HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n";
    let mut at_box = ask(&raw_box, &mut client, ask_for).await;
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\
        Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n";
    at_box.send(head).await;
    let told = client.read_head().await;
    assert_eq!(told.one("content-type"), Some("text/event-stream; charset=utf-8"));
    assert_eq!(told.one("cache-control"), Some("no-cache"));
    for number in 0..100 {
        let frame = format!("id: {number}\r\nevent: \u{e9}\r\ndata: {{}}\r\n\r\n");
        let chunk = format!("{:X}\r\n{frame}\r\n", frame.len());
        at_box.send(&chunk).await;
        assert_eq!(client.read_exactly(chunk.len()).await, chunk);
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_at_the_box_breaks_off_at_the_client() {
    for (framing, begun) in
        [("Content-Length: 9", "begun"), ("Transfer-Encoding: chunked", "5\r\nbegun\r\n")]
    {
        let (raw_box, mut client) = doors().await;
        let mut at_box = ask(&raw_box, &mut client, "GET /f HTTP/1.1\r\nHost: a\r\n\r\n").await;
        at_box.send(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{begun}")).await;
        client.read_head().await;
        assert_eq!(client.read_exactly(begun.len()).await, begun);
        drop(at_box);
        // A close where more was promised, and no end of the chunks.
        assert_eq!(client.read_to_close().await, "", "{framing}");
    }
}

#[tokio::test]
async fn an_answer_in_the_middle_of_an_upload_comes_back_at_once_and_whole() {
    for closes in [false, true] {
        let (raw_box, mut client) = doors().await;
        let head = "PUT /f HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nbegun";
        let mut at_box = ask(&raw_box, &mut client, head).await;
        assert_eq!(at_box.read_exactly(5).await, "begun");
        let page = "no".repeat(100_000);
        at_box
            .send(format!("HTTP/1.1 413 Too Much\r\nContent-Length: {}\r\n\r\n", page.len()))
            .await;
        at_box.send(&page).await;
        let at_box = (!closes).then_some(at_box);
        assert_eq!(client.read_head().await.first_line(), "HTTP/1.1 413 Too Much");
        assert_eq!(client.read_exactly(page.len()).await, page);
        if let Some(mut at_box) = at_box {
            // Who goes on all the same is heard.
            client.send_what_is_taken("rest").await;
            at_box.read_to_close().await;
        }
    }
}

#[tokio::test]
async fn a_body_without_a_stated_end_ends_with_the_boxs_connection() {
    let (raw_box, mut client) = doors().await;
    let mut at_box = ask(&raw_box, &mut client, "GET /f HTTP/1.1\r\nHost: a\r\n\r\n").await;
    at_box.send("HTTP/1.1 200 OK\r\n\r\nall of it").await;
    at_box.shut().await;
    drop(at_box);
    assert_eq!(client.read_head().await.one("transfer-encoding"), Some("chunked"));
    let rest = "9\r\nall of it\r\n0\r\n\r\n";
    assert_eq!(client.read_exactly(rest.len()).await, rest);
}

#[tokio::test]
async fn a_body_that_breaks_off_at_the_client_breaks_off_at_the_box() {
    for (framing, begun) in
        [("Content-Length: 9", "begun"), ("Transfer-Encoding: chunked", "5\r\nbegun\r\n")]
    {
        let (raw_box, mut client) = doors().await;
        let head = format!("PUT /f HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n{begun}");
        let mut at_box = ask(&raw_box, &mut client, head).await;
        assert_eq!(at_box.read_exactly(begun.len()).await, begun);
        drop(client);
        assert_eq!(at_box.read_to_close().await, "", "{framing}");
    }
}

/// The silence of a client is waited for on a clock that the test moves on.
async fn after_a_silence<T>(mut look: impl AsyncFnMut() -> T) -> T {
    for _ in 0..50 {
        tokio::time::pause();
        tokio::time::advance(limits::PASS_BODY_SILENCE).await;
        tokio::time::resume();
        // The body may not have been waited for before.
        if let Ok(seen) = timeout(Duration::from_millis(100), look()).await {
            return seen;
        }
    }
    panic!("nothing happened");
}

#[tokio::test]
async fn a_client_that_falls_silent_in_its_body_is_told_and_the_box_gets_no_end_of_it() {
    for (framing, begun) in
        [("Content-Length: 9", "begun"), ("Transfer-Encoding: chunked", "5\r\nbegun\r\n")]
    {
        let (raw_box, mut client) = doors().await;
        let head = format!("PUT /f HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n{begun}");
        let mut at_box = ask(&raw_box, &mut client, head).await;
        assert_eq!(at_box.read_exactly(begun.len()).await, begun);
        let told = after_a_silence(async || client.read_head().await).await;
        assert_eq!((told.status(), told.one("x-afterbay-error")), (408, Some("BODY_TIMEOUT")));
        assert_eq!(told.one("connection"), Some("close"));
        assert!(client.read_to_close().await.contains("BODY_TIMEOUT"));
        assert_eq!(at_box.read_to_close().await, "", "{framing}");
    }
}

#[tokio::test]
async fn a_conversation_of_two_bodies_may_be_silent_for_long() {
    let (raw_box, mut client) = doors().await;
    let mut at_box = ask(&raw_box, &mut client, UPLOAD).await;
    at_box.send(STREAM).await;
    assert_eq!(client.read_head().await.status(), 200);
    for _ in 0..3 {
        tokio::time::pause();
        tokio::time::advance(limits::PASS_BODY_SILENCE * 2).await;
        tokio::time::resume();
        client.send("3\r\none\r\n").await;
        assert_eq!(at_box.read_exactly(8).await, "3\r\none\r\n");
        at_box.send("3\r\ntwo\r\n").await;
        assert_eq!(client.read_exactly(8).await, "3\r\ntwo\r\n");
    }
}

#[tokio::test]
async fn the_connection_to_the_box_is_used_again() {
    let raw_box = RawBox::listen().await;
    let doors = OpenDoors::before(&format!("http://{}", raw_box.addr), Settings::default()).await;
    let mut kept: Option<Conn> = None;
    for body in ["", "one", "two"] {
        // Another client each time.
        let mut client = Conn::open(doors.addr).await;
        client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let mut at_box = match kept.take() {
            Some(at_box) => at_box,
            None => raw_box.accept().await,
        };
        at_box.read_head().await;
        at_box.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len())).await;
        at_box.send(body).await;
        client.read_head().await;
        assert_eq!(client.read_exactly(body.len()).await, body);
        kept = Some(at_box);
    }
    assert!(raw_box.is_untouched().await);
}

/// Sends into `from` until it takes nothing for a while; gives what it took.
async fn stuffed(from: &mut Conn) -> usize {
    let (chunk, mut taken) = (vec![b'x'; 1 << 20], 0);
    while timeout(Duration::from_secs(1), from.send(&chunk)).await.is_ok() {
        taken += chunk.len();
        assert!(taken < ENDLESS, "nothing stops the sender");
    }
    taken
}

/// More than the kernel's buffers of two connections hold.
const ENDLESS: usize = 128 << 20;

#[tokio::test]
async fn a_box_that_does_not_read_stops_the_client() {
    let (raw_box, mut client) = doors().await;
    let head = format!("PUT /f HTTP/1.1\r\nHost: a\r\nContent-Length: {ENDLESS}\r\n\r\n");
    let mut at_box = ask(&raw_box, &mut client, head).await;
    let taken = stuffed(&mut client).await;
    // What was taken arrives once the box reads again.
    for _ in 0..taken >> 20 {
        assert!(at_box.read_bytes(1 << 20).await.iter().all(|byte| *byte == b'x'));
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_stops_the_box() {
    let (raw_box, mut client) = doors().await;
    let mut at_box = ask(&raw_box, &mut client, "GET /f HTTP/1.1\r\nHost: a\r\n\r\n").await;
    at_box.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {ENDLESS}\r\n\r\n")).await;
    let taken = stuffed(&mut at_box).await;
    client.read_head().await;
    for _ in 0..taken >> 20 {
        assert!(client.read_bytes(1 << 20).await.iter().all(|byte| *byte == b'x'));
    }
}
