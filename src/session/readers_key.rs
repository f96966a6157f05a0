//! The key under which readers' credentials are hashed, kept in the data folder.
//!
//! `reader.key` holds 32 random bytes and is made once; a crash leaves the whole key or none. Whoever
//! calls holds the folder's lock. A damaged key is never replaced: the hashes in the log would fit
//! nothing any more, and that is a person's decision.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use rand::TryRngCore as _;
use rand::rngs::OsRng;

use super::whole_file;
use crate::credential::HashKey;

const NAME: &str = "reader.key";
const BYTES: usize = 32;

/// A key, and whether it was there before.
#[derive(Debug)]
pub enum Key {
    /// The folder had it.
    Loaded(HashKey),
    /// It was made now: no credential in an older log fits it.
    Created(HashKey),
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is not a key.
    #[error(
        "{NAME} is not a key of {BYTES} bytes; restore it, or remove it and with it the right of all former readers"
    )]
    Damaged,
    /// It cannot be read.
    #[error("read {NAME}")]
    Read(#[source] io::Error),
    /// It cannot be made.
    #[error("create {NAME}")]
    Create(#[source] io::Error),
}

/// The key in `folder`, made if there is none.
///
/// # Errors
/// [`Error`]; then the folder holds what it held, or an unfinished file that is made anew next
/// time.
pub fn load_or_create(folder: &Path) -> Result<Key, Error> {
    match File::open(folder.join(NAME)) {
        Ok(file) => load(file).map(Key::Loaded),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create(folder).map(Key::Created).map_err(Error::Create)
        }
        Err(error) => Err(Error::Read(error)),
    }
}

fn load(file: File) -> Result<HashKey, Error> {
    let mut bytes = Vec::with_capacity(BYTES + 1);
    file.take(BYTES as u64 + 1).read_to_end(&mut bytes).map_err(Error::Read)?;
    let bytes: [u8; BYTES] = bytes.try_into().map_err(|_| Error::Damaged)?;
    Ok(HashKey::from_bytes(bytes))
}

// Durable: as `whole_file` promises.
fn create(folder: &Path) -> io::Result<HashKey> {
    let mut bytes = [0; BYTES];
    OsRng.try_fill_bytes(&mut bytes).map_err(io::Error::other)?;
    whole_file::put(folder, NAME, &bytes)?;
    Ok(HashKey::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::credential::{Credential, CredentialHash};

    fn hash(key: &Key) -> CredentialHash {
        match key {
            Key::Loaded(key) | Key::Created(key) => key.hash(&Credential::new("Bearer a")),
        }
    }

    #[test]
    fn the_key_is_made_once_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("reader.key.new"), b"half").unwrap();
        let made = load_or_create(folder.path()).unwrap();
        let found = load_or_create(folder.path()).unwrap();
        assert!(matches!((&made, &found), (Key::Created(_), Key::Loaded(_))));
        assert_eq!(hash(&made), hash(&found));
        let mode = fs::metadata(folder.path().join(NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!folder.path().join("reader.key.new").exists());
    }

    #[test]
    fn two_folders_have_two_keys() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (one, two) = (load_or_create(one.path()).unwrap(), load_or_create(two.path()).unwrap());
        assert_ne!(hash(&one), hash(&two));
    }

    #[test]
    fn a_damaged_key_is_told_and_left_alone() {
        for length in [0, 31, 33, 5000] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(NAME);
            fs::write(&path, vec![1; length]).unwrap();
            assert!(matches!(load_or_create(folder.path()), Err(Error::Damaged)), "{length}");
            assert_eq!(fs::read(&path).unwrap().len(), length);
        }
    }
}
