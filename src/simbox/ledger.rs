//! Keeps the account while things happen; outside of what a crash forgets.
//!
//! A turn is found again by any of its execution ids, or by its session (supplied or given) and
//! turn id. It only counts: nothing that the box does depends on it, except which attempt of a
//! turn a dispatch is and which run of it the agent makes.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::account::{Account, State, Text, Totals, Turn, Version};

/// The number of a turn in the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct TurnNo(usize);

/// The names that a dispatch came with.
#[derive(Debug, Clone)]
pub(super) struct Names {
    /// The execution id, its own or minted.
    pub(super) execution: String,
    /// The session id that was supplied.
    pub(super) session: Option<String>,
    /// The turn id.
    pub(super) turn: Option<String>,
}

/// Which route was polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Poll {
    Status,
    Messages,
    Result,
}

#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<Books>);

#[derive(Debug, Default)]
struct Books {
    turns: Vec<Entry>,
    by_execution: HashMap<String, TurnNo>,
    by_turn: HashMap<(String, String), TurnNo>,
    /// Sums that no turn has a part in; the others are added up when they are asked for.
    totals: Totals,
    streams: u64,
}

#[derive(Debug, Default)]
struct Entry {
    turn: Turn,
    /// Since when each open stream is silent.
    open: HashMap<u64, Instant>,
}

impl Entry {
    fn broke_silence(&mut self, since: Instant) {
        let silence = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.turn.longest_silence_ms = self.turn.longest_silence_ms.max(silence);
    }
}

impl Ledger {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T: Default>(&self, no: TurnNo, change: impl FnOnce(&mut Entry) -> T) -> T {
        self.books().turns.get_mut(no.0).map(change).unwrap_or_default()
    }

    /// Notes a dispatch; says whose it is and which attempt of that turn, from 1.
    pub(super) fn dispatched(&self, names: &Names) -> (TurnNo, u32) {
        let mut books = self.books();
        let Books { turns, by_execution, by_turn, .. } = &mut *books;
        let by_names = names.session.clone().zip(names.turn.clone());
        let known = by_execution.get(&names.execution).copied();
        let known = known.or_else(|| by_turn.get(by_names.as_ref()?).copied());
        let no = known.unwrap_or_else(|| {
            let turn = Turn {
                supplied_session: names.session.clone(),
                turn_id: names.turn.clone(),
                ..Turn::default()
            };
            turns.push(Entry { turn, ..Entry::default() });
            TurnNo(turns.len() - 1)
        });
        by_turn.extend(by_names.map(|names| (names, no)));
        let first_time = by_execution.insert(names.execution.clone(), no).is_none();
        let Some(entry) = turns.get_mut(no.0) else {
            return (no, 1);
        };
        entry.turn.execution_ids.extend(first_time.then(|| names.execution.clone()));
        entry.turn.dispatches += 1;
        (no, entry.turn.dispatches)
    }

    /// Notes that the turn was taken, into `session`.
    pub(super) fn took(&self, no: TurnNo, session: &str, state: State) {
        let mut books = self.books();
        let Some(entry) = books.turns.get_mut(no.0) else {
            return;
        };
        entry.turn.session = Some(session.to_owned());
        entry.turn.state = state;
        if let Some(turn) = entry.turn.turn_id.clone() {
            books.by_turn.insert((session.to_owned(), turn), no);
        }
    }

    /// Notes a request for a replay; without a number, of something unknown.
    pub(super) fn replayed(&self, no: Option<TurnNo>) {
        match no {
            Some(no) => self.change(no, |entry| entry.turn.replays += 1),
            None => self.books().totals.replays += 1,
        }
    }

    /// Whose execution this is.
    pub(super) fn of_execution(&self, execution: &str) -> Option<TurnNo> {
        self.books().by_execution.get(execution).copied()
    }

    /// Notes that the agent begins; says which run it is, from 1.
    pub(super) fn ran(&self, no: TurnNo) -> u32 {
        self.change(no, |entry| {
            entry.turn.runs += 1;
            entry.turn.state = State::Running;
            entry.turn.runs
        })
    }

    /// Notes how far the turn is.
    pub(super) fn is_now(&self, no: TurnNo, state: State) {
        self.change(no, |entry| entry.turn.state = state);
    }

    /// Notes a version that is visible.
    pub(super) fn shows(&self, no: TurnNo, run: u32, part: &str, json: &str) {
        let version = Version { run, part: part.to_owned(), json: Text::of(json) };
        self.change(no, |entry| entry.turn.versions.push(version));
    }

    /// Notes that the turn waits for `interaction`.
    pub(super) fn asked(&self, no: TurnNo, interaction: &str) {
        self.change(no, |entry| {
            entry.turn.asked.push(interaction.to_owned());
            entry.turn.state = State::Waiting;
        });
    }

    /// Notes the end of a run.
    pub(super) fn ended(&self, no: TurnNo, state: State, text: &str) {
        let text = Text::of(text);
        self.change(no, |entry| {
            entry.turn.state = state;
            entry.turn.final_text = text;
        });
    }

