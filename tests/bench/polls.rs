//! What polling costs: 1,000 turns at once on one simulated box through one afterbay, both as
//! processes of their own.
//!
//! Twice: with a poll rate that no turn has to wait for, and with the rates as shipped. For each,
//! polls per event while the agents work, polls per second while all of them are silent, requests
//! per poll, and the program's CPU and memory. Beside them, in the same run and measured in the
//! same way, a peer that does nothing but ask: a process of 1,000 tasks that read a status every
//! 3 s, with no log, no diff and no client.
//!
//! Run with `cargo bench --bench polls`. Prints tables and checks only that every turn ends well.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark may panic, and has no owner for its tasks"
)]

#[expect(dead_code, reason = "another benchmark uses the rest")]
mod process;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use process::{Process, Usage};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Turns at once, each in a session of its own.
const TURNS: usize = 1000;
/// What a turn shows: 12 changes, a silence, 12 changes, one a second.
const SCRIPT: &str = "parts=4 grow=6 step=1s quiet=25s";
/// The changes of all turns.
const CHANGES: usize = 24 * TURNS;
/// From the last start to the time of work that is measured, and how long it is.
const WORK: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(8));
/// From the last start to the time of silence that is measured, and how long it is: after 12 s of
/// work, and some more for the pace to become the slowest.
const SILENCE: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(15));
/// Between two reads of the peer's tasks: the slowest interval of polls as shipped.
const PEER_PAUSE: Duration = Duration::from_secs(3);
/// How the program is told to be the peer.
const PEER: &str = "--peer=";

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    // Cargo adds arguments of its own.
    let base = std::env::args().find_map(|text| text.strip_prefix(PEER).map(str::to_owned));
    runtime.block_on(async {
        match base {
            Some(base) => be_the_peer(&base).await,
            None => measure_all().await,
        }
    });
}

async fn measure_all() {
    println!("{TURNS} turns at once on one simulated box: {SCRIPT}");
    let unbounded = ["--poll-rate", "2000", "--poll-rate-total", "2000"];
    let fast = afterbay("poll rates 2000 of a box, 2000 in all", &unbounded).await;
    let shipped = afterbay("poll rates as shipped", &[]).await;
    let peer = peer().await;
    println!("beside the bare loop, in silence: CPU a request, and memory");
    for (name, measured) in [("rate 2000", fast), ("as shipped", shipped)] {
        println!(
            "  {name:<10}  {:.2} times the CPU of a request   {:.2} times the RSS   {:.2} times the CPU",
            measured.cpu_per_request() / peer.cpu_per_request(),
            measured.rss / peer.rss,
            measured.cores / peer.cores,
        );
    }
}

// ---- afterbay ----

async fn simbox() -> (Process, String) {
    let arguments = ["simbox", "--listen", "127.0.0.1:0"];
    let mut simbox = Process::start(env!("CARGO_BIN_EXE_afterbay"), &arguments);
    let address = simbox.address("listening on http://").await;
    (simbox, format!("http://{address}"))
}

/// A thousand clients, each with its turn and its stream.
struct Clients {
    tasks: JoinSet<bool>,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    /// Frames of parts that clients have received.
    parts: AtomicU64,
    /// Turns whose first frame came.
    started: AtomicU64,
}

impl Clients {
    fn start(base: &str) -> Self {
        let (mut tasks, seen) = (JoinSet::new(), Arc::new(Seen::default()));
        let http = reqwest::Client::builder().build().unwrap();
        for number in 0..TURNS {
            let (http, seen) = (http.clone(), Arc::clone(&seen));
            let url = format!("{base}/agents/run/stream");
            tasks.spawn(async move { read_turn(&http, &url, number, &seen).await });
        }
        Self { tasks, seen }
    }

    fn parts(&self) -> u64 {
        self.seen.parts.load(Ordering::Relaxed)
    }

    /// Resolves when every turn has said something.
    async fn all_started(&self) -> Duration {
        let begun = Instant::now();
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        while self.seen.started.load(Ordering::Relaxed) < TURNS as u64 {
            looks.tick().await;
        }
        begun.elapsed()
    }

    /// Resolves when every turn is over; says how many ended well.
    async fn all_ended(mut self) -> usize {
        let mut well = 0;
        while let Some(ended) = self.tasks.join_next().await {
            well += usize::from(ended.unwrap());
        }
        well
    }
}

