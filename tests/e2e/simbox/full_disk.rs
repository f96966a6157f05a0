//! The daemon on a real file system that becomes full: what runs waits and can be read, nothing new is
//! taken, a life that is killed begins again; with room everything goes on by itself, once.
//!
//! The file system is one of the test's own (`file_system`); where none can be mounted, the test says
//! so and does nothing.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use afterbay::simbox::State;

use super::super::client::{Client, Opened, Turn, WAYS, Way};
use super::super::daemon;
use super::super::file_system::{FileSystem, ROOM};
use super::super::oracle::{self, Verdict};
use super::super::wait;
use super::set::{Set, Settings};
use super::shown::{self, Seen};

const SCENARIO: &str = "e2e::simbox::full_disk::fills_up_and_goes_on";
/// Room for two segments and a reserve.
const MIB: u32 = 96;
const BALLAST: &str = "ballast";
/// What the ballast leaves when the daemon starts: room for one segment and a reserve.
const ONE_SEGMENT: u64 = 44 << 20;
/// What the ballast leaves at first: too little for a segment, enough for retention to be content.
const CRUMBS: u64 = 1 << 20;
/// Texts, of which the log has each twice: together a little less than a segment. Their turns do not
/// end, so that retention finds nothing that could go.
const FILLERS: [u64; 3] = [15 << 20, 900 << 10, 90 << 10];
/// Far above what fits in what the fillers leave.
const MOST_PROBES: usize = 200;
/// The daemon looks at the disk each 10 s, and turns that were refused try again each few seconds.
const SOON: Duration = Duration::from_secs(60);

/// Not a test: what happens on the small file system.
#[tokio::test]
#[ignore = "it is started by another test, in a mount namespace"]
async fn fills_up_and_goes_on() {
    let Some(room) = room() else { return };
    let mut story = Story::begin(room).await;
    story.fill().await;
    story.refuses("LOG_UNAVAILABLE").await;
    story.is_readable().await;

    load(&story.room, 0);
    story.lacks(&["log", "room"]).await;
    assert_eq!(story.set.daemon.metric("afterbay_retention_refusing_turns").await, 1.0);
    story.refuses("NO_ROOM").await;

    story.set.daemon.kill();
    story.set.daemon.restart().await;
    story.lacks(&["log", "room"]).await;
    story.refuses("NO_ROOM").await;
    story.is_readable().await;
    story.is_whole().await;

    story.unload();
    story.lacks(&[]).await;
    story.goes_on().await;
    story.is_whole().await;
}

