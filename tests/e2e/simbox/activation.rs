//! A parent that holds the listening sockets, as systemd does by socket activation: it restarts
//! afterbay while clients connect all the time, and none of them is refused or left without an answer.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::super::client::{Opened, Turn, Way};
use super::super::daemon::{self, Sockets};
use super::super::frames::Frames;
use super::super::http::Request;
use super::super::oracle::{self, Verdict};
use super::super::wait;
use super::set::{Set, Settings};

/// Who connect anew for each request, at once.
const CLIENTS: usize = 16;
const RESTARTS: usize = 3;
const LIMIT: Duration = Duration::from_secs(60);

/// What the service manager is told.
struct Manager {
    socket: UnixDatagram,
    folder: TempDir,
}

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = UnixDatagram::bind(folder.path().join("notify")).expect("bind a socket");
        socket.set_nonblocking(true).expect("a socket");
        Self { socket, folder }
    }

    /// Waits for the next word, which must be this one.
    async fn hears(&self, word: &str) {
        let told = wait::until(LIMIT, word, || {
            let mut buffer = [0; 256];
            let read = self.socket.recv(&mut buffer).ok();
            let told = read.map(|read| String::from_utf8_lossy(&buffer[..read]).into_owned());
            std::future::ready(told)
        });
        let told = told.await;
        assert!(told.starts_with(word), "{told:?} instead of {word:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn restarts_refuse_no_connection_and_streams_go_on_in_the_next_process() {
    let manager = Manager::new();
    let [clients, admin] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("bind"));
    let address = clients.local_addr().expect("an address");
    let sockets = Some(Arc::new(Sockets { clients, admin }));
    let environment = vec![("NOTIFY_SOCKET", manager.folder.path().join("notify"))];
    let flags = vec!["--shutdown-grace", "2s"];
    let daemon = daemon::Settings { sockets, environment, flags, ..daemon::Settings::default() };
    let mut set = Set::with(Settings { daemon, ..Settings::default() }).await;
    assert_eq!(set.daemon.address(), address, "it stands on what it was given");
    manager.hears("READY=1\n").await;

    let turn = Turn::new("turn-1", "parts=6 step=50ms wait=answer");
    let mut reader = set.client(turn);
    let mut frames = reader.open(Way::SamePost).await.expect("the turn starts").stream();
    reader.read_until(&mut frames, "interaction").await;

    let (running, mut asking) = (watch::Sender::new(true), JoinSet::new());
    for _ in 0..CLIENTS {
        asking.spawn(ask_until_told(address, running.subscribe()));
    }
    for _ in 0..RESTARTS {
        set.daemon.signal(Signal::TERM);
        manager.hears("STOPPING=1\n").await;
        reader.read(&mut frames).await;
        assert_eq!(set.daemon.exit_code().await, Some(0));
        // Whoever connects now waits for the next process.
        let (restarted, opened) = tokio::join!(set.daemon.restart(), reader.open(Way::SamePost));
        let () = restarted;
        manager.hears("READY=1\n").await;
        frames = stream(opened);
    }
    set.simbox.answer_waiting();
    reader.read(&mut frames).await;
    oracle::check(&reader, address, Verdict::Completed).await;
    running.send_replace(false);
    let mut answered = 0;
    while let Some(asked) = asking.join_next().await {
        answered += asked.expect("each connection is answered");
    }
    println!("{answered} connections over {RESTARTS} restarts");
    assert!(answered > CLIENTS * RESTARTS, "{answered}");
    let totals = set.simbox.account().totals;
    assert_eq!((totals.turns, totals.dispatches, totals.runs), (1, 1, 1));
}

/// A socket that is kept open makes whoever comes between two processes wait, and not try again.
fn stream(opened: std::io::Result<Opened>) -> Frames {
    opened.expect("it is not refused").stream()
}

/// Asks for the box's health, each time on a new connection; resolves with the number of answers.
async fn ask_until_told(address: SocketAddr, running: watch::Receiver<bool>) -> usize {
    let mut answered = 0;
    while *running.borrow() {
        let answer = Request::get("/health").send(address).await;
        let answer = answer.unwrap_or_else(|error| panic!("after {answered} answers: {error}"));
        assert_eq!(answer.status, StatusCode::OK, "after {answered} answers");
        answer.bytes().await.expect("a whole answer");
        answered += 1;
    }
    answered
}
