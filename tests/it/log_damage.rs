//! Damage to what was durable: it costs exactly what it hits, it says so, and no number is given
//! twice because of it.

use std::ops::Range;

use afterbay::event::Seq;
use afterbay::log::{Disk, Log, OpenError, Step, Store};
use std::sync::Arc;

use super::support::faulty_disk::FaultyDisk;
use super::support::log_bytes::{DATA_START, GroupBytes, body, groups};
use super::support::log_model::{
    SMALL, append_grouped, batch, entry, key, metrics, newest_segment, next, open,
};

/// What a cursor shows up to the tail: a batch's events by their numbers, or a gap.
#[derive(Debug, PartialEq, Eq)]
enum Shown {
    Events { batch: u64, seqs: Vec<u64> },
    Gap(u64, u64),
}

use Shown::{Events, Gap};

/// Reads until it has seen the event `last`.
async fn show(log: &Log, after: u64, last: u64) -> Vec<Shown> {
    let mut cursor = log.cursor(Seq::new(after));
    let mut shown: Vec<Shown> = Vec::new();
    loop {
        match next(&mut cursor).await.expect("read") {
            Step::Gap { from, to } => shown.push(Gap(from.get(), to.get())),
            Step::End => panic!("the end"),
            Step::Records(records) => {
                for entry in records.iter().map(entry) {
                    let Some(seq) = entry.seq.map(Seq::get) else {
                        continue;
                    };
                    match shown.last_mut() {
                        Some(Events { batch, seqs }) if *batch == entry.batch => seqs.push(seq),
                        _ => shown.push(Events { batch: entry.batch, seqs: vec![seq] }),
                    }
                    if seq == last {
                        return shown;
                    }
                }
            }
        }
    }
}

/// Five groups; in each but the first, which holds session 3's only batch, one batch of session 1
/// (two events) and one of session 2 (one event and a control record).
async fn written() -> (FaultyDisk, String, Vec<GroupBytes>) {
    let disk = FaultyDisk::new(0);
    let (store, _) = open(disk.boot()).expect("open");
    store.log(key(3)).append(batch(30, "e", 0)).await.expect("append");
    for round in 1..=4 {
        let batches = [
            (store.log(key(4)), batch(40 + round, "e", 0)),
            (store.log(key(1)), batch(10 + round, "ee", 0)),
            (store.log(key(2)), batch(20 + round, "ec", 0)),
        ];
        let answers = append_grouped(&disk, batches.into()).await;
        assert!(answers.iter().all(Result::is_ok));
    }
    store.close().await;
    let name = newest_segment(&disk);
    let groups = groups(&disk.content(&name));
    assert_eq!(groups.len(), 9);
    assert!(groups.iter().map(|group| group.number).eq(1..=9));
    (disk, name, groups)
}

/// The group of session 1's and session 2's batches of one round.
fn round(groups: &[GroupBytes], n: usize) -> &GroupBytes {
    let group = &groups[2 * n];
    assert_eq!(group.batches.len(), 2);
    group
}

fn turn(disk: &FaultyDisk, name: &str, bytes: Range<usize>) {
    disk.damage(name, |content| content[bytes].iter_mut().for_each(|byte| *byte ^= 0x40));
}

/// Opens twice with a loss of power in between, as damage stays where it is.
fn reopened(disk: &FaultyDisk) -> (Store, u64) {
    drop(opened(disk.boot()));
    disk.lose_power();
    opened(disk.boot())
}

fn opened(disk: Arc<dyn Disk>) -> (Store, u64) {
    let metrics = metrics();
    let store = Store::open(disk, SMALL, metrics.clone(), &mut |_| {}).expect("open");
    (store, metrics.damaged_bytes.get())
}

fn two(batch: u64, first: u64) -> Shown {
    Events { batch, seqs: vec![first, first + 1] }
}

fn one(batch: u64, seq: u64) -> Shown {
    Events { batch, seqs: vec![seq] }
}

#[tokio::test]
async fn a_damaged_batch_shows_as_an_exact_gap_and_the_rest_is_served() {
    let (disk, name, groups) = written().await;
    let hit = &round(&groups, 2).batches[0];
    turn(&disk, &name, body(hit).start + 3..body(hit).start + 4);
    let (store, damaged) = reopened(&disk);
    assert_eq!(damaged, hit.len() as u64);
    let log = store.log(key(1));
    assert_eq!(show(&log, 0, 8).await, [two(11, 1), Gap(3, 4), two(13, 5), two(14, 7)]);
    assert_eq!(show(&log, 2, 8).await, [Gap(3, 4), two(13, 5), two(14, 7)]);
    assert_eq!(show(&log, 3, 6).await, [Gap(4, 4), two(13, 5)]);
    assert_eq!(show(&log, 4, 6).await, [two(13, 5)]);
    let other = show(&store.log(key(2)), 0, 4).await;
    assert_eq!(other, [one(21, 1), one(22, 2), one(23, 3), one(24, 4)]);
    let appended = log.append(batch(15, "e", 0)).await.expect("append");
    assert_eq!(appended.first_seq, Seq::new(9));
}

