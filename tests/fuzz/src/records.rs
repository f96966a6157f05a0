//! The decoder of records: any bytes as the body of a batch whose checksums are right.
//!
//! What FORMAT.md allows is read, and as what it is; appended to another log it becomes the same
//! bytes. All else is damage, of that batch alone. The check of the log says the same.

use std::sync::Arc;

use afterbay::event::{Control, Event, EventName, Seq, WireJson};
use afterbay::log::{Batch, Disk, Log, Logged, Role, Step, Store, verify};
use bytes::Bytes;

use super::forge::{self, BatchHead, Head};
use super::input::Input;
use super::support::faulty_disk::FaultyDisk;
use super::support::log_bytes::{body, groups, u32_at, u64_at};
use super::support::log_model::{SMALL, batch, key, metrics, newest_segment, next};
use super::watched::Watched;

/// A record, as FORMAT.md describes it.
#[derive(Debug)]
enum Record {
    Event { name: Bytes, data: Bytes },
    Control { kind: u16, bytes: Bytes },
    Cut,
}

/// The session of the records; another one has a batch behind them.
const OWN: u8 = 1;
const OTHER: u8 = 2;

/// Reads `bytes` as the fuzzer has it: whether the header tells the truth, and the body.
pub(crate) fn check(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let (more_records, more_events) = match input.byte() {
        lie @ 0xfe.. => (u32::from(lie & 1), u32::from(!lie & 1)),
        _ => (0, 0),
    };
    let content = Bytes::copy_from_slice(input.rest());
    let records = decode(content.clone());
    let is_true = more_records == 0 && more_events == 0;
    let good = records.as_ref().filter(|_| is_true);
    let (count, events) = counts(&content);
    let head = BatchHead {
        key: [OWN; 16],
        lsn: 1,
        seq: 1,
        records: count + more_records,
        events: events + more_events,
    };
    let disk = written(head, &content);
    let has_cut = records.iter().flatten().any(|record| matches!(record, Record::Cut));
    check_verified(&disk, good.is_some(), has_cut);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime").block_on(async {
        let shown = shown(&disk, good.is_some()).await;
        let Some(records) = good else { return assert!(shown.is_none(), "damage is shown") };
        if has_cut {
            return;
        }
        assert_eq!(shown.unwrap_or_default(), as_logged(records));
        if !records.is_empty() {
            check_written(records, &content).await;
        }
    });
}

/// How many records and events a body holds for one who only looks at their lengths: so that what is
/// wrong with a record itself is all that is wrong.
fn counts(body: &[u8]) -> (u32, u32) {
    let (mut rest, mut records, mut events) = (body, 0, 0);
    while let Some((head, behind)) = rest.split_first_chunk::<9>() {
        let is_event = head[0] == 1;
        let name = if is_event { u32_at(head, 1) } else { 0 };
        records += 1;
        events += u32::from(is_event);
        rest = behind.get(name as usize + u32_at(head, 5) as usize..).unwrap_or_default();
    }
    (records, events)
}

/// The records of a body; `None` if it is not made of them.
fn decode(mut body: Bytes) -> Option<Vec<Record>> {
    let mut records = Vec::new();
    while !body.is_empty() {
        let mut field = |count: usize| (count <= body.len()).then(|| body.split_to(count));
        let head = field(9)?;
        let (first, second) = (u32_at(&head, 1), u32_at(&head, 5));
        records.push(match head[0] {
            1 => {
                let name = field(first as usize)?;
                let breaks = |byte: &u8| [b'\r', b'\n', 0].contains(byte);
                if name.is_empty() || name.iter().any(breaks) || str::from_utf8(&name).is_err() {
                    return None;
                }
                Record::Event { name, data: field(second as usize)? }
            }
            2 => Record::Control { kind: first.try_into().ok()?, bytes: field(second as usize)? },
            3 if (first, second) == (0, 32) => {
                // Before the batch that holds it, which is the first one.
                let cut = field(32)?;
                let number = |at: usize| u64_at(&cut, at);
                if number(0) > 1 || number(8) > 1 {
                    return None;
                }
                Record::Cut
            }
            _ => return None,
        });
    }
    Some(records)
}

