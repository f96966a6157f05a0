//! How the program stops while something hangs: a request that its box never answers.

use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::support::daemon::{Daemon, LONG};
use super::support::scripted_box::{Route, ScriptedBox};

/// A program with a request in flight to a box that takes it and says nothing.
struct Hanging {
    daemon: Daemon,
    client: TcpStream,
    at_the_box: TcpStream,
}

impl Hanging {
    async fn start(grace: &str) -> Self {
        let ask = "GET /somewhere HTTP/1.1\r\nhost: localhost\r\n\r\n";
        Self::start_with(grace, ask).await
    }

    async fn start_with(grace: &str, ask: &str) -> Self {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", silent.local_addr().unwrap());
        let line = ["serve", "--kind", "opencode", "--box", &url, "--listen", "127.0.0.1:0"];
        let line = [&line[..], &["--admin", "127.0.0.1:0", "--shutdown-grace", grace]].concat();
        let mut daemon = Daemon::start(&line, &[]);
        let (address, _) = daemon.addresses().await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(ask.as_bytes()).await.unwrap();
        let accepted = timeout(LONG, silent.accept()).await.expect("a call in time").unwrap();
        Self { daemon, client, at_the_box: accepted.0 }
    }
}

/// Reads up to and with `end`.
async fn read_to(side: &mut TcpStream, end: &[u8]) {
    let mut seen = Vec::new();
    while !seen.ends_with(end) {
        seen.push(timeout(LONG, side.read_u8()).await.expect("bytes in time").unwrap());
    }
}

#[tokio::test]
async fn what_outlasts_the_grace_is_named_and_left() {
    let Hanging { daemon, client, at_the_box: _at_the_box } = Hanging::start("1s").await;
    daemon.signal(Signal::TERM);
    let ended = daemon.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let told = ended.stderr.lines().find(|line| line.contains("the grace is over"));
    assert!(told.is_some_and(|line| line.contains(r#"("connection", 1)"#)), "{}", ended.stderr);
    let peer = format!("peer={}", client.local_addr().unwrap());
    let cut = ended.stderr.lines().find(|line| line.contains("outlasts the grace"));
    assert!(cut.is_some_and(|line| line.contains(&peer)), "{}", ended.stderr);
}

#[tokio::test]
async fn a_prompt_that_is_on_its_way_is_named_with_its_turn() {
    let scripted = ScriptedBox::start().await;
    scripted.hold(Route::Prompt);
    let base = scripted.base();
    let line = ["serve", "--kind", "opencode", "--box", &base, "--listen", "127.0.0.1:0"];
    let line = [&line[..], &["--admin", "127.0.0.1:0", "--shutdown-grace", "1s"]].concat();
    let mut daemon = Daemon::start(&line, &[]);
    let (address, _) = daemon.addresses().await;
    let mut client = TcpStream::connect(address).await.unwrap();
    let body = r#"{"sessionId":"s-1","message":"hi"}"#;
    let head = "POST /agents/run/stream HTTP/1.1\r\nhost: localhost\r\nx-execution-id: exec-7\r\n";
    let ask = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    client.write_all(ask.as_bytes()).await.unwrap();
    scripted.reached(Route::Prompt, 1).await;
    daemon.signal(Signal::TERM);
    let ended = daemon.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let told = ended.stderr.lines().find(|line| line.contains("its prompt is being sent"));
    assert!(told.is_some_and(|line| line.contains("execution=exec-7")), "{}", ended.stderr);
    assert!(ended.stderr.contains(r#"("turn", 1)"#), "{}", ended.stderr);
}

#[tokio::test]
async fn a_second_signal_exits_at_once_and_names_what_is_left() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let Hanging { mut daemon, client: _client, at_the_box: _at_the_box } =
            Hanging::start("1h").await;
        daemon.signal(Signal::TERM);
        daemon.logs("stopping").await;
        daemon.signal(signal);
        let ended = daemon.ended().await;
        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
        let told = ended.stderr.lines().find(|line| line.contains("these are left"));
        let is_told = told.is_some_and(|line| line.contains(r#"("connection", 1)"#));
        assert!(is_told && ended.stderr.contains("drivers=["), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn an_open_websocket_ends_and_is_no_reason_to_wait() {
    let ask = "GET /socket HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\n\
        upgrade: websocket\r\n\r\n";
    let Hanging { daemon, mut client, mut at_the_box } = Hanging::start_with("1h", ask).await;
    let agree = "HTTP/1.1 101 S\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n!";
    read_to(&mut at_the_box, b"\r\n\r\n").await;
    at_the_box.write_all(agree.as_bytes()).await.unwrap();
    read_to(&mut client, b"!").await;
    daemon.signal(Signal::TERM);
    let ended = daemon.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("the grace is over"), "{}", ended.stderr);
    for mut side in [client, at_the_box] {
        // A reset counts as an end.
        let read = timeout(LONG, side.read(&mut [0; 1])).await.expect("an end in time");
        assert_eq!(read.unwrap_or(0), 0);
    }
}

#[tokio::test]
async fn a_newcomer_that_asks_nothing_is_no_reason_to_wait() {
    let mut hanging = Hanging::start("1h").await;
    hanging.daemon.signal(Signal::TERM);
    hanging.daemon.logs("stopping").await;
    let address = hanging.client.peer_addr().unwrap();
    let _silent = TcpStream::connect(address).await.unwrap();
    // Who comes after it is answered, so it has been accepted.
    let mut asking = TcpStream::connect(address).await.unwrap();
    let ask = "GET /agents/run/stream?executionId=x HTTP/1.1\r\nhost: localhost\r\n\r\n";
    asking.write_all(ask.as_bytes()).await.unwrap();
    read_to(&mut asking, b"\r\n\r\n").await;
    hanging.at_the_box.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    read_to(&mut hanging.client, b"\r\n\r\n").await;
    let ended = hanging.daemon.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}
