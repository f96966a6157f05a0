//! The index of a sealed segment, in a file of its own beside it (FORMAT.md, "Index"): which
//! sessions it holds, where each batch stands, and the control records that opening needs. So
//! opening scans only what was written last, and memory holds one entry a session.
//!
//! It is derived: whatever is wrong with it, the segment itself tells the same, only slower. It
//! vouches for one more thing: a segment is sealed after its last group was synced.

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::chain::Chain;
use super::disk::{DiskFile, read_up_to};
use super::fields::{Fields, checksum, len32};
use super::index::Link;
use super::place::Spot;
use super::record::{BatchHeader, Cut, Entry, Numbered};
use super::segment::{Segment, SegmentId, VERSION};
use super::spots::{Extent, encode_spots};
use super::{Role, Roles};
use crate::event::{Control, Lsn, Record, Seq};
use crate::ids::SessionKey;

const MAGIC: [u8; 8] = *b"\xffABidx\xfe\n";
const HEADER_BYTES: usize = 68;
const PART_BYTES: usize = 84;
const CUT_BYTES: usize = 36;
const CONTROL_HEADER_BYTES: usize = 28;

/// What a sealed segment holds of one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) key: SessionKey,
    /// Behind the last batch.
    pub(super) link: Link,
    pub(super) extent: Extent,
    /// The batches' bytes in the segment.
    pub(super) bytes: u64,
    /// The last trim that stands in it.
    pub(super) cut: Option<Cut>,
}

/// What opening learns of a sealed segment.
#[derive(Debug)]
pub(super) struct Sealed {
    /// The numbers of its groups: the first one, and the one after the last.
    pub(super) groups: Range<u64>,
    /// Behind the last group, in bytes from the segment's start.
    pub(super) end: u64,
    pub(super) parts: Vec<Part>,
    /// Each with the place of its session in `parts`.
    pub(super) controls: Vec<(usize, Lsn, Seq, Control)>,
}

/// The file of a sealed segment's index.
#[derive(Debug)]
pub(super) struct IndexFile {
    pub(super) file: Arc<dyn DiskFile>,
    /// The numbers of the segment's groups that count.
    pub(super) groups: Range<u64>,
    /// What the batches took that counted when it was sealed.
    pub(super) batch_bytes: u64,
}

/// A full segment without an index.
#[derive(Debug)]
pub(super) struct Unsealed {
    pub(super) segment: Arc<Segment>,
    /// The numbers of its groups.
    pub(super) groups: Range<u64>,
    /// What it holds and where that ends, if it was noted.
    pub(super) contents: Option<(Builder, u64)>,
}

impl Unsealed {
    /// What opening found; nothing of it is noted.
    pub(super) fn found((segment, groups): &(Arc<Segment>, Option<Range<u64>>)) -> Option<Self> {
        let (segment, groups) = (Arc::clone(segment), groups.clone()?);
        Some(Self { segment, groups, contents: None })
    }
}

impl Part {
    /// Whether it can be what a segment holds up to `end`, in an index of so many bytes.
    fn fits(&self, end: u64, index_bytes: u64) -> bool {
        let Self { key: _, link, extent, bytes, cut } = self;
        extent.base().is_at_or_before(link.tail)
            && *bytes <= end
            && extent.end().is_some_and(|end| end <= index_bytes)
            && cut.is_none_or(|cut| cut.first.is_at_or_before(link.tail))
    }
}

impl IndexFile {
    pub(super) fn new(file: Arc<dyn DiskFile>, groups: Range<u64>, parts: &[Part]) -> Self {
        Self { file, groups, batch_bytes: parts.iter().map(|part| part.bytes).sum() }
    }
}

/// Collects what a segment holds, batch by batch.
#[derive(Debug)]
pub(super) struct Builder {
    roles: Roles,
    sessions: HashMap<SessionKey, Collected>,
}

#[derive(Debug)]
struct Collected {
    link: Link,
    spots: Vec<Spot>,
    bytes: u64,
    cut: Option<Cut>,
    controls: Vec<(Lsn, Seq, Control)>,
}

impl Builder {
    pub(super) fn new(roles: Roles) -> Self {
        Self { roles, sessions: HashMap::new() }
    }

