//! Batches and the records in them: between types and bytes (FORMAT.md, "Batch" and "Record").
//!
//! A batch's header has a checksum of its own, so that damage to its body can still be attributed
//! to a session and its numbers. Decoding takes any bytes: what is not whole is said to be so,
//! and nothing panics. Decoded bytes are shared with the buffer they came from.

use bytes::Bytes;

use super::Tail;
use super::fields::{Fields, checksum, len32, put};
use crate::event::{Control, Event, EventName, Lsn, Record, Seq, WireJson};
use crate::ids::SessionKey;

pub(super) const BATCH_HEADER_BYTES: usize = 52;
/// A record's tag and its two fields.
pub(super) const RECORD_HEADER_BYTES: usize = 9;

const TAG_EVENT: u8 = 1;
const TAG_CONTROL: u8 = 2;

/// Whose batch it is, and its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BatchHeader {
    pub(super) key: SessionKey,
    /// The numbers of its first record and first event.
    pub(super) first: Tail,
    pub(super) records: u32,
    /// How many of the records are events.
    pub(super) events: u32,
    pub(super) body_bytes: u32,
    pub(super) body_checksum: u32,
}

/// What stands where a batch should.
#[derive(Debug)]
pub(super) enum Found {
    /// A batch, whole.
    Batch(BatchHeader, Vec<Numbered>),
    /// The header of one whose body is damaged.
    Damaged(BatchHeader),
    /// Not even a header, or one whose body goes beyond the bytes that there are.
    Nothing,
}

/// A record with its numbers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Numbered {
    pub(super) lsn: Lsn,
    /// An event's number; for a control record that of the first event after it.
    pub(super) seq: Seq,
    pub(super) record: Record,
}

impl BatchHeader {
    /// The tail behind the batch.
    pub(super) fn end(&self) -> Tail {
        let Tail { next_seq, next_lsn } = self.first;
        Tail {
            next_seq: Seq::new(next_seq.get().saturating_add(self.events.into())),
            next_lsn: Lsn::new(next_lsn.get().saturating_add(self.records.into())),
        }
    }

    /// Bytes from the header's first to the body's last.
    pub(super) fn disk_bytes(&self) -> usize {
        BATCH_HEADER_BYTES + self.body_bytes as usize
    }

    fn encode(&self, seed: u32) -> Vec<u8> {
        let mut out = Vec::with_capacity(BATCH_HEADER_BYTES);
        out.extend_from_slice(&self.key.to_bytes());
        out.extend_from_slice(&self.first.next_lsn.get().to_le_bytes());
        out.extend_from_slice(&self.first.next_seq.get().to_le_bytes());
        out.extend_from_slice(&self.records.to_le_bytes());
        out.extend_from_slice(&self.events.to_le_bytes());
        out.extend_from_slice(&self.body_bytes.to_le_bytes());
        out.extend_from_slice(&self.body_checksum.to_le_bytes());
        out.extend_from_slice(&checksum(seed, &[&out]).to_le_bytes());
        out
    }

    fn decode(bytes: &[u8], seed: u32) -> Option<Self> {
        let mut fields = Fields::new(bytes.get(..BATCH_HEADER_BYTES)?);
        let covered = bytes.get(..BATCH_HEADER_BYTES - 4)?;
        let key = SessionKey::from_bytes(fields.array()?);
        let next_lsn = Lsn::new(fields.u64()?);
        let next_seq = Seq::new(fields.u64()?);
        let header = Self {
            key,
            first: Tail { next_seq, next_lsn },
            records: fields.u32()?,
            events: fields.u32()?,
            body_bytes: fields.u32()?,
            body_checksum: fields.u32()?,
        };
        (fields.u32()? == checksum(seed, &[covered])).then_some(header)
    }
}

/// Bytes that a batch of `records` takes on disk.
pub(super) fn batch_bytes(records: &[Record]) -> usize {
    let bodies = records.iter().map(|record| RECORD_HEADER_BYTES + record.len());
    BATCH_HEADER_BYTES + bodies.sum::<usize>()
}

/// Puts a batch at the end of `out`.
pub(super) fn encode_batch(
    out: &mut Vec<u8>,
    seed: u32,
    key: SessionKey,
    first: Tail,
    records: &[Record],
) -> BatchHeader {
    let at = out.len();
    out.resize(at + BATCH_HEADER_BYTES, 0);
    for record in records {
        encode_record(out, record);
    }
    let body = out.get(at + BATCH_HEADER_BYTES..).unwrap_or_default();
    let events = records.iter().filter(|record| matches!(record, Record::Event(_))).count();
    let header = BatchHeader {
        key,
        first,
        records: len32(records.len()),
        events: len32(events),
        body_bytes: len32(body.len()),
        body_checksum: checksum(seed, &[body]),
    };
    put(out, at, &header.encode(seed));
    header
}

/// Puts a batch that was read at the end of `out`, under another seed.
pub(super) fn encode_copy(out: &mut Vec<u8>, seed: u32, read: &BatchHeader, body: &[u8]) {
    let header = BatchHeader { body_checksum: checksum(seed, &[body]), ..*read };
    out.extend_from_slice(&header.encode(seed));
    out.extend_from_slice(body);
}

/// What stands at the start of `bytes`.
pub(super) fn decode_batch(bytes: &Bytes, seed: u32) -> Found {
    let Some(header) = BatchHeader::decode(bytes, seed) else {
        return Found::Nothing;
    };
    if bytes.len() < header.disk_bytes() {
        return Found::Nothing;
    }
    let body = bytes.slice(BATCH_HEADER_BYTES..header.disk_bytes());
    if checksum(seed, &[&body]) != header.body_checksum {
        return Found::Damaged(header);
    }
    match decode_records(&header, body) {
        Some(records) => Found::Batch(header, records),
        None => Found::Damaged(header),
    }
}

