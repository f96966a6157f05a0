//! What the log takes of its disk: for whoever decides what must go. Reads only.

use std::io;

use super::Store;
use super::segment::kind_of;

/// What the log takes of its disk, and what is left there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// What its files take. More than `kept`: a segment goes only when nothing in it is kept, and
    /// some files are made ahead of need.
    pub files: u64,
    /// Bytes of all sessions that no trim has cut off.
    pub kept: u64,
    /// What is left on the file system.
    pub free: u64,
}

impl Store {
    /// Looks at the disk. Blocks: it asks for the length of each file.
    ///
    /// # Errors
    /// The disk's, or that the store is closed.
    pub fn usage(&self) -> io::Result<Usage> {
        let closed = || io::Error::other("the log is closed");
        let disk = self.disk.upgrade().ok_or_else(closed)?;
        let mut files = 0;
        for name in disk.list()?.iter().filter(|name| kind_of(name).is_some()) {
            // It may have been removed or renamed since.
            files += disk.open(name).and_then(|file| file.bytes()).unwrap_or_default();
        }
        let kept = self.index.all().iter().map(|session| session.bytes()).sum();
        Ok(Usage { files, kept, free: disk.free_bytes()? })
    }
}
