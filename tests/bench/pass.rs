//! What the pass-through costs: requests a second and their times through afterbay, beside nginx as
//! a reverse proxy and beside no hop at all, in turns in the same run. Box and clients are bare sockets
//! in this process, so that nearly all the CPU is the hop's.
//!
//! Run with `cargo bench --bench pass`; it needs nginx. Prints a table and checks that every answer
//! is the box's.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a benchmark may panic, and has no owner for its tasks"
)]

#[expect(dead_code, reason = "another benchmark uses the rest")]
#[path = "log/figures.rs"]
mod figures;
#[expect(dead_code, reason = "another benchmark uses the rest")]
mod process;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use figures::{Sample, millis, ratio, thousands};
use process::Process;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// Connections that each have one request on its way.
const CLIENTS: usize = 64;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(2);
/// Before each round: connections are open, pools are filled.
const WARM_UP: Duration = Duration::from_millis(300);
const BODY_BYTES: usize = 1024;
const NGINX: &str = "/usr/sbin/nginx";

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(measure());
}

/// What all rounds came to.
#[derive(Default)]
struct Row {
    rate: Sample,
    median: Sample,
    p99: Sample,
    cpu: Sample,
}

async fn measure() {
    let behind = serve_box().await;
    let folder = tempfile::tempdir().unwrap();
    let nginx = Nginx::start(folder.path(), behind).await;
    let data = folder.path().join("data").display().to_string();
    let box_url = format!("http://{behind}");
    let mut arguments = vec!["serve", "--kind", "tangle", "--data-dir", &data, "--box", &box_url];
    arguments.extend(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    let mut afterbay = Process::start(env!("CARGO_BIN_EXE_afterbay"), &arguments);
    let at_afterbay = afterbay.address("listening on http://").await;

    let hops = [
        ("no hop", behind, None),
        ("nginx", nginx.address, Some(nginx.process.id())),
        ("afterbay", at_afterbay, Some(afterbay.id())),
    ];
    let mut rows: [Row; 3] = Default::default();
    for round in 0..ROUNDS {
        for turn in 0..hops.len() {
            let at = (round + turn) % hops.len();
            let (_, address, process) = hops[at];
            one_round(address, process, &mut rows[at]).await;
        }
    }
    print(&hops.map(|(name, ..)| name), &rows);
}

fn print(names: &[&str], rows: &[Row]) {
    println!(
        "pass-through: {CLIENTS} connections, one GET of {BODY_BYTES} bytes at a time on each, {ROUNDS} rounds of {ROUND:?}"
    );
    println!(
        "  hop         requests/s   (spread)              beside nginx   p50 ms   p99 ms   beside nginx's   CPU us/request"
    );
    let nginx = &rows[1];
    for (name, row) in names.iter().zip(rows) {
        println!(
            "  {name:<10} {:>11}   {:<20} {:>13} {:>8} {:>8} {:>16} {:>16.1}",
            thousands(row.rate.median()),
            format!("({})", row.rate.spread(thousands)),
            ratio(row.rate.median(), nginx.rate.median()),
            millis(row.median.median()),
            millis(row.p99.median()),
            ratio(row.p99.median(), nginx.p99.median()),
            row.cpu.median() * 1e6,
        );
    }
}

async fn one_round(address: SocketAddr, process: Option<u32>, row: &mut Row) {
    let begins = Instant::now() + WARM_UP;
    let ends = begins + ROUND;
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(ask(address, begins, ends));
    }
    sleep(WARM_UP).await;
    let before = process.map(cpu_of_group);
    sleep(ROUND).await;
    let after = process.map(cpu_of_group);
    let mut times = Sample::default();
    while let Some(taken) = clients.join_next().await {
        times.extend(taken.unwrap());
    }
    row.rate.push(times.len() as f64 / ROUND.as_secs_f64());
    row.median.push(times.median());
    row.p99.push(times.at(0.99));
    if let (Some(before), Some(after)) = (before, after) {
        row.cpu.push((after - before) / times.len() as f64);
    }
}

