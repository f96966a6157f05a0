//! A sealed segment was rewritten, and the index of the new file could not be written: the log goes
//! on with the old file, which has lost its name, until the next try.
//!
//! Nothing is lost or read wrong by that: not by readers, not by a check, not over a restart in
//! between, whichever way it ends.

use afterbay::event::Seq;
use afterbay::log::verify::{self, Reach};
use afterbay::log::{Health, Role, Store};

use super::support::faulty_disk::{FaultyDisk, Operation};
use super::support::log_bytes::{groups, u64_at};
use super::support::log_model::{Entry, batch, key, newest_segment, open, read_kept};

const EIO: i32 = 5;
/// Where a segment's header says why it was made, and the word for a rewritten one.
const ORIGIN_AT: usize = 36;
const REWRITTEN: u8 = 3;
const FIRST: &str = "segment-0000000000000001.log";

fn is_rewritten(disk: &FaultyDisk) -> bool {
    disk.names().iter().any(|name| name == FIRST) && disk.content(FIRST)[ORIGIN_AT] == REWRITTEN
}

/// Whether no index stands beside the file, or none of this very file: that is as good.
fn has_no_index(disk: &FaultyDisk) -> bool {
    let name = FIRST.replace(".log", ".idx");
    let is_there = disk.names().contains(&name);
    !is_there || disk.content(&name)[64..68] != crc(&disk.content(FIRST), &disk.content(&name))
}

/// The checksum in front of an index, as it would be if it were this segment's.
fn crc(segment: &[u8], index: &[u8]) -> [u8; 4] {
    let mut seed = crc32fast::Hasher::new();
    seed.update(&segment[12..20]);
    seed.update(&segment[28..36]);
    let mut hasher = crc32fast::Hasher::new_with_initial(seed.finalize());
    hasher.update(&index[..64]);
    hasher.finalize().to_le_bytes()
}

fn verify(disk: &FaultyDisk) {
    let report = verify::check(&*disk.duplicate().boot(), |_| Role::Lasting).expect("a log");
    assert_eq!((report.findings, report.reach), (Vec::new(), Reach::End));
}

async fn kept(store: &Store) -> Vec<Vec<Entry>> {
    let mut all = Vec::new();
    for n in [1, 2] {
        all.push(read_kept(&store.log(key(n))).await.expect("readable"));
    }
    all
}

/// A log whose first segment is sealed, and holds little of session 2 and much of session 1.
async fn grown(disk: &FaultyDisk) -> Store {
    let store = open(disk.boot()).expect("open").0;
    store.log(key(2)).append(batch(1, "ec", 0)).await.expect("append");
    let mut id = 2;
    while newest_segment(disk) == FIRST {
        store.log(key(1)).append(batch(id, "e", 600)).await.expect("append");
        id += 1;
    }
    store
}

/// What happens between the failed try and whatever comes next.
#[derive(Debug, Clone, Copy)]
enum Between {
    Nothing,
    Kill,
    PowerLoss,
    /// What is left of the old file is cut off, too.
    AllIsCutOff,
}

async fn survives(between: Between, operation: Operation, skip: usize) -> bool {
    println!("{operation:?} {skip}, then {between:?}");
    let disk = FaultyDisk::new(7);
    let mut store = grown(&disk).await;
    let last = store.log(key(1)).tail().next_seq.previous();
    disk.fail(operation, skip, EIO);
    // Upkeep is done in place: by the answer to the next append it was tried.
    let trim = store.log(key(1)).trim(last, batch(500, "c", 0)).await;
    let append = store.log(key(2)).append(batch(501, "c", 0)).await;
    if store.health() == Health::Poisoned {
        // It was another file's sync: that is another story.
        return false;
    }
    let is_between = is_rewritten(&disk) && has_no_index(&disk);
    assert!(!is_between || trim.is_ok() && append.is_ok(), "{trim:?} {append:?}");
    disk.mend();
    let mut before = kept(&store).await;
    verify(&disk);
    match between {
        Between::Nothing => {}
        Between::Kill | Between::PowerLoss => {
            drop(store);
            if matches!(between, Between::PowerLoss) {
                disk.lose_power();
            }
            store = open(disk.boot()).expect("open").0;
        }
        Between::AllIsCutOff => {
            store.log(key(2)).trim(Seq::new(1), batch(502, "c", 0)).await.expect("trim");
            before = kept(&store).await;
        }
    }
    assert_eq!(kept(&store).await, before);
    // The next try, and more of the log.
    for id in 600..620 {
        let append = store.log(key(1)).append(batch(id, "e", 600)).await;
        assert!(append.is_ok() || !is_between, "{append:?}");
        verify(&disk);
    }
    let after = kept(&store).await;
    assert!(after[0].starts_with(&before[0]) && after[1] == before[1], "{after:?}");
    assert!(!is_between || matches!(between, Between::AllIsCutOff) || !has_no_index(&disk));
    drop(store);
    disk.lose_power();
    let store = open(disk.boot()).expect("open").0;
    assert_eq!(kept(&store).await, after);
    verify(&disk);
    is_between
}

#[tokio::test]
async fn a_rewritten_segment_whose_index_failed_loses_nothing_and_reads_as_before() {
    use Between::{AllIsCutOff, Kill, Nothing, PowerLoss};
    let mut halfway = 0;
    for between in [Nothing, Kill, PowerLoss, AllIsCutOff] {
        for operation in [Operation::Create, Operation::Write, Operation::Sync, Operation::Rename] {
            for skip in 0..8 {
                halfway += u32::from(survives(between, operation, skip).await);
            }
        }
    }
    println!("{halfway} times the new file had its name");
    assert!(halfway > 10, "{halfway} times");
}

/// Also of a session of which some is kept.
#[tokio::test]
async fn a_rewritten_segment_holds_what_no_trim_has_cut_off_and_nothing_else() {
    let disk = FaultyDisk::new(7);
    let store = open(disk.boot()).expect("open").0;
    let (one, two) = (store.log(key(1)), store.log(key(2)));
    for id in 1..=4 {
        two.append(batch(id, "e", 0)).await.expect("append");
    }
    while newest_segment(&disk) == FIRST {
        one.append(batch(5, "e", 600)).await.expect("append");
    }
    let last = one.tail().next_seq.previous();
    two.trim(Seq::new(2), batch(6, "c", 0)).await.expect("trim").expect("the end of a batch");
    assert!(!is_rewritten(&disk), "most of it counts");
    one.trim(last, batch(7, "c", 0)).await.expect("trim").expect("the end of a batch");
    assert!(is_rewritten(&disk), "hardly any of it counts");
    let content = disk.content(FIRST);
    let batches = groups(&content).into_iter().flat_map(|group| group.batches);
    let found: Vec<_> =
        batches.map(|b| (content[b.start], u64_at(&content, b.start + 16))).collect();
    assert_eq!(found, [(2, 3), (2, 4)], "sessions and first numbers");
}
