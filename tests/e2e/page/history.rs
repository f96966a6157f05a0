//! A data folder with one long session, as an earlier life of the program would have left it.

use std::path::Path;
use std::sync::Arc;

use afterbay::event::{Event, EventName, WireJson};
use afterbay::ids::{BoxName, ExecutionId, SessionId, SessionKey, TurnId};
use afterbay::log::{Batch, Options, RealDisk, Store};
use afterbay::metrics::Metrics;
use afterbay::turn::control::{Accepted, Finished, TurnRecord, role, wall_ms};

/// What a client calls the session.
pub(super) const SESSION: &str = "long-session";
/// How many events it has.
pub(super) const EVENTS: u64 = 100_000;
/// A name that only a box would give.
pub(super) const RARE: &str = "box.weather";
/// How many of them have it.
pub(super) const RARE_EVENTS: u64 = 4;

/// Events to an append, as a busy turn would have.
const EVENTS_A_BATCH: u64 = 500;

/// Writes the folder.
pub(super) async fn write(folder: &Path) {
    let disk = RealDisk::open(&folder.join("log")).expect("a folder for the log");
    let metrics = Metrics::new().expect("metrics");
    let store = Store::open(Arc::new(disk), Options::new(role), metrics.log, &mut |_| {});
    let store = store.expect("open the log");
    let log = store.log(SessionKey::mint());
    log.append(Batch::default().control(accepted().encode())).await.expect("append");
    for first in (1..=EVENTS).step_by(usize::try_from(EVENTS_A_BATCH).expect("small")) {
        let events = (first..first + EVENTS_A_BATCH).map(event);
        let batch = events.fold(Batch::default(), Batch::event);
        log.append(batch).await.expect("append");
    }
    let finished = Finished { at_ms: wall_ms(), outcome: "completed".to_owned(), code: None };
    let finished = TurnRecord::Finished(finished).encode();
    log.append(Batch::default().control(finished)).await.expect("append");
    store.close().await;
}

fn accepted() -> TurnRecord {
    TurnRecord::Accepted(Accepted {
        at_ms: wall_ms(),
        box_name: BoxName::default_box(),
        client_session: Some(SessionId::parse(SESSION).expect("an id")),
        execution: ExecutionId::mint(),
        turn: Some(TurnId::parse("turn-1").expect("an id")),
        starter: None,
        by_own_token: false,
        body_digest: [7; 32],
        text: None,
        trace: None,
    })
}

fn event(number: u64) -> Event {
    let is_rare = number % (EVENTS / RARE_EVENTS) == 10;
    let name = if is_rare { RARE } else { "message.part.updated" };
    let text = format!("line {number} of the build: compiled one more unit without a warning");
    let json = format!(r#"{{"part":{{"id":"prt_{number}","type":"text","text":"{text}"}}}}"#);
    let data = WireJson::from_json(json.as_bytes()).expect("an object");
    Event { name: EventName::from_static(name), data }
}
