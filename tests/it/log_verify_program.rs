//! `afterbay verify` as a stranger runs it: exit codes, lines, one JSON object, a folder that
//! somebody has.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use afterbay::log::{RealDisk, Store, UpkeepBy};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::support::daemon::{Daemon, Ended};
use super::support::log_bytes::{body, groups};
use super::support::log_life::{Life, open};

async fn verify(arguments: &[&str]) -> Ended {
    let line = [&["verify"], arguments].concat();
    Daemon::start(&line, &[]).ended().await
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// A data folder with a log in it, open.
async fn written() -> (TempDir, PathBuf, Store) {
    let home = tempfile::tempdir().expect("tempdir");
    let log = home.path().join("log");
    let store = open(Arc::new(RealDisk::open(&log).expect("open")), UpkeepBy::Writer);
    let mut life = Life::new(5, 3);
    for _ in 0..20 {
        life.step(&store).await.expect("append");
    }
    life.step_all(&store).await;
    (home, log, store)
}

/// Turns a bit in the first batch of the log.
fn damage(log: &Path) -> String {
    let mut names: Vec<PathBuf> =
        std::fs::read_dir(log).expect("list").map(|entry| entry.expect("entry").path()).collect();
    names.retain(|path| text(path).contains("segment-") && text(path).ends_with(".log"));
    names.sort_unstable();
    let path = &names[0];
    let mut bytes = std::fs::read(path).expect("read");
    let at = body(&groups(&bytes)[0].batches[0]).start;
    bytes[at] ^= 1;
    std::fs::write(path, bytes).expect("write");
    path.file_name().expect("a name").to_str().expect("UTF-8").to_owned()
}

#[tokio::test]
async fn the_exit_code_says_whole_wrong_or_nothing_to_check() {
    let (home, log, store) = written().await;
    // The roles of the records are made up: indexes are made for those, so they are taken away.
    store.close().await;
    for entry in std::fs::read_dir(&log).expect("list") {
        let path = entry.expect("entry").path();
        if text(&path).ends_with(".idx") {
            std::fs::remove_file(path).expect("remove");
        }
    }
    for path in [home.path(), &log] {
        let ended = verify(&[text(path)]).await;
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
        let last = ended.stdout.lines().last().expect("a line");
        assert!(last.starts_with("whole: ") && last.contains(" 3 sessions"), "{ended:?}");
    }
    let file = damage(&log);
    let ended = verify(&[text(home.path())]).await;
    let first = ended.stdout.lines().next().expect("a line");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(first.starts_with(&format!("wrong          {file} bytes 1064..")), "{first}");
    assert!(first.contains("the batch is damaged; session sess_"), "{first}");
    assert!(ended.stdout.contains("\n1 wrong: "), "{ended:?}");

    let ended = verify(&["--json", text(home.path())]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let told: Value = serde_json::from_str(&ended.stdout).expect("one object");
    assert_eq!((&told["whole"], &told["end_found"]), (&Value::Bool(false), &Value::Bool(true)));
    let finding = &told["findings"][0];
    assert_eq!(
        (finding["file"].as_str(), finding["fault"].as_str()),
        (Some(&*file), Some("damaged-batch"))
    );
    assert_eq!(finding["records"][0], 1, "{told}");
}

#[tokio::test]
async fn where_there_is_no_log_and_for_a_wrong_command_the_exit_code_is_two() {
    let empty = tempfile::tempdir().expect("tempdir");
    let none = empty.path().join("none");
    for arguments in [&[text(empty.path())][..], &[text(&none)], &[], &["--dance"]] {
        let ended = verify(arguments).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(!ended.stderr.is_empty(), "{arguments:?}");
    }
    let help = verify(&["--help"]).await;
    assert_eq!(help.code, Some(0));
    assert!(help.stdout.contains("DATA_DIR") && help.stdout.contains("--json"), "{help:?}");
}

#[tokio::test]
async fn the_folder_of_a_running_daemon_is_checked_under_its_eyes_and_after_a_kill() {
    let mut simbox = Daemon::start(&["simbox", "--listen", "127.0.0.1:0"], &[]);
    let at = simbox.line("listening on http://").await;
    let home = tempfile::tempdir().expect("tempdir");
    let url = format!("http://{at}");
    let line = ["serve", "--kind", "tangle", "--box", &url, "--listen", "127.0.0.1:0"];
    let line = [&line[..], &["--admin", "127.0.0.1:0", "--data-dir", text(home.path())]].concat();
    let mut daemon = Daemon::start(&line, &[]);
    let (address, _) = daemon.addresses().await;
    for turn in 0..3 {
        let body = format!(r#"{{"sessionId":"s","turnId":"t{turn}","message":"parts=2"}}"#);
        let mut client = TcpStream::connect(address).await.expect("connects");
        let head = format!(
            "POST /agents/run/stream HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        client.write_all(head.as_bytes()).await.expect("sends");
        let mut answer = Vec::new();
        let read = tokio::io::AsyncReadExt::read_to_end(&mut client, &mut answer);
        tokio::time::timeout(super::support::daemon::LONG, read)
            .await
            .expect("in time")
            .expect("reads");
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.contains("event: done"), "{answer}");
        let ended = verify(&["--json", text(home.path())]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let told: Value = serde_json::from_str(&ended.stdout).expect("one object");
        assert!(told["counts"]["events"].as_u64() > Some(turn), "{told}");
    }
    daemon.signal(Signal::KILL);
    daemon.exit().await;
    let ended = verify(&[text(home.path())]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}
