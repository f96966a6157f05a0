//! Files that are there whole or not at all, whenever the machine stops.
//!
//! Durable: a file is written under another name, synced, and renamed; then its folder is synced. It is
//! nobody's but the user's (0600). One writer at a time for each name: whoever calls sees to that.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Behind the name of a file that is not whole yet.
const UNFINISHED: &str = ".new";

/// Makes `bytes` the file `name` in `folder`, or puts them in the place of the one of that name; gives the
/// file, open for appending.
///
/// # Errors
/// The system's; then the name has what it had, but for a failed sync of the folder, after which nobody
/// knows.
pub fn put(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<File> {
    place(folder, name, |unfinished| write(unfinished, bytes))
}

/// The same; the file is locked from before it has its name until what is given is dropped, or the
/// process ends in whatever way. So one that is not locked was left behind.
///
/// # Errors
/// As [`put`].
pub fn put_locked(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<File> {
    place(folder, name, |unfinished| {
        let file = write(unfinished, bytes)?;
        file.try_lock()?;
        Ok(file)
    })
}

/// Makes what `write` makes under another name the file `name`.
fn place(
    folder: &Path,
    name: &str,
    write: impl FnOnce(&Path) -> io::Result<File>,
) -> io::Result<File> {
    let unfinished = folder.join(format!("{name}{UNFINISHED}"));
    remove(&unfinished)?;
    let written = write(&unfinished);
    let named = written.and_then(|file| {
        fs::rename(&unfinished, folder.join(name))?;
        sync_folder(folder)?;
        Ok(file)
    });
    if named.is_err() {
        // What a full disk took of it is given back at once.
        let _ = fs::remove_file(&unfinished);
    }
    named
}

/// Removes a file; says whether there was one. Durable once the folder is synced.
///
/// # Errors
/// The system's.
pub fn remove(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Makes the names in `folder` durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let mut file = options.append(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(file)
}
