//! The operators' token, kept in the data folder.
//!
//! `admin.token` holds the token's digits and a line feed, so that a shell can read it, and is made
//! once (0600); a crash leaves the whole token or none. Whoever makes it holds the folder's lock; whoever
//! only reads it needs none. A damaged token is told and not replaced: somebody has put it there.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rand::TryRngCore as _;
use rand::rngs::OsRng;

use super::whole_file;
use crate::credential::AdminToken;
use crate::limits;

/// The file's name.
pub const NAME: &str = "admin.token";

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is not a token.
    #[error(
        "{NAME} is not a token of 64 hexadecimal digits; remove it, and the next start makes a new one"
    )]
    Damaged,
    /// It cannot be read.
    #[error("read {NAME}")]
    Read(#[source] io::Error),
    /// It cannot be made.
    #[error("create {NAME}")]
    Create(#[source] io::Error),
}

/// The token in `folder`.
///
/// # Errors
/// [`Error::Read`] if there is none, too.
pub fn load(folder: &Path) -> Result<AdminToken, Error> {
    read(File::open(folder.join(NAME)).map_err(Error::Read)?)
}

/// The token in `folder`, made if there is none.
///
/// # Errors
/// [`Error`]; then the folder holds what it held.
pub fn load_or_create(folder: &Path) -> Result<AdminToken, Error> {
    match File::open(folder.join(NAME)) {
        Ok(file) => read(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create(folder).map_err(Error::Create)
        }
        Err(error) => Err(Error::Read(error)),
    }
}

fn read(file: File) -> Result<AdminToken, Error> {
    let mode = file.metadata().map_err(Error::Read)?.mode();
    if mode & 0o077 != 0 {
        tracing::warn!(mode = format!("{:o}", mode & 0o777), "{NAME} is open to other users");
    }
    let mut text = String::new();
    let read = file.take(limits::MAX_ADMIN_TOKEN_FILE_BYTES).read_to_string(&mut text);
    match read {
        Ok(_) => AdminToken::parse(text.trim_ascii_end()).ok_or(Error::Damaged),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(Error::Damaged),
        Err(error) => Err(Error::Read(error)),
    }
}

// Durable: as `whole_file` promises.
fn create(folder: &Path) -> io::Result<AdminToken> {
    let mut bytes = [0; 32];
    OsRng.try_fill_bytes(&mut bytes).map_err(io::Error::other)?;
    let token = AdminToken::from_bytes(bytes);
    whole_file::put(folder, NAME, format!("{}\n", token.expose()).as_bytes())?;
    Ok(token)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_token_is_made_once_and_found_again_by_whoever_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(load(folder.path()), Err(Error::Read(_))));
        let made = load_or_create(folder.path()).unwrap();
        for found in [load_or_create(folder.path()).unwrap(), load(folder.path()).unwrap()] {
            assert!(found.is(made.expose()));
        }
        let path = folder.path().join(NAME);
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", made.expose()));
        assert_eq!(fs::metadata(path).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn two_folders_have_two_tokens() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (one, two) = (load_or_create(one.path()).unwrap(), load_or_create(two.path()).unwrap());
        assert!(!one.is(two.expose()));
    }

    #[test]
    fn a_damaged_token_is_told_and_left_alone() {
        for bytes in [&b""[..], b"\n", &[b'a'; 63], &[b'a'; 65], &[0xff; 64], &[b'a'; 5000]] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(NAME);
            fs::write(&path, bytes).unwrap();
            assert!(matches!(load_or_create(folder.path()), Err(Error::Damaged)), "{bytes:?}");
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
    }
}
