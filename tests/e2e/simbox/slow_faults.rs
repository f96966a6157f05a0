//! Each alert fires by its fault, and is over when the fault is: an agent that says nothing, a disk
//! whose syncs fail, a proxy that cuts what is silent, a reader that stalls.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Mutex;

use super::super::bent::Bent;
use super::super::client::{Client, Turn, WAYS, Way};
use super::super::daemon;
use super::super::frames::Frames;
use super::super::http::Request;
use super::proxy::{Hop, Program, Proxy};
use super::set::{Set, Settings};
use super::watch::Watch;

/// What fires here.
pub(super) const HERE: [&str; 4] =
    ["AfterbayTurnsQuiet", "AfterbayLogPoisoned", "AfterbayHopCutsStreams", "AfterbayReadersLag"];
/// More than the alert wants to see cut.
const READERS: usize = 9;
/// What the proxy allows a stream to be silent.
const ALLOWED: Duration = Duration::from_secs(30);
/// Together their events are more than the alert allows a reader to lag behind, and their bytes more
/// than the kernel holds for one who takes none.
const LONG: [&str; 3] = ["parts=1000 big=2MB"; 3];
/// What the kernel is to hold for a reader that stalls, and what that takes between two looks.
const HELD: u32 = 64 << 10;
const SIP: usize = 4 << 10;

#[tokio::test]
async fn alerts_fire_by_slow_faults_and_end_with_them() {
    let bent = Bent::build();
    let environment = bent.environment();
    let daemon = daemon::Settings { environment, ..daemon::Settings::default() };
    let mut set = Set::with(Settings { daemon, ..Settings::default() }).await;
    // Comments would come before the proxy cuts.
    let flags = vec!["--heartbeat", "5m", "--poll-waiting", "200ms"];
    let daemon = daemon::Settings { flags, ..daemon::Settings::default() };
    let cut = Set::with(Settings { daemon, ..Settings::default() }).await;
    let (at, cut_at) = (set.daemon.operators(), cut.daemon.operators());
    let Some(watch) = Watch::start(&[at, cut_at]).await else { return };
    for at in [at, cut_at] {
        watch.sees(&format!(r#"up{{instance="{at}"}} == 1"#)).await;
    }

    let proxied = read_through_a_proxy(&cut).await;
    agent_says_nothing(&set, &bent, &watch).await;
    syncs_fail(&mut set, &bent, &watch).await;
    if let Some((_hop, _readers)) = &proxied {
        watch.fires("AfterbayHopCutsStreams", cut_at).await;
        watch.resolves("AfterbayHopCutsStreams", cut_at).await;
    }
    reader_stalls(&cut, &watch).await;
    match proxied {
        Some(_) => watch.has_seen(&HERE),
        None => println!("SKIPPED: AfterbayHopCutsStreams"),
    }
}

/// After eleven minutes by the daemon's clock, the turn is quiet; once it is cancelled, it is over.
async fn agent_says_nothing(set: &Set, bent: &Bent, watch: &Watch) {
    let at = set.daemon.operators();
    let mut client = set.client(Turn::new("turn-1", "parts=2 quiet=1h"));
    let mut frames = client.open(Way::SamePost).await.expect("an answer").stream();
    client.read_one(&mut frames).await;
    watch.sees(&format!(r#"afterbay_turns{{phase="running",instance="{at}"}} == 1"#)).await;
    assert!(!watch.names(at).await.contains("AfterbayTurnsQuiet"));
    bent.leap();
    watch.fires("AfterbayTurnsQuiet", at).await;
    let abort = format!("/agents/sessions/{}/abort", client.turn.session);
    let aborted = Request::post(abort, &json!({})).send(set.daemon.address()).await;
    assert_eq!(aborted.expect("an answer").status, 200);
    watch.resolves("AfterbayTurnsQuiet", at).await;
}

/// What was written is in doubt until a restart, and new turns are refused until then.
async fn syncs_fail(set: &mut Set, bent: &Bent, watch: &Watch) {
    let at = set.daemon.operators();
    assert!(!watch.names(at).await.contains("AfterbayLogPoisoned"));
    bent.break_syncs();
    let refused = Turn::new("turn-2", "parts=1").post().send(set.daemon.address()).await;
    assert_eq!(refused.expect("an answer").status, 503);
    watch.fires("AfterbayLogPoisoned", at).await;
    bent.mend_syncs();
    set.daemon.restart().await;
    watch.resolves("AfterbayLogPoisoned", at).await;
    set.client(Turn::new("turn-2", "parts=1")).run().await;
}

/// Readers of a turn that waits, behind a real nginx that cuts what is silent.
async fn read_through_a_proxy(set: &Set) -> Option<(Hop, Vec<(Client, Frames)>)> {
    let proxy = Proxy { silence: Some(ALLOWED), ..Proxy::plain(Program::Nginx) };
    let hop = Hop::start(proxy, set.daemon.address()).await?;
    let turn = Turn::new("turn-1", "parts=2 wait=answer");
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let mut client = Client::new(hop.listen, turn.clone(), &WAYS);
        let mut frames = client.open(Way::SamePost).await.expect("an answer").stream();
        client.read_until(&mut frames, "interaction").await;
        readers.push((client, frames));
    }
    Some((hop, readers))
}

/// One that takes so little that the log's events wait for it.
async fn reader_stalls(set: &Set, watch: &Watch) {
    let at = set.daemon.operators();
    for (number, script) in LONG.iter().enumerate() {
        let session = "session-long".to_owned();
        let turn = Turn { session, ..Turn::new(&format!("turn-2{number}"), script) };
        set.client(turn).run().await;
    }
    // What was sent to these is forgotten.
    watch.resolves("AfterbayReadersLag", at).await;
    let stalled = Mutex::new(stalled(set.daemon.address()).await);
    let sip = || async {
        let mut bytes = vec![0; SIP];
        let read = stalled.lock().await.read(&mut bytes).await.expect("events");
        assert!(read > 0, "it was to lag behind");
    };
    watch.fires_while("AfterbayReadersLag", at, sip).await;
    drop(stalled);
    watch.resolves("AfterbayReadersLag", at).await;
}

/// A reader of all events who holds little and has read nothing yet.
async fn stalled(daemon: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(HELD).expect("a small buffer");
    let mut stream = socket.connect(daemon).await.expect("connect");
    let path = "/afterbay/v1/boxes/default/sessions/session-long/events";
    let head = format!("GET {path} HTTP/1.1\r\nhost: {daemon}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("ask");
    stream
}
