//! 10,000 events a second from a thousand sessions: how long each waits, what memory and how many
//! bytes on the device that takes. Beside the raw disk, which writes groups of our size at our
//! pace, and the peer.

use std::path::Path;

use super::child::{self, Told, folder_in};
use super::figures::{mib, millis, ratio};
use super::flood::BLOCKS;
use super::pace::RATE;
use super::workload::{EVENT_BYTES, SESSIONS};
use crate::Scale;

const SECONDS: f64 = 10.0;
/// Of each kind of blocks.
const RAW_SECONDS: f64 = 4.0;

pub(crate) fn run(home: &Path, _: Scale) {
    println!(
        "steady: {RATE} events/s of {EVENT_BYTES} bytes from {SESSIONS} sessions for {SECONDS} s, open loop"
    );
    println!(
        "  latency from the moment at which an event was due, which hand-over itself misses by up to `late`;\n  of the raw disk: what the write and the sync of a group took"
    );
    let told = |job: &str, numbers: &[f64]| child::run(job, folder_in(home).path(), numbers);
    let ours = told("pace-ours", &[SECONDS]);
    let (bytes, events) = (ours.get("group_bytes").round(), ours.get("group_events"));
    let raw: Vec<Told> = (0..BLOCKS.len())
        .map(|blocks| told("pace-raw", &[RAW_SECONDS, blocks as f64, bytes, events]))
        .collect();
    let fjall = told("pace-fjall", &[SECONDS]);

    println!("  our groups: {events:.1} events, {bytes:.0} bytes");
    println!(
        "  contestant                      p50 ms    p99 ms    max ms   late p99 ms   our p50 and p99 beside it"
    );
    row("ours", &ours, &ours);
    for (blocks, told) in BLOCKS.into_iter().zip(&raw) {
        row(&format!("raw, {}", blocks.name()), told, &ours);
    }
    row("fjall, SyncData", &fjall, &ours);

    println!(
        "  contestant                  RSS MiB: before   peak   growth   bytes a payload byte: pages   device   CPU us/event"
    );
    for (name, told) in [("ours", &ours), ("fjall, SyncData", &fjall)] {
        let (before, peak) = (told.get("rss_before"), told.get("rss_peak"));
        println!(
            "  {name:<27} {:>16} {:>6} {:>8} {:>29.2} {:>8.2} {:>14.1}",
            mib(before),
            mib(peak),
            mib(peak - before),
            told.get("pages_per_byte"),
            told.get("device_per_byte"),
            told.get("cpu_per_event") * 1e6,
        );
    }
    println!(
        "  (pages: made dirty by the contestant, each sync of a page anew; device: all that the device took"
    );
    println!("  meanwhile, with the file system's journal, and with what else the machine wrote)");
}

/// One contestant's latencies, and ours beside them.
fn row(name: &str, told: &Told, ours: &Told) {
    let beside = |what: &str| ratio(ours.get(what), told.get(what));
    println!(
        "  {name:<29} {:>8} {:>9} {:>9} {:>13} {:>18} {:>8}",
        millis(told.get("latency_p50")),
        millis(told.get("latency_p99")),
        millis(told.get("latency_max")),
        millis(told.get("late_p99")),
        beside("latency_p50"),
        beside("latency_p99"),
    );
}
