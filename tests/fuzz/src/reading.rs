//! What a cursor shows of a session, apart from how it is divided into steps.

use afterbay::event::{Control, Event, Seq};
use afterbay::log::{Log, Logged, Step};

use super::support::log_model::next;

/// A record, or what is gone.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    Event(Seq, Event),
    Control(Control),
    /// Both ends included. Two never follow each other.
    Gap(Seq, Seq),
}

/// Everything in the log of a store that is closed.
pub(crate) async fn to_the_end(log: &Log) -> Vec<Shown> {
    let mut cursor = log.cursor(Seq::START);
    let mut shown = Vec::new();
    loop {
        let before = cursor.next_lsn();
        match next(&mut cursor).await.expect("read") {
            Step::End => return shown,
            step @ (Step::Records(_) | Step::Gap { .. }) => take(&mut shown, step),
        }
        assert!(cursor.next_lsn() >= before, "the cursor goes back");
    }
}

/// Reads the log of an open store until it has shown as much as was shown before.
pub(crate) async fn the_same(log: &Log, before: &[Shown]) {
    let mut cursor = log.cursor(Seq::START);
    let mut shown = Vec::new();
    while shown.as_slice() != before {
        assert!(shown.len() <= before.len(), "{shown:?} is not {before:?}");
        take(&mut shown, next(&mut cursor).await.expect("read"));
    }
}

fn take(shown: &mut Vec<Shown>, step: Step) {
    match step {
        Step::Records(records) => {
            assert!(!records.is_empty(), "a step of nothing");
            shown.extend(records.into_iter().map(|logged| match logged {
                Logged::Event { seq, event } => Shown::Event(seq, event),
                Logged::Control(control) => Shown::Control(control),
            }));
        }
        Step::Gap { from, to } => match shown.last_mut() {
            Some(Shown::Gap(_, end)) if end.next() == from => *end = to,
            _ => shown.push(Shown::Gap(from, to)),
        },
        Step::End => panic!("the end"),
    }
}

/// The numbers of what is shown go up, and only a gap lets some of them out.
pub(crate) fn check_order(shown: &[Shown]) {
    let mut last = Seq::START;
    for shown in shown {
        let (from, to) = match shown {
            Shown::Control(_) => continue,
            Shown::Event(seq, _) => (*seq, *seq),
            Shown::Gap(from, to) => (*from, *to),
        };
        assert!(from == last.next() && to >= from, "{from} to {to} behind {last}");
        last = to;
    }
}
