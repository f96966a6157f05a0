//! Too much, or too little room: old turns go, then new ones are refused, and those that run go on.

use afterbay::log::Health;
use afterbay::session::StartError;
use afterbay::session::retention::Keep;
use afterbay::upstream::Ending;

use super::super::support::puppet::{Call, GOOD};
use super::super::support::rig::{names, until};
use super::{Seen, TOO_OLD, range, rig, run, seen};

#[tokio::test]
async fn a_session_beyond_its_quota_loses_its_oldest_turns_and_never_the_one_that_runs() {
    let keep = Keep { session: 100 << 10, ..Keep::default() };
    let rig = rig(keep);
    let big = "x".repeat(20 << 10);
    run(&rig, "e-1", None, &[&big]).await;
    run(&rig, "e-2", None, &[&big]).await;
    rig.look_later(Default::default()).await;
    assert_eq!(rig.metrics().retention.trims.get(), 0, "they fit");
    for _ in 0..6 {
        rig.puppet.says("e-3", &big);
    }
    let turn = rig.post("e-3").await.expect("started").turn;
    until("all is told", || turn.session.tail().next_seq.get() == 16).await;
    for _ in 0..3 {
        rig.look_later(Default::default()).await;
        let seen = seen(&turn.session, 0).await;
        assert_eq!(seen.first(), Some(&Seen::Gap(1, 8)));
        assert_eq!(seen.len(), 8, "the turn that runs is whole");
    }
    rig.puppet.ends("e-3", Ending::Completed);
    rig.ended("e-3").await;
    assert_eq!(range(&rig, "e-3"), Some((9, 17)));
    // Now it is one of the past ones.
    rig.look_later(Default::default()).await;
    assert_eq!(seen(&turn.session, 0).await, [Seen::Gap(1, 17)]);
    let retention = &rig.metrics().retention;
    assert_eq!((retention.trims.get(), retention.trimmed_turns.get()), (2, 3));
    assert_eq!((retention.trimmed_events.get(), retention.tombstones.get()), (17, 2));
    assert!(retention.trimmed_bytes.get() > 160 << 10);
}

#[tokio::test]
async fn too_much_of_all_sessions_costs_the_oldest_turns_of_all_of_them() {
    let keep = Keep { total: 100 << 10, ..Keep::default() };
    let rig = rig(keep);
    let big = "x".repeat(20 << 10);
    // Each says it once as a part, and once more in its result.
    for (session, execution) in [("a", "e-1"), ("b", "e-2"), ("a", "e-3")] {
        rig.puppet.says(execution, &big);
        rig.puppet.ends(execution, Ending::Completed);
        rig.post_as(Some(GOOD), Some(session), Some(execution), None).await.expect("started");
        rig.ended(execution).await;
        // So that no two of them end in the same millisecond.
        let then = afterbay::turn::control::wall_ms();
        until("a millisecond is over", || afterbay::turn::control::wall_ms() > then).await;
    }
    rig.look_later(Default::default()).await;
    let (a, b) = (rig.session("a").expect("known"), rig.session("b").expect("known"));
    assert_eq!(seen(&a, 0).await.first(), Some(&Seen::Gap(1, 4)), "its first turn is the oldest");
    assert_eq!((seen(&a, 4).await.len(), seen(&b, 0).await.len()), (4, 4));
}

#[tokio::test]
async fn on_a_full_disk_there_is_room_again_when_old_turns_are_gone() {
    let rig = rig(Keep::default());
    let part = "x".repeat(2 << 10);
    // One more segment: of what goes, the reserve is made anew first.
    rig.disk.set_free(Some(32 << 10));
    let is_full = || rig.sessions().health() == Health::Refusing;
    let mut turns = 0;
    while !is_full() {
        turns += 1;
        let execution = format!("e-{turns}");
        rig.puppet.says(&execution, &part);
        rig.puppet.ends(&execution, Ending::Completed);
        let turn = rig.post(&execution).await.expect("started").turn;
        until("it ends or waits for room", || turn.last().is_some() || is_full()).await;
    }
    assert!(turns > 5, "after {turns} turns");
    rig.look_later(TOO_OLD).await;
    let last = format!("e-{turns}");
    // It goes on by itself, or was not taken at all.
    if rig.turn(&last).is_none() {
        rig.post(&last).await.expect("started");
    }
    let lines = {
        rig.ended(&last).await;
        seen(&rig.session("s").expect("known"), 0).await
    };
    let gone = (turns - 1) * 4;
    assert_eq!((lines.first(), lines.len()), (Some(&Seen::Gap(1, gone)), 5));
    assert_eq!(rig.sessions().health(), Health::Open);
}

#[tokio::test]
async fn without_room_old_turns_go_then_new_ones_are_refused_and_those_that_run_go_on() {
    let mut rig = rig(Keep::default());
    run(&rig, "e-1", Some("t-1"), &["a"]).await;
    rig.puppet.says("e-2", "b");
    let turn = rig.post_as(Some(GOOD), Some("other"), Some("e-2"), None).await;
    let turn = turn.expect("started").turn;
    until("its part is told", || turn.session.tail().next_seq.get() == 3).await;
    rig.disk.tell_free(10);
    rig.look_later(Default::default()).await;
    assert_eq!(seen(&rig.session("s").expect("known"), 0).await, [Seen::Gap(1, 4)]);
    assert!(!rig.sessions().room().is_short(), "something went");
    assert!(rig.post_as(Some(GOOD), Some("third"), Some("e-3"), None).await.expect("started").new);
    rig.look_later(Default::default()).await;
    assert!(rig.sessions().room().is_short(), "nothing more can go");
    assert_eq!(rig.metrics().retention.refusing.get(), 1);
    let before = rig.puppet.calls(Call::Prepare);
    for session in ["s", "fourth"] {
        let refused = rig.post_as(Some(GOOD), Some(session), Some("e-4"), None).await;
        assert!(matches!(refused, Err(StartError::NoRoom)), "{refused:?}");
    }
    assert!(rig.session("fourth").is_none() && rig.turn("e-4").is_none());
    assert_eq!(rig.puppet.calls(Call::Prepare), before, "the box hears nothing of them");
    // Whoever comes back to a turn is no new one.
    let again = rig.post_as(Some(GOOD), Some("s"), None, Some("t-1")).await;
    assert!(!again.expect("attached").new);
    rig.puppet.says("e-2", "c");
    rig.puppet.ends("e-2", Ending::Completed);
    let lines = rig.finished("e-2").await;
    let parts = ["message.part.updated"; 2];
    assert_eq!(names(&lines), [&["execution.started"][..], &parts, &["result", "done"]].concat());
    rig.disk.tell_free(u64::MAX);
    rig.look_later(Default::default()).await;
    assert_eq!(rig.metrics().retention.refusing.get(), 0);
    assert!(rig.post_as(Some(GOOD), Some("s"), Some("e-4"), None).await.expect("started").new);
    rig.restart().await;
}
