//! `log::verify` on a log that is written while it is read: groups come, segments are sealed, retired
//! and used again, the log is closed and opened anew, between any two of its reads and in the middle
//! of them. Nothing is ever found.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use afterbay::log::verify::{self, Reach, Report};
use afterbay::log::{Disk, Options, ReadOnlyFolder, RealDisk, Store, UpkeepBy};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::runtime::Handle;

use super::support::faulty_disk::FaultyDisk;
use super::support::log_life::{Life, OPTIONS, open, open_with, role};
use super::support::log_meddling::{Gate, Halting, Meddling};

#[track_caller]
fn check(disk: &dyn Disk, what: &str) -> Report {
    let report = verify::check(disk, role).expect("a log");
    assert_eq!((report.findings.as_slice(), report.reach), (&[][..], Reach::End), "{what}");
    report
}

/// Off the runtime's threads, as the program does; what meddles runs on the runtime.
async fn blocking<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(run).await.expect("no panic")
}

#[tokio::test]
async fn nothing_is_found_whatever_happens_between_two_reads_or_in_the_middle_of_one() {
    let (mut happened, mut retired) = (0, 0);
    for seed in 0..300 {
        let disk = FaultyDisk::new(seed);
        let handle = disk.boot();
        let store = open(Arc::clone(&handle), UpkeepBy::Writer);
        let mut life = Life::on(&disk, seed, 4);
        for _ in 0..20 {
            life.step(&store).await.expect("a healthy machine");
        }
        let before = disk.names();
        // From one thing now and then to several things at each call.
        let mut rng = StdRng::seed_from_u64(!seed);
        let (often, most) = (rng.random_range(0.01..0.6), rng.random_range(1..12));
        let mut left = 150;
        let runtime = Handle::current();
        let writing = store.clone();
        let meddling = Meddling::new(handle, move |_| {
            if left > 0 && rng.random_bool(often) {
                for _ in 0..rng.random_range(1..=most) {
                    runtime.block_on(life.step(&writing)).expect("a healthy machine");
                    left -= 1;
                }
            }
        });
        let calls = meddling.calls();
        let report = blocking(move || check(&meddling, &format!("seed {seed}"))).await;
        assert!(report.counts.batches > 0);
        happened += *calls.lock().expect("lock");
        let names = disk.names();
        retired += before.iter().filter(|name| !names.contains(name)).count();
        drop(store);
    }
    println!("{happened} calls, {retired} files went meanwhile");
    assert!(retired > 300, "{retired}");
}

/// What comes while a check is at one of its calls.
#[derive(Debug, Clone, Copy)]
enum Burst {
    /// So many appends: groups and segments come, and none go.
    Appends(usize),
    /// Appends and trims.
    Steps(usize),
}

/// One burst at each single call of a check in turn.
#[tokio::test]
async fn nothing_is_found_at_whichever_call_a_burst_comes() {
    for (burst, seed) in [
        (Burst::Appends(2), 7),
        // The last segment has room for some of them.
        (Burst::Appends(12), 1),
        (Burst::Appends(12), 2),
        (Burst::Steps(25), 7),
    ] {
        let mut at = 1;
        while burst_at(burst, seed, at).await {
            at += 1;
        }
        println!("{burst:?}: {at} calls");
        assert!(at > 60, "{at}");
    }
}

/// Whether there was such a call.
async fn burst_at(burst: Burst, seed: u64, at: usize) -> bool {
    let disk = FaultyDisk::new(seed);
    let handle = disk.boot();
    let store = open(Arc::clone(&handle), UpkeepBy::Writer);
    let mut life = Life::on(&disk, seed, 3);
    for _ in 0..15 {
        life.step(&store).await.expect("a healthy machine");
    }
    let (runtime, writing) = (Handle::current(), store.clone());
    let meddling = Meddling::new(handle, move |call| {
        if call == at {
            runtime.block_on(async {
                match burst {
                    Burst::Appends(count) => {
                        for _ in 0..count {
                            life.append(&writing).await.expect("a healthy machine");
                        }
                    }
                    Burst::Steps(count) => {
                        for _ in 0..count {
                            life.step(&writing).await.expect("a healthy machine");
                        }
                    }
                }
            });
        }
    });
    let calls = meddling.calls();
    blocking(move || check(&meddling, &format!("{burst:?} at call {at}"))).await;
    drop(store);
    *calls.lock().expect("lock") >= at
}

