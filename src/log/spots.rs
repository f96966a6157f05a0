//! The part of an index that says where each batch of a session stands (FORMAT.md, "Index"): read in
//! small pieces when somebody asks, never kept in memory.

use std::io;
use std::sync::Arc;

use super::Tail;
use super::disk::{DiskFile, Reach, read_within};
use super::fields::{Fields, checksum, len32};
use super::place::{Place, Spot};
use super::segment::Segment;
use super::view::{Position, StepPlaces};

const SPOT_BYTES: usize = 28;
/// Spots that share one checksum: about a page, so that a reader in the middle of many reads little.
const CHUNK_SPOTS: u32 = 128;

/// Where a session's spots stand in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    /// Bytes from the file's start.
    pub(super) at: u64,
    pub(super) spots: u32,
    /// What the numbers of its spots count from.
    pub(super) base: Tail,
}

/// Puts the spots of one session at the end of `out`.
pub(super) fn encode_spots(out: &mut Vec<u8>, base: Tail, spots: &[Spot]) {
    for chunk in spots.chunks(CHUNK_SPOTS as usize) {
        let at = out.len();
        for spot in chunk {
            let lsn = len32((spot.first.next_lsn.get() - base.next_lsn.get()) as usize);
            let seq = len32((spot.first.next_seq.get() - base.next_seq.get()) as usize);
            for field in [lsn, seq, spot.records, spot.events, spot.at, spot.bytes, spot.seed] {
                out.extend_from_slice(&field.to_le_bytes());
            }
        }
        let sum = checksum(0, &[out.get(at..).unwrap_or_default()]);
        out.extend_from_slice(&sum.to_le_bytes());
    }
}

impl Extent {
    /// In front of the first batch.
    pub(super) const fn base(self) -> Tail {
        self.base
    }

    /// Behind its last spot and that one's checksum, in bytes from the file's start.
    pub(super) fn end(self) -> Option<u64> {
        let chunks = u64::from(self.spots.div_ceil(CHUNK_SPOTS));
        self.at.checked_add(u64::from(self.spots) * SPOT_BYTES as u64 + 4 * chunks)
    }

    /// The batches behind `from` in a step of `most` bytes; `None` if the index is damaged. Blocks
    /// as far as `reach` says.
    pub(super) fn following(
        self,
        reach: Reach,
        file: &dyn DiskFile,
        segment: &Arc<Segment>,
        from: Position,
        most: usize,
    ) -> io::Result<Option<Vec<Place>>> {
        let mut step = StepPlaces::within(most);
        let Some(first) = self.first_chunk(reach, file, from)? else { return Ok(None) };
        for chunk in first..self.spots.div_ceil(CHUNK_SPOTS) {
            let Some(spots) = self.chunk(reach, file, chunk)? else { return Ok(None) };
            for spot in spots.into_iter().filter(|spot| from.is_before(spot.end())) {
                if !step.takes(&spot) {
                    return Ok(Some(step.places));
                }
                step.places.push(Place { segment: Arc::clone(segment), spot });
            }
        }
        Ok(Some(step.places))
    }

    /// The chunk in which what follows `from` begins: the last one whose first spot does not.
    fn first_chunk(
        self,
        reach: Reach,
        file: &dyn DiskFile,
        from: Position,
    ) -> io::Result<Option<u32>> {
        let (mut low, mut high) = (0, self.spots.div_ceil(CHUNK_SPOTS));
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            let mut bytes = [0; SPOT_BYTES];
            if read_within(reach, file, &mut bytes, self.chunk_at(middle))? < SPOT_BYTES {
                return Ok(None);
            }
            // A wrong turn by a damaged spot is found by the chunk's checksum: either it is this
            // very chunk that is read, or the one before, whose last spot would then not fit.
            match decode_spot(&mut Fields::new(&bytes), self.base) {
                Some(spot) if from.is_before(spot.first.behind(0, 0)) => high = middle,
                Some(_) => low = middle,
                None => return Ok(None),
            }
        }
        Ok(Some(low))
    }

    fn chunk_at(self, chunk: u32) -> u64 {
        let bytes = CHUNK_SPOTS as usize * SPOT_BYTES + 4;
        self.at + u64::from(chunk) * bytes as u64
    }

    fn chunk(self, reach: Reach, file: &dyn DiskFile, chunk: u32) -> io::Result<Option<Vec<Spot>>> {
        let spots = (self.spots - chunk * CHUNK_SPOTS).min(CHUNK_SPOTS);
        let mut bytes = vec![0; spots as usize * SPOT_BYTES + 4];
        if read_within(reach, file, &mut bytes, self.chunk_at(chunk))? < bytes.len() {
            return Ok(None);
        }
        Ok(decode_chunk(&bytes, spots, self.base))
    }

    /// All spots; `None` if the index is damaged. Blocks.
    pub(super) fn all(self, file: &dyn DiskFile) -> io::Result<Option<Vec<Spot>>> {
        // How many there are said to be is not believed before they are seen.
        let mut all = Vec::new();
        for chunk in 0..self.spots.div_ceil(CHUNK_SPOTS) {
            let Some(spots) = self.chunk(Reach::Disk, file, chunk)? else { return Ok(None) };
            all.extend(spots);
        }
        Ok(Some(all))
    }
}

fn decode_chunk(bytes: &[u8], spots: u32, base: Tail) -> Option<Vec<Spot>> {
    let (content, sum) = bytes.split_at_checked(spots as usize * SPOT_BYTES)?;
    if Fields::new(sum).u32()? != checksum(0, &[content]) {
        return None;
    }
    let mut fields = Fields::new(content);
    (0..spots).map(|_| decode_spot(&mut fields, base)).collect()
}

fn decode_spot(fields: &mut Fields<'_>, base: Tail) -> Option<Spot> {
    let (lsn, seq) = (fields.u32()?, fields.u32()?);
    let spot = Spot {
        first: base.behind(lsn, seq),
        records: fields.u32()?,
        events: fields.u32()?,
        at: fields.u32()?,
        bytes: fields.u32()?,
        seed: fields.u32()?,
    };
    // No segment is as long as that.
    spot.at.checked_add(spot.bytes).map(|_| spot)
}
