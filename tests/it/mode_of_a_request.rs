//! The mode that a request chooses for itself, and what mode `sse` is: the box's bytes and no log.

use afterbay::http::Settings;
use afterbay::mode::Mode;
use serde_json::{Value, json};

use super::raw::{Conn, RawBox, read};
use super::support::daemon::Daemon;
use super::support::play::{PROMPT, Play};

const RUN: &str = "POST /agents/run/stream";
const SSE: &str = "x-afterbay-streaming: sse\r\n";
const POLL: &str = "X-Afterbay-Streaming: poll\r\n";

/// A turn's request with whatever a client may send along; `%` stands for more lines.
const REQUEST: &str = "POST /agents/run/stream?lastEventId=5&x=a+&& HTTP/1.1\r\nHost: a\r\n\
    X-Zed: 1\r\nContent-Type: application/json; charset=UTF-8\r\nLast-Event-ID: 7\r\n%\
    Authorization: Bearer x==\r\nAccept-Encoding: br, gzip\r\nCookie: a=b; c=\"d\"\r\n\
    X-Execution-ID: e\r\nX-Zed: 0\r\nX-Empty:\r\nContent-Length: 49\r\n\r\n";
const BODY: &str = "{ \"message\" : \"hi\",\n\"sessionId\":\"ses\", \"é\":0.10}";

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=UTF-8\r\n\
    Cache-Control: no-cache\r\nX-Execution-ID: of-the-box\r\nSet-Cookie: b\r\nSet-Cookie: a\r\n\
    Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nTransfer-Encoding: chunked\r\n\r\n";

/// What no frame of ours would look like.
const PIECES: [&str; 9] = [
    "\u{feff}: hello\r\n\r\n",
    "id: 0007\revent:result\rdata:{\"a\":1}\r\r",
    "event: message.part.updated\nda",
    "ta: {\"part\": {\"text\": \"\u{2028}\u{85}\"}}\n\n",
    "data: one\ndata: two\n\n",
    "retry: 1\n\n\n\n",
    "id\nevent\ndata\n\n",
    "\u{0}",
    "event: done\ndata: {}\n",
];

/// What passed on both sides of a request that a raw box answered piece by piece.
struct Capture {
    at_box: (String, Vec<String>, String),
    at_client: (String, Vec<String>, Vec<String>),
}

/// A head's first line, and its fields in the order of their names; names are compared without
/// case, values byte for byte and in their order.
fn fields(head: &str, without: &[&str]) -> (String, Vec<String>) {
    let mut lines = head.trim_end().split("\r\n");
    let first = lines.next().expect("a first line").to_owned();
    let fields = lines.map(|line| {
        let (name, value) = line.split_once(':').expect("a field");
        (name.to_ascii_lowercase(), value.trim_start().to_owned())
    });
    let mut fields: Vec<_> = fields.filter(|(name, _)| !without.contains(&&**name)).collect();
    fields.sort_by(|one, other| one.0.cmp(&other.0));
    (first, fields.into_iter().map(|(name, value)| format!("{name}: {value}")).collect())
}

/// Has `client` send the request to whoever it is connected to, and the box answer it. Each piece
/// is sent when the one before has arrived, so that the chunks are told apart; how a chunk's size is
/// written (`e`, `E`) is about one connection and is not compared.
async fn capture(mut client: Conn, raw_box: &RawBox, more: &str) -> Capture {
    client.send(REQUEST.replace('%', more)).await;
    client.send(BODY).await;
    let mut at_box = raw_box.accept().await;
    let head = at_box.read_head().await;
    let body = at_box.read_exactly(BODY.len()).await;
    at_box.send(HEAD).await;
    let answer = client.read_head().await;
    let mut frames = Vec::new();
    for piece in PIECES {
        let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
        at_box.send(&chunk).await;
        let size = client.read_to("\r\n").await;
        let length = usize::from_str_radix(size.trim_end(), 16).expect("a chunk's size");
        frames.push(client.read_exactly(length + 2).await);
    }
    at_box.send("0\r\n\r\n").await;
    frames.push(client.read_to("0\r\n\r\n").await);
    let (line, own) = fields(&head.0, &["host", "via"]);
    let (status, told) = fields(&answer.0, &[]);
    Capture { at_box: (line, own, body), at_client: (status, told, frames) }
}

#[tokio::test]
async fn in_mode_sse_client_and_box_see_each_others_bytes_and_nothing_is_logged() {
    for (mode, more) in [(Mode::Poll, SSE), (Mode::Sse, "")] {
        let play = Play::with(Settings { mode, ..Settings::default() }).await;
        let raw = capture(Conn::open(play.raw_box.addr).await, &play.raw_box, "").await;
        let ours = capture(Conn::open(play.hall.addr).await, &play.raw_box, more).await;
        assert_eq!(ours.at_box, raw.at_box, "{mode}");
        assert_eq!(ours.at_client, raw.at_client, "{mode}");
        assert_eq!(raw.at_client.2.len(), PIECES.len() + 1);
        assert_eq!(play.hall.script.dispatches(), 0);
        for target in ["executions/e/events", "executions/of-the-box/events"] {
            let unknown = play.get(&format!("/agents/{target}"), POLL).await;
            assert_eq!(unknown.head.one("x-afterbay-error"), Some("EXECUTION_NOT_FOUND"));
        }
    }
}

