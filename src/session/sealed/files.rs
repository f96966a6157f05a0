//! The files of the folder `sealed`: each is there whole or not at all.
//!
//! Durable: as `whole_file` promises, and so is a removal. The folder is nobody's but the user's (0700).

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::super::whole_file;
use crate::limits;

const FOLDER: &str = "sealed";

/// The folder.
#[derive(Debug)]
pub(super) struct Files(PathBuf);

impl Files {
    /// Opens the folder below `data_dir`, or makes it.
    pub(super) fn open(data_dir: &Path) -> io::Result<Self> {
        let folder = data_dir.join(FOLDER);
        match DirBuilder::new().mode(0o700).create(&folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => made?,
        }
        whole_file::sync_folder(data_dir)?;
        Ok(Self(folder))
    }

    /// Removes every file of the folder below `data_dir`, if there is one.
    pub(super) fn clear(data_dir: &Path) -> io::Result<()> {
        let folder = data_dir.join(FOLDER);
        if folder.is_dir() { Self(folder).retain(&HashSet::new()) } else { Ok(()) }
    }

    /// Writes a file, or replaces the one of that name.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        whole_file::put(&self.0, name, bytes).map(drop)
    }

    /// What a file holds; `None` if there is none.
    pub(super) fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let file = match File::open(self.0.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let mut bytes = Vec::new();
        let most = limits::MAX_SEALED_FILE_BYTES;
        file.take(most as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > most {
            return Err(io::Error::other("a sealed file is larger than any that was written"));
        }
        Ok(Some(bytes))
    }

    /// Removes these files, as far as they are there.
    pub(super) fn remove(&self, names: impl Iterator<Item = String>) -> io::Result<()> {
        let mut removed = false;
        for name in names {
            removed |= whole_file::remove(&self.0.join(name))?;
        }
        if removed { whole_file::sync_folder(&self.0) } else { Ok(()) }
    }

    /// Removes every file but these.
    pub(super) fn retain(&self, names: &HashSet<String>) -> io::Result<()> {
        let mut others = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let name = entry?.file_name().into_string();
            others.extend(name.ok().filter(|name| !names.contains(name)));
        }
        self.remove(others.into_iter())
    }
}
