//! From replay to live: readers that come at any moment, at any number, while batches are appended,
//! segments fill, are sealed and retired, and sessions are trimmed. Each sees each event once and in
//! order, from wherever it is read: the ring, the newest segments, a sealed one.
//!
//! A look is a reader's way from its first number to a live event. `AFTERBAY_LOOKS` says how many
//! events the looks shall see in all; `AFTERBAY_SEED` repeats the choices of a run, though not what
//! the scheduler makes of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use afterbay::event::{Event, Seq};
use afterbay::log::{Batch, Log, Logged, Options, RealDisk, Step, Store};
use afterbay::tasks::Tasks;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;

use super::support::log_model::{key, metrics, next};

const EVENTS: u64 = 300_000;
const SESSIONS: u8 = 4;
const READERS: u64 = 6;
/// Small segments: each holds a few hundred events.
const SEGMENT_BYTES: u64 = 64 << 10;

/// What all tasks share.
struct World {
    store: Store,
    seen: AtomicU64,
    wanted: u64,
    /// Up to which event each session was trimmed, at least.
    trimmed: [AtomicU64; SESSIONS as usize],
    /// The same, at most.
    asked: [AtomicU64; SESSIONS as usize],
    /// Set when a task has failed.
    is_over: AtomicBool,
}

impl World {
    fn goes_on(&self) -> bool {
        self.seen.load(Ordering::Relaxed) < self.wanted && !self.is_over.load(Ordering::Relaxed)
    }

    fn log(&self, session: u8) -> Log {
        self.store.log(key(session))
    }
}

/// Held by each task: if it panics, the others need not go on.
struct Stop(Arc<World>);

impl Drop for Stop {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.is_over.store(true, Ordering::Relaxed);
        }
    }
}

fn event(seq: u64) -> Event {
    Event::ours("test", &json!({ "seq": seq, "pad": "x".repeat((seq % 90) as usize) }))
}

/// Appends until enough was seen; trims now and then.
async fn write(world: Arc<World>, session: u8, seed: u64) {
    let _stop = Stop(Arc::clone(&world));
    let mut rng = StdRng::seed_from_u64(seed);
    let log = world.log(session);
    while world.goes_on() {
        let first = log.tail().next_seq.get();
        let count = rng.random_range(1..6);
        let batch = (first..first + count).fold(Batch::default(), |b, seq| b.event(event(seq)));
        let appended = log.append(batch).await.expect("append");
        assert_eq!(appended.first_seq.get(), first);
        if rng.random_bool(0.002) {
            let through = first + count - 1;
            world.asked[session as usize].store(through, Ordering::Release);
            let done = log.trim(Seq::new(through), Batch::default()).await.expect("trim");
            assert!(done.is_some(), "{through} ends a batch");
            world.trimmed[session as usize].store(through, Ordering::Release);
        }
    }
}

/// Looks again and again, from anywhere.
async fn read(world: Arc<World>, seed: u64) {
    let _stop = Stop(Arc::clone(&world));
    let mut rng = StdRng::seed_from_u64(seed);
    while world.goes_on() {
        let session = rng.random_range(0..SESSIONS);
        let tail = world.log(session).tail().next_seq.get();
        let after = match rng.random_range(0..4) {
            0 => 0,
            1 => tail.saturating_sub(rng.random_range(1..40)),
            _ => rng.random_range(0..tail),
        };
        // Beyond what there is now: the last ones are live.
        let until = tail + rng.random_range(0..60);
        look(&world, session, after, until).await;
    }
}

async fn look(world: &World, session: u8, after: u64, until: u64) {
    let trimmed_before = world.trimmed[session as usize].load(Ordering::Acquire);
    let mut cursor = world.log(session).cursor(Seq::new(after));
    let mut last = after;
    while last < until && world.goes_on() {
        // Whoever waits for live events when the writers have stopped waits in vain.
        let step = tokio::select! {
            step = next(&mut cursor) => step.expect("readable"),
            () = stopped(world) => return,
        };
        match step {
            Step::Records(records) => {
                for record in records {
                    let Logged::Event { seq, event: read } = record else { panic!("{record:?}") };
                    assert_eq!(seq.get(), last + 1, "session {session} after {after}");
                    assert_eq!(read, event(seq.get()));
                    last = seq.get();
                    world.seen.fetch_add(1, Ordering::Relaxed);
                }
            }
            Step::Gap { from, to } => {
                // Only what a trim took: in front, and up to the end of one that was asked for.
                assert_eq!(from.get(), last + 1, "session {session} after {after}");
                assert!(
                    to.get() >= trimmed_before,
                    "a gap up to {to}, trimmed to {trimmed_before}"
                );
                let asked = world.asked[session as usize].load(Ordering::Acquire);
                assert!(to.get() <= asked, "a gap up to {to}, but trims went to {asked}");
                last = to.get();
            }
            Step::End => panic!("the end"),
        }
    }
}

async fn stopped(world: &World) {
    let mut ticks = tokio::time::interval(std::time::Duration::from_millis(20));
    while world.goes_on() {
        ticks.tick().await;
    }
}

#[expect(clippy::disallowed_methods, reason = "variables that tests alone read")]
fn asked_for(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_that_come_at_any_moment_see_each_event_once_and_in_order() {
    let wanted = asked_for("AFTERBAY_LOOKS").unwrap_or(EVENTS);
    let seed = asked_for("AFTERBAY_SEED").unwrap_or_else(rand::random);
    println!("run again with AFTERBAY_SEED={seed}");
    let home = tempfile::tempdir().expect("tempdir");
    let disk = Arc::new(RealDisk::open(home.path()).expect("free"));
    let options = Options { segment_bytes: SEGMENT_BYTES, ..Options::default() };
    let metrics = metrics();
    let store = Store::open(disk, options, metrics.clone(), &mut |_| {}).expect("open");
    let world = Arc::new(World {
        store,
        seen: AtomicU64::new(0),
        wanted,
        trimmed: Default::default(),
        asked: Default::default(),
        is_over: AtomicBool::new(false),
    });
    let tasks = Tasks::new();
    let mut running = Vec::new();
    for session in 0..SESSIONS {
        let writing = write(Arc::clone(&world), session, seed ^ u64::from(session));
        running.push(tasks.spawn("writer", writing));
    }
    for reader in 0..READERS {
        running.push(tasks.spawn("reader", read(Arc::clone(&world), seed ^ (100 + reader))));
    }
    for task in running {
        task.await.expect("no fault");
    }
    println!(
        "{} events seen, {} segments sealed",
        world.seen.load(Ordering::Relaxed),
        metrics.sealed.get()
    );
    assert!(metrics.sealed.get() > 3, "{} sealed", metrics.sealed.get());
    assert!(metrics.damaged_bytes.get() == 0);
}
