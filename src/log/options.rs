//! How a store works: its sizes, who does its upkeep, and what the kinds of control records are to
//! whoever folds them.

use crate::limits;

/// What a kind of control record is to whoever folds them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It matters as long as it is in the log.
    Lasting,
    /// It matters until a closing one follows it in its session.
    Passing,
    /// It closes what passing ones were about.
    Closing,
}

/// The role of each kind.
pub type Roles = fn(u16) -> Role;

/// How a store works. [`Options::new`] is the program's way; tests that must see many segments take
/// smaller sizes.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Where a segment is full, in bytes.
    pub segment_bytes: u64,
    /// Where a group is full, in bytes.
    pub group_bytes: usize,
    /// The role of each kind of control record.
    pub roles: Roles,
    /// Who makes, seals and retires segments.
    pub upkeep: UpkeepBy,
}

/// Who makes, seals and retires segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpkeepBy {
    /// A thread of its own: no append waits for it.
    Thread,
    /// The writer, between two groups: all that is done to the disk is done in one order.
    Writer,
}

impl Options {
    /// The program's way.
    #[must_use]
    pub const fn new(roles: Roles) -> Self {
        Self {
            segment_bytes: limits::LOG_SEGMENT_BYTES,
            group_bytes: limits::LOG_GROUP_BYTES,
            roles,
            upkeep: UpkeepBy::Thread,
        }
    }
}

impl Default for Options {
    /// For records that all last.
    fn default() -> Self {
        Self::new(|_| Role::Lasting)
    }
}
