//! What commands other than `serve` read of the same sources: where the data folder is, which admin address
//! was chosen, whom https trusts. Each reads its own key alone, so that a mistake elsewhere is in nobody's way.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::flags::Flags;
use super::keys::Key;
use super::mistake::{Mistakes, Origin};
use super::sources::Sources;
use super::{address, read_data_dir, tls};
use crate::upstream::trust::Authorities;

/// The data folder alone, for commands that look at one: `given` is the value of their flag, `file`
/// that of `--config`.
///
/// # Errors
/// [`Mistakes`], if it is not given and no source tells it.
pub fn data_dir(
    file: Option<&Path>,
    given: Option<&Path>,
    environment: &Environment,
) -> Result<PathBuf, Mistakes> {
    if let Some(given) = given {
        return Ok(given.to_owned());
    }
    let flags = Flags::default();
    let mut sources = Sources::open(file, &flags, environment);
    let found = read_data_dir(&mut sources);
    sources.give(found).map(|(found, _)| found)
}

/// The admin address that was chosen, for a command that looks for one without flags of `serve`: none if
/// that was left to the default, is off, or is whichever port is free.
///
/// # Errors
/// [`Mistakes`], if it is no address.
pub fn chosen_admin(
    file: Option<&Path>,
    environment: &Environment,
) -> Result<Option<SocketAddr>, Mistakes> {
    let flags = Flags::default();
    let mut sources = Sources::open(file, &flags, environment);
    let found = sources.read_with_origin(Key::Admin, address::socket_or_off);
    let ((admin, origin), _) = sources.give(found)?;
    Ok(admin.filter(|admin| origin != Origin::Default && admin.port() != 0))
}

/// The certificate authorities that are trusted besides the system's: `given` is the value of the
/// command's own flag.
///
/// # Errors
/// [`Mistakes`], if the file cannot be read or holds none.
pub fn authorities(
    file: Option<&Path>,
    given: Option<&Path>,
    environment: &Environment,
) -> Result<Authorities, Mistakes> {
    let flags = given.map(|path| Flags::of(Key::CaFile, path.to_string_lossy().into_owned()));
    let flags = flags.unwrap_or_default();
    let mut sources = Sources::open(file, &flags, environment);
    let found = tls::read_authorities(&mut sources);
    sources.give(found).map(|(found, _)| found)
}
