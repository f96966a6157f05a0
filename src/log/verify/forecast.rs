//! The cuts that will come: a batch of a session says where its log begins, and with which link, but
//! stands behind what is kept. So the last cut of each session is looked for before all is read, in
//! the indexes, and where there is none in the segment itself.
//!
//! It is a forecast: it finds nothing, and what it says counts only once the cut itself is read.

use std::collections::HashMap;
use std::io;
use std::ops::Range;

use super::listing::{Header, Listed, Listing, open};
use crate::ids::SessionKey;
use crate::log::disk::Disk;
use crate::log::record::{Cut, Entry};
use crate::log::scan::{Piece, Walk};
use crate::log::sealed;
use crate::log::segment::index_name;

/// The last cut of each session that has one.
pub(super) fn forecast(disk: &dyn Disk, listing: &Listing) -> HashMap<SessionKey, Cut> {
    let mut cuts = HashMap::new();
    for Listed { epoch, header } in &listing.segments {
        let Ok(Header { limit, .. }) = header else { continue };
        // What cannot be read here will be told when all is read.
        if let Ok(found) = cuts_in(disk, *epoch, 0..*limit) {
            cuts.extend(found);
        }
    }
    cuts
}

fn cuts_in(disk: &dyn Disk, epoch: u64, numbers: Range<u64>) -> io::Result<Vec<(SessionKey, Cut)>> {
    let Ok(Some(segment)) = open(disk, epoch) else { return Ok(Vec::new()) };
    if let Ok(file) = disk.open(&index_name(epoch))
        && let Some(sealed) = sealed::read(&*file, segment.id)?
    {
        let cuts = sealed.parts.iter().filter_map(|part| Some((part.key, part.cut?)));
        return Ok(cuts.collect());
    }
    let mut cuts = Vec::new();
    let mut walk = Walk::over(&segment, numbers)?;
    while let Some(group) = walk.next()? {
        for piece in group.pieces() {
            let Piece::Batch(batch) = piece else { continue };
            let entries = batch.entries.into_iter();
            cuts.extend(entries.filter_map(|numbered| match numbered.entry {
                Entry::Cut(cut) => Some((batch.header.key, cut)),
                Entry::Record(_) => None,
            }));
        }
    }
    Ok(cuts)
}
