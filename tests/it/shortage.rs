//! The program when the system has not enough of something.

use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::support::daemon::{Daemon, LONG};

#[tokio::test]
async fn a_want_of_descriptors_is_told_and_survived() {
    let line = ["serve", "--box", "http://127.0.0.1:1", "--kind", "opencode"];
    let line = [&line[..], &["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]].concat();
    let mut daemon = Daemon::start_with_descriptors(32, &line);
    let (clients, _) = daemon.addresses().await;
    let mut crowd = Vec::new();
    for _ in 0..64 {
        crowd.push(TcpStream::connect(clients).await.unwrap());
    }
    daemon.logs("connections cannot be accepted for now").await;
    drop(crowd);
    let mut one = TcpStream::connect(clients).await.unwrap();
    one.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    timeout(LONG, one.read_to_end(&mut answer)).await.expect("an answer in time").unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 "), "{answer:?}");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.exit().await.code(), Some(0));
}
