//! What the machine tells a driver to do: one thing at a time.

use tokio::time::Instant;

use crate::turn::verdict::{Verdict, Withdrawal};
use crate::upstream::Depth;
use crate::upstream::schedule::Pace;

/// What the driver is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Open the box's session.
    Prepare,
    /// Send the prompt.
    Dispatch,
    /// Look for the prompt.
    Find,
    /// Send the prompt once more, under the same ids.
    Redispatch,
    /// Read what is new.
    Poll(Depth),
    /// Ask the box to stop, then go on with a poll, whatever it says.
    CancelAtBox,
    /// Wait for the pace's time, but not beyond `until`; then [`Input::Tick`](super::Input::Tick).
    Pause {
        /// How soon to go on.
        pace: Pace,
        /// The next deadline.
        until: Instant,
    },
    /// Wait for something to arrive, but not beyond this; then [`Input::Tick`](super::Input::Tick).
    Await(Instant),
    /// Write the close-out. `stop_box`: first ask the box to stop.
    Finish {
        /// How it ended.
        verdict: Verdict,
        /// Whether the box may still be at work on a turn that is being given up.
        stop_box: bool,
    },
    /// Write that the turn never was.
    Withdraw(Withdrawal),
    /// Nothing: the turn is over.
    Stop,
}
