//! A disk in memory that forgets: synced content is kept apart from unsynced content, for bytes
//! and for names alike.
//!
//! It fails operations on request, holds them so that a test can look at the moment in between,
//! loses power at a chosen operation, and then keeps, drops, tears, zeroes or reorders what was not
//! synced, sector by sector and name by name, by its seed. What was synced it never loses: a test
//! that wants damage asks for it with [`FaultyDisk::damage`].

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use afterbay::log::{Disk, DiskFile};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const SECTOR: usize = 512;
/// What the system has in memory, it has in pieces of this size.
const PAGE_BYTES: u64 = 2048;
/// How long a test waits for the log to reach an operation.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the log may do to a disk, apart from reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Operation {
    Create,
    Allocate,
    Write,
    Sync,
    Rename,
    Remove,
    SyncDir,
}

impl Operation {
    pub(crate) const ALL: [Self; 7] = [
        Self::Create,
        Self::Allocate,
        Self::Write,
        Self::Sync,
        Self::Rename,
        Self::Remove,
        Self::SyncDir,
    ];
}

/// The machine. Clones are the same machine.
#[derive(Debug, Clone)]
pub(crate) struct FaultyDisk(Arc<Machine>);

#[derive(Debug)]
struct Machine {
    state: Mutex<State>,
    moved: Condvar,
}

/// What one process has of the machine; after the next boot all its calls fail.
#[derive(Debug, Clone)]
struct Handle {
    machine: Arc<Machine>,
    boot: u64,
}

#[derive(Debug)]
struct File {
    handle: Handle,
    id: usize,
}

#[derive(Debug)]
struct State {
    boot: u64,
    is_off: bool,
    files: Vec<Content>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    name_changes: Vec<NameChange>,
    done: Vec<Operation>,
    crash_at: Option<usize>,
    /// The thread whose operation the last crash hit.
    crashed_in: String,
    failures: Vec<Failure>,
    free_bytes: Option<usize>,
    /// Files and bytes of them that cannot be read.
    unreadable: Vec<(usize, Range<usize>)>,
    uncreatable: Option<&'static str>,
    /// What it says that there is, whatever there is.
    told_free: u64,
    /// Whether it can promise room ahead of the writes.
    allocates: bool,
    held: Vec<Operation>,
    /// How many calls stand still because of `held`.
    standing: usize,
    /// How many of those may go on all the same.
    passes: usize,
    rng: StdRng,
}

#[derive(Debug, Clone)]
enum NameChange {
    Put(String, usize),
    Move(String, String, usize),
    Take(String),
}

#[derive(Debug)]
struct Failure {
    operation: Operation,
    /// How many of the kind succeed before.
    skip: usize,
    errno: i32,
}

#[derive(Debug, Default, Clone)]
struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
    /// All versions that a sector had since it was last synced.
    unsynced: BTreeMap<usize, Vec<Vec<u8>>>,
    /// Sectors whose sync failed: the kernel thinks them clean, so a later sync passes over them.
    forsaken: BTreeSet<usize>,
}

impl FaultyDisk {
    pub(crate) fn new(seed: u64) -> Self {
        let state = State {
            boot: 0,
            is_off: false,
            files: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            name_changes: Vec::new(),
            done: Vec::new(),
            crash_at: None,
            crashed_in: String::new(),
            failures: Vec::new(),
            free_bytes: None,
            unreadable: Vec::new(),
            uncreatable: None,
            told_free: u64::MAX,
            allocates: true,
            held: Vec::new(),
            standing: 0,
            passes: 0,
            rng: StdRng::seed_from_u64(seed),
        };
        Self(Arc::new(Machine { state: Mutex::new(state), moved: Condvar::new() }))
    }

    /// A new process: the one before is dead (`kill -9`), what it wrote is still in the page cache.
    pub(crate) fn boot(&self) -> Arc<dyn Disk> {
        let mut state = self.state();
        state.boot += 1;
        state.is_off = false;
        state.crash_at = None;
        state.failures.clear();
        state.held.clear();
        self.0.moved.notify_all();
        Arc::new(Handle { machine: Arc::clone(&self.0), boot: state.boot })
    }

