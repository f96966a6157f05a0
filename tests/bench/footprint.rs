//! What the program takes: its size, its start, its memory and CPU with nothing, with idle sessions and
//! with idle subscribers on them; and how soon all subscribers are whole again after all were cut at once.
//!
//! The program is the one that is shipped, a process of its own over a simulated box, as configured by
//! default; the subscribers are bare sockets in this process, one connection each. Memory for each
//! subscriber is the difference to a life of the program that did the same without any. Beside the
//! return of all, in the same run: the same clients before a process that writes the same bytes to whoever
//! connects, and does nothing else.
//!
//! Run with `cargo bench --bench footprint`. Prints a table and checks that every subscriber gets every
//! event once and in order.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark may panic, and has no owner for its tasks"
)]

#[expect(dead_code, reason = "another benchmark uses the rest")]
#[path = "log/figures.rs"]
mod figures;
#[path = "footprint/peer.rs"]
mod peer;
mod process;
#[path = "footprint/readers.rs"]
mod readers;
#[path = "footprint/stage.rs"]
mod stage;

use std::fmt;
use std::path::Path;
use std::time::Duration;

use figures::{Sample, millis, ratio};
use peer::{PEER, Peer};
use readers::{Absent, Readers};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use stage::{EVENTS, Stage};
use tokio::time::{Instant, sleep};

const SESSIONS: usize = 1000;
const SUBSCRIBERS: [usize; 2] = [1000, 5000];
/// How long CPU is measured: three heartbeats of each subscriber.
const QUIET: Duration = Duration::from_secs(30);
const STARTS: usize = 9;
/// How often all are cut and come back.
const CUTS: usize = 3;

fn main() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    // Cargo adds arguments of its own.
    let answer = std::env::args().find_map(|text| text.strip_prefix(PEER).map(str::to_owned));
    runtime.block_on(async {
        match answer {
            Some(answer) => peer::serve(&answer).await,
            None => measure().await,
        }
    });
}

/// Memory in MiB and CPU in cores, of a program that only waits.
#[derive(Clone, Copy)]
struct Idle {
    rss: f64,
    cores: f64,
}

impl Idle {
    async fn of(stage: &Stage) -> Self {
        let rss = stage.settled().await.rss;
        Self { rss, cores: stage.cores_over(QUIET).await }
    }
}

impl fmt::Display for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>9.1}{:>12.4}", self.rss, self.cores)
    }
}

async fn measure() {
    let program = env!("CARGO_BIN_EXE_afterbay");
    let bytes = std::fs::metadata(program).unwrap().len();
    println!(
        "the program: {:.1} MB, built as it is shipped (symbols stripped)",
        bytes as f64 / 1e6
    );

    let data = tempfile::tempdir().unwrap();
    println!("from exec to ready: {}", start_times(None).await);
    let mut stage = Stage::open(data.path()).await;
    let nothing = Idle::of(&stage).await;
    stage.turns(SESSIONS).await;
    let sessions = Idle::of(&stage).await;
    stage.turns(SESSIONS).await;
    let sessions_after = stage.settled().await.rss;
    stage.close().await;
    println!(
        "  the same with {SESSIONS} sessions in the log: {}",
        start_times(Some(data.path())).await
    );

    println!(
        "                          RSS MiB   CPU cores   KiB each   then {EVENTS} events: RSS MiB   KiB each"
    );
    println!("  {:<22}{nothing}", "nothing");
    let name = format!("{SESSIONS} idle sessions");
    println!("  {name:<22}{sessions}{:>11}{sessions_after:>27.1}", "");
    for subscribers in SUBSCRIBERS {
        let data = tempfile::tempdir().unwrap();
        let mut stage = Stage::open(data.path()).await;
        stage.turns(SESSIONS).await;
        let last = stage.last();
        let absent = Absent::new(subscribers, SESSIONS, last);
        let (readers, _) = absent.come(stage.clients, last).await;
        let idle = Idle::of(&stage).await;
        stage.turns(SESSIONS).await;
        let readers = readers.read_to(stage.last()).await;
        let after = stage.settled().await.rss;
        let each = |rss: f64, without: f64| (rss - without) * 1024.0 / subscribers as f64;
        let (before, then) = (each(idle.rss, sessions.rss), each(after, sessions_after));
        let name = format!("and {subscribers} subscribers");
        println!("  {name:<22}{idle}{before:>11.1}{after:>27.1}{then:>11.1}");
        if Some(&subscribers) == SUBSCRIBERS.last() {
            cut_and_back(&mut stage, readers, subscribers).await;
        }
        stage.close().await;
    }
}

/// Times from exec to ready, on this folder or on a new one each time.
async fn start_times(data: Option<&Path>) -> String {
    let mut times = Sample::default();
    for _ in 0..STARTS {
        let fresh = tempfile::tempdir().unwrap();
        let folder = data.unwrap_or(fresh.path());
        let (afterbay, _, _, took) = stage::start(folder, "http://127.0.0.1:9").await;
        times.push_time(took);
        afterbay.end().await;
    }
    format!("{} ms, median of {STARTS} ({})", millis(times.median()), times.spread(millis))
}

/// All are cut at once, miss a turn's events, and come back at once.
async fn cut_and_back(stage: &mut Stage, mut readers: Readers, subscribers: usize) {
    let (mut seen_gone, mut whole, mut bare) =
        (Sample::default(), Sample::default(), Sample::default());
    let folder = tempfile::tempdir().unwrap();
    let answer = folder.path().join("answer");
    let mut rss = f64::NAN;
    for _ in 0..CUTS {
        let gone = stage.gone().await;
        let cut = Instant::now();
        let absent = readers.cut();
        while stage.gone().await < gone + subscribers {
            sleep(Duration::from_millis(5)).await;
        }
        seen_gone.push_time(cut.elapsed());
        let last = stage.last();
        stage.turns(SESSIONS).await;
        let (back, took) = absent.come(stage.clients, stage.last()).await;
        whole.push_time(took);
        std::fs::write(&answer, back.bytes_of_one()).unwrap();
        readers = back;

        let peer = Peer::start(&answer).await;
        let empty = peer.process.usage().rss;
        let there = Absent::new(subscribers, SESSIONS, last);
        let (there, took) = there.come(peer.address, stage.last()).await;
        bare.push_time(took);
        rss = (peer.process.usage().rss - empty) * 1024.0 / subscribers as f64;
        drop(there.cut());
    }
    println!(
        "{subscribers} subscribers cut at once, {EVENTS} events missed, all back at once with their cursors; {CUTS} times:"
    );
    println!(
        "  until it has seen all go: {} ms ({})",
        millis(seen_gone.median()),
        seen_gone.spread(millis)
    );
    println!("  until all are whole: {} ms ({})", millis(whole.median()), whole.spread(millis));
    println!(
        "  a bare server that writes the same bytes: {} ms ({}), {rss:.1} KiB a connection; afterbay takes {} times as long",
        millis(bare.median()),
        bare.spread(millis),
        ratio(whole.median(), bare.median()),
    );
}