/// Asks again and again until `ends`; the times of what was asked from `begins` on.
async fn ask(address: SocketAddr, begins: Instant, ends: Instant) -> Sample {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let request =
        format!("GET /files/some?name=value HTTP/1.1\r\nHost: {address}\r\nAccept: */*\r\n\r\n");
    let (mut times, mut answer) = (Sample::default(), Vec::new());
    loop {
        let asked = Instant::now();
        if asked >= ends {
            return times;
        }
        stream.write_all(request.as_bytes()).await.unwrap();
        answer.clear();
        while !is_whole(&answer) {
            let read = stream.read_buf(&mut answer).await.unwrap();
            assert!(read > 0, "the connection stays open");
        }
        if asked >= begins {
            times.push_time(asked.elapsed());
        }
    }
}

/// Whether the head and the box's whole body are there.
fn is_whole(answer: &[u8]) -> bool {
    let Some(head) = answer.windows(4).position(|at| at == b"\r\n\r\n") else { return false };
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "the box's status");
    answer.len() >= head + 4 + BODY_BYTES
}

/// Answers each request with the same bytes.
async fn serve_box() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {BODY_BYTES}\r\n\r\n"
    );
    let answer = [head.into_bytes(), vec![b'x'; BODY_BYTES]].concat();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(answer_all(stream, answer.clone()));
        }
    });
    address
}

async fn answer_all(mut stream: TcpStream, answer: Vec<u8>) {
    stream.set_nodelay(true).unwrap();
    let mut request = Vec::new();
    // An end or an error means that the hop has closed the connection.
    while stream.read_buf(&mut request).await.is_ok_and(|read| read > 0) {
        if request.ends_with(b"\r\n\r\n") {
            request.clear();
            if stream.write_all(&answer).await.is_err() {
                return;
            }
        }
    }
}

/// nginx with as many workers as cores and a pool of connections. It ends with its value.
struct Nginx {
    process: Process,
    address: SocketAddr,
}

impl Nginx {
    async fn start(folder: &Path, behind: SocketAddr) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let told = format!(
            "daemon off; pid nginx.pid; error_log stderr; worker_processes auto; {user}\n\
             events {{ worker_connections 1024; }}\n\
             http {{ access_log off; client_body_temp_path body; proxy_temp_path proxy;\n\
             fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n\
             keepalive_requests 10000000;\n\
             upstream behind {{ server {behind}; keepalive {CLIENTS}; keepalive_requests 10000000; }}\n\
             server {{ listen {address}; location / {{ proxy_pass http://behind;\n\
             proxy_http_version 1.1; proxy_set_header Connection \"\"; }} }} }}\n",
            user = if rustix::process::getuid().is_root() { "user root;" } else { "" },
        );
        std::fs::write(folder.join("told"), told).unwrap();
        let place = folder.display().to_string();
        let process = Process::start(NGINX, &["-p", &place, "-c", "told"]);
        while TcpStream::connect(address).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
        Self { process, address }
    }
}

impl Drop for Nginx {
    /// Asks it to end, since it ends its workers then; killed, it would leave them behind.
    fn drop(&mut self) {
        let id = self.process.id();
        let pid = rustix::process::Pid::from_raw(id.cast_signed()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let has_children = || {
            let children = format!("/proc/{id}/task/{id}/children");
            std::fs::read_to_string(children).is_ok_and(|ids| !ids.trim().is_empty())
        };
        for _ in 0..100 {
            if !has_children() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Seconds of CPU of a process and of its children, which are alive.
fn cpu_of_group(process: u32) -> f64 {
    let children = format!("/proc/{process}/task/{process}/children");
    let children = std::fs::read_to_string(children).unwrap_or_default();
    let ids = children.split_whitespace().map(|id| id.parse().unwrap()).chain([process]);
    ids.map(|id: u32| process::Usage::of(id).cpu).sum()
}