    /// Notes a poll, of a session whose newest turn is `no`, if there is one.
    pub(super) fn polled(&self, no: Option<TurnNo>, poll: Poll) {
        let mut books = self.books();
        let books = &mut *books;
        let entry = no.and_then(|no| books.turns.get_mut(no.0));
        let polls = entry.map_or(&mut books.totals.polls, |entry| &mut entry.turn.polls);
        *match poll {
            Poll::Status => &mut polls.status,
            Poll::Messages => &mut polls.messages,
            Poll::Result => &mut polls.result,
        } += 1;
    }

    /// Notes a refused token.
    pub(super) fn unauthorized(&self) {
        self.books().totals.unauthorized += 1;
    }

    /// Notes an answer that was made bad.
    pub(super) fn mishap(&self) {
        self.books().totals.mishaps += 1;
    }

    /// Notes a crash.
    pub(super) fn crashed(&self) {
        self.books().totals.crashes += 1;
    }

    /// Notes a new stream; says its number.
    pub(super) fn opened(&self, no: TurnNo) -> u64 {
        let mut books = self.books();
        books.streams += 1;
        let stream = books.streams;
        if let Some(entry) = books.turns.get_mut(no.0) {
            entry.open.insert(stream, Instant::now());
            entry.turn.streams_opened += 1;
        }
        stream
    }

    /// Notes that `stream` sends bytes: its silence is over.
    pub(super) fn sent(&self, no: TurnNo, stream: u64) {
        self.change(no, |entry| {
            if let Some(since) = entry.open.insert(stream, Instant::now()) {
                entry.broke_silence(since);
            }
        });
    }

    /// Notes that `stream` is closed.
    pub(super) fn closed(&self, no: TurnNo, stream: u64) {
        self.change(no, |entry| {
            if let Some(since) = entry.open.remove(&stream) {
                entry.broke_silence(since);
            }
        });
    }

    /// The account as of now; streams that are silent at the moment count.
    pub(super) fn account(&self) -> Account {
        let mut books = self.books();
        let Books { turns, totals, .. } = &mut *books;
        let mut totals = totals.clone();
        let turns = turns.iter_mut().map(|entry| {
            if let Some(since) = entry.open.values().min().copied() {
                entry.broke_silence(since);
            }
            entry.turn.streams_open = u32::try_from(entry.open.len()).unwrap_or(u32::MAX);
            totals.add(&entry.turn);
            entry.turn.clone()
        });
        let turns = turns.collect();
        Account { totals, turns }
    }
}

impl Totals {
    fn add(&mut self, turn: &Turn) {
        self.turns += 1;
        self.dispatches += u64::from(turn.dispatches);
        self.replays += u64::from(turn.replays);
        self.runs += u64::from(turn.runs);
        self.polls.status += turn.polls.status;
        self.polls.messages += turn.polls.messages;
        self.polls.result += turn.polls.result;
        self.streams_opened += u64::from(turn.streams_opened);
        self.streams_open += u64::from(turn.streams_open);
        self.longest_silence_ms = self.longest_silence_ms.max(turn.longest_silence_ms);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn names(execution: &str, session: &str, turn: &str) -> Names {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Names { execution: execution.to_owned(), session: some(session), turn: some(turn) }
    }

    #[test]
    fn a_turn_is_found_again_by_any_of_its_names() {
        let ledger = Ledger::default();
        let (no, nth) = ledger.dispatched(&names("e1", "s", "t"));
        assert_eq!(nth, 1);
        ledger.took(no, "s-given", State::Queued);
        assert_eq!(ledger.dispatched(&names("e1", "", "")), (no, 2));
        assert_eq!(ledger.dispatched(&names("e2", "s", "t")), (no, 3));
        assert_eq!(ledger.dispatched(&names("e3", "s-given", "t")), (no, 4));
        assert_ne!(ledger.dispatched(&names("e4", "s", "t2")).0, no);
        assert_ne!(ledger.dispatched(&names("e5", "s", "")).0, no);
        let account = ledger.account();
        assert_eq!(account.turn("e3").map(|turn| turn.dispatches), Some(4));
        assert_eq!(account.turns[0].execution_ids, ["e1", "e2", "e3"]);
        assert_eq!((account.totals.turns, account.totals.dispatches), (3, 6));
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_silence_counts_gaps_ends_and_what_is_still_silent() {
        let ledger = Ledger::default();
        let (no, _) = ledger.dispatched(&names("e", "", ""));
        let longest = || ledger.account().totals.longest_silence_ms;
        let stream = ledger.opened(no);
        tokio::time::advance(Duration::from_millis(300)).await;
        assert_eq!(longest(), 300, "still silent");
        ledger.sent(no, stream);
        tokio::time::advance(Duration::from_millis(200)).await;
        assert_eq!(longest(), 300, "the longest, not the last");
        tokio::time::advance(Duration::from_millis(200)).await;
        ledger.closed(no, stream);
        tokio::time::advance(Duration::from_secs(9)).await;
        assert_eq!(longest(), 400, "up to the close, not beyond");
        assert_eq!(ledger.account().totals.streams_open, 0);
    }
}
