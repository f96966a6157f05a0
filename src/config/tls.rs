//! The files of TLS: read and checked at the start, so that a mistake in one is told like any other.

use std::fs::metadata;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::file::read_bytes_bounded;
use super::identity::{self, Identity};
use super::keys::Key;
use super::sources::Sources;
use crate::upstream::trust::Authorities;

/// Reads the file of further authorities.
pub(super) fn read_authorities(sources: &mut Sources<'_>) -> Option<Authorities> {
    let parse = |pem: &[u8]| Authorities::from_pem(pem).map_err(|bad| bad.to_string());
    let authorities = sources.read_optional(Key::CaFile, |path| of_file(path, parse))?;
    Some(authorities.unwrap_or_default())
}

/// Reads the chain and the key of the clients' door: both, or none.
pub(super) fn read_identity(sources: &mut Sources<'_>) -> Option<Option<Identity>> {
    let places = [Key::TlsCertFile, Key::TlsKeyFile].map(|key| sources.place_of(key));
    let chain = sources.read_optional(Key::TlsCertFile, |path| of_file(path, identity::chain));
    let mut path_of_key = String::new();
    let key = sources.read_optional(Key::TlsKeyFile, |path| {
        path.clone_into(&mut path_of_key);
        of_file(path, identity::key)
    });
    match (places, chain?, key?) {
        ([_, Some(origin)], Some(chain), Some(key)) => {
            warn_of_readers(sources, &path_of_key);
            let made = Identity::new(chain, key);
            let noted = made.map_err(|what| format!("the file {path_of_key} {what}"));
            noted.map_err(|what| sources.note(origin, what)).ok().map(Some)
        }
        ([Some(origin), _], Some(_), None) => {
            sources.note(origin, "needs its key: give `tls-key`, too".to_owned());
            None
        }
        ([_, Some(origin)], None, Some(_)) => {
            sources.note(origin, "needs its certificate: give `tls-cert`, too".to_owned());
            None
        }
        _ => Some(None),
    }
}

/// Whoever reads the key can pretend to be this program.
fn warn_of_readers(sources: &mut Sources<'_>, path: &str) {
    let Ok(found) = metadata(path) else { return };
    let mode = found.permissions().mode() & 0o777;
    if mode & 0o044 != 0 {
        sources.warnings.push(format!(
            "the private key in {path} can be read by other users (mode {mode:o}); \
             mode 600 keeps it to its owner"
        ));
    }
}

fn of_file<T>(path: &str, parse: impl Fn(&[u8]) -> Result<T, String>) -> Result<T, String> {
    let read = read_bytes_bounded(Path::new(path)).and_then(|pem| parse(&pem));
    read.map_err(|what| format!("the file {path} {what}"))
}
