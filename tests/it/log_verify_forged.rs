//! Changes with fresh checksums: what only numbers, chains and counts can tell.

use std::collections::BTreeMap;

use afterbay::event::Seq;
use afterbay::ids::SessionKey;
use afterbay::log::UpkeepBy;
use afterbay::log::verify::{self, Finding, Report};
use sha2::{Digest as _, Sha256};

use super::support::faulty_disk::FaultyDisk;
use super::support::log_forge::{Forged, numbers, owner, renumber, set_numbers};
use super::support::log_life::{open, role};
use super::support::log_model::{append_grouped, batch, key};

type Segments = BTreeMap<String, Forged>;

/// Some twenty groups in several segments, with batches of equal size of sessions 1 to 3; session 3
/// has no batch in the later segments. Without indexes, which would tell of each change.
async fn written() -> FaultyDisk {
    let disk = FaultyDisk::new(0);
    let store = open(disk.boot(), UpkeepBy::Writer);
    for round in 0..10 {
        let mut batches = vec![
            (store.log(key(9)), batch(round, "e", 0)),
            (store.log(key(1)), batch(100 + round, "ec", 300)),
            (store.log(key(2)), batch(200 + round, "ec", 300)),
        ];
        if round < 3 {
            batches.push((store.log(key(3)), batch(300 + round, "ec", 300)));
        }
        let answers = append_grouped(&disk, batches).await;
        assert!(answers.iter().all(Result::is_ok));
    }
    store.close().await;
    without_indexes(&disk);
    disk
}

fn without_indexes(disk: &FaultyDisk) {
    for name in disk.names().iter().filter(|name| name.ends_with(".idx")) {
        disk.boot().remove(name).expect("remove");
    }
}

fn check(disk: &FaultyDisk) -> Report {
    verify::check(&*disk.boot(), role).expect("a log")
}

/// What is found after a change with fresh checksums.
fn forged(disk: &FaultyDisk, change: impl FnOnce(&mut Segments)) -> Vec<Finding> {
    let names = disk.names().into_iter().filter(|name| name.starts_with("segment"));
    let mut segments: Segments =
        names.map(|name| (name.clone(), Forged::new(&disk.content(&name)))).collect();
    change(&mut segments);
    let copy = disk.duplicate();
    for (name, segment) in segments {
        copy.damage(&name, |content| *content = segment.bytes(content.len()));
    }
    check(&copy).findings
}

/// The places of a session's batches: file, group, batch.
fn places(segments: &Segments, session: SessionKey) -> Vec<(String, usize, usize)> {
    let mut found = Vec::new();
    for (name, segment) in segments {
        for (g, group) in segment.groups.iter().enumerate() {
            for (b, batch) in group.batches.iter().enumerate() {
                if owner(batch) == session.to_bytes() {
                    found.push((name.clone(), g, b));
                }
            }
        }
    }
    found
}

fn at<'a>(segments: &'a mut Segments, place: &(String, usize, usize)) -> &'a mut Vec<u8> {
    let (name, group, batch) = place;
    &mut segments.get_mut(name).expect("a segment").groups[*group].batches[*batch]
}

fn names(findings: &[Finding]) -> Vec<&'static str> {
    findings.iter().map(|finding| finding.fault.name()).collect()
}

#[tokio::test]
async fn nothing_is_found_if_nothing_is_changed() {
    let disk = written().await;
    assert_eq!(forged(&disk, |_| {}), []);
    let counts = check(&disk).counts;
    assert_eq!((counts.batches, counts.sessions, counts.indexes), (33, 4, 0));
    assert!(counts.segments > 3, "{counts:?}");
}

#[tokio::test]
async fn a_batch_that_was_cut_out_shows_by_the_chain_alone() {
    let disk = written().await;
    for n in 0..9 {
        let mut behind = 0;
        let findings = forged(&disk, |segments| {
            let places = places(segments, key(1));
            let (name, group, batch) = places[n].clone();
            segments.get_mut(&name).expect("it").groups[group].batches.remove(batch);
            // As if it had never been there.
            renumber(segments, key(1).to_bytes());
            behind = places.len() - 1 - n;
        });
        // Each batch behind it has other numbers than those that its link covers.
        assert_eq!(names(&findings), vec!["broken-chain"; behind], "batch {n}");
        let first = &findings[0];
        assert_eq!(first.session, Some(key(1)));
        let lost = 2 * n as u64 + 1;
        assert_eq!(first.records.expect("which").first.next_lsn.get(), lost, "{first}");
    }
}

