//! The accept loop over a small router of its own: what a connection may cost, and how it ends.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use afterbay::server::{Ends, Settings, Wire, serve_connections};
use afterbay::tasks::Tasks;
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::support::daemon::LONG;

/// Long enough for a request on loopback, short enough to be waited for.
const SHORT: Duration = Duration::from_millis(300);

struct Server {
    address: SocketAddr,
    ends: Ends,
    tasks: Tasks,
    /// Set to true, lets every `/stream` come to its end.
    release: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Server {
    async fn start(settings: Settings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (ends, tasks) = (Ends::default(), Tasks::new());
        let (release, released) = watch::channel(false);
        let router = router(released, tasks.clone());
        let serve =
            serve_connections(listener, Wire::Clear, router, settings, ends.clone(), tasks.clone());
        let serving = tasks.spawn("door", serve);
        Self { address, ends, tasks, release, serving }
    }

    async fn usual() -> Self {
        Self::start(Settings::CLIENTS).await
    }

    async fn impatient() -> Self {
        let (head_read_timeout, idle_timeout) = (SHORT, SHORT);
        Self::start(Settings { head_read_timeout, idle_timeout, ..Settings::CLIENTS }).await
    }

    async fn connect(&self) -> Peer {
        Peer(TcpStream::connect(self.address).await.unwrap())
    }

    /// Waits until the accept loop and every connection have ended.
    async fn ended(self) {
        timeout(LONG, self.serving).await.expect("an end in time").unwrap();
        timeout(LONG, self.tasks.wait()).await.expect("all ends in time");
        assert!(TcpStream::connect(self.address).await.is_err(), "nobody listens any more");
    }
}

fn router(released: watch::Receiver<bool>, tasks: Tasks) -> Router {
    let active = Arc::new(AtomicUsize::new(0));
    Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/stream", get(move || stream(released.clone())))
        .route("/crowd", get(move || crowd(Arc::clone(&active))))
        .route("/echo", get(move |request| echo(tasks.clone(), request)))
}

/// One chunk at once, the other when released.
async fn stream(mut released: watch::Receiver<bool>) -> Body {
    let last = async move {
        released.wait_for(|released| *released).await.unwrap();
        Ok::<_, Infallible>(Bytes::from("last"))
    };
    let first = futures_util::stream::iter([Ok(Bytes::from("first"))]);
    Body::from_stream(first.chain(futures_util::stream::once(last)))
}

/// Says how many are here at once, after having waited for company.
async fn crowd(active: Arc<AtomicUsize>) -> String {
    active.fetch_add(1, Ordering::SeqCst);
    let company = async {
        while active.load(Ordering::SeqCst) <= 2 {
            tokio::task::yield_now().await;
        }
    };
    let _ = timeout(SHORT, company).await;
    active.fetch_sub(1, Ordering::SeqCst).to_string()
}

async fn echo(tasks: Tasks, mut request: Request<Body>) -> Response<Body> {
    let upgraded = hyper::upgrade::on(&mut request);
    tasks.spawn("echo", async move {
        let (mut read, mut write) = tokio::io::split(TokioIo::new(upgraded.await.unwrap()));
        tokio::io::copy(&mut read, &mut write).await.unwrap();
    });
    let head = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
    head.header("connection", "upgrade").header("upgrade", "echo").body(Body::empty()).unwrap()
}

struct Peer(TcpStream);

impl Peer {
    async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    async fn ask(&mut self, path: &str) {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")).await;
    }

    /// Reads until what was read ends with `end`.
    async fn read_to(&mut self, end: &str) -> String {
        let mut seen = Vec::new();
        let read = async {
            while !seen.ends_with(end.as_bytes()) {
                let byte = self.0.read_u8().await;
                seen.push(byte.unwrap_or_else(|_| {
                    panic!("ended after {:?}", seen.escape_ascii().to_string())
                }));
            }
        };
        timeout(LONG, read).await.expect("the text in time");
        String::from_utf8(seen).unwrap()
    }

