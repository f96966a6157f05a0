//! Checks by model that nobody at a session's tail misses a wake-up, though the tail moves silently
//! where nobody watches: what shows, the tail, the session and the cursor are compiled a second time
//! here, over locks and a watch that let `shuttle` choose whose step is next.
//!
//! A model sees all steps in one order: that the orders of memory are enough is not shown here. They
//! are, though watchers are counted without one: a look that misses a batch has let go of the
//! session's lock before the batch was added under it, and its watcher was counted before the look.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use futures_util::FutureExt;
use shuttle::future::block_on;
use shuttle::rand::{Rng, thread_rng};
use shuttle::thread;

use super::{
    Appended, Batch, Health, Role, Roles, Tail, body, chain, disk, error, fields, group, place,
    reads, record, scan, sealed, segment, spots, upkeep, view,
};
use crate::event::{Event, Seq};
use crate::ids::SessionKey;
use crate::metrics::Metrics;
use crate::metrics::log::Metrics as LogMetrics;

mod memory;
mod sync;

use cursor::{Cursor, Logged, Step};
use forming::Intake;
use group::Stamp;
use index::Session;
use memory::Memory;
use publisher::{Durable, News, Shower};
use queue::Queue;
use segment::{Blank, DATA_START, Draft, Origin, Segment};
use tail::{HealthPublisher, HealthWatch};

#[path = "../contents.rs"]
#[allow(clippy::duplicate_mod, dead_code, reason = "the real code, once more")]
mod contents;
#[path = "../cursor.rs"]
#[allow(clippy::duplicate_mod, unreachable_pub, dead_code, reason = "the real code, once more")]
mod cursor;
#[path = "../forming.rs"]
#[allow(clippy::duplicate_mod, dead_code, reason = "the real code, once more")]
mod forming;
#[path = "../index.rs"]
#[allow(clippy::duplicate_mod, dead_code, reason = "the real code, once more")]
mod index;
#[path = "../publisher.rs"]
#[allow(clippy::duplicate_mod, dead_code, reason = "the real code, once more")]
mod publisher;
#[path = "../queue.rs"]
#[allow(clippy::duplicate_mod, dead_code, reason = "the real code, once more")]
mod queue;
#[path = "../tail.rs"]
#[allow(clippy::duplicate_mod, dead_code, reason = "the real code, once more")]
mod tail;

/// The writer's side of a log of one session.
struct Writer {
    shower: Shower,
    session: Arc<Session>,
    segment: Arc<Segment>,
    queue: Queue,
    intake: Intake,
    at: u64,
    number: u64,
}

/// What readers are made of.
#[derive(Clone)]
struct Readers {
    session: Arc<Session>,
    health: HealthWatch,
    /// What other threads of the log still have when the one that shows is gone.
    _others: HealthPublisher,
    reads: reads::Reads,
}

fn log(metrics: &LogMetrics) -> (Writer, Readers) {
    let metrics = metrics.clone();
    let (health, watch) = tail::health(metrics.clone());
    let index = index::Index::new(metrics.clone());
    let session = index.session(SessionKey::from_bytes([7; 16]));
    let blank = Blank { name: String::new(), file: Arc::new(Memory::default()) };
    let draft = Draft::new(1, Origin::Rotation);
    let segment = Arc::new(draft.make(&Memory::default(), blank, &[]).unwrap());
    let (queue, intake) = queue::queue(1 << 20);
    let (_, incoming) = sync_channel(1);
    let shower = Shower::new(incoming, None, |_| Role::Lasting, health.clone(), metrics.clone());
    let (own, reads) = (Arc::clone(&session), reads::Reads::new(metrics));
    let readers = Readers { session: own, health: watch, _others: health, reads };
    (Writer { shower, session, segment, queue, intake, at: DATA_START, number: 1 }, readers)
}

impl Writer {
    /// What the writer does with a group of so many batches, each of one event.
    fn write(&mut self, batches: usize) {
        for _ in 0..batches {
            let event = Event::ours("e", &BTreeMap::<u8, u8>::new());
            let entries = Batch::default().event(event).entries;
            let append = self.queue.append(Arc::clone(&self.session), entries, false);
            assert!(append.now_or_never().is_none(), "it is queued");
        }
        let mut group = self.intake.take_group().unwrap();
        let stamp = Stamp { segment: self.segment.id, number: self.number, attempt: 1 };
        let stamped = group.builder().stamped(stamp);
        disk::write_all_at(&*self.segment.file, stamped, self.at).unwrap();
        let (seed, bytes) = (stamp.seed(), stamped.len() as u64);
        let (segment, at, number) = (Arc::clone(&self.segment), self.at, self.number);
        let batches = self.intake.written(group);
        let durable = Durable { segment, number, seed, at, bytes, health: Health::Open, batches };
        (self.at, self.number) = (self.at + bytes, self.number + 1);
        self.shower.hear(News::Durable(durable));
    }
}

