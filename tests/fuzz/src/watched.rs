//! A disk that sees how much is read at once: whoever believes a length before the bytes are seen
//! takes memory that damaged bytes can make as large as they like.

use std::fmt;
use std::io;
use std::sync::Arc;

use afterbay::log::{Disk, DiskFile};

/// More than the log ever reads at once of files as small as those here.
const MOST: usize = 2 << 20;

/// Another disk, watched.
pub(crate) struct Watched<T>(T);

impl Watched<Arc<dyn Disk>> {
    pub(crate) fn around(disk: Arc<dyn Disk>) -> Arc<dyn Disk> {
        Arc::new(Self(disk))
    }
}

fn around(file: io::Result<Arc<dyn DiskFile>>) -> io::Result<Arc<dyn DiskFile>> {
    Ok(Arc::new(Watched(file?)))
}

impl<T> fmt::Debug for Watched<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watched")
    }
}

impl Disk for Watched<Arc<dyn Disk>> {
    fn list(&self) -> io::Result<Vec<String>> {
        self.0.list()
    }
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        around(self.0.create(name))
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        around(self.0.open(name))
    }
    fn edit(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        around(self.0.edit(name))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }
    fn free_bytes(&self) -> io::Result<u64> {
        self.0.free_bytes()
    }
    fn sync_dir(&self) -> io::Result<()> {
        self.0.sync_dir()
    }
}

impl DiskFile for Watched<Arc<dyn DiskFile>> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        assert!(buffer.len() <= MOST, "{} bytes are read at once", buffer.len());
        self.0.read_at(buffer, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(bytes, offset)
    }
    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.0.allocate(bytes)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }
    fn bytes(&self) -> io::Result<u64> {
        self.0.bytes()
    }
}