    /// The page cache is gone; what was not synced is kept or not, as it comes.
    pub(crate) fn lose_power(&self) {
        let mut state = self.state();
        state.boot += 1;
        let State { files, names, durable_names, name_changes, rng, .. } = &mut *state;
        let mut after = durable_names.clone();
        let fate = Fate::pick(rng);
        for change in name_changes.drain(..) {
            if fate.keeps(rng) {
                apply(&mut after, &change);
            }
        }
        for file in files {
            file.lose_power(rng);
        }
        *names = after.clone();
        *durable_names = after;
        self.0.moved.notify_all();
    }

    /// Power goes, and takes of all that was not synced the `n`-th change of a name alone; false if
    /// there were not so many.
    pub(crate) fn lose_power_and_one_name(&self, n: usize) -> bool {
        let mut state = self.state();
        state.boot += 1;
        let State { files, names, durable_names, name_changes, .. } = &mut *state;
        let lost_one = n < name_changes.len();
        for (at, change) in name_changes.drain(..).enumerate() {
            if at != n {
                apply(durable_names, &change);
            }
        }
        for file in files {
            *file = Content::durable(&file.now);
        }
        names.clone_from(durable_names);
        self.0.moved.notify_all();
        lost_one
    }

    /// Power goes off in the middle of the `n`-th operation from now (0 is the next).
    pub(crate) fn crash_at(&self, n: usize) {
        let mut state = self.state();
        state.crash_at = Some(state.done.len() + n);
    }

    pub(crate) fn is_off(&self) -> bool {
        self.state().is_off
    }

    /// The name of the thread in whose operation the power last went off.
    pub(crate) fn crashed_in(&self) -> String {
        self.state().crashed_in.clone()
    }

    /// All operations since the machine was built.
    pub(crate) fn done(&self) -> Vec<Operation> {
        self.state().done.clone()
    }

    /// After `skip` more of its kind, one `operation` fails with `errno`.
    pub(crate) fn fail(&self, operation: Operation, skip: usize, errno: i32) {
        self.state().failures.push(Failure { operation, skip, errno });
    }

    /// It has no room for new files whose names end so.
    pub(crate) fn refuse_to_create(&self, ending: Option<&'static str>) {
        self.state().uncreatable = ending;
    }

    /// What was to fail and has not yet does not.
    pub(crate) fn mend(&self) {
        self.state().failures.clear();
    }

    /// How much files may still grow; `None`: as they like.
    pub(crate) fn set_free(&self, bytes: Option<usize>) {
        self.state().free_bytes = bytes;
    }

    /// How much room it says that there is, to whoever asks; so much as it likes by itself.
    pub(crate) fn tell_free(&self, bytes: u64) {
        self.state().told_free = bytes;
    }

    /// From here on it promises no room ahead of the writes, as some file systems do not.
    pub(crate) fn allocates_nothing(&self) {
        self.state().allocates = false;
    }

    /// From here on such operations stand still, until [`FaultyDisk::release`].
    pub(crate) fn hold(&self, operations: &[Operation]) {
        self.state().held = operations.to_vec();
    }

    /// Waits until an operation stands still.
    pub(crate) fn wait_until_held(&self) {
        let state = self.state();
        let (state, waited) =
            self.0.moved.wait_timeout_while(state, PATIENCE, |s| s.standing == 0).expect("lock");
        assert!(!waited.timed_out(), "nothing was held, done so far: {:?}", state.done);
    }

    /// Whether an operation stands still.
    pub(crate) fn holds(&self) -> bool {
        self.state().standing > 0
    }

    /// What stands still goes on; the next ones stand still again.
    pub(crate) fn let_pass(&self) {
        let mut state = self.state();
        state.passes = state.standing;
        state.standing = 0;
        self.0.moved.notify_all();
    }

