//! A cursor at a random number in a session of many small events: from its making to its first
//! step. Beside a random read of one page of the same files, and the peer's range from a key.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use afterbay::event::Seq;
use afterbay::log::{Log, Logged, Step};
use rand::Rng as _;
use tokio::time::Instant;

use super::child::{self, Order, Told, folder_in, tell};
use super::figures::{Sample, mib, ratio};
use super::files;
use super::flood::runtime;
use super::ours::Ours;
use super::peer::{Peer, record_key};
use super::usage;
use super::workload::{Events, Turn};
use super::writing;
use crate::Scale;

const SMALL_BYTES: usize = 120;
const TRIES: usize = 10_000;
/// Before those that count.
const WARM_UP: usize = 1000;
const PAGE_BYTES: u64 = 4096;

const fn events(scale: Scale) -> u64 {
    match scale {
        Scale::Usual => 1_000_000,
        Scale::Large => 10_000_000,
    }
}

pub(crate) fn run(home: &Path, scale: Scale) {
    let (folder, events) = (folder_in(home), events(scale));
    println!(
        "seek: a session of {events} events of {SMALL_BYTES} bytes, {TRIES} random numbers, warm cache"
    );
    let numbers = [events as f64];
    child::run("write-seek", folder.path(), &numbers);
    let ours = child::run("seek-ours", folder.path(), &numbers);
    let fjall = child::run("seek-fjall", folder.path(), &numbers);
    println!(
        "  from a cursor's making to its first step    p50 us    p99 us   our p50 and p99 beside it   RSS MiB after opening"
    );
    row("ours", "seek", &ours, &ours, &mib(ours.get("rss")));
    row("plain read of one random page", "page", &ours, &ours, "-");
    row("fjall, first of a range", "seek", &fjall, &ours, &mib(fjall.get("rss")));
}

fn row(name: &str, what: &str, told: &Told, ours: &Told, rss: &str) {
    let (p50, p99) = (format!("{what}_p50"), format!("{what}_p99"));
    println!(
        "  {name:<42} {:>7.1} {:>9.1} {:>17} {:>8} {rss:>23}",
        told.get(&p50) * 1e6,
        told.get(&p99) * 1e6,
        ratio(ours.get("seek_p50"), told.get(&p50)),
        ratio(ours.get("seek_p99"), told.get(&p99)),
    );
}

const fn turn(order_events: u64) -> Turn {
    Turn { session: 0, events: order_events }
}

/// Numbers: events. Makes both logs.
pub(crate) fn write(order: &Order) {
    let (events, turn) = (Arc::new(Events::of(SMALL_BYTES)), turn(order.count(0)));
    runtime().block_on(async {
        let ours = Ours::open(&order.folder);
        writing::alone(&ours, turn, &events).await;
        ours.store.close().await;
    });
    Peer::open(&order.folder).write_turns(&[turn], &events);
}

/// Numbers: events.
pub(crate) fn ours(order: &Order) {
    runtime().block_on(async {
        let ours = Ours::open(&order.folder);
        tell("rss", usage::rss(&usage::this_process()));
        let (log, mut took) = (ours.log(0), Sample::with_capacity(TRIES));
        for _ in 0..WARM_UP {
            first_step(&log, order.count(0)).await;
        }
        for _ in 0..TRIES {
            took.push(first_step(&log, order.count(0)).await);
        }
        tell_times("seek", &took);
        ours.store.close().await;
    });
    tell_times("page", &random_pages(&order.folder.join("log")));
}

/// Seconds until the first step of a cursor at a random number.
async fn first_step(log: &Log, events: u64) -> f64 {
    let after = Seq::new(rand::rng().random_range(0..events));
    let begun = Instant::now();
    let step = log.cursor(after).next().await.unwrap();
    let took = begun.elapsed().as_secs_f64();
    let Step::Records(records) = step else { panic!("{step:?}") };
    let first = records.iter().find_map(|record| match record {
        Logged::Event { seq, .. } => Some(*seq),
        Logged::Control(_) => None,
    });
    assert_eq!(first, Some(after.next()));
    took
}

/// Reads of one page each, at random places of the largest files.
fn random_pages(folder: &Path) -> Sample {
    let (mut took, mut page) = (Sample::with_capacity(TRIES), vec![0; PAGE_BYTES as usize]);
    let files = files::below(folder).into_iter().filter(|(_, bytes)| *bytes > PAGE_BYTES);
    let files: Vec<_> = files.map(|(path, bytes)| (File::open(path).unwrap(), bytes)).collect();
    for _ in 0..TRIES {
        let (file, bytes) = &files[rand::rng().random_range(0..files.len())];
        let at = rand::rng().random_range(0..bytes / PAGE_BYTES) * PAGE_BYTES;
        let begun = Instant::now();
        file.read_exact_at(&mut page, at).unwrap();
        took.push_time(begun.elapsed());
    }
    took
}

/// Numbers: events.
pub(crate) fn fjall(order: &Order) {
    let peer = Peer::open(&order.folder);
    tell("rss", usage::rss(&usage::this_process()));
    let mut took = Sample::with_capacity(TRIES);
    for n in 0..WARM_UP + TRIES {
        let number = rand::rng().random_range(0..order.count(0)) + 1;
        let begun = Instant::now();
        let first = peer.events.range(record_key(0, number, 0)..).next().expect("an event");
        let (key, _) = first.into_inner().unwrap();
        if n >= WARM_UP {
            took.push_time(begun.elapsed());
        }
        assert_eq!(key, record_key(0, number, 0));
    }
    tell_times("seek", &took);
}

fn tell_times(name: &str, sample: &Sample) {
    tell(&format!("{name}_p50"), sample.median());
    tell(&format!("{name}_p99"), sample.at(0.99));
}