#[test]
fn on_a_file_system_that_is_full_turns_wait_and_go_on_when_there_is_room() {
    for system in [FileSystem::Memory(MIB), FileSystem::Ext4(MIB)] {
        if let Some(said) = system.run(SCENARIO, &[]) {
            let figures = said.lines().find(|line| line.contains("turns ran"));
            println!("{system:?}: {}", figures.expect("figures"));
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a variable of the tests' own")]
fn room() -> Option<PathBuf> {
    std::env::var(ROOM).ok().map(PathBuf::from)
}

struct Story {
    set: Set,
    room: PathBuf,
    /// Turns that run while there is no room.
    running: Vec<Client>,
    /// Names that were given to turns.
    named: usize,
}

impl Story {
    async fn begin(room: PathBuf) -> Self {
        let flags = vec!["--poll-waiting", "200ms", "--retention-free", "64KiB"];
        load(&room, ONE_SEGMENT);
        let data = Some(room.join("data"));
        // The box's answers are large.
        let pace = daemon::Pace::AsShipped;
        let daemon = daemon::Settings { flags, data, pace, ..daemon::Settings::default() };
        let set = Set::with(Settings { daemon, ..Settings::default() }).await;
        Self { set, room, running: Vec::new(), named: 0 }
    }

    fn turn(&mut self, script: &str) -> Client {
        self.named += 1;
        self.set.client(Turn::new(&format!("turn-{:04}", self.named), script))
    }

    /// Fills the segment and everything beside it, while some turns stand in their middle.
    async fn fill(&mut self) {
        load(&self.room, CRUMBS);
        for _ in 0..2 {
            let mut client = self.turn("parts=6 step=20ms wait=answer");
            let mut frames = client.open(Way::SamePost).await.expect("an answer").stream();
            client.read_until(&mut frames, "interaction").await;
            self.running.push(client);
        }
        for bytes in FILLERS {
            let before = self.set.daemon.metric("afterbay_log_written_bytes_total").await;
            let mut filler = self.turn(&format!("big={bytes}B linger=1h"));
            drop(filler.open(Way::SamePost).await.expect("an answer").stream());
            wait::until(SOON, "the log has what fills it", || async {
                let now = self.set.daemon.metric("afterbay_log_written_bytes_total").await;
                (now - before > 2.0 * bytes as f64).then_some(())
            })
            .await;
        }
        let mut refusals = 0;
        for _ in 0..MOST_PROBES {
            let mut probe = self.turn("parts=20 wait=answer");
            match probe.open(Way::SamePost).await.expect("an answer") {
                Opened::Stream(_) => {
                    refusals = 0;
                    self.running.push(probe);
                }
                other @ (Opened::NoMore | Opened::Status(..)) => {
                    self.was_refused(&probe, &other, "LOG_UNAVAILABLE");
                    refusals += 1;
                }
            }
            // What is smaller may find room after what was refused.
            if refusals == 3 {
                break;
            }
        }
        assert_eq!(refusals, 3, "the log has an end");
        // What they have to say now finds no room.
        self.set.simbox.answer_waiting();
        for client in &self.running {
            wait::until(SOON, "the box has ended the turn", || {
                std::future::ready((self.set.told(client).state == State::Succeeded).then_some(()))
            })
            .await;
        }
        self.lacks(&["log"]).await;
        assert!(self.set.daemon.metric("afterbay_log_refused_total").await > 0.0);
        assert_eq!(self.set.daemon.metric("afterbay_log_poisoned").await, 0.0);
    }

    /// A new turn is not taken, and nothing of it reaches the box.
    async fn refuses(&mut self, code: &str) {
        let mut client = self.turn("parts=1");
        let answer = client.open(Way::SamePost).await.expect("an answer");
        self.was_refused(&client, &answer, code);
    }

    fn was_refused(&self, client: &Client, answer: &Opened, code: &str) {
        let Opened::Status(status, said) = answer else { panic!("it was taken: {answer:?}") };
        assert_eq!((status.as_u16(), said["error"]["code"].as_str()), (503, Some(code)), "{said}");
        let marker = Some(client.turn.marker.as_str());
        let account = self.set.simbox.account();
        assert!(account.turns.iter().all(|turn| turn.turn_id.as_deref() != marker), "{marker:?}");
    }

    /// Waits until it lacks this to be ready.
    async fn lacks(&self, what: &[&str]) {
        wait::until(SOON, &format!("it lacks {what:?}"), || async {
            (self.set.daemon.missing().await == what).then_some(())
        })
        .await;
    }

    /// What was seen of a turn that waits for room can be read again.
    async fn is_readable(&self) {
        for client in self.running.iter().filter(|client| !client.seen.is_empty()) {
            for way in WAYS {
                let mut again = Client::new(self.set.daemon.address(), client.turn.clone(), &[way]);
                again.execution.clone_from(&client.execution);
                let mut frames = again.open(way).await.expect("an answer").stream();
                while again.seen.len() < client.seen.len() {
                    again.read_one(&mut frames).await;
                }
                assert!(oracle::bytes_of(&again.seen) == oracle::bytes_of(&client.seen), "{way:?}");
            }
        }
    }

    async fn is_whole(&self) {
        let (code, said) = self.set.daemon.verify().await;
        assert_eq!(code, Some(0), "{said}");
    }

    /// Every turn that ran ends with all that the box has shown, and a new one runs.
    async fn goes_on(&mut self) {
        let frames = |client: &Client| client.seen.len();
        let before: usize = self.running.iter().map(frames).sum();
        let mut running = std::mem::take(&mut self.running);
        running.push(self.turn("parts=3"));
        for client in &mut running {
            client.run().await;
            shown::check(&self.set, client, Verdict::Completed, Seen::All).await;
        }
        let after: usize = running.iter().map(frames).sum();
        println!("{} turns ran, {before} frames before and {after} in all", running.len());
    }

    fn unload(&self) {
        std::fs::remove_file(self.room.join(BALLAST)).expect("the ballast is there");
    }
}

/// Puts something beside the log that leaves so many bytes.
fn load(room: &Path, leaves: u64) {
    let ballast = File::options().create(true).append(true).open(room.join(BALLAST));
    let mut ballast = ballast.expect("a name");
    let most = u64::from(MIB) << 20;
    for piece in [1 << 20, 4 << 10] {
        let bytes = vec![1; piece];
        for _ in 0..most / piece as u64 {
            if free(room) < leaves + piece as u64 || ballast.write_all(&bytes).is_err() {
                break;
            }
        }
    }
}

fn free(room: &Path) -> u64 {
    let left = rustix::fs::statvfs(room).expect("a file system");
    left.f_bavail * left.f_frsize
}
