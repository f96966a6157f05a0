//! Restarts in the middle of a turn, in one process: stopped or killed at every stage, the turn
//! goes on where its log says, once.

mod breaking_disk;

use std::sync::Arc;
use std::time::Duration;

use afterbay::credential::{Caller, Credential};
use afterbay::ids::BoxName;
use afterbay::mode::Phase;
use afterbay::session::{Abort, Answered};
use afterbay::turn::Deadlines;
use afterbay::turn::verdict::Withdrawal;
use afterbay::upstream::Ending;
use bytes::Bytes;

use super::support::faulty_disk::Operation;
use super::support::puppet::{Call, Delivery, Fault, GOOD};
use super::support::rig::{Line, Rig, check_digest, events, names, request, until, within};

const OTHER: &str = "Bearer other";

#[derive(Debug, Clone, Copy)]
enum End {
    Stopped,
    Killed,
}

const ENDS: [End; 2] = [End::Stopped, End::Killed];

async fn again(rig: &mut Rig, end: End) {
    match end {
        End::Stopped => rig.restart().await,
        End::Killed => rig.kill().await,
    }
    rig.puppet.release_all();
}

/// Takes a turn to its verdict and checks that it was dispatched once, closed once, and that
/// everything that the agent said is there once, in order, and summed up by `done`.
async fn ends_well(rig: &Rig, execution: &str) {
    rig.puppet.ends(execution, Ending::Completed);
    let lines = rig.finished(execution).await;
    assert_eq!(rig.puppet.arrivals(execution), 1);
    let told = lines.iter().filter(|(_, name, _)| name == "message.part.updated");
    let told: Vec<_> = told.map(|(_, _, data)| data.clone()).collect();
    let said = rig.puppet.said(execution);
    let said: Vec<_> =
        said.iter().map(|text| format!("{{\"part\":{{\"text\":\"{text}\"}}}}")).collect();
    assert_eq!(told, said);
    let mut expected = vec!["execution.started"];
    expected.extend(said.iter().map(|_| "message.part.updated"));
    expected.extend(["result", "done"]);
    assert_eq!(names(&lines), expected);
    check_digest(&lines);
}

fn short(start: u64) -> Deadlines {
    Deadlines { start: Duration::from_millis(start), ..Deadlines::default() }
}

async fn event_count(rig: &Rig) -> usize {
    events(&rig.session("s").expect("a session")).await.len()
}

#[tokio::test]
async fn a_turn_whose_prompt_was_not_sent_waits_for_it_and_takes_it_from_a_repeated_post() {
    for end in ENDS {
        let mut rig = Rig::new();
        rig.puppet.hold(Call::Prepare);
        rig.post("e-1").await.expect("started");
        rig.puppet.stands(Call::Prepare).await;
        again(&mut rig, end).await;
        assert_eq!(rig.session("s").expect("known").phase(), Some(Phase::Accepted));
        // Its owner looks at it; that brings no prompt back.
        rig.look("s", Some(GOOD)).await.expect("its owner");
        let mut other = request(Some(GOOD), Some("s"), Some("e-1"), None);
        other.body.bytes = Bytes::from_static(b"{\"message\":\"other\"}");
        let other = rig.sessions().start_turn(&BoxName::default_box(), other).await;
        assert!(!other.expect("attached").new);
        assert_eq!(rig.puppet.arrivals("e-1"), 0, "{end:?}");
        let (one, two) = tokio::join!(rig.post("e-1"), rig.post("e-1"));
        assert!(!one.expect("attached").new && !two.expect("attached").new);
        rig.puppet.says("e-1", "a");
        ends_well(&rig, "e-1").await;
    }
}

