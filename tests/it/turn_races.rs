//! Requests that meet at the worst moment: twins, aborts before and while a prompt leaves, ids
//! that are used again while they are being released.

use std::sync::Arc;

use afterbay::credential::{Caller, Credential};
use afterbay::session::{Abort, Answered, Session, StartError};
use afterbay::turn::verdict::Withdrawal;
use afterbay::upstream::Ending;
use futures_util::FutureExt as _;

use super::support::faulty_disk::Operation;
use super::support::puppet::{Call, Delivery, GOOD};
use super::support::rig::{Rig, names, request, until, within};

const OTHER: &str = "Bearer other";

/// A turn from its POST to its verdict.
async fn play(rig: &Rig, execution: &str) {
    rig.post(execution).await.expect("started");
    rig.puppet.ends(execution, Ending::Completed);
    rig.finished(execution).await;
}

async fn twin_that_waits_while_the_other_runs(execution: Option<&'static str>) {
    let rig = Rig::new();
    play(&rig, "e-0").await;
    rig.puppet.accept(OTHER);
    rig.puppet.hold(Call::Vouch);
    let slow = rig.post_as(Some(OTHER), Some("s"), execution, Some("t-1"));
    let quick = async {
        rig.puppet.stands(Call::Vouch).await;
        let started = rig.post_as(Some(GOOD), Some("s"), execution, Some("t-1")).await;
        let id = started.expect("started").turn.execution.to_string();
        rig.puppet.ends(&id, Ending::Completed);
        rig.finished(&id).await;
        rig.puppet.release(Call::Vouch);
        id
    };
    let (slow, id) = within("both are answered", async { tokio::join!(slow, quick) }).await;
    let slow = slow.expect("attached");
    assert!(!slow.new, "a second turn under the ids of the first");
    assert_eq!(slow.turn.execution.as_str(), id);
    assert_eq!(rig.puppet.calls(Call::Dispatch), 2);
}

#[tokio::test]
async fn a_twin_that_waited_for_its_right_attaches_to_the_finished_execution() {
    twin_that_waits_while_the_other_runs(Some("e-1")).await;
}

