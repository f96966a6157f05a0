//! How the program stops while something hangs: a request that its box never answers.

use rustix::process::Signal;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::support::daemon::{Daemon, LONG};

/// A program with a request in flight to a box that takes it and says nothing.
struct Hanging {
    daemon: Daemon,
    _client: TcpStream,
    _at_the_box: TcpStream,
}

impl Hanging {
    async fn start(grace: &str) -> Self {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", silent.local_addr().unwrap());
        let line = ["serve", "--kind", "opencode", "--box", &url, "--listen", "127.0.0.1:0"];
        let line = [&line[..], &["--admin", "127.0.0.1:0", "--shutdown-grace", grace]].concat();
        let mut daemon = Daemon::start(&line, &[]);
        let (address, _) = daemon.addresses().await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET /somewhere HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        let accepted = timeout(LONG, silent.accept()).await.expect("a call in time").unwrap();
        Self { daemon, _client: client, _at_the_box: accepted.0 }
    }
}

#[tokio::test]
async fn what_outlasts_the_grace_is_named_and_left() {
    let Hanging { daemon, _client, _at_the_box } = Hanging::start("1s").await;
    daemon.signal(Signal::TERM);
    let ended = daemon.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let told = ended.stderr.lines().find(|line| line.contains("the grace is over"));
    assert!(told.is_some_and(|line| line.contains(r#"("connection", 1)"#)), "{}", ended.stderr);
}

#[tokio::test]
async fn a_second_signal_exits_at_once_and_says_which() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let mut hanging = Hanging::start("1h").await;
        hanging.daemon.signal(Signal::TERM);
        hanging.daemon.logs("stopping").await;
        hanging.daemon.signal(signal);
        assert_eq!(hanging.daemon.exit().await.code(), Some(code));
    }
}
