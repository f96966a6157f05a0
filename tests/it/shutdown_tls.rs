//! How the program stops while clients are on it by TLS.

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::support::certificates::Authority;
use super::support::daemon::{Daemon, LONG};
use super::support::tls_client::{NAME, connect};

/// A program with half a handshake, and with a request in flight to a box that takes it and says
/// nothing.
struct Hanging {
    daemon: Daemon,
    _half: TcpStream,
    client: TlsStream<TcpStream>,
    at_the_box: TcpStream,
    _folder: TempDir,
}

async fn hanging(grace: &str) -> Hanging {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let (chain, key) = authority.vouches_for(&[NAME]).files_in(folder.path());
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let line = ["serve", "--kind", "opencode", "--box", &url, "--listen", "127.0.0.1:0"];
    let identity = ["--tls-cert", chain.to_str().unwrap(), "--tls-key", key.to_str().unwrap()];
    let more = ["--hosts", NAME, "--admin", "127.0.0.1:0", "--shutdown-grace", grace];
    let mut daemon = Daemon::start(&[&line[..], &identity, &more].concat(), &[]);
    let address = daemon.line("listening on https://").await;
    // Operators are served in the clear.
    let operators = daemon.line("admin on http://").await;
    let mut probe = TcpStream::connect(operators).await.unwrap();
    probe.write_all(b"GET /livez HTTP/1.0\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    timeout(LONG, probe.read_to_string(&mut answer)).await.expect("an answer in time").unwrap();
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");

    // It is accepted before what comes after it.
    let mut half = TcpStream::connect(address).await.unwrap();
    half.write_all(b"\x16\x03\x01\x02\x00\x01\x00").await.unwrap();
    let mut client = connect(address, &authority, &["http/1.1"]).await;
    let ask = format!("GET /somewhere HTTP/1.1\r\nhost: {NAME}\r\n\r\n");
    client.write_all(ask.as_bytes()).await.unwrap();
    let accepted = timeout(LONG, silent.accept()).await.expect("a call in time").unwrap();
    let (mut at_the_box, mut seen) = (accepted.0, Vec::new());
    while !seen.ends_with(b"\r\n\r\n") {
        seen.push(timeout(LONG, at_the_box.read_u8()).await.expect("a head in time").unwrap());
    }
    Hanging { daemon, _half: half, client, at_the_box, _folder: folder }
}

#[tokio::test]
async fn what_is_being_answered_is_answered_and_half_a_handshake_is_no_reason_to_wait() {
    let mut hanging = hanging("1h").await;
    hanging.daemon.signal(Signal::TERM);
    hanging.daemon.logs("stopping").await;
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlate";
    hanging.at_the_box.write_all(answer.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    let read = hanging.client.read_to_end(&mut seen);
    timeout(LONG, read).await.expect("an end in time").unwrap();
    assert!(seen.ends_with(b"late"), "{}", seen.escape_ascii());
    // The half is still there.
    let Hanging { daemon, _half, .. } = hanging;
    let ended = daemon.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("the grace is over"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_second_signal_exits_at_once() {
    let mut hanging = hanging("1h").await;
    hanging.daemon.signal(Signal::TERM);
    hanging.daemon.logs("stopping").await;
    hanging.daemon.signal(Signal::TERM);
    assert_eq!(hanging.daemon.exit().await.code(), Some(143));
}

#[tokio::test]
async fn https_without_anybody_to_trust_is_told_at_the_start() {
    let line = ["serve", "--kind", "tangle", "--box", "https://box.example", "--listen"];
    let line = [&line[..], &["127.0.0.1:0", "--admin", "127.0.0.1:0"]].concat();
    let nowhere = [("SSL_CERT_FILE", "/nowhere"), ("SSL_CERT_DIR", "/nowhere")];
    let ended = Daemon::start(&line, &nowhere).ended().await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{}", ended.stderr);
    assert!(ended.stderr.contains("trusts no certificate authority"), "{}", ended.stderr);

    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let file = authority.file_in(folder.path());
    let line = [&line[..], &["--ca-file", file.to_str().unwrap()]].concat();
    let mut daemon = Daemon::start(&line, &nowhere);
    daemon.addresses().await;
}
