//! The value of an Authorization header from a file: a command line is visible to others.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use http::HeaderValue;

use super::failure::Failure;
use crate::limits;

/// Reads it; nothing of it is told in a mistake.
pub(super) fn read(path: &Path) -> Result<HeaderValue, Failure> {
    let wrong = |what: &str| Failure::Usage(format!("the file {} {what}", path.display()));
    let file = File::open(path).map_err(|error| wrong(&format!("cannot be read: {error}")))?;
    let mut text = String::new();
    let most = limits::MAX_CREDENTIAL_BYTES as u64 + 2;
    let read = file.take(most).read_to_string(&mut text);
    read.map_err(|_| wrong("is not text"))?;
    let value = text.trim();
    let is_visible = !value.is_empty() && value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let is_header = is_visible && value.len() <= limits::MAX_CREDENTIAL_BYTES;
    let mut header = HeaderValue::from_str(value).ok().filter(|_| is_header);
    header.iter_mut().for_each(|header| header.set_sensitive(true));
    header.ok_or_else(|| wrong("holds no value of an Authorization header"))
}
