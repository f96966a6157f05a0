//! What the durable log costs: beside the raw disk doing the same work, and beside one embedded
//! store (fjall) at its best, in turns within one run, on one file system.
//!
//! | part | what it measures |
//! |---|---|
//! | `groups` | one write and one sync on the raw disk, by size and by kind of blocks |
//! | `appends` | durable appends of a thousand sessions, as fast as they go |
//! | `steady` | 10,000 events a second: latency, memory, bytes on the device |
//! | `opening` | opening a large log after kill -9 |
//! | `replay` | reading whole sessions, by cursor and over HTTP |
//! | `seek` | a cursor at a random number in a long session |
//! | `chain` | what hashes and checksums have of an append |
//!
//! Run with `cargo bench --bench log`, or `cargo bench --bench log -- appends steady` for some of
//! the parts; all of them take about three minutes. `AFTERBAY_BENCH_LARGE=1` makes the logs of
//! `opening` and `seek` ten times as large. Prints tables and asserts no time: each figure stands
//! beside a limit of the machine or the peer's figure, measured in the same minute.
//!
//! Every contestant runs in a process of its own, this program started again with a job's name.
//! Only the public interface of the log is used.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a benchmark may panic, paces itself, and has no owner for its tasks"
)]

/// The parts, and what they are made of.
mod log {
    pub(crate) mod child;
    pub(crate) mod figures;
    pub(crate) mod files;
    pub(crate) mod machine;
    pub(crate) mod usage;
    pub(crate) mod workload;

    pub(crate) mod ours;
    pub(crate) mod peer;
    pub(crate) mod raw;
    pub(crate) mod sketch;
    pub(crate) mod writing;

    pub(crate) mod appends;
    pub(crate) mod chain;
    pub(crate) mod flood;
    pub(crate) mod groups;
    pub(crate) mod http;
    pub(crate) mod opening;
    pub(crate) mod pace;
    pub(crate) mod replay;
    pub(crate) mod seek;
    pub(crate) mod steady;
}
#[expect(dead_code, reason = "another benchmark uses the rest")]
mod process;

use std::path::Path;

use log::child::{self, Order};
use log::{
    appends, chain, flood, groups, http, machine, opening, pace, replay, seek, steady, usage,
};
use tokio::time::Instant;

/// Makes the logs of some parts ten times as large.
const LARGE: &str = "AFTERBAY_BENCH_LARGE";

type Part = fn(&Path, Scale);
const PARTS: [(&str, Part); 7] = [
    ("groups", groups::run),
    ("appends", appends::run),
    ("steady", steady::run),
    ("opening", opening::run),
    ("replay", replay::run),
    ("seek", seek::run),
    ("chain", chain::run),
];

type Job = fn(&Order);
const JOBS: [(&str, Job); 18] = [
    ("flood-ours", flood::ours),
    ("flood-raw", flood::raw),
    ("flood-sketch", flood::sketch),
    ("flood-fjall-data", flood::fjall_sync_data),
    ("flood-fjall-all", flood::fjall_sync_all),
    ("pace-ours", pace::ours),
    ("pace-raw", pace::raw),
    ("pace-fjall", pace::fjall),
    ("write-ours", opening::write_ours),
    ("write-fjall", opening::write_fjall),
    ("open-ours", opening::open_ours),
    ("open-fjall", opening::open_fjall),
    ("write-replay", replay::write),
    ("replay", replay::read),
    ("serve-files", http::serve_files),
    ("write-seek", seek::write),
    ("seek-ours", seek::ours),
    ("seek-fjall", seek::fjall),
];

/// How large the logs are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    Usual,
    Large,
}

fn main() {
    if let Some(order) = Order::of_this_process() {
        let (_, job) = JOBS.iter().find(|(name, _)| *name == order.job).expect("a job");
        return job(&order);
    }
    // Cargo adds arguments of its own.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    for name in &wanted {
        let known = PARTS.iter().any(|(part, _)| part == name);
        assert!(known, "no part {name}; parts: {:?}", PARTS.map(|(part, _)| part));
    }
    let scale = match std::env::var(LARGE).as_deref() {
        Ok("1") => Scale::Large,
        Ok(_) | Err(_) => Scale::Usual,
    };
    let home = child::folder_on_disk();
    machine::print(home.path());
    for (name, part) in PARTS {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            let (begun, others) = (Instant::now(), usage::cpu_of_others());
            println!();
            part(home.path(), scale);
            let (took, others) = (begun.elapsed().as_secs_f64(), usage::cpu_of_others() - others);
            println!("  [{name} took {took:.0} s; other processes had {:.2} cores]", others / took);
        }
    }
}