impl Readers {
    fn cursor(&self, after: u64) -> Cursor {
        let (session, health) = (Arc::clone(&self.session), self.health.clone());
        Cursor::new(session, health, self.reads.clone(), Seq::new(after))
    }

    /// Reads on to the event `last`, or to the end; gives up some of its steps on the way.
    fn read(&self, after: u64, last: u64, gives_up: bool) -> u64 {
        let mut cursor = self.cursor(after);
        let mut seen = after;
        while seen < last {
            let early = if gives_up && thread_rng().gen_bool(0.5) {
                cursor.next().now_or_never()
            } else {
                Some(block_on(cursor.next()))
            };
            match early.transpose().unwrap() {
                None => {}
                Some(Step::End) => return seen,
                Some(Step::Gap { from, to }) => panic!("a gap from {from} to {to}"),
                Some(Step::Records(records)) => {
                    for record in records {
                        let Logged::Event { seq, .. } = record else { panic!("{record:?}") };
                        seen += 1;
                        assert_eq!(seq, Seq::new(seen));
                    }
                }
            }
        }
        seen
    }

    /// Watches nothing but the tail, until the event `last` is before it.
    fn watch(&self, last: u64) {
        let mut watch = self.session.join();
        loop {
            watch.mark_seen();
            if self.session.tail().next_seq > Seq::new(last) {
                break;
            }
            block_on(watch.moved());
        }
        self.session.leave();
    }
}

/// The log stays open until all readers are content: if one misses its wake-up, everything stands
/// still, and that is a failure of the model.
fn readers_at_the_tail(metrics: &LogMetrics) {
    let (mut writer, readers) = log(metrics);
    let reads: Vec<Box<dyn FnOnce(Readers) + Send>> = vec![
        Box::new(|readers| assert_eq!(readers.read(0, 4, false), 4)),
        Box::new(|readers| assert_eq!(readers.read(2, 4, true), 4)),
        // One that goes early leaves the others theirs, and may come again.
        Box::new(|readers| {
            let seen = readers.read(0, 1, true);
            readers.watch(4);
            assert_eq!(readers.read(seen, 4, false), 4);
        }),
    ];
    let reads = reads.into_iter().map(|read| {
        let readers = readers.clone();
        thread::spawn(move || read(readers))
    });
    let reads: Vec<_> = reads.collect();
    let writes = thread::spawn(move || {
        [1, 2, 1].into_iter().for_each(|batches| writer.write(batches));
        writer
    });
    reads.into_iter().for_each(|read| read.join().unwrap());
    drop(writes.join().unwrap());
}

/// Between two of its visits nobody reads.
fn a_reader_that_comes_and_goes(metrics: &LogMetrics) {
    let (mut writer, readers) = log(metrics);
    let reads = thread::spawn(move || {
        let first = readers.read(0, 1, true);
        let second = readers.read(first, 2, false);
        assert_eq!(readers.read(second, 4, true), 4);
    });
    (0..4).for_each(|_| writer.write(1));
    reads.join().unwrap();
}

/// Whoever hears of the end has seen all that was durable, and everyone hears of it.
fn readers_at_the_end(metrics: &LogMetrics) {
    let (mut writer, readers) = log(metrics);
    let reads: Vec<_> = [false, true]
        .into_iter()
        .map(|gives_up| {
            let readers = readers.clone();
            thread::spawn(move || assert_eq!(readers.read(0, u64::MAX, gives_up), 2))
        })
        .collect();
    writer.write(1);
    writer.write(1);
    drop(writer);
    reads.into_iter().for_each(|read| read.join().unwrap());
}

/// Small enough to try every order.
fn one_watcher(metrics: &LogMetrics) {
    let (writer, readers) = log(metrics);
    let watch = thread::spawn(move || readers.watch(2));
    [1, 2]
        .into_iter()
        .for_each(|events| writer.session.advance(Tail::EMPTY.behind(events, events)));
    watch.join().unwrap();
}

fn modelled(check: fn(&LogMetrics)) -> impl Fn() + Send + Sync + 'static {
    let metrics = Metrics::new().unwrap().log;
    move || check(&metrics)
}

#[test]
fn no_reader_misses_its_wake_up() {
    shuttle::check_random(modelled(readers_at_the_tail), 1000);
    shuttle::check_pct(modelled(readers_at_the_tail), 1000, 3);
}

#[test]
fn a_reader_that_was_away_misses_nothing() {
    shuttle::check_random(modelled(a_reader_that_comes_and_goes), 1000);
    shuttle::check_pct(modelled(a_reader_that_comes_and_goes), 1000, 3);
}

#[test]
fn the_end_comes_behind_everything_durable() {
    shuttle::check_random(modelled(readers_at_the_end), 1000);
    shuttle::check_pct(modelled(readers_at_the_end), 1000, 3);
}

#[test]
fn no_order_of_two_moves_and_one_watcher_misses_a_wake_up() {
    shuttle::check_dfs(modelled(one_watcher), None);
}