#[tokio::test]
async fn a_batch_that_was_taken_out_leaves_a_hole_in_the_numbers() {
    let disk = written().await;
    let findings = forged(&disk, |segments| {
        let (name, group, batch) = places(segments, key(1))[4].clone();
        segments.get_mut(&name).expect("it").groups[group].batches.remove(batch);
    });
    assert_eq!(names(&findings), ["missing-records"]);
    let missing = findings[0].records.expect("which");
    assert_eq!((missing.first.next_lsn.get(), missing.end.next_lsn.get()), (9, 11));
    assert_eq!((missing.first.next_seq, missing.end.next_seq), (Seq::new(5), Seq::new(6)));
}

#[tokio::test]
async fn two_batches_that_changed_places_are_reordered_and_with_their_numbers_changed_altered() {
    let disk = written().await;
    for (a, b) in [(1, 2), (2, 6), (0, 1), (4, 5)] {
        let swap = |segments: &mut Segments| {
            let places = places(segments, key(2));
            let one = at(segments, &places[a]).clone();
            let two = std::mem::replace(at(segments, &places[b]), one);
            *at(segments, &places[a]) = two;
            places
        };
        let findings = forged(&disk, |segments| drop(swap(segments)));
        let told = names(&findings);
        assert!(told.contains(&"reordered"), "{a} and {b}: {told:?}");
        assert!(findings.iter().all(|finding| finding.session == Some(key(2))));
        if b == a + 1 {
            // All are there, and that is seen.
            assert_eq!(told, ["reordered"], "{a} and {b}");
        }
        let findings = forged(&disk, |segments| {
            let places = swap(segments);
            let first = numbers(at(segments, &places[a]));
            let second = numbers(at(segments, &places[b]));
            set_numbers(at(segments, &places[a]), second);
            set_numbers(at(segments, &places[b]), first);
        });
        let told = names(&findings);
        assert!(told.iter().all(|name| *name == "broken-chain"), "{a} and {b}: {told:?}");
        let first = findings[0].records.expect("which").first.next_lsn.get();
        assert_eq!(first, 2 * a as u64 + 1, "the first one of both");
    }
}

#[tokio::test]
async fn a_byte_of_a_record_that_was_changed_with_its_checksums_breaks_the_chain_there() {
    let disk = written().await;
    for n in 0..10 {
        let findings = forged(&disk, |segments| {
            let places = places(segments, key(1));
            let bytes = at(segments, &places[n]);
            *bytes.last_mut().expect("a body") ^= 1;
        });
        assert_eq!(names(&findings), ["broken-chain"], "batch {n}");
        let first = findings[0].records.expect("which").first.next_lsn.get();
        assert_eq!(first, 2 * n as u64 + 1);
    }
}

#[tokio::test]
async fn a_batch_that_is_there_twice_or_belongs_to_another_session_is_found() {
    let disk = written().await;
    let findings = forged(&disk, |segments| {
        let (name, group, batch) = places(segments, key(1))[3].clone();
        let batches = &mut segments.get_mut(&name).expect("it").groups[group].batches;
        batches.insert(batch, batches[batch].clone());
    });
    assert_eq!(names(&findings), ["reordered"]);
    let findings = forged(&disk, |segments| {
        let places = places(segments, key(1));
        at(segments, &places[3])[..16].copy_from_slice(&key(2).to_bytes());
    });
    let told = names(&findings);
    assert!(told.contains(&"missing-records") && told.len() > 1, "{told:?}");
}

#[tokio::test]
async fn a_batch_that_its_group_does_not_count_is_found_whether_its_session_goes_on_or_not() {
    let disk = written().await;
    for session in [1, 3] {
        let findings = forged(&disk, |segments| {
            // The last group of the log may not be whole.
            let (name, group, batch) = places(segments, key(session)).swap_remove(2);
            let group = &mut segments.get_mut(&name).expect("it").groups[group];
            group.hidden = group.batches.len() - batch;
        });
        assert!(names(&findings).contains(&"unreadable-range"), "{session}: {findings:?}");
    }
}

