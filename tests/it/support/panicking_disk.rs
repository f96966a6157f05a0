//! A disk on which an operation panics, as a broken law in the log's own threads would.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use afterbay::log::{Disk, DiskFile};

/// What may panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Create,
    Edit,
    Rename,
    Remove,
    SyncDir,
    Read,
    Write,
    Sync,
}

/// When and where it panics: at the next such call of a thread of this name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trap(Arc<Mutex<Option<(Call, &'static str)>>>, Arc<AtomicBool>);

impl Trap {
    pub(crate) fn set(&self, call: Call, thread: &'static str) {
        *self.0.lock().expect("lock") = Some((call, thread));
    }

    /// Whether it has sprung.
    pub(crate) fn has_sprung(&self) -> bool {
        self.1.load(Ordering::SeqCst)
    }

    fn pass(&self, call: Call) {
        let mut trap = self.0.lock().expect("lock");
        let here = std::thread::current();
        if trap.is_some_and(|(at, thread)| at == call && here.name() == Some(thread)) {
            *trap = None;
            drop(trap);
            self.1.store(true, Ordering::SeqCst);
            panic!("on purpose, at {call:?}");
        }
    }
}

/// The disk, or a file of it.
#[derive(Debug)]
pub(crate) struct Panicking<T> {
    inner: T,
    trap: Trap,
}

impl<T> Panicking<T> {
    pub(crate) fn new(inner: T, trap: &Trap) -> Self {
        Self { inner, trap: trap.clone() }
    }
}

impl Panicking<Arc<dyn Disk>> {
    fn file(&self, file: io::Result<Arc<dyn DiskFile>>) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(Panicking::new(file?, &self.trap)))
    }
}

impl Disk for Panicking<Arc<dyn Disk>> {
    fn list(&self) -> io::Result<Vec<String>> {
        self.inner.list()
    }
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.trap.pass(Call::Create);
        self.file(self.inner.create(name))
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.file(self.inner.open(name))
    }
    fn edit(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.trap.pass(Call::Edit);
        self.file(self.inner.edit(name))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.trap.pass(Call::Rename);
        self.inner.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.trap.pass(Call::Remove);
        self.inner.remove(name)
    }
    fn free_bytes(&self) -> io::Result<u64> {
        self.inner.free_bytes()
    }
    fn sync_dir(&self) -> io::Result<()> {
        self.trap.pass(Call::SyncDir);
        self.inner.sync_dir()
    }
}

impl DiskFile for Panicking<Arc<dyn DiskFile>> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.trap.pass(Call::Read);
        self.inner.read_at(buffer, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.trap.pass(Call::Write);
        self.inner.write_at(bytes, offset)
    }
    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.inner.allocate(bytes)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.trap.pass(Call::Sync);
        self.inner.sync_data()
    }
    fn bytes(&self) -> io::Result<u64> {
        self.inner.bytes()
    }
}
