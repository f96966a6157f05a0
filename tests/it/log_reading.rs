//! Cursors: from any number, at any time, each record once and in order.

use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use afterbay::event::Seq;
use afterbay::limits;
use afterbay::log::{Error, Log, Logged, Options, Step, Store};
use afterbay::tasks::Tasks;
use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::time::timeout;

use super::support::faulty_disk::FaultyDisk;
use super::support::log_bytes::groups;
use super::support::log_model::{Entry, batch, entry, key, metrics, next, open, read_all};

/// How long a step may take.
const PATIENCE: Duration = Duration::from_secs(20);

fn opened(disk: &FaultyDisk) -> Store {
    open(disk.boot()).expect("open").0
}

/// The events after `after` up to `last`, as a cursor yields them.
async fn events(log: Log, after: u64, last: u64) -> Vec<u64> {
    let mut cursor = log.cursor(Seq::new(after));
    let mut seen = Vec::new();
    while seen.last().is_none_or(|seq| *seq < last) {
        let Step::Records(records) = next(&mut cursor).await.expect("read") else {
            panic!("neither a gap nor the end")
        };
        assert!(!records.is_empty());
        seen.extend(records.iter().filter_map(|record| entry(record).seq).map(Seq::get));
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cursors_from_any_number_see_each_event_once_while_it_is_appended() {
    let disk = FaultyDisk::new(0);
    let store = opened(&disk);
    let tasks = Tasks::new();
    let last = 400;
    let readers: Vec<_> = (0..last)
        .step_by(9)
        .flat_map(|after| [1, 2].map(|n| (after, n)))
        .map(|(after, n)| {
            let log = store.log(key(n));
            (after, tasks.spawn("reader", events(log, after, last)))
        })
        .collect();
    for id in 0..last / 2 {
        let shape = ["ee", "cece", "eec"][id as usize % 3];
        let (one, two) = (store.log(key(1)), store.log(key(2)));
        let (one, two) =
            tokio::join!(one.append(batch(id, shape, 30)), two.append(batch(id, shape, 300)));
        assert_eq!(one.expect("append").first_seq, two.expect("append").first_seq);
    }
    for (after, reader) in readers {
        assert_eq!(reader.await.expect("read"), (after + 1..=last).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_cursor_yields_the_control_records_between_the_events_that_follow_it() {
    let disk = FaultyDisk::new(0);
    let store = opened(&disk);
    let log = store.log(key(1));
    let shapes = ["c", "ec", "cc", "cecce", "e", "ccc"];
    for (id, shape) in (0..).zip(shapes) {
        log.append(batch(id, shape, 0)).await.expect("append");
    }
    let all: Vec<(u64, usize)> =
        (0..).zip(shapes).flat_map(|(id, s)| (0..s.len()).map(move |at| (id, at))).collect();
    let starts = [0, 2, 7, 10, 11];
    for reopened in [false, true] {
        let store = if reopened { opened(&disk) } else { store.clone() };
        let log = store.log(key(1));
        for (after, start) in (0..).zip(starts) {
            let mut cursor = log.cursor(Seq::new(after));
            let mut seen: Vec<(u64, usize)> = Vec::new();
            while seen.len() < all.len() - start {
                let step = next(&mut cursor).await.expect("read");
                let Step::Records(records) = step else { panic!("{step:?}") };
                seen.extend(records.iter().map(entry).map(|e| (e.batch, e.at)));
            }
            assert_eq!(seen, all[start..], "after {after}");
            assert!(cursor.next().now_or_never().is_none(), "it waits at the tail");
        }
    }
}

#[tokio::test]
async fn a_cursor_beyond_the_tail_waits_for_what_it_asked_for() {
    let disk = FaultyDisk::new(0);
    let store = opened(&disk);
    let log = store.log(key(1));
    let mut cursor = log.cursor(Seq::new(5));
    let appends = async {
        for id in 0..4 {
            log.append(batch(id, "cee", 0)).await.expect("append");
        }
    };
    let (step, ()) = tokio::join!(next(&mut cursor), appends);
    let Step::Records(records) = step.expect("read") else { panic!("records") };
    assert_eq!(entry(&records[0]).seq, Some(Seq::new(6)));
    let mut never = log.cursor(Seq::new(u64::MAX));
    assert!(never.next().now_or_never().is_none());
}

#[tokio::test]
async fn a_cursor_whose_reads_are_dropped_at_any_moment_misses_nothing() {
    let disk = FaultyDisk::new(0);
    let store = opened(&disk);
    let log = store.log(key(1));
    let mut cursor = log.cursor(Seq::START);
    let mut seen: Vec<Entry> = Vec::new();
    let mut keep = |step: Step| match step {
        Step::Records(records) => seen.extend(records.iter().map(entry)),
        Step::Gap { .. } | Step::End => panic!("{step:?}"),
    };
    for id in 0..60 {
        // Polled once and dropped: at the tail, or with the read under way.
        if let Some(step) = cursor.next().now_or_never() {
            keep(step.expect("read"));
        }
        log.append(batch(id, "ec", 0)).await.expect("append");
        if let Some(step) = cursor.next().now_or_never() {
            keep(step.expect("read"));
        } else if id % 3 == 0 {
            keep(next(&mut cursor).await.expect("read"));
        }
    }
    while seen.len() < 120 {
        let Step::Records(records) = next(&mut cursor).await.expect("read") else { panic!() };
        seen.extend(records.iter().map(entry));
    }
    assert_eq!(seen, read_all(&log, Seq::START).await.expect("read"));
}

#[tokio::test]
async fn a_step_is_bounded_however_long_the_backlog_is() {
    let disk = Arc::new(FaultyDisk::new(0));
    let store = Store::open(disk.boot(), Options::default(), metrics(), &mut |_| {}).expect("open");
    let log = store.log(key(1));
    let appends = (0..40).map(|id| log.append(batch(id, "eeee", 10 << 10)));
    assert!(join_all(appends).await.iter().all(Result::is_ok));
    let one = log.append(batch(40, "e", 2 * limits::CURSOR_STEP_BYTES)).await.expect("append");
    let bytes = |r: &Logged| match r {
        Logged::Event { event, .. } => event.len(),
        Logged::Control(control) => control.bytes.len(),
    };
    let all = limits::CURSOR_STEP_BYTES;
    // A batch of four is a little longer than the least of them.
    for (most, expected) in [(40 << 10, 41), (100 << 10, 21), (all, 15), (10 * all, 15)] {
        let mut cursor = log.cursor(Seq::START);
        let (mut upto, mut steps) = (1, 0);
        while upto < one.tail.next_seq.get() {
            assert!(cursor.is_behind());
            let step = timeout(PATIENCE, cursor.next_within(most)).await.expect("a step");
            let Step::Records(records) = step.expect("read") else { panic!() };
            let total: usize = records.iter().map(bytes).sum();
            let is_one_batch = records.len() == 4 || records.len() == 1;
            assert!(total <= most.min(all) || is_one_batch, "{total} bytes");
            upto += records.len() as u64;
            steps += 1;
        }
        assert!(!cursor.is_behind());
        assert_eq!(steps, expected, "of {most} bytes");
    }
}

#[tokio::test]
async fn what_stands_before_a_place_that_cannot_be_read_is_yielded_before_the_error() {
    let disk = FaultyDisk::new(0);
    let store = opened(&disk);
    let log = store.log(key(1));
    for id in 1..=9 {
        log.append(batch(id, "e", 200)).await.expect("append");
    }
    let name = "segment-0000000000000001.log";
    let sixth = groups(&disk.content(name))[5].batches[0].clone();
    disk.spoil(name, sixth.end - 1..sixth.end);
    let mut cursor = log.cursor(Seq::START);
    let mut seen = Vec::new();
    for _ in 0..2 {
        let error = loop {
            match next(&mut cursor).await {
                Ok(Step::Records(records)) => {
                    seen.extend(
                        records.iter().filter_map(|record| entry(record).seq).map(Seq::get),
                    );
                }
                Ok(Step::Gap { .. } | Step::End) => panic!("it is there, and not known to be lost"),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, Error::Read(_)), "{error}");
        assert_eq!(seen, [1, 2, 3, 4, 5], "and the cursor stays there");
    }
    assert_eq!(events(log, 7, 9).await, [8, 9]);
}

/// A reader that looks in the very moment in which it is woken, and what it finds then.
struct Looker {
    log: Log,
    found: Mutex<Vec<Option<usize>>>,
}

impl Wake for Looker {
    fn wake(self: Arc<Self>) {
        let records = match self.log.cursor(Seq::START).next().now_or_never() {
            Some(Ok(Step::Records(records))) => Some(records.len()),
            Some(_) | None => None,
        };
        self.found.lock().expect("lock").push(records);
    }
}

#[tokio::test]
async fn what_the_tail_tells_is_there_in_the_moment_in_which_readers_are_woken() {
    let disk = FaultyDisk::new(0);
    let store = opened(&disk);
    let log = store.log(key(1));
    let looker = Arc::new(Looker { log: log.clone(), found: Mutex::default() });
    let waker = Waker::from(Arc::clone(&looker));
    let mut cursor = log.cursor(Seq::START);
    let mut waiting = Box::pin(cursor.next());
    let early = waiting.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(early.is_pending(), "it waits at the tail");
    log.append(batch(1, "ec", 0)).await.expect("append");
    assert_eq!(*looker.found.lock().expect("lock"), [Some(2)]);
}