#[tokio::test]
async fn nothing_is_found_while_writes_stand_still_in_their_middle() {
    for seed in 0..40 {
        let disk = FaultyDisk::new(seed);
        let handle = disk.boot();
        let gate = Gate::default();
        let disk = Arc::new(Halting::new(Arc::clone(&handle), &gate));
        // Large enough that the check is where the writer is.
        let store = open_with(disk, Options { segment_bytes: 64 << 10, ..OPTIONS });
        let mut life = Life::new(seed, 3);
        for _ in 0..10 {
            life.step(&store).await.expect("a healthy machine");
        }
        gate.close();
        let mut rng = StdRng::seed_from_u64(seed);
        let often = rng.random_range(0.005..0.2);
        let stepping = gate.clone();
        let meddling = Meddling::new(handle, move |_| {
            if rng.random_bool(often) {
                stepping.step();
            }
        });
        let is_done = AtomicBool::new(false);
        let writing = async {
            while !is_done.load(Ordering::Relaxed) {
                life.append(&store).await.expect("a healthy machine");
            }
        };
        let checking = async {
            blocking(move || check(&meddling, &format!("seed {seed}"))).await;
            is_done.store(true, Ordering::Relaxed);
            gate.open();
        };
        tokio::join!(writing, checking);
    }
}

fn real(path: &Path) -> Store {
    open(Arc::new(RealDisk::open(path).expect("nobody else has it")), UpkeepBy::Thread)
}

#[tokio::test]
async fn nothing_is_found_while_the_log_is_closed_and_opened_anew() {
    let mut openings = 0;
    for seed in 0..25 {
        let home = tempfile::tempdir().expect("tempdir");
        let mut store = Some(real(home.path()));
        let mut life = Life::new(seed, 3);
        for _ in 0..10 {
            life.step(store.as_ref().expect("open")).await.expect("a healthy machine");
        }
        let mut rng = StdRng::seed_from_u64(seed);
        let mut left = 12;
        let runtime = Handle::current();
        let path = home.path().to_owned();
        let folder = ReadOnlyFolder::open(home.path()).expect("beside the holder");
        let happened = Arc::new(Mutex::new(0));
        let counting = Arc::clone(&happened);
        let meddling = Meddling::new(Arc::new(folder) as Arc<dyn Disk>, move |_| {
            if left == 0 || rng.random_bool(0.9) {
                return;
            }
            left -= 1;
            runtime.block_on(async {
                if rng.random() {
                    store.take().expect("open").close().await;
                    store = Some(real(&path));
                    *counting.lock().expect("lock") += 1;
                }
                for _ in 0..rng.random_range(0..6) {
                    life.step(store.as_ref().expect("open")).await.expect("a healthy machine");
                }
            });
        });
        blocking(move || check(&meddling, &format!("seed {seed}"))).await;
        openings += *happened.lock().expect("lock");
    }
    println!("{openings} openings");
    assert!(openings > 50, "{openings}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_found_in_a_folder_at_work_round_after_round() {
    let home = tempfile::tempdir().expect("tempdir");
    let store = real(home.path());
    let path = home.path().to_owned();
    let is_done = Arc::new(AtomicBool::new(false));
    let ends = Arc::clone(&is_done);
    let checking = tokio::task::spawn_blocking(move || {
        let folder = ReadOnlyFolder::open(&path).expect("beside the holder");
        let mut groups = Vec::new();
        while !ends.load(Ordering::Relaxed) {
            let what = format!("round {}", groups.len());
            groups.push(check(&folder, &what).counts.groups);
        }
        groups
    });
    let mut life = Life::new(1, 4);
    for _ in 0..250 {
        life.step(&store).await.expect("a healthy machine");
    }
    is_done.store(true, Ordering::Relaxed);
    let groups = checking.await.expect("no panic");
    println!("{} trims, groups of each round: {groups:?}", life.trims);
    assert!(life.trims > 20 && groups.len() > 5, "{} rounds", groups.len());
    store.close().await;
    check(&ReadOnlyFolder::open(home.path()).expect("a folder"), "at rest");
}
