//! Disks for two at once: one on which something happens between and amid the reads of whoever
//! checks a log, and one whose writes stand still in their middle until they are let on.

use std::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use afterbay::log::{Disk, DiskFile};

/// How long a write may take to get to its middle.
const PATIENCE: Duration = Duration::from_secs(20);
const SECTOR: usize = 512;

/// Something that happens while the log is read; it is told how many calls there were before.
type Meddle = Arc<Mutex<dyn FnMut(usize) + Send>>;

/// A disk on which something happens before each call, and in the middle of each read.
#[derive(Clone)]
pub(crate) struct Meddling<T> {
    inner: T,
    calls: Arc<Mutex<usize>>,
    meddle: Meddle,
}

impl<T> Meddling<T> {
    pub(crate) fn new(inner: T, meddle: impl FnMut(usize) + Send + 'static) -> Self {
        Self { inner, calls: Arc::default(), meddle: Arc::new(Mutex::new(meddle)) }
    }

    /// How many calls there were.
    pub(crate) fn calls(&self) -> Arc<Mutex<usize>> {
        Arc::clone(&self.calls)
    }

    fn call(&self) {
        let calls = {
            let mut calls = self.calls.lock().expect("lock");
            *calls += 1;
            *calls
        };
        (self.meddle.lock().expect("lock"))(calls);
    }

    fn around<U>(&self, inner: U) -> Meddling<U> {
        Meddling { inner, calls: Arc::clone(&self.calls), meddle: Arc::clone(&self.meddle) }
    }
}

impl<T> fmt::Debug for Meddling<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meddling")
    }
}

fn read_only<T>() -> io::Result<T> {
    panic!("a check changes nothing")
}

impl Disk for Meddling<Arc<dyn Disk>> {
    fn list(&self) -> io::Result<Vec<String>> {
        self.call();
        self.inner.list()
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.call();
        Ok(Arc::new(self.around(self.inner.open(name)?)))
    }
    fn create(&self, _: &str) -> io::Result<Arc<dyn DiskFile>> {
        read_only()
    }
    fn edit(&self, _: &str) -> io::Result<Arc<dyn DiskFile>> {
        read_only()
    }
    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        read_only()
    }
    fn remove(&self, _: &str) -> io::Result<()> {
        read_only()
    }
    fn free_bytes(&self) -> io::Result<u64> {
        self.inner.free_bytes()
    }
    fn sync_dir(&self) -> io::Result<()> {
        read_only()
    }
}

impl DiskFile for Meddling<Arc<dyn DiskFile>> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.call();
        let half = buffer.len() / 2;
        let (first, second) = buffer.split_at_mut(half);
        let read = self.inner.read_at(first, offset)?;
        if read < half {
            return Ok(read);
        }
        self.call();
        Ok(half + self.inner.read_at(second, offset + half as u64)?)
    }
    fn bytes(&self) -> io::Result<u64> {
        self.call();
        self.inner.bytes()
    }
    fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
        read_only()
    }
    fn allocate(&self, _: u64) -> io::Result<()> {
        read_only()
    }
    fn sync_data(&self) -> io::Result<()> {
        read_only()
    }
}

/// Where writes wait. Clones are the same gate.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<GateState>, Condvar)>);

#[derive(Debug, Default)]
struct GateState {
    is_closed: bool,
    /// A write stands at it.
    is_waited_at: bool,
    /// One may pass.
    passes: bool,
}

impl Gate {
    pub(crate) fn close(&self) {
        self.0.0.lock().expect("lock").is_closed = true;
    }

    pub(crate) fn open(&self) {
        self.0.0.lock().expect("lock").is_closed = false;
        self.0.1.notify_all();
    }

    /// Lets one write on, and waits until the next one stands at the gate.
    pub(crate) fn step(&self) {
        let (state, moved) = &*self.0;
        for lets_pass in [true, false] {
            let standing = state.lock().expect("lock");
            let comes = |s: &mut GateState| s.is_closed && !s.is_waited_at;
            let waited = moved.wait_timeout_while(standing, PATIENCE, comes).expect("lock");
            let (mut standing, timeout) = waited;
            assert!(!timeout.timed_out(), "no write comes");
            if lets_pass {
                standing.passes = true;
                standing.is_waited_at = false;
                moved.notify_all();
            }
        }
    }

    fn pass(&self) {
        let (state, moved) = &*self.0;
        let mut state = state.lock().expect("lock");
        if state.is_closed {
            state.is_waited_at = true;
            moved.notify_all();
            state = moved.wait_while(state, |s| s.is_closed && !s.passes).expect("lock");
            state.passes = false;
            state.is_waited_at = false;
        }
    }
}

/// A disk whose writes stand still behind their first sector.
#[derive(Debug)]
pub(crate) struct Halting<T> {
    inner: T,
    gate: Gate,
}

impl<T> Halting<T> {
    pub(crate) fn new(inner: T, gate: &Gate) -> Self {
        Self { inner, gate: gate.clone() }
    }
}

impl Halting<Arc<dyn Disk>> {
    fn around(&self, file: io::Result<Arc<dyn DiskFile>>) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(Halting::new(file?, &self.gate)))
    }
}

impl Disk for Halting<Arc<dyn Disk>> {
    fn list(&self) -> io::Result<Vec<String>> {
        self.inner.list()
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.around(self.inner.open(name))
    }
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.around(self.inner.create(name))
    }
    fn edit(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.around(self.inner.edit(name))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.inner.remove(name)
    }
    fn free_bytes(&self) -> io::Result<u64> {
        self.inner.free_bytes()
    }
    fn sync_dir(&self) -> io::Result<()> {
        self.inner.sync_dir()
    }
}

impl DiskFile for Halting<Arc<dyn DiskFile>> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(buffer, offset)
    }
    fn bytes(&self) -> io::Result<u64> {
        self.inner.bytes()
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let (first, rest) = bytes.split_at(SECTOR.min(bytes.len()));
        let written = self.inner.write_at(first, offset)?;
        self.gate.pass();
        if rest.is_empty() || written < first.len() {
            return Ok(written);
        }
        Ok(written + self.inner.write_at(rest, offset + written as u64)?)
    }
    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.inner.allocate(bytes)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.inner.sync_data()
    }
}
