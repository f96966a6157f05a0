//! The files of the folder `sealed`: each is there whole or not at all.
//!
//! Durable: a file is written under another name, synced, and renamed; then the folder is synced.
//! The same holds for a removal. The folder is nobody's but the user's (0700), and so are its files
//! (0600).

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::limits;

const FOLDER: &str = "sealed";
/// Behind the name of a file that is not whole yet.
const UNFINISHED: &str = ".new";

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
        sync(data_dir)?;
        Ok(Self(folder))
    }

    /// Removes every file of the folder below `data_dir`, if there is one.
    pub(super) fn clear(data_dir: &Path) -> io::Result<()> {
        let folder = data_dir.join(FOLDER);
        if folder.is_dir() { Self(folder).retain(&HashSet::new()) } else { Ok(()) }
    }

    /// Writes a file, or replaces the one of that name.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let unfinished = self.0.join(format!("{name}{UNFINISHED}"));
        let written = self.write_under(&unfinished, &self.0.join(name), bytes);
        if written.is_err() {
            // What a full disk took of it is given back at once.
            let _ = fs::remove_file(&unfinished);
        }
        written
    }

    fn write_under(&self, unfinished: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let open = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).clone();
        let mut file = open.open(unfinished)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(unfinished, path)?;
        sync(&self.0)
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
            match fs::remove_file(self.0.join(name)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                gone => {
                    gone?;
                    removed = true;
                }
            }
        }
        if removed { sync(&self.0) } else { Ok(()) }
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

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
