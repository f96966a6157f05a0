//! The log on a real file system that is full: a process fills it, is refused, and is killed with
//! `kill -9` while it fills, while it is full, and when there is room again.
//!
//! What was acknowledged is there afterwards, what was cut off stays away, `verify` finds nothing,
//! verdicts have their reserve, readers go on reading, and room that is given back is found without
//! a restart. The file system is one of its own ([`stage`]); where none can be mounted, the test says
//! so and does nothing. `AFTERBAY_FULL_KILLS=300` kills so many times on each file system.

mod stage;
mod tries;
mod writer;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use afterbay::log::ReadOnlyFolder;
use afterbay::log::verify::{self, Reach};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use stage::{FileSystem, ROOM};
use writer::{Manner, SESSIONS};

const KILLS: u64 = 9;
const FLAG: &str = "AFTERBAY_FULL_KILLS";
const SCENARIO: &str = "it::log_full::is_killed_again_and_again";
const CHILD: &str = "it::log_full::fills_the_disk_until_it_is_killed";
const MANNER: &str = "AFTERBAY_FULL_MANNER";
const SEED: &str = "AFTERBAY_FULL_SEED";
/// What stands beside the log, to be given back.
const BALLAST: usize = 5 << 20;
/// What makes room for more than a segment and a reserve when it is given back.
const LEAST_GIFT: usize = 3 << 20;
/// What the last group may take: opening copies it, and cannot do without that room.
const LARGEST_GROUP: u64 = 512 << 10;
/// Far above what a life says.
const MOST_LINES: usize = 200_000;

#[expect(clippy::disallowed_methods, reason = "variables of the tests' own")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Not a test: the process that is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it is started by another test"]
async fn fills_the_disk_until_it_is_killed() {
    let Some(room) = variable(ROOM).map(PathBuf::from) else { return };
    let wanted = variable(MANNER).expect("a manner");
    let manner = Manner::ALL.into_iter().find(|manner| manner.name() == wanted).expect("known");
    let seed = variable(SEED).and_then(|seed| seed.parse().ok()).expect("a seed");
    writer::run(&room.join("log"), manner, seed).await;
}

/// Not a test: what happens on the small file system.
#[test]
#[ignore = "it is started by another test, in a mount namespace"]
fn is_killed_again_and_again() {
    let Some(room) = variable(ROOM).map(PathBuf::from) else { return };
    let kills = variable(FLAG).map_or(KILLS, |kills| kills.parse().expect("a count"));
    let mut story = Story::new(room);
    for kill in 0..kills {
        story.live(kill);
    }
    let Told { full, refused, verdicts, mute, .. } = story.told;
    println!("{kills} kills: {:?}", story.told);
    assert!(full > 0 && refused > 0 && verdicts > 0, "{full} {refused} {verdicts} {mute}");
}

#[test]
fn on_a_file_system_that_is_full_whatever_is_killed_nothing_is_lost() {
    for system in [FileSystem::Memory(24), FileSystem::Ext4(36)] {
        let flag = variable(FLAG).unwrap_or_else(|| KILLS.to_string());
        if let Some(said) = system.run(SCENARIO, &[(FLAG, flag)]) {
            let figures = said.lines().find(|line| line.contains(" kills: "));
            println!("{system:?}: {}", figures.expect("figures"));
        }
    }
}

/// What all lives came to.
#[derive(Debug, Default)]
struct Told {
    /// How often a log became full, and had room again.
    full: u64,
    room: u64,
    /// Kills of one that was full.
    killed_full: u64,
    refused: u64,
    /// Verdicts taken and not taken while it was full.
    verdicts: u64,
    mute: u64,
    trims: u64,
    /// Whole readings of a session, and those while it was full.
    looks: u64,
    looks_full: u64,
    /// Last groups that a kill cut short.
    unfinished: u64,
    /// Openings for which there was less room than the last group takes.
    shut: u64,
}

/// What is known of a session.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    /// Its next number, at least.
    tail: u64,
    /// What is cut off, at least and at most.
    trimmed: u64,
    asked: u64,
}

struct Story {
    room: PathBuf,
    rng: StdRng,
    known: BTreeMap<u64, Known>,
    told: Told,
    is_full: bool,
}

/// When a process is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Filling,
    Full,
    RoomAgain,
}

impl Story {
    fn new(room: PathBuf) -> Self {
        let known = (0..u64::from(SESSIONS)).map(|session| (session, Known::default())).collect();
        let seed = rand::random();
        println!("seed {seed}");
        let rng = StdRng::seed_from_u64(seed);
        Self { room, rng, known, told: Told::default(), is_full: false }
    }

