//! A disk that breaks at each of its operations in turn, from the box's answer to the prompt up to
//! the verdict: while that the box has the turn is written, while a page is taken over, while the
//! turn is closed.
//!
//! What belongs together is there whole or not at all, so wherever the disk breaks, the turn goes
//! on behind what is durable: it begins once and ends once, and each of the agent's words is told
//! once, none twice, none missing. Not here: what the log makes of a write that was torn.

use afterbay::turn::Deadlines;
use afterbay::upstream::Ending;

use super::{End, again, ends_well};
use crate::it::support::faulty_disk::{FaultyDisk, Operation};
use crate::it::support::puppet::{Call, GOOD, Puppet};
use crate::it::support::rig::{Rig, until};

/// `ENOSPC` and `EIO`.
const NO_ROOM: i32 = 28;
const BAD_DISK: i32 = 5;
/// More refusals than anybody tries.
const ON_AND_ON: usize = 1000;

/// How the disk breaks.
#[derive(Debug, Clone, Copy)]
enum Break {
    /// The process dies in the middle of an operation.
    Kill,
    /// The machine does, and what was not synced is kept or not, by this seed.
    PowerLoss(u64),
    /// A write is refused, and all that follow it, until the process has ended.
    Full(End),
    /// A write is refused, and the next one is not.
    FullForAMoment,
    /// A sync fails, and the process ends.
    BadSync(End),
}

impl Break {
    /// Lets it happen at the `n`-th of its operations from now; 0 is the next.
    fn aim(self, disk: &FaultyDisk, n: usize) {
        match self {
            Self::Kill | Self::PowerLoss(_) => disk.crash_at(n),
            Self::Full(_) => {
                disk.fail(Operation::Write, n, NO_ROOM);
                (0..ON_AND_ON).for_each(|_| disk.fail(Operation::Write, 0, NO_ROOM));
            }
            Self::FullForAMoment => disk.fail(Operation::Write, n, NO_ROOM),
            Self::BadSync(_) => disk.fail(Operation::Sync, n, BAD_DISK),
        }
    }

    /// Whether it can happen at this operation.
    fn is_of(self, operation: Operation) -> bool {
        match self {
            Self::Kill | Self::PowerLoss(_) => true,
            Self::Full(_) | Self::FullForAMoment => operation == Operation::Write,
            Self::BadSync(_) => operation == Operation::Sync,
        }
    }

    /// Ends the process as it has to end, and starts the next one.
    async fn follow(self, rig: &mut Rig) {
        match self {
            Self::Kill => again(rig, End::Killed).await,
            Self::PowerLoss(_) => {
                rig.disk.lose_power();
                again(rig, End::Killed).await;
            }
            Self::Full(end) | Self::BadSync(end) => again(rig, end).await,
            Self::FullForAMoment => {}
        }
    }

    const fn seed(self) -> u64 {
        match self {
            Self::PowerLoss(seed) => seed,
            Self::Kill | Self::Full(_) | Self::FullForAMoment | Self::BadSync(_) => 1,
        }
    }
}

/// One turn over a disk that breaks at the `n`-th operation. Whether there were so many.
async fn breaks_at(disk: Break, n: usize) -> bool {
    println!("{disk:?} at {n}");
    let mut rig = Rig::before(Puppet::new(), disk.seed(), Deadlines::default(), None);
    for word in ["a", "b", "c", "d", "e"] {
        rig.puppet.says("e-1", word);
    }
    rig.puppet.ends("e-1", Ending::Completed);
    rig.puppet.hold(Call::Dispatch);
    let turn = rig.post("e-1").await.expect("started").turn;
    rig.puppet.stands(Call::Dispatch).await;
    let before = rig.disk.done().len();
    disk.aim(&rig.disk, n);
    rig.puppet.release(Call::Dispatch);
    let is_broken = || {
        let done = rig.disk.done().into_iter().skip(before);
        done.filter(|operation| disk.is_of(*operation)).count() > n
    };
    until("it breaks or the turn ends", || is_broken() || turn.last().is_some()).await;
    let was_broken = is_broken();
    disk.follow(&mut rig).await;
    rig.look("s", Some(GOOD)).await.expect("its owner");
    ends_well(&rig, "e-1").await;
    again(&mut rig, End::Killed).await;
    ends_well(&rig, "e-1").await;
    was_broken
}

/// Breaks the disk at each of its operations; `least` is what there must have been of them.
async fn breaks_at_each(disk: Break, least: usize) {
    let mut n = 0;
    while breaks_at(disk, n).await {
        n += 1;
    }
    assert!(n >= least, "{disk:?} had {n} operations to happen at");
}

// Five appends: that the box has the turn, three steps of a page, the close-out.
const WRITES: usize = 5;
const SYNCS: usize = 5;

#[tokio::test]
async fn a_kill_at_any_operation_doubles_no_word_and_loses_none() {
    breaks_at_each(Break::Kill, WRITES + SYNCS).await;
}

#[tokio::test]
async fn a_loss_of_power_at_any_operation_doubles_no_word_and_loses_none() {
    for seed in 0..8 {
        breaks_at_each(Break::PowerLoss(seed), WRITES + SYNCS).await;
    }
}

#[tokio::test]
async fn a_disk_that_is_full_at_any_write_doubles_no_word_and_loses_none() {
    for disk in [Break::FullForAMoment, Break::Full(End::Stopped), Break::Full(End::Killed)] {
        breaks_at_each(disk, WRITES).await;
    }
}

#[tokio::test]
async fn a_sync_that_fails_anywhere_doubles_no_word_and_loses_none() {
    for end in [End::Stopped, End::Killed] {
        breaks_at_each(Break::BadSync(end), SYNCS).await;
    }
}
