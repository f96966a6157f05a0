//! The value of an Authorization header from a file: a command line is visible to others.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::failure::Failure;
use crate::limits;

/// Reads it; nothing of it is told in a mistake.
pub(super) fn read(path: &Path) -> Result<String, Failure> {
    let wrong = |what: &str| Failure::Usage(format!("the file {} {what}", path.display()));
    let file = File::open(path).map_err(|error| wrong(&format!("cannot be read: {error}")))?;
    let mut text = String::new();
    let most = limits::MAX_CREDENTIAL_BYTES as u64 + 2;
    let read = file.take(most).read_to_string(&mut text);
    read.map_err(|_| wrong("is not text"))?;
    let value = text.trim();
    let is_header = !value.is_empty() && value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if is_header && value.len() <= limits::MAX_CREDENTIAL_BYTES {
        Ok(value.to_owned())
    } else {
        Err(wrong("holds no value of an Authorization header"))
    }
}
