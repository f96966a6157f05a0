//! The log on a disk that is full, refuses, or fails to sync; and what is seen in between.

use std::sync::Arc;
use std::time::Duration;

use afterbay::event::{Control, Lsn, Seq};
use afterbay::ids::SessionKey;
use afterbay::limits;
use afterbay::log::{Batch, Error, Health, OpenError, Options, RealDisk, Step, Store};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::join_all;

use super::support::faulty_disk::{FaultyDisk, Operation};
use super::support::log_bytes::groups;
use super::support::log_model::{
    Model, append_grouped, batch, entry, key, metrics, newest_segment, next, open, read_all,
};

const EIO: i32 = 5;
const EROFS: i32 = 30;

fn opened(disk: &FaultyDisk) -> Store {
    open(disk.boot()).expect("open").0
}

/// The batch ids of a session, each once.
async fn ids(store: &Store, n: u8) -> Vec<u64> {
    let entries = read_all(&store.log(key(n)), Seq::START).await.expect("read");
    let mut ids: Vec<u64> = entries.into_iter().map(|entry| entry.batch).collect();
    ids.dedup();
    ids
}

// With the clock stopped, a timeout fires once nothing else can happen: no read is on its way, and
// the writer stands still at the disk.
#[tokio::test(start_paused = true)]
async fn a_reader_sees_nothing_before_it_is_synced() {
    let disk = FaultyDisk::new(0);
    let store = opened(&disk);
    let log = store.log(key(1));
    let before = log.append(batch(1, "ec", 0)).await.expect("append").tail;
    let mut cursor = log.cursor(before.next_seq.previous());
    let Step::Records(_) = cursor.next().await.expect("read") else { panic!("the control record") };
    disk.hold(&[Operation::Sync]);
    let mut append = Box::pin(log.append(batch(2, "ec", 0)));
    assert!((&mut append).now_or_never().is_none());
    disk.wait_until_held();
    assert_eq!(log.tail(), before);
    let early = tokio::time::timeout(Duration::from_secs(1), cursor.next()).await;
    assert!(early.is_err(), "seen before the sync: {early:?}");
    let mut other = log.cursor(Seq::START);
    let Step::Records(records) = other.next().await.expect("read") else { panic!("records") };
    assert_eq!(records.len(), 2);
    disk.release();
    let Step::Records(records) = cursor.next().await.expect("read") else { panic!("records") };
    assert_eq!(entry(&records[0]).batch, 2);
    assert_eq!(append.await.expect("append").tail, log.tail());
}

#[tokio::test]
async fn a_full_disk_refuses_and_goes_on_with_the_same_numbers_when_there_is_room() {
    for free in (0..2600).step_by(130) {
        for keep_cache in [true, false] {
            let disk = FaultyDisk::new(free as u64);
            disk.allocates_nothing();
            let store = opened(&disk);
            store.log(key(1)).append(batch(1, "ec", 0)).await.expect("append");
            disk.set_free(Some(free));
            let batches = [(1, 2, 0), (1, 3, 200), (2, 4, 200), (1, 5, 900)];
            let batches = batches.map(|(n, id, pad)| (store.log(key(n)), batch(id, "ece", pad)));
            let answers = append_grouped(&disk, batches.into()).await;
            let taken = answers.iter().filter(|answer| answer.is_ok()).count();
            assert!(taken < 4, "with {free} bytes free");
            let refused = answers.iter().filter(|answer| matches!(answer, Err(Error::Refused(_))));
            assert_eq!(refused.count(), 4 - taken, "with {free} bytes free");
            assert_eq!(store.health(), Health::Refusing);
            let tail = store.log(key(1)).tail();
            if free % 260 == 0 {
                disk.set_free(None);
                let appended = store.log(key(1)).append(batch(9, "e", 0)).await.expect("room");
                assert_eq!(
                    (appended.first_lsn, appended.first_seq),
                    (tail.next_lsn, tail.next_seq)
                );
                assert_eq!(store.health(), Health::Open);
            }
            let before = (ids(&store, 1).await, ids(&store, 2).await);
            drop(store);
            if !keep_cache {
                disk.lose_power();
            }
            disk.set_free(None);
            let store = opened(&disk);
            assert_eq!((ids(&store, 1).await, ids(&store, 2).await), before, "{free} bytes free");
        }
    }
}

