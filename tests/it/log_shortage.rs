//! The log that is killed while its disk is full: it opens again however often, takes verdicts and
//! trims and nothing else, and goes on when there is room.

use afterbay::event::Seq;
use afterbay::log::{Error, Health, Store};

use super::support::faulty_disk::FaultyDisk;
use super::support::log_model::{batch, key, open, read_kept};

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