    /// Takes in the next batch; false if it does not come behind the one before it of its session,
    /// or too far behind: there is no index for that.
    #[must_use]
    pub(super) fn add(&mut self, header: &BatchHeader, spot: Spot, entries: Vec<Numbered>) -> bool {
        let link = Link { tail: header.end(), chain: header.chain };
        let session = self.sessions.entry(header.key).or_insert_with(|| Collected {
            link: Link { tail: header.first, chain: header.chain },
            spots: Vec::new(),
            bytes: 0,
            cut: None,
            controls: Vec::new(),
        });
        let base = session.spots.first().map_or(spot.first, |first| first.first);
        if !session.link.tail.is_at_or_before(header.first) || !spot.is_near(base) {
            return false;
        }
        session.link = link;
        session.spots.push(spot);
        session.bytes += u64::from(spot.bytes);
        for Numbered { lsn, seq, entry } in entries {
            match entry {
                Entry::Record(Record::Event(_)) => {}
                Entry::Record(Record::Control(Control { kind, bytes })) => {
                    // Shared bytes would keep the whole batch in memory.
                    let control = Control { kind, bytes: Bytes::copy_from_slice(&bytes) };
                    if (self.roles)(control.kind) == Role::Closing {
                        let roles = self.roles;
                        session.controls.retain(|(.., c)| roles(c.kind) != Role::Passing);
                    }
                    session.controls.push((lsn, seq, control));
                }
                Entry::Cut(cut) => session.cut = Some(cut),
            }
        }
        true
    }

    /// The bytes of the index of `segment`, which holds these groups up to `end`; and its parts.
    pub(super) fn finish(
        self,
        segment: SegmentId,
        groups: &Range<u64>,
        end: u64,
    ) -> (Vec<u8>, Vec<Part>) {
        let mut directory = Directory::default();
        let mut spots = Vec::new();
        let sizes = self.sessions.values().map(Collected::directory_bytes);
        let spots_at = HEADER_BYTES + sizes.sum::<usize>() + 4;
        let mut parts = Vec::with_capacity(self.sessions.len());
        let mut sessions: Vec<_> = self.sessions.into_iter().collect();
        sessions.sort_unstable_by_key(|(key, _)| *key);
        for (key, session) in sessions {
            let base = session.spots.first().map_or(session.link.tail, |spot| spot.first);
            let at = (spots_at + spots.len()) as u64;
            let extent = Extent { at, spots: len32(session.spots.len()), base };
            encode_spots(&mut spots, base, &session.spots);
            let Collected { link, bytes, cut, controls, .. } = session;
            let part = Part { key, link, extent, bytes, cut };
            directory.add(&part, controls);
            parts.push(part);
        }
        let directory = directory.finish();
        let mut out = header(segment, groups, end, &directory);
        out.extend_from_slice(&directory.bytes);
        out.extend_from_slice(&checksum(segment.seed, &[&directory.bytes]).to_le_bytes());
        debug_assert_eq!(out.len(), spots_at, "extents point behind the directory");
        out.extend_from_slice(&spots);
        (out, parts)
    }
}

impl Collected {
    fn directory_bytes(&self) -> usize {
        let controls = self.controls.iter().map(|(.., c)| CONTROL_HEADER_BYTES + c.bytes.len());
        let cut = self.cut.map_or(0, |_| CUT_BYTES);
        PART_BYTES + cut + controls.sum::<usize>()
    }
}

/// The directory as it grows, by kinds.
#[derive(Debug, Default)]
struct Directory {
    parts: Vec<u8>,
    cuts: Vec<u8>,
    controls: Vec<u8>,
    counts: [u32; 3],
}

struct FinishedDirectory {
    bytes: Vec<u8>,
    counts: [u32; 3],
}

impl Directory {
    fn add(&mut self, part: &Part, controls: Vec<(Lsn, Seq, Control)>) {
        let [sessions, cuts, control_count] = &mut self.counts;
        let out = &mut self.parts;
        out.extend_from_slice(&part.key.to_bytes());
        out.extend_from_slice(&part.extent.base.to_bytes());
        out.extend_from_slice(&part.link.tail.to_bytes());
        out.extend_from_slice(&part.link.chain.to_bytes());
        out.extend_from_slice(&part.bytes.to_le_bytes());
        out.extend_from_slice(&part.extent.at.to_le_bytes());
        out.extend_from_slice(&part.extent.spots.to_le_bytes());
        if let Some(Cut { first, chain }) = part.cut {
            self.cuts.extend_from_slice(&sessions.to_le_bytes());
            self.cuts.extend_from_slice(&first.to_bytes());
            self.cuts.extend_from_slice(&chain.to_bytes());
            *cuts += 1;
        }
        for (lsn, seq, Control { kind, bytes }) in controls {
            let out = &mut self.controls;
            out.extend_from_slice(&sessions.to_le_bytes());
            out.extend_from_slice(&lsn.get().to_le_bytes());
            out.extend_from_slice(&seq.get().to_le_bytes());
            out.extend_from_slice(&u32::from(kind).to_le_bytes());
            out.extend_from_slice(&len32(bytes.len()).to_le_bytes());
            out.extend_from_slice(&bytes);
            *control_count += 1;
        }
        *sessions += 1;
    }

