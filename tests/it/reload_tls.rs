//! The clients' door under TLS while its certificate is replaced.

use std::path::Path;

use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::support::certificates::Authority;
use super::support::daemon::{Daemon, LONG};
use super::support::tls_client::{NAME, connect};

/// Asks what any connection may ask, and reads the head of the answer.
async fn ask(client: &mut TlsStream<TcpStream>) {
    let ask = format!("GET /afterbay/v1/openapi.json HTTP/1.1\r\nhost: {NAME}\r\n\r\n");
    client.write_all(ask.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\n") {
        seen.push(timeout(LONG, client.read_u8()).await.expect("a head in time").unwrap());
    }
    assert!(seen.starts_with(b"HTTP/1.1 200 "), "{}", seen.escape_ascii());
}

fn put(authority: &Authority, folder: &Path) -> [String; 2] {
    let (chain, key) = authority.vouches_for(&[NAME]).files_in(folder);
    [chain, key].map(|path| path.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_certificate_is_replaced_while_connections_stay_and_one_without_its_key_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second, third) = (Authority::new(), Authority::new(), Authority::new());
    let [chain, key] = put(&first, folder.path());
    let line = ["serve", "--kind", "tangle", "--box", "http://127.0.0.1:9", "--hosts", NAME];
    let doors = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let identity = ["--tls-cert", &chain, "--tls-key", &key];
    let mut daemon = Daemon::start(&[&line[..], &doors, &identity].concat(), &[]);
    let address = daemon.line("listening on https://").await;
    let mut early = connect(address, &first, &["http/1.1"]).await;

    put(&second, folder.path());
    daemon.signal(Signal::HUP);
    daemon.logs("the configuration was read anew").await;
    connect(address, &second, &["http/1.1"]).await;
    ask(&mut early).await;

    let elsewhere = tempfile::tempdir().unwrap();
    let [chain_of_another, _] = put(&third, elsewhere.path());
    std::fs::copy(chain_of_another, chain).unwrap();
    daemon.signal(Signal::HUP);
    daemon.logs("all stays as it was").await;
    connect(address, &second, &["http/1.1"]).await;
}
