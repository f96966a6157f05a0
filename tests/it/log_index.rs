//! The index of a sealed segment is made of what was noted while the segment was written. It is the
//! same, byte for byte, as the one that reading the segment back gives.

use std::collections::BTreeMap;

use afterbay::event::{Control, Seq};
use afterbay::log::verify::{self, Reach};
use afterbay::log::{Batch, Error, Options, Role};
use bytes::Bytes;
use futures_util::future::join_all;

use super::support::faulty_disk::{FaultyDisk, Operation};
use super::support::log_model::{SMALL, batch, key, open_with};

const ENOSPC: i32 = 28;
const PASSING: u16 = 1;
const CLOSING: u16 = 2;
const ROLES: Options = Options {
    roles: |kind| match kind {
        PASSING => Role::Passing,
        CLOSING => Role::Closing,
        _ => Role::Lasting,
    },
    ..SMALL
};

fn indexes(disk: &FaultyDisk) -> BTreeMap<String, Vec<u8>> {
    let names = disk.names().into_iter().filter(|name| name.ends_with(".idx"));
    names.map(|name| (name.clone(), disk.content(&name))).collect()
}

fn with_control(batch: Batch, kind: u16, id: u64) -> Batch {
    batch.control(Control { kind, bytes: Bytes::from(vec![b'c'; 10 + id as usize % 40]) })
}

/// Batches of all kinds in three sessions, some of them refused, with trims in between.
async fn write(disk: &FaultyDisk) {
    let (store, _) = open_with(disk.boot(), ROLES).expect("open");
    let mut refused = 0;
    for id in 0..120 {
        let log = store.log(key(1 + (id % 3) as u8));
        let records = match id % 5 {
            0 => with_control(Batch::default(), PASSING, id),
            1 => with_control(batch(id, "e", 200), PASSING, id),
            2 => batch(id, "eee", 100),
            3 => batch(id, "ec", 50),
            _ => with_control(batch(id, "e", 10), CLOSING, id),
        };
        if id % 17 == 3 {
            disk.fail(Operation::Write, 0, ENOSPC);
            // Where a segment is full just now, an index or the next segment's header is refused instead.
            let answer = log.append(records.clone()).await;
            refused += usize::from(matches!(answer, Err(Error::Refused(_))));
            disk.mend();
        }
        let appended = log.append(records).await.expect("append");
        if id % 31 == 30 {
            let through = Seq::new(appended.tail.next_seq.get() - 1);
            log.trim(through, batch(1000 + id, "c", 5)).await.expect("a trim");
        }
    }
    assert!(refused > 3, "{refused} batches were refused");
    store.close().await;
}

#[tokio::test]
async fn what_was_noted_is_what_reading_back_tells() {
    let disk = FaultyDisk::new(0);
    write(&disk).await;
    let noted = indexes(&disk);
    assert!(noted.len() >= 3, "{} segments are sealed", noted.len());
    {
        let disk = disk.boot();
        for name in noted.keys() {
            disk.remove(name).expect("removed");
        }
        disk.sync_dir().expect("synced");
    }
    // Opening reads what has no index, and gives it one.
    let (store, _) = open_with(disk.boot(), ROLES).expect("open");
    store.close().await;
    let read_back = indexes(&disk);
    for (name, bytes) in noted {
        assert!(read_back.get(&name) == Some(&bytes), "{name} differs");
    }
}

/// Of so many batches not all are noted: the full segment is read back, and gets its index all the
/// same.
#[tokio::test]
async fn more_batches_than_are_noted_are_read_back() {
    const BATCHES: usize = 1 << 17;
    let disk = FaultyDisk::new(0);
    // A batch takes 80 bytes.
    let sizes = Options { segment_bytes: 82 * BATCHES as u64, group_bytes: 1 << 20, ..ROLES };
    let (store, _) = open_with(disk.boot(), sizes).expect("open");
    let logs: Vec<_> = (1..=200).map(|n| store.log(key(n))).collect();
    let record = || Batch::default().control(Control { kind: CLOSING, bytes: "end".into() });
    for _ in 0..BATCHES / logs.len() + 100 {
        let appends = join_all(logs.iter().map(|log| log.append(record()))).await;
        assert!(appends.iter().all(Result::is_ok), "{appends:?}");
    }
    store.close().await;
    let made = indexes(&disk);
    assert_eq!(made.keys().collect::<Vec<_>>(), ["segment-0000000000000001.idx"]);
    let spots = made.values().map(Vec::len).sum::<usize>() / 28;
    assert!(spots > BATCHES, "{spots} batches in the index");
    let report = verify::check(&*disk.boot(), ROLES.roles).expect("a log");
    assert_eq!((report.findings, report.reach), (Vec::new(), Reach::End));
}
