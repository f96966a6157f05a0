//! Says where the program serves: on stdout, for people and for whoever started it with port 0, and in the
//! data folder, for the commands that look for it.
//!
//! Promises: the lines come once both doors are open, and after the file. The operators' token stands in a line
//! only where a person reads it and nothing keeps it: on a terminal, unless log lines are JSON, which
//! somebody collects. The file is nobody's but the user's and goes at an orderly end; it is locked as long as
//! the program lives, so that what a killed one has left leads nobody to whoever has its ports by then.

use std::fs::{File, TryLockError};
use std::io::{self, IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::LogFormat;
use crate::credential::AdminToken;
use crate::session::{admin_token, whole_file};

/// The file's name.
const NAME: &str = "addresses.json";

/// What the file in the data folder holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// Where clients connect, as a URL.
    pub clients: String,
    /// Where operators do, if they are served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin: Option<String>,
}

impl Addresses {
    /// A bound address as a URL that leads to it from this machine.
    pub(super) fn url(scheme: &str, bound: SocketAddr) -> String {
        format!("{scheme}://{bound}")
    }

    /// Where the program that holds this data folder serves; `None` if none has said so that still
    /// lives.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn load(data_dir: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(data_dir.join(NAME)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        // Shared, so that two who look are not in each other's way.
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => Ok(Some(serde_json::from_reader(&file)?)),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// What is to be said.
#[derive(Debug)]
pub(super) struct Announcement {
    pub(super) addresses: Addresses,
    pub(super) token: AdminToken,
    pub(super) data_dir: PathBuf,
}

/// What was said, until it is taken back.
#[derive(Debug)]
pub(super) struct Announced {
    path: PathBuf,
    /// Open, since that keeps it locked.
    _file: Option<File>,
}

impl Announcement {
    /// Says it. That the file cannot be written, as on a full disk, is no reason not to serve.
    pub(super) async fn make(self, format: LogFormat) -> Announced {
        let file = self.write().await.inspect_err(
            |error| tracing::warn!(%error, "{NAME} in the data folder cannot be written"),
        );
        let readers = match format {
            LogFormat::Human if io::stdout().is_terminal() => Readers::People,
            LogFormat::Human | LogFormat::Json => Readers::Anybody,
        };
        let lines = self.lines(readers);
        let mut out = io::stdout().lock();
        // A closed stdout is no reason not to serve.
        let _ = out.write_all(lines.as_bytes()).and_then(|()| out.flush());
        Announced { path: self.data_dir.join(NAME), _file: file.ok() }
    }

    async fn write(&self) -> io::Result<File> {
        let (data_dir, bytes) = (self.data_dir.clone(), serde_json::to_vec(&self.addresses)?);
        let put = move || whole_file::put_locked(&data_dir, NAME, &bytes);
        tokio::task::spawn_blocking(put).await.map_err(io::Error::other).flatten()
    }

    /// One line for each address, and one that says where the token is, if it is not shown.
    fn lines(&self, readers: Readers) -> String {
        let Addresses { clients, admin } = &self.addresses;
        let clients = format!("listening on {clients}\n");
        let Some(admin) = admin else { return clients };
        match readers {
            Readers::People => {
                format!("{clients}admin on {admin}/#token={}\n", self.token.expose())
            }
            Readers::Anybody => {
                let path = self.data_dir.join(admin_token::NAME);
                format!("{clients}admin on {admin}\nadmin token in {}\n", path.display())
            }
        }
    }
}

impl Announced {
    /// Removes the file: whoever looks from now on is told that nobody serves.
    pub(super) async fn take_back(self) {
        let Self { path, _file } = self;
        let removed = tokio::task::spawn_blocking(move || whole_file::remove(&path)).await;
        if let Err(error) = removed.map_err(io::Error::other).flatten() {
            tracing::warn!(%error, "{NAME} in the data folder cannot be removed");
        }
    }
}

/// Who reads the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Readers {
    /// A person at a terminal.
    People,
    /// Whoever started the program, or whatever keeps what it writes.
    Anybody,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn announcement(admin: Option<&str>) -> Announcement {
        Announcement {
            addresses: Addresses {
                clients: "http://127.0.0.1:1".to_owned(),
                admin: admin.map(str::to_owned),
            },
            token: AdminToken::from_bytes([0xa5; 32]),
            data_dir: PathBuf::from("/data"),
        }
    }

    #[test]
    fn the_token_is_shown_to_people_alone() {
        let announced = announcement(Some("http://127.0.0.1:2"));
        let token = "a5".repeat(32);
        let lines = format!(
            "listening on http://127.0.0.1:1\nadmin on http://127.0.0.1:2/#token={token}\n"
        );
        assert_eq!(announced.lines(Readers::People), lines);
        let lines = "listening on http://127.0.0.1:1\nadmin on http://127.0.0.1:2\n\
                     admin token in /data/admin.token\n";
        assert_eq!(announced.lines(Readers::Anybody), lines);
    }

    #[test]
    fn a_door_that_is_not_there_is_not_told_of() {
        for readers in [Readers::People, Readers::Anybody] {
            assert_eq!(announcement(None).lines(readers), "listening on http://127.0.0.1:1\n");
        }
    }
}
