//! The aimed point between append and sync: a small library in C, built here and preloaded into
//! the daemon, kills the process just before an `fdatasync` (`kill_at_sync.c` says how).

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::preload;

/// The built library with the files it is steered by.
#[derive(Debug)]
pub(crate) struct KillAtSync {
    folder: TempDir,
}

impl KillAtSync {
    /// Builds the library with `cc`.
    pub(crate) fn build() -> Self {
        let folder = tempfile::tempdir().expect("make a folder for the library");
        preload::build("kill_at_sync.c", &folder.path().join("kill_at_sync.so"));
        Self { folder }
    }

    /// The environment of a process that is to carry it.
    pub(crate) fn environment(&self) -> [(&'static str, PathBuf); 3] {
        [
            ("LD_PRELOAD", self.folder.path().join("kill_at_sync.so")),
            ("KILL_AT_SYNC_TRIGGER", self.trigger()),
            ("KILL_AT_SYNC_NOTE", self.note()),
        ]
    }

    /// The next sync of the process kills it.
    pub(crate) fn arm(&self) {
        fs::write(self.trigger(), "").expect("write the trigger");
    }

    /// How often a process was killed here.
    pub(crate) fn hits(&self) -> usize {
        fs::read_to_string(self.note()).map_or(0, |note| note.lines().count())
    }

    fn trigger(&self) -> PathBuf {
        self.folder.path().join("trigger")
    }

    fn note(&self) -> PathBuf {
        self.folder.path().join("note")
    }
}

/// Writes and syncs three times, saying so each time.
#[cfg(test)]
const PROGRAM: &str = "
import os, sys
file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
for number in range(1, 4):
    os.write(file, b'written\\n')
    os.fdatasync(file)
    print('synced', number, flush=True)
";

#[test]
fn a_process_dies_after_its_write_and_before_its_sync() {
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;
    let killer = KillAtSync::build();
    let data = killer.folder.path().join("data");
    let run = |call: &str| {
        let mut python = Command::new("python3");
        python.args(["-c", PROGRAM]).arg(&data).envs(killer.environment());
        python.env("KILL_AT_SYNC_CALL", call).output().expect("run python3")
    };
    let output = run("2");
    assert_eq!(output.status.signal(), Some(9));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "synced 1\n");
    assert_eq!(fs::read_to_string(&data).expect("the data"), "written\nwritten\n");
    assert_eq!(killer.hits(), 1);

    killer.arm();
    let output = run("0");
    assert_eq!((output.status.signal(), output.stdout.len()), (Some(9), 0));
    assert_eq!(killer.hits(), 2);

    let output = run("0");
    assert!(output.status.success(), "a spent trigger kills nobody");
    assert_eq!(killer.hits(), 2);
}
