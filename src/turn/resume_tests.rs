//! Folding what a log says of a session's turns: whole, damaged, and with its oldest part cut off.

use proptest::prelude::*;

use super::*;
use crate::ids::{BoxName, ExecutionId, SessionId};
use crate::upstream::CursorDelta;

fn accepted(at_ms: u64) -> TurnRecord {
    TurnRecord::Accepted(Accepted {
        at_ms,
        box_name: BoxName::default_box(),
        client_session: None,
        execution: ExecutionId::mint(),
        turn: None,
        starter: None,
        by_own_token: false,
        body_digest: [0; 32],
        text: None,
        trace: None,
    })
}

fn prepared(at_ms: u64) -> TurnRecord {
    TurnRecord::Prepared(control::Prepared { at_ms, session: None, notes: String::new() })
}

fn dispatched(at_ms: u64) -> TurnRecord {
    let session = SessionId::parse("ses_1").expect("an id");
    TurnRecord::Dispatched(Dispatched { at_ms, session, execution: None })
}

fn finished() -> TurnRecord {
    TurnRecord::Finished(Finished { at_ms: 0, outcome: "completed".into(), code: None })
}

fn history(records: impl IntoIterator<Item = (TurnRecord, u64)>) -> History {
    let mut history = History::default();
    for (record, next_seq) in records {
        history.fold(record, Seq::new(next_seq));
    }
    history
}

#[test]
fn a_finished_turn_knows_its_first_and_last_event() {
    let got = history([(accepted(0), 4), (prepared(0), 4), (dispatched(0), 4), (finished(), 9)]);
    let [turn] = got.finished.as_slice() else { panic!("one turn") };
    assert_eq!((turn.from, turn.last), (Seq::new(4), Seq::new(8)));
    assert!(got.unfinished.is_none());
}

#[test]
fn a_withdrawn_turn_leaves_nothing() {
    let got = history([(accepted(0), 1), (prepared(0), 1), (TurnRecord::Withdrawn, 1)]);
    assert!(got.finished.is_empty() && got.unfinished.is_none());
}

#[test]
fn a_turn_whose_end_was_damaged_away_stays_known_and_is_over() {
    for sent in [prepared(0), dispatched(0)] {
        let got = history([(accepted(0), 1), (sent, 1), (accepted(9), 4), (finished(), 6)]);
        let [one, two] = got.finished.as_slice() else { panic!("two turns") };
        assert_eq!((one.from, one.last), (Seq::new(1), Seq::new(3)));
        assert_eq!((two.from, two.last), (Seq::new(4), Seq::new(5)));
    }
    let got = history([(accepted(0), 1), (accepted(9), 1), (finished(), 3)]);
    assert_eq!(got.finished.len(), 1);
}

#[test]
fn an_unfinished_turn_resumes_where_its_last_record_says() {
    let stage = |records: Vec<(TurnRecord, u64)>| {
        let point = history(records).unfinished.expect("unfinished").point(10_000);
        (point.stage, point.accepted_ago.as_secs(), point.stage_ago.as_secs())
    };
    assert_eq!(stage(vec![(accepted(4_000), 1)]), (Stage::Accepted, 6, 6));
    assert_eq!(stage(vec![(accepted(4_000), 1), (prepared(5_000), 1)]), (Stage::Prepared, 6, 5));
    let all = vec![(accepted(4_000), 1), (prepared(5_000), 1), (dispatched(8_000), 1)];
    assert_eq!(stage(all), (Stage::Dispatched, 6, 2));
}

#[test]
fn a_clock_that_went_back_gives_no_time_away() {
    let unfinished = history([(accepted(50_000), 1)]).unfinished.expect("unfinished");
    assert_eq!(unfinished.point(10_000).accepted_ago, Duration::ZERO);
}

#[test]
fn the_cursor_is_folded_from_every_poll_record() {
    let delta = |name: &str| {
        let mut delta = CursorDelta::default();
        delta.set(name, "1".into());
        TurnRecord::Polled(delta)
    };
    let got = history([(accepted(0), 1), (delta("a"), 2), (delta("b"), 3)]);
    let cursor = got.unfinished.expect("unfinished").cursor;
    assert_eq!((cursor.get("a"), cursor.get("b")), (Some("1"), Some("1")));
}

/// What happens to a session, in its order.
#[derive(Debug, Clone)]
enum Happens {
    /// A turn runs to its end, with so many events.
    Turn(u64),
    /// A turn begins and goes on to the end of the story, with so many events so far.
    Runs(u64),
    Withdrawn,
    Reader(u8),
    Cancel,
    /// Everything up to the end of the turn of this place (modulo their number) is cut off.
    Trim(usize),
}

/// A session's records, with which of them were cut off by now.
#[derive(Debug, Default)]
struct Story {
    records: Vec<(TurnRecord, u64)>,
    /// The place behind each turn's last record, with the number of its last event.
    ends: Vec<(usize, u64)>,
    next_seq: u64,
    /// Records in front of this place are cut off.
    cut: usize,
}

