//! A real folder: mode 0700, files 0600, locked for one process.
//!
//! The lock is an advisory one on the file `lock`, released by the kernel when the process ends,
//! however it ends; the file itself stays and names the last holder.

use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::disk::{Disk, DiskFile};
use super::error::OpenError;
use crate::limits;

const LOCK_NAME: &str = "lock";

/// What a file's length on disk is counted in, whatever the file system's own blocks are.
const STAT_BLOCK_BYTES: u64 = 512;

/// A folder of the file system that this process alone uses. The lock goes when it is dropped.
#[derive(Debug)]
pub struct RealDisk {
    path: PathBuf,
    /// Open on the folder itself: what names are synced through.
    folder: File,
    /// Holds the lock as long as it is open.
    _lock: File,
}

/// A process that has a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// Its process id.
    pub pid: u32,
    /// When it took the folder.
    pub since: SystemTime,
}

impl RealDisk {
    /// Takes the folder at `path`; it is created if need be, with its parents.
    ///
    /// # Errors
    /// [`OpenError::Locked`] or [`OpenError::Io`].
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let failed = |doing| move |source| OpenError::Io { doing, source };
        create_folder(path).map_err(failed("create the log folder"))?;
        let folder = File::open(path).map_err(failed("open the log folder"))?;
        let mut lock = options()
            .create(true)
            .truncate(false)
            .open(path.join(LOCK_NAME))
            .map_err(failed("open the lock file"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = Holder::read(&mut lock);
                return Err(OpenError::Locked { folder: path.display().to_string(), holder });
            }
            Err(TryLockError::Error(source)) => return Err(failed("lock the log folder")(source)),
        }
        Holder::this_process().write(&mut lock).map_err(failed("write the lock file"))?;
        Ok(Self { path: path.to_owned(), folder, _lock: lock })
    }
}

/// Creates the folder and makes its own name durable.
fn create_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

impl Disk for RealDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            // A name that is not UTF-8 is none of ours.
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = options().create(true).truncate(true).open(self.path.join(name))?;
        Ok(Arc::new(RealFile(file)))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(RealFile(File::open(self.path.join(name))?)))
    }

    fn edit(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(RealFile(options().open(self.path.join(name))?)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path.join(name))
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(free(&rustix::fs::fstatvfs(&self.folder)?))
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.folder.sync_all()
    }
}

#[derive(Debug)]
struct RealFile(File);