    pub(crate) fn release(&self) {
        self.state().held.clear();
        self.0.moved.notify_all();
    }

    /// The names of all files.
    pub(crate) fn names(&self) -> Vec<String> {
        self.state().names.keys().cloned().collect()
    }

    pub(crate) fn content(&self, name: &str) -> Vec<u8> {
        let state = self.state();
        state.files[state.names[name]].now.clone()
    }

    /// Changes the bytes of a file behind everybody's back.
    pub(crate) fn damage(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state();
        let id = state.names[name];
        let file = &mut state.files[id];
        change(&mut file.now);
        file.durable.clone_from(&file.now);
        file.unsynced.clear();
    }

    /// Makes reading fail where it touches these bytes.
    pub(crate) fn spoil(&self, name: &str, bytes: Range<usize>) {
        let mut state = self.state();
        let id = state.names[name];
        state.unreadable.push((id, bytes));
    }

    /// The same disk once more, as if everything on it were durable.
    pub(crate) fn duplicate(&self) -> Self {
        let copy = Self::new(0);
        let state = self.state();
        let mut other = copy.state();
        other.names.clone_from(&state.names);
        other.durable_names.clone_from(&state.names);
        other.files = state.files.iter().map(|file| Content::durable(&file.now)).collect();
        drop(other);
        copy
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().expect("lock")
    }
}

/// How what was not synced fares in one loss of power.
#[derive(Debug, Clone, Copy)]
enum Fate {
    All,
    Nothing,
    EachAsItComes,
}

impl Fate {
    fn pick(rng: &mut StdRng) -> Self {
        match rng.random_range(0..4) {
            0 => Self::All,
            1 => Self::Nothing,
            _ => Self::EachAsItComes,
        }
    }

    fn keeps(self, rng: &mut StdRng) -> bool {
        match self {
            Self::All => true,
            Self::Nothing => false,
            Self::EachAsItComes => rng.random(),
        }
    }
}

impl Content {
    fn durable(bytes: &[u8]) -> Self {
        Self { now: bytes.to_vec(), durable: bytes.to_vec(), ..Self::default() }
    }

    fn write(&mut self, bytes: &[u8], at: usize) {
        let end = at + bytes.len();
        if self.now.len() < end {
            self.now.resize(end, 0);
        }
        self.now[at..end].copy_from_slice(bytes);
        for sector in at / SECTOR..end.div_ceil(SECTOR) {
            self.unsynced.entry(sector).or_default().push(sector_of(&self.now, sector));
            self.forsaken.remove(&sector);
        }
    }

    fn sync(&mut self) {
        self.durable.resize(self.now.len(), 0);
        let kept: Vec<_> = self.forsaken.iter().copied().collect();
        for sector in std::mem::take(&mut self.unsynced).into_keys() {
            if !kept.contains(&sector) {
                put_sector(&mut self.durable, sector, &sector_of(&self.now, sector));
            }
        }
    }

    fn forsake(&mut self) {
        self.forsaken.extend(self.unsynced.keys());
    }

    fn lose_power(&mut self, rng: &mut StdRng) {
        let fate = Fate::pick(rng);
        let grown = self.now.len().saturating_sub(self.durable.len());
        let kept = match fate {
            Fate::All => grown,
            Fate::Nothing => 0,
            Fate::EachAsItComes => rng.random_range(0..=grown).next_multiple_of(SECTOR).min(grown),
        };
        self.durable.resize(self.durable.len() + kept, 0);
        for (sector, versions) in std::mem::take(&mut self.unsynced) {
            if fate.keeps(rng) {
                let old = sector_of(&self.durable, sector);
                let new = match fate {
                    Fate::All => versions.last().cloned().unwrap_or_default(),
                    Fate::Nothing => old,
                    Fate::EachAsItComes => some_version(&old, &versions, rng),
                };
                put_sector(&mut self.durable, sector, &new);
            }
        }
        self.forsaken.clear();
        self.now.clone_from(&self.durable);
    }
}

