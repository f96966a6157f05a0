//! What goes of turns that are over, what is remembered of them, and what readers see of it; over the
//! real sessions, turns and log.

mod crashes;
mod cuts;
mod doors;
mod pressure;
mod program;
mod readers;
mod tombs;
mod usage;

use std::time::Duration;

use afterbay::event::Seq;
use afterbay::log::{Cursor, Logged, Step};
use afterbay::session::Session;
use afterbay::session::retention::Keep;
use afterbay::upstream::Ending;

use super::support::puppet::GOOD;
use super::support::rig::{Rig, within};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// When a turn that has just ended is too old, with the slack.
pub(super) const TOO_OLD: Duration = Duration::from_secs(8 * 24 * 60 * 60);

/// What a reader sees.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Event(u64, String),
    Gap(u64, u64),
}

/// Everything behind `after` up to the tail.
async fn seen(session: &Session, after: u64) -> Vec<Seen> {
    let mut cursor = session.cursor(Seq::new(after));
    seen_by(&mut cursor, after, session.tail().next_seq.get() - 1).await
}

/// The same by a given cursor, which stands at `after`, up to the event `last`.
async fn seen_by(cursor: &mut Cursor, after: u64, last: u64) -> Vec<Seen> {
    let (mut seen, mut at) = (Vec::new(), after);
    while at < last {
        match within("the log is read", cursor.next()).await.expect("readable") {
            Step::Records(records) => {
                for logged in records {
                    let Logged::Event { seq, event } = logged else { continue };
                    assert_eq!(seq.get(), at + 1, "numbers have a hole that is no gap");
                    at = seq.get();
                    let data = event.data.as_bytes();
                    seen.push(Seen::Event(at, String::from_utf8_lossy(data).into_owned()));
                }
            }
            Step::Gap { from, to } => {
                assert_eq!(from.get(), at + 1, "a gap that does not begin where the reader is");
                at = to.get();
                seen.push(Seen::Gap(from.get(), at));
            }
            Step::End => panic!("the end before {last}"),
        }
    }
    seen
}

/// The numbers of what was seen, gaps as their ends.
fn numbers(seen: &[Seen]) -> Vec<(u64, u64)> {
    let ends = |seen: &Seen| match seen {
        Seen::Event(seq, _) => (*seq, *seq),
        Seen::Gap(from, to) => (*from, *to),
    };
    seen.iter().map(ends).collect()
}

/// A rig that keeps so much.
fn rig(keep: Keep) -> Rig {
    Rig::keeping(1, keep)
}

/// Runs a turn of session `s` in which these things are said to its end: `says + 3` events.
async fn run(rig: &Rig, execution: &str, turn: Option<&str>, says: &[&str]) {
    for text in says {
        rig.puppet.says(execution, text);
    }
    rig.puppet.ends(execution, Ending::Completed);
    let started = rig.post_as(Some(GOOD), Some("s"), Some(execution), turn).await;
    assert!(started.expect("started").new);
    rig.ended(execution).await;
}

/// The numbers of a turn's first and last event, if it is known and over.
fn range(rig: &Rig, execution: &str) -> Option<(u64, u64)> {
    let turn = rig.turn(execution)?;
    Some((turn.from.get(), turn.last()?.get()))
}
