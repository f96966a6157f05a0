//! The log that is killed while its disk is full: it opens again however often, takes verdicts and
//! trims and nothing else, and goes on when there is room.

use afterbay::event::Seq;
use afterbay::log::{Error, Health, Store};

use super::support::faulty_disk::{FaultyDisk, Operation};
use super::support::log_model::{batch, key, open, read_kept};

const EIO: i32 = 5;
/// What a file system that has no room for a segment often has all the same.
const CRUMBS: usize = 5 << 9;

fn opened(disk: &FaultyDisk) -> Store {
    open(disk.boot()).expect("open").0
}

/// Appends until the disk has no room. Says how many batches it took.
async fn fill(store: &Store) -> usize {
    let mut taken = 0;
    while store.log(key(1)).append(batch(1, "e", 900)).await.is_ok() {
        taken += 1;
        assert!(taken < 1000, "the disk has an end");
    }
    taken
}

#[tokio::test]
async fn a_log_that_is_killed_while_its_disk_is_full_opens_however_often_and_keeps_its_reserve() {
    for (keep_cache, seed) in [(true, 1), (false, 2), (false, 3), (false, 4)] {
        let disk = FaultyDisk::new(seed);
        let mut store = opened(&disk);
        disk.set_free(Some(20 << 10));
        let mut taken = fill(&store).await;
        assert!(taken > 10, "{taken} batches");
        for kill in 0..8 {
            drop(store);
            if !keep_cache {
                disk.lose_power();
            }
            disk.set_free(Some(CRUMBS));
            store = opened(&disk);
            assert_eq!(store.health(), Health::Refusing, "kill {kill}, seed {seed}");
            let log = store.log(key(1));
            assert_eq!(read_kept(&log).await.expect("readable").len(), taken);
            for _ in 0..3 {
                let refused = log.append(batch(2, "e", 900)).await;
                assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
            }
            match log.append(batch(3, "ec", 10).urgent()).await {
                Ok(_) => taken += 2,
                // The reserve has its room for sure only as long as there is power.
                Err(error) => assert!(!keep_cache, "a verdict: {error}"),
            }
            assert_eq!(store.health(), Health::Refusing, "kill {kill}, seed {seed}");
        }
        let log = store.log(key(1));
        if keep_cache {
            // Indexes may have taken what there was.
            disk.set_free(Some(CRUMBS));
            let cut = log.trim(Seq::new(3), batch(4, "c", 0)).await.expect("room for a trim");
            assert!(cut.is_some(), "it ends a batch");
        }
        disk.set_free(None);
        log.append(batch(5, "e", 900)).await.expect("room");
        assert_eq!(store.health(), Health::Open);
    }
}

#[tokio::test]
async fn a_segment_that_was_made_ahead_of_need_is_where_a_full_disk_goes_on_after_a_kill() {
    let disk = FaultyDisk::new(0);
    let store = opened(&disk);
    store.log(key(1)).append(batch(1, "e", 0)).await.expect("append");
    let names = disk.names().len();
    disk.set_free(Some(0));
    for _ in 0..3 {
        drop(opened(&disk));
        disk.lose_power();
    }
    let store = opened(&disk);
    assert!(disk.names().len() <= names + 1, "{:?}", disk.names());
    store.log(key(1)).append(batch(2, "e", 0)).await.expect("a whole segment");
}

/// The reserve is taken while a next segment is there, which is older: nothing may go to that one.
#[tokio::test]
async fn what_follows_a_verdict_that_was_refused_once_is_found_behind_it() {
    for keep_cache in [true, false] {
        let disk = FaultyDisk::new(3);
        let store = opened(&disk);
        let log = store.log(key(1));
        log.append(batch(1, "e", 0)).await.expect("append");
        disk.fail(Operation::Write, 0, EIO);
        log.append(batch(2, "ec", 0).urgent()).await.expect("a verdict");
        for id in 3..20 {
            log.append(batch(id, "e", 900)).await.expect("append");
        }
        let shown = read_kept(&log).await.expect("readable");
        drop((log, store));
        if !keep_cache {
            disk.lose_power();
        }
        let log = opened(&disk).log(key(1));
        assert_eq!(read_kept(&log).await.expect("readable"), shown);
        assert_eq!(log.tail().next_seq, Seq::new(20));
    }
}

/// A segment without an index stays, and one behind it is dead: its groups must not pass for lost.
#[tokio::test]
async fn what_was_given_back_behind_a_segment_without_an_index_does_not_pass_for_lost() {
    let disk = FaultyDisk::new(4);
    let store = opened(&disk);
    store.log(key(2)).append(batch(1, "e", 0)).await.expect("append");
    let mut through = Seq::START;
    // No index is ever written.
    disk.refuse_to_create(Some(".tmp"));
    for id in 2..40 {
        let appended = store.log(key(1)).append(batch(id, "e", 600)).await.expect("append");
        through = appended.tail.next_seq.previous();
    }
    let cut = store.log(key(1)).trim(through, batch(50, "c", 0)).await.expect("trim");
    assert!(cut.is_some(), "it ends a batch");
    store.log(key(1)).append(batch(51, "e", 0)).await.expect("append");
    let tails = [1, 2, 3].map(|n| store.log(key(n)).tail());
    drop(store);
    let store = opened(&disk);
    assert_eq!([1, 2, 3].map(|n| store.log(key(n)).tail()), tails);
}
