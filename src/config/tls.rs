//! The files of TLS: read and checked at the start, so that a mistake in one is told like any other.

use std::path::Path;

use super::file::read_bytes_bounded;
use crate::upstream::trust::Authorities;

/// Reads a file of certificate authorities.
pub(super) fn authorities(path: &str) -> Result<Authorities, String> {
    let read = read_bytes_bounded(Path::new(path))
        .and_then(|text| Authorities::from_pem(&text).map_err(|bad| bad.to_string()));
    read.map_err(|what| format!("the file {path} {what}"))
}
