//! Format version 0, held against its description byte by byte, and against a file that was written
//! once and must be readable for as long as the version is.

use std::path::Path;
use std::sync::Arc;

use afterbay::event::Seq;
use afterbay::log::{RealDisk, Store};

use super::support::faulty_disk::FaultyDisk;
use super::support::log_bytes::{DATA_START, body, groups, u32_at, u64_at};
use super::support::log_model::{append_grouped, batch, key, metrics, open, read_all};

const GOLDEN_NAME: &str = "segment-0000000000000001.log";

fn crc(seed: u32, parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(seed);
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize()
}

fn golden() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/log-v0").join(GOLDEN_NAME)
}

/// Two sessions, three groups; the last with two batches.
async fn write(store: &Store, disk: &FaultyDisk) {
    store.log(key(1)).append(batch(1, "ec", 3)).await.expect("append");
    let batches = [(1, 2, "c"), (2, 3, "e"), (1, 4, "ece")];
    let batches = batches.map(|(n, id, shape)| (store.log(key(n)), batch(id, shape, 0)));
    assert!(append_grouped(disk, batches.into()).await.iter().all(Result::is_ok));
}

#[tokio::test]
async fn the_bytes_are_as_described() {
    let disk = FaultyDisk::new(0);
    let store = open(disk.boot()).expect("open").0;
    write(&store, &disk).await;
    assert_eq!(disk.names(), [GOLDEN_NAME]);
    let bytes = disk.content(GOLDEN_NAME);
    assert_eq!(bytes[..12], *b"\xffABlog\xfe\n\0\0\0\0");
    assert_eq!((u64_at(&bytes, 12), u64_at(&bytes, 20)), (1, 1));
    assert_eq!(u32_at(&bytes, 36), crc(0, &[&bytes[..36]]));
    assert_eq!(bytes[..512], bytes[512..DATA_START]);
    assert!(bytes[40..512].iter().all(|byte| *byte == 0));
    let seed = crc(0, &[&bytes[12..20], &bytes[28..36]]);
    let groups = groups(&bytes);
    assert_eq!(groups.iter().map(|group| group.batches.len()).collect::<Vec<_>>(), [1, 1, 2]);
    for (number, group) in (1..).zip(&groups) {
        let header = &bytes[group.header.clone()];
        assert_eq!((u64_at(header, 8), u64_at(header, 16)), (1, number));
        assert_eq!(u32_at(header, 36), crc(seed, &[&header[..36]]));
        let seed = crc(seed, &[&header[16..24], &header[24..28]]);
        for batch in &group.batches {
            let header = &bytes[batch.clone()];
            assert_eq!(u32_at(header, 48), crc(seed, &[&header[..48]]));
            assert_eq!(u32_at(header, 44), crc(seed, &[&bytes[body(batch)]]));
        }
        let end = group.batches.last().expect("a batch").end;
        assert!(bytes[end..group.all.end].iter().all(|byte| *byte == 0));
    }
    // The last batch: an event, a control record, an event of session 1, behind `ec` and `c`.
    let last = &groups[2].batches[1];
    let header = &bytes[last.clone()];
    assert_eq!(header[..16], [1; 16]);
    assert_eq!((u64_at(header, 16), u64_at(header, 24)), (4, 2));
    assert_eq!((u32_at(header, 32), u32_at(header, 36)), (3, 2));
    let mut expected = Vec::new();
    for at in 0..3 {
        let data = format!(r#"{{"batch":4,"at":{at},"of":3,"pad":""}}"#);
        let (tag, field, name) = if at == 1 { (2, 7, "") } else { (1, 4, "test") };
        expected.push(tag);
        expected.extend([field, 0, 0, 0, data.len() as u8, 0, 0, 0]);
        expected.extend(name.bytes().chain(data.bytes()));
    }
    assert_eq!(bytes[body(last)], expected);
}

#[tokio::test]
async fn a_segment_of_this_version_stays_readable() {
    let home = tempfile::tempdir().expect("tempdir");
    std::fs::copy(golden(), home.path().join(GOLDEN_NAME)).expect("copy");
    let disk = Arc::new(RealDisk::open(home.path()).expect("free"));
    let mut controls = 0;
    let store = Store::open(disk, metrics(), &mut |_| controls += 1).expect("open");
    assert_eq!(controls, 3);
    let one = read_all(&store.log(key(1)), Seq::START).await.expect("read");
    let ids: Vec<_> = one.iter().map(|entry| (entry.batch, entry.seq.map(Seq::get))).collect();
    let expected = [(1, Some(1)), (1, None), (2, None), (4, Some(2)), (4, None), (4, Some(3))];
    assert_eq!(ids, expected);
    let two = read_all(&store.log(key(2)), Seq::START).await.expect("read");
    assert_eq!(two.iter().map(|entry| entry.batch).collect::<Vec<_>>(), [3]);
}

#[tokio::test]
#[ignore = "writes the golden file anew: only for a new version"]
async fn write_the_golden_file() {
    assert!(!golden().exists(), "a golden file is never changed");
    let disk = FaultyDisk::new(0);
    let store = open(disk.boot()).expect("open").0;
    write(&store, &disk).await;
    std::fs::create_dir_all(golden().parent().expect("a folder")).expect("create");
    std::fs::write(golden(), disk.content(GOLDEN_NAME)).expect("write");
}
