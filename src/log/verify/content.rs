//! What a segment says, kept while it is read, to be held against its index. As large as the index.

use std::collections::HashMap;
use std::io;
use std::ops::Range;

use crate::event::{Control, Lsn, Record, Seq};
use crate::ids::SessionKey;
use crate::log::disk::DiskFile;
use crate::log::fields::checksum;
use crate::log::index::Link;
use crate::log::place::Spot;
use crate::log::record::{BatchHeader, Cut, Entry, Numbered};
use crate::log::sealed::{Part, Sealed};
use crate::log::{Role, Roles};

/// What one segment says.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// Of which segment.
    pub(super) epoch: u64,
    /// Something in it cannot be read or is missing: its index knows more.
    pub(super) is_damaged: bool,
    /// Its groups stand for others.
    pub(super) is_compacted: bool,
    groups: Option<Range<u64>>,
    sessions: HashMap<SessionKey, Said>,
}

#[derive(Debug)]
struct Said {
    link: Link,
    spots: Vec<Spot>,
    bytes: u64,
    cut: Option<Cut>,
    controls: Vec<SaidControl>,
    /// Those of them that a closing one would make needless.
    passing: Vec<usize>,
}

#[derive(Debug)]
struct SaidControl {
    lsn: Lsn,
    seq: Seq,
    kind: u16,
    checksum: u32,
    /// Whether opening needs it.
    is_needed: bool,
}

/// How an index differs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) session: Option<SessionKey>,
    pub(super) what: &'static str,
}

impl Difference {
    pub(super) fn of_all(what: &'static str) -> Self {
        Self { session: None, what }
    }
}

impl Content {
    pub(super) fn of(epoch: u64) -> Self {
        Self { epoch, ..Self::default() }
    }

    pub(super) fn of_compacted(epoch: u64, replaces: Range<u64>) -> Self {
        Self { epoch, is_compacted: true, groups: Some(replaces), ..Self::default() }
    }

    /// Takes in the next group's number.
    pub(super) fn add_group(&mut self, number: u64) {
        if self.is_compacted {
            return;
        }
        let first = self.groups.as_ref().map_or(number, |groups| groups.start);
        self.groups = Some(first..number + 1);
    }

    /// Takes in the next batch.
    pub(super) fn add(
        &mut self,
        header: &BatchHeader,
        spot: Spot,
        entries: &[Numbered],
        roles: Roles,
    ) {
        let link = Link { tail: header.end(), chain: header.chain };
        let said = self.sessions.entry(header.key).or_insert_with(|| Said {
            link,
            spots: Vec::new(),
            bytes: 0,
            cut: None,
            controls: Vec::new(),
            passing: Vec::new(),
        });
        said.link = link;
        said.spots.push(spot);
        said.bytes += u64::from(spot.bytes);
        for Numbered { lsn, seq, entry } in entries {
            match entry {
                Entry::Record(Record::Event(_)) => {}
                Entry::Record(Record::Control(control)) => said.add(*lsn, *seq, control, roles),
                Entry::Cut(cut) => said.cut = Some(*cut),
            }
        }
    }

    /// The first thing in which the index, in `file`, differs.
    pub(super) fn difference(
        &self,
        sealed: &Sealed,
        file: &dyn DiskFile,
        end: u64,
    ) -> io::Result<Option<Difference>> {
        let of_all = |what| Ok(Some(Difference::of_all(what)));
        let none = sealed.groups.end..sealed.groups.end;
        if sealed.groups != *self.groups.as_ref().unwrap_or(&none) || sealed.end != end {
            return of_all("the numbers of its groups, or where they end");
        }
        let is_in_order = sealed.parts.is_sorted_by(|a, b| a.key < b.key);
        if sealed.parts.len() != self.sessions.len() || !is_in_order {
            return of_all("which sessions it holds");
        }
        let mut controls = sealed.controls.iter().peekable();
        for (at, part) in sealed.parts.iter().enumerate() {
            let differs = |what| Ok(Some(Difference { session: Some(part.key), what }));
            let Some(said) = self.sessions.get(&part.key) else {
                return differs("a session that it does not hold");
            };
            if let Some(what) = said.differs(part, file)? {
                return differs(what);
            }
            let those = std::iter::from_fn(|| controls.next_if(|(of, ..)| *of == at));
            if !said.has_controls(those.map(|(_, lsn, seq, control)| (*lsn, *seq, control))) {
                return differs("the control records of a session");
            }
        }
        match controls.next() {
            Some(_) => of_all("control records of no session"),
            None => Ok(None),
        }
    }
}

impl Said {
    fn add(&mut self, lsn: Lsn, seq: Seq, Control { kind, bytes }: &Control, roles: Roles) {
        match roles(*kind) {
            Role::Lasting => {}
            Role::Passing => self.passing.push(self.controls.len()),
            Role::Closing => {
                for at in self.passing.drain(..) {
                    if let Some(control) = self.controls.get_mut(at) {
                        control.is_needed = false;
                    }
                }
            }
        }
        let checksum = checksum(0, &[bytes]);
        self.controls.push(SaidControl { lsn, seq, kind: *kind, checksum, is_needed: true });
    }

    fn differs(&self, part: &Part, file: &dyn DiskFile) -> io::Result<Option<&'static str>> {
        let Part { key: _, link, extent, bytes, cut } = *part;
        Ok(if link != self.link {
            Some("where a session ends in it")
        } else if cut != self.cut {
            Some("the trim of a session")
        } else if bytes != self.bytes {
            Some("the bytes of a session")
        } else if extent.all(file)?.as_ref() != Some(&self.spots) {
            Some("where the batches of a session stand")
        } else {
            None
        })
    }

    /// Whether those are control records of the session, in order, and none is left out that
    /// opening needs.
    fn has_controls<'a>(&self, those: impl Iterator<Item = (Lsn, Seq, &'a Control)>) -> bool {
        let mut rest = self.controls.iter();
        for (lsn, seq, control) in those {
            loop {
                let Some(said) = rest.next() else { return false };
                if said.lsn == lsn {
                    let is_same = said.seq == seq
                        && said.kind == control.kind
                        && said.checksum == checksum(0, &[&control.bytes]);
                    if !is_same {
                        return false;
                    }
                    break;
                }
                if said.is_needed {
                    return false;
                }
            }
        }
        rest.all(|said| !said.is_needed)
    }
}
