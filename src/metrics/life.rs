//! One turn in the gauges: where it is, whether it is quiet, what it waits for.
//!
//! Whatever becomes of its driver, the turn leaves every gauge with it.

use tokio::time::Instant;

use super::of_box::OfBox;
use super::turn::Need;
use crate::mode::Phase;

/// A turn's place in the gauges. See the module.
#[derive(Debug)]
pub struct Life {
    of: OfBox,
    /// The phase, and since when; none before the first and after the verdict.
    phase: Option<(Phase, Instant)>,
    is_quiet: bool,
    needs: [(Need, bool); 2],
}

impl Life {
    pub(super) fn new(of: OfBox) -> Self {
        let needs = Need::ALL.map(|need| (need, false));
        Self { of, phase: None, is_quiet: false, needs }
    }

    /// The turn is in `phase`; the time in the one before is told.
    pub fn moves(&mut self, now: Instant, phase: Phase) {
        if self.phase.is_some_and(|(before, _)| before == phase) {
            return;
        }
        if let Some((before, since)) = self.phase.take() {
            self.of.in_phase(before).dec();
            self.of.was_in(before, now.duration_since(since));
        }
        if phase != Phase::Finished {
            self.of.in_phase(phase).inc();
            self.phase = Some((phase, now));
        }
    }

    /// The turn is at work and has long shown nothing new, or not so.
    pub fn quiet(&mut self, is_quiet: bool) {
        if self.is_quiet != is_quiet {
            self.of.quiet().add(if is_quiet { 1 } else { -1 });
            self.is_quiet = is_quiet;
        }
    }

    /// The turn stands still until somebody brings this, or not so.
    pub fn needs(&mut self, need: Need, is_needed: bool) {
        for (one, was_needed) in &mut self.needs {
            if *one == need && *was_needed != is_needed {
                self.of.waiting(need).add(if is_needed { 1 } else { -1 });
                *was_needed = is_needed;
            }
        }
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        // Not told as time in the phase: a turn that afterbay stops goes on in it.
        if let Some((phase, _)) = self.phase {
            self.of.in_phase(phase).dec();
        }
        self.quiet(false);
        Need::ALL.into_iter().for_each(|need| self.needs(need, false));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prometheus::{Registry, TextEncoder};

    use super::*;
    use crate::metrics::turn::Metrics;
    use crate::mode::BoxKind;

    fn told(registry: &Registry, line: &str) -> String {
        let text = TextEncoder::new().encode_to_string(&registry.gather()).expect("encodes");
        let found = text.lines().find_map(|l| l.strip_prefix(line)?.strip_prefix(' '));
        found.unwrap_or_else(|| panic!("{line} not in\n{text}")).to_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_is_in_one_phase_at_a_time_and_leaves_every_gauge_with_its_driver() {
        let registry = Registry::new();
        let of = Metrics::new(&registry).expect("names are free").of_box("one", BoxKind::Tangle);
        of.begin();
        let phase = |name| format!(r#"afterbay_turns{{box="one",kind="tangle",phase="{name}"}}"#);
        let spent = |what, name| {
            format!(r#"afterbay_turn_phase_seconds_{what}{{kind="tangle",phase="{name}"}}"#)
        };
        let waits = r#"afterbay_turns_waiting{box="one",kind="tangle",need="credential"}"#;
        let quiet = r#"afterbay_turns_quiet{box="one",kind="tangle"}"#;
        let began = Instant::now();
        let mut life = of.life();
        life.moves(began, Phase::Accepted);
        life.moves(began + Duration::from_secs(5), Phase::Accepted);
        assert_eq!(told(&registry, &phase("accepted")), "1");
        life.moves(began + Duration::from_secs(7), Phase::Running);
        assert_eq!(told(&registry, &phase("accepted")), "0");
        assert_eq!(told(&registry, &phase("running")), "1");
        assert_eq!(told(&registry, &spent("sum", "accepted")), "7");
        for _ in 0..2 {
            life.quiet(true);
            life.needs(Need::Credential, true);
        }
        assert_eq!((told(&registry, quiet), told(&registry, waits)), ("1".into(), "1".into()));
        let mut other = of.life();
        other.moves(began, Phase::Running);
        other.moves(began, Phase::Finished);
        assert_eq!(told(&registry, &phase("running")), "1");
        drop((life, other));
        for gauge in [&phase("running"), quiet, waits] {
            assert_eq!(told(&registry, gauge), "0", "{gauge}");
        }
        assert_eq!(told(&registry, &spent("count", "running")), "1", "one was stopped in it");
    }
}
