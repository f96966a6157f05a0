//! What hashes and checksums have of an append: each alone, over the bytes of one event, beside
//! the CPU that one durable append takes in all. What appends come to without the chain, `appends`
//! tells in a build with `RUSTFLAGS="--cfg afterbay_unchained"`.

use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::child::{self, folder_in};
use super::figures::{Sample, ratio};
use super::raw::noise;
use super::workload::EVENT_BYTES;
use crate::Scale;

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_millis(100);
/// Between two looks at the clock.
const CALLS: u32 = 256;
/// What a link of the chain adds to the bytes that are hashed: the link before it.
const LINK_BYTES: usize = 32;
/// Of the appends that the CPU is taken from.
const APPEND_SECONDS: f64 = 2.0;

type Work = fn(&[u8]);
const WORKS: [(&str, usize, Work); 6] = [
    ("copy, an event", EVENT_BYTES, copy),
    ("CRC-32, an event", EVENT_BYTES, crc),
    ("CRC-32, a group of 728 KB", 560 * EVENT_BYTES, crc),
    ("SHA-256, an event and a link", EVENT_BYTES + LINK_BYTES, sha256),
    ("SHA-256, a record of 120 bytes and a link", 120 + LINK_BYTES, sha256),
    ("BLAKE3, an event and a link", EVENT_BYTES + LINK_BYTES, blake3),
];

pub(crate) fn run(home: &Path, _: Scale) {
    println!("chain: one call over bytes in the cache, {ROUNDS} rounds of {ROUND:?}");
    let cpu = child::run("flood-ours", folder_in(home).path(), &[APPEND_SECONDS]);
    let append = cpu.get("cpu_per_event") * 1e9;
    let mut took = WORKS.map(|_| Sample::default());
    for _ in 0..ROUNDS {
        for ((_, bytes, work), took) in WORKS.into_iter().zip(&mut took) {
            took.push(nanos(&noise(bytes), work));
        }
    }
    println!(
        "  work                                          bytes        ns    (spread)             GB/s   of the CPU of one append"
    );
    for ((name, bytes, _), took) in WORKS.into_iter().zip(&took) {
        // A group is the work of many appends.
        let appends = (bytes as f64 / (EVENT_BYTES + LINK_BYTES) as f64).max(1.0);
        println!(
            "  {name:<42} {bytes:>8} {:>9.0}    {:<18} {:>6.2} {:>26}",
            took.median(),
            format!("({})", took.spread(|ns| format!("{ns:.0}"))),
            bytes as f64 / took.median(),
            ratio(took.median() / appends, append),
        );
    }
    println!(
        "  one durable append of an event of {EVENT_BYTES} bytes, all of it: {append:.0} ns of CPU"
    );
}

/// Nanoseconds of one call.
fn nanos(bytes: &[u8], work: Work) -> f64 {
    let (begun, mut calls) = (Instant::now(), 0);
    while begun.elapsed() < ROUND {
        let batch = if bytes.len() > 64 << 10 { 1 } else { CALLS };
        for _ in 0..batch {
            work(black_box(bytes));
        }
        calls += batch;
    }
    begun.elapsed().as_secs_f64() * 1e9 / f64::from(calls)
}

fn copy(bytes: &[u8]) {
    black_box(bytes.to_vec());
}

fn crc(bytes: &[u8]) {
    black_box(crc32fast::hash(bytes));
}

fn sha256(bytes: &[u8]) {
    black_box(Sha256::digest(bytes));
}

fn blake3(bytes: &[u8]) {
    black_box(blake3::hash(bytes));
}
