//! Each alert fires by its fault, and is over when the fault is: a disk that becomes short, and then
//! full, on a file system of the test's own (`file_system`); where none can be mounted, the test says
//! so and does nothing.

use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate, statvfs};

use super::super::client::{Turn, Way};
use super::super::daemon;
use super::super::file_system::{FileSystem, ROOM};
use super::super::wait;
use super::set::{Set, Settings};
use super::watch::{SOON, Watch};

/// What fires here.
pub(super) const HERE: [&str; 2] = ["AfterbayDiskShort", "AfterbayLogRefuses"];
const SCENARIO: &str = "e2e::simbox::short_disk::becomes_short_and_then_full";
/// A sparse one; above what the alert takes for short.
const MIB: u32 = 4096;
/// Stays free: too little for a segment.
const CRUMBS: u64 = 8 << 20;
/// A text that the log has twice: two of them are a segment nearly, and three segments are there.
const FILLER: &str = "big=15MB linger=1h";
const MOST_FILLERS: usize = 6;

/// Not a test: what happens on the small file system.
#[tokio::test]
#[ignore = "it is started by another test, in a mount namespace"]
async fn becomes_short_and_then_full() {
    let Some(room) = room() else { return };
    let flags = vec!["--retention-free", "64KiB"];
    let data = Some(room.join("data"));
    // The box's answers are large.
    let pace = daemon::Pace::AsShipped;
    let daemon = daemon::Settings { flags, data, pace, ..daemon::Settings::default() };
    let set = Set::with(Settings { daemon, ..Settings::default() }).await;
    let at = set.daemon.operators();
    let Some(watch) = Watch::start(&[at]).await else { return };
    watch.sees(&format!(r#"afterbay_log_free_bytes{{instance="{at}"}} > 3e9"#)).await;
    watch.is_calm(at).await;

    leave(&room, CRUMBS);
    watch.fires("AfterbayDiskShort", at).await;
    assert!(!watch.names(at).await.contains("AfterbayLogRefuses"), "a segment has room yet");
    fill(&set).await;
    watch.fires("AfterbayLogRefuses", at).await;

    std::fs::remove_file(room.join("ballast")).expect("the ballast is there");
    watch.resolves("AfterbayLogRefuses", at).await;
    watch.is_calm(at).await;
    let mut client = set.client(Turn::new("turn-last", "parts=1"));
    client.run().await;
    watch.has_seen(&HERE);
    println!("all seen");
}

#[test]
fn alerts_fire_by_a_disk_that_becomes_full_and_end_with_room() {
    if let Some(said) = FileSystem::Ext4(MIB).run(SCENARIO, &[]) {
        print!("{said}");
        assert!(said.contains("all seen") || said.contains("SKIPPED"), "{said}");
    }
}

#[expect(clippy::disallowed_methods, reason = "a variable of the tests' own")]
fn room() -> Option<PathBuf> {
    std::env::var(ROOM).ok().map(PathBuf::from)
}

/// Turns with long texts, until the log takes no more.
async fn fill(set: &Set) {
    for number in 0..MOST_FILLERS {
        let mut filler = set.client(Turn::new(&format!("turn-{number}"), FILLER));
        let before = set.daemon.metric("afterbay_log_written_bytes_total").await;
        drop(filler.open(Way::SamePost).await.expect("an answer"));
        let is_refused = wait::until(SOON, "the log takes the text, or refuses it", || async {
            let refused = set.daemon.metric("afterbay_log_refused_total").await > 0.0;
            let now = set.daemon.metric("afterbay_log_written_bytes_total").await;
            (refused || now - before > 2.0 * 15e6).then_some(refused)
        });
        if is_refused.await {
            return;
        }
    }
    panic!("the log has no end");
}

/// Puts something beside the log that leaves so many bytes.
fn leave(room: &Path, bytes: u64) {
    let ballast = File::create(room.join("ballast")).expect("a name");
    let left = statvfs(room).expect("a file system");
    let taken = left.f_bavail * left.f_frsize - bytes;
    fallocate(&ballast, FallocateFlags::empty(), 0, taken).expect("room");
}