#[tokio::test]
async fn a_prompt_that_nobody_repeats_is_withdrawn_and_its_ids_are_free() {
    for end in ENDS {
        let mut rig = Rig::with(short(200), None);
        rig.puppet.hold(Call::Prepare);
        rig.post("e-1").await.expect("started");
        rig.puppet.stands(Call::Prepare).await;
        again(&mut rig, end).await;
        if let Some(turn) = rig.turn("e-1") {
            let answered = within("it is given up", turn.answered()).await;
            assert!(matches!(answered, Answered::Withdrawn(Withdrawal::NeverSent)), "{answered:?}");
        }
        assert!(rig.turn("e-1").is_none() && rig.session("s").is_none());
        again(&mut rig, end).await;
        assert!(rig.turn("e-1").is_none() && rig.session("s").is_none(), "{end:?}");
        assert!(rig.post("e-1").await.expect("started").new);
        ends_well(&rig, "e-1").await;
    }
}

#[tokio::test]
async fn a_prompt_that_arrived_in_silence_is_found_after_the_restart() {
    for end in ENDS {
        let mut rig = Rig::new();
        rig.puppet.deliver([Delivery::TakenInSilence]);
        rig.puppet.hold(Call::Find);
        rig.post("e-1").await.expect("started");
        rig.puppet.stands(Call::Find).await;
        again(&mut rig, end).await;
        assert_eq!(rig.session("s").expect("known").phase(), Some(Phase::Resolving));
        assert!(!rig.post("e-1").await.expect("attached").new);
        rig.puppet.says("e-1", "a");
        ends_well(&rig, "e-1").await;
    }
}

#[tokio::test]
async fn a_prompt_that_was_leaving_when_the_process_died_is_found_and_not_sent_again() {
    let mut rig = Rig::new();
    rig.puppet.hold(Call::Dispatch);
    rig.post("e-1").await.expect("started");
    rig.puppet.stands(Call::Dispatch).await;
    again(&mut rig, End::Killed).await;
    assert_eq!(rig.puppet.arrivals("e-1"), 1);
    rig.look("s", Some(GOOD)).await.expect("its owner");
    ends_well(&rig, "e-1").await;
    assert_eq!(rig.puppet.calls(Call::Dispatch), 1);
}

#[tokio::test]
async fn a_prompt_that_is_nowhere_is_unconfirmed_and_its_session_goes_on() {
    for end in ENDS {
        let mut rig = Rig::with(short(400), None);
        rig.puppet.deliver([Delivery::LostOnTheWay]);
        rig.puppet.hold(Call::Find);
        rig.post("e-1").await.expect("started");
        rig.puppet.stands(Call::Find).await;
        again(&mut rig, end).await;
        rig.look("s", Some(GOOD)).await.expect("its owner");
        let lines = rig.finished("e-1").await;
        assert_eq!(names(&lines), ["error", "result", "done"]);
        assert!(lines[0].2.contains("DISPATCH_UNCONFIRMED"), "{lines:?}");
        again(&mut rig, end).await;
        // It may have run: it never runs again, and its starter owns the session.
        assert!(!rig.post("e-1").await.expect("attached").new);
        assert_eq!(rig.look("s", None).await, Err(401));
        assert_eq!(rig.look("s", Some(OTHER)).await, Err(403));
        assert!(rig.post("e-2").await.expect("started").new);
        ends_well(&rig, "e-2").await;
        assert_eq!((rig.puppet.arrivals("e-1"), rig.puppet.calls(Call::Dispatch)), (0, 2));
    }
}

#[tokio::test]
async fn a_running_turn_goes_on_after_its_last_durable_event() {
    for end in ENDS {
        let mut rig = Rig::new();
        for text in ["a", "b", "c"] {
            rig.puppet.says("e-1", text);
        }
        let turn = rig.post("e-1").await.expect("started").turn;
        until("three parts are told", || turn.session.tail().next_seq.get() == 5).await;
        rig.puppet.hold(Call::Poll);
        rig.puppet.stands(Call::Poll).await;
        rig.puppet.says("e-1", "d");
        for _ in 0..2 {
            again(&mut rig, end).await;
            assert_eq!(rig.session("s").expect("known").phase(), Some(Phase::Running));
        }
        assert_eq!(event_count(&rig).await, 4);
        rig.look("s", Some(GOOD)).await.expect("its owner");
        ends_well(&rig, "e-1").await;
    }
}