#[tokio::test]
async fn an_unreadable_batch_header_costs_the_rest_of_its_group() {
    let (disk, name, groups) = written().await;
    let hit = round(&groups, 3);
    turn(&disk, &name, hit.batches[0].start..hit.batches[0].start + 1);
    let (store, damaged) = reopened(&disk);
    assert_eq!(damaged, (hit.batches[1].end - hit.batches[0].start) as u64);
    let log = store.log(key(1));
    assert_eq!(show(&log, 0, 8).await, [two(11, 1), two(12, 3), Gap(5, 6), two(14, 7)]);
    let shown = show(&store.log(key(2)), 0, 4).await;
    assert_eq!(shown, [one(21, 1), one(22, 2), Gap(3, 3), one(24, 4)]);
}

#[tokio::test]
async fn an_unreadable_group_header_costs_its_group_and_the_next_one_is_found() {
    let (disk, name, groups) = written().await;
    let hit = round(&groups, 1);
    turn(&disk, &name, hit.header.start..hit.header.end);
    let (store, damaged) = reopened(&disk);
    assert_eq!(damaged, hit.all.len() as u64);
    let log = store.log(key(1));
    assert_eq!(show(&log, 0, 8).await, [Gap(1, 2), two(12, 3), two(13, 5), two(14, 7)]);
}

#[tokio::test]
async fn a_number_that_may_have_been_lost_is_never_given_again() {
    let (disk, name, groups) = written().await;
    // Session 3 had its only batch before the damage, session 4 has one right behind it.
    let hit = round(&groups, 2);
    turn(&disk, &name, hit.header.clone());
    let (store, _) = reopened(&disk);
    let log = store.log(key(3));
    let first = log.append(batch(31, "e", 0)).await.expect("append").first_seq.get();
    // No record is shorter than nine bytes.
    let at_most = hit.all.len() as u64 / 9 + 1;
    assert_eq!(first, 2 + at_most);
    assert_eq!(show(&log, 0, first).await, [one(30, 1), Gap(2, first - 1), one(31, first)]);
    let certain = store.log(key(4)).append(batch(45, "e", 0)).await.expect("append");
    assert_eq!(certain.first_seq, Seq::new(5));
    let (store, _) = reopened(&disk);
    assert_eq!(show(&store.log(key(3)), 1, first).await, [Gap(2, first - 1), one(31, first)]);
}

#[tokio::test]
async fn the_numbers_of_a_sessions_last_batch_stay_used_when_it_is_damaged() {
    let (disk, name, groups) = written().await;
    let hit = groups[0].batches[0].clone();
    turn(&disk, &name, hit.end - 1..hit.end);
    let (store, _) = reopened(&disk);
    let log = store.log(key(3));
    let appended = log.append(batch(31, "e", 0)).await.expect("append");
    assert_eq!(appended.first_seq, Seq::new(2));
    assert_eq!(show(&log, 0, 2).await, [Gap(1, 1), one(31, 2)]);
}

#[tokio::test]
async fn a_damaged_segment_is_kept_even_if_nothing_else_in_it_counts() {
    let disk = FaultyDisk::new(0);
    let (store, _) = open(disk.boot()).expect("open");
    store.log(key(3)).append(batch(30, "e", 0)).await.expect("append");
    store.log(key(1)).append(batch(10, "e", 0)).await.expect("append");
    store.close().await;
    let name = newest_segment(&disk);
    let hit = body(&groups(&disk.content(&name))[0].batches[0]);
    turn(&disk, &name, hit);
    // The last group goes to a new segment; the damaged batch is all that stays behind.
    let (store, _) = reopened(&disk);
    assert!(disk.names().contains(&name), "a damaged segment is kept");
    let log = store.log(key(3));
    let appended = log.append(batch(31, "e", 0)).await.expect("append");
    assert_eq!(appended.first_seq, Seq::new(2));
    assert_eq!(show(&log, 0, 2).await, [Gap(1, 1), one(31, 2)]);
}

