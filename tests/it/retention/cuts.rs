//! Where the log can be cut: behind each event that ends its batch, whatever stands around it.

use afterbay::event::{Control, Seq};
use afterbay::limits;
use afterbay::log::{Batch, Log, Store};

use super::super::support::faulty_disk::FaultyDisk;
use super::super::support::log_model::{batch, key, open};

/// Shapes of batches, with the events that end one.
const SHAPES: [&str; 9] = ["cec", "e", "c", "ce", "e", "eee", "cc", "ec", "e"];
const ENDS: [u64; 7] = [1, 2, 3, 4, 7, 8, 9];

async fn filled(store: &Store, padding: usize) -> Log {
    let log = store.log(key(1));
    for (id, shape) in (0..).zip(SHAPES) {
        log.append(batch(id, shape, padding)).await.expect("append");
        // Those of another session stand between them.
        store.log(key(2)).append(batch(100 + id, "ec", padding)).await.expect("append");
    }
    log
}

async fn can_cut(log: &Log, through: u64) -> bool {
    log.trim(Seq::new(through), Batch::default()).await.expect("trim").is_some()
}

#[tokio::test]
async fn the_log_is_cut_behind_an_event_that_ends_its_batch_and_behind_no_other() {
    // In the active segment, and in sealed ones.
    for padding in [0, 1500] {
        for through in 0..=10 {
            let disk = FaultyDisk::new(0);
            let store = open(disk.boot()).expect("open").0;
            let log = filled(&store, padding).await;
            let reader = (through % 2 == 0).then(|| log.cursor(Seq::START));
            let cut = can_cut(&log, through).await;
            assert_eq!(cut, ENDS.contains(&through), "{padding} {through}");
            assert!(!can_cut(&log, through).await, "it is cut off already");
            drop(reader);
        }
    }
}

#[tokio::test]
async fn many_records_that_no_reader_sees_do_not_hide_the_event_behind_them() {
    let disk = FaultyDisk::new(0);
    let store = open(disk.boot()).expect("open").0;
    let log = store.log(key(1));
    log.append(batch(0, "e", 0)).await.expect("append");
    let quiet = || Batch::default().control(Control { kind: 7, bytes: bytes::Bytes::new() });
    for _ in 0..3 * limits::CURSOR_STEP_BATCHES {
        log.append(quiet()).await.expect("append");
    }
    log.append(batch(1, "e", 0)).await.expect("append");
    assert!(can_cut(&log, 2).await);
    assert!(log.bytes() < 1000, "all of them are cut off");
}