#[tokio::test]
async fn a_close_out_that_was_refused_is_written_once_after_the_restart() {
    for end in ENDS {
        let mut rig = Rig::new();
        let turn = rig.post("e-1").await.expect("started").turn;
        until("it runs", || turn.session.tail().next_seq.get() == 2).await;
        for _ in 0..100 {
            rig.disk.fail(Operation::Write, 0, 28);
        }
        rig.puppet.ends("e-1", Ending::Completed);
        until("it closes", || rig.sessions().health() == afterbay::log::Health::Refusing).await;
        again(&mut rig, end).await;
        rig.look("s", Some(GOOD)).await.expect("its owner");
        ends_well(&rig, "e-1").await;
        again(&mut rig, end).await;
        assert_eq!(event_count(&rig).await, 3, "{end:?}");
        assert!(!rig.post("e-1").await.expect("attached").new);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_out_that_was_being_synced_is_there_once() {
    let mut rig = Rig::new();
    let turn = rig.post("e-1").await.expect("started").turn;
    until("it runs", || turn.session.tail().next_seq.get() == 2).await;
    rig.disk.hold(&[Operation::Sync]);
    rig.puppet.ends("e-1", Ending::Completed);
    let disk = rig.disk.clone();
    tokio::task::spawn_blocking(move || disk.wait_until_held()).await.expect("held");
    again(&mut rig, End::Killed).await;
    rig.look("s", Some(GOOD)).await.expect("its owner");
    ends_well(&rig, "e-1").await;
    assert_eq!(event_count(&rig).await, 3);
}

#[tokio::test]
async fn a_turn_without_its_credential_waits_and_takes_only_one_that_the_box_accepts() {
    let mut rig = Rig::new();
    rig.puppet.accept(OTHER);
    rig.post("e-1").await.expect("started");
    until("it runs", || rig.session("s").is_some_and(|s| s.phase() == Some(Phase::Running))).await;
    // Another credential that the box vouches for becomes a reader, durably.
    rig.look("s", Some(OTHER)).await.expect("vouched for");
    rig.puppet.says("e-1", "a");
    again(&mut rig, End::Stopped).await;
    rig.puppet.revoke(OTHER);
    let polls = rig.puppet.calls(Call::Poll);
    assert_eq!(rig.look("s", None).await, Err(401));
    assert_eq!(rig.look("s", Some("Bearer third")).await, Err(401));
    let vouches = rig.puppet.calls(Call::Vouch);
    // A reader still, but the box does not take its credential any more.
    rig.look("s", Some(OTHER)).await.expect("a reader");
    until("the box is asked", || rig.puppet.calls(Call::Vouch) > vouches).await;
    assert_eq!(rig.puppet.calls(Call::Poll), polls);
    rig.puppet.accept(OTHER);
    rig.look("s", Some(OTHER)).await.expect("a reader");
    until("it is polled", || rig.puppet.calls(Call::Poll) > polls).await;
    ends_well(&rig, "e-1").await;
}

#[tokio::test]
async fn a_credential_that_was_shown_before_the_old_one_expired_is_taken_then() {
    let rig = Rig::new();
    rig.puppet.accept(OTHER);
    rig.post("e-1").await.expect("started");
    until("it runs", || rig.session("s").is_some_and(|s| s.phase() == Some(Phase::Running))).await;
    // Its client comes back once, with a new credential, and stays.
    rig.look("s", Some(OTHER)).await.expect("vouched for");
    rig.puppet.revoke(GOOD);
    rig.puppet.says("e-1", "a");
    ends_well(&rig, "e-1").await;
}

#[tokio::test]
async fn the_configured_credential_drives_what_its_starter_cannot() {
    let mut rig = Rig::with(Deadlines::default(), Some(GOOD));
    rig.puppet.accept(OTHER);
    rig.post_as(Some(OTHER), Some("s"), Some("e-1"), None).await.expect("started");
    until("it runs", || rig.session("s").is_some_and(|s| s.phase() == Some(Phase::Running))).await;
    rig.puppet.revoke(OTHER);
    rig.puppet.says("e-1", "a");
    until("its part is told", || rig.session("s").is_some_and(|s| s.tail().next_seq.get() == 3))
        .await;
    again(&mut rig, End::Killed).await;
    rig.puppet.says("e-1", "b");
    ends_well(&rig, "e-1").await;
    // It drives, and opens nothing to those who read.
    assert_eq!(rig.look("s", None).await, Err(401));
}

#[tokio::test]
async fn rights_and_names_hold_after_a_restart_without_the_box() {
    let mut rig = Rig::new();
    rig.puppet.accept(OTHER);
    for execution in ["e-1", "e-2"] {
        rig.post(execution).await.expect("started");
        ends_well(&rig, execution).await;
    }
    rig.look("s", Some(OTHER)).await.expect("vouched for");
    rig.post_as(None, Some("open"), Some("e-3"), None).await.expect("started");
    again(&mut rig, End::Killed).await;
    for _ in 0..10 {
        rig.puppet.fail(Call::Vouch, Fault::Connect);
    }
    for (who, right) in
        [(Some(GOOD), Ok(())), (Some(OTHER), Ok(())), (None, Err(401)), (Some("x"), Err(403))]
    {
        assert_eq!(rig.look("s", who).await, right, "{who:?}");
        assert_eq!(rig.look("box-s", who).await, right, "{who:?}");
    }
    let (one, two) = (rig.turn("e-1").expect("known"), rig.turn("e-2").expect("known"));
    assert_eq!((one.last().map(|s| s.get()), two.from.get()), (Some(3), 4));
    // A box that wants a credential refused the one without: it never was.
    assert!(rig.turn("e-3").is_none() && rig.session("open").is_none());
    rig.post("e-4").await.expect("started");
    ends_well(&rig, "e-4").await;
    let all: Vec<Line> = events(&rig.session("s").expect("known")).await;
    assert_eq!(all.iter().filter(|(_, name, _)| name == "done").count(), 3);
}

#[tokio::test]
async fn a_stop_that_was_answered_outlives_the_restart_also_if_the_turn_had_not_heard_of_it() {
    for end in ENDS {
        let mut rig = Rig::new();
        rig.puppet.deliver([Delivery::TakenInSilence]);
        for _ in 0..1000 {
            rig.puppet.fail(Call::Find, Fault::Connect);
        }
        let turn = rig.post("e-1").await.expect("started").turn;
        until("it is looked for", || rig.puppet.calls(Call::Find) > 2).await;
        // It hangs in a call, and so cannot hear of the stop before the restart.
        rig.puppet.hold(Call::Find);
        rig.puppet.stands(Call::Find).await;
        let who = Caller::Holder(Credential::new(GOOD));
        let abort = rig.sessions().abort(&turn.session, Some(&who)).await;
        assert!(matches!(abort, Ok(Abort::Asked)), "{abort:?}");
        again(&mut rig, end).await;
        rig.puppet.release_all();
        rig.puppet.mend();
        rig.look("s", Some(GOOD)).await.expect("its owner");
        let lines = rig.finished("e-1").await;
        assert_eq!(names(&lines), ["execution.started", "error", "result", "done"]);
        assert!(lines[1].2.contains("CANCELLED"), "{lines:?}");
    }
}

#[tokio::test]
async fn a_finished_turn_holds_nothing_of_its_body() {
    #[derive(Debug)]
    struct Owned(Arc<Vec<u8>>);
    impl AsRef<[u8]> for Owned {
        fn as_ref(&self) -> &[u8] {
            self.0.as_slice()
        }
    }
    let rig = Rig::new();
    let body = Arc::new(b"{\"message\":\"hi\"}".to_vec());
    let mut asked = request(Some(GOOD), Some("s"), Some("e-1"), None);
    asked.body.bytes = Bytes::from_owner(Owned(Arc::clone(&body)));
    let started = rig.sessions().start_turn(&BoxName::default_box(), asked).await;
    let started = started.expect("started");
    within("it is dispatched", started.turn.answered()).await;
    // Also while it runs, and for whoever still reads it.
    until("the body is free", || Arc::strong_count(&body) == 1).await;
    ends_well(&rig, "e-1").await;
    drop(started);
}
