//! What the log promises, as a model to hold it against.
//!
//! Every record says which batch it belongs to and where in it, so that what is read can be taken
//! apart: acknowledged batches whole and under the numbers of their answer, none in part, none
//! refused, numbers dense, and nothing that was ever shown changed or gone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use afterbay::event::{Control, Event, EventName, Seq, WireJson};
use afterbay::ids::SessionKey;
use afterbay::log::{
    Appended, Batch, Cursor, Disk, Error, Log, Logged, OpenError, Options, Recovered, Role, Step,
    Store, Tail, UpkeepBy,
};
use afterbay::metrics::Metrics;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::join_all;
use rand::Rng;

use super::faulty_disk::{FaultyDisk, Operation};
use super::log_bytes::groups;

/// Small enough that a few batches fill a group and a few groups a segment.
pub(crate) const SMALL: Options = Options {
    segment_bytes: 6 << 10,
    group_bytes: 2 << 10,
    roles: |_| Role::Lasting,
    upkeep: UpkeepBy::Writer,
};

/// How long a step of a cursor may take.
const PATIENCE: Duration = Duration::from_secs(20);
const EVENT_NAME: &str = "test";
const CONTROL_KIND: u16 = 7;

/// One record, as the model knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) batch: u64,
    pub(crate) at: usize,
    pub(crate) of: usize,
    /// Its number, if it is an event.
    pub(crate) seq: Option<Seq>,
}

/// What became of a batch, as far as whoever sent it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Acknowledged(Appended),
    /// Not answered before the crash.
    InDoubt,
    /// Refused, or not there after a crash: it must never come.
    Gone,
}

#[derive(Debug, Default)]
struct Session {
    sent: BTreeMap<u64, Fate>,
    /// Everything that was ever shown, also what was trimmed since.
    shown: Vec<Entry>,
    /// How many of these are trimmed for sure.
    trimmed: usize,
    /// How many may be, by trims without an answer.
    perhaps: BTreeSet<usize>,
    /// The furthest tail ever seen.
    tail: Option<Tail>,
}

/// All sessions of a test.
#[derive(Debug, Default)]
pub(crate) struct Model {
    sessions: BTreeMap<SessionKey, Session>,
    batches: u64,
}

/// A session's key, the same in each run.
pub(crate) fn key(n: u8) -> SessionKey {
    SessionKey::from_bytes([n; 16])
}

