//! A program as a process of its own, and what it has used: CPU and memory as `/proc` tells them.
//!
//! The process ends with its value. What it writes on stderr is not read.

use std::net::SocketAddr;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::Instant;

/// Jiffies of `/proc` in a second; the same on every Linux.
const TICKS: f64 = 100.0;

/// A process that tells on stdout where it listens, and ends with this value.
pub(crate) struct Process {
    child: Child,
    /// What it writes on stdout.
    pub(crate) lines: Lines<BufReader<ChildStdout>>,
    _home: TempDir,
}

impl Process {
    pub(crate) fn start(program: &str, arguments: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut child = Command::new(program)
            .args(arguments)
            .env_clear()
            .env("HOME", home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines, _home: home }
    }

    /// Where it says it listens, in a line that starts with `before`.
    pub(crate) async fn address(&mut self, before: &str) -> SocketAddr {
        let line = self.lines.next_line().await.unwrap().expect("a line");
        line.strip_prefix(before).expect("an address").parse().unwrap()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("still running")
    }

    /// Kills it; when this is over, so is the process.
    pub(crate) async fn end(mut self) {
        self.child.kill().await.unwrap();
    }

    pub(crate) fn usage(&self) -> Usage {
        Usage::of(self.id())
    }
}

/// What a process has used up to now.
#[derive(Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) at: Instant,
    /// Seconds of CPU, in user and kernel mode.
    pub(crate) cpu: f64,
    /// MiB.
    pub(crate) rss: f64,
}

impl Usage {
    pub(crate) fn of(process: u32) -> Self {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
        // The name in brackets may hold anything; after it the fields are numbers from 3 on.
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        let ticks = |number: usize| fields.get(number - 3).unwrap().parse::<f64>().unwrap();
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kib: f64 = line.trim().trim_end_matches(" kB").trim().parse().unwrap();
        Self { at: Instant::now(), cpu: (ticks(14) + ticks(15)) / TICKS, rss: kib / 1024.0 }
    }
}
