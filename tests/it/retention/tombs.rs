//! Tombstones: ids stay taken, rights and names hold, until it is time to forget.

use std::time::Duration;

use afterbay::mode::Fidelity;
use afterbay::session::retention::Keep;
use afterbay::turn::control::wall_ms;
use afterbay::upstream::Ending;

use super::super::support::puppet::{Call, Fault, GOOD};
use super::super::support::rig::{Rig, events, until};
use super::{DAY, Seen, TOO_OLD, range, rig, run, seen};

const OTHER: &str = "Bearer other";

/// What is known of session `s`, its turns and their names, whoever asks.
async fn known(rig: &Rig) -> String {
    let Some(session) = rig.session("s") else { return "nothing".into() };
    let ranges = ["e-1", "e-2", "e-3"].map(|execution| range(rig, execution));
    let outcome = session.ended(None).await.map(|ended| (ended.outcome, ended.last));
    let names = ["s", "box-s"].map(|id| rig.session(id).is_some());
    let rights = [
        rig.look("s", Some(GOOD)).await,
        rig.look("s", Some(OTHER)).await,
        rig.look("s", Some("Bearer third")).await,
        rig.look("s", None).await,
    ];
    let seen = seen(&session, 0).await;
    format!("{ranges:?} {outcome:?} {names:?} {rights:?} {seen:?} {:?}", session.tail())
}

#[tokio::test]
async fn a_turn_that_is_too_old_goes_and_a_repeat_of_it_attaches_and_never_runs() {
    let mut rig = rig(Keep::default());
    run(&rig, "e-1", Some("t-1"), &["a", "b"]).await;
    rig.look_later(7 * DAY - DAY).await;
    assert_eq!(events(&rig.session("s").expect("known")).await.len(), 5, "it is young enough");
    rig.look_later(TOO_OLD).await;
    for restarted in [false, true] {
        if restarted {
            rig.kill().await;
        }
        let session = rig.session("s").expect("known");
        assert_eq!(seen(&session, 0).await, [Seen::Gap(1, 5)]);
        assert_eq!(range(&rig, "e-1"), Some((1, 5)));
        for (execution, turn) in
            [(Some("e-1"), None), (None, Some("t-1")), (Some("e-9"), Some("t-1"))]
        {
            let again =
                rig.post_as(Some(GOOD), Some("s"), execution, turn).await.expect("attached");
            assert!(!again.new);
            assert_eq!(again.turn.execution.as_str(), "e-1");
        }
        assert_eq!(rig.puppet.calls(Call::Dispatch), 1, "restarted: {restarted}");
    }
    // The session goes on behind it.
    run(&rig, "e-2", None, &["c"]).await;
    assert_eq!(range(&rig, "e-2"), Some((6, 9)));
    let first = seen(&rig.session("s").expect("known"), 0).await.remove(0);
    assert_eq!(first, Seen::Gap(1, 5));
}

#[tokio::test]
async fn what_is_known_after_a_trim_is_known_after_a_restart_and_after_another_trim() {
    let mut rig = rig(Keep::default());
    rig.puppet.accept(OTHER);
    run(&rig, "e-1", None, &["a"]).await;
    rig.look("s", Some(OTHER)).await.expect("vouched for");
    rig.puppet.ends("e-2", Ending::Failed { code: "X".into(), message: "m".into() });
    rig.post("e-2").await.expect("started");
    rig.ended("e-2").await;
    for _ in 0..100 {
        rig.puppet.fail(Call::Vouch, Fault::Connect);
    }
    rig.look_later(TOO_OLD).await;
    let told = known(&rig).await;
    assert!(
        told.contains("Gap(1, 8)") && told.contains("Ok(()), Ok(()), Err(403), Err(401)"),
        "{told}"
    );
    for _ in 0..2 {
        rig.kill().await;
        assert_eq!(known(&rig).await, told);
        rig.restart().await;
        assert_eq!(known(&rig).await, told);
        rig.look_later(TOO_OLD).await;
        assert_eq!(known(&rig).await, told, "there is nothing more to trim");
    }
    rig.puppet.mend();
    run(&rig, "e-3", None, &["b"]).await;
    rig.look_later(TOO_OLD).await;
    let told = known(&rig).await;
    assert!(told.contains("Gap(1, 12)"), "{told}");
    rig.kill().await;
    assert_eq!(known(&rig).await, told);
}

#[tokio::test]
async fn a_trim_while_a_later_turn_runs_leaves_that_turn_to_go_on_after_a_restart() {
    let mut rig = rig(Keep::default());
    run(&rig, "e-1", Some("t-1"), &["a"]).await;
    rig.puppet.says("e-2", "b");
    let turn = rig.post("e-2").await.expect("started").turn;
    until("its part is told", || turn.session.tail().next_seq.get() == 7).await;
    rig.look_later(TOO_OLD).await;
    rig.kill().await;
    rig.look("s", Some(GOOD)).await.expect("its owner");
    let again = rig.post_as(Some(GOOD), Some("s"), None, Some("t-1")).await.expect("attached");
    assert_eq!((again.new, again.turn.execution.as_str()), (false, "e-1"));
    rig.puppet.says("e-2", "c");
    rig.puppet.ends("e-2", Ending::Completed);
    rig.ended("e-2").await;
    let seen = seen(&rig.session("s").expect("known"), 0).await;
    assert_eq!(seen.first(), Some(&Seen::Gap(1, 4)));
    assert_eq!((seen.len(), range(&rig, "e-2")), (6, Some((5, 9))));
    assert_eq!((rig.puppet.arrivals("e-1"), rig.puppet.arrivals("e-2")), (1, 1));
}

