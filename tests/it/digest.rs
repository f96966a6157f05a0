//! What `done` tells of the frames before it, held against what a client has read: over cuts,
//! restarts, a log that refuses, and damage.

use std::time::Duration;

use afterbay::event::Seq;
use afterbay::http::Settings;
use afterbay::log::{Logged, Step};
use afterbay::mode::Fidelity;
use afterbay::turn::Deadlines;
use afterbay::upstream::Ending;
use serde_json::{Value, json};

use super::raw::{Answer, read};
use super::support::faulty_disk::Operation;
use super::support::log_bytes::{body, groups};
use super::support::play::{PROMPT, Play};
use super::support::puppet::{Call, Delivery, Fault, GOOD};
use super::support::rig::{Rig, check_digest, names, until, within};

/// The frames of a stream as they came; comments and `retry:` are none.
fn frames(answer: &Answer) -> Vec<&str> {
    let blocks = answer.body.split_inclusive("\n\n");
    blocks.filter(|block| block.starts_with("id: ")).collect()
}

/// Takes the digest over the bytes that came, and holds it against what the last frame tells.
#[track_caller]
fn check(frames: &[&str]) {
    let (done, before) = frames.split_last().expect("frames");
    let digest = blake3::hash(before.concat().as_bytes());
    let told = format!(",\"events\":{},\"digest\":\"{digest}\"}}\n\n", before.len());
    assert!(done.contains("\nevent: done\n") && done.ends_with(&told), "{done}: not {told}");
}

#[tokio::test]
async fn done_tells_the_digest_of_the_frames_that_its_client_read() {
    let play = Play::new().await;
    let first = play.run_turn("X-Execution-ID: e-1\r\n", PROMPT).await;
    check(&frames(&first));
    // Another turn of the session has its own, although the log goes on.
    let second = play.run_turn("X-Execution-ID: e-2\r\n", PROMPT).await;
    assert_eq!(second.ids(), [6, 7, 8, 9, 10]);
    check(&frames(&second));
    let log = play.get("/agents/sessions/ses/events?until=idle", "").await;
    assert_eq!(frames(&log), [frames(&first), frames(&second)].concat());
}

#[tokio::test]
async fn a_client_that_came_back_has_read_the_same_frames() {
    let play = Play::new().await;
    play.run_turn("X-Execution-ID: e-1\r\n", PROMPT).await;
    let target = "/agents/executions/e-1/events";
    let (whole, rest) =
        (play.get(target, "").await, play.get(target, "Last-Event-ID: 3\r\n").await);
    check(&[&frames(&whole)[..3], &frames(&rest)].concat());
}

#[tokio::test]
async fn the_error_of_a_turn_that_fails_or_is_stopped_is_among_the_frames() {
    let play = Play::new().await;
    play.hall.script.says("one");
    play.hall.script.ends(Ending::Failed { code: "X".into(), message: "it broke".into() });
    let failed = read(play.post("X-Execution-ID: e-1\r\n", PROMPT).await).await;
    assert_eq!(failed.frames().iter().rev().nth(2), Some(&(Some(3), "error")));
    check(&frames(&failed));
    play.hall.script.says("two");
    play.hall.script.ends(Ending::Cancelled);
    let stopped = read(play.post("X-Execution-ID: e-2\r\n", PROMPT).await).await;
    assert_eq!(stopped.last_data("done")["status"], "cancelled");
    check(&frames(&stopped));
}

#[tokio::test]
async fn clients_that_see_the_result_alone_are_told_no_digest() {
    let settings = Settings { fidelity: Fidelity::Result, ..Settings::default() };
    let play = Play::with(settings).await;
    let answer = play.run_turn("X-Execution-ID: e-1\r\n", PROMPT).await;
    assert_eq!(answer.frames(), [(Some(1), "result")]);
    assert!(!answer.body.contains("digest"), "{}", answer.body);
}

#[tokio::test]
async fn a_log_that_refuses_a_page_and_a_close_out_makes_no_frame_count_twice() {
    let rig = Rig::new();
    rig.puppet.hold(Call::Poll);
    let turn = rig.post("e-1").await.expect("started").turn;
    rig.puppet.stands(Call::Poll).await;
    for text in ["a", "b", "c"] {
        rig.puppet.says("e-1", text);
    }
    // The second step of the page is refused, and with it the rest.
    rig.disk.fail(Operation::Write, 1, 28);
    rig.puppet.release(Call::Poll);
    until("the page is told", || turn.session.tail().next_seq.get() == 5).await;
    // Whatever is written next is the close-out: it is refused three times.
    rig.puppet.hold(Call::Poll);
    rig.puppet.stands(Call::Poll).await;
    for _ in 0..3 {
        rig.disk.fail(Operation::Write, 0, 28);
    }
    rig.puppet.ends("e-1", Ending::Completed);
    rig.puppet.release(Call::Poll);
    let lines = rig.finished("e-1").await;
    assert_eq!(lines.len(), 6);
    check_digest(&lines);
}

