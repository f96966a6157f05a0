//! The figures of one seed, as they are printed.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use afterbay::simbox::Account;

use super::conversation::Fared;
use super::reader::Outcome;
use crate::e2e::frames::Frame;

#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) wall: Duration,
    kills: usize,
    crashes: u64,
    silence_ms: u64,
    /// By how much the test itself was woken late at most.
    lag: Duration,
    mishaps: u64,
    polls: u64,
    runs: u64,
    dispatches: u64,
    turns: usize,
    frames: usize,
    /// Frames that clients got, replays after cuts included once.
    seen: usize,
    clients: usize,
    streams: usize,
    cuts: usize,
    broken: usize,
    outcomes: BTreeMap<String, usize>,
    turned_away: BTreeMap<String, usize>,
    verdicts: BTreeMap<String, usize>,
    /// Turns that nobody has read to their end.
    pub(super) unheard: usize,
    extra: u32,
    /// Of these, what neither the prompt nor a refusal explains: a kill or a crash does.
    extra_by_blows: u32,
    unclear: u32,
    later: u32,
}

impl Tally {
    pub(super) fn of(account: &Account, kills: usize, lag: Duration) -> Self {
        let totals = &account.totals;
        Self {
            kills,
            lag,
            crashes: totals.crashes,
            silence_ms: totals.longest_silence_ms,
            mishaps: totals.mishaps,
            polls: totals.polls.sum(),
            runs: totals.runs,
            dispatches: totals.dispatches,
            ..Self::default()
        }
    }

    pub(super) fn add(&mut self, fared: &Fared) {
        let Fared { outcome, execution: _, seen, figures, cuts } = fared;
        self.clients += 1;
        self.seen += seen.len();
        self.streams += figures.streams;
        self.broken += figures.broken;
        self.cuts += cuts;
        for why in &figures.turned_away {
            *self.turned_away.entry(why.clone()).or_default() += 1;
        }
        if *outcome != Outcome::Done {
            *self.outcomes.entry(format!("{outcome:?}")).or_default() += 1;
        }
    }

    pub(super) fn verdict(&mut self, name: String, frames: &[Frame]) {
        self.turns += 1;
        self.frames += frames.len();
        *self.verdicts.entry(name).or_default() += 1;
    }

    pub(super) fn dispatches(&mut self, extra: u32, by_blows: u32, unclear: u32, later: u32) {
        self.extra += extra;
        self.extra_by_blows += by_blows;
        self.unclear += unclear;
        self.later += later;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { turns, frames, seen, clients, streams, cuts, broken, kills, crashes, .. } = self;
        let Self { runs, dispatches, extra, extra_by_blows, unclear, later, .. } = self;
        let Self { polls, mishaps, silence_ms, unheard, wall, .. } = self;
        writeln!(
            f,
            "{turns} turns, {frames} frames; {clients} clients saw {seen} over {streams} streams: \
             {cuts} cuts, {broken} broken; {kills} kills, {crashes} box crashes"
        )?;
        writeln!(
            f,
            "  {runs} runs by {dispatches} POSTs: {unclear} unclear answers and {later} told to \
             wait, {extra} extra POSTs ({extra_by_blows} of them by kills); {polls} polls, \
             {mishaps} mishaps"
        )?;
        writeln!(f, "  verdicts {:?}, {unheard} of them unheard", self.verdicts)?;
        writeln!(
            f,
            "  clients without an end: {:?}; turned away {:?}",
            self.outcomes, self.turned_away
        )?;
        write!(
            f,
            "  longest held silence {silence_ms} ms, longest lag {} ms, wall {:.1} s",
            self.lag.as_millis(),
            wall.as_secs_f64()
        )
    }
}