fn encode_record(out: &mut Vec<u8>, record: &Record) {
    match record {
        Record::Event(Event { name, data }) => {
            let (name, data) = (name.as_bytes(), data.as_bytes());
            out.push(TAG_EVENT);
            out.extend_from_slice(&len32(name.len()).to_le_bytes());
            out.extend_from_slice(&len32(data.len()).to_le_bytes());
            out.extend_from_slice(name);
            out.extend_from_slice(data);
        }
        Record::Control(Control { kind, bytes }) => {
            out.push(TAG_CONTROL);
            out.extend_from_slice(&u32::from(*kind).to_le_bytes());
            out.extend_from_slice(&len32(bytes.len()).to_le_bytes());
            out.extend_from_slice(bytes);
        }
    }
}

/// The records of a body whose checksum is right; `None` if they are not what the header says.
fn decode_records(header: &BatchHeader, mut body: Bytes) -> Option<Vec<Numbered>> {
    let most = body.len() / RECORD_HEADER_BYTES;
    let mut records = Vec::with_capacity(most.min(header.records as usize));
    let Tail { next_seq: mut seq, next_lsn: mut lsn } = header.first;
    while !body.is_empty() {
        let record = decode_record(&mut body)?;
        let next = if matches!(record, Record::Event(_)) { seq.next() } else { seq };
        records.push(Numbered { lsn, seq, record });
        (seq, lsn) = (next, lsn.next());
    }
    (Tail { next_seq: seq, next_lsn: lsn } == header.end()).then_some(records)
}

fn decode_record(body: &mut Bytes) -> Option<Record> {
    let head = take(body, RECORD_HEADER_BYTES)?;
    let mut fields = Fields::new(&head);
    let (tag, first, second) = (fields.u8()?, fields.u32()?, fields.u32()?);
    match tag {
        TAG_EVENT => {
            let name = EventName::parse(take(body, first as usize)?).ok()?;
            let data = WireJson::from_stored(take(body, second as usize)?);
            Some(Record::Event(Event { name, data }))
        }
        TAG_CONTROL => {
            let kind = u16::try_from(first).ok()?;
            Some(Record::Control(Control { kind, bytes: take(body, second as usize)? }))
        }
        _ => None,
    }
}

fn take(bytes: &mut Bytes, count: usize) -> Option<Bytes> {
    (count <= bytes.len()).then(|| bytes.split_to(count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SEED: u32 = 7;

    fn record() -> impl Strategy<Value = Record> {
        let data = proptest::collection::vec(any::<u8>(), 0..40);
        prop_oneof![
            ("[a-z.]{1,12}", data.clone()).prop_map(|(name, data)| Record::Event(Event {
                name: EventName::parse(name.into()).expect("a good name"),
                data: WireJson::from_stored(data.into()),
            })),
            (any::<u16>(), data)
                .prop_map(|(kind, data)| Record::Control(Control { kind, bytes: data.into() })),
        ]
    }

    fn encoded(records: &[Record]) -> Vec<u8> {
        let mut out = Vec::new();
        let first = Tail { next_seq: Seq::new(5), next_lsn: Lsn::new(9) };
        encode_batch(&mut out, SEED, SessionKey::from_bytes([3; 16]), first, records);
        out
    }

    #[test]
    fn a_batch_is_read_as_it_was_written() {
        proptest!(|(records in proptest::collection::vec(record(), 1..6))| {
            let bytes = Bytes::from(encoded(&records));
            prop_assert_eq!(bytes.len(), batch_bytes(&records));
            let Found::Batch(header, read) = decode_batch(&bytes, SEED) else {
                return Err(TestCaseError::fail("not read"));
            };
            prop_assert_eq!(header.disk_bytes(), bytes.len());
            let mut seq = Seq::new(5);
            for (at, numbered) in read.iter().enumerate() {
                prop_assert_eq!(numbered.lsn.get(), 9 + at as u64);
                prop_assert_eq!(numbered.seq, seq);
                if matches!(numbered.record, Record::Event(_)) {
                    seq = seq.next();
                }
            }
            prop_assert_eq!(header.end().next_seq, seq);
            let read: Vec<_> = read.into_iter().map(|numbered| numbered.record).collect();
            prop_assert_eq!(read, records);
        });
    }

    #[test]
    fn a_batch_with_any_bit_turned_is_never_taken_for_whole() {
        let control = |kind| Record::Control(Control { kind, bytes: "c".into() });
        let good = encoded(&[control(1), control(2)]);
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let found = decode_batch(&bad.into(), SEED);
            let header_hit = bit / 8 < BATCH_HEADER_BYTES;
            match found {
                Found::Nothing => assert!(header_hit, "bit {bit}"),
                Found::Damaged(header) => {
                    assert!(!header_hit, "bit {bit}");
                    assert_eq!(header.end().next_lsn, Lsn::new(11));
                }
                Found::Batch(..) => panic!("bit {bit} went unseen"),
            }
        }
        assert!(matches!(decode_batch(&good.into(), SEED + 1), Found::Nothing));
    }

    #[test]
    fn any_bytes_are_decoded_without_a_panic() {
        proptest!(|(bytes: Vec<u8>)| {
            let header = BatchHeader::decode(&encoded(&[]), SEED).expect("a header");
            decode_records(&header, bytes.clone().into());
            prop_assert!(matches!(decode_batch(&bytes.into(), SEED), Found::Nothing));
        });
    }
}