    /// Reads until the server closes; a reset counts as a close.
    async fn read_out(mut self) -> String {
        let mut rest = Vec::new();
        let _ = timeout(LONG, self.0.read_to_end(&mut rest)).await.expect("a close in time");
        String::from_utf8(rest).unwrap()
    }
}

#[tokio::test]
async fn a_connection_carries_one_request_after_the_other() {
    let server = Server::usual().await;
    let mut peer = server.connect().await;
    for _ in 0..3 {
        peer.ask("/").await;
        assert!(peer.read_to("hello").await.starts_with("HTTP/1.1 200 OK\r\n"));
    }
}

#[tokio::test]
async fn a_peer_that_brings_no_whole_head_in_time_is_dropped() {
    let server = Server::impatient().await;
    for torn in ["", "P", "PRI * HTTP/2.0\r\n", "GET / HTTP/1.1\r\nhost: loc"] {
        let mut peer = server.connect().await;
        peer.send(torn).await;
        let answer = peer.read_out().await;
        assert!(!answer.contains("200 OK"), "{torn:?}: {answer}");
    }
    let mut idle = server.connect().await;
    idle.ask("/").await;
    idle.read_to("hello").await;
    assert_eq!(idle.read_out().await, "", "an idle connection is dropped too");
}

#[tokio::test]
async fn a_peer_that_sends_its_head_now_and_then_a_byte_is_dropped_in_time() {
    let server = Server::impatient().await;
    for is_first in [true, false] {
        let mut slow = server.connect().await;
        if !is_first {
            slow.ask("/").await;
            slow.read_to("hello").await;
        }
        let head = format!("GET / HTTP/1.1\r\nhost: localhost\r\nx: {}", "a".repeat(1000));
        let mut answer = Vec::new();
        let mut bytes = head.bytes();
        // Each byte comes long before the time for the whole head is over.
        loop {
            let byte = bytes.next().expect("not all of a slow head is taken");
            if slow.0.write_u8(byte).await.is_err() {
                break;
            }
            if let Ok(Ok(0) | Err(_)) = timeout(SHORT / 30, slow.0.read_buf(&mut answer)).await {
                break;
            }
        }
        let answer = String::from_utf8_lossy(&answer);
        assert!(!answer.contains("200 OK"), "{answer}");
    }
}

#[tokio::test]
async fn a_long_answer_outlives_the_time_for_heads() {
    let server = Server::impatient().await;
    let mut reader = server.connect().await;
    reader.ask("/stream").await;
    reader.read_to("first\r\n").await;
    // Once a silent peer was dropped for its time, the reader's has passed as well.
    server.connect().await.read_out().await;
    server.release.send_replace(true);
    reader.read_to("last\r\n0\r\n\r\n").await;
}

#[tokio::test]
async fn a_head_beyond_the_buffer_is_refused() {
    let server = Server::usual().await;
    let mut peer = server.connect().await;
    let long = "a".repeat(afterbay::limits::CONNECTION_BUFFER_BYTES);
    peer.send(&format!("GET / HTTP/1.1\r\nhost: localhost\r\nx: {long}\r\n\r\n")).await;
    assert!(peer.read_out().await.starts_with("HTTP/1.1 431 "));
}

#[tokio::test]
async fn only_so_many_connections_are_served_at_once() {
    let server = Server::start(Settings { max_connections: 2, ..Settings::CLIENTS }).await;
    let mut peers = Vec::new();
    for _ in 0..4 {
        let mut peer = server.connect().await;
        peer.send("GET /crowd HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
        peers.push(peer);
    }
    for peer in peers {
        let answer = peer.read_out().await;
        let (_, here) = answer.split_once("\r\n\r\n").unwrap();
        assert!(here.parse::<usize>().unwrap() <= 2, "{here} at once");
    }
}

#[tokio::test]
async fn draining_ends_the_idle_finishes_the_busy_and_answers_newcomers_once() {
    let server = Server::usual().await;
    let (mut idle, mut busy) = (server.connect().await, server.connect().await);
    idle.ask("/").await;
    idle.read_to("hello").await;
    busy.ask("/stream").await;
    busy.read_to("first\r\n").await;
    server.ends.drain.cancel();
    assert_eq!(idle.read_out().await, "");
    let mut newcomer = server.connect().await;
    newcomer.ask("/").await;
    let answer = newcomer.read_out().await;
    assert!(answer.contains("connection: close") && answer.ends_with("hello"), "{answer}");
    server.release.send_replace(true);
    assert!(busy.read_out().await.ends_with("last\r\n0\r\n\r\n"));
    server.ended().await;
}

#[tokio::test]
async fn a_first_request_that_is_on_its_way_when_draining_begins_is_answered() {
    let server = Server::usual().await;
    let mut early = server.connect().await;
    // Who comes after it is answered, so it has been accepted.
    let mut after = server.connect().await;
    after.ask("/").await;
    after.read_to("hello").await;
    server.ends.drain.cancel();
    assert_eq!(after.read_out().await, "", "this one is idle");
    early.ask("/").await;
    assert!(early.read_out().await.ends_with("hello"));
    server.ended().await;
}

#[tokio::test]
async fn what_hangs_is_named_and_cut() {
    let server = Server::usual().await;
    let mut hung = server.connect().await;
    hung.ask("/stream").await;
    hung.read_to("first\r\n").await;
    server.ends.drain.cancel();
    assert_eq!(server.tasks.names(), [("connection", 1), ("door", 1)]);
    server.ends.cut.cancel();
    assert_eq!(hung.read_out().await, "");
    server.ended().await;
}

#[tokio::test]
async fn an_upgraded_connection_carries_bytes_both_ways() {
    let server = Server::usual().await;
    let mut peer = server.connect().await;
    let upgrade = "GET /echo HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
    peer.send(upgrade).await;
    assert!(peer.read_to("\r\n\r\n").await.starts_with("HTTP/1.1 101 "));
    peer.send("ping").await;
    peer.read_to("ping").await;
}

#[tokio::test]
async fn http_2_is_served_on_the_same_port_and_drained() {
    let server = Server::usual().await;
    let stream = TokioIo::new(TcpStream::connect(server.address).await.unwrap());
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream);
    let (mut sender, connection) = handshake.await.unwrap();
    let client = Tasks::new();
    let connection = client.spawn("client", connection);
    let request = Request::get("http://localhost/").body(Empty::<Bytes>::new()).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "hello");
    server.ends.drain.cancel();
    timeout(LONG, connection).await.expect("a goodbye in time").unwrap().unwrap();
    server.ended().await;
}

