//! Afterbay before a simulated box, each a process of its own, and turns through it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::time::{Instant, sleep};

use crate::process::{Process, Usage};

/// What a turn shows: seven parts, which with what stands around them are ten events.
const SCRIPT: &str = "parts=7";
pub(crate) const EVENTS: u64 = 10;
/// Turns at once: what they hold while they run must not stand for what is idle.
const AT_ONCE: usize = 50;
/// Until what was freed has gone back.
const SETTLE: Duration = Duration::from_secs(5);

pub(crate) struct Stage {
    afterbay: Process,
    _simbox: Process,
    pub(crate) clients: SocketAddr,
    admin: SocketAddr,
    sessions: usize,
    /// Rounds of turns so far.
    rounds: u64,
}

/// The program on this folder until it says that it is ready; how long that took from its start.
pub(crate) async fn start(
    data: &Path,
    box_url: &str,
) -> (Process, SocketAddr, SocketAddr, Duration) {
    let (folder, local) = (data.display().to_string(), "127.0.0.1:0");
    let mut arguments = vec!["serve", "--kind", "tangle", "--box", box_url, "--data-dir", &folder];
    arguments.extend(["--listen", local, "--admin", local]);
    // Only so that the turns are soon over: nothing of them runs while anything is measured.
    arguments.extend(["--poll-rate", "2000", "--poll-rate-total", "2000"]);
    let begun = Instant::now();
    let mut afterbay = Process::start(env!("CARGO_BIN_EXE_afterbay"), &arguments);
    let clients = afterbay.address("listening on http://").await;
    let admin = afterbay.address("admin on http://").await;
    let url = format!("http://{admin}/readyz");
    while reqwest::get(&url).await.unwrap().status() != 200 {}
    (afterbay, clients, admin, begun.elapsed())
}

impl Stage {
    pub(crate) async fn open(data: &Path) -> Self {
        let arguments = ["simbox", "--listen", "127.0.0.1:0"];
        let mut simbox = Process::start(env!("CARGO_BIN_EXE_afterbay"), &arguments);
        let at = simbox.address("listening on http://").await;
        let (afterbay, clients, admin, _) = start(data, &format!("http://{at}")).await;
        Self { afterbay, _simbox: simbox, clients, admin, sessions: 0, rounds: 0 }
    }

    /// The last event of each session.
    pub(crate) const fn last(&self) -> u64 {
        self.rounds * EVENTS
    }

    /// One turn on each of so many sessions, to its end.
    pub(crate) async fn turns(&mut self, sessions: usize) {
        assert!(self.rounds == 0 || self.sessions == sessions, "all sessions are equally long");
        (self.sessions, self.rounds) = (sessions, self.rounds + 1);
        let (http, round, last) = (reqwest::Client::new(), self.rounds, self.last());
        let url = format!("http://{}/agents/run/stream", self.clients);
        let turn = |number: usize| {
            let body = format!(
                r#"{{"sessionId":"bench-{number}","turnId":"turn-{round}","message":"{SCRIPT}"}}"#
            );
            let request = http.post(&url).header("content-type", "application/json").body(body);
            async move {
                let told = request.send().await.unwrap().text().await.unwrap();
                let end = format!("id: {last}\nevent: done\ndata: {{\"status\":\"success\"");
                assert!(told.contains(&end), "{told}");
            }
        };
        stream::iter(0..sessions).map(turn).buffer_unordered(AT_ONCE).collect::<()>().await;
    }

    /// What it holds, a while after it had something to do.
    pub(crate) async fn settled(&self) -> Usage {
        sleep(SETTLE).await;
        self.afterbay.usage()
    }

    /// Seconds of CPU in each second of such a span in which nothing is asked of it.
    pub(crate) async fn cores_over(&self, span: Duration) -> f64 {
        let before = self.afterbay.usage();
        sleep(span).await;
        let after = self.afterbay.usage();
        (after.cpu - before.cpu) / (after.at - before.at).as_secs_f64()
    }

    /// How many streams have ended since its start because their client was gone.
    pub(crate) async fn gone(&self) -> usize {
        let url = format!("http://{}/metrics", self.admin);
        let text = reqwest::get(url).await.unwrap().text().await.unwrap();
        let name = r#"afterbay_http_streams_ended_total{reason="gone"} "#;
        let count = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        count.parse().unwrap()
    }

    /// Ends it and its box.
    pub(crate) async fn close(self) {
        self.afterbay.end().await;
    }
}