impl DiskFile for RealFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn read_in_memory(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        use rustix::io::{Errno, ReadWriteFlags, preadv2};
        let mut buffers = [io::IoSliceMut::new(buffer)];
        preadv2(&self.0, &mut buffers, offset, ReadWriteFlags::NOWAIT).map_err(
            |error| match error {
                // Not every file system can tell.
                Errno::OPNOTSUPP | Errno::NOSYS => io::ErrorKind::WouldBlock.into(),
                error => error.into(),
            },
        )
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(bytes, offset)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        use rustix::fs::{FallocateFlags, fallocate};
        use rustix::io::Errno;
        if bytes == 0 {
            // The kernel takes that for a mistake.
            return Ok(());
        }
        self.expect_room(bytes)?;
        match fallocate(&self.0, FallocateFlags::empty(), 0, bytes) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn bytes(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}

impl RealFile {
    /// Says that there is no room for `bytes` without trying: the kernel takes block after block until
    /// the last one is gone, and for that moment nobody else has any either.
    fn expect_room(&self, bytes: u64) -> io::Result<()> {
        let (Ok(metadata), Ok(left)) = (self.0.metadata(), rustix::fs::fstatvfs(&self.0)) else {
            // One that cannot be asked is tried.
            return Ok(());
        };
        let held = metadata.blocks().saturating_mul(STAT_BLOCK_BYTES);
        // What is kept back for root is there for root.
        let is_root = rustix::process::geteuid().is_root();
        let free = if is_root { left.f_bfree.saturating_mul(left.f_frsize) } else { free(&left) };
        // One that says that it has no blocks at all does not count them.
        let is_known = left.f_blocks > 0;
        if is_known && free < bytes.saturating_sub(held) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

/// What is left to those who are not root.
const fn free(left: &rustix::fs::StatVfs) -> u64 {
    left.f_bavail.saturating_mul(left.f_frsize)
}

impl Holder {
    fn this_process() -> Self {
        Self { pid: std::process::id(), since: SystemTime::now() }
    }

    /// Lock files are for people and for the next process's error message: they are not synced.
    fn write(self, lock: &mut File) -> io::Result<()> {
        let since = self.since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        lock.set_len(0)?;
        lock.write_all(format!("{} {}\n", self.pid, since.as_millis()).as_bytes())
    }

    /// `None` if the holder is just about to write it.
    fn read(lock: &mut File) -> Option<Self> {
        let mut text = String::new();
        lock.take(limits::MAX_LOCK_BYTES).read_to_string(&mut text).ok()?;
        let (pid, since) = text.trim_end().split_once(' ')?;
        let since = Duration::from_millis(since.parse().ok()?);
        Some(Self { pid: pid.parse().ok()?, since: SystemTime::UNIX_EPOCH.checked_add(since)? })
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} since {}", self.pid, httpdate::fmt_http_date(self.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[track_caller]
    fn mode(path: &Path) -> u32 {
        path.metadata().expect("metadata").permissions().mode() & 0o777
    }

    #[test]
    fn the_folder_and_its_files_are_for_their_owner_alone() {
        let home = tempfile::tempdir().expect("tempdir");
        let path = home.path().join("a/log");
        let disk = RealDisk::open(&path).expect("open");
        disk.create("x").expect("create");
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&path.join("x")), 0o600);
        assert_eq!(mode(&path.join(LOCK_NAME)), 0o600);
    }

    #[test]
    fn a_second_opener_is_told_who_has_the_folder_until_it_is_let_go() {
        let home = tempfile::tempdir().expect("tempdir");
        let before = SystemTime::now() - Duration::from_secs(1);
        let first = RealDisk::open(home.path()).expect("open");
        let refused = RealDisk::open(home.path()).expect_err("locked");
        let OpenError::Locked { holder: Some(holder), .. } = &refused else { panic!("{refused}") };
        assert_eq!(holder.pid, std::process::id());
        assert!(holder.since > before);
        assert!(refused.to_string().contains(&format!("process {}", holder.pid)), "{refused}");
        drop(first);
        RealDisk::open(home.path()).expect("open after the first let go");
    }

    #[test]
    fn room_can_be_made_for_something_and_for_nothing() {
        let home = tempfile::tempdir().expect("tempdir");
        let disk = RealDisk::open(home.path()).expect("open");
        let file = disk.create("x").expect("create");
        for (bytes, then) in [(0, 0), (5000, 5000), (0, 5000), (700, 5000)] {
            file.allocate(bytes).expect("room");
            assert_eq!(file.bytes().expect("a length"), then);
        }
    }

    #[test]
    fn what_is_in_memory_is_what_would_be_read_and_ends_where_the_file_does() {
        let home = tempfile::tempdir().expect("tempdir");
        let disk = RealDisk::open(home.path()).expect("open");
        let file = disk.create("x").expect("create");
        file.write_at(b"durable", 0).expect("write");
        for (offset, there) in [(0, &b"dura"[..]), (4, b"ble"), (7, b""), (100, b"")] {
            let mut buffer = [0; 4];
            match file.read_in_memory(&mut buffer, offset) {
                Ok(read) => assert_eq!(&buffer[..read], there),
                // This file system cannot tell.
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{error}"),
            }
        }
    }

    // What a sync does cannot be seen without cutting the power, but that the kernel is asked can:
    // it refuses to sync a device that holds nothing.
    #[test]
    fn syncing_asks_the_kernel() {
        let home = tempfile::tempdir().expect("tempdir");
        let nothing = || File::open("/dev/null").expect("open");
        let disk = RealDisk { folder: nothing(), ..RealDisk::open(home.path()).expect("open") };
        assert!(disk.sync_dir().is_err());
        assert!(RealFile(nothing()).sync_data().is_err());
    }
}
