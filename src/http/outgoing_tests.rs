//! What streams hold for clients that stand still: each one piece, and all of them together no more
//! than is allowed, while whoever reads goes on.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use futures_util::FutureExt;
use http_body_util::BodyExt;
use prometheus::Registry;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::event::{Event, EventName, Seq, WireJson};
use crate::http::delivery::Delivery;
use crate::http::leave::Leave;
use crate::http::place::Places;
use crate::http::settings::Settings;
use crate::http::source::Source;
use crate::http::stream::{self, Feed, Manner, Scope};
use crate::ids::SessionKey;
use crate::log::{Batch, Log, Logged, Options, RealDisk, Step, Store};
use crate::metrics::Metrics;
use crate::metrics::streams::Metrics as StreamMetrics;
use crate::mode::Fidelity;
use crate::sse::frame::{self, DataLines};

/// More than all large pieces together, so that a stream that holds one never sees the end.
const EVENTS: u64 = 3000;
const EVENT_BYTES: usize = 1000;

/// The bytes of a session's stream from its start, piece by piece.
fn stream_of(source: Source, outgoing: &Outgoing) -> Body {
    let places = Places::new(&Settings::default(), CancellationToken::new());
    let manner = Manner {
        heartbeat: Duration::from_secs(10),
        retry: None,
        lines: DataLines::One,
        fidelity: Fidelity::Full,
        leave: Leave::early(CancellationToken::new(), Duration::from_secs(10)),
        lane: outgoing.lane(),
        _place: places.take().expect("a place"),
        metrics: StreamMetrics::new(&Registry::new()).expect("names are free"),
        delivery: Delivery::default(),
    };
    let feed = Feed {
        source,
        after: Seq::START,
        next_at_open: Seq::START,
        scope: Scope::Session,
        last: Box::new(|| None),
        idle: None,
        unanswered: None,
    };
    stream::body(feed, manner)
}

async fn piece(body: &mut Body) -> Bytes {
    let frame = body.frame().await.expect("no end").expect("no cut");
    frame.into_data().expect("data")
}

/// The first piece that holds events.
async fn first_piece(body: &mut Body) -> Bytes {
    assert_eq!(piece(body).await, frame::FIRST_COMMENT);
    piece(body).await
}

/// The ids of the frames in a piece.
fn ids_of(piece: &[u8]) -> Vec<u64> {
    let text = std::str::from_utf8(piece).expect("UTF-8");
    let ids = text.lines().filter_map(|line| line.strip_prefix("id: "));
    ids.map(|id| id.parse().expect("a number")).collect()
}

/// A log of one session, in the folder.
async fn written(home: &tempfile::TempDir) -> (Store, Log) {
    let disk = RealDisk::open(home.path()).expect("free");
    let metrics = Metrics::new().expect("metrics").log;
    let store = Store::open(Arc::new(disk), Options::default(), metrics, &mut |_| {});
    let store = store.expect("open");
    let log = store.log(SessionKey::from_bytes([1; 16]));
    let event = Event::ours("test", &serde_json::json!({ "pad": "x".repeat(EVENT_BYTES) }));
    for _ in 0..EVENTS / 100 {
        let batches = (0..100).map(|_| log.append(Batch::default().event(event.clone())));
        let appended = futures_util::future::join_all(batches).await;
        assert!(appended.iter().all(Result::is_ok));
    }
    (store, log)
}

