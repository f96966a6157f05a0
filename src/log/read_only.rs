//! A folder to look at, also while another process has it: takes no lock, creates nothing, and
//! refuses whatever would change something.
//!
//! What it shows may change from one look to the next; what to make of that is the reader's business.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::{Disk, DiskFile};

/// A folder of the file system, to read.
#[derive(Debug)]
pub struct ReadOnlyFolder(PathBuf);

#[derive(Debug)]
struct ReadOnlyFile(File);

impl ReadOnlyFolder {
    /// The folder at `path`.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn open(path: &Path) -> io::Result<Self> {
        std::fs::read_dir(path)?;
        Ok(Self(path.to_owned()))
    }
}

fn refused<T>() -> io::Result<T> {
    Err(io::ErrorKind::ReadOnlyFilesystem.into())
}

impl Disk for ReadOnlyFolder {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.0)? {
            // A name that is not UTF-8 is none of ours.
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn create(&self, _: &str) -> io::Result<Arc<dyn DiskFile>> {
        refused()
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(ReadOnlyFile(File::open(self.0.join(name))?)))
    }

    fn edit(&self, _: &str) -> io::Result<Arc<dyn DiskFile>> {
        refused()
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        refused()
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        refused()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        // Nothing can be written here.
        Ok(0)
    }

    fn sync_dir(&self) -> io::Result<()> {
        refused()
    }
}

impl DiskFile for ReadOnlyFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
        refused()
    }

    fn allocate(&self, _: u64) -> io::Result<()> {
        refused()
    }

    fn sync_data(&self) -> io::Result<()> {
        refused()
    }

    fn bytes(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::RealDisk;

    #[test]
    fn a_folder_that_somebody_has_is_read_and_nothing_in_it_changes() {
        let home = tempfile::tempdir().expect("tempdir");
        let disk = RealDisk::open(home.path()).expect("open");
        disk.create("x").expect("create").write_at(b"abc", 0).expect("write");
        let folder = ReadOnlyFolder::open(home.path()).expect("open beside the holder");
        let mut names = folder.list().expect("list");
        names.sort_unstable();
        assert_eq!(names, ["lock", "x"]);
        let file = folder.open("x").expect("open");
        let mut read = [0; 4];
        assert_eq!(file.read_at(&mut read, 1).expect("read"), 2);
        assert_eq!((&read[..2], file.bytes().expect("bytes")), (&b"bc"[..], 3));
        let kinds = [
            folder.create("y").map(drop),
            folder.edit("x").map(drop),
            folder.rename("x", "y"),
            folder.remove("x"),
            folder.sync_dir(),
            file.write_at(b"d", 0).map(drop),
            file.allocate(9),
            file.sync_data(),
        ]
        .map(|done| done.expect_err("refused").kind());
        assert_eq!(kinds, [io::ErrorKind::ReadOnlyFilesystem; 8]);
        assert!(ReadOnlyFolder::open(&home.path().join("none")).is_err());
    }
}
