//! When to poll a turn next, and how deep. Pure: no clock, no randomness, no I/O; the caller brings
//! the time and the jitter.
//!
//! The pace comes from what the last poll saw. The depth comes from what reading costs: messages
//! are read with each poll as long as that is cheap, and never more often than
//! [`limits::MESSAGES_READ_FACTOR`] times what the last read took.

use std::time::Duration;

use tokio::time::Instant;

use super::Depth;
use crate::limits;

/// How fast the next poll should come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// At once: the first poll, or a read after the box said idle.
    Now,
    /// Something changed.
    Active,
    /// Nothing changed; each such poll waits longer, from the fastest interval to the slowest.
    Quiet,
    /// The box waits for a person.
    Waiting,
    /// The box asked for this much patience.
    After(Duration),
    /// The box cannot be read; each failure waits twice as long, up to the waiting interval.
    Failing,
}

/// The intervals between polls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intervals {
    /// After a change.
    pub fastest: Duration,
    /// After many polls without one; at least `fastest`.
    pub slowest: Duration,
    /// While the box waits for a person, and the longest while it fails.
    pub waiting: Duration,
}

impl Default for Intervals {
    fn default() -> Self {
        Self {
            fastest: limits::POLL_FASTEST,
            slowest: limits::POLL_SLOWEST,
            waiting: limits::POLL_WAITING,
        }
    }
}

/// The next poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Next {
    /// Not before this.
    pub at: Instant,
    /// How much it reads.
    pub depth: Depth,
}

/// One turn's schedule.
#[derive(Debug)]
pub struct Schedule {
    intervals: Intervals,
    quiet: u32,
    failures: u32,
    messages_not_before: Option<Instant>,
}

impl Schedule {
    /// A schedule that has seen nothing.
    #[must_use]
    pub const fn new(intervals: Intervals) -> Self {
        Self { intervals, quiet: 0, failures: 0, messages_not_before: None }
    }

    /// The poll after one that ended at `now` and read the messages for `messages_took`, if it
    /// did. `jitter` is from 0 to 1 and moves the time by up to a tenth, so that turns that
    /// started together do not poll together; a time that the box asked for is never shortened.
    pub fn next(
        &mut self,
        now: Instant,
        pace: Pace,
        messages_took: Option<Duration>,
        jitter: f64,
    ) -> Next {
        if let Some(took) = messages_took {
            self.messages_not_before = Some(now + took * limits::MESSAGES_READ_FACTOR);
        }
        let at = now + self.wait(pace, jitter.clamp(0.0, 1.0));
        let cheap = self.messages_not_before.is_none_or(|earliest| at >= earliest);
        Next { at, depth: if cheap { Depth::Messages } else { Depth::Status } }
    }

    fn wait(&mut self, pace: Pace, jitter: f64) -> Duration {
        let Intervals { fastest, slowest, waiting } = self.intervals;
        let around = |interval: Duration| interval.mul_f64(0.9 + 0.2 * jitter);
        if pace != Pace::Quiet {
            self.quiet = 0;
        }
        if pace != Pace::Failing {
            self.failures = 0;
        }
        match pace {
            Pace::Now => Duration::ZERO,
            Pace::Active => around(fastest),
            Pace::Waiting => around(waiting),
            Pace::After(asked) => asked.mul_f64(1.0 + 0.1 * jitter),
            Pace::Quiet => {
                self.quiet = self.quiet.saturating_add(1);
                around(grown(fastest, 3.0 / 2.0, self.quiet, slowest))
            }
            Pace::Failing => {
                self.failures = self.failures.saturating_add(1);
                around(grown(fastest, 2.0, self.failures - 1, waiting.max(fastest)))
            }
        }
    }
}

/// `from` times `factor` to the power of `times`, at most `to`.
fn grown(from: Duration, factor: f64, times: u32, to: Duration) -> Duration {
    // Sixty doublings of a nanosecond are 36 years; more would only overflow.
    let factor = factor.powi(times.min(60).cast_signed());
    Duration::try_from_secs_f64(from.as_secs_f64() * factor).unwrap_or(to).min(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIDDLE: f64 = 0.5;

    /// The waits in milliseconds that a fresh schedule gives for these paces.
    fn waits(paces: &[Pace], jitter: f64) -> Vec<u128> {
        let now = Instant::now();
        let mut schedule = Schedule::new(Intervals::default());
        let wait = |pace: &Pace| (schedule.next(now, *pace, None, jitter).at - now).as_millis();
        paces.iter().map(wait).collect()
    }

    #[tokio::test]
    async fn each_pace_has_its_interval() {
        use Pace::{Active, After, Failing, Now, Quiet, Waiting};
        let table: [(&[Pace], &[u128]); 6] = [
            (&[Now, Active, Active], &[0, 500, 500]),
            (&[Quiet, Quiet, Quiet, Quiet, Quiet, Quiet], &[750, 1125, 1687, 2531, 3000, 3000]),
            (&[Quiet, Quiet, Active, Quiet], &[750, 1125, 500, 750]),
            (
                &[Failing, Failing, Failing, Failing, Failing, Failing, Failing, Active, Failing],
                &[500, 1000, 2000, 4000, 8000, 10000, 10000, 500, 500],
            ),
            (&[Waiting, Waiting, Active], &[10000, 10000, 500]),
            (&[After(Duration::ZERO), After(Duration::from_secs(2))], &[0, 2100]),
        ];
        for (paces, expected) in table {
            assert_eq!(waits(paces, MIDDLE), expected, "{paces:?}");
        }
    }

    #[tokio::test]
    async fn quiet_for_ever_does_not_overflow() {
        let last = waits(&[Pace::Quiet; 5000], 1.0).pop();
        assert_eq!(last, Some(3300));
    }

    #[tokio::test]
    async fn jitter_moves_an_interval_by_a_tenth_and_never_shortens_what_the_box_asked_for() {
        let paces = [Pace::Active, Pace::After(Duration::from_secs(1))];
        assert_eq!(waits(&paces, 0.0), [450, 1000]);
        assert_eq!(waits(&paces, 1.0), [550, 1100]);
        assert_eq!(waits(&paces, f64::INFINITY), [550, 1100]);
    }

    #[tokio::test]
    async fn messages_are_read_as_often_as_they_are_cheap() {
        // What one read takes, and how many of the polls in the following minute read again.
        for (took_ms, reads) in [(0, 120), (10, 120), (25, 120), (100, 30), (1000, 3), (5000, 0)] {
            let mut now = Instant::now();
            let end = now + Duration::from_secs(60);
            let took = Duration::from_millis(took_ms);
            let mut schedule = Schedule::new(Intervals::default());
            let mut read = Some(took);
            let mut count = 0;
            loop {
                let next = schedule.next(now, Pace::Active, read, MIDDLE);
                if next.at > end {
                    break;
                }
                now = next.at;
                read = (next.depth == Depth::Messages).then_some(took);
                count += usize::from(read.is_some());
            }
            assert_eq!(count, reads, "a read of {took_ms} ms");
        }
    }

    #[tokio::test]
    async fn the_first_poll_reads_everything() {
        let now = Instant::now();
        let next = Schedule::new(Intervals::default()).next(now, Pace::Now, None, MIDDLE);
        assert_eq!(next, Next { at: now, depth: Depth::Messages });
    }
}
