//! The process that is killed: it fills the disk, is refused, writes its verdicts all the same, and
//! says in lines what it did.
//!
//! What an event holds follows from its session and its number, so whoever reads it knows what it
//! must be. Each writer is the only one of its session, and waits for its answers.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use afterbay::event::{Control, Event, Seq};
use afterbay::log::{
    Appended, Batch, Error, Health, Log, Logged, Options, RealDisk, Role, Step, Store, UpkeepBy,
};
use afterbay::tasks::Tasks;
use bytes::Bytes;
use futures_util::future::select_all;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use tokio::time::MissedTickBehavior;

use crate::it::support::log_model::{key, metrics, next};

pub(super) const SESSIONS: u8 = 5;
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a writer is refused before it gives something back.
const REFUSALS: u32 = 5;

/// What a process does when it finds the disk full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// Goes on trying.
    Insists,
    /// Cuts off what it has.
    GivesBack,
    /// Writes nothing more until there is room.
    Waits,
}

impl Manner {
    pub(super) const ALL: [Self; 3] = [Self::Insists, Self::GivesBack, Self::Waits];

    pub(super) fn name(self) -> String {
        format!("{self:?}")
    }
}

pub(super) fn role(kind: u16) -> Role {
    if kind == 9 { Role::Closing } else { Role::Lasting }
}

/// Sizes that give some dozens of segments.
const OPTIONS: Options = Options {
    segment_bytes: 1 << 20,
    group_bytes: 256 << 10,
    roles: role,
    upkeep: UpkeepBy::Thread,
};

fn event(session: u8, seq: u64) -> Event {
    let pad = "x".repeat((seq * 7919 % 12_000) as usize);
    Event::ours("test", &json!({ "session": session, "seq": seq, "pad": pad }))
}

/// What all tasks of the process share.
struct Process {
    store: Store,
    manner: Manner,
    /// Whether the last append was refused.
    is_full: AtomicBool,
    /// How far each session is cut off, at most.
    cuts: [AtomicU64; SESSIONS as usize],
}

/// Writes and reads on `folder` until it is killed.
pub(super) async fn run(folder: &Path, manner: Manner, seed: u64) {
    // What runs this test has begun a line.
    println!();
    let opened = RealDisk::open(folder)
        .and_then(|disk| Store::open(Arc::new(disk), OPTIONS, metrics(), &mut |_| {}));
    let store = match opened {
        Ok(store) => store,
        Err(error) => return println!("shut {error}"),
    };
    let (is_full, cuts) = (AtomicBool::new(false), Default::default());
    let process = Arc::new(Process { store, manner, is_full, cuts });
    for session in 0..SESSIONS {
        let (first, last) = process.read(session, 0).await;
        println!("opened {session} {first} {last}");
        process.cuts[usize::from(session)].store(first - 1, Ordering::Release);
    }
    println!("open");
    let tasks = Tasks::new();
    let mut running = Vec::new();
    for session in 0..SESSIONS {
        let writer = Arc::clone(&process);
        let writes = async move { writer.write(session, seed ^ u64::from(session)).await };
        running.push(tasks.spawn("writer", writes));
    }
    let reader = Arc::clone(&process);
    running.push(tasks.spawn("reader", async move { reader.read_on().await }));
    // None of them ends but by a fault.
    select_all(running).await.0.expect("no fault");
}

impl Process {
    fn log(&self, session: u8) -> Log {
        self.store.log(key(session))
    }

    async fn write(&self, session: u8, seed: u64) -> ! {
        let mut rng = StdRng::seed_from_u64(seed);
        let log = self.log(session);
        let mut refusals = 0;
        loop {
            let first = log.tail().next_seq.get();
            let events = (first..first + rng.random_range(1..8)).map(|seq| event(session, seq));
            let batch = events.fold(Batch::default(), Batch::event);
            if self.took(session, timely(log.append(batch)).await) {
                refusals = 0;
                continue;
            }
            refusals += 1;
            if rng.random_bool(0.1) {
                self.verdict(session).await;
            }
            match self.manner {
                Manner::GivesBack if refusals >= REFUSALS => self.trim(session).await,
                Manner::Insists | Manner::GivesBack => tokio::task::yield_now().await,
                Manner::Waits => self.wait().await,
            }
        }
    }