#[tokio::test]
async fn a_close_out_that_was_refused_after_a_restart_reads_nothing_twice() {
    let mut rig = Rig::new();
    rig.puppet.says("e-1", "a");
    let turn = rig.post("e-1").await.expect("started").turn;
    until("a part is told", || turn.session.tail().next_seq.get() == 3).await;
    rig.kill().await;
    rig.puppet.says("e-1", "b");
    rig.look("s", Some(GOOD)).await.expect("its owner");
    until("it goes on", || rig.session("s").expect("known").tail().next_seq.get() == 4).await;
    rig.puppet.hold(Call::Poll);
    rig.puppet.stands(Call::Poll).await;
    // The mark before the reading, then the close-out itself.
    for skip in [0, 1] {
        rig.disk.fail(Operation::Write, skip, 28);
    }
    rig.puppet.ends("e-1", Ending::Completed);
    rig.puppet.release(Call::Poll);
    let lines = rig.finished("e-1").await;
    assert_eq!(names(&lines).len(), 5);
    check_digest(&lines);
}

#[tokio::test]
async fn a_done_that_the_box_told_keeps_its_own_data_also_if_the_log_refuses_it_once() {
    for refusals in [0, 1] {
        let rig = Rig::new();
        rig.puppet.hold(Call::Dispatch);
        rig.puppet.deliver([Delivery::Told]);
        rig.post("e-1").await.expect("started");
        rig.puppet.stands(Call::Dispatch).await;
        rig.puppet.ends("e-1", Ending::Completed);
        for _ in 0..refusals {
            // After the record that the box has the turn.
            rig.disk.fail(Operation::Write, 1, 28);
        }
        rig.puppet.release(Call::Dispatch);
        let lines = rig.finished("e-1").await;
        assert_eq!(names(&lines), ["execution.started", "result", "done"]);
        assert_eq!(lines[1].2, r#"{"by":"the box"}"#, "{refusals} refusals");
        assert_eq!(lines[2].2, r#"{"by":"the box"}"#, "{refusals} refusals");
    }
}

/// The data of a turn's `done`, whatever is missing before it.
async fn done_of(rig: &Rig, execution: &str) -> Value {
    let turn = rig.turn(execution).expect("a turn");
    until("the turn ends", || turn.last().is_some()).await;
    let last = turn.last().expect("just seen");
    let mut cursor = turn.session.cursor(last.previous());
    let Step::Records(records) = within("it is read", cursor.next()).await.expect("readable")
    else {
        panic!("no records");
    };
    let done = records.into_iter().find_map(|logged| match logged {
        Logged::Event { seq, event } if seq == last => Some(event),
        Logged::Event { .. } | Logged::Control(_) => None,
    });
    let done = done.expect("the last event");
    assert!(done.name == *"done");
    serde_json::from_slice(done.data.as_bytes()).expect("JSON")
}

/// Damages the batch that holds this text.
fn damage(rig: &Rig, text: &str) {
    for name in rig.disk.names().into_iter().filter(|name| name.starts_with("segment")) {
        let content = rig.disk.content(&name);
        if content.is_empty() {
            continue;
        }
        for batch in groups(&content).into_iter().flat_map(|group| group.batches) {
            if content[batch.clone()].windows(text.len()).any(|bytes| bytes == text.as_bytes()) {
                rig.disk.damage(&name, |content| content[body(&batch).start] ^= 0x40);
            }
        }
    }
}

#[tokio::test]
async fn a_turn_of_which_the_log_lost_a_part_ends_without_a_digest() {
    for lost in ["told-1", "told-2"] {
        let unreachable = Duration::from_millis(300);
        let mut rig = Rig::with(Deadlines { unreachable, ..Deadlines::default() }, None);
        let turn = rig.post("e-1").await.expect("started").turn;
        for (text, next) in [("told-1", 3), ("told-2", 4)] {
            rig.puppet.says("e-1", text);
            until("a part is told", || turn.session.tail().next_seq.get() == next).await;
        }
        // Another session writes behind it, or the damage could not be told from a torn end.
        rig.post_as(Some(GOOD), Some("t"), Some("e-2"), None).await.expect("started");
        rig.puppet.ends("e-2", Ending::Completed);
        check_digest(&rig.finished("e-2").await);
        rig.die().await;
        damage(&rig, lost);
        // The box stays away: the close-out is the first that is written after the damage.
        for _ in 0..100_000 {
            rig.puppet.fail(Call::Poll, Fault::Connect);
        }
        rig.start();
        rig.look("s", Some(GOOD)).await.expect("its owner");
        let done = done_of(&rig, "e-1").await;
        assert_eq!(done["status"], json!("failed"), "{lost}: {done}");
        assert_eq!((done.get("events"), done.get("digest")), (None, None), "{lost}: {done}");
        let tail = rig.session("s").expect("known").tail().next_seq;
        assert_eq!(tail, Seq::new(7), "{lost}: the lost number stays");
    }
}