/// A batch of `shape`: `e` is an event, `c` a control record; each with `padding` bytes more.
pub(crate) fn batch(id: u64, shape: &str, padding: usize) -> Batch {
    let of = shape.len();
    shape.chars().enumerate().fold(Batch::default(), |batch, (at, kind)| {
        let text =
            format!(r#"{{"batch":{id},"at":{at},"of":{of},"pad":"{}"}}"#, "x".repeat(padding));
        match kind {
            'e' => batch.event(Event {
                name: EventName::from_static(EVENT_NAME),
                data: WireJson::from_json(text.as_bytes()).expect("an object"),
            }),
            _ => batch.control(Control { kind: CONTROL_KIND, bytes: Bytes::from(text) }),
        }
    })
}

/// The entry that a record was made from.
pub(crate) fn entry(logged: &Logged) -> Entry {
    let (bytes, seq) = match logged {
        Logged::Event { seq, event } => {
            assert_eq!(event.name, EventName::from_static(EVENT_NAME));
            (event.data.as_bytes(), Some(*seq))
        }
        Logged::Control(control) => {
            assert_eq!(control.kind, CONTROL_KIND);
            (&control.bytes, None)
        }
    };
    let json: serde_json::Value = serde_json::from_slice(bytes).expect("JSON of ours");
    let number = |name: &str| json[name].as_u64().expect("a number");
    Entry { batch: number("batch"), at: number("at") as usize, of: number("of") as usize, seq }
}

pub(crate) fn metrics() -> afterbay::metrics::log::Metrics {
    Metrics::new().expect("metrics").log
}

/// Opens with small sizes, and hands out what the fold saw.
pub(crate) fn open(disk: Arc<dyn Disk>) -> Result<(Store, Vec<Recovered>), OpenError> {
    open_with(disk, SMALL)
}

/// The same with other options.
pub(crate) fn open_with(
    disk: Arc<dyn Disk>,
    options: Options,
) -> Result<(Store, Vec<Recovered>), OpenError> {
    let mut folded = Vec::new();
    let store = Store::open(disk, options, metrics(), &mut |found| folded.push(found))?;
    Ok((store, folded))
}

/// The name of the newest segment in which a group stands.
pub(crate) fn newest_segment(disk: &FaultyDisk) -> String {
    let is_written = |name: &String| {
        name.starts_with("segment-")
            && name.ends_with(".log")
            && !groups(&disk.content(name)).is_empty()
    };
    disk.names().into_iter().rev().find(is_written).expect("a segment")
}

/// Appends `batches` in two groups at least, the same ones each time: the first batch is held at
/// the disk until all others are queued.
pub(crate) async fn append_grouped(
    disk: &FaultyDisk,
    batches: Vec<(Log, Batch)>,
) -> Vec<Result<Appended, Error>> {
    let was_off = disk.is_off();
    let mut appends = Vec::new();
    disk.hold(&Operation::ALL);
    for (log, batch) in batches {
        // Unconstrained: else the runtime may make it yield before it is in the queue.
        let append = tokio::task::unconstrained(async move { log.append(batch).await });
        let mut append = append.boxed_local();
        let early = (&mut append).now_or_never();
        assert!(early.is_none(), "answered before it was written: {early:?}");
        if appends.is_empty() && !was_off {
            disk.wait_until_held();
        }
        appends.push(append);
    }
    disk.release();
    join_all(appends).await
}

/// The next step, which must come in time: a test fails rather than hangs.
pub(crate) async fn next(cursor: &mut Cursor) -> Result<Step, Error> {
    tokio::time::timeout(PATIENCE, cursor.next()).await.expect("a step in time")
}

/// Everything up to the tail as it is now. Panics at a gap.
pub(crate) async fn read_all(log: &Log, after: Seq) -> Result<Vec<Entry>, Error> {
    let tail = log.tail();
    let mut cursor = log.cursor(after);
    let mut entries: Vec<Entry> = Vec::new();
    let mut controls = 0;
    let mut events = after.get();
    // Each record moves the Lsn by one; what is before `after` is not counted, so read by events
    // first and take the controls as they come.
    let total = tail.next_lsn.get() - 1;
    while if after == Seq::START {
        events + controls < total
    } else {
        events + 1 < tail.next_seq.get()
    } {
        match next(&mut cursor).await? {
            Step::Records(records) => {
                for record in &records {
                    let entry = entry(record);
                    if entry.seq.is_some() {
                        events += 1
                    } else {
                        controls += 1
                    }
                    entries.push(entry);
                }
            }
            Step::Gap { from, to } => panic!("a gap from {from} to {to}"),
            Step::End => panic!("the end before the tail {tail:?}"),
        }
    }
    Ok(entries)
}

/// What no trim has cut off, up to the tail as it is now. Panics at a gap that is not in front.
pub(crate) async fn read_kept(log: &Log) -> Result<Vec<Entry>, Error> {
    let tail = log.tail();
    let mut cursor = log.cursor(Seq::START);
    let mut entries: Vec<Entry> = Vec::new();
    while cursor.next_lsn() < tail.next_lsn {
        match next(&mut cursor).await? {
            Step::Records(records) => entries.extend(records.iter().map(entry)),
            Step::Gap { from, to } => {
                assert!(entries.is_empty() && from == Seq::new(1), "a gap from {from} to {to}");
            }
            Step::End => panic!("the end before the tail {tail:?}"),
        }
    }
    Ok(entries)
}

impl Model {
    /// A new batch for a session: its id.
    pub(crate) fn send(&mut self, key: SessionKey) -> u64 {
        self.batches += 1;
        let session = self.sessions.entry(key).or_default();
        session.sent.insert(self.batches, Fate::InDoubt);
        self.batches
    }

    /// The answer that came for it while the machine was still running.
    pub(crate) fn answered(&mut self, key: SessionKey, id: u64, answer: &Result<Appended, Error>) {
        let session = self.sessions.entry(key).or_default();
        let fate = match answer {
            Ok(appended) => {
                session.see_tail(appended.tail);
                Fate::Acknowledged(*appended)
            }
            Err(Error::Poisoned) => Fate::InDoubt,
            Err(_) => Fate::Gone,
        };
        session.sent.insert(id, fate);
    }

    /// Notes the tails that the store shows, which is a promise, too.
    pub(crate) fn see_tails(&mut self, store: &Store) {
        for (key, session) in &mut self.sessions {
            session.see_tail(store.log(*key).tail());
        }
    }

    /// Reads everything and holds it against the model. An error is the disk's: the machine went
    /// off meanwhile.
    pub(crate) async fn check(&mut self, store: &Store) -> Result<(), Error> {
        for (key, session) in &mut self.sessions {
            let log = store.log(*key);
            session.see_tail(log.tail());
            let entries = read_kept(&log).await?;
            session.check(entries, log.tail());
        }
        Ok(())
    }

    /// Holds the control records that opening folded against those that are read.
    pub(crate) fn check_fold(&self, folded: &[Recovered]) {
        let mut by_session: BTreeMap<SessionKey, Vec<Entry>> = BTreeMap::new();
        let mut last = BTreeMap::new();
        for Recovered { key, lsn, next_seq, control } in folded {
            let before = last.insert(*key, (*lsn, *next_seq));
            assert!(before.is_none_or(|(l, s)| l < *lsn && s <= *next_seq), "folded out of order");
            let control = entry(&Logged::Control(control.clone()));
            by_session.entry(*key).or_default().push(control);
        }
        for (key, session) in &self.sessions {
            let is_control = |entry: &&Entry| entry.seq.is_none();
            let (trimmed, kept) = session.shown.split_at(session.trimmed);
            let kept: Vec<_> = kept.iter().filter(is_control).cloned().collect();
            let folded = by_session.remove(key).unwrap_or_default();
            assert!(folded.ends_with(&kept), "folded {folded:?}, but read {kept:?}");
            // What was trimmed may still be on disk, in part.
            let mut trimmed = trimmed.iter().filter(is_control);
            let more = &folded[..folded.len() - kept.len()];
            assert!(more.iter().all(|entry| trimmed.any(|known| known == entry)), "{more:?}");
        }
        assert!(by_session.is_empty(), "folded a session that nobody appended to");
    }

    /// Where the session might be trimmed, in entries and events that would go: behind each of its
    /// batches that ends with an event.
    fn places_to_trim(&self, key: SessionKey) -> Vec<(usize, Seq)> {
        let Some(session) = self.sessions.get(&key) else { return Vec::new() };
        let entries = session.shown.iter().enumerate().skip(session.trimmed);
        let ends = entries.filter(|(_, entry)| entry.at + 1 == entry.of);
        ends.filter_map(|(at, entry)| Some((at + 1, entry.seq?))).collect()
    }

    /// A trim at one of these places is asked for: the entries that it drops, the last event of them,
    /// and the id of the batch that goes with it.
    pub(crate) fn ask_to_trim(
        &mut self,
        key: SessionKey,
        rng: &mut impl Rng,
    ) -> Option<(usize, Seq, u64)> {
        let places = self.places_to_trim(key);
        let at = (!places.is_empty()).then(|| rng.random_range(0..places.len()))?;
        let (dropped, through) = places[at];
        let id = self.send(key);
        self.sessions.entry(key).or_default().perhaps.insert(dropped);
        Some((dropped, through, id))
    }

    /// It was done.
    pub(crate) fn trimmed(&mut self, key: SessionKey, dropped: usize) {
        let session = self.sessions.entry(key).or_default();
        session.trimmed = session.trimmed.max(dropped);
    }

    /// How many batches were acknowledged in all.
    pub(crate) fn acknowledged(&self) -> usize {
        let fates = self.sessions.values().flat_map(|session| session.sent.values());
        fates.filter(|fate| matches!(fate, Fate::Acknowledged(_))).count()
    }
}

impl Session {
    fn see_tail(&mut self, tail: Tail) {
        if let Some(before) = self.tail {
            assert!(
                before.next_seq <= tail.next_seq && before.next_lsn <= tail.next_lsn,
                "the tail went back from {before:?} to {tail:?}"
            );
        }
        self.tail = Some(tail);
    }

    fn check(&mut self, entries: Vec<Entry>, tail: Tail) {
        let dropped = self.dropped(&entries);
        let known = self.shown.split_off(dropped);
        let seqs: Vec<u64> = entries.iter().filter_map(|e| e.seq).map(Seq::get).collect();
        let first = self.shown.iter().filter(|entry| entry.seq.is_some()).count() as u64 + 1;
        assert_eq!(seqs, (first..tail.next_seq.get()).collect::<Vec<_>>(), "numbers are not dense");
        assert!(entries.len() >= known.len(), "what was shown is gone: {known:?}");
        assert_eq!(entries[..known.len()], known, "what was shown has changed");
        self.shown.extend(entries);
        let read = whole_batches(&self.shown);
        assert!(read.is_sorted_by(|a, b| a.0 < b.0), "batches out of order or twice: {read:?}");
        let read: BTreeMap<u64, Option<Seq>> = read.into_iter().collect();
        for (id, fate) in &mut self.sent {
            match (&fate, read.get(id)) {
                (Fate::Acknowledged(appended), Some(first)) => {
                    assert!(first.is_none_or(|seq| seq == appended.first_seq), "numbered anew");
                }
                (Fate::Acknowledged(_), None) => panic!("acknowledged batch {id} is gone"),
                (Fate::InDoubt, Some(_)) | (Fate::Gone, None) => {}
                (Fate::InDoubt, None) => *fate = Fate::Gone,
                (Fate::Gone, Some(_)) => panic!("batch {id} came back"),
            }
        }
        let unknown = read.keys().find(|id| !self.sent.contains_key(id));
        assert_eq!(unknown, None, "a batch that nobody sent");
    }

    /// How many entries are trimmed away, as what was read begins; that never becomes less.
    fn dropped(&mut self, entries: &[Entry]) -> usize {
        let begins = entries.first().and_then(|first| {
            self.shown.iter().position(|e| (e.batch, e.at) == (first.batch, first.at))
        });
        let dropped = begins.unwrap_or(self.shown.len());
        assert!(
            dropped == self.trimmed || dropped > self.trimmed && self.perhaps.contains(&dropped),
            "{dropped} entries are gone, {} trimmed, perhaps {:?}",
            self.trimmed,
            self.perhaps
        );
        self.trimmed = dropped;
        self.perhaps.retain(|other| *other > dropped);
        dropped
    }
}

/// The batches in order, each with the number of its first event; panics if one is in part.
fn whole_batches(entries: &[Entry]) -> Vec<(u64, Option<Seq>)> {
    let mut batches = Vec::new();
    let mut rest = entries;
    while let Some(first) = rest.first() {
        assert!(rest.len() >= first.of, "batch {} is there in part", first.batch);
        let (batch, behind) = rest.split_at(first.of);
        for (at, entry) in batch.iter().enumerate() {
            assert_eq!((entry.batch, entry.at), (first.batch, at), "a batch is there in part");
        }
        batches.push((first.batch, batch.iter().find_map(|entry| entry.seq)));
        rest = behind;
    }
    batches
}
