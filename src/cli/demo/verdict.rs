//! Whether it went as told: what both clients saw against what the box says it did.
//!
//! Pure. Each difference is one sentence, so that a demo that fails says why.

use super::client::Ended;
use super::seen::{Parts, Seen};

/// What the box says about a turn.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct BoxSays {
    /// How often it ran the prompt.
    pub(super) runs: u32,
    /// Whether it came to the end of it.
    pub(super) finished: bool,
    /// The answer, as the box keeps it.
    pub(super) answer: String,
    /// All parts, as they were at last.
    pub(super) parts: Parts,
}

/// One of the two turns.
#[derive(Debug, Clone)]
pub(super) struct Told {
    /// How it ended for the client.
    pub(super) ended: Ended,
    /// What the client saw.
    pub(super) seen: Seen,
    /// What the box did.
    pub(super) by_box: BoxSays,
}

impl Told {
    /// How many parts the client has seen as they were at last.
    pub(super) fn parts_seen(&self) -> usize {
        let whole = |(id, part)| self.seen.parts.get(id) == Some(part);
        self.by_box.parts.iter().filter(|(id, part)| whole((*id, *part))).count()
    }
}

/// Whether afterbay was killed and started again before the turn's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kill {
    /// It was, while the box was at work.
    InMidTurn,
    /// The box's work was over before there was a silence to do it in.
    TooLate,
}

/// What is not as it should be; empty if it went as told.
pub(super) fn differences(direct: &Told, through: &Told, kill: Kill) -> Vec<&'static str> {
    let mut found = Vec::new();
    let mut expect = |holds: bool, difference| {
        if !holds {
            found.push(difference);
        }
    };
    let Told { ended, seen, by_box } = direct;
    expect(*ended == Ended::Lost, "straight: the client was not turned away, it has its answer");
    expect(seen.cuts > 0, "straight: the stream was not cut");
    expect(!seen.parts.is_empty(), "straight: no part of the work was seen before the cut");
    expect(seen.done == 0 && seen.answer.is_none(), "straight: an answer arrived");
    expect(seen.parts != by_box.parts, "straight: all of the work was seen");
    expect(by_box.finished, "straight: the box did not finish the turn");
    expect(by_box.runs == 1, "straight: the box did not run the turn exactly once");
    let Told { ended, seen, by_box } = through;
    expect(kill != Kill::TooLate, "through afterbay: it was not killed in mid-turn");
    expect(seen.refused > 0, "through afterbay: the client did not notice the kill");
    expect(*ended == Ended::Done, "through afterbay: the client gave up");
    expect(seen.done == 1, "through afterbay: there was not exactly one done");
    expect(seen.missing == 0, "through afterbay: events are missing");
    expect(seen.doubled == 0, "through afterbay: events came twice");
    expect(seen.unnumbered == 0, "through afterbay: events came without a number");
    expect(seen.parts == by_box.parts, "through afterbay: not all of the work was seen");
    expect(by_box.finished, "through afterbay: the box did not finish the turn");
    expect(by_box.runs == 1, "through afterbay: the box did not run the turn exactly once");
    expect(
        !by_box.answer.is_empty() && seen.answer.as_ref() == Some(&by_box.answer),
        "through afterbay: the answer is not the box's",
    );
    found
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn parts(names: &[&str]) -> Parts {
        names.iter().map(|name| ((*name).to_owned(), Value::from(*name))).collect()
    }

    fn by_box() -> BoxSays {
        BoxSays { runs: 1, finished: true, answer: "good".to_owned(), parts: parts(&["a", "b"]) }
    }

    fn direct() -> Told {
        let seen = Seen { events: 5, last: 5, parts: parts(&["a"]), cuts: 1, ..Seen::default() };
        Told { ended: Ended::Lost, seen, by_box: by_box() }
    }

    fn through() -> Told {
        let seen = Seen {
            parts: parts(&["b", "a"]),
            done: 1,
            answer: Some("good".to_owned()),
            refused: 1,
            ..Seen::default()
        };
        Told { ended: Ended::Done, seen, by_box: by_box() }
    }

    const KILLED: Kill = Kill::InMidTurn;

    #[test]
    fn nothing_differs_when_it_goes_as_told() {
        assert_eq!(differences(&direct(), &through(), KILLED), [""; 0]);
    }

    #[test]
    fn each_thing_that_differs_is_named() {
        type Change = fn(&mut Told);
        let of_direct: [(Change, &str); 8] = [
            (|t| t.ended = Ended::Done, "was not turned away"),
            (|t| t.seen.cuts = 0, "was not cut"),
            (|t| t.seen.parts = parts(&[]), "no part"),
            (|t| t.seen.parts = parts(&["a", "b"]), "all of the work"),
            (|t| t.seen.done = 1, "an answer arrived"),
            (|t| t.seen.answer = Some(String::new()), "an answer arrived"),
            (|t| t.by_box.finished = false, "did not finish"),
            (|t| t.by_box.runs = 2, "exactly once"),
        ];
        for (change, named) in of_direct {
            let mut direct = direct();
            change(&mut direct);
            check(&differences(&direct, &through(), KILLED), "straight: ", named);
        }
        let of_through: [(Change, &str); 11] = [
            (|t| t.seen.refused = 0, "did not notice the kill"),
            (|t| t.ended = Ended::Lost, "gave up"),
            (|t| t.seen.done = 2, "exactly one done"),
            (|t| t.seen.missing = 1, "are missing"),
            (|t| t.seen.doubled = 1, "came twice"),
            (|t| t.seen.unnumbered = 1, "without a number"),
            (|t| t.seen.parts = parts(&["a"]), "not all of the work"),
            (|t| t.by_box.finished = false, "did not finish"),
            (|t| t.by_box.runs = 0, "exactly once"),
            (|t| t.seen.answer = None, "is not the box's"),
            (|t| (t.seen.answer, t.by_box.answer) = (Some(String::new()), String::new()), "answer"),
        ];
        for (change, named) in of_through {
            let mut through = through();
            change(&mut through);
            check(&differences(&direct(), &through, KILLED), "through afterbay: ", named);
        }
        check(&differences(&direct(), &through(), Kill::TooLate), "through afterbay: ", "killed");
    }

    #[test]
    fn only_parts_as_they_were_at_last_count_as_seen() {
        let mut told = through();
        assert_eq!(told.parts_seen(), 2);
        told.seen.parts.insert("a".to_owned(), Value::from("half"));
        assert_eq!(told.parts_seen(), 1);
    }

    #[track_caller]
    fn check(found: &[&str], whose: &str, named: &str) {
        let [one] = found else { panic!("{named}: {found:?}") };
        assert!(one.starts_with(whose) && one.contains(named), "{one}");
    }
}