impl Story {
    fn of(happenings: &[Happens]) -> Self {
        let mut story = Self { next_seq: 1, ..Self::default() };
        for happening in happenings {
            match happening {
                Happens::Turn(events) => {
                    story.begin(*events);
                    story.tell(finished());
                    story.ends.push((story.records.len(), story.next_seq - 1));
                }
                Happens::Runs(events) => story.begin(*events),
                Happens::Withdrawn => {
                    story.tell(accepted(1));
                    story.tell(prepared(2));
                    story.tell(TurnRecord::Withdrawn);
                }
                Happens::Reader(n) => {
                    story.tell(TurnRecord::ReaderAdded(CredentialHash::from_bytes([*n; 32])));
                }
                Happens::Cancel => story.tell(TurnRecord::CancelAsked(ExecutionId::mint())),
                Happens::Trim(which) => story.trim(*which),
            }
        }
        story
    }

    fn tell(&mut self, record: TurnRecord) {
        self.records.push((record, self.next_seq));
    }

    fn begin(&mut self, events: u64) {
        self.tell(accepted(1));
        self.tell(prepared(2));
        self.tell(dispatched(3));
        self.next_seq += events;
        let mut delta = CursorDelta::default();
        delta.set("at", events.to_string());
        self.tell(TurnRecord::Polled(delta));
    }

    /// What the session's task writes, from what it knows, which is what a fold of it all tells.
    fn trim(&mut self, which: usize) {
        let left: Vec<_> = self.ends.iter().filter(|(at, _)| *at > self.cut).copied().collect();
        let Some((cut, through)) = left.get(which % left.len().max(1)).copied() else { return };
        let History { finished, readers, .. } = history(self.records.iter().cloned());
        let through = Seq::new(through);
        let gone = finished.into_iter().filter(|turn| turn.last <= through);
        let trimmed_ms = Some(self.records.len() as u64);
        let turns = gone.map(|t| FinishedTurn { trimmed_ms: t.trimmed_ms.or(trimmed_ms), ..t });
        let origin = Origin {
            box_name: BoxName::default_box(),
            client_session: None,
            box_session: None,
            owner: None,
        };
        let (turns, readers) = (turns.collect(), readers.into_iter().collect());
        self.tell(TurnRecord::Trimmed(Trimmed { at_ms: 4, through, origin, turns, readers }));
        self.cut = cut;
    }
}

fn happens() -> impl Strategy<Value = Vec<Happens>> {
    let one = prop_oneof![
        4 => (1_u64..9).prop_map(Happens::Turn),
        1 => Just(Happens::Withdrawn),
        1 => (0_u8..4).prop_map(Happens::Reader),
        1 => Just(Happens::Cancel),
        3 => (0_usize..6).prop_map(Happens::Trim),
    ];
    let story = proptest::collection::vec(one, 0..12);
    let while_it_runs = proptest::collection::vec((0_usize..6).prop_map(Happens::Trim), 0..3);
    (story, proptest::option::of(0_u64..9), while_it_runs).prop_map(|(mut story, runs, trims)| {
        if let Some(events) = runs {
            story.push(Happens::Runs(events));
            story.extend(trims);
        }
        story
    })
}

#[test]
fn what_was_cut_off_folds_the_same_whether_all_or_some_or_none_of_it_is_still_there() {
    proptest!(ProptestConfig::with_cases(3000), |(happens in happens(), seed: [bool; 64])| {
        let story = Story::of(&happens);
        let whole = history(story.records.iter().cloned());
        let is_there = |at: usize| at >= story.cut || seed[at % seed.len()];
        let records = story.records.iter().enumerate().filter(|(at, _)| is_there(*at));
        prop_assert_eq!(&history(records.map(|(_, record)| record.clone())), &whole);
        let rest = story.records.iter().skip(story.cut).cloned();
        prop_assert_eq!(&history(rest), &whole);
        let runs = happens.iter().any(|happens| matches!(happens, Happens::Runs(_)));
        prop_assert_eq!(whole.unfinished.is_some(), runs);
    });
}

#[test]
fn a_trim_turns_what_it_cut_off_into_tombstones_and_leaves_all_else_alone() {
    let happens = [Happens::Turn(4), Happens::Turn(5), Happens::Turn(6), Happens::Runs(2)];
    let before = history(Story::of(&happens).records);
    let mut story = Story::of(&happens);
    story.trim(1);
    let after = history(story.records.clone());
    let ranges = |history: &History| -> Vec<_> {
        history.finished.iter().map(|turn| (turn.from.get(), turn.last.get())).collect()
    };
    assert_eq!(ranges(&after), ranges(&before));
    let dead: Vec<_> = after.finished.iter().map(|turn| turn.trimmed_ms.is_some()).collect();
    assert_eq!((dead, after.trimmed), (vec![true, true, false], Seq::new(9)));
    assert_eq!(after.unfinished.map(|turn| turn.from), before.unfinished.map(|turn| turn.from));
}
