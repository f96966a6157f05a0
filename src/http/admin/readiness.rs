//! Whether new turns are taken, and if not, which condition is missing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use super::{Admin, ShownBox};
use crate::log::Health;
use crate::mode::Mode;

/// Something that becomes true once and stays so. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Latch(Arc<AtomicBool>);

impl Latch {
    /// Makes it true.
    pub fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether it is.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// What `/readyz` says.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Readiness<'a> {
    pub(super) ready: bool,
    /// Why not; empty if it is.
    missing: Vec<&'static str>,
    log: &'static str,
    room: bool,
    resumed: bool,
    draining: bool,
    mode: &'static str,
    boxes: &'a [ShownBox],
}

/// What is looked at.
#[derive(Debug, Clone, Copy)]
struct Seen<'a> {
    health: Health,
    room: bool,
    resumed: bool,
    draining: bool,
    mode: Mode,
    boxes: &'a [ShownBox],
}

/// How it is now.
pub(super) fn now(admin: &Admin) -> Readiness<'_> {
    readiness(seen(admin))
}

/// What must hold, and whether it does now.
pub(super) fn conditions_now(admin: &Admin) -> [(&'static str, bool); 4] {
    conditions(seen(admin))
}

fn seen(admin: &Admin) -> Seen<'_> {
    Seen {
        health: admin.doors.sessions.health(),
        room: !admin.doors.sessions.room().is_short(),
        resumed: admin.resumed.is_set(),
        draining: admin.doors.drain.is_cancelled(),
        mode: admin.doors.settings.mode,
        boxes: &admin.boxes,
    }
}

/// What must hold, by the name that is shown where it does not.
fn conditions(seen: Seen<'_>) -> [(&'static str, bool); 4] {
    let Seen { health, room, resumed, draining, mode: _, boxes: _ } = seen;
    [
        ("log", health == Health::Open),
        ("room", room),
        ("resumed", resumed),
        ("not draining", !draining),
    ]
}

fn readiness(seen: Seen<'_>) -> Readiness<'_> {
    let Seen { health, room, resumed, draining, mode, boxes } = seen;
    let log = match health {
        Health::Open => "open",
        Health::Refusing => "refusing",
        Health::Poisoned => "poisoned",
        Health::Closed => "closed",
    };
    let missing: Vec<_> =
        conditions(seen).into_iter().filter(|(_, holds)| !holds).map(|(name, _)| name).collect();
    let (ready, mode) = (missing.is_empty(), mode.as_str());
    Readiness { ready, missing, log, room, resumed, draining, mode, boxes }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READY: Seen<'static> = Seen {
        health: Health::Open,
        room: true,
        resumed: true,
        draining: false,
        mode: Mode::Poll,
        boxes: &[],
    };

    #[test]
    fn it_is_ready_when_every_condition_holds() {
        let ready = readiness(READY);
        assert!(ready.ready && ready.missing.is_empty());
        assert_eq!((ready.log, ready.mode), ("open", "poll"));
    }

    #[test]
    fn what_is_missing_is_named() {
        for (seen, missing) in [
            (Seen { health: Health::Refusing, ..READY }, vec!["log"]),
            (Seen { health: Health::Poisoned, ..READY }, vec!["log"]),
            (Seen { health: Health::Closed, draining: true, ..READY }, vec!["log", "not draining"]),
            (Seen { room: false, ..READY }, vec!["room"]),
            (Seen { resumed: false, ..READY }, vec!["resumed"]),
            (Seen { draining: true, ..READY }, vec!["not draining"]),
        ] {
            let said = readiness(seen);
            assert_eq!((said.ready, &said.missing), (false, &missing));
        }
    }

    #[test]
    fn a_latch_stays_set_for_all_its_clones() {
        let latch = Latch::default();
        let clone = latch.clone();
        assert!(!clone.is_set());
        latch.set();
        assert!(clone.is_set());
    }
}
