//! A line on stderr that says that something is still going on: redrawn each second, wiped before other
//! lines, and only where a person can see it.

use std::io::{self, Write as _};
use std::pin::Pin;

use tokio::time::{Instant, interval};

use super::screen::{brief, has_progress};
use crate::config::Environment;
use crate::limits;

/// The line, or none.
#[derive(Debug)]
pub(super) struct Progress {
    is_shown: bool,
    begun: Instant,
    /// When the last event came.
    last: Instant,
    events: u64,
}

impl Progress {
    /// A line if stderr is a terminal.
    pub(super) fn new(environment: &Environment) -> Self {
        let now = Instant::now();
        Self { is_shown: has_progress(environment), begun: now, last: now, events: 0 }
    }

    /// An event has come.
    pub(super) fn event(&mut self) {
        (self.events, self.last) = (self.events + 1, Instant::now());
    }

    /// Waits for `future`, and draws meanwhile.
    pub(super) async fn while_waiting<T>(
        &self,
        mut future: Pin<&mut impl Future<Output = T>>,
    ) -> T {
        let mut ticks = interval(limits::PROGRESS_EVERY);
        loop {
            // The future is kept when the clock is first; a tick that is dropped is drawn later.
            tokio::select! {
                biased;
                ready = &mut future => {
                    self.wipe();
                    return ready;
                }
                _ = ticks.tick() => self.draw(),
            }
        }
    }

    fn draw(&self) {
        if self.is_shown {
            write(&format!("\r\u{1b}[K{}", self.text(Instant::now())));
        }
    }

    fn wipe(&self) {
        if self.is_shown {
            write("\r\u{1b}[K");
        }
    }

    fn text(&self, now: Instant) -> String {
        let since = |then: Instant| {
            brief(u64::try_from(now.duration_since(then).as_millis()).unwrap_or(u64::MAX))
        };
        format!("{} events, quiet {}, {} in all", self.events, since(self.last), since(self.begun))
    }
}

/// A terminal that is gone is no reason to end.
fn write(text: &str) {
    let mut err = io::stderr().lock();
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_line_tells_events_quiet_and_age() {
        let mut progress = Progress::new(&Environment::default());
        assert!(!progress.is_shown, "nobody said that there is a terminal");
        tokio::time::advance(Duration::from_secs(50)).await;
        progress.event();
        tokio::time::advance(Duration::from_secs(15)).await;
        assert_eq!(progress.text(Instant::now()), "1 events, quiet 15s, 1m05s in all");
    }
}
