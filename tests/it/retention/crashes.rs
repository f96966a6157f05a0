//! Power lost at each operation of a trim: what it cuts off is there whole, or gone for good, and in
//! either case it never runs again.

use afterbay::session::retention::Keep;

use super::super::support::puppet::{Call, GOOD};
use super::super::support::rig::Rig;
use super::{Seen, range, run, seen};

/// Two of the three turns fit, with what the log adds to them.
const KEEP: u64 = 100 << 10;
const SEEDS: u64 = 6;

/// Three turns, each larger than a segment: when the first goes, a segment goes, too.
async fn grown(seed: u64) -> Rig {
    let rig = Rig::keeping(seed, Keep { session: KEEP, ..Keep::default() });
    let part = "x".repeat(6 << 10);
    for (execution, turn) in [("e-1", "t-1"), ("e-2", "t-2"), ("e-3", "t-3")] {
        run(&rig, execution, Some(turn), &[&part, &part, &part]).await;
    }
    rig
}

/// What is there of the session: all of it, or all but the first turn. Panics at anything else.
async fn has_first(rig: &Rig, whole: &[Seen]) -> bool {
    let session = rig.session("s").expect("known");
    for (execution, expected) in [("e-1", (1, 6)), ("e-2", (7, 12)), ("e-3", (13, 18))] {
        assert_eq!(range(rig, execution), Some(expected), "{execution}");
    }
    let there = seen(&session, 0).await;
    if there == whole {
        return true;
    }
    assert_eq!(there.first(), Some(&Seen::Gap(1, 6)));
    assert_eq!(there[1..], whole[6..], "something else is gone, too");
    false
}

/// One machine: it dies at the operation `n` of its trim; false if the trim has fewer.
async fn dies(seed: u64, n: usize) -> bool {
    println!("seed {seed}, operation {n}");
    let mut rig = grown(seed * 1000 + n as u64).await;
    let whole = seen(&rig.session("s").expect("known"), 0).await;
    assert!(has_first(&rig, &whole).await);
    rig.disk.crash_at(n);
    rig.look_later(Default::default()).await;
    // What is dead goes after the answer, and before that of the next record: a reader's.
    rig.puppet.accept("Bearer reader");
    rig.look("s", Some("Bearer reader")).await.expect("vouched for");
    let died = rig.disk.is_off();
    let mut may_be_there = rig.metrics().retention.trims.get() == 0;
    assert!(died || !may_be_there, "a healthy machine trims");
    // It dies again, later or sooner; whatever was gone once stays so.
    for again in 0..4 {
        if again % 2 == 0 {
            rig.disk.lose_power();
        }
        rig.kill().await;
        let is_there = has_first(&rig, &whole).await;
        assert!(may_be_there || !is_there, "what was trimmed came back");
        may_be_there = is_there;
        let repeated = rig.post_as(Some(GOOD), Some("s"), None, Some("t-1")).await;
        assert!(!repeated.expect("attached").new);
        if again == 2 {
            rig.disk.crash_at(n % 7);
            rig.look_later(Default::default()).await;
            may_be_there &= rig.metrics().retention.trims.get() == 0;
        }
    }
    rig.look_later(Default::default()).await;
    assert!(!has_first(&rig, &whole).await);
    assert_eq!(rig.puppet.calls(Call::Dispatch), 3);
    died
}

#[tokio::test]
async fn power_lost_at_each_operation_of_a_trim_leaves_a_turn_whole_or_gone_for_good() {
    for seed in 0..SEEDS {
        let mut n = 0;
        while dies(seed, n).await {
            n += 1;
        }
        // Two writes with their syncs, and what gives a segment back.
        assert!(n >= 7, "a trim has {n} operations");
    }
}
