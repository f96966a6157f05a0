//! `afterbay demo` as a stranger runs it, with shorter times: what it tells, its exit code, and
//! that nothing is left of it.
//!
//! Each run has a folder of its own for temporary files, which must be empty afterwards, and the
//! port of its afterbay must be closed.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// Longer than the demo itself gives itself, so that only a hang meets it.
const LONG: Duration = Duration::from_secs(120);

/// A demo that runs.
struct Demo {
    child: Child,
    files: TempDir,
}

/// A demo that has ended, with everything it said.
struct Told {
    code: Option<i32>,
    stdout: String,
}

impl Demo {
    fn start(arguments: &[&str]) -> Self {
        let files = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_afterbay"));
        command.arg("demo").args(arguments).env_clear().env("TMPDIR", files.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        Self { child: command.spawn().unwrap(), files }
    }

    /// Reads what it says to its end, or until a line holds `mark`; then it is interrupted.
    async fn until(mut self, mark: Option<&str>) -> Told {
        let mut lines = BufReader::new(self.child.stdout.take().unwrap()).lines();
        let mut stdout = String::new();
        let all = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if mark.is_some_and(|mark| line.contains(mark)) {
                    let pid = i32::try_from(self.child.id().expect("it runs")).unwrap();
                    kill_process(Pid::from_raw(pid).unwrap(), Signal::INT).unwrap();
                }
                stdout.push_str(&line);
                stdout.push('\n');
            }
            self.child.wait().await.unwrap()
        };
        let code = timeout(LONG, all).await.expect("an end in time").code();
        let told = Told { code, stdout };
        told.leaves_nothing(&self.files).await;
        told
    }
}

impl Told {
    async fn leaves_nothing(&self, files: &TempDir) {
        let left: Vec<_> = fs::read_dir(files.path()).unwrap().map(|file| file.unwrap()).collect();
        assert!(left.is_empty(), "{left:?}");
        let address = self.stdout.split("http://").nth(1).expect("afterbay's address");
        let address = address.split_whitespace().next().expect("afterbay's address");
        let connected = timeout(LONG, TcpStream::connect(address)).await.expect("an answer");
        let refused = connected.expect_err("afterbay still runs");
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    }

    /// Holds these texts in this order.
    #[track_caller]
    fn tells(&self, texts: &[&str]) {
        let mut rest = self.stdout.as_str();
        for text in texts {
            let Some((_, after)) = rest.split_once(text) else {
                panic!("{text:?} is not where it should be in:\n{}", self.stdout);
            };
            rest = after;
        }
    }
}

#[tokio::test]
async fn it_goes_as_told() {
    let told = Demo::start(&["--quiet", "5s", "--cut", "1s"]).until(None).await;
    told.tells(&[
        "quiet for 5s",
        "without bytes for 1s",
        "1. Straight at the box",
        "the stream is cut",
        "404",
        "404",
        "404",
        "the client gives up",
        "the box has finished the turn all the same",
        "2. ",
        "afterbay serves",
        "kill -9",
        "the stream is cut",
        "refused",
        "afterbay runs again",
        "200",
        "done",
        "straight ",
        "ran once, finished",
        "through afterbay ",
        "ran once, finished",
        "Everything went as told",
    ]);
    assert_eq!(told.code, Some(0), "{}", told.stdout);
}

#[tokio::test]
async fn it_says_what_differs_and_fails_when_the_box_does_not_cut() {
    let told = Demo::start(&["--quiet", "3s", "--cut", "5s"]).until(None).await;
    told.tells(&["It did not go as it should", "- straight: the stream was not cut"]);
    assert_eq!(told.code, Some(1), "{}", told.stdout);
}

#[tokio::test]
async fn interrupted_in_the_middle_it_leaves_nothing() {
    let demo = Demo::start(&["--quiet", "5s", "--cut", "1s"]);
    let told = demo.until(Some("afterbay serves")).await;
    assert_eq!(told.code, Some(130), "{}", told.stdout);
}

#[tokio::test]
async fn a_reader_who_has_gone_ends_it() {
    let mut demo = Demo::start(&["--quiet", "5s", "--cut", "1s"]);
    let mut one = [0];
    demo.child.stdout.take().unwrap().read_exact(&mut one).await.unwrap();
    let ended = timeout(LONG, demo.child.wait()).await.expect("an end in time").unwrap();
    assert_eq!(ended.code(), Some(1));
    assert_eq!(fs::read_dir(demo.files.path()).unwrap().count(), 0);
}
