//! `afterbay verify --transcript` on what clients have really read: whole in every form in which
//! they may read it, and each kind of change found.

use std::fs::File;
use std::process::{Command, Stdio};

use afterbay::http::Settings;
use afterbay::mode::Fidelity;
use tempfile::TempDir;

use super::raw::Answer;
use super::support::daemon::{Daemon, Ended};
use super::support::play::{PROMPT, Play};

const TARGET: &str = "/agents/executions/e-1/events";

/// What `verify` says of a capture, as a stranger runs it.
async fn verify(capture: impl AsRef<[u8]>) -> Ended {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("turn.sse");
    std::fs::write(&file, capture).expect("writes");
    let file = file.to_str().expect("UTF-8");
    Daemon::start(&["verify", "--transcript", file], &[]).ended().await
}

/// Runs it, and compares the exit code and what stands in each line.
#[track_caller]
fn check(ended: &Ended, code: i32, lines: &[&str]) {
    let said: Vec<_> = ended.stdout.lines().collect();
    assert_eq!(ended.code, Some(code), "{ended:?}");
    assert_eq!(said.len(), lines.len(), "{ended:?}");
    for (said, line) in said.iter().zip(lines) {
        assert!(said.contains(line), "no {line:?} in {said:?}");
    }
}

const OK: &str = "ok             e-1: 4 events, ids 1 to 4";

/// A turn as a client read it, and the hall that still has it.
async fn captured() -> (Play, Answer) {
    let play = Play::new().await;
    let answer = play.run_turn("X-Execution-ID: e-1\r\n", PROMPT).await;
    (play, answer)
}

/// The frames of a capture, with what stands before the first in front of it.
fn pieces(capture: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    let mut before = String::new();
    for block in capture.split_inclusive("\n\n") {
        before.push_str(block);
        if block.starts_with("id: ") {
            pieces.push(std::mem::take(&mut before));
        }
    }
    pieces
}

#[tokio::test]
async fn what_a_client_read_is_whole_on_one_connection_or_on_several() {
    let (play, whole) = captured().await;
    check(&verify(&whole.body).await, 0, &[OK, "1 ok, 0 wrong, 0 not checkable"]);
    // Cut within each frame, it comes back with the last id that it has seen, or an older one.
    let at = |n: usize| whole.body.find(&format!("id: {n}\n")).expect("a frame");
    for last in 1..=4 {
        for older in [last, last - 1, 0] {
            let fields = format!("Last-Event-ID: {older}\r\n");
            let rest = play.get(TARGET, &fields).await;
            for cut in [at(last + 1), at(last + 1) + 4, at(last + 1) + 25] {
                let capture = format!("{}{}", &whole.body[..cut], rest.body);
                let said = verify(&capture).await;
                check(&said, 0, &[OK, "1 ok, 0 wrong, 0 not checkable"]);
            }
        }
    }
}

#[tokio::test]
async fn lines_that_were_broken_on_demand_are_the_same_turn() {
    let (play, whole) = captured().await;
    for limit in [1, 7, 20, 1000] {
        let broken = play.get(&format!("{TARGET}?max_line={limit}"), "").await;
        check(&verify(&broken.body).await, 0, &[OK, "1 ok, 0 wrong, 0 not checkable"]);
        // Cut behind any of its lines.
        if limit == 20 {
            let lines: Vec<_> = broken.body.split_inclusive('\n').collect();
            for cut in 0..lines.len() {
                let capture = format!("{}{}", lines[..cut].concat(), broken.body);
                check(&verify(&capture).await, 0, &[OK, "1 ok, 0 wrong, 0 not checkable"]);
            }
        }
        // One connection of each kind.
        let capture = format!("{}{}", &whole.body[..whole.body.len() / 2], broken.body);
        check(&verify(&capture).await, 0, &[OK, "1 ok, 0 wrong, 0 not checkable"]);
    }
    let broken = play.get(&format!("{TARGET}?max_line=20"), "").await.body;
    let changed = broken.replacen("\"text\":", "\"texts\":", 1);
    assert_ne!(changed, broken);
    check(&verify(&changed).await, 1, &["the digest differs", "0 ok, 1 wrong"]);
}

