//! Where the steps of a stream come from.

use crate::event::{Control, Seq};
use crate::log::{self, Cursor, Step};
use crate::turn::control;

/// Where the steps come from.
pub(crate) enum Source {
    /// A session's log.
    Log(Cursor),
    /// A test's script; its end is the end of the log.
    #[cfg(test)]
    Script(tokio::sync::mpsc::Receiver<Result<Step, log::Error>>),
}

/// The kind of a control record that ends a turn, in a script.
#[cfg(test)]
pub(crate) const SCRIPTED_FINISH: u16 = 9;

impl Source {
    /// Whether `record` ends a turn.
    pub(crate) fn is_finish(&self, record: &Control) -> bool {
        match self {
            Self::Log(_) => control::is_finish(record),
            #[cfg(test)]
            Self::Script(_) => record.kind == SCRIPTED_FINISH,
        }
    }

    /// Whether the next step is there already.
    pub(crate) fn is_behind(&self) -> bool {
        match self {
            Self::Log(cursor) => cursor.is_behind(),
            #[cfg(test)]
            Self::Script(steps) => !steps.is_empty(),
        }
    }

    /// How many events are in the log behind `position`; not known of a script.
    pub(crate) fn behind(&self, position: Seq) -> Option<u64> {
        match self {
            Self::Log(cursor) => Some(cursor.behind(position)),
            #[cfg(test)]
            Self::Script(_) => None,
        }
    }

    /// The next step, of about so many bytes at most.
    // Cancel-safe: nothing is consumed before it resolves.
    pub(crate) async fn next(&mut self, most: usize) -> Result<Step, log::Error> {
        match self {
            Self::Log(cursor) => cursor.next_within(most).await,
            #[cfg(test)]
            Self::Script(steps) => steps.recv().await.unwrap_or(Ok(Step::End)),
        }
    }
}
