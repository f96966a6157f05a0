//! Reading whole sessions from a warm cache: one long one, and many that lie interleaved; by
//! cursor, and over HTTP. Beside a plain read of the same files, which copies every byte once.

use std::path::Path;
use std::sync::Arc;

use afterbay::event::Seq;
use afterbay::log::{Logged, Step};
use tokio::time::Instant;

use super::child::{self, Order, folder_in, tell};
use super::figures::{Sample, mib, ratio};
use super::files;
use super::flood::runtime;
use super::http;
use super::ours::Ours;
use super::usage;
use super::workload::{EVENT_BYTES, Events, Turn};
use super::writing;
use crate::Scale;

const ROUNDS: usize = 3;
/// About 1 GB.
const LONG: Turn = Turn { session: 0, events: 800_000 };
/// About a third of that.
const INTERLEAVED_SESSIONS: u64 = 1000;
const INTERLEAVED_EVENTS: u64 = 256;

/// What is replayed, as it stands in an order.
const WHICH: [(f64, &str); 2] = [(0.0, "one long session"), (1.0, "interleaved sessions")];

pub(crate) fn run(home: &Path, _: Scale) {
    let folder = folder_in(home);
    println!(
        "replay: a session of {:.2} GB and {INTERLEAVED_SESSIONS} interleaved ones of {} KB each, warm cache, {ROUNDS} rounds",
        (LONG.events as usize * EVENT_BYTES) as f64 / 1e9,
        INTERLEAVED_EVENTS as usize * EVENT_BYTES / 1000,
    );
    child::run("write-replay", folder.path(), &[]);
    let mut plain = Sample::default();
    let mut replayed = WHICH.map(|_| Replayed::default());
    for _ in 0..ROUNDS {
        let read = files::read_all(folder.path());
        plain.push(read.bytes / read.seconds);
        for ((which, _), replayed) in WHICH.into_iter().zip(&mut replayed) {
            let told = child::run("replay", folder.path(), &[which]);
            replayed.rate.push(told.get("payload") / told.get("seconds"));
            replayed.growth.push(told.get("rss_growth"));
            replayed.cpu.push(told.get("cpu") / told.get("seconds"));
        }
    }
    println!(
        "  by cursor                  payload MB/s   (spread)            beside a plain read   cores   RSS growth MiB"
    );
    let shown = |rate: f64| format!("{:.0}", rate / 1e6);
    println!(
        "  {:<26} {:>12}   {:<19} {:>19}",
        "plain read, 256 KiB",
        shown(plain.median()),
        format!("({})", plain.spread(shown)),
        "1.00"
    );
    for ((_, name), Replayed { rate, growth, cpu }) in WHICH.into_iter().zip(&replayed) {
        println!(
            "  {name:<26} {:>12}   {:<19} {:>19} {:>7.2} {:>16}",
            shown(rate.median()),
            format!("({})", rate.spread(shown)),
            ratio(rate.median(), plain.median()),
            cpu.median(),
            mib(growth.median()),
        );
    }
    http::run(folder.path(), LONG);
}

#[derive(Default)]
struct Replayed {
    rate: Sample,
    growth: Sample,
    cpu: Sample,
}

fn interleaved() -> Vec<Turn> {
    let sessions = 1..=INTERLEAVED_SESSIONS;
    sessions.map(|session| Turn { session, events: INTERLEAVED_EVENTS }).collect()
}

/// Makes the log.
pub(crate) fn write(order: &Order) {
    let events = Arc::new(Events::of(EVENT_BYTES));
    runtime().block_on(async {
        let ours = Ours::open(&order.folder);
        writing::alone(&ours, LONG, &events).await;
        writing::interleaved(&ours, &interleaved(), &events).await;
        ours.store.close().await;
    });
}

/// Numbers: which.
pub(crate) fn read(order: &Order) {
    let turns = if order.count(0) == 0 { vec![LONG] } else { interleaved() };
    runtime().block_on(async {
        let ours = Ours::open(&order.folder);
        let process = usage::this_process();
        // What opening needed and gave back may be used again: only more than that is growth.
        usage::forget_peak(&process);
        let (rss, cpu) = (usage::rss(&process), usage::cpu(&process));
        let begun = Instant::now();
        let mut payload = 0;
        for turn in turns {
            payload += replay(&ours, turn).await;
        }
        tell("seconds", begun.elapsed().as_secs_f64());
        tell("payload", payload as f64);
        tell("cpu", usage::cpu(&process) - cpu);
        tell("rss_growth", usage::peak(&process) - rss);
        ours.store.close().await;
    });
}

/// Reads a turn's session from its start to its last event; its bytes.
async fn replay(ours: &Ours, turn: Turn) -> usize {
    let mut cursor = ours.log(turn.session).cursor(Seq::START);
    let (mut last, mut bytes) = (Seq::START, 0);
    while last.get() < turn.events {
        let Step::Records(records) = cursor.next().await.unwrap() else {
            panic!("neither a gap nor the end");
        };
        for record in records {
            if let Logged::Event { seq, event } = record {
                assert_eq!(seq, last.next());
                (last, bytes) = (seq, bytes + event.len());
            }
        }
    }
    bytes
}
