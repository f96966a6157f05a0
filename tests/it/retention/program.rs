//! The program itself, told to keep more free than there is.

use std::net::SocketAddr;

use serde_json::Value;

use super::super::raw::{Answer, Conn, read};
use super::super::support::daemon::Daemon;
use super::super::support::rig::within;

async fn ask(at: SocketAddr, line: &str, body: &str) -> Answer {
    let mut client = Conn::open(at).await;
    let length = body.len();
    let fields = format!("Host: localhost\r\nConnection: close\r\nContent-Length: {length}");
    client.send(format!("{line} HTTP/1.1\r\n{fields}\r\n\r\n{body}")).await;
    read(client).await
}

#[tokio::test]
async fn a_disk_without_the_room_that_is_to_stay_free_takes_no_new_turns_and_says_so() {
    let line = ["serve", "--box", "http://127.0.0.1:1", "--kind", "opencode"];
    let line = [&line[..], &["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]].concat();
    let mut daemon = Daemon::start(&line, &[("AFTERBAY_RETENTION_FREE", "9999999TiB")]);
    let (clients, operators) = daemon.addresses().await;
    let ready = async {
        loop {
            let ready = ask(operators, "GET /readyz", "").await;
            if ready.head.status() == 503 {
                break ready;
            }
        }
    };
    let ready = within("the first look is over", ready).await;
    let said: Value = serde_json::from_str(&ready.body).expect("JSON");
    assert_eq!((&said["missing"], &said["room"]), (&serde_json::json!(["room"]), &false.into()));
    let refused = ask(clients, "POST /agents/run/stream", r#"{"message":"hi"}"#).await;
    assert_eq!((refused.head.status(), refused.json("/error/code").as_str()), (503, "NO_ROOM"));
    assert_eq!(refused.head.one("retry-after"), Some("2"));
    let metrics = ask(operators, "GET /metrics", "").await.body;
    for line in ["afterbay_retention_refusing_turns 1", "# HELP afterbay_log_free_bytes Bytes "] {
        assert!(metrics.lines().any(|l| l.starts_with(line)), "{line}: {metrics}");
    }
    let files = metrics.lines().find_map(|l| l.strip_prefix("afterbay_log_file_bytes "));
    assert!(files.expect("told").parse::<u64>().expect("a number") > 0);
}
