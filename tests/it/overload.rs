//! More than there is room for: everyone is answered, with a code, and told when to come back.

use std::net::SocketAddr;
use std::time::Duration;

use afterbay::config::{AdminAddress, Listen};
use afterbay::http::Settings;
use afterbay::limits;
use afterbay::server::{Listeners, raise_descriptor_limit};
use afterbay::upstream::Ending;
use futures_util::future::join_all;
use rustix::process::{Resource, getrlimit};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::raw::{Conn, read};
use super::support::hall::GOOD;
use super::support::open_doors::OpenDoors;
use super::support::play::Play;

/// Far above what a crowd takes, so that only a hang meets it.
const LONG: Duration = Duration::from_secs(120);

#[tokio::test]
async fn a_body_beyond_what_all_bodies_may_hold_is_told_to_come_back() {
    let settings = Settings { max_turn_body: 800, max_bodies: 1000, ..Settings::default() };
    let play = Play::with(settings).await;
    play.hall.script.ends(Ending::Completed);
    let whole = format!(r#"{{"message":"{}"}}"#, "a".repeat(686));
    let mut slow = Conn::open(play.hall.addr).await;
    let length = whole.len();
    slow.send(format!(
        "POST /agents/run/stream HTTP/1.1\r\nHost: a\r\nAuthorization: {GOOD}\r\n\
         Connection: close\r\nContent-Length: {length}\r\n\r\n{}",
        &whole[..length - 1]
    ))
    .await;
    // No JSON, so that it starts nothing as long as there is room.
    let nonsense = "a".repeat(400);
    let native = "POST /afterbay/v1/boxes/default/sessions/s/turns";
    let json = "Content-Type: application/json\r\n";
    for (line, fields) in [("POST /agents/run/stream", ""), (native, json)] {
        let mut answer = read(play.ask(line, fields, &nonsense).await).await;
        for _ in 0..1000 {
            if answer.head.status() != 400 {
                break;
            }
            answer = read(play.ask(line, fields, &nonsense).await).await;
        }
        assert_eq!((answer.head.status(), answer.head.one("retry-after")), (503, Some("2")));
        assert_eq!(answer.head.one("x-afterbay-error"), Some("OVERLOADED"), "{line}");
    }
    slow.send(&whole[length - 1..]).await;
    let turn = read(slow).await;
    assert_eq!(turn.last_data("done")["status"], "success", "{turn:?}");
    let again = read(play.ask("POST /agents/run/stream", "", &nonsense).await).await;
    assert_eq!(again.json("/error/code"), "INVALID_JSON", "there is room again");
}

/// The listener as the program binds it.
fn listen() -> Listeners {
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    let listen = Listen { clients: free, operators: AdminAddress::Given(free) };
    Listeners::bind(&listen).expect("free ports")
}

/// How many connections there can be: `wanted`, or what the limit of open files leaves for both of
/// their ends.
fn crowd(wanted: usize) -> usize {
    raise_descriptor_limit();
    let open = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let room = usize::try_from(open).unwrap_or(usize::MAX).saturating_sub(500) / 2;
    wanted.min(room)
}

/// The longest backlog that the kernel gives anybody.
fn kernels_most() -> usize {
    let text = std::fs::read_to_string("/proc/sys/net/core/somaxconn").expect("a number");
    text.trim().parse().expect("a number")
}

async fn check_answered(clients: Vec<TcpStream>) {
    let ask = async |client: TcpStream| {
        let mut client = Conn::of(client);
        let line = "GET /agents/executions/nobody/events";
        client.send(format!("{line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).await;
        assert_eq!(read(client).await.head.status(), 404);
    };
    timeout(LONG, join_all(clients.into_iter().map(ask))).await.expect("answers in time");
}

#[tokio::test]
async fn as_many_as_the_backlog_holds_are_connected_before_anybody_is_accepted() {
    let backlog = usize::try_from(limits::LISTEN_BACKLOG).expect("a number").min(kernels_most());
    let listeners = listen();
    let addr = listeners.clients.local_addr().expect("an address");
    let wanted = crowd(backlog);
    println!("{wanted} clients, of {backlog} that the kernel lets wait");
    let clients = join_all((0..wanted).map(|_| TcpStream::connect(addr)));
    let clients = timeout(LONG, clients).await.expect("all of them are connected");
    let clients = clients.into_iter().map(|client| client.expect("connects")).collect();
    let _doors = OpenDoors::on(listeners.clients, "http://127.0.0.1:9", Settings::default());
    check_answered(clients).await;
}

#[tokio::test]
async fn five_thousand_clients_at_once_are_all_answered() {
    let listeners = listen();
    let addr = listeners.clients.local_addr().expect("an address");
    let _doors = OpenDoors::on(listeners.clients, "http://127.0.0.1:9", Settings::default());
    let wanted = crowd(5000);
    println!("{wanted} clients");
    let clients = join_all((0..wanted).map(|_| TcpStream::connect(addr)));
    let clients = timeout(LONG, clients).await.expect("all of them are connected");
    check_answered(clients.into_iter().map(|client| client.expect("connects")).collect()).await;
}