/// The first attempt lands nearly whole and is refused; the second, shorter one, with the same number
/// at the same place, is torn by a crash, so that sectors of the first show where its batches
/// should be. The sizes are such that the second batch of either begins with a sector of its own.
#[tokio::test]
async fn what_a_refused_group_left_behind_never_passes_for_part_of_a_later_one() {
    let mut torn_groups = 0;
    for seed in 0..300 {
        let disk = FaultyDisk::new(seed);
        disk.allocates_nothing();
        let store = opened(&disk);
        let mut model = Model::default();
        let mut send = |sizes: &[(u8, usize)]| -> Vec<_> {
            sizes.iter().map(|(n, pad)| (key(*n), model.send(key(*n)), *pad)).collect()
        };
        let (refused, torn) =
            (send(&[(3, 0), (1, 373), (2, 500), (4, 700)]), send(&[(1, 373), (2, 500), (4, 0)]));
        let to_append = |sent: &[(SessionKey, u64, usize)]| -> Vec<_> {
            sent.iter().map(|(key, id, pad)| (store.log(*key), batch(*id, "e", *pad))).collect()
        };
        // The batch before the group goes through: its 512 bytes fit. The group lands but for its
        // last sector.
        disk.set_free(Some(512 + 1536));
        let answers = append_grouped(&disk, to_append(&refused)).await;
        assert!(answers[0].is_ok() && answers[3].is_err(), "{answers:?}");
        for ((key, id, _), answer) in refused.iter().zip(&answers) {
            model.answered(*key, *id, answer);
        }
        disk.set_free(None);
        // A write, and no sync.
        disk.crash_at(1);
        let appends = to_append(&torn).into_iter().map(|(log, batch)| {
            // Unconstrained: else the runtime may make it yield before it is in the queue.
            tokio::task::unconstrained(async move { log.append(batch).await }).boxed_local()
        });
        let answers = join_all(appends).await;
        assert!(disk.is_off() && answers.iter().all(Result::is_err), "{answers:?}");
        // Unless the writer was so quick that it took the first batch alone.
        let last = format!(r#""batch":{},"#, torn[2].1);
        let shows = |bytes: Vec<u8>| bytes.windows(last.len()).any(|at| at == last.as_bytes());
        torn_groups += usize::from(disk.names().iter().any(|name| shows(disk.content(name))));
        drop(store);
        disk.lose_power();
        println!("seed {seed}");
        model.check(&opened(&disk)).await.expect("readable");
    }
    println!("{torn_groups} torn groups");
    assert!(torn_groups > 0, "no group was torn");
}

#[tokio::test]
async fn a_failed_sync_poisons_until_restart_and_readers_keep_what_was_durable() {
    let disk = FaultyDisk::new(0);
    let store = opened(&disk);
    let log = store.log(key(1));
    log.append(batch(1, "ec", 0)).await.expect("append");
    let mut waiting = log.cursor(Seq::new(1));
    let Step::Records(_) = next(&mut waiting).await.expect("read") else {
        panic!("a control record")
    };
    disk.fail(Operation::Sync, 0, EIO);
    let waits = next(&mut waiting);
    let (refused, ended) = tokio::join!(log.append(batch(2, "e", 0)), waits);
    assert!(matches!(refused, Err(Error::Poisoned)), "{refused:?}");
    assert_eq!(ended.expect("read"), Step::End);
    assert_eq!(store.health(), Health::Poisoned);
    let done = disk.done().len();
    let refused = log.append(batch(3, "e", 0)).await;
    assert!(matches!(refused, Err(Error::Poisoned)), "{refused:?}");
    assert_eq!(disk.done().len(), done, "a poisoned log leaves the disk alone");
    assert_eq!(ids(&store, 1).await, [1]);
    let mut late = log.cursor(Seq::START);
    assert!(matches!(next(&mut late).await, Ok(Step::Records(_))));
    assert_eq!(next(&mut late).await.expect("read"), Step::End);
    store.close().await;
    assert_eq!(store.health(), Health::Poisoned);
    disk.lose_power();
    let store = opened(&disk);
    assert!(ids(&store, 1).await.starts_with(&[1]));
    store.log(key(1)).append(batch(4, "e", 0)).await.expect("a new start");
}

#[tokio::test]
async fn what_is_queued_behind_a_failed_sync_is_refused_and_never_written() {
    for seed in 0..50 {
        let disk = FaultyDisk::new(seed);
        let store = opened(&disk);
        let log = store.log(key(1));
        disk.fail(Operation::Sync, 0, EIO);
        let done = disk.done().len();
        // Each is a group of its own.
        let batches = (1..=4).map(|id| (log.clone(), batch(id, "e", 1500)));
        for answer in append_grouped(&disk, batches.collect()).await {
            assert!(matches!(answer, Err(Error::Poisoned)), "{answer:?}");
        }
        assert_eq!(disk.done()[done..], [Operation::Write, Operation::Sync]);
    }
}

#[tokio::test]
async fn a_write_that_fails_without_landing_is_refused_and_forgotten() {
    for errno in [EIO, EROFS] {
        let disk = FaultyDisk::new(0);
        let store = opened(&disk);
        disk.fail(Operation::Write, 0, errno);
        let refused = store.log(key(1)).append(batch(1, "e", 0)).await.expect_err("refused");
        let Error::Refused(source) = refused else { panic!("{refused}") };
        assert_eq!(source.raw_os_error(), Some(errno));
        store.log(key(1)).append(batch(2, "e", 0)).await.expect("append");
        assert_eq!(ids(&store, 1).await, [2]);
    }
}

#[tokio::test]
async fn a_refused_group_that_cannot_be_taken_back_poisons() {
    let disk = FaultyDisk::new(0);
    disk.allocates_nothing();
    let store = opened(&disk);
    disk.set_free(Some(600));
    disk.fail(Operation::Sync, 0, EIO);
    let answer = store.log(key(1)).append(batch(1, "e", 900)).await;
    assert!(matches!(answer, Err(Error::Poisoned)), "{answer:?}");
}

/// Appends until the next batch opens a new segment; says how many batches that took.
async fn fill_segment(store: &Store, disk: &FaultyDisk) -> u64 {
    let name = newest_segment(disk);
    let full = super::support::log_model::SMALL.segment_bytes as usize;
    let end = || groups(&disk.content(&name)).last().map_or(0, |group| group.all.end);
    let mut appended = 0;
    while end() + 1024 <= full {
        store.log(key(1)).append(batch(100, "e", 900)).await.expect("append");
        appended += 1;
    }
    appended
}

#[tokio::test]
async fn a_segment_that_cannot_be_made_is_made_later_and_one_in_doubt_poisons() {
    use Operation::{Allocate, Create, Rename, Sync, SyncDir, Write};
    for operation in [Create, Allocate, Write, Sync, Rename, SyncDir] {
        let disk = FaultyDisk::new(0);
        let store = opened(&disk);
        let log = store.log(key(1));
        log.append(batch(100, "e", 0)).await.expect("append");
        let mut written = 1 + fill_segment(&store, &disk).await;
        // The next append goes on in the segment that is there already; the one after it fails.
        disk.fail(operation, 0, EIO);
        log.append(batch(100, "e", 0)).await.expect("append");
        written += 1;
        if operation == SyncDir {
            let answer = log.append(batch(100, "e", 0)).await;
            assert!(matches!(answer, Err(Error::Poisoned)), "{answer:?}");
        } else {
            written += fill_segment(&store, &disk).await;
            log.append(batch(100, "e", 0)).await.expect("append");
            written += 1;
            assert_eq!(store.health(), Health::Open, "{operation:?}");
        }
        drop((log, store));
        disk.lose_power();
        let entries = read_all(&opened(&disk).log(key(1)), Seq::START).await.expect("read");
        assert_eq!(entries.len() as u64, written, "{operation:?}");
    }
}

#[tokio::test]
async fn on_a_full_disk_verdicts_and_trims_go_to_the_reserve_until_there_is_room() {
    let disk = FaultyDisk::new(0);
    let store = opened(&disk);
    let log = store.log(key(1));
    log.append(batch(100, "e", 0)).await.expect("append");
    disk.set_free(Some(0));
    // The segment that is written, and the one that was made ahead of need.
    let mut written = 1;
    let refused = loop {
        match log.append(batch(100, "e", 400)).await {
            Ok(_) => written += 1,
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused, Error::Refused(_)), "{refused}");
    assert!(written > 8, "{written} batches, then {refused}");
    assert_eq!(store.health(), Health::Refusing);
    log.append(batch(100, "ec", 0).urgent()).await.expect("a verdict");
    assert!(matches!(log.append(batch(100, "e", 0)).await, Err(Error::Refused(_))));
    assert_eq!(store.health(), Health::Refusing, "the reserve is not for everyone");
    let mut verdicts = 1;
    while log.append(batch(100, "ec", 100).urgent()).await.is_ok() {
        verdicts += 1;
        assert!(verdicts < 100, "the reserve is bounded");
    }
    assert!(verdicts > 3, "{verdicts} verdicts");
    disk.set_free(None);
    log.append(batch(100, "e", 0)).await.expect("room");
    assert_eq!(store.health(), Health::Open);
    let all = written + 2 * verdicts + 1;
    assert_eq!(read_all(&log, Seq::START).await.expect("read").len(), all);
    drop((log, store));
    disk.lose_power();
    let log = opened(&disk).log(key(1));
    assert_eq!(read_all(&log, Seq::START).await.expect("read").len(), all);
}

#[tokio::test]
async fn closing_writes_what_is_queued_and_takes_nothing_more() {
    let disk = FaultyDisk::new(0);
    let store = opened(&disk);
    let log = store.log(key(1));
    disk.hold(&[Operation::Write]);
    let mut appends: Vec<_> =
        (1..=40).map(|id| Box::pin(log.append(batch(id, "e", 200)))).collect();
    for append in &mut appends {
        assert!(append.now_or_never().is_none());
    }
    let mut close = Box::pin(store.close());
    assert!((&mut close).now_or_never().is_none());
    disk.release();
    for answer in join_all(appends).await {
        answer.expect("queued before the store was closed");
    }
    close.await;
    assert_eq!(store.health(), Health::Closed);
    let answer = log.append(batch(41, "e", 0)).await;
    assert!(matches!(answer, Err(Error::Closed)), "{answer:?}");
    let mut cursor = log.cursor(Seq::new(40));
    assert_eq!(next(&mut cursor).await.expect("read"), Step::End);
    store.close().await;
}

#[tokio::test]
async fn an_append_that_nobody_waits_for_still_takes_its_numbers() {
    let disk = FaultyDisk::new(0);
    let store = opened(&disk);
    let log = store.log(key(1));
    disk.hold(&[Operation::Write]);
    assert!(log.append(batch(1, "e", 0)).now_or_never().is_none());
    disk.release();
    let appended = log.append(batch(2, "e", 0)).await.expect("append");
    assert_eq!((appended.first_lsn, appended.first_seq), (Lsn::new(2), Seq::new(2)));
}

#[tokio::test]
async fn a_full_queue_makes_appending_wait_and_loses_nothing() {
    let disk = FaultyDisk::new(0);
    let store = opened(&disk);
    let log = store.log(key(1));
    disk.hold(&[Operation::Write]);
    let bytes = 128 << 10;
    let count = (limits::LOG_QUEUE_BYTES / bytes) as u64 + 300;
    // Unconstrained: otherwise the runtime makes some wait before they are in the queue.
    let append = |id| tokio::task::unconstrained(log.append(batch(id, "c", bytes)));
    let mut appends: Vec<_> = (1..=count).map(|id| Box::pin(append(id))).collect();
    for append in &mut appends {
        assert!(append.now_or_never().is_none());
    }
    disk.release();
    let answers = join_all(appends).await;
    let mut lsns: Vec<_> =
        answers.into_iter().map(|answer| answer.expect("append").first_lsn.get()).collect();
    // Those that waited for room came in as the runtime woke them.
    lsns.sort_unstable();
    assert_eq!(lsns, (1..=count).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_batch_that_is_too_large_is_refused_and_an_empty_one_changes_nothing() {
    let disk = FaultyDisk::new(0);
    let store = opened(&disk);
    let log = store.log(key(1));
    let bytes = Bytes::from(vec![0; limits::MAX_BATCH_BYTES + 1]);
    let answer = log.append(Batch::default().control(Control { kind: 1, bytes })).await;
    assert!(matches!(answer, Err(Error::TooLarge(_))), "{answer:?}");
    let tail = log.tail();
    let appended = log.append(Batch::default()).await.expect("nothing to do");
    assert_eq!((appended.first_lsn, appended.first_seq), (Lsn::new(1), Seq::new(1)));
    assert_eq!((appended.tail, log.tail()), (tail, tail));
}

#[tokio::test]
async fn a_real_folder_keeps_its_log_and_is_free_again_once_closed() {
    let home = tempfile::tempdir().expect("tempdir");
    let path = home.path().join("log");
    let real = || RealDisk::open(&path).map(Arc::new);
    for run in 1..=4 {
        let mut folded = 0;
        let store =
            Store::open(real().expect("free"), Options::default(), metrics(), &mut |_| folded += 1);
        let store = store.expect("open");
        assert_eq!(folded, run - 1);
        let log = store.log(key(1));
        assert_eq!(log.tail().next_seq, Seq::new(run));
        log.append(batch(run, "ec", 100)).await.expect("append");
        assert_eq!(ids(&store, 1).await, (1..=run).collect::<Vec<_>>());
        assert!(matches!(real(), Err(OpenError::Locked { .. })));
        store.close().await;
    }
}