async fn older_segment_that_lost_its_end(has_index: bool) {
    let (disk, name, groups) = written().await;
    // A newer segment proves that the older one was whole.
    drop(opened(disk.boot()));
    let index = name.replace(".log", ".idx");
    assert!(disk.names().contains(&index));
    if !has_index {
        disk.boot().remove(&index).expect("remove");
    }
    disk.damage(&name, |content| content.truncate(round(&groups, 3).all.start));
    let (store, damaged) = reopened(&disk);
    assert!(damaged > 0);
    let log = store.log(key(1));
    assert_eq!(show(&log, 0, 8).await, [two(11, 1), two(12, 3), Gap(5, 6), two(14, 7)]);
    assert!(disk.names().contains(&name), "a damaged segment is kept");
}

#[tokio::test]
async fn an_older_segment_that_lost_its_end_is_noticed() {
    older_segment_that_lost_its_end(false).await;
}

#[tokio::test]
async fn a_sealed_segment_that_lost_its_end_is_noticed() {
    older_segment_that_lost_its_end(true).await;
}

/// Damages a batch of session 1 under an open store, and looks at what its readers see.
async fn damage_since_opening(disk: &FaultyDisk, name: &str, groups: &[GroupBytes]) {
    let metrics = metrics();
    let store = Store::open(disk.boot(), SMALL, metrics.clone(), &mut |_| {}).expect("open");
    assert_eq!(metrics.damaged_bytes.get(), 0);
    let hit = &round(groups, 2).batches[0];
    turn(disk, name, body(hit).start..body(hit).start + 1);
    let log = store.log(key(1));
    assert_eq!(show(&log, 0, 8).await, [two(11, 1), Gap(3, 4), two(13, 5), two(14, 7)]);
    assert_eq!(metrics.damaged_bytes.get(), hit.len() as u64);
    assert_eq!(show(&log, 3, 6).await, [Gap(4, 4), two(13, 5)]);
    // Whoever asks again is told again; bytes that are good again are good.
    turn(disk, name, body(hit).start..body(hit).start + 1);
    assert_eq!(show(&log, 2, 6).await, [two(12, 3), two(13, 5)]);
}

#[tokio::test]
async fn damage_since_opening_shows_as_an_exact_gap() {
    let (disk, name, groups) = written().await;
    damage_since_opening(&disk, &name, &groups).await;
}

#[tokio::test]
async fn damage_in_a_sealed_segment_shows_as_an_exact_gap() {
    let (disk, name, groups) = written().await;
    drop(opened(disk.boot()));
    damage_since_opening(&disk, &name, &groups).await;
}

#[tokio::test]
async fn with_a_damaged_index_the_segment_itself_is_read() {
    let (disk, name, _) = written().await;
    drop(opened(disk.boot()));
    let index = name.replace(".log", ".idx");
    let size = disk.content(&index).len();
    for at in (0..size).step_by(3) {
        let disk = disk.duplicate();
        turn(&disk, &index, at..at + 1);
        let (store, damaged) = opened(disk.boot());
        let shown = show(&store.log(key(1)), 0, 8).await;
        assert_eq!(shown, [two(11, 1), two(12, 3), two(13, 5), two(14, 7)], "byte {at}");
        let shown = show(&store.log(key(2)), 1, 4).await;
        assert_eq!(shown, [one(22, 2), one(23, 3), one(24, 4)], "byte {at}");
        assert_eq!(damaged, 0);
    }
}

#[tokio::test]
async fn either_copy_of_a_segments_header_is_enough() {
    for copy in [0, 512] {
        let (disk, name, _) = written().await;
        turn(&disk, &name, copy..copy + 40);
        let (store, damaged) = reopened(&disk);
        assert_eq!(damaged, 0);
        assert_eq!(show(&store.log(key(1)), 6, 8).await, [two(14, 7)]);
    }
    let (disk, name, _) = written().await;
    turn(&disk, &name, 0..DATA_START);
    let refused = open(disk.boot()).expect_err("damaged");
    assert!(matches!(&refused, OpenError::Damaged { file, .. } if *file == name), "{refused}");
}

#[tokio::test]
async fn another_version_is_refused_by_name_and_left_alone() {
    let (disk, name, _) = written().await;
    let next = "segment-00000000000000ff.tmp";
    disk.boot().create(next).expect("create");
    for copy in [0, 512] {
        disk.damage(&name, |content| content[copy + 8] = 99);
    }
    let (names, content) = (disk.names(), disk.content(&name));
    let refused = open(disk.boot()).expect_err("another version");
    assert!(
        matches!(&refused, OpenError::Version { file, found: 99 } if *file == name),
        "{refused}"
    );
    assert!(refused.to_string().contains("version 99"), "{refused}");
    assert_eq!((disk.names(), disk.content(&name)), (names, content));
}
