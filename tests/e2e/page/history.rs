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

/// Values of the wrong type, and a warning that only looks like one of the program's own.
const ODD: [(&str, &str); 6] = [
    ("warning", r#"{"code":"NOTE","words":["EVENTS_EXPIRED"]}"#),
    ("message.part.updated", r#"{"part":{"type":"text","text":5},"delta":{"a":1}}"#),
    ("message.part.updated", r#"{"part":{"type":7}}"#),
    ("message.part.updated", r#"{"part":{"type":"tool","tool":{"toString":1},"state":3}}"#),
    ("result", r#"{"finalText":{"a":[]},"status":0}"#),
    ("done", r#"{"status":null,"executionId":{}}"#),
];

fn event(number: u64) -> Event {
    // Behind each event of a name that nobody listens for.
    let behind_rare = usize::try_from(number % (EVENTS / RARE_EVENTS)).expect("small");
    let (name, json) = match behind_rare {
        10 => (RARE, r#"{"sky":"grey"}"#.to_owned()),
        11..17 => (ODD[behind_rare - 11].0, ODD[behind_rare - 11].1.to_owned()),
        _ => {
            let text = format!("line {number} of the build: one more unit without a warning");
            let part = format!(r#"{{"id":"prt_{number}","type":"text","text":"{text}"}}"#);
            ("message.part.updated", format!(r#"{{"part":{part}}}"#))
        }
    };
    let data = WireJson::from_json(json.as_bytes()).expect("an object");
    Event { name: EventName::from_static(name), data }
}