fn body(number: usize) -> String {
    format!(r#"{{"sessionId":"bench-{number}","turnId":"turn-{number}","message":"{SCRIPT}"}}"#)
}

/// Reads a turn to its end, counting its frames; says whether it ended well.
async fn read_turn(http: &reqwest::Client, url: &str, number: usize, seen: &Seen) -> bool {
    let request = http.post(url).header("content-type", "application/json").body(body(number));
    let mut stream = request.send().await.unwrap();
    assert_eq!(stream.status(), 200);
    let (mut waiting, mut is_first, mut success) = (Vec::new(), true, false);
    while let Some(piece) = stream.chunk().await.unwrap() {
        waiting.extend_from_slice(&piece);
        while let Some(end) = waiting.windows(2).position(|two| two == b"\n\n") {
            let block: Vec<u8> = waiting.drain(..end + 2).collect();
            let block = String::from_utf8_lossy(&block);
            if block.contains("\nevent: ") && std::mem::take(&mut is_first) {
                seen.started.fetch_add(1, Ordering::Relaxed);
            }
            let is_part = block.contains("\nevent: message.part.updated\n");
            seen.parts.fetch_add(u64::from(is_part), Ordering::Relaxed);
            success |= block.contains("\nevent: result\n") && block.contains(r#""success":true"#);
        }
    }
    success
}

/// What the program has done up to now, by its own count.
#[derive(Clone, Copy)]
struct Counts {
    usage: Usage,
    polls: f64,
    /// Statuses and messages that were read.
    requests: f64,
    parts: f64,
}

/// One stretch of time, per second where nothing else is said.
#[derive(Clone, Copy)]
struct Stretch {
    polls: f64,
    requests: f64,
    parts: f64,
    cores: f64,
    /// MiB at its end.
    rss: f64,
}

impl Stretch {
    fn between(from: Counts, to: Counts) -> Self {
        let seconds = (to.usage.at - from.usage.at).as_secs_f64();
        Self {
            polls: (to.polls - from.polls) / seconds,
            requests: (to.requests - from.requests) / seconds,
            parts: (to.parts - from.parts) / seconds,
            cores: (to.usage.cpu - from.usage.cpu) / seconds,
            rss: to.usage.rss,
        }
    }

    fn cpu_per_request(&self) -> f64 {
        self.cores / self.requests
    }

    fn print(&self, name: &str) {
        let Self { polls, requests, parts, cores, rss } = self;
        println!(
            "  {name:<8}{polls:7.1} polls/s {requests:8.1} requests/s {:5.2} requests/poll \
             {parts:8.1} events/s {:>6} polls/event",
            requests / polls,
            if *parts > 0.0 { format!("{:.2}", polls / parts) } else { "-".to_owned() },
        );
        println!(
            "          {cores:7.3} cores   {:8.0} us CPU/request {rss:7.1} MiB RSS",
            self.cpu_per_request() * 1e6,
        );
    }
}

async fn counts(program: &Process, admin: SocketAddr, clients: &Clients) -> Counts {
    let text = reqwest::get(format!("http://{admin}/metrics")).await.unwrap().text().await.unwrap();
    let sum = |start: &str| {
        let lines = text.lines().filter(|line| line.starts_with(start));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>()
    };
    let calls = |call: &str| sum(&format!("afterbay_box_calls_total{{call=\"{call}\""));
    Counts {
        usage: program.usage(),
        polls: sum("afterbay_polls_total"),
        requests: calls("status") + calls("messages"),
        parts: clients.parts() as f64,
    }
}

/// Runs all turns through the program; the silence is what is given back.
async fn afterbay(name: &str, flags: &[&str]) -> Stretch {
    let (simbox, box_url) = simbox().await;
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().display().to_string();
    let local = "127.0.0.1:0";
    let mut arguments = vec!["serve", "--kind", "tangle", "--box", &box_url, "--data-dir", &folder];
    arguments.extend(["--listen", local, "--admin", local]);
    arguments.extend(flags);
    let mut program = Process::start(env!("CARGO_BIN_EXE_afterbay"), &arguments);
    let listen = program.address("listening on http://").await;
    let admin = program.address("admin on http://").await;
    let idle = program.usage();

    let begun = Instant::now();
    let clients = Clients::start(&format!("http://{listen}"));
    let starting = clients.all_started().await;
    let started = Instant::now();
    let first = counts(&program, admin, &clients).await;
    let mut stretches = Vec::new();
    for (after, span) in [WORK, SILENCE] {
        tokio::time::sleep_until(started + after).await;
        let from = counts(&program, admin, &clients).await;
        tokio::time::sleep_until(started + after + span).await;
        stretches.push(Stretch::between(from, counts(&program, admin, &clients).await));
    }
    let silent = counts(&program, admin, &clients).await;
    let seen = Arc::clone(&clients.seen);
    let well = clients.all_ended().await;
    let took = begun.elapsed();
    let last = program.usage();
    println!("{name}: all started after {starting:.1?}, all ended after {took:.1?}, {well} well");
    let [working, quiet] = stretches.try_into().ok().expect("two stretches");
    working.print("working");
    quiet.print("silent");
    let shown = seen.parts.load(Ordering::Relaxed) as f64;
    println!(
        "  in all  {:.0} events of parts for {} changes; up to the silence's end {:.2} polls/event; \
         {:.1} s CPU; RSS {:.1} MiB before the first turn, {:.1} after the last",
        shown,
        CHANGES,
        (silent.polls - first.polls) / (silent.parts - first.parts).max(1.0),
        last.cpu,
        idle.rss,
        last.rss
    );
    drop(simbox);
    assert_eq!(well, TURNS, "every turn ends well");
    quiet
}

// ---- the peer ----

/// Asks for the status of every session again and again, and tells each second how often.
async fn be_the_peer(base: &str) {
    let http = reqwest::Client::builder().build().unwrap();
    let asked = Arc::new(AtomicU64::new(0));
    for number in 0..TURNS {
        let (http, asked) = (http.clone(), Arc::clone(&asked));
        let url = format!("{base}/agents/sessions/bench-{number}");
        tokio::spawn(async move {
            // Spread over the interval, as turns are that started one after another.
            tokio::time::sleep(PEER_PAUSE.mul_f64(number as f64 / TURNS as f64)).await;
            loop {
                let answer = http.get(&url).send().await.unwrap();
                assert_eq!(answer.status(), 200);
                answer.bytes().await.unwrap();
                asked.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(PEER_PAUSE).await;
            }
        });
    }
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    loop {
        seconds.tick().await;
        println!("{}", asked.load(Ordering::Relaxed));
    }
}

/// The bare loop over a thousand silent turns that were given to the box directly.
async fn peer() -> Stretch {
    let (simbox, base) = simbox().await;
    let http = reqwest::Client::builder().build().unwrap();
    for number in 0..TURNS {
        let url = format!("{base}/agents/run/stream");
        let body = body(number).replacen("message\":\"", "detach\":true,\"message\":\"receipt ", 1);
        let request = http.post(url).header("content-type", "application/json").body(body);
        assert_eq!(request.send().await.unwrap().status(), 202);
    }
    let program = std::env::current_exe().unwrap();
    let argument = format!("{PEER}{base}");
    let mut peer = Process::start(program.to_str().unwrap(), &[&argument]);
    // The agents' work is over after 12 s, and the peer's connections are warm.
    let mut asked = Vec::new();
    for second in 0..=30 {
        let line = peer.lines.next_line().await.unwrap().expect("a line");
        if second == 15 || second == 30 {
            asked.push((peer.usage(), line.parse::<f64>().unwrap()));
        }
    }
    drop(simbox);
    let [(from, before), (to, after)] = asked.try_into().ok().expect("two looks");
    let seconds = (to.at - from.at).as_secs_f64();
    let requests = (after - before) / seconds;
    let cores = (to.cpu - from.cpu) / seconds;
    let stretch = Stretch { polls: requests, requests, parts: 0.0, cores, rss: to.rss };
    println!("a bare loop: {TURNS} tasks that read the status every {PEER_PAUSE:?}");
    println!(
        "  silent  {requests:7.1} requests/s {cores:6.3} cores {:7.0} us CPU/request {:7.1} MiB RSS",
        stretch.cpu_per_request() * 1e6,
        stretch.rss
    );
    stretch
}
