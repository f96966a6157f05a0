//! A panic in one of the log's threads: whoever appends is told to restart, nobody waits for ever,
//! and readers keep what was durable.

use std::sync::Arc;
use std::time::Duration;

use afterbay::event::Seq;
use afterbay::limits;
use afterbay::log::{Appended, Batch, Error, Health, Log, Options, Step, Store, UpkeepBy};
use futures_util::FutureExt;
use futures_util::future::join_all;

use super::support::faulty_disk::{FaultyDisk, Operation};
use super::support::log_model::{SMALL, batch, entry, key, metrics, next, open, read_kept};
use super::support::panicking_disk::{Call, Panicking, Trap};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);
const WRITER: &str = "afterbay-log";
const KEEPER: &str = "afterbay-log-keep";
const PUBLISHER: &str = "afterbay-log-show";

async fn append(log: &Log, batch: Batch) -> Result<Appended, Error> {
    tokio::time::timeout(PATIENCE, log.append(batch)).await.expect("an answer in time")
}

/// Appends until an append fails, for whatever reason, and then for one more reason than want of room.
async fn append_until_poisoned(log: &Log) -> u64 {
    let mut taken = 0;
    for id in 1..10_000 {
        match append(log, batch(id, "e", 700)).await {
            Ok(_) => taken += 1,
            Err(Error::Poisoned) => return taken,
            // The segment that was to be made is not there; by the next append everybody knows why.
            Err(Error::Refused(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("{taken} batches taken, and no word of a panic");
}

/// Lets `thread` panic at `call`, and looks at what is left.
async fn panics(call: Call, thread: &'static str, upkeep: UpkeepBy) {
    println!("{thread} at {call:?}");
    let disk = FaultyDisk::new(0);
    let trap = Trap::default();
    let (with, own) = (Options { upkeep, ..SMALL }, metrics());
    let panicking = Arc::new(Panicking::new(disk.boot(), &trap));
    let store = Store::open(panicking, with, own.clone(), &mut |_| {}).expect("open");
    let log = store.log(key(1));
    append(&log, batch(1000, "e", 0)).await.expect("append");
    let mut waiting = log.cursor(Seq::new(1));
    trap.set(call, thread);
    let follows = async {
        let mut seen = Vec::new();
        loop {
            match next(&mut waiting).await.expect("readable") {
                Step::Records(records) => seen.extend(records.iter().map(entry)),
                Step::Gap { from, to } => panic!("a gap from {from} to {to}"),
                Step::End => return seen,
            }
        }
    };
    let (taken, seen) = tokio::join!(append_until_poisoned(&log), follows);
    assert!(trap.has_sprung(), "{call:?} of {thread} came never");
    assert_eq!(store.health(), Health::Poisoned);
    assert_eq!(own.poisoned.get(), 1);
    // A group that was on its way when another thread broke down may come behind the end.
    assert!(seen.len() as u64 + 1 >= taken, "{} of {taken} were shown", seen.len());
    for id in 1..4 {
        let refused = append(&log, batch(id, "c", 0).urgent()).await;
        assert!(matches!(refused, Err(Error::Poisoned)), "{refused:?}");
    }
    let kept = read_kept(&log).await.expect("readable");
    assert!(kept.len() as u64 > taken && kept[1..].starts_with(&seen), "{kept:?} of {taken}");
    assert_eq!(next(&mut store.log(key(2)).cursor(Seq::START)).await.expect("read"), Step::End);
    tokio::time::timeout(PATIENCE, store.close()).await.expect("an end in time");
    assert_eq!(store.health(), Health::Poisoned);
    drop((log, waiting, store));
    // As after a crash.
    let store = open(disk.boot()).expect("open").0;
    let found = read_kept(&store.log(key(1))).await.expect("readable");
    assert!(found.starts_with(&kept), "{found:?} found, {kept:?} were shown");
    append(&store.log(key(1)), batch(5, "e", 0)).await.expect("a new start");
}

#[tokio::test]
async fn a_panic_of_upkeep_poisons_until_restart() {
    for call in [Call::Create, Call::Rename, Call::SyncDir, Call::Write, Call::Sync] {
        panics(call, KEEPER, UpkeepBy::Thread).await;
    }
}

#[tokio::test]
async fn a_panic_of_the_writer_poisons_until_restart() {
    for call in [Call::Write, Call::Sync] {
        panics(call, WRITER, UpkeepBy::Thread).await;
    }
}

/// It does the upkeep here: there is no other way to make it panic.
#[tokio::test]
async fn a_panic_of_the_publisher_poisons_until_restart() {
    for call in [Call::Create, Call::Rename, Call::SyncDir, Call::Write, Call::Sync] {
        panics(call, PUBLISHER, UpkeepBy::Writer).await;
    }
}

#[tokio::test]
async fn whoever_waits_behind_a_group_whose_writing_panics_is_told() {
    let disk = FaultyDisk::new(0);
    let trap = Trap::default();
    let panicking = Arc::new(Panicking::new(disk.boot(), &trap));
    let store = Store::open(panicking, SMALL, metrics(), &mut |_| {}).expect("open");
    disk.hold(&[Operation::Sync]);
    let logs = [1, 2, 3].map(|n| store.log(key(n)));
    // The second is so large that the third is in a group of its own.
    let paddings = [0, 2 * limits::COPIED_IN_PLACE_BYTES, 0];
    let mut appends: Vec<_> = (logs.iter().zip(paddings))
        .map(|(log, padding)| Box::pin(log.append(batch(1, "e", padding))))
        .collect();
    for append in &mut appends {
        assert!(append.now_or_never().is_none(), "it waits for the first sync");
        disk.wait_until_held();
    }
    trap.set(Call::Write, WRITER);
    disk.release();
    let answers = tokio::time::timeout(PATIENCE, join_all(appends)).await.expect("in time");
    assert!(trap.has_sprung() && answers[0].is_ok(), "{answers:?}");
    assert!(answers[1..].iter().all(|a| matches!(a, Err(Error::Poisoned))), "{answers:?}");
}
