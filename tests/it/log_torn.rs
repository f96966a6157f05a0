//! The last group of the log, torn at every byte: what is before the tear is there, what is behind
//! it never was.

use afterbay::event::Seq;

use super::support::faulty_disk::FaultyDisk;
use super::support::log_bytes::{GroupBytes, groups};
use super::support::log_model::{
    append_grouped, batch, entry, key, newest_segment, next, open, read_all,
};

/// A log whose last group holds a batch of each of three sessions; each has one before.
async fn written() -> (FaultyDisk, String) {
    let disk = FaultyDisk::new(0);
    let (store, _) = open(disk.boot()).expect("open");
    for (n, id) in [(1, 1), (2, 2), (3, 3)] {
        store.log(key(n)).append(batch(id, "ec", 0)).await.expect("append");
    }
    let batches = [(4, 4, "c"), (1, 5, "ece"), (2, 6, "cee"), (3, 7, "e")];
    let batches = batches.map(|(n, id, shape)| (store.log(key(n)), batch(id, shape, 0)));
    for answer in append_grouped(&disk, batches.into()).await {
        answer.expect("append");
    }
    let name = newest_segment(&disk);
    (disk, name)
}

/// How many batches at the start of `group` are the same in `torn` as in `whole`.
fn untouched(group: &GroupBytes, whole: &[u8], torn: &[u8]) -> usize {
    if torn.get(group.header.clone()) != Some(&whole[group.header.clone()]) {
        return 0;
    }
    let same =
        |batch: &&std::ops::Range<usize>| torn.get((*batch).clone()) == whole.get((*batch).clone());
    group.batches.iter().take_while(same).count()
}

/// Opens the torn log, appends, loses power, and opens again.
async fn check(disk: &FaultyDisk, accepted: usize) {
    let sessions = [(1, 1, 5, "ece"), (2, 2, 6, "cee"), (3, 3, 7, "e")];
    let (store, _) = open(disk.boot()).expect("open");
    for (n, first, second, _) in sessions {
        let found = read_all(&store.log(key(n)), Seq::START).await.expect("read");
        let mut ids: Vec<u64> = found.iter().map(|entry| entry.batch).collect();
        ids.dedup();
        let expected = if accepted >= n.into() { vec![first, second] } else { vec![first] };
        assert_eq!(ids, expected, "session {n} with {accepted} batches accepted");
        store.log(key(n)).append(batch(10 + first, "ec", 0)).await.expect("append");
    }
    drop(store);
    disk.lose_power();
    let (store, _) = open(disk.boot()).expect("open again");
    for (n, first, second, shape) in sessions {
        let found = read_all(&store.log(key(n)), Seq::START).await.expect("read again");
        let mut expected = vec![first; 2];
        if accepted >= n.into() {
            expected.extend(std::iter::repeat_n(second, shape.len()));
        }
        expected.extend([10 + first; 2]);
        assert_eq!(found.iter().map(|entry| entry.batch).collect::<Vec<_>>(), expected);
    }
}

#[tokio::test]
async fn a_last_group_torn_at_any_byte_loses_what_is_behind_and_nothing_else() {
    let (disk, name) = written().await;
    let whole = disk.content(&name);
    let group = groups(&whole).pop().expect("a group");
    assert_eq!(group.batches.len(), 3);
    let mut seen = [0; 4];
    for at in group.all.clone() {
        let cut = whole[..at].to_vec();
        let mut zeroed = whole.clone();
        zeroed[at..].fill(0);
        let mut turned = whole.clone();
        turned[at] ^= 0x10;
        for torn in [cut, zeroed, turned] {
            let accepted = untouched(&group, &whole, &torn);
            seen[accepted] += 1;
            let disk = disk.duplicate();
            disk.damage(&name, |bytes| *bytes = torn);
            check(&disk, accepted).await;
        }
    }
    assert!(seen.iter().all(|count| *count > 0), "each number of batches was seen: {seen:?}");
}

#[tokio::test]
async fn a_group_that_is_cut_does_not_come_back_when_it_turns_out_to_be_whole() {
    let (disk, name) = written().await;
    let whole = disk.content(&name);
    let group = groups(&whole).pop().expect("a group");
    disk.damage(&name, |bytes| bytes[group.batches[1].start] ^= 1);
    let (store, _) = open(disk.boot()).expect("open");
    assert_eq!(store.log(key(2)).tail().next_seq, Seq::new(2));
    drop(store);
    // The old segment is still there: earlier groups live in it.
    disk.damage(&name, |bytes| bytes[group.batches[1].start] ^= 1);
    let (store, _) = open(disk.boot()).expect("open");
    let found = read_all(&store.log(key(2)), Seq::START).await.expect("read");
    assert!(found.iter().all(|entry| entry.batch == 2), "{found:?}");
    let found = read_all(&store.log(key(1)), Seq::START).await.expect("read");
    assert_eq!(found.last().map(|entry| entry.batch), Some(5));
    let mut cursor = store.log(key(1)).cursor(Seq::new(2));
    let afterbay::log::Step::Records(records) = next(&mut cursor).await.expect("read") else {
        panic!("records follow");
    };
    assert_eq!(records.iter().map(|r| entry(r).at).collect::<Vec<_>>(), [1, 2]);
}
