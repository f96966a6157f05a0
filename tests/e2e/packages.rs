//! Programs of other languages and the packages that they need, pinned, installed by name below
//! `target/e2e`: once, by whichever test comes first.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::opencode::folder;

/// From npm.
const NODE: [&str; 3] = ["@microsoft/fetch-event-source@2.0.1", "eventsource@4.1.0", "ws@8.18.3"];
/// From PyPI, for the clients.
const PYTHON: [&str; 4] =
    ["httpx==0.28.1", "httpx-sse==0.4.3", "requests==2.34.2", "sseclient-py==1.9.0"];

/// The folder above `node_modules` with the clients' packages.
pub(crate) fn node() -> PathBuf {
    of_node("node", &NODE)
}

/// The folder above `node_modules` with these packages.
pub(crate) fn of_node(name: &str, packages: &[&str]) -> PathBuf {
    installed(name, packages, |place| {
        let options = ["install", "--no-save", "--no-audit", "--no-fund", "--prefix"];
        run(Command::new("npm").args(options).arg(place).args(packages));
    })
}

/// The `bin` folder of the clients' environment.
pub(crate) fn python() -> PathBuf {
    environment("python", &PYTHON)
}

/// The `bin` folder of a Python environment with these packages.
pub(crate) fn environment(name: &str, packages: &[&str]) -> PathBuf {
    let place = installed(name, packages, |place| {
        let python = place.join("venv/bin/python");
        run(Command::new("python3").args(["-m", "venv"]).arg(place.join("venv")));
        // `pip` itself names the folder in which it was made: of a copy, that is another one.
        run(Command::new(python).args(["-m", "pip", "install", "--quiet"]).args(packages));
    });
    place.join("venv/bin")
}

/// A folder of that name with these packages, filled by `fill` unless they are there; one process
/// fills it.
fn installed(name: &str, packages: &[&str], fill: impl FnOnce(&Path)) -> PathBuf {
    let place = folder().join(name);
    fs::create_dir_all(&place).expect("make the install folder");
    let lock = File::create(place.join("lock")).expect("open the install lock");
    lock.lock().expect("lock the install folder");
    let (complete, wanted) = (place.join("complete"), packages.join("\n"));
    if fs::read_to_string(&complete).ok().as_ref() != Some(&wanted) {
        fill(&place);
        fs::write(complete, wanted).expect("note what is in the folder");
    }
    place
}

/// Runs a command that must succeed.
pub(crate) fn run(command: &mut Command) {
    let done = command.stdout(Stdio::null()).status();
    let done = done.unwrap_or_else(|error| panic!("run {command:?}: {error}"));
    assert!(done.success(), "{command:?}: {done}");
}

/// Where `name` is found, as a path that a process with another environment can use.
pub(crate) fn program(name: &str) -> PathBuf {
    found(name).unwrap_or_else(|| panic!("{name} is not installed"))
}

/// As [`program`], for one that may be missing.
pub(crate) fn found(name: &str) -> Option<PathBuf> {
    let asked = Command::new("sh").args(["-c", "command -v -- \"$0\"", name]).output();
    let asked = asked.expect("look for a program");
    let path = String::from_utf8(asked.stdout).expect("a path");
    asked.status.success().then(|| PathBuf::from(path.trim_end()))
}

/// A client or a box that is a script of `tests/e2e/clients`.
pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/clients").join(name)
}
