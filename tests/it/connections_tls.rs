//! The accept loop under TLS: what a handshake may cost, and that all else is as without it.

use std::time::Duration;

use afterbay::config::{self, Environment, Flags, Identity};
use afterbay::server::{Ends, Settings, Wire, serve_connections};
use afterbay::tasks::Tasks;
use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use clap::Parser as _;
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::support::certificates::Authority;
use super::support::daemon::LONG;
use super::support::tls_client::{NAME, connect};

/// Long enough for a handshake on a busy machine, short enough to be waited for.
const SHORT: Duration = Duration::from_secs(1);

/// The first bytes of a handshake: a record that announces more than comes.
const HALF: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00";

struct Server {
    address: std::net::SocketAddr,
    authority: Authority,
    ends: Ends,
    tasks: Tasks,
    /// Set to true, lets every `/slow` be answered.
    release: watch::Sender<bool>,
    /// Whether one was asked for.
    asked: watch::Receiver<bool>,
    serving: JoinHandle<()>,
}

impl Server {
    async fn start(settings: Settings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (authority, ends, tasks) = (Authority::new(), Ends::default(), Tasks::new());
        let (release, mut released) = watch::channel(false);
        let (arrived, asked) = watch::channel(false);
        let slow = async move || {
            arrived.send_replace(true);
            released.wait_for(|released| *released).await.unwrap();
            "late"
        };
        let router = Router::new().route("/", get(|| async { "hello" })).route("/slow", get(slow));
        let wire = Wire::Tls(identity(&authority));
        let serve =
            serve_connections(listener, wire, router, settings, ends.clone(), tasks.clone());
        let serving = tasks.spawn("door", serve);
        Self { address, authority, ends, tasks, release, asked, serving }
    }

    async fn usual() -> Self {
        Self::start(Settings::CLIENTS).await
    }

    async fn plain(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// A connection under TLS that offers these protocols.
    async fn secured(&self, protocols: &[&str]) -> TlsStream<TcpStream> {
        connect(self.address, &self.authority, protocols).await
    }

    /// Waits until the accept loop and every connection have ended.
    async fn ended(self) {
        timeout(LONG, self.serving).await.expect("an end in time").unwrap();
        timeout(LONG, self.tasks.wait()).await.expect("all ends in time");
    }
}

/// An identity as the program reads it.
fn identity(authority: &Authority) -> Identity {
    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        flags: Flags,
    }
    let folder = tempfile::tempdir().unwrap();
    let (chain, key) = authority.vouches_for(&[NAME]).files_in(folder.path());
    let (chain, key) = (chain.to_str().unwrap(), key.to_str().unwrap());
    let line = ["afterbay", "--box", "http://box", "--kind", "tangle", "--data-dir", "/data"];
    let line = [&line[..], &["--tls-cert", chain, "--tls-key", key]].concat();
    let flags = Line::try_parse_from(line).unwrap().flags;
    let loaded = config::load(None, &flags, &Environment::default()).unwrap();
    loaded.config.identity.unwrap()
}

/// Reads until the server closes; a reset counts as a close.
async fn read_out(mut stream: impl tokio::io::AsyncRead + Unpin) -> Vec<u8> {
    let mut rest = Vec::new();
    let _ = timeout(LONG, stream.read_to_end(&mut rest)).await.expect("a close in time");
    rest
}

async fn ask(stream: &mut TlsStream<TcpStream>, path: &str) {
    let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
}

