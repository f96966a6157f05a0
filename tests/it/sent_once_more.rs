//! When an unanswered prompt is sent once more to a box that tells repeats, and what speaks against
//! it: each case by itself, over the real sessions and log.

use std::time::Duration;

use afterbay::turn::Deadlines;
use afterbay::upstream::Redispatch;

use super::support::puppet::{Call, Delivery, Fault, Memory, Puppet};
use super::support::rig::{Rig, names};

fn rig(has_mark: bool) -> Rig {
    let deadlines = Deadlines {
        start: Duration::from_millis(150),
        redispatch: Duration::from_millis(10),
        ..Deadlines::default()
    };
    let memory = Memory { repeats: Redispatch::Deduped, has_mark };
    Rig::before(Puppet::remembering(memory), 1, deadlines, None)
}

/// Whatever happens to the box while the lost prompt is looked for, the prompt is not sent again.
async fn check_not_sent_again(
    has_mark: bool,
    delivery: Delivery,
    meanwhile: impl Fn(&Puppet),
    code: &str,
) {
    let rig = rig(has_mark);
    rig.puppet.deliver([delivery]);
    rig.puppet.hold(Call::Find);
    rig.post("e-1").await.expect("started");
    rig.puppet.stands(Call::Find).await;
    meanwhile(&rig.puppet);
    rig.puppet.release(Call::Find);
    let lines = rig.finished("e-1").await;
    assert_eq!(names(&lines), ["error", "result", "done"]);
    assert!(lines[0].2.contains(code), "{lines:?}");
    assert_eq!(rig.puppet.posts("e-1", |_| true), 1);
}

#[tokio::test]
async fn a_lost_prompt_is_sent_once_more_and_runs_once() {
    for (first, second) in [
        (Delivery::LostOnTheWay, Delivery::Taken),
        (Delivery::LostOnTheWay, Delivery::TakenInSilence),
        (Delivery::LostOnTheWay, Delivery::Unnamed),
    ] {
        for has_mark in [true, false] {
            let rig = rig(has_mark);
            rig.puppet.deliver([first, second]);
            rig.post("e-1").await.expect("started");
            rig.puppet.ends("e-1", afterbay::upstream::Ending::Completed);
            let lines = rig.finished("e-1").await;
            assert_eq!(names(&lines), ["execution.started", "result", "done"]);
            assert_eq!((rig.puppet.posts("e-1", |_| true), rig.puppet.runs("e-1")), (2, 1));
        }
    }
}

#[tokio::test]
async fn a_prompt_that_was_lost_twice_is_not_sent_a_third_time() {
    let rig = rig(true);
    rig.puppet.deliver([Delivery::LostOnTheWay, Delivery::LostOnTheWay]);
    rig.post("e-1").await.expect("started");
    let lines = rig.finished("e-1").await;
    assert!(lines[0].2.contains("DISPATCH_UNCONFIRMED"), "{lines:?}");
    assert_eq!(rig.puppet.posts("e-1", |_| true), 2);
}

#[tokio::test]
async fn a_box_that_was_started_anew_gets_no_second_prompt() {
    let anew = |puppet: &Puppet| puppet.start_anew();
    check_not_sent_again(true, Delivery::TakenInSilence, anew, "BOX_LOST").await;
    // The first start shows as a session that is gone, the second as a refused connection.
    check_not_sent_again(false, Delivery::TakenInSilence, anew, "DISPATCH_UNCONFIRMED").await;
    let twice = |puppet: &Puppet| (puppet.start_anew(), puppet.start_anew()).0;
    check_not_sent_again(false, Delivery::TakenInSilence, twice, "DISPATCH_UNCONFIRMED").await;
}

#[tokio::test]
async fn a_box_without_a_mark_that_could_have_been_started_anew_gets_no_second_prompt() {
    for fault in [Fault::Connect, Fault::NoAnswer, Fault::Status, Fault::Nonsense, Fault::Later] {
        let fails = move |puppet: &Puppet| puppet.fail(Call::Find, fault);
        check_not_sent_again(false, Delivery::LostOnTheWay, fails, "DISPATCH_UNCONFIRMED").await;
    }
}
