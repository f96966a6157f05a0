//! Whether the frames of a capture are those that their turns' `done` speak of.
//!
//! Pure, one frame at a time. The ids of a session have no holes, so a jump is a loss if a turn that
//! is told to be whole lies across it, and else only a turn that nobody has captured. Where a turn
//! began is known at its end alone, so it is guessed from the frames and held against the end: a
//! wrong guess can only fail a turn, and never pass one.
//!
//! A frame that comes again is compared with the first one by a mark. Of very long captures the
//! oldest marks are let go; what comes again then is said to be beyond comparison.

use std::collections::BTreeMap;

use serde_json::Value;

use super::capture::{Block, Content, Frame};
use super::report::{Counts, Finding, Line};
use crate::event::{Event, Seq, WireJson};
use crate::ids::ExecutionId;
use crate::limits;
use crate::turn::transcript::Transcript;

/// Reads blocks in their order and says what it makes of them.
#[derive(Debug)]
pub(super) struct Checker {
    /// The frames from where a turn may have begun, as far as they follow each other.
    transcript: Transcript,
    /// The highest id so far.
    highest: Seq,
    /// The first id since the last `done`.
    open: Option<Seq>,
    /// Ids since the last `done` that were jumped over, both ends included.
    holes: Vec<(Seq, Seq)>,
    /// What was found since the last `done`.
    findings: Vec<Finding>,
    /// Findings that found no place.
    more: u64,
    /// The last frame was a `result`: if no `done` follows, the next one begins a turn.
    after_result: bool,
    marks: BTreeMap<Seq, blake3::Hash>,
    /// A broken frame, until it is known whether it is the beginning of one that comes later.
    held: Option<Frame>,
    /// So many marks are kept.
    most_marks: usize,
    /// Ids up to this one have no mark any more.
    forgotten: Seq,
    /// Frames without an id that may be without.
    last_words: u64,
    counts: Counts,
}

/// What a `done` tells of the frames before it.
enum Told {
    Nothing,
    /// It has the fields, but not as afterbay writes them.
    Nonsense,
    Sum {
        events: u64,
        digest: String,
    },
}

impl Checker {
    pub(super) fn new() -> Self {
        Self {
            transcript: Transcript::begin(Seq::START.next()),
            highest: Seq::START,
            open: None,
            holes: Vec::new(),
            findings: Vec::new(),
            more: 0,
            after_result: false,
            marks: BTreeMap::new(),
            held: None,
            most_marks: limits::MAX_TRANSCRIPT_MARKS,
            forgotten: Seq::START,
            last_words: 0,
            counts: Counts::default(),
        }
    }

    /// The highest id so far.
    pub(super) const fn highest(&self) -> Seq {
        self.highest
    }

    /// Takes the next block; what there is to say by now.
    pub(super) fn take(&mut self, block: Block) -> Vec<Line> {
        match block {
            Block::Frame(frame) => self.take_frame(frame),
            Block::Unnumbered(name) => {
                // The last words of a turn that the box never took are in no log.
                if ["error", "result", "done"].contains(&name.as_str()) {
                    self.last_words += 1;
                } else {
                    self.find(Finding::Unnumbered);
                }
                Vec::new()
            }
            Block::BadId(text) => {
                self.find(Finding::BadId(text));
                Vec::new()
            }
            // If it came again it is there, and else its id is missing.
            Block::Torn => Vec::new(),
        }
    }

    /// The end of the capture.
    pub(super) fn finish(mut self) -> (Vec<Line>, Counts) {
        let held = self.held.take();
        let mut lines = held.map(|frame| self.look_at(frame)).unwrap_or_default();
        lines.extend(self.without_done(self.highest.next()));
        lines.extend(self.strays(Vec::new()));
        if self.last_words > 0 {
            lines.push(Line::LastWords(self.last_words));
        }
        let mut counts = self.counts;
        counts.add(&lines);
        (lines, counts)
    }

    fn take_frame(&mut self, frame: Frame) -> Vec<Line> {
        let mut lines = Vec::new();
        match self.held.take() {
            // A connection that began further back will come to it.
            Some(held) if frame.id < held.id => self.held = Some(held),
            Some(held) if held.begins(&frame) => {}
            Some(held) => lines = self.look_at(held),
            None => {}
        }
        if self.held.is_none() && matches!(frame.content, Content::Broken { .. }) {
            self.held = Some(frame);
        } else {
            lines.extend(self.look_at(frame));
        }
        lines
    }

    fn look_at(&mut self, frame: Frame) -> Vec<Line> {
        let Frame { id, mark, content } = frame;
        let event = match content {
            Content::Event(event) => Some(event),
            Content::Broken { .. } => None,
        };
        if event.as_ref().is_some_and(|event| tells_of_a_gap(id, event)) {
            return Vec::new();
        }
        match self.marks.get(&id) {
            Some(first) if *first == mark => return Vec::new(),
            Some(_) => self.find(Finding::Doubled(id)),
            None if id <= self.forgotten => self.find(Finding::Forgotten(id)),
            None => {
                self.remember(id, mark);
                if id > self.highest {
                    return self.follow(id, event);
                }
                self.fill(id);
                self.find(Finding::Late { id, behind: self.highest });
            }
        }
        Vec::new()
    }