#[tokio::test]
async fn http_1_and_http_2_are_served_as_the_client_offers() {
    let server = Server::usual().await;
    for protocols in [&["http/1.1"][..], &[]] {
        let mut stream = server.secured(protocols).await;
        ask(&mut stream, "/").await;
        assert!(read_out(stream).await.ends_with(b"hello"), "{protocols:?}");
    }
    let stream = server.secured(&["h2", "http/1.1"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let shaken = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = shaken.await.unwrap();
    let client = Tasks::new();
    let connection = client.spawn("client", connection);
    let request = Request::get(format!("https://{NAME}/")).body(Empty::<Bytes>::new()).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "hello");
    server.ends.drain.cancel();
    timeout(LONG, connection).await.expect("a goodbye in time").unwrap().unwrap();
    server.ended().await;
}

#[tokio::test]
async fn a_handshake_that_does_not_end_in_time_frees_its_place() {
    let one = Settings { max_connections: 1, handshake_timeout: SHORT, ..Settings::CLIENTS };
    let server = Server::start(one).await;
    for torn in [&b""[..], HALF] {
        let mut stalled = server.plain().await;
        stalled.write_all(torn).await.unwrap();
        // This one waits for the only place.
        let mut next = server.secured(&[]).await;
        ask(&mut next, "/").await;
        assert!(read_out(next).await.ends_with(b"hello"));
        assert_eq!(read_out(stalled).await, b"");
    }
}

#[tokio::test]
async fn stalled_handshakes_hold_up_nobody_else() {
    let hour = Duration::from_secs(60 * 60);
    let server = Server::start(Settings { handshake_timeout: hour, ..Settings::CLIENTS }).await;
    let mut stalled = Vec::new();
    for torn in [&b""[..], HALF, b"", HALF] {
        let mut stream = server.plain().await;
        stream.write_all(torn).await.unwrap();
        stalled.push(stream);
    }
    let mut stream = server.secured(&[]).await;
    ask(&mut stream, "/").await;
    assert!(read_out(stream).await.ends_with(b"hello"));
}

#[tokio::test]
async fn a_peer_that_speaks_no_tls_is_closed_at_once() {
    let hour = Duration::from_secs(60 * 60);
    let server = Server::start(Settings { handshake_timeout: hour, ..Settings::CLIENTS }).await;
    for said in ["GET / HTTP/1.1\r\nhost: a\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut stream = server.plain().await;
        stream.write_all(said.as_bytes()).await.unwrap();
        let answer = read_out(stream).await;
        // At most the alert that says so.
        assert!(answer.len() <= 7 && !answer.starts_with(b"HTTP"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_peer_that_brings_no_request_in_time_is_dropped() {
    let impatient = Settings { head_read_timeout: SHORT, ..Settings::CLIENTS };
    let server = Server::start(impatient).await;
    for torn in ["", "GET / HTTP/1.1\r\nhost: loc"] {
        let mut stream = server.secured(&[]).await;
        stream.write_all(torn.as_bytes()).await.unwrap();
        assert!(!read_out(stream).await.ends_with(b"hello"), "{torn:?}");
    }
}

#[tokio::test]
async fn draining_gives_up_handshakes_finishes_the_busy_and_answers_newcomers() {
    let hour = Duration::from_secs(60 * 60);
    let mut server = Server::start(Settings { handshake_timeout: hour, ..Settings::CLIENTS }).await;
    let mut stalled = server.plain().await;
    stalled.write_all(HALF).await.unwrap();
    let mut busy = server.secured(&[]).await;
    ask(&mut busy, "/slow").await;
    timeout(LONG, server.asked.wait_for(|asked| *asked)).await.expect("in time").unwrap();
    server.ends.drain.cancel();
    assert_eq!(read_out(stalled).await, b"");
    let mut newcomer = server.secured(&[]).await;
    ask(&mut newcomer, "/").await;
    assert!(read_out(newcomer).await.ends_with(b"hello"));
    server.release.send_replace(true);
    assert!(read_out(busy).await.ends_with(b"late"));
    server.ended().await;
}

#[tokio::test]
async fn the_cut_ends_a_newcomers_handshake() {
    let hour = Duration::from_secs(60 * 60);
    let mut server = Server::start(Settings { handshake_timeout: hour, ..Settings::CLIENTS }).await;
    let mut busy = server.secured(&[]).await;
    ask(&mut busy, "/slow").await;
    timeout(LONG, server.asked.wait_for(|asked| *asked)).await.expect("in time").unwrap();
    server.ends.drain.cancel();
    let mut newcomer = server.plain().await;
    newcomer.write_all(HALF).await.unwrap();
    server.ends.cut.cancel();
    assert_eq!(read_out(newcomer).await, b"");
    assert_eq!(read_out(busy).await, b"");
    server.ended().await;
}
