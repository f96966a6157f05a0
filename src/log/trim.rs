//! Cutting off the oldest part of a session: where the cut is, and what the log must remember of
//! what is dropped.

use std::io;

use super::disk::Reach;
use super::index::Session;
use super::place::{Place, Read};
use super::record::Cut;
use super::scan::spots_of;
use super::view::{Following, Position};
use crate::event::{Lsn, Seq};

/// The cut right behind the event `through`; `None` if that is not the last event of a batch, or if
/// its batch is lost or cut off already. Blocks.
pub(super) fn cut_behind(session: &Session, through: Seq) -> io::Result<Option<Cut>> {
    // The first batch that ends behind it: control records alone, in front of it, do not.
    let position = Position { after: through, lsn: Lsn::START };
    let place = match session.stored(position) {
        Following::Nothing | Following::Recent(_) => None,
        Following::Places(places) => places.into_iter().next(),
        Following::Sealed { segment, extent, from } => {
            let index = segment.index();
            // The first one is all that is wanted.
            let places =
                index.map(|index| extent.following(Reach::Disk, &*index.file, &segment, from, 0));
            let places = match places.transpose()?.flatten() {
                Some(places) => places,
                None => spots_of(&segment, session.key(), from, 0)?,
            };
            places.into_iter().next()
        }
    };
    let Some(place) = place.filter(|place| ends_with(place, through)) else { return Ok(None) };
    Ok(match place.read(session.key())? {
        Read::Whole(header, ..) => Some(Cut { first: header.end(), chain: header.chain }),
        Read::Damaged => None,
    })
}

fn ends_with(place: &Place, through: Seq) -> bool {
    place.spot.first.next_seq <= through && place.spot.end().next_seq == through.next()
}
