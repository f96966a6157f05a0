//! A try to make room where there is none leaves the file system as it is, also while it lasts: what
//! else is on the disk goes on, and whoever looks how much is free is told the truth.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use afterbay::log::{Disk as _, RealDisk};

use super::stage::{FileSystem, ROOM};
use super::variable;

const SCENARIO: &str = "it::log_full::tries::fail_and_are_watched";
const WANTED: u64 = 16 << 20;
const FREE: u64 = 9 << 20;
/// What the names of files may take.
const NAMES: u64 = 64 << 10;
/// While tries go on.
const LOOKS: usize = 1_000;
const MOST_TRIES: usize = 100_000;

/// Not a test: what happens on the small file system.
#[test]
#[ignore = "it is started by another test, in a mount namespace"]
fn fail_and_are_watched() {
    let Some(room) = variable(ROOM).map(PathBuf::from) else { return };
    let disk = RealDisk::open(&room.join("log")).expect("a folder");
    leave(&room, FREE);
    let before = disk.free_bytes().expect("a file system");
    let (looks, begin) = (AtomicUsize::new(0), Barrier::new(2));
    let mut tries = 0;
    let lowest = std::thread::scope(|threads| {
        let watching = threads.spawn(|| {
            begin.wait();
            let look = |_| {
                looks.fetch_add(1, Ordering::Relaxed);
                disk.free_bytes().expect("a file system")
            };
            (0..LOOKS).map(look).min().expect("looks")
        });
        begin.wait();
        for _ in (0..MOST_TRIES).take_while(|_| looks.load(Ordering::Relaxed) < LOOKS) {
            tries += 1;
            let file = disk.create("blank").expect("a file");
            let refused = file.allocate(WANTED).expect_err("there is no room");
            assert_eq!(refused.kind(), io::ErrorKind::StorageFull);
        }
        watching.join().expect("looks")
    });
    println!("{LOOKS} looks: {before} before, {lowest} at least, {tries} tries meanwhile");
    assert!(tries > 0, "nobody tried while somebody looked");
    assert!(lowest + NAMES >= before, "{lowest} of {before}");

    // Room that a file has already is not asked for again.
    let file = disk.create("blank").expect("a file");
    file.allocate(FREE / 4 * 3).expect("room");
    file.allocate(FREE / 4 * 3).expect("it is there");
}

#[test]
fn a_try_for_which_there_is_no_room_takes_none() {
    for system in [FileSystem::Memory(24), FileSystem::Ext4(36)] {
        if let Some(said) = system.run(SCENARIO, &[]) {
            let figures = said.lines().find(|line| line.contains(" looks: "));
            println!("{system:?}: {}", figures.expect("figures"));
        }
    }
}

/// Puts something beside the log that leaves so many bytes.
fn leave(room: &Path, bytes: u64) {
    let mut ballast = File::create(room.join("ballast")).expect("a name");
    let left = || {
        let left = rustix::fs::statvfs(room).expect("a file system");
        left.f_bavail * left.f_frsize
    };
    let page = [1; 4096];
    while left() > bytes + NAMES {
        ballast.write_all(&page).expect("room");
    }
}
