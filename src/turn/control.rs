//! Control records of turns.

use crate::event::Control;

/// Whether `record` ends a turn (`TurnFinished`): it stands right behind the turn's `done`.
#[must_use]
pub fn is_finish(_record: &Control) -> bool {
    todo!()
}
