//! Opening a large log after kill -9: its writer is killed while it appends, and a fresh process
//! opens what is left. Beside a plain read of the files, which is what a log without an index of
//! its own on disk has to do, and the peer.

use std::path::Path;
use std::sync::Arc;

use afterbay::log::Batch;
use fjall::PersistMode;
use tokio::time::Instant;

use super::child::{self, Order, Running, Told, folder_in, tell};
use super::figures::{Sample, mib, millis, ratio, thousands};
use super::files;
use super::flood::runtime;
use super::ours::Ours;
use super::peer::{Peer, values};
use super::usage;
use super::workload::{EVENT_BYTES, Events, SESSIONS, Turn, control_bytes};
use super::writing;
use crate::Scale;

const KILLS: usize = 5;
/// Appended by each killed writer before it is killed in the middle of more.
const BEFORE_THE_KILL: usize = 5000;

/// Sessions, events of each, and how many sessions are written side by side before the next come. That
/// many lie interleaved in each file; so many more of the large log would not run at once.
const fn size(scale: Scale) -> [u64; 3] {
    match scale {
        Scale::Usual => [10_000, 100, 10_000],
        Scale::Large => [100_000, 77, SESSIONS as u64],
    }
}

/// What the openings after all kills came to.
#[derive(Default)]
struct Openings {
    warm: Opened,
    cold: Opened,
    bytes: f64,
    sessions: f64,
    records: f64,
    /// Events a second while the log was made.
    written: f64,
}

/// Openings with one state of the page cache, and plain reads with the same.
#[derive(Default)]
struct Opened {
    took: Sample,
    plain: Sample,
    rss: Sample,
    peak: Sample,
}

pub(crate) fn run(home: &Path, scale: Scale) {
    let [sessions, events, at_once] = size(scale);
    println!(
        "opening: {sessions} sessions, {at_once} at once, of {events} events of {EVENT_BYTES} bytes, control records of {:?} bytes, after kill -9",
        control_bytes()
    );
    let ours = openings(home, "write-ours", "open-ours", scale);
    let fjall = openings(home, "write-fjall", "open-fjall", scale);
    println!(
        "  median (spread) of {KILLS} openings after {KILLS} kills; x plain: beside a plain read of the same files"
    );
    println!(
        "  contestant  cache      ms    (spread)             x plain   ours beside it   files MiB   RSS MiB   peak MiB"
    );
    for (name, openings) in [("ours", &ours), ("fjall", &fjall)] {
        row(name, "warm", &openings.warm, &ours.warm, openings);
        row(name, "cold", &openings.cold, &ours.cold, openings);
    }
    println!(
        "  ours found {} sessions and {} control records; RSS is of the whole process; cold: the files are not in the page cache",
        ours.sessions, ours.records,
    );
    println!(
        "  the logs were written with {} (ours) and {} (fjall) events/s",
        thousands(ours.written),
        thousands(fjall.written),
    );
}

/// One contestant with one state of the page cache, beside ours with the same.
fn row(name: &str, cache: &str, opened: &Opened, ours: &Opened, openings: &Openings) {
    println!(
        "  {name:<11} {cache:<5} {:>9}    {:<18} {:>9} {:>16} {:>11} {:>9} {:>10}",
        millis(opened.took.median()),
        format!("({})", opened.took.spread(millis)),
        ratio(opened.took.median(), opened.plain.median()),
        ratio(ours.took.median(), opened.took.median()),
        mib(openings.bytes),
        mib(opened.rss.median()),
        mib(opened.peak.median()),
    );
}

fn openings(home: &Path, write: &str, open: &str, scale: Scale) -> Openings {
    let folder = folder_in(home);
    let (folder, size) = (folder.path(), size(scale));
    let mut openings = Openings::default();
    for kill in 0..KILLS {
        // The first writer makes the log; the others find it.
        let numbers = if kill == 0 { size.map(|n| n as f64) } else { [0.0, 0.0, 1.0] };
        let begun = Instant::now();
        let mut writer = Running::start(write, folder, &numbers);
        writer.wait_for("ready");
        if kill == 0 {
            openings.written = (size[0] * size[1]) as f64 / begun.elapsed().as_secs_f64();
        }
        writer.kill();
        let plain = files::read_all(folder);
        let told = child::run(open, folder, &[]);
        openings.warm.add(&told, plain.seconds);
        (openings.sessions, openings.records) = (told.get("sessions"), told.get("records"));
        files::forget(folder);
        let told = child::run(open, folder, &[]);
        files::forget(folder);
        openings.cold.add(&told, files::read_all(folder).seconds);
        openings.bytes = plain.bytes;
    }
    openings
}

