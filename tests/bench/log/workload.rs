//! What is appended: events of a chosen size, and the control records of a turn, as its driver
//! would write them.
//!
//! A turn is `Accepted`, then one event a batch with the poll's record beside every fourth, then
//! its last event with `Finished`. No credential is named, so everybody may read it.

use afterbay::event::{Control, Event, EventName, WireJson};
use afterbay::ids::{BoxName, ExecutionId, SessionId, SessionKey, TurnId};
use afterbay::log::Batch;
use afterbay::turn::control::{Accepted, Finished, TurnRecord, wall_ms};
use afterbay::upstream::{CursorDelta, TextHash};

use super::raw::noise;

/// An event of usual size: its name and its data.
pub(crate) const EVENT_BYTES: usize = 1300;
/// Sessions that append at once.
pub(crate) const SESSIONS: usize = 1000;
/// Events to one record of a poll.
const EVENTS_A_POLL: u64 = 4;
/// Events that differ from each other; more would say nothing more to a disk.
const POOL: u64 = 64;
const NAME: &str = "message.part.updated";

/// Events of one size.
#[derive(Debug, Clone)]
pub(crate) struct Events(Vec<Event>);

impl Events {
    pub(crate) fn of(bytes: usize) -> Self {
        Self((0..POOL).map(|number| event(number, bytes)).collect())
    }

    /// One of them; the same bytes in memory each time.
    pub(crate) fn at(&self, number: u64) -> Event {
        self.0[(number % POOL) as usize].clone()
    }

    /// Their bytes, one after the other: what a peer stores.
    pub(crate) fn bytes(&self) -> Vec<Vec<u8>> {
        let all = self.0.iter();
        all.map(|e| [e.name.as_bytes().as_ref(), e.data.as_bytes().as_ref()].concat()).collect()
    }
}

/// An event whose text does not compress well.
fn event(number: u64, bytes: usize) -> Event {
    let head = format!(r#"{{"part":{{"id":"prt_{number:06}","type":"text","text":""#);
    let tail = r#""}}"#;
    let text = bytes - NAME.len() - head.len() - tail.len();
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-";
    let noise = noise((POOL as usize) * 2048);
    let noise = noise[number as usize * 512..].iter().cycle().take(text);
    let text: String = noise.map(|byte| char::from(alphabet[usize::from(byte % 64)])).collect();
    let json = format!("{head}{text}{tail}");
    let data = WireJson::from_json(json.as_bytes()).expect("an object");
    Event { name: EventName::from_static(NAME), data }
}

/// The key of a session.
pub(crate) fn key(session: u64) -> SessionKey {
    let mut bytes = [0; 16];
    // Spread as minted keys are in their last bytes.
    bytes[..8].copy_from_slice(&session.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    bytes[8..].copy_from_slice(&session.to_be_bytes());
    SessionKey::from_bytes(bytes)
}

/// What a client calls a session.
pub(crate) fn session_name(session: u64) -> String {
    format!("session-{session:032}")
}

/// One turn of a session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn {
    pub(crate) session: u64,
    pub(crate) events: u64,
}

impl Turn {
    /// The batches before and with the last: 0 is the acceptance, `n` has the event `n`.
    pub(crate) fn batches(self) -> std::ops::RangeInclusive<u64> {
        0..=self.events
    }

    pub(crate) fn batch(self, number: u64, events: &Events) -> Batch {
        if number == 0 {
            return Batch::default().control(accepted(self.session));
        }
        let mut batch = Batch::default().event(events.at(self.session + number));
        if number.is_multiple_of(EVENTS_A_POLL) {
            batch = batch.control(polled(number));
        }
        if number == self.events {
            batch = batch.control(finished());
        }
        batch
    }

    /// What a peer stores beside the events, in the same order.
    pub(crate) fn controls(self, number: u64) -> Vec<Control> {
        let mut controls = Vec::new();
        if number == 0 {
            controls.push(accepted(self.session));
        } else if number.is_multiple_of(EVENTS_A_POLL) {
            controls.push(polled(number));
        }
        if number == self.events {
            controls.push(finished());
        }
        controls
    }
}

/// About 350 bytes.
fn accepted(session: u64) -> Control {
    let name = session_name(session);
    let record = Accepted {
        at_ms: wall_ms(),
        box_name: BoxName::default_box(),
        client_session: Some(SessionId::parse(&name).unwrap()),
        execution: ExecutionId::mint(),
        turn: Some(TurnId::parse("turn-1").unwrap()),
        starter: None,
        by_own_token: false,
        body_digest: [7; 32],
        text: Some(TextHash::of("say hello")),
        trace: None,
    };
    TurnRecord::Accepted(record).encode()
}

/// About 120 bytes.
fn polled(number: u64) -> Control {
    let mut delta = CursorDelta::default();
    let mark = format!("{number:012}:{:064x}", u128::from(number) << 64);
    delta.set(&format!("part/prt_{:012}", number / EVENTS_A_POLL), mark);
    TurnRecord::Polled(delta).encode()
}

/// About 100 bytes.
fn finished() -> Control {
    let (outcome, code) = ("failed".to_owned(), Some("BOX_UNREACHABLE_FOR_TOO_LONG_A_TIME".into()));
    TurnRecord::Finished(Finished { at_ms: wall_ms(), outcome, code }).encode()
}

/// The bytes of the three kinds of records, for the head of a table.
pub(crate) fn control_bytes() -> [usize; 3] {
    [accepted(1), polled(4), finished()].map(|control| control.bytes.len())
}
