//! What a check came to: what was read, and what is wrong, in the order of the log.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use crate::ids::SessionKey;
use crate::limits;
use crate::log::Tail;
use crate::log::record::BatchHeader;
use crate::log::segment;

/// What a check came to.
#[derive(Debug)]
pub struct Report {
    /// What was read.
    pub counts: Counts,
    /// What is wrong, in the order of the log, and then what is in doubt; at most
    /// `limits::MAX_VERIFY_FINDINGS`.
    pub findings: Vec<Finding>,
    /// How many more findings there are, all behind those.
    pub more: u64,
    /// The last group, if it is not whole. No fault: it is being written, or a crash came between.
    pub unfinished: Option<Unfinished>,
    /// Whether the end was found.
    pub reach: Reach,
}

/// What was read and counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Segments.
    pub segments: u64,
    /// Indexes that were compared with their segments.
    pub indexes: u64,
    /// Groups.
    pub groups: u64,
    /// Batches that are whole.
    pub batches: u64,
    /// Records in them, events and all others.
    pub records: u64,
    /// Events among those.
    pub events: u64,
    /// Sessions that have a batch.
    pub sessions: u64,
    /// Bytes of the groups.
    pub bytes: u64,
}

/// How far the check came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// To the end of the log, as it was after the check had begun.
    End,
    /// Not there: segments went away faster than they could be read. Whether what they held had been
    /// cut off was not seen, and is not judged.
    TooBusy,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// In which file.
    pub file: String,
    /// Where in it. Of what is missing, where it should be, or the batch in front of which.
    pub bytes: Range<u64>,
    /// What is wrong there.
    pub fault: Fault,
    /// Whose records are concerned, if that is known.
    pub session: Option<SessionKey>,
    /// Which of them.
    pub records: Option<Numbers>,
    /// The numbers of the groups that are lost.
    pub groups: Option<Range<u64>>,
}

/// Records of a session by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbers {
    /// The first ones.
    pub first: Tail,
    /// Those behind the last.
    pub end: Tail,
}

/// What can be wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Nothing, or nothing more, of a segment can be read.
    SegmentUnreadable(String),
    /// A segment's header is damaged in one copy, or says what cannot be.
    DamagedHeader(&'static str),
    /// A batch is not what was written. Its header is.
    DamagedBatch,
    /// Bytes that held batches and are none; whose they were, nobody knows.
    UnreadableRange,
    /// Groups are not there, and no trim accounts for them.
    MissingGroups,
    /// Records are not there, and no trim accounts for them.
    MissingRecords,
    /// Records are not there, and the trim that would account for them may be among others that are
    /// missing behind them.
    MissingOrCutOff,
    /// Numbers were passed over when the log was opened after damage: any records that had them were
    /// lost then.
    PassedOver,
    /// A batch stands behind one that has higher numbers, or is there twice.
    Reordered,
    /// A batch is whole and not what followed the one before it: one of them is altered or of
    /// another place.
    BrokenChain,
    /// The index of a segment does not say what the segment says. Derived: no record is wrong.
    WrongIndex(&'static str),
}

/// The last group, which is not whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// In which file.
    pub file: String,
    /// Where in it: from the first byte that is not as it should be.
    pub bytes: Range<u64>,
    /// Its number.
    pub group: u64,
}

impl Fault {
    /// Its name, for machines.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::SegmentUnreadable(_) => "segment-unreadable",
            Self::DamagedHeader(_) => "damaged-header",
            Self::DamagedBatch => "damaged-batch",
            Self::UnreadableRange => "unreadable-range",
            Self::MissingGroups => "missing-groups",
            Self::MissingRecords => "missing-records",
            Self::MissingOrCutOff => "missing-or-cut-off",
            Self::PassedOver => "passed-over",
            Self::Reordered => "reordered",
            Self::BrokenChain => "broken-chain",
            Self::WrongIndex(_) => "wrong-index",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SegmentUnreadable(why) => write!(f, "cannot be read: {why}"),
            Self::DamagedHeader(what) => write!(f, "the segment's header is damaged: {what}"),
            Self::DamagedBatch => f.write_str("the batch is damaged"),
            Self::UnreadableRange => f.write_str("batches stood here and are unreadable"),
            Self::MissingGroups => f.write_str("groups are missing"),
            Self::MissingRecords => f.write_str("records are missing before this"),
            Self::MissingOrCutOff => f.write_str(
                "records are missing before this, unless one that is missing behind cut them off",
            ),
            Self::PassedOver => f.write_str(
                "numbers were passed over before this, when the log was opened after damage",
            ),
            Self::Reordered => f.write_str("the batch stands behind a later one, or twice"),
            Self::BrokenChain => f.write_str(
                "the batch is not what followed the one before it: altered, exchanged, or \
                 something between them was taken out",
            ),
            Self::WrongIndex(what) => {
                write!(f, "the index does not say what the segment says: {what}")
            }
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, bytes, fault, session, records, groups } = self;
        write!(f, "{file}")?;
        if !bytes.is_empty() {
            write!(f, " bytes {}..{}", bytes.start, bytes.end)?;
        }
        write!(f, ": {fault}")?;
        if let Some(session) = session {
            write!(f, "; session {}", session.session_id())?;
        }
        if let Some(records) = records {
            write!(f, ", {records}")?;
        }
        if let Some(groups) = groups {
            write!(f, "; {}", range("group", groups.start, groups.end))?;
        }
        Ok(())
    }
}

impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, end) = (self.first, self.end);
        let records = range("record", first.next_lsn.get(), end.next_lsn.get());
        let events = range("event", first.next_seq.get(), end.next_seq.get());
        write!(f, "{records}, {events}")
    }
}

/// The numbers from `first` on, up to the one before `end`.
fn range(of: &str, first: u64, end: u64) -> String {
    match end.saturating_sub(first) {
        0 => format!("no {of}"),
        1 => format!("{of} {first}"),
        _ => format!("{of}s {first} to {}", end - 1),
    }
}

impl Numbers {
    pub(super) fn of(header: &BatchHeader) -> Self {
        Self { first: header.first, end: header.end() }
    }
}

/// Where something stands: orders what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct At {
    /// The segment's epoch.
    pub(super) epoch: u64,
    pub(super) bytes: Range<u64>,
}

impl At {
    pub(super) fn new(epoch: u64, bytes: Range<u64>) -> Self {
        Self { epoch, bytes }
    }

    /// A finding about the segment here; more may be said of it.
    pub(super) fn finding(&self, fault: Fault) -> Finding {
        let is_of_index = matches!(fault, Fault::WrongIndex(_));
        let name = if is_of_index { segment::index_name } else { segment::name };
        let file = name(self.epoch);
        let bytes = self.bytes.clone();
        Finding { file, bytes, fault, session: None, records: None, groups: None }
    }
}

impl Finding {
    pub(super) fn of(self, session: SessionKey, records: Numbers) -> Self {
        Self { session: Some(session), records: Some(records), ..self }
    }

    pub(super) fn of_groups(self, groups: Range<u64>) -> Self {
        Self { groups: (!groups.is_empty()).then_some(groups), ..self }
    }
}

/// Collects findings: keeps the first ones, in the order of the log, and counts the rest. What is in
/// doubt comes last.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// By whether it is in doubt, epoch, byte, and when it was found.
    kept: BTreeMap<(bool, u64, u64, u64), Finding>,
    all: u64,
}

impl Findings {
    pub(super) fn add(&mut self, at: &At, finding: Finding) {
        let is_doubtful = finding.fault == Fault::MissingOrCutOff;
        self.kept.insert((is_doubtful, at.epoch, at.bytes.start, self.all), finding);
        self.all += 1;
        if self.kept.len() > limits::MAX_VERIFY_FINDINGS {
            self.kept.pop_last();
        }
    }

    /// The first ones, and how many more there are.
    pub(super) fn finish(self) -> (Vec<Finding>, u64) {
        let more = self.all - self.kept.len() as u64;
        (self.kept.into_values().collect(), more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Lsn, Seq};

    fn at(epoch: u64, byte: u64) -> At {
        At::new(epoch, byte..byte + 10)
    }

    #[test]
    fn a_finding_names_file_bytes_session_and_numbers() {
        let tail = |lsn, seq| Tail { next_lsn: Lsn::new(lsn), next_seq: Seq::new(seq) };
        let numbers = Numbers { first: tail(5, 3), end: tail(9, 4) };
        let key = SessionKey::from_bytes([0xab; 16]);
        let finding = at(2, 1024).finding(Fault::DamagedBatch).of(key, numbers);
        assert_eq!(
            finding.to_string(),
            "segment-0000000000000002.log bytes 1024..1034: the batch is damaged; session \
             sess_abababababababababababababababab, records 5 to 8, event 3"
        );
        let groups = At::new(3, 0..0).finding(Fault::MissingGroups).of_groups(7..8);
        assert_eq!(groups.to_string(), "segment-0000000000000003.log: groups are missing; group 7");
        let none = Numbers { first: tail(5, 3), end: tail(6, 3) };
        assert_eq!(none.to_string(), "record 5, no event");
        let index = at(2, 0).finding(Fault::WrongIndex("a session is missing"));
        assert!(index.to_string().starts_with("segment-0000000000000002.idx bytes 0..10: the "));
    }

    #[test]
    fn the_first_findings_are_kept_in_the_order_of_the_log_whenever_they_come() {
        let mut findings = Findings::default();
        let most = limits::MAX_VERIFY_FINDINGS as u64;
        for n in (0..most + 5).rev() {
            let at = at(n / 10, n % 10);
            findings.add(&at, at.finding(Fault::UnreadableRange));
        }
        let first = at(0, 0);
        findings.add(&first, first.finding(Fault::MissingGroups));
        let (kept, more) = findings.finish();
        assert_eq!((kept.len() as u64, more), (most, 6));
        assert_eq!(kept[1].fault, Fault::MissingGroups, "those of one place as they were found");
        let places = kept.iter().map(|f| (f.file.clone(), f.bytes.start));
        assert!(places.is_sorted());
    }
}
