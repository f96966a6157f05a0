//! `log::verify` on a log that is written while it is read: groups come, segments are sealed, retired
//! and used again, the log is closed and opened anew, between any two of its reads and in the middle
//! of them. Nothing is ever found.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use afterbay::log::verify::{self, Reach, Report};
use afterbay::log::{Disk, DiskFile, ReadOnlyFolder, RealDisk, Store, UpkeepBy};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::runtime::Handle;

use super::support::faulty_disk::FaultyDisk;
use super::support::log_life::{Life, open, role};

/// Something that happens while the log is read; it is told how many calls there were before.
type Meddle = Arc<Mutex<dyn FnMut(usize) + Send>>;

/// A disk on which something happens before each call, and in the middle of each read.
#[derive(Clone)]
struct Meddling<T> {
    inner: T,
    calls: Arc<Mutex<usize>>,
    meddle: Meddle,
}

impl<T> Meddling<T> {
    fn new(inner: T, meddle: impl FnMut(usize) + Send + 'static) -> Self {
        Self { inner, calls: Arc::default(), meddle: Arc::new(Mutex::new(meddle)) }
    }

    fn call(&self) {
        let calls = {
            let mut calls = self.calls.lock().expect("lock");
            *calls += 1;
            *calls
        };
        (self.meddle.lock().expect("lock"))(calls);
    }

    fn around<U>(&self, inner: U) -> Meddling<U> {
        Meddling { inner, calls: Arc::clone(&self.calls), meddle: Arc::clone(&self.meddle) }
    }
}

impl<T> std::fmt::Debug for Meddling<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meddling")
    }
}

fn read_only<T>() -> io::Result<T> {
    panic!("a check changes nothing")
}

impl Disk for Meddling<Arc<dyn Disk>> {
    fn list(&self) -> io::Result<Vec<String>> {
        self.call();
        self.inner.list()
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.call();
        Ok(Arc::new(self.around(self.inner.open(name)?)))
    }
    fn create(&self, _: &str) -> io::Result<Arc<dyn DiskFile>> {
        read_only()
    }
    fn edit(&self, _: &str) -> io::Result<Arc<dyn DiskFile>> {
        read_only()
    }
    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        read_only()
    }
    fn remove(&self, _: &str) -> io::Result<()> {
        read_only()
    }
    fn free_bytes(&self) -> io::Result<u64> {
        self.inner.free_bytes()
    }

    fn sync_dir(&self) -> io::Result<()> {
        read_only()
    }
}

impl DiskFile for Meddling<Arc<dyn DiskFile>> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.call();
        let half = buffer.len() / 2;
        let (first, second) = buffer.split_at_mut(half);
        let read = self.inner.read_at(first, offset)?;
        if read < half {
            return Ok(read);
        }
        self.call();
        Ok(half + self.inner.read_at(second, offset + half as u64)?)
    }
    fn bytes(&self) -> io::Result<u64> {
        self.call();
        self.inner.bytes()
    }
    fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
        read_only()
    }
    fn allocate(&self, _: u64) -> io::Result<()> {
        read_only()
    }
    fn sync_data(&self) -> io::Result<()> {
        read_only()
    }
}

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
        let calls = Arc::clone(&meddling.calls);
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

/// One burst at each single call of a check in turn.
#[tokio::test]
async fn nothing_is_found_at_whichever_call_a_burst_comes() {
    let mut at = 1;
    loop {
        let disk = FaultyDisk::new(7);
        let handle = disk.boot();
        let store = open(Arc::clone(&handle), UpkeepBy::Writer);
        let mut life = Life::on(&disk, 7, 3);
        for _ in 0..15 {
            life.step(&store).await.expect("a healthy machine");
        }
        let runtime = Handle::current();
        let writing = store.clone();
        let meddling = Meddling::new(handle, move |call| {
            if call == at {
                for _ in 0..25 {
                    runtime.block_on(life.step(&writing)).expect("a healthy machine");
                }
            }
        });
        let calls = Arc::clone(&meddling.calls);
        blocking(move || check(&meddling, &format!("at call {at}"))).await;
        drop(store);
        if *calls.lock().expect("lock") < at {
            println!("{at} calls");
            assert!(at > 60, "{at}");
            return;
        }
        at += 1;
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
