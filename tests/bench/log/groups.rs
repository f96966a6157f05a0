//! What one group costs the raw disk, by its size and by the blocks that it goes to; and what it
//! costs to make such blocks, alone and beside a writer. This is what the log's way of making
//! segments is chosen by.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::fs::{FallocateFlags, fallocate};
use tokio::time::Instant;

use super::child::folder_in;
use super::figures::{Sample, millis};
use super::raw::{Blocks, Raw, fill};
use crate::Scale;

/// Groups of a quiet and of a busy log; the last but one is 560 events of 1.3 KB, the last has
/// the length to which the log pads, which ends in the middle of a page.
const SIZES: [usize; 4] = [16 << 10, 128 << 10, 728 << 10, 728_064];
const BLOCKS: [Blocks; 4] =
    [Blocks::Extending, Blocks::Written, Blocks::Fallocated, Blocks::Direct];
/// A segment.
const SEGMENT_BYTES: u64 = 64 << 20;

/// How long and how often.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    pub(crate) round: Duration,
}

/// Enough to see the order of the blocks; whoever decides by these figures takes more.
const EFFORT: Effort = Effort { rounds: 3, round: Duration::from_millis(250) };

pub(crate) fn run(home: &Path, _: Scale) {
    let folder = folder_in(home);
    by_size(folder.path(), EFFORT);
    preparing(folder.path(), EFFORT);
}

/// One row for each size and kind of blocks.
pub(crate) fn by_size(folder: &Path, effort: Effort) {
    let Effort { rounds, round } = effort;
    println!("groups: write + fdatasync of one group by one thread, {rounds} rounds of {round:?}");
    println!(
        "  bytes    blocks                        mean ms (rounds)      p50 ms   p99 ms    max ms    MB/s    groups"
    );
    for bytes in SIZES {
        let mut cells = BLOCKS.map(|_| (Sample::default(), Sample::default()));
        for _ in 0..rounds {
            for (blocks, (all, means)) in BLOCKS.into_iter().zip(&mut cells) {
                let mut raw = Raw::open(folder, blocks, bytes);
                let took = groups_for(&mut raw, round);
                means.push(took.mean());
                all.extend(took);
            }
        }
        for (blocks, (all, means)) in BLOCKS.into_iter().zip(cells) {
            println!(
                "  {bytes:<8} {:<27} {:>7} {:>16} {:>9} {:>8} {:>9} {:>7.0} {:>9}",
                blocks.name(),
                millis(all.mean()),
                format!("({})", means.spread(millis)),
                millis(all.median()),
                millis(all.at(0.99)),
                millis(all.at(1.0)),
                bytes as f64 / all.mean() / 1e6,
                all.len(),
            );
        }
    }
}

/// Writes groups for so long; the time of each.
pub(crate) fn groups_for(raw: &mut Raw, span: Duration) -> Sample {
    let (begun, mut took) = (Instant::now(), Sample::default());
    while begun.elapsed() < span {
        took.push_time(raw.write());
    }
    took
}

/// A way to make a segment's blocks.
#[derive(Debug, Clone, Copy)]
enum Making {
    /// Nothing but the name.
    Empty,
    /// Reserved.
    Fallocated,
    /// Zeros, synced once at the end.
    ZerosAtOnce,
    /// Zeros, synced after each 256 KiB, so that no sync has much to do.
    ZerosInSteps,
}

const MAKINGS: [(Making, &str); 4] = [
    (Making::Empty, "empty file, synced with its folder"),
    (Making::Fallocated, "fallocate, synced"),
    (Making::ZerosAtOnce, "zeros, one sync"),
    (Making::ZerosInSteps, "zeros, a sync each 256 KiB"),
];

/// What making segments costs, and what it does to a writer beside it.
pub(crate) fn preparing(folder: &Path, effort: Effort) {
    let bytes = 128 << 10;
    println!(
        "  making a segment of {} MiB, and what a writer of {bytes} bytes over written blocks has of it",
        SEGMENT_BYTES >> 20
    );
    println!(
        "  way                                    ms each   beside it: mean ms   p99 ms    max ms"
    );
    let span = effort.round * 2;
    let mut raw = Raw::open(folder, Blocks::Written, bytes);
    let alone = groups_for(&mut raw, span);
    let tell = |name: &str, each: &str, writer: &Sample| {
        println!(
            "  {name:<37} {each:>8} {:>20} {:>8} {:>9}",
            millis(writer.mean()),
            millis(writer.at(0.99)),
            millis(writer.at(1.0))
        );
    };
    tell("nobody makes any", "-", &alone);
    for (making, name) in MAKINGS {
        let mut each = Sample::default();
        for _ in 0..effort.rounds {
            each.push_time(make(folder, making));
        }
        let over = AtomicBool::new(false);
        let writer = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    make(folder, making);
                }
            });
            let writer = groups_for(&mut raw, span);
            over.store(true, Ordering::Relaxed);
            writer
        });
        tell(name, &millis(each.median()), &writer);
    }
}

/// Makes a segment in this way and takes it away again; only the making is timed.
fn make(folder: &Path, making: Making) -> Duration {
    let (path, directory) = (folder.join("made"), File::open(folder).unwrap());
    let begun = Instant::now();
    let file = File::create(&path).unwrap();
    match making {
        Making::Empty => {}
        Making::Fallocated => fallocate(&file, FallocateFlags::empty(), 0, SEGMENT_BYTES).unwrap(),
        Making::ZerosAtOnce => fill(&file, SEGMENT_BYTES),
        Making::ZerosInSteps => fill_in_steps(&file),
    }
    file.sync_data().unwrap();
    directory.sync_all().unwrap();
    let took = begun.elapsed();
    std::fs::remove_file(&path).unwrap();
    took
}

fn fill_in_steps(file: &File) {
    use std::os::unix::fs::FileExt as _;
    let zeros = vec![0; 256 << 10];
    for at in (0..SEGMENT_BYTES).step_by(zeros.len()) {
        file.write_all_at(&zeros, at).unwrap();
        file.sync_data().unwrap();
    }
}