#[tokio::test]
async fn a_twin_that_waited_for_its_right_attaches_to_the_finished_turn() {
    twin_that_waits_while_the_other_runs(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twins_that_come_in_the_same_moment_are_one_dispatch_and_none_is_turned_away() {
    let rig = Rig::new();
    for round in 0..150 {
        let (session, execution) = (format!("s-{round}"), format!("e-{round}"));
        let (sessions, puppet) = (rig.sessions().clone(), rig.puppet.clone());
        let barrier = std::sync::Arc::new(tokio::sync::Barrier::new(6));
        let mut posts = tokio::task::JoinSet::new();
        for _ in 0..6 {
            let request = request(Some(GOOD), Some(&session), Some(&execution), Some("t"));
            let (sessions, barrier) = (sessions.clone(), barrier.clone());
            posts.spawn(async move {
                barrier.wait().await;
                let home = afterbay::ids::BoxName::default_box();
                sessions.start_turn(&home, request).await
            });
        }
        let mut new = 0;
        for post in posts.join_all().await {
            match post {
                Ok(started) => new += usize::from(started.new),
                Err(error) => panic!("round {round}: {error:?}"),
            }
        }
        assert_eq!(new, 1, "round {round}");
        puppet.ends(&execution, Ending::Completed);
        rig.finished(&execution).await;
        assert_eq!(puppet.arrivals(&execution), 1, "round {round}");
    }
}

#[tokio::test]
async fn an_abort_before_the_prompt_leaves_means_that_it_never_does() {
    let rig = Rig::new();
    rig.puppet.hold(Call::Prepare);
    let started = rig.post("e-1").await.expect("started");
    rig.puppet.stands(Call::Prepare).await;
    let who = Caller::Holder(Credential::new(GOOD));
    let abort = rig.sessions().abort(&started.turn.session, Some(&who)).await;
    assert!(matches!(abort, Ok(Abort::Asked)), "{abort:?}");
    rig.puppet.release(Call::Prepare);
    let answered = within("it is answered", started.turn.answered()).await;
    assert!(matches!(answered, Answered::Withdrawn(Withdrawal::Cancelled)), "{answered:?}");
    assert_eq!(rig.puppet.calls(Call::Dispatch), 0);
    // Its ids may start again.
    play(&rig, "e-1").await;
    assert_eq!(rig.puppet.arrivals("e-1"), 1);
}

#[tokio::test]
async fn an_abort_while_the_prompt_leaves_stops_the_box_once_it_has_it() {
    let rig = Rig::new();
    rig.puppet.hold(Call::Dispatch);
    let started = rig.post("e-1").await.expect("started");
    rig.puppet.stands(Call::Dispatch).await;
    let who = Caller::Holder(Credential::new(GOOD));
    let abort = rig.sessions().abort(&started.turn.session, Some(&who)).await;
    assert!(matches!(abort, Ok(Abort::Asked)), "{abort:?}");
    rig.puppet.release(Call::Dispatch);
    let began = tokio::time::Instant::now();
    let lines = rig.finished("e-1").await;
    assert_eq!(names(&lines), ["execution.started", "error", "result", "done"]);
    assert!(began.elapsed().as_secs() < 3, "the box works on for {:?}", began.elapsed());
}

#[tokio::test]
async fn an_abort_reaches_a_turn_that_waits_for_a_box_that_is_down() {
    let rig = Rig::new();
    play(&rig, "e-0").await;
    rig.puppet.deliver([Delivery::NotSent; 1000]);
    let started = rig.post("e-1").await.expect("started");
    until("it is tried", || rig.puppet.calls(Call::Dispatch) > 2).await;
    rig.puppet.fail(Call::Cancel, super::support::puppet::Fault::Connect);
    let who = Caller::Holder(Credential::new(GOOD));
    let abort = rig.sessions().abort(&started.turn.session, Some(&who)).await;
    assert!(matches!(abort, Ok(Abort::Asked)), "{abort:?}");
    let answered = within("it is answered", started.turn.answered()).await;
    assert!(matches!(answered, Answered::Withdrawn(Withdrawal::Cancelled)), "{answered:?}");
    assert_eq!(rig.puppet.arrivals("e-1"), 0);
}

#[tokio::test]
async fn a_log_that_was_full_once_takes_turns_again_when_there_is_room() {
    let rig = Rig::new();
    play(&rig, "e-0").await;
    rig.disk.fail(Operation::Write, 0, 28);
    let started = rig.post("e-1").await.expect("taken in");
    let answered = within("it is answered", started.turn.answered()).await;
    assert!(matches!(answered, Answered::Withdrawn(Withdrawal::LogUnavailable)), "{answered:?}");
    // The disk has room again, and nobody else writes.
    play(&rig, "e-1").await;
    assert_eq!(rig.puppet.arrivals("e-1"), 1);
}

#[tokio::test]
async fn a_poisoned_log_takes_no_turns() {
    let rig = Rig::new();
    play(&rig, "e-0").await;
    rig.disk.fail(Operation::Sync, 0, 5);
    let started = rig.post("e-1").await.expect("taken in");
    let answered = within("it is answered", started.turn.answered()).await;
    assert!(matches!(answered, Answered::Withdrawn(Withdrawal::LogUnavailable)), "{answered:?}");
    let next = rig.post("e-2").await;
    assert!(matches!(next, Err(StartError::LogUnavailable)), "{next:?}");
    assert_eq!(rig.puppet.calls(Call::Dispatch), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_session_that_is_being_forgotten_turns_nobody_away() {
    let rig = Rig::new();
    for round in 0..150 {
        let (session, execution) = (format!("s-{round}"), format!("e-{round}"));
        rig.puppet.deliver([Delivery::Refused]);
        let first = rig.post_as(Some(GOOD), Some(&session), Some(&execution), None).await;
        let first = first.expect("started");
        let mut others = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let sessions = rig.sessions().clone();
            let twin = request(Some(GOOD), Some(&session), Some(&execution), None);
            others.spawn(async move {
                let home = afterbay::ids::BoxName::default_box();
                loop {
                    let started = sessions.start_turn(&home, twin.clone()).await?;
                    if matches!(started.turn.answered().await, Answered::Running) {
                        return Ok::<_, StartError>(());
                    }
                }
            });
        }
        assert!(matches!(first.turn.answered().await, Answered::Refused(_)));
        for other in within("they start", others.join_all()).await {
            assert!(other.is_ok(), "round {round}: {other:?}");
        }
        rig.puppet.ends(&execution, Ending::Completed);
        rig.finished(&execution).await;
        assert_eq!(rig.puppet.arrivals(&execution), 1);
    }
}

/// A rig whose turn `e-1` stands between its close-out and the sync of it.
async fn closing() -> (Rig, Arc<Session>) {
    let rig = Rig::new();
    rig.post("e-1").await.expect("started").turn.answered().await;
    let session = rig.session("s").expect("a session");
    rig.disk.hold(&[Operation::Sync]);
    rig.puppet.ends("e-1", Ending::Completed);
    loop {
        until("a sync stands still", || rig.disk.holds()).await;
        match session.ended(None).now_or_never() {
            // The close-out is on its way, and is waited for.
            None => return (rig, session),
            Some(None) => rig.disk.let_pass(),
            Some(Some(ended)) => panic!("over before its close-out was durable: {ended:?}"),
        }
    }
}

#[tokio::test]
async fn who_asks_between_the_close_out_and_its_filing_is_told_of_the_turn_that_is_over() {
    let (rig, session) = closing().await;
    let (ended, ()) = tokio::join!(session.ended(None), async { rig.disk.release() });
    assert!(ended.is_some());
}

#[tokio::test]
async fn an_abort_between_the_close_out_and_its_filing_finds_that_nothing_runs() {
    let (rig, session) = closing().await;
    let who = Caller::Holder(Credential::new(GOOD));
    let abort = rig.sessions().abort(&session, Some(&who));
    let (abort, ()) = tokio::join!(abort, async { rig.disk.release() });
    assert!(matches!(abort, Ok(Abort::NothingRuns)), "{abort:?}");
}

#[tokio::test]
async fn a_turn_counts_as_logged_once_its_acceptance_is_synced() {
    let rig = Rig::new();
    rig.disk.hold(&[Operation::Sync]);
    let started = rig.post("e-1").await.expect("started");
    until("the log syncs", || rig.disk.holds()).await;
    let mut logged = Box::pin(started.turn.logged());
    assert!((&mut logged).now_or_never().is_none(), "told before the sync");
    rig.disk.release();
    within("it is in the log", logged).await;
    rig.puppet.ends("e-1", Ending::Completed);
    rig.finished("e-1").await;
}
