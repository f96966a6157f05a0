//! The seam under the log: the few things it asks of a folder and its files.
//!
//! Two implementations: [`super::RealDisk`], and the faulty one of the tests, which forgets what
//! was not synced. So nothing else in the log may touch a file. All calls block.

use std::fmt;
use std::io;
use std::sync::Arc;

/// A flat folder of files. Names are plain file names of ours.
pub trait Disk: fmt::Debug + Send + Sync {
    /// The names of all files.
    ///
    /// # Errors
    /// The disk's.
    fn list(&self) -> io::Result<Vec<String>>;
    /// An empty file to write and read, in place of an older one of that name.
    ///
    /// # Errors
    /// The disk's.
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// A file to read.
    ///
    /// # Errors
    /// The disk's.
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// A file to read and write, with what it holds.
    ///
    /// # Errors
    /// The disk's.
    fn edit(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// Gives a file another name, in one step. Open handles stay good.
    ///
    /// # Errors
    /// The disk's; then it is unknown which of the names the file has.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Takes a name away. Open handles stay good.
    ///
    /// # Errors
    /// The disk's.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Bytes that files may still grow by, all of them together.
    ///
    /// # Errors
    /// The disk's.
    fn free_bytes(&self) -> io::Result<u64>;
    /// Makes names durable: what was created, renamed and removed.
    ///
    /// # Errors
    /// The disk's; then nothing is known about the names changed since the last one.
    fn sync_dir(&self) -> io::Result<()>;
}

/// An open file.
pub trait DiskFile: fmt::Debug + Send + Sync {
    /// Reads at `offset`, perhaps less than asked for; 0 means the end.
    ///
    /// # Errors
    /// The disk's.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// The same, of what can be had without a wait for the device. A file that cannot tell has
    /// nothing.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`], or the disk's.
    fn read_in_memory(&self, _buffer: &mut [u8], _offset: u64) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
    /// Writes at `offset`, perhaps less than asked for; a longer file results if need be.
    ///
    /// # Errors
    /// The disk's; then this call wrote nothing.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;
    /// Makes sure that the first `bytes` bytes can be written without running out of room; the file
    /// becomes as long if it is shorter. Bytes that were not written read as zero. Where there was no
    /// such room before, none of it is taken, not even for a moment.
    ///
    /// # Errors
    /// The disk's, above all that there is no room. A disk that cannot promise it does no more than look.
    fn allocate(&self, bytes: u64) -> io::Result<()>;
    /// Makes the content and the length durable.
    ///
    /// # Errors
    /// The disk's; then nothing is known about what was written since the last one.
    fn sync_data(&self) -> io::Result<()>;
    /// The length in bytes.
    ///
    /// # Errors
    /// The disk's.
    fn bytes(&self) -> io::Result<u64>;
}

/// How far a read may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// To what the system has in memory: takes microseconds.
    Memory,
    /// To the device, however long that takes.
    Disk,
}

/// A write that ended early.
#[derive(Debug)]
pub(super) struct ShortWrite {
    /// How many bytes are in the file nevertheless.
    pub(super) landed: usize,
    /// The disk's answer.
    pub(super) source: io::Error,
}

/// Writes all of `bytes` at `offset`.
pub(super) fn write_all_at(
    file: &dyn DiskFile,
    bytes: &[u8],
    offset: u64,
) -> Result<(), ShortWrite> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let landed = bytes.len() - rest.len();
        let short = |source| ShortWrite { landed, source };
        match file.write_at(rest, offset + landed as u64) {
            Ok(0) => return Err(short(io::ErrorKind::WriteZero.into())),
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(short(source)),
        }
    }
    Ok(())
}

/// Fills `buffer` from `offset` as far as the file goes; says how far.
pub(super) fn read_up_to(file: &dyn DiskFile, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    read_within(Reach::Disk, file, buffer, offset)
}

/// The same, if it takes no more than `reach`; else [`io::ErrorKind::WouldBlock`].
pub(super) fn read_within(
    reach: Reach,
    file: &dyn DiskFile,
    buffer: &mut [u8],
    offset: u64,
) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        let at = offset + filled as u64;
        let read = match reach {
            Reach::Memory => file.read_in_memory(rest, at),
            Reach::Disk => file.read_at(rest, at),
        };
        match read {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}
