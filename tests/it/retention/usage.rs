//! What the log says that it takes of its disk.

use std::sync::Arc;

use afterbay::event::Seq;
use afterbay::log::{Batch, Disk, Options, RealDisk, Store};

use super::super::support::faulty_disk::FaultyDisk;
use super::super::support::log_model::{SMALL, batch, key, metrics, open};

#[tokio::test]
async fn what_is_kept_is_what_was_appended_and_not_trimmed_also_of_a_full_segment() {
    let disk = FaultyDisk::new(0);
    let store = open(disk.boot()).expect("open").0;
    let (one, two) = (store.log(key(1)), store.log(key(2)));
    // Each takes about 1.1 kB, and ten fill a segment and more.
    for id in 0..20 {
        let log = if id % 2 == 0 { &one } else { &two };
        log.append(batch(id, "e", 1000)).await.expect("append");
    }
    let usage = store.usage().expect("a disk");
    assert!(usage.kept == one.bytes() + two.bytes() && usage.files > usage.kept, "{usage:?}");
    assert_eq!(usage.free, u64::MAX);
    let before = one.bytes();
    let share = |part: u64, whole: u64| part as f64 / whole as f64;
    for (through, left) in [(1, 0.9), (2, 0.8), (5, 0.5), (9, 0.1)] {
        let cut = one.trim(Seq::new(through), Batch::default()).await.expect("trim");
        assert!(cut.is_some(), "cannot cut behind {through}");
        let is = share(one.bytes(), before);
        assert!((is - left).abs() < 0.08, "{is} is left where {left} should be");
    }
    let now = store.usage().expect("a disk");
    assert_eq!(now.kept, one.bytes() + two.bytes());
    disk.tell_free(17);
    assert_eq!(store.usage().expect("a disk").free, 17);
    drop((one, two));
    store.close().await;
    assert!(store.usage().is_err(), "a closed store has let go of its disk");
    let again = open(disk.boot()).expect("open").0;
    let is = share(again.log(key(1)).bytes(), before);
    assert!((is - 0.1).abs() < 0.08, "{is} is left after a restart");
}

#[tokio::test]
async fn a_real_disk_says_what_is_free_and_what_files_take() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = RealDisk::open(folder.path()).expect("open");
    let free = disk.free_bytes().expect("a file system");
    let (blocks, size) =
        rustix::fs::statvfs(folder.path()).map(|v| (v.f_blocks, v.f_frsize)).expect("one");
    assert!(free > 0 && free <= blocks * size, "{free} of {blocks} times {size}");
    let options = Options { segment_bytes: 1 << 20, ..SMALL };
    let store = Store::open(Arc::new(disk), options, metrics(), &mut |_| {}).expect("open");
    store.log(key(1)).append(batch(1, "e", 1000)).await.expect("append");
    let usage = store.usage().expect("a disk");
    assert!(usage.files >= 1 << 20 && (1000..2000).contains(&usage.kept), "{usage:?}");
}
