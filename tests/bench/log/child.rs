//! Contestants as processes of their own: this program started again with a job, a folder and
//! some numbers. What a job found out it tells on stdout, one name and number a line.
//!
//! A process of its own is what makes memory, CPU and written bytes those of one contestant.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use tempfile::TempDir;

/// The first argument of a process that has a job.
const MARK: &str = "--job";

/// What a process is to do.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) job: String,
    pub(crate) folder: PathBuf,
    numbers: Vec<f64>,
}

impl Order {
    /// The order that this process was started with, if it was started for a job.
    pub(crate) fn of_this_process() -> Option<Self> {
        let mut words = std::env::args().skip(1);
        if words.next()? != MARK {
            return None;
        }
        let (job, folder) = (words.next()?, words.next()?.into());
        Some(Self { job, folder, numbers: words.map(|word| word.parse().unwrap()).collect() })
    }

    pub(crate) fn number(&self, at: usize) -> f64 {
        self.numbers[at]
    }

    pub(crate) fn count(&self, at: usize) -> u64 {
        self.number(at) as u64
    }
}

/// Numbers that a job told.
#[derive(Debug)]
pub(crate) struct Told(BTreeMap<String, f64>);

impl Told {
    pub(crate) fn get(&self, name: &str) -> f64 {
        *self.0.get(name).unwrap_or_else(|| panic!("{name} is not told: {self:?}"))
    }
}

/// A job at work. It is killed with its value, as by `kill -9`.
pub(crate) struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    pub(crate) fn start(job: &str, folder: &Path, numbers: &[f64]) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([MARK, job])
            .arg(folder)
            .args(numbers.iter().map(f64::to_string))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Waits until it has told `name`.
    pub(crate) fn wait_for(&mut self, name: &str) -> f64 {
        for line in &mut self.lines {
            let line = line.unwrap();
            let (told, number) = line.split_once(' ').expect("a name and a number");
            if told == name {
                return number.parse().unwrap();
            }
        }
        panic!("the job ended without {name}");
    }

    pub(crate) fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        // An error means that it has ended by itself.
        drop(self.child.kill());
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// Does a job in a process of its own, to its end.
pub(crate) fn run(job: &str, folder: &Path, numbers: &[f64]) -> Told {
    let mut running = Running::start(job, folder, numbers);
    let lines: Vec<String> = (&mut running.lines).map(Result::unwrap).collect();
    let status = running.child.wait().unwrap();
    assert!(status.success(), "{job}: {status}");
    let told = lines.iter().map(|line| {
        let (name, number) = line.split_once(' ').expect("a name and a number");
        (name.to_owned(), number.parse().unwrap())
    });
    Told(told.collect())
}

/// What a job found out, told to whoever started it.
pub(crate) fn tell(name: &str, number: f64) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{name} {number}").and_then(|()| out.flush()).unwrap();
}

/// A fresh folder in the build's own folder, which is on a disk where `/tmp` may be in memory.
/// It goes with its value.
pub(crate) fn folder_on_disk() -> TempDir {
    let program = std::env::current_exe().unwrap();
    // Below it are a profile's folder, `deps` and the program.
    let target = program.ancestors().nth(3).unwrap().join("bench-log");
    std::fs::create_dir_all(&target).unwrap();
    tempfile::Builder::new().prefix("run-").tempdir_in(target).unwrap()
}

/// A fresh folder in `home`, for one contestant in one round.
pub(crate) fn folder_in(home: &Path) -> TempDir {
    tempfile::tempdir_in(home).unwrap()
}
