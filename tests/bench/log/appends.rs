//! Durable appends of a thousand sessions, each with one event on its way at a time: ours, the
//! raw disk with groups of the size that ours came to, the least that a log can be, and the peer; in turns, each time in
//! another order.

use std::path::Path;

use super::child::{self, folder_in};
use super::figures::{Sample, mib, ratio, thousands};
use super::workload::{EVENT_BYTES, SESSIONS};
use crate::Scale;

const ROUNDS: usize = 5;
/// Measured in each round, in seconds: of a log, and of the raw disk, which settles sooner.
const LOG_SECONDS: f64 = 2.0;
const RAW_SECONDS: f64 = 1.0;

#[derive(Debug, Clone, Copy)]
enum Contestant {
    Ours,
    /// With blocks of this kind.
    Raw(usize),
    /// This job.
    Other(&'static str),
}

const CONTESTANTS: [(Contestant, &str); 7] = [
    (Contestant::Ours, if cfg!(afterbay_unchained) { "ours, links hash nothing" } else { "ours" }),
    (Contestant::Raw(0), "raw, extending a fresh file"),
    (Contestant::Raw(1), "raw, over written blocks"),
    (Contestant::Raw(2), "raw, over fallocated blocks"),
    (Contestant::Other("flood-sketch"), "the least of a log"),
    (Contestant::Other("flood-fjall-data"), "fjall, SyncData"),
    (Contestant::Other("flood-fjall-all"), "fjall, SyncAll"),
];

/// What all rounds came to, of one contestant.
#[derive(Debug, Clone, Default)]
struct Rounds {
    rate: Sample,
    cpu: Sample,
}

/// The size of our groups.
#[derive(Debug, Clone, Default)]
struct Groups {
    bytes: Sample,
    events: Sample,
}

pub(crate) fn run(home: &Path, _: Scale) {
    println!(
        "appends: {SESSIONS} sessions, each awaiting one event of {EVENT_BYTES} bytes at a time, 2 workers; {ROUNDS} rounds"
    );
    let (mut rounds, mut groups) = (vec![Rounds::default(); CONTESTANTS.len()], Groups::default());
    for round in 0..ROUNDS {
        for turn in 0..CONTESTANTS.len() {
            // The first to come is ours: the raw disk needs to know the size of its groups.
            let at = (round + turn) % CONTESTANTS.len();
            one_round(home, CONTESTANTS[at].0, &mut rounds[at], &mut groups);
        }
    }
    print(&rounds, &groups);
}

fn one_round(home: &Path, contestant: Contestant, rounds: &mut Rounds, groups: &mut Groups) {
    let folder = folder_in(home);
    let (job, numbers) = match contestant {
        Contestant::Ours => ("flood-ours", vec![LOG_SECONDS]),
        Contestant::Raw(blocks) => {
            let (bytes, events) = (groups.bytes.mean().round(), groups.events.mean());
            ("flood-raw", vec![RAW_SECONDS, blocks as f64, bytes, events])
        }
        Contestant::Other(job) => (job, vec![LOG_SECONDS]),
    };
    let told = child::run(job, folder.path(), &numbers);
    rounds.rate.push(told.get("events_per_second"));
    rounds.cpu.push(told.get("cpu_per_event"));
    if matches!(contestant, Contestant::Ours) {
        groups.bytes.push(told.get("group_bytes"));
        groups.events.push(told.get("group_events"));
    }
}

fn print(rounds: &[Rounds], groups: &Groups) {
    println!(
        "  our groups: {:.0} events, {:.0} bytes ({:.3} bytes on disk a payload byte); the raw disk writes such groups",
        groups.events.median(),
        groups.bytes.median(),
        groups.bytes.median() / (groups.events.median() * EVENT_BYTES as f64),
    );
    println!(
        "  contestant                       events/s    (spread)             payload MiB/s   CPU us/event   ours beside it"
    );
    let ours = rounds[0].rate.median();
    for ((_, name), Rounds { rate, cpu }) in CONTESTANTS.into_iter().zip(rounds) {
        let payload = mib(rate.median() * EVENT_BYTES as f64);
        println!(
            "  {name:<30} {:>10}    {:<18} {payload:>15} {:>14.2} {:>16}",
            thousands(rate.median()),
            format!("({})", rate.spread(thousands)),
            cpu.median() * 1e6,
            ratio(ours, rate.median()),
        );
    }
}