/// A turn told by its result alone has one event, behind records that nobody sees.
#[tokio::test]
async fn a_turn_of_one_event_goes_like_any_other() {
    let rig = Rig::telling(Fidelity::Result);
    run(&rig, "e-1", None, &["a", "b"]).await;
    assert_eq!(range(&rig, "e-1"), Some((1, 1)));
    rig.look_later(TOO_OLD).await;
    assert_eq!(seen(&rig.session("s").expect("known"), 0).await, [Seen::Gap(1, 1)]);
    assert!(!rig.post("e-1").await.expect("attached").new);
}

#[tokio::test]
async fn after_the_idempotency_age_ids_and_session_are_free_also_after_a_restart() {
    for restarts in [false, true] {
        let keep = Keep { idempotency_age: 3 * DAY, ..Keep::default() };
        let mut rig = rig(keep);
        run(&rig, "e-1", Some("t-1"), &["a"]).await;
        rig.look_later(TOO_OLD).await;
        rig.look_later(TOO_OLD + 2 * DAY).await;
        assert_eq!(rig.metrics().retention.tombstones.get(), 1);
        assert!(!rig.post("e-1").await.expect("attached").new);
        rig.look_later(TOO_OLD + 3 * DAY).await;
        assert_eq!(rig.metrics().retention.tombstones.get(), 0);
        if restarts {
            // The clock of this process is not that far: the restart remembers, the look forgets.
            rig.kill().await;
            assert!(rig.session("s").is_some());
            rig.look_later(TOO_OLD + 3 * DAY).await;
        }
        for name in ["s", "box-s"] {
            assert!(rig.session(name).is_none(), "{name}");
        }
        assert!(rig.turn("e-1").is_none());
        // What the box called it is free for whoever calls his own session so.
        rig.puppet.ends("e-7", Ending::Completed);
        let other = rig.post_as(Some(GOOD), Some("box-s"), Some("e-7"), None).await;
        assert!(other.expect("started").new);
        // The box knows it no more than we do.
        rig.puppet.start_anew();
        run(&rig, "e-1", Some("t-1"), &[]).await;
        assert_eq!((range(&rig, "e-1"), rig.puppet.arrivals("e-1")), (Some((1, 4)), 2));
    }
}

#[tokio::test]
async fn what_is_forgotten_while_the_process_is_dead_is_not_remembered_when_it_starts() {
    let soon = Duration::from_millis(1);
    let mut rig = rig(Keep { age: soon, idempotency_age: soon, ..Keep::default() });
    run(&rig, "e-1", None, &["a"]).await;
    let a_moment = || async {
        let then = wall_ms();
        until("a moment is over", || wall_ms() > then + 2).await;
    };
    a_moment().await;
    rig.look_later(Duration::ZERO).await;
    assert_eq!(rig.metrics().retention.trims.get(), 1);
    assert_eq!(range(&rig, "e-1"), Some((1, 4)), "it is forgotten by the next look");
    a_moment().await;
    rig.kill().await;
    assert!(
        rig.turn("e-1").is_none() && rig.session("s").is_none() && rig.session("box-s").is_none()
    );
    assert!(rig.post("e-1").await.expect("started").new);
}

#[tokio::test]
async fn a_session_is_its_owners_although_the_owners_turn_is_forgotten() {
    let keep = Keep { idempotency_age: 10 * DAY, ..Keep::default() };
    let mut rig = rig(keep.clone());
    rig.puppet.accept(OTHER);
    run(&rig, "e-1", None, &["a"]).await;
    rig.look_later(TOO_OLD).await;
    rig.puppet.ends("e-2", Ending::Completed);
    rig.post_as(Some(OTHER), Some("s"), Some("e-2"), None).await.expect("started");
    rig.ended("e-2").await;
    rig.look_later(TOO_OLD + 10 * DAY).await;
    assert_eq!((range(&rig, "e-1"), range(&rig, "e-2")), (None, Some((5, 7))));
    rig.kill().await;
    assert_eq!((range(&rig, "e-1"), range(&rig, "e-2")), (None, Some((5, 7))));
    for _ in 0..10 {
        rig.puppet.fail(Call::Vouch, Fault::Connect);
    }
    assert_eq!(rig.look("s", Some(GOOD)).await, Ok(()), "its owner");
    assert_eq!(rig.look("s", Some(OTHER)).await, Ok(()), "a reader");
    assert_eq!(rig.look("s", Some("Bearer third")).await, Err(403));
    assert!(rig.post("e-1").await.expect("started").new, "its ids are free");
}

#[tokio::test]
async fn a_session_that_somebody_has_in_hand_is_not_forgotten() {
    let keep = Keep { idempotency_age: DAY, ..Keep::default() };
    let rig = rig(keep);
    run(&rig, "e-1", None, &["a"]).await;
    let held = rig.session("s").expect("known");
    rig.look_later(TOO_OLD).await;
    rig.look_later(TOO_OLD + DAY).await;
    assert!(rig.turn("e-1").is_none() && rig.session("s").is_some());
    drop(held);
    rig.look_later(TOO_OLD + DAY).await;
    assert!(rig.session("s").is_none());
}