/// One of the versions, or a mixture, or zeros.
fn some_version(old: &[u8], versions: &[Vec<u8>], rng: &mut StdRng) -> Vec<u8> {
    let newest = versions.last().cloned().unwrap_or_default();
    let cut = rng.random_range(0..=SECTOR);
    let mixed = |head: &[u8], tail: &[u8]| [&head[..cut], &tail[cut..]].concat();
    match rng.random_range(0..10) {
        0 => vec![0; SECTOR],
        1 => mixed(&newest, old),
        2 => mixed(old, &newest),
        3 => versions[rng.random_range(0..versions.len())].clone(),
        _ => newest,
    }
}

/// A sector's bytes; what is behind the end of the file is zero.
fn sector_of(bytes: &[u8], sector: usize) -> Vec<u8> {
    let from = (sector * SECTOR).min(bytes.len());
    let to = (from + SECTOR).min(bytes.len());
    let mut found = bytes[from..to].to_vec();
    found.resize(SECTOR, 0);
    found
}

/// Puts what fits: a file does not grow by it.
fn put_sector(bytes: &mut [u8], sector: usize, with: &[u8]) {
    let from = (sector * SECTOR).min(bytes.len());
    let to = (from + SECTOR).min(bytes.len());
    bytes[from..to].copy_from_slice(&with[..to - from]);
}

fn apply(names: &mut BTreeMap<String, usize>, change: &NameChange) {
    match change {
        NameChange::Put(name, id) => {
            names.insert(name.clone(), *id);
        }
        NameChange::Move(from, to, id) => {
            names.remove(from);
            names.insert(to.clone(), *id);
        }
        NameChange::Take(name) => {
            names.remove(name);
        }
    }
}

fn power_is_off() -> io::Error {
    io::Error::other("power is off")
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Handle {
    /// The machine, if this process lives and the power is on.
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.machine.state.lock().expect("lock");
        if state.is_off || state.boot != self.boot { Err(power_is_off()) } else { Ok(state) }
    }

    /// Begins an operation: it may have to stand still, and may be the one in whose middle the
    /// power goes off; that is told by the flag, so that a part of it can be done.
    fn begin(&self, operation: Operation) -> io::Result<(MutexGuard<'_, State>, bool)> {
        let mut state = self.state()?;
        if state.held.contains(&operation) {
            state.standing += 1;
            self.machine.moved.notify_all();
            let stands =
                |s: &mut State| s.held.contains(&operation) && s.boot == self.boot && s.passes == 0;
            state = self.machine.moved.wait_while(state, stands).expect("lock");
            match state.passes {
                0 => state.standing = state.standing.saturating_sub(1),
                _ => state.passes -= 1,
            }
            if state.is_off || state.boot != self.boot {
                return Err(power_is_off());
            }
        }
        let crashes = state.crash_at == Some(state.done.len());
        state.done.push(operation);
        state.is_off = crashes;
        if crashes {
            state.crashed_in = std::thread::current().name().unwrap_or_default().to_owned();
        }
        Ok((state, crashes))
    }
}

impl State {
    fn failure(&mut self, operation: Operation) -> io::Result<()> {
        let Some(at) = self.failures.iter().position(|f| f.operation == operation) else {
            return Ok(());
        };
        if self.failures[at].skip > 0 {
            self.failures[at].skip -= 1;
            return Ok(());
        }
        Err(io::Error::from_raw_os_error(self.failures.remove(at).errno))
    }

    /// Changes a name, or perhaps does so while the power goes off.
    fn change(&mut self, change: NameChange, crashes: bool) -> io::Result<()> {
        if crashes && self.rng.random() {
            return Err(power_is_off());
        }
        apply(&mut self.names, &change);
        self.name_changes.push(change);
        if crashes { Err(power_is_off()) } else { Ok(()) }
    }
}

