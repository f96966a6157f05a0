//! Through reverse proxies as people run them, with their defaults: nginx and haproxy in front of the
//! daemon. What is there comes through at once, also while nothing follows it; a proxy that dies
//! costs a reconnect and nothing else.
//!
//! `AFTERBAY_HOPS=200` reads turns of so many parts and prints how far behind a direct reader the
//! frames came through each proxy.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::super::client::{Client, Turn, WAYS, Way};
use super::super::frames::Frames;
use super::super::oracle::{self, Verdict};
use super::super::port;
use super::super::process::Process;
use super::super::wait;
use super::measure;
use super::set::{Set, Settings};
use super::shown::{self, Seen};

const LIMIT: Duration = Duration::from_secs(30);

/// A proxy with its default settings: nothing is said about buffering, times or streams.
#[derive(Debug, Clone, Copy)]
enum Proxy {
    Nginx,
    Haproxy,
}

impl Proxy {
    const ALL: [Self; 2] = [Self::Nginx, Self::Haproxy];

    fn program(self) -> Option<PathBuf> {
        let name = match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
        };
        let places = ["/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin"];
        let found = places.iter().map(|place| Path::new(place).join(name)).find(|at| at.exists());
        if found.is_none() {
            println!("SKIPPED: {name} is not installed, and only root can install it");
        }
        found
    }

    /// Its configuration file.
    fn told(self, listen: SocketAddr, behind: SocketAddr) -> String {
        match self {
            Self::Nginx => format!(
                "daemon off; pid nginx.pid; error_log stderr; worker_processes 1; {user}\n\
                 events {{ worker_connections 256; }}\n\
                 http {{ access_log off; client_body_temp_path body; proxy_temp_path proxy;\n\
                 fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n\
                 server {{ listen {listen}; location / {{ proxy_pass http://{behind}; }} }} }}\n",
                user = if rustix::process::getuid().is_root() { "user root;" } else { "" },
            ),
            Self::Haproxy => format!(
                "global\n maxconn 256\n\
                 defaults\n mode http\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n\
                 frontend clients\n bind {listen}\n default_backend afterbay\n\
                 backend afterbay\n server one {behind}\n",
            ),
        }
    }
}

/// A proxy in front of the daemon. It comes back to the port that it had.
#[derive(Debug)]
struct Hop {
    proxy: Proxy,
    process: Option<Process>,
    program: PathBuf,
    listen: SocketAddr,
    folder: TempDir,
}

impl Hop {
    /// Puts one up; `None` where it is not installed.
    async fn start(proxy: Proxy, behind: SocketAddr) -> Option<Self> {
        let program = proxy.program()?;
        let listen = SocketAddr::from(([127, 0, 0, 1], port::lasting()));
        let folder = tempfile::tempdir().expect("a folder for the proxy");
        fs::write(folder.path().join("told"), proxy.told(listen, behind)).expect("its settings");
        let mut hop = Self { proxy, process: None, program, listen, folder };
        hop.restart().await;
        Some(hop)
    }

    async fn restart(&mut self) {
        self.process = None;
        let (proxy, folder) = (self.proxy, self.folder.path());
        self.process = Some(Process::start(&self.program, |command| {
            match proxy {
                Proxy::Nginx => command.arg("-p").arg(folder).args(["-c", "told"]),
                Proxy::Haproxy => command.current_dir(folder).args(["-db", "-f", "told"]),
            };
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        }));
        let listen = self.listen;
        wait::until(
            LIMIT,
            "the proxy listens",
            || async move { TcpStream::connect(listen).await.ok() },
        )
        .await;
    }
}

/// The whole turn through the hop, and all that was there before its gate while it was shut.
#[tokio::test]
async fn what_is_there_comes_through_a_proxy_while_nothing_follows() {
    for proxy in Proxy::ALL {
        let set = Set::with(Settings::default()).await;
        let Some(hop) = Hop::start(proxy, set.daemon.address()).await else { continue };
        let turn = Turn::new("turn-1", "parts=4 tool=1 step=50ms wait=answer");
        let mut client = Client::new(hop.listen, turn, &WAYS);
        let mut frames = client.open(Way::SamePost).await.expect("the turn starts").stream();
        client.read_until(&mut frames, "interaction").await;
        let before = client.seen.len();
        assert!(before > 2, "{proxy:?}: {before} frames before the gate");
        // One who comes to what is there, and has to wait for more.
        let mut late = Client::new(hop.listen, client.turn.clone(), &[Way::Execution]);
        late.execution = client.execution.clone();
        let mut follows = late.open(Way::Execution).await.expect("a stream").stream();
        late.read_until(&mut follows, "interaction").await;
        assert_eq!(oracle::bytes_of(&late.seen), oracle::bytes_of(&client.seen));
        set.simbox.answer_waiting();
        client.read(&mut frames).await;
        late.read(&mut follows).await;
        assert!(late.has_all(), "{proxy:?}");
        shown::check(&set, &client, Verdict::Completed, Seen::Last).await;
    }
}