    /// Tells what became of an append; whether it is durable.
    fn took(&self, session: u8, answer: Result<Appended, Error>) -> bool {
        match answer {
            Ok(appended) => {
                println!("tail {session} {}", appended.tail.next_seq);
                if self.is_full.swap(false, Ordering::Relaxed) {
                    println!("room");
                }
                true
            }
            Err(Error::Refused(_)) => {
                println!("refused {session}");
                if !self.is_full.swap(true, Ordering::Relaxed) {
                    println!("full");
                }
                false
            }
            Err(error) => panic!("session {session}: {error}"),
        }
    }

    /// A word that must not be lost, as the end of a turn.
    async fn verdict(&self, session: u8) {
        let log = self.log(session);
        let seq = log.tail().next_seq.get();
        let control = Control { kind: 9, bytes: Bytes::from_static(b"over") };
        let batch = Batch::default().event(event(session, seq)).control(control).urgent();
        match timely(log.append(batch)).await {
            Ok(appended) => {
                println!("tail {session} {}", appended.tail.next_seq);
                println!("verdict {session}");
            }
            Err(Error::Refused(_)) => println!("mute {session}"),
            Err(error) => panic!("session {session}: {error}"),
        }
    }

    /// Cuts off all that the session has.
    async fn trim(&self, session: u8) {
        let log = self.log(session);
        let through = log.tail().next_seq.previous();
        println!("trims {session} {through}");
        self.cuts[usize::from(session)].store(through.get(), Ordering::Release);
        let control = Control { kind: 7, bytes: Bytes::from_static(b"cut") };
        match timely(log.trim(through, Batch::default().control(control))).await {
            Ok(Some(_)) => println!("trimmed {session} {through}"),
            // Everything is cut off already, or a verdict ends with another record.
            Ok(None) => println!("uncut {session} {through}"),
            Err(Error::Refused(_)) => println!("mute {session}"),
            Err(error) => panic!("session {session}: {error}"),
        }
    }

    /// Until the log itself finds that there is room: nobody asks it.
    async fn wait(&self) {
        println!("waits");
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        while self.store.health() == Health::Refusing {
            ticks.tick().await;
        }
        println!("found");
    }

    /// Reads what is new of one session after the other, again and again.
    async fn read_on(&self) -> ! {
        // Not faster, or nobody else gets anywhere.
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for session in (0..SESSIONS).cycle() {
            ticks.tick().await;
            let after = self.log(session).tail().next_seq.get().saturating_sub(30);
            self.read(session, after).await;
            println!("looked {session}");
        }
        unreachable!("it has no end")
    }

    /// Reads what follows the event `after`; the number of the first event that is there, and that of
    /// the next to come.
    async fn read(&self, session: u8, after: u64) -> (u64, u64) {
        let log = self.log(session);
        let end = log.tail().next_seq.get();
        let mut cursor = log.cursor(Seq::new(after));
        let (mut first, mut at) = (after + 1, after + 1);
        while at < end {
            match next(&mut cursor).await.expect("readable") {
                Step::Records(records) => {
                    for record in records {
                        let Logged::Event { seq, event: read } = record else { continue };
                        assert_eq!(seq.get(), at, "session {session}");
                        assert_eq!(read, event(session, at), "session {session}");
                        at += 1;
                    }
                }
                Step::Gap { from, to } => {
                    // Whoever started the process knows how far trims have gone before.
                    let cut = self.cuts[usize::from(session)].load(Ordering::Acquire);
                    assert!(
                        from.get() == 1 || to.get() <= cut,
                        "{to} of session {session} is gone"
                    );
                    assert_eq!(from.get(), at, "session {session}");
                    at = to.get() + 1;
                    first = at;
                }
                Step::End => panic!("the end"),
            }
        }
        (first, at)
    }
}

async fn timely<T>(answer: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, answer).await.expect("an answer in time")
}
