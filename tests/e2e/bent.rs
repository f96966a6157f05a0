//! A daemon whose system lies to it on request: a disk whose syncs fail, a clock that leaps
//! (`bent.c` says how).

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::preload;

/// The built library with the files it is steered by.
#[derive(Debug)]
pub(crate) struct Bent {
    folder: TempDir,
}

impl Bent {
    /// Builds the library.
    pub(crate) fn build() -> Self {
        let folder = tempfile::tempdir().expect("make a folder for the library");
        preload::build("bent.c", &folder.path().join("bent.so"));
        Self { folder }
    }

    /// The environment of a process that is to carry it.
    pub(crate) fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        vec![
            ("LD_PRELOAD", self.path("bent.so")),
            ("BENT_SYNCS", self.path("syncs")),
            ("BENT_CLOCK", self.path("clock")),
        ]
    }

    /// From now on each sync fails.
    pub(crate) fn break_syncs(&self) {
        fs::write(self.path("syncs"), "").expect("write a trigger");
    }

    /// Syncs are as they were.
    pub(crate) fn mend_syncs(&self) {
        fs::remove_file(self.path("syncs")).expect("remove a trigger");
    }

    /// Eleven minutes pass at once.
    pub(crate) fn leap(&self) {
        fs::write(self.path("clock"), "").expect("write a trigger");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}