/// A log that holds the batch, durable since another group is behind it.
fn written(head: BatchHead, content: &[u8]) -> FaultyDisk {
    let segment_head = Head { epoch: 1, base: 1, origin: 2, end: 0, groups: 0 };
    let mut segment = forge::segment(segment_head);
    let own = forge::batch(head, &mut [0; 16], content);
    forge::push_group(&mut segment, 1, &[own]);
    let head = BatchHead { key: [OTHER; 16], lsn: 1, seq: 1, records: 1, events: 0 };
    let other = forge::batch(head, &mut [0; 16], &[2, 7, 0, 0, 0, 0, 0, 0, 0]);
    forge::push_group(&mut segment, 2, &[other]);
    forge::sign(&mut segment);
    let disk = FaultyDisk::new(0);
    let name = "segment-0000000000000001.log";
    disk.boot().create(name).expect("create");
    disk.damage(name, |content| *content = segment);
    disk.boot().sync_dir().expect("sync");
    disk
}

fn watched(disk: &FaultyDisk) -> Arc<dyn Disk> {
    Watched::around(disk.boot())
}

fn check_verified(disk: &FaultyDisk, is_good: bool, has_cut: bool) {
    let report = verify::check(&*watched(disk), |_| Role::Lasting).expect("there is a log");
    assert_eq!(report.counts.batches, 1 + u64::from(is_good), "{report:?}");
    // A cut may be of what was never there.
    assert!(is_good && has_cut || report.findings.is_empty() == is_good, "{report:?}");
}

/// What the log shows of the session once it is opened; `None` if nothing.
async fn shown(disk: &FaultyDisk, is_good: bool) -> Option<Vec<Logged>> {
    let metrics = metrics();
    let store = Store::open(watched(disk), SMALL, metrics.clone(), &mut |_| {}).expect("it opens");
    assert_eq!(metrics.damaged_bytes.get() == 0, is_good);
    let (own, other) = (store.log(key(OWN)), store.log(key(OTHER)));
    let appended = own.append(batch(1, "e", 0)).await.expect("append");
    store.close().await;
    assert_eq!(read(&other).await.len(), 1, "the other session is whole");
    let mut shown = read(&own).await;
    let last = shown.pop();
    let is_last =
        |logged: &Logged| matches!(logged, Logged::Event { seq, .. } if *seq == appended.first_seq);
    assert!(last.as_ref().is_some_and(is_last), "what was appended is not read: {last:?}");
    (!shown.is_empty()).then_some(shown)
}

async fn read(log: &Log) -> Vec<Logged> {
    let mut cursor = log.cursor(Seq::START);
    let mut read = Vec::new();
    loop {
        match next(&mut cursor).await.expect("read") {
            Step::Records(records) => read.extend(records),
            Step::Gap { .. } => {}
            Step::End => return read,
        }
    }
}

fn as_logged(records: &[Record]) -> Vec<Logged> {
    let mut seq = Seq::START;
    let logged = records.iter().filter_map(|record| match record {
        Record::Event { .. } => {
            seq = seq.next();
            event(record).map(|event| Logged::Event { seq, event })
        }
        Record::Control { .. } => control(record).map(Logged::Control),
        Record::Cut => None,
    });
    logged.collect()
}

fn event(record: &Record) -> Option<Event> {
    let Record::Event { name, data } = record else { return None };
    let name = EventName::parse(name.clone()).expect("a good name");
    Some(Event { name, data: WireJson::from_stored(data.clone()) })
}

fn control(record: &Record) -> Option<Control> {
    let Record::Control { kind, bytes } = record else { return None };
    Some(Control { kind: *kind, bytes: bytes.clone() })
}

/// Appends the records to a fresh log: they must become the same bytes.
async fn check_written(records: &[Record], content: &[u8]) {
    let disk = FaultyDisk::new(0);
    let store = Store::open(watched(&disk), SMALL, metrics(), &mut |_| {}).expect("it opens");
    let batch = records.iter().fold(Batch::default(), |batch, record| {
        match (event(record), control(record)) {
            (Some(event), _) => batch.event(event),
            (None, Some(control)) => batch.control(control),
            (None, None) => batch,
        }
    });
    store.log(key(OWN)).append(batch).await.expect("append");
    store.close().await;
    let segment = disk.content(&newest_segment(&disk));
    let batches: Vec<_> = groups(&segment).into_iter().flat_map(|group| group.batches).collect();
    let [only] = batches.as_slice() else { panic!("{} batches", batches.len()) };
    assert_eq!(&segment[body(only)], content, "other bytes than those that were read");
}
