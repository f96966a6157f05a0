//! A process that writes as fast as it can is killed with `kill -9`, again and again on the same
//! folder: what is left is whole, before and after the next opening.
//!
//! `AFTERBAY_VERIFY_KILLS=500` kills so many times.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use afterbay::log::verify::{self, Reach};
use afterbay::log::{ReadOnlyFolder, RealDisk, UpkeepBy};
use rand::Rng;

use super::support::log_life::{Life, open, role};

/// Where the child writes, and with which seed.
const FOLDER: &str = "AFTERBAY_VERIFY_FOLDER";
const SEED: &str = "AFTERBAY_VERIFY_SEED";
const CHILD: &str = "it::log_verify_kills::writes_until_it_is_killed";
/// Far above what is waited for: a child whose parent is gone ends by itself.
const MOST: usize = 20_000;

#[expect(clippy::disallowed_methods, reason = "variables of the tests' own")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Not a test: the child of the one below.
#[tokio::test]
#[ignore = "it is started by another test"]
async fn writes_until_it_is_killed() {
    let Some(folder) = variable(FOLDER).map(PathBuf::from) else { return };
    let seed = variable(SEED).and_then(|seed| seed.parse().ok()).expect("a seed");
    let disk = RealDisk::open(&folder).expect("nobody else has it");
    let store = open(Arc::new(disk), UpkeepBy::Thread);
    let mut life = Life::new(seed, 6);
    for step in 0..MOST {
        life.step(&store).await.expect("a healthy machine");
        println!("step {step}");
    }
}

fn check(folder: &Path, what: &str) -> (u64, bool) {
    let folder = ReadOnlyFolder::open(folder).expect("a folder");
    match verify::check(&folder, role) {
        Ok(report) => {
            assert_eq!((report.findings, report.reach), (Vec::new(), Reach::End), "{what}");
            (report.counts.groups, report.unfinished.is_some())
        }
        Err(verify::Error::NoLog) => (0, false),
        Err(error) => panic!("{what}: {error}"),
    }
}

#[tokio::test]
async fn a_log_whose_writer_is_killed_again_and_again_is_whole() {
    let kills =
        variable("AFTERBAY_VERIFY_KILLS").map_or(5, |kills| kills.parse().expect("a count"));
    let home = tempfile::tempdir().expect("tempdir");
    let (mut groups, mut unfinished) = (0, 0);
    for kill in 0..kills {
        let steps = rand::rng().random_range(0..120);
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args([CHILD, "--exact", "--ignored", "--nocapture", "--test-threads=1"])
            .env(FOLDER, home.path())
            .env(SEED, kill.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let told = lines.map_while(Result::ok).filter(|line| line.contains("step ")).take(steps);
        assert_eq!(told.count(), steps, "it ended by itself");
        // While it writes, and after it is dead.
        check(home.path(), &format!("before kill {kill}"));
        child.kill().expect("kill");
        child.wait().expect("dead");
        let (seen, torn) = check(home.path(), &format!("after kill {kill}"));
        groups = seen;
        unfinished += u32::from(torn);
        if kill % 3 == 2 {
            let disk = RealDisk::open(home.path()).expect("the dead hold nothing");
            let store = open(Arc::new(disk), UpkeepBy::Thread);
            check(home.path(), &format!("opened after kill {kill}"));
            store.close().await;
        }
    }
    println!("{kills} kills, {unfinished} cut a group short, {groups} groups at the end");
    assert!(groups > 0);
}