impl Opened {
    fn add(&mut self, told: &Told, plain: f64) {
        self.took.push(told.get("seconds"));
        self.rss.push(told.get("rss"));
        self.peak.push(told.get("peak"));
        self.plain.push(plain);
    }
}

/// Numbers: sessions, events of each, sessions at once. Tells when it is ready to be killed, and goes on appending.
pub(crate) fn write_ours(order: &Order) {
    let events = Arc::new(Events::of(EVENT_BYTES));
    runtime().block_on(async {
        let ours = Ours::open(&order.folder);
        for wave in turns(order).chunks(order.count(2) as usize) {
            writing::interleaved(&ours, wave, &events).await;
        }
        let logs: Arc<Vec<_>> = Arc::new((0..SESSIONS as u64).map(|n| ours.log(n)).collect());
        append_for_ever(move |session, number| {
            let (log, event) = (logs[session].clone(), events.at(number));
            async move {
                log.append(Batch::default().event(event)).await.unwrap();
            }
        })
        .await;
    });
}

/// As [`write_ours`].
pub(crate) fn write_fjall(order: &Order) {
    let events = Events::of(EVENT_BYTES);
    let peer = Peer::open(&order.folder);
    peer.write_turns(&turns(order), &events);
    let committer = peer.committer(PersistMode::SyncData);
    let values = Arc::new(values(&events));
    runtime().block_on(append_for_ever(move |session, number| {
        let (committer, values) = (committer.clone(), Arc::clone(&values));
        async move {
            let value = values[number as usize % values.len()].clone();
            committer.append(session as u64, (1 << 40) + number, value).await;
        }
    }));
}

fn turns(order: &Order) -> Vec<Turn> {
    let events = order.count(1);
    (0..order.count(0)).map(|session| Turn { session, events }).collect()
}

/// Appends to all sessions until the process is killed; tells once when some are durable.
async fn append_for_ever<A, F>(append: A)
where
    A: Fn(usize, u64) -> F + Clone + Send + 'static,
    F: Future<Output = ()> + Send,
{
    let (sender, mut durable) = tokio::sync::mpsc::channel(SESSIONS);
    for session in 0..SESSIONS {
        let (append, sender) = (append.clone(), sender.clone());
        tokio::spawn(async move {
            for number in 1.. {
                append(session, number).await;
                sender.send(()).await.unwrap();
            }
        });
    }
    for _ in 0..BEFORE_THE_KILL {
        durable.recv().await.unwrap();
    }
    tell("ready", 1.0);
    while durable.recv().await.is_some() {}
}

/// Tells what opening took, and ends without closing, as if it was killed.
pub(crate) fn open_ours(order: &Order) {
    // Opened as the program does it, on a thread that may block, within a runtime.
    let runtime = runtime();
    let _guard = runtime.enter();
    let begun = Instant::now();
    let ours = Ours::open(&order.folder);
    let took = begun.elapsed().as_secs_f64();
    tell("sessions", ours.sessions());
    tell("records", ours.found.records as f64);
    assert!(ours.found.bytes > 0, "the control records are there");
    tell_and_leave(took);
}

/// As [`open_ours`].
pub(crate) fn open_fjall(order: &Order) {
    let begun = Instant::now();
    let peer = Peer::open(&order.folder);
    let took = begun.elapsed().as_secs_f64();
    assert!(peer.events.first_key_value().is_some(), "the events are there");
    tell("sessions", f64::NAN);
    tell("records", f64::NAN);
    tell_and_leave(took);
}

fn tell_and_leave(seconds: f64) -> ! {
    let process = usage::this_process();
    tell("seconds", seconds);
    tell("rss", usage::rss(&process));
    tell("peak", usage::peak(&process));
    std::process::exit(0);
}
