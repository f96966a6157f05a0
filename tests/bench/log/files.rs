//! The log's files as plain files: read as fast as the kernel gives them, which no log can beat,
//! or put out of the page cache.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, fadvise};
use tokio::time::Instant;

/// Read at once.
pub(crate) const READ_BYTES: usize = 256 << 10;

/// What a plain read came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Read {
    pub(crate) bytes: f64,
    pub(crate) seconds: f64,
}

/// All files below `folder`, the largest first.
pub(crate) fn below(folder: &Path) -> Vec<(PathBuf, u64)> {
    let (mut open, mut found) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let meta = entry.metadata().unwrap();
            if meta.is_dir() {
                open.push(entry.path());
            } else {
                found.push((entry.path(), meta.len()));
            }
        }
    }
    found.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    found
}

/// Reads all files below `folder` into one buffer.
pub(crate) fn read_all(folder: &Path) -> Read {
    let (files, mut bytes) = (below(folder), 0);
    let begun = Instant::now();
    for (path, _) in files {
        each_piece(&File::open(path).unwrap(), |piece| bytes += piece.len());
    }
    Read { bytes: bytes as f64, seconds: begun.elapsed().as_secs_f64() }
}

/// Hands over a file piece by piece.
pub(crate) fn each_piece(file: &File, mut take: impl FnMut(&[u8])) {
    let (mut buffer, mut at) = (vec![0; READ_BYTES], 0);
    loop {
        let read = file.read_at(&mut buffer, at).unwrap();
        if read == 0 {
            return;
        }
        take(&buffer[..read]);
        at += read as u64;
    }
}

/// Puts all files below `folder` out of the page cache.
pub(crate) fn forget(folder: &Path) {
    for (path, _) in below(folder) {
        let file = File::open(path).unwrap();
        file.sync_all().unwrap();
        fadvise(&file, 0, None, Advice::DontNeed).unwrap();
    }
}