#[tokio::test]
async fn clients_that_stand_still_hold_so_much_together_and_take_nothing_from_those_who_read() {
    let home = tempfile::tempdir().expect("tempdir");
    let (store, log) = written(&home).await;
    let (outgoing, clients) = (Outgoing::new(4), 64);
    let mut held = Vec::new();
    for _ in 0..clients {
        let mut body = stream_of(Source::Log(log.cursor(Seq::START)), &outgoing);
        held.push((first_piece(&mut body).await, body));
    }
    for (_, body) in &mut held {
        assert!(body.frame().now_or_never().is_none(), "there is more, and it waits");
    }
    let lengths = || held.iter().map(|(piece, _)| piece.len());
    let is_large = |length: &usize| *length > limits::SMALL_PIECE_BYTES;
    assert_eq!(lengths().filter(is_large).count(), 4, "all places for large ones are held");
    let most = 4 * limits::LARGE_PIECE_BYTES + (clients - 4) * limits::SMALL_PIECE_BYTES;
    assert!(lengths().sum::<usize>() <= most, "{} bytes", lengths().sum::<usize>());

    // Another one, and one of those that stood still, with all the others where they are.
    let newcomer = stream_of(Source::Log(log.cursor(Seq::START)), &outgoing);
    let (begun, body) = held.pop().expect("one of them");
    for (begun, mut body) in [(Bytes::new(), newcomer), (begun, body)] {
        let mut ids = ids_of(&begun);
        drop(begun);
        while ids.last() != Some(&EVENTS) {
            ids.extend(ids_of(&piece(&mut body).await));
        }
        assert!(ids.into_iter().eq(1..=EVENTS));
    }
    drop(held);
    assert_eq!(outgoing.large.available_permits(), 4, "whoever goes gives back what it holds");
    store.close().await;
}

/// Bytes that tell when the last of them are gone.
struct Counted(Vec<u8>, Arc<AtomicUsize>);

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.fetch_sub(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn while_a_piece_is_on_its_way_its_stream_holds_no_step_and_reads_none() {
    let (steps, script) = mpsc::channel(8);
    let alive = Arc::new(AtomicUsize::new(0));
    let step = |from: u64| {
        let events = (from..from + 10).map(|seq| {
            alive.fetch_add(1, Ordering::Relaxed);
            let json = format!(r#"{{"pad":"{}"}}"#, "x".repeat(EVENT_BYTES)).into_bytes();
            let data = WireJson::from_stored(Bytes::from_owner(Counted(json, Arc::clone(&alive))));
            let event = Event { name: EventName::from_static("test"), data };
            Logged::Event { seq: Seq::new(seq), event }
        });
        Ok(Step::Records(events.collect()))
    };
    for from in [1, 11] {
        steps.try_send(step(from)).expect("room");
    }
    let mut body = stream_of(Source::Script(script), &Outgoing::new(1));
    let first = first_piece(&mut body).await;
    assert_eq!(alive.load(Ordering::Relaxed), 10, "the next step's");
    for _ in 0..3 {
        assert!(body.frame().now_or_never().is_none(), "it waits until the piece is gone");
    }
    assert_eq!(steps.capacity(), steps.max_capacity() - 1, "the next step stays where it is");
    let part = first.slice(..10);
    drop(first);
    assert!(body.frame().now_or_never().is_none(), "all of the piece");
    drop(part);
    let second = body.frame().now_or_never().expect("there").expect("no end").expect("no cut");
    assert!(second.into_data().is_ok_and(|piece| piece.starts_with(b"id: 11\n")));
    assert_eq!(alive.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn tiny_pieces_do_not_wait_for_each_other() {
    let mut lane = Outgoing::new(1).lane();
    let held: Vec<_> = (0..3).map(|_| lane.send(Bytes::from_static(b"tiny"))).collect();
    assert!(lane.clear().now_or_never().is_some());
    let large = lane.send(vec![0; limits::TINY_PIECE_BYTES + 1].into());
    assert!(lane.clear().now_or_never().is_none());
    drop((large, held));
    assert!(lane.clear().now_or_never().is_some());
}

#[tokio::test]
async fn a_place_for_a_large_piece_is_kept_only_by_a_large_piece() {
    let outgoing = Outgoing::new(1);
    let (mut one, mut other) = (outgoing.lane(), outgoing.lane());
    assert_eq!(one.widen(), limits::LARGE_PIECE_BYTES);
    assert_eq!(one.widen(), limits::LARGE_PIECE_BYTES, "it has its place");
    assert_eq!(other.widen(), limits::SMALL_PIECE_BYTES);
    let small = one.send(vec![0; limits::SMALL_PIECE_BYTES].into());
    assert_eq!(other.widen(), limits::LARGE_PIECE_BYTES);
    let large = other.send(vec![0; limits::SMALL_PIECE_BYTES + 1].into());
    drop(small);
    assert_eq!(one.widen(), limits::SMALL_PIECE_BYTES);
    drop(large);
    assert_eq!(one.widen(), limits::LARGE_PIECE_BYTES);
}
