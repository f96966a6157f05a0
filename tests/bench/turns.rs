//! What a turn costs, measured on the built program before a scripted box.
//!
//! - From a change at the box to the client's frame, beside the poll interval: with polls at even
//!   distances and changes at random times, half an interval is what any poller needs.
//! - A tool output that grows to 10 MB: bytes in the log beside the output's, and the program's
//!   memory while it grows.
//!
//! Run with `cargo bench --bench turns`. Prints a table and checks nothing.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a benchmark may panic")]

#[path = "../it/support/box_state.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod box_state;
#[path = "../it/support/daemon.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod daemon;
#[path = "../it/support/scripted_box.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod scripted_box;

use std::path::Path;
use std::time::Duration;

use daemon::Daemon;
use rand::Rng as _;
use scripted_box::ScriptedBox;
use tokio::time::Instant;

/// Changes whose way is measured.
const CHANGES: usize = 100;
/// Between two polls.
const INTERVAL: Duration = Duration::from_millis(500);
/// The growing output's last length.
const OUTPUT: usize = 10 << 20;
/// What it grows by.
const STEP: usize = 64 << 10;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        change_to_frame().await;
        growing_output().await;
    });
}

/// A turn at the box and its stream at the client.
struct Turn {
    scripted: ScriptedBox,
    _daemon: Daemon,
    stream: reqwest::Response,
    session: String,
    message: String,
    data: tempfile::TempDir,
    /// Bytes that were read and not yet used.
    waiting: String,
}

impl Turn {
    async fn start(interval: Duration) -> Self {
        let scripted = ScriptedBox::start().await;
        let data = tempfile::tempdir().expect("a folder");
        let (base, folder) = (scripted.base(), data.path().display().to_string());
        let interval = format!("{}ms", interval.as_millis());
        let mut daemon = Daemon::start(
            &[
                "serve",
                "--box",
                &base,
                "--kind",
                "opencode",
                "--listen",
                "127.0.0.1:0",
                "--admin",
                "127.0.0.1:0",
                "--data-dir",
                &folder,
                "--poll-fast",
                &interval,
                "--poll-slow",
                &interval,
            ],
            &[],
        );
        let (clients, _) = daemon.addresses().await;
        let stream = reqwest::Client::new()
            .post(format!("http://{clients}/agents/run/stream"))
            .body(r#"{"sessionId":"bench","message":"go"}"#)
            .send()
            .await
            .expect("a stream");
        assert_eq!(stream.status(), 200);
        let (session, message) = scripted.with(|state| {
            let session = state.sessions.keys().next().expect("a session").clone();
            let prompt = state.last_prompt(&session);
            let message = state.begin(&session, &prompt);
            (session, message)
        });
        let waiting = String::new();
        Self { scripted, _daemon: daemon, stream, session, message, data, waiting }
    }

    /// Reads the stream up to and with `text`.
    async fn read_to(&mut self, text: &str) {
        loop {
            if let Some(at) = self.waiting.find(text) {
                self.waiting.drain(..at + text.len());
                return;
            }
            // Enough for a text that lies over the border of two pieces.
            let keep = self.waiting.len().saturating_sub(text.len());
            let keep = (keep..).find(|at| self.waiting.is_char_boundary(*at)).unwrap_or(0);
            self.waiting.drain(..keep);
            let piece = self.stream.chunk().await.expect("the stream goes on").expect("a piece");
            self.waiting.push_str(&String::from_utf8_lossy(&piece));
        }
    }

    fn finish(&self) {
        self.scripted.with(|state| {
            state.complete(&self.session, &self.message, Some("stop"));
            state.idle(&self.session);
        });
    }
}

async fn change_to_frame() {
    let mut turn = Turn::start(INTERVAL).await;
    let mut ways = Vec::with_capacity(CHANGES);
    for change in 0..CHANGES {
        // The box's own time: a change comes whenever it comes.
        tokio::time::sleep(INTERVAL.mul_f64(rand::rng().random_range(0.2..1.2))).await;
        let text = format!("change-{change}-");
        let began = Instant::now();
        turn.scripted.with(|state| {
            state.text(&turn.session, &turn.message, &format!("prt_{change}"), &text, true);
        });
        turn.read_to(&text).await;
        ways.push(began.elapsed());
    }
    turn.finish();
    turn.read_to("event: done").await;
    ways.sort();
    let at = |part: f64| ways[((CHANGES - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
    let interval = INTERVAL.as_secs_f64() * 1e3;
    println!(
        "from a change at the box to the client's frame, polls each {interval} ms, {CHANGES} changes"
    );
    println!(
        "  median {:7.1} ms  = {:.2} intervals (half an interval is the floor)",
        at(0.5),
        at(0.5) / interval
    );
    println!("  p90    {:7.1} ms  = {:.2} intervals", at(0.9), at(0.9) / interval);
    println!("  max    {:7.1} ms  = {:.2} intervals", at(1.0), at(1.0) / interval);
}

async fn growing_output() {
    let mut turn = Turn::start(Duration::from_millis(50)).await;
    let pid = holder(&turn.data.path().join("log"));
    println!("a tool output that grows to {} MiB in steps of {} KiB", OUTPUT >> 20, STEP >> 10);
    println!("  output MiB   log MiB   log/output   RSS MiB");
    let mut output = String::with_capacity(OUTPUT);
    let mut sent = 0;
    for step in 1..=OUTPUT / STEP {
        output.push_str(&"-".repeat(STEP - step.to_string().len()));
        output.push_str(&step.to_string());
        turn.scripted.with(|state| {
            state.tool(&turn.session, &turn.message, "prt_tool", "running", &output);
        });
        // The next step comes when this one was shown, or need not be shown: an eighth has not
        // been added yet.
        if output.len() > sent + sent / 8 + 1024 {
            turn.read_to(&format!("-{step}\"")).await;
            sent = output.len();
        }
        if step % (OUTPUT / STEP / 8) == 0 {
            row(&output, turn.data.path(), pid);
        }
    }
    turn.scripted.with(|state| {
        state.tool(&turn.session, &turn.message, "prt_tool", "completed", &output);
    });
    turn.finish();
    turn.read_to("event: done").await;
    row(&output, turn.data.path(), pid);
    println!("  peak RSS {:.0} MiB", status_mib(pid, "VmHWM:"));
}

fn row(output: &str, data: &Path, pid: u32) {
    let (output, log) = (output.len() as f64, log_bytes(&data.join("log")) as f64);
    let mib = f64::from(1 << 20);
    let rss = status_mib(pid, "VmRSS:");
    println!("  {:10.2} {:9.1} {:12.2} {rss:9.0}", output / mib, log / mib, log / output);
}

fn log_bytes(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).expect("the log's folder");
    files.map(|file| file.and_then(|file| file.metadata()).map_or(0, |meta| meta.len())).sum()
}

/// The process that holds the log's folder, as the lock file names it.
fn holder(folder: &Path) -> u32 {
    let lock = std::fs::read_to_string(folder.join("lock")).expect("a lock file");
    lock.split(' ').next().and_then(|pid| pid.parse().ok()).expect("a process id")
}

/// A line of `/proc/{pid}/status`, in MiB.
fn status_mib(pid: u32, name: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
    let kib: f64 = line.trim().trim_end_matches(" kB").trim().parse().expect("a number");
    kib / 1024.0
}
