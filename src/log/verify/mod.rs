//! Whether the log is what was written: finds what is missing, altered or in another order, and names
//! the first bad record. It reads only, also while a process writes, and never finds what is not so.
//!
//! **What is held against what.** Bytes against their checksums; group numbers, which have no holes
//! over all segments; each session's numbers, which have none either, and its chain, in which each
//! batch's link covers the one before it, so that also a change with fresh checksums shows; what a
//! session lacks against its last cut, and the first batch behind that against the link that the cut
//! kept; each sealed segment against its index.
//!
//! **In one pass, in little memory.** Segments are read in the order of their epochs, group by
//! group: two groups are in memory, an entry a session, and what the index of one segment would hold.
//! What a session lacks may be cut off by a batch far behind, so it is judged at the end. Of a hole in
//! the group numbers nobody knows whose batches it held; see `holes`.
//!
//! **While somebody writes**, five things may look wrong and are not. Each is told by a fact, never by
//! waiting:
//! - *A group is half written.* Nothing is said of a group before something proves that it was
//!   durable: a later group, an opening, the segment's index. What was read before the proof is then
//!   read again.
//! - *Groups come while a segment is read, so that a later one is seen and those before it are not.*
//!   Whoever sees it knows that all before it were in their places by then: if they are not seen when
//!   the segments are listed and read again from the last good place, they are missing.
//! - *A segment goes away, and its file becomes another one.* It loses its name before anything in it
//!   changes, and never gets it back: what looks wrong counts only if the segment has its name yet
//!   after that was read. What went away is a hole. Its records were cut off before, by batches that
//!   were durable then: they are found if what is listed after that is read to its end. So the check
//!   ends with the first look in which nothing went and no hole was new.
//! - *A segment is rewritten*: another file, without what was cut off, takes its name. The old one has
//!   lost its last name, so nothing is ever written to it again: whoever is in its middle reads it to
//!   its end. What a rewritten one left out is a hole without a missing group.
//! - *The last group is voided*, since the process died and the log is opened anew. It is taken only
//!   when it is proven, or at the end of the last look.
//!
//! **What cannot be seen.** The end of the log has nothing behind it: whole groups that were taken off
//! it leave no trace, and the last group, if it is not whole, cannot be told from a write that a crash
//! cut short; that is reported, and is no fault. A lost segment shows by what sessions lack, or by its
//! groups; not if it held just the ends of some sessions, and others had as much of theirs cut off in
//! it. A group that an opening has voided is told from one that counts by the segment which that
//! opening made, or by an index: where both are gone, it counts, here as at the next opening.
//! Somebody who can write the folder can also make links: against that only a digest that a
//! client holds helps. Bytes that mean nothing (padding, blanks, room behind the last group) are not
//! looked at.
//!
//! Reading order: `report`; `listing`, `forecast`, `look`, `witness`, `compacted` (how it reads);
//! `taken`, `strands`, `holes`, `content` (what it holds against what).

mod compacted;
mod content;
mod forecast;
mod holes;
mod listing;
mod look;
mod report;
mod strands;
mod taken;
mod witness;

use std::io;

use self::forecast::forecast;
use self::listing::Listing;
use self::look::{Ended, Pass};
pub use self::report::{Counts, Fault, Finding, Numbers, Reach, Report, Unfinished};
use super::disk::Disk;
use super::error::OpenError;
use super::options::Roles;
use crate::limits;

/// Why nothing can be said of a log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder holds no segment.
    #[error("there is no log")]
    NoLog,
    /// All its segments are of another version.
    #[error(transparent)]
    Foreign(OpenError),
    /// The folder cannot be listed.
    #[error("list the folder: {0}")]
    List(#[source] io::Error),
}

/// Reads the log on `disk`, which may be in use, and says what is wrong with it. Nothing is changed.
/// `roles` are those that the log is opened with. Blocks: it reads everything.
///
/// # Errors
/// [`Error`]: there is nothing to check.
pub fn check(disk: &dyn Disk, roles: Roles) -> Result<Report, Error> {
    let listing = Listing::read(disk, 0).map_err(Error::List)?;
    if listing.segments.is_empty() && !listing.is_torn {
        return Err(Error::NoLog);
    }
    let mut pass = Pass::new(disk, roles, forecast(disk, &listing), listing.proves());
    if let Some(foreign) = listing.into_foreign() {
        return Err(Error::Foreign(foreign));
    }
    for _ in 0..limits::MAX_VERIFY_LOOKS {
        let listing = Listing::read(disk, pass.epoch()).map_err(Error::List)?;
        if let Ended::AtTheEnd(last) = pass.look(&listing) {
            return Ok(pass.finish(last));
        }
    }
    Ok(pass.give_up())
}
