//! Batches and the records in them: between types and bytes (FORMAT.md, "Batch" and "Record").
//!
//! A header's own sum waits for the stamp of the group that it is written with. It is apart from the
//! body's, so that damage to the body can still be attributed to a session and its numbers. Decoding takes any bytes: what is not whole is said
//! to be so, and nothing panics. Decoded bytes are shared with the buffer they came from.

use bytes::Bytes;

use super::Tail;
use super::chain::{BodyHash, Chain};
use super::fields::{Fields, checksum, put};
use crate::event::{Control, Event, EventName, Lsn, Record, Seq, WireJson};
use crate::ids::SessionKey;

pub(super) const BATCH_HEADER_BYTES: usize = 68;
/// What of a header the chain covers: all that says whose the batch is and what is in it.
const CHAINED_BYTES: usize = 44;
/// A record's tag and its two fields.
pub(super) const RECORD_HEADER_BYTES: usize = 9;

pub(super) const TAG_EVENT: u8 = 1;
pub(super) const TAG_CONTROL: u8 = 2;
pub(super) const TAG_CUT: u8 = 3;
pub(super) const CUT_BYTES: usize = 32;

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
    /// The session's chain behind this batch.
    pub(super) chain: Chain,
}

/// Where a session's log begins after a trim: what is before is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    /// The first record and the first event that are kept.
    pub(super) first: Tail,
    /// The chain in front of them.
    pub(super) chain: Chain,
}

/// What a batch is made of: what those who append bring, and what the log adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    Record(Record),
    Cut(Cut),
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

/// An entry with its numbers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Numbered {
    pub(super) lsn: Lsn,
    /// An event's number; for all others that of the first event after it.
    pub(super) seq: Seq,
    pub(super) entry: Entry,
}

impl BatchHeader {
    /// The tail behind the batch.
    pub(super) fn end(&self) -> Tail {
        self.first.behind(self.records, self.events)
    }

    /// Bytes from the header's first to the body's last.
    pub(super) fn disk_bytes(&self) -> usize {
        BATCH_HEADER_BYTES + self.body_bytes as usize
    }

    /// Whether the batch is what follows `chain`.
    pub(super) fn follows(&self, chain: Chain, body: &[u8]) -> bool {
        self.chain == chain.then(&self.chained(), &BodyHash::of(body))
    }

    /// What of it the chain covers.
    pub(super) fn chained(&self) -> [u8; CHAINED_BYTES] {
        let mut out = [0; CHAINED_BYTES];
        let fields: [&[u8]; 6] = [
            &self.key.to_bytes(),
            &self.first.next_lsn.get().to_le_bytes(),
            &self.first.next_seq.get().to_le_bytes(),
            &self.records.to_le_bytes(),
            &self.events.to_le_bytes(),
            &self.body_bytes.to_le_bytes(),
        ];
        let mut at = 0;
        for field in fields {
            put(&mut out, at, field);
            at += field.len();
        }
        out
    }

    /// Puts the header at the end of `out`; it counts once it is stamped.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.chained());
        out.extend_from_slice(&self.body_checksum.to_le_bytes());
        out.extend_from_slice(&self.chain.to_bytes());
        out.extend_from_slice(&[0; 4]);
    }

    /// Sums the header that stands at `at`, for a group with this seed.
    pub(super) fn stamp(bytes: &mut [u8], at: usize, seed: u32) {
        let sum_at = at + BATCH_HEADER_BYTES - 4;
        let sum = checksum(seed, &[bytes.get(at..sum_at).unwrap_or_default()]);
        put(bytes, sum_at, &sum.to_le_bytes());
    }

    /// The header at the start of `bytes`, if there is one of a group with this seed.
    pub(super) fn decode(bytes: &[u8], seed: u32) -> Option<Self> {
        let mut fields = Fields::new(bytes.get(..BATCH_HEADER_BYTES)?);
        let covered = bytes.get(..BATCH_HEADER_BYTES - 4)?;
        let key = SessionKey::from_bytes(fields.array()?);
        let first = fields.tail()?;
        let header = Self {
            key,
            first,
            records: fields.u32()?,
            events: fields.u32()?,
            body_bytes: fields.u32()?,
            body_checksum: fields.u32()?,
            chain: Chain::from_bytes(fields.array()?),
        };
        (fields.u32()? == checksum(seed, &[covered])).then_some(header)
    }
}

impl Entry {
    /// How many events it is.
    pub(super) fn events(&self) -> u32 {
        u32::from(matches!(self, Self::Record(Record::Event(_))))
    }
}

/// What stands at the start of `bytes`, in a group with this seed.
pub(super) fn decode_batch(bytes: &Bytes, seed: u32) -> Found {
    let Some(header) = BatchHeader::decode(bytes, seed) else {
        return Found::Nothing;
    };
    if bytes.len() < header.disk_bytes() {
        return Found::Nothing;
    }
    let body = bytes.slice(BATCH_HEADER_BYTES..header.disk_bytes());
    if checksum(0, &[&body]) != header.body_checksum {
        return Found::Damaged(header);
    }
    match decode_body(header.first, header.records, body) {
        Some((entries, end)) if end == header.end() => Found::Batch(header, entries),
        Some(_) | None => Found::Damaged(header),
    }
}

