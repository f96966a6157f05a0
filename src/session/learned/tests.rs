//! What is on disk when, and who is forgotten.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::metrics;
use crate::upstream::connect::Connect;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
const NOW: u64 = 1_000 * DAY_MS;

fn open(folder: &TempDir) -> LearnedBoxes {
    let registry = prometheus::Registry::new();
    let counters = metrics::upstream::Metrics::new(&registry).expect("a registry of its own");
    let client = BoxClient::new(endpoint("x").fixed(), &Connect::default(), counters);
    let rate = limits::POLLS_PER_SECOND_PER_BOX;
    let means = Means { client, budget: ProxyBudget::new(rate), rate };
    let metrics = Metrics::new(&registry).expect("a registry of its own");
    LearnedBoxes::open(folder.path(), means, metrics).expect("it opens")
}

fn endpoint(path: &str) -> Endpoint {
    format!("http://box.example/{path}").parse().expect("an endpoint")
}

fn name(text: &str) -> BoxName {
    text.parse().expect("a name")
}

async fn see(boxes: &LearnedBoxes, box_name: &str, path: &str, now_ms: u64) {
    let handed_out = Some(CredentialHash::from_bytes([7; 32]));
    let seen = Sighting { name: name(box_name), endpoint: endpoint(path), handed_out };
    let learnt = boxes.learn(vec![seen], now_ms, HashSet::new).await;
    assert_eq!(learnt, Ok(vec![Learnt::Known]));
}

fn place(boxes: &LearnedBoxes, box_name: &str) -> Option<Endpoint> {
    boxes.endpoint(&name(box_name)).map(|endpoint| endpoint.borrow().clone())
}

fn written(folder: &TempDir) -> usize {
    fs::read(folder.path().join("sandboxes")).expect("the file").len()
}

#[tokio::test]
async fn seeing_a_box_where_it_is_known_to_be_writes_nothing_for_an_hour() {
    let folder = tempfile::tempdir().expect("a folder");
    let boxes = open(&folder);
    see(&boxes, "a", "x", NOW).await;
    let once = written(&folder);
    let hour = 60 * 60 * 1000;
    for later in [0, 1, hour - 1] {
        see(&boxes, "a", "x", NOW + later).await;
        assert_eq!(written(&folder), once, "{later}");
    }
    see(&boxes, "a", "x", NOW + hour).await;
    let twice = written(&folder);
    assert!(twice > once);
    see(&boxes, "a", "x", NOW + hour + 1).await;
    assert_eq!(written(&folder), twice);
    // A clock that was set back writes no more often.
    see(&boxes, "a", "x", NOW).await;
    assert_eq!(written(&folder), twice);
}

#[tokio::test]
async fn a_box_that_moved_is_where_it_was_seen_last_for_all_who_ask_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let boxes = open(&folder);
    see(&boxes, "a", "x", NOW).await;
    let watched = boxes.endpoint(&name("a")).expect("known");
    see(&boxes, "a", "y", NOW).await;
    assert_eq!(*watched.borrow(), endpoint("y"));
    drop(boxes);
    assert_eq!(place(&open(&folder), "a"), Some(endpoint("y")));
}

#[tokio::test]
async fn a_deleted_box_is_known_for_what_it_had_and_can_come_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut boxes = open(&folder);
    see(&boxes, "a", "x", NOW).await;
    boxes.delete(name("a"), NOW).await;
    boxes.delete(name("nobody"), NOW).await;
    for reopened in [false, true] {
        if reopened {
            boxes = open(&folder);
        }
        assert_eq!(place(&boxes, "a"), None);
        assert!(boxes.get(&name("a")).is_none() && boxes.last_known(&name("a")).is_some());
        assert!(boxes.is_handed_out(&name("a"), CredentialHash::from_bytes([7; 32])));
    }
    see(&boxes, "a", "y", NOW).await;
    assert_eq!(place(&open(&folder), "a"), Some(endpoint("y")));
}

#[tokio::test]
async fn who_was_not_seen_for_thirty_days_is_forgotten_unless_turns_run_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let boxes = open(&folder);
    for box_name in ["old", "busy", "deleted"] {
        see(&boxes, box_name, "x", NOW).await;
    }
    boxes.delete(name("deleted"), NOW).await;
    see(&boxes, "young", "x", NOW + DAY_MS).await;
    let busy = HashSet::from([name("busy")]);
    boxes.forget_unseen(NOW + 30 * DAY_MS - 1, busy.clone()).await;
    assert!(place(&boxes, "old").is_some());
    boxes.forget_unseen(NOW + 30 * DAY_MS, busy).await;
    for boxes in [boxes, open(&folder)] {
        assert!(boxes.last_known(&name("old")).is_none());
        assert!(boxes.last_known(&name("deleted")).is_none());
        assert!(!boxes.is_handed_out(&name("old"), CredentialHash::from_bytes([7; 32])));
        assert!(place(&boxes, "busy").is_some() && place(&boxes, "young").is_some());
    }
}

#[tokio::test]
async fn answers_that_are_read_at_once_are_all_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let boxes = open(&folder);
    let names: Vec<_> = (0..50).map(|n| format!("b{n}")).collect();
    let all = names.iter().map(|box_name| see(&boxes, box_name, box_name, NOW));
    futures_util::future::join_all(all).await;
    let boxes = open(&folder);
    for box_name in &names {
        assert_eq!(place(&boxes, box_name), Some(endpoint(box_name)));
    }
}
