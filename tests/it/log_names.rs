//! The log on a file system that makes changes of names durable in any order: the loss of one of them
//! never lets a file of the log be used twice.

use afterbay::event::Seq;
use afterbay::log::Store;

use super::support::faulty_disk::{FaultyDisk, Operation};
use super::support::log_model::{batch, key, open, read_kept};

/// How many of the newest events a trim leaves.
const KEPT: u64 = 3;

/// What one try came to.
struct Ends {
    died_second: bool,
    /// Whether there was such a change to be lost.
    lost_one: bool,
}

/// A process is killed before each time that it makes names durable, the opening that follows dies with
/// the power at each of its operations, and of the changes of names that are not durable then each one
/// in turn is lost.
#[tokio::test]
async fn a_lost_change_of_a_name_gives_no_file_two_uses() {
    let (mut kills, mut lost) = (0, 0);
    let disk = FaultyDisk::new(0);
    lived_before(&disk).await;
    let before = disk.done().len();
    let (store, _) = open(disk.boot()).expect("open");
    append(&disk, &store, 12, true).await;
    for (first, operation) in disk.done().into_iter().skip(before).enumerate() {
        if operation == Operation::SyncDir {
            kills += 1;
            let mut second = 0;
            while lose_each_name(first, second, &mut lost).await {
                second += 1;
            }
        }
    }
    println!("{kills} kills, {lost} changes of names lost");
    assert!(kills > 8 && lost > 100, "{kills} kills, {lost} changes of names lost");
}

/// A life that ends well and leaves two files to be used again.
async fn lived_before(disk: &FaultyDisk) {
    let (store, _) = open(disk.boot()).expect("open");
    append(disk, &store, 9, true).await;
    store.close().await;
}

/// Whether the opening died.
async fn lose_each_name(first: usize, second: usize, lost: &mut usize) -> bool {
    for change in 0.. {
        let Ends { died_second, lost_one } = die(first, second, change).await;
        if !lost_one {
            return died_second;
        }
        *lost += 1;
    }
    unreachable!("more changes than numbers")
}

async fn die(first: usize, second: usize, lost: usize) -> Ends {
    let told = format!("killed at {first}, then no power at {second}, without change {lost}");
    let disk = FaultyDisk::new((first * 1000 + second) as u64);
    lived_before(&disk).await;
    let booted = disk.boot();
    disk.crash_at(first);
    let mut acknowledged = Seq::START;
    if let Ok((store, _)) = open(booted) {
        acknowledged = append(&disk, &store, 12, true).await;
    }
    assert!(disk.is_off(), "{told}");

    // The page cache is still there, and in it the names.
    let booted = disk.boot();
    disk.crash_at(second);
    drop(open(booted));
    let died_second = disk.is_off();
    let lost_one = disk.lose_power_and_one_name(lost);

    let (store, _) = open(disk.boot()).unwrap_or_else(|error| panic!("{told}: {error}"));
    let tail = store.log(key(1)).tail().next_seq;
    assert!(tail > acknowledged, "{told}: {tail} after {acknowledged}");
    acknowledged = append(&disk, &store, 12, false).await;
    drop(store);
    let (store, _) = open(disk.boot()).unwrap_or_else(|error| panic!("{told}, later: {error}"));
    let log = store.log(key(1));
    assert_eq!(log.tail().next_seq, acknowledged.next(), "{told}");
    let kept = read_kept(&log).await.unwrap_or_else(|error| panic!("{told}: {error}"));
    assert!(kept.len() >= 12, "{told}: {kept:?}");
    Ends { died_second, lost_one }
}

/// Appends events, and now and then drops all but the newest, as long as there is power; gives the last
/// event that was acknowledged.
async fn append(disk: &FaultyDisk, store: &Store, events: u64, trims: bool) -> Seq {
    let log = store.log(key(1));
    let mut acknowledged = log.tail().next_seq.previous();
    for id in 0..events {
        acknowledged = match log.append(batch(id, "e", 900)).await {
            Ok(appended) => appended.first_seq,
            Err(error) => {
                assert!(disk.is_off(), "{error}");
                break;
            }
        };
        if trims && id % 8 == 7 {
            let trimmed = log.trim(Seq::new(acknowledged.get() - KEPT), batch(id, "c", 0)).await;
            assert!(trimmed.is_ok() || disk.is_off(), "{trimmed:?}");
        }
    }
    acknowledged
}
