//! Gaps are exact, wherever a reader stands when the log is cut.

use afterbay::event::Seq;
use afterbay::session::retention::Keep;
use futures_util::FutureExt;

use super::{Seen, TOO_OLD, numbers, rig, run, seen, seen_by};

#[tokio::test]
async fn a_reader_that_is_behind_is_told_exactly_what_is_gone() {
    let rig = rig(Keep::default());
    run(&rig, "e-1", None, &["a", "b"]).await;
    let session = rig.session("s").expect("known");
    let mut from_start = session.cursor(Seq::START);
    let mut in_the_middle = session.cursor(Seq::new(2));
    let mut at_the_end = session.cursor(Seq::new(5));
    rig.look_later(TOO_OLD).await;
    run(&rig, "e-2", None, &["c"]).await;
    let rest = [(6, 6), (7, 7), (8, 8), (9, 9)];
    let with = |gap| [&[gap][..], &rest].concat();
    assert_eq!(numbers(&seen_by(&mut from_start, 0, 9).await), with((1, 5)));
    assert_eq!(numbers(&seen_by(&mut in_the_middle, 2, 9).await), with((3, 5)));
    assert_eq!(numbers(&seen_by(&mut at_the_end, 5, 9).await), rest);
    for after in 0..5 {
        assert_eq!(numbers(&seen(&session, after).await), with((after + 1, 5)), "{after}");
    }
}

#[tokio::test]
async fn a_reader_at_the_tail_does_not_notice_a_trim() {
    let rig = rig(Keep::default());
    run(&rig, "e-1", None, &["a"]).await;
    let session = rig.session("s").expect("known");
    let mut live = session.cursor(Seq::START);
    assert_eq!(numbers(&seen_by(&mut live, 0, 4).await), [(1, 1), (2, 2), (3, 3), (4, 4)]);
    while live.next().now_or_never().is_some() {}
    // What it reads is kept in memory for it: that must go, too.
    run(&rig, "e-2", None, &["b"]).await;
    assert_eq!(numbers(&seen_by(&mut live, 4, 8).await), [(5, 5), (6, 6), (7, 7), (8, 8)]);
    rig.look_later(TOO_OLD).await;
    assert_eq!(seen(&session, 0).await, [Seen::Gap(1, 8)], "with the live reader there");
    run(&rig, "e-3", None, &[]).await;
    assert_eq!(numbers(&seen_by(&mut live, 8, 11).await), [(9, 9), (10, 10), (11, 11)]);
    assert_eq!(numbers(&seen(&session, 6).await), [(7, 8), (9, 9), (10, 10), (11, 11)]);
}

#[tokio::test]
async fn two_trims_are_one_gap() {
    let mut rig = rig(Keep::default());
    for execution in ["e-1", "e-2"] {
        run(&rig, execution, None, &["a"]).await;
        rig.look_later(TOO_OLD).await;
        assert_eq!(rig.metrics().retention.trimmed_events.get(), 4, "{execution}");
        rig.restart().await;
    }
    run(&rig, "e-3", None, &[]).await;
    for _ in 0..2 {
        let session = rig.session("s").expect("known");
        assert_eq!(numbers(&seen(&session, 0).await), [(1, 8), (9, 9), (10, 10), (11, 11)]);
        rig.kill().await;
    }
}