#[tokio::test]
async fn a_proxy_that_dies_and_comes_back_costs_a_reconnect_and_nothing_else() {
    for proxy in Proxy::ALL {
        let set = Set::with(Settings::default()).await;
        let Some(mut hop) = Hop::start(proxy, set.daemon.address()).await else { continue };
        let turn = Turn::new("turn-1", "parts=6 tool=1 step=50ms wait=answer");
        let mut client = Client::new(hop.listen, turn, &WAYS);
        let mut frames = client.open(Way::SamePost).await.expect("the turn starts").stream();
        client.read_until(&mut frames, "interaction").await;
        for _ in 0..2 {
            hop.restart().await;
            client.read(&mut frames).await;
            frames = client.open(Way::Execution).await.expect("a stream").stream();
        }
        set.simbox.answer_waiting();
        drop(frames);
        client.run().await;
        assert!(client.streams >= 4, "{proxy:?}: {} streams", client.streams);
        shown::check(&set, &client, Verdict::Completed, Seen::Last).await;
    }
}

/// curl reads a session's log over cleartext HTTP/2, as it stands in the log.
#[tokio::test]
async fn a_log_is_the_same_over_http_2() {
    let set = Set::with(Settings::default()).await;
    let mut client = set.client(Turn::new("turn-1", "parts=4 tool=1 step=20ms"));
    client.run().await;
    let url = format!(
        "http://{}/agents/sessions/{}/events?until=idle",
        set.daemon.address(),
        client.turn.session
    );
    let arguments =
        ["--silent", "--show-error", "--fail", "--http2-prior-knowledge", "--max-time", "60"];
    let read = tokio::task::spawn_blocking(move || {
        Command::new("curl")
            .args(arguments)
            .args(["--write-out", "\n%{http_version}"])
            .arg(url)
            .output()
    });
    let read = read.await.expect("curl ends").expect("curl is installed");
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    let text = String::from_utf8(read.stdout).expect("text");
    let (stream, version) = text.rsplit_once('\n').expect("two parts");
    assert_eq!(version, "2");
    let log = String::from_utf8(oracle::bytes_of(&client.seen)).expect("text");
    assert!(stream.ends_with(&log), "{stream}");
}

/// When each frame came, by its id.
async fn times(client: &mut Client, frames: &mut Frames) -> Vec<Instant> {
    let mut times = Vec::new();
    while !client.has_all() {
        client.read_one(frames).await;
        times.push(Instant::now());
    }
    times
}

/// Prints the figures; that everything came is all that it holds.
#[tokio::test]
async fn through_a_proxy_frames_come_as_they_come_to_a_direct_reader() {
    let parts = measure::number("AFTERBAY_HOPS", 20);
    for proxy in Proxy::ALL {
        let set = Set::with(Settings::default()).await;
        let Some(hop) = Hop::start(proxy, set.daemon.address()).await else { continue };
        let turn = Turn::new("turn-1", &format!("parts={parts} step=50ms"));
        let asked = Instant::now();
        let mut through = Client::new(hop.listen, turn, &WAYS);
        let mut frames = through.open(Way::SamePost).await.expect("the turn starts").stream();
        let head = asked.elapsed();
        let mut direct = set.client(through.turn.clone());
        direct.execution = through.execution.clone();
        let mut own = direct.open(Way::Execution).await.expect("a stream").stream();
        let (far, near) =
            tokio::join!(times(&mut through, &mut frames), times(&mut direct, &mut own));
        assert_eq!(oracle::bytes_of(&through.seen), oracle::bytes_of(&direct.seen));
        let mut behind: Vec<Duration> =
            far.iter().zip(&near).map(|(far, near)| far.saturating_duration_since(*near)).collect();
        behind.sort();
        let (median, most) = (behind[behind.len() / 2], behind[behind.len() - 1]);
        println!(
            "{proxy:?}: the head after {head:?}; {} frames, behind a direct reader by {median:?} (median), {most:?} (most)",
            behind.len(),
        );
    }
}
