//! What can go wrong with the log, told apart by what the caller may do about it.
//!
//! [`Error`] is for those who append and read, [`OpenError`] for those who open. [`Failure`] is the
//! writer's own: it says whether the disk may be tried again.

use std::io;
use std::sync::Arc;

use super::dir::Holder;

/// Why the log did not take a batch or give one.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The disk is full or refused a write: nothing of the batch is in the log; try again later.
    #[error("write to the log: {0}")]
    Refused(Arc<io::Error>),
    /// A sync failed, or a thread of the log broke down: nothing more is taken until afterbay is
    /// restarted.
    #[error("the log is poisoned until restart")]
    Poisoned,
    /// The store is closed.
    #[error("the log is closed")]
    Closed,
    /// The batch is larger than `limits::MAX_BATCH_BYTES`.
    #[error("a batch of {0} bytes is too large for the log")]
    TooLarge(usize),
    /// Bytes that were durable cannot be read.
    #[error("read from the log: {0}")]
    Read(Arc<io::Error>),
}

/// Why the log was not opened. Nothing that it holds was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the folder.
    #[error("the folder {folder} is used by {}", .holder.as_ref().map_or_else(
        || "another process".to_owned(), ToString::to_string))]
    Locked {
        /// The folder.
        folder: String,
        /// Who has it, if its lock file can be read.
        holder: Option<Holder>,
    },
    /// The log was written by another version of afterbay.
    #[error(
        "{file} has log format version {found}; this build reads version {}",
        super::segment::VERSION
    )]
    Version {
        /// The file that says so.
        file: String,
        /// The version it names.
        found: u32,
    },
    /// So much is damaged that opening would forget records in silence.
    #[error("{file} is damaged: {what}")]
    Damaged {
        /// The file.
        file: String,
        /// What about it.
        what: &'static str,
    },
    /// The disk failed.
    #[error("{doing}: {source}")]
    Io {
        /// What was tried, as "open the folder".
        doing: &'static str,
        /// The disk's answer.
        source: io::Error,
    },
}

/// How a write of ours failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nothing of it is on the disk: it may be tried again.
    Refused(io::Error),
    /// What is on the disk is in doubt until the log is opened anew.
    Broken(io::Error),
}

impl Failure {
    /// The disk's answer.
    pub(super) fn into_io(self) -> io::Error {
        match self {
            Self::Refused(source) | Self::Broken(source) => source,
        }
    }
}