#[tokio::test]
async fn a_whole_segment_that_is_gone_shows_also_if_its_sessions_never_went_on() {
    let disk = written().await;
    let copy = disk.duplicate();
    let all: Vec<_> = disk.names().into_iter().filter(|n| n.starts_with("segment")).collect();
    // Session 1 and 2 went on: so cut them out of what is behind, and session 9, too.
    let findings = forged(&copy, |segments| {
        let later: Vec<_> = segments.keys().skip(1).cloned().collect();
        for name in &later[1..] {
            for group in &mut segments.get_mut(name).expect("it").groups {
                for batch in &mut group.batches {
                    batch[..16].copy_from_slice(&key(7).to_bytes());
                }
            }
        }
        for name in later {
            let own = name == all[1];
            segments.get_mut(&name).expect("it").groups.retain(|_| !own);
        }
    });
    let first = &findings[0];
    assert_eq!((first.fault.name(), first.session), ("missing-groups", None), "{first}");
}

/// A log in which a session is cut off behind the event `through`, somewhere in a segment or at its
/// border.
async fn trimmed(through: u64) -> FaultyDisk {
    let disk = FaultyDisk::new(0);
    let store = open(disk.boot(), UpkeepBy::Writer);
    let log = store.log(key(1));
    for n in 0..10 {
        log.append(batch(n, "e", 900)).await.expect("append");
    }
    let cut = log.trim(Seq::new(through), batch(20, "c", 0)).await.expect("trim");
    assert!(cut.is_some(), "through {through}");
    for n in 0..2 {
        store.log(key(2)).append(batch(30 + n, "e", 900)).await.expect("append");
    }
    store.close().await;
    without_indexes(&disk);
    assert_eq!(check(&disk).findings, [], "through {through}");
    disk
}

#[tokio::test]
async fn the_first_batch_that_a_trim_kept_is_checked_also_if_nothing_before_it_is_there() {
    let mut alone = 0;
    for through in 1..=9 {
        let disk = trimmed(through).await;
        let findings = forged(&disk, |segments| {
            let places = places(segments, key(1));
            let mut first = |place: &&(String, usize, usize)| numbers(at(segments, place)).1;
            let kept = places.iter().find(|place| first(place) == through + 1).expect("kept");
            alone += u32::from(*kept == places[0]);
            *at(segments, kept).last_mut().expect("a body") ^= 1;
        });
        assert_eq!(names(&findings), ["broken-chain"], "through {through}");
        let found = findings[0].records.expect("which").first.next_seq;
        assert_eq!(found, Seq::new(through + 1));
    }
    assert!((2..8).contains(&alone), "{alone} trims at the border of a segment");
}

#[tokio::test]
async fn what_is_cut_off_and_was_in_no_segment_that_is_gone_is_missing_all_the_same() {
    let mut taken_out = 0;
    for through in 3..=9 {
        let disk = trimmed(through).await;
        let findings = forged(&disk, |segments| {
            let places = places(segments, key(1));
            // The second batch that is there, if that is cut off.
            let (name, group, batch) = places[1].clone();
            if numbers(at(segments, &places[1])).1 > through {
                return;
            }
            let group = &mut segments.get_mut(&name).expect("it").groups[group];
            // Another session's in its place, so that no group is missing.
            group.batches[batch][..16].copy_from_slice(&key(8).to_bytes());
            set_numbers(&mut group.batches[batch], (1, 1));
            taken_out += 1;
        });
        let told = names(&findings);
        assert!(told.is_empty() || told.contains(&"missing-records"), "{through}: {told:?}");
    }
    assert!(taken_out > 1, "{taken_out}");
}

#[tokio::test]
async fn what_is_kept_must_follow_the_link_that_its_trim_kept_whatever_is_before_it() {
    for through in 1..=9 {
        let disk = trimmed(through).await;
        // All links are as if the session had begun with another one.
        let findings = forged(&disk, |segments| {
            let mut link = [0x55; 16];
            for place in places(segments, key(1)) {
                let batch = at(segments, &place);
                let parts = [&link, &batch[..44], &Sha256::digest(&batch[68..])].concat();
                link.copy_from_slice(&Sha256::digest(&parts)[..16]);
                batch[48..64].copy_from_slice(&link);
            }
        });
        let kept = |finding: &Finding| {
            finding.records.is_some_and(|records| records.first.next_seq == Seq::new(through + 1))
        };
        assert!(findings.iter().any(kept), "through {through}: {findings:?}");
        assert!(findings.iter().all(|finding| finding.fault.name() == "broken-chain"));
    }
}