#[tokio::test]
async fn an_http_2_peer_without_a_further_request_is_asked_to_end_after_what_it_reads() {
    let server = Server::impatient().await;
    for reads in [false, true] {
        let stream = TokioIo::new(TcpStream::connect(server.address).await.unwrap());
        let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream);
        let (mut sender, connection) = handshake.await.unwrap();
        let client = Tasks::new();
        let connection = client.spawn("client", connection);
        let path = if reads { "/stream" } else { "/" };
        let request = Request::get(format!("http://localhost{path}"));
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        let mut answer = sender.send_request(request).await.unwrap().into_body();
        if reads {
            let first = answer.frame().await.unwrap().unwrap();
            assert_eq!(first.into_data().unwrap(), "first");
            // Once silent peers were dropped for their time, one after the other, its has passed.
            for _ in 0..3 {
                server.connect().await.read_out().await;
            }
            server.release.send_replace(true);
            assert_eq!(answer.collect().await.unwrap().to_bytes(), "last");
        } else {
            assert_eq!(answer.collect().await.unwrap().to_bytes(), "hello");
        }
        timeout(LONG, connection).await.expect("a goodbye in time").unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_connection_with_requests_now_and_then_stays() {
    let server = Server::impatient().await;
    let mut peer = server.connect().await;
    let begun = tokio::time::Instant::now();
    while begun.elapsed() < SHORT * 4 {
        peer.ask("/").await;
        peer.read_to("hello").await;
        tokio::task::yield_now().await;
    }
}
