//! Much through the daemon: a WebSocket's echo, an upload and a download, while its memory is
//! watched. Sizes are small by default; `AFTERBAY_FLOOD=1` passes 1 GB by WebSocket and 4 GB each
//! way, and with `AFTERBAY_BIN` it does so through another build of the program.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::daemon::{self, Daemon};
use super::wait;
use super::websockets::Script;

/// How much memory may grow, in MiB: some buffers, whatever the size of what passes.
const GROWTH: u64 = 32;

/// Far above what 4 GB take.
const LIMIT: Duration = Duration::from_secs(240);

const MIB: u64 = 1 << 20;

/// How much passes: by WebSocket, and each way.
#[expect(clippy::disallowed_methods, reason = "a variable of the tests' own")]
fn sizes() -> (u64, u64) {
    if std::env::var_os("AFTERBAY_FLOOD").is_some() {
        (1024 * MIB, 4096 * MIB)
    } else {
        (64 * MIB, 256 * MIB)
    }
}

/// A line of the daemon's status, in MiB.
fn memory(daemon: &Daemon, line: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.process_id()));
    let status = status.expect("the daemon's status");
    let found = status.lines().find_map(|l| l.strip_prefix(line)?.trim().strip_suffix(" kB"));
    found.expect("the line").parse::<u64>().expect("a number") >> 10
}

/// Does `act` and checks that the peak stays near what there was before.
async fn check_flat(daemon: &Daemon, what: &str, bytes: u64, act: impl Future<Output = ()>) {
    let (before, begun) = (memory(daemon, "VmRSS:"), Instant::now());
    wait::within(LIMIT, what, act).await;
    let took = begun.elapsed().as_secs_f64();
    let (after, peak) = (memory(daemon, "VmRSS:"), memory(daemon, "VmHWM:"));
    let mib = bytes / MIB;
    println!(
        "{what}: {mib} MiB in {took:.1} s; RSS before {before} MiB, after {after}, peak {peak}"
    );
    assert!(peak < before + GROWTH, "{what}: {before} MiB before, {peak} at the peak");
}

/// A box that takes what is sent to it, and gives as many bytes as its path says.
async fn serve(listener: TcpListener) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(answer(stream));
    }
}

async fn answer(stream: TcpStream) {
    let mut stream = BufReader::new(stream);
    let (mut line, mut length, mut asked) = (String::new(), 0, 0);
    while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
        if let Some(path) = line.strip_prefix("GET /") {
            asked = path.split(' ').next().and_then(|bytes| bytes.parse().ok()).unwrap_or(0);
        }
        if let Some(stated) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
            length = stated.trim().parse().expect("a length");
        }
        if line == "\r\n" {
            break;
        }
        line.clear();
    }
    let taken = swallow(&mut stream, length).await;
    assert_eq!(taken, length, "the whole body arrives");
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {asked}\r\nX-Taken: {taken}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("answers");
    pour(&mut stream, asked).await;
}

/// Reads so many bytes, or as many as there are.
async fn swallow(from: &mut (impl AsyncRead + Unpin), bytes: u64) -> u64 {
    tokio::io::copy(&mut from.take(bytes), &mut tokio::io::sink()).await.expect("reads")
}

async fn pour(to: &mut (impl AsyncWrite + Unpin), mut bytes: u64) {
    let chunk = vec![b'x'; 256 << 10];
    while bytes > 0 {
        let part = usize::try_from(bytes).map_or(chunk.len(), |bytes| bytes.min(chunk.len()));
        to.write_all(&chunk[..part]).await.expect("sends");
        bytes -= part as u64;
    }
}

/// Opens a request and gives the connection behind the answer's head, with the head.
async fn exchange(to: SocketAddr, head: &str, body: u64) -> (BufReader<TcpStream>, String) {
    let mut stream = BufReader::new(TcpStream::connect(to).await.expect("connects"));
    stream.write_all(format!("{head}\r\nHost: a\r\n\r\n").as_bytes()).await.expect("asks");
    pour(&mut stream, body).await;
    let mut told = String::new();
    while !told.ends_with("\r\n\r\n") {
        let read = stream.read_line(&mut told).await.expect("an answer");
        assert!(read > 0, "no whole answer: {told:?}");
    }
    assert!(told.starts_with("HTTP/1.1 200 OK\r\n"), "{told}");
    (stream, told)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_is_flat_whatever_passes_through() {
    let (by_socket, each_way) = sizes();
    let (_at_box, port) = Script::start_box().await;
    let url = format!("http://127.0.0.1:{port}");
    let daemon = Daemon::start(url, daemon::Settings::default()).await;
    let base = format!("http://{}", daemon.address());
    check_flat(&daemon, "echo by WebSocket", by_socket, async {
        let seen = Script::client(&base, &["echo", &by_socket.to_string()], LIMIT).await;
        assert_eq!(seen, [json!({"echoed": by_socket})]);
    })
    .await;

    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let mut at_box = JoinSet::new();
    at_box.spawn(serve(listener));
    let daemon = Daemon::start(url, daemon::Settings::default()).await;
    check_flat(&daemon, "upload", each_way, async {
        let head = format!("PUT /up HTTP/1.1\r\nContent-Length: {each_way}");
        let (_, told) = exchange(daemon.address(), &head, each_way).await;
        assert!(told.contains(&format!("x-taken: {each_way}\r\n")), "{told}");
    })
    .await;
    check_flat(&daemon, "download", each_way, async {
        let head = format!("GET /{each_way} HTTP/1.1");
        let (mut stream, _) = exchange(daemon.address(), &head, 0).await;
        assert_eq!(swallow(&mut stream, each_way).await, each_way);
    })
    .await;
}