    fn finish(self) -> FinishedDirectory {
        let Self { parts: mut bytes, cuts, controls, counts } = self;
        bytes.extend_from_slice(&cuts);
        bytes.extend_from_slice(&controls);
        FinishedDirectory { bytes, counts }
    }
}

fn header(
    segment: SegmentId,
    groups: &Range<u64>,
    end: u64,
    directory: &FinishedDirectory,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_BYTES);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&segment.epoch.to_le_bytes());
    out.extend_from_slice(&groups.start.to_le_bytes());
    out.extend_from_slice(&groups.end.to_le_bytes());
    out.extend_from_slice(&end.to_le_bytes());
    for count in directory.counts {
        out.extend_from_slice(&count.to_le_bytes());
    }
    out.extend_from_slice(&(directory.bytes.len() as u64).to_le_bytes());
    out.extend_from_slice(&checksum(segment.seed, &[&out]).to_le_bytes());
    out
}

/// What the index in `file` says; `None` if it is not the whole index of this very segment.
pub(super) fn read(file: &dyn DiskFile, segment: SegmentId) -> io::Result<Option<Sealed>> {
    let mut bytes = vec![0; HEADER_BYTES];
    if read_up_to(file, &mut bytes, 0)? < HEADER_BYTES {
        return Ok(None);
    }
    let Some(head) = Head::decode(&bytes, segment) else { return Ok(None) };
    let file_bytes = file.bytes()?;
    if head.directory_bytes > file_bytes {
        return Ok(None);
    }
    let mut directory = vec![0; head.directory_bytes as usize + 4];
    if read_up_to(file, &mut directory, HEADER_BYTES as u64)? < directory.len() {
        return Ok(None);
    }
    let sealed = head.decode_directory(&directory, segment);
    Ok(sealed.filter(|sealed| sealed.parts.iter().all(|part| part.fits(sealed.end, file_bytes))))
}

/// The decoded header.
struct Head {
    groups: Range<u64>,
    end: u64,
    counts: [u32; 3],
    directory_bytes: u64,
}

impl Head {
    fn decode(bytes: &[u8], segment: SegmentId) -> Option<Self> {
        let covered = bytes.get(..HEADER_BYTES - 4)?;
        let mut fields = Fields::new(bytes);
        let (magic, version, epoch) = (fields.array()?, fields.u32()?, fields.u64()?);
        if magic != MAGIC || version != VERSION || epoch != segment.epoch {
            return None;
        }
        let head = Self {
            groups: fields.numbers()?,
            end: fields.u64()?,
            counts: [fields.u32()?, fields.u32()?, fields.u32()?],
            directory_bytes: fields.u64()?,
        };
        (fields.u32()? == checksum(segment.seed, &[covered])).then_some(head)
    }

    fn decode_directory(&self, bytes: &[u8], segment: SegmentId) -> Option<Sealed> {
        let (directory, sum) = bytes.split_at_checked(self.directory_bytes as usize)?;
        if Fields::new(sum).u32()? != checksum(segment.seed, &[directory]) {
            return None;
        }
        let [sessions, cuts, controls] = self.counts;
        let mut fields = Fields::new(directory);
        let parts: Option<Vec<Part>> = (0..sessions).map(|_| decode_part(&mut fields)).collect();
        let mut parts = parts?;
        for _ in 0..cuts {
            let part = parts.get_mut(fields.u32()? as usize)?;
            let first = fields.tail()?;
            part.cut = Some(Cut { first, chain: Chain::from_bytes(fields.array()?) });
        }
        let controls: Option<Vec<_>> = (0..controls).map(|_| decode_control(&mut fields)).collect();
        Some(Sealed { groups: self.groups.clone(), end: self.end, parts, controls: controls? })
    }
}

fn decode_part(fields: &mut Fields<'_>) -> Option<Part> {
    let key = SessionKey::from_bytes(fields.array()?);
    let base = fields.tail()?;
    let tail = fields.tail()?;
    let chain = Chain::from_bytes(fields.array()?);
    let bytes = fields.u64()?;
    let extent = Extent { at: fields.u64()?, spots: fields.u32()?, base };
    Some(Part { key, link: Link { tail, chain }, extent, bytes, cut: None })
}

fn decode_control(fields: &mut Fields<'_>) -> Option<(usize, Lsn, Seq, Control)> {
    let session = fields.u32()? as usize;
    let (lsn, seq) = (Lsn::new(fields.u64()?), Seq::new(fields.u64()?));
    let kind = u16::try_from(fields.u32()?).ok()?;
    let bytes = fields.u32()?;
    let bytes = fields.bytes(bytes as usize)?.to_vec().into();
    Some((session, lsn, seq, Control { kind, bytes }))
}
