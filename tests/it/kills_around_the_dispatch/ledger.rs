//! What came of many lives, for people: how often each point was come to, what ran, what was said.

use std::collections::BTreeMap;
use std::fmt;

use super::plan::Point;

#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) lives: usize,
    /// Kills at a point that the process had come to.
    pub(super) at: BTreeMap<Point, usize>,
    /// Kills of processes that went another way.
    pub(super) elsewhere: usize,
    /// Kills after the verdict.
    pub(super) after: usize,
    pub(super) runs: usize,
    pub(super) posts: usize,
    /// Prompts that left a second time.
    pub(super) repeats: usize,
    pub(super) box_starts: usize,
    pub(super) verdicts: BTreeMap<String, usize>,
}

impl Ledger {
    /// Kills that came where they were aimed.
    pub(super) fn kills(&self) -> usize {
        self.at.values().sum()
    }

    pub(super) fn reaches_every_point(&self) -> bool {
        Point::ALL.iter().all(|point| self.at.contains_key(point))
    }

    pub(super) fn add(&mut self, other: Self) {
        let Self { lives, at, elsewhere, after, runs, posts, repeats, box_starts, verdicts } =
            other;
        self.lives += lives;
        self.elsewhere += elsewhere;
        self.after += after;
        self.runs += runs;
        self.posts += posts;
        self.repeats += repeats;
        self.box_starts += box_starts;
        for (point, count) in at {
            *self.at.entry(point).or_default() += count;
        }
        for (verdict, count) in verdicts {
            *self.verdicts.entry(verdict).or_default() += count;
        }
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lives, at, elsewhere, after, runs, posts, repeats, box_starts, verdicts } = self;
        writeln!(f, "{} kills where they were aimed, in {lives} lives of a turn", self.kills())?;
        for (point, count) in at {
            writeln!(f, "  {count:6} at {point:?}")?;
        }
        writeln!(f, "and {elsewhere} where another way was gone, {after} after the verdict")?;
        writeln!(f, "{posts} prompts left, {repeats} of them once more; {runs} runs")?;
        writeln!(f, "{box_starts} starts of the box")?;
        for (verdict, count) in verdicts {
            writeln!(f, "  {count:6} {verdict}")?;
        }
        Ok(())
    }
}