/// The entries of a body whose checksum is right, and the tail behind them; `None` if the bytes are
/// no entries.
pub(super) fn decode_body(
    first: Tail,
    records: u32,
    mut body: Bytes,
) -> Option<(Vec<Numbered>, Tail)> {
    let most = body.len() / RECORD_HEADER_BYTES;
    let mut entries = Vec::with_capacity(most.min(records as usize));
    let mut at = first;
    while !body.is_empty() {
        let entry = decode_entry(&mut body)?;
        if matches!(entry, Entry::Cut(cut) if !cut.first.is_at_or_before(first)) {
            return None;
        }
        let events = entry.events();
        entries.push(Numbered { lsn: at.next_lsn, seq: at.next_seq, entry });
        at = at.behind(1, events);
    }
    Some((entries, at))
}

fn decode_entry(body: &mut Bytes) -> Option<Entry> {
    let head = take(body, RECORD_HEADER_BYTES)?;
    let mut fields = Fields::new(&head);
    let (tag, first, second) = (fields.u8()?, fields.u32()?, fields.u32()?);
    match tag {
        TAG_EVENT => {
            let name = EventName::parse(take(body, first as usize)?).ok()?;
            let data = WireJson::from_stored(take(body, second as usize)?);
            Some(Entry::Record(Record::Event(Event { name, data })))
        }
        TAG_CONTROL => {
            let kind = u16::try_from(first).ok()?;
            let bytes = take(body, second as usize)?;
            Some(Entry::Record(Record::Control(Control { kind, bytes })))
        }
        TAG_CUT if (first, second as usize) == (0, CUT_BYTES) => {
            let content = take(body, CUT_BYTES)?;
            let mut fields = Fields::new(&content);
            let first = fields.tail()?;
            Some(Entry::Cut(Cut { first, chain: Chain::from_bytes(fields.array()?) }))
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
    use crate::log::body::Body;
    use proptest::prelude::*;

    const SEED: u32 = 7;
    const FIRST: Tail = Tail { next_seq: Seq::new(5), next_lsn: Lsn::new(9) };

    fn entry() -> impl Strategy<Value = Entry> {
        let data = proptest::collection::vec(any::<u8>(), 0..40);
        prop_oneof![
            ("[a-z.]{1,12}", data.clone()).prop_map(|(name, data)| {
                let name = EventName::parse(name.into()).expect("a good name");
                let data = WireJson::from_stored(data.into());
                Entry::Record(Record::Event(Event { name, data }))
            }),
            (any::<u16>(), data).prop_map(|(kind, data)| control(kind, data)),
            // In front of the batch.
            (0..=5_u64, 0..=9_u64, any::<[u8; 16]>()).prop_map(|(seq, lsn, chain)| {
                let first = Tail { next_seq: Seq::new(seq), next_lsn: Lsn::new(lsn) };
                Entry::Cut(Cut { first, chain: Chain::from_bytes(chain) })
            }),
        ]
    }

    fn control(kind: u16, bytes: Vec<u8>) -> Entry {
        Entry::Record(Record::Control(Control { kind, bytes: bytes.into() }))
    }

    fn encoded(entries: &[Entry]) -> Vec<u8> {
        let body = Body::new(entries.to_vec());
        let mut out = Vec::new();
        body.header(SessionKey::from_bytes([3; 16]), FIRST, Chain::START).encode(&mut out);
        BatchHeader::stamp(&mut out, 0, SEED);
        body.encode(&mut out);
        assert_eq!(out.len(), body.disk_bytes());
        out
    }

    #[test]
    fn a_batch_is_read_as_it_was_written() {
        proptest!(|(entries in proptest::collection::vec(entry(), 1..6))| {
            let bytes = Bytes::from(encoded(&entries));
            let Found::Batch(header, read) = decode_batch(&bytes, SEED) else {
                return Err(TestCaseError::fail("not read"));
            };
            prop_assert_eq!(header.disk_bytes(), bytes.len());
            let mut seq = Seq::new(5);
            for (at, numbered) in read.iter().enumerate() {
                prop_assert_eq!(numbered.lsn.get(), 9 + at as u64);
                prop_assert_eq!(numbered.seq, seq);
                if matches!(numbered.entry, Entry::Record(Record::Event(_))) {
                    seq = seq.next();
                }
            }
            prop_assert_eq!(header.end().next_seq, seq);
            let read: Vec<_> = read.into_iter().map(|numbered| numbered.entry).collect();
            prop_assert_eq!(read, entries);
        });
    }

    #[test]
    fn a_batch_with_any_bit_turned_is_never_taken_for_whole() {
        let good = encoded(&[control(1, vec![b'c']), control(2, vec![b'c'])]);
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
    fn a_batch_follows_one_chain_alone_and_only_with_its_own_body() {
        let bytes = Bytes::from(encoded(&[control(1, vec![b'c'; 2000])]));
        let header = BatchHeader::decode(&bytes, SEED).expect("a header");
        let body = &bytes[BATCH_HEADER_BYTES..];
        assert!(header.follows(Chain::START, body));
        assert!(!header.follows(header.chain, body));
        assert!(!header.follows(Chain::START, &body[1..]));
        let moved = BatchHeader { first: header.end(), ..header };
        assert!(!moved.follows(Chain::START, body), "numbers are part of the chain");
    }

    #[test]
    fn any_bytes_are_decoded_without_a_panic() {
        proptest!(|(bytes: Vec<u8>)| {
            decode_body(FIRST, 3, bytes.clone().into());
            prop_assert!(matches!(decode_batch(&bytes.into(), SEED), Found::Nothing));
        });
    }
}