impl Disk for Handle {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.state()?.names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let (mut state, crashes) = self.begin(Operation::Create)?;
        state.failure(Operation::Create)?;
        if state.uncreatable.is_some_and(|ending| name.ends_with(ending)) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let id = state.files.len();
        state.files.push(Content::default());
        state.change(NameChange::Put(name.to_owned(), id), crashes)?;
        Ok(Arc::new(File { handle: self.clone(), id }))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let id = *self.state()?.names.get(name).ok_or_else(not_found)?;
        Ok(Arc::new(File { handle: self.clone(), id }))
    }

    fn edit(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.open(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (mut state, crashes) = self.begin(Operation::Rename)?;
        state.failure(Operation::Rename)?;
        let id = *state.names.get(from).ok_or_else(not_found)?;
        state.change(NameChange::Move(from.to_owned(), to.to_owned(), id), crashes)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let (mut state, crashes) = self.begin(Operation::Remove)?;
        state.failure(Operation::Remove)?;
        if !state.names.contains_key(name) {
            return Err(not_found());
        }
        state.change(NameChange::Take(name.to_owned()), crashes)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(self.state()?.told_free)
    }

    fn sync_dir(&self) -> io::Result<()> {
        let (mut state, crashes) = self.begin(Operation::SyncDir)?;
        if crashes {
            return Err(power_is_off());
        }
        state.failure(Operation::SyncDir)?;
        state.durable_names = state.names.clone();
        state.name_changes.clear();
        Ok(())
    }
}

impl DiskFile for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.handle.state()?;
        let rest = state.files[self.id].now.get(offset as usize..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        let (from, to) = (offset as usize, offset as usize + count);
        let touches =
            |(id, bad): &(usize, Range<usize>)| *id == self.id && bad.start < to && from < bad.end;
        if state.unreadable.iter().any(touches) {
            return Err(io::Error::from_raw_os_error(5));
        }
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    /// Every other page is in memory, so that readers go both ways.
    fn read_in_memory(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let end = offset + buffer.len() as u64;
        let is_there = (offset / PAGE_BYTES..end.div_ceil(PAGE_BYTES)).all(|page| page % 2 == 0);
        if is_there { self.read_at(buffer, offset) } else { Err(io::ErrorKind::WouldBlock.into()) }
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let (mut state, crashes) = self.handle.begin(Operation::Write)?;
        state.failure(Operation::Write)?;
        let at = offset as usize;
        let mut fits = bytes.len();
        if let Some(free) = state.free_bytes {
            let allocated = state.files[self.id].now.len();
            fits = fits.min((allocated + free).saturating_sub(at));
            if fits == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            state.free_bytes = Some(free - (at + fits).saturating_sub(allocated));
        }
        if crashes {
            fits = state.rng.random_range(0..=fits);
        }
        state.files[self.id].write(&bytes[..fits], at);
        if crashes { Err(power_is_off()) } else { Ok(fits) }
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let (mut state, crashes) = self.handle.begin(Operation::Allocate)?;
        state.failure(Operation::Allocate)?;
        let grows = (bytes as usize).saturating_sub(state.files[self.id].now.len());
        if state.allocates && !(crashes && state.rng.random()) {
            if let Some(free) = state.free_bytes {
                let left = free.checked_sub(grows).ok_or(io::ErrorKind::StorageFull)?;
                state.free_bytes = Some(left);
            }
            let file = &mut state.files[self.id];
            file.now.resize(file.now.len() + grows, 0);
        }
        if crashes { Err(power_is_off()) } else { Ok(()) }
    }

    fn sync_data(&self) -> io::Result<()> {
        let (mut state, crashes) = self.handle.begin(Operation::Sync)?;
        if crashes {
            return Err(power_is_off());
        }
        let failed = state.failure(Operation::Sync);
        let file = &mut state.files[self.id];
        match failed {
            Ok(()) => file.sync(),
            Err(_) => file.forsake(),
        }
        failed
    }

    fn bytes(&self) -> io::Result<u64> {
        Ok(self.handle.state()?.files[self.id].now.len() as u64)
    }
}