#[tokio::test]
async fn the_log_of_a_session_is_checked_turn_by_turn() {
    let (play, _) = captured().await;
    play.run_turn("X-Execution-ID: e-2\r\n", PROMPT).await;
    let log = play.get("/agents/sessions/ses/events?until=idle", "").await.body;
    let second = "ok             e-2: 4 events, ids 6 to 9";
    check(&verify(&log).await, 0, &[OK, second, "2 ok, 0 wrong, 0 not checkable"]);
    let mut frames = pieces(&log);
    frames.remove(6);
    let wrong = "wrong          e-2: 4 events, ids 6 to 9: id 7 is missing";
    check(&verify(frames.concat()).await, 1, &[OK, wrong, "1 ok, 1 wrong, 0 not checkable"]);
    // Where one turn ends and the next one begins.
    let mut frames = pieces(&log);
    frames.swap(4, 5);
    let said = verify(frames.concat()).await;
    assert_eq!(said.code, Some(1), "{said:?}");
}

#[tokio::test]
async fn each_kind_of_change_is_found() {
    let (_play, whole) = captured().await;
    let frames = pieces(&whole.body);
    assert_eq!(frames.len(), 5);
    for at in 0..4 {
        let id = at + 1;
        let mut dropped = frames.clone();
        dropped.remove(at);
        check(&verify(dropped.concat()).await, 1, &[&format!("id {id} is missing"), "1 wrong"]);

        let mut swapped = frames.clone();
        swapped.swap(at, at + 1);
        let said = verify(swapped.concat()).await;
        let (first, second) = (id, id + 1);
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.stdout.contains(&format!("id {first} stands behind id {second}")), "{said:?}");

        let mut altered = frames.clone();
        altered[at] = altered[at].replacen("data: {", "data: {\"x\":1,", 1);
        check(&verify(altered.concat()).await, 1, &["the digest differs", "0 ok, 1 wrong"]);

        let mut doubled = frames.clone();
        doubled.insert(at + 1, altered[at].clone());
        let twice = format!("id {id} is there twice with different bytes");
        check(&verify(doubled.concat()).await, 1, &[&twice, "0 ok, 1 wrong"]);

        let mut broken = frames.clone();
        broken[at] = broken[at].replacen("data: {", "data: (", 1);
        check(&verify(broken.concat()).await, 1, &[&format!("id {id} is altered"), "1 wrong"]);
    }
    let mut bytes = whole.body.clone().into_bytes();
    let at = whole.body.find("\"one\"").expect("a part's text");
    bytes[at + 1] = 0xff;
    check(&verify(&bytes).await, 1, &["id 2 is altered", "0 ok, 1 wrong"]);
}

#[tokio::test]
async fn where_there_is_nothing_to_check_the_exit_code_is_two() {
    let (_play, whole) = captured().await;
    let frames = pieces(&whole.body);
    for (capture, lines) in [
        ("", &["0 ok, 0 wrong, 0 not checkable"][..]),
        (": connected\n\n", &["0 ok, 0 wrong, 0 not checkable"]),
        (&frames[..4].concat(), &["ids 1 to 4: their `done` is not there", "1 not checkable"]),
    ] {
        let said = verify(capture).await;
        check(&said, 2, lines);
        assert!(said.stderr.contains("nothing was checked"), "{said:?}");
    }
    let settings = Settings { fidelity: Fidelity::Result, ..Settings::default() };
    let play = Play::with(settings).await;
    let result = play.run_turn("X-Execution-ID: e-1\r\n", PROMPT).await;
    check(&verify(&result.body).await, 2, &["their `done` is not there", "1 not checkable"]);
}

#[tokio::test]
async fn what_cannot_be_read_and_a_wrong_command_have_two_as_well() {
    let folder = TempDir::new().expect("a folder");
    let folder = folder.path().to_str().expect("UTF-8");
    for line in [
        &["verify", "--transcript", "no/such/file"][..],
        &["verify", "--transcript", folder],
        &["verify", "--transcript"],
        &["verify"],
        &["verify", "--dance"],
    ] {
        let ended = Daemon::start(line, &[]).ended().await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{line:?}: {ended:?}");
        assert!(!ended.stderr.is_empty(), "{line:?}");
    }
    let help = Daemon::start(&["verify", "--help"], &[]).ended().await;
    assert_eq!(help.code, Some(0));
    assert!(help.stdout.contains("--transcript <FILE>"), "{help:?}");
}

#[tokio::test]
async fn a_dash_reads_stdin() {
    let (_play, whole) = captured().await;
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("turn.sse");
    std::fs::write(&file, &whole.body).expect("writes");
    let ended = tokio::task::spawn_blocking(move || {
        let mut program = Command::new(env!("CARGO_BIN_EXE_afterbay"));
        program.args(["verify", "--transcript", "-"]).stderr(Stdio::null());
        program.stdin(File::open(file).expect("opens")).output().expect("runs")
    });
    let ended = ended.await.expect("no panic");
    let said = String::from_utf8(ended.stdout).expect("UTF-8");
    assert_eq!((ended.status.code(), said.lines().next()), (Some(0), Some(OK)), "{said}");
}