    /// One process from its start to its kill.
    fn live(&mut self, kill: u64) {
        let (manner, when) = match kill % 7 {
            0 => (Manner::Insists, When::Filling),
            1 | 2 => (Manner::Insists, When::Full),
            3 => (Manner::Waits, When::RoomAgain),
            4 => (Manner::GivesBack, When::Full),
            5 => (Manner::GivesBack, When::RoomAgain),
            _ => (Manner::Waits, When::Full),
        };
        let loaded = self.load();
        if !self.life(kill, if loaded < LEAST_GIFT { Manner::GivesBack } else { manner }, when) {
            self.unload();
            assert!(self.life(kill, Manner::GivesBack, when), "there was room to open");
        }
    }

    /// Whether the log could be opened.
    fn life(&mut self, kill: u64, manner: Manner, when: When) -> bool {
        let (mut child, out) = start(manner, kill);
        let mut lines = BufReader::new(out).lines().map_while(Result::ok).take(MOST_LINES);
        self.is_full = false;
        let mut rest = self.rng.random_range(0..400);
        let shut = self.told.shut;
        let (mut was_full, mut reached, mut gets_there) = (false, false, false);
        for line in lines.by_ref() {
            self.hear(&line);
            was_full |= self.is_full;
            reached |= match when {
                When::Filling => line == "open",
                When::Full => self.is_full,
                When::RoomAgain => was_full && !self.is_full,
            };
            if self.is_full && when == When::RoomAgain && manner == Manner::Waits {
                self.unload();
            }
            gets_there = reached && rest == 0;
            if gets_there {
                break;
            }
            rest -= u32::from(reached);
        }
        let is_shut = self.told.shut > shut;
        assert!(gets_there || is_shut, "{manner:?} did not get to {when:?}");
        check(&self.room, &format!("before kill {kill}, {manner:?} {when:?}"));
        child.kill().expect("kill");
        self.told.killed_full += u64::from(self.is_full);
        // What it said before counts.
        lines.for_each(|line| self.hear(&line));
        child.wait().expect("dead");
        self.told.unfinished += u64::from(check(&self.room, &format!("after kill {kill}")));
        !is_shut
    }

    /// Takes in what the process says.
    fn hear(&mut self, line: &str) {
        let mut words = line.split(' ');
        let word = words.next().unwrap_or_default();
        let numbers: Vec<u64> = words.filter_map(|word| word.parse().ok()).collect();
        let session = numbers.first().copied().unwrap_or_default();
        let Some(known) = self.known.get_mut(&session) else { return };
        match (word, numbers.as_slice()) {
            ("opened", [_, first, next]) => {
                assert!(*next >= known.tail, "{line}: {known:?}");
                let cut = first - 1;
                assert!(known.trimmed <= cut && cut <= known.asked, "{line}: {known:?}");
                *known = Known { tail: *next, trimmed: cut, ..*known };
            }
            ("looked", _) => {
                self.told.looks += 1;
                self.told.looks_full += u64::from(self.is_full);
            }
            ("tail", [_, next]) => {
                assert!(*next > known.tail, "{line}: {known:?}");
                known.tail = *next;
            }
            ("trims", [_, through]) => known.asked = *through,
            ("trimmed", [_, through]) => {
                known.trimmed = *through;
                self.told.trims += 1;
            }
            ("refused", _) => self.told.refused += 1,
            ("verdict", _) => self.told.verdicts += 1,
            ("mute", _) => self.told.mute += 1,
            ("full", _) => {
                self.told.full += 1;
                self.is_full = true;
            }
            ("room" | "found", _) => {
                self.told.room += 1;
                self.is_full = false;
            }
            ("shut", _) => {
                let free = self.free();
                assert!(free < LARGEST_GROUP, "{line}, with {free} bytes free");
                self.told.shut += 1;
            }
            _ => {}
        }
    }

    /// Puts something beside the log, as far as it fits; says how much.
    fn load(&self) -> usize {
        let mut ballast = File::create(self.room.join("ballast")).expect("a name");
        let piece = vec![1; 64 << 10];
        let fits = (0..BALLAST / piece.len())
            .take_while(|_| self.free() > 2 * LARGEST_GROUP && ballast.write_all(&piece).is_ok());
        fits.count() * piece.len()
    }

    fn free(&self) -> u64 {
        let left = rustix::fs::statvfs(&self.room).expect("a file system");
        left.f_bavail * left.f_frsize
    }

    fn unload(&self) {
        let _ = std::fs::remove_file(self.room.join("ballast"));
    }
}

fn start(manner: Manner, seed: u64) -> (Child, ChildStdout) {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args([CHILD, "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env(MANNER, manner.name())
        .env(SEED, seed.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let out = child.stdout.take().expect("a pipe");
    (child, out)
}

/// Whether the last group is cut short; nothing else may be wrong.
fn check(room: &Path, what: &str) -> bool {
    let folder = ReadOnlyFolder::open(&room.join("log")).expect("a folder");
    match verify::check(&folder, writer::role) {
        Ok(report) => {
            assert_eq!((report.findings, report.reach), (Vec::new(), Reach::End), "{what}");
            report.unfinished.is_some()
        }
        Err(verify::Error::NoLog) => false,
        Err(error) => panic!("{what}: {error}"),
    }
}