    /// A frame with a higher id than all before it.
    fn follow(&mut self, id: Seq, event: Option<Event>) -> Vec<Line> {
        let expected = self.highest.next();
        if id != expected {
            self.jump(expected, id.previous());
        }
        let begins = event.as_ref().is_some_and(|event| {
            event.name == *"execution.started" || self.after_result && event.name != *"done"
        });
        if begins || id != expected {
            self.transcript = Transcript::begin(id);
        }
        self.highest = id;
        self.open.get_or_insert(id);
        self.after_result = event.as_ref().is_some_and(|event| event.name == *"result");
        match event {
            Some(event) if event.name == *"done" => self.conclude(id, &event.data),
            Some(event) => {
                // Out of step behind a broken frame alone, and that one fails the turn.
                let _ = self.transcript.take(id, &event);
                Vec::new()
            }
            None => {
                self.find(Finding::Broken(id));
                Vec::new()
            }
        }
    }

    /// A turn's `done`: everything about the turn is known.
    fn conclude(&mut self, id: Seq, data: &WireJson) -> Vec<Line> {
        let json: Value = serde_json::from_slice(data.as_bytes()).unwrap_or_default();
        let text = json.get("executionId").and_then(Value::as_str).unwrap_or_default();
        let execution = ExecutionId::parse(text).ok();
        let lines = match told(&json) {
            Told::Nothing => {
                let from = self.open.unwrap_or(id);
                let mut lines = vec![Line::WithoutDigest { execution, from, done: id }];
                lines.extend(self.strays(Vec::new()));
                lines
            }
            Told::Sum { events, digest } if events < id.get() => {
                let first = Seq::new(id.get() - events);
                let mut lines: Vec<Line> = self.without_done(first).into_iter().collect();
                let (mut own, strays) = self.findings_from(first);
                if own.iter().all(|finding| matches!(finding, Finding::Doubled(_))) {
                    own.extend(self.difference(first, &digest));
                }
                lines.push(Line::Turn { execution, first, done: id, findings: own });
                lines.extend(self.strays(strays));
                lines
            }
            Told::Nonsense | Told::Sum { .. } => {
                let mut findings = std::mem::take(&mut self.findings);
                findings.push(Finding::Nonsense);
                let first = self.transcript.first();
                vec![Line::Turn { execution, first, done: id, findings }]
            }
        };
        self.transcript = Transcript::begin(id.next());
        self.open = None;
        self.holes.clear();
        self.counts.add(&lines);
        lines
    }

    /// What differs between the frames from `first` on and those that the digest was taken over.
    fn difference(&self, first: Seq, digest: &str) -> Option<Finding> {
        let begun = self.transcript.first();
        if begun != first {
            return Some(Finding::Elsewhere { told: first, found: begun });
        }
        let same = self.transcript.sum().digest.to_hex().as_str() == digest;
        (!same).then_some(Finding::Altered)
    }

    /// What was found of the turn that begins with `first`, and what of others.
    fn findings_from(&mut self, first: Seq) -> (Vec<Finding>, Vec<Finding>) {
        let missing = self.holes.iter().filter(|(_, to)| *to >= first);
        let missing =
            missing.map(|(from, to)| Finding::Missing { from: *from.max(&first), to: *to });
        let found = std::mem::take(&mut self.findings).into_iter();
        missing.chain(found).partition(|finding| finding.id().is_none_or(|id| id >= first))
    }

    /// Findings that are of no turn that is told to be whole.
    fn strays(&mut self, mut strays: Vec<Finding>) -> Option<Line> {
        strays.append(&mut self.findings);
        let more = std::mem::take(&mut self.more);
        let line = Line::Stray { findings: strays, more };
        (!line.is_empty()).then_some(line)
    }

    /// Frames before `first` that no `done` has closed.
    fn without_done(&self, first: Seq) -> Option<Line> {
        let from = self.open.filter(|open| *open < first)?;
        let (to, _) = self.marks.range(from..first).next_back()?;
        Some(Line::WithoutDone { from, to: *to })
    }

    fn find(&mut self, finding: Finding) {
        if self.findings.len() < limits::MAX_TRANSCRIPT_FINDINGS {
            self.findings.push(finding);
        } else {
            self.more += 1;
        }
    }

    /// Ids were jumped over. Of many such places the last ones are kept: a turn that lies across an
    /// earlier one lies across them, too.
    fn jump(&mut self, from: Seq, to: Seq) {
        if self.holes.len() >= limits::MAX_TRANSCRIPT_FINDINGS {
            self.holes.remove(0);
        }
        self.holes.push((from, to));
    }

    /// An id that was jumped over is there after all.
    fn fill(&mut self, id: Seq) {
        let Some(at) = self.holes.iter().position(|(from, to)| (*from..=*to).contains(&id)) else {
            return;
        };
        let (from, to) = self.holes.remove(at);
        let around = [(from, id.previous()), (id.next(), to)];
        let left = around.into_iter().filter(|(from, to)| from <= to);
        self.holes.splice(at..at, left);
    }

    fn remember(&mut self, id: Seq, mark: blake3::Hash) {
        self.marks.insert(id, mark);
        if self.marks.len() > self.most_marks
            && let Some((oldest, _)) = self.marks.pop_first()
        {
            self.forgotten = oldest;
        }
    }
}

fn told(done: &Value) -> Told {
    match (done.get("events"), done.get("digest")) {
        (None, None) => Told::Nothing,
        (Some(events), Some(digest)) => match (events.as_u64(), digest.as_str()) {
            (Some(events), Some(digest)) => Told::Sum { events, digest: digest.to_owned() },
            _ => Told::Nonsense,
        },
        _ => Told::Nonsense,
    }
}

/// Whether this is not the event with that id, but the word that events up to it are gone.
fn tells_of_a_gap(id: Seq, event: &Event) -> bool {
    if event.name != *"warning" {
        return false;
    }
    let json: Value = serde_json::from_slice(event.data.as_bytes()).unwrap_or_default();
    let is = |name: &str, value: &Value| json.get(name) == Some(value);
    is("code", &"EVENTS_EXPIRED".into()) && is("to", &id.get().into())
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
