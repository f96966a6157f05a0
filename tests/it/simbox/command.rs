//! `afterbay simbox`: where it listens, what it takes, what it tells at its end; and many turns.

use std::fmt::Write as _;

use rustix::process::Signal;
use serde_json::json;

use super::super::support::daemon::Daemon;
use super::*;

#[tokio::test]
async fn it_says_where_it_listens_and_ends_with_a_table() {
    let arguments = ["simbox", "--listen", "127.0.0.1:0", "--parts", "2", "--receipt"];
    let mut daemon = Daemon::start(&arguments, &[]);
    let addr = daemon.line("listening on http://").await;
    let mut conn = Conn::open(addr).await;
    let body = r#"{"sessionId":"s","message":"hello","executionId":"e"}"#;
    let length = body.len();
    conn.send(format!(
        "POST /agents/run/stream HTTP/1.1\r\nhost: box\r\nconnection: close\r\n\
         content-length: {length}\r\n\r\n{body}"
    ))
    .await;
    assert_eq!(read(conn).await.head.status(), 202, "a flag is a default for all turns");
    daemon.signal(Signal::TERM);
    let ended = daemon.ended().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let row = ended.stdout.lines().find(|line| line.starts_with("e ")).expect("a row");
    assert_eq!(row.split_whitespace().nth(2), Some("1"), "one dispatch: {row}");
}

#[tokio::test]
async fn a_wrong_command_ends_with_2() {
    for (arguments, says) in [
        (["simbox", "--listen", "0.0.0.0:0"], "loopback"),
        (["simbox", "--step", "5"], "step: `5` is not a time"),
        (["simbox", "--polls", "777:0.1"], "polls: `777` is none of"),
    ] {
        let ended = Daemon::start(&arguments, &[]).ended().await;
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains(says), "{ended:?}");
    }
}

/// One request on a connection that stays open; its body, which has a length.
async fn ask(conn: &mut Conn, request: &str) -> String {
    conn.send(request).await;
    let head = conn.read_head().await;
    let length = head.one("content-length").expect("a length").parse().expect("a number");
    conn.read_exactly(length).await
}

/// A thousand turns are dispatched, run at once and are polled to their ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_turns_at_once_each_run_once() {
    let stage = Stage::with("receipt step=100ms grow=10 wait=answer").await;
    let mut requests = String::new();
    let mut conn = Conn::open(stage.addr).await;
    for turn in 0..1000 {
        let body = json!({ "sessionId": format!("s{turn}"), "message": "go", "detach": true });
        let (body, length) = (body.to_string(), body.to_string().len());
        requests.clear();
        write!(
            requests,
            "POST /agents/run/stream HTTP/1.1\r\nhost: box\r\nx-execution-id: e{turn}\r\n\
             content-length: {length}\r\n\r\n{body}"
        )
        .expect("writes");
        assert!(ask(&mut conn, &requests).await.contains("\"dispatched\":true"));
    }
    let all_are = |state| move |all: &Account| all.turns.iter().all(|turn| turn.state == state);
    stage.until("all run at once", all_are(State::Waiting)).await;
    stage.simbox.answer_waiting();
    let ended = all_are(State::Succeeded);
    let mut polls = 0;
    while !ended(&stage.simbox.account()) {
        for turn in 0..1000 {
            let path = format!("GET /agents/sessions/s{turn} HTTP/1.1\r\nhost: box\r\n\r\n");
            assert!(ask(&mut conn, &path).await.contains("\"state\""));
            polls += 1;
        }
    }
    let account = stage.simbox.account();
    assert_eq!((account.totals.turns, account.totals.runs), (1000, 1000));
    assert_eq!(account.totals.polls.sum(), polls);
    assert!(account.turns.iter().all(|turn| turn.versions.len() == 10));
    drop(conn);
    stage.end().await;
}
