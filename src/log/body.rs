//! A batch's records before it has its numbers: summed and hashed where they are appended, put into
//! bytes where they are to go (FORMAT.md, "Record").

use super::Tail;
use super::chain::{BodyHash, BodyHasher, Chain};
use super::fields::{len32, put};
use super::record::{
    BATCH_HEADER_BYTES, BatchHeader, CUT_BYTES, Cut, Entry, Numbered, RECORD_HEADER_BYTES,
    TAG_CONTROL, TAG_CUT, TAG_EVENT,
};
use crate::event::{Control, Event, Record};
use crate::ids::SessionKey;

/// A batch's records, summed and hashed, before it has its numbers.
#[derive(Debug)]
pub(super) struct Body {
    entries: Vec<Entry>,
    /// How many of them are events.
    events: u32,
    bytes: usize,
    checksum: u32,
    hash: BodyHash,
}

impl Body {
    /// Sums and hashes. Takes about a microsecond for each KiB.
    pub(super) fn new(entries: Vec<Entry>) -> Self {
        let (mut sum, mut hasher) = (crc32fast::Hasher::new_with_initial(0), BodyHasher::default());
        for entry in &entries {
            each_part(entry, &mut |part| {
                sum.update(part);
                hasher.update(part);
            });
        }
        Self {
            events: entries.iter().map(Entry::events).sum(),
            bytes: body_bytes(&entries),
            checksum: sum.finalize(),
            hash: hasher.finish(),
            entries,
        }
    }

    /// Puts the records at the end of `out`.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        for entry in &self.entries {
            each_part(entry, &mut |part| out.extend_from_slice(part));
        }
    }

    /// The entries as a batch behind `first`.
    pub(super) fn numbered(&self, first: Tail) -> impl Iterator<Item = Numbered> {
        self.entries.iter().scan(first, |at, entry| {
            let Tail { next_seq: seq, next_lsn: lsn } = *at;
            *at = at.behind(1, entry.events());
            Some(Numbered { lsn, seq, entry: entry.clone() })
        })
    }

    /// Whether all records are events.
    pub(super) fn is_events(&self) -> bool {
        self.entries.len() == self.events as usize
    }

    /// The last cut among the records.
    pub(super) fn cut(&self) -> Option<Cut> {
        self.entries.iter().rev().find_map(|entry| match entry {
            Entry::Cut(cut) => Some(*cut),
            Entry::Record(_) => None,
        })
    }

    /// The header of this body as a batch of `key` behind `first` and `chain`.
    pub(super) fn header(&self, key: SessionKey, first: Tail, chain: Chain) -> BatchHeader {
        let mut header = BatchHeader {
            key,
            first,
            records: len32(self.entries.len()),
            events: self.events,
            body_bytes: len32(self.bytes),
            body_checksum: self.checksum,
            chain,
        };
        header.chain = chain.then(&header.chained(), &self.hash);
        header
    }

    /// What the records take on disk.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes that the batch takes on disk.
    pub(super) fn disk_bytes(&self) -> usize {
        BATCH_HEADER_BYTES + self.bytes
    }
}

/// Bytes that a body of `entries` takes.
pub(super) fn body_bytes(entries: &[Entry]) -> usize {
    let content = |entry: &Entry| match entry {
        Entry::Record(record) => record.len(),
        Entry::Cut(_) => CUT_BYTES,
    };
    entries.iter().map(|entry| RECORD_HEADER_BYTES + content(entry)).sum()
}

/// The bytes of an entry, part by part.
fn each_part(entry: &Entry, take: &mut impl FnMut(&[u8])) {
    let head = |tag: u8, first: u32, second: usize| {
        let mut head = [tag; RECORD_HEADER_BYTES];
        put(&mut head, 1, &first.to_le_bytes());
        put(&mut head, 5, &len32(second).to_le_bytes());
        head
    };
    match entry {
        Entry::Record(Record::Event(Event { name, data })) => {
            let (name, data) = (name.as_bytes(), data.as_bytes());
            take(&head(TAG_EVENT, len32(name.len()), data.len()));
            take(name);
            take(data);
        }
        Entry::Record(Record::Control(Control { kind, bytes })) => {
            take(&head(TAG_CONTROL, u32::from(*kind), bytes.len()));
            take(bytes);
        }
        Entry::Cut(Cut { first, chain }) => {
            take(&head(TAG_CUT, 0, CUT_BYTES));
            take(&first.to_bytes());
            take(&chain.to_bytes());
        }
    }
}