#[tokio::test]
async fn in_mode_sse_every_route_of_ours_is_the_boxs() {
    let play = Play::new().await;
    play.run_turn("X-Execution-ID: e\r\n", PROMPT).await;
    for line in [
        "GET /agents/run/stream?executionId=e",
        "GET /agents/executions/e/events",
        "GET /agents/sessions/ses/events?until=idle",
        "GET /agents/sessions/ses",
        "POST /agents/sessions/ses/abort",
        "PUT /agents/run/stream",
        "OPTIONS /agents/run/stream",
    ] {
        let client = play.ask(line, SSE, "").await;
        let mut at_box = play.raw_box.accept().await;
        let head = at_box.read_head().await;
        assert_eq!(head.first_line(), format!("{line} HTTP/1.1"));
        assert_eq!(head.one("x-afterbay-streaming"), None);
        at_box.send("HTTP/1.1 404 N\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}").await;
        let answer = read(client).await;
        assert_eq!((answer.head.status(), answer.body.as_str()), (404, "{}"), "{line}");
        assert_eq!(answer.head.one("x-afterbay-source"), None, "{line}");
    }
}

#[tokio::test]
async fn a_request_may_be_logged_where_the_mode_is_sse() {
    let play = Play::with(Settings { mode: Mode::Sse, ..Settings::default() }).await;
    let turn = play.run_turn(&format!("{POLL}X-Execution-ID: e\r\n"), PROMPT).await;
    assert_eq!((turn.head.status(), turn.ids()), (200, vec![1, 2, 3, 4, 5]));
    let again = play.get("/agents/executions/e/events", POLL).await;
    assert_eq!(again.ids(), [1, 2, 3, 4, 5]);
    assert!(play.raw_box.is_untouched().await);
}

#[tokio::test]
async fn another_mode_is_refused_and_nothing_is_sent() {
    let play = Play::new().await;
    let twice = format!("{SSE}{SSE}");
    let (long, both) = (format!("{SSE}{POLL}"), "X-Afterbay-Streaming: sse, poll\r\n");
    for fields in [
        "X-Afterbay-Streaming: hybrid\r\n",
        "X-Afterbay-Streaming: SSE\r\n",
        "X-Afterbay-Streaming:\r\n",
        "X-Afterbay-Streaming: canary\r\n",
        both,
        &twice,
        &long,
    ] {
        for line in [RUN, "GET /other", "GET /agents/executions/e/events"] {
            let answer = read(play.ask(line, fields, "").await).await;
            assert_eq!(answer.head.status(), 400, "{line} {fields}");
            assert_eq!(answer.head.one("x-afterbay-error"), Some("INVALID_STREAMING"));
            assert!(!answer.body.contains("canary"));
        }
    }
    // Who may not ask at all is told that, and not what is wrong with the question.
    let line = "GET http://evil.example/x";
    let foreign = read(play.ask(line, "X-Afterbay-Streaming: x\r\n", "").await).await;
    assert_eq!(foreign.head.status(), 421);
    assert!(play.raw_box.is_untouched().await);
    assert_eq!(play.hall.script.dispatches(), 0);
}

#[tokio::test]
async fn the_header_ends_here_in_either_mode() {
    let play = Play::new().await;
    for fields in [POLL, SSE] {
        let _client = play.ask("GET /other", fields, "").await;
        let mut at_box = play.raw_box.accept().await;
        assert_eq!(at_box.read_head().await.one("x-afterbay-streaming"), None);
    }
}

#[tokio::test]
async fn the_mode_is_shown_and_requests_are_counted_by_the_one_they_were_served_in() {
    let raw_box = RawBox::listen().await;
    let url = format!("http://{}", raw_box.addr);
    let line = ["serve", "--box", &url, "--kind", "tangle", "--mode", "poll"];
    let local = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let mut daemon = Daemon::start(&[&line[..], &local].concat(), &[]);
    let (clients, operators) = daemon.addresses().await;
    let ask = async |to, line: &str, fields: &str| {
        let mut client = Conn::open(to).await;
        let head = format!("{line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n");
        client.send(head).await;
        client
    };
    let passed = ask(clients, RUN, SSE).await;
    let mut at_box = raw_box.accept().await;
    at_box.read_head().await;
    at_box.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await;
    assert_eq!(read(passed).await.body, "{}");
    read(ask(clients, "PUT /agents/run/stream", POLL).await).await;
    read(ask(clients, "GET /x", "X-Afterbay-Streaming: canary\r\n").await).await;
    let ready = read(ask(operators, "GET /readyz", "").await).await;
    let ready: Value = serde_json::from_str(&ready.body).expect("JSON");
    assert_eq!(ready["mode"], "poll");
    assert_eq!(ready["boxes"], json!([{"name": "default", "kind": "tangle"}]));
    let metrics = read(ask(operators, "GET /metrics", "").await).await.body;
    for line in [
        "afterbay_http_requests_total{asked=\"passed\",box=\"default\",mode=\"sse\",status=\"2xx\"} 1",
        "afterbay_http_requests_total{asked=\"other\",box=\"default\",mode=\"poll\",status=\"4xx\"} 1",
        "afterbay_http_requests_total{asked=\"other\",box=\"\",mode=\"poll\",status=\"4xx\"} 1",
        "afterbay_log_appends_total 0",
        "afterbay_log_sessions 0",
    ] {
        assert!(metrics.lines().any(|l| l == line), "{line} not in\n{metrics}");
    }
    assert!(!metrics.contains("canary"));
}
